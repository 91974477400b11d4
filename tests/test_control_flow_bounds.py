"""Loops whose bounds only the run knows, and what is known of them: reverse mode needs room."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from regions import equations, program_of, recorded

import xnp as np

X = numpy.array([0.3, -0.7, 1.2])


def counted(n, x):
    def body(i, c):
        v, k = c
        return np.sin(v * x) + i * 0.1, k + i

    v, k = np.fori_loop(n // 2, n, body, (x, 0))
    return np.sum(v * x) * k


@pytest.mark.parametrize("n", [-3, 0, 1, 2, 5, 40])
def test_reverse_mode_with_unknown_bounds(n):
    wanted = np.grad(counted, 1)(n, X)
    n = numpy.int64(n)
    assert_allclose(recorded(np.grad(counted, 1))(n, X), wanted, rtol=1e-11)
    twice = recorded(lambda n, x: np.jvp(lambda x: np.grad(counted, 1)(n, x), (x,), (x,))[1])
    assert_allclose(twice(n, X), np.hessian(counted, 1)(int(n), X) @ X, rtol=1e-9)


def test_reverse_mode_of_a_long_loop_with_unknown_bounds():
    f = lambda n, x: np.fori_loop(0, n, lambda i, c: np.sin(c) * x + 0.1, x)
    n = numpy.int64(700)  # more than one segment
    assert_allclose(recorded(np.grad(f, 1))(n, 1.1), np.grad(f, 1)(700, 1.1), rtol=1e-10)


def cholesky(a):
    n = a.shape[0]

    def column(j, c):
        c[j, j] = np.sqrt(np.fori_loop(0, j, lambda k, s: s - c[j, k] ** 2, a[j, j]))

        def row(i, c):
            s = np.fori_loop(0, j, lambda k, s: s - c[i, k] * c[j, k], a[i, j])
            c[i, j] = s / c[j, j]
            return c

        return np.fori_loop(j + 1, n, row, c)

    return np.fori_loop(0, n, column, np.zeros_like(a))


def test_reverse_mode_of_loops_with_bounds_from_outer_indices():
    a = numpy.random.default_rng(0).normal(size=(4, 4))
    a = a @ a.T + numpy.eye(4)
    f = lambda a: np.sum(np.sin(cholesky(a)))
    program = program_of(np.grad(f), a)
    limits = {e.params["limit"] for e in equations(program, "for")}
    assert limits == {3}
    assert_allclose(recorded(cholesky)(a), numpy.linalg.cholesky(a))
    assert_allclose(recorded(np.grad(f))(a), np.grad(f)(a), rtol=1e-9, atol=1e-12)


@given(st.data())
def test_a_limit_is_one(data):
    """Bounds made of an outer index: no loop runs more often than its limit says."""
    number = st.integers(-4, 4)
    terms = ["i", "i + {}", "{} - i", "2 * i - {}", "-i", "i // 2 + {}", "min", "(i - {}) * {}"]
    texts = [data.draw(st.sampled_from(terms)) for _ in range(2)]
    ends = []
    for text in texts:
        text = "np.minimum(i, {})" if text == "min" else text
        numbers = [data.draw(number) for _ in range(text.count("{}"))]
        ends.append(eval("lambda i: " + text.format(*numbers), {"np": np}))
    count = lambda i, c: np.fori_loop(ends[0](i), ends[1](i), lambda j, c: c + 1, 0)
    first, last = data.draw(number), data.draw(number)
    most = lambda n: np.fori_loop(first, last, lambda i, m: np.maximum(m, count(i, m)), n)
    program = program_of(most, numpy.int64(0))
    limits = [e.params["limit"] for e in equations(program, "for")]
    assert all(limit is not None for limit in limits)
    if last > first:
        assert program(numpy.int64(0))[0] <= limits[0]


U, I, TOP = numpy.uint64, numpy.int64, 2**63
BOUNDS = [
    (U(5), U(2)),
    (U(2), U(5)),
    (U(TOP + 9), U(TOP + 9)),
    (U(TOP + 9), U(4)),
    (U(TOP - 4), U(TOP - 1)),
    (I(-5), U(4)),
    (I(5), U(TOP - 1) - U(TOP - 9)),
    (U(TOP + 9), I(-3)),
    (I(2**62), I(-TOP)),
    (I(TOP - 1), I(-TOP)),
    (numpy.int32(2**31 - 3), numpy.int32(2**31 - 1)),
    (numpy.int32(2**31 - 1), numpy.int32(-(2**31))),
    (numpy.int8(-128), numpy.uint8(3)),
]


def doubled(lower, upper, x):
    return np.fori_loop(lower, upper, lambda i, c: np.sin(c) * 2.0, x)


@pytest.mark.parametrize(("lower", "upper"), BOUNDS, ids=str)
def test_bounds_of_any_integer_dtype(lower, upper):
    """Also those whose difference no integer of their dtype holds."""
    given_bounds = numpy.array(lower), numpy.array(upper)
    for f in (doubled, np.grad(doubled, 2), np.grad(np.grad(doubled, 2), 2)):
        wanted = f(int(lower), int(upper), 0.5)
        assert_allclose(np.jit(f)(*given_bounds, 0.5), wanted, rtol=1e-12)
        assert_allclose(recorded(f)(*given_bounds, 0.5), wanted, rtol=1e-12)
        many = np.vmap(f, (0, 0, None))
        lists = [numpy.array([x, x]) for x in (lower, upper)]
        assert_allclose(np.jit(many)(*lists, 0.5), [wanted] * 2, rtol=1e-12)


@pytest.mark.parametrize("lower", [U(TOP - 2), I(TOP - 3)])
def test_an_index_that_int64_does_not_hold_is_an_error(lower):
    with pytest.raises(OverflowError, match=r"fori_loop: upper is more than 2\*\*63 - 1"):
        np.jit(doubled)(numpy.array(lower), numpy.array(U(TOP + 1)), 0.5)


@pytest.mark.parametrize("index", [0, 1, 2, 7, TOP - 1, TOP, 2**64 - 1])
def test_switch_by_any_uint64(index):
    functions = [lambda x: x, lambda x: x + 1.0, lambda x: x + 2.0]
    f = lambda i, x: np.switch(i, functions, x)
    i = numpy.array(index, U)
    assert np.jit(f)(i, 0.5) == recorded(f)(i, 0.5) == f(i, 0.5)
    many = np.vmap(f, (0, None))
    assert (np.jit(many)(numpy.array([i, U(1)]), 0.5) == [f(i, 0.5), 1.5]).all()


@pytest.mark.parametrize(("dtype", "count"), [(numpy.int8, 200), (numpy.uint8, 300)])
def test_examples_choose_by_a_dtype_that_does_not_count_all_branches(dtype, count):
    functions = [lambda k=k: 1.0 * k for k in range(count)]
    f = lambda i: np.switch(i, functions)
    index = numpy.array([0, 3, 127], dtype)
    for g in (np.vmap(f), np.jit(np.vmap(f)), np.vmap(np.jit(f))):
        assert (g(index) == [0, 3, 127]).all()
