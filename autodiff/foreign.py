"""Concrete ndarrays that enter a transformation from outside.

Traced values refer to the arrays they were computed with, and the program may go on to overwrite
those arrays (a scratch buffer, say) before the backward pass reads them. Small arrays are copied
when they enter. Large ones are made read-only until the outermost transformation of the thread has
ended, so that such a write raises at the user's own line instead of spoiling a derivative. What
goes through a view of the same memory that was there before shows in samples of its elements.
"""

from __future__ import annotations

import threading
import zlib
from functools import lru_cache
from typing import Any

import numpy as np

from .core import thread_state
from .errors import MutationError, UnsupportedError, error_line, user_line
from .layouts import copied

COPY_LIMIT = 1 << 15  # bytes; copying this costs about a microsecond
FEW = 256  # samples, which cost about as much

_lock = threading.Lock()
_frozen: dict[int, list[Any]] = {}  # id -> [array, number of threads that hold it]


def enter(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``x`` as a Value: an ndarray that will not change while it may be read."""
    x = checked(x)
    if thread_state.program is not None:
        return thread_state.program.enter_foreign(x)
    if not x.flags.writeable and x.base is None and not _is_frozen(x):
        return x
    if x.nbytes <= COPY_LIMIT:
        return copied(x)
    if thread_state.level:
        _freeze(x)
    return x


def checked(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``x`` as a plain ndarray; an error for classes and dtypes with other rules."""
    if type(x) is not np.ndarray:
        own = _own_rule(type(x))
        if own is not None:
            mask = ", and the mask on its own" if isinstance(x, np.ma.MaskedArray) else ""
            raise UnsupportedError(
                f"{type(x).__name__} cannot be combined with a traced array{user_line()}: its "
                f"rules differ from ndarray's (it defines {own}). Pass np.asarray(x){mask}."
            )
        x = x.view(np.ndarray)
    if x.dtype.kind not in "fciub":
        raise_dtype(x.dtype)
    return x


# What subclasses define that carry attributes, print or store themselves in their own way.
_HARMLESS = frozenset(
    {
        *("__new__", "__init__", "__array_finalize__", "__array_priority__", "__hash__", "__doc__"),
        *("__repr__", "__str__", "__format__", "__sizeof__", "__class_getitem__", "dump", "dumps"),
        *("__reduce__", "__reduce_ex__", "__setstate__", "__copy__", "__deepcopy__", "tofile"),
    }
)
_OWN_RULES = frozenset(vars(np.ndarray)) - _HARMLESS


@lru_cache(maxsize=256)
def _own_rule(kind: type) -> str | None:
    """What a subclass of ndarray has in place of ndarray's: an operator, a protocol, a method."""
    for cls in kind.__mro__[: kind.__mro__.index(np.ndarray)]:
        if cls in (np.memmap, np.recarray):  # an ndarray on disk; one whose fields are attributes
            continue
        for name in vars(cls):
            if name in _OWN_RULES:
                return name
    return None


_NOT_OVERRIDDEN = (None, np.ndarray.__array_ufunc__)


def overrides_ufuncs(x: Any) -> bool:
    """Whether NumPy asks the class of ``x``, which is no handle, what its ufuncs do there."""
    return getattr(type(x), "__array_ufunc__", None) not in _NOT_OVERRIDDEN


def _is_frozen(x: Any) -> bool:
    """Whether a read-only array is so because some thread froze it."""
    with _lock:
        return id(x) in _frozen or x.flags.writeable  # writeable: thawed in between


def raise_dtype(dtype: Any) -> None:
    raise TypeError(
        f"an array of dtype {dtype} cannot be combined with traced arrays{user_line()}; "
        f"{dtype_advice(dtype)}."
    )


def dtype_advice(dtype: Any) -> str:
    """What to do with an array whose dtype is none of numbers."""
    if dtype.kind in "mM":
        return "convert times to numbers first: x / np.timedelta64(1, 's')"
    if dtype.kind == "O":
        return "is the nested list ragged? np.array(x, dtype=float) shows where"
    if dtype.names:
        return "pass its fields as separate arrays: x['name']"
    return "use a dtype of numbers or bool"


def _freeze(x: Any) -> None:
    held = thread_state.__dict__.setdefault("held", {})
    thread_state.cleanup = thaw
    if id(x) not in held:
        samples = thread_state.__dict__.setdefault("samples", [])
        samples.append((x, sampled(x, FEW).tobytes()))
    while isinstance(x, np.ndarray):
        key = id(x)
        if key not in held:
            with _lock:
                if key in _frozen:
                    _frozen[key][1] += 1
                    held[key] = x
                elif x.flags.writeable:
                    held[key] = x  # first: an interrupt may come at any time
                    _frozen[key] = [x, 1]
                    x.flags.writeable = False
        x = x.base


def thaw(error: BaseException | None = None) -> None:
    """Gives back what this thread froze; called when its outermost transformation ends, and once
    more at the end of the next one if it is interrupted.
    """
    held = thread_state.__dict__.get("held")
    samples = thread_state.__dict__.pop("samples", [])
    if not held:
        return
    with _lock:
        for key in sorted(held, key=lambda key: _base_depth(held[key])):
            entry = _frozen.get(key)  # a view can be made writable only after its base
            if entry is not None and entry[1] > 1:
                entry[1] -= 1
            elif entry is not None:
                entry[0].flags.writeable = True
                _frozen.pop(key)
            held.pop(key)
    thread_state.cleanup = None
    if isinstance(error, ValueError) and "read-only" in str(error):
        raise MutationError(
            f"an array of more than {COPY_LIMIT} bytes that traced values have been computed from "
            f"was overwritten in the same function{error_line(error)}; the derivative would read "
            "the new numbers. Write a = a + b in place of a += b, or copy the array first: a = "
            "xnp.array(a)."
        ) from error
    if error is None:
        for x, sample in samples:
            if sampled(x, FEW).tobytes() != sample:
                raise MutationError(
                    f"an array ({x.dtype}{list(x.shape)}) that traced values have been computed "
                    f"from was overwritten in the same function{user_line()}, through a view made "
                    "before; the derivative would read the new numbers. Give the function a copy: "
                    "a = xnp.array(a)."
                )


def sampled(x: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """At most ``count`` elements, spread over the whole array."""
    step = -(-x.size // count)
    return x.reshape(-1)[::step] if x.flags.c_contiguous else x.flat[::step]


FULL_CHECK = 1 << 24  # bytes
SAMPLES = 4096


def digest(x: np.ndarray[Any, Any]) -> int:
    """A number that shows whether the array has changed: of all of it, or if it is larger than
    FULL_CHECK of some thousand samples.
    """
    if x.nbytes > FULL_CHECK:
        x = sampled(x, SAMPLES)
    return zlib.crc32(np.ascontiguousarray(x).data)


class Witness:
    """The large arrays that a tape read and that outlive its trace, as `vjp`'s do: `check` raises
    if one has changed since. Of arrays larger than FULL_CHECK a `digest` shows every write to a
    large part.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        held = thread_state.__dict__.get("held", {})
        self.digests = [(x, digest(x)) for x in held.values()]

    def check(self) -> None:
        for x, before in self.digests:
            if digest(x) != before:
                raise MutationError(
                    f"{self.what}: an array ({x.dtype}{list(x.shape)}) that the function read has "
                    f"been overwritten since{user_line()}, so the derivative would be wrong. "
                    "Call the derivative first, or give the function a copy."
                )


def _base_depth(x: Any) -> int:
    depth = 0
    while isinstance(x, np.ndarray):
        x = x.base
        depth += 1
    return depth
