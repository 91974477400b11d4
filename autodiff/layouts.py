"""How NumPy would lay out a result in memory: whether a later reshape is a view follows from it.

A layout is an array of the right shape and strides whose elements nobody reads. Symbolic sizes
stand in it by their hints: only the order of the strides matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .core import Aval, Params, Primitive


def _hint(dim: Any) -> int:
    return dim if type(dim) is int else getattr(dim, "hint", dim)


def c_order(aval: Aval) -> Any:
    """The layout of a new array."""
    return _layout(aval, range(len(aval.shape)))


def _layout(aval: Aval, order: Sequence[int]) -> Any:
    """A dense layout whose axes lie in memory in ``order``, the slowest first."""
    shape = tuple(map(_hint, aval.shape))
    strides = [0] * len(shape)
    step = aval.dtype.itemsize
    for axis in reversed(order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return np.lib.stride_tricks.as_strided(np.empty(1, aval.dtype), shape, strides)


def k_order(like: Any) -> list[int]:
    """The axes of ``like``, the one with the largest stride first; ties in C order."""
    sizes = [abs(s) if n > 1 else 0 for s, n in zip(like.strides, like.shape, strict=True)]
    return sorted(range(like.ndim), key=lambda axis: -sizes[axis])


def layout_rule(primitive: Primitive, args: Sequence[Any], params: Params, aval: Aval) -> Any:
    """The layout of what ``primitive`` returns, for arguments with layouts ``args``."""
    if primitive.keeps_order:
        shape = tuple(map(_hint, aval.shape))
        full = [a for a in args if a.shape == shape and a.ndim > 1]
        if not full or any(a.flags.c_contiguous for a in full):
            return c_order(aval)
        return _layout(aval, k_order(full[0]))
    if primitive.name == "transpose":
        return args[0].transpose(params["axes"])
    return c_order(aval)
