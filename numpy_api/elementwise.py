"""NumPy's elementwise functions that are not ufuncs."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import (
    PYTHON_DTYPES,
    Tracer,
    Value,
    aval_of,
    dtype_of,
    is_weak,
    layout_of,
    ndim_of,
    shape_of,
)
from ..autodiff.dispatch import implements
from ..autodiff.handles import (
    WEAK,
    TracedArray,
    array_value,
    assign,
    compact,
    handle_of,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.elementwise import (
    absolute_p,
    equal_p,
    less_equal_p,
    logical_and_p,
    logical_not_p,
    logical_or_p,
    maximum_p,
    minimum_p,
    not_equal_p,
    select_p,
    ufunc_dtype,
)
from ..autodiff.primitives.math import arctan2_p, isinf_p
from ..autodiff.primitives.parts import join_parts_p
from ..autodiff.primitives.rounding import isfinite_p, isnan_p, round_p, signbit_p, trunc_p
from ..autodiff.primitives.sinc import sinc_derivative
from ..autodiff.protocols import write_out
from ..autodiff.rules import convert, imag_p, real_p, stop_gradient_p, weaken_p
from .namespace import replaces_for_handles

_NOT_GIVEN: Any = np._NoValue  # NumPy's own default


def _is_complex(x: Value) -> bool:
    return dtype_of(x).kind == "c"


def _constant(x: Any) -> Value:
    """The Value, for functions whose results have no derivative."""
    value = value_of(x)
    return value if type(value) in PYTHON_DTYPES else stop_gradient_p(value)


def _all(truth: Value) -> Any:
    """Whether all are true, as Python's bool."""
    handle: Any = wrap(truth)
    found = value_of(np.all(handle))
    return wrap(weaken_p(found), WEAK) if isinstance(found, Tracer) else bool(found)


# --- complex numbers


@implements(np.real)
def real(val: Any) -> Any:
    return handle_of(val).real


@implements(np.imag)
def imag(val: Any) -> Any:
    return handle_of(val).imag


@implements(np.angle)
def angle(z: Any, deg: Any = False) -> Any:
    x = value_of(z)
    y, x = (imag_p(x), real_p(x)) if _is_complex(x) else (0, x)
    out = arctan2_p(y, x)
    return wrap(out * (180.0 / math.pi) if deg else out)


@implements(np.real_if_close)
def real_if_close(a: Any, tol: Any = 100) -> Any:
    a = views.boxed(handle_of(a))
    if not _is_complex(a.value):
        return a
    if tol > 1:
        tol = np.finfo(dtype_of(a.value)).eps * tol
    return a.real if np.all(np.absolute(a.imag) < tol) else a


@implements(np.isreal)
def isreal(x: Any) -> Any:
    return wrap(equal_p(imag_p(_constant(x)), 0))


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    return wrap(not_equal_p(imag_p(_constant(x)), 0))


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    return _is_complex(value_of(x))


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    return not _is_complex(value_of(x))


# --- rounding and clipping


@implements(np.round, np.around)
def round(a: Any, decimals: Any = 0, out: Any = None) -> Any:
    decimals = unwrap_known(decimals, "np.round: decimals")
    x = value_of(a)
    if dtype_of(x).kind == "b":
        np.round(np.True_, decimals)  # NumPy refuses all but 0
        x = convert(x, np.dtype(np.float16))
    rounded = round_p(x, decimals=decimals)
    if decimals and dtype_of(x).kind == "f" and not layout_of(x).flags.fnc:
        rounded = compact(rounded)  # where NumPy scales, it makes an array in one of two orders
    return write_out("np.round", out, wrap(rounded))


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    return write_out("np.fix", out, wrap(trunc_p(value_of(x))))


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = _NOT_GIVEN,
    a_max: Any = _NOT_GIVEN,
    out: Any = None,
    *,
    min: Any = _NOT_GIVEN,
    max: Any = _NOT_GIVEN,
    **kwargs: Any,
) -> Any:
    low, high = _clip_bounds(a_min, a_max, min, max)
    a = a if type(a) is TracedArray and a._kind != WEAK else wrap(array_value(a))
    low, high = _drop_idle_bounds(dtype_of(a.value), low, high)
    if low is not None and high is not None and kwargs.get("dtype") is None:
        a, low, high = _in_one_dtype(a, low, high)
    if out is not None or kwargs:
        return _clip_with_keywords(a, low, high, out, kwargs)
    x = a.value
    if low is not None and high is not None:  # the order of arguments keeps the sign of a zero
        return wrap(minimum_p(value_of(high), maximum_p(value_of(low), x)))
    if low is not None:
        return wrap(maximum_p(x, value_of(low)))
    return np.positive(a) if high is None else wrap(minimum_p(x, value_of(high)))


def _in_one_dtype(*operands: Any) -> list[TracedArray]:
    """Array and bounds as NumPy's clip compares them: all three decide about the dtype."""
    values = [value_of(x) for x in operands]
    dtype = ufunc_dtype(np._core.umath.clip, *map(aval_of, values))  # pyright: ignore[reportAttributeAccessIssue] - a ufunc without a public name
    return [wrap(convert(x, dtype)) for x in values]


def _clip_bounds(a_min: Any, a_max: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The bounds by either of their two names, as NumPy's clip takes them."""
    if a_min is _NOT_GIVEN and a_max is _NOT_GIVEN:
        return (None if low is _NOT_GIVEN else low), (None if high is _NOT_GIVEN else high)
    for name, bound in (("a_min", a_min), ("a_max", a_max)):
        if bound is _NOT_GIVEN:
            raise TypeError(
                f"clip() missing 1 required positional argument: {name!r}; for one bound only "
                f"write {name}=None"
            )
    if low is not _NOT_GIVEN or high is not _NOT_GIVEN:
        raise ValueError(
            "Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is "
            "forbidden."
        )
    return a_min, a_max


def _drop_idle_bounds(dtype: np.dtype[Any], low: Any, high: Any) -> tuple[Any, Any]:
    """Python integers beyond an integer array's range bound nothing."""
    if dtype.kind in "iu":
        least, greatest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        if type(low) is int and low <= least:
            low = None
        elif _is_traced_int(low):
            low = wrap(weaken_p(maximum_p(low.value, least)), WEAK)
        if type(high) is int and high >= greatest:
            high = None
        elif _is_traced_int(high) and greatest <= np.iinfo(np.int64).max:
            high = wrap(weaken_p(minimum_p(high.value, greatest)), WEAK)
    return low, high


def _is_traced_int(x: Any) -> TypeGuard[TracedArray]:
    """Whether x is a Python int whose number is not known."""
    return type(x) is TracedArray and is_weak(x.value) and dtype_of(x.value).kind == "i"


def _clip_with_keywords(a: Any, low: Any, high: Any, out: Any, keywords: dict[str, Any]) -> Any:
    """The last operation takes ``out`` and ``where``, all take ``dtype`` and ``casting``."""
    first = {name: value for name, value in keywords.items() if name != "where"}
    if low is not None and high is not None:
        return np.minimum(high, np.maximum(low, a, **first), out=out, **keywords)
    if low is not None:
        return np.maximum(a, low, out=out, **keywords)
    if high is not None:
        return np.minimum(a, high, out=out, **keywords)
    return np.positive(a, out=out, **keywords)


@replaces_for_handles("nan_to_num")
@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    value = value_of(x)
    new = value
    if dtype_of(value).kind == "f":
        new = _replaced(value, nan, posinf, neginf)
    elif _is_complex(value):
        parts = [_replaced(part, nan, posinf, neginf) for part in (real_p(value), imag_p(value))]
        new = join_parts_p(*parts)
    if copy or type(x) is not TracedArray or x.is_scalar():
        return wrap(new)
    assign(x, new)
    return x


def _replaced(x: Value, nan: Any, posinf: Any, neginf: Any) -> Value:
    """Real numbers with nan and the infinities replaced."""
    dtype = dtype_of(x)
    limits = np.finfo(dtype)
    below, infinite = signbit_p(x), isinf_p(x)
    for mask, number in (
        (isnan_p(x), nan),
        (logical_and_p(infinite, logical_not_p(below)), limits.max if posinf is None else posinf),
        (logical_and_p(infinite, below), limits.min if neginf is None else neginf),
    ):
        x = select_p(mask, convert(value_of(number), dtype), x)
    return x


# --- comparing with tolerance


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False) -> Any:
    x, y, rtol, atol = (_constant(part) for part in (a, b, rtol, atol))
    if dtype_of(y).kind not in "fc":  # abs of the least integer would overflow
        y = float(y) if type(y) in PYTHON_DTYPES else convert(y, np.result_type(dtype_of(y), 1.0))
    with np.errstate(invalid="ignore"):
        near = less_equal_p(absolute_p(x - y), atol + rtol * absolute_p(y))
        close = logical_or_p(logical_and_p(near, isfinite_p(y)), equal_p(x, y))
        if equal_nan:
            close = logical_or_p(close, logical_and_p(isnan_p(x), isnan_p(y)))
    return wrap(close)


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False) -> Any:
    """A traced bool: `if` takes it where the value is known, vmap maps over it."""
    return _all(value_of(isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: Any = False) -> Any:
    x, y = _constant(a1), _constant(a2)
    if shape_of(x) != shape_of(y):
        return False
    same = equal_p(x, y)
    if equal_nan:
        same = logical_or_p(same, logical_and_p(isnan_p(x), isnan_p(y)))
    return _all(same)


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    x, y = _constant(a1), _constant(a2)
    try:
        shapes.broadcast(shape_of(x), shape_of(y))
    except ValueError:
        return False
    return _all(equal_p(x, y))


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    return write_out("np.isposinf", out, wrap(_infinite_with_sign("isposinf", x, False)))


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    return write_out("np.isneginf", out, wrap(_infinite_with_sign("isneginf", x, True)))


def _infinite_with_sign(name: str, x: Any, negative: bool) -> Value:
    value = _constant(x)
    if _is_complex(value):
        raise TypeError(
            f"np.{name}: not defined for {dtype_of(value)} values, which have no sign; write "
            f"np.{name}(x.real)"
        )
    sign = signbit_p(value)
    return logical_and_p(isinf_p(value), sign if negative else logical_not_p(sign))


# --- functions


@implements(np.sinc)
def sinc(x: Any) -> Any:
    x = value_of(x)
    if dtype_of(x).kind in "iub":  # NumPy multiplies by pi first
        x = convert(x, np.dtype(float))
    return wrap(sinc_derivative(0)(x))


@replaces_for_handles("unwrap")
@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * math.pi) -> Any:
    """Where neighbours jump by more than ``discont``, whole periods are added to what follows."""
    p = handle_of(p)
    axis = shapes.axis_index(axis, ndim_of(p.value))
    lead = (slice(None),) * axis
    steps = np.diff(p, axis=axis)
    corrections = _jumps_to_periods(steps, period / 2 if discont is None else discont, period)
    start, rest = p[(*lead, slice(None, 1))], p[(*lead, slice(1, None))]
    joined = np.concatenate([start, rest + np.cumsum(corrections, axis)], axis)
    integers = np.result_type(dtype_of(value_of(steps)), _period_dtype(period))
    return wrap(convert(value_of(joined), integers))


def _period_dtype(period: Any) -> Any:
    """The period's type for promotion; that of a Python number is weak."""
    value = value_of(period)
    return value if type(value) in PYTHON_DTYPES else dtype_of(value)


def _jumps_to_periods(steps: Any, discont: Any, period: Any) -> Any:
    """The whole periods that bring every step into the half-open interval of one period."""
    whole = np.result_type(dtype_of(value_of(steps)), _period_dtype(period)).kind in "iu"
    high = period // 2 if whole else period / 2
    within = np.mod(steps + high, period) - high
    if not whole or period % 2 == 0:  # a step of half a period keeps its sign
        within = np.where((within == -high) & (steps > 0), high, within)
    return np.where(np.absolute(steps) < discont, 0, within - steps)
