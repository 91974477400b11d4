"""Dead code: equations that nothing reads and that do nothing else."""

from __future__ import annotations

from ...autodiff.program import Equation, Program, Variable
from .atoms import acts, has_regions, rebuilt, with_regions
from .branches import branches_without_dead
from .loops import loop_without_dead


def drop_dead(program: Program) -> Program:
    """The Program without the equations that its results and effects do not need."""
    live = {x for x in program.results if type(x) is Variable}
    kept = []
    for equation in reversed(program.equations):
        if not live.isdisjoint(equation.results) or acts(equation):
            if equation.params:
                equation = with_regions(without_unread(equation, live), drop_dead)
            live.update([x for x in equation.inputs if type(x) is Variable])
            kept.append(equation)
    return rebuilt(program, kept[::-1], program.results)


def without_unread(equation: Equation, live: set[Variable]) -> Equation:
    """A loop or branch without what nothing reads of its results, and what only that needs."""
    if not has_regions(equation):
        return equation
    return branches_without_dead(loop_without_dead(equation, live), live)
