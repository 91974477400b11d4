"""Sorting: the order of the elements is found with NumPy and has no derivative; the elements are
then moved by `permute_p`, which is linear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Aval, Constant, Primitive, Value
from ..rules import Linear, batch_axis, lead_batch


def _order(name: str, impl: Callable[..., Any]) -> Primitive:
    """A primitive that gives, along an axis, the order of an array's elements."""
    return Constant(
        name,
        impl,
        shape=lambda x, *, axis, **_: Aval(x.shape, np.dtype(np.intp)),
        batch=batch_axis,
    )


argsort_p = _order("argsort", lambda x, *, axis, kind: np.argsort(x, axis=axis, kind=kind))

argpartition_p = _order(
    "argpartition",
    lambda x, *, axis, kth, kind: np.argpartition(x, kth, axis=axis, kind=kind),
)


def _partition_order(x: Any, *, axis: int, kth: Any, kind: Any) -> Any:
    places = np.argsort(np.partition(x, kth, axis=axis, kind=kind), axis=axis, kind="stable")
    order = np.argsort(x, axis=axis, kind="stable")
    out = np.empty_like(order)
    np.put_along_axis(out, places, order, axis)
    return out


# The order in which `np.partition` leaves the elements, which `np.argpartition` need not share:
# the k-th smallest element came from order[k] and went to places[k].
partition_order_p = _order("partition_order", _partition_order)


def _inverse(order: Any, *, axis: int) -> Any:
    out = np.empty_like(order)
    shape = [1] * order.ndim
    shape[axis] = order.shape[axis]
    np.put_along_axis(out, order, np.arange(order.shape[axis]).reshape(shape), axis)
    return out


inverse_order_p = _order("inverse_order", _inverse)


def _permute_shape(x: Aval, order: Aval, *, axis: int) -> Aval:
    if x.shape != order.shape:
        raise ValueError(f"an order of type {order} for {x}")
    return Aval(x.shape, x.dtype)


# x reordered along an axis; a permutation's transpose is its inverse.
permute_p = Linear(
    "permute",
    lambda x, order, *, axis: np.take_along_axis(x, order, axis),
    lambda ct, x, order, *, axis: permute_p(ct, inverse_order_p(order, axis=axis), axis=axis),
    shape=_permute_shape,
    batch=batch_axis,
)


# NumPy has one stable sort, of two names: the other one for orders that may not change where only
# the values are wanted, as 0.0 and -0.0 are equal and differ.
STABLE_VALUES = "mergesort"


def sort_values(x: Value, axis: int, stable: bool = False) -> Value:
    """``np.sort`` on Values; equal elements stay in order, so each keeps its own derivative."""
    kind = STABLE_VALUES if stable else "stable"
    return permute_p(x, argsort_p(x, axis=axis, kind=kind), axis=axis)


# The stable order by the last key, then the one before it, and so on.
lexsort_p = Constant(
    "lexsort",
    lambda *keys, axis: np.lexsort(keys, axis=axis),
    shape=lambda *keys, axis: Aval(keys[0].shape, np.dtype(np.intp)),
    batch=batch_axis,
)


def _searchsorted(a: Any, v: Any, *, side: Any, lead: int) -> Any:
    if not lead:
        return np.searchsorted(a, v, side=side)
    out = np.empty(np.shape(v), np.intp)
    for row in np.ndindex(*np.shape(v)[:lead]):
        out[row] = np.searchsorted(a[row], v[row], side=side)
    return out


def _searchsorted_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, side: str, lead: int
) -> Any:
    if not batched[0] and not lead:
        return searchsorted_p(*args, side=side, lead=0), True
    a, v = (lead_batch(x, size, b) for x, b in zip(args, batched, strict=True))
    return searchsorted_p(a, v, side=side, lead=lead + 1), True


# Where v goes into the sorted a, row by row of the ``lead`` leading axes that both have.
searchsorted_p = Constant(
    "searchsorted",
    _searchsorted,
    shape=lambda a, v, *, side, lead: Aval(v.shape, np.dtype(np.intp)),
    batch=_searchsorted_batch,
)
