"""Every row of the op table under jit, alone and with the other transformations.

jit(f) is f; jit of a derivative and the derivative of a jitted function are the derivative. Rows
whose sizes or dtypes depend on values run uncompiled, and are so too.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from laws import Restricted, check_value
from op_table import CASES, OPS, Case
from recordable import DTYPE, LEDGER, REFUSED, SIZE, abstractable, programs_of_derivatives

import xnp
from xnp.autodiff.core import aval_of
from xnp.testing.vectors import leaves_of


def quietly(fun: Callable[..., Any], *args: Any) -> Any:
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fun(*args)


def is_recorded(case: Case) -> bool:
    """Whether a case is compiled: none of its shapes, dtypes and branches depends on values."""
    f = Restricted(case, abstractable(case))
    jitted = xnp.jit(f.full)
    try:
        quietly(jitted, *f.chosen)
    except xnp.ConcretizationError:
        return False
    return not any("runs uncompiled" in compiled.note for compiled in xnp.explain(jitted))


@pytest.mark.usefixtures("interpreted")
def test_ledger():
    """A row that is not compiled without an entry fails, and so does an entry without a gap."""
    gaps = {
        op.name for op in OPS if not all(is_recorded(Case(op, i)) for i in range(len(op.samples)))
    }
    new, closed = sorted(gaps - set(LEDGER)), sorted(set(LEDGER) - gaps)
    assert not new, f"rows that are not compiled, not in the ledger: {new}"
    assert not closed, f"in the ledger, but compiled or gone: {closed}; take them out"


def check_jit(case: Case, how: str) -> None:
    """Values, types, dtypes, shapes and containers are those of NumPy, at every call."""
    f = Restricted(case, abstractable(case))
    wanted = quietly(f.full, *f.chosen)
    jitted = xnp.jit(f.full)
    for what in (f"{how} jit", "second call", "jit of jit"):
        f.args = case.args
        chosen = Restricted(case, f.positions).chosen
        if what == "jit of jit":
            jitted = xnp.jit(jitted)
        check_value(case, quietly(jitted, *chosen), wanted, what)


def check_jit_of_derivatives(case: Case) -> None:
    """The function is jvp, vjp, jvp of vjp or vmap."""
    for name, fun, args in quietly(lambda: list(programs_of_derivatives(case))):
        check_close(quietly(xnp.jit(fun), *args), quietly(fun, *args), f"{case}: jit of {name}")


def check_derivatives_of_jit(case: Case) -> None:
    """jvp, vjp, jvp of vjp and vmap of a jitted function."""
    plain = quietly(lambda: list(programs_of_derivatives(case)))
    jitted = quietly(lambda: list(programs_of_derivatives(case, xnp.jit)))
    for (name, fun, args), (_, other, _) in zip(plain, jitted, strict=True):
        check_close(quietly(other, *args), quietly(fun, *args), f"{case}: {name} of jit")


def check_close(found: Any, wanted: Any, what: str) -> None:
    found, wanted = leaves_of(found), leaves_of(wanted)
    assert [aval_of(x)[:2] for x in found] == [aval_of(x)[:2] for x in wanted], what
    for a, b in zip(found, wanted, strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7, err_msg=what)


RECORDED = [case for case in CASES if case.op.name not in LEDGER]
UNCOMPILED = [case for case in CASES if LEDGER.get(case.op.name) in (SIZE, DTYPE)]
FIRST = [case for case in RECORDED if case.index == 0]
DERIVED = [case for case in FIRST if case.op.name not in REFUSED]
DERIVED_UNCOMPILED = [case for case in UNCOMPILED if case.index == 0]


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_jit(case):
    check_jit(case, "interpreted")


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("case", DERIVED, ids=str)
def test_jit_of_derivatives(case):
    check_jit_of_derivatives(case)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("case", DERIVED, ids=str)
def test_derivatives_of_jit(case):
    check_derivatives_of_jit(case)


@pytest.mark.parametrize("case", UNCOMPILED, ids=str)
def test_uncompiled(case):
    check_jit(case, "uncompiled")


@pytest.mark.parametrize("case", DERIVED_UNCOMPILED, ids=str)
def test_uncompiled_derivatives(case):
    check_jit_of_derivatives(case)
    check_derivatives_of_jit(case)


@pytest.mark.parametrize("case", FIRST, ids=str)
def test_native(case):
    check_jit(case, "native")


@pytest.mark.slow
@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_native_samples(case):
    check_jit(case, "native")


@pytest.mark.slow
@pytest.mark.parametrize("case", DERIVED, ids=str)
def test_native_derivatives(case):
    check_jit_of_derivatives(case)
    check_derivatives_of_jit(case)
