"""What `jit` cannot record because a size or a dtype depends on values says what to write."""

import numpy
import pytest

import xnp as np

X = numpy.arange(1.0, 5.0)
K = numpy.array([0, 2, 2])

ADVICE = {  # a function, two examples that it treats differently, and what to write
    "emath.sqrt": (np.emath.sqrt, [[1.0], [-1.0]], "write np.sqrt(x.astype(complex))"),
    "emath.log": (np.emath.log, [[1.0], [-1.0]], "for real ones np.sqrt(x)"),
    "emath.arcsin": (np.emath.arcsin, [[0.5], [2.0]], "as the numbers are"),
    "polymul": (lambda x: np.polymul(x, x), [[1.0, 2.0], [0.0, 2.0]], "Write np.convolve(a1, a2)"),
    "bincount": (lambda k: np.bincount(k, None, 3), [[0, 1], [9, 1]], "np.add.at(counts, x, 1)"),
}


@pytest.mark.parametrize("name", ADVICE)
def test_values_that_decide(name):
    f, examples, advice = ADVICE[name]
    with pytest.raises(np.ConcretizationError) as of_jit:
        np.jit(f).trace(numpy.array(examples[0]))
    with pytest.raises(np.BatchingError) as of_vmap:
        np.vmap(f)(numpy.array(examples))
    assert advice in str(of_jit.value)
    assert advice in str(of_vmap.value)


def test_the_advice_is_right():
    same = numpy.testing.assert_array_equal
    same(np.jit(lambda x: np.sqrt(x.astype(complex)))(-X), numpy.emath.sqrt(-X))
    same(np.jit(np.convolve)(X, X), numpy.polymul(X, X))

    def counted(k):
        counts = np.zeros(3, int)
        np.add.at(counts, k, 1)
        return counts

    same(np.jit(counted)(K), numpy.bincount(K, minlength=3))
    z = X[:2] + 1j * X[2:]
    same(np.jit(lambda a: np.stack((a.real, a.imag), -1))(z).ravel(), z.view("f8"))
    same(np.jit(lambda a: a[..., ::2] + 1j * a[..., 1::2])(X), X.view("c16"))
    k = numpy.array([258, 3])
    octets = np.jit(lambda a: np.stack([a >> 8 * k & 0xFF for k in range(8)], -1))(k)
    same(octets.ravel(), k.astype("<i8").view("u1"))


VIEWS = {
    "complex as real": ("c16", "f8", r"np\.stack\(\(a\.real, a\.imag\), -1\)"),
    "real as complex": ("f8", "c16", r"a\[\.\.\., ::2\] \+ 1j \* a\[\.\.\., 1::2\]"),
    "real as integers": ("f8", "i8", r"np\.signbit\(a\) and np\.frexp\(a\)"),
    "integers as bytes": ("i8", "u1", r"a >> 8 \* k & 0xFF"),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_another_dtype(name):
    given, wanted, advice = VIEWS[name]
    x = X.astype(given)
    with pytest.warns(RuntimeWarning, match=rf"runs <lambda> uncompiled: .*{advice}"):
        found = np.jit(lambda x: x.view(wanted))(x)
    numpy.testing.assert_array_equal(found, x.view(wanted))
    with pytest.raises(np.UnsupportedError, match=advice):
        np.vmap(lambda x: x.view(wanted))(x[None])
