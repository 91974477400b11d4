"""Elementwise functions of real floating-point numbers: f(loop, *names) -> name.

Bit for bit what NumPy's loops give. What is not here is one of the functions of `math_table`, as
accurate as NumPy's. A float16 is computed as f32; the caller rounds the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .convert import HALF
from .loop import Loop, UnsupportedError
from .math_table import TRANSCENDENTAL

# --- rows of one operation


def operation(op: str) -> Callable[..., str]:
    """The row of what MLIR has an operation for."""
    return lambda loop, *names: loop(op, *names)


def comparison(predicate: str) -> Callable[..., str]:
    return lambda loop, x, y: loop.test(predicate, x, y)


def elementary(loop: Loop, name: str, *names: str) -> str:
    """A function of `math_table`."""
    if name not in TRANSCENDENTAL:
        raise UnsupportedError(f"no native {name}")
    return TRANSCENDENTAL[name](loop.e, loop.element, *names)


# --- the greater and the less


def _greater(predicate: str) -> Callable[..., str]:
    """For maximum and minimum: a nan on either side is passed on. Of 0 and -0 the second is
    taken, in half precision the first.
    """

    def choose(loop: Loop, x: str, y: str) -> str:
        order = predicate.replace("t", "e") if loop.dtype == HALF else predicate
        chosen = loop.pick(loop.test(order, x, y), x, y)
        return loop.pick(loop.test("uno", x, x), x, chosen)

    return choose


def _greater_number(predicate: str) -> Callable[..., str]:
    """For fmax and fmin: a nan loses."""

    def choose(loop: Loop, x: str, y: str) -> str:
        chosen = loop.pick(loop.test(predicate, x, y), x, y)
        return loop.pick(loop.test("uno", y, y), x, chosen)

    return choose


def _sign(loop: Loop, x: str) -> str:
    zero = loop.number(0.0)
    of_x = loop("math.copysign", loop.number(1.0), x)
    return loop.pick(loop.test("one", x, zero), of_x, loop.pick(loop.test("uno", x, x), x, zero))


def _signbit(loop: Loop, x: str) -> str:
    bits = loop.to_bits(x)
    return loop.e.compare("slt", bits, loop.e.constant(0, "i" + loop.element[1:]), _bits_type(loop))


def _bits_type(loop: Loop) -> str:
    return "i" + loop.element[1:]


def share(loop: Loop, x: str, y: str) -> str:
    """1 where x > y or one is nan, 1/2 where they are equal, else 0."""
    half = loop.number(0.5)
    tie = loop.pick(loop.test("oeq", x, y), half, loop.number(1.0))
    return loop.pick(loop.test("olt", x, y), loop.number(0.0), tie)


def _strong_multiply(loop: Loop, x: str, y: str) -> str:
    """0 where a factor is 0, also beside inf and nan."""
    product, zero = loop("arith.mulf", x, y), loop.number(0.0)
    is_zero = loop.either(loop.test("oeq", x, zero), loop.test("oeq", y, zero))
    return loop.pick(loop.both(is_zero, loop.test("uno", product, product)), zero, product)


# --- parts of a number


def _whole(loop: Loop, x: str) -> str:
    return loop("math.trunc", x)


def _fraction(loop: Loop, x: str) -> str:
    rest = loop("arith.subf", x, loop("math.trunc", x))
    infinite = loop.test("oeq", loop("math.absf", x), loop.number(math.inf))
    rest = loop.pick(infinite, loop.number(0.0), rest)
    return loop.pick(loop.test("uno", x, x), x, loop("math.copysign", rest, x))


def _frexp_exponent(loop: Loop, x: str) -> str:
    """In f64, where the least f32 is a normal number; the least f64 is made one by 2^54."""
    e, wide = loop.e, Loop(loop.e, np.dtype(np.float64))
    if loop.element == "f32":
        x = e.cast("arith.extf", x, "f32", "f64")
    tiny = wide.test("olt", wide("math.absf", x), wide.number(2.0**-1022))
    scaled = wide.pick(tiny, wide("arith.mulf", x, wide.number(2.0**54)), x)
    bits = Loop(e, np.dtype(np.int64))
    biased = bits("arith.shrui", wide.to_bits(scaled), bits.number(52))
    biased = bits("arith.andi", biased, bits.number(0x7FF))
    bias = bits.pick(tiny, bits.number(1022 + 54), bits.number(1022))
    exponent = bits("arith.subi", biased, bias)
    zero = wide.test("oeq", x, wide.number(0.0))
    odd = loop.either(zero, bits.test("eq", biased, bits.number(0x7FF)))
    return e.cast("arith.trunci", bits.pick(odd, bits.number(0), exponent), "i64", "i32")


def _power_of_two(e: Any, exponent: str) -> str:
    """2^n as f64 for an i64 n within [-1022, 1023]."""
    bits, wide = Loop(e, np.dtype(np.int64)), Loop(e, np.dtype(np.float64))
    biased = bits("arith.addi", exponent, bits.number(1023))
    return wide.from_bits(bits("arith.shli", biased, bits.number(52)))


def _clipped(bits: Loop, x: str, least: int, most: int) -> str:
    return bits("arith.minsi", bits("arith.maxsi", x, bits.number(least)), bits.number(most))


def ldexp(loop: Loop, x: str, exponent: str) -> str:
    """``x 2^n`` for an i64 n, rounded once: of the three factors only the last can take digits, as
    the others either keep the number large or stop 2^-53 above the subnormal ones.
    """
    e, bits = loop.e, Loop(loop.e, np.dtype(np.int64))
    wide = Loop(e, np.dtype(np.float64))
    if loop.element == "f32":
        product = wide(
            "arith.mulf",
            e.cast("arith.extf", x, "f32", "f64"),
            _power_of_two(e, _clipped(bits, exponent, -500, 500)),
        )
        return e.cast("arith.truncf", product, "f64", "f32")
    rest = _clipped(bits, exponent, -969 * 2 - 1022, 1023 * 3)
    for _ in range(2):
        step = _clipped(bits, rest, -969, 1023)
        over = bits("arith.ori", *(bits.pick(t, step, bits.number(0)) for t in _ends(bits, rest)))
        x = wide("arith.mulf", x, _power_of_two(e, over))
        rest = bits("arith.subi", rest, over)
    return wide("arith.mulf", x, _power_of_two(e, rest))


def _ends(bits: Loop, exponent: str) -> tuple[str, str]:
    """Whether 2^n is beyond the normal numbers: below, above."""
    below = bits.test("slt", exponent, bits.number(-1022))
    return below, bits.test("sgt", exponent, bits.number(1023))


# --- neighbours


def _pattern(loop: Loop, x: str) -> tuple[Loop, str]:
    """The bits of a number in its own width, and the loop of integers of that width."""
    if loop.dtype != HALF:
        return Loop(loop.e, np.dtype(f"i{loop.dtype.itemsize}")), loop.to_bits(x)
    narrow = loop.e.cast("arith.truncf", x, "f32", "f16")
    return Loop(loop.e, np.dtype(np.int16)), loop.e.cast("arith.bitcast", narrow, "f16", "i16")


def _from_pattern(loop: Loop, bits: str) -> str:
    if loop.dtype != HALF:
        return loop.from_bits(bits)
    narrow = loop.e.cast("arith.bitcast", bits, "i16", "f16")
    return loop.e.cast("arith.extf", narrow, "f16", "f32")


def _nextafter(loop: Loop, x: str, y: str) -> str:
    """The patterns of numbers of one sign are in the order of their magnitudes."""
    bits, pattern = _pattern(loop, x)
    zero = loop.number(0.0)
    up = loop.test("olt", x, y)
    positive = loop.test("ogt", x, zero)
    away = loop.negated(loop.truth("arith.xori", up, positive))
    step = bits.pick(away, bits.number(1), bits.number(-1))
    moved = _from_pattern(loop, bits("arith.addi", pattern, step))
    least = loop("math.copysign", _from_pattern(loop, bits.number(1)), y)
    moved = loop.pick(loop.test("oeq", x, zero), least, moved)
    moved = loop.pick(loop.test("oeq", x, y), x if loop.dtype == HALF else y, moved)
    return loop.pick(loop.test("uno", x, y), loop("arith.addf", x, y), moved)


def _spacing(loop: Loop, x: str) -> str:
    """The distance to the next number away from 0, with the sign of x; of a float16 that to the
    next greater number.
    """
    bits, pattern = _pattern(loop, x)
    one = bits.number(1)
    step = one
    if loop.dtype == HALF:
        step = bits.pick(bits.test("slt", pattern, bits.number(0)), bits.number(-1), one)
    following = _from_pattern(loop, bits("arith.addi", pattern, step))
    distance = loop("arith.subf", following, x)
    least = _from_pattern(loop, one)
    distance = loop.pick(loop.test("oeq", x, loop.number(0.0)), least, distance)
    infinite = loop.test("oeq", loop("math.absf", x), loop.number(math.inf))
    return loop.pick(infinite, loop.number(math.nan), distance)


# --- powers with a literal exponent

_MOST_MULTIPLIED = 16


def _power(loop: Loop, x: str, y: str) -> str:
    """Small whole numbers by products, 1/2 by the root; any other exponent is `math_table`'s."""
    exponent = loop.e.literal(y)
    if exponent == 0.5 and loop.dtype != HALF:  # NumPy takes the root too, with its -0 and nan
        return loop("math.sqrt", x)
    if exponent == -1:
        return loop("arith.divf", loop.number(1.0), x)
    if exponent is None or not 0 <= exponent <= _MOST_MULTIPLIED or exponent != int(exponent):
        return elementary(loop, "power", x, y)
    if loop.element == "f64":
        return _whole_power(loop, x, int(exponent))
    wide = Loop(loop.e, np.dtype(np.float64))
    ans = _whole_power(wide, loop.e.cast("arith.extf", x, "f32", "f64"), int(exponent))
    return loop.e.cast("arith.truncf", ans, "f64", "f32")


def _whole_power(loop: Loop, x: str, n: int) -> str:
    """By repeated squaring of numbers with twice the digits, rounded at the end."""
    ans, square = None, (x, loop.number(0.0))
    while n:
        if n & 1:
            ans = square if ans is None else _long_product(loop, ans, square)
        n >>= 1
        if n:
            square = _long_product(loop, square, square)
    if ans is None:
        return loop.number(1.0)
    high, low = ans
    infinite = loop.test("oeq", loop("math.absf", high), loop.number(math.inf))
    exact = loop.either(infinite, loop.test("oeq", high, loop.number(0.0)))  # -0.0 + 0.0 is 0.0
    return loop.pick(exact, high, loop("arith.addf", high, low))


def _long_product(loop: Loop, x: tuple[str, str], y: tuple[str, str]) -> tuple[str, str]:
    """Of sums of a number and a small one: the product of the large ones, exactly, and the rest."""
    (a, a_low), (b, b_low) = x, y
    product = loop("arith.mulf", a, b)
    rest = loop("math.fma", a, b, loop("arith.negf", product))
    rest = loop("math.fma", a, b_low, rest)
    return product, loop("math.fma", a_low, b, rest)


FLOAT: dict[str, Callable[..., str]] = {
    "add": operation("arith.addf"),
    "subtract": operation("arith.subf"),
    "multiply": operation("arith.mulf"),
    "divide": operation("arith.divf"),
    "negative": operation("arith.negf"),
    "positive": lambda _loop, x: x,
    "conjugate": lambda _loop, x: x,
    "square": lambda loop, x: loop("arith.mulf", x, x),
    "sqrt": operation("math.sqrt"),
    "power": _power,
    "reciprocal": lambda loop, x: loop("arith.divf", loop.number(1.0), x),
    "absolute": operation("math.absf"),
    "fabs": operation("math.absf"),
    "copysign": operation("math.copysign"),
    "floor": operation("math.floor"),
    "ceil": operation("math.ceil"),
    "trunc": operation("math.trunc"),
    "rint": operation("math.roundeven"),
    "equal": comparison("oeq"),
    "not_equal": comparison("une"),
    "less": comparison("olt"),
    "less_equal": comparison("ole"),
    "greater": comparison("ogt"),
    "greater_equal": comparison("oge"),
    "isnan": lambda loop, x: loop.test("uno", x, x),
    "isinf": lambda loop, x: loop.test("oeq", loop("math.absf", x), loop.number(math.inf)),
    "isfinite": lambda loop, x: loop.test("olt", loop("math.absf", x), loop.number(math.inf)),
    "signbit": _signbit,
    "sign": _sign,
    "complex_sign": _sign,
    "maximum": _greater("ogt"),
    "minimum": _greater("olt"),
    "fmax": _greater_number("ogt"),
    "fmin": _greater_number("olt"),
    "share": share,
    "strong_multiply": _strong_multiply,
    "modf_whole": _whole,
    "modf_fraction": _fraction,
    "frexp_exponent": _frexp_exponent,
    "nextafter": _nextafter,
    "spacing": _spacing,
}


def float_row(name: str) -> Callable[..., str] | None:
    """The formula of a primitive, or None."""
    if name not in FLOAT and name in TRANSCENDENTAL:
        return lambda loop, *names: elementary(loop, name, *names)
    return FLOAT.get(name)
