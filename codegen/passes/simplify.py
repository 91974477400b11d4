"""Simplification: the rules of algebra, of moving elements, and of constants, in one walk.

Rules keep every bit of every result, with these exceptions, which the tests know (`scattered` has
one more: zeros that are not added to -0.0):

* sums may be formed in another order, and a sum of n equal terms is a product with n;
* which of several NaNs comes out, and a NaN's sign, as IEEE 754 leaves open;
* the sign of a zero out of `strong_multiply`, which NumPy's own code leaves open.

A simplified Program is for code generation, not for differentiation: `stop_gradient` is gone.
"""

from __future__ import annotations

from ...autodiff.program import Program
from . import (
    accumulation,
    addressing,
    arithmetic,
    branches,
    constants,
    forwarding,
    movement,
    sliding,
    sums,
    transposing,
)
from .rewriting import Rewriter, Rules
from .stretching import shrink_elementwise

FAMILIES = (
    arithmetic,
    movement,
    transposing,
    sums,
    sliding,
    forwarding,
    accumulation,
    addressing,
)
RULES: Rules = {
    name: [rule for family in FAMILIES for rule in family.RULES.get(name, ())]
    for family in FAMILIES
    for name in family.RULES
}
ELEMENTWISE = (shrink_elementwise,)
SPLITS = {"branch": branches.known_branch, "unstack": movement.split_rows}
EVERYWHERE = (constants.fold,)


def simplify(program: Program) -> Program:
    """The Program with every equation replaced that a rule knows something cheaper for."""
    return simplifier().run(program)


def simplifier() -> Rewriter:
    """What simplifies each equation that it is given."""
    return Rewriter(RULES, ELEMENTWISE, EVERYWHERE, SPLITS, constants.share_uniform)
