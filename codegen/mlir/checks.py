"""Checks that are made in the loops: of indices, of integers that a dtype may not hold.

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

_INT64 = np.dtype(np.int64)


def note_failure(nest: Any, bad: str, number: str, what: Any, size: str) -> None:
    """Writes down which check has failed, the number and the size; what failed first stays."""
    e = nest.e
    code, status = nest.context.check(what)
    some = bad if e.lanes == 1 else e.op(f"vector.reduction <or>, {bad} : {e.type('i1')} into i1")
    e.effect(f"scf.if {some} {{")
    one = number if e.lanes == 1 else _first(e, bad, number)
    with e.scalar():
        before = e.op(f"llvm.load {status} : !llvm.ptr -> i64")
        fine = e.compare("eq", before, e.integer(0), "i64")
        for slot, value in enumerate((e.integer(code), one, size)):
            at = f"{status}[{slot}] : (!llvm.ptr) -> !llvm.ptr, i64"
            pointer = e.op(f"llvm.getelementptr {at}")
            old = e.op(f"llvm.load {pointer} : !llvm.ptr -> i64")
            e.effect(f"llvm.store {e.select(fine, value, old, 'i64')}, {pointer} : i64, !llvm.ptr")
    e.effect("}")


def _first(e: Any, bad: str, number: str) -> str:
    """The number in the first of the lanes that are marked."""
    lanes = e.select(bad, e.lane_numbers(), e.constant(e.lanes - 1, "i64"), "i64")
    first = e.op(f"vector.reduction <minui>, {lanes} : {e.type('i64')} into i64")
    lane = e.op(f"arith.index_cast {first} : i64 to index")
    return e.op(f"vector.extract {number}[{lane}] : i64 from {e.type('i64')}")


def narrow(nest: Any, equation: Equation, index: Index) -> Any:
    """A Python int in a dtype that may not hold it."""
    (x,), dtype = equation.inputs, equation.params["dtype"]
    e, found = nest.e, nest.value(x, broadcast_index(x.aval.shape, index))
    limits = np.iinfo(dtype)
    with nest.at(found.depth, vector=found.is_vector):
        number = cast(e, found.operand, _INT64).name
        bad = e.compare("slt", number, e.constant(int(limits.min), "i64"), "i64")
        if limits.max < np.iinfo(_INT64).max:
            high = e.compare("sgt", number, e.constant(int(limits.max), "i64"), "i64")
            bad = e.op(f"arith.ori {bad}, {high} : {e.type('i1')}")
        note_failure(nest, bad, number, dtype, e.integer(0))
        return found._replace(operand=cast(e, Operand(number, _INT64), dtype))
