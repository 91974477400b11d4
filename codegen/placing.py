"""Where the values of a Program lie while it is planned, and what is read where one is read.

A value that loops compute has no place before something asks for one: then it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..autodiff.core import Aval
from ..autodiff.program import Atom, Equation, Literal, Variable
from .affine import INDEX_OPERATIONS, Index, Shape, through
from .places import (
    CONSTANT,
    PARAMETER,
    RESULT,
    TEMPORARY,
    Buffer,
    Place,
    dense,
    nbytes,
    view,
)
from .plan import FULL, Cluster, Step, Store


class Placing:
    """The steps so far, and the places of values. ``constants``: those of the whole module, to
    which others are added; ``strides`` of parameters and ``out_strides`` of results: see `Planner`.
    """

    def __init__(
        self,
        constants: list[Literal],
        strides: Sequence[tuple[int, ...] | None],
        out_strides: Sequence[tuple[int, ...] | None],
    ) -> None:
        self.constants = constants
        self.strides = {PARAMETER: strides, RESULT: out_strides}
        self.steps: list[Step] = []
        self.places: dict[Atom, Place] = {}
        self.copies: dict[Atom, Place] = {}  # dense ones of what has another place
        self.home: dict[Variable, Step] = {}
        self.producers: dict[Variable, Equation] = {}
        self.result_of: dict[Variable, int] = {}
        self.reshaped: dict[Variable, Variable] = {}  # what a result is a reshape of, to that
        self.temporaries = 0
        self.outside: list[Buffer] = []

    def _outside(self, kind: str, number: int, aval: Aval) -> Place:
        buffer = Buffer(kind, number, nbytes(aval.shape, aval.dtype))
        if kind in (PARAMETER, RESULT):
            self.outside.append(buffer)
        place = dense(buffer, aval.dtype, aval.shape)
        given = self.strides.get(kind, ())
        strides = given[number] if number < len(given) else None
        return place if strides is None else place._replace(strides=strides)

    def base(self, x: Atom, index: Index, cluster: Cluster | None = None) -> tuple[Atom, Index]:
        """What is read where ``x`` is read at ``index``: through index operations that have no
        place of their own, to a value that has one or that a cluster computes. A place that
        ``cluster`` itself fills is nothing it can read: there it goes on to what is computed.
        """
        while type(x) is Variable and x not in self.home:
            equation = self.producers.get(x)
            if equation is None or equation.primitive.name not in INDEX_OPERATIONS:
                break
            if x in self.places and (cluster is None or self.step_of(x) < cluster.number):
                break
            inner = through(equation, index)
            if inner is None:
                break
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
                found = self._reshaped(x, equation.inputs[0])
                self.home[x] = self.steps[-1]
            return found
        cluster = self.home[x]
        assert isinstance(cluster, Cluster), f"{equation} has no place"
        place = self._new_place(x)
        cluster.stores.append(Store(x, place, cluster.level[x], cluster.index[x]))
        return place

    def _reshaped(self, x: Variable, source: Atom) -> Place:
        """The place of a reshape of ``source`` that is no view: where it belongs, if it is dense
        there, else a view of a dense copy.
        """
        if x in self.result_of and source not in self.copies:
            place = self._new_place(x)
            if place.is_dense:
                self.store(source, dense(place.buffer, x.aval.dtype, source.aval.shape))
                return place
            self.result_of[x] = self.outside.pop().number
        found = view(self.producers[x], self._dense_copy(source))
        assert found is not None
        return found

    def _new_place(self, x: Variable) -> Place:
        number = self.result_of.pop(x, None)
        if number is None and x in self.reshaped:
            number = self.result_of.pop(self.reshaped[x], None)
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
        self._prepare(x)
        cluster = self._open(place.shape)
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
