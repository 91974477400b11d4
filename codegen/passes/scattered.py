"""Gradients of elements that are read are added up in place.

Where ``x[i]`` was read the gradient of x grows by an array of zeros but for a few: `accumulate`. In
a loop over i all those zeros would be made and added in every iteration. Instead the few are added
to the sum itself: ``x + accumulate(v, i)`` becomes ``scatter_add(x, v, i)``, done in place; and

* in loops so does what was read at a known place, `embed` (`accumulation` does it elsewhere);
* a loop inside that adds up from zeros begins with the sum so far;
* a branch that gives zeros, or a few others among them, takes the sum and adds them to it.

What only zeros would have been added to stays as it is: -0.0 does not become 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...autodiff.counted import Counted
from ...autodiff.dims import Dim
from ...autodiff.primitives.elementwise import add_p
from ...autodiff.primitives.indexing import (
    accumulate_p,
    embed_p,
    getitem_p,
    scatter_add_p,
    setitem_p,
)
from ...autodiff.program import Atom, Equation, Literal, Program, Variable
from .atoms import (
    has_regions,
    readers_of,
    rebuilt,
    same_aval,
    substituted,
    uniform_element,
    with_regions,
)


class Part(NamedTuple):
    """What adds to a sum: an equation, and which of its results is the sum after it."""

    equation: Equation
    total: Variable

    @property
    def number(self) -> int:
        return self.equation.results.index(self.total)


def scatter_sums(program: Program) -> Program:
    """The Program whose sums, those in its regions too, of mostly zeros are additions of parts."""
    return _Scatterer(program, inside=False).run()


def _in_region(program: Program) -> Program:
    return _Scatterer(program, inside=True).run()


class _Scatterer:
    """One Program, ``inside`` another's loop or branch."""

    def __init__(self, program: Program, inside: bool) -> None:
        self.program, self.inside = program, inside
        self.readers = readers_of(program.equations, program.results)
        self.equations: list[Equation] = []
        self.place: dict[Atom, int] = {}  # the number of the equation that makes a value
        self.renamed: dict[Atom, Atom] = {}

    def run(self) -> Program:
        for equation in self.program.equations:
            equation = with_regions(equation, _in_region)
            (equation,) = substituted([equation], self.renamed)
            found = self._in_place(equation) if equation.primitive is add_p else None
            self._append([equation] if found is None else found)
        results = [self.renamed.get(x, x) for x in self.program.results]
        return rebuilt(self.program, self.equations, results)

    def seen(self) -> _Scatterer:
        """Itself, knowing the Program as it is: that of a region has been done already."""
        self._append(self.program.equations)
        return self

    def _append(self, equations: Sequence[Equation]) -> None:
        for equation in equations:
            self.place.update((v, len(self.equations)) for v in equation.results)
            self.equations.append(equation)

    def _in_place(self, equation: Equation) -> list[Equation] | None:
        """``x + y`` as additions to x of the parts that y is made of, if it is."""
        (result,) = equation.results
        for x, y in (equation.inputs[::-1], equation.inputs):
            if not same_aval(x.aval, result.aval) or not same_aval(y.aval, result.aval):
                continue
            parts = self.parts(y)
            if not parts:
                continue
            if not has_regions(parts[0].equation):
                return _added_in_turn(x, parts, result)
            if self._begins_with(x, parts[0]):
                self.renamed[result] = y
                self.readers[y] = self.readers[result]
                return []
        return None

    def parts(self, y: Atom) -> list[Part]:
        """What was added to zeros to make ``y``, the first addition first, if nothing else reads
        any of those sums; none if it was not made so.
        """
        parts: list[Part] = []
        while type(y) is Variable and y in self.place and len(self.readers.get(y, ())) <= 1:
            parts.append(Part(self.equations[self.place[y]], y))
            if self._is_root(parts[-1]):
                return parts[::-1]
            if parts[-1].equation.primitive is not scatter_add_p:
                break
            y = parts[-1].equation.inputs[0]
        return []

    def _is_root(self, part: Part) -> bool:
        equation = part.equation
        if equation.primitive is embed_p:  # np.pad makes others, with slices only
            reads = any(isinstance(item, (int, Dim)) for item in equation.params["index"])
            return self.inside and reads
        if equation.primitive.name == "branch":
            return any(_gives_zeros(b, part.number) for b in equation.params["branches"])
        operand = _first_of_sum(equation, part.number)
        if operand is not None:
            return self.is_zero(equation.inputs[operand])
        return equation.primitive is accumulate_p

    def is_zero(self, x: Atom) -> bool:
        if type(x) is Literal:
            element = x.value if not x.aval.shape else uniform_element(x)
            return element is not None and not x.live and element == 0 and not np.signbit(element)
        if x not in self.place:
            return False
        equation = self.equations[self.place[x]]
        return equation.primitive.name == "broadcast_to" and self.is_zero(equation.inputs[0])

    def _begins_with(self, x: Atom, root: Part) -> bool:
        """Makes a loop or branch begin with ``x``, where that is there by then and nothing else
        reads it.
        """
        equation, place = root.equation, self.place[root.total]
        if self.place.get(x, -1) >= place or len(self.readers.get(x, ())) > 1:
            return False
        operand = _first_of_sum(equation, root.number)
        inputs, params = [*equation.inputs], equation.params
        if operand is None:
            branches = [_plus(branch, root.number, x) for branch in params["branches"]]
            inputs, params = [*inputs, x], {**params, "branches": tuple(branches)}
        else:
            inputs[operand] = x
        made = Equation(equation.primitive, inputs, params, equation.results, equation.line)
        self.equations[place] = made
        return True


def _first_of_sum(equation: Equation, number: int) -> int | None:
    """Of a loop's result that is a sum: the operand that it begins with."""
    if not isinstance(equation.primitive, Counted) or number >= equation.params["carry_count"]:
        return None
    first = equation.params["const_count"] + number
    if not _is_sum_from(equation.params["body"], 1 + first, number):
        return None
    return equation.primitive.bound_count + first


def _is_sum_from(program: Program, parameter: int, number: int) -> bool:
    """Whether a result is a parameter and what is added to it, which does not depend on it."""
    readers = readers_of(program.equations, program.results)
    makers: dict[Atom, Equation] = {v: e for e in program.equations for v in e.results}
    first, stack = program.parameters[parameter], [program.results[number]]
    while stack:
        x = stack.pop()
        if len(readers[x]) != 1:
            continue
        if x is first:
            return True
        equation = makers.get(x)
        if equation is None:
            continue
        if equation.primitive is add_p:
            stack += [y for y in equation.inputs if same_aval(y.aval, x.aval)]
        elif equation.primitive is scatter_add_p:
            stack.append(equation.inputs[0])
        else:
            operand = _first_of_sum(equation, equation.results.index(x))
            stack += [] if operand is None else [equation.inputs[operand]]
    return False


def _gives_zeros(branch: Program, number: int) -> bool:
    """Whether a branch's result is zeros, but for a few elements."""
    inner, result = _Scatterer(branch, inside=True).seen(), branch.results[number]
    return inner.is_zero(result) or bool(inner.parts(result))


def _plus(branch: Program, number: int, x: Atom) -> Program:
    """The branch with a new last parameter, which is added to a result."""
    before, results = Variable(x.aval), list(branch.results)
    equations = list(branch.equations)
    if _Scatterer(branch, inside=True).seen().is_zero(results[number]):
        results[number] = before
    else:
        total = Variable(x.aval)
        equations.append(Equation(add_p, [before, results[number]], {}, [total], ""))
        results[number] = total
    return _in_region(Program([*branch.parameters, before], equations, results, branch.name))


def _added_in_turn(x: Atom, parts: Sequence[Part], result: Variable) -> list[Equation]:
    """The parts added to ``x``: equations, of which the last one makes ``result``."""
    found: list[Equation] = []
    for part in parts[:-1]:
        found += _added(x, part.equation, Variable(result.aval))
        x = found[-1].results[0]
    return found + _added(x, parts[-1].equation, result)


def _added(x: Atom, part: Equation, total: Variable) -> list[Equation]:
    if part.primitive is not embed_p:
        skipped = 1 if part.primitive is scatter_add_p else 0
        axes = {"axes": part.params["axes"]} if "axes" in part.params else {}
        inputs = [x, *part.inputs[skipped:]]
        return [Equation(scatter_add_p, inputs, axes, [total], part.line)]
    (value,), index = part.inputs, part.params["index"]
    places = [item for item in index if type(item) is int]
    if [*places, *(slice(None),) * (len(index) - len(places))] == list(index):
        inputs = [x, value, *(Literal(np.intp(place)) for place in places)]
        return [Equation(scatter_add_p, inputs, {}, [total], part.line)]
    old, new = Variable(value.aval), Variable(value.aval)
    return [
        Equation(getitem_p, [x], {"index": index}, [old], part.line),
        Equation(add_p, [old, value], {}, [new], part.line),
        Equation(setitem_p, [x, new], {"index": index}, [total], part.line),
    ]
