"""Elementwise functions of integers and truth values: f(loop, *names) -> name.

Sums and products wrap. Where C leaves a result undefined, division by zero or a shift by too much,
NumPy gives 0 or the sign; the operands are guarded so that LLVM sees nothing undefined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .elementwise_float import operation
from .loop import Loop, UnsupportedError


def _least(loop: Loop) -> str:
    return loop.number(1 << (loop.bits - 1))


def _by_sign(signed: str, unsigned: str) -> Callable[..., str]:
    """An operation that has two forms."""
    return lambda loop, *names: loop(signed if loop.signed else unsigned, *names)


def _comparison(predicate: str) -> Callable[..., str]:
    def compare(loop: Loop, x: str, y: str) -> str:
        plain = predicate in ("eq", "ne")
        return loop.test(predicate if plain else f"{'s' if loop.signed else 'u'}{predicate}", x, y)

    return compare


def _identity(_loop: Loop, x: str) -> str:
    return x


def _constant_truth(value: int) -> Callable[..., str]:
    return lambda loop, _x: loop.e.constant(value, "i1")


# --- division


def _guarded(loop: Loop, x: str, y: str) -> tuple[str, str]:
    """Whether to divide by y, and y or else 1. By 1, the least integer gives what by -1 wraps."""
    zero = loop.test("eq", y, loop.number(0))
    bad = zero
    if loop.signed:
        wraps = loop.both(loop.test("eq", x, _least(loop)), loop.test("eq", y, loop.number(-1)))
        bad = loop.either(zero, wraps)
    return zero, loop.pick(bad, loop.number(1), y)


def _floor_divide(loop: Loop, x: str, y: str) -> str:
    zero, divisor = _guarded(loop, x, y)
    quotient = loop("arith.divsi" if loop.signed else "arith.divui", x, divisor)
    if loop.signed:
        rest = loop("arith.subi", x, loop("arith.muli", quotient, divisor))
        down = loop("arith.subi", quotient, loop.number(1))
        quotient = loop.pick(_turned(loop, rest, divisor), down, quotient)
    return loop.pick(zero, loop.number(0), quotient)


def _turned(loop: Loop, rest: str, divisor: str) -> str:
    """Whether a remainder's sign is not the divisor's; it is not 0."""
    signs = loop.test("slt", loop("arith.xori", rest, divisor), loop.number(0))
    return loop.both(signs, loop.test("ne", rest, loop.number(0)))


def _fmod(loop: Loop, x: str, y: str) -> str:
    zero, divisor = _guarded(loop, x, y)
    rest = loop("arith.remsi" if loop.signed else "arith.remui", x, divisor)
    return loop.pick(zero, loop.number(0), rest)


def _remainder(loop: Loop, x: str, y: str) -> str:
    zero, divisor = _guarded(loop, x, y)
    rest = loop("arith.remsi" if loop.signed else "arith.remui", x, divisor)
    if loop.signed:
        moved = loop("arith.addi", rest, divisor)
        rest = loop.pick(_turned(loop, rest, divisor), moved, rest)
    return loop.pick(zero, loop.number(0), rest)


def _reciprocal(loop: Loop, x: str) -> str:
    """Of 0 whatever this machine's NumPy gives: it is not the same for all widths."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_zero = int(np.reciprocal(np.zeros(1, loop.dtype))[0])
    one = loop.number(1)
    ans = loop.pick(loop.test("eq", x, one), one, loop.number(0))
    if loop.signed:
        minus = loop.number(-1)
        ans = loop.pick(loop.test("eq", x, minus), minus, ans)
    return loop.pick(loop.test("eq", x, loop.number(0)), loop.number(of_zero), ans)


# --- signs


def _negative(loop: Loop, x: str) -> str:
    return loop("arith.subi", loop.number(0), x)


def _absolute(loop: Loop, x: str) -> str:
    if not loop.signed:
        return x
    return loop.pick(loop.test("slt", x, loop.number(0)), _negative(loop, x), x)


def _sign(loop: Loop, x: str) -> str:
    zero, one = loop.number(0), loop.number(1)
    positive = loop.pick(loop.test("ne", x, zero), one, zero)
    if not loop.signed:
        return positive
    return loop.pick(loop.test("slt", x, zero), loop.number(-1), positive)


# --- bits


def _shift(op: str, unsigned: str | None = None) -> Callable[..., str]:
    """By a count beyond the width, or a negative one, all bits leave."""

    def shift(loop: Loop, x: str, count: str) -> str:
        zero = loop.number(0)
        fits = loop.test("ult", count, loop.number(loop.bits))
        left = zero
        if unsigned is not None and loop.signed:
            left = loop("arith.shrsi", x, loop.number(loop.bits - 1))
        chosen = op if unsigned is None or loop.signed else unsigned
        return loop.pick(fits, loop(chosen, x, loop.pick(fits, count, zero)), left)

    return shift


def _bitwise_count(loop: Loop, x: str) -> str:
    """Of the magnitude, as 8 bits."""
    count = loop("math.ctpop", _absolute(loop, x))
    return count if loop.bits == 8 else loop.e.cast("arith.trunci", count, loop.element, "i8")


def _invert(loop: Loop, x: str) -> str:
    return loop("arith.xori", x, loop.number(-1))


# --- powers and divisors

_MOST_UNROLLED = 64


def power(loop: Loop, x: str, y: str) -> str:
    """``x ** y`` by repeated squaring, for a literal ``y`` that is not negative: for a negative one
    NumPy raises ValueError, which code in a loop cannot.
    """
    exponent = loop.e.literal(y)
    if exponent is not None and exponent < 0:
        raise UnsupportedError("an integer to a negative power raises ValueError")
    if exponent is None or exponent > _MOST_UNROLLED:
        if loop.signed and exponent is None:
            raise UnsupportedError("an integer to a power that is not known may raise ValueError")
        return _call(loop, "power", x, y)
    ans = None
    square = x
    while exponent:
        if exponent & 1:
            ans = square if ans is None else loop("arith.muli", ans, square)
        exponent >>= 1
        if exponent:
            square = loop("arith.muli", square, square)
    return loop.number(1) if ans is None else ans


def _call(loop: Loop, name: str, x: str, y: str) -> str:
    """A function of two integers, lane by lane; of the narrower ones in the widest."""
    e = loop.e
    symbol = f"xnp_{name}_i64"
    e.functions[symbol] = _FUNCTIONS[name]
    if e.lanes == 1:
        return _call_scalar(loop, symbol, x, y)
    kind = e.type(loop.element)
    ans = loop.number(0)
    for i in range(e.lanes):
        a, b = (e.op(f"vector.extract {v}[{i}] : {loop.element} from {kind}") for v in (x, y))
        with e.scalar():
            found = _call_scalar(loop, symbol, a, b)
        ans = e.op(f"vector.insert {found}, {ans}[{i}] : {loop.element} into {kind}")
    return ans


def _call_scalar(loop: Loop, symbol: str, x: str, y: str) -> str:
    e, narrow = loop.e, loop.element != "i64"
    if narrow:
        widen = "arith.extsi" if loop.signed else "arith.extui"
        x, y = (e.cast(widen, v, loop.element, "i64") for v in (x, y))
    if loop.signed and not symbol.startswith("xnp_power"):
        wide = Loop(e, np.dtype(np.int64))
        x, y = _absolute(wide, x), _absolute(wide, y)
    found = e.op(f"func.call @{symbol}({x}, {y}) : (i64, i64) -> i64")
    return e.cast("arith.trunci", found, "i64", loop.element) if narrow else found


_INTERNAL = "attributes {llvm.linkage = #llvm.linkage<internal>}"

# Euclid's algorithm on the magnitudes; the wrapped results are what NumPy's are.
_GCD = f"""func.func private @xnp_gcd_i64(%x: i64, %y: i64) -> i64 {_INTERNAL} {{
%zero = arith.constant 0 : i64
%ans:2 = scf.while (%a = %x, %b = %y) : (i64, i64) -> (i64, i64) {{
%go = arith.cmpi ne, %b, %zero : i64
scf.condition(%go) %a, %b : i64, i64
}} do {{
^bb0(%a: i64, %b: i64):
%r = arith.remui %a, %b : i64
scf.yield %b, %r : i64, i64
}}
return %ans#0 : i64
}}"""
_LCM = f"""func.func private @xnp_lcm_i64(%x: i64, %y: i64) -> i64 {_INTERNAL} {{
%zero = arith.constant 0 : i64
%one = arith.constant 1 : i64
%gcd = func.call @xnp_gcd_i64(%x, %y) : (i64, i64) -> i64
%none = arith.cmpi eq, %gcd, %zero : i64
%divisor = arith.select %none, %one, %gcd : i64
%part = arith.divui %x, %divisor : i64
%ans = arith.muli %part, %y : i64
return %ans : i64
}}"""
_POWER = f"""func.func private @xnp_power_i64(%x: i64, %y: i64) -> i64 {_INTERNAL} {{
%zero = arith.constant 0 : i64
%one = arith.constant 1 : i64
%ans:3 = scf.while (%p = %one, %s = %x, %n = %y) : (i64, i64, i64) -> (i64, i64, i64) {{
%go = arith.cmpi ne, %n, %zero : i64
scf.condition(%go) %p, %s, %n : i64, i64, i64
}} do {{
^bb0(%p: i64, %s: i64, %n: i64):
%last = arith.andi %n, %one : i64
%odd = arith.cmpi ne, %last, %zero : i64
%more = arith.muli %p, %s : i64
%next = arith.select %odd, %more, %p : i64
%square = arith.muli %s, %s : i64
%rest = arith.shrui %n, %one : i64
scf.yield %next, %square, %rest : i64, i64, i64
}}
return %ans#0 : i64
}}"""
_FUNCTIONS = {"gcd": _GCD, "lcm": _LCM, "power": _POWER}


def _gcd(loop: Loop, x: str, y: str) -> str:
    return _call(loop, "gcd", x, y)


def _lcm(loop: Loop, x: str, y: str) -> str:
    loop.e.functions["xnp_gcd_i64"] = _GCD
    return _call(loop, "lcm", x, y)


INTEGER: dict[str, Callable[..., str]] = {
    "add": operation("arith.addi"),
    "subtract": operation("arith.subi"),
    "multiply": operation("arith.muli"),
    "strong_multiply": operation("arith.muli"),
    "square": lambda loop, x: loop("arith.muli", x, x),
    "power": power,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "reciprocal": _reciprocal,
    "negative": _negative,
    "positive": _identity,
    "conjugate": _identity,
    "floor": _identity,
    "ceil": _identity,
    "trunc": _identity,
    "absolute": _absolute,
    "sign": _sign,
    "equal": _comparison("eq"),
    "not_equal": _comparison("ne"),
    "less": _comparison("lt"),
    "less_equal": _comparison("le"),
    "greater": _comparison("gt"),
    "greater_equal": _comparison("ge"),
    "maximum": _by_sign("arith.maxsi", "arith.maxui"),
    "minimum": _by_sign("arith.minsi", "arith.minui"),
    "fmax": _by_sign("arith.maxsi", "arith.maxui"),
    "fmin": _by_sign("arith.minsi", "arith.minui"),
    "bitwise_and": operation("arith.andi"),
    "bitwise_or": operation("arith.ori"),
    "bitwise_xor": operation("arith.xori"),
    "invert": _invert,
    "left_shift": _shift("arith.shli"),
    "right_shift": _shift("arith.shrsi", "arith.shrui"),
    "bitwise_count": _bitwise_count,
    "gcd": _gcd,
    "lcm": _lcm,
    "isnan": _constant_truth(0),
    "isinf": _constant_truth(0),
    "isfinite": _constant_truth(1),
}

_AND, _OR, _XOR = (operation(f"arith.{op}i") for op in ("and", "or", "xor"))


def _not(loop: Loop, x: str) -> str:
    return loop.negated(x)


def _and_not(loop: Loop, x: str, y: str) -> str:
    return loop.both(x, loop.negated(y))


def _or_not(loop: Loop, x: str, y: str) -> str:
    return loop.either(x, loop.negated(y))


TRUTH: dict[str, Callable[..., str]] = {
    "add": _OR,
    "multiply": _AND,
    "strong_multiply": _AND,
    "maximum": _OR,
    "fmax": _OR,
    "minimum": _AND,
    "fmin": _AND,
    "bitwise_and": _AND,
    "bitwise_or": _OR,
    "bitwise_xor": _XOR,
    "invert": _not,
    "absolute": _identity,
    "floor": _identity,
    "ceil": _identity,
    "trunc": _identity,
    "not_equal": _XOR,
    "equal": lambda loop, x, y: loop.negated(loop.truth("arith.xori", x, y)),
    "less": lambda loop, x, y: _and_not(loop, y, x),
    "less_equal": lambda loop, x, y: _or_not(loop, y, x),
    "greater": _and_not,
    "greater_equal": _or_not,
    "isnan": _constant_truth(0),
    "isinf": _constant_truth(0),
    "isfinite": _constant_truth(1),
}
