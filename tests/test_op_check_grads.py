"""Every row passes `check_grads`, which thereby raises no false alarm at thousands of functions."""

import numpy
import pytest
from laws import Restricted, has_inexact_dtype
from op_table import DIFFERENTIABLE_CASES

import xnp
from xnp.testing import check_grads
from xnp.testing.vectors import leaves_of


def is_regular(f):
    """Whether arguments, values and derivatives are finite."""
    out, out_dot = xnp.jvp(f, f.chosen, f.tangent())
    leaves = filter(has_inexact_dtype, leaves_of((f.chosen, out, out_dot)))
    return all(numpy.isfinite(leaf).all() for leaf in leaves)


@pytest.mark.slow
@pytest.mark.parametrize("case", DIFFERENTIABLE_CASES, ids=str)
def test_check_grads(case):
    f = Restricted(case, case.differentiable)
    with numpy.errstate(all="ignore"):
        if is_regular(f):
            check_grads(f, f.chosen, order=min(2, case.op.order))
