"""Functions that make arrays: NumPy's results outside of transformations, handles inside."""

import numpy
import pytest

import xnp as np

CALLS = {
    "zeros": lambda np: np.zeros((2, 3), numpy.float32),
    "zeros, an int as shape": lambda np: np.zeros(3),
    "ones": lambda np: np.ones((2,), int, order="F"),
    "empty": lambda np: np.empty((0, 2)),
    "full": lambda np: np.full((2, 2), 7),
    "full, a row": lambda np: np.full((2, 3), [1.0, 2.0, 3.0]),
    "eye": lambda np: np.eye(3, 4, k=1, dtype=complex),
    "identity": lambda np: np.identity(2),
    "tri": lambda np: np.tri(3, k=-1),
    "arange": lambda np: np.arange(5),
    "arange, floats": lambda np: np.arange(0.5, 3.0, 0.4, dtype=numpy.float32),
    "linspace": lambda np: np.linspace(0, 1, 5),
    "linspace, retstep": lambda np: np.linspace(0, 1, 4, endpoint=False, retstep=True)[0],
    "logspace": lambda np: np.logspace(0, 2, 3, base=2),
    "geomspace": lambda np: np.geomspace(1, 1000, num=4),
    "array": lambda np: np.array([[1, 2], [3, 4]], float, order="F"),
    "array, ndmin": lambda np: np.array([1.0], ndmin=3),
    "array of an array": lambda np: np.array(numpy.arange(3.0)),
    "asarray": lambda np: np.asarray([1.0, 2.0]),
    "asarray of a number": lambda np: np.asarray(2),
    "asanyarray": lambda np: np.asanyarray((1, 2), float),
    "ascontiguousarray": lambda np: np.ascontiguousarray(numpy.ones((3, 2)).T),
    "asfortranarray": lambda np: np.asfortranarray(numpy.ones((3, 2))),
    "asarray_chkfinite": lambda np: np.asarray_chkfinite([1.0]),
    "copy": lambda np: np.copy([1.0, 2.0]),
    "zeros_like": lambda np: np.zeros_like(numpy.ones((2, 3), numpy.float32)),
    "ones_like": lambda np: np.ones_like([1, 2], float),
    "empty_like": lambda np: np.empty_like(numpy.ones((0, 3))),
    "full_like": lambda np: np.full_like(numpy.ones((2, 3)), 4),
    "indices": lambda np: np.indices((2, 3)),
    "fromfunction": lambda np: np.fromfunction(lambda i, j: i + j, (2, 3)),
    "fromiter": lambda np: np.fromiter((x * x for x in range(4)), float, 3),
    "r_": lambda np: np.r_[1, 2, 5:8, [0.5]],
    "r_, linspace": lambda np: np.r_[0:1:3j],
    "c_": lambda np: np.c_[[1, 2], [3, 4]],
    "mgrid": lambda np: np.mgrid[0:2, 0:3],
    "ogrid": lambda np: np.ogrid[0:2, 0:1:3j][1],
    "vectorize": lambda np: np.vectorize(lambda a, b: a + b)([1, 2], [[3.0], [4.0]]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_outside_of_transformations_the_result_is_numpys(call):
    found, wanted = call(np), call(numpy)
    assert type(found) is type(wanted)
    assert found.dtype == wanted.dtype
    assert found.flags.c_contiguous == wanted.flags.c_contiguous
    numpy.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_inside_the_result_holds_traced_values(call):
    wanted = call(numpy)

    def f(x):
        made = call(np)
        assert isinstance(made, np.ndarray)
        assert type(made) is not numpy.ndarray
        assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
        assert made.flags.c_contiguous == wanted.flags.c_contiguous
        numpy.testing.assert_allclose(np.stop_gradient(made), wanted, rtol=1e-15)
        if not made.size:
            return x
        made = made.astype(complex)
        made[(0,) * made.ndim] = x * 3
        return np.sum(made).real

    assert np.grad(f)(2.0) == (3.0 if wanted.size else 1.0)


def inside(f, *args):
    """What ``f`` gives inside a transformation that traces nothing it is given."""
    return np.vjp(lambda _: f(*args), 0.0)[0]


def test_asarray_leaves_an_ndarray_what_it_is():
    a = numpy.arange(4.0)

    def f(x):
        assert np.asarray(a) is a
        assert np.asanyarray(a) is a
        assert np.ascontiguousarray(a) is a
        assert np.array(a, copy=None) is a
        assert np.array(a) is not a
        assert type(np.asarray(a, numpy.float32)) is not numpy.ndarray
        return x

    np.grad(f)(1.0)


def test_asarray_of_a_traced_array_is_itself():
    def f(x):
        assert np.asarray(x) is x
        assert np.asarray(x, float) is x
        assert np.asarray(x, numpy.float32).dtype == numpy.float32
        y = np.array(x)
        y[0] = 5.0
        assert np.ascontiguousarray(x.reshape(2, 2).T).flags.c_contiguous
        assert np.require(x, requirements=["C", "W"]) is x
        return np.sum(x) + np.sum(y)

    numpy.testing.assert_array_equal(np.grad(f)(numpy.ones(4)), [1, 2, 2, 2])


def test_a_scalar_becomes_a_writable_array():
    def f(x):
        y = np.asarray(x * x)
        assert isinstance(y, np.ndarray)
        assert not np.isscalar(y)
        assert np.isscalar(x * x)
        y[...] = 3 * y
        return y[()]

    assert np.grad(f)(2.0) == 12.0


def test_nested_sequences_with_traced_items():
    def f(x):
        a = np.array([[x, 2.0], [x * x, np.array(1.0)]])
        assert a.shape == (2, 2)
        b = np.asarray((x, 1), dtype=numpy.float32)
        assert b.dtype == numpy.float32
        return np.sum(a) + np.sum(b)

    assert np.grad(f)(3.0) == 1 + 6 + 1


def test_a_ragged_sequence_is_an_error():
    with pytest.raises(ValueError, match=r"ragged: item 0 has shape \(\), item 1 has shape \(2,\)"):
        np.grad(lambda x: np.sum(np.array([x, [x, x]])))(1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.zeros(2, object),
        lambda x: np.array([x, x], dtype=object),
        lambda x: np.empty_like(x, object),
        lambda x: np.full(2, x, object),
    ],
    ids=["zeros", "array", "empty_like", "full"],
)
def test_object_arrays_are_refused_inside(call):
    with pytest.raises(np.UnsupportedError, match="Keep other objects"):
        np.grad(lambda x: call(x) is None)(1.0)


def test_text_stays_numpys():
    assert type(inside(lambda: np.array(["a", "b"]) == "a")) is numpy.ndarray


def test_like_functions_of_traced_arrays():
    def f(x):
        for make in (np.zeros_like, np.ones_like, np.full_like):
            extra = (2.0,) if make is np.full_like else ()
            y = make(x, *extra)
            assert (y.shape, y.dtype) == (x.shape, x.dtype)
            assert make(x.T, *extra).flags.f_contiguous
            assert make(x, *extra, dtype=int, shape=(4,)).shape == (4,)
        y = np.zeros_like(x)
        y += x
        z = np.full_like(x, np.sum(x))
        return np.sum(y) + z[0, 0]

    numpy.testing.assert_array_equal(np.grad(f)(numpy.ones((2, 3))), numpy.full((2, 3), 2.0))


def test_full_of_a_traced_value():
    assert np.grad(lambda x: np.sum(np.full((2, 3), x)))(1.0) == 6
    found = np.jacobian(lambda x: np.full((2, 2), x))(numpy.ones(2))
    numpy.testing.assert_array_equal(found, [[[1, 0], [0, 1]], [[1, 0], [0, 1]]])


def test_numpys_own_functions_with_like():
    def f(x):
        y = numpy.zeros(3, like=x)
        y[1] = x[0]
        z = numpy.asarray([1.0, 2.0], like=x)
        z[0] = x[1]
        return y[1] + z[0] + numpy.arange(3, like=x)[2] * x[0]

    numpy.testing.assert_array_equal(np.grad(f)(numpy.ones(2)), [3, 1])


def test_fresh_arrays_with_numpys_own_zeros_say_what_to_write():
    def f(x):
        out = numpy.zeros(3)
        out[0] = x
        return out[0]

    with pytest.raises(np.MutationError, match=r"out = xnp\.zeros\(\.\.\.\)"):
        np.grad(f)(1.0)


RANGES = {
    "arange": (lambda np, a, b: np.arange(a, b, 0.3), 1.0, 2.0),
    "arange, step": (lambda np, a, b: np.arange(1.0, 2.0, a) * b, 0.3, 2.0),
    "linspace": (lambda np, a, b: np.linspace(a, b, 4), 1.0, 2.5),
    "linspace, open": (lambda np, a, b: np.linspace(a, b, 4, endpoint=False), 1.0, 2.5),
    "linspace, arrays": (
        lambda np, a, b: np.linspace(a, b, 3, axis=-1),
        numpy.array([1.0, 2.0]),
        numpy.array([[3.0], [5.0]]),
    ),
    "linspace, step": (lambda np, a, b: np.linspace(a, b, 3, retstep=True)[1], 1.0, 2.0),
    "linspace, one": (lambda np, a, b: np.linspace(a, b, 1), 1.0, 2.0),
    "linspace, no length": (lambda np, a, b: np.linspace(a, b, 3), 2.0, 2.0),
    "logspace": (lambda np, a, b: np.logspace(a, b, 4), 0.5, 1.5),
    "logspace, base": (lambda np, a, b: np.logspace(0.5, a, 3, base=b), 1.5, 3.0),
    "geomspace": (lambda np, a, b: np.geomspace(a, b, 4), 0.5, 20.0),
    "geomspace, negative": (lambda np, a, b: np.geomspace(a, b, 3), -0.5, -20.0),
    "r_": (lambda np, a, b: np.r_[a, 1.0, b, 0:2], 1.0, 2.0),
    "r_, slice": (lambda np, a, b: np.r_[a:b:3j, [b, b]], 1.0, 2.0),
    "r_, axis": (lambda np, a, b: np.r_["-1", a, b], numpy.ones((2, 1)), numpy.ones((2, 3))),
    "r_, ndmin": (lambda np, a, b: np.r_["0,2", a, b], numpy.ones(2), numpy.ones(2)),
    "c_": (lambda np, a, b: np.c_[a, b, [0, 0]], numpy.ones(2), numpy.arange(2.0)),
    "mgrid": (lambda np, a, b: np.mgrid[a:b:3j, 0:2], 1.0, 2.0),
    "ogrid": (lambda np, a, b: np.ogrid[a:b:3j, 0:2][0], 1.0, 2.0),
}


@pytest.mark.parametrize(("f", "a", "b"), RANGES.values(), ids=RANGES.keys())
def test_traced_bounds(f, a, b):
    found, pull = np.vjp(lambda a, b: f(np, a, b), a, b)
    wanted = f(numpy, a, b)
    assert found.dtype == wanted.dtype
    numpy.testing.assert_allclose(found, wanted, rtol=1e-15)
    ct = numpy.linspace(1.0, 2.0, wanted.size).reshape(wanted.shape)
    h = 1e-6
    for i, bar in enumerate(pull(ct)):
        steps = [h if i == 0 else 0.0, h if i == 1 else 0.0]
        above, below = f(numpy, a + steps[0], b + steps[1]), f(numpy, a - steps[0], b - steps[1])
        numpy.testing.assert_allclose(
            numpy.sum(bar), numpy.sum(ct * (above - below)) / (2 * h), rtol=1e-6, atol=1e-6
        )


def test_vectorize():
    @np.vectorize
    def f(x, n):
        return x**n if x > 0 else 0.0 * x

    found = np.grad(lambda x: np.sum(f(x, [2, 3])))(numpy.array([[1.0, 2.0], [-1.0, 3.0]]))
    numpy.testing.assert_allclose(found, [[2, 12], [0, 27]])


def test_vectorize_with_signature_keywords_and_several_results():
    f = np.vectorize(np.dot, signature="(n),(n)->()")
    x = numpy.arange(6.0).reshape(2, 3)
    found = np.grad(lambda x: np.sum(f(x, numpy.ones(3))))(x)
    numpy.testing.assert_array_equal(found, numpy.ones((2, 3)))
    g = np.vectorize(lambda a, scale: (a * scale, a + scale), excluded={"scale"})
    found = np.jacobian(lambda a: np.stack(g(a, scale=3.0)))(numpy.ones(2))
    numpy.testing.assert_array_equal(found[:, 0, 0], [3, 1])
    with pytest.raises(ValueError, match="inconsistent size for core dimension 'n'"):
        np.grad(lambda x: np.sum(f(x, x[0, :2])))(x)


def test_ndenumerate():
    def f(x):
        return sum((i + 2 * j) * v for (i, j), v in np.ndenumerate(x))

    numpy.testing.assert_array_equal(np.grad(f)(numpy.ones((2, 2))), [[0, 2], [1, 3]])
    assert list(np.ndenumerate(numpy.arange(2))) == [((0,), 0), ((1,), 1)]
