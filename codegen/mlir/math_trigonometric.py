"""Sine, cosine, tangent.

x = n pi/2 + r + low with |r| <= pi/4: pi/2 is subtracted in three parts by fused multiply-adds, the
first of which is exact. That serves up to 2^28; beyond, `math_reduction` finds r, lane by lane.
"""

from __future__ import annotations

from .math_numbers import (
    MAGIC,
    Number,
    fast_two_sum,
    fma,
    polynomial,
    two_product,
    where_rare,
)
from .math_reduction import REDUCE

TWO_OVER_PI = 0.6366197723675814
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
PI = 3.141592653589793
_LARGE = 2.0**28

# (sin(r) - r)/r^3 and (cos(r) - 1 + r^2/2)/r^4 as polynomials in r^2 for |r| <= pi/4:
# 2^-58 and 2^-64, 2^-28 and 2^-33
_SIN = [
    -0.16666666666666632, 0.008333333333322316, -0.00019841269829725313, 2.755731366205312e-06,
    -2.5050753261135355e-08, 1.589650469254627e-10,
]  # fmt: skip
_COS = [
    0.0416666666666666, -0.001388888888887399, 2.4801587289394777e-05, -2.755731432597521e-07,
    2.087571954996016e-09, -1.1359448182842138e-11,
]  # fmt: skip
_SIN_NARROW = [-0.16666654876262135, 0.008332173632121792, -0.00019516662156987828]
_COS_NARROW = [0.04166664676082293, -0.001388736204303402, 2.4437790624193356e-05]


def _reduce(x: Number) -> tuple[Number, Number, Number]:
    """The quadrant n as an integer (its last bits), r and low."""
    if x.element == "f32":
        return _reduce_single(x)
    shifted = fma(x, TWO_OVER_PI, MAGIC)
    n = shifted - MAGIC
    first = fma(n, -HALF_PI[0], x)
    second, second_low = two_product(n, HALF_PI[1])
    r, low = fast_two_sum(first, -second)
    low = fma(n, -HALF_PI[2], low - second_low)
    quadrant, r, low = where_rare(abs(x) > _LARGE, [shifted.bits(), r, low], REDUCE, [x])
    return quadrant, r, low


def _reduce_single(x: Number) -> tuple[Number, Number, Number]:
    """The same in f64, which has digits to spare."""
    x = x.cast("arith.extf", "f64")
    shifted = fma(x, TWO_OVER_PI, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -HALF_PI[1], fma(n, -HALF_PI[0], x))
    usual = [shifted.bits(), r, x.like(0.0)]
    quadrant, r, _ = where_rare(abs(x) > _LARGE, usual, REDUCE, [x])
    high = r.cast("arith.truncf", "f32")
    low = (r - high.cast("arith.extf", "f64")).cast("arith.truncf", "f32")
    return quadrant.cast("arith.trunci", "i32"), high, low


def _sin_cos(r: Number, low: Number) -> tuple[Number, Number, Number, Number]:
    """sin(r + low) and cos(r + low), each as a number and a small addend."""
    z = r * r
    half = z * 0.5
    near_one = 1.0 - half
    sin_low = r * z * polynomial(z, _SIN, _SIN_NARROW)
    cos_low = ((1.0 - near_one) - half) + z * z * polynomial(z, _COS, _COS_NARROW)
    return r, sin_low + fma(low, -half, low), near_one, fma(-r, low, cos_low)


def _is_odd(n: Number) -> Number:
    return (n & 1).is_not(0)


def _wave(x: Number, quarters: int) -> Number:
    """The value of sin(x + quarters pi/2)."""
    n, r, low = _reduce(x)
    n = n + quarters if quarters else n
    shift = 62 if x.element == "f64" else 30
    sin, sin_low, cos, cos_low = _sin_cos(r, low)
    odd = _is_odd(n)
    ans = odd(cos, sin) + odd(cos_low, sin_low)
    return (ans.bits() ^ ((n << shift) & x.format.sign)).float()


def sin(x: Number) -> Number:
    return x.equals(0.0)(x, _wave(x, 0))


def cos(x: Number) -> Number:
    return _wave(x, 1)


def tan(x: Number) -> Number:
    """sin/cos or -cos/sin, with the remainder of the division."""
    n, r, low = _reduce(x)
    sin, sin_low, cos, cos_low = _sin_cos(r, low)
    sin, sin_low = fast_two_sum(sin, sin_low)
    cos, cos_low = fast_two_sum(cos, cos_low)
    odd = _is_odd(n)
    top, bottom = odd(-cos, sin), odd(sin, cos)
    inverse = 1.0 / bottom
    ans = top * inverse
    rest = fma(-ans, bottom, top) + (odd(-cos_low, sin_low) - ans * odd(sin_low, cos_low))
    return x.equals(0.0)(x, fma(rest, inverse, ans))


def sinc(x: Number) -> Number:
    """sin(y)/y with y = pi x rounded, as in NumPy; 1 at 0."""
    y = x * PI
    return x.equals(0.0)(1.0, sin(y) / y)
