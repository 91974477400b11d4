"""Errors and warnings that values decide ask for one number: whether any element is bad.

So the loops that compute the elements compute that too, and nothing is called unless it is true.
"""

from __future__ import annotations

import numpy as np

from ...autodiff.core import Aval
from ...autodiff.primitives.checks import refuse_p, warn_p
from ...autodiff.primitives.reductions import reduce_any_p
from ...autodiff.program import Equation, Program, Variable
from .atoms import has_regions, rebuilt, with_regions

_SCALAR = Aval((), np.dtype(bool))


def reduce_checks(program: Program) -> Program:
    """`refuse` and `warn` of arrays become those of `reduce_any`."""
    equations: list[Equation] = []
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, reduce_checks)
        if _is_of_array(equation):
            (bad,) = equation.inputs
            some = Variable(_SCALAR)
            axes = {"axes": tuple(range(len(bad.aval.shape)))}
            equations.append(Equation(reduce_any_p, (bad,), axes, (some,), equation.line))
            equation = Equation(
                equation.primitive, (some,), equation.params, equation.results, equation.line
            )
        equations.append(equation)
    return rebuilt(program, equations, program.results)


def _is_of_array(equation: Equation) -> bool:
    is_check = equation.primitive in (refuse_p, warn_p)
    return is_check and bool(equation.inputs[0].aval.shape)
