"""Gradients of loops that read and write elements: what they are, and that no iteration of them
makes, copies or goes through the whole array.
"""

import numpy
import pytest

import xnp as np
from xnp.autodiff.program import Program, regions
from xnp.codegen.affine import INDEX_OPERATIONS
from xnp.codegen.reuse import reusable

SIZE = 24
ORDER = numpy.random.default_rng(5).permutation(SIZE)


def relaxation(x):
    def body(i, u):
        u[i] = 0.5 * (u[i - 1] + u[i + 1]) + 0.1 * u[i]
        return u

    return np.fori_loop(1, x.shape[0] - 1, body, x * 1.0)


def closed_over(x):
    return np.fori_loop(1, x.shape[0], lambda i, s: s + np.sin(x[i]) * s * x[i - 1], 1.0)


def several_places(x):
    return np.fori_loop(1, x.shape[0] - 1, lambda i, s: s + x[i] * x[i - 1] * x[i + 1], 0.0)


def slices(x):
    def body(i, u):
        u[i : i + 3] = u[i : i + 3] * 0.5 + np.sum(u[i : i + 3]) * 0.1
        return u

    return np.fori_loop(0, x.shape[0] - 3, body, x * 1.0)


def two_arrays(x):
    def body(i, state):
        u, v = state
        u[i] = u[i - 1] * 0.3 + v[i]
        v[i] = np.sin(u[i]) + v[i - 1]
        return u, v

    u, v = np.fori_loop(1, x.shape[0], body, (x * 1.0, x * 0.5))
    return u + v


def rows(x):
    def body(i, u):
        u[i] = u[i - 1] * 0.5 + np.tanh(u[i])
        return u

    return np.fori_loop(1, x.shape[0] // 4, body, np.reshape(x, (-1, 4)) * 1.0)


def columns(x):
    def body(i, u):
        u[:, i] = u[:, i - 1] * 0.5 + np.tanh(u[:, i])
        return u

    return np.fori_loop(1, x.shape[0] // 4, body, np.reshape(x, (4, -1)) * 1.0)


def middle_axis(x):
    def body(i, u):
        u[:, i, ::2] += u[:, i - 1, ::2] * u[:, i, 1::2]
        return u

    return np.fori_loop(1, 3, body, np.reshape(x, (2, 3, -1)) * 1.0)


def last_axes(x):
    def body(i, u):
        u[:, i % 3, i] = u[:, i % 3, i - 1] * 0.7
        return u

    return np.fori_loop(1, 4, body, np.reshape(x, (2, 3, -1)) * 1.0)


def branch(x):
    def put(u, i, value):
        u[i] = value
        return u

    def body(i, u):
        return np.cond(
            u[i] > 0.5,
            lambda u: put(u, i, u[i] * 0.5 + u[i - 1]),
            lambda u: put(u, i, u[i - 1] * 0.1),
            u,
        )

    return np.fori_loop(1, x.shape[0], body, x * 1.0)


def chosen(x):
    def body(i, s):
        return np.cond(s > 0, lambda s: s - x[i], lambda s: s + x[i] ** 2, s)

    return np.fori_loop(0, x.shape[0], body, 0.1)


def inner_sums(x):
    def body(i, s):
        return np.fori_loop(1, 4, lambda j, s: s + a[i, j] * a[i, j - 1] * np.sin(s), s)

    a = np.reshape(x, (-1, 4))
    return np.fori_loop(0, a.shape[0], body, 1.0)


def nested(x):
    def body(i, u):
        def inner(j, u):
            u[i, j] = 0.25 * (u[i - 1, j] + u[i, j - 1] + u[i, j])
            return u

        return np.fori_loop(1, 4, inner, u)

    return np.fori_loop(1, x.shape[0] // 4, body, np.reshape(x, (-1, 4)) * 1.0)


def scanned(x):
    def step(state, v):
        u, k = state
        u[k] = v * u[k - 1]
        return (u, k + 1), u[k]

    (u, _), ys = np.scan(step, (x * 1.0, 1), x[1:])
    return u[1:] + ys


def permuted(x):
    order = np.array(ORDER)

    def body(i, u):
        u[order[i]] = u[order[i]] * 0.5 + u[i]
        return u

    return np.fori_loop(0, SIZE, body, x[:SIZE] * 1.0)


def swapped(x):
    def body(i, u):
        before = u[i] * 1.0
        u[i] = u[i - 1]
        u[i - 1] = before * 2
        return u

    return np.fori_loop(1, x.shape[0], body, x * 1.0)


def swapped_with_the_first(x):
    def body(i, u):
        first = u[0]
        u[0] = u[i]
        u[i] = first * u[-1]
        return u

    return np.fori_loop(1, x.shape[0] - 1, body, x * 1.0)


def swapped_rows(x):
    def body(i, u):
        first = u[0].copy()
        u[0] = u[i]
        u[i] = first
        return u

    return np.fori_loop(1, x.shape[0] // 4, body, np.reshape(x, (-1, 4)) * 1.0)


def first_elements(x):
    def body(i, u):
        u[i] = u[i] * u[0] + u[1]
        return u

    return np.fori_loop(2, x.shape[0], body, x * 1.0)


def added(x):
    def body(i, out):
        out[i] += x[i] * 2
        out[i - 1] -= x[i] ** 2
        return out

    return np.fori_loop(0, x.shape[0], body, np.zeros(x.shape[0]))


def repeated(x):
    def body(i, out):
        out[np.array([i, i, i - 1])] = x[np.array([i, i - 1, i])] * 2
        return out

    return np.fori_loop(0, x.shape[0], body, x * 1.0)


def maxima(x):
    out = np.zeros(5)
    np.maximum.at(out, np.array(ORDER % 5) + 0 * np.argmax(x), x[:SIZE])
    return out


LOOPS = [
    relaxation, closed_over, several_places, slices, two_arrays, rows, columns, middle_axis,
    last_axes, branch, chosen, inner_sums, nested, scanned, permuted, swapped,
    swapped_with_the_first, swapped_rows, first_elements, added, maxima,
]  # fmt: skip


def loss(f):
    return lambda x: np.sum(f(x) ** 2)


@pytest.mark.parametrize("f", [*LOOPS, repeated])
def test_gradients_are_those_of_plain_python(f):
    for n in (SIZE, 2 * SIZE, 3 * SIZE):
        x = numpy.random.default_rng(n).uniform(0.2, 1, n)
        wanted = np.grad(loss(f))(x)
        for g in (np.jit(np.grad(loss(f))), np.grad(np.jit(loss(f)))):
            numpy.testing.assert_allclose(g(x), wanted, rtol=1e-10, atol=1e-13)
    x_dot = numpy.random.default_rng(1).normal(size=SIZE)
    x = numpy.random.default_rng(2).uniform(0.2, 1, SIZE)
    step = 1e-6 * x_dot
    change = (loss(f)(x + step) - loss(f)(x - step)) / 2e-6
    assert np.grad(loss(f))(x) @ x_dot == pytest.approx(change, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("f", LOOPS)
def test_gradients_of_gradients_and_batches(f):
    x = numpy.random.default_rng(0).uniform(0.2, 1, (2, SIZE))
    direction = numpy.random.default_rng(1).normal(size=SIZE)
    grad = np.grad(loss(f))
    product = np.grad(lambda x: grad(x) @ direction)
    wanted = [product(row) for row in x]
    numpy.testing.assert_allclose(np.jit(product)(x[0]), wanted[0], rtol=1e-9, atol=1e-12)
    found = np.jit(np.vmap(product))(x)
    numpy.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("f", [f for f in LOOPS if f is not middle_axis])
def test_an_iteration_makes_no_whole_array(f):
    x = numpy.random.default_rng(0).uniform(0.2, 1, 50 * SIZE)
    for g in (f, np.grad(loss(f))):
        program = np.jit(g).inspect(x).optimized
        assert not list(whole_arrays(program, 50 * SIZE // 24))


def test_examples_that_choose_differently_do_not_swap_whole_arrays():
    x = numpy.random.default_rng(0).uniform(0.2, 1, (3, 50 * SIZE))
    program = np.jit(np.vmap(chosen)).inspect(x).optimized
    assert not list(whole_arrays(program, 50 * SIZE // 24))


def whole_arrays(program: Program, least: int, inside: bool = False):
    """The equations of loops that make arrays of at least so many elements, not in place."""
    in_place = reusable(program, set(program.parameters))
    for equation in program.equations:
        name, inner = equation.primitive.name, list(regions(equation))
        makes = not inner and name not in INDEX_OPERATIONS and equation not in in_place
        if inside and makes and any(numpy.prod(v.aval.shape) >= least for v in equation.results):
            yield equation
        for region in inner:
            yield from whole_arrays(region, least, True)
