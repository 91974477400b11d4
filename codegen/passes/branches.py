"""Branches and checkpoints: unread results and operands dropped, known choices made."""

from __future__ import annotations

from collections.abc import Sequence

from ...autodiff.calls import needed
from ...autodiff.program import Atom, Equation, Literal, Program, Variable, regions
from .atoms import substituted
from .rewriting import Rewriter, is_scalar_literal


def branches_without_dead(equation: Equation, live: set[Variable]) -> Equation:
    """A branch or checkpoint without results that are not in ``live``, and without operands that no
    branch reads.
    """
    lead = _operands_before(equation)
    if lead is None:
        return equation
    # numbers that are known go into the bodies
    known = [x if is_scalar_literal(x) else None for x in equation.inputs[lead:]]
    wanted = [i for i, v in enumerate(equation.results) if v in live]
    bodies = [_reduced(body, wanted, known) for body in regions(equation)]
    read = {
        i
        for body in bodies
        for xs in [{x for e in body.equations for x in e.inputs} | set(body.results)]
        for i, v in enumerate(body.parameters)
        if v in xs
    }
    operands = equation.inputs[lead:]
    if len(wanted) == len(equation.results) and len(read) == len(operands):
        return equation
    kept = sorted(read)
    bodies = [
        Program([body.parameters[i] for i in kept], body.equations, body.results, body.name)
        for body in bodies
    ]
    params = dict(equation.params)
    if "branches" in params:
        params["branches"] = tuple(bodies)
    else:
        (params["program"],) = bodies
    inputs = [*equation.inputs[:lead], *(operands[i] for i in kept)]
    results = [equation.results[i] for i in wanted]
    return Equation(equation.primitive, inputs, params, results, equation.line)


def _operands_before(equation: Equation) -> int | None:
    """How many operands come before those of the regions; None if it is of another form."""
    return {"branch": 1, "checkpoint": 0}.get(equation.primitive.name)


def _reduced(body: Program, wanted: Sequence[int], known: Sequence[Atom | None]) -> Program:
    """The body with fewer results, and with numbers in the place of parameters that are known."""
    pairs = zip(body.parameters, known, strict=True)
    env: dict[Atom, Atom] = {v: x for v, x in pairs if x is not None}
    results = [env.get(body.results[i], body.results[i]) for i in wanted]
    equations = substituted(needed(body.equations, results), env)
    return Program(body.parameters, equations, results, body.name)


def known_branch(rewriter: Rewriter, equation: Equation) -> Sequence[Atom] | None:
    """The branch that is taken, where that is known."""
    index = equation.inputs[0]
    if type(index) is not Literal or index.live:
        return None
    branches = equation.params["branches"]
    chosen = branches[min(max(int(index.value), 0), len(branches) - 1)]
    return rewriter.inlined(chosen, equation.inputs[1:])
