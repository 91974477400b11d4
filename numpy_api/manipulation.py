"""Shapes and the order of elements: reshape, transpose, roll, repeat, diagonals, triangles.

What NumPy returns as a view is a view here too, made in `autodiff.views`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import Value, deciding_value, dtype_of, ndim_of, shape_of
from ..autodiff.dims import is_size
from ..autodiff.dispatch import implements
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    describe,
    is_traced,
    laid_out_as,
    unwrap_known,
    value_of,
    view_of,
    wrap,
)
from ..autodiff.primitives.elementwise import (
    less_equal_p,
    less_p,
    not_equal_p,
    select_p,
    subtract_p,
)
from ..autodiff.primitives.indexing import getitem_p
from ..autodiff.primitives.manipulation import concatenate_p, windows_p
from ..autodiff.primitives.matrices import tri
from ..autodiff.primitives.parts import embed_diagonal_p
from ..autodiff.primitives.rounding import remainder_p
from ..autodiff.rules import broadcast_to_p, convert, reshape_p, zeros
from ..autodiff.sizes import iota, size_value
from ..autodiff.views import array_of, as_shape
from .indexing import take_values
from .namespace import replaces_for_handles


def known_int(x: Any, name: str) -> int:
    """An argument that must be a known integer."""
    value = unwrap_known(x, name)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def own(handle: TracedArray) -> TracedArray:
    """An array of its own with the elements of a view."""
    return wrap(handle.value, ARRAY0D) if handle._view is not None else handle


@implements(np.ndim)
def ndim(a: Any) -> int:
    return ndim_of(value_of(a))


@implements(np.shape)
def shape(a: Any) -> tuple[Any, ...]:
    return shape_of(value_of(a))


@implements(np.size)
def size(a: Any, axis: Any = None) -> Any:
    shape = shape_of(value_of(a))
    axes = shapes.axis_tuple(axis, len(shape))
    return shapes.prod(shape[i] for i in axes)


@implements(np.reshape)
def reshape(
    a: Any,
    /,
    shape: Any = None,
    order: Any = "C",
    *,
    newshape: Any = None,  # the keyword's name before NumPy 2.1
    copy: bool | None = None,
) -> TracedArray:
    shape = newshape if shape is None else shape
    if shape is None:
        raise TypeError("reshape() missing 1 required positional argument: 'shape'")
    return views.reshape(array_of(a), shape, order, copy)


@implements(np.ravel)
def ravel(a: Any, order: Any = "C") -> TracedArray:
    return views.ravel(array_of(a), order)


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> TracedArray:
    return views.transpose(array_of(a), unwrap_known(axes, "axes"))


@implements(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> TracedArray:
    x = array_of(x)
    if ndim_of(x.value) < 2:
        raise ValueError(
            f"Input array must be at least 2-dimensional, but it is {ndim_of(x.value)}"
        )
    return views.swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: Any, axis2: Any) -> TracedArray:
    return views.swapaxes(array_of(a), axis1, axis2)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> TracedArray:
    return views.moveaxis(array_of(a), source, destination)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: Any, start: Any = 0) -> TracedArray:
    a = array_of(a)
    n = ndim_of(a.value)
    axis = shapes.axis_index(unwrap_known(axis, "axis"), n)
    start = known_int(start, "start")
    if not -n <= start <= n:
        raise np.exceptions.AxisError(
            f"'start' arg requires {-n} <= start < {n + 1}, but {start} was passed in"
        )
    start += n * (start < 0)
    start -= axis < start
    axes = [i for i in range(n) if i != axis]
    axes.insert(start, axis)
    return views.transpose(a, axes)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> TracedArray:
    return views.squeeze(array_of(a), axis)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> TracedArray:
    return views.expand_dims(array_of(a), axis)


def at_least(x: Any, ndim: int) -> TracedArray:
    """A view with axes of length 1 put before the others until there are ``ndim``."""
    x = array_of(x)
    missing = ndim - ndim_of(x.value)
    return views.expand_dims(x, tuple(range(missing))) if missing > 0 else x


def _each(arrays: tuple[Any, ...], function: Any) -> Any:
    results = tuple(function(array_of(a)) for a in arrays)
    return results[0] if len(results) == 1 else results


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    return _each(arys, lambda a: at_least(a, 1))


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    return _each(arys, lambda a: at_least(a, 2))


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    def deepened(a: TracedArray) -> TracedArray:
        a = at_least(a, 2)
        return views.expand_dims(a, 2) if ndim_of(a.value) == 2 else a

    def grown(a: TracedArray) -> TracedArray:
        return deepened(a) if ndim_of(a.value) != 1 else views.expand_dims(a, (0, 2))

    return _each(arys, grown)


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> TracedArray:
    return views.broadcast_to(array_of(array), shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[TracedArray, ...]:
    arrays = [views.boxed(array_of(a)) for a in args]
    all_shapes = [shape_of(a.value) for a in arrays]
    try:
        shape = shapes.broadcast(*all_shapes)
    except ValueError:
        np.broadcast_shapes(*all_shapes)  # NumPy's own words
        raise
    return tuple(
        a if own == shape else views.broadcast_to(a, shape)
        for a, own in zip(arrays, all_shapes, strict=True)
    )


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> TracedArray:
    m = array_of(m)
    return views.flip(m, shapes.axis_tuple(unwrap_known(axis, "axis"), ndim_of(m.value)))


def _flipped(m: Any, axis: int) -> TracedArray:
    m = array_of(m)
    if ndim_of(m.value) <= axis:
        raise ValueError(f"Input must be >= {axis + 1}-d.")
    return views.flip(m, (axis,))


@implements(np.fliplr)
def fliplr(m: Any) -> TracedArray:
    return _flipped(m, 1)


@implements(np.flipud)
def flipud(m: Any) -> TracedArray:
    return _flipped(m, 0)


@implements(np.rot90)
def rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> TracedArray:
    m = array_of(m)
    n = ndim_of(m.value)
    given = tuple(unwrap_known(axes, "axes"))
    if len(given) != 2:
        raise ValueError("len(axes) must be 2.")
    if given[0] == given[1] or abs(given[0] - given[1]) == n:
        raise ValueError("Axes must be different.")
    if any(not -n <= axis < n for axis in given):
        raise ValueError(f"Axes={given} out of range for array of ndim={n}.")
    first, second = (axis % n for axis in given)
    k = known_int(k, "k") % 4
    if k == 0:
        return views.whole(m)
    if k == 2:
        return views.flip(m, (first, second))
    if k == 1:
        return views.swapaxes(views.flip(m, (second,)), first, second)
    return views.flip(views.swapaxes(m, first, second), (second,))


@replaces_for_handles("roll")
@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> TracedArray:
    """As NumPy's; under vmap every example may have its own shift."""
    a = array_of(a)
    if axis is None:
        return reshape(roll(views.ravel(a), shift, 0), shape_of(a.value))
    n = ndim_of(a.value)
    axis = unwrap_known(axis, "axis")
    axes = [shapes.axis_index(x, n) for x in (axis if np.ndim(axis) else (axis,))]
    shifts = list(shift) if np.ndim(shift) else [shift]
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences of one length")
    count = max(len(shifts), len(axes))
    value = a.value
    for i in range(count):
        value = _rolled(value, shifts[i % len(shifts)], axes[i % len(axes)])
    return wrap(laid_out_as(value, a.layout()), ARRAY0D)


def _rolled(x: Value, shift: Any, axis: int) -> Value:
    length = shape_of(x)[axis]
    if not length:
        return x
    if is_traced(shift):
        return take_values(x, value_of((np.arange(length) - shift) % length), axis)
    shift = shift if is_size(shift) else known_int(shift, "shift")
    if not -length <= shift <= length:
        shift = shift % length
    if not shift:
        return x
    cut = length - shift if shift > 0 else -shift
    before = (slice(None),) * axis
    front = getitem_p(x, index=(*before, slice(cut, None)))
    back = getitem_p(x, index=(*before, slice(None, cut)))
    return concatenate_p(front, back, axis=axis)


@implements(np.tile)
def tile(A: Any, reps: Any) -> TracedArray:
    x = value_of(A)
    counts = as_shape(reps)
    n = max(len(counts), ndim_of(x))
    counts = (1,) * (n - len(counts)) + counts
    shape = (1,) * (n - ndim_of(x)) + shape_of(x)
    spread = tuple(dim for pair in zip(counts, shape, strict=True) for dim in pair)
    apart = tuple(dim for size in shape for dim in (1, size))
    tiled = tuple(c * s for c, s in zip(counts, shape, strict=True))
    x = broadcast_to_p(reshape_p(x, shape=apart), shape=spread)
    return wrap(reshape_p(x, shape=tiled), ARRAY0D)


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> TracedArray:
    a = array_of(a)
    if axis is None or (not ndim_of(a.value) and axis in (0, -1)):
        a, axis = views.ravel(a), 0
    x = a.value
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(x))
    length = shape_of(x)[axis]
    counts = unwrap_known(repeats, "repeats")
    if np.size(counts) != 1 or not length:
        return wrap(take_values(x, np.repeat(np.arange(length), counts), axis), ARRAY0D)
    count = len(np.repeat(0, counts))
    shape = shape_of(x)
    x = reshape_p(x, shape=(*shape[: axis + 1], 1, *shape[axis + 1 :]))
    x = broadcast_to_p(x, shape=(*shape[: axis + 1], count, *shape[axis + 1 :]))
    return wrap(reshape_p(x, shape=shapes.with_size(shape, axis, length * count)), ARRAY0D)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> TracedArray:
    x = views.ravel(array_of(a)).value
    new = as_shape(new_shape)
    if any(dim < 0 for dim in new):
        raise ValueError("all elements of `new_shape` must be non-negative")
    size, wanted = shape_of(x)[0], shapes.prod(new)
    if not size or not wanted:
        return wrap(zeros(new, dtype_of(x)), ARRAY0D)
    x = take_values(x, remainder_p(iota(wanted), size_value(size)), 0)
    return wrap(reshape_p(x, shape=new), ARRAY0D)


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> TracedArray:
    """As NumPy's; what is zero must be known."""
    filt = array_of(filt)
    ends = trim.lower()
    if ends not in ("f", "b", "fb", "bf"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    n = ndim_of(filt.value)
    axes = shapes.axis_tuple(axis, n)
    nonzero = np.argwhere(deciding_value(not_equal_p(filt.value, 0), "np.trim_zeros"))
    start, stop = np.zeros(n, int), np.zeros(n, int)
    if len(nonzero):
        start, stop = nonzero.min(0), nonzero.max(0) + 1
    kept: list[Any] = [slice(None)] * n
    for i in axes:
        front = start[i] if "f" in ends or not len(nonzero) else None
        back = stop[i] if "b" in ends or not len(nonzero) else None
        kept[i] = slice(front, back)
    return views.index_view(filt, tuple(kept))


@implements(np.diag)
def diag(v: Any, k: Any = 0) -> TracedArray:
    v = array_of(v)
    n = ndim_of(v.value)
    if n == 2:
        return views.diagonal(v, k)
    if n != 1:
        raise ValueError("Input must be 1- or 2-d.")
    offset = known_int(k, "k")
    side = shape_of(v.value)[0] + abs(offset)
    value = embed_diagonal_p(v.value, shape=(side, side), offset=offset, axis1=0, axis2=1)
    return wrap(value, ARRAY0D)


@implements(np.diagflat)
def diagflat(v: Any, k: Any = 0) -> TracedArray:
    return diag(views.ravel(array_of(v)), k)


@implements(np.diagonal)
def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> TracedArray:
    return views.diagonal(array_of(a), offset, axis1, axis2)


def _below_diagonal(rows: Any, columns: Any, k: Value, strictly: bool) -> Value:
    """What `tri` gives, for a k that only a trace knows."""
    if ndim_of(k) or dtype_of(k).kind not in "iu":
        raise TypeError(f"k must be an integer, got {describe(k)}")
    row = reshape_p(iota(rows), shape=(rows, 1))
    compare = less_p if strictly else less_equal_p
    return compare(subtract_p(iota(columns), row), k)


def _triangle(m: Any, k: Any, lower: bool) -> TracedArray:
    x = value_of(m)
    if not ndim_of(x):
        raise TypeError(f"np.{'tril' if lower else 'triu'} of a scalar; wanted a matrix")
    rows, columns = (*shape_of(x), *shape_of(x))[-2:]  # of a vector NumPy makes a square
    if is_traced(k):
        mask = _below_diagonal(rows, columns, k.value, not lower)
    else:
        mask = tri(rows, columns, known_int(k, "k") - (not lower), np.dtype(bool))
    zero = dtype_of(x).type(0)
    return wrap(select_p(mask, x, zero) if lower else select_p(mask, zero, x), ARRAY0D)


@replaces_for_handles("tril")
@implements(np.tril)
def tril(m: Any, k: Any = 0) -> TracedArray:
    return _triangle(m, k, True)


@replaces_for_handles("triu")
@implements(np.triu)
def triu(m: Any, k: Any = 0) -> TracedArray:
    return _triangle(m, k, False)


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    value = value_of(x)
    if ndim_of(value) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    value = convert(value, np.promote_types(dtype_of(value), int))
    count = shape_of(value)[0] if N is None else known_int(N, "N")
    column: Any = wrap(value, ARRAY0D)
    columns = [np.ones_like(column)]
    for _ in range(count - 1):
        columns.append(columns[-1] * column)
    columns = columns[:count] if increasing else columns[:count][::-1]
    return np.stack(columns, axis=1) if columns else column[:, np.newaxis][:, :0]


@implements(np.meshgrid)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[TracedArray, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    grids = [
        views.reshape(array_of(x), (1,) * place + (-1,) + (1,) * (n - 1 - place))
        for x, place in zip(xi, places, strict=True)
    ]
    if not sparse:
        grids = broadcast_arrays(*grids)
    return tuple(views.copy(grid, "C") for grid in grids) if copy else tuple(grids)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> TracedArray:
    """As NumPy's, read-only."""
    if writeable:
        raise ValueError(
            "sliding_window_view: writeable=True is not supported on traced arrays, one element "
            "would be written in many places; write to x, or to a copy of the windows."
        )
    x = array_of(x)
    window = as_shape(window_shape)
    if any(dim < 0 for dim in window):
        raise ValueError("`window_shape` cannot contain negative values")
    n = ndim_of(x.value)
    axes = _window_axes(unwrap_known(axis, "axis"), window, n)
    left = list(shape_of(x.value))
    for dim, i in zip(window, axes, strict=True):
        if left[i] < dim:
            raise ValueError("window shape cannot be larger than input array shape")
        left[i] = left[i] - dim + 1
    return view_of(
        x,
        lambda base: windows_p(base, window=window, axes=axes),
        None,
        lambda layout: np.lib.stride_tricks.sliding_window_view(layout, window, axes),
    )


def _window_axes(axis: Any, window: Sequence[Any], n: int) -> tuple[int, ...]:
    if axis is None:
        if len(window) != n:
            raise ValueError(
                "Since axis is None, must provide window_shape for all dimensions of `x`; got "
                f"{len(window)} window_shape elements and `x.ndim` is {n}."
            )
        return tuple(range(n))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    if len(given) != len(window):
        raise ValueError(
            f"Must provide matching length window_shape and axis; got {len(window)} window_shape "
            f"elements and {len(given)} axes elements."
        )
    return tuple(shapes.axis_index(i, n) for i in given)
