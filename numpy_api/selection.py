"""Choosing between arrays and applying functions to parts: where, select, piecewise, choose,
compress, extract, along an axis.

A branch that is not chosen has the derivative zero, whatever its own derivative is there, infinite
or NaN (see `strong_multiply_p`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import PYTHON_DTYPES, Value, dtype_of, is_weak, ndim_of, settle, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import BatchingError, ConcretizationError, user_line
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.checks import refuse_p
from ..autodiff.primitives.elementwise import less_p, logical_not_p, logical_or_p, select_p
from ..autodiff.primitives.indexing import nonzero_p
from ..autodiff.protocols import write_out
from ..autodiff.rules import broadcast_to_p, cast, convert
from ..autodiff.views import array_of
from .indexing import as_mask, in_range, index_array, take, take_along_axis
from .joining import stack
from .manipulation import at_least
from .namespace import replaces_for_handles, replaces_inside


@implements(np.where)
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None and y is None:
        return np.nonzero(condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    return wrap(select_p(as_mask(condition), value_of(x), value_of(y)), ARRAY0D)


def _weak_or_value(x: Any) -> Any:
    """A Python number as it is (its dtype is weak), anything else as a Value."""
    return x if type(x) in PYTHON_DTYPES else value_of(x)


def _result_type(values: Sequence[Value]) -> Any:
    votes = [dtype_of(v).type(1).item() if is_weak(v) else dtype_of(v) for v in values]
    return np.result_type(*votes)


@replaces_for_handles("select")
@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> TracedArray:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    conditions = [value_of(c) for c in condlist]
    for i, condition in enumerate(conditions):
        if dtype_of(condition).kind != "b":
            raise TypeError(
                f"invalid entry {i} in condlist: should be boolean ndarray{user_line()}, got "
                f"{dtype_of(condition)}"
            )
    values = [_weak_or_value(choice) for choice in (*choicelist, default)]
    dtype = _result_type(values)
    *choices, result = [cast(value, dtype) for value in values]  # NumPy does not check
    shape = shapes.broadcast(*map(shape_of, (*conditions, *choices, result)))
    for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
        result = select_p(condition, choice, result)
    if shape_of(result) != shape:
        result = broadcast_to_p(result, shape=shape)
    return wrap(views.compact(result), ARRAY0D)


@replaces_inside("piecewise")
@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> TracedArray:
    """As NumPy's: each function gets the elements where its condition holds. Where those are not
    known, or differ between the examples of a vmapped batch, it gets all elements, and what it
    makes of the others is not used: it must work element by element then.
    """
    x = views.boxed(array_of(x))
    conditions = _piecewise_conditions(x, condlist)
    count = len(conditions)
    if count == len(funclist) - 1:
        conditions = [*conditions, wrap(logical_not_p(_any(conditions)), ARRAY0D)]
    elif count != len(funclist):
        raise ValueError(
            f"with {count} condition(s), either {count} or {count + 1} functions are expected"
        )
    out: Any = np.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if callable(function):
            _apply_where(out, x, condition, lambda v, f=function: f(v, *args, **kw))
        else:
            out[condition] = function
    return out


def _any(conditions: list[TracedArray]) -> Value:
    found = conditions[0].value
    for condition in conditions[1:]:
        found = logical_or_p(found, condition.value)
    return found


def _piecewise_conditions(x: TracedArray, condlist: Any) -> list[TracedArray]:
    """The conditions as masks; a single one need not be in a list."""
    several = isinstance(condlist, (list, tuple))
    given: Any = [array_of(c) for c in condlist] if several else array_of(condlist)
    if not several and not ndim_of(given.value):
        given = [condlist]
    flat = not isinstance(given[0], (list, tuple)) and not ndim_of(value_of(given[0]))
    if flat and ndim_of(x.value):
        given = [condlist]
    return [wrap(as_mask(condition), ARRAY0D) for condition in given]


def _apply_where(out: Any, x: Any, condition: Any, function: Callable[[Any], Any]) -> None:
    try:
        places = nonzero_p(at_least(condition, 1).value)
    except (BatchingError, ConcretizationError) as error:
        settle(error)
        with np.errstate(all="ignore"):
            results = array_of(function(x))
        chosen = convert(results.value, dtype_of(out.value))
        out.write(select_p(condition.value, chosen, out.value))
        return
    if shape_of(places[0])[0]:
        out[condition] = function(x[condition])


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    values = [_weak_or_value(c) for c in choices]
    if not values:
        raise ValueError("choose: wanted at least one array to choose from")
    dtype = _result_type(values)
    pieces = [wrap(convert(array_of(c).value, dtype), ARRAY0D) for c in choices]
    places = in_range(index_array(a, "a"), len(pieces), mode)
    shape = shapes.broadcast(shape_of(places.value), *[shape_of(c.value) for c in pieces])
    places: Any = views.broadcast_to(places, shape)
    stacked = stack([views.broadcast_to(c, shape) for c in pieces])
    outside = logical_or_p(less_p(places.value, 0), less_p(len(pieces) - 1, places.value))
    refuse_p(outside, error=ValueError, message="invalid entry in choice array")
    inside = in_range(views.expand_dims(places, 0), len(pieces), "clip")
    chosen = take_along_axis(stacked, inside, 0)
    return write_out("np.choose", out, wrap(views.compact(chosen[0].value)))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    mask = as_mask(condition)
    if ndim_of(mask) != 1:
        raise ValueError("condition must be a 1-d array")
    (places,) = nonzero_p(mask)
    return take(a, wrap(places, ARRAY0D), axis, out)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    mask = views.ravel(wrap(as_mask(condition), ARRAY0D))
    (places,) = nonzero_p(mask.value)
    return take(views.ravel(array_of(arr)), wrap(places, ARRAY0D))


@replaces_inside("apply_along_axis")
@implements(np.apply_along_axis)
def apply_along_axis(func1d: Any, axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Any:
    arr = array_of(arr)
    ndim = ndim_of(arr.value)
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim)
    lines: Any = views.moveaxis(arr, axis, -1)
    lead = shape_of(lines.value)[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [array_of(func1d(lines[(*i, ...)], *args, **kwargs)) for i in np.ndindex(*lead)]
    dtype, inner = dtype_of(results[0].value), shape_of(results[0].value)
    stacked = stack([wrap(convert(r.value, dtype), ARRAY0D) for r in results])
    out: Any = np.reshape(stacked, (*lead, *inner))
    for i in range(len(inner)):
        out = np.moveaxis(out, ndim - 1 + i, axis + i)
    return out


@implements(np.apply_over_axes)
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    out = array_of(a)
    ndim = ndim_of(out.value)
    for axis in np.atleast_1d(unwrap_known(axes, "axes")).tolist():
        place = axis + ndim if axis < 0 else axis
        result = array_of(func(out, place))
        if ndim_of(result.value) != ndim:
            result = views.expand_dims(result, place)
            if ndim_of(result.value) != ndim:
                raise ValueError("function is not returning an array of the correct shape")
        out = result
    return out
