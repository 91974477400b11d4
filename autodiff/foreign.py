"""Concrete ndarrays that enter a transformation from outside.

Traced values refer to the arrays they were computed with, and the program may go on to overwrite
those arrays (a scratch buffer, say) before the backward pass reads them. Small arrays are copied
when they enter. Large ones are made read-only until the outermost transformation of the thread has
ended, so that such a write raises at the user's own line instead of spoiling a derivative.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .core import Trace, thread_state
from .errors import UnsupportedError, user_line

COPY_LIMIT = 1 << 15  # bytes; copying this costs about a microsecond

_lock = threading.Lock()
_frozen: dict[int, list[Any]] = {}  # id -> [array, number of threads that hold it]


def enter(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``x`` as a Value: an ndarray that will not change while it may be read."""
    if type(x) is not np.ndarray:
        if isinstance(x, (np.ma.MaskedArray, np.matrix)):
            raise UnsupportedError(
                f"{type(x).__name__} cannot be combined with a traced array{user_line()}: its "
                "rules differ from ndarray's. Pass np.asarray(x), and the mask on its own."
            )
        x = x.view(np.ndarray)
    if x.dtype.kind not in "fciub":
        raise_dtype(x.dtype)
    if not x.flags.writeable and x.base is None:
        return x
    if x.nbytes <= COPY_LIMIT:
        return x.copy("K")
    if thread_state.depth:
        _freeze(x)
    return x


def raise_dtype(dtype: Any) -> None:
    if dtype.kind in "mM":
        wanted = "convert times to numbers first: x / np.timedelta64(1, 's')"
    elif dtype.kind == "O":
        wanted = "is the nested list ragged? np.array(x, dtype=float) shows where"
    elif dtype.names:
        wanted = "pass its fields as separate arrays: x['name']"
    else:
        wanted = "use a dtype of numbers or bool"
    raise TypeError(
        f"an array of dtype {dtype} cannot be combined with traced arrays{user_line()}; {wanted}."
    )


def _freeze(x: Any) -> None:
    held = thread_state.__dict__.setdefault("held", {})
    while isinstance(x, np.ndarray):
        key = id(x)
        if key not in held:
            with _lock:
                if key in _frozen:
                    _frozen[key][1] += 1
                    held[key] = x
                elif x.flags.writeable:
                    x.flags.writeable = False
                    _frozen[key] = [x, 1]
                    held[key] = x
        x = x.base


def thaw() -> None:
    """Gives back what this thread froze; called when its outermost transformation ends."""
    held = thread_state.__dict__.pop("held", None)
    if not held:
        return
    with _lock:
        for key in sorted(held, key=lambda key: _base_depth(held[key])):
            entry = _frozen[key]  # a view can be made writable only after its base
            entry[1] -= 1
            if not entry[1]:
                entry[0].flags.writeable = True
                del _frozen[key]


def _base_depth(x: Any) -> int:
    depth = 0
    while isinstance(x, np.ndarray):
        x = x.base
        depth += 1
    return depth


class running:
    """The dynamic extent of a trace: creation functions return handles, and its tracers live.

    A class and not a generator: entering and leaving cost 0.3 us."""

    __slots__ = ("outer_level", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        self.outer_level = thread_state.level
        thread_state.depth += 1
        thread_state.level = self.trace.level

    def __exit__(self, *exc_info: object) -> None:
        thread_state.depth -= 1
        thread_state.level = self.outer_level
        self.trace.alive = False
        if not thread_state.depth:
            thaw()
