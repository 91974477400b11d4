"""Every row: vmap over any subset of its array arguments is the stacked Python loop."""

import pytest
from batches import check_nested_vmap, check_vmap
from op_table import CASES, subsets

CASES = [case for case in CASES if case.batchable]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_vmap(case):
    for positions in subsets(case.batchable):
        check_vmap(case, positions)


@pytest.mark.parametrize("case", [case for case in CASES if case.index == 0], ids=str)
def test_nested_vmap(case):
    check_nested_vmap(case)
