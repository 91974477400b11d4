"""Moving elements without computing: transpose, concatenate, flip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Aval, Primitive, Value, shape_of
from ..rules import General, JointlyLinear, Linear, batch_axes, batch_axis, reshape_p
from ..shapes import inverse_permutation, moved_axis, with_size
from .indexing import slice_axis


def _transpose_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, axes: tuple[int, ...]
) -> Any:
    return transpose_p(args[0], axes=(0, *(a + 1 for a in axes))), True


# A permutation's transpose is its inverse.
transpose_p = Linear(
    "transpose",
    lambda x, *, axes: np.transpose(x, axes),
    lambda ct, x, *, axes: transpose_p(ct, axes=inverse_permutation(axes)),
    shape=lambda x, *, axes: Aval(tuple(x.shape[a] for a in axes), x.dtype),
    batch=_transpose_batch,
)


def move_axis(x: Value, source: int, destination: int) -> Value:
    """``np.moveaxis`` on Values, both axes non-negative."""
    if source == destination:
        return x
    return transpose_p(x, axes=moved_axis(len(shape_of(x)), source, destination))


# Reversal is its own transpose.
flip_p = Linear(
    "flip",
    lambda x, *, axes: np.flip(x, axes),
    lambda ct, x, *, axes: flip_p(ct, axes=axes),
    shape=lambda x, *, axes: Aval(x.shape, x.dtype),
    batch=batch_axes,
)


def _concatenate_transpose(i: int, ct: Value, args: Sequence[Any], *, axis: int) -> Value:
    start: Any = 0
    for a in args[:i]:
        start = start + shape_of(a)[axis]
    stop = start + shape_of(args[i])[axis]
    return slice_axis(ct, start, stop, axis)


def _concatenate_shape(*xs: Aval, axis: int) -> Aval:
    total: Any = 0
    for x in xs:
        total = total + x.shape[axis]
        if with_size(x.shape, axis, 0) != with_size(xs[0].shape, axis, 0):
            raise ValueError(f"{xs[0]} and {x} cannot be concatenated along axis {axis}")
    dtype = np.result_type(*(x.dtype for x in xs))
    return Aval(with_size(xs[0].shape, axis, total), dtype)


# The cotangent of each piece is its piece of the cotangent.
concatenate_p = JointlyLinear(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis),
    _concatenate_transpose,
    shape=_concatenate_shape,
    batch=batch_axis,
)


def stack_values(values: Sequence[Value]) -> Value:
    """``np.stack(values)`` along a new first axis."""
    rows = [reshape_p(v, shape=(1, *shape_of(v))) for v in values]
    return concatenate_p(*rows, axis=0)


def _unstack_pull(ct: Any, ans: Any, args: Any, wanted: Any) -> tuple[Value]:
    return (stack_values(ct),)


# The slices along the first axis, as a tuple: their cotangents are stacked at once.
unstack_p = General(
    "unstack",
    tuple,
    lambda ans, args, x_dots: unstack_p(x_dots[0]),
    _unstack_pull,
    multiple=True,
    shape=lambda x: (Aval(x.shape[1:], x.dtype),) * x.shape[0],
    batch=lambda primitive, size, args, batched: (
        unstack_p(transpose_p(args[0], axes=moved_axis(len(shape_of(args[0])), 1, 0))),
        True,
    ),
)


def _windows_shape(x: Aval, *, window: tuple[Any, ...], axes: tuple[int, ...]) -> Aval:
    shape = list(x.shape)
    for size, axis in zip(window, axes, strict=True):
        shape[axis] = shape[axis] - size + 1
    return Aval((*shape, *window), x.dtype)


# x[i + k] for every place i of a window along ``axes`` and every k in it; the k are the last axes.
# <ct, windows(x)> = sum over i, k of ct[i, k] x[i + k]: the transpose adds up the overlaps.
windows_p = Linear(
    "windows",
    lambda x, *, window, axes: np.lib.stride_tricks.sliding_window_view(x, window, axes),
    lambda ct, x, *, window, axes: overlap_add_p(ct, shape=shape_of(x), window=window, axes=axes),
    shape=_windows_shape,
    batch=batch_axes,
)


def _overlap_add(
    x: Any, *, shape: tuple[Any, ...], window: tuple[Any, ...], axes: tuple[int, ...]
) -> Any:
    out = np.zeros(shape, x.dtype)
    for offsets in np.ndindex(*window):
        start = [0] * len(shape)
        for offset, axis in zip(offsets, axes, strict=True):
            start[axis] += offset  # an axis may be windowed twice
        out[tuple(slice(s, s + n) for s, n in zip(start, x.shape, strict=False))] += x[
            (..., *offsets)
        ]
    return out


def _overlap_add_batch(
    primitive: Primitive,
    size: Any,
    args: Any,
    batched: Any,
    *,
    shape: Any,
    window: Any,
    axes: tuple[int, ...],
) -> tuple[Value, bool]:
    shifted = tuple(a + 1 for a in axes)
    return overlap_add_p(args[0], shape=(size, *shape), window=window, axes=shifted), True


overlap_add_p = Linear(
    "overlap_add",
    _overlap_add,
    lambda ct, x, *, shape, window, axes: windows_p(ct, window=window, axes=axes),
    shape=lambda x, *, shape, window, axes: Aval(shape, x.dtype),
    batch=_overlap_add_batch,
)
