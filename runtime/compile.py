"""Programs to native code: what `executable` runs where the platform allows it."""

from __future__ import annotations

import ctypes
import hashlib
import re
import struct
import threading
import time
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np

from ..autodiff.any_size import Sizes
from ..autodiff.core import Aval, Value
from ..autodiff.dims import is_symbolic
from ..autodiff.errors import warn_user
from ..autodiff.program import Program
from ..autodiff.rules import narrow_p
from ..autodiff.size_bounds import Symbol
from ..autodiff.size_structures import substituted
from ..codegen.mlir.libraries import ERRORS
from ..codegen.mlir.module import Module, ModuleWriter
from ..codegen.pipeline import optimize
from . import libraries, lower_mlir, native, numpy_routines, recipe, shared_code, threads
from .callbacks import CallBacks
from .debug import debug_level, pass_hook, show
from .recipe import Recipe

_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


Strides = tuple[int, ...] | None

_CALL_FAILED = 1  # the code of a run in which a call back did not return a result

_failed_index = threading.local()  # .place: an index that did not fit, and the size


@ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)
def _tell_failed_index(index: int, size: int) -> None:
    """What native code calls before it returns the number of a check."""
    _failed_index.place = index, size


def _lost_error() -> BaseException:
    """For what a call back raised before it could catch anything; ctypes has printed it."""
    if threading.current_thread() is threading.main_thread():
        return KeyboardInterrupt()  # signals are handled where Python code begins
    return RuntimeError("NumPy was called from native code, which failed; see above")


@cache
def is_available() -> bool:
    """Whether this platform has the compiler: else Programs are interpreted."""
    try:
        native.load_llvmlite()
        lower_mlir.mlir()
    except ImportError:
        return False
    return True


def native_code(program: Program, strides: Sequence[Strides] = ()) -> Compiled | None:
    """``program`` compiled, or None where it has to be interpreted, with a warning. ``strides``:
    see `Compiled`.
    """
    show(2, f"Program of {program.name}", lambda: str(program))
    if _has_long_doubles(program):
        return None
    try:  # what is on disk needs no mlir, whose import takes long
        return Compiled(program, strides)
    except ImportError:
        _warn_once(
            "xnp.jit interprets Programs with NumPy here: llvmlite and mlir are not installed, or "
            "there is no version for this platform"
        )
        return None
    except Exception as error:  # noqa: BLE001 - whatever it is, NumPy computes the same
        warn_user(
            f"xnp.jit interprets {program.name} with NumPy: it was not compiled because of "
            f"{type(error).__name__}: {error!s:.300}. Please report this.",
            RuntimeWarning,
        )
        return None


def _show(program: Program, module: Module, library: native.CompiledLibrary) -> None:
    """What the debug ladder shows of what was compiled."""
    name = program.name
    show(3, f"clusters of {name}", lambda: "\n".join(map(repr, module.plan.steps)))
    show(4, f"MLIR of {name}", lambda: module.text)
    show(4, f"LLVM IR of {name}", library.llvm_ir)
    show(4, f"assembly of {name}", library.assembly)


def _has_long_doubles(program: Program) -> bool:
    """Whether there are numbers that only C knows how to add."""
    atoms = [*program.parameters, *(x for e in program.equations for x in (*e.inputs, *e.results))]
    return any(x.aval.dtype.char in "gG" for x in atoms)


@cache
def _warn_once(message: str) -> None:
    warn_user(message, RuntimeWarning)


class Compiled:
    """A Program as native code. ``compiled(values)``: the results, as arrays in C order.

    ``strides`` are those of the parameters, in bytes; None, and where there are none: C order.
    """

    def __init__(self, program: Program, strides: Sequence[Strides] = ()) -> None:
        self.program = program
        self.avals = program.in_avals, program.out_avals
        self.has_sizes = any(is_symbolic(aval.shape) for aval in program.in_avals)
        self.strides = tuple(strides) if any(x is not None for x in strides) else ()
        self.milliseconds: dict[str, float] = {}
        self.timed: Any = None  # the same with the time of each kernel, once that was asked for
        start = time.perf_counter()
        is_shown = debug_level() >= 3  # what is found on disk has no stages to show
        keyed = recipe.key_of(program)
        key, parts = keyed or (str(program), [])
        key = f"{type(self).__name__} {self.strides}\n{key}"
        found = None if keyed is None or is_shown else recipe.find(key, parts)
        self.milliseconds["disk"] = (time.perf_counter() - start) * 1e3
        if found is not None:
            self.recipe, object_code = found
            self.library = native.load_object(object_code, self._imports())
        else:
            self.library = self._compiled(key)
            if keyed is not None:
                recipe.save(key, parts, self.recipe, self.library.object_code())
        self.address = self.library.address(self.recipe.name)
        self._run = _RUN(self.address)
        if self.recipe.keeps_memory:
            self.library.own_block(f"{self.recipe.name}_arena")
        self._fill_constants()
        times = ", ".join(f"{part} {time:.1f}" for part, time in self.milliseconds.items())
        total = sum(self.milliseconds.values())
        show(1, f"compiled {program.name}", f"in {total:.1f} ms ({times})")

    def _compiled(self, key: str) -> native.CompiledLibrary:
        """The code, made now."""
        start = time.perf_counter()
        program = optimize(self.program, pass_hook(self.program.name))
        optimized = time.perf_counter()
        name = "xnp_" + hashlib.sha256(key.encode()).hexdigest()[:16]
        module = self._written(program, name)
        written = time.perf_counter()
        llvm_ir = lower_mlir.to_llvm_ir(module.text)
        lowered = time.perf_counter()
        imports = re.findall(r"llvm.func @(xnp_\w+)", module.text)
        self.recipe = Recipe(
            name, module.constants, module.callbacks, module.symbols, module.checks, imports,
            module.shared, module.keeps_memory,
        )  # fmt: skip
        library = native.load(llvm_ir, self._imports(), module.optimization)
        _show(self.program, module, library)
        end = time.perf_counter()
        self.milliseconds |= {
            "passes": (optimized - start) * 1e3,
            "write": (written - optimized) * 1e3,
            "mlir": (lowered - written) * 1e3,
            "llvm": (end - lowered) * 1e3,
        }
        return library

    def _written(self, program: Program, name: str) -> Module:
        return ModuleWriter(program, name, vector_bytes(), strides=self.strides).module()

    def _imports(self) -> dict[str, int]:
        """The addresses of what the code calls."""
        made = self.recipe
        found = libraries.symbols(made.imports) | numpy_routines.symbols(made.imports)
        found |= shared_code.addresses(made.shared)
        if "xnp_parallel" in made.imports:
            found["xnp_parallel"] = threads.parallel_address()
        if "xnp_failed_index" in made.imports:
            found["xnp_failed_index"] = _address(_tell_failed_index)
        if made.callbacks:
            self._callbacks = CallBacks(made.callbacks, made.symbols)
            found[f"{made.name}_callback"] = _address(self._callbacks.function)
        return found

    def _fill_constants(self) -> None:
        """Puts the addresses of the constant arrays where the code reads them."""
        self._held: list[Any] = []
        self._refreshed: list[tuple[Any, Any]] = []  # copies of live arrays that are not dense
        for literal in self.recipe.constants:
            value = np.asarray(literal.value)
            if not value.flags.c_contiguous or not value.flags.aligned:
                copy = np.array(value, order="C")
                if literal.live:
                    self._refreshed.append((copy, value))
                value = copy
            self._held.append(value)
        if not self._held:
            return
        count = len(self._held)
        address = self.library.address(f"{self.recipe.name}_constants")
        table = (ctypes.c_void_p * count).from_address(address)
        for i, array in enumerate(self._held):
            table[i] = array.ctypes.data

    @property
    def symbols(self) -> list[Symbol]:
        """Those whose values the code is called with."""
        return self.recipe.symbols

    @property
    def is_self_contained(self) -> bool:
        """Whether a call may go to the code's address: nothing has to be copied before."""
        return not self._refreshed

    def module(self) -> Module:
        """What the code was made of, made again."""
        return self._written(optimize(self.program), self.recipe.name)

    def __call__(self, values: Sequence[Value], sizes: Sizes = ()) -> list[Any]:
        """Values for the parameters, dense arrays or numbers, to arrays and scalars. ``sizes`` of
        the symbols have to be given where the parameters do not show all.
        """
        in_avals, out_avals = self.avals
        arrays: list[Any] = [
            x if strides is not None else np.asarray(x, aval.dtype, order="C")
            for x, aval, strides in zip_longest(values, in_avals, self.strides)
        ]
        for copy, live in self._refreshed:
            np.copyto(copy, live)
        known = dict(sizes) or (self._sizes(arrays) if self.has_sizes else {})
        results = [np.empty(substituted(aval.shape, known), aval.dtype) for aval in out_avals]
        inputs = _pointers(arrays)
        outputs = _pointers(results)
        numbers = [known[symbol] for symbol in self.symbols]
        table = (ctypes.c_int64 * max(len(numbers), 1))(*numbers)
        code = self._run(inputs, outputs, table)
        if code:
            raise self.failure(code)
        return [_result(x, aval) for x, aval in zip(results, out_avals, strict=True)]

    def _sizes(self, arrays: Sequence[np.ndarray[Any, Any]]) -> dict[Any, int]:
        found: dict[Any, int] = {}
        for array, aval in zip(arrays, self.avals[0], strict=True):
            for size, dim in zip(array.shape, aval.shape, strict=True):
                symbol = getattr(dim, "symbol", None)
                if symbol is not None:
                    found.setdefault(symbol, size)
        return found

    def failure(self, code: int) -> BaseException:
        """The exception that a call in this thread which returned ``code`` has to raise."""
        if code == _CALL_FAILED:
            error = self._callbacks.errors.__dict__.pop("error", None)
            return _lost_error() if error is None else error
        if code in ERRORS:
            kind, message = ERRORS[code]
            return kind(message)
        place = _failed_index.__dict__.pop("place", None)
        if place is None:
            return _lost_error()
        what, (number, length) = self.recipe.checks[code - 2], place
        if isinstance(what, tuple):
            return _unfitting(number, *what)
        if number < 0:
            number -= length  # it was counted from the end
        return IndexError(f"index {number} is out of bounds for axis {what} with size {length}")


def _unfitting(bits: int, dtype: np.dtype[Any], is_float: bool) -> BaseException:
    """What NumPy raises for a Python number that is none of ``dtype``."""
    number = struct.unpack("d", struct.pack("q", bits))[0] if is_float else bits
    try:
        narrow_p.impl(number, dtype=dtype)
    except (OverflowError, ValueError) as error:
        return error
    return _lost_error()


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


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
