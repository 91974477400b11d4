"""Numbers between memory and registers, by pointers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .convert import from_memory, memory_type, to_memory
from .emitter import Emitter, Operand

LINE = 64  # bytes of a cache line


def _alignment(dtype: np.dtype[Any]) -> int:
    return dtype.itemsize // (2 if dtype.kind == "c" else 1)


def load(e: Emitter, pointer: str, dtype: np.dtype[Any]) -> Operand:
    """``e.lanes`` numbers that lie side by side."""
    kind = memory_type(e, dtype)
    align = f"{{alignment = {_alignment(dtype)} : i64}}"
    return from_memory(e, e.op(f"llvm.load {pointer} {align} : !llvm.ptr -> {kind}"), dtype)


def load_apart(e: Emitter, pointer: str, dtype: np.dtype[Any], steps: int) -> Operand:
    """``e.lanes`` numbers that lie a few ``steps`` apart, the first at the pointer: picked out of
    whole vectors, none of which goes beyond the first or the last of them.
    """
    lanes, item = e.lanes, dtype.itemsize
    last = abs(steps) * (lanes - 1)
    if steps < 0:
        pointer = shifted(e, pointer, e.integer(-last * item))
    starts = [min(at, last + 1 - lanes) for at in range(0, last + 1, lanes)]
    vectors = [load(e, shifted(e, pointer, e.integer(at * item)), dtype).name for at in starts]
    places = [i * abs(steps) for i in range(lanes)][:: 1 if steps > 0 else -1]
    sources = [min(place // lanes, len(starts) - 1) for place in places]
    kind = e.type_of(dtype)
    found = (
        vectors[0]
        if len(vectors) > 1
        else e.op(f"vector.shuffle {vectors[0]}, {vectors[0]} {places} : {kind}, {kind}")
    )
    for number, vector in enumerate(vectors[1:], 1):
        mask = [
            place - starts[source] + lanes
            if source == number
            else (place if number == 1 and source == 0 else i)
            for i, (place, source) in enumerate(zip(places, sources, strict=True))
        ]
        found = e.op(f"vector.shuffle {found}, {vector} {mask} : {kind}, {kind}")
    return Operand(found, dtype)


def store(e: Emitter, operand: Operand, pointer: str) -> None:
    """Writes ``e.lanes`` numbers side by side."""
    kind = memory_type(e, operand.dtype)
    align = f"{{alignment = {_alignment(operand.dtype)} : i64}}"
    e.effect(f"llvm.store {to_memory(e, operand)}, {pointer} {align} : {kind}, !llvm.ptr")


def prefetch(e: Emitter, pointer: str, size: int) -> None:
    """Has the cache fetch ``size`` bytes that will be written to. They need not be there."""
    for start in range(0, size, LINE):
        at = shifted(e, pointer, e.integer(start))
        how = "{cache = 1 : i32, hint = 3 : i32, rw = 1 : i32}"  # data, to stay, for writing
        e.effect(f'"llvm.intr.prefetch"({at}) <{how}> : (!llvm.ptr) -> ()')


def shifted(e: Emitter, pointer: str, by: str) -> str:
    """A pointer moved by bytes, an i64."""
    return e.op(f"llvm.getelementptr {pointer}[{by}] : (!llvm.ptr, i64) -> !llvm.ptr, i8")
