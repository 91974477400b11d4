"""The engine of `simplify`: one walk over a Program, with rules asked at every equation.

A rule is a function ``rule(rewriter, equation)`` that returns what stands in the place of the
equation's one result (an Atom of the same type), or None. It finds what its inputs were computed
from with `Rewriter.source`, and appends new equations with `Rewriter.bind`, which are simplified
themselves before they are appended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...autodiff.core import Aval, Params, Primitive
from ...autodiff.program import Atom, Equation, Literal, Program, Variable
from ...autodiff.rules import broadcast_to_p, convert_p, quantize_p
from .atoms import has_regions, rebuilt, same_aval, same_shape, with_inputs, with_regions

# Elementwise besides those that keep the order in memory: inputs broadcast, no other position is
# looked at.
ELEMENTWISE = frozenset({"select", "convert", "quantize", "real", "imag", "complex_sign", "ldexp"})

Rule = Callable[["Rewriter", Equation], Atom | None]
Split = Callable[["Rewriter", Equation], Sequence[Atom] | None]
Rules = Mapping[str, Sequence[Rule]]  # by the primitive's name

DEPTH = 16  # how often a rule's result is simplified again at once; the next round goes on


class Declined(Exception):
    """A rule cannot tell the type of what it would put in an equation's place: that would be a new
    question about symbolic sizes.
    """


def _aval(primitive: Primitive, inputs: Sequence[Atom], params: Params) -> Any:
    try:
        return primitive.shape(*[x.aval for x in inputs], **params)
    except (ValueError, TypeError, RuntimeError) as error:
        raise Declined from error


class Rewriter:
    """The equations that a Program has so far, and what replaces its variables.

    ``rules`` by name, then those for all ``elementwise`` primitives, then those that hold
    ``everywhere`` are asked; the first that answers wins. ``splits`` are for primitives of several
    results: they give an Atom for each. ``prepare`` is asked first, for an equation with the same
    result.
    """

    def __init__(
        self,
        rules: Rules,
        elementwise: Sequence[Rule],
        everywhere: Sequence[Rule],
        splits: Mapping[str, Split],
        prepare: Callable[[Rewriter, Equation], Equation],
    ) -> None:
        self.rules, self.elementwise, self.everywhere = rules, elementwise, everywhere
        self.splits, self.prepare = splits, prepare
        self.equations: list[Equation] = []
        self.sources: dict[Atom, Equation] = {}
        self.replaced: dict[Atom, Atom] = {}
        self.memory: dict[Any, Any] = {}  # of the rules: what they found out about literals
        self._rules_for: dict[Primitive, Sequence[Rule]] = {}
        self._depth = 0

    def run(self, program: Program) -> Program:
        """The simplified Program."""
        replaced = self.replaced
        for equation in program.equations:
            if replaced and not replaced.keys().isdisjoint(equation.inputs):
                equation = with_inputs(equation, [replaced.get(x, x) for x in equation.inputs])
            equation = self.prepare(self, equation)
            if not equation.primitive.multiple:
                found = self.simplified(equation)
                if found is not None:
                    replaced[equation.results[0]] = found
                    continue
            elif equation.primitive.name in self.splits:
                parts = self._split(equation)
                if parts is not None:
                    replaced.update(zip(equation.results, parts, strict=True))
                    continue
            if has_regions(equation):
                equation = with_regions(equation, self.of_region)
            self.append(equation)
        return rebuilt(program, self.equations, [replaced.get(x, x) for x in program.results])

    def of_region(self, region: Program) -> Program:
        inner = Rewriter(self.rules, self.elementwise, self.everywhere, self.splits, self.prepare)
        return inner.run(region)

    def simplified(self, equation: Equation) -> Atom | None:
        """What a rule puts in the place of the equation's result."""
        for rule in self.rules_for(equation.primitive):
            try:
                found = rule(self, equation)
            except Declined:
                continue
            if found is not None:
                return found
        return None

    def _split(self, equation: Equation) -> Sequence[Atom] | None:
        try:
            return self.splits[equation.primitive.name](self, equation)
        except Declined:
            return None

    def rules_for(self, primitive: Primitive) -> Sequence[Rule]:
        found = self._rules_for.get(primitive)
        if found is None:
            own = self.rules.get(primitive.name, ())
            elementwise = self.elementwise if is_elementwise(primitive) else ()
            found = self._rules_for[primitive] = (*own, *elementwise, *self.everywhere)
        return found

    def append(self, equation: Equation) -> None:
        """Adds an equation as it is."""
        self.equations.append(equation)
        for v in equation.results:
            self.sources[v] = equation

    # What rules work with

    def source(self, x: Atom, name: str | None = None) -> Equation | None:
        """The equation that computes ``x``, if it is one of the primitive called ``name``."""
        equation = self.sources.get(x)
        if equation is None or (name is not None and equation.primitive.name != name):
            return None
        return equation

    def bind(self, like: Equation, primitive: Primitive, *inputs: Atom, **params: Any) -> Atom:
        """The result of a new equation, at the user's line of the equation ``like``."""
        aval = _aval(primitive, inputs, params)
        return self._bound(like, primitive, inputs, params, aval)

    def replace(
        self, old: Equation, primitive: Primitive, *inputs: Atom, **params: Any
    ) -> Atom | None:
        """As `bind`; None, and no equation, where its type is not that of ``old``'s result."""
        aval = _aval(primitive, inputs, params)
        if not same_aval(aval, old.results[0].aval):
            return None
        return self._bound(old, primitive, inputs, params, aval)

    def _bound(
        self,
        like: Equation,
        primitive: Primitive,
        inputs: Sequence[Atom],
        params: Params,
        aval: Aval,
    ) -> Atom:
        equation = Equation(primitive, inputs, params, [Variable(aval)], like.line)
        if self._depth < DEPTH:
            self._depth += 1
            try:
                found = self.simplified(equation)
            finally:
                self._depth -= 1
            if found is not None:
                return found
        self.append(equation)
        return equation.results[0]

    def inlined(self, program: Program, inputs: Sequence[Atom]) -> list[Atom]:
        """The results of a Program's equations on these inputs."""
        env: dict[Atom, Atom] = dict(zip(program.parameters, inputs, strict=True))
        for equation in program.equations:
            results = [Variable(v.aval) for v in equation.results]
            env.update(zip(equation.results, results, strict=True))
            read = [env.get(x, x) for x in equation.inputs]
            copy = Equation(equation.primitive, read, equation.params, results, equation.line)
            copy = self.prepare(self, copy)
            found = None if copy.primitive.multiple else self.simplified(copy)
            if found is None:
                self.append(copy)
            else:
                env[equation.results[0]] = found
        return [env.get(x, x) for x in program.results]

    def fitted(self, like: Equation, x: Atom, aval: Aval | None = None) -> Atom | None:
        """``x`` with the type of the equation's result (or ``aval``), converted and broadcast; None
        where that needs more.
        """
        wanted = like.results[0].aval if aval is None else aval
        if same_aval(x.aval, wanted):
            return x
        if wanted.weak:
            return None
        if x.aval.dtype != wanted.dtype or x.aval.weak:
            x = self.bind(like, conversion(wanted.dtype), x, dtype=wanted.dtype)
        if not same_shape(x.aval.shape, wanted.shape):
            x = self.bind(like, broadcast_to_p, x, shape=wanted.shape)
        return x


def is_elementwise(primitive: Primitive) -> bool:
    """Whether a primitive computes every element of its result from one of each input."""
    return (primitive.keeps_order or primitive.name in ELEMENTWISE) and not primitive.multiple


def conversion(dtype: Any) -> Primitive:
    """The primitive that converts to a dtype."""
    return convert_p if dtype.kind in "fc" else quantize_p


def is_scalar_literal(x: Atom) -> bool:
    """Whether ``x`` is a number that is known, not an array."""
    return type(x) is Literal and not x.aval.shape and not x.live


def drop_identity(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A rule for where nothing happens to the elements: x, if the type is the same already."""
    x = equation.inputs[0]
    return x if same_aval(x.aval, equation.results[0].aval) else None
