"""Which names of `xnp` are ours and not NumPy's own object: what NumPy's dispatch cannot reach."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.core import thread_state
from ..autodiff.handles import has_handle

OURS: dict[str, Any] = {}


def replaces(name: str) -> Callable[[Any], Any]:
    """Registers an object as what ``xnp.<name>`` is."""

    def register(ours: Any) -> Any:
        if name in OURS:
            raise ValueError(f"xnp.{name} is defined twice")
        OURS[name] = ours
        return ours

    return register


def replaces_inside(name: str) -> Callable[[Any], Any]:
    """Registers a function as what ``xnp.<name>`` is inside transformations.

    Outside, the call goes to NumPy as it came, at the price of 0.1 us.
    """
    numpys = getattr(np, name)

    def register(ours: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(numpys)
        def switch(*args: Any, **kwargs: Any) -> Any:
            if thread_state.level:
                return ours(*args, **kwargs)
            return numpys(*args, **kwargs)

        return replaces(name)(switch)

    return register


def replaces_for_handles(name: str) -> Callable[[Any], Any]:
    """Registers a function as what ``xnp.<name>`` is where any argument is a traced array.

    For functions whose dispatch in NumPy does not ask all arguments: `np.take` asks the array, but
    not the indices, which are what is traced where the array is a table of constants. Calls outside
    of transformations, and those without traced arrays, go to NumPy as they came.
    """
    numpys = getattr(np, name)

    def register(ours: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(numpys)
        def switch(*args: Any, **kwargs: Any) -> Any:
            if thread_state.level and (has_handle(args) or has_handle(list(kwargs.values()))):
                return ours(*args, **kwargs)
            return numpys(*args, **kwargs)

        replaces(name)(switch)
        return ours

    return register
