"""Fourier transforms: the laws they obey, and NumPy's arguments and errors."""

import numpy
import pytest
from op_row import C, R

import xnp as np

NAMES = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")


def inside(function, *args):
    """The function's result where its arguments are traced."""
    return np.vjp(function, *args)[0]


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [1, 4, 5])
def test_inverse_pairs_give_the_identity_matrix(norm, n):
    def there_and_back(x):
        return np.fft.irfft(np.fft.rfft(x, norm=norm), n, norm=norm)

    numpy.testing.assert_allclose(np.jacrev(there_and_back)(R(n)), numpy.eye(n), atol=1e-14)
    numpy.testing.assert_allclose(np.jacfwd(there_and_back)(R(n)), numpy.eye(n), atol=1e-14)


def test_gradient_of_the_energy_is_parsevals():
    """Sum |fft(x)|^2 = n sum |x|^2, so its gradient is 2 n conj(x)."""
    x = C(6)
    gradient = np.grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(x)
    numpy.testing.assert_allclose(gradient, 12 * x.conj(), rtol=1e-13)


def test_the_same_energy_from_the_half_spectrum():
    """By rfft, the inner coefficients count twice; the gradient is real."""
    weights = numpy.array([1, 2, 2, 1])
    gradient = np.grad(lambda x: np.sum(weights * np.abs(np.fft.rfft(x)) ** 2))(R(6))
    numpy.testing.assert_allclose(gradient, 12 * R(6), rtol=1e-13)
    assert gradient.dtype == float


def test_derivative_through_a_convolution_by_fft():
    """d/da of the circular convolution a * b is the circulant matrix of b."""
    b = R(5, seed=1)
    jacobian = np.jacobian(lambda a: np.fft.ifft(np.fft.fft(a) * np.fft.fft(b)).real)(R(5))
    wanted = numpy.stack([numpy.roll(b, k) for k in range(5)], axis=1)
    numpy.testing.assert_allclose(jacobian, wanted, atol=1e-14)


def test_imaginary_parts_that_irfft_ignores_have_no_derivative():
    ct = np.grad(lambda c: np.sum(np.fft.irfft(c, 6) * R(6)))(C(4))
    assert ct[0].imag == 0
    assert ct[-1].imag == 0
    assert numpy.all(ct[1:-1].imag != 0)
    odd = np.grad(lambda c: np.sum(np.fft.irfft(c, 7) * R(7)))(C(4))
    assert odd[-1].imag != 0


@pytest.mark.parametrize("name", NAMES)
def test_out_is_written(name):
    fun = getattr(np.fft, name)
    x = C(5) if name in ("fft", "ifft", "irfft", "hfft") else R(5)

    def writes(x):
        out = np.zeros(fun(numpy.zeros(5)).shape, fun(numpy.zeros(5)).dtype)
        result = fun(x, out=out)
        assert result is out
        return out * 1.0

    numpy.testing.assert_array_equal(inside(writes, x), fun(x))


def test_out_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"out has shape \(3,\), wanted \(5,\)"):
        np.grad(lambda x: np.fft.fft(x, out=np.zeros(3, complex)).real.sum())(R(5))


def test_out_outside_of_the_transformation():
    out = numpy.zeros(5, complex)
    with pytest.raises(np.MutationError, match=r"np\.fft\.fft was to write a traced result"):
        np.grad(lambda x: np.fft.fft(x, out=out).real.sum())(R(5))


CALLS = {
    "no points": lambda x: np.fft.fft(x, n=0),
    "negative points": lambda x: np.fft.rfft(x, n=-2),
    "no points for irfft": lambda x: np.fft.irfft(x[:1]),
    "axis": lambda x: np.fft.fft(x, axis=3),
    "norm": lambda x: np.fft.fft(x, norm="unitary"),
    "norm of hfft": lambda x: np.fft.hfft(x, norm="unitary"),
    "lengths": lambda x: np.fft.fftn(x, s=(2, 3), axes=(0,)),
    "axes": lambda x: np.fft.fftn(x, axes=(0, 4)),
    "no dimensions": lambda x: np.fft.fft(x[0]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_errors_are_numpys(call):
    with pytest.raises((ValueError, IndexError)) as plain:
        call(R(5))
    with pytest.raises((ValueError, IndexError)) as traced:
        inside(call, R(5))
    assert isinstance(traced.value, plain.type)


def test_rfft_of_a_complex_array():
    with pytest.raises(TypeError, match=r"np\.fft\.rfft transforms real arrays, got c128\[5\]"):
        inside(np.fft.rfft, C(5))


def test_the_deprecated_forms_of_s():
    with pytest.warns(DeprecationWarning, match="`axes` should not be `None`"):
        result = inside(lambda x: np.fft.fftn(x, s=(2, 3)), R(4, 5))
    with pytest.warns(DeprecationWarning, match="Deprecated in NumPy 2.0"):
        wanted = numpy.fft.fftn(R(4, 5), s=(2, 3))
    numpy.testing.assert_array_equal(result, wanted)
    with pytest.warns(DeprecationWarning, match="`None` values"):
        inside(lambda x: np.fft.fftn(x, s=(None, 3), axes=(0, 1)), R(4, 5))


@pytest.mark.parametrize("n", [4, 5])
def test_frequencies_and_shifts(n):
    frequencies = np.fft.fftfreq(n, 0.5)
    shifted = inside(np.fft.fftshift, frequencies)
    assert numpy.all(numpy.diff(shifted) > 0)
    numpy.testing.assert_array_equal(inside(np.fft.ifftshift, shifted), frequencies)


def test_spectral_derivative_under_vmap_and_grad():
    """The derivative of a periodic function by multiplication with i k, per example."""
    t = numpy.linspace(0, 2 * numpy.pi, 16, endpoint=False)
    k = numpy.fft.rfftfreq(16, 1 / 16)

    def at_zero(speed):
        return np.fft.irfft(1j * k * np.fft.rfft(np.sin(t + speed)))[0]

    speeds = numpy.array([0.1, 0.5, 2.0])
    numpy.testing.assert_allclose(np.vmap(at_zero)(speeds), numpy.cos(speeds), atol=1e-13)
    numpy.testing.assert_allclose(np.vmap(np.grad(at_zero))(speeds), -numpy.sin(speeds), atol=1e-13)
