"""Reductions of everything: threads reduce blocks, and one thread puts the blocks together.

The blocks do not depend on the number of threads, and so neither does the result.
"""

from __future__ import annotations

from typing import Any

from ...autodiff.program import Equation
from ..places import TEMPORARY, Buffer
from ..plan import FULL, RUNNING
from . import memory
from .loops import LoopNest
from .nest_values import Found
from .reductions import Reduction, reduction_of

SLOT = 16  # bytes of a block's result: a complex128


class BlockNest(LoopNest):
    """A cluster all of whose axes are reduced."""

    def is_possible(self) -> bool:
        """Whether there are only reductions that blocks can be put together of."""
        names = [e.primitive.name for e in self.cluster.equations if self._reduces(e)]
        whole = bool(self.inner_loops) and not self.row_loops and not self.cluster.serial
        if any(phase for v, phase in self.cluster.phase.items() if self.cluster.level[v] == FULL):
            return False  # the one row there is has to be gone through again
        return whole and not any(n in RUNNING or n in ("argmax", "argmin") for n in names)

    def reductions(self) -> list[Equation]:
        return [e for e in self.cluster.equations if self._reduces(e)]

    def plan_blocks(self, work: Any, piece: int) -> tuple[Any, Any]:
        """How many steps of the outermost loop a block has, and how many blocks there are. ``work``
        is that of the cluster, ``piece`` what a block should have.
        """
        steps = self._count(self.inner_loops[0])
        if type(work) is int and type(steps) is int:
            size = max(piece * steps // max(work, 1), 1)
        else:
            size = max(piece // (8 * self.lanes), 1)  # about: sizes are not known
        return size, (steps + size - 1) // size

    def table(self, blocks: Any) -> Buffer:
        return Buffer(TEMPORARY, -1, blocks * (len(self.reductions()) * SLOT))

    def write_blocks(self, table: Buffer, size: Any) -> None:
        """The blocks from %begin to %end, into the table."""
        e, reductions = self.e, [(q, self._accumulators(q)) for q in self.reductions()]
        block = e.fresh()
        outer = e.lines
        outer.append(f"scf.for {block} = %begin to %end step {e.integer(1)} : i64 {{")
        steps = self.context.size(size)
        low = e.op(f"arith.muli {block}, {steps} : i64")
        high = e.op(f"arith.addi {low}, {steps} : i64")
        count = self.context.size(self._count(self.inner_loops[0]))
        high = e.op(f"arith.minsi {high}, {count} : i64")
        self.first_bounds = low, high
        full = [s for s in self.cluster.stores if s.level == FULL]
        self._write_inner(reductions, full)
        base = self.context.pointer(table)
        row = e.op(f"arith.muli {block}, {e.integer(len(reductions) * SLOT)} : i64")
        row = memory.shifted(e, base, row)
        for number, (equation, _) in enumerate(reductions):
            found = self.blocks[0].values[self._key(equation)]
            memory.store(e, found.operand, memory.shifted(e, row, e.integer(number * SLOT)))
        outer.append("}")

    def _key(self, equation: Equation) -> Any:
        v = equation.results[0]
        return v, self.cluster.index[v]

    def write_rest(self, table: Buffer, blocks: Any) -> None:
        """Puts the blocks together, and computes what depends on the results."""
        e, count = self.e, len(self.reductions())
        base = self.context.pointer(table)
        for number, equation in enumerate(self.reductions()):
            reduction = reduction_of(equation, compensated=True)
            self.blocks[0].values[self._key(equation)] = Found(
                self._joined(reduction, base, number, count, blocks), 0, False
            )
        for phase in range(self._phases()):
            self.phase = phase
            self._write_rows()
        e.lanes = 1

    def _joined(self, reduction: Reduction, base: str, number: int, count: int, blocks: Any) -> Any:
        """One reduction of the numbers that it has in the table."""
        e = self.e
        starts, types = reduction.start(e), reduction.types(e)
        block, bundle = e.fresh(), e.fresh()
        inside = [e.fresh() for _ in starts]
        pairs = ", ".join(f"{a} = {b}" for a, b in zip(inside, starts, strict=True))
        outer = e.lines
        outer.append(
            f"{bundle}:{len(starts)} = scf.for {block} = {e.integer(0)} to "
            f"{self.context.size(blocks)} step {e.integer(1)} iter_args({pairs}) -> "
            f"({', '.join(types)}) : i64 {{"
        )
        by = e.op(f"arith.muli {block}, {e.integer(count * SLOT)} : i64")
        at = memory.shifted(e, memory.shifted(e, base, by), e.integer(number * SLOT))
        taken = reduction.take(e, inside, memory.load(e, at, reduction.dtype), None)
        outer.append(f"scf.yield {', '.join(taken)} : {', '.join(types)}")
        outer.append("}")
        return reduction.finish(e, [f"{bundle}#{i}" for i in range(len(starts))], 1)
