"""Python ints beside arrays of small integers.

NumPy gives the result the array's dtype, and raises OverflowError for a number which that cannot
hold; comparisons are exact. Where a number is known, NumPy itself does so. A traced one is
converted before the operation: by `narrow`, which checks it when the Program runs, unless what is
known of its range proves that it fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .core import Aval, Primitive
from .primitives.elementwise import ufunc_of
from .program import Atom, Literal

_INT64 = np.dtype(np.int64)
_COMPARISONS = frozenset(
    {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
)


def dtypes_to_fit(
    primitive: Primitive, inputs: Sequence[Atom]
) -> Sequence[np.dtype[Any] | None] | None:
    """For each argument the dtype that NumPy converts it to, if it is a traced Python int which may
    not fit; None where there are no such arguments.
    """
    if len(inputs) < 2 or not any(map(_is_traced_int, inputs)):
        return None
    ufunc = ufunc_of(primitive)
    if ufunc is None or ufunc.nin != len(inputs):
        return None
    wanted = _loop_dtypes(ufunc, tuple(x.aval._replace(shape=()) for x in inputs))
    if wanted is None:
        return None
    found = [
        dtype if _is_traced_int(x) and _is_narrow(dtype) else None
        for x, dtype in zip(inputs, wanted, strict=True)
    ]
    return found if any(dtype is not None for dtype in found) else None


def dtype_where_large(primitive: Primitive, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What to convert a Python int to that may not fit ``dtype``: comparisons take any."""
    return _INT64 if ufunc_of(primitive) in _COMPARISONS else dtype


def is_held(known: tuple[Any, Any] | None, dtype: np.dtype[Any]) -> bool:
    """Whether all numbers of a range have this dtype."""
    if known is None or not all(type(end) is int for end in known):
        return False
    return np.iinfo(dtype).min <= known[0] and known[1] <= np.iinfo(dtype).max


def _is_traced_int(x: Atom) -> bool:
    return x.aval.weak and x.aval.dtype.kind == "i" and type(x) is not Literal


def _is_narrow(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and dtype != _INT64


@lru_cache(1024)
def _loop_dtypes(ufunc: Any, avals: tuple[Aval, ...]) -> Sequence[np.dtype[Any]] | None:
    """What NumPy converts arguments to, as far as that can be narrow; None where all are weak."""
    if all(x.weak for x in avals):
        return None
    python = {"b": np.dtype(bool), "i": int, "f": float, "c": complex}
    given = [python[x.dtype.kind] if x.weak else x.dtype for x in avals]
    try:
        return ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))[: ufunc.nin]
    except TypeError:  # there is no such loop, which the shape rule says better
        return None
