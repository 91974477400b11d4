"""A whole Program as one MLIR module with one function to call.

``i32 run(ptr inputs, ptr outputs, ptr sizes)``: the data pointers of parameters and of results, the
values of the symbols (`symbols_of_program`); 0, or the number of what went wrong. Parameters are
dense, in C order; so are results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...autodiff.dims import Dim, maximum
from ...autodiff.program import Literal, Program
from ...autodiff.size_bounds import Symbol
from ..costs import work_of
from ..index_ranges import Ranges
from ..places import STATUS, Buffer
from ..plan import Cluster, Operation, Plan, Step
from ..planner import Planner
from . import (  # noqa: F401 - they enter their operations
    factorizations,
    linear_algebra,
    matmul,
    pieces,
    sorting,
    sweeps,
)
from .blocks import BlockNest
from .columns import ColumnNest, is_by_rows
from .equations import is_elementwise
from .functions import BatchPartWriter, FunctionWriter, MainWriter, PartWriter
from .nest_shape import Context
from .operations import OPERATIONS
from .regions import Inside, pointer_to  # and enters the regions into OPERATIONS

MANY_STEPS = 24  # from which on each nest is a function, so that equal ones are compiled once
LONG_TEXT = 200_000  # characters of a module, for which all of LLVM's passes take too long
SHARED_WORK = 1 << 18  # operations from which on threads share a cluster: waking one takes long
PIECE_WORK = 1 << 15  # that a thread takes at once


class Module(NamedTuple):
    """What the code generator hands to the runtime."""

    text: str
    plan: Plan
    constants: list[Literal]
    callbacks: list[Operation]
    symbols: list[Symbol]
    is_parallel: bool
    clusters: list[Cluster]
    checks: list[Any]
    shared: dict[str, dict[str, str]]  # functions that modules share: see `Emitter.share`
    keeps_memory: bool  # between calls: a block that the global `<name>_arena` points to
    writes_elements: bool  # in a loop, of whose iterations the next may read them

    @property
    def optimization(self) -> int:
        """How much LLVM is to do, see `runtime.native.load`: all of it where loops hand single
        elements on in memory, which it keeps in registers.
        """
        return 2 if self.writes_elements and len(self.text) <= LONG_TEXT else 1


def symbols_of_program(program: Program) -> list[Symbol]:
    """The symbols of the parameters' sizes, in order of first occurrence, then those that no
    parameter has for a size.
    """
    found: dict[Symbol, None] = {}
    for aval in program.in_avals:
        for dim in aval.shape:
            if isinstance(dim, Dim) and dim.symbol is not None:
                found.setdefault(dim.symbol)
    others = program.symbols() - set(found)
    return [*found, *sorted(others, key=lambda symbol: symbol.order)]


class ModuleWriter:
    """Writes the module of a Program. ``name``: of the function to call, unique in a process."""

    def __init__(
        self,
        program: Program,
        name: str,
        vector_bytes: int,
        *,
        timed: bool = False,
        strides: Sequence[tuple[int, ...] | None] = (),
    ) -> None:
        self.strides = strides  # of the parameters: see `Planner`
        self.timed = timed  # whether the time of each step is taken
        self.program, self.name, self.vector_bytes = program, name, vector_bytes
        self.symbols = symbols_of_program(program)
        self.ranges = Ranges(program)
        self.functions: dict[str, str] = {}
        self.shared: dict[str, dict[str, str]] = {}
        self.uses: dict[str, int] = {}
        self.parts: list[str] = []
        self.part_count = 0
        self.bodies: dict[str, str] = {}  # of parts, with their names
        self.is_parallel = self.has_many_steps = self.writes_elements = False
        self.callbacks: list[Operation] = []
        self.clusters: list[Cluster] = []
        self.depth = 0  # of the regions around what is being written
        self.clock = 0  # the step of the main plan that is being written
        self.constants: list[Literal] = []
        self.checks: list[Any] = []  # the axes of indices, the dtypes of numbers
        self.main = MainWriter(self)

    def module(self) -> Module:
        plan = Planner(self.program, is_elementwise, self.constants, strides=self.strides).plan()
        self.has_many_steps = len(plan.steps) > MANY_STEPS
        for step in plan.steps:
            self._take_time()
            self.write_step(plan, step)
            self.clock += 1
        self._take_time()
        is_parallel = self.is_parallel
        return Module(
            self._text(is_parallel),
            plan,
            self.constants,
            self.callbacks,
            self.symbols,
            is_parallel,
            self.clusters,
            self.checks,
            self.shared,
            bool(self.main.arena.base),
            self.writes_elements,
        )

    def _take_time(self) -> None:
        """Notes in nanoseconds when a step begins (the last one: ends), if times are taken."""
        if not self.timed:
            return
        main, e = self.main, self.main.e
        now = main.scratch(16)  # seconds and nanoseconds
        e.op(f"llvm.call @clock_gettime({e.constant(1, 'i32')}, {now}) : (i32, !llvm.ptr) -> i32")
        at = e.op(f"llvm.getelementptr {now}[1] : (!llvm.ptr) -> !llvm.ptr, i64")
        seconds = e.op(f"llvm.load {now} : !llvm.ptr -> i64")
        rest = e.op(f"llvm.load {at} : !llvm.ptr -> i64")
        total = e.op(f"arith.muli {seconds}, {e.integer(10**9)} : i64")
        total = e.op(f"arith.addi {total}, {rest} : i64")
        table = e.op(f"llvm.mlir.addressof @{self.name}_times : !llvm.ptr")
        at = e.op(f"llvm.getelementptr {table}[{self.clock}] : (!llvm.ptr) -> !llvm.ptr, i64")
        e.effect(f"llvm.store {total}, {at} : i64, !llvm.ptr")

    def plan(self, program: Program, donated: dict[int, int] | None = None, **strides: Any) -> Plan:
        """The plan of a region; ``strides`` as `Planner` takes them."""
        return Planner(program, is_elementwise, self.constants, donated, **strides).plan()

    def _text(self, is_parallel: bool) -> str:
        main = self.main.text()
        lines: list[str] = []
        if is_parallel:
            lines.append("llvm.func @xnp_parallel(!llvm.ptr, !llvm.ptr, i64, i64)")
        if self.callbacks:
            types = "i64, !llvm.ptr, !llvm.ptr, i64"
            lines.append(f"llvm.func @{self.name}_callback({types}) -> i64")
        if self.timed:
            lines.append("llvm.func @clock_gettime(i32, !llvm.ptr) -> i32")
            lines.append(_table(f"{self.name}_times", f"!llvm.array<{self.clock + 1} x i64>"))
        if self.checks:
            lines.append("llvm.func @xnp_failed_index(i64, i64)")
        if self.constants:
            count = len(self.constants)
            lines.append(_table(f"{self.name}_constants", f"!llvm.array<{count} x ptr>"))
        return "\n".join([*lines, *self.functions.values(), *self.parts, main])

    def write(self, plan: Plan) -> None:
        """The steps of a region's plan, into the main function."""
        self.depth += 1
        for step in plan.steps:
            self.write_step(plan, step)
        self.depth -= 1

    def write_step(self, plan: Plan, step: Step) -> None:
        if isinstance(step, Cluster):
            self._write_cluster(plan, step)
        else:
            self._write_operation(plan, step)

    def _write_cluster(self, plan: Plan, cluster: Cluster) -> None:
        if not cluster.stores:
            return
        self.clusters.append(cluster)
        self.writes_elements |= self.depth > 0 and any(s.addressed for s in cluster.stores)
        main = self.main
        nest = self._nest(plan, cluster, main)
        if not nest.least_size:
            self._write_nest(plan, cluster, nest)
            return
        # The run decides whether there are enough elements for all lanes.
        size = main.size(nest.sizes[nest.lane_loop])
        enough = main.e.op(f"arith.cmpi sge, {size}, {main.e.integer(nest.least_size)} : i64")
        with Inside(self) as wide:
            self._write_nest(plan, cluster, self._nest(plan, cluster, main))
        with Inside(self) as narrow:
            self._nest(plan, cluster, main, narrow=True).write()
        main.e.lines += [f"scf.if {enough} {{", *wide, "} else {", *narrow, "}"]

    def _write_nest(self, plan: Plan, cluster: Cluster, nest: BlockNest) -> None:
        """Writes a nest, as a part that threads share if it is, or may be, long."""
        work = work_of(cluster)
        may_share = not cluster.serial and bool(nest.row_loops)
        if may_share and (type(work) is not int or work >= SHARED_WORK):
            if is_by_rows(nest):
                self._write_columns(ColumnNest(plan, cluster, nest.context))
                return
            part = self.new_part()
            shared = nest.into(self._context(part))
            shared.write(("%begin", "%end"))
            each = work // maximum(shared.steps, 1)  # of one step
            self.call_part(part, shared.steps, PIECE_WORK // maximum(each, 1) + 1)
        elif self.has_many_steps and not self.depth:
            part = self.new_part()
            inner = nest.into(self._context(part))
            inner.write(("%begin", "%end") if inner.row_loops else None)
            self._call_alone(part, inner.steps)
        elif nest.is_possible() and (type(work) is not int or work >= SHARED_WORK):
            self._write_blocks(nest, work)
        else:
            nest.write()

    def _write_blocks(self, nest: BlockNest, work: Any) -> None:
        """Writes a reduction of everything as blocks that threads share."""
        size, blocks = nest.plan_blocks(work, 4 * PIECE_WORK)
        table = nest.table(blocks)
        part = self.new_part()
        nest.into(self._context(part)).write_blocks(table, size)
        self.call_part(part, blocks, 1)
        nest.write_rest(table, blocks)

    def _write_columns(self, nest: ColumnNest) -> None:
        """Writes a reduction down columns as blocks that threads share."""
        nest.plan_blocks(2 * PIECE_WORK)
        table, part = nest.table(), self.new_part()
        nest.into(self._context(part)).write_blocks(table)
        self.call_part(part, nest.block_count, 1)
        nest.write_rest(table)

    def _nest(
        self, plan: Plan, cluster: Cluster, writer: FunctionWriter, narrow: bool = False
    ) -> BlockNest:
        return BlockNest(plan, cluster, self._context(writer), narrow)

    def _context(self, writer: FunctionWriter) -> Context:
        return Context(
            writer.e,
            writer.pointer,
            writer.size,
            writer.temporary,
            lambda what: (self._new_check(what), writer.pointer(STATUS)),
            self.ranges,
            self.vector_bytes,
            self.depth > 0,
        )

    def _new_check(self, what: Any) -> int:
        """The number that a run returns where a number does not fit; 1 is a failed call back."""
        self.checks.append(what)
        return len(self.checks) + 1

    def new_part(self) -> PartWriter:
        """A function for `call_part`: of the range from %begin to %end."""
        return PartWriter(self, self._part_name())

    def _part_name(self) -> str:
        self.part_count += 1
        return f"{self.name}_part{self.part_count}"

    def call_part(self, part: PartWriter, steps: Any, grain: Any) -> None:
        """Has threads share the steps of a part, at least ``grain`` at a time."""
        name, frame = self._framed(part)
        self._call_parallel(name, frame, self.main.size(steps), self.main.size(grain))

    def _call_parallel(self, name: str, frame: str, steps: str, grain: str) -> None:
        e = self.main.e
        body = e.op(f"llvm.mlir.addressof @{name} : !llvm.ptr")
        e.effect(
            f"llvm.call @xnp_parallel({body}, {frame}, {steps}, {grain}) : "
            "(!llvm.ptr, !llvm.ptr, i64, i64) -> ()"
        )
        self.is_parallel = True

    def new_batch_part(self, count: int) -> BatchPartWriter:
        """A function for `call_batch_part`, which knows so many addresses."""
        return BatchPartWriter(self, self._part_name(), count)

    def call_batch_part(self, part: BatchPartWriter, addresses: Sequence[str], steps: Any) -> None:
        """Has threads share the steps of a part, one at a time."""
        main, e = self.main, self.main.e
        self.parts.append(part.text())
        frame = self._pointer_table([main.status, main.sizes, *addresses])
        self._call_parallel(part.name, frame, main.size(steps), e.integer(1))

    def _pointer_table(self, pointers: Sequence[str]) -> str:
        """The address of a table of them, on the stack."""
        main, e = self.main, self.main.e
        table = main.scratch(8 * len(pointers))
        for i, pointer in enumerate(pointers):
            at = e.op(f"llvm.getelementptr {table}[{i}] : (!llvm.ptr) -> !llvm.ptr, i64")
            e.effect(f"llvm.store {pointer}, {at} : !llvm.ptr, !llvm.ptr")
        return table

    def _call_alone(self, part: PartWriter, steps: Any) -> None:
        """Calls a part for all its steps."""
        main, e = self.main, self.main.e
        name, frame = self._framed(part)
        e.effect(
            f"llvm.call @{name}({frame}, {e.integer(0)}, {main.size(steps)}) : "
            "(!llvm.ptr, i64, i64) -> ()"
        )

    def _framed(self, part: PartWriter) -> tuple[str, str]:
        """The name of a part and the table it is called with. Parts with the same code, as an
        unrolled loop has them, are one.
        """
        main, e = self.main, self.main.e
        body = part.body()
        if body not in self.bodies:
            self.bodies[body] = part.name
            self.parts.append(part.text())
        frame = main.scratch(8 * len(part.frame))
        for i, x in enumerate(part.frame):
            at = e.op(f"llvm.getelementptr {frame}[{i}] : (!llvm.ptr) -> !llvm.ptr, i64")
            if isinstance(x, Buffer):
                e.effect(f"llvm.store {main.pointer(x)}, {at} : !llvm.ptr, !llvm.ptr")
            else:
                e.effect(f"llvm.store {main.symbol(x)}, {at} : i64, !llvm.ptr")
        return self.bodies[body], frame

    def _write_operation(self, plan: Plan, step: Operation) -> None:
        write: Callable[..., bool] | None = OPERATIONS.get(step.equation.primitive.name)
        if write is not None and write(self, plan, step):
            return
        if step.equation.primitive.effect and not step.equation.inputs[0].aval.shape:
            self._write_check(step)
        else:
            self._write_callback(step)

    def _write_check(self, step: Operation) -> None:
        """An error or warning, called back for only where it is due."""
        (bad,) = step.operands
        if isinstance(bad, Literal):
            self._write_callback(step)
            return
        e = self.main.e
        flag = e.op(f"llvm.load {pointer_to(self, bad)} : !llvm.ptr -> i8")
        due = e.op(f"arith.cmpi ne, {flag}, {e.constant(0, 'i8')} : i8")
        with Inside(self) as lines:
            self._write_callback(step)
        e.lines += [f"scf.if {due} {{", *lines, "}"]

    def _write_callback(self, step: Operation) -> None:
        """A call back to the primitive's NumPy implementation, with the addresses of all places."""
        main, e = self.main, self.main.e
        number = len(self.callbacks)
        self.callbacks.append(step)
        places = [x for x in step.operands if not isinstance(x, Literal)] + step.results
        table = self._pointer_table([pointer_to(self, place) for place in places])
        before = e.op(f"llvm.load {main.status} : !llvm.ptr -> i64")
        fine = e.op(
            f"llvm.call @{self.name}_callback({e.integer(number)}, {table}, %sizes, {before}) : "
            "(i64, !llvm.ptr, !llvm.ptr, i64) -> i64"
        )
        failed = e.op(f"arith.cmpi eq, {fine}, {e.integer(0)} : i64")
        state = e.op(f"arith.select {failed}, {e.integer(1)}, {before} : i64")
        e.effect(f"llvm.store {state}, {main.status} : i64, !llvm.ptr")


def _table(name: str, kind: str) -> str:
    """A global variable of zeros."""
    return (
        f"llvm.mlir.global external @{name}() {{addr_space = 0 : i32}} : {kind} {{\n"
        f"%z = llvm.mlir.zero : {kind}\nllvm.return %z : {kind}\n}}"
    )
