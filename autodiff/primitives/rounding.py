"""What is constant, or has slope 1, between jumps.

Rounding, remainders, the parts of a floating-point number, bits, and tests of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import PYTHON_DTYPES, Aval, Value, shape_of
from ..rules import Linear, unbroadcast
from .elementwise import (
    Elementwise,
    Test,
    as_float,
    elementwise_batch,
    equal_p,
    logical_and_p,
    logical_not_p,
    negative_p,
    result_like,
    share_p,
)

floor_p = Test("floor", np.floor)
ceil_p = Test("ceil", np.ceil)
trunc_p = Test("trunc", np.trunc)
rint_p = Test("rint", np.rint)
floor_divide_p = Test("floor_divide", np.floor_divide)
spacing_p = Test("spacing", np.spacing)

isfinite_p = Test("isfinite", np.isfinite)
isnan_p = Test("isnan", np.isnan)
signbit_p = Test("signbit", np.signbit)
logical_xor_p = Test("logical_xor", np.logical_xor)

bitwise_and_p = Test("bitwise_and", np.bitwise_and)
bitwise_or_p = Test("bitwise_or", np.bitwise_or)
bitwise_xor_p = Test("bitwise_xor", np.bitwise_xor)
bitwise_count_p = Test("bitwise_count", np.bitwise_count)
invert_p = Test("invert", np.invert)
left_shift_p = Test("left_shift", np.left_shift)
right_shift_p = Test("right_shift", np.right_shift)
gcd_p = Test("gcd", np.gcd)
lcm_p = Test("lcm", np.lcm)

# To ``decimals`` places, negative ones before the point.
round_p = Test("round", np.round, lambda x, *, decimals: Aval(x.shape, x.dtype))


def _round_number(x: Any, *, digits: int) -> Any:
    if type(x) in PYTHON_DTYPES:
        return round(x, digits)
    numbers = [round(number, digits) for number in np.ravel(x).tolist()]
    return np.array(numbers, x.dtype).reshape(x.shape)[()]


# Python's own rounding: to the decimal number that is nearest to x, exactly.
round_number_p = Test(
    "round_number", _round_number, lambda x, *, digits: Aval(x.shape, x.dtype, x.weak)
)


# x - y q with a whole number q, which is constant between the jumps: -q with respect to y. Found
# from the exact remainder; x / y could have been rounded to the next whole number.
def _minus_quotient(ans: Value, x: Value, y: Value) -> Value:
    return negative_p(rint_p((x - ans) / y))


remainder_p = Elementwise("remainder", np.remainder, 1.0, _minus_quotient)
fmod_p = Elementwise("fmod", np.fmod, 1.0, _minus_quotient)


def divmod_values(x: Value, y: Value) -> tuple[Value, Value]:
    """Quotient and remainder."""
    return floor_divide_p(x, y), remainder_p(x, y)


modf_fraction_p = Elementwise(
    "modf_fraction", lambda x: np.modf(x)[0], 1.0, shape=result_like(np.modf)
)
modf_whole_p = Test("modf_whole", lambda x: np.modf(x)[1], result_like(np.modf))


def modf(x: Value) -> tuple[Value, Value]:
    """Fractional and whole part."""
    return modf_fraction_p(x), modf_whole_p(x)


# x 2^n, linear in x.
ldexp_p = Linear(
    "ldexp",
    np.ldexp,
    lambda ct, x, n: unbroadcast(ldexp_p(ct, n), shape_of(x)),
    shape=result_like(np.ldexp),
    batch=elementwise_batch,
)

frexp_exponent_p = Test(
    "frexp_exponent",
    lambda x: np.frexp(x)[1],
    lambda x: Aval(x.shape, np.dtype(np.intc)),
)


def frexp(x: Value) -> tuple[Value, Value]:
    """Mantissa and exponent; the product with a power of 2 is exact."""
    exponent = frexp_exponent_p(x)
    return ldexp_p(x, negative_p(exponent)), exponent


# One step of the last digit further: parallel to the identity.
nextafter_p = Elementwise("nextafter", np.nextafter, 1.0, None)

# 0, h, 1 for x below, at, above 0: the derivative with respect to h is 1 where x is 0.
heaviside_p = Elementwise(
    "heaviside", np.heaviside, None, lambda ans, x, _h: as_float(equal_p(x, 0), ans), masks=True
)


def _drop_nan(share: Callable[[Value, Value], Value]) -> tuple[Any, Any]:
    """Both partials of a function that passes over a nan where the other is a number.

    ``share`` is the first one for numbers.
    """

    def first(ans: Value, x: Value, y: Value) -> Value:
        lost = logical_and_p(isnan_p(x), logical_not_p(isnan_p(y)))
        return share(x, y) * as_float(logical_not_p(lost), ans)

    def second(ans: Value, x: Value, y: Value) -> Value:
        return first(ans, y, x)

    return first, second


fmax_p = Elementwise("fmax", np.fmax, *_drop_nan(share_p), masks=True)
fmin_p = Elementwise("fmin", np.fmin, *_drop_nan(lambda x, y: share_p(y, x)), masks=True)
