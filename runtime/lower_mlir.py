"""MLIR text to LLVM IR text."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

from ..autodiff.loading import uninterrupted
from ..autodiff.locks import exit_safe_lock
from .libraries import capsule_pointer
from .native import free

# convert-to-llvm takes the func, arith, math, cf, vector, index and ub dialects in one walk, about
# a quarter faster than a pass for each.
_QUICK = "builtin.module(convert-scf-to-cf,convert-to-llvm,reconcile-unrealized-casts)"
# What it leaves (vector.step, vectors of several dimensions) has a pass of its own.
_THOROUGH = "builtin.module(convert-vector-to-llvm,convert-to-llvm,reconcile-unrealized-casts)"

_lock = exit_safe_lock()


class Mlir(NamedTuple):
    """The parts of the package mlir that are used here."""

    ir: Any
    passmanager: Any
    to_llvm_ir: Any  # from the address of an operation to that of a text, which is to be freed


@uninterrupted
def mlir() -> Mlir:
    """Loads the package, in 0.1 s; ImportError where it is not installed."""
    from mlir import ir, passmanager
    from mlir._mlir_libs import _mlir

    # The package's own function for this never frees the text.
    to_llvm_ir = ctypes.CDLL(_mlir.__file__).mlirTranslateModuleToLLVMIRToString
    to_llvm_ir.argtypes, to_llvm_ir.restype = [ctypes.c_void_p], ctypes.c_void_p
    return Mlir(ir, passmanager, to_llvm_ir)


class LoweringError(RuntimeError):
    """A module that MLIR does not take: a mistake of the code generator, never of the user."""


def to_llvm_ir(mlir_text: str, verify: bool = False) -> str:
    """Lower a module of the dialects func, arith, math, vector, scf, cf and llvm.

    Args:
        mlir_text: the module. Vectors have one dimension; memory is accessed by the llvm dialect.
        verify: check the module after every pass, too; the text itself is always checked.

    Raises:
        LoweringError: the text is malformed, or an operation has no lowering. The message holds
            the diagnostics and the lines they point at.

    >>> "fadd double" in to_llvm_ir('''
    ...     func.func @f(%x: f64) -> f64 {
    ...       %y = arith.addf %x, %x : f64
    ...       return %y : f64
    ...     }''')
    True
    """
    ir = mlir().ir
    with _lock, _context():
        try:
            module = ir.Module.parse(mlir_text)
            _run(_QUICK, module, verify)
            if _leftover(module):
                _run(_THOROUGH, module, verify)
        except ir.MLIRError as error:
            raise LoweringError(_explain(error, mlir_text)) from None
        # The translation ends the process where an operation is not LLVM's.
        if left := _leftover(module):
            raise LoweringError(f"no lowering for {left.name}:\n    {left}\nin\n{module}")
        return _translated(module.operation)


@cache
def _context() -> Any:
    """The one context, without MLIR's thread pool: modules are small and processes fork."""
    context = mlir().ir.Context()
    context.enable_multithreading(False)
    return context


@cache
def _passes(pipeline: str) -> Any:
    return mlir().passmanager.PassManager.parse(pipeline)


def _run(pipeline: str, module: Any, verify: bool) -> None:
    passes = _passes(pipeline)
    passes.enable_verifier(verify)
    passes.run(module.operation)


def _leftover(module: Any) -> Any:
    """The first operation that is not of the llvm dialect, or None."""
    ir, found = mlir().ir, []

    def visit(operation: Any) -> Any:
        if operation.name.startswith("llvm.") or operation.name == "builtin.module":
            return ir.WalkResult.ADVANCE
        found.append(operation)
        return ir.WalkResult.INTERRUPT

    try:
        module.operation.walk(visit)
    except RuntimeError as error:  # MLIR's own, of whatever came through its C++ code
        if str(error).rstrip().rpartition("\n")[2].startswith(KeyboardInterrupt.__name__):
            raise KeyboardInterrupt from None
        raise
    return found[0] if found else None


def _translated(operation: Any) -> str:
    text = mlir().to_llvm_ir(capsule_pointer(operation._CAPIPtr))
    try:
        return ctypes.string_at(text).decode()
    finally:
        free(text)


def _explain(error: Any, text: str) -> str:
    lines = text.splitlines()
    told = [str(error.message)]
    for diagnostic in error.error_diagnostics:
        told.append(f"{diagnostic.location}: {diagnostic.message}")
        number = getattr(diagnostic.location, "start_line", 0)
        if 0 < number <= len(lines):
            told.append(f"    {lines[number - 1].strip()}")
        told += [f"  note: {note.location}: {note.message}" for note in diagnostic.notes]
    return "\n".join(told)
