"""Every row: the vjp is the transpose of the jvp, for every subset of the arguments."""

import pytest
from laws import check_transpose
from op_table import DIFFERENTIABLE_CASES, subsets


@pytest.mark.parametrize("case", DIFFERENTIABLE_CASES, ids=str)
def test_vjp(case):
    for positions in subsets(case.differentiable):
        check_transpose(case, positions)
