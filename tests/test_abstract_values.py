"""What runs on arrays runs on values known by shape and dtype only, the foundation of a compiler.

Every row of the op table is recorded as a program of equations, and so are its derivatives and its
batches; the program, computed afterwards, gives what NumPy gives. Rows whose shapes, dtypes or
branches depend on values cannot be recorded, and say so: the ledger lists them.
"""

import warnings
from functools import cache

import numpy
import pytest
from abstract import record
from laws import Restricted, check_value
from op_table import CASES, OPS, Case
from recordable import LEDGER, REFUSED, abstractable, programs_of_derivatives

import xnp
from xnp.autodiff.core import aval_of
from xnp.testing.vectors import leaves_of

ROWS = {op.name: op for op in OPS}


@cache
def recorded(name):
    """The programs of a row's samples, None where a sample cannot be recorded."""
    op, found = ROWS[name], []
    for i in range(len(op.samples)):
        f = Restricted(Case(op, i), abstractable(Case(op, i)))
        try:
            with numpy.errstate(all="ignore"):
                found.append(record(f.full, f.chosen))
        except TypeError:  # ConcretizationError is one, and numpy.polynomial's operators raise one
            found.append(None)
    return found


def test_ledger():
    """A row that cannot be recorded without an entry fails, and so does an entry without a gap."""
    gaps = {op.name for op in OPS if None in recorded(op.name)}
    new, closed = sorted(gaps - set(LEDGER)), sorted(set(LEDGER) - gaps)
    assert not new, f"rows that cannot be recorded, not in the ledger: {new}"
    assert not closed, f"in the ledger, but recorded or gone: {closed}; take them out"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_program_gives_numpys_values(case):
    """The recorded types are NumPy's, and so is what the program computes."""
    program = recorded(case.op.name)[case.index]
    if program is None:
        return
    f = Restricted(case, abstractable(case))
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = f.full(*f.chosen)
        f = Restricted(case, f.positions)
        check_value(case, program(*f.chosen), wanted, "as a program")


@pytest.mark.parametrize("case", [case for case in CASES if case.op.name in REFUSED], ids=str)
def test_derivatives_that_the_program_refuses(case):
    for name, fun, args in programs_of_derivatives(case):
        program = record(fun, args)
        if name != "vmap":
            with pytest.raises(numpy.linalg.LinAlgError, match="singular"):
                program(*args)


@pytest.mark.parametrize("case", [case for case in CASES if case.index == 0], ids=str)
def test_derivatives_are_recorded(case):
    if recorded(case.op.name)[0] is None or case.op.name in REFUSED:
        return
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, fun, args in programs_of_derivatives(case):
            wanted = leaves_of(fun(*args))
            found = leaves_of(record(fun, args)(*args))
            assert [aval_of(x)[:2] for x in found] == [aval_of(x)[:2] for x in wanted], name
            for a, b in zip(found, wanted, strict=True):
                numpy.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7, err_msg=f"{case}, {name}")


def test_a_program_prints_one_equation_a_line():
    def f(x, y):
        z = xnp.sin(x) @ y
        z[0] = 2.0
        return xnp.sum(z)

    assert str(record(f, (numpy.ones((3, 4)), numpy.ones(4)))) == (
        "c:f64[3,4] = sin a\n"
        "d:f64[3] = matmul c b\n"
        "e:f64[3] = setitem d 2.0 index=(0,)\n"
        "f:f64[] = reduce_sum e axes=(0,)"
    )


def test_python_numbers_stay_weak():
    program = record(lambda x, n: xnp.ones(2, "f4") * (x / n), (3.0, 2))
    assert str(program).endswith("= multiply f32[2] f") or "f32[2]" in str(program)
    assert program(3.0, 2).dtype == numpy.float32
    with pytest.raises(ZeroDivisionError):
        program(3.0, 0)


def test_errors_and_warnings_by_value_are_part_of_the_program():
    average = record(lambda w: xnp.average(xnp.ones(2), weights=w), (numpy.ones(2),))
    assert average(numpy.array([1.0, 3.0])) == 1.0
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        average(numpy.zeros(2))
    nanmean = record(xnp.nanmean, (numpy.ones(2),))
    with (
        pytest.warns(RuntimeWarning, match="Mean of empty slice"),
        numpy.errstate(invalid="ignore"),
    ):
        assert numpy.isnan(nanmean(numpy.full(2, numpy.nan)))


def test_the_branches_of_functions_are_both_in_the_program():
    """What NumPy decides by values is decided when the program runs."""
    edges = numpy.array([0.0, 1.0, 2.0])
    digitize = record(lambda bins: xnp.digitize(xnp.array([0.5, 1.5]), bins), (edges,))
    assert digitize(edges).tolist() == [1, 2]
    assert digitize(edges[::-1]).tolist() == [2, 1]
    histogram = record(lambda x: xnp.histogram(x, 2)[1], (numpy.arange(3.0),))
    assert histogram(numpy.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
    assert histogram(numpy.ones(3)).tolist() == [0.5, 1.0, 1.5]
    median = record(xnp.median, (numpy.arange(3.0),))
    assert numpy.isnan(median(numpy.array([1.0, numpy.nan, 0.0])))


USES = {
    **{kind.__name__: kind for kind in (bool, int, float, complex, range, numpy.asarray)},
    "list index": lambda x: [1, 2, 3][x],
    "size": xnp.zeros,
    "count": xnp.arange,
    "slice": lambda x: xnp.ones(3)[:x],
    "axis": lambda x: xnp.sum(xnp.ones((2, 2)), axis=x),
    "shape": lambda x: xnp.reshape(xnp.ones(4), (x, -1)),
    "nonzero": xnp.nonzero,
    "branch": lambda x: "yes" if x > 0 else "no",
    "format": lambda x: f"{x:.3f}",
}


@pytest.mark.parametrize("name", USES)
def test_an_unknown_number_never_becomes_a_constant(name):
    with pytest.raises(TypeError, match=r"not known|depends on values|constant"):
        record(lambda x: USES[name](x) and x, (numpy.int64(1),))


def test_an_unknown_value_can_be_shown():
    seen = []
    record(lambda x: seen.append((repr(x), str(x), numpy.array2string(x))) or x, (numpy.ones(2),))
    assert seen == [("TracedArray(f64[2], program: not known yet)",) * 3]
