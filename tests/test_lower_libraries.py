"""Matrix products and linear algebra in native code against NumPy."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs_of import program_of

import xnp
from xnp.autodiff.core import Aval
from xnp.autodiff.program import Equation, Program, Variable
from xnp.codegen.mlir.libraries import Strided, leading
from xnp.codegen.pipeline import optimize
from xnp.runtime import libraries
from xnp.runtime.compile import Compiled

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def compiled(name, *arrays, **params):
    """The primitive on arguments like these, natively: nothing may call back to NumPy."""
    primitive = xnp.autodiff.core.primitives[name]
    parameters = [Variable(Aval(x.shape, x.dtype)) for x in arrays]
    avals = primitive.shape(*(v.aval for v in parameters), **params)
    results = [Variable(a) for a in (avals if primitive.multiple else [avals])]
    program = Program(parameters, [Equation(primitive, parameters, params, results, None)], results)
    code = Compiled(program)
    assert not code.recipe.callbacks
    return code


def make(rng, shape, char):
    dtype = np.dtype(char)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(0, 100, shape).astype(dtype)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype.kind == "c" else x).astype(dtype)


def assert_product(got, a, b):
    want = np.matmul(a, b)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    if want.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want)
        return
    size = np.matmul(np.abs(a).astype(float), np.abs(b).astype(float))
    assert np.all(np.abs(got - want) <= 8 * np.finfo(want.dtype).eps * size)


SHAPES = [
    ((3, 4), (4, 5)), ((8, 8), (8, 8)), ((20, 30), (30, 17)), ((1, 30), (30, 17)),
    ((20, 30), (30, 1)), ((30,), (30, 17)), ((20, 30), (30,)), ((30,), (30,)), ((3,), (3,)),
    ((5, 20, 9), (9, 17)), ((5, 20, 9), (5, 9, 17)), ((20, 9), (5, 9, 17)),
    ((2, 1, 4, 3), (3, 3, 2)), ((5, 1, 9), (9, 7)), ((4, 20, 9), (9,)), ((9,), (4, 9, 7)),
    ((0, 3), (3, 4)), ((20, 0), (0, 5)), ((20, 0), (0,)), ((0,), (0,)), ((0,), (0, 5)),
    ((0, 2, 2), (2, 2)), ((1, 1), (1, 1)), ((50, 1), (1, 60)),
]  # fmt: skip


@pytest.mark.parametrize("char", "dF?qe")
@pytest.mark.parametrize(("first", "second"), SHAPES)
def test_products_of_all_shapes(first, second, char):
    rng = np.random.default_rng(0)
    a, b = make(rng, first, char), make(rng, second, char)
    assert_product(compiled("matmul", a, b)([a, b])[0], a, b)


@pytest.mark.parametrize("char", "fDI")
def test_products_of_mixed_dtypes(char):
    rng = np.random.default_rng(0)
    a, b = make(rng, (9, 12), char), make(rng, (12, 10), "d")
    assert_product(compiled("matmul", a, b)([a, b])[0], a, b)


VIEWS = {
    "transposed": lambda a, b: (a, b.T),
    "both transposed": lambda a, b: (b, a.T),
    "square": lambda a, b: (a, a.T),
    "other square": lambda a, b: (a.T, a),
    "columns of a larger matrix": lambda a, b: (a[:, 2:9], b.T[2:9]),
    "steps": lambda a, b: (a[::2, ::3], b.T[::3]),
    "reversed": lambda a, b: (a[:, ::-1], b.T),
    "a vector in steps": lambda a, b: (a[:, :15], b[0, ::2]),
    "a vector reversed": lambda a, b: (a, b[0, ::-1]),
    "two vectors in steps": lambda a, b: (a[0, ::2], b[0, ::2]),
    "a row": lambda a, b: (a[0], b.T),
    "a column": lambda a, b: (a.T, a[:, 0]),
    "outer": lambda a, b: (a[:, :1], b[:, :1].T),
    "one row repeated": lambda a, b: (np.broadcast_to(a[:1], (5, 30)), b.T),
    "one column repeated": lambda a, b: (a, np.broadcast_to(b.T[:, :1], (30, 4))),
    "tiny": lambda a, b: (a[:3, :4].T, a[:3, :5]),
    "tiny in steps": lambda a, b: (a[:5:2, :8:2], a[:5:2, :8:2].T),
    "tiny with a vector": lambda a, b: (a[:3, :4].T, a[:3, 5]),
}


@pytest.mark.parametrize("char", "dFq")
@pytest.mark.parametrize("view", VIEWS)
def test_products_of_views(view, char):
    rng = np.random.default_rng(0)
    a, b = make(rng, (20, 30), char), make(rng, (17, 30), char)
    got = xnp.jit(lambda a, b: np.matmul(*VIEWS[view](a, b)))(a, b)
    assert_product(got, *VIEWS[view](a, b))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_products_of_unknown_sizes(data):
    """One program for all sizes, empty ones too."""
    run = _sized_products()
    m, k, n, s = (data.draw(st.integers(0, 20)) for _ in range(4))
    rng = np.random.default_rng(m + 100 * k)
    a, b, c = (rng.normal(size=shape) for shape in ((m, k), (k, n), (s, n, k)))
    for got, (x, y) in zip(
        run(a, b, c), [(a, b), (b.T, a.T), (a, b[:, 0] if n else b), (c, b)], strict=True
    ):
        if got is not None:
            assert_product(got, x, y)


@cache
def _sized_products():
    @xnp.jit(dynamic_argnames=("a", "b", "c"))
    def run(a, b, c):
        column = a @ b[:, 0] if b.shape[1] else None
        return a @ b, b.T @ a.T, column, c @ b

    return run


def system(rng, lead, n, char):
    a = make(rng, (*lead, n, n), char) + (3 * np.eye(n)).astype(char)
    h = a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(n)
    return a, make(rng, (*lead, n, 3), char), h.astype(char)


def assert_near(got, want):
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    scale = np.max(np.abs(want), initial=0, where=np.isfinite(want))
    eps = 200 * np.finfo(want.dtype).eps
    np.testing.assert_allclose(got, want, rtol=eps, atol=eps * scale)


@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize(("lead", "n"), [((), 1), ((), 20), ((4,), 3), ((2, 0), 2), ((2,), 0)])
def test_linear_algebra(lead, n, char):
    a, b, h = system(np.random.default_rng(0), lead, n, char)
    arguments = {"solve": (a, b), "inv": (a,), "cholesky": (h,), "det": (a,), "slogdet": (a,)}
    for name, args in arguments.items():
        want = getattr(np.linalg, name)(*args)
        want = want if isinstance(want, tuple) else (want,)
        for x, y in zip(compiled(name, *args)(list(args)), want, strict=True):
            assert_near(np.asarray(x), np.asarray(y))


def test_one_matrix_for_a_stack_of_right_sides():
    rng = np.random.default_rng(0)
    a, b, _ = system(rng, (), 5, "d")
    many = np.stack([b, 2 * b])
    assert_near(compiled("solve", a, many)([a, many])[0], np.linalg.solve(a, many))


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def assert_unitary(x):
    *lead, _, n = x.shape
    assert_near(adjoint(x) @ x, np.broadcast_to(np.eye(n, dtype=x.dtype), (*lead, n, n)))


def native(name, a, want, **params):
    """The results, whose types are those of NumPy's ``want``."""
    found = [np.asarray(x) for x in compiled(name, a, **params)([a])]
    for got, x in zip(found, want, strict=True):
        assert (got.dtype, got.shape) == (x.dtype, x.shape)
    return found


SHAPES_OF_STACKS = [(1, 1), (4, 4), (30, 17), (3, 9, 20), (2, 0, 3, 2), (0, 3), (3, 0)]


@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize("shape", SHAPES_OF_STACKS)
def test_qr(shape, char):
    a = make(np.random.default_rng(0), shape, char)
    want = np.linalg.qr(a)
    q, r = native("qr", a, want)
    assert_near(r, want[1])  # the signs are LAPACK's
    assert_near(q @ r, a)
    assert_unitary(q)
    np.testing.assert_array_equal(r, np.triu(r))


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize("shape", SHAPES_OF_STACKS)
def test_svd(shape, char, full):
    a = make(np.random.default_rng(0), shape, char)
    want = np.linalg.svd(a, full_matrices=full)
    u, s, vh = native("svd", a, want, full=full)
    k = s.shape[-1]
    assert_near(s, want[1])
    assert_near((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a)
    assert_unitary(u)
    assert_unitary(adjoint(vh))


@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize("shape", [(1, 1), (3, 20, 20), (0, 0), (2, 0, 3, 3)])
@pytest.mark.parametrize("uplo", "LU")
def test_eigh(shape, char, uplo):
    """Only one triangle is read."""
    a = make(np.random.default_rng(0), shape, char)
    want = np.linalg.eigh(a, uplo)
    w, v = native("eigh", a, want, uplo=uplo)
    half = np.tril(a, -1) if uplo == "L" else np.triu(a, 1)
    diagonal = np.real(np.diagonal(a, axis1=-2, axis2=-1))[..., None] * np.eye(shape[-1])
    assert_near(w, want[0])
    assert_near((v * w[..., None, :]) @ adjoint(v), (half + adjoint(half) + diagonal).astype(char))
    assert_unitary(v)
    (values,) = native("eigvalsh", a, [want[0]], uplo=uplo)
    assert_near(values, want[0])


@pytest.mark.parametrize("char", "fdFD")
@pytest.mark.parametrize("shape", SHAPES_OF_STACKS)
def test_svdvals(shape, char):
    a = make(np.random.default_rng(0), shape, char)
    want = np.linalg.svdvals(a)
    assert_near(native("svdvals", a, [want])[0], want)


def test_vectors_that_nothing_reads_are_not_computed():
    def names(f, a):
        return [e.primitive.name for e in optimize(program_of(f, (a,))).equations]

    a = np.random.default_rng(0).normal(size=(5, 5))
    assert names(np.linalg.eigvalsh, a) == ["eigvalsh"]
    assert names(lambda a: np.linalg.eigh(a)[0], a) == ["eigvalsh"]
    assert names(np.linalg.eigh, a) == ["eigh"]
    assert names(lambda a: np.linalg.eigh(a)[1], a) == ["eigh"]
    assert names(np.linalg.svdvals, a) == ["svdvals"]
    assert names(lambda a: np.linalg.svd(a)[1], a[:3]) == ["svdvals"]
    assert names(lambda a: np.linalg.svd(a)[2], a) == ["svd"]
    assert "svdvals" in names(lambda a: np.linalg.norm(a, 2), a)
    total = xnp.value_and_grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 3))
    assert "eigh" in names(total, a)
    assert "eigvalsh" not in names(total, a)
    for x, y in zip(xnp.jit(total)(a), total(a), strict=True):
        assert_near(np.asarray(x), np.asarray(y))


def test_values_in_loops():
    def f(a):
        for _ in range(3):
            a = a / np.linalg.eigvalsh(a)[-1] + np.diag(np.linalg.svdvals(a))
        return a

    a = np.random.default_rng(0).normal(size=(4, 4))
    assert_near(xnp.jit(f)(a + a.T), f(a + a.T))


@pytest.mark.parametrize("values", [np.linalg.eigvalsh, np.linalg.svdvals])
def test_values_that_do_not_converge_raise_what_numpy_raises(values):
    a = np.full((3, 3), np.nan)
    try:
        want = values(a)
    except np.linalg.LinAlgError as error:
        with pytest.raises(np.linalg.LinAlgError, match=str(error)):
            xnp.jit(values)(a)
    else:
        np.testing.assert_array_equal(xnp.jit(values)(a), want)


def test_svd_that_does_not_converge_raises_what_numpy_raises():
    a = np.full((3, 3), np.nan)
    with pytest.raises(np.linalg.LinAlgError) as wanted:
        np.linalg.svd(a)
    with pytest.raises(np.linalg.LinAlgError) as found:
        compiled("svd", a, full=True)([a])
    assert str(found.value) == str(wanted.value)


SINGULAR = [np.zeros((3, 3)), np.stack([np.eye(3), np.zeros((3, 3))]), np.ones((2, 2), "F")]


@pytest.mark.parametrize("a", SINGULAR)
@pytest.mark.parametrize("name", ["solve", "inv", "cholesky"])
def test_singular_matrices_raise_what_numpy_raises(name, a):
    args = [a, a] if name == "solve" else [-a if name == "cholesky" else a]
    with pytest.raises(np.linalg.LinAlgError) as wanted:
        getattr(np.linalg, name)(*args)
    with pytest.raises(np.linalg.LinAlgError) as found:
        compiled(name, *args)(args)
    assert str(found.value) == str(wanted.value)


@pytest.mark.parametrize("a", SINGULAR)
def test_determinants_of_singular_matrices(a):
    np.testing.assert_array_equal(compiled("det", a)([a])[0], np.linalg.det(a))
    found = compiled("slogdet", a)([a])
    for got, want in zip(found, np.linalg.slogdet(a), strict=True):
        np.testing.assert_array_equal(got, want)


def test_inverse_or_nan():
    a = np.stack([2 * np.eye(3), np.zeros((3, 3))])
    want = np.stack([np.eye(3) / 2, np.full((3, 3), np.nan)])
    np.testing.assert_array_equal(compiled("inv_or_nan", a)([a])[0], want)


def test_layouts_that_routines_read_in_place():
    def layout(shape, strides):
        return leading(Strided("%x", np.dtype(float), shape, strides))

    assert layout((3, 4), (32, 8)) == ("N", 4)
    assert layout((3, 4), (80, 8)) == ("N", 10)
    assert layout((3, 4), (8, 24)) == ("T", 3)
    assert layout((3, 1), (80, 8)) == ("N", 10)
    assert layout((1, 4), (0, 8)) == ("N", 4)
    for strides in [(32, 16), (-32, 8), (0, 8), (8, 8), (33, 8), (24, 8)]:
        assert layout((3, 4), strides) is None


def test_routines_of_scipy_where_numpy_exports_none(monkeypatch):
    monkeypatch.setattr(libraries, "_library", libraries._library.__wrapped__)
    monkeypatch.setattr(libraries, "_numpy_library", lambda: None)
    a, b, _ = system(np.random.default_rng(0), (), 9, "d")
    assert_product(compiled("matmul", a, b)([a, b])[0], a, b)
    assert_near(np.asarray(compiled("det", a)([a])[0]), np.asarray(np.linalg.det(a)))
    with pytest.raises(libraries.MissingLibraryError, match="have no dnothing"):
        libraries.symbols(["xnp_blas_dnothing"])
