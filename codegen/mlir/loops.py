"""One cluster as a loop nest.

The loops over rows come first, inside them those of the reduced axes, phase by phase. The last loop
is done ``lanes`` elements at a time. A value is computed in the outermost loop that it allows: its
depth is that of the innermost loop it depends on, and a value that does not depend on the last loop
is a scalar until something needs it in all lanes. Sizes that lanes do not divide end with a step
that overlaps the one before, which writes the same numbers again; reductions mask those.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ...autodiff.program import Equation
from ..affine import product
from ..plan import FULL, ROW, RUNNING, Store
from .emitter import Operand
from .nest_values import Block, Found, Loop, NestValues
from .reductions import Reduction, reduction_of

MANY = 32  # elements an accumulator takes before a sum keeps track of rounding errors

Reductions = Sequence[tuple[Equation, Reduction]]
Bounds = tuple[str, str]  # of a loop: names


class LoopNest(NestValues):
    """Writes one cluster into a function."""

    first_bounds: Bounds | None = None  # of the outermost inner loop, if not all of it

    def write(self, bounds: Bounds | None = None) -> None:
        """The whole nest; ``bounds`` are those of `shared_loop` where a thread does a part."""
        if any(type(d) is int and d == 0 for d in self.sizes.values()) and not self.inner_loops:
            return
        if self.is_unrolled:
            for places in self._all_places(self.row_loops):
                with self._standing(self.row_loops, places):
                    self._write_phases()
        else:
            shared = self.shared_loop
            closers = [self._open_loop(k, bounds if k == shared else None) for k in self.row_loops]
            self._write_phases()
            for close in reversed(closers):
                close([])
        self.e.lines = self.blocks[0].lines
        self.e.lanes = 1

    def _write_phases(self) -> None:
        for phase in range(self._phases()):
            self.phase = phase
            self._write_phase()

    def _all_places(self, loops: Sequence[int]) -> Iterator[tuple[int, ...]]:
        return itertools.product(*(range(self.sizes[k]) for k in loops))

    @contextmanager
    def _standing(self, loops: Sequence[int], places: Sequence[int]) -> Iterator[None]:
        """Inside, the loops stand at these places: an iteration of loops that are unrolled."""
        self.blocks.append(Block(self.blocks[-1].lines))
        depth = len(self.blocks) - 1
        for k, place in zip(loops, places, strict=True):
            self.open[k] = Loop(self.e.integer(place), depth)
        yield
        for k in loops:
            del self.open[k]
        self.blocks.pop()

    def _phases(self) -> int:
        return 1 + max(self.cluster.phase.values(), default=0)

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
        self._write_rows()

    def _write_rows(self) -> None:
        """What this phase computes and stores of rows, once their reductions are known."""
        cluster = self.cluster
        for equation in cluster.equations:  # in order, so that no value asks for a long chain
            v = equation.results[0]
            if cluster.level[v] == ROW and cluster.phase[v] == self.phase:
                self.value(v, cluster.index[v])
        for store in cluster.stores:
            if store.level == ROW and self._phase_of(store.atom) == self.phase:
                self._store(store)

    def _accumulators(self, equation: Equation) -> Reduction:
        total = product([self.sizes[k] for k in self.inner_loops])
        share = self.lanes if self.lane_loop in self.inner_loops else 1
        many = share > 1 and not (type(total) is int and total <= MANY * share)
        many = many and equation.primitive.name not in RUNNING
        return reduction_of(equation, compensated=many)

    def _write_inner(self, reductions: Reductions, stores: Sequence[Store]) -> None:
        """The loops over the reduced axes, with the accumulators of all reductions."""
        row_vector = self.lane_loop in self.row_loops
        depth = len(self.blocks) - 1
        with self.at(depth, vector=self.lanes > 1 and (row_vector or bool(self.inner_loops))):
            names = [name for _, r in reductions for name in r.start(self.e)]
        names = self._run_inner(reductions, stores, names)
        self._finish_reductions(reductions, names, depth)

    def _run_inner(
        self, reductions: Reductions, stores: Sequence[Store], names: Sequence[str]
    ) -> list[str]:
        """The loops over the reduced axes: the accumulators' last values from their first ones."""
        types = self._types(reductions)
        carried = list(names)
        if self.is_unrolled:
            for places in self._all_places(self.inner_loops):
                with self._standing(self.inner_loops, places):
                    carried = self._write_inside(reductions, stores, carried)
            return carried
        closers, inner = [], self.inner_loops
        for i, k in enumerate(inner):
            bounds = None if i else self.first_bounds
            if k == self.lane_loop and reductions:
                carried = self._run_last(reductions, stores, carried, bounds)
                break
            close, carried = self._open_carrying(k, carried, types, bounds)
            closers.append(close)
        else:
            carried = self._write_inside(reductions, stores, carried)
        for close in reversed(closers):
            carried = close(carried)
        return carried

    def _split(self, bounds: Bounds | None) -> tuple[Bounds, str]:
        """The bounds of the last loop's whole steps, and how many lanes of the step after them,
        which ends with the row, have been done before.
        """
        e, size = self.e, self.sizes[self.lane_loop]
        steps, lanes = size // self.lanes, e.integer(self.lanes)
        whole, done = self.context.size(steps), self.context.size((steps + 1) * self.lanes - size)
        if bounds is None:
            return (e.integer(0), whole), done
        low, high = bounds
        is_last = e.op(f"arith.cmpi sgt, {high}, {whole} : i64")
        done = e.op(f"arith.select {is_last}, {done}, {lanes} : i64")
        return (low, e.op(f"arith.minsi {high}, {whole} : i64")), done

    def _run_last(
        self,
        reductions: Reductions,
        stores: Sequence[Store],
        names: Sequence[str],
        bounds: Bounds | None,
    ) -> list[str]:
        """The last loop, with all that is in it."""
        if not self.has_rest:
            bounds = bounds or (self.e.integer(0), self.context.size(self._count(self.lane_loop)))
            return self._run_steps(reductions, stores, names, bounds)
        whole, rest = self._split(bounds)
        names = self._run_steps(reductions, stores, names, whole)
        with self._standing_at_rest(rest):
            return self._write_inside(reductions, stores, names)

    def _run_steps(
        self, reductions: Reductions, stores: Sequence[Store], names: Sequence[str], bounds: Bounds
    ) -> list[str]:
        """Steps of the last loop; where it has a rest these are whole ones, which need no mask."""
        if any(r.compensated for _, r in reductions):
            return self._run_blocks(reductions, stores, names, bounds)
        k, types = self.lane_loop, self._types(reductions)
        counter, inside, close = self._open_counted(*bounds, 1, names, types)
        if self.has_rest:
            depth = len(self.blocks) - 1
            with self.at(depth, vector=False):
                start = self.e.op(f"arith.muli {counter}, {self.e.integer(self.lanes)} : i64")
            self.open[k] = Loop(start, depth)
        else:
            self._enter(k, counter)
        last = self._write_inside(reductions, stores, inside)
        del self.open[k]
        return close(last)

    def _run_blocks(
        self, reductions: Reductions, stores: Sequence[Store], names: Sequence[str], bounds: Bounds
    ) -> list[str]:
        """Steps of the last loop in blocks, within which sums are plain ones."""
        e, (low, high) = self.e, bounds
        types = self._types(reductions)
        counter, inside, close = self._open_counted(low, high, MANY, names, types)
        depth = len(self.blocks) - 1
        with self.at(depth, vector=False):
            end = e.op(f"arith.addi {counter}, {e.integer(MANY)} : i64")
            end = e.op(f"arith.minsi {end}, {high} : i64")
        plain = [(equation, r.plain()) for equation, r in reductions]
        starts: list[str] = []
        with self.at(depth, vector=True):
            for (_, r), mine in self._each(reductions, inside):
                starts += r.plain().start(e) if r.compensated else mine
        sums = self._run_steps(plain, stores, starts, (counter, end))
        last: list[str] = []
        with self.at(depth, vector=True):
            ours = self._each(reductions, inside)
            for ((_, r), mine), (_, new) in zip(ours, self._each(plain, sums), strict=True):
                last += r.take_sums(e, mine, new) if r.compensated else new
        return close(last)

    def _each(
        self, reductions: Reductions, names: Sequence[str]
    ) -> Iterator[tuple[tuple[Equation, Reduction], list[str]]]:
        """The reductions with their accumulators."""
        for pair in reductions:
            count = pair[1].count
            yield pair, list(names[:count])
            names = names[count:]

    def _types(self, reductions: Reductions) -> list[str]:
        """Those of the accumulators in the loops."""
        row_vector = self.lane_loop in self.row_loops
        depth = len(self.blocks) - 1
        with self.at(depth, vector=self.lanes > 1 and (row_vector or bool(self.inner_loops))):
            return [kind for _, r in reductions for kind in r.types(self.e)]

    @contextmanager
    def _standing_at_rest(self, done: str) -> Iterator[None]:
        """Inside, the last loop is at its last elements, of which so many are left out."""
        e, k = self.e, self.lane_loop
        self.blocks.append(Block(self.blocks[-1].lines))
        depth = len(self.blocks) - 1
        with self.at(depth, vector=True):
            with e.scalar():
                size = self.context.size(self.sizes[k])
                start = e.op(f"arith.subi {size}, {e.integer(self.lanes)} : i64")
            mask = e.compare("sge", e.lane_numbers(), e.splat(done, "i64"), "i64")
        self.open[k] = Loop(start, depth, mask)
        yield
        del self.open[k]
        self.blocks.pop()

    def _write_inside(
        self,
        reductions: Reductions,
        stores: Sequence[Store],
        names: Sequence[str],
    ) -> list[str]:
        """The inside of all loops."""
        names = self._compute_full(reductions, names)
        for store in stores:
            self._store(store)
        for v in self.kept:
            if self.cluster.phase[v] == self.phase:
                self._keep(v)
        return names

    def _finish_reductions(self, reductions: Reductions, names: list[str], depth: int) -> None:
        """The results of reductions from their accumulators' last values."""
        row_vector = self.lane_loop in self.row_loops
        for (equation, reduction), mine in self._each(reductions, names):
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
        return reduction.operand(e, names)

    def _compute_full(self, reductions: Reductions, names: Sequence[str]) -> list[str]:
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
            self.blocks[depth].values[key] = Found(reduction.operand(self.e, taken), depth, vector)
        return taken

    def _position(self, reduction: Reduction, vector: bool) -> str | None:
        """Where along its axis a reduction is, if its result is a place."""
        if not reduction.is_place:
            return None
        axis, kind = (self.cluster.reduced or (0,))[0], reduction.place
        if axis not in self.open:
            return self.e.constant(0, kind)
        start = self.open[axis].start
        if kind != "i64":
            with self.e.scalar():
                start = self.e.cast("arith.trunci", start, "i64", kind)
        start = self.e.splat(start, kind)
        if not vector or axis != self.lane_loop:
            return start
        return self.e.binary("arith.addi", start, self.e.lane_numbers(kind), kind)

    # Loops.

    def _open_loop(self, k: int, bounds: Bounds | None = None) -> Callable[[list[str]], list[str]]:
        return self._open_carrying(k, [], [], bounds)[0]

    def _open_carrying(
        self, k: int, names: list[str], types: list[str], bounds: Bounds | None = None
    ) -> tuple[Callable[[list[str]], list[str]], list[str]]:
        """Opens loop ``k``, which carries values; the function returned closes it with their next
        values and gives their last ones.
        """
        low, high = bounds or (self.e.integer(0), self.context.size(self._count(k)))
        counter, inside, close = self._open_counted(low, high, 1, names, types)
        self._enter(k, counter)

        def leave(last: list[str]) -> list[str]:
            del self.open[k]
            return close(last)

        return leave, inside

    def _open_counted(
        self, low: str, high: str, step: int, names: Sequence[str] = (), types: Sequence[str] = ()
    ) -> tuple[str, list[str], Callable[..., list[str]]]:
        """Opens a loop that carries values; its counter, the values in it, and what closes it."""
        e, outer = self.e, self.blocks[-1]
        counter = e.fresh()
        inside = [e.fresh() for _ in names]
        block = Block([])
        self.blocks.append(block)

        def close(last: Sequence[str] = ()) -> list[str]:
            e.lines = outer.lines
            head = f"scf.for {counter} = {low} to {high} step {e.integer(step)}"
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
            return results

        return counter, inside, close

    @contextmanager
    def _counted(self, low: str, high: str, step: int = 1) -> Iterator[str]:
        """A loop that carries nothing."""
        counter, _, close = self._open_counted(low, high, step)
        self.e.lines = self.blocks[-1].lines
        yield counter
        close()

    def _enter(self, k: int, counter: str) -> None:
        """What the inside of loop ``k`` knows of where it is."""
        e, depth = self.e, len(self.blocks) - 1
        if k != self.lane_loop or self.lanes == 1:
            self.open[k] = Loop(counter, depth)
            return
        store = self.aligned.get(self.phase)
        shift = None if store is None else self._shift(store, depth - 1)
        with self.at(depth, vector=False):
            start = e.op(f"arith.muli {counter}, {e.integer(self.lanes)} : i64")
            size = self.sizes[k]
            if shift is None and type(size) is int and size % self.lanes == 0:
                self.open[k] = Loop(start, depth)
                return
            last = e.op(f"arith.subi {self.context.size(size)}, {e.integer(self.lanes)} : i64")
            if shift is not None:
                start = e.op(f"arith.subi {start}, {shift} : i64")
                start = e.op(f"arith.maxsi {start}, {e.integer(0)} : i64")
            first = e.op(f"arith.minsi {start}, {last} : i64")
            mask = None
            if k in self.inner_loops and shift is None:
                skipped = e.op(f"arith.subi {start}, {first} : i64")
                e.lanes = self.lanes
                ids = e.lane_numbers()
                mask = e.compare("sge", ids, e.splat(skipped, "i64"), "i64")
        self.open[k] = Loop(first, depth, mask)

    def _shift(self, store: Store, depth: int) -> str:
        """By how many elements steps begin earlier, for a store's vectors not to cross lines."""
        e, place = self.e, store.place
        base = self.context.pointer(place.buffer)
        pointer, _ = self.pointer(base, place.at(store.index), place.buffer)
        item, vector = place.dtype.itemsize, self.context.vector_bytes
        with self.at(depth, vector=False):
            address = e.op(f"llvm.ptrtoint {pointer} : !llvm.ptr to i64")
            number = e.op(f"arith.divui {address}, {e.integer(item)} : i64")
            most = min(max(vector // item, 1), self.lanes)
            return e.op(f"arith.remui {number}, {e.integer(most)} : i64")
