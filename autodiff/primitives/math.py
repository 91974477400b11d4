"""The elementary functions. Derivatives are written so that they stay accurate where the function
is: no differences of nearly equal numbers, no overflow before a quotient.

What they are where a function has no derivative (tests/test_ufuncs.py holds these to be true):

=====================================  ==================  =======================================
where                                  derivative          why
=====================================  ==================  =======================================
abs, fabs at 0; hypot at (0, 0); norm  0                   the least subgradient; 0 in all orders,
of a zero vector                                           though the true ones do not exist
sqrt at 0, cbrt at 0, arcsin at 1 ...  inf                 the limit; a strong zero in front makes 0
maximum, minimum, fmax, fmin, ties     1/2 for each        mean of the two sides, as in JAX
maximum, minimum beside nan            1 for each          the nan is passed on
clip at a bound                        1/2                 minimum of maximum
sign, floor, ceil, rint, trunc, round  0                   constant almost everywhere; jumps too
floor_divide, comparisons, logical     0 or no derivative  as above
remainder, fmod at a multiple          from the right of   x - y * floor(x / y) with the floor that
                                       the jump            the value has
x ** y at x = 0 with respect to y      0                   the limit for y > 0
x ** 0 with respect to x               0                   also at x = 0
x ** y at x < 0 with respect to y      nan                 not real beside an integer y
arctan2, angle at (0, 0)               nan                 no direction is better than another
logaddexp at (-inf, -inf)              1/2 for each        as for any tie; the others have weight 0
copysign at x = 0                      0                   as abs
heaviside with respect to x            0                   constant almost everywhere
modf, frexp                            whole part, exponent constant
nan_to_num at nan, inf                 0                   the value was replaced
=====================================  ==================  =======================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Tracer, Value, dtype_of, ndim_of
from ..rules import convert
from .elementwise import (
    Elementwise,
    Test,
    complex_sign_p,
    equal_p,
    logical_and_p,
    negative_p,
    positive_p,
    reciprocal,
    result_like,
    sign_p,
    strong_multiply_p,
    subtract_p,
    where,
)

LOG2, LOG10 = math.log(2.0), math.log(10.0)
I, MINUS_I = complex(0.0, 1.0), complex(0.0, -1.0)

isinf_p = Test("isinf", np.isinf)


def _is_complex(x: Value) -> bool:
    return dtype_of(x).kind == "c"


def _nonzero(x: Value) -> Value:
    """``x``, with 1 in place of 0."""
    return where(equal_p(x, 0), 1, x)


# --- exponentials and logarithms

exp_p = Elementwise("exp", np.exp, lambda ans, _x: ans)
exp2_p = Elementwise("exp2", np.exp2, lambda ans, _x: ans * LOG2)
# not ans + 1, which is 0 or rounding noise for large negative x
expm1_p = Elementwise("expm1", np.expm1, lambda _ans, x: exp_p(x))
log_p = Elementwise("log", np.log, lambda _ans, x: reciprocal(x))
log2_p = Elementwise("log2", np.log2, lambda _ans, x: reciprocal(x * LOG2))
log10_p = Elementwise("log10", np.log10, lambda _ans, x: reciprocal(x * LOG10))
log1p_p = Elementwise("log1p", np.log1p, lambda _ans, x: reciprocal(x + 1.0))


def _logistic(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.reciprocal(np.exp(np.negative(x)) + 1.0)


# 1/(1 + e^-x); the other factor of the derivative is 1/(1 + e^x), not 1 - ans.
logistic_p = Elementwise(
    "logistic",
    _logistic,
    lambda ans, x: ans * logistic_p(negative_p(x)),
    shape=result_like(np.exp),
)


def _gap(x: Value, y: Value) -> Value:
    """``x - y``, and 0 for two equal infinities."""
    same = logical_and_p(isinf_p(x), equal_p(x, y))
    return where(same, 0, subtract_p(x, y))


# d/dx log(e^x + e^y) = 1/(1 + e^(y-x)), in which, unlike in e^(x-ans), no rounding error of a
# large ans is magnified.
logaddexp_p = Elementwise(
    "logaddexp",
    np.logaddexp,
    lambda _ans, x, y: logistic_p(_gap(x, y)),
    lambda _ans, x, y: logistic_p(_gap(y, x)),
    masks=True,
)
logaddexp2_p = Elementwise(
    "logaddexp2",
    np.logaddexp2,
    lambda _ans, x, y: logistic_p(_gap(x, y) * LOG2),
    lambda _ans, x, y: logistic_p(_gap(y, x) * LOG2),
    masks=True,
)

# --- powers and roots

square_p = Elementwise("square", np.square, lambda _ans, x: x + x)  # half the time of 2.0 * x
sqrt_p = Elementwise("sqrt", np.sqrt, lambda ans, _x: 0.5 / ans, masks=True)


# 1/(3 ans^2), as a square of 1/ans: its derivatives at 0 and infinity are their limits, not nan.
def _cbrt_slope(ans: Value, _x: Value) -> Value:
    return square_p(reciprocal_p(ans)) * (1.0 / 3.0)


cbrt_p = Elementwise("cbrt", np.cbrt, _cbrt_slope, masks=True)
reciprocal_p = Elementwise("reciprocal", np.reciprocal, lambda ans, _x: negative_p(ans * ans))


def _one_less(y: Value) -> Value:
    """``y - 1``; unsigned integers have no -1."""
    return y - 1.0 if dtype_of(y).kind in "bu" else y - 1


# y x^(y-1). Where y = 0 the factor x^(y-1) is multiplied away, but its derivative with respect to
# y is not, so it is replaced only at x = 0, where it is infinite.
def _power_base(_ans: Value, x: Value, y: Value) -> Value:
    if not isinstance(y, Tracer) and not ndim_of(y):
        return 0.0 if y == 0 else power(x, _one_less(y)) * y
    corner = logical_and_p(equal_p(y, 0), equal_p(x, 0))
    return strong_multiply_p(y, power_p(x, where(corner, 1, _one_less(y))))


# x^y log(x)
def _power_exponent(ans: Value, x: Value, _y: Value) -> Value:
    return ans * log_p(_nonzero(convert(x, dtype_of(ans))))


power_p = Elementwise("power", np.power, _power_base, _power_exponent, masks=True)


def power(x: Value, y: Value) -> Value:
    """``x ** y``; the exponents of real numbers that NumPy has a shorter way for take it here too.
    Complex powers are no products: they differ where those overflow, and in the signs of zeros.
    """
    if (type(y) is int or type(y) is float) and dtype_of(x).kind == "f":
        if y == 2:
            return square_p(x)
        if y == 1:
            return positive_p(x)
        if y == 0.5 and ndim_of(x) and dtype_of(x) != np.float16:
            return sqrt_p(x)
        if y == -1:
            return reciprocal_p(x)
    return power_p(x, y)


def float_power(x: Value, y: Value) -> Value:
    """``x ** y`` in double precision at least."""
    wanted = np.result_type(np.float64, dtype_of(x), dtype_of(y))
    return power_p(convert(x, wanted), convert(y, wanted))


# --- lengths and angles


def _cosine(x: Any, y: Any) -> Any:
    with np.errstate(invalid="ignore"):
        size = np.hypot(x, y)
        ans = np.divide(x, np.where(size == 0, size.dtype.type(1), size))
        alone = np.isinf(x) & np.isfinite(y)
        return np.where(alone, np.sign(x), ans)[()] if np.any(alone) else ans


# x/h with h = hypot(x, y), 0 at the origin. With s = y/h: its derivatives are s^2/h and -ans s/h,
# free of the cancellation in 1/h - x^2/h^3.
cosine_p = Elementwise(
    "cosine",
    _cosine,
    lambda _ans, x, y: _square_of(cosine_p(y, x)) / _nonzero(hypot_p(x, y)),
    lambda ans, x, y: negative_p(ans * cosine_p(y, x)) / _nonzero(hypot_p(x, y)),
    masks=True,
    shape=result_like(np.hypot),
)


def _square_of(x: Value) -> Value:
    return x * x


hypot_p = Elementwise(
    "hypot",
    np.hypot,
    lambda _ans, x, y: cosine_p(x, y),
    lambda _ans, x, y: cosine_p(y, x),
    masks=True,
)
# d atan2(y, x) = (x dy - y dx)/h^2, one factor 1/h at a time so that nothing overflows.
arctan2_p = Elementwise(
    "arctan2",
    np.arctan2,
    lambda _ans, y, x: cosine_p(x, y) / hypot_p(x, y),
    lambda _ans, y, x: negative_p(cosine_p(y, x)) / hypot_p(x, y),
    masks=True,
)

_TO_RADIANS, _TO_DEGREES = math.pi / 180.0, 180.0 / math.pi
deg2rad_p = Elementwise("deg2rad", np.deg2rad, _TO_RADIANS)
radians_p = Elementwise("radians", np.radians, _TO_RADIANS)
rad2deg_p = Elementwise("rad2deg", np.rad2deg, _TO_DEGREES)
degrees_p = Elementwise("degrees", np.degrees, _TO_DEGREES)

# --- trigonometric functions and their inverses

sin_p = Elementwise("sin", np.sin, lambda _ans, x: cos_p(x))
cos_p = Elementwise("cos", np.cos, lambda _ans, x: negative_p(sin_p(x)))


# 1 + tan^2 is a sum of positive numbers on the real line only; 1/cos(z)^2 = 1/cosh(iz)^2.
def _tan_slope(ans: Value, x: Value) -> Value:
    return sech_squared_p(x * I) if _is_complex(x) else ans * ans + 1.0


tan_p = Elementwise("tan", np.tan, _tan_slope)


# The slope s of an inverse function is 1/q or 1/sqrt(q) with q = 1 - x^2, 1 + x^2 or x^2 - 1, so s'
# is c x s^2 or c x s^3. They are primitives because the factors of q, which keep s accurate where
# they vanish, have derivatives that cancel near 0.
def _slope(inverse: np.ufunc, slope: Callable[[Any], Any], c: float, power: int) -> Elementwise:
    def partial(ans: Value, x: Value) -> Value:
        return (x * ans) * (ans * ans if power == 3 else ans) * c

    return Elementwise(
        f"{inverse.__name__}_slope", slope, partial, masks=True, shape=result_like(inverse)
    )


# The sign of a zero imaginary part tells the sides of a branch cut apart. Subtracting a real number
# keeps it, adding one does not.
def _one_minus(x: Any) -> Any:
    return np.negative(x - 1.0) if np.iscomplexobj(x) else 1.0 - x


def _one_plus(x: Any) -> Any:
    return x - -1.0


def _arcsin_slope(x: Any) -> Any:
    if np.iscomplexobj(x):
        return np.reciprocal(np.sqrt(_one_minus(x)) * np.sqrt(_one_plus(x)))
    return np.reciprocal(np.sqrt(_one_minus(x) * _one_plus(x)))


# for complex z (z - i)(z + i), which does not overflow
def _arctan_slope(x: Any) -> Any:
    if np.iscomplexobj(x):
        return np.reciprocal(x - I) * np.reciprocal(x - MINUS_I)
    return np.reciprocal(x * x + 1.0)


arcsin_slope_p = _slope(np.arcsin, _arcsin_slope, 1.0, 3)
arctan_slope_p = _slope(np.arctan, _arctan_slope, -2.0, 2)
arcsin_p = Elementwise("arcsin", np.arcsin, lambda _ans, x: arcsin_slope_p(x), masks=True)
arccos_p = Elementwise(
    "arccos", np.arccos, lambda _ans, x: negative_p(arcsin_slope_p(x)), masks=True
)
arctan_p = Elementwise("arctan", np.arctan, lambda _ans, x: arctan_slope_p(x))

# --- hyperbolic functions and their inverses


def _sech_squared(x: Any) -> Any:
    if dtype_of(x).kind != "c":
        return np.reciprocal(np.square(np.cosh(x)))
    decay = np.exp(np.where(np.real(x) < 0, x, np.negative(x)) * 2.0)
    root = decay + 1.0
    return decay * 4.0 / (root * root)


# 1/cosh^2, which unlike 1 - tanh^2 is right, not 0, where tanh has reached 1. For complex numbers
# 4 e^-2x/(1 + e^-2x)^2, where an overflowing cosh would give nan.
sech_squared_p = Elementwise(
    "sech_squared",
    _sech_squared,
    lambda ans, x: tanh_p(x) * ans * -2.0,
    shape=result_like(np.tanh),
)
sinh_p = Elementwise("sinh", np.sinh, lambda _ans, x: cosh_p(x))
cosh_p = Elementwise("cosh", np.cosh, lambda _ans, x: sinh_p(x))
tanh_p = Elementwise("tanh", np.tanh, lambda _ans, x: sech_squared_p(x))


# subtracting -i rather than adding i keeps a negative zero real part
def _arcsinh_slope(x: Any) -> Any:
    if np.iscomplexobj(x):
        return np.reciprocal(np.sqrt((x - I) * (x - MINUS_I)))
    return np.reciprocal(np.hypot(x, 1.0))


def _arccosh_slope(x: Any) -> Any:
    return np.reciprocal(np.sqrt(x - 1.0) * np.sqrt(_one_plus(x)))


def _arctanh_slope(x: Any) -> Any:
    return np.reciprocal(_one_minus(x)) * np.reciprocal(x + 1.0)


arcsinh_slope_p = _slope(np.arcsinh, _arcsinh_slope, -1.0, 3)
arccosh_slope_p = _slope(np.arccosh, _arccosh_slope, -1.0, 3)
arctanh_slope_p = _slope(np.arctanh, _arctanh_slope, 2.0, 2)
arcsinh_p = Elementwise("arcsinh", np.arcsinh, lambda _ans, x: arcsinh_slope_p(x), masks=True)
arccosh_p = Elementwise("arccosh", np.arccosh, lambda _ans, x: arccosh_slope_p(x), masks=True)
arctanh_p = Elementwise("arctanh", np.arctanh, lambda _ans, x: arctanh_slope_p(x))

# --- signs

fabs_p = Elementwise("fabs", np.fabs, lambda _ans, x: sign_p(x), masks=True)
# |x| with the sign of y
copysign_p = Elementwise(
    "copysign",
    np.copysign,
    lambda ans, x, y: sign_p(convert(x, dtype_of(ans))) * copysign_p(dtype_of(ans).type(1), y),
    None,
    masks=True,
)


def sign(x: Value) -> Value:
    """-1, 0, 1; of a complex number z/|z|."""
    return complex_sign_p(x) if _is_complex(x) else sign_p(x)
