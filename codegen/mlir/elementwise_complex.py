"""Elementwise functions of complex numbers: f(loop, *pairs) -> pair, or a name where it is real.

Arithmetic as NumPy's loops do it, term by term; comparisons by the real part, then the imaginary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .elementwise_float import elementary
from .loop import Loop

Pair = tuple[str, str]


def _by_part(op: str) -> Callable[..., Pair]:
    """An operation on the real parts and on the imaginary parts."""

    def apply(loop: Loop, *pairs: Pair) -> Pair:
        return loop(op, *(p[0] for p in pairs)), loop(op, *(p[1] for p in pairs))

    return apply


def _conjugate(loop: Loop, z: Pair) -> Pair:
    return z[0], loop("arith.negf", z[1])


def pick(loop: Loop, mask: str, x: Pair, y: Pair) -> Pair:
    return loop.pick(mask, x[0], y[0]), loop.pick(mask, x[1], y[1])


# --- products and quotients


def _multiply(loop: Loop, x: Pair, y: Pair) -> Pair:
    """With fused multiply-adds, as NumPy's loops for machines that have them."""
    (a, b), (c, d) = x, y
    less = loop("arith.negf", loop("arith.mulf", b, d))
    more = loop("arith.mulf", b, c)
    return loop("math.fma", a, c, less), loop("math.fma", a, d, more)


def _square(loop: Loop, x: Pair) -> Pair:
    return _multiply(loop, x, x)


def _smith(loop: Loop, z: Pair) -> tuple[str, str, str]:
    """Whether the real part of a divisor is its larger; smaller / larger; |z|^2 / larger."""
    c, d = z
    real = loop.test("oge", loop("math.absf", c), loop("math.absf", d))
    larger, smaller = loop.pick(real, c, d), loop.pick(real, d, c)
    ratio = loop("arith.divf", smaller, larger)
    size = loop("arith.addf", larger, loop("arith.mulf", smaller, ratio))
    return real, ratio, size


def _divide(loop: Loop, x: Pair, y: Pair) -> Pair:
    """Smith's method: numerator and denominator over the divisor's larger part. A quotient by 0
    is that of each part.
    """
    real, ratio, size = _smith(loop, y)
    a, b = x
    scale = loop("arith.divf", loop.number(1.0), size)
    u, v = loop.pick(real, a, b), loop.pick(real, b, a)
    re = loop("arith.addf", u, loop("arith.mulf", v, ratio))
    along, across = v, loop("arith.mulf", u, ratio)
    minuend, other = loop.pick(real, along, across), loop.pick(real, across, along)
    im = loop("arith.subf", minuend, other)
    scaled = loop("arith.mulf", re, scale), loop("arith.mulf", im, scale)
    infinity = loop.number(math.inf)  # a product with it is a quotient by 0
    by_zero = loop("arith.mulf", a, infinity), loop("arith.mulf", b, infinity)
    return pick(loop, _equal(loop, y, _zero(loop)), by_zero, scaled)


def _reciprocal(loop: Loop, z: Pair) -> Pair:
    real, ratio, size = _smith(loop, z)
    one = loop.number(1.0)
    re, im = loop.pick(real, one, ratio), loop.pick(real, ratio, one)
    return loop("arith.divf", re, size), loop("arith.divf", loop("arith.negf", im), size)


def _zero(loop: Loop) -> Pair:
    return loop.number(0.0), loop.number(0.0)


def _strong_multiply(loop: Loop, x: Pair, y: Pair) -> Pair:
    product, zero = _multiply(loop, x, y), _zero(loop)
    is_zero = loop.either(_equal(loop, x, zero), _equal(loop, y, zero))
    return pick(loop, loop.both(is_zero, _is_nan(loop, product)), zero, product)


# --- comparisons


def _equal(loop: Loop, x: Pair, y: Pair) -> str:
    return loop.both(loop.test("oeq", x[0], y[0]), loop.test("oeq", x[1], y[1]))


def _not_equal(loop: Loop, x: Pair, y: Pair) -> str:
    return loop.either(loop.test("une", x[0], y[0]), loop.test("une", x[1], y[1]))


def _ordered(first: str, second: str) -> Callable[..., str]:
    """By the real parts, where no imaginary part is nan; by those where the real ones are equal."""

    def compare(loop: Loop, x: Pair, y: Pair) -> str:
        numbers = loop.test("ord", x[1], y[1])
        decided = loop.both(loop.test(first, x[0], y[0]), numbers)
        tie = loop.both(loop.test("oeq", x[0], y[0]), loop.test(second, x[1], y[1]))
        return loop.either(decided, tie)

    return compare


_LESS, _LESS_EQUAL = _ordered("olt", "olt"), _ordered("olt", "ole")
_GREATER, _GREATER_EQUAL = _ordered("ogt", "ogt"), _ordered("ogt", "oge")


def _is_nan(loop: Loop, z: Pair) -> str:
    return loop.test("uno", z[0], z[1])


def _any_part(predicate: str) -> Callable[..., str]:
    def test(loop: Loop, z: Pair) -> str:
        infinity = loop.number(math.inf)
        re, im = (loop.test(predicate, loop("math.absf", x), infinity) for x in z)
        return loop.either(re, im) if predicate == "oeq" else loop.both(re, im)

    return test


def _first_if(order: Callable[..., str], nan_of: int) -> Callable[..., Pair]:
    """The first where it is in order or one certain argument is nan, else the second."""

    def choose(loop: Loop, *pairs: Pair) -> Pair:
        first = loop.either(order(loop, *pairs), _is_nan(loop, pairs[nan_of]))
        return pick(loop, first, *pairs)

    return choose


def _share(loop: Loop, x: Pair, y: Pair) -> str:
    """1 where x > y or one is nan, 1/2 where they are equal, else 0."""
    half, one = loop.number(0.5), loop.number(1.0)
    either = loop.pick(_LESS_EQUAL(loop, x, y), half, one)
    return loop.pick(_LESS(loop, x, y), loop.number(0.0), either)


# --- size and direction


def _absolute(loop: Loop, z: Pair) -> str:
    return elementary(loop, "hypot", *z)


COMPLEX: dict[str, Callable[..., Any]] = {
    "add": _by_part("arith.addf"),
    "subtract": _by_part("arith.subf"),
    "negative": _by_part("arith.negf"),
    "rint": _by_part("math.roundeven"),
    "positive": lambda _loop, z: z,
    "conjugate": _conjugate,
    "multiply": _multiply,
    "square": _square,
    "divide": _divide,
    "reciprocal": _reciprocal,
    "strong_multiply": _strong_multiply,
    "equal": _equal,
    "not_equal": _not_equal,
    "less": _LESS,
    "less_equal": _LESS_EQUAL,
    "greater": _GREATER,
    "greater_equal": _GREATER_EQUAL,
    "isnan": _is_nan,
    "isinf": _any_part("oeq"),
    "isfinite": _any_part("olt"),
    "maximum": _first_if(_GREATER_EQUAL, 0),
    "minimum": _first_if(_LESS_EQUAL, 0),
    "fmax": _first_if(_GREATER_EQUAL, 1),
    "fmin": _first_if(_LESS_EQUAL, 1),
    "share": _share,
    "absolute": _absolute,
}
