"""Sorting, quantiles, sets and histograms where they are awkward: ties, sizes, batches, errors."""

import numpy
import pytest

import xnp as np
from xnp.codegen.mlir import sorting as lowering
from xnp.runtime import numpy_routines, recipe
from xnp.runtime.compile import Compiled

TIES = numpy.array([3.0, 1.0, 3.0, 1.0])


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


def test_equal_elements_keep_their_order_and_their_derivatives():
    wanted = [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0]]
    numpy.testing.assert_array_equal(np.jacrev(np.sort)(TIES), wanted)
    numpy.testing.assert_array_equal(np.jacfwd(np.sort)(TIES), wanted)


@pytest.mark.parametrize("n", [1, 2, 7, 33, 200])
def test_partition_leaves_the_elements_where_numpy_does(n):
    x = numpy.random.default_rng(n).integers(0, n, size=(2, n)).astype(float)
    for kth in {0, n // 3, n - 1}:
        f = lambda x, kth=kth: np.partition(x, kth)
        numpy.testing.assert_array_equal(traced(f, x), f(x))
        numpy.testing.assert_array_equal(
            np.grad(lambda x, f=f: np.sum(f(x)))(x), numpy.ones_like(x)
        )


def test_sort_is_differentiated_through_every_transformation():
    x = numpy.array([[3.0, 1.0, 2.0], [0.5, 4.0, -1.0]])
    f = lambda row: np.sum(np.sort(row) ** 3 * np.arange(3.0))
    wanted = numpy.stack([np.hessian(f)(row) for row in x])
    numpy.testing.assert_allclose(np.vmap(np.hessian(f))(x), wanted)
    rank = numpy.argsort(numpy.argsort(x, axis=1), axis=1)
    numpy.testing.assert_allclose(np.vmap(np.grad(f))(x), 3 * x**2 * rank)


def test_quantile_between_elements_has_a_slope_in_q():
    x = numpy.array([4.0, 1.0, 7.0])
    slope = np.grad(lambda q: np.quantile(x + 0 * q, q))
    assert slope(0.2) == 6.0
    assert slope(0.7) == 6.0
    assert np.grad(lambda q: np.percentile(x + 0 * q, q))(20.0) == pytest.approx(0.06)


def test_median_of_an_even_number_shares_the_derivative():
    numpy.testing.assert_array_equal(
        np.grad(np.median)(numpy.array([4.0, 1.0, 7.0, 9.0])), [0.5, 0, 0.5, 0]
    )


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sort(x, axis=1),
        lambda x: np.sort(x, kind="guess"),
        lambda x: np.sort(x, kind="stable", stable=True),
        lambda x: np.sort(x, order="a"),
        lambda x: np.sort(x[0]),
        lambda x: np.partition(x, 9),
        lambda x: np.partition(x, 1.5),
        lambda x: np.quantile(x, 1.5),
        lambda x: np.percentile(x, -1),
        lambda x: np.quantile(x, 0.5, method="guess"),
        lambda x: np.quantile(x, 0.5, weights=x),
        lambda x: np.quantile(x, 0.5, weights=-x, method="inverted_cdf"),
        lambda x: np.quantile(x * 1j, 0.5),
        lambda x: np.quantile(x, numpy.full((1, 1, 1), 0.5)),
        lambda x: np.digitize(x, numpy.array([0.0, 2.0, 1.0])),
        lambda x: np.searchsorted(x[None], 2.0),
        lambda x: np.histogram(x, bins=0),
        lambda x: np.histogram(x, bins=1.5),
        lambda x: np.histogram(x, bins="guess"),
        lambda x: np.histogram(x, bins=[0.0, 2.0, 1.0]),
        lambda x: np.histogram(x, bins=3, range=(1, 0)),
        lambda x: np.histogram(x * numpy.inf),
        lambda x: np.histogram(x, weights=x[:2]),
        lambda x: np.histogram(x, "auto", weights=x),
        lambda x: np.histogramdd(x, bins=[2, 2]),
        lambda x: np.histogram2d(x, x[:2]),
        np.bincount,
        lambda x: np.bincount(numpy.array([1, -1, 0, 0]), x),
        lambda x: np.bincount(numpy.array([1]), x),
        lambda x: np.isin(x, x, kind="guess"),
        lambda x: np.isin(x, x, kind="table"),
        lambda x: np.unique(x, axis=1),
    ],
    ids=label,
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_errors_are_numpys(f):
    """The same class of error, or one derived from it."""
    with pytest.raises(Exception) as plain:  # noqa: PT011 - whichever NumPy raises
        f(TIES)
    with pytest.raises(type(plain.value)):
        traced(f, TIES)


def test_unique_gives_the_derivative_to_the_first_of_equals():
    x = numpy.array([2.0, 1.0, 2.0])
    wanted = [[0, 1, 0], [1, 0, 0]]
    numpy.testing.assert_array_equal(np.jacrev(np.unique)(x), wanted)


def test_sizes_that_depend_on_values_must_agree_in_a_batch():
    numpy.testing.assert_array_equal(
        np.vmap(np.unique)(numpy.array([[2.0, 1.0, 2.0], [5.0, 5.0, 0.0]])), [[1, 2], [0, 5]]
    )
    with pytest.raises(np.BatchingError, match="selects 1 to 2 elements"):
        np.vmap(np.unique)(numpy.array([[2.0, 1.0], [5.0, 5.0]]))
    with pytest.raises(np.BatchingError, match="disagree"):
        np.vmap(np.bincount)(numpy.array([[0, 1], [0, 5]]))
    counts = np.vmap(lambda x: np.bincount(x, minlength=3))(numpy.array([[0, 1], [2, 2]]))
    numpy.testing.assert_array_equal(counts, [[1, 1, 0], [0, 0, 2]])


def test_estimated_numbers_of_bins_must_agree_in_a_batch():
    x = numpy.random.default_rng(0).normal(size=(2, 50))
    f = lambda x: np.histogram(x, "sqrt")[0]
    numpy.testing.assert_array_equal(np.vmap(f)(x), [f(x[0]), f(x[1])])
    x[1] **= 9
    with pytest.raises(np.BatchingError, match="bins='doane' gives from"):
        np.vmap(lambda x: np.histogram(x, "doane")[0])(x)


def test_counts_are_differentiated_with_respect_to_weights_only():
    x, w = numpy.array([0.1, 0.6, 0.7]), numpy.array([1.0, 2.0, 4.0])
    f = lambda x, w: np.histogram(x, 2, (0, 1), weights=w)[0]
    by_data, by_weight = np.jacrev(f, (0, 1))(x, w)
    numpy.testing.assert_array_equal(by_data, numpy.zeros((2, 3)))
    numpy.testing.assert_array_equal(by_weight, [[1, 0, 0], [0, 1, 1]])


def test_a_density_is_differentiated_through_edges_made_from_data():
    """One bin over [min, max]: the density is 1/(max - min)."""
    x = numpy.array([1.0, 2.0, 5.0])
    gradient = np.grad(lambda x: np.histogram(x, 1, density=True)[0][0])(x)
    numpy.testing.assert_allclose(gradient, [1 / 16, 0, -1 / 16], rtol=1e-14)


def test_an_array_of_thresholds_per_example():
    edges = numpy.array([[0.0, 1.0, 2.0], [0.0, 5.0, 6.0]])
    x = numpy.array([0.5, 5.5])
    numpy.testing.assert_array_equal(
        np.vmap(np.digitize, (None, 0))(x, edges), [np.digitize(x, e) for e in edges]
    )
    numpy.testing.assert_array_equal(np.vmap(np.searchsorted)(edges, x), [1, 2])


@pytest.mark.parametrize("table_char", "bBhQqfd")
@pytest.mark.parametrize("key_char", "bHIQqfd")
@pytest.mark.parametrize("side", ["left", "right"])
def test_native_searches(table_char, key_char, side):
    """In arrays of all lengths; among floats NaNs come last."""
    numbers = numpy.random.default_rng(0)
    keys = numbers.integers(0, 12, (5, 7)).astype(key_char)
    if key_char in "fd":
        keys[0] = [numpy.nan, numpy.inf, -numpy.inf, 0.0, -0.0, 3.0, 2.5]
    for size in (1, 2, 3, 7, 8, 50):
        table = numpy.sort(numbers.integers(0, 10, size)).astype(table_char)
        if table_char in "fd" and size > 3:
            table[-3:] = [numpy.inf, numpy.nan, numpy.nan]
        for t, k in ((table, keys), (table[::2], keys.T), (table, keys[0]), (table, keys[1, 2])):
            f = lambda t, k: np.searchsorted(t, k, side=side)
            found, wanted = np.jit(f)(t, k), numpy.searchsorted(t, k, side=side)
            numpy.testing.assert_array_equal(found, wanted)
            assert found.dtype == wanted.dtype


def test_searches_fuse_with_what_is_around_them():
    x = numpy.random.default_rng(0).normal(size=1000)
    f = lambda x, edges: 2 * np.digitize(x, edges) + np.searchsorted(edges, x * x)
    for n in (1, 5, 100, 1000):
        edges = numpy.sort(x[:n])
        numpy.testing.assert_array_equal(np.jit(f)(x, edges), f(x, edges))
    empty = numpy.zeros(0)
    numpy.testing.assert_array_equal(np.jit(np.searchsorted)(empty, x), numpy.zeros(1000, int))
    numpy.testing.assert_array_equal(np.jit(np.searchsorted)(x[:1], empty), numpy.zeros(0, int))


@pytest.mark.parametrize("char", "fdqB")
@pytest.mark.parametrize("limits", [None, (-1.0, 2.0)])
@pytest.mark.parametrize("bins", [1, 7, 50, [0, 1, 1.5, 4]])
def test_native_histograms(char, limits, bins):
    x = (3 * numpy.random.default_rng(0).normal(size=2000)).astype("i8").astype(char)
    f = lambda x: np.histogram(x, bins=bins, range=limits)
    for y in (x, x[:1], x[:0], x.reshape(40, 50)):
        for found, wanted in zip(np.jit(f)(y), numpy.histogram(y, bins, limits), strict=True):
            numpy.testing.assert_allclose(found, wanted, rtol=1e-6)
            assert found.dtype == wanted.dtype


def test_weights_without_weight_are_refused():
    """NumPy before 2.2 divides by their sum."""
    with (
        numpy.errstate(invalid="ignore"),
        pytest.raises(ValueError, match="Weights included NaN, inf or were all zero"),
    ):
        traced(lambda x: np.quantile(x, 0.5, weights=0 * x, method="inverted_cdf"), TIES)


def test_values_whose_order_nobody_asks_for_are_sorted_themselves():
    names = lambda f, *args: [
        e.primitive.name for e in np.jit(f).inspect(*args).optimized.equations
    ]
    x = numpy.random.default_rng(0).normal(size=(6, 5))
    assert names(np.sort, x) == ["sort"]
    assert "sort" in names(lambda x: np.sort(x, axis=1)[:, :1] + np.sort(x, axis=1), x)
    assert "sort" not in names(lambda x: (np.sort(x), np.argsort(x, kind="stable")), x)
    assert "sort" not in names(np.grad(lambda x: np.sum(np.sort(x) ** 3)), x)
    special = numpy.array([numpy.nan, 2.0, -numpy.inf, -0.0, 0.0, numpy.inf, -1.0])
    for values in (x, special, x + 1j * numpy.round(x), (x * 9).astype("i2"), x > 0, x[:0]):
        for axis in range(-1, values.ndim):
            numpy.testing.assert_array_equal(
                np.jit(lambda x, axis=axis: np.sort(x, axis=axis))(values),
                numpy.sort(values, axis=axis),
            )
    loop = lambda x: np.fori_loop(0, 3, lambda i, x: np.sort(x * -1.0, axis=0), x)
    numpy.testing.assert_array_equal(np.jit(loop)(x), loop(x))


@pytest.mark.parametrize("how", [{"kind": "stable"}, {"kind": "mergesort"}, {"stable": True}])
@pytest.mark.parametrize("dtype", "efd")
def test_a_stable_sort_keeps_zeros_of_both_signs_in_order(how, dtype):
    x = numpy.where(numpy.random.default_rng(0).random((7, 300)) > 0.5, 0.0, -0.0).astype(dtype)
    x[:, ::7] = 1
    for axis in (0, 1):
        wanted = numpy.sort(x, axis, **how)
        got = np.jit(lambda x, axis=axis: np.sort(x, axis, **how))(x)
        numpy.testing.assert_array_equal(got, wanted)
        numpy.testing.assert_array_equal(numpy.signbit(got), numpy.signbit(wanted))


def test_values_whose_order_nobody_asks_for_are_partitioned_themselves():
    names = lambda f, *args: [
        e.primitive.name for e in np.jit(f).inspect(*args).optimized.equations
    ]
    x = numpy.random.default_rng(0).normal(size=(6, 5))
    assert names(lambda x: np.partition(x, (1, 3)), x) == ["partition"]
    assert "partition" not in names(np.grad(lambda x: np.sum(np.partition(x, 2) ** 3)), x)
    for values in (x, x[::2, ::-1], x.T, (x * 9).astype("i2"), x > 0):
        for axis in (-1, 0):
            f = lambda x, axis=axis: np.partition(x, 2, axis=axis)
            numpy.testing.assert_array_equal(np.jit(f)(values), f(values))


def test_values_of_which_few_places_are_read_are_partitioned():
    names = lambda f, *args: [
        e.primitive.name for e in np.jit(f).inspect(*args).optimized.equations
    ]
    x = numpy.random.default_rng(0).normal(size=(6, 50, 7))
    x[2, 3] = numpy.nan
    for axis in range(3):
        few = [
            lambda x: np.median(x, axis=axis),  # noqa: B023
            lambda x: np.quantile(x, [0.1, 0.5], axis=axis),  # noqa: B023
            lambda x: np.sort(x, axis=axis)[None, 3:1:-1, None, 2, -1] * 2,  # noqa: B023
            lambda x: np.sort(x, axis=axis)[numpy.array([-1, 0])[:, None], [2, 5], [1, 4]],  # noqa: B023
        ]
        for f in few:
            assert "partition" in names(f, x)
            numpy.testing.assert_allclose(np.jit(f)(x), f(x), rtol=1e-14)
    stable = lambda x: np.sort(x, axis=0, kind="stable")[0]
    every = lambda x: np.sort(x, axis=1)[:, ::-1]
    last = lambda x, k: np.sort(x, axis=0)[k]
    for f, *args in ((stable, x), (every, x), (last, x, np.array(3))):
        assert "partition" not in names(f, *args)
        numpy.testing.assert_array_equal(np.jit(f)(*args), f(*args))


SPECIAL = numpy.array([numpy.nan, 2.0, -numpy.inf, -0.0, 0.0, numpy.inf, -1.0, 2.0])
KINDS = ("quicksort", "heapsort", "stable", "mergesort")


@pytest.mark.parametrize("dtype", "?bBhHiIlLqQefdFD")
def test_every_dtype_is_sorted_natively_as_numpy_sorts_it(dtype):
    rng = numpy.random.default_rng(1)
    with numpy.errstate(invalid="ignore"):
        special = SPECIAL.astype(dtype) if dtype in "efdFD" else rng.integers(0, 9, 8).astype(dtype)
    many = (rng.normal(size=(3, 40, 5)) * 20).astype("i2").astype(dtype)
    for x in (special, many, many[:, ::-2], many.T, many[:, :0], many[:0], many[:, :1], many[0, 0]):
        for axis in range(x.ndim):
            for kind in KINDS:
                f = lambda x, axis=axis, kind=kind: np.argsort(x, axis=axis, kind=kind)
                numpy.testing.assert_array_equal(np.jit(f)(x), f(x))
            f = lambda x, axis=axis: np.sort(x, axis=axis)
            numpy.testing.assert_array_equal(np.jit(f)(x), f(x))
            if x.ndim == 1:
                assert not Compiled(np.jit(f).trace(x)).recipe.callbacks


def test_threads_share_the_rows(monkeypatch):
    monkeypatch.setattr(recipe, "find", lambda key, literals: None)
    monkeypatch.setattr(recipe, "save", lambda *args: None)
    monkeypatch.setattr(lowering, "SHARED_WORK", 0)
    monkeypatch.setattr(lowering, "PIECE_WORK", 1)
    x = numpy.random.default_rng(2).normal(size=(7, 3, 50))
    f = np.jit(lambda x: (np.sort(x, axis=0), np.argsort(x, axis=1), np.sort(x), np.argsort(x)))
    for found, expected in zip(f(x), f.__wrapped__(x), strict=True):
        numpy.testing.assert_array_equal(found, expected)
    for size in (2, 9, 40):  # of any size, then
        y = x[:, :, :size] * 2
        for found, expected in zip(f(y), f.__wrapped__(y), strict=True):
            numpy.testing.assert_array_equal(found, expected)


def test_a_routine_that_is_not_there_is_an_error():
    with pytest.raises(numpy_routines.MissingRoutineError, match="no sort for object"):
        numpy_routines.symbols(["xnp_numpy_sort_O8_1", "malloc"])


def test_numbers_that_no_int64_is_are_searched_for():
    for table in (numpy.array([-5, 0, 3, 200]), numpy.array([1, 5, 255], "u1"), TIES):
        for key in (2**63, 2**64 - 1, 2**63 - 1, -(2**63), 7):
            f = lambda t, key=key: np.searchsorted(t, key)
            assert np.jit(f)(table) == f(table)
