"""Dead code: equations that nothing reads and that do nothing else."""

from __future__ import annotations

from ...autodiff.program import Program, Variable
from .atoms import acts, rebuilt, with_regions


def drop_dead(program: Program) -> Program:
    """The Program without the equations that its results and effects do not need."""
    live = {x for x in program.results if type(x) is Variable}
    kept = []
    for equation in reversed(program.equations):
        if not live.isdisjoint(equation.results) or acts(equation):
            live.update([x for x in equation.inputs if type(x) is Variable])
            kept.append(with_regions(equation, drop_dead) if equation.params else equation)
    return rebuilt(program, kept[::-1], program.results)
