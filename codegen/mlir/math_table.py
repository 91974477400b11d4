"""The table of real functions for the CPU: primitive -> f(e, element, *names) -> name.

Each is a function of its own in the module, ``@xnp_exp_f64x8``, emitted when it is first used, so
that a program's text grows by one line for a use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from . import math_exponential as exponential
from . import math_logarithm as logarithm
from .emitter import Emitter
from .math_numbers import Formula, MathEmitter, Number, rare_function, rare_name

# name -> (number of arguments, formula)
_FORMULAS: dict[str, tuple[int, Formula]] = {
    **{f.__name__: (1, f) for f in (
        exponential.exp, exponential.exp2, exponential.expm1, exponential.sinh, exponential.cosh,
        exponential.tanh, exponential.logistic, exponential.sech_squared,
        logarithm.log, logarithm.log2, logarithm.log10, logarithm.log1p,
        logarithm.arcsinh, logarithm.arccosh, logarithm.arctanh,
    )},
    **{f.__name__: (2, f) for f in (logarithm.logaddexp, logarithm.logaddexp2)},
}


@lru_cache(4096)
def _function(name: str, element: str, lanes: int) -> tuple[str, str, str, tuple[str, ...]]:
    """The function's name, type, text, and the texts it needs."""
    arity, formula = _FORMULAS[name]
    e = MathEmitter(lanes, element == "f32")
    kind = e.type(element)
    args = [Number(e, f"%a{i}", element) for i in range(arity)]
    if element == "f32":
        ans = formula(*(a.cast("arith.extf", "f64") for a in args)).cast("arith.truncf", "f32")
    else:
        ans = formula(*args)
    symbol = f"xnp_{name}_{element}x{lanes}"
    signature = ", ".join(f"{a.name}: {kind}" for a in args)
    body = "\n".join([*e.prologue, *e.lines])
    text = (
        f"func.func private @{symbol}({signature}) -> {kind} attributes "
        f"{{llvm.linkage = #llvm.linkage<internal>}} {{\n{body}\nreturn {ans.name} : {kind}\n}}"
    )
    return symbol, f"({', '.join([kind] * arity)}) -> {kind}", text, tuple(e.external)


def _call(name: str, e: Emitter, element: str, *args: str) -> str:
    symbol, kind, text, external = _function(name, element, e.lanes)
    if symbol not in e.functions:
        e.functions[symbol] = text
        for libm in external:
            arity = _ARITY.get(libm, 1)
            e.functions[libm] = EXTERNAL[libm]
            e.functions[rare_name(libm, e.lanes)] = rare_function(libm, arity, e.lanes)
    return e.op(f"func.call @{symbol}({', '.join(args)}) : {kind}")


_ARITY = {"pow": 2, "atan2": 2, "fmod": 2, "hypot": 2}


def _declaration(symbol: str) -> str:
    args = ", ".join(["f64"] * _ARITY.get(symbol, 1))
    return f"llvm.func @{symbol}({args}) -> f64"


# what libm must give, and its declaration in a module; LLVM finds them in the process
EXTERNAL: dict[str, str] = {
    symbol: _declaration(symbol) for symbol in ("sin", "cos", "tan", "fmod")
}

TRANSCENDENTAL: dict[str, Callable[..., str]] = {
    name: partial(_call, name) for name in _FORMULAS
}
