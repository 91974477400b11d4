"""Linear algebra at the awkward points: repeated and zero values, singular matrices, zero vectors,
triangles that are not read; and errors.
"""

import itertools

import numpy
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import xnp as np

rng = numpy.random.default_rng(0)
LinAlgError = numpy.linalg.LinAlgError


def orthogonal(n, k=None):
    return numpy.linalg.qr(rng.normal(size=(n, k or n)))[0]


def symmetric(*values):
    q = orthogonal(len(values))
    a = (q * values) @ q.T
    return (a + a.T) / 2


def hermitian(a):
    return (a + np.conj(np.swapaxes(a, -1, -2))) / 2


REPEATED = symmetric(1.0, 2.0, 2.0, 2.0, 5.0)


# Repeated eigenvalues


@pytest.mark.parametrize("a", [REPEATED, numpy.eye(3), numpy.zeros((3, 3))])
@pytest.mark.parametrize("values", [np.linalg.eigvalsh, lambda a: np.linalg.eigvals(a).real])
def test_symmetric_functions_of_repeated_eigenvalues(a, values):
    """D sum f(l) = tr(f'(A) dA)."""
    found = np.grad(lambda a: np.sum(np.exp(values(hermitian(a)))))(a)
    w, v = numpy.linalg.eigh(a)
    assert_allclose(found, (v * numpy.exp(w)) @ v.T, atol=1e-11)
    x_dot = rng.normal(size=a.shape)
    forward = np.jvp(lambda a: np.sum(np.exp(values(hermitian(a)))), (a,), (x_dot,))[1]
    assert_allclose(forward, numpy.sum(found * x_dot), rtol=1e-9)


def test_projector_on_repeated_eigenvalues():
    """The projector P on a group moves as P' = sum_k P dA P_k / (l - l_k) + its transpose."""

    def projector(a):
        v = np.linalg.eigh(hermitian(a))[1][:, 1:4]
        return v @ v.T

    w, v = numpy.linalg.eigh(REPEATED)
    x_dot = rng.normal(size=(5, 5))
    x_dot = (x_dot + x_dot.T) / 2
    group = projector(REPEATED)
    half = sum(group @ x_dot @ numpy.outer(v[:, k], v[:, k]) / (2.0 - w[k]) for k in (0, 4))
    ct = rng.normal(size=(5, 5))
    pull = np.vjp(projector, REPEATED)[1]
    assert_allclose(numpy.sum(pull(ct)[0] * x_dot), numpy.sum(ct * (half + half.T)), rtol=1e-10)


def test_largest_eigenvalue_when_repeated_has_a_subgradient():
    g = np.grad(lambda a: np.linalg.eigvalsh(a)[-1])(numpy.eye(3))
    assert_allclose(numpy.trace(g), 1.0)
    assert_array_equal(g, numpy.diag(numpy.diag(g)))


def test_functions_of_repeated_values_and_vectors_raise():
    def matrix_function(a):
        w, v = np.linalg.eigh(hermitian(a))
        return np.sum((v * np.exp(w)) @ v.T)

    with pytest.raises(LinAlgError, match=r"both values and vectors.*eigvalsh"):
        np.grad(matrix_function)(REPEATED)
    assert numpy.isnan(np.jvp(matrix_function, (REPEATED,), (rng.normal(size=(5, 5)),))[1])


@pytest.mark.parametrize(
    "vectors",
    [
        lambda a: np.linalg.eigh(a)[1][:, 2],
        lambda a: np.linalg.svd(a)[0][:, 2],
        lambda a: np.linalg.svd(a)[2][2],
        lambda a: np.real(np.linalg.eig(a)[1]) @ np.ones(5),
    ],
    ids=["eigh", "left", "right", "eig"],
)
def test_choice_among_vectors_of_repeated_values_raises(vectors):
    a, weights = REPEATED, rng.normal(size=5)
    with pytest.raises(LinAlgError, match="choice of vectors"):
        np.grad(lambda a: np.sum(weights * vectors(a)))(a)


def test_phases_of_complex_vectors():
    """Absolute values have derivatives everywhere, phases only where LAPACK's choice has."""
    blocks = numpy.zeros((4, 4), complex)
    blocks[:2, :2] = [[1.0, 0.5j], [-0.5j, 3.0]]
    blocks[2:, 2:] = [[5.0, 1.0 + 1j], [1.0 - 1j, 8.0]]
    g = np.grad(lambda a: np.sum(np.abs(np.linalg.eigh(a)[1]) ** 4))(blocks)
    assert numpy.isfinite(g).all()
    with pytest.raises(LinAlgError, match="phases"):
        np.grad(lambda a: np.sum(np.linalg.eigh(a)[1][2:].real))(blocks)
    with pytest.raises(LinAlgError, match="phases"):
        np.grad(lambda a: np.sum(np.linalg.svd(a)[2][:, 2:].real))(blocks)


def test_second_derivatives_at_repeated_eigenvalues_are_never_wrong():
    """The Hessian of sum(l^2) is constant, but eigenvalues cannot carry it where they are equal."""
    f = lambda a: np.sum(np.linalg.eigvalsh(hermitian(a)) ** 2)
    x_dot = rng.normal(size=(3, 3))
    assert numpy.isnan(np.jvp(np.grad(f), (numpy.eye(3),), (x_dot,))[1]).any()
    with pytest.raises(LinAlgError, match="both values and vectors"):
        np.grad(lambda a: np.sum(np.grad(f)(a) * x_dot))(numpy.eye(3))


def test_leading_vectors_with_a_null_space():
    """Eigenvalues 0, 0, 0, 1, 2: what uses only the last two has a derivative."""
    low = orthogonal(5, 2)

    def leading(a):
        w, v = np.linalg.eigh(hermitian(a))
        w, v = w[3:], v[:, 3:]
        return (v * np.sqrt(w)) @ v.T

    def program(b):
        return leading(b @ np.array([[1.0, 0.0], [0.0, 2.0]]) @ b.T)

    x_dot = rng.normal(size=low.shape)
    wanted = (program(low + 1e-6 * x_dot) - program(low - 1e-6 * x_dot)) / 2e-6
    ct = rng.normal(size=(5, 5))
    found = np.vjp(program, low)[1](ct)[0]
    assert_allclose(numpy.sum(found * x_dot), numpy.sum(ct * wanted), rtol=1e-7)


# Repeated and zero singular values


@pytest.mark.parametrize(
    "a", [numpy.eye(3), orthogonal(4), orthogonal(5, 2), 2 * orthogonal(4, 3).T]
)
def test_polar_factor_of_repeated_singular_values(a):
    """U V^H is smooth: with B = U V^H and A = B S, B' = (1 - B B^T) A' S^-1 + B skew part."""

    def polar(a):
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        return u @ vh

    x_dot = rng.normal(size=a.shape)
    wanted = (polar(a + 1e-5 * x_dot) - polar(a - 1e-5 * x_dot)) / 2e-5
    ct = rng.normal(size=a.shape)
    found = np.vjp(polar, a)[1](ct)[0]
    assert_allclose(numpy.sum(found * x_dot), numpy.sum(ct * wanted), rtol=1e-6)


@pytest.mark.parametrize("order", ["nuc", "fro", 2])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)])
def test_matrix_norms_at_the_zero_matrix(order, shape):
    g = np.grad(lambda a: np.linalg.norm(a, order))(numpy.zeros(shape))
    assert_array_equal(g, numpy.zeros(shape))


def test_nuclear_norm_of_a_singular_matrix_has_the_smallest_subgradient():
    a = numpy.outer(rng.normal(size=3), rng.normal(size=4))
    g = np.grad(lambda a: np.linalg.norm(a, "nuc"))(a)
    assert_allclose(g, a / numpy.linalg.norm(a), atol=1e-12)


def test_extra_columns_of_full_matrices():
    a = rng.normal(size=(4, 2))

    def span(a):
        extra = np.linalg.svd(a)[0][:, 2:]
        return np.sum((extra @ extra.T)[0])

    g = np.grad(span)(a)
    x_dot = rng.normal(size=a.shape)
    wanted = (span(a + 1e-6 * x_dot) - span(a - 1e-6 * x_dot)) / 2e-6
    assert_allclose(numpy.sum(g * x_dot), wanted, rtol=1e-6)
    with pytest.raises(LinAlgError, match="full_matrices=False"):
        np.grad(lambda a: np.linalg.svd(a)[0][0, 3])(a)


# Triangles


def test_only_the_triangle_that_numpy_reads_has_a_derivative():
    a = symmetric(1.0, 2.0, 4.0)
    for fun, read in (
        (np.linalg.eigvalsh, numpy.tril),
        (lambda a: np.linalg.eigvalsh(a, "U"), numpy.triu),
        (np.linalg.cholesky, numpy.tril),
        (lambda a: np.linalg.cholesky(a, upper=True), numpy.triu),
        (lambda a: np.linalg.svd(a, hermitian=True)[1], numpy.tril),
        (lambda a: np.linalg.pinv(a, hermitian=True), numpy.tril),
    ):
        g = np.grad(lambda a: np.sum(fun(a) ** 2))(a)  # noqa: B023
        assert_array_equal(g, read(g))
        assert g.any()


# Determinants


def cofactors(a):
    n = len(a)
    rows = [[i for i in range(n) if i != k] for k in range(n)]
    return numpy.array(
        [
            [(-1) ** (i + j) * numpy.linalg.det(a[numpy.ix_(rows[i], rows[j])]) for j in range(n)]
            for i in range(n)
        ]
    )


SINGULAR = [
    orthogonal(4, 3) @ rng.normal(size=(3, 4)),
    orthogonal(4, 2) @ rng.normal(size=(2, 4)),
    numpy.diag([1.0, 1e-9, 0.0, 2.0]),
    numpy.zeros((4, 4)),
    numpy.ones((4, 4)),
]


@pytest.mark.parametrize("a", SINGULAR)
def test_gradient_of_det_at_singular_matrices(a):
    assert_allclose(np.grad(np.linalg.det)(a), cofactors(a), atol=1e-13)


@pytest.mark.parametrize("a", SINGULAR)
def test_hessian_of_det_at_singular_matrices(a):
    """The second derivatives are the signed 2 x 2 complementary minors."""
    found = np.hessian(np.linalg.det)(a)
    step = 1e-3  # det is a polynomial of degree 1 in each element: differences are exact
    for (i, j), (k, l) in itertools.product(numpy.ndindex(4, 4), repeat=2):
        if (i, j) < (k, l):
            e, f = numpy.zeros((2, 4, 4))
            e[i, j], f[k, l] = step, step
            det = numpy.linalg.det
            wanted = (det(a + e + f) - det(a + e - f) - det(a - e + f) + det(a - e - f)) / (
                4 * step**2
            )
            assert_allclose(found[i, j, k, l], wanted, atol=1e-8)


def test_third_derivative_of_det_at_zero_is_the_permutation_symbol():
    f = np.jacobian(np.jacobian(np.grad(np.linalg.det)))
    found = f(numpy.zeros((3, 3)))
    for p in itertools.permutations(range(3)):
        sign = numpy.linalg.det(numpy.eye(3)[list(p)])
        assert_allclose(found[0, p[0], 1, p[1], 2, p[2]], sign, atol=1e-14)
    assert_allclose(numpy.abs(found).sum(), 36, atol=1e-10)


def test_det_of_a_batch_with_singular_members():
    batch = numpy.stack([SINGULAR[0], rng.normal(size=(4, 4)), SINGULAR[3]])
    found = np.vmap(np.grad(np.linalg.det))(batch)
    assert_allclose(found, numpy.stack([cofactors(a) for a in batch]), atol=1e-12)


def test_det_where_it_underflows_before_its_derivative():
    assert_allclose(np.grad(np.linalg.det)(1e-200 * numpy.eye(2)), 1e-200 * numpy.eye(2))


def test_det_of_nothing():
    assert np.vjp(np.linalg.det, numpy.zeros((0, 0)))[0] == 1.0


# Norms


@pytest.mark.parametrize("order", [None, 1, 2, 3, 1.5, 0.5, numpy.inf, 0])
def test_vector_norms_at_the_zero_vector(order):
    f = lambda x: np.linalg.norm(x, order)
    assert_array_equal(np.grad(f)(numpy.zeros(3)), numpy.zeros(3))
    assert_array_equal(np.hessian(f)(numpy.zeros(3)), numpy.zeros((3, 3)))


def test_norm_of_tiny_vectors():
    x = numpy.array([3e-200, 4e-200])  # whose square underflows
    assert numpy.isfinite(np.grad(np.linalg.norm)(x)).all()
    x = numpy.array([3e-150, 4e-150])
    assert_allclose(np.grad(np.linalg.norm)(x), [0.6, 0.8])


def test_norm_of_one_zero_row_among_others():
    x = numpy.array([[3.0, 4.0], [0.0, 0.0]])
    g = np.grad(lambda x: np.sum(np.linalg.norm(x, axis=1)))(x)
    assert_allclose(g, [[0.6, 0.8], [0.0, 0.0]])


VECTORS = [[], [3.0, 4.0], [0.0, -0.0], [1.0, numpy.nan], [-numpy.inf, 1.0], [1e200, 1.0], [1e-200]]


@pytest.mark.parametrize("char", "efdFD")
@pytest.mark.parametrize("vector", VECTORS)
def test_jitted_norms(vector, char):
    with numpy.errstate(all="ignore"):
        x = numpy.array(vector, char)
        for args in ((), (2,), (None, 0), (None, 0, True)):
            want = numpy.linalg.norm(x, *args)
            got = np.jit(lambda x, args=args: np.linalg.norm(x, *args))(x)
            assert (got.dtype, got.shape) == (want.dtype, want.shape)
            assert_allclose(got, want, rtol=8 * numpy.finfo(char).eps)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("char", "dD")
def test_jitted_norms_of_matrices_and_their_gradients(axis, char):
    x = rng.normal(size=(5, 7)) + rng.normal(size=(5, 7)) * (1j if char == "D" else 1)
    x[:, 2] = 0
    norm = lambda a: np.linalg.norm(a, axis=axis)
    total = lambda a: np.sum(norm(a * 2) + norm(a))
    for a in (x, x.T, x[::2, ::-1]):
        assert_allclose(np.jit(norm)(a), numpy.linalg.norm(a, axis=axis), rtol=1e-14)
        assert_allclose(np.jit(np.grad(total))(a), np.grad(total)(a), rtol=1e-13)


# Solving


def test_pinv_and_lstsq_at_low_rank():
    """Along perturbations that keep the rank, both have derivatives."""
    left, right, b = rng.normal(size=(5, 2)), rng.normal(size=(2, 4)), rng.normal(size=5)
    for fun in (np.linalg.pinv, lambda a: np.linalg.lstsq(a, b)[0]):
        program = lambda left, right: fun(left @ right)  # noqa: B023
        dots = rng.normal(size=(5, 2)), rng.normal(size=(2, 4))
        h = 1e-6
        ahead = program(left + h * dots[0], right + h * dots[1])
        behind = program(left - h * dots[0], right - h * dots[1])
        found = np.jvp(program, (left, right), dots)[1]
        assert_allclose(found, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-7)


def test_lstsq_returns_what_numpys_does():
    for a, b in (
        (rng.normal(size=(4, 2)), rng.normal(size=4)),
        (rng.normal(size=(4, 2)), rng.normal(size=(4, 3))),
        (rng.normal(size=(2, 4)), rng.normal(size=2)),
        (numpy.ones((4, 2)), rng.normal(size=(4, 1))),
    ):
        wanted = numpy.linalg.lstsq(a, b)
        found = np.vjp(np.linalg.lstsq, a, b)[0]
        for ours, numpys in zip(found, wanted, strict=True):
            assert type(ours) is type(numpys)
            assert ours.shape == numpys.shape
            assert ours.dtype == numpys.dtype
            assert_allclose(ours, numpys, atol=1e-13)


def test_singular_matrices_raise_as_in_numpy():
    a = numpy.ones((2, 2))
    for fun in (
        np.linalg.inv,
        lambda a: np.linalg.solve(a, a),
        lambda a: np.linalg.matrix_power(a, -1),
    ):
        with pytest.raises(LinAlgError, match="Singular"):
            np.vjp(fun, a)
    with pytest.raises(LinAlgError, match="positive definite"):
        np.vjp(np.linalg.cholesky, -numpy.eye(2))
    assert np.vjp(np.linalg.cond, a)[0] > 1e15
    assert np.vjp(lambda a: np.linalg.cond(a, 1), numpy.zeros((2, 2)))[0] == numpy.inf


@pytest.mark.parametrize(
    ("fun", "shape", "error", "text"),
    [
        (np.linalg.inv, (2, 3), LinAlgError, r"square.*inv.*a = f64\[2,3\]"),
        (np.linalg.det, (3,), LinAlgError, "at least two-dimensional.*det"),
        (np.linalg.eigh, (2, 3), LinAlgError, "eigh"),
        (lambda a: np.linalg.eigh(a, "X"), (2, 2), ValueError, "UPLO.*'X'"),
        (lambda a: np.linalg.solve(a, numpy.ones(2)), (3, 3), ValueError, "3 rows"),
        (lambda a: np.linalg.matrix_power(a, 0.5), (2, 2), TypeError, "exponent.*0.5"),
        (lambda a: np.linalg.qr(a, "economy"), (2, 2), ValueError, "'economy'"),
        (lambda a: np.linalg.norm(a, "nuc"), (3,), ValueError, "nuc"),
        (lambda a: np.linalg.norm(a, 3), (3, 3), ValueError, "Invalid norm order"),
        (lambda a: np.linalg.norm(a, 2), (2, 3, 3), ValueError, "axis"),
        (lambda a: np.linalg.lstsq(a, numpy.ones(2)), (3, 2), LinAlgError, "Incompatible"),
        (lambda a: np.linalg.tensorinv(a, 0), (2, 2), ValueError, "ind"),
        (np.linalg.cond, (0, 0), LinAlgError, "empty"),
    ],
)
def test_mistakes_are_named(fun, shape, error, text):
    a = rng.normal(size=shape)
    with pytest.raises(error):
        fun(a)
    with pytest.raises(error, match=text):
        np.vjp(fun, a)


def test_errors_under_vmap_speak_of_one_example():
    with pytest.raises(LinAlgError, match=r"f64\[2,3\]"):
        np.vmap(np.linalg.inv)(numpy.ones((5, 2, 3)))


def test_half_precision_is_refused_as_in_numpy():
    a = numpy.eye(2, dtype=numpy.float16)
    with pytest.raises(TypeError, match="float16 is unsupported in linalg"):
        np.vjp(np.linalg.inv, a)


def test_eigenvalues_of_a_real_matrix_may_be_complex():
    turn = numpy.array([[0.3, -1.0], [1.0, 0.3]])
    assert np.vjp(np.linalg.eigvals, turn)[0].dtype == complex
    stretch = numpy.diag([1.0, 2.0])  # complex from NumPy 2.5 on
    assert np.vjp(np.linalg.eigvals, stretch)[0].dtype == numpy.linalg.eigvals(stretch).dtype
    g = np.grad(lambda a: np.sum(np.abs(np.linalg.eigvals(a)) ** 2))(turn)
    assert g.dtype == float
    assert_allclose(g, 2 * numpy.linalg.inv(turn).T * numpy.linalg.det(turn), rtol=1e-12)


def test_results_are_named_tuples():
    a = symmetric(1.0, 2.0, 4.0)

    def program(a):
        assert np.linalg.eigh(a).eigenvalues.shape == (3,)
        assert np.linalg.svd(a).Vh.shape == (3, 3)
        assert np.linalg.qr(a).R.shape == (3, 3)
        return np.linalg.slogdet(a).logabsdet

    assert_allclose(np.grad(program)(a), numpy.linalg.inv(a).T, rtol=1e-12)


def test_linear_algebra_inside_newtons_method():
    """A solve inside a loop, differentiated: x(p) solves x^3 = p, so dx/dp = 1 / (3 x^2)."""

    def root(p):
        x = np.ones(3) * 1.5
        for _ in range(30):
            residual = x**3 - p
            x = x - np.linalg.solve(np.diag(3 * x**2), residual)
        return x

    p = numpy.array([1.0, 2.0, 3.0])
    assert_allclose(np.jacobian(root)(p), numpy.diag(1 / (3 * numpy.cbrt(p) ** 2)), atol=1e-12)
