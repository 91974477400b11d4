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
        if (module := sys.modules.get("numpy.random.mtrand")) is not None:
            self._sources.append((lambda: module.get_state(legacy=False), module.set_state))
        if (python := sys.modules.get("random")) is not None:
            self._sources.append((python.getstate, python.setstate))
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


Source = tuple[Callable[[], Any], Callable[[Any], None]]


def _source_of(generator: Any) -> Source | None:
    """How to read a state and how to set it."""
    bits = getattr(generator, "bit_generator", None) or getattr(generator, "_bit_generator", None)
    bits = generator if bits is None else bits
    if not hasattr(bits, "state"):
        return None
    return (lambda: bits.state), (lambda state: setattr(bits, "state", state))


def _plain(state: Any) -> Any:
    """A state as something that can be compared."""
    if isinstance(state, dict):
        return tuple((key, _plain(value)) for key, value in state.items())
    return state.tobytes() if isinstance(state, np.ndarray) else state
