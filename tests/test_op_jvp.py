"""Every row: the jvp along a direction is the derivative that extrapolated differences give."""

import pytest
from laws import check_jvp
from op_table import DIFFERENTIABLE_CASES, subsets


@pytest.mark.parametrize("case", DIFFERENTIABLE_CASES, ids=str)
def test_jvp(case):
    for positions in subsets(case.differentiable):
        check_jvp(case, positions)
