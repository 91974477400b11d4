"""Operations that native code calls NumPy for."""

import gc
import threading
import weakref

import numpy
import pytest

import xnp
from xnp.runtime.compile import Compiled

RNG = numpy.random.default_rng(5)


def interpolated(x):
    return numpy.fft.fft(x * 2).real + numpy.fft.ifft(x).imag


def test_arguments_that_move():
    f = xnp.jit(interpolated)
    arrays = [RNG.normal(size=12) for _ in range(6)]
    for k in (0, 0, 1, 0, 2, 3, 3, 4, 5, 0):
        numpy.testing.assert_allclose(f(arrays[k]), interpolated(arrays[k]), atol=1e-14)
        arrays[k] = RNG.normal(size=12)


def test_sizes_that_change():
    f = xnp.jit(interpolated)
    for n in (4, 9, 4, 30, 9, 9, 1, 30):
        x = RNG.normal(size=n)
        numpy.testing.assert_allclose(f(x), interpolated(x), atol=1e-14)


def test_arrays_without_elements_and_dimensions():
    f = xnp.jit(lambda x, y: (numpy.fft.fft(x, axis=1), numpy.fft.fft(y[None])[0]))
    x, y = numpy.zeros((0, 3)), numpy.float64(0.7)
    found = f(x, y)
    assert found[0].shape == (0, 3)
    assert found[1] == 0.7


@pytest.mark.parametrize("char", "fdFDeq")
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_transforms_are_computed_where_they_belong(char, norm):
    def f(x):
        z = numpy.fft.fft2(x, norm=norm)
        half = numpy.fft.rfft(x.real, axis=0, norm=norm)
        back = numpy.fft.irfft(half, 7, axis=0, norm=norm)
        return numpy.fft.ifft(z.T, axis=0, norm=norm), z * 2, half, back, half[::2]

    x = (9 * RNG.normal(size=(6, 5)) * (1j if char in "FD" else 1)).astype(char)
    for y in (x, x.T, x[::2, ::-1], x[:1]):
        for found, wanted in zip(xnp.jit(f)(y), f(y), strict=True):
            assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
            eps = numpy.finfo(wanted.dtype).eps
            numpy.testing.assert_allclose(found, wanted, atol=100 * eps * abs(wanted).max())


def test_an_error_is_raised_and_forgotten():
    f = xnp.jit(lambda x: numpy.linalg.pinv(x).sum())
    good, bad = numpy.eye(3), numpy.full((3, 3), numpy.nan)
    assert f(good) == 3
    for _ in range(2):
        with pytest.raises(numpy.linalg.LinAlgError):
            f(bad)
        assert f(good) == 3


def test_threads_that_call_at_once():
    f = xnp.jit(interpolated)
    arrays = [RNG.normal(size=40) for _ in range(4)]
    expected = [interpolated(x) for x in arrays]
    wrong = []

    def work(k):
        for _ in range(300):
            if not numpy.allclose(f(arrays[k]), expected[k], atol=1e-13):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_function_that_is_called_keeps_no_code_alive():
    code = Compiled(xnp.jit(interpolated).trace(numpy.ones(5)))
    assert code.recipe.callbacks
    code([numpy.ones(5)])
    seen = weakref.ref(code)
    del code
    gc.collect()
    assert seen() is None
