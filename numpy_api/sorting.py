"""sort, partition, searchsorted and what finds places in arrays.

A sorted array's derivative moves with its elements; orders and places are integers and have none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Primitive, Value, dtype_of, layout_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import laid_out_as, unwrap_known, value_of, wrap
from ..autodiff.primitives.checks import refuse_p
from ..autodiff.primitives.elementwise import (
    greater_equal_p,
    less_equal_p,
    logical_not_p,
    logical_or_p,
    select_p,
)
from ..autodiff.primitives.indexing import gather_p, nonzero_p, slice_axis
from ..autodiff.primitives.manipulation import flip_p, stack_values, transpose_p
from ..autodiff.primitives.reductions import reduce_all_p
from ..autodiff.primitives.sorting import (
    argpartition_p,
    argsort_p,
    lexsort_p,
    partition_order_p,
    permute_p,
    searchsorted_p,
    sort_values,
)
from ..autodiff.rules import convert, raveled, reshape_p
from .reductions import may_hold


def _refuse_order(name: str, order: Any) -> None:
    if order is not None:
        raise ValueError(
            f"Cannot specify order when the array has no fields{user_line()}; traced arrays have "
            f"none. Write {name}(a) without order="
        )


def _line(a: Any, axis: Any) -> tuple[Value, int]:
    """The Value to sort and the axis; a flattened one for axis=None."""
    x = value_of(a)
    if axis is None:
        return raveled(x), 0
    return x, shapes.axis_index(axis, ndim_of(x))


def _kind(kind: Any, stable: Any) -> str:
    """NumPy's name of the algorithm, checked as NumPy checks it."""
    if stable is not None:
        if kind is not None:
            raise ValueError(
                "`kind` and keyword parameters `stable` can't be provided at the same time. "
                "Use only one of them."
            )
        return "stable" if stable else "quicksort"
    if kind is None:
        return "quicksort"
    np.argsort(np.zeros(1), kind=kind)  # NumPy's own error for a name it does not know
    return kind


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    _refuse_order("np.sort", order)
    keeps_order = _kind(kind, stable) in ("stable", "mergesort")
    x, along = _line(a, axis)
    return wrap(laid_out_as(sort_values(x, along, keeps_order), layout_of(x)))


@implements(np.argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    _refuse_order("np.argsort", order)
    x = value_of(a)
    if not ndim_of(x):  # NumPy sorts a scalar here
        x = reshape_p(x, shape=(1,))
    x, along = _line(wrap(x), axis)
    return wrap(argsort_p(x, axis=along, kind=_kind(kind, stable)))


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    x = value_of(a)
    x, along = _line(wrap(x), -1)
    out = laid_out_as(sort_values(x, along), layout_of(x))
    dtype = dtype_of(out)
    if dtype.kind == "c":
        return wrap(out)
    return wrap(convert(out, np.dtype(np.complex64 if dtype.char in "bhBH" else complex)))


@implements(np.lexsort)
def lexsort(keys: Any, axis: Any = -1) -> Any:
    if isinstance(keys, (list, tuple)):
        values = [value_of(key) for key in keys]
    else:
        stacked = value_of(keys)
        values = [gather_p(stacked, np.intp(i)) for i in range(shape_of(stacked)[0])]
    if not values:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    if any(shape_of(value) != shape_of(values[0]) for value in values):
        raise ValueError("all keys need to be the same shape")
    if not ndim_of(values[0]):
        return wrap(np.intp(0))
    return wrap(lexsort_p(*values, axis=shapes.axis_index(axis, ndim_of(values[0]))))


def _partitioned(order: Primitive, a: Any, kth: Any, axis: Any, kind: str) -> tuple[Any, ...]:
    if not ndim_of(value_of(a)) and order is argpartition_p:  # NumPy takes a scalar here
        a = wrap(reshape_p(value_of(a), shape=(1,)))
    x, along = _line(a, axis)
    places = np.asarray(unwrap_known(kth, "kth"))
    if places.dtype.kind not in "iu":
        raise TypeError(f"kth must be an integer or integers, got {places.dtype}{user_line()}")
    if kind != "introselect":
        raise ValueError(f"select kind must be 'introselect' (got {kind!r})")
    found = tuple(int(k) for k in places.ravel())
    return x, order(x, axis=along, kth=found, kind=kind), along


@implements(np.partition)
def partition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    _refuse_order("np.partition", order)
    x, places, along = _partitioned(partition_order_p, a, kth, axis, kind)
    return wrap(laid_out_as(permute_p(x, places, axis=along), layout_of(x)))


@implements(np.argpartition)
def argpartition(
    a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
) -> Any:
    _refuse_order("np.argpartition", order)
    return wrap(_partitioned(argpartition_p, a, kth, axis, kind)[1])


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    sorted_array, wanted = value_of(a), value_of(v)
    if ndim_of(sorted_array) != 1:
        raise ValueError(
            f"searchsorted: a must be one-dimensional, got shape {shape_of(sorted_array)}"
            f"{user_line()}"
        )
    if sorter is not None:
        order = value_of(sorter)
        if shape_of(order) != shape_of(sorted_array):
            raise ValueError("sorter.size must equal len(a)")
        sorted_array = gather_p(sorted_array, order)
    return wrap(searchsorted_p(sorted_array, wanted, side=side, lead=0))


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    edges, value = value_of(bins), value_of(x)
    if dtype_of(value).kind == "c":
        raise TypeError("x may not be complex")
    side = "left" if right else "right"
    after, before = slice_axis(edges, 1, None, 0), slice_axis(edges, None, -1, 0)
    rising = reduce_all_p(greater_equal_p(after, before), axes=(0,))
    falling = reduce_all_p(less_equal_p(after, before), axes=(0,))
    message = "bins must be monotonically increasing or decreasing"
    refuse_p(logical_not_p(logical_or_p(rising, falling)), error=ValueError, message=message)
    place = searchsorted_p(edges, value, side=side, lead=0)
    if may_hold(logical_not_p(rising)):
        backward = flip_p(edges, axes=(0,))
        behind = searchsorted_p(backward, value, side=side, lead=0)
        place = select_p(rising, place, shape_of(edges)[0] - behind)
    return wrap(place)


@implements(np.nonzero)
def nonzero(a: Any) -> Any:
    return tuple(wrap(places) for places in nonzero_p(value_of(a)))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    x = value_of(a)
    return wrap(nonzero_p(raveled(x))[0])


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    x = value_of(a)
    if not ndim_of(x):
        found = shape_of(nonzero_p(reshape_p(x, shape=(1,)))[0])[0]
        return wrap(np.zeros((found, 0), np.intp))
    return wrap(transpose_p(stack_values(nonzero_p(x)), axes=(1, 0)))
