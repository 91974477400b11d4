"""One program: a function of ``np`` and arrays, and example arguments for it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy


class Program(NamedTuple):
    """``run(np, *args)`` returns an array or number; ``args`` are arrays or numbers.

    ``plain``: works with numpy itself in place of xnp too, since it makes no arrays to write traced
    values in but by functions that get an array. ``batch``: takes the same branches, and selects
    equally many elements, for small changes of the arguments, so that `vmap` works. ``smooth``: is
    twice differentiable at ``args``.
    """

    run: Callable[..., Any]
    args: tuple[Any, ...]
    plain: bool = True
    batch: bool = True
    smooth: bool = True


PROGRAMS: dict[str, Program] = {}


def program(*args: Any, plain: bool = True, batch: bool = True, smooth: bool = True) -> Any:
    """Adds the decorated function to `PROGRAMS`; lists among ``args`` become arrays."""
    arrays = tuple(numpy.array(x) if isinstance(x, list) else x for x in args)

    def add(run: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS[run.__name__] = Program(run, arrays, plain, batch, smooth)
        return run

    return add


def normal(seed: int, *shape: int) -> Any:
    return numpy.random.default_rng(seed).normal(size=shape)
