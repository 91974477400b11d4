"""The table of real functions for the CPU: primitive -> f(e, element, *names) -> name.

Each is a function of its own, ``@xnp_exp_f64x8``: a program's text grows by one line for a use.
What is called is compiled once for all programs, and kept on disk (runtime/shared_code.py).

The greatest errors seen, in units in the last place of the true value: of f32 among 44 million
numbers spread over all, of f64 among up to 2.4 million (tests/test_vector_math.py holds all to 2):

=============  ====  ====  ==============================================================
function       f64   f32   method
=============  ====  ====  ==============================================================
exp, exp2      1.09  1.01  k ln 2 + r; e^r by a polynomial of degree 11 (f32: 7)
expm1          1.66  1.50  the same; 2^k (e^r - 1) + (2^k - 1)
sinh, cosh     1.61  1.62  from e^|x|/2; sinh by a polynomial below 1
tanh           1.82  1.55  2x = k ln 2 + 2r, a quotient of 2^-k, r and r coth(r)
sech_squared   1.60  1.60  the same
logistic       1.76  1.63  1/(1 + e^-x), 1 + e^-x in two parts
log            0.80  0.79  2^k (1 + f); an odd series in f/(2 + f)
log2, log10    0.78  0.74  the same in two parts
log1p          0.80  0.83  the same; what 1 + x lost is added to f
arcsinh, ...   0.99  0.89  log1p of an argument in two parts (arccosh, arctanh too)
sin, cos       0.83  0.83  n pi/2 + r in two parts; beyond 2^28 Payne and Hanek's
tan            1.01  1.05  quotient of the same, with its remainder
arcsin, arccos 1.13  1.09  a polynomial; beyond 1/2 of sqrt((1 - x)/2)
arctan         0.72  0.81  a polynomial up to tan(pi/8), beyond of (x - 1)/(x + 1)
arctan2        1.45  1.00  the same of the quotient
cbrt           0.57  0.50  m^(-1/3) by a polynomial and two steps
hypot          0.51  0.50  in two parts, scaled
power          1.19  0.51  y log2(x) in two parts (f32: in f64), 2^that as exp2
slopes         1.95  0.50  (f32: in f64)
erf, erfc      1.83  1.68  e^(-x^2) times a polynomial in (x - 4)/(x + 4); near 0 another
ndtr           1.83  1.66  the same
=============  ====  ====  ==============================================================

Polynomials are minimax, found with Remez's algorithm in 50 digits. Of heaviside, fmod, remainder,
floor_divide, deg2rad and rad2deg the results are NumPy's own. logaddexp is accurate beside its
arguments, as NumPy's is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from . import math_error as errors
from . import math_exponential as exponential
from . import math_inverse as inverse
from . import math_logarithm as logarithm
from . import math_power as powers
from . import math_steps as steps
from . import math_trigonometric as trigonometric
from .emitter import Emitter
from .math_numbers import ColdFunction, Formula, MathEmitter, Number


def _arities(one: Sequence[Formula], two: Sequence[Formula]) -> dict[str, tuple[int, Formula]]:
    return {
        **{f.__name__: (1, f) for f in one},
        **{f.__name__: (2, f) for f in two},
    }


# For both types.
_AS_GIVEN = _arities(
    one=[
        exponential.exp, exponential.exp2, exponential.expm1,
        exponential.sinh, exponential.cosh, exponential.tanh,
        exponential.logistic, exponential.sech_squared,
        logarithm.log, logarithm.log2, logarithm.log10, logarithm.log1p,
        logarithm.arcsinh, logarithm.arccosh, logarithm.arctanh,
        trigonometric.sin, trigonometric.cos, trigonometric.tan, trigonometric.sinc,
        inverse.arcsin, inverse.arccos, inverse.arctan,
        powers.cbrt,
        errors.erf, errors.erfc, errors.ndtr,
        steps.deg2rad, steps.rad2deg,
    ],
    two=[
        logarithm.logaddexp, logarithm.logaddexp2, inverse.arctan2,
        steps.fmod, steps.remainder, steps.floor_divide, steps.heaviside,
    ],
)  # fmt: skip

# For f64; an f32 is widened and the result rounded.
_WIDENED = _arities(
    one=[
        steps.arcsin_slope, steps.arctan_slope,
        steps.arcsinh_slope, steps.arccosh_slope, steps.arctanh_slope,
    ],
    two=[powers.power, powers.hypot, steps.cosine],
)  # fmt: skip

# Two functions of one number that have most of their work in common, and the formula of both.
_TOGETHER = {
    ("tanh", "sech_squared"): exponential.tanh_and_sech_squared,
    ("sin", "cos"): trigonometric.sin_and_cos,
}
TWIN = {a: b for pair in _TOGETHER for a, b in (pair, pair[::-1])}
_FORMULAS: dict[str, tuple[int, Callable[..., Any]]] = {
    **_WIDENED,
    **_AS_GIVEN,
    **{" and ".join(pair): (1, formula) for pair, formula in _TOGETHER.items()},
}


# Inlined, a function keeps its constants in registers and needs no others to be saved, but is
# compiled again for each program. So what is used once is inlined where there are 32 registers, and
# as a scalar; else it is called, which costs less than 0.1 ns an element, and is compiled once.
_INLINED_USES = 1
_MANY_REGISTERS = 64  # bytes of a vector of processors that have 32 of them
_INLINED = '{passthrough = ["alwaysinline"], llvm.linkage = #llvm.linkage<internal>}'
_CALLED = '{passthrough = ["noinline"], llvm.linkage = #llvm.linkage<internal>}'


class _Function(NamedTuple):
    symbol: str
    type: str
    text: str
    cold: tuple[ColdFunction, ...]

    def texts(self) -> dict[str, str]:
        """The function as it is called, and all that it calls, by name."""
        called = {name: text for f in self.cold for name, text in f.texts().items()}
        return {**called, self.symbol: self.text.replace(_INLINED, _CALLED, 1)}


@lru_cache(4096)
def _function(name: str, element: str, lanes: int) -> _Function:
    widened = name in _WIDENED
    arity, formula = _FORMULAS[name]
    e = MathEmitter(lanes, element == "f32")
    kind = e.type(element)
    args = [Number(e, f"%a{i}", element) for i in range(arity)]
    if e.narrow and widened:
        ans = formula(*(a.cast("arith.extf", "f64") for a in args)).cast("arith.truncf", "f32")
    else:
        ans = formula(*args)
    answers = [y.name for y in (ans if isinstance(ans, tuple) else (ans,))]
    symbol = f"xnp_{name.replace(' ', '_')}_{element}x{lanes}"
    signature = ", ".join(f"{a.name}: {kind}" for a in args)
    kinds = ", ".join([kind] * len(answers))
    lines = [
        f"func.func private @{symbol}({signature}) -> ({kinds}) attributes {_INLINED} {{",
        *e.prologue,
        *e.lines,
        f"return {', '.join(answers)} : {kinds}",
        "}",
    ]
    types = ", ".join([kind] * arity)
    return _Function(symbol, f"({types}) -> ({kinds})", "\n".join(lines), tuple(e.cold))


def _used(name: str, e: Emitter, element: str) -> _Function:
    """The function, which ``e`` will write into its module, or declare."""
    function = _function(name, element, e.lanes)
    uses = e.uses[function.symbol] = e.uses.get(function.symbol, 0) + 1
    may_inline = e.lanes == 1 or e.vector_bytes >= _MANY_REGISTERS
    if may_inline and uses <= _INLINED_USES:
        e.functions[function.symbol] = function.text
        for cold in function.cold:
            e.share(cold.name, cold.texts())
    elif function.symbol not in e.shared:
        e.share(function.symbol, function.texts())
    return function


def _call(name: str, e: Emitter, element: str, *args: str) -> str:
    function = _used(name, e, element)
    return e.op(f"func.call @{function.symbol}({', '.join(args)}) : {function.type}")


def twins(name: str, e: Emitter, element: str, arg: str) -> tuple[str, str]:
    """The results of a function that has a `TWIN`, and of that."""
    pair = (name, TWIN[name])
    swapped = pair not in _TOGETHER
    function = _used(" and ".join(pair[::-1] if swapped else pair), e, element)
    both = e.fresh()
    e.effect(f"{both}:2 = func.call @{function.symbol}({arg}) : {function.type}")
    return (f"{both}#1", f"{both}#0") if swapped else (f"{both}#0", f"{both}#1")


TRANSCENDENTAL: dict[str, Callable[..., str]] = {
    name: partial(_call, name) for name in [*_WIDENED, *_AS_GIVEN]
}
# Other names for the same.
TRANSCENDENTAL.update(
    {
        "radians": TRANSCENDENTAL["deg2rad"],
        "degrees": TRANSCENDENTAL["rad2deg"],
        "scipy.expit": TRANSCENDENTAL["logistic"],
        **{f"scipy.{name}": TRANSCENDENTAL.pop(name) for name in ("erf", "erfc", "ndtr")},
        **{f"scipy.{name}": TRANSCENDENTAL[name] for name in ("exp2", "expm1", "log1p", "cbrt")},
    }
)
