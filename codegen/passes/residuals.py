"""What a loop computes of stacks alone, the loop that wrote them computes and stacks instead.

The backward loop of a gradient reads what the forward one stacked; often only to take a slope of
it: of the x that tanh(x) was computed from. Where the forward loop has x at hand, tanh and its
slope are computed side by side, which costs little more than one of them, and the slope is stacked
in the place of x. An equation moves only where the stacks take no more memory after it, and only if
it is long to compute or makes them fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ...autodiff.calls import needed
from ...autodiff.core import Aval
from ...autodiff.program import Atom, Equation, Program, Variable
from ..affine import product
from ..costs import HEAVY, weight
from .atoms import (
    acts,
    is_known,
    rebuilt,
    same_aval,
    same_shape,
    substituted,
    with_inputs,
    with_regions,
)
from .common import key_of
from .loops import Loop, Passed, loop_of
from .rewriting import is_elementwise, is_scalar_literal


def move_residuals(program: Program) -> Program:
    """The Program whose scans, those in its regions too, stack nothing twice, and read no stack
    for what its writer can compute as well.
    """
    equations = [with_regions(e, move_residuals) if e.params else e for e in program.equations]
    if sum(e.primitive.name == "scan" for e in equations) > 1:
        equations, results = _stacked_once(equations, program.results)
        return rebuilt(program, _Stacks(equations, results).moved(), results)
    return rebuilt(program, equations, program.results)


# -- what is stacked twice --


def _stacked_once(
    equations: Sequence[Equation], results: Sequence[Atom]
) -> tuple[list[Equation], list[Atom]]:
    """The same with each value stacked once, and each stack read once by a scan."""
    env: dict[Atom, Atom] = {}
    kept = []
    for equation in equations:
        if env and not env.keys().isdisjoint(equation.inputs):
            equation = with_inputs(equation, [env.get(x, x) for x in equation.inputs])
        loop = _scan_of(equation)
        if loop is not None:
            stacks, slices = _twice(loop.ys), _twice(loop.xs)
            env.update(stacks)
            loop.ys = [(y, stack) for y, stack in loop.ys if stack not in stacks]
            if slices:
                _substitute(loop, slices)
            if stacks or slices:
                equation = loop.rebuilt()
        kept.append(equation)
    return kept, [env.get(x, x) for x in results]


def _twice(pairs: Sequence[tuple[Atom, Variable]]) -> dict[Atom, Atom]:
    """For the second of each pair whose first was there before: the second of that."""
    seen: dict[Atom, Variable] = {}
    return {v: seen[x] for x, v in pairs if seen.setdefault(x, v) is not v}


def _substitute(loop: Loop, env: dict[Atom, Atom]) -> None:
    """Other slices in the place of those in ``env``."""
    loop.xs = [(operand, v) for operand, v in loop.xs if v not in env]
    loop.body = substituted(loop.body, env)
    loop.carry = [c._replace(out=env.get(c.out, c.out)) for c in loop.carry]
    loop.ys = [(env.get(y, y), stack) for y, stack in loop.ys]


def _scan_of(equation: Equation) -> Loop | None:
    return loop_of(equation) if equation.primitive.name == "scan" else None


# -- what moves --


class _Copy(NamedTuple):
    """What computes a value in the loop that wrote the stacks: new equations, and its name."""

    equations: list[Equation]
    value: Atom


class _Stacks:
    """The stacks that scans write and read, in one list of equations."""

    def __init__(self, equations: Sequence[Equation], results: Sequence[Atom]) -> None:
        self.equations = equations
        self.loops = [_scan_of(e) for e in equations]
        self.readers = Counter([x for e in equations for x in set(e.inputs)])
        self.readers.update(results)
        self.writers: dict[Atom, tuple[Loop, Atom]] = {}
        self.changed: set[Loop] = set()

    def moved(self) -> list[Equation]:
        for loop in self.loops:
            if loop is not None:
                self._move_from(loop)
                self.writers.update((stack, (loop, y)) for y, stack in loop.ys)
        return [
            loop.rebuilt() if loop is not None and loop in self.changed else e
            for e, loop in zip(self.equations, self.loops, strict=True)
        ]

    def _move_from(self, loop: Loop) -> None:
        """Moves what pays. ``known``: what can be computed elsewhere, and by which loop; ``env``:
        the names of slices there.
        """
        known: dict[Atom, Loop] = {}
        env: dict[Atom, Atom] = {}
        for operand, v in loop.xs:
            writer, y = self.writers.get(operand, (None, operand))
            if writer is not None and same_aval(y.aval, v.aval):
                known[v], env[v] = writer, y
        for e in loop.body if known else ():
            writer = _writer_of(e, known)
            if writer is not None:
                known[e.results[0]] = writer
                self._try(loop, writer, e, env)

    def _try(self, loop: Loop, writer: Loop, e: Equation, env: dict[Atom, Atom]) -> None:
        v, slices = e.results[0], {v for _, v in loop.xs}
        copy = _copied(needed(loop.body, [v], slices), v, writer, env)
        outs = [*(c.out for c in loop.carry), *(y for y, _ in loop.ys)]
        body = needed([q for q in loop.body if q is not e], outs)
        read = {x for q in body for x in q.inputs}.union(outs)
        unread = [pair for pair in loop.xs if pair[1] not in read]
        stack = next((s for y, s in writer.ys if y is copy.value), None)
        if not self._pays(e, unread, stack):
            return
        if stack is None:
            stack = Variable(Aval((loop.equation.params["length"], *v.aval.shape), v.aval.dtype))
            writer.ys.append((copy.value, stack))
            self.writers[stack] = writer, copy.value
        writer.body = [*writer.body, *copy.equations]
        loop.body, loop.xs = body, [*(pair for pair in loop.xs if pair[1] in read), (stack, v)]
        self.readers.subtract(operand for operand, _ in unread)
        self.readers[stack] += 1
        env[v] = copy.value
        self.changed |= {loop, writer}

    def _pays(self, e: Equation, unread: Sequence[Passed], stack: Variable | None) -> bool:
        """Whether ``e`` should move, when a loop no longer reads some of its stacks, and reads the
        results from one that there is, or from a new one.
        """
        freed = [v.aval for operand, v in unread if self.readers[operand] == 1]
        if stack is None and not _fits(e.results[0].aval, freed):
            return False
        return weight(e) >= HEAVY or len(freed) > (stack is None)


def _writer_of(e: Equation, known: dict[Atom, Loop]) -> Loop | None:
    """The loop that has all that an elementwise equation reads."""
    if not is_elementwise(e.primitive) or acts(e) or e.results[0].aval.weak:
        return None
    writers = {known.get(x) for x in e.inputs if not is_scalar_literal(x)}
    return writers.pop() if len(writers) == 1 else None


def _copied(
    equations: Sequence[Equation], v: Variable, writer: Loop, env: dict[Atom, Atom]
) -> _Copy:
    """What computes ``v`` in ``writer``, where some of the equations may be already."""
    there = {key: e for e in writer.body if (key := key_of(e)) is not None}
    names, new = dict(env), []
    for e in equations:
        results = [Variable(v.aval) for v in e.results]
        inputs = [names.get(x, x) for x in e.inputs]
        copy = Equation(e.primitive, inputs, e.params, results, e.line)
        key = key_of(copy)
        found = copy if key is None else there.setdefault(key, copy)
        if found is copy:
            new.append(copy)
        names.update(zip(e.results, found.results, strict=True))
    return _Copy(new, names[v])


def _fits(aval: Aval, freed: Sequence[Aval]) -> bool:
    """Whether values of one type take no more memory than those of some others."""
    size = aval.dtype.itemsize
    if any(same_shape(a.shape, aval.shape) and size <= a.dtype.itemsize for a in freed):
        return True
    if not all(is_known(a.shape) for a in (aval, *freed)):
        return False
    return product(aval.shape) * size <= sum(product(a.shape) * a.dtype.itemsize for a in freed)
