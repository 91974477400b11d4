"""The laws of the op table catch what they are for: each fails for a rule with that fault alone."""

import batches
import laws
import numpy
import pytest
from op_row import C, Op, R
from op_table import Case
from recording import run_everything, visited_binds
from test_check_grads import function_of
from test_op_shapes import check_shape_rule

import xnp as np
from xnp.autodiff.core import Aval, primitives
from xnp.autodiff.primitives.elementwise import Elementwise
from xnp.autodiff.primitives.math import cos_p
from xnp.autodiff.rules import Linear, stop_gradient_p


@pytest.fixture(autouse=True)
def planted_primitives():
    """Primitives made here leave the registry again."""
    before = dict(primitives)
    yield
    primitives.clear()
    primitives.update(before)


def case_of(fun, *args, **options):
    return Case(Op("planted", fun, [args], **options), 0)


def broken_laws(case, *only):
    """The names of the laws that fail, of all or of those named."""
    f = laws.Restricted(case, case.differentiable)
    checks = {
        "value": lambda: laws.check_value(
            case, laws.call_on_constants(case.op.fun, case.args), case.op.fun(*case.args), ""
        ),
        "primal": lambda: laws.check_value(
            case, np.vjp(f.full, *f.chosen)[0], case.op.fun(*case.args), ""
        ),
        "jvp": lambda: laws.check_jvp(case, (0,)),
        "vjp": lambda: laws.check_transpose(case, (0,)),
        "second": lambda: laws.check_second_order(case, (0,)),
        "vmap": lambda: batches.check_vmap(case, (0,)),
        "vmap of derivatives": lambda: batches.check_derivatives_under_vmap(case),
        "derivatives of vmap": lambda: batches.check_derivatives_of_vmap(case),
        "shape": lambda: check_shapes(case),
    }
    return {name for name in only or checks if fails(checks[name])}


def check_shapes(case):
    with visited_binds(check_shape_rule):
        run_everything(case)


def fails(check):
    try:
        check()
    except AssertionError:
        return True
    return False


def scale(transpose=2.0, batch=2.0, dtype=None):
    """X -> 2 x as a linear primitive, with faults to plant."""

    def impl(x):
        return 2.0 * x

    primitive = Linear(
        "planted",
        impl,
        lambda ct, x: ct * transpose,
        shape=lambda x: Aval(x.shape, dtype or x.dtype),
        batch=lambda primitive, size, args, batched: (args[0] * batch, True),
    )
    return function_of(primitive)


def sine(partial):
    return function_of(Elementwise("planted", numpy.sin, partial))


def test_right_rules_pass_broken_laws():
    assert not broken_laws(case_of(scale(), R(2, 3)))
    assert not broken_laws(case_of(sine(lambda _ans, x: cos_p(x)), C(3)))


def test_a_wrong_partial_fails_forward_alone():
    """Both modes use the partial, so the pairing cannot see it: the differences do."""
    assert broken_laws(case_of(sine(lambda _ans, x: cos_p(x) * (1 + 1e-9)), R(3))) == {"jvp"}


def test_a_wrong_transpose_fails():
    found = broken_laws(case_of(scale(transpose=2.0 + 1e-11), R(3)))
    assert "vjp" in found
    assert "jvp" not in found


def test_a_wrong_derivative_of_the_partial_fails_second_order():
    wrong = sine(lambda _ans, x: cos_p(x) + 1e-8 * (x - stop_gradient_p(x)))
    assert broken_laws(case_of(wrong, R(3))) == {"second"}


def test_a_wrong_batching_rule_fails():
    assert broken_laws(case_of(scale(batch=2.0 + 1e-12), R(3))) >= {"vmap", "derivatives of vmap"}


def test_a_wrong_shape_rule_fails():
    assert broken_laws(case_of(scale(dtype=numpy.dtype("f4")), R(3))) == {"shape"}


FAULTS = {
    "value": lambda x: x * (1 + 1e-13),
    "dtype": lambda x: x.astype(numpy.float32),
    "shape": lambda x: x[None],
    "tree": lambda x: (x,),
    "scalar": lambda x: x[0],
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_wrong_value_on_handles_fails(fault):
    def fun(x):
        return x * 1.0 if type(x) is numpy.ndarray else fault(x)

    assert broken_laws(case_of(fun, R(1)), "value", "primal") == {"value", "primal"}


def test_a_kink_is_reported_as_such():
    case = case_of(lambda x: np.abs(x), numpy.array([1e-9]))  # noqa: PLW0108 - not a ufunc here
    with pytest.raises(AssertionError, match=r"differences cannot tell|off"):
        laws.check_jvp(case, (0,))


def test_a_sample_far_from_one_does_not_disturb():
    for size in (1e-3, 1e4):
        assert not broken_laws(case_of(numpy.square, R(3) * size))
