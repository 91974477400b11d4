"""Joining and splitting arrays: concatenate and its relatives, block, insert, delete, split."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import Value, describe_type, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import ARRAY0D, TracedArray, fit_shape, unwrap_known, value_of, wrap
from ..autodiff.primitives.indexing import slice_axis
from ..autodiff.primitives.manipulation import concatenate_p, move_axis
from ..autodiff.primitives.parts import copy_p
from ..autodiff.protocols import write_out
from ..autodiff.rules import convert, reshape_p
from ..autodiff.views import array_of
from .indexing import take_values
from .manipulation import at_least, atleast_1d, atleast_3d, known_int

FEW_RUNS = 8  # of places one after the other that are taken as slices


def _pieces(arrays: Any, name: str) -> list[Any]:
    """The arrays of a sequence, or the parts of an array along its first axis."""
    if type(arrays) is TracedArray:
        if not ndim_of(arrays.value):
            raise TypeError(f"{name}: wanted a sequence of arrays, got a scalar{user_line()}")
    elif not isinstance(arrays, (list, tuple, np.ndarray)):
        raise TypeError(
            f"{name}: arrays to join must be passed as a sequence (a list or tuple), got "
            f"{type(arrays).__name__}{user_line()}"
        )
    sequence: Any = arrays
    return [array_of(a) for a in sequence]


def _cast(values: list[Value], dtype: Any, casting: Any) -> list[Value]:
    wanted = np.result_type(*map(dtype_of, values)) if dtype is None else np.dtype(dtype)
    for value in values:
        if not np.can_cast(dtype_of(value), wanted, casting):
            raise TypeError(
                f"Cannot cast array data from {dtype_of(value)!r} to {wanted!r} according to the "
                f"rule '{casting}'{user_line()}"
            )
    return [convert(value, wanted) for value in values]


def _check_joinable(values: Sequence[Value], axis: int) -> None:
    """ValueError, in NumPy's words, unless the shapes agree on all axes but one."""
    first = shape_of(values[0])
    for i, value in enumerate(values):
        shape = shape_of(value)
        if len(shape) != len(first):
            raise ValueError(
                "all the input arrays must have same number of dimensions, but the array at index "
                f"0 has {len(first)} dimension(s) and the array at index {i} has {len(shape)} "
                f"dimension(s){user_line()}"
            )
        for k, (dim, wanted) in enumerate(zip(shape, first, strict=True)):
            if k != axis and dim != wanted:
                raise ValueError(
                    "all the input array dimensions except for the concatenation axis must match "
                    f"exactly, but along dimension {k}, the array at index 0 has size {wanted} and "
                    f"the array at index {i} has size {dim}{user_line()}"
                )


def joined(values: list[Value], axis: Any, dtype: Any = None, casting: Any = "same_kind") -> Value:
    """``np.concatenate`` on Values."""
    if not values:
        raise ValueError("need at least one array to concatenate")
    if not all(map(ndim_of, values)):
        raise ValueError(
            f"zero-dimensional arrays cannot be concatenated{user_line()}; np.stack joins them."
        )
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(values[0]))
    _check_joinable(values, axis)
    return concatenate_p(*_cast(values, dtype, casting), axis=axis)


@implements(np.concatenate)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    pieces = _pieces(arrays, "np.concatenate")
    if axis is None:
        pieces, axis = [views.ravel(a) for a in pieces], 0
    result = wrap(joined([a.value for a in pieces], axis, dtype, casting), ARRAY0D)
    return write_out("np.concatenate", out, result)


@implements(np.stack)
def stack(
    arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    values = [a.value for a in _pieces(arrays, "np.stack")]
    if not values:
        raise ValueError("need at least one array to stack")
    shape = shape_of(values[0])
    if any(shape_of(value) != shape for value in values):
        text = ", ".join(describe_type(shape_of(v), dtype_of(v)) for v in values)
        raise ValueError(f"all input arrays must have the same shape{user_line()}, got {text}")
    axis = shapes.axis_index(unwrap_known(axis, "axis"), len(shape) + 1)
    longer = (*shape[:axis], 1, *shape[axis:])
    values = [reshape_p(value, shape=longer) for value in values]
    return write_out("np.stack", out, wrap(joined(values, axis, dtype, casting), ARRAY0D))


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    pieces = [atleast_1d(a) for a in _pieces(tup, "np.hstack")]
    axis = 0 if pieces and ndim_of(pieces[0].value) == 1 else 1
    return concatenate(pieces, axis, dtype=dtype, casting=casting)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    pieces = [at_least(a, 2) for a in _pieces(tup, "np.vstack")]
    return concatenate(pieces, 0, dtype=dtype, casting=casting)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    return concatenate([atleast_3d(a) for a in _pieces(tup, "np.dstack")], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    pieces = _pieces(tup, "np.column_stack")
    columns = [a if ndim_of(a.value) > 1 else views.transpose(at_least(a, 2)) for a in pieces]
    return concatenate(columns, 1)


@implements(np.block)
def block(arrays: Any) -> TracedArray:
    depth = _block_depth(arrays, "arrays")
    ndim = max(depth, *[ndim_of(value_of(leaf)) for leaf in _block_leaves(arrays)])
    result = _joined_block(arrays, depth, ndim)
    return wrap(result.value, ARRAY0D)


def _block_leaves(arrays: Any) -> list[Any]:
    if not isinstance(arrays, list):
        return [arrays]
    return [leaf for item in arrays for leaf in _block_leaves(item)]


def _block_depth(arrays: Any, where: str) -> int:
    """How deep the lists are nested, the same everywhere."""
    if isinstance(arrays, tuple):
        raise TypeError(
            f"{where} is a tuple. Only lists can be used to arrange blocks, and np.block does not "
            "allow implicit conversion from tuple to ndarray."
        )
    if not isinstance(arrays, list):
        return 0
    if not arrays:
        raise ValueError(f"List at {where} cannot be empty")
    depths = [_block_depth(item, f"{where}[{i}]") for i, item in enumerate(arrays)]
    for i, depth in enumerate(depths):
        if depth != depths[0]:
            raise ValueError(
                f"List depths are mismatched. First element was at depth {depths[0] + 1}, but there"
                f" is an element at depth {depth + 1} ({where}[{i}])"
            )
    return depths[0] + 1


def _joined_block(arrays: Any, depth: int, ndim: int) -> TracedArray:
    if not depth:
        return at_least(arrays, ndim)
    return concatenate([_joined_block(item, depth - 1, ndim) for item in arrays], -depth)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    arr, values = array_of(arr), array_of(values)
    if axis is None:
        arr, values = views.ravel(arr), views.ravel(values)
        axis = 0
    return concatenate((arr, values), axis)


def _flat_if_no_axis(arr: Any, axis: Any) -> tuple[TracedArray, int]:
    arr = array_of(arr)
    if axis is None:
        return views.ravel(arr), 0
    return arr, shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(arr.value))


def _positions(obj: Any, length: Any) -> Any:
    """The places an ``obj`` argument names, as a known int array or slice."""
    if isinstance(obj, slice):
        return np.arange(*obj.indices(length))
    if isinstance(obj, (list, tuple)):
        obj = value_of(obj)
    obj = np.asarray(unwrap_known(obj, "obj"))
    return obj.astype(np.intp) if obj.size == 0 else obj


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> TracedArray:
    arr, axis = _flat_if_no_axis(arr, axis)
    length = shape_of(arr.value)[axis]
    obj = obj if isinstance(obj, slice) else _positions(obj, length)
    kept = np.delete(np.arange(length), obj)
    return views.in_order_of(arr, _at_places(arr.value, kept, axis))


def _at_places(x: Value, places: Any, axis: int) -> Value:
    """``x`` at known places along an axis: as slices where they come in few runs."""
    begins = np.flatnonzero(np.diff(places) != 1) + 1
    if not places.size or len(begins) >= FEW_RUNS:
        return take_values(x, places, axis)
    runs = np.split(places, begins)
    pieces = [slice_axis(x, int(run[0]), int(run[-1]) + 1, axis) for run in runs]
    return concatenate_p(*pieces, axis=axis) if len(pieces) > 1 else copy_p(pieces[0])


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> TracedArray:
    """The inserted elements are put behind ``arr``, and all taken in their order."""
    arr, axis = _flat_if_no_axis(arr, axis)
    shape = shape_of(arr.value)
    shape = shapes.with_size(shape, axis, operator.index(shape[axis]))
    places = _positions(obj, shape[axis])
    if places.dtype.kind == "b":
        places = np.flatnonzero(places)
    new = convert(value_of(values), dtype_of(arr.value))
    if ndim_of(new) < len(shape):
        new = reshape_p(new, shape=(1,) * (len(shape) - ndim_of(new)) + shape_of(new))
    if places.size == 1:
        if not places.ndim:  # a[:, 0] = values, in place of a[:, [0]] = values
            new = move_axis(new, 0, axis)
        count = shape_of(new)[axis]
    else:
        count = places.size
    new = fit_shape(new, shapes.with_size(shape, axis, count))
    ids = -1 - np.arange(count)
    order = np.insert(np.arange(shape[axis]), places if places.size != 1 else places.item(), ids)
    order = np.where(order < 0, shape[axis] - 1 - order, order)
    return views.in_order_of(arr, _at_places(joined([arr.value, new], axis), order, axis))


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[TracedArray]:
    ary = array_of(ary)
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(ary.value))
    total = shape_of(ary.value)[axis]
    given = unwrap_known(indices_or_sections, "indices_or_sections")
    if np.ndim(given):
        points = [None, *[operator.index(unwrap_known(p, "indices")) for p in given], None]
    else:
        sections = known_int(given, "number of sections")
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.")
        size, extra = total // sections, total % sections
        points = [i * size + min(i, extra) for i in range(sections + 1)]
    before = (slice(None),) * axis
    pairs = itertools.pairwise(points)
    return [views.index_view(ary, _full(ary, *before, slice(a, b))) for a, b in pairs]


def _full(handle: TracedArray, *index: Any) -> tuple[Any, ...]:
    """The index, with full slices for the axes that it leaves out."""
    return index + (slice(None),) * (ndim_of(handle.value) - len(index))


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[TracedArray]:
    ary = array_of(ary)
    given = unwrap_known(indices_or_sections, "indices_or_sections")
    if not np.ndim(given):
        axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(ary.value))
        if shape_of(ary.value)[axis] % known_int(given, "number of sections"):
            raise ValueError("array split does not result in an equal division")
    return array_split(ary, given, axis)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[TracedArray]:
    ary = array_of(ary)
    if not ndim_of(ary.value):
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ndim_of(ary.value) > 1 else 0)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[TracedArray]:
    ary = array_of(ary)
    if ndim_of(ary.value) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> list[TracedArray]:
    ary = array_of(ary)
    if ndim_of(ary.value) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: Any = 0) -> tuple[TracedArray, ...]:
    x = array_of(x)
    if not ndim_of(x.value):
        raise ValueError("Input array must be at least 1-d.")
    parts: Any = views.moveaxis(x, axis, 0)
    return tuple(parts)


if hasattr(np, "unstack"):  # NumPy 2.1
    implements(np.unstack)(unstack)
