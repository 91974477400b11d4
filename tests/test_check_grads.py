"""`xnp.testing.check_grads` catches wrong rules that are planted here, and passes right ones."""

import collections
import contextlib

import numpy
import pytest

import xnp as np
from xnp.autodiff.core import primitives
from xnp.autodiff.handles import TracedArray, value_of, wrap
from xnp.autodiff.primitives import elementwise as elementwise_primitives
from xnp.autodiff.primitives.elementwise import Elementwise, conjugate_p
from xnp.autodiff.primitives.math import cos_p, sin_p
from xnp.autodiff.rules import (
    General,
    Linear,
    broadcast_to_p,
    reduce_sum_p,
    reshape_p,
    stop_gradient_p,
)
from xnp.testing import check_grads

SEEDS = range(12)


@pytest.fixture(autouse=True)
def planted_primitives():
    """Primitives made here leave the registry again."""
    before = dict(primitives)
    yield
    primitives.clear()
    primitives.update(before)


def function_of(primitive, **params):
    """A primitive as users have functions: of arrays outside, of handles inside."""

    def fun(*args):
        traced = any(type(a) is TracedArray for a in args)
        if not traced:
            return primitive.impl(*args, **params)
        return wrap(primitive(*map(value_of, args), **params))

    fun.__name__ = primitive.name
    return fun


def elementwise(impl, *partials):
    return lambda: function_of(Elementwise("planted", impl, *partials))


def linear(impl, transpose):
    return lambda: function_of(Linear("planted", impl, transpose))


def general(impl, jvp, vjp):
    return lambda: function_of(General("planted", impl, jvp, vjp))


def only_first(x):
    """1, and at the first element 1.01."""
    factor = numpy.ones(numpy.shape(x))
    factor.flat[0] = 1.01
    return factor


def partly_stopped(x, part):
    """``x``, with ``part`` times its derivative."""
    return x * part + stop_gradient_p(x) * (1.0 - part)


class Antiholomorphic(Elementwise):
    """conj with the forward rule of a holomorphic function."""

    def push(self, ans, args, x_dots, params):
        return x_dots[0]

    def pull(self, ct, ans, args, wanted, params, strong):
        return [conjugate_p(ct)]


def real_point(rng):
    return rng.normal(size=3)


def complex_point(rng):
    return rng.normal(size=3) + 1j * rng.normal(size=3)


Planted = collections.namedtuple("Planted", "make modes point order", defaults=(real_point, 1))
BOTH = (("fwd",), ("rev",), ("fwd", "rev"))
REVERSE = (("rev",), ("fwd", "rev"))
FORWARD = (("fwd",), ("fwd", "rev"))

WRONG = {
    "factor": Planted(elementwise(numpy.sin, lambda _ans, x: cos_p(x) * 1.001), BOTH),
    "small factor": Planted(elementwise(numpy.sin, lambda _ans, x: cos_p(x) * (1 + 3e-5)), BOTH),
    "sign": Planted(elementwise(numpy.cos, lambda _ans, x: sin_p(x)), BOTH),
    "sign of one argument": Planted(
        lambda: (
            lambda x: function_of(Elementwise("planted", numpy.subtract, 1.0, 1.0))(x[:2], x[1:])
        ),
        BOTH,
    ),
    "zero": Planted(lambda: function_of(elementwise_primitives.Test("planted", numpy.tanh)), BOTH),
    "one element": Planted(elementwise(numpy.sin, lambda _ans, x: cos_p(x) * only_first(x)), BOTH),
    "missing conjugate in a partial": Planted(
        elementwise(numpy.abs, lambda ans, x: x / ans), BOTH, complex_point
    ),
    "missing conjugate forward": Planted(
        lambda: function_of(Antiholomorphic("planted", numpy.conjugate, 1.0)),
        FORWARD,
        complex_point,
    ),
    "wrong transpose": Planted(linear(lambda x: 2.0 * x, lambda ct, x: 3.0 * ct), REVERSE),
    "transpose is no transpose": Planted(
        linear(lambda x: x[::-1] * [1.0, 2.0, 3.0], lambda ct, x: ct * [1.0, 2.0, 3.0]), REVERSE
    ),
    "mean instead of sum in the transpose of broadcasting": Planted(
        linear(
            lambda x: broadcast_to_p(x, shape=(4, 3)),
            lambda ct, x: reduce_sum_p(ct, axes=(0,)) * 0.25,
        ),
        REVERSE,
    ),
    "the transpose of broadcasting along the wrong axis": Planted(
        linear(
            lambda x: broadcast_to_p(reshape_p(x, shape=(1, 3)), shape=(3, 3)),
            lambda ct, x: reduce_sum_p(ct, axes=(1,)),
        ),
        REVERSE,
    ),
    "forward of a general rule": Planted(
        general(
            numpy.sin,
            lambda ans, args, x_dots: cos_p(args[0]) * x_dots[0] * 2.0,
            lambda ct, ans, args, wanted: [ct * cos_p(args[0])],
        ),
        FORWARD,
    ),
    "reverse of a general rule": Planted(
        general(
            numpy.sin,
            lambda ans, args, x_dots: cos_p(args[0]) * x_dots[0],
            lambda ct, ans, args, wanted: [ct * sin_p(args[0])],
        ),
        REVERSE,
    ),
    "second order": Planted(
        elementwise(numpy.sin, lambda _ans, x: stop_gradient_p(cos_p(x))), BOTH, order=2
    ),
    "second order, one element": Planted(
        elementwise(
            numpy.sin,
            lambda _ans, x: cos_p(partly_stopped(x, only_first(x))),
        ),
        BOTH,
        order=2,
    ),
    "third order": Planted(
        elementwise(
            numpy.sin,
            lambda _ans, x: (
                function_of(
                    Elementwise("inner", numpy.cos, lambda _ans, x: -stop_gradient_p(sin_p(x)))
                )(wrap(x)).value
            ),
        ),
        BOTH,
        order=3,
    ),
    "half the product rule": Planted(lambda: lambda x: np.sum(x * np.stop_gradient(x)), BOTH),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("seed", SEEDS)
def test_planted_wrong_rules_are_caught(name, seed):
    planted = WRONG[name]
    x = planted.point(numpy.random.default_rng(seed))
    for modes in planted.modes:
        with pytest.raises(AssertionError, match="check_grads: order"):
            check_grads(planted.make(), (x,), order=planted.order, modes=modes, seed=seed)


@pytest.mark.parametrize("name", ["second order", "second order, one element", "third order"])
def test_lower_orders_of_a_rule_that_is_wrong_higher_up_pass(name):
    planted = WRONG[name]
    x = planted.point(numpy.random.default_rng(0))
    for order in range(1, planted.order):
        check_grads(planted.make(), (x,), order=order)


def weighted(x):
    return x * numpy.arange(1.0, 1.0 + numpy.size(x))


RIGHT = {
    "sin": (numpy.sin, 1),
    "exp": (numpy.exp, 1),
    "tanh": (numpy.tanh, 1),
    "identity": (lambda x: x, 1),
    "constant": (lambda x: numpy.ones(3), 1),
    "zero": (lambda x: x * 0.0, 1),
    "linear": (weighted, 1),
    "affine": (lambda x: 3.0 * x - 1e3, 1),
    "square": (lambda x: x * x, 1),
    "cube at a large value": (lambda x: (x + 100.0) ** 3, 1),
    "steep": (lambda x: numpy.exp(20.0 * x), 1),
    "rapid": (lambda x: numpy.sin(50.0 * x), 1),
    "tiny": (lambda x: 1e-200 * numpy.sin(x), 1),
    "huge": (lambda x: 1e200 * numpy.sin(x), 1),
    "mixed sizes": (lambda x: numpy.exp(x * numpy.array([1.0, 10.0, -30.0])), 1),
    "cancelling": (lambda x: (x + 1e6) - 1e6, 1),
    "product": (lambda x, y: x * y, 2),
    "quotient": (lambda x, y: x / (y * y + 1.0), 2),
    "three": (lambda x, y, z: x * y + y * z * z, 3),
    "pair": (lambda x, y: {"a": x * y, "b": [y]}, 2),
    "partly integer": (lambda x: (x > 0, x * 2.0), 1),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("dtype", ["f8", "c16", "f4", "c8"])
def test_right_functions_pass(name, dtype):
    """No false alarms, over many points and directions."""
    fun, count = RIGHT[name]
    if name == "partly integer" and dtype[0] == "c":
        return  # complex numbers have no order
    if name in ("tiny", "huge", "steep", "mixed sizes", "rapid") and dtype in ("f4", "c8"):
        return  # beyond single precision
    for seed in range(6):
        rng = numpy.random.default_rng(seed)
        points = [rng.normal(size=3) + 1j * rng.normal(size=3) for _ in range(count)]
        args = [(z if dtype[0] == "c" else z.real).astype(dtype) for z in points]
        with numpy.errstate(all="ignore"):
            check_grads(fun, args, order=2, seed=seed)


def test_trees_numbers_and_constants_as_arguments():
    Pair = collections.namedtuple("Pair", "w b")

    def loss(params, scale, powers):
        return params["p"].w * scale + params["p"].b ** 2 * powers

    params = {"p": Pair(numpy.ones(3), 2.0)}
    check_grads(loss, (params, 0.5, numpy.array([1, 2, 3])))


def test_trees_of_numbers_and_constants():
    params = {"w": numpy.ones(3), "power": 2, "name": "p"}
    check_grads(lambda p: p["w"] ** p["power"], (params,))
    wrong = lambda p: p["w"] * np.stop_gradient(p["w"]) * p["power"]
    with pytest.raises(AssertionError, match=r"argument 0 \(list .* found"):
        check_grads(wrong, (params,))


def test_holomorphic():
    z = numpy.array([0.3 + 1j, -1.0 + 0.2j])
    check_grads(lambda z: z * z * z, (z,), holomorphic=True)
    with pytest.raises(AssertionError, match="result 0 is not holomorphic"):
        check_grads(numpy.conjugate, (z,), holomorphic=True)
    with pytest.raises(ValueError, match="wants complex arguments"):
        check_grads(numpy.sin, (1.0,), holomorphic=True)


def message_of(fun, args, **options):
    with pytest.raises(AssertionError) as caught:
        check_grads(fun, args, **options)
    return str(caught.value)


def test_message_names_argument_mode_order_and_numbers():
    def off(x, y):
        return x * y + np.stop_gradient(y) * 0.5 + y * 0.5

    x, y = numpy.array([1.0, 2.0]), numpy.array([3.0, 4.0])
    text = message_of(off, (x, y), modes=("fwd",))
    assert "order 1, off, argument 1 (ndarray f64[2]), mode fwd, result 0" in text
    assert "2 of 2 elements are off" in text
    assert "the remainder falls as h^1.0, wanted h^2" in text
    text = message_of(off, (x, y), modes=("rev",))
    assert "argument 1 (ndarray f64[2]), mode rev: <J^T ct, v> is" in text
    assert "2 of 2 elements of J^T ct are off: leaf 0 at [0] expected" in text


def test_message_of_a_factor_says_the_factor():
    wrong = elementwise(numpy.sin, lambda _ans, x: cos_p(x) * 2.0)()
    assert "2 times that" in message_of(wrong, (0.5,), modes=("fwd",))


def test_message_names_the_nesting_where_a_second_derivative_is_wrong():
    wrong = WRONG["second order"].make()
    assert "order 2, fwd of planted" in message_of(wrong, (0.5,), modes=("fwd",))
    assert "order 2, rev of planted" in message_of(wrong, (0.5,), modes=("rev",))


def nothing(_):
    pass


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: check_grads(3, (1.0,)), "f is int 3, wanted a function"),
        (lambda: check_grads(numpy.sin, 1.0), "write check_grads\\(f, \\(x,\\)\\)"),
        (lambda: check_grads(numpy.sin, (1.0,), order=0), "order is 0, wanted 1 or more"),
        (lambda: check_grads(numpy.sin, (1.0,), modes="rev"), "write \\('rev',\\)"),
        (lambda: check_grads(numpy.sin, (1.0,), modes=("back",)), "wanted some of"),
        (lambda: check_grads(numpy.sin, (1.0,), directions=0), "directions is 0, wanted 1 or more"),
        (lambda: check_grads(nothing, (1.0,)), "nothing returned NoneType None, .* return stat"),
        (lambda: check_grads(numpy.sin, (1,)), "none of the 1 arguments is real or complex"),
    ],
)
def test_bad_arguments(call, text):
    with pytest.raises((TypeError, ValueError), match=text):
        call()


def test_a_point_where_the_function_is_not_finite_is_refused():
    with numpy.errstate(all="ignore"), pytest.raises(ValueError, match="not finite"):
        check_grads(numpy.log, (numpy.array([-1.0]),))


def test_domain_edges_do_not_disturb():
    """Steps that leave the domain are left out."""
    check_grads(numpy.log, (numpy.array([1e-3, 1.0]),))
    check_grads(numpy.sqrt, (numpy.array([1e-2]),))


def test_numpy_testing_is_reachable():
    assert np.testing.assert_allclose is numpy.testing.assert_allclose
    assert "check_grads" in dir(np.testing)
    with contextlib.suppress(AttributeError):
        np.testing.no_such_name  # noqa: B018


def test_rule_that_returns_handles_is_checked_in_reverse_too():
    """Outside of transformations such a function gives handles where others give arrays."""
    wrong = Linear("planted_turn", lambda x: numpy.roll(x, 1), lambda ct, x: ct)
    with pytest.raises(AssertionError, match="mode rev"):
        check_grads(lambda x: wrap(wrong(value_of(x))), (numpy.arange(3.0),))
