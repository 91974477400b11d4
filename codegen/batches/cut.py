"""The equations that compute a piece of a batch: the same ones, for fewer examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autodiff.core import Aval
from ...autodiff.program import Atom, Equation, Literal, Program, Variable
from ...autodiff.rules import broadcast_to_p
from ..passes.atoms import uniform_element, with_regions
from .axes import Batch, resized
from .joining import is_whole

# Whose parameters give the shape of the result, and a basic index.
_WITH_SHAPE = frozenset({"broadcast_to", "reshape", "embed", "accumulate"})
_WITH_INDEX = frozenset({"getitem", "setitem", "embed"})


class Cut:
    """Makes equations for ``size`` examples of those for the whole batch."""

    def __init__(self, batch: Batch, size: Any) -> None:
        self.batch, self.size = batch, size
        self.made: dict[Atom, Atom] = {}
        self.equations: list[Equation] = []

    def aval(self, x: Atom) -> Aval:
        return resized(x.aval, self.batch.axes.get(x), self.size)

    def parameter(self, x: Atom) -> Variable:
        """A new variable that stands for ``x``."""
        v = self.made[x] = Variable(self.aval(x))
        return v

    def atom(self, x: Atom) -> Atom:
        """What stands for ``x``, which is defined already."""
        if x in self.made:
            return self.made[x]
        if type(x) is Variable or x not in self.batch:
            return x
        assert isinstance(x, Literal)
        number = Literal(uniform_element(x))
        v = Variable(self.aval(x))
        self.equations.append(Equation(broadcast_to_p, [number], {"shape": v.aval.shape}, [v]))
        return v

    def add(self, equations: Sequence[Equation]) -> None:
        for equation in equations:
            inputs = [self.atom(x) for x in equation.inputs]
            equation = with_regions(equation, self.region)
            params = self._params(equation)
            results = [self.parameter(v) for v in equation.results]
            self.equations.append(
                Equation(equation.primitive, inputs, params, results, equation.line)
            )

    def region(self, program: Program) -> Program:
        inner = Cut(self.batch, self.size)
        parameters = [inner.parameter(v) for v in program.parameters]
        inner.add(program.equations)
        results = [inner.atom(x) for x in program.results]
        return Program(parameters, inner.equations, results, program.name)

    def _params(self, equation: Equation) -> Any:
        """The parameters, which may speak of the size of the batch."""
        params, name = equation.params, equation.primitive.name
        changed = {}
        if name in _WITH_SHAPE:
            changed["shape"] = self.aval(equation.results[0]).shape
        if name in _WITH_INDEX:
            whole = equation.results[0] if name == "embed" else equation.inputs[0]
            changed["index"] = self._index(whole, params["index"])
        return {**params, **changed}

    def _index(self, x: Atom, index: Sequence[Any]) -> tuple[Any, ...]:
        """A basic index of ``x`` that takes its axis of the batch whole, whatever its size."""
        axis, found = 0, []
        for item in index:
            if item is None:
                found.append(item)
                continue
            mine = x in self.batch and self.batch.axes[x] == axis
            assert not mine or is_whole(item, x.aval.shape[axis])
            found.append(slice(None) if mine else item)
            axis += 1
        return tuple(found)
