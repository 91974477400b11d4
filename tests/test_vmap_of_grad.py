"""Every row: vmap over derivatives, and derivatives of vmap, are loops over the examples."""

import pytest
from batches import (
    check_derivatives_of_vmap,
    check_derivatives_under_vmap,
    check_second_order_under_vmap,
)
from op_table import DIFFERENTIABLE_CASES

CASES = [c for c in DIFFERENTIABLE_CASES if set(c.differentiable) <= set(c.batchable)]
FIRST = [case for case in CASES if case.index == 0]
OTHERS = [pytest.param(case, marks=pytest.mark.slow, id=str(case)) for case in CASES if case.index]


@pytest.mark.parametrize("case", [*(pytest.param(c, id=str(c)) for c in FIRST), *OTHERS])
def test_vmap_of_jvp_and_vjp(case):
    check_derivatives_under_vmap(case)


@pytest.mark.parametrize("case", [*(pytest.param(c, id=str(c)) for c in FIRST), *OTHERS])
def test_jvp_and_vjp_of_vmap(case):
    check_derivatives_of_vmap(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.op.order >= 2], ids=str)
def test_vmap_of_jvp_of_vjp(case):
    check_second_order_under_vmap(case)
