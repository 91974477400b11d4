"""The transformations themselves: nesting, perturbation confusion, arguments, trees, state."""

import collections
import dataclasses
import itertools
import math

import mpmath
import numpy
import optree
import pytest

import xnp as np
from xnp.autodiff.core import thread_state
from xnp.autodiff.errors import DifferentiationError, LeakedTracerError


@pytest.fixture(autouse=True)
def no_state_left():
    yield
    assert thread_state.depth == 0
    assert thread_state.level == 0


def forward(f):
    return lambda x: np.jvp(f, (x,), (numpy.ones_like(x) if numpy.ndim(x) else 1.0,))[1]


def reverse(f):
    def derivative(x):
        y, pull = np.vjp(f, x)
        return pull(numpy.ones_like(y) if numpy.ndim(y) else 1.0)[0]

    return derivative


def batched(f):
    """``f`` by way of a batch of one."""
    return lambda x: np.vmap(f)(np.array([x]))[0]


# --- nesting -------------------------------------------------------------------------------------

MODES = {"fwd": forward, "rev": reverse, "grad": np.grad}


@pytest.mark.parametrize("path", list(itertools.product(MODES, repeat=3)), ids="-".join)
def test_third_derivative_by_every_nesting(path):
    f = np.sin
    for mode in path:
        f = MODES[mode](f)
    assert f(0.7) == pytest.approx(-math.cos(0.7), rel=1e-14)


@pytest.mark.parametrize(
    "path",
    [p for n in (2, 3, 4) for p in itertools.product("frv", repeat=n) if "v" in p],
    ids="".join,
)
def test_vmap_anywhere_in_the_nesting(path):
    """By a batch of one at any depth, the derivatives stay what they are."""
    f = lambda x: np.exp(0.5 * x) * x
    layers = {"f": forward, "r": reverse, "v": batched}
    for layer in path:
        f = layers[layer](f)
    n = sum(layer != "v" for layer in path)
    wanted = (0.5**n * 0.3 + n * 0.5 ** (n - 1)) * math.exp(0.15)
    assert f(0.3) == pytest.approx(wanted, rel=1e-13)


def test_tenth_derivative():
    def f(t):
        return 0.3 * np.sin(t) * t**10

    with mpmath.workdps(50):
        wanted = float(mpmath.diff(lambda t: mpmath.mpf("0.3") * mpmath.sin(t) * t**10, 1.3, 10))
    assert np.derivative(f, 10)(1.3) == pytest.approx(wanted, rel=1e-12)
    g = f
    for _ in range(5):
        g = np.grad(np.grad(g))
    assert g(1.3) == pytest.approx(wanted, rel=1e-12)


def test_deep_nesting_of_an_exponential():
    f = np.exp
    for mode in itertools.islice(itertools.cycle((forward, reverse)), 8):
        f = mode(f)
    assert f(0.2) == pytest.approx(math.exp(0.2), rel=1e-14)


def test_forward_over_reverse_over_forward_on_arrays():
    x, v = numpy.array([0.3, -0.7, 1.1]), numpy.array([1.0, 2.0, -1.0])

    def along(f):
        return lambda x: np.jvp(f, (x,), (v,))[1]

    inner = along(lambda x: np.sum(np.sin(x) * x))
    found = along(np.grad(inner))(x)
    third = -3 * numpy.sin(x) - x * numpy.cos(x)  # of x sin(x)
    numpy.testing.assert_allclose(found, third * v * v, rtol=1e-13)


# --- perturbation confusion ----------------------------------------------------------------------


@pytest.mark.parametrize("inner", MODES.values(), ids=MODES)
@pytest.mark.parametrize("outer", MODES.values(), ids=MODES)
def test_perturbations_are_not_confused(outer, inner):
    """d/dx x * d/dy (x + y) is 1; tags that are confused give 2."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    # d/dx (x * d/dy (x * y * y)) at y = x: d/dx 2 x^3
    assert outer(lambda x: x * inner(lambda y: x * y * y)(x))(2.0) == 24.0


def test_perturbations_of_functions_that_return_functions():
    """Siskind and Pearlmutter's example: the derivative of a curried function."""

    def shift(offset):
        return lambda f: lambda x: f(x + offset)

    def derivative_of_shift(f):
        return lambda x: np.jvp(lambda u: shift(u)(f)(x), (0.0,), (1.0,))[1]

    found = derivative_of_shift(derivative_of_shift(np.exp))(1.0)
    assert found == pytest.approx(math.e, rel=1e-15)


def test_closures_over_outer_traced_values():
    def f(x):
        y = np.sin(x)
        inner = np.grad(lambda z: z * z * y)(x)  # 2 x sin x
        return inner * np.stop_gradient(y) + y

    x = 0.8
    wanted = 2 * (math.sin(x) + x * math.cos(x)) * math.sin(x) + math.cos(x)
    assert np.grad(f)(x) == pytest.approx(wanted, rel=1e-14)


def test_an_inner_derivative_that_does_not_depend_on_the_outer_variable():
    assert np.grad(lambda x: x * np.grad(np.sin)(0.0))(3.0) == 1.0
    assert np.grad(lambda x: np.grad(lambda y: y * y)(2.0))(3.0) == 0.0


# --- arguments -----------------------------------------------------------------------------------


def polynomial(x, y, scale=1.0, *, power=2):
    return scale * x**power * y


@pytest.mark.parametrize(
    ("argnums", "wanted"),
    [
        (0, 60.0),
        (1, 45.0),
        (-2, 45.0),
        (2, 18.0),
        ("x", 60.0),
        ("scale", 18.0),
        ((0, 1), (60.0, 45.0)),
        ((1, "x"), (45.0, 60.0)),
        (["y"], (45.0,)),
    ],
)
def test_argnums(argnums, wanted):
    found = np.grad(polynomial, argnums)(3.0, 2.0, 5.0)
    assert found == wanted
    value, gradient = np.value_and_grad(polynomial, argnums)(3.0, 2.0, 5.0)
    assert (value, gradient) == (90.0, wanted)


def test_argnums_by_the_name_of_a_keyword():
    assert np.grad(polynomial, "scale")(3.0, 2.0, scale=5.0) == 18.0
    assert np.grad(polynomial, ("y", "scale"))(3.0, y=2.0, scale=5.0) == (45.0, 18.0)
    assert np.grad(polynomial, "y")(3.0, y=2.0, power=3) == 27.0


def test_has_aux():
    def f(x):
        return np.sum(x * x), {"doubled": 2 * x, "name": "aux", "none": None}

    x = numpy.array([1.0, 2.0])
    gradient, aux = np.grad(f, has_aux=True)(x)
    numpy.testing.assert_array_equal(gradient, 2 * x)
    numpy.testing.assert_array_equal(aux["doubled"], 2 * x)
    assert type(aux["doubled"]) is numpy.ndarray
    assert (aux["name"], aux["none"]) == ("aux", None)
    (value, _), gradient = np.value_and_grad(f, has_aux=True)(x)
    assert value == 5.0
    out, pull, aux = np.vjp(f, x, has_aux=True)
    assert out == 5.0
    numpy.testing.assert_array_equal(pull(1.0)[0], 2 * x)
    *_, aux = np.jvp(f, (x,), (x,), has_aux=True)
    assert type(aux["doubled"]) is numpy.ndarray
    # The aux result carries derivatives of an outer transformation.
    assert np.grad(lambda x: np.grad(lambda y: (y * x, x * x), has_aux=True)(x)[1])(3.0) == 6.0


def test_holomorphic_and_complex_conventions():
    z = 0.5 + 0.2j
    found = np.grad(np.sin, holomorphic=True)(z)
    assert found == pytest.approx(numpy.cos(z), rel=1e-15)
    # For real f of z = x + iy: df/dx - i df/dy.
    assert np.grad(lambda z: np.real(z) ** 2 + 3 * np.imag(z))(z) == pytest.approx(1.0 - 3.0j)
    assert np.grad(lambda z: np.abs(z) ** 2)(z) == pytest.approx(2 * numpy.conj(z))


def test_results_are_arrays_of_their_own():
    """Writing into a gradient changes neither the arguments nor another result."""
    x = numpy.ones(3)
    a, b = np.grad(lambda x, y: np.sum(x + y), (0, 1))(x, x)
    a += 1.0
    numpy.testing.assert_array_equal(b, numpy.ones(3))
    numpy.testing.assert_array_equal(x, numpy.ones(3))
    _, pull = np.vjp(lambda x: x, x)
    ct = numpy.ones(3)
    pull(ct)[0][0] = 5.0
    numpy.testing.assert_array_equal(ct, numpy.ones(3))


@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float64, numpy.complex64])
def test_gradients_have_the_dtype_of_their_argument(dtype):
    x = numpy.ones(2, dtype)
    assert np.grad(lambda x: np.sum(np.real(x * 2.0)))(x).dtype == dtype
    assert np.grad(lambda x: numpy.float64(1) * np.sum(np.abs(x)))(x).dtype == dtype


def test_a_gradient_that_nothing_depends_on_is_zero():
    x = numpy.ones((2, 3), numpy.float32)
    for fun in (
        lambda x: 1.0,
        lambda x: np.stop_gradient(np.sum(x)),
        lambda x: np.sum(x > 0) * 1.0,
    ):
        found = np.grad(fun)(x)
        numpy.testing.assert_array_equal(found, numpy.zeros((2, 3), numpy.float32), strict=True)


# --- trees ---------------------------------------------------------------------------------------

Layer = collections.namedtuple("Layer", "w b")


@optree.dataclasses.dataclass(namespace="xnp")
class Model:
    layers: list
    scale: float


def predict(model, x):
    for layer in model.layers:
        x = np.tanh(x @ layer.w + layer.b)
    return model.scale * x


def test_trees_of_named_tuples_dataclasses_and_none():
    model = Model([Layer(numpy.eye(2), numpy.zeros(2)), Layer(numpy.ones((2, 1)), None)], 2.0)
    model.layers[1] = Layer(numpy.ones((2, 1)), numpy.zeros(1))
    x = numpy.array([[0.1, 0.2], [0.3, -0.4]])
    gradient = np.grad(lambda model: np.sum(predict(model, x) ** 2))(model)
    assert type(gradient) is Model
    assert type(gradient.layers[0]) is Layer
    assert gradient.layers[1].w.shape == (2, 1)
    assert numpy.ndim(gradient.scale) == 0
    plain = predict(model, x)
    assert gradient.scale == pytest.approx(2 * numpy.sum(plain**2) / model.scale, rel=1e-13)


def test_none_is_an_empty_tree():
    gradient = np.grad(lambda p: p["w"] ** 2 if p["bias"] is None else 0.0)(
        {"w": 3.0, "bias": None}
    )
    assert gradient == {"w": 6.0, "bias": None}


def test_results_may_be_trees():
    out, out_dot = np.jvp(lambda x: {"a": (x, [2 * x])}, (1.0,), (3.0,))
    assert out == {"a": (1.0, [2.0])}
    assert out_dot == {"a": (3.0, [6.0])}
    _, pull = np.vjp(lambda x: {"a": (x, [2 * x])}, 1.0)
    assert pull({"a": (1.0, [1.0])}) == (3.0,)
    jacobian = np.jacobian(lambda p: {"s": p["x"] * p["y"]})({"x": 2.0, "y": 3.0})
    assert jacobian == {"s": {"x": 3.0, "y": 2.0}}


def test_a_dataclass_that_is_not_registered_is_named():
    @dataclasses.dataclass
    class Point:
        x: float

    with pytest.raises(DifferentiationError, match="Point"):
        np.grad(lambda p: p.x)(Point(1.0))


# --- control flow, state -------------------------------------------------------------------------


def test_loops_branches_and_recursion():
    def power(x, n):
        return 1.0 if n == 0 else x * power(x, n - 1)

    assert np.grad(lambda x: power(x, 5))(2.0) == 80.0

    def newton(a):
        x = a
        while abs(x * x - a) > 1e-15 * a:
            x = 0.5 * (x + a / x)
        return x

    assert np.grad(newton)(2.0) == pytest.approx(0.5 / math.sqrt(2.0), rel=1e-12)
    assert np.grad(lambda x: x * x if x > 0 else -x)(-3.0) == -1.0

    def fibonacci(x, n):
        return x if n < 2 else fibonacci(x, n - 1) + fibonacci(x, n - 2)

    assert np.grad(lambda x: fibonacci(x, 10))(1.0) == 89.0


def test_generators_are_traced_where_they_are_run():
    def terms(x):
        term = 1.0
        for n in itertools.count(1):
            yield term
            term = term * x / n

    def exp(x):
        return sum(itertools.islice(terms(x), 25))

    assert np.grad(np.grad(exp))(0.5) == pytest.approx(math.exp(0.5), rel=1e-14)


def test_two_generators_of_different_transformations_interleave():
    def tape(x):
        yield np.sin(x)

    def f(x):
        outer = tape(x)
        inner = np.grad(lambda y: next(tape(y)))(x)
        return next(outer) * inner

    x = 0.4
    assert np.grad(f)(x) == pytest.approx(math.cos(2 * x), rel=1e-14)


@pytest.mark.parametrize("transform", [np.grad, forward, reverse, batched, np.jacfwd, np.jacrev])
def test_an_exception_leaves_no_state_behind(transform):
    class Stop(Exception):
        pass

    def fail(x):
        np.sin(x)
        raise Stop

    for _ in range(3):
        with pytest.raises(Stop):
            transform(fail)(1.0)
        with pytest.raises(Stop):
            np.grad(lambda x: x * transform(fail)(x))(1.0)
        assert type(np.zeros(2)) is numpy.ndarray
    assert np.grad(np.sin)(0.0) == 1.0


def test_an_exception_that_is_caught_inside():
    def f(x):
        try:
            np.grad(lambda y: np.linalg.no_such_function(y) + y)(x)
        except AttributeError:
            return x * x
        return x

    assert np.grad(f)(3.0) == 6.0


@pytest.mark.parametrize("transform", [np.grad, forward, batched])
def test_leaked_values_raise(transform):
    kept = []

    def f(x):
        kept.append(np.sin(x))
        return x * x

    transform(f)(1.0)
    with pytest.raises(LeakedTracerError, match="has_aux"):
        kept[0] + 1.0
    with pytest.raises(LeakedTracerError):
        np.grad(lambda x: x * kept[0])(1.0)


def test_a_pull_may_be_called_again_and_differentiated():
    _, pull = np.vjp(lambda x: x * x, 3.0)
    assert pull(1.0) == pull(1.0) == (6.0,)
    assert np.grad(lambda ct: pull(ct)[0] ** 2)(1.0) == 72.0
    numpy.testing.assert_array_equal(np.vmap(pull)(numpy.arange(3.0))[0], [0.0, 6.0, 12.0])


def test_jacobians_agree():
    x = numpy.array([0.3, -0.2, 0.9])

    def f(x):
        return np.array([x[0] * x[1], np.sin(x[2]), x[0] * x[2] ** 2, 1.0])

    wanted = numpy.array(
        [[x[1], x[0], 0], [0, 0, math.cos(x[2])], [x[2] ** 2, 0, 2 * x[0] * x[2]], [0, 0, 0]]
    )
    for jacobian in (np.jacfwd, np.jacrev, np.jacobian):
        numpy.testing.assert_allclose(jacobian(f)(x), wanted, rtol=1e-14)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_hessian_by_every_pair_of_modes():
    x = numpy.linspace(-1.0, 1.0, 5)
    wanted = numpy.zeros((5, 5))
    for i in range(4):
        wanted[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        wanted[i, i + 1] = wanted[i + 1, i] = -400 * x[i]
        wanted[i + 1, i + 1] += 200
    pairs = itertools.product((np.jacfwd, np.jacrev), repeat=2)
    for found in (np.hessian(rosenbrock)(x), *(a(b(rosenbrock))(x) for a, b in pairs)):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-10)
    v = numpy.arange(5.0)
    numpy.testing.assert_allclose(np.hvp(rosenbrock, (x,), (v,)), wanted @ v, rtol=1e-12)
