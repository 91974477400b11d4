"""Reductions down columns, in the order of memory: threads share blocks of rows.

A block keeps its accumulators in memory, a row of them, and takes a band of rows at a time: across
all columns, with the accumulators of some columns in registers while it runs down the band. One
thread puts the blocks together. Blocks do not depend on the number of threads, and so neither does
the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...autodiff.program import Equation
from ..affine import product
from ..costs import work_of_element
from ..places import TEMPORARY, Buffer
from ..plan import FULL, RUNNING, Store
from . import memory
from .emitter import Operand
from .loops import LoopNest
from .reductions import Reduction, joined, reduction_of

FEW_ROWS = 64  # of a block, at least: what it keeps is small beside what it reads
STRIP = 1 << 12  # columns that a block has at most: their accumulators stay in the cache
BAND_BYTES = 1 << 16  # of a band of rows, about
LEAST_BAND = 8  # rows of a band, at least


def is_by_rows(nest: LoopNest) -> bool:
    """Whether a nest reduces columns once, and has rows for blocks."""
    cluster = nest.cluster
    if nest.is_unrolled or not nest.is_down_columns() or len(nest.inner_loops) != 1:
        return False
    again = any(phase for v, phase in cluster.phase.items() if cluster.level[v] == FULL)
    running = any(e.primitive.name in RUNNING for e in cluster.equations)
    if again or running or nest.kept or cluster.serial or nest.lanes == 1:
        return False
    if any(store.addressed for store in cluster.stores):
        return False
    rows = nest.sizes[nest.inner_loops[0]]
    return nest.row_loops == [nest.lane_loop] and not (type(rows) is int and rows < FEW_ROWS)


class ColumnNest(LoopNest):
    """A cluster whose lanes are columns, each of which is reduced once."""

    @property
    def _rows(self) -> Any:
        return self.sizes[self.inner_loops[0]]

    @property
    def _reductions(self) -> list[tuple[Equation, Reduction]]:
        return [(e, reduction_of(e)) for e in self.cluster.equations if self._reduces(e)]

    def plan_blocks(self, piece: int) -> None:
        """Decides on blocks of about ``piece`` operations: rows of a strip of columns."""
        columns = self.sizes[self.lane_loop]
        width = max(min(columns, STRIP), 1) if type(columns) is int else STRIP
        self.strip = max(STRIP // self.lanes, 1)  # steps
        self.height = max(piece // (width * work_of_element(self.cluster)), FEW_ROWS)  # rows
        self.band = max(BAND_BYTES // (8 * width), LEAST_BAND)
        self.count_blocks()

    def count_blocks(self) -> None:
        self.strips = (self._count(self.lane_loop) + self.strip - 1) // self.strip
        self.blocks_down = (self._rows + self.height - 1) // self.height
        self.slot = self.lanes * sum(d.itemsize for _, r in self._reductions for d in r.dtypes())

    @property
    def block_count(self) -> Any:
        return self.blocks_down * self.strips

    def table(self) -> Buffer:
        """The accumulators of all blocks: for each of a column of blocks one row of slots, which
        hold those of the columns that one step of the last loop does.
        """
        steps = self._count(self.lane_loop)
        return Buffer(TEMPORARY, -1, product([self.blocks_down, steps, self.slot]))

    def write_blocks(self, table: Buffer) -> None:
        """The blocks from %begin to %end, into the table."""
        e, size = self.e, self.context.size
        stores = [s for s in self.cluster.stores if s.level == FULL]
        base, steps = self.context.pointer(table), size(self._count(self.lane_loop))
        with self._counted("%begin", "%end") as number:
            down = e.op(f"arith.divsi {number}, {size(self.strips)} : i64")
            across = e.op(f"arith.remsi {number}, {size(self.strips)} : i64")
            first, last = self._range(across, self.strip, steps)
            low, high = self._range(down, self.height, size(self._rows))
            row = self._at(base, down, self._count(self.lane_loop) * self.slot)
            with self._counted(first, last) as step:
                self._keep_accumulators(self._at(row, step, self.slot), None)
            with self._counted(low, high, self.band) as start:
                end = e.op(f"arith.addi {start}, {e.integer(self.band)} : i64")
                self.first_bounds = start, e.op(f"arith.minsi {end}, {high} : i64")
                with self._columns(first, last) as step:
                    self._write_band(self._at(row, step, self.slot), stores)
        e.lines, e.lanes = self.blocks[0].lines, 1

    def _write_band(self, slot: str, stores: Sequence[Store]) -> None:
        reductions, names = self._reductions, self._accumulators_at(slot)
        self._keep_accumulators(slot, self._run_inner(reductions, stores, names))

    def write_rest(self, table: Buffer) -> None:
        """Puts the blocks together, and computes what depends on the results."""
        e, reductions = self.e, self._reductions
        base, row = self.context.pointer(table), self._count(self.lane_loop) * self.slot
        low, high = e.integer(0), self.context.size(self._count(self.lane_loop))
        with self._columns(low, high) as step:
            depth = len(self.blocks) - 1
            column = self._at(base, step, self.slot)
            names = self._accumulators_at(column)
            with self.at(depth, vector=True):
                types = [kind for _, r in reductions for kind in r.types(e)]
            count = self.context.size(self.blocks_down)
            number, names, close = self._open_counted(e.integer(1), count, 1, names, types)
            others = self._accumulators_at(self._at(column, number, row))
            with self.at(depth + 1, vector=True):
                names = joined(e, [r for _, r in reductions], names, others)
            names = close(names)
            self._finish_reductions(reductions, names, depth)
            for phase in range(self._phases()):
                self.phase = phase
                self._write_rows()
        e.lines, e.lanes = self.blocks[0].lines, 1

    @contextmanager
    def _columns(self, low: str, high: str) -> Iterator[str]:
        """The loop over columns, ``lanes`` of them at a time."""
        with self._counted(low, high) as step:
            self._enter(self.lane_loop, step)
            yield step
            del self.open[self.lane_loop]

    def _range(self, number: str, size: int, end: str) -> tuple[str, str]:
        """The bounds of a block of ``size``, the last of which is shorter."""
        e = self.e
        low = e.op(f"arith.muli {number}, {e.integer(size)} : i64")
        high = e.op(f"arith.addi {low}, {e.integer(size)} : i64")
        return low, e.op(f"arith.minsi {high}, {end} : i64")

    def _at(self, pointer: str, number: str, size: Any) -> str:
        with self.at(len(self.blocks) - 1, vector=False):
            by = self.e.op(f"arith.muli {number}, {self.context.size(size)} : i64")
            return memory.shifted(self.e, pointer, by)

    def _slots(self, slot: str) -> Iterator[tuple[str, Any]]:
        at = 0
        for _, reduction in self._reductions:
            for dtype in reduction.dtypes():
                yield memory.shifted(self.e, slot, self.e.integer(at)), dtype
                at += dtype.itemsize * self.lanes

    def _accumulators_at(self, slot: str) -> list[str]:
        with self.at(len(self.blocks) - 1, vector=True):
            return [memory.load(self.e, p, dtype).name for p, dtype in self._slots(slot)]

    def _keep_accumulators(self, slot: str, names: Sequence[str] | None) -> None:
        """Writes accumulators to their slot; None: those to start from."""
        with self.at(len(self.blocks) - 1, vector=True):
            if names is None:
                names = [name for _, r in self._reductions for name in r.start(self.e)]
            for name, (pointer, dtype) in zip(names, self._slots(slot), strict=True):
                memory.store(self.e, Operand(name, dtype), pointer)
