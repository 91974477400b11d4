"""Programs with mutation, views and masked branches that derivatives often get wrong."""

import numpy

import xnp as np


def test_a_recurrence_written_in_place():
    def f(x):
        f = np.zeros(6)
        f[0] = x
        for i in range(1, 6):
            f[i] = f[i - 1] * x
        return f[5]

    assert f(2.0) == 64.0
    assert np.grad(f)(2.0) == 6 * 32.0
    assert np.grad(np.grad(f))(2.0) == 30 * 16.0


def test_block_assignment():
    def f(a, b):
        m = np.zeros((4, 4))
        m[:2, :2] = a
        m[2:, 2:] = b
        m[:2, 2:] = a @ b
        return np.sum(m**2)

    a, b = numpy.array([[1.0, 2.0], [3.0, 4.0]]), numpy.array([[0.5, -1.0], [2.0, 0.1]])
    ga, gb = np.grad(f, (0, 1))(a, b)
    numpy.testing.assert_allclose(ga, 2 * a + 2 * (a @ b) @ b.T, rtol=1e-14)
    numpy.testing.assert_allclose(gb, 2 * b + 2 * a.T @ (a @ b), rtol=1e-14)


def test_where_hides_the_branch_that_is_not_taken():
    x = numpy.array([-1.0, 0.0, 4.0])
    with numpy.errstate(invalid="ignore"):
        found = np.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))(x)
        second = np.grad(np.grad(lambda x: np.where(x > 0, np.sqrt(x), 0.0)))(-1.0)
    numpy.testing.assert_array_equal(found, [0.0, 0.0, 0.25])
    assert second == 0.0


def test_transposed_views_in_products():
    w, x = numpy.arange(6.0).reshape(2, 3), numpy.array([1.0, -2.0])
    gw, gx = np.grad(lambda w, x: np.sum(w.T.dot(x) ** 2), (0, 1))(w, x)
    y = w.T @ x
    numpy.testing.assert_allclose(gw, 2 * numpy.outer(x, y))
    numpy.testing.assert_allclose(gx, 2 * w @ y)


def test_a_value_used_before_and_after_a_mutation():
    def f(x):
        y = x * 1.0
        before = np.sum(y**3)
        y[0] = 5.0
        y[1:] *= 2.0
        return before + np.sum(y**2)

    x = numpy.array([1.0, 2.0, 3.0])
    wanted = 3 * x**2 + numpy.array([0.0, 16.0, 24.0])
    numpy.testing.assert_allclose(np.grad(f)(x), wanted)


def test_second_derivatives_through_mutated_arrays():
    def f(x):
        y = np.zeros(3)
        y[:] = x
        y[1] *= y[0]
        y += y[::-1]
        return np.sum(y**2)

    x = numpy.array([0.3, 0.5, -0.7])
    # y = (x0 + x2, 2 x0 x1, x2 + x0)
    wanted = numpy.array(
        [[4 + 8 * x[1] ** 2, 16 * x[0] * x[1], 4], [0, 8 * x[0] ** 2, 0], [4, 0, 4]]
    )
    wanted[1, 0] = wanted[0, 1]
    numpy.testing.assert_allclose(np.hessian(f)(x), wanted, rtol=1e-13)


def test_an_argument_is_not_mutated_for_the_caller():
    x = numpy.ones(3)

    def f(y):
        y[0] = 7.0
        return np.sum(y * y)

    numpy.testing.assert_array_equal(np.grad(f)(x), [0.0, 2.0, 2.0])
    numpy.testing.assert_array_equal(x, numpy.ones(3))


def test_a_scratch_buffer_that_is_overwritten_between_forward_and_backward():
    """Values the backward pass reads are not spoiled by writes to the arrays they came from."""
    buffer = numpy.ones(3)

    def f(x):
        y = x * buffer
        buffer[:] = 100.0
        return np.sum(y)

    numpy.testing.assert_array_equal(np.grad(f)(numpy.ones(3)), numpy.ones(3))
