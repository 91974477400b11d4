"""From a Program to steps: clusters of equations that one loop nest computes, and operations.

Equations are visited in order; each joins the latest cluster that can take it, or opens one. The
steps run in the order in which they were opened, and an equation only joins a step at or after
those of its arguments, so no cycle can arise. What a later step reads is stored; everything else
stays in registers. Index operations are no steps: consumers read through them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..autodiff.core import Aval
from ..autodiff.program import Atom, Equation, Literal, Program, Variable, regions
from .affine import INDEX_OPERATIONS, ZERO, Affine, Index, Shape, identity, is_one, same, through
from .places import CONSTANT, PARAMETER, RESULT, TEMPORARY, Buffer, Place, dense, nbytes, view

FULL, ROW = "full", "row"

_EXTREMES = ("reduce_max", "reduce_min")
REDUCTIONS = ("reduce_sum", "reduce_prod", *_EXTREMES, "reduce_any", "reduce_all")


def is_reduction(equation: Equation) -> bool:
    """Whether loops accumulate the result; the order of complex numbers is left to NumPy."""
    name = equation.primitive.name
    is_complex = equation.inputs[0].aval.dtype.kind == "c" if name in _EXTREMES else False
    return name in REDUCTIONS and not is_complex


class Store(NamedTuple):
    """Writes a value of the cluster's space (or its rows) to a place."""

    atom: Atom
    place: Place
    level: str
    index: Index  # into the place


class Cluster:
    """One loop nest over ``shape``. Reductions run over the axes ``reduced``; a value without them
    is of level ROW. A row is done in phases: what reads a reduction's result comes a phase later.
    """

    def __init__(self, number: int, shape: Shape) -> None:
        self.number = number
        self.shape = shape
        self.reduced: tuple[int, ...] | None = None
        self.equations: list[Equation] = []
        self.level: dict[Variable, str] = {}
        self.index: dict[Variable, Index] = {}  # of the element that the loops are at
        self.phase: dict[Variable, int] = {}
        self.stores: list[Store] = []

    @property
    def row_loops(self) -> tuple[int, ...]:
        inner = self.reduced or ()
        return tuple(k for k in range(len(self.shape)) if k not in inner)

    @property
    def row_shape(self) -> Shape:
        return tuple(self.shape[k] for k in self.row_loops)

    def loops(self, level: str) -> tuple[int, ...]:
        return self.row_loops if level == ROW else tuple(range(len(self.shape)))

    @property
    def full_index(self) -> Index:
        index = self.index_into(self.shape, FULL)
        assert index is not None
        return index

    def index_into(self, shape: Shape, level: str) -> Index | None:
        """Where the loops are in an array of ``shape``, which may have axes of length 1 more or
        fewer than the cluster (or its rows); None if it has other sizes.
        """
        loops = iter([k for k in self.loops(level) if not is_one(self.shape[k])])
        found = []
        for dim in shape:
            if is_one(dim):
                found.append(ZERO)
                continue
            loop = next(loops, None)
            if loop is None or not same(self.shape[loop], dim):
                return None
            found.append(Affine(0, ((loop, 1),)))
        return tuple(found) if next(loops, None) is None else None

    def __repr__(self) -> str:
        names = [e.primitive.name for e in self.equations]
        return f"cluster {self.number} {self.shape} reduced={self.reduced}: {' '.join(names)}"


class Operation:
    """One equation that is no loop nest: a library call, a region, a call back to NumPy."""

    def __init__(
        self, number: int, equation: Equation, operands: Sequence[Any], results: Sequence[Any]
    ) -> None:
        self.number = number
        self.equation = equation
        self.operands = list(operands)  # Places, or Literals without dimensions
        self.results = list(results)

    def __repr__(self) -> str:
        return f"operation {self.number}: {self.equation.primitive.name}"


Step = Cluster | Operation


class Plan(NamedTuple):
    program: Program
    steps: list[Step]
    places: dict[Atom, Place]
    producers: dict[Variable, Equation]
    outside: list[Buffer]  # of parameters and results


def broadcast_index(shape: Shape, index: Index) -> Index:
    """The index into an argument of an elementwise operation whose result is read at ``index``."""
    inner = index[len(index) - len(shape) :]
    return tuple(ZERO if is_one(d) else f for d, f in zip(shape, inner, strict=True))


class Planner:
    """Makes the `Plan` of one Program. ``is_elementwise`` says which equations loops can hold."""

    LOOK_BACK = 12  # clusters that an equation may join

    def __init__(
        self,
        program: Program,
        is_elementwise: Callable[[Equation], bool],
        constants: list[Literal],
    ) -> None:
        self.program = program
        self.is_elementwise = is_elementwise
        self.steps: list[Step] = []
        self.places: dict[Atom, Place] = {}
        self.copies: dict[Atom, Place] = {}  # dense ones of what has another place
        self.home: dict[Variable, Step] = {}
        self.producers: dict[Variable, Equation] = {}
        self.constants = constants  # of the whole module
        self.result_of: dict[Variable, int] = {}
        self.temporaries = 0
        self.outside: list[Buffer] = []

    def plan(self) -> Plan:
        for number, v in enumerate(self.program.parameters):
            self.places[v] = self._outside(PARAMETER, number, v.aval)
        for number, x in enumerate(self.program.results):
            if type(x) is Variable and x not in self.places and x not in self.result_of:
                self.result_of[x] = number
        for equation in self.program.equations:
            self._add(equation)
        for number, x in enumerate(self.program.results):
            self._add_result(number, x)
        return Plan(self.program, self.steps, self.places, self.producers, self.outside)

    def _outside(self, kind: str, number: int, aval: Aval) -> Place:
        buffer = Buffer(kind, number, nbytes(aval.shape, aval.dtype))
        if kind in (PARAMETER, RESULT):
            self.outside.append(buffer)
        return dense(buffer, aval.dtype, aval.shape)

    def _add(self, equation: Equation) -> None:
        for v in equation.results:
            self.producers[v] = equation
        name = equation.primitive.name
        if name in INDEX_OPERATIONS:
            self._add_index_operation(equation)
        elif is_reduction(equation):
            self._add_reduction(equation)
        elif self.is_elementwise(equation):
            self._add_elementwise(equation)
        else:
            update = getattr(self, f"_add_{name}", None)
            if update is not None:
                update(equation)
            else:
                self._add_operation(equation)

    # Reading.

    def base(self, x: Atom, index: Index) -> tuple[Atom, Index]:
        """What is read where ``x`` is read at ``index``: through index operations that have no
        place of their own, to a value that has one or that a cluster computes.
        """
        while type(x) is Variable and x not in self.places:
            equation = self.producers[x]
            if equation.primitive.name not in INDEX_OPERATIONS:
                break
            inner = through(equation, index)
            assert inner is not None, f"{equation} was to be given a place"
            x, index = equation.inputs[0], inner
        return x, index

    def step_of(self, x: Atom) -> int:
        """The number of the step that computes ``x``; -1 if it is there from the start."""
        while type(x) is Variable and x not in self.home:
            equation = self.producers.get(x)
            if equation is None or equation.primitive.name not in INDEX_OPERATIONS:
                return -1
            x = equation.inputs[0]
        return self.home[x].number if type(x) is Variable else -1

    def place_of(self, x: Atom, *, is_dense: bool = False) -> Place:
        """The place of a value, which is stored there if nothing has asked for it before."""
        place = self.places.get(x)
        if place is None:
            if type(x) is Literal:
                place = self._constant(x)
            else:
                assert type(x) is Variable
                place = self._stored(x)
            self.places[x] = place
        return place if place.is_dense or not is_dense else self._dense_copy(x)

    def _constant(self, x: Literal) -> Place:
        self.constants.append(x)
        return self._outside(CONSTANT, len(self.constants) - 1, x.aval)

    def _stored(self, x: Variable) -> Place:
        equation = self.producers[x]
        if equation.primitive.name in INDEX_OPERATIONS:
            found = view(equation, self.place_of(equation.inputs[0]))
            if found is None:  # a reshape that must move elements
                found = view(equation, self._dense_copy(equation.inputs[0]))
                assert found is not None
            return found
        cluster = self.home[x]
        assert isinstance(cluster, Cluster), f"{equation} has no place"
        place = self._new_place(x)
        cluster.stores.append(Store(x, place, cluster.level[x], cluster.index[x]))
        return place

    def _new_place(self, x: Variable) -> Place:
        number = self.result_of.pop(x, None)
        if number is not None:
            return self._outside(RESULT, number, x.aval)
        return self.temporary(x.aval)

    def temporary(self, aval: Aval) -> Place:
        self.temporaries += 1
        return self._outside(TEMPORARY, self.temporaries - 1, aval)

    def _dense_copy(self, x: Atom) -> Place:
        if x not in self.copies:
            self.copies[x] = self.temporary(x.aval)
            self.store(x, self.copies[x])
        return self.copies[x]

    def store(self, x: Atom, place: Place) -> Cluster:
        """A cluster that writes ``x``, broadcast, to a place."""
        cluster = self._open(place.shape)
        self._prepare(x)
        cluster.stores.append(Store(x, place, FULL, cluster.full_index))
        return cluster

    def _prepare(self, x: Atom) -> None:
        """Gives a place to what a new cluster reads."""
        if x.aval.shape or type(x) is Variable:
            self.place_of(x)

    def _open(self, shape: Shape) -> Cluster:
        cluster = Cluster(len(self.steps), shape)
        self.steps.append(cluster)
        return cluster

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
                index = self._accepted_index(cluster, level, equation, shape)
                if index is not None:
                    self._join(cluster, level, index, equation)
                    return
        cluster = self._open(shape)
        self._join(cluster, FULL, cluster.full_index, equation)

    def _candidates(self, low: int) -> list[Cluster]:
        recent = self.steps[max(low, len(self.steps) - self.LOOK_BACK, 0) :]
        return [step for step in reversed(recent) if isinstance(step, Cluster)]

    def _accepted_index(
        self, cluster: Cluster, level: str, equation: Equation, shape: Shape
    ) -> Index | None:
        """The index of the equation's result in the cluster's loops; None if it cannot join."""
        if level == ROW and cluster.reduced is None:
            return None
        index = cluster.index_into(shape, level)
        if index is None:
            return None
        reads = [(x, broadcast_index(x.aval.shape, index)) for x in equation.inputs]
        return index if all(self._readable(cluster, level, x, at) for x, at in reads) else None

    def _readable(self, cluster: Cluster, level: str, x: Atom, index: Index) -> bool:
        """Whether the cluster can read ``x`` there: from memory, or as it is computed."""
        x, index = self.base(x, index)
        if type(x) is Literal or x not in self.home:
            return True
        assert type(x) is Variable
        if self.home[x] is not cluster:
            return self.home[x].number < cluster.number
        own = cluster.level.get(x)
        if own is None:  # an update that this cluster does
            return False
        if level == FULL and own == ROW and not cluster.row_loops:
            return False  # one row is everything: a second phase has nothing to gain
        return (own == ROW or level == FULL) and index == cluster.index[x]

    def _join(self, cluster: Cluster, level: str, index: Index, equation: Equation) -> None:
        phase = 0
        for x in equation.inputs:
            read, _ = self.base(x, broadcast_index(x.aval.shape, index))
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
        shape, axes = x.aval.shape, tuple(equation.params["axes"])
        for cluster in self._candidates(self.step_of(x)):
            fits = cluster.reduced is None or cluster.reduced == axes
            exact = len(cluster.shape) == len(shape) and all(map(same, cluster.shape, shape))
            if fits and exact and self._readable(cluster, FULL, x, cluster.full_index):
                break
        else:
            cluster = self._open(shape)
        cluster.reduced = axes
        read, _ = self.base(x, cluster.full_index)
        phase = self._phase_read(cluster, FULL, read)
        index = cluster.index_into(cluster.row_shape, ROW)
        assert index is not None
        self._enter(cluster, ROW, index, equation, phase)

    # Updates: a new array, part of which is written.

    def _add_concatenate(self, equation: Equation) -> None:
        (out,) = equation.results
        axis = equation.params["axis"]
        place = self._new_place(out)
        start: Any = 0
        for x in equation.inputs:
            size = x.aval.shape[axis]
            piece = place._replace(
                shape=x.aval.shape, offset=place.offset + start * place.strides[axis]
            )
            if not (type(size) is int and size == 0):
                self.store(x, piece)
            start = start + size
        self._finish_update(out, place)

    def _finish_update(self, out: Variable, place: Place) -> None:
        self.places[out] = place
        self.home[out] = self.steps[-1] if self.steps else self._open(place.shape)

    def _add_setitem(self, equation: Equation) -> None:
        x, value = equation.inputs
        (out,) = equation.results
        place = self._new_place(out)
        self.store(x, place)
        part = view_part(place, equation.params["index"])
        self.store(value, part)
        self._finish_update(out, place)

    def _add_embed(self, equation: Equation) -> None:
        (part,) = equation.inputs
        (out,) = equation.results
        place = self._new_place(out)
        self.store(Literal(out.aval.dtype.type(0)), place)
        self.store(part, view_part(place, equation.params["index"]))
        self._finish_update(out, place)

    # Everything else.

    def _add_operation(self, equation: Equation) -> None:
        if any(True for _ in regions(equation)):
            operands = [self.place_of(x, is_dense=True) for x in equation.inputs]
        else:
            operands = [
                x if type(x) is Literal and not x.aval.shape else self.place_of(x)
                for x in equation.inputs
            ]
        results = [self._new_place(v) for v in equation.results]
        step = Operation(len(self.steps), equation, operands, results)
        self.steps.append(step)
        for v, place in zip(equation.results, results, strict=True):
            self.places[v] = place
            self.home[v] = step

    def _add_result(self, number: int, x: Atom) -> None:
        place = self.places.get(x)
        if place is not None and place.buffer.kind == RESULT and place.buffer.number == number:
            return
        self.store(x, self._outside(RESULT, number, x.aval))


def view_part(place: Place, index: Sequence[Any]) -> Place:
    """The place of ``x[index]``, a basic index, for x at ``place``."""
    shape, strides, offset, axis = [], [], place.offset, 0
    for item in index:
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        dim, stride = place.shape[axis], place.strides[axis]
        if isinstance(item, slice):
            start, step, length = slice_parts(item, dim)
            offset = offset + start * stride
            shape.append(length)
            strides.append(step * stride)
        else:
            offset = offset + (item + dim if type(item) is int and item < 0 else item) * stride
        axis += 1
    return Place(
        place.buffer,
        place.dtype,
        (*shape, *place.shape[axis:]),
        (*strides, *place.strides[axis:]),
        offset,
    )


def slice_parts(item: slice, dim: Any) -> tuple[Any, Any, Any]:
    """Start, step and length of a slice of an axis of this size."""
    if type(dim) is int:
        found = range(*item.indices(dim))
        return found.start, found.step, len(found)
    if item == slice(None):
        return 0, 1, dim
    raise NotImplementedError(f"the slice {item} of an axis of symbolic size")
