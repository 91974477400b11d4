"""Numbers between memory and registers, by pointers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import from_memory, memory_type, to_memory
from .emitter import Emitter, Operand


def _alignment(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize // (2 if dtype.kind == "c" else 1)


def load(e: Emitter, pointer: str, dtype: np.dtype[Any]) -> Operand:
    """``e.lanes`` numbers that lie side by side."""
    kind = memory_type(e, dtype)
    align = f"{{alignment = {_alignment(dtype)} : i64}}"
    return from_memory(e, e.op(f"llvm.load {pointer} {align} : !llvm.ptr -> {kind}"), dtype)


def store(e: Emitter, operand: Operand, pointer: str) -> None:
    """Writes ``e.lanes`` numbers side by side."""
    kind = memory_type(e, operand.dtype)
    align = f"{{alignment = {_alignment(operand.dtype)} : i64}}"
    e.effect(f"llvm.store {to_memory(e, operand)}, {pointer} {align} : {kind}, !llvm.ptr")


def shifted(e: Emitter, pointer: str, by: str) -> str:
    """A pointer moved by bytes, an i64."""
    return e.op(f"llvm.getelementptr {pointer}[{by}] : (!llvm.ptr, i64) -> !llvm.ptr, i8")
