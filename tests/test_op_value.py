"""Every row: a traced call gives NumPy's values, dtypes, shapes and types, and mutates nothing."""

import numpy
import pytest
from laws import (
    Restricted,
    call_on_constants,
    check_value,
    no_more_warnings_than,
    recorded_warnings,
)
from op_table import CASES, DIFFERENTIABLE_CASES

import xnp
from xnp.testing.vectors import leaves_of


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_of_handles(case):
    """Handles whose values nothing traces: all of NumPy's semantics, no derivative."""
    with recorded_warnings() as plain:
        wanted = case.op.fun(*case.args)
    args = case.args
    with no_more_warnings_than(plain, str(case)):
        found = call_on_constants(case.op.fun, args)
    check_value(case, found, wanted, "on handles")
    for given, kept in zip(leaves_of(args), leaves_of(case.args), strict=True):
        numpy.testing.assert_array_equal(given, kept, err_msg=f"{case} wrote to its argument")


@pytest.mark.parametrize("case", DIFFERENTIABLE_CASES, ids=str)
def test_value_under_vjp_and_jvp(case):
    """The primal results of both modes, and the arguments they were given, stay NumPy's."""
    f = Restricted(case, case.differentiable)
    with recorded_warnings() as plain:
        wanted = f.full(*f.chosen)
    f = Restricted(case, case.differentiable)
    with no_more_warnings_than(plain, str(case)):
        check_value(case, xnp.vjp(f.full, *f.chosen)[0], wanted, "under vjp")
        check_value(case, xnp.jvp(f.full, f.chosen, f.tangent())[0], wanted, "under jvp")
    for given, kept in zip(leaves_of(f.args), leaves_of(case.args), strict=True):
        numpy.testing.assert_array_equal(given, kept, err_msg=f"{case} wrote to its argument")
