"""median, quantile, percentile, with and without NaNs, by every method NumPy has.

The elements are sorted, so that each result is a differentiable combination of the elements it is
made of. Quantiles between elements also have a derivative in q, the slope of the interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Tracer, Value, dtype_of, is_weak, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import ARRAY0D, RESULT, value_of, wrap
from ..autodiff.primitives.checks import refuse_p, warn_p
from ..autodiff.primitives.elementwise import (
    divide_p,
    equal_p,
    greater_equal_p,
    less_equal_p,
    less_p,
    logical_and_p,
    logical_not_p,
    multiply_p,
    not_equal_p,
    select_p,
    subtract_p,
)
from ..autodiff.primitives.indexing import gather_p, slice_axis
from ..autodiff.primitives.manipulation import stack_values, transpose_p
from ..autodiff.primitives.reductions import axes_to_front, cumsum_p, keep_axes, reduce_sum_p
from ..autodiff.primitives.sorting import argsort_p, permute_p, searchsorted_p, sort_values
from ..autodiff.rules import (
    broadcast_to_p,
    convert,
    convert_p,
    quantize_p,
    reshape_p,
    stop_gradient_p,
)
from ..autodiff.sizes import iota
from .reductions import NONE, finish, handle, is_set, may_hold
from .statistics import weights_for

_INTP = np.dtype(np.intp)


class _Places(NamedTuple):
    """Where a quantile lies in n sorted elements: at ``index``, or, if ``share`` is a function,
    between the neighbours of ``index``; ``share(fraction, index)`` is how far to the next one.
    """

    index: Callable[[Any, Any], Any]
    share: Callable[[Any, Any], Any] | None


def _fraction(fraction: Any, index: Any) -> Any:
    return fraction


def _hyndman_fan(alpha: float, beta: float) -> _Places:
    return _Places(lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1, _fraction)


def _lowered(index: Any, stays: Callable[[Any, Any], Any]) -> Any:
    """The next element up, or the one below where ``stays(fraction, floor)``."""
    below = np.floor(index)
    chosen = np.where(stays(index - below, below), below, below + 1)
    return np.maximum(chosen, 0)


def _midpoint(n: Any, q: Any) -> Any:
    return 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q))


_METHODS: dict[str, _Places] = {
    "inverted_cdf": _Places(lambda n, q: _lowered(n * q - 1, lambda f, _: f == 0), None),
    "averaged_inverted_cdf": _Places(
        lambda n, q: n * q - 1, lambda f, _: np.where(f == 0, 0.5, 1.0)
    ),
    "closest_observation": _Places(
        lambda n, q: _lowered(n * q - 1 - 0.5, lambda f, below: (f == 0) & (below % 2 == 1)), None
    ),
    "interpolated_inverted_cdf": _hyndman_fan(0, 1),
    "hazen": _hyndman_fan(0.5, 0.5),
    "weibull": _hyndman_fan(0, 0),
    "linear": _Places(lambda n, q: (n - 1) * q, _fraction),
    "median_unbiased": _hyndman_fan(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _hyndman_fan(3 / 8.0, 3 / 8.0),
    "lower": _Places(lambda n, q: np.floor((n - 1) * q), None),
    "higher": _Places(lambda n, q: np.ceil((n - 1) * q), None),
    "midpoint": _Places(_midpoint, lambda _, index: np.where(index % 1 == 0, 0.0, 0.5)),
    "nearest": _Places(lambda n, q: np.around((n - 1) * q), None),
}


class _Columns(NamedTuple):
    """The problem as a matrix: one column for each result, sorted downward."""

    ordered: Value  # (n, columns)
    order: Value  # the permutation that sorted it
    n: Any  # its length, or (``counted``) the number of elements that are no NaN in each column
    rest: tuple[Any, ...]  # the shape that the columns are
    counted: bool = False


def _columns(x: Value, axes: tuple[int, ...], without_nans: bool) -> _Columns:
    line = axes_to_front(x, axes)
    n, *rest = shape_of(line)
    if type(n) is int and n == 0 and not without_nans:
        raise IndexError(f"index -1 is out of bounds for axis 0 with size 0{user_line()}")
    matrix = reshape_p(line, shape=(n, shapes.prod(rest)))
    order = argsort_p(matrix, axis=0, kind="stable")
    ordered = permute_p(matrix, order, axis=0)
    if not without_nans or dtype_of(x).kind not in "fc":
        return _Columns(ordered, order, n, tuple(rest))
    count = reduce_sum_p(equal_p(ordered, ordered), axes=(0,))
    warn_p(equal_p(count, 0), message="All-NaN slice encountered")
    return _Columns(ordered, order, count, tuple(rest), counted=True)


def _handle(value: Value) -> Any:
    """Concrete indices stay ndarrays, on which NumPy itself computes."""
    return wrap(value) if isinstance(value, Tracer) else value


def _rows(columns: _Columns, index: Any) -> Value:
    """The elements at ``index``: of every column, or (without NaNs) of each its own."""
    places = convert(value_of(index), _INTP)
    if not columns.counted:
        return gather_p(columns.ordered, places)
    return gather_p(columns.ordered, places, iota(shape_of(columns.ordered)[1]))


def _or_nan(columns: _Columns, result: Value) -> Value:
    """NaN, and its derivative, where a column has one: it was sorted to the end."""
    if columns.counted or dtype_of(columns.ordered).kind not in "fc":
        return result
    last = reshape_p(slice_axis(columns.ordered, -1, None, 0), shape=shape_of(columns.ordered)[1:])
    has_nan = not_equal_p(last, last)
    return select_p(has_nan, last, result) if may_hold(has_nan) else result


def _interpolated(columns: _Columns, q: Any, method: str, weak: bool) -> Value:
    try:
        places = _METHODS[method]
    except KeyError:
        raise ValueError(
            f"{method!r} is not a valid method. Use one of: {_METHODS.keys()}"
        ) from None
    n: Any = columns.n
    if columns.counted:
        q = q[..., None]
        if np.result_type(q).kind == "f":
            n = convert(n, np.result_type(q))
        n = _handle(n)
    index = places.index(n, q)
    if places.share is None or (method == "linear" and np.result_type(index).kind in "iu"):
        return _or_nan(columns, _rows(columns, index))
    below = np.floor(index)
    above = below + 1
    top, bottom = index >= n - 1, index < 0
    below = np.where(bottom, 0, np.where(top, n - 1, below))
    above = np.where(bottom, 0, np.where(top, n - 1, above))
    share = convert(value_of(places.share(index - below, index)), np.result_type(index))
    if weak:
        dtype = dtype_of(columns.ordered)
        share = convert(share, dtype if dtype.kind in "fc" else np.dtype(float))
    if not columns.counted:
        share = reshape_p(share, shape=(*shape_of(share), 1))
    return _or_nan(columns, _between(_rows(columns, below), _rows(columns, above), share))


def _between(a: Value, b: Value, share: Value) -> Value:
    """The point ``share`` of the way from a to b, reckoned from the nearer end."""
    gap = subtract_p(b, a)
    near_a = a + multiply_p(gap, share)
    near_b = b - multiply_p(gap, subtract_p(1, share))
    return select_p(greater_equal_p(share, 0.5), near_b, near_a)


def _weighted(columns: _Columns, weights: Value, q: Any) -> Value:
    """The inverse of the weights' cumulative distribution: piecewise constant in weights and q."""
    n, width = shape_of(columns.ordered)
    w = permute_p(stop_gradient_p(weights), columns.order, axis=0)
    if columns.counted:  # NaNs weigh nothing; a column of NaNs has any weights
        number = equal_p(columns.ordered, columns.ordered)
        empty = equal_p(columns.n, 0)
        w = select_p(empty, 1.0, select_p(number, w, 0.0))
    cdf = cumsum_p(convert(w, np.dtype(float)), axis=0)
    cdf = divide_p(cdf, slice_axis(cdf, -1, None, 0))
    message = "Weights included NaN, inf or were all zero."
    refuse_p(not_equal_p(cdf, cdf), error=ValueError, message=message)
    levels = stop_gradient_p(value_of(q))
    if dtype_of(levels).kind == "f":
        cdf = convert(cdf, dtype_of(levels))
    # an element without weight at the start must not be found by q = 0
    cdf = select_p(equal_p(cdf, 0), dtype_of(cdf).type(-1), cdf)
    flat = reshape_p(levels, shape=(1, shapes.prod(shape_of(levels))))
    flat = broadcast_to_p(flat, shape=(width, shape_of(flat)[1]))
    found = searchsorted_p(transpose_p(cdf, axes=(1, 0)), flat, side="left", lead=1)
    found = select_p(less_p(found, n), found, n - 1)
    result = gather_p(columns.ordered, transpose_p(found, axes=(1, 0)), iota(width))
    return _or_nan(columns, reshape_p(result, shape=(*shape_of(levels), width)))


def _weights(weights: Any, x: Value, axis: Any, axes: tuple[int, ...], method: str) -> Value:
    """The weights in the shape of the matrix of columns."""
    if method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    w = weights_for(weights, x, axis)
    refuse_p(less_p(w, 0), error=ValueError, message="Weights must be non-negative.")
    line = axes_to_front(broadcast_to_p(w, shape=shape_of(x)), axes)
    n, *rest = shape_of(line)
    return reshape_p(line, shape=(n, shapes.prod(rest)))


def _levels(q: Any, scale: int) -> tuple[Value, bool]:
    """Levels between 0 and 1; whether q was a Python number, which leaves dtypes alone."""
    value = value_of(q)
    weak = is_weak(value)
    if scale == 100:
        value = divide_p(value, np.float64(100) if weak else 100)
    if not isinstance(value, Tracer):
        value = np.asarray(value)
    elif weak:  # an array of no dimensions, as NumPy makes of it
        strong = convert_p if dtype_of(value).kind == "f" else quantize_p
        value = strong(value, dtype=dtype_of(value))
    inside = logical_and_p(greater_equal_p(value, 0), less_equal_p(value, 1))
    kind, top = ("Percentiles", 100) if scale == 100 else ("Quantiles", 1)
    message = f"{kind} must be in the range [0, {top}]"
    refuse_p(logical_not_p(inside), error=ValueError, message=message)
    if ndim_of(value) > 2:
        raise ValueError("q must be a scalar or 1d")
    return value, weak


def _quantile(
    name: str,
    scale: int,
    without_nans: bool,
    a: Any,
    q: Any,
    axis: Any,
    out: Any,
    method: str,
    keepdims: Any,
    weights: Any,
) -> Any:
    x = value_of(a)
    if dtype_of(x).kind == "c":
        raise TypeError("a must be an array of real numbers")
    levels, weak = _levels(q, scale)
    if without_nans and not shapes.prod(shape_of(x)):
        return np.nanmean(handle(x), axis=axis, out=out, keepdims=keepdims)
    axes = shapes.axis_tuple(axis, ndim_of(x))
    w = None if weights is None else _weights(weights, x, axis, axes, method)
    columns = _columns(x, axes, without_nans)
    if w is None:
        result = _interpolated(columns, _handle(levels), method, weak)
    else:
        result = _weighted(columns, w, levels)
    rest = shapes.reduced(shape_of(x), axes, True) if is_set(keepdims) else columns.rest
    result = reshape_p(result, shape=(*shape_of(levels), *rest))
    # NumPy's weighted quantiles and keepdims=True give arrays, without dimensions too
    return finish(name, result, out, ARRAY0D if w is not None or is_set(keepdims) else RESULT)


def _register(name: str, scale: int, without_nans: bool) -> None:
    @implements(getattr(np, name))
    def function(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = NONE,
        *,
        weights: Any = None,
        interpolation: Any = None,
    ) -> Any:
        what = f"np.{name}"
        if interpolation is not None:
            raise TypeError(f"{what}: interpolation= was renamed{user_line()}; write method=")
        return _quantile(what, scale, without_nans, a, q, axis, out, method, keepdims, weights)

    function.__name__ = name


for _name, _scale in (("quantile", 1), ("percentile", 100)):
    _register(_name, _scale, without_nans=False)
    _register("nan" + _name, _scale, without_nans=True)


def _averaged(x: Value) -> Value:
    """The mean along the first axis, with the dtype that `np.mean` gives it."""
    return value_of(np.mean(handle(x), axis=0))


@implements(np.median)
def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:
    """The middle element, or the mean of the middle two, whose derivatives are 1/2 each."""
    x = value_of(a)
    axes = shapes.axis_tuple(axis, ndim_of(x))
    line = axes_to_front(x, axes)
    n, *rest = shape_of(line)
    matrix = reshape_p(line, shape=(n, shapes.prod(rest)))
    ordered = sort_values(matrix, 0)
    columns = _Columns(ordered, None, n, tuple(rest))
    result = _averaged(slice_axis(ordered, (n - 1) // 2 if n else 0, n // 2 + 1, 0))
    result = _or_nan(columns, result) if n else result
    result = reshape_p(result, shape=columns.rest)
    if is_set(keepdims):
        result = keep_axes(result, shape_of(x), axes)
    return finish("np.median", result, out, ARRAY0D if is_set(keepdims) else RESULT)


@implements(np.nanmedian)
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = NONE
) -> Any:
    x = value_of(a)
    if dtype_of(x).kind not in "fc":
        return np.median(a, axis=axis, out=out, keepdims=is_set(keepdims))
    if shapes.prod(shape_of(x)) == 0:
        return np.nanmean(a, axis=axis, out=out, keepdims=is_set(keepdims))
    axes = shapes.axis_tuple(axis, ndim_of(x))
    columns = _columns(x, axes, True)
    count = _handle(columns.n)
    low, high = (
        np.maximum(count - 1, 0) // 2,
        np.minimum(count // 2, shape_of(columns.ordered)[0] - 1),
    )
    below, above = _rows(columns, low), _rows(columns, high)
    single = equal_p(value_of(low), value_of(high))
    result = select_p(single, below, _averaged(stack_values([below, above])))
    result = reshape_p(result, shape=columns.rest)
    if is_set(keepdims):
        result = keep_axes(result, shape_of(x), axes)
    return finish("np.nanmedian", result, out, ARRAY0D if is_set(keepdims) else RESULT)
