"""Reductions of everything: threads reduce blocks, and one thread puts the blocks together.

The blocks do not depend on the number of threads, and so neither does the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...autodiff.program import Equation
from ..places import TEMPORARY, Buffer
from ..plan import FULL, RUNNING
from . import memory
from .emitter import Operand
from .loops import LoopNest, Reductions
from .nest_values import Found
from .reductions import Reduction, joined


class BlockNest(LoopNest):
    """A cluster all of whose axes are reduced."""

    def is_possible(self) -> bool:
        """Whether there are only reductions that blocks can be put together of."""
        names = [e.primitive.name for e in self.cluster.equations if self._reduces(e)]
        whole = bool(self.inner_loops) and not self.row_loops and not self.cluster.serial
        if any(phase for v, phase in self.cluster.phase.items() if self.cluster.level[v] == FULL):
            return False  # the one row there is has to be gone through again
        return whole and not any(n in RUNNING for n in names)

    def _reductions(self) -> list[tuple[Equation, Reduction]]:
        return [(e, self._accumulators(e)) for e in self.cluster.equations if self._reduces(e)]

    @property
    def _slot(self) -> int:
        """The bytes of a block's accumulators."""
        return sum(8 * len(r.dtypes()) for _, r in self._reductions())

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
        return Buffer(TEMPORARY, -1, blocks * self._slot)

    def write_blocks(self, table: Buffer, size: Any) -> None:
        """The blocks from %begin to %end, into the table."""
        e, reductions = self.e, self._reductions()
        base, steps = self.context.pointer(table), self.context.size(size)
        count = self.context.size(self._count(self.inner_loops[0]))
        full = [s for s in self.cluster.stores if s.level == FULL]
        with self._counted("%begin", "%end") as block:
            low = e.op(f"arith.muli {block}, {steps} : i64")
            high = e.op(f"arith.addi {low}, {steps} : i64")
            self.first_bounds = low, e.op(f"arith.minsi {high}, {count} : i64")
            depth = len(self.blocks) - 1
            with self.at(depth, vector=self.lanes > 1):
                names = [name for _, r in reductions for name in r.start(e)]
            names = self._run_inner(reductions, full, names)
            with self.at(depth, vector=False):
                row = e.op(f"arith.muli {block}, {e.integer(self._slot)} : i64")
                slots = self._slots(reductions, memory.shifted(e, base, row))
                for (_, reduction), mine in self._each(reductions, names):
                    for name in reduction.across(e, mine, self.lanes):
                        pointer, dtype = next(slots)
                        memory.store(e, Operand(name, dtype), pointer)
        e.lines, e.lanes = self.blocks[0].lines, 1

    def _slots(self, reductions: Reductions, pointer: str) -> Iterator[tuple[str, Any]]:
        """The addresses of a block's accumulators, and their dtypes."""
        dtypes = [dtype for _, r in reductions for dtype in r.dtypes()]
        for i, dtype in enumerate(dtypes):
            yield memory.shifted(self.e, pointer, self.e.integer(8 * i)), dtype

    def write_rest(self, table: Buffer, blocks: Any) -> None:
        """Puts the blocks together, and computes what depends on the results."""
        e, reductions = self.e, self._reductions()
        names = self._joined(reductions, self.context.pointer(table), blocks)
        for (equation, reduction), mine in self._each(reductions, names):
            key = equation.results[0], self.cluster.index[equation.results[0]]
            self.blocks[0].values[key] = Found(reduction.rounded(e, mine), 0, False)
        for phase in range(self._phases()):
            self.phase = phase
            self._write_rows()
        e.lanes = 1

    def _joined(self, reductions: Reductions, base: str, blocks: Any) -> list[str]:
        """The accumulators of all blocks together."""
        e = self.e
        starts = [name for _, r in reductions for name in r.start(e)]
        types = [kind for _, r in reductions for kind in r.types(e)]
        count = self.context.size(blocks)
        block, inside, close = self._open_counted(e.integer(0), count, 1, starts, types)
        e.lines = self.blocks[-1].lines
        by = e.op(f"arith.muli {block}, {e.integer(self._slot)} : i64")
        slots = self._slots(reductions, memory.shifted(e, base, by))
        others = [memory.load(e, pointer, dtype).name for pointer, dtype in slots]
        return close(joined(e, [r for _, r in reductions], inside, others))
