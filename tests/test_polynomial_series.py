"""xnp.polynomial is NumPy's own code under our name: the same results, and the same imports."""

import pickle
import subprocess
import sys

import numpy
import pytest
from numpy_version import NUMPY

import xnp as np

MODULES = ["polynomial", "chebyshev", "legendre", "laguerre", "hermite", "hermite_e"]


def test_it_has_every_name_of_numpys():
    assert numpy.polynomial.__all__ == np.polynomial.__all__
    for name in MODULES:
        ours, numpys = getattr(np.polynomial, name), getattr(numpy.polynomial, name)
        assert set(dir(numpys)) - {"__cached__"} <= set(dir(ours))
        assert ours.np is np
        assert numpys.np is numpy  # NumPy's own are left alone


def test_it_is_imported_like_any_package():
    from xnp.polynomial import Chebyshev
    from xnp.polynomial.hermite import hermval

    assert Chebyshev is np.polynomial.Chebyshev
    assert hermval is np.polynomial.hermite.hermval
    with pytest.raises(ModuleNotFoundError):
        import xnp.polynomial.bessel  # noqa: F401


def test_importing_xnp_does_not_load_it():
    code = "import sys, xnp; assert 'numpy.polynomial.chebyshev' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_may_load_it_at_the_same_time():
    code = """
import sys, threading, xnp
sys.setswitchinterval(1e-6)
results, barrier = [], threading.Barrier(4)

def look():
    barrier.wait()
    results.append(xnp.polynomial.Chebyshev([1.0, 2.0])(0.5))

threads = [threading.Thread(target=look) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert results == [2.0] * 4
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_outside_of_transformations_results_are_numpys():
    x, c = numpy.linspace(-1, 1, 5), numpy.array([1, 2, 3])
    for name, function in [("chebyshev", "chebval"), ("legendre", "legval")]:
        found = getattr(getattr(np.polynomial, name), function)(x, c)
        wanted = getattr(getattr(numpy.polynomial, name), function)(x, c)
        assert type(found) is numpy.ndarray
        numpy.testing.assert_array_equal(found, wanted)
    p = np.polynomial.Polynomial([1.0, 2.0])
    assert type(p(0.5)) is type(numpy.polynomial.Polynomial([1.0, 2.0])(0.5))
    assert repr(p) == repr(numpy.polynomial.Polynomial([1.0, 2.0]))
    assert pickle.loads(pickle.dumps(p)) == p


def test_numpys_own_functions_refuse_traced_coefficients():
    with pytest.raises(np.ConcretizationError):
        np.grad(lambda c: numpy.polynomial.chebyshev.chebval(0.5, c))(numpy.ones(3))
    advice = r"use the same function from xnp\.polynomial"
    dispatches = NUMPY >= (2, 4)
    with pytest.raises(
        np.UnsupportedError if dispatches else np.ConcretizationError,
        match=advice if dispatches else None,
    ):
        np.grad(lambda x: numpy.polynomial.polynomial.polyval2d(x, x, numpy.eye(2)))(1.0)


def test_a_polynomial_is_a_constant_of_the_transformation_around_it():
    p = np.polynomial.Legendre([1.0, 2.0, 3.0])
    slopes = np.vmap(np.grad(p))(numpy.linspace(-1, 1, 4))
    numpy.testing.assert_allclose(slopes, p.deriv()(numpy.linspace(-1, 1, 4)))
