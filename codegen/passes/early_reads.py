"""What a loop reads of an array before it overwrites it there is read at once.

A part of an array at a known place is a view: ``t = u[0]; u[0] = u[i]; u[i] = t`` would look into u
for t when u[0] is another already, so u would have to be copied in every iteration. Index arrays
make no views; small parts are read by those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from ...autodiff.primitives.indexing import gather_p
from ...autodiff.program import Atom, Equation, Literal, Program
from ..reuse import Roots, updated_operands
from .atoms import rebuilt, with_regions

MOST = 64  # places along an axis


def read_early(program: Program) -> Program:
    """The Program whose loops and branches copy no array because they still read parts of it."""
    equations = [with_regions(e, _in_region) for e in program.equations]
    return rebuilt(program, equations, program.results)


def _in_region(program: Program) -> Program:
    equations = [with_regions(e, _in_region) for e in program.equations]
    if any(e.primitive.name == "getitem" for e in equations):
        equations = _Reads(program, equations).early()
    return rebuilt(program, equations, program.results)


class _Reads:
    """A region whose equations may read an array after another one has overwritten it."""

    def __init__(self, program: Program, equations: Sequence[Equation]) -> None:
        self.equations, self.roots = equations, Roots(program)
        self.made: dict[Atom, int] = {
            v: number for number, e in enumerate(equations) for v in e.results
        }
        self.updated: dict[Atom, list[int]] = defaultdict(list)  # by which equations
        self.last: dict[Atom, int] = {x: len(equations) for x in program.results}
        for number, equation in reversed(list(enumerate(equations))):
            for operand in updated_operands(equation).values():
                self.updated[self.roots[equation.inputs[operand]]].append(number)
            read = number
            if Roots.is_view(equation):  # its readers read what it is a view of
                read = max(read, self.last.get(equation.results[0], 0))
            for x in equation.inputs:
                self.last[x] = max(read, self.last.get(x, 0))

    def early(self) -> list[Equation]:
        """The equations, those that read small parts before those that overwrite them."""
        before: dict[int, list[Equation]] = defaultdict(list)
        kept: list[Equation | None] = list(self.equations)
        for number, equation in enumerate(self.equations):
            if equation.primitive.name != "getitem":
                continue
            (x,) = equation.inputs
            first = min(self.updated.get(self.roots[x], ()), default=len(kept))
            if first > self.last.get(equation.results[0], 0) or self.made.get(x, -1) >= first:
                continue
            found = _gathered(equation)
            if found is not None and number < first:
                kept[number] = found
            elif found is not None:
                kept[number] = None
                before[first].append(found)
        return [e for i, old in enumerate(kept) for e in (*before[i], old) if e is not None]


def _gathered(equation: Equation) -> Equation | None:
    """The same elements by index arrays, of numbers for the first axes and perhaps a slice of the
    next one; None where the index has another form.
    """
    (x,), index = equation.inputs, equation.params["index"]
    places: list[Any] = [np.intp(n) for n in takewhile(lambda item: type(item) is int, index)]
    rest = list(index[len(places) :])
    if rest and _is_known_slice(rest[0]) and type(x.aval.shape[len(places)]) is int:
        places.append(np.arange(*rest.pop(0).indices(x.aval.shape[len(places)])))
        if len(places[-1]) > MOST:
            return None
    if not places or any(item != slice(None) for item in rest):
        return None
    return Equation(gather_p, [x, *map(Literal, places)], {}, equation.results, equation.line)


def _is_known_slice(item: Any) -> bool:
    """Whether it is a slice, with numbers, that takes not all."""
    if not isinstance(item, slice) or item == slice(None):
        return False
    return all(end is None or type(end) is int for end in (item.start, item.stop, item.step))
