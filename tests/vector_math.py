"""The code generator's real functions, compiled to run over arrays, and what is true of them."""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np

from xnp.codegen.mlir.emitter import Emitter
from xnp.codegen.mlir.math_table import TRANSCENDENTAL
from xnp.runtime.lower_mlir import to_llvm_ir
from xnp.runtime.native import CompiledLibrary, load
from xnp.runtime.shared_code import addresses

ELEMENT = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
context = mp.MPContext()
context.prec = 140


def module(name: str, element: str, lanes: int, arity: int) -> tuple[str, Emitter]:
    """A function ``run(*arrays, out, n)``, and what wrote it."""
    e = Emitter()
    e.lanes = lanes
    kind, align = e.type(element), f"{{alignment = {int(element[1:]) // 8} : i64}}"

    def at(pointer: str) -> str:
        return e.op(f"llvm.getelementptr {pointer}[%i] : (!llvm.ptr, i64) -> !llvm.ptr, {element}")

    pointers = [f"%p{i}" for i in range(arity)]
    args = [e.op(f"llvm.load {at(p)} {align} : !llvm.ptr -> {kind}") for p in pointers]
    ans = TRANSCENDENTAL[name](e, element, *args)
    e.effect(f"llvm.store {ans}, {at('%out')} {align} : {kind}, !llvm.ptr")
    lines = [
        *e.functions.values(),
        f"func.func @run({', '.join(f'{p}: !llvm.ptr' for p in [*pointers, '%out'])}, %n: i64) {{",
        "%start = arith.constant 0 : i64",
        f"%step = arith.constant {lanes} : i64",
        *e.prologue,
        "scf.for %i = %start to %n step %step : i64 {",
        *e.lines,
        "}\nreturn\n}",
    ]
    return "\n".join(lines), e


@cache
def library(name: str, element: str, lanes: int, arity: int) -> CompiledLibrary:
    text, e = module(name, element, lanes, arity)
    return load(to_llvm_ir(text), addresses(e.shared))


def run(name: str, *arrays: Any, lanes: int = 8) -> Any:
    """The function of arrays of one length and dtype, by machine code."""
    n = len(arrays[0])
    whole = -(-n // lanes) * lanes
    padded = [np.append(a, np.ones(whole - n, a.dtype)) for a in arrays]
    out = np.empty_like(padded[0])
    code = library(name, ELEMENT[out.dtype], lanes, len(arrays))
    pointers = [ctypes.c_void_p] * (len(arrays) + 1)
    function = ctypes.CFUNCTYPE(None, *pointers, ctypes.c_int64)(code.address("run"))
    function(*(a.ctypes.data for a in [*padded, out]), whole)
    return out[:n]


def error_in_ulps(got: Any, want: Any) -> float:
    """|got - want| in units in the last place of ``want``, exactly. A number that rounds to inf may
    be inf or the greatest number.
    """
    info = np.finfo(got.dtype)
    got_is_nan, want_is_nan = bool(np.isnan(got)), mp.isnan(want)
    if got_is_nan or want_is_nan:
        return 0.0 if got_is_nan and want_is_nan else np.inf
    unit = np.ldexp(1.0, info.maxexp - info.nmant - 1)
    if abs(want) >= context.mpf(float(info.max)) + context.mpf(unit) / 2:
        right_sign = (got > 0) == (want > 0)
        return 0.0 if right_sign and abs(got) >= info.max else np.inf
    if np.isinf(got):
        return 1.0 if abs(want) > float(info.max) else np.inf
    exponent = context.frexp(want)[1] - 1 if want else info.minexp
    unit = context.ldexp(1, max(exponent, info.minexp) - info.nmant)
    return float(abs(context.mpf(float(got)) - want) / unit)


def worst(name: str, reference: Callable[..., Any], *arrays: Any) -> tuple[float, tuple[Any, ...]]:
    """The greatest error and where it is."""
    ans = run(name, *arrays)
    points = list(zip(*arrays, strict=True))
    errors = [
        error_in_ulps(got, reference(*(context.mpf(float(x)) for x in point)))
        for got, point in zip(ans, points, strict=True)
    ]
    at = int(np.argmax(errors))
    return errors[at], (name, ans[at], *points[at])
