"""Decompositions: where nothing reads the vectors, only the values are computed."""

from __future__ import annotations

from ...autodiff.program import Equation, Program
from ..fused import eigvalsh_p, svdvals_p
from .atoms import has_regions, rebuilt, with_regions


def drop_vectors(program: Program) -> Program:
    """``eigh`` and ``svd`` become ``eigvalsh`` and ``svdvals``, if nothing reads their vectors:
    derivatives do.
    """
    read = {x for e in program.equations for x in e.inputs}
    read.update(program.results)
    equations = []
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, drop_vectors)
        if equation.primitive.name in ("eigh", "svd"):
            found = _values(equation)
            equation = equation if read.intersection(equation.results) - {*found.results} else found
        equations.append(equation)
    return rebuilt(program, equations, program.results)


def _values(equation: Equation) -> Equation:
    """The equation that computes the values alone."""
    inputs, line = equation.inputs, equation.line
    if equation.primitive.name == "eigh":
        return Equation(eigvalsh_p, inputs, equation.params, equation.results[:1], line)
    return Equation(svdvals_p, inputs, {}, equation.results[1:2], line)
