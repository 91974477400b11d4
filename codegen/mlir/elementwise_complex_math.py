"""Elementary functions of complex numbers: f(loop, *pairs) -> pair.

They are libm's, lane by lane, as in NumPy's own loops: branch cuts, infinities and signs of zero
are then the same everywhere. What NumPy composes is composed alike.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Sequence
from typing import Any

from .elementwise_complex import COMPLEX, Pair, pick
from .elementwise_float import elementary
from .loop import Loop, UnsupportedError

_MACHINE = {"x86_64": "x86", "amd64": "x86", "aarch64": "arm", "arm64": "arm"}.get(
    platform.machine().lower()
)

# --- calls


def libm(loop: Loop, name: str, *args: Pair) -> Pair:
    """``name`` of libm (``cexp``, ...; for complex64 ``cexpf``)."""
    e, element = loop.e, loop.element
    if _MACHINE is None:
        raise UnsupportedError("how complex numbers are passed on this machine is not known")
    if e.lanes == 1:
        return _scalar_call(loop, name, args)
    parts = [[e.to_lanes(x, element) for x in z] for z in args]
    found = []
    for lane in range(e.lanes):
        with e.scalar():
            found.append(_scalar_call(loop, name, [(re[lane], im[lane]) for re, im in parts]))
    re, im = zip(*found, strict=True)
    return e.from_lanes(re, element), e.from_lanes(im, element)


def _scalar_call(loop: Loop, name: str, args: Sequence[Pair]) -> Pair:
    """C passes the parts as two numbers and returns a pair of them; but on x86 two floats share a
    register.
    """
    e, element = loop.e, loop.element
    symbol = name if element == "f64" else name + "f"
    if element == "f32" and _MACHINE == "x86":
        kind = "vector<2xf32>"
        names = [e.op(f"vector.from_elements {re}, {im} : {kind}") for re, im in args]
        out = _call(loop, symbol, names, [kind] * len(args), kind)
        re, im = (e.op(f"vector.extract {out}[{i}] : f32 from {kind}") for i in (0, 1))
        return re, im
    kind = f"!llvm.struct<({element}, {element})>"
    names = [x for z in args for x in z]
    out = _call(loop, symbol, names, [element] * len(names), kind)
    re, im = (e.op(f"llvm.extractvalue {out}[{i}] : {kind}") for i in (0, 1))
    return re, im


def _call(loop: Loop, symbol: str, names: Sequence[str], types: Sequence[str], out: str) -> str:
    listed = ", ".join(types)
    loop.e.functions[symbol] = f"llvm.func @{symbol}({listed}) -> {out}"
    return loop.e.op(f"llvm.call @{symbol}({', '.join(names)}) : ({listed}) -> {out}")


def _function(name: str) -> Callable[..., Pair]:
    return lambda loop, *args: libm(loop, name, *args)


_EXP, _LOG, _SQRT, _SIN = (_function(f"c{name}") for name in ("exp", "log", "sqrt", "sin"))
_add, _subtract, _multiply, _divide, _negative, _reciprocal = (
    COMPLEX[name] for name in ("add", "subtract", "multiply", "divide", "negative", "reciprocal")
)


def _number(loop: Loop, re: float, im: float = 0.0) -> Pair:
    return loop.number(re), loop.number(im)


# --- exponentials, logarithms, powers


def _scaled(loop: Loop, z: Pair, factor: float) -> Pair:
    by = loop.number(factor)
    return loop("arith.mulf", z[0], by), loop("arith.mulf", z[1], by)


def _exp2(loop: Loop, z: Pair) -> Pair:
    return _EXP(loop, _scaled(loop, z, math.log(2.0)))


def _log_times(factor: float) -> Callable[..., Pair]:
    return lambda loop, z: _scaled(loop, _LOG(loop, z), factor)


def _expm1(loop: Loop, z: Pair) -> Pair:
    """The real part is expm1(x) cos(y) - 2 sin(y/2)^2."""
    x, y = z
    half = elementary(loop, "sin", loop("arith.mulf", y, loop.number(0.5)))
    turn = loop("arith.mulf", loop("arith.mulf", loop.number(2.0), half), half)
    first = loop("arith.mulf", elementary(loop, "expm1", x), elementary(loop, "cos", y))
    size, sine = elementary(loop, "exp", x), elementary(loop, "sin", y)
    return loop("arith.subf", first, turn), loop("arith.mulf", size, sine)


def _log1p(loop: Loop, z: Pair) -> Pair:
    above = loop("arith.addf", z[0], loop.number(1.0))
    size = elementary(loop, "hypot", above, z[1])
    return elementary(loop, "log", size), elementary(loop, "arctan2", z[1], above)


_MOST_MULTIPLIED = 100


def _power(loop: Loop, x: Pair, y: Pair) -> Pair:
    """NumPy's cases: whole numbers below 100 by products, 0 apart, else libm. Which it is must be
    known: the exponent has to be a literal.
    """
    re, im = (loop.e.literal(part) for part in y)
    if re is None or im is None:
        raise UnsupportedError("a complex power with an exponent that is not known")
    re, im = float(re), float(im)
    if re == 0 and im == 0:
        return _number(loop, 1.0)
    if im == 0 and abs(re) < _MOST_MULTIPLIED and re == int(re):
        ans = _whole_power(loop, x, int(re))
    else:
        ans = libm(loop, "cpow", x, y)
    of_zero = 0.0 if re > 0 else math.nan
    is_zero = COMPLEX["equal"](loop, x, _number(loop, 0.0))
    return pick(loop, is_zero, _number(loop, of_zero, of_zero), ans)


def _product(loop: Loop, x: Pair, y: Pair) -> Pair:
    """Rounded after each step, as NumPy's products in powers are."""
    (a, b), (c, d) = x, y
    re = loop("arith.subf", loop("arith.mulf", a, c), loop("arith.mulf", b, d))
    return re, loop("arith.addf", loop("arith.mulf", a, d), loop("arith.mulf", b, c))


def _whole_power(loop: Loop, x: Pair, n: int) -> Pair:
    """By repeated squaring, from the lowest bit."""
    if n in (1, 2, 3):
        square = x if n == 1 else _product(loop, x, x)
        return _product(loop, x, square) if n == 3 else square
    ans, rest = _number(loop, 1.0), abs(n)
    while rest:
        if rest & 1:
            ans = _product(loop, ans, x)
        rest >>= 1
        if rest:
            x = _product(loop, x, x)
    return _divide(loop, _number(loop, 1.0), ans) if n < 0 else ans


# --- direction


def _sign(loop: Loop, z: Pair) -> Pair:
    """The number over its size; 0 at 0, nan where both parts are infinite."""
    re, im = z
    zero, infinity, nan = loop.number(0.0), loop.number(math.inf), loop.number(math.nan)
    size = elementary(loop, "hypot", re, im)
    ans = loop("arith.divf", re, size), loop("arith.divf", im, size)
    re_far, im_far = (loop.test("oeq", loop("math.absf", x), infinity) for x in z)
    one = loop.number(1.0)
    along = loop("math.copysign", one, re), zero
    across = zero, loop("math.copysign", one, im)
    far = pick(loop, re_far, pick(loop, im_far, (nan, nan), along), across)
    ans = pick(loop, loop.test("oeq", size, infinity), far, ans)
    ans = pick(loop, loop.test("uno", size, size), (nan, nan), ans)
    return pick(loop, loop.test("oeq", size, zero), (zero, zero), ans)


# --- what rules are made of: see autodiff.primitives.math for the formulas


def _one_minus(loop: Loop, z: Pair) -> Pair:
    return _negative(loop, _subtract(loop, z, _number(loop, 1.0)))


def _one_plus(loop: Loop, z: Pair) -> Pair:
    return _subtract(loop, z, _number(loop, -1.0))


def _logistic(loop: Loop, z: Pair) -> Pair:
    size = _EXP(loop, _negative(loop, z))
    return _reciprocal(loop, _add(loop, size, _number(loop, 1.0)))


def _sech_squared(loop: Loop, z: Pair) -> Pair:
    left = loop.test("olt", z[0], loop.number(0.0))
    inward = pick(loop, left, z, _negative(loop, z))
    decay = _EXP(loop, _multiply(loop, inward, _number(loop, 2.0)))
    root = _add(loop, decay, _number(loop, 1.0))
    four = _multiply(loop, decay, _number(loop, 4.0))
    return _divide(loop, four, _multiply(loop, root, root))


def _arcsin_slope(loop: Loop, z: Pair) -> Pair:
    roots = _SQRT(loop, _one_minus(loop, z)), _SQRT(loop, _one_plus(loop, z))
    return _reciprocal(loop, _multiply(loop, *roots))


def _factors(loop: Loop, z: Pair) -> tuple[Pair, Pair]:
    """Of z: z - i and z + i."""
    return (
        _subtract(loop, z, _number(loop, 0.0, 1.0)),
        _subtract(loop, z, _number(loop, 0.0, -1.0)),
    )


def _arctan_slope(loop: Loop, z: Pair) -> Pair:
    return _multiply(loop, *(_reciprocal(loop, x) for x in _factors(loop, z)))


def _arcsinh_slope(loop: Loop, z: Pair) -> Pair:
    return _reciprocal(loop, _SQRT(loop, _multiply(loop, *_factors(loop, z))))


def _arccosh_slope(loop: Loop, z: Pair) -> Pair:
    below, above = _subtract(loop, z, _number(loop, 1.0)), _one_plus(loop, z)
    return _reciprocal(loop, _multiply(loop, _SQRT(loop, below), _SQRT(loop, above)))


def _arctanh_slope(loop: Loop, z: Pair) -> Pair:
    above = _add(loop, z, _number(loop, 1.0))
    return _multiply(loop, _reciprocal(loop, _one_minus(loop, z)), _reciprocal(loop, above))


def _sinc(loop: Loop, z: Pair) -> Pair:
    """sin(pi z) / (pi z), at 0 with 1e-20 for z."""
    zero = COMPLEX["equal"](loop, z, _number(loop, 0.0))
    z = pick(loop, zero, _number(loop, 1e-20), z)
    angle = _multiply(loop, _number(loop, math.pi), z)
    return _divide(loop, _SIN(loop, angle), angle)


COMPLEX_MATH: dict[str, Callable[..., Any]] = {
    "exp": _EXP,
    "exp2": _exp2,
    "expm1": _expm1,
    "log": _LOG,
    "log2": _log_times(math.log2(math.e)),
    "log10": _log_times(math.log10(math.e)),
    "log1p": _log1p,
    "sqrt": _SQRT,
    "power": _power,
    "sin": _SIN,
    "cos": _function("ccos"),
    "tan": _function("ctan"),
    "arcsin": _function("casin"),
    "arccos": _function("cacos"),
    "arctan": _function("catan"),
    "sinh": _function("csinh"),
    "cosh": _function("ccosh"),
    "tanh": _function("ctanh"),
    "arcsinh": _function("casinh"),
    "arccosh": _function("cacosh"),
    "arctanh": _function("catanh"),
    "sign": _sign,
    "complex_sign": _sign,
    "logistic": _logistic,
    "sech_squared": _sech_squared,
    "arcsin_slope": _arcsin_slope,
    "arctan_slope": _arctan_slope,
    "arcsinh_slope": _arcsinh_slope,
    "arccosh_slope": _arccosh_slope,
    "arctanh_slope": _arctanh_slope,
    "sinc": _sinc,
}
