"""Every row: all ways of nesting the two modes give one second derivative, the right one."""

import pytest
from laws import check_second_order
from op_table import DIFFERENTIABLE_CASES, subsets

CASES = [case for case in DIFFERENTIABLE_CASES if case.op.order >= 2]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_second_order(case):
    check_second_order(case, case.differentiable)


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if len(c.differentiable) > 1], ids=str)
def test_second_order_of_subsets(case):
    for positions in subsets(case.differentiable):
        if positions != case.differentiable:
            check_second_order(case, positions)
