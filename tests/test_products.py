"""Small products of matrices and vectors, which the compiler writes as loops."""

import numpy
import pytest

import xnp as np

rng = numpy.random.default_rng(3)


@pytest.mark.parametrize("shape", [(16, 16), (40, 7), (7, 40), (100, 300), (15, 17), (200, 200)])
@pytest.mark.parametrize("dtype", [numpy.float64, numpy.float32])
def test_products_with_vectors(shape, dtype):
    w = rng.normal(size=shape).astype(dtype)
    x, y = rng.normal(size=shape[1]).astype(dtype), rng.normal(size=shape[0]).astype(dtype)
    eps = 4 * numpy.finfo(dtype).eps

    def f(w, x, y):
        return w @ x, y @ w, w.T @ y, x @ w.T, np.tanh(w @ x) + y

    for found, wanted in zip(np.jit(f)(w, x, y), f(w, x, y), strict=True):
        assert found.dtype == wanted.dtype
        bound = eps * max(shape) ** 0.5 * (1 + numpy.abs(wanted))
        assert (numpy.abs(found - wanted) <= 4 * bound).all()


@pytest.mark.parametrize(
    ("m", "k", "n"), [(16, 32, 32), (9, 7, 11), (3, 80, 9), (5, 5, 40), (40, 30, 20)]
)
def test_products_of_matrices(m, k, n):
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))

    def f(a, b):
        return a @ b, np.tanh(a @ b + 1), b.T @ a.T, a @ (b.T.copy()).T, (a.T.copy()).T @ b

    for found, wanted in zip(np.jit(f)(a, b), f(a, b), strict=True):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)


def test_a_small_product_needs_no_library():
    w, x = rng.normal(size=(64, 64)), rng.normal(size=64)
    kinds = [k.kind for k in np.jit(lambda w, x: np.tanh(w @ x + x)).inspect(w, x).clusters]
    assert kinds == ["reduction", "loop nest"]  # tanh of several rows at a time
    large = rng.normal(size=(600, 600))
    kinds = [k.kind for k in np.jit(lambda w, x: w @ x).inspect(large, large[0]).clusters]
    assert kinds == ["operation"]


def test_infinities_and_nans_go_where_they_do_in_numpy():
    w = numpy.ones((20, 20))
    w[3, 4], w[5, 6], w[7, 8] = numpy.inf, numpy.nan, -numpy.inf
    x = numpy.ones(20)
    numpy.testing.assert_array_equal(np.jit(lambda w, x: w @ x)(w, x), w @ x)
