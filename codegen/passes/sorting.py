"""Sorting: values whose order nobody asks for are sorted, or partitioned, themselves."""

from __future__ import annotations

from collections import Counter

from ...autodiff.primitives.sorting import STABLE_VALUES
from ...autodiff.program import Atom, Equation, Program
from ..fused import partition_p, sort_p
from .atoms import has_regions, rebuilt, same_aval, with_regions


def sort_values(program: Program) -> Program:
    """``permute x (argsort x)`` becomes ``sort x``, and that of a partition's order ``partition
    x``, if nothing else reads the order: derivatives do. Among equal numbers the order is then
    NumPy's, which is that of an unstable sort unless the user asked for a stable one.
    """
    uses = Counter([x for e in program.equations for x in e.inputs])
    uses.update(program.results)
    orders: dict[Atom, Equation] = {}
    equations = []
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, sort_values)
        if (
            equation.primitive.name in ("argsort", "partition_order")
            and uses[equation.results[0]] == 1
        ):
            orders[equation.results[0]] = equation
        elif equation.primitive.name == "permute":
            equation = _sorted(equation, orders)
        equations.append(equation)
    return rebuilt(program, equations, program.results)


def _sorted(equation: Equation, orders: dict[Atom, Equation]) -> Equation:
    x, order = equation.inputs
    source, axis = orders.get(order), equation.params["axis"]
    if source is None or source.inputs[0] is not x or source.params["axis"] != axis:
        return equation
    if x.aval.weak or not same_aval(x.aval, equation.results[0].aval):
        return equation
    if source.primitive.name == "argsort":
        kind = "stable" if source.params["kind"] == STABLE_VALUES else "quicksort"
        params = {"axis": axis, "kind": kind}
        return Equation(sort_p, [x], params, equation.results, equation.line)
    return Equation(partition_p, [x], source.params, equation.results, equation.line)
