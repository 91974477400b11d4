"""mean, average, var, std, cov, corrcoef."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, dtype_of, ndim_of, shape_of
from ..autodiff.dims import Dim, is_size
from ..autodiff.dispatch import implements
from ..autodiff.handles import ARRAY0D, value_of, wrap
from ..autodiff.primitives.checks import refuse_p, warn_p
from ..autodiff.primitives.elementwise import (
    divide_p,
    equal_p,
    less_equal_p,
    less_p,
    maximum_p,
    minimum_p,
    multiply_p,
    not_equal_p,
    select_p,
    subtract_p,
)
from ..autodiff.primitives.manipulation import concatenate_p, transpose_p
from ..autodiff.primitives.reductions import count_values, keep_axes, sum_values
from ..autodiff.primitives.rounding import rint_p
from ..autodiff.rules import broadcast_to_p, convert, imag_p, real_p, reshape_p
from ..autodiff.sizes import intp, iota, size_value
from .reductions import NONE, array_axes, finish, handle, is_set, mask_of

_FLOAT64 = np.dtype(np.float64)
_TOO_FEW = "Degrees of freedom <= 0 for slice"
_EXACT_COUNTS = {np.dtype(np.float64): 2**53, np.dtype(np.float32): 2**24}


def divided(total: Value, count: Value) -> Value:
    """``total / count`` in the dtype of ``total``; rounded once, from a double if it is narrow."""
    dtype = dtype_of(total)
    if type(count) is Dim:
        exact = dtype == _FLOAT64
        count = size_value(count) if exact else intp(count)
    if type(count) is int and count < _EXACT_COUNTS.get(dtype, 0):
        return divide_p(total, count)
    return convert(divide_p(total, np.intp(count) if type(count) is int else count), dtype)


def counted(x: Value, axes: tuple[int, ...], mask: Value | None, keepdims: bool) -> Value:
    """How many elements each reduction sees: a size, or a Value where a mask decides."""
    shape = shape_of(x)
    if mask is None:
        return shapes.prod(shape[a] for a in axes)
    count = count_values(broadcast_to_p(mask, shape=shape), axes)
    return keep_axes(count, shape, axes) if keepdims else count


def masked_sum(
    x: Value, axes: tuple[int, ...], dtype: Any, mask: Value | None, keepdims: bool
) -> Value:
    """``np.sum`` on Values."""
    shape = shape_of(x)
    if mask is not None:
        x = select_p(mask, x, dtype_of(x).type(0))
    total = sum_values(x, axes, dtype)
    return keep_axes(total, shape, axes) if keepdims else total


@implements(np.mean)
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    *,
    where: Any = NONE,
) -> Any:
    x = value_of(a)
    axes = array_axes(axis, ndim_of(x))
    mask = mask_of(where, x)
    keep = is_set(keepdims)
    count = counted(x, axes, mask, keep)
    _warn_if_too_few(count, 0, "Mean of empty slice")
    working = None if dtype is None else np.dtype(dtype)
    if working is None and dtype_of(x).kind in "biu":
        working = _FLOAT64
    narrow = working is None and dtype_of(x) == np.float16
    total = masked_sum(x, axes, np.dtype(np.float32) if narrow else working, mask, keep)
    result = divided(total, count)
    return finish("np.mean", convert(result, dtype_of(x)) if narrow else result, out)


def _warn_if_too_few(count: Any, least: Value, message: str) -> None:
    if not (is_size(count) and is_size(least)):
        warn_p(less_equal_p(size_value(count), least), message=message)
    elif count <= least:
        warn_p(True, message=message)


def squared(x: Value) -> Value:
    """``|x|**2``, without a detour through the absolute value."""
    if dtype_of(x).kind != "c":
        return multiply_p(x, x)
    real, imag = real_p(x), imag_p(x)
    return multiply_p(real, real) + multiply_p(imag, imag)


def freedom_of(ddof: Any, correction: Any) -> Value:
    if correction is NONE:
        return value_of(ddof)
    if value_of(ddof) != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return value_of(correction)


def _variance(
    a: Any, axis: Any, dtype: Any, ddof: Value, keep: bool, where: Any, center: Any
) -> Value:
    x = value_of(a)
    axes = array_axes(axis, ndim_of(x))
    mask = mask_of(where, x)
    count = counted(x, axes, mask, True)
    _warn_if_too_few(count, ddof, _TOO_FEW)
    working = None if dtype is None else np.dtype(dtype)
    if working is None and dtype_of(x).kind in "biu":
        working = _FLOAT64
    if center is NONE or center is None:
        middle = divided(masked_sum(x, axes, working, mask, True), count)
    else:
        middle = value_of(center)
    squares = squared(subtract_p(x, middle))
    total = masked_sum(squares, axes, working, mask, True)
    freedom = maximum_p(subtract_p(intp(count) if is_size(count) else count, ddof), 0)
    result = convert(divide_p(total, freedom), dtype_of(total))
    return result if keep else reshape_p(result, shape=shapes.reduced(shape_of(x), axes))


@implements(np.var)
def var(
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
    freedom = freedom_of(ddof, correction)
    result = _variance(a, axis, dtype, freedom, is_set(keepdims), where, mean)
    return finish("np.var", result, out)


@implements(np.std)
def std(
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
    """Where all elements are equal, the derivative is the subgradient 0."""
    freedom = freedom_of(ddof, correction)
    variance = _variance(a, axis, dtype, freedom, is_set(keepdims), where, mean)
    if dtype_of(variance).kind in "iub":
        ones = np.ones((1,) * (ndim_of(variance) + 1))
        np.std(ones, axis=0, dtype=dtype_of(variance))  # NumPy refuses arrays of rounded roots
    deviation = np.sqrt(handle(variance))
    return finish("np.std", convert(value_of(deviation), dtype_of(variance)), out)


def weights_for(weights: Any, x: Value, axis: Any) -> Value:
    """``weights`` as a Value that broadcasts to x: of its shape, or of that of the axes."""
    w = value_of(weights)
    shape = shape_of(x)
    if shape_of(w) == shape:
        return w
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    given = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(shapes.axis_index(i, len(shape)) for i in given)
    if shape_of(w) != tuple(shape[i] for i in axes):
        raise ValueError(
            "Shape of weights must be consistent with shape of a along specified axis."
        )
    order = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    w = transpose_p(w, axes=order)
    return reshape_p(w, shape=tuple(d if i in axes else 1 for i, d in enumerate(shape)))


@implements(np.average)
def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: Any = NONE,
) -> Any:
    x = value_of(a)
    axes = shapes.axis_tuple(axis, ndim_of(x))
    keep = is_set(keepdims)
    if weights is None:
        result = value_of(np.mean(handle(x), axis=axes, keepdims=keep))
        total = convert(size_value(counted(x, axes, None, keep)), dtype_of(result))
    else:
        w = weights_for(weights, x, axis)
        dtype = np.result_type(dtype_of(x), dtype_of(w))
        if dtype_of(x).kind in "biu":
            dtype = np.result_type(dtype, _FLOAT64)
        own = axes if ndim_of(w) else ()
        total = sum_values(w, own, dtype)
        message = "Weights sum to zero, can't be normalized"
        refuse_p(equal_p(total, 0), error=ZeroDivisionError, message=message)
        product = multiply_p(convert(x, dtype), convert(w, dtype))
        result = sum_values(product, axes, dtype)
        if keep:
            total = keep_axes(total, shape_of(w), own)
            result = keep_axes(result, shape_of(x), axes)
        result = divide_p(result, total)
    if weights is None and not shapes.prod(shape_of(result)):
        raise ZeroDivisionError("division by zero")  # as NumPy's count of elements for each mean
    if not returned:
        return wrap(result)
    return wrap(result), wrap(broadcast_to_p(total, shape=shape_of(result)))


def _variables(m: Any, rowvar: bool, dtype: Any, name: str) -> Value:
    """One variable a row, one observation a column."""
    x = value_of(m)
    if ndim_of(x) > 2:
        raise ValueError(f"{name} has more than 2 dimensions")
    flat = ndim_of(x) < 2
    x = convert(x, dtype)
    if flat:
        x = reshape_p(x, shape=(1, shapes.prod(shape_of(x))))
    turned = not rowvar and (shape_of(x)[0] != 1 if name == "y" else not flat)
    return transpose_p(x, axes=(1, 0)) if turned else x


def _frequencies(fweights: Any, n: Any) -> Value:
    w = convert(value_of(fweights), _FLOAT64)
    refuse_p(not_equal_p(w, rint_p(w)), error=TypeError, message="fweights must be integer")
    _check_weights(w, n, "fweights")
    return w


def _check_weights(w: Value, n: Any, name: str) -> None:
    if ndim_of(w) > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if shape_of(w)[0] != n:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    refuse_p(less_p(w, 0), error=ValueError, message=f"{name} cannot be negative")


@implements(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    if dtype is None:
        dtype = np.result_type(dtype_of(value_of(m)), np.float64)
        if y is not None:
            dtype = np.result_type(dtype, dtype_of(value_of(y)))
    x = _variables(m, rowvar, np.dtype(dtype), "m")
    if shape_of(x)[0] == 0:
        return wrap(np.zeros((0, 0)))
    if y is not None:
        x = concatenate_p(x, _variables(y, rowvar, np.dtype(dtype), "y"), axis=0)
    n = shape_of(x)[1]
    if ddof is None:
        ddof = 0 if bias else 1
    w, aw = None, None
    if fweights is not None:
        w = _frequencies(fweights, n)
    if aweights is not None:
        aw = convert(value_of(aweights), _FLOAT64)
        _check_weights(aw, n, "aweights")
        w = aw if w is None else w * aw
    return _covariance(x, w, aw, ddof)


def _covariance(x: Value, w: Value | None, aw: Value | None, ddof: Any) -> Any:
    weights = None if w is None else handle(w)
    center = np.average(handle(x), axis=1, weights=weights)
    total = size_value(shape_of(x)[1]) if w is None else sum_values(w, (0,))
    if w is None or aw is None:
        factor = total - ddof
    elif ddof == 0:
        factor = total
    else:
        factor = total - ddof * sum_values(w * aw, (0,)) / total
    warn_p(less_equal_p(factor, 0), message=_TOO_FEW)
    factor = maximum_p(factor, 0.0)
    centered = subtract_p(x, reshape_p(value_of(center), shape=(shape_of(x)[0], 1)))
    weighted = centered if w is None else centered * w
    other = handle(transpose_p(weighted, axes=(1, 0)))
    products = np.dot(handle(centered), np.conj(other))
    products = value_of(products)
    result = convert(multiply_p(products, divide_p(np.float64(1), factor)), dtype_of(products))
    if shape_of(result) == (1, 1):
        return wrap(reshape_p(result, shape=()), ARRAY0D)
    return wrap(result)


def _clipped(x: Value) -> Value:
    return minimum_p(maximum_p(x, -1.0), 1.0)


@implements(np.corrcoef)
def corrcoef(
    x: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: Any = None,
    ddof: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    c: Any = np.cov(x, y, rowvar, dtype=dtype)
    if not ndim_of(c.value):
        return c / c
    n = shape_of(c.value)[0]
    places = handle(iota(n))
    deviation: Any = np.sqrt(np.real(c[places, places]))
    value = value_of(c / deviation[:, None] / deviation[None, :])
    if dtype_of(value).kind != "c":
        return wrap(_clipped(value))
    # NumPy clips both parts
    return wrap(_clipped(real_p(value)) + multiply_p(_clipped(imag_p(value)), 1j))
