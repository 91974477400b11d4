"""Programs to native code: what `executable` runs where the platform allows it."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import itertools
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..autodiff.core import Aval, Value
from ..autodiff.dims import substituted
from ..autodiff.program import Literal, Program
from ..codegen.mlir.libraries import ERRORS
from ..codegen.mlir.module import Module, ModuleWriter
from ..codegen.pipeline import optimize
from ..codegen.places import Place
from . import libraries, lower_mlir, native, threads
from .debug import pass_hook, show

_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)
_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_serial = itertools.count()


def _unique_name(program: Program) -> str:
    digest = hashlib.sha256(str(program).encode()).hexdigest()[:12]
    return f"xnp_{digest}_{next(_serial)}"


@cache
def is_available() -> bool:
    """Whether this platform has the compiler: else Programs are interpreted."""
    return all(importlib.util.find_spec(name) is not None for name in ("llvmlite", "mlir"))


def native_code(program: Program, _strides: Any = None) -> Compiled | None:
    """``program`` compiled, or None where it has to be interpreted, with a warning."""
    if not is_available():
        _warn_once(
            "xnp.jit interprets Programs with NumPy here: llvmlite and mlir are not installed, or "
            "there is no version for this platform"
        )
        return None
    show(2, f"Program of {program.name}", lambda: str(program))
    try:
        compiled = Compiled(optimize(program, pass_hook(program.name)))
        _show(compiled)
        return compiled
    except (lower_mlir.LoweringError, RuntimeError, NotImplementedError, AssertionError) as error:
        warnings.warn(
            f"xnp.jit interprets {program.name} with NumPy: it was not compiled because of "
            f"{type(error).__name__}: {error!s:.300}. Please report this.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _show(compiled: Compiled) -> None:
    """What the debug ladder shows of it."""
    name, plan = compiled.program.name, compiled.module.plan
    times = compiled.milliseconds
    parts = ", ".join(f"{part} {time:.1f}" for part, time in times.items())
    show(1, f"compiled {name}", f"in {sum(times.values()):.1f} ms ({parts})")
    show(3, f"clusters of {name}", lambda: "\n".join(map(repr, plan.steps)))
    show(4, f"MLIR of {name}", lambda: compiled.module.text)
    show(4, f"LLVM IR of {name}", compiled.library.llvm_ir)
    show(4, f"assembly of {name}", compiled.library.assembly)


@cache
def _warn_once(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)


class Compiled:
    """A Program as native code. ``compiled(values)``: the results, as arrays in C order."""

    def __init__(self, program: Program) -> None:
        start = time.perf_counter()
        self.program = program
        self.name = name = _unique_name(program)
        self.module: Module = ModuleWriter(program, name, vector_bytes(), parallel=True).module()
        written = time.perf_counter()
        self.llvm_ir = lower_mlir.to_llvm_ir(self.module.text)
        lowered = time.perf_counter()
        symbols = libraries.symbols(self.module.text)
        self._failures = threading.local()
        if self.module.is_parallel:
            symbols["xnp_parallel"] = threads.parallel_address()
        if self.module.callbacks:
            self._callback = _CALLBACK(self._call_back)
            pointer = ctypes.cast(self._callback, ctypes.c_void_p).value
            assert pointer is not None
            symbols[f"{name}_callback"] = pointer
        self.library = native.load(self.llvm_ir, symbols)
        self.address = self.library.address(name)
        self._run = _RUN(self.address)
        self._fill_constants(name)
        end = time.perf_counter()
        self.milliseconds = {
            "write": (written - start) * 1e3,
            "mlir": (lowered - written) * 1e3,
            "llvm": (end - lowered) * 1e3,
        }

    def _fill_constants(self, name: str) -> None:
        self._held = [np.ascontiguousarray(x.value) for x in self.module.constants]
        if not self._held:
            return
        count = len(self._held)
        table = (ctypes.c_void_p * count).from_address(self.library.address(f"{name}_constants"))
        for i, array in enumerate(self._held):
            table[i] = array.ctypes.data

    def __call__(self, values: Sequence[Value]) -> list[Any]:
        """Values for the parameters, dense arrays or numbers, to arrays and scalars."""
        arrays = [
            np.asarray(x, aval.dtype, order="C")
            for x, aval in zip(values, self.program.in_avals, strict=True)
        ]
        sizes = self._sizes(arrays)
        results = [
            np.empty(substituted(aval.shape, sizes), aval.dtype) for aval in self.program.out_avals
        ]
        inputs = _pointers(arrays)
        outputs = _pointers(results)
        numbers = [sizes[symbol] for symbol in self.module.symbols]
        table = (ctypes.c_int64 * max(len(numbers), 1))(*numbers)
        code = self._run(inputs, outputs, table)
        if code:
            raise self.failure(code, sizes)
        return [_result(x, aval) for x, aval in zip(results, self.program.out_avals, strict=True)]

    def _sizes(self, arrays: Sequence[np.ndarray[Any, Any]]) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for array, aval in zip(arrays, self.program.in_avals, strict=True):
            for size, dim in zip(array.shape, aval.shape, strict=True):
                symbol = getattr(dim, "symbol", None)
                if symbol is not None:
                    found.setdefault(symbol, size)
        return found

    def failure(self, code: int, sizes: Mapping[Any, int]) -> BaseException:
        """The exception that a call which returned ``code`` has to raise."""
        error = self._failures.__dict__.pop("error", None)
        if error is not None:
            return error
        if code in ERRORS:
            kind, message = ERRORS[code]
            return kind(message)
        size, axis = self.module.checks[code - 2]
        index = ctypes.c_int64.from_address(self.library.address(f"{self.name}_index")).value
        length = substituted(size, sizes) if sizes else size
        if index < 0:
            index -= length  # it was counted from the end
        return IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")

    def _call_back(self, number: int, table: int, sizes: int, status: int) -> None:
        state = ctypes.c_int64.from_address(status)
        if state.value:
            return
        try:
            self._compute(number, table, sizes)
        except BaseException as error:  # noqa: BLE001 - it goes on behind the native code
            self._failures.error = error
            state.value = 1

    def _compute(self, number: int, table: int, sizes: int) -> None:
        step = self.module.callbacks[number]
        symbols = self.module.symbols
        values: dict[Any, int] = {}
        if symbols:
            known = (ctypes.c_int64 * len(symbols)).from_address(sizes)
            values = dict(zip(symbols, known, strict=True))
        count = sum(not isinstance(x, Literal) for x in step.operands) + len(step.results)
        pointers = iter((ctypes.c_void_p * count).from_address(table))
        equation = step.equation
        args = []
        for x, atom in zip(step.operands, equation.inputs, strict=True):
            if isinstance(x, Literal):
                args.append(x.value)
                continue
            array = _array_at(next(pointers), x, values)
            args.append(array.item() if atom.aval.weak else array[()] if not array.ndim else array)
        params = substituted(equation.params, values) if values else equation.params
        found = equation.primitive(*args, **params)
        if not equation.primitive.multiple:
            found = (found,)
        for place, result in zip(step.results, found, strict=True):
            _array_at(next(pointers), place, values)[...] = result


def _array_at(pointer: int | None, place: Place, sizes: Mapping[Any, int]) -> Any:
    """The array at a place whose first element has this address."""
    shape, strides = place.shape, place.strides
    if sizes:
        shape, strides = substituted(shape, sizes), substituted(strides, sizes)
    if 0 in shape:
        return np.empty(shape, place.dtype)
    low = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)
    high = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s > 0)
    extent = high - low + place.dtype.itemsize
    memory: Any = (ctypes.c_char * extent).from_address((pointer or 0) + low)
    return np.ndarray(shape, place.dtype, memory, -low, strides)


def _result(x: np.ndarray[Any, Any], aval: Aval) -> Any:
    """What NumPy returns: a scalar where there are no dimensions."""
    if x.ndim:
        return x
    return x.item() if aval.weak else x[()]


def _pointers(arrays: Sequence[Any]) -> Any:
    return (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])


def vector_bytes() -> int:
    """The width of this machine's vector registers."""
    features = native.host().features
    if "+avx512f" in features:
        return 64
    return 32 if "+avx2" in features else 16
