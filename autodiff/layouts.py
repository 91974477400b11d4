"""How NumPy would lay out a result in memory: whether a later reshape is a view follows from it.

A layout is an array of the right shape and strides whose elements nobody reads; where sizes are
symbolic, a `SymbolicLayout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Aval, Params, Primitive
from .shapes import inverse_permutation, is_one, is_same, is_zero
from .symbolic_layouts import stretched, strided


def c_order(aval: Aval) -> Any:
    """The layout of a new array."""
    return _layout(aval, range(len(aval.shape)))


def _layout(aval: Aval, order: Sequence[int]) -> Any:
    """A dense layout whose axes lie in memory in ``order``, the slowest first."""
    shape = aval.shape
    strides: list[Any] = [0] * len(shape)
    step: Any = aval.dtype.itemsize
    for axis in reversed(order):
        strides[axis] = step
        step = step * (1 if is_zero(shape[axis]) else shape[axis])
    return strided(shape, tuple(strides), aval.dtype)


def iteration_order(layouts: Sequence[Any], ndim: int) -> list[int]:
    """The axes in the order in which NumPy's ufuncs go through their operands, the slowest first:
    as they lie in memory, where axes of length 1 and repeated ones say nothing, and where operands
    disagree as in C order.
    """
    return _ordered([_aligned_strides(x, ndim) for x in layouts if x.ndim > 1], ndim)


def _ordered(strides: Sequence[Sequence[Any]], ndim: int) -> list[int]:
    """For strides of which 0 says nothing."""
    order = list(range(ndim))[::-1]  # the fastest first
    for i in range(1, ndim):
        axis, place = order[i], i
        for j in range(i)[::-1]:
            slower = _is_slower(strides, order[j], axis)
            if slower is False:
                break
            if slower:
                place = j
        order.insert(place, order.pop(i))
    return order[::-1]


def copied(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy whose axes lie in memory as NumPy's functions go through those of ``x``."""
    if 0 not in x.strides:
        return x.copy("K")
    order = iteration_order([x], x.ndim)
    return x.transpose(order).copy().transpose(inverse_permutation(order))


def _aligned_strides(layout: Any, ndim: int) -> list[Any]:
    """The sizes of the strides, 0 for axes that are broadcast."""
    found = [0 if is_one(n) else abs(s) for s, n in zip(layout.strides, layout.shape, strict=True)]
    return [0] * (ndim - len(found)) + found


def _is_slower(strides: Sequence[Sequence[Any]], first: int, second: int) -> bool | None:
    """Whether ``first`` has the longer strides; None where no operand tells."""
    answer = None
    for operand in strides:
        a, b = operand[first], operand[second]
        if (type(a) is int and not a) or (type(b) is int and not b):
            continue
        if a <= b:
            return False
        answer = True
    return answer


def reads_layouts(primitive: Primitive) -> bool:
    """Whether the layout of what ``primitive`` returns depends on those of its arguments."""
    return primitive.keeps_order or primitive.name in _VIEWS or primitive.name in _COPIES


def layout_rule(primitive: Primitive, args: Sequence[Any], params: Params, aval: Aval) -> Any:
    """The layout of what ``primitive`` returns, for arguments with layouts ``args``."""
    if primitive.keeps_order:
        return _iterated(args, aval)
    if primitive.name in _COPIES:
        return _COPIES[primitive.name](args, aval)
    view = _VIEWS.get(primitive.name)
    return c_order(aval) if view is None or not args[0].shape else view(args[0], **params)


def _iterated(args: Sequence[Any], aval: Aval) -> Any:
    full = [a for a in args if a.ndim > 1 and is_same(tuple(a.shape), aval.shape)]
    if any(a.flags.c_contiguous for a in full):
        return c_order(aval)
    return _layout(aval, iteration_order(args, len(aval.shape)))


def _kept(args: Sequence[Any], aval: Aval) -> Any:
    """As `astype` has it, and `empty_like`: axes that are repeated are the fastest."""
    return c_order(aval) if args[0].flags.c_contiguous else _layout(aval, memory_order(args[0]))


def memory_order(layout: Any) -> tuple[int, ...]:
    """The axes from the one with the largest stride to the one with the smallest."""
    strides = [abs(stride) for stride in layout.strides]
    return tuple(sorted(range(layout.ndim), key=lambda axis: -strides[axis]))


def _joined(args: Sequence[Any], aval: Aval) -> Any:
    """As ufuncs go through the pieces, but that axes which are repeated are the fastest."""
    strides = [list(map(_joining_stride, a.strides, a.shape)) for a in args]
    return _layout(aval, _ordered(strides, len(aval.shape)))


def _reshaped(x: Any, shape: tuple[Any, ...]) -> Any:
    try:
        return x.reshape(shape, copy=False)
    except ValueError:
        return c_order(Aval(shape, x.dtype))


def _joining_stride(stride: Any, length: Any) -> Any:
    if is_one(length):
        return 0
    return 1 if type(stride) is int and not stride else abs(stride)


# What gives an array of its own that lies as the arguments do.
_COPIES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("select", "cumsum", "cumprod"), _iterated),
    **dict.fromkeys(("convert", "quantize", "fft_c2c", "fft_r2c", "fft_c2r"), _kept),
    "concatenate": _joined,
}

# What gives a view in NumPy, done to a layout.
_VIEWS: dict[str, Callable[..., Any]] = {
    "transpose": lambda x, axes: x.transpose(axes),
    "getitem": lambda x, index: x[(*index, ...)],
    "reshape": _reshaped,
    "broadcast_to": stretched,
    "diagonal": np.diagonal,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag if x.dtype.kind == "c" else c_order(Aval(x.shape, x.dtype)),
}
