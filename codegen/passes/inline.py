"""Calls replaced by what they call."""

from __future__ import annotations

from collections.abc import Sequence

from ...autodiff.calls import call_p
from ...autodiff.checkpoints import checkpoint_p
from ...autodiff.core import Primitive
from ...autodiff.program import Atom, Equation, Program, Variable, regions
from ...autodiff.rules import convert_p, quantize_p
from .atoms import rebuilt, same_shape, with_regions

LIMIT = 200_000  # equations: beyond it calls stay calls; calls of calls of calls grow fast


def inline_calls(program: Program) -> Program:
    """The Program with its calls, and those in its regions, replaced by their equations."""
    return _inlined(program, call_p)


def inline_checkpoints(program: Program) -> Program:
    """The Program with its checkpoints replaced by their equations. What a backward pass computes
    again is then a common subexpression, and must not be merged any more: that would keep in
    memory what a checkpoint is there not to keep.
    """
    return _inlined(program, checkpoint_p)


def _inlined(program: Program, called: Primitive) -> Program:
    if not _has_calls(program, called):
        return program
    inliner = _Inliner(called)
    env: dict[Atom, Atom] = {}
    inliner.walk(program.equations, env, fresh=False)
    results = [env.get(x, x) for x in program.results]
    return rebuilt(program, inliner.equations, results)


def _has_calls(program: Program, called: Primitive) -> bool:
    return any(
        e.primitive is called or any(_has_calls(region, called) for region in regions(e))
        for e in program.equations
    )


class _Inliner:
    def __init__(self, called: Primitive) -> None:
        self.called = called
        self.equations: list[Equation] = []

    def walk(self, equations: Sequence[Equation], env: dict[Atom, Atom], fresh: bool) -> None:
        """Appends the equations with their variables replaced by ``env``; what a callee defines
        gets a ``fresh`` variable, for it may be called twice.
        """
        for equation in equations:
            inputs = [env.get(x, x) for x in equation.inputs]
            if equation.primitive is self.called and len(self.equations) < LIMIT:
                callee: Program = equation.params["program"]
                inner = self._arguments(callee, inputs, equation)
                if inner is not None:
                    self.walk(callee.equations, inner, fresh=True)
                    found = [inner.get(x, x) for x in callee.results]
                    env.update(zip(equation.results, found, strict=True))
                    continue
            self._append(equation, inputs, env, fresh)

    def _append(
        self, equation: Equation, inputs: Sequence[Atom], env: dict[Atom, Atom], fresh: bool
    ) -> None:
        results = equation.results
        if fresh:
            results = tuple([Variable(v.aval) for v in results])
            env.update(zip(equation.results, results, strict=True))
        made = Equation(equation.primitive, inputs, equation.params, results, equation.line)
        self.equations.append(with_regions(made, lambda region: _inlined(region, self.called)))

    def _arguments(
        self, callee: Program, inputs: Sequence[Atom], equation: Equation
    ) -> dict[Atom, Atom] | None:
        """What the callee's parameters are; None if they have other types than it was made for."""
        env: dict[Atom, Atom] = {}
        for parameter, x in zip(callee.parameters, inputs, strict=True):
            wanted, given = parameter.aval, x.aval
            if wanted.dtype != given.dtype or not same_shape(wanted.shape, given.shape):
                return None
            if wanted.weak and not given.weak:
                return None
            if given.weak and not wanted.weak:  # a Python number, passed as an array's element
                strong = Variable(wanted)
                primitive = convert_p if wanted.dtype.kind in "fc" else quantize_p
                params = {"dtype": wanted.dtype}
                self.equations.append(Equation(primitive, [x], params, [strong], equation.line))
                x = strong
            env[parameter] = x
        return env
