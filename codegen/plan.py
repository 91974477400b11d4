"""The steps of a Program: clusters of equations that one loop nest computes, and operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..autodiff.counted import Counted
from ..autodiff.program import Atom, Equation, Literal, Program, Variable
from .affine import (
    ZERO,
    Affine,
    Index,
    Shape,
    is_one,
    lower_bound,
    same,
)
from .places import Buffer, Place

FULL, ROW = "full", "row"

_EXTREMES = ("reduce_max", "reduce_min", "argmax", "argmin")
REDUCTIONS = ("reduce_sum", "reduce_prod", *_EXTREMES, "reduce_any", "reduce_all")
RUNNING = ("cumsum", "cumprod")  # reductions that give every partial result


def is_reduction(equation: Equation) -> bool:
    """Whether loops accumulate the result; the order of complex numbers is left to NumPy."""
    name = equation.primitive.name
    if name not in REDUCTIONS and name not in RUNNING:
        return False
    is_complex = equation.inputs[0].aval.dtype.kind == "c"
    # The extreme of nothing is an error.
    some = all(lower_bound(equation.inputs[0].aval.shape[k]) for k in reduced_axes(equation))
    return name not in _EXTREMES or (some and not is_complex)


def reduced_axes(equation: Equation) -> tuple[int, ...]:
    params = equation.params
    return (params["axis"],) if "axis" in params else tuple(params["axes"])


Reads = list[tuple[Atom, Index | None]]


def reads_of(equation: Equation, index: Index, full: Index) -> Reads:
    """Where an equation of a cluster reads its arguments when its result is computed at ``index``
    and the loops are at ``full``; None: anywhere, in memory.
    """
    name = equation.primitive.name
    if is_reduction(equation):
        return [(equation.inputs[0], full)]
    if name == "gather":
        x, *indices = equation.inputs
        lead = index[: len(index) - (len(x.aval.shape) - len(indices))]
        return [(x, None), *((i, broadcast_index(i.aval.shape, lead)) for i in indices)]
    if name == "searchsorted":
        table, key = equation.inputs
        return [(table, None), (key, broadcast_index(key.aval.shape, index))]
    return [(x, broadcast_index(x.aval.shape, index)) for x in equation.inputs]


def can_gather(equation: Equation) -> bool:
    """Whether loops can hold a gather: its indices are integers, and address something."""
    x, *indices = equation.inputs
    return all(i.aval.dtype.kind in "iu" for i in indices) and all(
        lower_bound(dim) for dim in x.aval.shape[: len(indices)]
    )


def can_search(equation: Equation) -> bool:
    """Whether loops can hold a search: of real numbers, in one array that is not empty."""
    table, key = equation.inputs
    if type(key) is Literal and type(key.value) is int and not -(2**63) <= key.value < 2**63:
        return False
    real = all(x.aval.dtype.kind in "iu" or x.aval.dtype.char in "fd" for x in (table, key))
    return real and not equation.params["lead"] and bool(lower_bound(table.aval.shape[0]))


class Store(NamedTuple):
    """Writes a value of the cluster's space (or its rows) to a place."""

    atom: Atom
    place: Place
    level: str
    index: Index  # into the place
    addressed: tuple[tuple[Atom, Index], ...] = ()  # indices of its leading axes, and where to read
    adds: bool = False  # to what is there
    axes: tuple[int, ...] | None = None  # what errors call the addressed axes


class Cluster:
    """One loop nest over ``shape``. Reductions run over the axes ``reduced``; a value without them
    is of level ROW. A row is done in phases: what reads a reduction's result comes a phase later.
    """

    def __init__(self, number: int, shape: Shape) -> None:
        self.number = number
        self.shape = shape
        self.reduced: tuple[int, ...] | None = None
        self.equations: list[Equation] = []
        self.running: list[Variable] = []  # the results of those that give every partial result
        self.level: dict[Variable, str] = {}
        self.index: dict[Variable, Index] = {}  # of the element that the loops are at
        self.phase: dict[Variable, int] = {}
        self.stores: list[Store] = []
        self._indices: dict[Any, Index | None] = {}
        self.serial = False  # the order of its writes matters
        self.overwrites = False  # what it reads: nothing may be done twice

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
        key = shape, level, self.reduced
        if key not in self._indices:
            self._indices[key] = self._index_into(shape, level)
        return self._indices[key]

    def _index_into(self, shape: Shape, level: str) -> Index | None:
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
    in_place: set[int]  # results that lie where the parameters did that they come after


def first_stack(equation: Equation) -> tuple[int, int]:
    """From which operand on, and from which result on, those of a loop are stacks of rows."""
    if not isinstance(equation.primitive, Counted):
        return len(equation.inputs), len(equation.results)
    carried = equation.params["carry_count"]
    consts = equation.primitive.bound_count + equation.params["const_count"]
    return consts + carried, carried


def broadcast_index(shape: Shape, index: Index) -> Index:
    """The index into an argument of an elementwise operation whose result is read at ``index``."""
    inner = index[len(index) - len(shape) :]
    if not any(map(is_one, shape)):
        return inner
    return tuple(ZERO if is_one(d) else f for d, f in zip(shape, inner, strict=True))
