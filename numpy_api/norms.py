"""Norms of vectors and matrices.

Derivatives where a norm has none: 0 at the zero vector or matrix, the mean of the subgradients of
tied elements (orders inf, -inf, 1, 2 of matrices), no contribution from singular values that are
zero ('nuc').
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.handles import describe, unwrap_known, value_of, wrap
from ..autodiff.primitives.decompositions import svd_p
from ..autodiff.primitives.linalg import norm2_p
from ..autodiff.primitives.manipulation import transpose_p
from ..autodiff.rules import convert, reshape_p
from .contraction import as_array


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    axis = unwrap_known(axis, "the axis")
    if axis is None:
        return tuple(range(ndim))
    axis = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(shapes.axis_index(a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError("norm: Duplicate axes given.")
    return axes


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    value = as_array(x)
    if dtype_of(value).kind not in "fc":
        value = convert(value, np.dtype(float))
    ord = unwrap_known(ord, "the order")
    axes = _axes(axis, ndim_of(value))
    if axis is None and ord is None:
        result = norm2_p(value, axes=axes)
    elif len(axes) == 1:
        result = _vector_norm(value, ord, axes[0])
    elif len(axes) == 2:
        result = _matrix_norm(value, ord, *axes)
    else:
        raise ValueError(
            f"norm: ord={ord!r} is for 1 or 2 axes, x is {describe(value)} and axis={axis!r}; "
            "write axis=, or xnp.linalg.vector_norm"
        )
    if keepdims:
        result = reshape_p(result, shape=shapes.reduced(shape_of(value), axes, True))
    return wrap(result)


def _extreme(function: Any, x: Any, axis: int) -> Any:
    """The maximum or minimum along an axis, with NumPy's 0 for the maximum of nothing."""
    if function is np.max and not shape_of(value_of(x))[axis]:
        return np.max(x, axis=axis, initial=0)
    return function(x, axis=axis)


def _vector_norm(value: Value, ord: Any, axis: int) -> Value:
    if ord is None or ord == 2:
        return norm2_p(value, axes=(axis,))
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")  # noqa: TRY004 - as NumPy
    x: Any = wrap(value)
    size: Any = np.abs(x)
    if ord == np.inf:
        return value_of(_extreme(np.max, size, axis))
    if ord == -np.inf:
        return value_of(_extreme(np.min, size, axis))
    if ord == 0:
        return value_of(np.sum((x != 0).astype(dtype_of(size.value)), axis=axis))
    if ord == 1:
        return value_of(np.sum(size, axis=axis))
    total = np.sum(size**ord, axis=axis)
    return value_of(total ** np.reciprocal(ord, dtype=dtype_of(total.value)))


def _matrix_norm(value: Value, ord: Any, row_axis: int, column_axis: int) -> Value:
    if ord in (None, "fro", "f"):
        return norm2_p(value, axes=(row_axis, column_axis))
    if ord in (2, -2, "nuc"):
        order = [a for a in range(ndim_of(value)) if a not in (row_axis, column_axis)]
        matrices = transpose_p(value, axes=(*order, row_axis, column_axis))
        s: Any = wrap(svd_p(matrices, full=False)[1])
        if ord == "nuc":
            return value_of(np.sum(s, axis=-1))
        return value_of(_extreme(np.max if ord == 2 else np.min, s, -1))
    if ord not in (1, -1, np.inf, -np.inf):
        raise ValueError(
            f"Invalid norm order for matrices: {ord!r}, wanted 1, -1, 2, -2, inf, -inf, 'fro', "
            "'nuc' or None"
        )
    summed, kept = (row_axis, column_axis) if ord in (1, -1) else (column_axis, row_axis)
    x: Any = wrap(value)
    sums = np.sum(np.abs(x), axis=summed)
    return value_of(_extreme(np.max if ord > 0 else np.min, sums, kept - (kept > summed)))


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
    value = as_array(x)
    shape = shape_of(value)
    axes = _axes(axis, len(shape))
    rest = tuple(a for a in range(len(shape)) if a not in axes)
    flat = transpose_p(value, axes=(*axes, *rest))
    kept = tuple(shape[a] for a in rest)
    flat = reshape_p(flat, shape=(shapes.prod(shape[a] for a in axes), *kept))
    result = norm(wrap(flat), ord, axis=0).value
    return wrap(reshape_p(result, shape=shapes.reduced(shape, axes, True)) if keepdims else result)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    return norm(x, ord, (-2, -1), keepdims)
