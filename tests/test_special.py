"""scipy.special on traced arrays: precision where the obvious formula loses it, and errors."""

import numpy
import pytest
from scipy import special

import xnp as np


@pytest.mark.parametrize(
    ("f", "x", "wanted"),
    [
        (special.expit, 40.0, 4.248354255291589e-18),
        (special.expit, -40.0, 4.248354255291589e-18),
        (special.log_ndtr, -1e4, 1e4 + 1e-4 - 2e-12),  # -x - 1/x + 2/x^3
        (special.log_ndtr, 30.0, 1.4736461348785476e-196),
        (special.j1, 0.0, 0.5),
        (special.i1, 0.0, 0.5),
        (np.i0, 0.0, 0.0),
    ],
)
def test_slope_keeps_its_digits(f, x, wanted):
    numpy.testing.assert_allclose(np.grad(f)(x), wanted, rtol=1e-13)


def test_psi_to_any_order():
    third = np.grad(np.grad(np.grad(special.psi)))
    numpy.testing.assert_allclose(third(1.3), special.polygamma(3, 1.3), rtol=1e-13)
    numpy.testing.assert_allclose(np.grad(special.psi)(-0.7), special.polygamma(1, -0.7))


def test_entropy_of_nothing():
    p = numpy.array([0.0, 0.25, 0.75])
    found = np.grad(lambda w: np.sum(special.xlogy(w * p, w * p)))(1.0)
    numpy.testing.assert_allclose(found, numpy.sum(special.xlogy(p, p)) + 1.0)


def test_derivative_by_an_order_says_so():
    with pytest.raises(np.UnsupportedError, match=r"jv has no rule .* respect to v"):
        np.grad(special.jv)(1.5, 2.0)


def test_function_without_a_rule_says_so():
    with pytest.raises(np.UnsupportedError, match="erfcx does not work on traced arrays"):
        np.grad(special.erfcx)(1.0)


@pytest.mark.parametrize(("x", "slope"), [(0.0, 1.0), (-1.0, -1.0), (-2.0, 2.0), (-5.0, -120.0)])
def test_rgamma_has_a_slope_where_gamma_has_a_pole(x, slope):
    assert np.grad(special.rgamma)(x) == pytest.approx(slope, rel=1e-14)
    assert numpy.isfinite(np.grad(np.grad(special.rgamma))(x))


@pytest.mark.parametrize("x", [-3.0, -30.0, -1e3, -1e5])
def test_curvature_of_log_ndtr_far_to_the_left(x):
    """With u = 1/x^2 it is -1 + u - 6 u^2 + 50 u^3 - ...; the nearer values are mpmath's."""
    near = {-3.0: -0.92944081321473188, -30.0: -0.99889622848810991}
    wanted = near.get(x, -1.0 + x**-2.0 - 6.0 * x**-4.0)
    assert np.grad(np.grad(special.log_ndtr))(x) == pytest.approx(wanted, rel=4e-15)


def test_third_derivative_of_log_ndtr_far_to_the_left():
    third = np.derivative(special.log_ndtr, 3)(-1e3)
    assert third == pytest.approx(1.9999760003e-9, rel=1e-9)


def test_second_derivative_of_complex_loggamma_says_why_not():
    first = np.grad(special.loggamma, holomorphic=True)
    assert first(1 + 1j) == pytest.approx(special.psi(1 + 1j))
    with pytest.raises(np.UnsupportedError, match=r"psi has no rule .* at complex numbers"):
        np.grad(first, holomorphic=True)(1 + 1j)
