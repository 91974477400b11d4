"""Products of matrices and vectors that the compiler writes itself: as loops, as tiles."""

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from native_runs import FORMS, forced

import xnp as np
from xnp.codegen.mlir.tiles import forms_of

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


def error_of(found, a, b):
    """How far a product is off, in units of what rounding each term once may cost."""
    assert found.shape == (*numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *found.shape[-2:])
    exact = a.astype(numpy.longdouble) @ b.astype(numpy.longdouble)
    size = numpy.abs(a).astype(float) @ numpy.abs(b).astype(float)
    eps = numpy.finfo(found.dtype).eps
    return float(numpy.max(numpy.abs(found - exact) / (eps * size), initial=0.0))


sizes = st.integers(2, 70)
layouts = st.sampled_from(["rows", "columns", "steps", "reversed"])


def laid_out(x, layout):
    """The same numbers, elsewhere in memory."""
    if layout == "columns":
        return numpy.ascontiguousarray(numpy.swapaxes(x, -1, -2)).swapaxes(-1, -2)
    if layout == "steps":
        return numpy.repeat(numpy.repeat(x, 2, -1), 3, -2)[..., ::3, ::2]
    return x[..., ::-1].copy()[..., ::-1] if layout == "reversed" else x


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(sizes, sizes, sizes),
    st.tuples(layouts, layouts),
    st.sampled_from("fd"),
    st.sampled_from(list(FORMS)),
    st.sampled_from([((), ()), ((3,), ()), ((3,), (3,)), ((2, 1), (3,))]),
)
@example((33, 40, 10), ("rows", "rows"), "d", "usual", ((), ()))
@example((70, 70, 70), ("columns", "columns"), "d", "arena, shared", ((), ()))
def test_products_as_tiles(mkn, views, char, form, stacks):
    m, k, n = mkn
    a = laid_out(rng.normal(size=(*stacks[0], m, k)).astype(char), views[0])
    b = laid_out(rng.normal(size=(*stacks[1], k, n)).astype(char), views[1])
    with forced(FORMS[form]):
        found = np.jit(lambda a, b: a @ b)(a, b)
    assert found.dtype == char
    assert error_of(found, a, b) <= k


@settings(max_examples=10, deadline=None)
@given(sizes, st.integers(4, 70), st.lists(sizes, min_size=3, max_size=6))
def test_products_as_tiles_of_any_number_of_rows(k, n, rows):
    b = rng.normal(size=(k, n))
    product = np.jit(lambda a, b: a @ b)
    for m in rows:
        a = rng.normal(size=(m, k))
        assert error_of(product(a, b), a, b) <= k
    assert len(np.explain(product)) <= 2


@given(
    st.integers(2, 300), st.integers(4, 300), st.sampled_from([(8, 64), (4, 32), (4, 16), (2, 16)])
)
def test_tiles_cover_all_and_no_more(m, n, vectors):
    columns = set()
    for form in forms_of(m, n, *vectors):
        for panel in range(form.panels):
            for offset in form.offsets:
                start = form.first + panel * form.width + offset
                columns |= set(range(start, start + form.lanes))
        assert 1 <= form.rows <= m
    assert columns == set(range(n))


def test_a_product_with_its_transpose_is_symmetric():
    a = rng.normal(size=(61, 47))
    found = np.jit(lambda a: a @ a.T)(a)
    numpy.testing.assert_array_equal(found, found.T)


def test_a_product_in_a_loop():
    w, x = rng.normal(size=(32, 32)) / 6, rng.normal(size=(16, 32))

    def f(w, x):
        return np.fori_loop(0, 20, lambda i, x: np.tanh(x @ w) + x @ w.T, x)

    numpy.testing.assert_allclose(np.jit(f)(w, x), f(w, x), rtol=1e-11)


def test_infinities_and_nans_go_where_they_do_in_numpy():
    w = numpy.ones((20, 20))
    w[3, 4], w[5, 6], w[7, 8] = numpy.inf, numpy.nan, -numpy.inf
    x = numpy.ones(20)
    for y in (x, numpy.ones((20, 9))):
        numpy.testing.assert_array_equal(np.jit(lambda w, x: w @ x)(w, y), w @ y)


# Sums of products, and what is added to them.


def primitives(f, *args):
    return [e.primitive.name for e in np.jit(f).inspect(*args).optimized.equations]


SHAPES = st.tuples(st.integers(2, 40), st.integers(1, 40), st.integers(4, 40))
TINY_SHAPES = st.tuples(*[st.integers(1, 8)] * 3)


@settings(max_examples=80)
@given(
    mkn=st.one_of(SHAPES, TINY_SHAPES),
    depths=st.lists(st.integers(1, 12), max_size=3),
    start=st.sampled_from(["none", "whole", "row", "column", "strided", "number", "its own"]),
    char=st.sampled_from("fd"),
    form=st.sampled_from(list(FORMS)),
)
@example((6, 5, 9), [3], "whole", "d", "usual")  # tiles that overlap
@example((16, 32, 32), [8], "row", "d", "usual")
def test_sums_of_products(mkn, depths, start, char, form):
    (m, k, n), local = mkn, numpy.random.default_rng(5)
    pairs = [(local.normal(size=(m, d)), local.normal(size=(d, n))) for d in (k, *depths)]
    pairs = [(a.astype(char), b.astype(char)) for a, b in pairs]
    c = {
        "none": numpy.zeros(()),
        "whole": local.normal(size=(m, n)),
        "row": local.normal(size=n),
        "column": local.normal(size=(m, 1)),
        "strided": local.normal(size=(n, m)).T,
        "number": numpy.float64(0.5),
        "its own": local.normal(size=(m, n)),
    }[start].astype(char)

    def f(pairs, c):
        if start == "its own":
            c = np.tanh(c)  # nothing else reads it: the sum may take its place
        total = pairs[0][0] @ pairs[0][1]
        for a, b in pairs[1:]:
            total = a @ b + total
        return total if start == "none" else total + c

    with forced(FORMS[form]):
        found = np.jit(f)(pairs, c)
    wide = [(a.astype("g"), b.astype("g")) for a, b in pairs]
    exact = sum(a @ b for a, b in wide)
    exact = exact + (numpy.tanh(c.astype("g")) if start == "its own" else c)
    size = sum(abs(a) @ abs(b) for a, b in wide) + abs(c)
    assert found.dtype == c.dtype
    assert found.shape == (m, n)
    eps = numpy.finfo(char).eps
    assert numpy.max(abs(found - exact) / (eps * size)) < 2 + max(k, *depths, 0)


def test_what_becomes_one_operation():
    a, b, c = (rng.normal(size=s) for s in ((16, 32), (32, 24), (16, 24)))
    assert primitives(lambda a, b, c: a @ b + c, a, b, c) == ["matmul_sum"]
    assert primitives(lambda a, b, c: c[0] + a @ b + (a * 2) @ b, a, b, c)[-1] == "matmul_sum"
    assert primitives(lambda a, b, c: (a @ b, a @ b + c), a, b, c) == ["matmul", "add"]
    twice = lambda a, b: (lambda p: p + p)(a @ b)
    assert "matmul_sum" not in primitives(twice, a, b)
    wide = lambda a, b, c: a @ b + c.astype("f4")
    assert "matmul_sum" not in primitives(
        lambda a, b, c: a.astype("f4") @ b.astype("f4") + c, a, b, c
    )
    numpy.testing.assert_allclose(np.jit(wide)(a, b, c), wide(a, b, c), rtol=1e-6)
    large = rng.normal(size=(600, 600))
    assert primitives(lambda a: a @ a + a, large) == ["matmul", "add"]  # BLAS, and one pass more


@pytest.mark.parametrize("m", [4, 6, 16, 17])
def test_a_carried_sum_is_added_to_where_it_lies(m):
    a, b = rng.normal(size=(m, 8)), rng.normal(size=(8, 32))

    def f(a, b):
        return np.fori_loop(0, 5, lambda i, c: c + (a * i) @ b, np.ones((m, 32)))

    numpy.testing.assert_allclose(np.jit(f)(a, b), f(a, b), rtol=1e-12)


def test_the_sum_does_not_write_to_its_arguments():
    a, b, c = (rng.normal(size=s) for s in ((16, 32), (32, 24), (16, 24)))
    before = c.copy()
    f = np.jit(lambda a, b, c: a @ b + c)
    numpy.testing.assert_allclose(f(a, b, c), a @ b + c, rtol=1e-12)
    assert (c == before).all()
    square = rng.normal(size=(16, 16))
    g = lambda x: np.fori_loop(0, 3, lambda i, x: x @ x * 0.1 + x, x)
    numpy.testing.assert_allclose(np.jit(g)(square), g(square), rtol=1e-10)
