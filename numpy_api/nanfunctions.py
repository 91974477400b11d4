"""The reductions that skip NaNs. What is skipped has the derivative 0.

The medians and quantiles without NaNs are in `quantiles`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.handles import TracedArray, value_of, wrap
from ..autodiff.primitives.checks import refuse_p, warn_p
from ..autodiff.primitives.elementwise import (
    divide_p,
    equal_p,
    less_equal_p,
    logical_and_p,
    not_equal_p,
    select_p,
    subtract_p,
)
from ..autodiff.primitives.reductions import count_values, keep_axes, reduce_all_p
from ..autodiff.rules import broadcast_to_p, convert, reshape_p
from .namespace import replaces_for_handles
from .reductions import NONE, finish, handle, is_set, mask_of, may_hold, reduction_axes
from .statistics import freedom_of, masked_sum, squared

_ALL_NAN = "All-NaN slice encountered"


def _has_nans(x: Value) -> bool:
    """Whether the dtype has NaNs at all."""
    return dtype_of(x).kind in "fc"


def replaced(x: Value, fill: complex) -> Any:
    """A handle of the array with ``fill`` for every NaN."""
    if not _has_nans(x):
        return wrap(x)
    return wrap(select_p(not_equal_p(x, x), dtype_of(x).type(fill), x))


@replaces_for_handles("nansum")
@implements(np.nansum)
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return np.sum(replaced(value_of(a), 0), axis, dtype, out, keepdims, initial, where)


@replaces_for_handles("nanprod")
@implements(np.nanprod)
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return np.prod(replaced(value_of(a), 1), axis, dtype, out, keepdims, initial, where)


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return np.cumsum(replaced(value_of(a), 0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return np.cumprod(replaced(value_of(a), 1), axis, dtype, out)


def _worst(dtype: np.dtype[Any], infinity: float) -> complex:
    """What no number of this dtype exceeds."""
    return complex(infinity, infinity) if dtype.kind == "c" else infinity


def _extreme(
    function: Any,
    infinity: float,
    a: Any,
    axis: Any,
    out: Any,
    keepdims: Any,
    initial: Any,
    where: Any,
) -> Any:
    x = value_of(a)
    if not _has_nans(x) or initial is not NONE:
        worst = _worst(dtype_of(x), infinity)
        return function(replaced(x, worst), axis, out, keepdims, initial, where)
    worst = _worst(dtype_of(x), infinity)
    result = value_of(function(replaced(x, worst), axis, None, keepdims, NONE, where))
    axes = reduction_axes(axis, ndim_of(x))
    empty = reduce_all_p(not_equal_p(x, x), axes=axes)
    warn_p(empty, message=_ALL_NAN)
    if may_hold(empty):
        if is_set(keepdims):
            empty = keep_axes(empty, shape_of(x), axes)
        result = select_p(empty, dtype_of(x).type(np.nan), result)
    return finish("np.nan" + function.__name__, result, out)


@replaces_for_handles("nanmax")
@implements(np.nanmax)
def nanmax(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return _extreme(np.max, -np.inf, a, axis, out, keepdims, initial, where)


@replaces_for_handles("nanmin")
@implements(np.nanmin)
def nanmin(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return _extreme(np.min, np.inf, a, axis, out, keepdims, initial, where)


def _position(function: Any, infinity: float, a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    x = value_of(a)
    if _has_nans(x) and shapes.prod(shape_of(x)):
        empty = reduce_all_p(not_equal_p(x, x), axes=reduction_axes(axis, ndim_of(x)))
        refuse_p(empty, error=ValueError, message=_ALL_NAN)
    filled = replaced(x, _worst(dtype_of(x), infinity) if _has_nans(x) else 0)
    return function(filled, axis, out, keepdims=keepdims)


@implements(np.nanargmax)
def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NONE) -> Any:
    return _position(np.argmax, -np.inf, a, axis, out, keepdims)


@implements(np.nanargmin)
def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NONE) -> Any:
    return _position(np.argmin, np.inf, a, axis, out, keepdims)


def _check_inexact(dtype: Any, out: Any) -> None:
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise TypeError("If a is inexact, then dtype must be inexact")
    if type(out) is TracedArray and dtype_of(out.value).kind not in "fc":
        raise TypeError("If a is inexact, then out must be inexact")


def _numbers(x: Value, where: Any) -> Value:
    """The mask of the elements that count: inside ``where`` and not NaN."""
    numbers = equal_p(x, x)
    mask = mask_of(where, x)
    return (
        numbers if mask is None else logical_and_p(numbers, broadcast_to_p(mask, shape=shape_of(x)))
    )


@replaces_for_handles("nanmean")
@implements(np.nanmean)
def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    *,
    where: Any = NONE,
) -> Any:
    x = value_of(a)
    if not _has_nans(x):
        return np.mean(handle(x), axis, dtype, out, keepdims, where=where)
    _check_inexact(dtype, out)
    axes = reduction_axes(axis, ndim_of(x))
    mask = _numbers(x, where)
    count = count_values(mask, axes)
    warn_p(equal_p(count, 0), message="Mean of empty slice")
    total = masked_sum(x, axes, None if dtype is None else np.dtype(dtype), mask, False)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = convert(divide_p(total, count), dtype_of(total))
    if is_set(keepdims):
        result = keep_axes(result, shape_of(x), axes)
    return finish("np.nanmean", result, out)


def _nan_variance(
    a: Any, axis: Any, dtype: Any, out: Any, ddof: Value, where: Any, center: Any, keep: bool
) -> Value:
    x = value_of(a)
    _check_inexact(dtype, out)
    axes = reduction_axes(axis, ndim_of(x))
    working = None if dtype is None else np.dtype(dtype)
    mask = _numbers(x, where)
    count = keep_axes(count_values(mask, axes), shape_of(x), axes)
    with np.errstate(invalid="ignore", divide="ignore"):
        if center is NONE:
            total = masked_sum(x, axes, working, mask, True)
            middle = convert(divide_p(total, count), dtype_of(total))
        else:
            middle = value_of(center)
        centered = select_p(mask, subtract_p(x, middle), dtype_of(x).type(0))
        total = masked_sum(squared(convert(centered, dtype_of(x))), axes, working, mask, True)
        freedom = subtract_p(count, ddof)
        result = convert(divide_p(total, freedom), dtype_of(total))
    bad = less_equal_p(freedom, 0)
    warn_p(bad, message="Degrees of freedom <= 0 for slice.")
    if may_hold(bad):
        result = select_p(bad, dtype_of(result).type(np.nan), result)
    if keep:
        return result
    return reshape_p(result, shape=shapes.reduced(shape_of(x), axes))


@replaces_for_handles("nanvar")
@implements(np.nanvar)
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NONE,
    *,
    where: Any = NONE,
    mean: Any = NONE,
    correction: Any = NONE,
) -> Any:
    if not _has_nans(value_of(a)):
        return np.var(
            a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction
        )
    freedom = freedom_of(ddof, correction)
    result = _nan_variance(a, axis, dtype, out, freedom, where, mean, is_set(keepdims))
    return finish("np.nanvar", result, out)


@replaces_for_handles("nanstd")
@implements(np.nanstd)
def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NONE,
    *,
    where: Any = NONE,
    mean: Any = NONE,
    correction: Any = NONE,
) -> Any:
    if not _has_nans(value_of(a)):
        return np.std(
            a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction
        )
    freedom = freedom_of(ddof, correction)
    variance = _nan_variance(a, axis, dtype, out, freedom, where, mean, is_set(keepdims))
    return finish("np.nanstd", value_of(np.sqrt(handle(variance))), out)
