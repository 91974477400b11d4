"""The state of random generators: whether a function drew numbers while it was recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


class RandomState:
    """The states of generators, of NumPy's global one and of Python's where they are loaded."""

    def __init__(self, generators: Iterable[Any]) -> None:
        self._sources = [source for g in generators if (source := _source_of(g)) is not None]
        for name in ("numpy.random.mtrand", "random"):
            module = sys.modules.get(name)
            generator = getattr(module, "_rand", module)
            if generator is not None and (source := _source_of(generator)) is not None:
                self._sources.append(source)
        self._states = [get() for get, _ in self._sources]

    def has_changed(self) -> bool:
        """Whether numbers have been drawn since."""
        return any(
            _plain(get()) != _plain(state)
            for (get, _), state in zip(self._sources, self._states, strict=True)
        )

    def restore(self) -> None:
        """Takes back what has been drawn since."""
        for (_, put), state in zip(self._sources, self._states, strict=True):
            put(state)


def is_generator(kind: type) -> bool:
    """Whether it is a class of random generators, of NumPy's or Python's, or derived from one."""
    return any(str(cls.__module__).startswith(("numpy.random", "_random")) for cls in kind.__mro__)


def global_generators() -> list[Any]:
    """That of Python's `random` and that of `numpy.random`, which the function may be the first to
    load: then there would be no state from before to compare.
    """
    import random

    from numpy.random import mtrand

    return [random, mtrand._rand]


Source = tuple[Callable[[], Any], Callable[[Any], None]]


def _source_of(generator: Any) -> Source | None:
    """How to read a state and how to set it."""
    if hasattr(generator, "getstate"):
        return _python_source(generator)
    if hasattr(generator, "set_state"):  # numpy.random.RandomState, which keeps half a pair
        return (lambda: generator.get_state(legacy=False)), generator.set_state
    if isinstance(generator, np.random.SeedSequence):
        return (lambda: generator.state), (lambda _: None)  # nobody can set it
    bits = getattr(generator, "bit_generator", None) or getattr(generator, "_bit_generator", None)
    bits = generator if bits is None else bits
    if not hasattr(bits, "state"):
        return None
    return (lambda: bits.state), (lambda state: setattr(bits, "state", state))


def _python_source(generator: Any) -> Source | None:
    """The same for `random.Random` and the module; those of the operating system have no state."""
    try:
        generator.getstate()
    except NotImplementedError:
        return None
    return generator.getstate, generator.setstate


def _plain(state: Any) -> Any:
    """A state as something that can be compared."""
    if isinstance(state, dict):
        return tuple((key, _plain(value)) for key, value in state.items())
    return state.tobytes() if isinstance(state, np.ndarray) else state
