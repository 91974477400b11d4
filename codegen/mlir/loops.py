"""One cluster as a loop nest.

The loops over rows come first, inside them those of the reduced axes, phase by phase. The last loop
is done ``lanes`` elements at a time. A value is computed in the outermost loop that it allows: its
depth is that of the innermost loop it depends on, and a value that does not depend on the last loop
is a scalar until something needs it in all lanes. Sizes that lanes do not divide end with a step
that overlaps the one before, which writes the same numbers again; reductions mask those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.program import Atom, Equation, Literal, Variable
from ..affine import (
    INDEX_OPERATIONS,
    Affine,
    Index,
    identity,
    is_one,
    lower_bound,
    product,
    same,
    through,
)
from ..costs import weight
from ..places import Buffer, Place
from ..plan import (
    FULL,
    ROW,
    RUNNING,
    Cluster,
    Plan,
    Store,
    broadcast_index,
    is_reduction,
    reads_of,
)
from . import memory
from .addresses import SOURCES, store_addressed
from .convert import cast
from .elementwise import LOWER
from .emitter import Emitter, Operand, element_type
from .equations import constant, types_of
from .reductions import Reduction, reduction_of

ROW_BYTES = 1 << 15  # of a row of values that phases hand on
MANY = 32  # elements an accumulator takes before a sum keeps track of rounding errors


class Found(NamedTuple):
    """A value in registers: how deep in the loops, and whether it fills the lanes."""

    operand: Operand
    depth: int
    is_vector: bool


class Block:
    """The inside of a loop, or of the function: its lines, and what is known there."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.values: dict[Any, Found] = {}
        self.names: dict[Any, str] = {}


class Loop(NamedTuple):
    """An open loop: the name of its first element, its depth, and of its mask where it has one."""

    start: str
    depth: int
    mask: str | None = None


class Context(NamedTuple):
    """What the function around the loops offers: SSA names that are defined at its top."""

    emitter: Emitter
    pointer: Callable[[Buffer], str]
    size: Callable[[Any], str]  # of an int or a Dim, as i64
    scratch: Callable[[int], str]  # a pointer to so many bytes for as long as the function runs
    check: Callable[[Any, int], tuple[str, int]]  # see `addresses.checked`
    vector_bytes: int


class LoopNest:
    """Writes one cluster into a function."""

    def __init__(
        self, plan: Plan, cluster: Cluster, context: Context, narrow: bool = False
    ) -> None:
        self.plan, self.cluster, self.context = plan, cluster, context
        self.narrow = narrow  # one lane, for sizes that more do not fit
        self.e = context.emitter
        self.full_index = cluster.full_index
        self.sizes: dict[int, Any] = {}  # of the loops that are left
        self._merge_loops()
        inner = set(cluster.reduced or ())
        self.row_loops = [k for k in sorted(self.sizes) if k not in inner]
        self.inner_loops = [k for k in sorted(self.sizes) if k in inner]
        order = self.row_loops + self.inner_loops
        self.lane_loop = max(order) if order else -1
        self.lanes = self._choose_lanes()
        self.blocks = [Block(self.e.lines)]
        self.open: dict[int, Loop] = {}
        self.phase = 0
        self.kept = self._kept_values()

    # Which loops there are, and how wide.

    def _accesses(self) -> list[Affine]:
        """The bytes that the cluster touches, as forms of the loops."""
        cluster, found = self.cluster, []

        def collect(x: Atom, index: Index) -> None:
            x, index = self.base(x, index)
            place = self.plan.places.get(x)
            if place is not None and not self._is_own(x):
                found.append(place.at(index))

        for equation in cluster.equations:
            for x, index in self._reads(equation):
                if index is not None:
                    collect(x, index)
        for store in cluster.stores:
            collect(store.atom, broadcast_index(store.atom.aval.shape, self._source(store)))
            for x, index in store.addressed:
                collect(x, index)
            if not store.addressed:
                found.append(store.place.at(store.index))
        return found

    def _source(self, store: Store) -> Index:
        """Where the loops are in the value that is stored."""
        return self.full_index if store.addressed else store.index

    def _reads(self, equation: Equation) -> list[tuple[Atom, Index | None]]:
        return reads_of(equation, self.cluster.index[equation.results[0]], self.full_index)

    def _reduces(self, equation: Equation) -> bool:
        return is_reduction(equation)

    def _merge_loops(self) -> None:
        """Loops of length 1 are dropped, neighbours that run through memory as one are merged."""
        cluster = self.cluster
        forms = self._accesses()
        inner = set(cluster.reduced or ())
        counts = any(e.primitive.name in ("iota", "gather") for e in cluster.equations)
        counts = counts or any(store.addressed for store in cluster.stores)
        n = -1
        for k in reversed(range(len(cluster.shape))):
            size = cluster.shape[k]
            if is_one(size):
                continue
            may = n >= 0 and not counts and (k in inner) == (n in inner)
            if may and not any(
                j in self.sizes or not is_one(cluster.shape[j]) for j in range(k + 1, n)
            ):
                step = self.sizes[n]
                if all(same(f.coefficient(k), f.coefficient(n) * step) for f in forms):
                    self.sizes[n] = step * size
                    continue
            self.sizes[k] = size
            n = k

    def _choose_lanes(self) -> int:
        cluster = self.cluster
        running = any(e.primitive.name in RUNNING for e in cluster.equations)
        in_turn = running and self.lane_loop in self.inner_loops
        if (
            self.narrow
            or self.lane_loop < 0
            or in_turn
            or any(store.adds for store in cluster.stores)
        ):
            return 1
        dtypes = [v.aval.dtype for e in cluster.equations for v in e.results]
        dtypes += [store.place.dtype for store in cluster.stores]
        widest = max((d.itemsize // (2 if d.kind == "c" else 1) for d in dtypes), default=8)
        lanes = max(self.context.vector_bytes // max(widest, 4), 1)
        if any(self._reduces(e) for e in cluster.equations):
            lanes *= 4
        elif len(cluster.equations) < 16:
            lanes *= 2
        size = self.sizes[self.lane_loop]
        while type(size) is int and lanes > max(size, 1):
            lanes //= 2
        return lanes

    @property
    def least_size(self) -> int:
        """What the last loop's size must be at least, where only the run knows it; else 0."""
        size = self.sizes.get(self.lane_loop, 0)
        known = type(size) is int or lower_bound(size) >= self.lanes
        return 0 if known else self.lanes

    @property
    def steps(self) -> Any:
        """How often the outermost loop runs: what threads share."""
        loops = self.row_loops
        return self._count(loops[0]) if loops else 1

    def _count(self, loop: int) -> Any:
        size = self.sizes[loop]
        return size if loop != self.lane_loop else (size + self.lanes - 1) // self.lanes

    def _kept_values(self) -> dict[Variable, str]:
        """What a later phase reads and would be long to compute again: a pointer to memory for one
        row of it.
        """
        if not self.cluster.reduced or self.lane_loop not in self.inner_loops:
            return {}
        count = product([self.sizes[k] for k in self.inner_loops])
        kept: dict[Variable, str] = {}
        later = self._read_later()
        costs = self._costs() if later else {}
        for v in later:
            size = count * v.aval.dtype.itemsize
            if type(size) is int and size <= ROW_BYTES and costs.get(v, 0) >= 10:
                kept[v] = self.context.scratch(size)
        return kept

    def _read_later(self) -> list[Variable]:
        """The values that are read in a later phase, without those that memory has then."""
        cluster, found = self.cluster, {}
        reads = [
            (x, index, cluster.phase[e.results[0]])
            for e in cluster.equations
            for x, index in self._reads(e)
            if index is not None
        ]
        for atom, index, phase in reads:
            x, _ = self.base(atom, index)
            if type(x) is not Variable or x in self.plan.places:
                continue
            if cluster.level.get(x) == FULL and cluster.phase[x] < phase:
                found[x] = None
        return list(found)

    def _costs(self) -> dict[Variable, int]:
        """About how many operations computing each value again takes."""
        costs: dict[Variable, int] = {}
        for equation in self.cluster.equations:
            v = equation.results[0]
            if self.cluster.level[v] == FULL and v not in self.plan.places:
                reads = {self.base(x, at)[0] for x, at in self._reads(equation) if at is not None}
                costs[v] = weight(equation) + sum(
                    costs.get(x, 0) for x in reads if type(x) is Variable
                )
        return costs

    def _kept_form(self) -> Affine:
        """The element of a row that the loops are at."""
        form, step = Affine(0), 1
        for k in reversed(self.inner_loops):
            form = form.plus(Affine(0, ((k, step),)))
            step = step * self.sizes[k]
        return form

    # Writing.

    def write(self, bounds: tuple[str, str] | None = None) -> None:
        """The whole nest; ``bounds`` are those of the outermost loop where a thread does a part."""
        if any(type(d) is int and d == 0 for d in self.sizes.values()) and not self.inner_loops:
            return
        closers = [
            self._open_loop(k, bounds if i == 0 else None) for i, k in enumerate(self.row_loops)
        ]
        for phase in range(self._phases()):
            self.phase = phase
            self._write_phase()
        for close in reversed(closers):
            close([])
        self.e.lines = self.blocks[0].lines
        self.e.lanes = 1

    def _phases(self) -> int:
        return 1 + max(self.cluster.phase.values(), default=0)

    def _phase_of(self, x: Atom) -> int:
        x, _ = self.base(x, identity(range(len(x.aval.shape))))
        return self.cluster.phase.get(x, 0) if type(x) is Variable else 0

    def _write_phase(self) -> None:
        cluster = self.cluster
        reductions = [
            (e, self._accumulators(e))
            for e in cluster.equations
            if self._reduces(e) and cluster.phase[e.results[0]] == self.phase
        ]
        stores = [s for s in cluster.stores if self._phase_of(s.atom) == self.phase]
        full = [s for s in stores if s.level == FULL]
        keeps = any(cluster.phase[v] == self.phase for v in self.kept)
        if reductions or full or keeps:
            self._write_inner(reductions, full)
        for equation in cluster.equations:  # in order, so that no value asks for a long chain
            v = equation.results[0]
            if cluster.level[v] == ROW and cluster.phase[v] == self.phase:
                self.value(v, cluster.index[v])
        for store in stores:
            if store.level == ROW:
                self._store(store)

    def _accumulators(self, equation: Equation) -> Reduction:
        total = product([self.sizes[k] for k in self.inner_loops])
        share = self.lanes if self.lane_loop in self.inner_loops else 1
        many = share > 1 and not (type(total) is int and total <= MANY * share)
        many = many and equation.primitive.name not in RUNNING
        return reduction_of(equation, compensated=many)

    def _write_inner(
        self, reductions: Sequence[tuple[Equation, Reduction]], stores: Sequence[Store]
    ) -> None:
        """The loops over the reduced axes, with the accumulators of all reductions."""
        row_vector = self.lane_loop in self.row_loops
        depth = len(self.blocks) - 1
        with self.at(depth, vector=self.lanes > 1 and (row_vector or bool(self.inner_loops))):
            names = [name for _, r in reductions for name in r.start(self.e)]
            types = [kind for _, r in reductions for kind in r.types(self.e)]
        closers = []
        for k in self.inner_loops:
            close, names = self._open_carrying(k, names, types)
            closers.append(close)
        names = self._compute_full(reductions, names)
        for store in stores:
            self._store(store)
        for v, pointer in self.kept.items():
            if self.cluster.phase[v] == self.phase:
                self._keep(v, pointer)
        for close in reversed(closers):
            names = close(names)
        for equation, reduction in reductions:
            mine, names = names[: reduction.count], names[reduction.count :]
            with self.at(depth, vector=row_vector and self.lanes > 1):
                lanes = self.lanes if self.lane_loop in self.inner_loops else 1
                if row_vector:
                    lanes = 1
                saved = self.e.lanes
                if lanes == 1:
                    operand = self._finish_lanes(reduction, mine, saved)
                else:
                    operand = reduction.finish(self.e, mine, lanes)
                    self.e.lanes = saved
            if equation.primitive.name in RUNNING:
                continue
            out = equation.results[0]
            found = Found(operand, depth, row_vector and self.lanes > 1)
            self.blocks[depth].values[out, self.cluster.index[out]] = found

    def _finish_lanes(self, reduction: Reduction, names: Sequence[str], lanes: int) -> Operand:
        """Accumulators whose lanes are different rows."""
        e = self.e
        if reduction.compensated:
            parts = reduction.parts
            names = [
                e.binary("arith.addf", s, c, reduction.element)
                for s, c in zip(names[:parts], names[parts:], strict=True)
            ]
        return reduction.operand(names)

    def _compute_full(
        self, reductions: Sequence[tuple[Equation, Reduction]], names: Sequence[str]
    ) -> list[str]:
        """The inside of the loops, in the order of the equations; the accumulators' next values."""
        pending = dict(reductions)
        names, out = list(names), []
        for equation in self.cluster.equations:
            reduction = pending.get(equation)
            v = equation.results[0]
            if reduction is not None:
                mine, names = names[: reduction.count], names[reduction.count :]
                out += self._take(equation, reduction, mine)
            elif self.cluster.level[v] == FULL and self.cluster.phase[v] == self.phase:
                self.value(v, self.cluster.index[v])
        return out

    def _take(
        self, equation: Equation, reduction: Reduction, accumulators: Sequence[str]
    ) -> list[str]:
        found = self.value(equation.inputs[0], self.full_index)
        depth = len(self.blocks) - 1
        vector = self.lanes > 1 and self.lane_loop >= 0
        operand = self.widened(found) if vector else found.operand
        across = self.lane_loop in self.inner_loops
        with self.at(depth, vector=vector):
            mask = self.open[self.lane_loop].mask if across else None
            position = self._position(reduction, vector)
            taken = reduction.take(self.e, accumulators, operand, mask, position)
        if equation.primitive.name in RUNNING:
            key = equation.results[0], self.full_index
            self.blocks[depth].values[key] = Found(reduction.operand(taken), depth, vector)
        return taken

    def _position(self, reduction: Reduction, vector: bool) -> str | None:
        """Where along its axis a reduction is, if its result is a place."""
        if not reduction.is_place:
            return None
        (axis,) = self.cluster.reduced or ()
        if axis not in self.open:
            return self.e.constant(0, "i64")
        start = self.e.splat(self.open[axis].start, "i64")
        if not vector or axis != self.lane_loop:
            return start
        return self.e.binary("arith.addi", start, self.e.lane_numbers(), "i64")

    # Loops.

    @contextmanager
    def at(self, depth: int, *, vector: bool) -> Iterator[None]:
        """Inside, operations are written into the block of this depth."""
        e = self.e
        saved = e.lines, e.lanes
        e.lines, e.lanes = self.blocks[depth].lines, self.lanes if vector else 1
        try:
            yield
        finally:
            e.lines, e.lanes = saved

    def _open_loop(
        self, k: int, bounds: tuple[str, str] | None = None
    ) -> Callable[[list[str]], list[str]]:
        return self._open_carrying(k, [], [], bounds)[0]

    def _open_carrying(
        self, k: int, names: list[str], types: list[str], bounds: tuple[str, str] | None = None
    ) -> tuple[Callable[[list[str]], list[str]], list[str]]:
        """Opens loop ``k``, which carries values; the function returned closes it with their next
        values and gives their last ones.
        """
        e, outer = self.e, self.blocks[-1]
        counter = e.fresh()
        inside = [e.fresh() for _ in names]
        block = Block([])
        self.blocks.append(block)
        low, high = bounds or (e.integer(0), self.context.size(self._count(k)))
        self._enter(k, counter)

        def close(last: list[str]) -> list[str]:
            e.lines = outer.lines
            head = f"scf.for {counter} = {low} to {high} step {e.integer(1)}"
            results: list[str] = []
            if names:
                results = [e.fresh() for _ in names]
                pairs = ", ".join(f"{a} = {b}" for a, b in zip(inside, names, strict=True))
                bundle = results[0]
                head = f"{bundle}:{len(names)} = {head} iter_args({pairs}) -> ({', '.join(types)})"
                results = [f"{bundle}#{i}" for i in range(len(names))]
                block.lines.append(f"scf.yield {', '.join(last)} : {', '.join(types)}")
            outer.lines.append(f"{head} : i64 {{")
            outer.lines.extend(block.lines)
            outer.lines.append("}")
            self.blocks.pop()
            del self.open[k]
            return results

        return close, inside

    def _enter(self, k: int, counter: str) -> None:
        """What the inside of loop ``k`` knows of where it is."""
        e, depth = self.e, len(self.blocks) - 1
        if k != self.lane_loop or self.lanes == 1:
            self.open[k] = Loop(counter, depth)
            return
        with self.at(depth, vector=False):
            start = e.op(f"arith.muli {counter}, {e.integer(self.lanes)} : i64")
            size = self.sizes[k]
            if type(size) is int and size % self.lanes == 0:
                self.open[k] = Loop(start, depth)
                return
            last = e.op(f"arith.subi {self.context.size(size)}, {e.integer(self.lanes)} : i64")
            first = e.op(f"arith.minsi {start}, {last} : i64")
            mask = None
            if k in self.inner_loops:
                skipped = e.op(f"arith.subi {start}, {first} : i64")
                e.lanes = self.lanes
                ids = e.lane_numbers()
                mask = e.compare("sge", ids, e.splat(skipped, "i64"), "i64")
        self.open[k] = Loop(first, depth, mask)

    # Values.

    def _is_own(self, x: Atom) -> bool:
        return type(x) is Variable and x in self.cluster.level

    def base(self, x: Atom, index: Index) -> tuple[Atom, Index]:
        """What is read where ``x`` is read at ``index``; see `Planner.base`."""
        while type(x) is Variable and x not in self.plan.places and not self._is_own(x):
            equation = self.plan.producers[x]
            if equation.primitive.name not in INDEX_OPERATIONS:
                break
            inner = through(equation, index)
            assert inner is not None
            x, index = equation.inputs[0], inner
        return x, index

    def value(self, x: Atom, index: Index) -> Found:
        x, index = self.base(x, index)
        if type(x) is Literal and not x.aval.shape:
            return self.literal(x, x.aval.dtype)
        key = x, index
        for block in self.blocks:
            if key in block.values:
                return block.values[key]
        if type(x) is Variable and x in self.kept and self.cluster.phase[x] < self.phase:
            form = self._kept_form().times(x.aval.dtype.itemsize)
            found = self.load_at(self.kept[x], x.aval.dtype, form, x)
        elif type(x) is Variable and self._is_own(x) and not self._is_stored_before(x):
            found = self._compute(self.plan.producers[x], x)
        else:
            found = self._load(self.plan.places[x], index)
        self.blocks[found.depth].values[key] = found
        return found

    def _is_stored_before(self, x: Atom) -> bool:
        """Whether an earlier phase has written ``x`` to memory."""
        assert type(x) is Variable
        earlier = self.cluster.phase[x] < self.phase and self.cluster.level[x] == FULL
        return earlier and x in self.plan.places

    def literal(self, x: Literal, dtype: np.dtype[Any]) -> Found:
        with self.at(0, vector=False):
            return Found(constant(self.e, x.value, dtype), 0, False)

    def _compute(self, equation: Equation, out: Variable) -> Found:
        index = self.cluster.index[out]
        if equation.primitive.name in SOURCES:
            return SOURCES[equation.primitive.name](self, equation, index)
        in_types, out_types = types_of(equation)
        found = []
        for x, dtype in zip(equation.inputs, in_types, strict=True):
            if type(x) is Literal and not x.aval.shape:
                found.append(self.literal(x, dtype))
            else:
                found.append(self.converted(x, broadcast_index(x.aval.shape, index), dtype))
        depth = max((f.depth for f in found), default=0)
        vector = any(f.is_vector for f in found)
        operands = [self.widened(f) if vector else f.operand for f in found]
        with self.at(depth, vector=vector):
            name = equation.primitive.name
            results = LOWER[name](self.e, operands, out_types, equation.params)
        if not equation.primitive.multiple:
            results = (results,)
        for v, operand in zip(equation.results, results, strict=True):
            self.blocks[depth].values[v, index] = Found(operand, depth, vector)
        return self.blocks[depth].values[out, index]

    def converted(self, x: Atom, index: Index, dtype: np.dtype[Any]) -> Found:
        """A value in the dtype that an operation computes in."""
        found = self.value(x, index)
        if found.operand.dtype == dtype:
            return found
        key = (*self.base(x, index), dtype)
        block = self.blocks[found.depth]
        if key not in block.values:
            with self.at(found.depth, vector=found.is_vector):
                operand = cast(self.e, found.operand, dtype)
            block.values[key] = Found(operand, found.depth, found.is_vector)
        return block.values[key]

    def widened(self, found: Found) -> Operand:
        """A scalar in all lanes."""
        if found.is_vector or self.lanes == 1:
            return found.operand
        key = "splat", found.operand
        block = self.blocks[found.depth]
        if key not in block.values:
            dtype, name = found.operand.dtype, found.operand.name
            element = element_type(dtype)
            with self.at(found.depth, vector=True):
                if isinstance(name, tuple):
                    name = tuple(self.e.splat(n, element) for n in name)
                else:
                    name = self.e.splat(name, element)
            block.values[key] = Found(Operand(name, dtype), found.depth, True)
        return block.values[key].operand

    # Memory.

    def pointer(self, name: str, form: Affine, key: Any, least_depth: int = 0) -> tuple[str, int]:
        """The address of an element (the first of the lanes), and the depth it is computed at.
        ``name`` is the pointer to the buffer that ``key`` identifies.
        """
        e, depth = self.e, least_depth
        terms = [
            (max(self.open[k].depth, least_depth), k, c) for k, c in form.terms if k in self.open
        ]
        terms.sort(key=itemgetter(0, 1))
        known: Any = (key, form.constant)
        if not (type(form.constant) is int and form.constant == 0):
            name = self.offset(name, self.context.size(form.constant), depth, known)
        for at, k, coefficient in terms:
            known = (known, k, coefficient)
            if known in self.blocks[at].names:
                name = self.blocks[at].names[known]
            else:
                with self.at(at, vector=False):
                    factor = self.context.size(coefficient)
                    moved = e.op(f"arith.muli {self.open[k].start}, {factor} : i64")
                name = self.offset(name, moved, at, known)
            depth = at
        return name, depth

    def offset(self, pointer: str, by: str, depth: int, key: Any) -> str:
        names = self.blocks[depth].names
        if key not in names:
            with self.at(depth, vector=False):
                names[key] = memory.shifted(self.e, pointer, by)
        return names[key]

    def lane_stride(self, form: Affine) -> Any:
        return form.coefficient(self.lane_loop) if self.lanes > 1 else 0

    def _load(self, place: Place, index: Index) -> Found:
        buffer = place.buffer
        return self.load_at(self.context.pointer(buffer), place.dtype, place.at(index), buffer)

    def load_at(
        self, base: str, dtype: np.dtype[Any], form: Affine, key: Any, least_depth: int = 0
    ) -> Found:
        """What lies at ``base``, a pointer that is known at ``least_depth``, and a form."""
        pointer, depth = self.pointer(base, form, key, least_depth)
        stride = self.lane_stride(form)
        is_scalar = type(stride) is int and stride == 0
        with self.at(depth, vector=not is_scalar):
            if is_scalar or (type(stride) is int and stride == dtype.itemsize):
                operand = memory.load(self.e, pointer, dtype)
            else:
                operand = self.gathered(pointer, stride, dtype)
        return Found(operand, depth, not is_scalar)

    def lane_pointer(self, pointer: str, stride: Any, lane: int) -> str:
        return memory.shifted(self.e, pointer, self.context.size(stride * lane))

    def gathered(self, pointer: str, stride: Any, dtype: np.dtype[Any]) -> Operand:
        """Lanes that do not lie side by side, loaded one by one."""
        e, lanes = self.e, self.e.lanes
        with e.scalar():
            ones = [
                memory.load(e, self.lane_pointer(pointer, stride, lane), dtype)
                for lane in range(lanes)
            ]
        element = element_type(dtype)
        if dtype.kind == "c":
            parts = tuple(e.from_lanes([x.name[i] for x in ones], element) for i in (0, 1))
            return Operand(parts, dtype)
        return Operand(e.from_lanes([x.name for x in ones], element), dtype)

    def _store(self, store: Store) -> None:
        if store.addressed:
            store_addressed(self, store)
            return
        place = store.place
        form = place.at(store.index)
        found = self.stored_value(store, store.index)
        self.store_at(found, self.context.pointer(place.buffer), place.dtype, form, place.buffer)

    def stored_value(self, store: Store, index: Index) -> Found:
        """What is to be stored when the loops are at ``index`` of the target's shape."""
        atom, dtype = store.atom, store.place.dtype
        if type(atom) is Literal and not atom.aval.shape:
            return self.literal(atom, dtype)
        return self.converted(atom, broadcast_index(atom.aval.shape, index), dtype)

    def sum_of(self, a: Operand, b: Operand) -> Operand:
        return LOWER["add"](self.e, [a, b], (a.dtype,), {})

    def found(self, operand: Operand, depth: int, is_vector: bool) -> Found:
        return Found(operand, depth, is_vector)

    def _keep(self, v: Variable, base: str) -> None:
        found = self.converted(v, self.cluster.index[v], v.aval.dtype)
        self.store_at(found, base, v.aval.dtype, self._kept_form().times(v.aval.dtype.itemsize), v)

    def store_at(
        self, found: Found, base: str, dtype: np.dtype[Any], form: Affine, key: Any
    ) -> None:
        stride = self.lane_stride(form)
        vector = not (type(stride) is int and stride == 0)
        pointer, _ = self.pointer(base, form, key)
        operand = self.widened(found) if vector else found.operand
        with self.at(len(self.blocks) - 1, vector=vector):
            if not vector or (type(stride) is int and stride == dtype.itemsize):
                memory.store(self.e, operand, pointer)
            else:
                self._scattered(operand, pointer, stride)

    def _scattered(self, operand: Operand, pointer: str, stride: Any) -> None:
        e, lanes = self.e, self.e.lanes
        element = element_type(operand.dtype)
        names = operand.name if isinstance(operand.name, tuple) else (operand.name,)
        split = [e.to_lanes(name, element) for name in names]
        with e.scalar():
            for lane in range(lanes):
                mine = tuple(part[lane] for part in split)
                one = Operand(mine if len(mine) == 2 else mine[0], operand.dtype)
                memory.store(e, one, self.lane_pointer(pointer, stride, lane))
