"""Elementwise functions of real floating-point numbers: f(loop, *names) -> name.

Bit for bit what NumPy's loops give, but for the elementary functions, which are `math_table`'s and
as accurate. A float16 is computed as f32; the caller rounds the result.
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
    """A function of `math_table`; other formulas are built with it."""
    if name not in TRANSCENDENTAL:
        raise UnsupportedError(f"no native {name}")
    return TRANSCENDENTAL[name](loop.e, loop.element, *names)


def _scaled(degrees: bool) -> Callable[..., str]:
    """The factor is rounded to the dtype as in C: pi is, and then the quotient."""

    def scale(loop: Loop, x: str) -> str:
        pi, half_turn = (t(v) for t, v in ((_type(loop), math.pi), (_type(loop), 180.0)))
        return loop("arith.mulf", x, loop.number(half_turn / pi if degrees else pi / half_turn))

    return scale


def _type(loop: Loop) -> Any:
    return np.float64 if loop.element == "f64" else np.float32


# --- the greater and the less


def _greater(predicate: str) -> Callable[..., str]:
    """maximum and minimum: a nan on either side is passed on. Of 0 and -0 the second is taken, but
    the first in half precision.
    """

    def choose(loop: Loop, x: str, y: str) -> str:
        order = predicate.replace("t", "e") if loop.dtype == HALF else predicate
        chosen = loop.pick(loop.test(order, x, y), x, y)
        return loop.pick(loop.test("uno", x, x), x, chosen)

    return choose


def _greater_number(predicate: str) -> Callable[..., str]:
    """fmax and fmin: a nan loses."""

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


def _heaviside(loop: Loop, x: str, at_zero: str) -> str:
    zero = loop.number(0.0)
    step = loop.pick(loop.test("ogt", x, zero), loop.number(1.0), zero)
    step = loop.pick(loop.test("oeq", x, zero), at_zero, step)
    return loop.pick(loop.test("uno", x, x), x, step)


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


# --- remainders


def _fmod(loop: Loop, x: str, y: str) -> str:
    """Of magnitudes x - q y, with q the whole part of the rounded quotient, that is of the true one
    or, when rounding reached the next integer, 1 more. While q is below 2^(digits - 1), the fused
    multiply-add is exact, for the result is a multiple of the last digit of y and less than y.
    Else, and where y is infinite, libm.
    """
    a, b = loop("math.absf", x), loop("math.absf", y)
    quotient = loop("arith.divf", a, b)
    whole = loop("math.trunc", quotient)
    rest = loop.e.fma(loop("arith.negf", whole), b, a, loop.element)
    below = loop.test("olt", rest, loop.number(0.0))
    rest = loop.pick(below, loop("arith.addf", rest, b), rest)
    quick = loop("math.copysign", rest, x)
    small = loop.test("olt", quotient, loop.number(2.0**51 if loop.element == "f64" else 2.0**22))
    usual = loop.both(small, loop.test("olt", b, loop.number(math.inf)))
    return _unless(loop, usual, quick, lambda: loop("arith.remf", x, y))


def _unless(loop: Loop, usual: str, quick: str, slow: Callable[[], str]) -> str:
    """``quick`` where ``usual``, else ``slow()``, which is not run where all lanes are usual."""
    e, kind = loop.e, loop.e.type(loop.element)
    all_usual = usual
    if e.lanes > 1:
        all_usual = e.op(f"vector.reduction <and>, {usual} : {e.type('i1')} into i1")
    out = e.fresh()
    e.effect(f"{out} = scf.if {all_usual} -> ({kind}) {{")
    e.effect(f"scf.yield {quick} : {kind}")
    e.effect("} else {")
    e.effect(f"scf.yield {loop.pick(usual, quick, slow())} : {kind}")
    e.effect("}")
    return out


def _turned(loop: Loop, y: str, rest: str) -> str:
    """Whether a remainder's sign is not the divisor's; it is not 0."""
    zero = loop.number(0.0)
    other = loop.truth("arith.xori", loop.test("olt", y, zero), loop.test("olt", rest, zero))
    return loop.both(loop.test("une", rest, zero), other)


def _remainder(loop: Loop, x: str, y: str) -> str:
    rest, zero = _fmod(loop, x, y), loop.number(0.0)
    moved = loop.pick(_turned(loop, y, rest), loop("arith.addf", rest, y), rest)
    return loop.pick(loop.test("oeq", rest, zero), loop("math.copysign", zero, y), moved)


def _floor_divide(loop: Loop, x: str, y: str) -> str:
    """The quotient is nearly whole once the remainder is subtracted: rounded, not cut."""
    rest, zero, one = _fmod(loop, x, y), loop.number(0.0), loop.number(1.0)
    quotient = loop("arith.divf", x, y)
    whole = loop("arith.divf", loop("arith.subf", x, rest), y)
    whole = loop.pick(_turned(loop, y, rest), loop("arith.subf", whole, one), whole)
    down = loop("math.floor", whole)
    far = loop.test("ogt", loop("arith.subf", whole, down), loop.number(0.5))
    floor = loop.pick(far, loop("arith.addf", down, one), down)
    is_zero = loop.test("oeq", whole, zero)
    floor = loop.pick(is_zero, loop("math.copysign", zero, quotient), floor)
    return loop.pick(loop.test("oeq", y, zero), quotient, floor)


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
    moved = loop.pick(loop.test("oeq", x, y), y, moved)
    return loop.pick(loop.test("uno", x, y), loop("arith.addf", x, y), moved)


def _spacing(loop: Loop, x: str) -> str:
    """The distance to the next number away from 0, with the sign of x."""
    bits, pattern = _pattern(loop, x)
    following = _from_pattern(loop, bits("arith.addi", pattern, bits.number(1)))
    distance = loop("arith.subf", following, x)
    least = _from_pattern(loop, bits.number(1))
    distance = loop.pick(loop.test("oeq", x, loop.number(0.0)), least, distance)
    infinite = loop.test("oeq", loop("math.absf", x), loop.number(math.inf))
    return loop.pick(infinite, loop.number(math.nan), distance)


# --- composites of elementary functions


def _logistic(loop: Loop, x: str) -> str:
    one = loop.number(1.0)
    power = elementary(loop, "exp", loop("arith.negf", x))
    return loop("arith.divf", one, loop("arith.addf", power, one))


def _log_add(base: str) -> Callable[..., str]:
    """The greater, plus the logarithm of 1 + base^-|x - y|."""

    def logaddexp(loop: Loop, x: str, y: str) -> str:
        greater = _greater("ogt")(loop, x, y)
        gap = loop("arith.negf", loop("math.absf", loop("arith.subf", x, y)))
        small = elementary(loop, "log1p", elementary(loop, base, gap))
        log2 = loop.number(math.log(2.0) if base == "exp" else 1.0)
        if base == "exp2":
            small = loop("arith.mulf", small, loop.number(1.0 / math.log(2.0)))
        same = loop.test("oeq", x, y)
        return loop("arith.addf", greater, loop.pick(same, log2, small))

    return logaddexp


def _cosine(loop: Loop, x: str, y: str) -> str:
    """x / hypot(x, y): 0 at the origin, the sign of x where that alone is infinite."""
    size = elementary(loop, "hypot", x, y)
    zero, infinity = loop.number(0.0), loop.number(math.inf)
    divisor = loop.pick(loop.test("oeq", size, zero), loop.number(1.0), size)
    alone = loop.both(
        loop.test("oeq", loop("math.absf", x), infinity),
        loop.test("olt", loop("math.absf", y), infinity),
    )
    return loop.pick(alone, _sign(loop, x), loop("arith.divf", x, divisor))


def _sech_squared(loop: Loop, x: str) -> str:
    size = elementary(loop, "cosh", x)
    return _reciprocal(loop, loop("arith.mulf", size, size))


def _reciprocal(loop: Loop, x: str) -> str:
    return loop("arith.divf", loop.number(1.0), x)


def _sides(loop: Loop, x: str) -> tuple[str, str]:
    """1 - x, 1 + x"""
    one = loop.number(1.0)
    return loop("arith.subf", one, x), loop("arith.addf", x, one)


def _arcsin_slope(loop: Loop, x: str) -> str:
    return _reciprocal(loop, loop("math.sqrt", loop("arith.mulf", *_sides(loop, x))))


def _arctan_slope(loop: Loop, x: str) -> str:
    return _reciprocal(loop, loop("arith.addf", loop("arith.mulf", x, x), loop.number(1.0)))


def _arcsinh_slope(loop: Loop, x: str) -> str:
    return _reciprocal(loop, elementary(loop, "hypot", x, loop.number(1.0)))


def _arccosh_slope(loop: Loop, x: str) -> str:
    one = loop.number(1.0)
    below, above = loop("arith.subf", x, one), loop("arith.addf", x, one)
    roots = loop("arith.mulf", loop("math.sqrt", below), loop("math.sqrt", above))
    return _reciprocal(loop, roots)


def _arctanh_slope(loop: Loop, x: str) -> str:
    below, above = _sides(loop, x)
    return loop("arith.mulf", _reciprocal(loop, below), _reciprocal(loop, above))


def _sinc(loop: Loop, x: str) -> str:
    """sin(pi x) / (pi x), at 0 with 1e-20 for x."""
    zero = loop.test("oeq", x, loop.number(0.0))
    x = loop.pick(zero, loop.number(1e-20), x)
    angle = loop("arith.mulf", x, loop.number(math.pi))
    return loop("arith.divf", elementary(loop, "sin", angle), angle)


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
    "reciprocal": _reciprocal,
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
    "heaviside": _heaviside,
    "fmod": _fmod,
    "remainder": _remainder,
    "floor_divide": _floor_divide,
    "modf_whole": _whole,
    "modf_fraction": _fraction,
    "frexp_exponent": _frexp_exponent,
    "nextafter": _nextafter,
    "spacing": _spacing,
    "deg2rad": _scaled(False),
    "radians": _scaled(False),
    "rad2deg": _scaled(True),
    "degrees": _scaled(True),
    "logistic": _logistic,
    "logaddexp": _log_add("exp"),
    "logaddexp2": _log_add("exp2"),
    "cosine": _cosine,
    "sech_squared": _sech_squared,
    "arcsin_slope": _arcsin_slope,
    "arctan_slope": _arctan_slope,
    "arcsinh_slope": _arcsinh_slope,
    "arccosh_slope": _arccosh_slope,
    "arctanh_slope": _arctanh_slope,
    "sinc": _sinc,
}


def float_row(name: str) -> Callable[..., str] | None:
    """The formula of a primitive, or None. An elementary function's own takes precedence."""
    if name in TRANSCENDENTAL:
        return lambda loop, *names: elementary(loop, name, *names)
    return FLOAT.get(name)
