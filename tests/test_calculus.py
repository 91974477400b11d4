"""Awkward points of numerical calculus and polynomials, and their errors."""

import numpy
import pytest
from op_row import C, R

import xnp as np


def inside(function, *args):
    return np.vjp(function, *args)[0]


# Differences and gradients


def test_equal_traced_coordinates_keep_their_own_derivatives():
    """NumPy takes one spacing for all if they are equal; the derivatives must not follow it."""
    f, x = R(5), numpy.arange(5.0)
    jacobian = np.jacobian(np.gradient, argnums=1)(f, x)
    h = 1e-6
    for j, direction in enumerate(numpy.eye(5)):
        ahead, behind = (numpy.gradient(f, x + s * direction) for s in (h, -h))
        numpy.testing.assert_allclose(jacobian[:, j], (ahead - behind) / (2 * h), atol=1e-8)


def test_tiny_uniform_spacing_does_not_underflow():
    value = inside(lambda f: np.gradient(f, 1e-200, edge_order=2) * 1e-200, R(5))
    numpy.testing.assert_allclose(value, numpy.gradient(R(5), edge_order=2), rtol=1e-12)


def test_diff_of_order_zero_is_the_array_itself():
    def check(x):
        assert np.diff(x, 0) is x
        return np.sum(x)

    np.grad(check)(R(3))


BAD = {
    "diff order": (lambda x: np.diff(x, -1), ValueError, "order must be non-negative"),
    "diff 0-d": (lambda x: np.diff(x[0]), ValueError, "at least one dimensional"),
    "diff axis": (lambda x: np.diff(x, axis=1), numpy.exceptions.AxisError, "out of bounds"),
    "ediff1d": (lambda x: np.ediff1d(x, to_end=1j), TypeError, "`to_end` must be compatible"),
    "gradient size": (lambda x: np.gradient(x[:1]), ValueError, "too small"),
    "gradient spacings": (lambda x: np.gradient(x, 1.0, 2.0), TypeError, "got 2 spacings"),
    "gradient length": (lambda x: np.gradient(x, [1.0, 2.0]), ValueError, "must match"),
    "gradient 2-d": (lambda x: np.gradient(x, [[1.0]]), ValueError, "scalars or 1d"),
    "gradient edge": (lambda x: np.gradient(x, edge_order=3), ValueError, "greater than 2"),
    "interp lengths": (lambda x: np.interp(x, [1, 2], [1, 2, 3]), ValueError, "same length"),
    "interp empty": (lambda x: np.interp(x, [], []), ValueError, "empty"),
    "interp 2-d": (lambda x: np.interp(x, [[1, 2]], [1, 2]), ValueError, "1-D"),
    "interp period": (lambda x: np.interp(x, [1, 2], [1, 2], period=0), ValueError, "non-zero"),
    "interp complex": (lambda x: np.interp(x * 1j, [1, 2], [1, 2]), TypeError, "(?i)real|cast"),
    "poly": (lambda x: np.poly(np.stack([x, x])), ValueError, "square 2d"),
    "roots": (lambda x: np.roots(np.stack([x, x])), ValueError, "rank-1"),
    "polyder": (lambda x: np.polyder(x, -1), ValueError, "polyint"),
    "polyint": (lambda x: np.polyint(x, 3, [1.0, 2.0]), ValueError, "length 1 or >m"),
    "polyfit degree": (lambda x: np.polyfit(x, x, -1), ValueError, "expected deg >= 0"),
    "polyfit length": (lambda x: np.polyfit(x, x[:-1], 1), TypeError, "same length"),
    "polyfit weights": (lambda x: np.polyfit(x, x, 1, w=x[:-1]), TypeError, "same length"),
}


@pytest.mark.parametrize(("call", "error", "text"), BAD.values(), ids=BAD)
def test_errors(call, error, text):
    """The class is NumPy's; the text says the same, and often what came."""
    with pytest.raises(error, match=text):
        inside(call, R(4))
    if text not in ("got 2 spacings",):
        with pytest.raises(error):
            call(R(4))


# Interpolation

XP, FP = numpy.array([0.0, 1.0, 3.0]), numpy.array([5.0, 7.0, 3.0])


@pytest.mark.parametrize(
    ("x", "slope"), [(0.0, 2.0), (0.5, 2.0), (1.0, -2.0), (3.0, -2.0), (-1.0, 0.0), (9.0, 0.0)]
)
def test_slope_of_interp(x, slope):
    """At a knot that of the interval on its right; at the last, of the one on its left."""
    assert np.grad(np.interp)(x, XP, FP) == slope


@pytest.mark.parametrize(
    ("xp", "fp"),
    [
        (XP, [5.0, numpy.inf, 3.0]),
        (XP, [numpy.inf, numpy.inf, 3.0]),
        (XP, [5.0, numpy.nan, 3.0]),
        (XP, [-numpy.inf, 1.0, numpy.inf]),
        ([0.0, 1.0, 1.0], FP),  # steps
        ([0.0, 0.0, 1.0], FP),
        ([0.0, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0]),
        ([1.0], [2.0]),
    ],
)
def test_values_of_interp_are_numpys(xp, fp):
    x = numpy.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, numpy.nan, numpy.inf, -numpy.inf])
    found = inside(lambda x: np.interp(x, xp, fp), x)
    numpy.testing.assert_array_equal(found, numpy.interp(x, xp, fp))


def test_interp_beyond_the_ends_depends_on_the_last_values():
    g = np.grad(lambda fp: np.sum(np.interp(numpy.array([-2.0, 9.0, 9.5]), XP, fp)))(FP)
    numpy.testing.assert_array_equal(g, [1.0, 0.0, 2.0])


def test_knots_can_differ_between_the_examples_of_a_batch():
    knots = numpy.stack([XP, XP + 0.4, XP * 2])
    x = R(3, 4) + 1
    found = np.vmap(np.interp, (0, 0, None))(x, knots, FP)
    numpy.testing.assert_allclose(
        found, [numpy.interp(*pair, FP) for pair in zip(x, knots, strict=True)], rtol=1e-14
    )


# Polynomials


def test_derivative_of_the_roots_is_implicit():
    """x^2 + b x + c: dr/dc = -1/(2 r + b), exact also next to a vanishing leading coefficient."""
    jacobian = np.jacobian(np.roots)(numpy.array([1.0, -3.0, 2.0]))
    numpy.testing.assert_allclose(jacobian[0], [-4.0, -2.0, -1.0], rtol=1e-12)
    numpy.testing.assert_allclose(jacobian[1], [1.0, 1.0, 1.0], rtol=1e-12)


def test_zero_coefficients_move_the_roots_too():
    """NumPy strips leading and trailing zeros before it looks for roots; derivatives stay."""
    jacobian = np.jacobian(np.roots)(numpy.array([0.0, 1.0, -2.0, 0.0]))
    numpy.testing.assert_allclose(jacobian[0], [-4.0, -2.0, -1.0, -0.5], rtol=1e-12)
    numpy.testing.assert_allclose(jacobian[1], [0.0, 0.0, 0.0, 0.5], rtol=1e-12)


def test_a_multiple_root_does_not_spoil_the_others():
    p = numpy.array([1.0, -5.0, 0.0, 0.0])  # 5, and 0 twice
    assert list(np.roots(p)) == [5, 0, 0]
    found = np.grad(lambda p: np.roots(p)[0])(p)
    numpy.testing.assert_allclose(found, [-5, -1, -1 / 5, -1 / 25], rtol=1e-14)
    with numpy.errstate(divide="ignore"):
        assert np.grad(lambda p: np.roots(p)[1])(numpy.array([1.0, -2.0, 1.0]))[2] == -numpy.inf


def test_huge_and_tiny_roots():
    coefficients = numpy.poly([1e200, 1e-100])
    if not numpy.allclose(numpy.roots(coefficients), [1e200, 1e-100], atol=0):
        pytest.skip("this NumPy's own roots are wrong (2.3, with the eigenvalues of its OpenBLAS)")
    jacobian = np.jacobian(np.roots)(coefficients)
    numpy.testing.assert_allclose(jacobian[:, 1], [-1.0, 1e-300], rtol=1e-10)


def test_roots_of_a_batch_in_which_some_are_complex():
    p = numpy.array([[1.0, -3.0, 2.0], [1.0, 0.0, 1.0]])
    found = np.vmap(np.roots)(p)
    numpy.testing.assert_allclose(found, [numpy.roots(row) for row in p])
    with pytest.raises(np.BatchingError, match=r"np\.roots finds 1 to 2 roots"):
        np.vmap(np.roots)(numpy.array([[1.0, -3.0, 2.0], [0.0, 2.0, 1.0]]))


def test_polymul_refuses_to_lose_a_derivative():
    """d/dp0 of sum(p q) is sum(q), also at p0 = 0, where NumPy drops the coefficient."""
    p, q = numpy.array([0.0, 2.0]), numpy.array([3.0, 1.0])
    with pytest.raises(np.UnsupportedError, match=r"a1 is f64\[2\] with 1 leading zero .*convolve"):
        np.grad(lambda p: np.sum(np.polymul(p, q)))(p)
    gradient = np.grad(lambda p: np.sum(np.convolve(p, q)))(p)
    numpy.testing.assert_array_equal(gradient, [4.0, 4.0])
    batch = np.vmap(lambda p: np.polymul(p, q))(numpy.stack([p, p]))
    numpy.testing.assert_array_equal(batch[0], numpy.polymul(p, q))


@pytest.mark.parametrize("u", [[2.0, 5.0, 3.0], [1.0, 3.0, 2.0], [4.0], [1.0, 0.0, 0.0, 0.0]])
def test_polydiv_trims_the_remainder_as_numpy_does(u):
    u, v = numpy.array(u), numpy.array([1.0, 1.0])
    for found, wanted in zip(inside(np.polydiv, u, v), numpy.polydiv(u, v), strict=True):
        numpy.testing.assert_allclose(found, wanted, atol=1e-15)
        assert found.shape == wanted.shape


def test_poly1d_of_traced_coefficients():
    def f(c):
        p = np.poly1d(c)
        assert isinstance(p, numpy.poly1d)
        assert p.order == 2
        return (p.deriv() * p + p.integ(k=1.0) - p**2)(0.5) + p[0] + p.coeffs[1]

    c = np.array([1.0, 2.0, 3.0])
    numpy.testing.assert_allclose(inside(f, c), f(c), rtol=1e-14)
    h = 1e-6
    differences = [(f(c + h * e) - f(c - h * e)) / (2 * h) for e in numpy.eye(3)]
    numpy.testing.assert_allclose(np.grad(f)(c), differences, rtol=1e-8)


def test_polynomial_functions_keep_poly1d():
    p = numpy.poly1d([1.0, 2.0])

    def f(c):
        results = [np.polyadd(p, c), np.polysub(c, p), np.polymul(p, c), *np.polydiv(c, p)]
        assert all(isinstance(result, numpy.poly1d) for result in results)
        return np.sum(np.concatenate([result.coeffs for result in results]))

    c = numpy.array([3.0, 1.0, 2.0])
    numpy.testing.assert_allclose(inside(f, c), f(c))


def test_polyfit_warns_where_numpy_does():
    x = numpy.ones(4)
    with pytest.warns(numpy.exceptions.RankWarning, match="poorly conditioned"):
        inside(lambda y: np.polyfit(x, y, 2), R(4))


def test_polyfit_recovers_a_polynomial_and_its_dependence_on_the_data():
    x = numpy.linspace(-1, 1, 7)
    weights = np.jacobian(lambda y: np.polyfit(x, y, 3))(R(7))
    numpy.testing.assert_allclose(weights @ (2 * x**3 - x + 4), [2.0, 0.0, -1.0, 4.0], atol=1e-12)


# Windows


def test_windows_are_numpys_outside_of_transformations():
    for name in ("bartlett", "blackman", "hamming", "hanning"):
        for count in (0, 1, 2, 7):
            found, wanted = getattr(np, name)(count), getattr(numpy, name)(count)
            assert type(found) is numpy.ndarray
            numpy.testing.assert_array_equal(found, wanted)
    numpy.testing.assert_array_equal(np.kaiser(5, 3.0), numpy.kaiser(5, 3.0))


def test_windows_are_writable_arrays_inside():
    def f(x):
        w = np.hanning(5)
        w[0] = x
        return np.sum(w * w)

    assert np.grad(f)(3.0) == 6.0


def test_slope_of_the_kaiser_window():
    h = 1e-5
    differences = (numpy.kaiser(9, 4 + h) - numpy.kaiser(9, 4 - h)) / (2 * h)
    slope = np.jacobian(lambda b: np.kaiser(9, b))(4.0)
    numpy.testing.assert_allclose(slope, differences, atol=1e-9)
    with pytest.raises(ValueError, match="beta must be a scalar, got shape"):
        np.grad(lambda b: np.sum(np.kaiser(9, b)))(R(2))


def test_complex_trapezoid_and_interp():
    """Complex fp: its derivative is real weights."""
    g = np.grad(lambda fp: np.real(np.interp(0.25, XP, fp)))(C(3))
    numpy.testing.assert_allclose(g, [0.75, 0.25, 0.0])
