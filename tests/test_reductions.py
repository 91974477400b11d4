"""Reductions where rules go wrong: zeros in products, ties, NaN, empty arrays, out=, errors."""

import math
import warnings

import numpy
import pytest

import xnp as np
from xnp.autodiff.primitives.reductions import recurrence_p

X = numpy.array([[0.5, -2.0, 3.0], [4.0, 1.5, -1.0]])


def products_of_others(x):
    return numpy.array([numpy.prod(numpy.delete(x, i)) for i in range(x.size)])


@pytest.mark.parametrize("zeros", [(), (1,), (0, 3), (0, 1, 2), (0, 1, 2, 3)], ids=str)
def test_gradient_of_a_product_with_zeros(zeros):
    x = numpy.array([2.0, -3.0, 0.5, 4.0])
    x[list(zeros)] = 0
    numpy.testing.assert_array_equal(np.grad(np.prod)(x), products_of_others(x))


def test_derivatives_of_a_product_of_zeros_at_every_order():
    """x1 x2 x3 at 0: the third mixed derivative is 1, all lower ones vanish."""
    third = np.jacfwd(np.jacrev(np.grad(np.prod)))(numpy.zeros(3))
    wanted = numpy.zeros((3, 3, 3))
    for i, j, k in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        wanted[i, j, k] = 1
    numpy.testing.assert_array_equal(third, wanted)
    numpy.testing.assert_array_equal(np.hessian(np.prod)(numpy.zeros(3)), numpy.zeros((3, 3)))


def test_product_of_tiny_and_huge_factors():
    x = numpy.array([1e-200, 1e200, 3.0])
    numpy.testing.assert_allclose(np.grad(np.prod)(x), [3e200, 3e-200, 1.0], rtol=1e-15)


@pytest.mark.parametrize("zeros", [(), (1,), (0, 3)], ids=str)
def test_jacobian_of_cumprod_with_zeros(zeros):
    x = numpy.array([2.0, -3.0, 0.5, 4.0])
    x[list(zeros)] = 0
    wanted = numpy.array(
        [
            [numpy.prod(numpy.delete(x[: i + 1], j)) if j <= i else 0 for j in range(4)]
            for i in range(4)
        ]
    )
    numpy.testing.assert_array_equal(np.jacrev(np.cumprod)(x), wanted)
    numpy.testing.assert_array_equal(np.jacfwd(np.cumprod)(x), wanted)


def recurrence(a, b):
    s = [b[0]]
    for ai, bi in zip(a[1:], b[1:], strict=True):
        s.append(ai * s[-1] + bi)
    return numpy.array(s)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1.7, 1e3], ids=str)
@pytest.mark.parametrize("n", [1, 64, 65, 100, 1000, 1003])
def test_recurrence_in_blocks_is_the_recurrence(n, scale):
    """In blocks where the products of factors stay in range, one by one where they do not."""
    rng = numpy.random.default_rng(n)
    a, b = scale * rng.normal(size=n), rng.normal(size=n)
    a[n // 2 : n // 2 + 2] = 0
    with numpy.errstate(over="ignore", invalid="ignore"):
        wanted = recurrence(a, b)
    with numpy.errstate(over="ignore", invalid="ignore"):
        found = recurrence_p(a, b, axis=0)
    finite = numpy.isfinite(wanted)
    assert (numpy.isfinite(found) == finite).all()
    size = numpy.abs(wanted[finite]) + 1
    assert (numpy.abs(found[finite] - wanted[finite]) <= 1e-9 * size).all()


def test_ties_share_the_derivative():
    x = numpy.array([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]])
    numpy.testing.assert_array_equal(np.grad(np.max)(x), [[0, 0.5, 0.5], [0, 0, 0]])
    by_row = np.grad(lambda x: np.sum(np.max(x, axis=1)))(x)
    numpy.testing.assert_array_equal(by_row, [[0, 0.5, 0.5], [0.5, 0, 0.5]])
    numpy.testing.assert_array_equal(np.grad(np.min)(x), [[0, 0, 0], [0, 1, 0]])
    assert np.jvp(np.max, (x,), (numpy.ones_like(x),))[1] == 1


def test_the_derivative_of_an_extreme_that_is_nan_goes_to_the_nan():
    x = numpy.array([1.0, numpy.nan, 3.0])
    numpy.testing.assert_array_equal(np.grad(np.max)(x), [0, 1, 0])


def test_an_infinite_loser_does_not_spoil_the_gradient():
    """1/x at 0 is inf; min does not choose it."""
    with numpy.errstate(divide="ignore"):
        gradient = np.grad(lambda x: np.min(1 / x))(numpy.array([0.0, 2.0]))
    numpy.testing.assert_array_equal(gradient, [0, -0.25])


def test_max_with_initial_gives_the_derivative_to_the_winner():
    x = numpy.array([1.0, 3.0])
    both = np.grad(lambda x, c: np.max(x, initial=c), (0, 1))
    for start, wanted in [(2.0, ([0, 1], 0)), (5.0, ([0, 0], 1))]:
        found = both(x, start)
        numpy.testing.assert_array_equal(found[0], wanted[0])
        assert found[1] == wanted[1]


def test_std_of_equal_numbers_has_the_subgradient_zero():
    x = numpy.full(4, 2.5)
    numpy.testing.assert_array_equal(np.grad(np.std)(x), numpy.zeros(4))
    numpy.testing.assert_array_equal(np.grad(np.nanstd)(x), numpy.zeros(4))
    assert np.jvp(np.std, (x,), (numpy.arange(4.0),))[1] == 0


def test_gradient_of_var_keeps_its_accuracy_far_from_zero():
    x = 1e8 + numpy.arange(4.0)
    numpy.testing.assert_allclose(np.grad(np.var)(x), (numpy.arange(4) - 1.5) / 2, rtol=1e-15)


def test_half_precision_mean_accumulates_in_single():
    x = numpy.full(70000, 1.0, numpy.float16)
    assert np.vjp(np.mean, x)[0] == numpy.float16(1)
    gradient = np.grad(np.mean)(x)
    assert gradient.dtype == numpy.float16


def test_skipped_elements_have_no_derivative():
    x = numpy.array([1.0, numpy.nan, 3.0])
    numpy.testing.assert_array_equal(np.grad(np.nanmean)(x), [0.5, 0, 0.5])
    numpy.testing.assert_array_equal(np.grad(np.nanprod)(x), [3, 0, 1])
    numpy.testing.assert_array_equal(np.grad(np.nanmax)(x), [0, 0, 1])
    numpy.testing.assert_array_equal(np.grad(np.nanmedian)(x), [0.5, 0, 0.5])
    numpy.testing.assert_array_equal(np.grad(lambda x: np.nanquantile(x, 0.25))(x), [0.75, 0, 0.25])


def label(f):
    """Where a case is written, or its text."""
    code = getattr(f, "__code__", None)
    return (
        getattr(f, "__name__", str(f))
        if code is None or f.__name__ != "<lambda>"
        else f"line {code.co_firstlineno}"
    )


def traced(f, *args):
    """``f`` on traced arrays."""
    return np.vjp(f, *args)[0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.max(x[:0]),
        lambda x: np.max(x[:, :0], axis=1),
        lambda x: np.argmax(x[:0]),
        lambda x: np.argmin(x[:, :0], axis=1),
        lambda x: np.sum(x, axis=2),
        lambda x: np.sum(x, axis=(0, 0)),
        lambda x: np.sum(x, axis=(0, -2)),
        lambda x: np.sum(x, axis=[0]),
        lambda x: np.sum(x, axis=0.5),
        lambda x: np.max(x, where=x > 0),
        lambda x: np.cumsum(x, axis=2),
        np.cumulative_sum,
        lambda x: np.var(x, ddof=1, correction=1),
        lambda x: np.nanargmax(x * numpy.nan),
        lambda x: np.sum(x, initial=[1.0, 2.0]),
        lambda x: np.sum(x, where=numpy.ones((2, 2), bool)),
        lambda x: np.average(x, weights=[1.0, 2.0]),
        lambda x: np.average(x, axis=0, weights=[1.0, 2.0, 3.0]),
        lambda x: np.average(x, axis=0, weights=[1.0, -1.0]),
        lambda x: np.cov(x, ddof=0.5),
        lambda x: np.cov(x, aweights=[1.0, -1.0, 1.0]),
        lambda x: np.cov(x, fweights=[1.0, 0.5, 1.0]),
        lambda x: np.cov(x[None]),
    ],
    ids=label,
)
def test_the_errors_are_numpys(f):
    """The same class of error, and NumPy's words where they are not bettered."""
    with pytest.raises(Exception) as plain:  # noqa: PT011 - whichever NumPy raises
        f(X)
    with pytest.raises(type(plain.value)):
        traced(f, X)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: np.sum(x, axis=[0, 1]), r"axis is a list.*write axis=\(0, 1\)"),
        (lambda x: np.sum(x, where=numpy.array([1, 0, 1])), "where= must be boolean, got int64"),
        (lambda x: np.max(x[:0]), "zero-size array to reduction operation maximum"),
        (
            lambda x: np.sum(x, initial=[1.0]),
            r"initial must be a scalar, got an array of shape \(1,\)",
        ),
        (lambda x: np.sum(x, axis=3), "axis 3 is out of bounds for array of dimension 2"),
    ],
    ids=label,
)
def test_error_texts(f, text):
    with pytest.raises((TypeError, ValueError), match=text):
        traced(f, X)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: np.mean(x[:0]), "Mean of empty slice"),
        (lambda x: np.var(x[:1], axis=0, ddof=1), "Degrees of freedom <= 0 for slice"),
        (lambda x: np.nanmax(x * numpy.nan), "All-NaN slice encountered"),
        (lambda x: np.nanmean(x * numpy.nan), "Mean of empty slice"),
        (lambda x: np.nanvar(x[:1], axis=0, ddof=1), "Degrees of freedom <= 0 for slice"),
        (lambda x: np.nanmedian(x * numpy.nan), "All-NaN slice encountered"),
    ],
    ids=label,
)
def test_the_warnings_are_numpys(f, text):
    """The same text first, the same result, under vmap too."""
    results = []
    for call in (lambda: f(X), lambda: traced(f, X), lambda: np.vmap(f)(X[None])[0]):
        with warnings.catch_warnings(record=True) as caught, numpy.errstate(all="ignore"):
            warnings.simplefilter("always")
            results.append(call())
        assert any(str(warning.message).startswith(text) for warning in caught)
    for result in results[1:]:
        numpy.testing.assert_array_equal(result, results[0])


def test_out_is_written_in_its_own_dtype():
    def f(x):
        total, single = np.zeros(3), np.zeros(3, numpy.float32)
        assert np.sum(x, axis=0, out=total) is total
        np.cumsum(x, axis=None, out=(whole := np.zeros(6)))
        np.max(x, axis=0, out=single)
        flags = np.any(x > 3, axis=0, out=np.zeros(3))
        return total, whole, single, flags, np.argmax(x, axis=0, out=np.zeros(3, int))

    plain, ours = f(X), traced(f, X)
    for a, b in zip(plain, ours, strict=True):
        assert a.dtype == b.dtype
        numpy.testing.assert_array_equal(a, b)
    gradient = np.grad(lambda x: np.sum(np.sum(x, axis=0, out=np.zeros(3)) ** 2))(X)
    numpy.testing.assert_allclose(gradient, 2 * numpy.stack([X.sum(0)] * 2))


def test_out_that_cannot_hold_a_traced_result():
    with pytest.raises(np.MutationError, match=r"np\.sum was to write a traced result"):
        traced(lambda x: np.sum(x, axis=0, out=numpy.zeros(3)), X)
    with pytest.raises(ValueError, match=r"out has shape \(2,\), wanted \(3,\)"):
        traced(lambda x: np.sum(x, axis=0, out=np.zeros(2)), X)


def test_numpys_own_defaults_may_be_passed_on():
    """As library code does that forwards its keyword arguments."""
    none = numpy._NoValue
    assert traced(lambda x: np.sum(x, keepdims=none, initial=none, where=none), X) == X.sum()
    assert traced(lambda x: np.max(x, keepdims=none, initial=none, where=none), X) == X.max()
    assert traced(lambda x: np.mean(x, keepdims=none, where=none), X) == X.mean()


def test_a_sum_keeps_numpys_accuracy():
    x = numpy.full(10**6, 0.1, numpy.float32)
    assert traced(np.sum, x) == numpy.sum(x)
    assert math.isclose(traced(np.sum, x), 1e5, rel_tol=1e-5)


def test_corrcoef_of_a_variable_with_itself_is_constant():
    gradient = np.grad(lambda x: np.corrcoef(x, 2 * x)[0, 1])(numpy.array([1.0, 4.0, 2.0]))
    numpy.testing.assert_allclose(gradient, numpy.zeros(3), atol=1e-15)


@pytest.mark.parametrize("dtype", "?bBhHiIqQefd")
def test_dtypes_that_numpy_chooses(dtype):
    x = numpy.array([[1, 0], [1, 1]], dtype)
    for f in (np.round, np.sinc, np.std):
        wanted, found = f(x), np.jit(f)(x)
        assert found.dtype == wanted.dtype
        numpy.testing.assert_allclose(found, wanted, atol=1e-3)


def test_roots_and_bools_are_not_rounded_where_numpy_refuses():
    x = numpy.ones((2, 3))
    for f in (lambda x: np.std(x, axis=0, dtype="i2"), lambda x: np.round(x > 0, 1)):
        for g in (f, np.jit(f)):
            with pytest.raises(TypeError, match="Cannot cast ufunc"):
                g(x)
    whole = lambda x: np.std(x, dtype="i2")
    assert np.jit(whole)(x).dtype == whole(x).dtype
