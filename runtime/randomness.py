"""The state of random generators: whether a function drew numbers while it was recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np


def random_state(generators: Iterable[Any]) -> tuple[Any, ...]:
    """The states of the generators, of NumPy's global one and of Python's where they are loaded."""
    found = [
        _state(getattr(g, "bit_generator", None) or getattr(g, "_bit_generator", g))
        for g in generators
    ]
    if (module := sys.modules.get("numpy.random.mtrand")) is not None:
        found.append(_plain(module.get_state(legacy=False)))
    if (module := sys.modules.get("random")) is not None:
        found.append(module.getstate())
    return tuple(found)


def _state(generator: Any) -> Any:
    return _plain(generator.state) if hasattr(generator, "state") else None


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return tuple((key, _plain(value)) for key, value in state.items())
    return state.tobytes() if isinstance(state, np.ndarray) else state
