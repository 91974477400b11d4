"""From a Program to steps: clusters of equations that one loop nest computes, and operations.

Equations are visited in order; each joins the latest cluster that can take it, or opens one. The
steps run in the order in which they were opened, and an equation only joins a step at or after
those of its arguments, so no cycle can arise. What a later step reads is stored; everything else
stays in registers. Index operations are no steps: consumers read through them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..autodiff.program import Atom, Equation, Literal, Program, Variable, regions
from ..autodiff.shapes import broadcast
from .affine import INDEX_OPERATIONS, Index, Shape, identity, lower_bound, product, same, through
from .costs import HEAVY, weight
from .overwriting import overwrite_carried
from .places import (
    PARAMETER,
    RESULT,
    TEMPORARY,
    Buffer,
    Place,
    has_dense_rows,
    is_small,
    is_whole,
    view_diagonal,
    view_part,
)
from .placing import Placing
from .plan import (
    FULL,
    ROW,
    RUNNING,
    Cluster,
    Operation,
    Plan,
    Reads,
    Store,
    broadcast_index,
    can_gather,
    can_search,
    first_stack,
    is_reduction,
    reads_of,
    reduced_axes,
)
from .reuse import reusable

SHORT_ROW = 256  # elements

# What finds elements of its first argument, for each of the others': whether loops can hold it.
FINDS = {"gather": can_gather, "searchsorted": can_search}


class Planner(Placing):
    """Makes the `Plan` of one Program. ``is_elementwise`` says which equations loops can hold;
    ``donated``: parameters whose memory may be written to, by number, and the results that come
    after them: a loop's carried values. ``strides``: those of parameters that are not dense, and
    ``out_strides`` those of results.
    """

    LOOK_BACK = 12  # clusters that an equation may join

    def __init__(
        self,
        program: Program,
        is_elementwise: Callable[[Equation], bool],
        constants: list[Literal],
        donated: Mapping[int, int] | None = None,
        strides: Sequence[tuple[int, ...] | None] = (),
        out_strides: Sequence[tuple[int, ...] | None] = (),
    ) -> None:
        super().__init__(constants, strides, out_strides)
        self.program = program
        self.is_elementwise = is_elementwise
        self.in_place: set[int] = set()  # results that lie where their parameters did
        self.given = {program.parameters[i]: number for i, number in (donated or {}).items()}
        self.reusable = reusable(program, self.given)
        self.uses = Counter(x for e in program.equations for x in e.inputs)
        self.uses.update(program.results)
        self.donated: dict[Buffer, int] = {}

    def plan(self) -> Plan:
        for number, v in enumerate(self.program.parameters):
            self.places[v] = self._outside(PARAMETER, number, v.aval)
            if v in self.given:
                self.donated[self.places[v].buffer] = self.given[v]
        for number, x in enumerate(self.program.results):
            if type(x) is Variable and x not in self.places and x not in self.result_of:
                self.result_of[x] = number
        self.reshaped = self._reshaped_results()
        for equation in self.program.equations:
            self._add(equation)
        for number, x in enumerate(self.program.results):
            self._add_result(number, x)
        overwrite_carried(self)
        return Plan(
            self.program, self.steps, self.places, self.producers, self.outside, self.in_place
        )

    def _reshaped_results(self) -> dict[Variable, Variable]:
        """What is computed where a result belongs, as that is only a reshape of it."""
        producers = {v: e for e in self.program.equations for v in e.results}
        found: dict[Variable, Variable] = {}
        for x, number in self.result_of.items():
            source: Atom = x
            while type(source) is Variable and source in producers:
                equation = producers[source]
                if equation.primitive.name != "reshape":
                    break
                source = equation.inputs[0]
            if type(source) is not Variable or source not in producers:
                continue
            if source not in self.result_of and not self._has_out_strides(number):
                found.setdefault(source, x)
        return found

    def _has_out_strides(self, number: int) -> bool:
        strides = self.strides[RESULT]
        return number < len(strides) and strides[number] is not None

    def _add(self, equation: Equation) -> None:
        for v in equation.results:
            self.producers[v] = equation
        name = equation.primitive.name
        if name in INDEX_OPERATIONS:
            self._add_index_operation(equation)
        elif is_reduction(equation):
            self._add_reduction(equation)
        elif self.is_elementwise(equation) or (name in FINDS and FINDS[name](equation)):
            self._add_elementwise(equation)
        else:
            update = getattr(self, f"_add_{name}", None)
            if update is not None:
                update(equation)
            else:
                self._add_operation(equation)

    # Elementwise equations, index operations, reductions.

    def _add_index_operation(self, equation: Equation) -> None:
        """Nothing to do, unless no index into the result can be turned into one of the argument."""
        if equation.primitive.name == "reshape":
            out = equation.results[0]
            if through(equation, identity(range(len(out.aval.shape)))) is None:
                self.place_of(out)

    def _add_elementwise(self, equation: Equation) -> None:
        shape = equation.results[0].aval.shape
        low = max((self.step_of(x) for x in equation.inputs), default=-1)
        for cluster in self._candidates(low):
            for level in (FULL, ROW):
                index = self._possible_index(cluster, level, equation, shape)
                if index is None:
                    continue
                reads = reads_of(equation, index, cluster.full_index)
                if all(self._readable(cluster, level, x, at) for x, at in reads):
                    self._join(cluster, level, index, equation, reads)
                    return
        cluster = self._open(shape)
        reads = reads_of(equation, cluster.full_index, cluster.full_index)
        self._join(cluster, FULL, cluster.full_index, equation, reads)

    def _candidates(self, low: int) -> list[Cluster]:
        recent = self.steps[max(low, len(self.steps) - self.LOOK_BACK, 0) :]
        return [step for step in reversed(recent) if isinstance(step, Cluster)]

    def _possible_index(
        self, cluster: Cluster, level: str, equation: Equation, shape: Shape
    ) -> Index | None:
        """The index of the equation's result in the cluster's loops; None if they do not fit."""
        if level == ROW and cluster.reduced is None:
            return None
        index = cluster.index_into(shape, level)
        if index is None or (level == ROW and self._is_slow_by_rows(cluster, equation)):
            return None
        return index

    def _is_slow_by_rows(self, cluster: Cluster, equation: Equation) -> bool:
        """Whether a row is too short for an operation that is long and done for one row at a time:
        better a nest of its own, which does several.
        """
        if weight(equation) < HEAVY or len(cluster.shape) - 1 not in (cluster.reduced or ()):
            return False
        length = product([cluster.shape[k] for k in cluster.reduced or ()])
        return type(length) is int and length < SHORT_ROW

    def _readable(self, cluster: Cluster, level: str, x: Atom, index: Index | None) -> bool:
        """Whether the cluster can read ``x`` there: from memory, or as it is computed."""
        if index is None:
            return self.step_of(x) < cluster.number
        x, index = self.base(x, index, cluster)
        if type(x) is Literal or self.step_of(x) < cluster.number:
            return True
        assert type(x) is Variable
        if self.home.get(x) is not cluster:
            return False
        own = cluster.level.get(x)
        if own is None:  # an update that this cluster does
            return False
        if level == FULL and own == ROW and not cluster.row_loops:
            return False  # one row is everything: a second phase has nothing to gain
        return (own == ROW or level == FULL) and index == cluster.index[x]

    def _join(
        self, cluster: Cluster, level: str, index: Index, equation: Equation, reads: Reads
    ) -> None:
        phase = 0
        for x, at in reads:
            if at is None:
                self.place_of(x)
                continue
            read, _ = self.base(x, at, cluster)
            phase = max(phase, self._phase_read(cluster, level, read))
        self._enter(cluster, level, index, equation, phase)

    def _phase_read(self, cluster: Cluster, level: str, x: Atom) -> int:
        """The first phase in which ``x`` can be read; what other steps compute gets a place."""
        if type(x) is Variable and self.home.get(x) is cluster:
            later = cluster.level[x] == ROW and level == FULL
            return cluster.phase[x] + later
        self._prepare(x)
        return 0

    def _enter(
        self, cluster: Cluster, level: str, index: Index, equation: Equation, phase: int
    ) -> None:
        for v in cluster.running:  # what phases may compute again does not include these
            if cluster.phase[v] < phase:
                self.place_of(v)
        if equation.primitive.name in RUNNING:
            cluster.running += equation.results
        cluster.equations.append(equation)
        for v in equation.results:
            self.home[v] = cluster
            cluster.level[v] = level
            cluster.index[v] = index
            cluster.phase[v] = phase
            if v in self.result_of:
                self.place_of(v)

    def _add_reduction(self, equation: Equation) -> None:
        (x,) = equation.inputs
        shape, axes = x.aval.shape, reduced_axes(equation)
        for cluster in self._candidates(self.step_of(x)):
            fits = cluster.reduced is None or cluster.reduced == axes
            exact = len(cluster.shape) == len(shape) and all(map(same, cluster.shape, shape))
            if fits and exact and self._readable(cluster, FULL, x, cluster.full_index):
                break
        else:
            cluster = self._open(shape)
        cluster.reduced = axes
        read, _ = self.base(x, cluster.full_index, cluster)
        phase = self._phase_read(cluster, FULL, read)
        if equation.primitive.name in RUNNING:
            self._enter(cluster, FULL, cluster.full_index, equation, phase)
            return
        index = cluster.index_into(cluster.row_shape, ROW)
        assert index is not None
        self._enter(cluster, ROW, index, equation, phase)

    # Updates: a new array, part of which is written.

    def _add_concatenate(self, equation: Equation) -> None:
        axis = equation.params["axis"]
        starts: list[Any] = [0]
        for x in equation.inputs[:-1]:
            starts.append(starts[-1] + x.aval.shape[axis])
        self._put_together(equation, [{axis: start} for start in starts])

    def _add_assemble(self, equation: Equation) -> None:
        self._put_together(equation, [dict(enumerate(s)) for s in equation.params["starts"]])

    def _put_together(self, equation: Equation, starts: Sequence[Mapping[int, Any]]) -> None:
        """Writes every input where it begins, by axes."""
        (out,) = equation.results
        place = self._new_place(out)
        for x, start in zip(equation.inputs, starts, strict=True):
            offset = place.offset
            for axis, first in start.items():
                offset = offset + first * place.strides[axis]
            piece = place._replace(shape=x.aval.shape, offset=offset)
            is_empty = any(type(size) is int and size == 0 for size in x.aval.shape)
            if not (is_empty or self._is_computed_into(piece, x)):
                self.store(x, piece)
        self._finish_update(out, place)

    def _is_computed_into(self, place: Place, x: Atom) -> bool:
        """Whether the cluster that computes ``x`` writes it there at once: it may, if nothing else
        reads it.
        """
        cluster = self.home.get(x) if type(x) is Variable and self.uses[x] == 1 else None
        if not isinstance(cluster, Cluster) or x in self.places or x not in cluster.level:
            return False
        assert type(x) is Variable
        cluster.stores.append(Store(x, place, cluster.level[x], cluster.index[x]))
        return True

    def _finish_update(self, out: Variable, place: Place) -> None:
        self.places[out] = place
        self.home[out] = self.steps[-1] if self.steps else self._open(place.shape)

    def _add_setitem(self, equation: Equation) -> None:
        _, value = equation.inputs
        place = self._updated(equation)
        self.store(value, view_part(place, equation.params["index"]))
        self._finish_update(equation.results[0], place)

    def _updated(self, equation: Equation) -> Place:
        """The place of an update's result, which holds what there was before: its own array where
        nothing else reads that any more, else a copy.
        """
        x = equation.inputs[0]
        (out,) = equation.results
        if equation in self.reusable:
            place = self.place_of(x)
            if self._is_ours(place):
                return place
        place = self._new_place(out)
        self.store(x, place)
        return place

    def _is_ours(self, place: Place) -> bool:
        """Whether a place is a whole buffer that may be written to."""
        writable = place.buffer.kind == TEMPORARY or place.buffer in self.donated
        return writable and is_whole(place)

    def _scatter_into(self, equation: Equation, place: Place, value: Atom, adds: bool) -> None:
        """Writes ``value``, broadcast, to the elements that index arrays address."""
        indices = equation.inputs[-self._index_count(equation) :]
        for x in (value, *indices):
            self._prepare(x)
        lead = broadcast(*(i.aval.shape for i in indices))
        rest = place.shape[len(indices) :]
        cluster = self._open((*lead, *rest))
        cluster.serial = True
        index = cluster.full_index
        addressed = tuple((i, broadcast_index(i.aval.shape, index[: len(lead)])) for i in indices)
        target = index[len(lead) :]
        axes = equation.params.get("axes")
        cluster.stores.append(Store(value, place, FULL, target, addressed, adds, axes))
        self._finish_update(equation.results[0], place)

    def _index_count(self, equation: Equation) -> int:
        return len(equation.inputs) - (1 if equation.primitive.name == "accumulate" else 2)

    def _can_scatter(self, equation: Equation) -> bool:
        count = self._index_count(equation)
        shape = equation.results[0].aval.shape
        return all(i.aval.dtype.kind in "iu" for i in equation.inputs[-count:]) and all(
            lower_bound(dim) for dim in shape[:count]
        )

    def _add_scatter(self, equation: Equation) -> None:
        if not self._can_scatter(equation):
            self._add_operation(equation)
            return
        adds = equation.primitive.name == "scatter_add"
        self._scatter_into(equation, self._updated(equation), equation.inputs[1], adds)

    _add_scatter_add = _add_scatter

    def _add_accumulate(self, equation: Equation) -> None:
        if not self._can_scatter(equation):
            self._add_operation(equation)
            return
        (out,) = equation.results
        place = self._new_place(out)
        self.store(Literal(out.aval.dtype.type(0)), place)
        self._scatter_into(equation, place, equation.inputs[0], adds=True)

    def _add_embed(self, equation: Equation) -> None:
        (part,) = equation.inputs
        (out,) = equation.results
        place = self._new_place(out)
        self.store(Literal(out.aval.dtype.type(0)), place)
        self.store(part, view_part(place, equation.params["index"]))
        self._finish_update(out, place)

    def _add_embed_diagonal(self, equation: Equation) -> None:
        (x,) = equation.inputs
        (out,) = equation.results
        place = self._new_place(out)
        self.store(Literal(out.aval.dtype.type(0)), place)
        where = {key: equation.params[key] for key in ("offset", "axis1", "axis2")}
        self.store(x, view_diagonal(place, x.aval.shape, **where))
        self._finish_update(out, place)

    # Everything else.

    def _add_operation(self, equation: Equation) -> None:
        if any(True for _ in regions(equation)):
            operands = [self._region_operand(equation, i) for i in range(len(equation.inputs))]
        else:
            operands = [
                x if type(x) is Literal and not x.aval.shape else self.place_of(x)
                for x in equation.inputs
            ]
        pairs = self.reusable.get(equation, {})
        results = [
            self._place_taken(equation, j, pairs[j])
            if j in pairs
            else self._operation_result(equation, j)
            for j in range(len(equation.results))
        ]
        step = Operation(len(self.steps), equation, operands, results)
        self.steps.append(step)
        for v, place in zip(equation.results, results, strict=True):
            self.places[v] = place
            self.home[v] = step

    def _region_operand(self, equation: Equation, i: int) -> Place:
        """Where a region finds an operand: dense; a stack, row by row."""
        place = self.place_of(equation.inputs[i])
        if first_stack(equation)[0] <= i and has_dense_rows(place):
            return place
        return self.place_of(equation.inputs[i], is_dense=True)

    def _operation_result(self, equation: Equation, j: int) -> Place:
        """Where an operation writes a result: there it belongs, if it is dense there."""
        v = equation.results[j]
        number = self.result_of.get(v)
        if number is None:
            return self._new_place(v)
        place = self._outside(RESULT, number, v.aval)
        if place.is_dense or (first_stack(equation)[1] <= j and has_dense_rows(place)):
            del self.result_of[v]
            return place
        self.outside.pop()
        return self.temporary(v.aval)

    def _place_taken(self, equation: Equation, j: int, i: int) -> Place:
        """The place of a region's result: that of an operand which nothing reads any more. A result
        of the Program that does not belong there is written to where it does at once; small ones
        have places of their own, which LLVM turns into registers.
        """
        v, place = equation.results[j], self.place_of(equation.inputs[i])
        number = self.result_of.get(v)
        fits = number is None or self.donated.get(place.buffer) == number
        same = place.shape == v.aval.shape and place.dtype == v.aval.dtype
        if fits and same and self._is_ours(place) and not is_small(place.buffer.nbytes):
            return place
        return self._operation_result(equation, j)

    def _add_result(self, number: int, x: Atom) -> None:
        place = self.places.get(x)
        if place is None and x in self.reshaped.values() and x not in self.result_of:
            place = self.place_of(x)
        if place is not None and place.buffer.kind == RESULT and place.buffer.number == number:
            return
        if place is not None and is_whole(place) and self.donated.get(place.buffer) == number:
            self.in_place.add(number)
            return
        self.store(x, self._outside(RESULT, number, x.aval))
