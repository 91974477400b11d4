"""Remainders and steps; slopes of inverse functions.

Those of the first part are exact or, as in NumPy, a few operations rounded in the type itself, so
they work in f32 and in f64 as they are given.
"""

from __future__ import annotations

import math

from .math_numbers import INFINITY, NAN, LaneByLane, Number, fma, where_rare
from .math_power import hypot

# What libm must give, and its declaration in a module. LLVM finds it in the process.
EXTERNAL: dict[str, str] = {"fmod": "func.func private @fmod(f64, f64) -> f64"}


def _exact_fmod(x: Number, y: Number) -> Number:
    """As x - y trunc(x/y), exactly, in f64. The rounded quotient may be one too large."""
    a, b = abs(x), abs(y)
    quotient = (a / b).truncated()
    r = fma(-quotient, b, a)
    r = (r < 0.0)(r + b, r)
    usual = (quotient < 2.0**53) & (b < INFINITY)
    by_libm = LaneByLane("fmod", EXTERNAL["fmod"], 2, ("f64",), x.e.lanes)
    return where_rare(~usual, [r.sign_of(x)], by_libm, [x, y])[0]


def fmod(x: Number, y: Number) -> Number:
    if x.element == "f64":
        return _exact_fmod(x, y)
    wide = [a.cast("arith.extf", "f64") for a in (x, y)]
    return _exact_fmod(*wide).cast("arith.truncf", "f32")


def _floor_remainder(x: Number, y: Number) -> tuple[Number, Number]:
    """fmod, and the remainder with the sign of y. fmod by 0 is nan."""
    plain = fmod(x, y)
    other_sign = (plain < 0.0) ^ (y < 0.0)
    moved = other_sign(plain + y, plain)
    return plain, plain.equals(0.0)(plain.sign_of(y), moved)


def remainder(x: Number, y: Number) -> Number:
    return _floor_remainder(x, y)[1]


def floor_divide(x: Number, y: Number) -> Number:
    """NumPy's: (x - fmod)/y, one less where the remainder was moved, to the next integer."""
    plain, _ = _floor_remainder(x, y)
    moved = plain.is_not(0.0) & ((plain < 0.0) ^ (y < 0.0))
    quotient = (x - plain) / y
    quotient = moved(quotient - 1.0, quotient)
    floor = quotient.floored()
    whole = (quotient - floor > 0.5)(floor + 1.0, floor)
    plain_quotient = x / y
    whole = quotient.equals(0.0)(quotient.like(0.0).sign_of(plain_quotient), whole)
    return y.equals(0.0)(plain_quotient, whole)


def heaviside(x: Number, h: Number) -> Number:
    ans = x.equals(0.0)(h, (x > 0.0)(x.like(1.0), 0.0))
    return x.is_nan()(x, ans)


def deg2rad(x: Number) -> Number:
    return x * _quotient(x, math.pi, 180.0)


def rad2deg(x: Number) -> Number:
    return x * _quotient(x, 180.0, math.pi)


def _quotient(x: Number, a: float, b: float) -> Number:
    """Rounded in the type of x; folded when compiled."""
    return x.like(a) / b


# --- slopes


def cosine(x: Number, y: Number) -> Number:
    """x/hypot(x, y), 0 at the origin, the sign of x where x alone is infinite."""
    size = hypot(x, y)
    ans = x / size.equals(0.0)(1.0, size)
    alone = abs(x).equals(INFINITY) & (abs(y) < INFINITY)
    return alone(x.like(1.0).sign_of(x), ans)


def arcsin_slope(x: Number) -> Number:
    return 1.0 / fma(-x, x, 1.0).sqrt()


def arctan_slope(x: Number) -> Number:
    return 1.0 / fma(x, x, 1.0)


def arcsinh_slope(x: Number) -> Number:
    return 1.0 / hypot(x, 1.0)


def arccosh_slope(x: Number) -> Number:
    large = x > 2.0**500
    root = fma(x, x, -1.0).sqrt()
    return 1.0 / large(x, (x < 1.0)(NAN, root))


def arctanh_slope(x: Number) -> Number:
    return 1.0 / fma(-x, x, 1.0)
