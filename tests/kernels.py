"""Compiles single primitives into loops over arrays, and the numbers to try them on."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from xnp.codegen.mlir.convert import from_memory, memory_type, to_memory
from xnp.codegen.mlir.elementwise import LOWER
from xnp.codegen.mlir.emitter import Emitter, Operand, element_type
from xnp.runtime.lower_mlir import to_llvm_ir
from xnp.runtime.native import load
from xnp.runtime.shared_code import addresses


class Spec(NamedTuple):
    name: str
    dtypes: tuple[np.dtype[Any], ...]
    lanes: int = 1
    params: dict[str, Any] = {}  # noqa: RUF012 - never written to
    literals: tuple[Any, ...] = ()  # the last arguments, if they are constants


def _access(e: Emitter, base: str, size: int) -> str:
    offset = e.op(f"arith.muli %i, {e.integer(size)} : i64")
    return e.op(f"llvm.getelementptr {base}[{offset}] : (!llvm.ptr, i64) -> !llvm.ptr, i8")


def _function(symbol: str, spec: Spec) -> tuple[str, Emitter, np.dtype[Any]]:
    e = Emitter()
    e.lanes = spec.lanes
    operands = []
    arrays = spec.dtypes[: len(spec.dtypes) - len(spec.literals)]
    for k, dtype in enumerate(arrays):
        kind, align = memory_type(e, dtype), f"{{alignment = {dtype.itemsize} : i64}}"
        pointer = _access(e, f"%p{k}", dtype.itemsize)
        name = e.op(f"llvm.load {pointer} {align} : !llvm.ptr -> {kind}")
        operands.append(from_memory(e, name, dtype))
    for value, dtype in zip(spec.literals, spec.dtypes[len(arrays) :], strict=True):
        parts = [complex(value).real, complex(value).imag] if dtype.kind == "c" else [value]
        names = tuple(e.constant(x, element_type(dtype)) for x in parts)
        operands.append(Operand(names if dtype.kind == "c" else names[0], dtype))
    out = LOWER[spec.name](e, operands, (), spec.params)
    name, pointer = to_memory(e, out), _access(e, "%out", out.dtype.itemsize)
    align = f"{{alignment = {out.dtype.itemsize} : i64}}"
    e.effect(f"llvm.store {name}, {pointer} {align} : {memory_type(e, out.dtype)}, !llvm.ptr")
    args = "".join(f"%p{k}: !llvm.ptr, " for k in range(len(arrays)))
    lines = [
        f"func.func @{symbol}({args}%out: !llvm.ptr, %n: i64) {{",
        "%start = arith.constant 0 : i64",
        f"%step = arith.constant {spec.lanes} : i64",
        *e.prologue,
        "scf.for %i = %start to %n step %step : i64 {",
        *e.lines,
        "}",
        "return",
        "}",
    ]
    return "\n".join(lines), e, out.dtype


class Kernels:
    """Several primitives in one module: ``kernels[spec](*arrays)``."""

    def __init__(self, specs: list[Spec]) -> None:
        self.specs = specs
        written = [_function(f"k{k}", spec) for k, spec in enumerate(specs)]
        helpers = {name: text for _, e, _ in written for name, text in e.functions.items()}
        shared = {name: texts for _, e, _ in written for name, texts in e.shared.items()}
        text = "\n".join([*helpers.values(), *(function for function, _, _ in written)])
        self.dtypes = [dtype for _, _, dtype in written]
        self.library = load(to_llvm_ir(text), addresses(shared), optimize=1)

    def __call__(self, k: int, *arrays: Any) -> Any:
        lanes, size = self.specs[k].lanes, len(arrays[0])
        padded = [np.resize(a, size + -size % lanes) for a in arrays]
        out = np.empty(len(padded[0]), self.dtypes[k])
        types = [ctypes.c_void_p] * (len(arrays) + 1)
        run = ctypes.CFUNCTYPE(None, *types, ctypes.c_int64)(self.library.address(f"k{k}"))
        run(*(a.ctypes.data for a in padded), out.ctypes.data, len(out))
        return out[:size]


def numbers(dtype: np.dtype[Any], seed: int = 0, count: int = 300) -> Any:
    """The extremes first, then patterns of all magnitudes and small round numbers."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, count).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        special = [info.min, info.max, 0, 1, info.max - 1, info.min + 1, 2, 3, 7]
        special += [-1, -2, -3, -7] if info.min else [8, 16, 32, 64]
        low = -20 if info.min else 0
        wide = rng.integers(info.min, info.max, count // 2, dtype, True)
        return np.concatenate(
            [np.array(special, dtype), wide, rng.integers(low, 20, count // 2, dtype)]
        )
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        out = np.empty(len(numbers(part, 0, count)), dtype)
        out.real, out.imag = numbers(part, seed, count), rng.permutation(numbers(part, 1, count))
        return out
    info = np.finfo(dtype)
    least = float(info.smallest_subnormal)
    special = [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, -info.tiny]
    special += [least, -least, 0.5, -0.5, 1.5, 2.5, -2.5, 3, 1e-3, info.eps, -7]
    bits = rng.integers(0, 1 << (8 * dtype.itemsize), count // 3, dtype=f"u{dtype.itemsize}")
    round_numbers = rng.integers(-40, 40, count // 3) / 4
    return np.concatenate(
        [np.array(special).astype(dtype), bits.view(dtype), round_numbers.astype(dtype)]
    )


def combinations(dtypes: tuple[np.dtype[Any], ...]) -> list[Any]:
    """Arrays of one length: all pairs of extremes, then arbitrary ones."""
    arrays = [numbers(dtype, seed) for seed, dtype in enumerate(dtypes)]
    if len(arrays) == 1:
        return arrays
    rng, size, some = np.random.default_rng(0), min(map(len, arrays)), 22
    first = [np.repeat(arrays[-2][:some], some), np.tile(arrays[-1][:some], some)]
    if len(arrays) == 3:
        first = [np.resize(arrays[0], some * some), *first]
    return [
        np.concatenate([a[: some * some], rng.permutation(b)[:size]])
        for a, b in zip(first, arrays, strict=True)
    ]


def same_bits(x: Any, y: Any) -> Any:
    """Equal with the sign of zero; nan is nan."""
    if x.dtype != y.dtype:
        return np.zeros(len(x), bool)
    if x.dtype.kind == "c":
        return same_bits(x.real, y.real) & same_bits(x.imag, y.imag)
    if x.dtype.kind != "f":
        return x == y
    return ((x == y) & (np.signbit(x) == np.signbit(y))) | (np.isnan(x) & np.isnan(y))
