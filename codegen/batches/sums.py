"""Sums over a batch, of which every piece has a part.

A value that was summed over the batch is *partial*: the values of all pieces, added, are what it
stands for. Linear operations keep that true; what would need the whole sum cannot be computed in a
piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...autodiff.program import Atom, Equation, Literal, Variable
from ..passes.atoms import acts, has_regions, uniform_element
from ..passes.loops import Loop, loop_of
from .axes import Batch

# Linear in one of their arguments, whichever it is, where nothing else depends on the piece.
_LINEAR = frozenset(
    {"negative", "convert", "reduce_sum", "reshape", "transpose", "broadcast_to", "copy", "getitem"}
)
_BILINEAR = frozenset({"multiply", "matmul"})
_SUMS = frozenset({"add", "subtract"})


class NeedsWholeSumError(Exception):
    """A piece cannot compute this."""


class PartialSums:
    """Finds the partial values among those of some equations and of their regions: `found`."""

    def __init__(self, batch: Batch, equations: Sequence[Equation]) -> None:
        self.batch = batch
        self.found: set[Atom] = set()
        self._sources: dict[Atom, Equation] = {}
        self._from_zero: set[Atom] = set()  # what is carried and was 0 before the first iteration
        self._follow(equations)

    def _follow(self, equations: Sequence[Equation]) -> None:
        for equation in equations:
            self._insist(has_regions(equation) or not acts(equation))
            self._sources.update(dict.fromkeys(equation.results, equation))
            loop = loop_of(equation)
            if loop is not None:
                self._follow_loop(loop)
            elif equation.primitive.name == "branch":
                self._follow_branch(equation)
            elif self._is_partial(equation):
                self.found.update(equation.results)

    def _is_partial(self, equation: Equation) -> bool:
        flags = [x in self.found for x in equation.inputs]
        if self.batch.is_summed_by(equation):
            self._insist(not any(flags) and _adds_exactly(equation.results[0]))
            return True
        if not any(flags):
            return False
        self._insist(not any(x in self.batch for x in (*equation.inputs, *equation.results)))
        if equation.primitive.name in _SUMS:
            rest = {x for x in equation.inputs if x not in self.found}
            self._insist(rest <= self._from_zero)
            self.found.update(rest)
        else:
            self._insist(_is_linear(equation, flags))
        return True

    def _insist(self, possible: bool) -> None:
        if not possible:
            raise NeedsWholeSumError

    def _follow_branch(self, equation: Equation) -> None:
        index, *operands = equation.inputs
        self._insist(index not in self.found)
        for body in equation.params["branches"]:
            self._hand_on(zip(operands, body.parameters, strict=True))
            self._follow(body.equations)
            self._hand_on(zip(body.results, equation.results, strict=True))
        for body in equation.params["branches"]:  # a sum in one is a sum in all
            pairs = zip(body.results, equation.results, strict=True)
            self._insist(all(v not in self.found or x in self.found for x, v in pairs))

    def _hand_on(self, pairs: Iterable[tuple[Atom, Atom]]) -> None:
        self.found.update(v for x, v in pairs if x in self.found)

    def _follow_loop(self, loop: Loop) -> None:
        self._insist(not any(x in self.found for x in (*loop.bounds, *dict(loop.tests))))
        self._hand_on((*loop.consts, *loop.xs))
        self._hand_on((c.operand, c.parameter) for c in loop.carry)
        self._from_zero.update(c.parameter for c in loop.carry if self.is_zero(c.operand))
        before = -1
        while len(self.found) > before:
            before = len(self.found)
            self._follow(loop.body)
            new = {c.parameter for c in loop.carry if c.out in self.found} - self.found
            self._insist(new <= self._from_zero)
            self.found.update(new)
        self._insist(all(c.out in self.found for c in loop.carry if c.parameter in self.found))
        self._insist(self._is_untested(loop))
        self._hand_on((c.out, c.result) for c in loop.carry)
        self._hand_on(loop.ys)
        if loop.test:
            self._follow(loop.cond)
            self._insist(not any(x in self.found or x in self.batch for x in loop.test))

    def _is_untested(self, loop: Loop) -> bool:
        """Whether the condition of a `while` reads no partial value."""
        summed = {c.tested for c in loop.carry if c.out in self.found}
        read = {x for e in loop.cond for x in e.inputs} | set(loop.test)
        return read.isdisjoint(summed)

    def is_zero(self, x: Atom) -> bool:
        """Whether all elements are known to be 0: a sum that a piece may begin with."""
        while type(x) is Variable and x in self._sources:
            equation = self._sources[x]
            if equation.primitive.name not in ("broadcast_to", "reshape", "copy"):
                return False
            x = equation.inputs[0]
        return type(x) is Literal and is_zero_literal(x)


def is_zero_literal(x: Literal) -> bool:
    if x.live:
        return False
    number = uniform_element(x) if x.aval.ndim else x.value
    return number is not None and bool(number == 0)


def _adds_exactly(x: Atom) -> bool:
    """Whether a sum of such values has their dtype, and no fewer digits than they have."""
    dtype = x.aval.dtype
    return dtype.char in "fdFD" or (dtype.kind in "iu" and dtype.itemsize == 8)


def _is_linear(equation: Equation, flags: Sequence[bool]) -> bool:
    """Whether the result is the sum of what the parts of the partial inputs give."""
    name, (out,) = equation.primitive.name, equation.results
    if not _adds_exactly(out):
        return False
    if name in _BILINEAR:
        return sum(flags) == 1
    if name == "divide":
        return list(flags) == [True, False]
    return name in _LINEAR and equation.inputs[0].aval.dtype.kind == out.aval.dtype.kind
