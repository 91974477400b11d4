"""Sine, cosine, tangent.

x = n pi/2 + r + low with |r| <= pi/4, which `math_reduction` finds.
"""

from __future__ import annotations

from .math_numbers import Number, fast_two_sum, fma, polynomial
from .math_reduction import reduce

PI = 3.141592653589793

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


def _signed(size: Number, n: Number) -> Number:
    """Minus ``size`` in the third and fourth quadrants."""
    shift = 62 if size.element == "f64" else 30
    return (size.bits() ^ ((n << shift) & size.format.sign)).float()


def sin(x: Number) -> Number:
    n, r, low = reduce(x)
    sin, sin_low, cos, cos_low = _sin_cos(r, low)
    odd = _is_odd(n)
    return x.equals(0.0)(x, _signed(odd(cos, sin) + odd(cos_low, sin_low), n))


def cos(x: Number) -> Number:
    n, r, low = reduce(x)
    sin, sin_low, cos, cos_low = _sin_cos(r, low)
    odd = _is_odd(n)
    return _signed(odd(sin, cos) + odd(sin_low, cos_low), n + 1)


def sin_and_cos(x: Number) -> tuple[Number, Number]:
    n, r, low = reduce(x)
    sin, sin_low, cos, cos_low = _sin_cos(r, low)
    sin, cos, odd = sin + sin_low, cos + cos_low, _is_odd(n)
    return x.equals(0.0)(x, _signed(odd(cos, sin), n)), _signed(odd(sin, cos), n + 1)


def tan(x: Number) -> Number:
    """sin/cos or -cos/sin, with the remainder of the division."""
    n, r, low = reduce(x)
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
