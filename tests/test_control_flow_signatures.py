"""The arguments of loops and of `checkpoint`: JAX's, and what is said of those that are wrong."""

import numpy
import pytest

import xnp as np

X = numpy.array([0.3, -0.7, 1.2])
INTEGER = "wanted an integer"
BOUNDS = {
    "float": (3.0, r"upper is float 3.0, wanted an integer .*; write int\(upper\)\."),
    "numpy float": (numpy.float32(3), rf"upper is float32 f32\[\], {INTEGER}"),
    "bool": (True, rf"upper is bool True, {INTEGER} .*; write int\(upper\)\."),
    "numpy bool": (numpy.bool_(True), rf"upper is bool bool\[\], {INTEGER}"),
    "none": (None, rf"upper is NoneType None, {INTEGER}"),
    "text": ("3", rf"upper is str '3', {INTEGER}"),
    "array": (
        numpy.array([1, 2]),
        r"upper is ndarray i64\[2\], wanted an integer .*; write one element of it, upper\[0\], or "
        r"its length, upper\.shape\[0\]\.",
    ),
    "array of one": (numpy.array([1]), rf"upper is ndarray i64\[1\], {INTEGER}"),
}


@pytest.mark.parametrize(("bound", "text"), BOUNDS.values(), ids=BOUNDS)
def test_a_bound_that_is_no_integer(bound, text):
    f = lambda x: np.fori_loop(0, bound, lambda i, c: c + i, x)
    for g in (f, np.jit(f), np.grad(f)):
        with pytest.raises(TypeError, match="fori_loop: " + text):
            g(1.0)
    with pytest.raises(TypeError, match="fori_loop: lower is "):
        np.fori_loop(bound, 3, lambda i, c: c + i, 0)


TRACED = {
    "float": (numpy.array(3.0), r"upper is f64\[\], .*; write upper\.astype\(int\)\."),
    "bool": (numpy.array(True), r"upper is bool\[\], wanted an integer"),
    "array": (numpy.array([3]), r"upper is i64\[1\], .*; write one element of it, upper\[0\]"),
}


@pytest.mark.parametrize(("bound", "text"), TRACED.values(), ids=TRACED)
def test_a_traced_bound_that_is_no_integer(bound, text):
    with pytest.raises(TypeError, match="fori_loop: " + text):
        np.jit(lambda n: np.fori_loop(0, n, lambda i, c: c + i, 0))(bound)


@pytest.mark.parametrize("bound", [3, numpy.int8(3), numpy.uint64(3), numpy.array(3)])
def test_what_is_an_integer(bound):
    assert np.fori_loop(0, bound, lambda i, c: c + i, 0) == 3


@pytest.mark.parametrize("unroll", [1, 2, 7, True, False, numpy.int64(2)])
def test_unroll_changes_no_number(unroll):
    body = lambda i, c: np.sin(c) + i
    step = lambda c, x: (c * x, c + x)
    fori = lambda x: np.fori_loop(0, 5, body, x, unroll=unroll)
    scan = lambda x: np.scan(step, 1.0, x, unroll=unroll)[1]
    for f, wanted in (
        (fori, np.fori_loop(0, 5, body, X, unroll=None)),
        (scan, np.scan(step, 1.0, X)[1]),
    ):
        assert (f(X) == wanted).all()
        numpy.testing.assert_allclose(np.jit(f)(X), wanted, rtol=1e-14)


@pytest.mark.parametrize("unroll", [0, -1])
def test_unroll_below_1(unroll):
    with pytest.raises(ValueError, match=rf"scan: unroll is {unroll}, wanted 1 or more"):
        np.scan(lambda c, x: (c, x), 0.0, X, unroll=unroll)
    with pytest.raises(ValueError, match=rf"fori_loop: unroll is {unroll}, wanted 1 or more"):
        np.fori_loop(0, 3, lambda i, c: c, 0.0, unroll=unroll)
    with pytest.raises(TypeError, match=r"scan: unroll is float 2.0, wanted an integer"):
        np.scan(lambda c, x: (c, x), 0.0, X, unroll=2.0)  # pyright: ignore[reportArgumentType] - wrong


@pytest.mark.parametrize("bounds", [(0, 0), (3, 1), (-1, -1)])
def test_a_loop_known_to_run_no_iteration_promotes_nothing(bounds):
    f = lambda x: np.fori_loop(*bounds, lambda i, c: c * numpy.float64(2) + numpy.ones(3), x)
    x = X.astype(numpy.float32)
    for found in (f(x), np.jit(f)(x), np.jit(np.vmap(f))(x[None])[0], np.vmap(f)(x[None])[0]):
        assert found.dtype == numpy.float32
        assert (found == x).all()
    assert type(np.jit(lambda: np.fori_loop(*bounds, lambda i, c: c * 0.5, 1))()) is int


def test_checkpoint_takes_the_arguments_of_jax():
    def f(x, name, count):
        assert type(name) is str
        assert type(count) is numpy.int64
        return np.sum(np.sin(x)) * count

    for static in (2, -1, (1, 2), [1, -1]):
        g = np.checkpoint(f, prevent_cse=False, policy=None, static_argnums=static)
        for h in (g, np.grad(g)):
            compiled = np.jit(lambda x, h=h: h(x, "name", numpy.int64(3)))
            wanted = h(X, "name", numpy.int64(3))
            numpy.testing.assert_allclose(compiled(X), wanted, rtol=1e-14)
        found = np.grad(g)(X, "name", numpy.int64(3))
        numpy.testing.assert_allclose(found, 3 * numpy.cos(X))


def test_what_checkpoint_refuses():
    with pytest.raises(np.UnsupportedError, match=r"checkpoint: policy is not supported: .* leave"):
        np.checkpoint(np.sin, policy=lambda *_: True)  # pyright: ignore[reportArgumentType] - wrong
    with pytest.raises(TypeError, match=r"checkpoint: static_argnums is 'x'; wanted an int"):
        np.checkpoint(np.sin, static_argnums="x")  # pyright: ignore[reportArgumentType] - wrong
    traced = np.grad(np.checkpoint(lambda x: x * x, static_argnums=0))
    with pytest.raises(TypeError, match=r"checkpoint: argument 0 is in static_argnums, but it is"):
        traced(1.0)
