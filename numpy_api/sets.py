"""unique and the set operations.

Values that are selected carry their derivative: of several equal ones, the first does. The size of
most results depends on the values, so that under vmap all examples must agree on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.handles import ARRAY0D, value_of, wrap
from ..autodiff.primitives.elementwise import (
    equal_p,
    logical_and_p,
    logical_not_p,
    logical_or_p,
    not_equal_p,
    select_p,
)
from ..autodiff.primitives.indexing import gather_p, getitem_p, nonzero_p, slice_axis
from ..autodiff.primitives.manipulation import concatenate_p, move_axis
from ..autodiff.primitives.reductions import cumsum_p, reduce_any_p
from ..autodiff.primitives.sorting import (
    argsort_p,
    inverse_order_p,
    lexsort_p,
    permute_p,
    searchsorted_p,
    sort_values,
)
from ..autodiff.rules import raveled, reshape_p, zeros
from ..autodiff.sizes import intp

_TRUE = np.ones(1, bool)


def _line(a: Any) -> Value:
    return raveled(value_of(a))


def _neighbours(ordered: Value) -> tuple[Value, Value]:
    return slice_axis(ordered, 1, None, 0), slice_axis(ordered, None, -1, 0)


def _starts(ordered: Value, equal_nan: bool) -> Value:
    """Where in a sorted array a new value starts."""
    if not shape_of(ordered)[0]:
        return np.zeros(0, bool)
    after, before = _neighbours(ordered)
    new = not_equal_p(after, before)
    if equal_nan and dtype_of(ordered).kind in "fc":
        new = logical_and_p(new, logical_or_p(equal_p(after, after), equal_p(before, before)))
    return concatenate_p(_TRUE, new, axis=0)


def _unique_results(
    source: Value,
    order: Value,
    starts: Value,
    inverse_shape: Any,
    wanted: tuple[bool, bool, bool],
) -> tuple[Value, ...]:
    """The unique rows of ``source``, then their places, the inverse and the counts if wanted."""
    (places,) = nonzero_p(starts)
    firsts = gather_p(order, places)
    results = [gather_p(source, firsts)]
    if wanted[0]:
        results.append(firsts)
    if wanted[1]:
        number = cumsum_p(starts, axis=0) - np.intp(1)
        inverse = permute_p(number, inverse_order_p(order, axis=0), axis=0)
        results.append(reshape_p(inverse, shape=inverse_shape))
    if wanted[2]:
        ends = concatenate_p(places, np.array([shape_of(source)[0]]), axis=0)
        after, before = _neighbours(ends)
        results.append(after - before)
    return tuple(results)


def _unique_rows(x: Value, wanted: tuple[bool, bool, bool]) -> tuple[Value, ...]:
    """Unique along the first axis: rows in lexicographic order, NaNs all different, as NumPy's."""
    n = shape_of(x)[0]
    width = shapes.prod(shape_of(x)[1:])
    rows = reshape_p(x, shape=(n, width))
    if not width or not n:
        order, starts = np.arange(n), np.arange(n) == 0
    else:
        keys = [getitem_p(rows, index=(slice(None), k)) for k in range(width - 1, -1, -1)]
        order = lexsort_p(*keys, axis=0)
        after, before = _neighbours(gather_p(rows, order))
        new = reduce_any_p(not_equal_p(after, before), axes=(1,))
        starts = concatenate_p(_TRUE, new, axis=0)
    return _unique_results(x, order, starts, (n,), wanted)


@implements(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The result is sorted for ``sorted=False`` too, which leaves the order open."""
    x = value_of(ar)
    wanted = (return_index, return_inverse, return_counts)
    if axis is None or ndim_of(x) == 1:
        if axis is not None:
            shapes.axis_index(axis, ndim_of(x))
        flat = raveled(x)
        order = argsort_p(flat, axis=0, kind="stable")
        starts = _starts(permute_p(flat, order, axis=0), equal_nan)
        results = _unique_results(flat, order, starts, shape_of(x), wanted)
    else:
        along = shapes.axis_index(axis, ndim_of(x))
        results = _unique_rows(move_axis(x, along, 0), wanted)
        values, *others = list(results)
        results = (move_axis(values, 0, along), *others)
    handles = tuple(wrap(value, ARRAY0D) for value in results)
    return handles[0] if len(handles) == 1 else handles


def _named(function: Any, results: Any) -> Any:
    """The results in NumPy's own named tuple for this function."""
    return type(function(np.zeros(1)))(*results)


@implements(np.unique_all)
def unique_all(x: Any, /) -> Any:
    return _named(np.unique_all, unique(x, True, True, True, equal_nan=False))


@implements(np.unique_counts)
def unique_counts(x: Any, /) -> Any:
    return _named(np.unique_counts, unique(x, return_counts=True, equal_nan=False))


@implements(np.unique_inverse)
def unique_inverse(x: Any, /) -> Any:
    return _named(np.unique_inverse, unique(x, return_inverse=True, equal_nan=False))


@implements(np.unique_values)
def unique_values(x: Any, /) -> Any:
    return unique(x, equal_nan=False)


@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    return unique(wrap(concatenate_p(_line(ar1), _line(ar2), axis=0)))


def _members(x: Value, of: Value) -> Value:
    """Whether each element of x is one of ``of``, a vector."""
    n = shape_of(of)[0]
    if not n:
        return zeros(shape_of(x), bool)
    ordered = sort_values(of, 0)
    place = searchsorted_p(ordered, x, side="left", lead=0)
    place = select_p(equal_p(place, n), intp(n - 1), place)
    return equal_p(gather_p(ordered, place), x)


def _check_kind(kind: Any, *values: Value) -> None:
    if kind not in (None, "sort", "table"):
        raise ValueError(f"Invalid kind: '{kind}'. Please use None, 'sort' or 'table'.")
    if kind == "table" and any(dtype_of(value).kind not in "iub" for value in values):
        raise ValueError(
            "The 'table' method is only supported for boolean or integer arrays. "
            "Please select 'sort' or None for kind."
        )


@implements(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    x, of = value_of(element), _line(test_elements)
    _check_kind(kind, x, of)
    found = _members(x, of)
    return wrap(logical_not_p(found) if invert else found, ARRAY0D)


_in1d = getattr(np, "in1d", None)  # gone from NumPy 2.4 on
if _in1d is not None:

    @implements(_in1d)
    def in1d(
        ar1: Any,
        ar2: Any,
        assume_unique: bool = False,
        invert: bool = False,
        *,
        kind: Any = None,
    ) -> Any:
        return isin(wrap(_line(ar1)), ar2, assume_unique, invert, kind=kind)


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    x = _line(ar1) if assume_unique else value_of(unique(ar1))
    (places,) = nonzero_p(logical_not_p(_members(x, _line(ar2))))
    return wrap(gather_p(x, places))


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    first, second = ((_line(x) if assume_unique else value_of(unique(x))) for x in (ar1, ar2))
    ordered = sort_values(concatenate_p(first, second, axis=0), 0)
    if not shape_of(ordered)[0]:
        return wrap(ordered)
    after, before = _neighbours(ordered)
    flags = concatenate_p(_TRUE, not_equal_p(after, before), _TRUE, axis=0)
    after, before = _neighbours(flags)
    (places,) = nonzero_p(logical_and_p(after, before))
    return wrap(gather_p(ordered, places))


@implements(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """The values, and their derivatives, are those of ``ar1``."""
    first, second = _line(ar1), _line(ar2)
    n = shape_of(first)[0]
    places: list[Value] = []
    if not assume_unique:
        found = [unique(wrap(x), return_index=True) for x in (first, second)]
        (first, second) = (value_of(values) for values, _ in found)
        places = [value_of(index) for _, index in found]
        n = shape_of(first)[0]
    both = concatenate_p(first, second, axis=0)
    order = argsort_p(both, axis=0, kind="stable")
    ordered = permute_p(both, order, axis=0)
    (pairs,) = nonzero_p(equal_p(*_neighbours(ordered)))
    common = gather_p(ordered, pairs)
    if not return_indices:
        return wrap(common)
    after, before = _neighbours(order)
    indices = [gather_p(before, pairs), gather_p(after, pairs) - intp(n)]
    if places:
        indices = [gather_p(p, i) for p, i in zip(places, indices, strict=True)]
    return wrap(common), wrap(indices[0]), wrap(indices[1])
