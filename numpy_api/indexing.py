"""Reading and writing by index arrays: take, put, place, copyto, along an axis; index arithmetic.

Functions that write do so into a traced array, in place, as NumPy's do; a plain ndarray cannot
hold what is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import Value, dtype_of, is_weak, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.flat import FlatIterator, cycled, flat_view
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    assign,
    constant_of,
    fit_shape,
    is_traced,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.elementwise import not_equal_p, select_p
from ..autodiff.primitives.indexing import (
    gather_p,
    nonzero_p,
    ravel_multi_index_p,
    unravel_index_p,
)
from ..autodiff.primitives.manipulation import move_axis, transpose_p
from ..autodiff.protocols import concrete_out, write_out
from ..autodiff.rules import convert, raveled, reshape_p
from ..autodiff.sizes import iota
from ..autodiff.views import array_of, as_shape
from .namespace import replaces_for_handles


def take_values(x: Value, indices: Value, axis: int) -> Value:
    """``np.take`` on Values: the axes of ``indices`` in the place of ``axis``."""
    out = gather_p(move_axis(x, axis, 0), indices, **({"axes": (axis,)} if axis else {}))
    count = ndim_of(indices)
    if not axis or not count:
        return out
    ndim = ndim_of(out)
    order = (*range(count, count + axis), *range(count), *range(count + axis, ndim))
    return transpose_p(out, axes=order)


def index_array(indices: Any, name: str) -> TracedArray:
    """An index argument as a handle of an integer array; booleans count as 0 and 1."""
    handle = array_of(indices)
    kind = dtype_of(handle.value).kind
    if 0 in shape_of(handle.value) and not isinstance(indices, (np.ndarray, TracedArray)):
        return wrap(np.zeros(shape_of(handle.value), np.intp), ARRAY0D)
    if kind == "b":
        return wrap(convert(handle.value, np.dtype(np.intp)), handle._kind)
    if kind not in "iu":
        raise TypeError(
            f"Cannot cast array data from {dtype_of(handle.value)!r} to {np.dtype(np.intp)!r} "
            f"according to the rule 'safe'{user_line()}: {name} must be integers."
        )
    return handle


def in_range(indices: Any, size: Any, mode: str) -> Any:
    """Indices with ``mode`` "wrap" or "clip" applied."""
    if mode == "raise":
        return indices
    if mode == "wrap":
        return indices % size
    if mode == "clip":
        return np.minimum(np.maximum(indices, 0), size - 1)
    raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")


@replaces_for_handles("take")
@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    a = array_of(a)
    if axis is None or (not ndim_of(a.value) and axis in (0, -1)):
        a, axis = views.ravel(a), 0
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(a.value))
    places = in_range(index_array(indices, "indices"), shape_of(a.value)[axis], mode)
    if shape_of(a.value)[axis] == 0 and 0 not in shape_of(places.value):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    part = a[(slice(None),) * axis + (places,)]
    return write_out("np.take", out, wrap(views.compact(part.value), part._kind))


def _along_axis(shape: Sequence[Any], indices: TracedArray, axis: int) -> tuple[Any, ...]:
    """The index that addresses, at every place of ``indices``, its element along ``axis``."""
    if ndim_of(indices.value) != len(shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if dtype_of(indices.value).kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    grid: list[Any] = []
    for i, dim in enumerate(shape):
        ones = (1,) * i + (-1,) + (1,) * (len(shape) - i - 1)
        along = indices if i == axis else views.reshape(wrap(iota(dim), ARRAY0D), ones)
        grid.append(along)
    return tuple(grid)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    arr, indices = array_of(arr), array_of(indices)
    if axis is None:
        if ndim_of(indices.value) != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        arr, axis = flat_view(arr), 0
    shape = shape_of(arr.value)
    axis = shapes.axis_index(unwrap_known(axis, "axis"), len(shape))
    return arr[_along_axis(shape, indices, axis)]


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    if type(arr) is not TracedArray:
        return _into_ndarray(np.put_along_axis, arr, indices, values, axis)
    indices = array_of(indices)
    target: Any = arr
    if axis is None:
        if ndim_of(indices.value) != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        target, axis = flat_view(arr), 0
    shape = shape_of(target.value)
    axis = shapes.axis_index(unwrap_known(axis, "axis"), len(shape))
    target[_along_axis(shape, indices, axis)] = values
    return None


def _into_ndarray(function: Callable[..., Any], target: Any, *args: Any, **kwargs: Any) -> Any:
    """A writing function on a plain ndarray: NumPy's, if nothing it is to write is traced."""
    everything = (*args, *kwargs.values())
    if any(map(is_traced, everything)):
        raise concrete_out(f"np.{function.__name__}", target)

    def known(x: Any) -> Any:
        return constant_of(x, function.__name__) if type(x) is TracedArray else x

    return function(target, *map(known, args), **{k: known(v) for k, v in kwargs.items()})


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    if type(a) is not TracedArray:
        return _into_ndarray(np.put, a, ind, v, mode=mode)
    elements: Any = flat_view(a)
    places = in_range(index_array(ind, "ind"), shape_of(elements.value)[0], mode)
    places = views.ravel(places)
    count = shape_of(places.value)[0]
    value = _fitting(v, elements.value)
    if count and shapes.prod(shape_of(value)):
        elements[places] = wrap(cycled(value, count), ARRAY0D)
    return None


def _fitting(x: Any, like: Value) -> Value:
    """What is to be written into an array: of a Python int, NumPy says whether it fits."""
    value = value_of(x)
    return convert(value, dtype_of(like)) if is_weak(value) else value


def as_mask(mask: Any) -> Value:
    """A condition as a boolean Value: what is not zero is true."""
    value = value_of(mask)
    return value if dtype_of(value).kind == "b" else not_equal_p(value, 0)


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    if type(arr) is not TracedArray:
        return _into_ndarray(np.place, arr, mask, vals)
    elements: Any = flat_view(arr)
    chosen, value = as_mask(mask), _fitting(vals, elements.value)
    size = shape_of(elements.value)[0]
    if shapes.prod(shape_of(chosen)) != size:
        raise ValueError("place: mask and data must be the same size")
    chosen = raveled(chosen)
    if shapes.prod(shape_of(value)) != 1:
        count = shape_of(nonzero_p(chosen)[0])[0]
        if count and not shapes.prod(shape_of(value)):
            raise ValueError("Cannot insert from an empty array!")
        value = cycled(value, count) if count else dtype_of(elements.value).type(0)
    else:
        value = cycled(value, 1)
    elements[wrap(chosen)] = wrap(value, ARRAY0D)
    return None


@implements(np.putmask)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    if type(a) is not TracedArray:
        return _into_ndarray(np.putmask, a, mask, values)
    shape = shape_of(a.value)
    chosen, value = as_mask(mask), value_of(values)
    if shapes.prod(shape_of(chosen)) != shapes.prod(shape):
        raise ValueError("putmask: mask and data must be the same size")
    if shapes.prod(shape_of(value)):
        value = cycled(convert(value, dtype_of(a.value)), shapes.prod(shape))
        value = reshape_p(value, shape=shape) if ndim_of(value) else value
        a.write(select_p(reshape_p(chosen, shape=shape), value, a.value))
    return None


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    if type(dst) is not TracedArray:
        return _into_ndarray(np.copyto, dst, src, casting=casting, where=where)
    value, dtype = value_of(src), dtype_of(dst.value)
    given = dtype_of(value)
    if is_weak(value):  # a float fits into float32, but not into an int
        given = np.result_type(dtype, given.type(0).item())
    if not np.can_cast(given, dtype, casting):
        raise TypeError(
            f"Cannot cast array data from {given!r} to {dtype!r} according to the rule '{casting}'"
            f"{user_line()}"
        )
    if where is not True:
        value = fit_shape(convert(value, dtype), shape_of(dst.value))
        mask = fit_shape(as_mask(where), shape_of(dst.value))
        value = select_p(mask, value, dst.value)
    assign(dst, value)
    return None


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if type(a) is not TracedArray:
        return _into_ndarray(np.fill_diagonal, a, val, wrap=wrap)
    shape = shape_of(a.value)
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    end = None
    if len(shape) == 2:  # a matrix that is not square: the diagonal ends, or goes on below
        step = shape[1] + 1
        end = None if wrap else shape[1] * shape[1]
    else:
        if any(dim != shape[0] for dim in shape):
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + sum(shapes.prod(shape[:i]) for i in range(1, len(shape)))
    FlatIterator(a)[:end:step] = val
    return None


@implements(np.ix_)
def ix_(*args: Any) -> tuple[Any, ...]:
    out = []
    for i, arg in enumerate(args):
        x = array_of(arg)
        if ndim_of(x.value) != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if not shape_of(x.value)[0]:
            x = wrap(np.zeros(0, np.intp), ARRAY0D)
        elif dtype_of(x.value).kind == "b":
            x = wrap(nonzero_p(x.value)[0], ARRAY0D)
        out.append(views.reshape(x, (1,) * i + (-1,) + (1,) * (len(args) - 1 - i)))
    return tuple(out)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    value = value_of(indices)
    return tuple(map(wrap, unravel_index_p(value, shape=as_shape(shape), order=order)))


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Any:
    indices = [value_of(i) for i in multi_index]
    return wrap(ravel_multi_index_p(*indices, dims=as_shape(dims), mode=mode, order=order))


def _matrix_shape(arr: Any) -> tuple[Any, ...]:
    shape = shape_of(value_of(arr))
    if len(shape) != 2:
        raise ValueError("input array must be 2-d")
    return shape


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: Any = 0) -> Any:
    rows, columns = _matrix_shape(arr)
    return np.tril_indices(rows, unwrap_known(k, "k"), columns)


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: Any = 0) -> Any:
    rows, columns = _matrix_shape(arr)
    return np.triu_indices(rows, unwrap_known(k, "k"), columns)


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    shape = shape_of(value_of(arr))
    if len(shape) < 2:
        raise ValueError("input array must be at least 2-d")
    if any(dim != shape[0] for dim in shape):
        raise ValueError("All dimensions of input must be of equal length")
    return np.diag_indices(shape[0], len(shape))
