"""Where numbers go into a sorted array, in the loops: all lanes halve their ranges at once.

Of a range of n elements, whose first one ``low`` gives, one is looked at that leaves no more than
ceil(n / 2) on either side. So all searches in one array take the same steps, and none branches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.program import Equation, Literal
from ..affine import ZERO, Index
from ..places import Place
from ..plan import broadcast_index
from . import memory
from .convert import cast
from .emitter import Operand, element_type
from .loop import DType, Loop

_INT64 = np.dtype(np.int64)


def search(nest: Any, equation: Equation, index: Index) -> Any:
    """The number of elements that come before a key; with ``side="right"``, or are equal to it."""
    table, key = equation.inputs
    place = nest.plan.places[table]
    dtype = np.result_type(table.aval.dtype, key.aval.dtype)
    if type(key) is Literal and not key.aval.shape:
        found = nest.literal(key, dtype)
    else:
        found = nest.converted(key, broadcast_index(key.aval.shape, index), dtype)
    base, depth = nest.pointer(
        nest.context.pointer(place.buffer), place.at((ZERO,)), place.buffer, found.depth
    )
    with nest.at(depth, vector=found.is_vector):
        halving = _Halving(nest, place, base, found.operand, equation.params["side"])
        operand = Operand(halving.found(), _INT64)
    return nest.found(operand, depth, found.is_vector)


class _Halving:
    """One search for each lane, of the keys that the lanes hold."""

    def __init__(self, nest: Any, place: Place, base: str, key: Operand, side: str) -> None:
        self.e, self.size = nest.e, nest.context.size
        self.place, self.base, self.key = place, base, key
        self.loop = Loop(nest.e, key.dtype)
        self.is_left = side == "left"
        is_float = key.dtype.kind == "f"
        self.key_is_nan = self.loop.test("uno", key.name, key.name) if is_float else ""

    def found(self) -> str:
        e = self.e
        low, length, counter, kind = e.fresh(), e.fresh(), e.fresh(), e.type("i64")
        out = e.fresh()
        e.effect(
            f"{out}:2 = scf.for {counter} = {e.integer(0)} to {self._steps()} step {e.integer(1)} "
            f"iter_args({low} = {e.constant(0, 'i64')}, {length} = "
            f"{self.size(self.place.shape[0])}) -> ({kind}, i64) : i64 {{"
        )
        half = e.op(f"arith.shrui {length}, {e.integer(1)} : i64")
        before = e.op(f"arith.subi {half}, {e.integer(1)} : i64")
        moved = e.binary("arith.addi", low, e.splat(half, "i64"), "i64")
        moved = e.select(self._comes_before(low, before), moved, low, "i64")
        rest = e.op(f"arith.subi {length}, {half} : i64")
        e.effect(f"scf.yield {moved}, {rest} : {kind}, i64")
        e.effect("}")
        last = self._comes_before(f"{out}#0", e.integer(0))
        last = e.cast("arith.extui", last, "i1", "i64")
        return e.binary("arith.addi", f"{out}#0", last, "i64")

    def _steps(self) -> str:
        """ceil(log2(n)): of n elements, ceil(n / 2) are left by each step, in the end one."""
        e, size = self.e, self.place.shape[0]
        if type(size) is int:
            return e.integer((size - 1).bit_length())
        last = e.op(f"arith.subi {self.size(size)}, {e.integer(1)} : i64")
        zeros = e.op(f"math.ctlz {last} : i64")
        return e.op(f"arith.subi {e.integer(64)}, {zeros} : i64")

    def _comes_before(self, low: str, further: str) -> str:
        """Whether the element that is so much further than ``low`` comes before the key. NaNs come
        last.
        """
        loop, e = self.loop, self.e
        x, key = self._element(low, further), self.key.name
        if self.key.dtype.kind != "f":
            sign = "u" if self.key.dtype.kind == "u" else "s"
            return loop.test(sign + ("lt" if self.is_left else "le"), x, key)
        if not self.is_left:
            return loop.either(loop.test("ole", x, key), self.key_is_nan)
        is_number = loop.test("ord", x, x)
        behind = e.binary("arith.andi", is_number, self.key_is_nan, "i1")
        return loop.either(loop.test("olt", x, key), behind)

    def _element(self, low: str, further: str) -> str:
        e, dtype = self.e, self.place.dtype
        stride = self.size(self.place.strides[0])
        base = memory.shifted(e, self.base, e.op(f"arith.muli {further}, {stride} : i64"))
        by = e.binary("arith.muli", low, e.splat(stride, "i64"), "i64")
        return cast(e, _gathered(e, base, by, dtype), self.key.dtype).name


def _gathered(e: Any, base: str, by: str, dtype: DType) -> Operand:
    """What lies as many bytes behind ``base`` as each lane says."""
    if e.lanes == 1:
        return memory.load(e, memory.shifted(e, base, by), dtype)
    pointers, element = f"vector<{e.lanes}x!llvm.ptr>", element_type(dtype)
    at = e.op(f"llvm.getelementptr {base}[{by}] : (!llvm.ptr, {e.type('i64')}) -> {pointers}, i8")
    types = f"({pointers}, {e.type('i1')}, {e.type(element)}) -> {e.type(element)}"
    found = e.op(
        f"llvm.intr.masked.gather {at}, {e.constant(1, 'i1')}, {e.constant(0, element)} "
        f"{{alignment = {dtype.itemsize} : i32}} : {types}"
    )
    return Operand(found, dtype)
