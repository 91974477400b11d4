"""`sweeps`: the loops that reverse mode makes of one of unknown length, and their memory.

How many rows have to be kept only the run knows. Up to BUDGET bytes of them all are; where there
are more, the range is cut into segments, and the rows of one at a time are there. Then the carry of
every sweep is kept at the ends of the segments, and before a sweep goes through a segment, those
before it go through it once more.

For each sweep in turn, for each segment in its order, for each sweep up to it: those are loops too,
so that the code of a body stands there once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...autodiff.core import Aval
from ...autodiff.program import Program
from ...autodiff.sweeps import Chain, is_upward
from ..plan import Operation, Plan
from .libraries import NO_MEMORY, Code
from .memory import shifted
from .operations import operation
from .regions import (
    Carry,
    Inside,
    close_for,
    copy,
    integer_at,
    open_for,
    pointer_to,
    size_of,
    write_region,
)

BUDGET = 1 << 28  # bytes
LINE = 64


class _Layout:
    """Offsets of values that lie one after the other, and the bytes that they take together."""

    def __init__(self, avals: Sequence[Aval]) -> None:
        self.offsets: list[Any] = []
        self.total: Any = 0
        for aval in avals:
            size = size_of(aval)
            step = 8 if type(size) is int and size < LINE else LINE
            self.total = (self.total + step - 1) // step * step
            self.offsets.append(self.total)
            self.total = self.total + size
        self.total = (self.total + LINE - 1) // LINE * LINE if self._is_large() else self.total
        self.total = (self.total + 7) // 8 * 8

    def _is_large(self) -> bool:
        return type(self.total) is not int or self.total >= LINE


class _Sweeps:
    """Writes one `sweeps` operation."""

    def __init__(self, writer: Any, step: Operation) -> None:
        self.writer, self.e, self.step = writer, writer.main.e, step
        self.chain = Chain(**step.equation.params)
        consts, states = self.chain.parts(step.operands[2:])
        self.consts = [pointer_to(writer, p) for p in consts]
        self.starts = [pointer_to(writer, p) for state in states for p in state]
        pairs = list(zip(self.chain.bodies, self.chain.carry_counts, strict=True))
        self.rows = _Layout([a for body, n in pairs for a in body.out_avals[n:]])
        self.avals = [a for body, n in pairs for a in body.out_avals[:n]]
        self.states = _Layout(self.avals)

    def write(self) -> None:
        e = self.e
        low, high = (integer_at(self.writer, place) for place in self.step.operands[:2])
        some = e.op(f"arith.cmpi sgt, {high}, {low} : i64")
        count = self._int("subi", high, low)
        self.low = low
        self.count = e.op(f"arith.select {some}, {count}, {e.integer(0)} : i64")
        self.span = self._span()
        parts = self._int("addi", self.count, self._int("subi", self.span, e.integer(1)))
        self.parts = self._int("maxsi", self._int("divsi", parts, self.span), e.integer(1))
        bounds = self._int("addi", self.parts, e.integer(1))
        self.kept = self._allocated(bounds, self.states.total)
        self.stacks = self._allocated(self.span, self.rows.total)
        with self._where_there_is_memory():
            self._copy_states(self.starts, is_start=True)
            self._write_order()
            ends = [pointer_to(self.writer, p) for p in self.step.results]
            self._copy_states(ends, is_start=False)
        for pointer in (self.kept, self.stacks):
            e.effect(f"llvm.call @free({pointer}) : (!llvm.ptr) -> ()")

    @contextmanager
    def _where_there_is_memory(self) -> Iterator[None]:
        e, code = self.e, Code(self.writer.main)
        null = e.op("llvm.mlir.zero : !llvm.ptr")
        kept, stacks = (
            e.op(f'llvm.icmp "ne" {block}, {null} : !llvm.ptr')
            for block in (self.kept, self.stacks)
        )
        found = e.op(f"arith.andi {kept}, {stacks} : i1")
        code.fail(e.op(f"arith.xori {found}, {e.constant(1, 'i1')} : i1"), NO_MEMORY)
        with code.where(found):
            yield

    def _int(self, name: str, x: str, y: str) -> str:
        return self.e.op(f"arith.{name} {x}, {y} : i64")

    def _span(self) -> str:
        """The length of a segment: all, if there is room for its rows; else as long as there is
        room, or until they take the memory that the carries take which are kept at the ends.
        """
        e, size = self.e, self.writer.main.size
        row = self._int("maxsi", size(self.rows.total), e.integer(1))
        room = self._int("divsi", e.integer(BUDGET), row)
        ratio = [
            e.op(f"arith.sitofp {x} : i64 to f64")
            for x in (self.count, size(self.states.total), row)
        ]
        product = e.op(f"arith.mulf {ratio[0]}, {ratio[1]} : f64")
        quotient = e.op(f"arith.divf {product}, {ratio[2]} : f64")
        root = e.op(f"math.sqrt {quotient} : f64")
        balanced = e.op(f"arith.fptosi {root} : f64 to i64")
        span = self._int("minsi", self._int("maxsi", room, balanced), self.count)
        return self._int("maxsi", span, e.integer(1))

    def _allocated(self, count: str, size: Any) -> str:
        e = self.e
        total = self._int("muli", count, self.writer.main.size(size))
        for line in ("llvm.func @malloc(i64) -> !llvm.ptr", "llvm.func @free(!llvm.ptr)"):
            name = line.split("@")[1].split("(")[0]
            self.writer.functions.setdefault(name, line)
        return e.op(f"llvm.call @malloc({total}) : (i64) -> !llvm.ptr")

    def _at(self, base: str, number: str, layout: _Layout, part: int) -> str:
        """The address of a part of the ``number``-th of what lies at ``base``."""
        size = self.writer.main.size
        by = self._int("muli", number, size(layout.total))
        return shifted(self.e, base, self._int("addi", by, size(layout.offsets[part])))

    def _numbers(self, sweep: int) -> range:
        """Of a sweep's carried values among all."""
        first = sum(self.chain.carry_counts[:sweep])
        return range(first, first + self.chain.carry_counts[sweep])

    def _copy_states(self, outside: Sequence[str], is_start: bool) -> None:
        """Copies the first carry of each sweep in, or the last one out."""
        zero = self.e.integer(0)
        for sweep in range(len(self.chain.bodies)):
            end = zero if is_upward(sweep) == is_start else self.parts
            for i in self._numbers(sweep):
                kept, size = self._at(self.kept, end, self.states, i), size_of(self.avals[i])
                pair = (kept, outside[i]) if is_start else (outside[i], kept)
                copy(self.writer, *pair, size)

    def _write_order(self) -> None:
        """The loops around: over sweeps, segments, and the sweeps up to the outer one."""
        e, zero, one = self.e, self.e.integer(0), self.e.integer(1)
        outer, segment, inner = e.fresh(), e.fresh(), e.fresh()
        last = e.integer(len(self.chain.bodies))
        e.effect(f"scf.for {outer} = {zero} to {last} step {one} : i64 {{")
        e.effect(f"scf.for {segment} = {zero} to {self.parts} step {one} : i64 {{")
        is_first = e.op(f"arith.cmpi eq, {segment}, {zero} : i64")  # the others' rows are there
        first = e.op(f"arith.select {is_first}, {outer}, {zero} : i64")
        is_down = e.op(f"arith.trunci {outer} : i64 to i1")
        end = self._int("subi", self._int("subi", self.parts, one), segment)
        part = e.op(f"arith.select {is_down}, {end}, {segment} : i64")
        stop = self._int("addi", outer, one)
        e.effect(f"scf.for {inner} = {first} to {stop} step {one} : i64 {{")
        for sweep, body in enumerate(self.chain.bodies):
            mine = e.op(f"arith.cmpi eq, {inner}, {e.integer(sweep)} : i64")
            e.effect(f"scf.if {mine} {{")
            self._write_sweep(sweep, body, part)
            e.effect("}")
        for _ in range(3):
            e.effect("}")

    def _write_sweep(self, sweep: int, body: Program, part: str) -> None:
        """A sweep through one segment, from the carry that is kept at one end to the other."""
        e, writer, one = self.e, self.writer, self.e.integer(1)
        begin = self._int("muli", part, self.span)
        length = self._int("minsi", self._int("subi", self.count, begin), self.span)
        ends = part, self._int("addi", part, one)
        source, target = ends if is_upward(sweep) else reversed(ends)
        numbers, carried = self._numbers(sweep), self.chain.carry_counts[sweep]
        plan = writer.plan(body, {1 + len(self.consts) + j: j for j in range(carried)})
        starts = [self._at(self.kept, source, self.states, i) for i in numbers]
        carry = Carry(writer, starts, body.out_avals[:carried], plan.in_place)
        slot = writer.main.temporary(8)
        counter, names, head = open_for(writer, e.integer(0), length, carry)
        with Inside(writer) as lines:
            k = counter
            if not is_upward(sweep):
                k = self._int("subi", self._int("subi", length, one), counter)
            index = self._int("addi", self._int("addi", self.low, begin), k)
            e.effect(f"llvm.store {index}, {slot} : i64, !llvm.ptr")
            inside = carry.renamed(names)
            read = [self._at(self.stacks, k, self.rows, s) for s in self.chain.reads[sweep]]
            given = [self._at(self.stacks, k, self.rows, s) for s in self._stacks(sweep)]
            parameters = [slot, *self.consts, *(v.before for v in inside), *read]
            write_region(writer, body, parameters, [*(v.after for v in inside), *given], plan)
            last = carry.advance(inside)
        targets = [self._at(self.kept, target, self.states, i) for i in numbers]
        carry.finish(close_for(writer, head, lines, last), targets)

    def _stacks(self, sweep: int) -> range:
        """The numbers of the stacks that a sweep writes."""
        counts = [
            len(body.results) - carried
            for body, carried in zip(self.chain.bodies, self.chain.carry_counts, strict=True)
        ]
        first = sum(counts[:sweep])
        return range(first, first + counts[sweep])


@operation("sweeps")
def _sweeps(writer: Any, _plan: Plan, step: Operation) -> bool:
    _Sweeps(writer, step).write()
    return True
