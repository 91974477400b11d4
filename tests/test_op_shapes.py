"""Shape rules: for every primitive that the rows bind, the rule says what NumPy then returns."""

import numpy
import pytest
from op_table import CASES
from recording import run_everything, visited_binds
from test_ledger_rules import GAPS

from xnp.autodiff.core import aval_of


def check_shape_rule(primitive, args, params, result):
    if (primitive.name, "shape") in GAPS:
        return
    wanted = primitive.shape(*map(aval_of, args), **params)
    results, avals = (result, wanted) if primitive.multiple else ((result,), (wanted,))
    for i, (out, aval) in enumerate(zip(results, avals, strict=True)):
        found = aval_of(out)
        assert (aval.shape, aval.dtype) == (found.shape, found.dtype), (
            f"{primitive}({', '.join(str(aval_of(a)) for a in args)}, **{params}): the shape rule "
            f"says {aval} for result {i}, NumPy returned {found}"
        )
        assert isinstance(aval.dtype, numpy.dtype)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shape_rules(case):
    with visited_binds(check_shape_rule):
        run_everything(case)
