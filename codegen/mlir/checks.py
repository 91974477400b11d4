"""Checks that are made in the loops: of indices, of numbers that a dtype may not hold.

What does not fit makes the run fail, after the loops. A status word keeps what failed first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.program import Equation
from ..affine import Index
from ..plan import broadcast_index
from .convert import cast
from .emitter import Operand
from .loop import Loop

_INT64, _FLOAT64 = np.dtype(np.int64), np.dtype(np.float64)


def note_failure(nest: Any, bad: str, number: str, what: Any, size: str) -> None:
    """Writes down which check has failed, the number and the size; what failed first stays."""
    e = nest.e
    code, status = nest.context.check(what)
    some = bad if e.lanes == 1 else e.op(f"vector.reduction <or>, {bad} : {e.type('i1')} into i1")
    e.effect(f"scf.if {some} {{")
    one = number if e.lanes == 1 else _first(e, bad, number)
    with e.scalar():
        pair = e.op(
            f"llvm.cmpxchg {status}, {e.integer(0)}, {e.integer(code)} monotonic monotonic : "
            "!llvm.ptr, i64"
        )
        first = e.op(f"llvm.extractvalue {pair}[1] : !llvm.struct<(i64, i1)>")
        e.effect(f"scf.if {first} {{")  # of threads, one
        for slot, value in enumerate((one, size), 1):
            at = e.op(f"llvm.getelementptr {status}[{slot}] : (!llvm.ptr) -> !llvm.ptr, i64")
            e.effect(f"llvm.store {value}, {at} : i64, !llvm.ptr")
        e.effect("}")
    e.effect("}")


def _first(e: Any, bad: str, number: str) -> str:
    """The number in the first of the lanes that are marked."""
    lanes = e.select(bad, e.lane_numbers(), e.constant(e.lanes - 1, "i64"), "i64")
    first = e.op(f"vector.reduction <minui>, {lanes} : {e.type('i64')} into i64")
    lane = e.op(f"arith.index_cast {first} : i64 to index")
    return e.op(f"vector.extract {number}[{lane}] : i64 from {e.type('i64')}")


def narrow(nest: Any, equation: Equation, index: Index) -> Any:
    """A Python number in an integer dtype that may not hold it."""
    (x,), dtype = equation.inputs, equation.params["dtype"]
    found = nest.value(x, broadcast_index(x.aval.shape, index))
    is_float = found.operand.dtype.kind == "f"
    with nest.at(found.depth, vector=found.is_vector):
        loop = Loop(nest.e, _FLOAT64 if is_float else _INT64)
        number = cast(nest.e, found.operand, loop.dtype).name
        bad = (_float_beyond if is_float else _integer_beyond)(loop, number, dtype)
        bits = loop.to_bits(number) if is_float else number
        note_failure(nest, bad, bits, (dtype, is_float), nest.e.integer(0))
        return found._replace(operand=cast(nest.e, Operand(number, loop.dtype), dtype))


def _integer_beyond(loop: Loop, x: str, dtype: np.dtype[Any]) -> str:
    limits = np.iinfo(dtype)
    low = loop.test("slt", x, loop.number(int(limits.min)))
    if limits.max >= np.iinfo(_INT64).max:
        return low
    return loop.either(low, loop.test("sgt", x, loop.number(int(limits.max))))


def _float_beyond(loop: Loop, x: str, dtype: np.dtype[Any]) -> str:
    """Whether its whole part is beyond the dtype, or there is none."""
    limits = np.iinfo(dtype)
    least = float(limits.min)  # an int64 is that, there is no float between it and the next integer
    low = loop.test("ult", x, loop.number(least))
    if dtype != _INT64:
        low = loop.test("ule", x, loop.number(least - 1.0))
    return loop.either(low, loop.test("uge", x, loop.number(float(limits.max + 1))))
