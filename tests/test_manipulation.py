"""Joining, splitting, padding and choosing, where the rows of tests/ops are few.

Random arguments, errors and views, against plain NumPy, and branches that are not taken.
"""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy_version import NUMPY

import xnp as np


def _numbers(shape, seed=0):
    return numpy.random.default_rng(seed).integers(-99, 100, shape) / 8.0


def _check_linear(function, *arguments):
    """NumPy's value and type; a linear function is its own derivative; the transpose law."""
    try:
        expected = function(*arguments)
    except (ValueError, IndexError, TypeError) as error:
        with pytest.raises(type(error)):
            np.vjp(function, *arguments)
        return
    tangents = tuple(_numbers(numpy.shape(a), 1) for a in arguments)
    y, pull = np.vjp(function, *arguments)
    assert type(y) is type(expected)
    assert y.dtype == expected.dtype
    numpy.testing.assert_allclose(y, expected, rtol=1e-15)
    _, y_dot = np.jvp(function, arguments, tangents)
    numpy.testing.assert_allclose(y_dot, function(*tangents), rtol=1e-14, atol=1e-12)
    ct = _numbers(numpy.shape(y), 2)
    pulled = sum((a * b).sum() for a, b in zip(pull(ct), tangents, strict=True))
    numpy.testing.assert_allclose(pulled, (ct * y_dot).sum(), rtol=1e-12, atol=1e-9)
    batch = tuple(_numbers((2, *numpy.shape(a)), 3) for a in arguments)
    stacked = numpy.stack([function(*(a[k] for a in batch)) for k in range(2)])
    numpy.testing.assert_allclose(np.vmap(function)(*batch), stacked, rtol=1e-14, atol=1e-14)


def _evaluate(expression, x):
    return eval(expression, {"np": np, "numpy": numpy, "x": x})


small_shapes = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)
widths = st.one_of(
    st.integers(0, 6),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=3),
)
MODES = ["constant", "edge", "linear_ramp", "mean", "reflect", "symmetric", "wrap"]


@given(small_shapes, widths, st.sampled_from(MODES), st.data())
def test_pad(shape, width, mode, data):
    keywords = {}
    if mode == "mean":
        keywords["stat_length"] = data.draw(st.none() | st.integers(1, 5) | st.just((1, 2)))
    if mode in ("reflect", "symmetric"):
        keywords["reflect_type"] = data.draw(st.sampled_from(["even", "odd"]))
    _check_linear(lambda x: np.pad(x, width, mode, **keywords), _numbers(shape))


@pytest.mark.parametrize("mode", [*MODES, "maximum", "median", "minimum"])
@pytest.mark.parametrize("dtype", ["i4", "f4", "c8", "u1"])
def test_pad_keeps_the_dtype(mode, dtype):
    x = numpy.abs(_numbers((3, 4)) * 2).astype(dtype)
    if dtype == "c8" and mode in ("maximum", "median", "minimum"):
        x = x.real.astype("f4")
    _, _, found = np.vjp(lambda t: (t, np.pad(np.array(x), 2, mode)), 0.0, has_aux=True)
    expected = numpy.pad(x, 2, mode)
    assert found.dtype == expected.dtype
    numpy.testing.assert_allclose(found, expected, rtol=1e-6)


def test_pad_with_traced_constants():
    x, c = _numbers(3), numpy.array(2.0)
    y, pull = np.vjp(lambda x, c: np.pad(x, (1, 2), constant_values=(c, 3 * c)), x, c)
    numpy.testing.assert_array_equal(y, [2.0, *x, 6.0, 6.0])
    numpy.testing.assert_array_equal(pull(numpy.ones(6))[1], 7.0)
    ramp = np.grad(lambda c: np.sum(np.pad(np.array(x), 2, "linear_ramp", end_values=c)))(c)
    numpy.testing.assert_array_equal(ramp, 3.0)


def test_pad_by_axis_name():
    x = _numbers((2, 3))
    _, _, found = np.vjp(lambda t: (t, np.pad(np.array(x), {-1: (1, 2), 0: 1})), 0.0, has_aux=True)
    numpy.testing.assert_array_equal(found, numpy.pad(x, ((1, 1), (1, 2))))


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((1, "nonsense"), {}), ((1, "edge"), {"constant_values": 2}), ((-1,), {}), ((1.5,), {}),
     ((((1, 1),) * 3,), {}), ((1, "maximum"), {"stat_length": 0})],
    ids=str,
)  # fmt: skip
def test_pad_errors_are_numpys(arguments, keywords):
    x = numpy.ones((2, 2))
    with pytest.raises((ValueError, TypeError)) as numpys:
        numpy.pad(x, *arguments, **keywords)
    with pytest.raises(numpys.type):
        np.vjp(lambda x: np.pad(x, *arguments, **keywords), x)


@given(small_shapes, st.data())
def test_insert_and_delete(shape, data):
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    length = int(numpy.prod(shape)) if axis is None else shape[axis]
    number = st.integers(-length - 1, length + 1)
    bound = st.none() | number
    place = data.draw(
        st.one_of(
            number,
            st.lists(number, max_size=4),
            st.builds(slice, bound, bound, st.none() | st.integers(-2, 2).filter(bool)),
            st.lists(st.booleans(), min_size=length, max_size=length).map(numpy.array),
        )
    )
    if isinstance(place, numpy.ndarray) and not place.size:
        place = place.astype(bool)
    _check_linear(lambda x: np.delete(x, place, axis), _numbers(shape))
    if NUMPY < (2, 2) and numpy.asarray(place).dtype == bool:
        return  # NumPy warns there that it will take them as a mask, as we do
    _check_linear(lambda x, v: np.insert(x, place, v, axis), _numbers(shape), _numbers(()))


@given(small_shapes, st.data())
def test_split_and_join(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    cuts = data.draw(st.integers(-1, 5) | st.lists(st.integers(-5, 5), max_size=4))

    def program(x):
        pieces = np.array_split(x, cuts, axis)
        return np.concatenate([p * (i + 1.0) for i, p in enumerate(pieces)], axis)

    _check_linear(program, _numbers(shape))


@given(small_shapes, st.data())
def test_roll(shape, data):
    axes = st.integers(-len(shape), len(shape) - 1)
    axis = data.draw(st.one_of(st.none(), axes, st.tuples(axes, axes)))
    shift = data.draw(st.integers(-9, 9) | st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
    if axis is None and isinstance(shift, tuple):
        shift = sum(shift)
    _check_linear(lambda x: np.roll(x, shift, axis), _numbers(shape))


@given(small_shapes, st.lists(st.integers(0, 3), max_size=4).map(tuple))
def test_tile_and_repeat(shape, reps):
    _check_linear(lambda x: np.tile(x, reps), _numbers(shape))
    counts = (reps * 20)[: shape[0]] if reps else 2
    _check_linear(lambda x: np.repeat(x, counts, 0), _numbers(shape))
    _check_linear(lambda x: np.resize(x, reps), _numbers(shape))


@pytest.mark.parametrize(
    "make",
    [
        "np.split(x, 2)[1]",
        "np.array_split(x, [1], axis=1)[1]",
        "np.hsplit(x, 2)[0]",
        "np.flip(x)",
        "np.fliplr(x)",
        "np.rot90(x)",
        "np.rot90(x, 2)",
        "np.rot90(x, 0)",
        "np.rollaxis(x, 1)",
        "np.atleast_3d(x)",
        "np.swapaxes(x, 0, 1)",
        "np.moveaxis(x, 0, -1)",
        "np.expand_dims(x, 1)",
        "np.squeeze(x[:1])",
        "np.matrix_transpose(x)",
        "np.permute_dims(x)",
        "np.trim_zeros(x[0])",
        "np.meshgrid(x[0], x[:, 0], copy=False, sparse=True)[0]",
        'np.unstack(x)[1] if hasattr(numpy, "unstack") else x[1]',
        "np.ravel(x)",
        "np.broadcast_arrays(x, 1.0)[0]",
        "np.roll(x, 1)",
        "np.take(x, 0, axis=0)",
        "np.take(x, [0, 1])",
        "np.tile(x, 1)",
        "np.repeat(x, 1, 0)",
        "np.concatenate([x])",
        "np.block(x)",
        "np.tril(x)",
        "np.pad(x, 0)",
        'np.pad(x, 0, "edge")',
        "np.delete(x, [])",
        "np.where(True, x, x)",
        "np.compress([True, True], x, axis=0)",
    ],
)
def test_views_are_views_and_copies_are_copies(make):
    def program(x):
        y = np.array(x)
        part = _evaluate(make, y)
        part *= 3.0
        return y

    x = _numbers((2, 4)) + 50.0
    numpy.testing.assert_array_equal(np.vjp(program, x)[0], program(x))


def test_read_only_results():
    for make in (
        lambda x: np.broadcast_to(x, (2, 3, 3)),
        np.diag,
        np.diagonal,
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 0),
    ):
        with pytest.raises(ValueError, match="read-only"):
            np.grad(lambda x, make=make: make(x).__setitem__(..., 0.0))(numpy.ones((3, 3)))


@pytest.mark.parametrize(
    "call",
    [
        "np.concatenate([x, np.ones((2, 2))])",
        "np.concatenate([x, np.ones(2)])",
        "np.concatenate([x[0, 0], x[0, 0]])",
        "np.concatenate([x, x], axis=2)",
        "np.concatenate([x, x * 1j], dtype=float)",
        "np.stack([x, x[0]])",
        "np.stack([x, x], axis=3)",
        "np.split(x, 2, axis=1)",
        "np.hsplit(x[0, 0], 1)",
        "np.vsplit(x[0], 1)",
        "np.dsplit(x, 1)",
        "np.block([[x, x], x])",
        "np.block([x, []])",
        "np.block((x, x))",
        "np.diag(x[0, 0])",
        "np.fliplr(x[0])",
        "np.rot90(x, axes=(0, 0))",
        "np.rot90(x, axes=(0, 2))",
        "np.rollaxis(x, 2)",
        "np.rollaxis(x, 0, 5)",
        "np.broadcast_to(x, (2,))",
        "np.broadcast_arrays(x, np.ones((2, 2)))",
        "np.take(x, 9)",
        "np.take(x, 3, axis=1)",
        "np.take(x, np.array([0.5]))",
        'np.take(x, 0, mode="nonsense")',
        "np.take(x[:0], 0)",
        "np.take_along_axis(x, np.array([0]), 0)",
        "np.take_along_axis(x, np.array([[0.5]]), 0)",
        "np.choose([2], [x, x])",
        "np.choose([-1], [x, x])",
        "np.compress([[True]], x)",
        "np.compress([False, False, True], x, axis=0)",
        "np.select([x > 0], [x, x])",
        "np.select([], [])",
        "np.select([x], [x])",
        "np.piecewise(x, [x > 0], [x, x, x])",
        "np.where(x > 0, x)",
        "np.insert(x, 9, 0.0)",
        "np.insert(x, 0, [1.0, 2.0], axis=0)",
        "np.delete(x, 9)",
        "np.repeat(x, -1)",
        "np.repeat(x, [1, 2, 3], axis=0)",
        "np.resize(x, (-1, 2))",
        "np.vander(x)",
        'np.meshgrid(x, x, indexing="nonsense")',
        "np.fill_diagonal(x[0], 1.0)",
        "np.place(np.array(x), [True], 1.0)",
        "np.place(np.array(x), x == x, [])",
        "np.putmask(np.array(x), [True], 1.0)",
        "np.put(np.array(x), 99, 1.0)",
        "np.copyto(np.array(x), x * 1j)",
        "np.copyto(np.array(x), np.ones(2))",
        "np.apply_along_axis(np.sum, 2, x)",
        "np.apply_along_axis(np.sum, 0, x[:, :0])",
        "np.unstack(x[0, 0])",
        # Older ones take every other text as "".
        *(['np.trim_zeros(x[0], "x")'] if NUMPY >= (2, 2) else []),
        "np.squeeze(x, 0)",
        "np.expand_dims(x, 5)",
        "np.moveaxis(x, 0, (0, 1))",
        "np.ix_(x)",
    ],
)
def test_errors_are_numpys(call):
    x = _numbers((2, 3))
    with pytest.raises(Exception) as numpys:  # noqa: PT011 - whichever NumPy raises
        _evaluate(call, x)
    with pytest.raises(numpys.type) as ours:
        np.vjp(lambda x: _evaluate(call, x), x)
    assert not isinstance(ours.value, np.UnsupportedError)


# ----------------------------------------------------- derivatives of what was not chosen


X = numpy.array([-2.0, -1.0, 0.5, 4.0])
ROOT_SLOPE = numpy.array([0.0, 0.0, 0.5 / 0.5**0.5, 0.25])


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    "root",
    [
        "np.where(x > 0, np.sqrt(x), 0.0)",
        "np.select([x > 0], [np.sqrt(x)], 0.0)",
        "np.select([x <= 0, x > 0], [0.0 * x, np.sqrt(x)])",
        "np.piecewise(x, [x > 0], [np.sqrt, 0.0])",
        "np.piecewise(x, [x <= 0], [0.0, np.sqrt])",
        "np.choose(np.asarray(x > 0).astype(int), [np.zeros(4), np.sqrt(x)])",
    ],
)
def test_infinite_derivatives_of_branches_not_taken_count_as_zero(root):
    def function(x):
        return _evaluate(root, x)

    numpy.testing.assert_allclose(np.grad(lambda x: np.sum(function(x)))(X), ROOT_SLOPE)
    numpy.testing.assert_allclose(np.jvp(function, (X,), (numpy.ones(4),))[1], ROOT_SLOPE)
    second = np.grad(lambda x: np.sum(np.grad(lambda x: np.sum(function(x)))(x)))(X)
    wanted = numpy.where(X > 0, -0.25 * numpy.abs(X) ** -1.5, 0.0)
    numpy.testing.assert_allclose(second, wanted)
    numpy.testing.assert_allclose(
        np.vmap(np.grad(lambda x: np.sum(function(x))))(X[None])[0], ROOT_SLOPE
    )


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_masked_assignment_hides_infinite_derivatives():
    def program(x):
        y = np.log(x)
        y[x == 0] = 0.0
        return np.sum(y * y)

    x = numpy.array([0.0, 1.0, 2.0])
    numpy.testing.assert_allclose(np.grad(program)(x), [0.0, 0.0, 2 * numpy.log(2.0) / 2.0])


def test_piecewise_calls_functions_with_the_chosen_elements():
    def program(x):
        return np.piecewise(x, [x < 0, x > 1], [lambda v: v - np.mean(v), np.sort, lambda v: -v])

    numpy.testing.assert_array_equal(np.vjp(program, X)[0], program(X))
    loop = numpy.stack([program(X), program(2 * X)])
    numpy.testing.assert_array_equal(np.vmap(program)(numpy.stack([X, 2 * X]))[0], loop[0])


def test_each_example_has_its_own_roll():
    x, shifts = _numbers(5), numpy.array([0, 2, -7])
    found = np.vmap(lambda s: np.roll(np.array(x), s))(shifts)
    numpy.testing.assert_array_equal(found, [numpy.roll(x, s) for s in shifts])


def test_out_arguments():
    def program(x):
        out = np.zeros((2, 4))
        np.concatenate([x, x * x], out=out.reshape(8))
        np.stack([x, 2 * x], out=out)
        np.take(x, [3, 2, 1, 0], out=out[0])
        np.choose([0, 1, 0, 1], [x, -x], out=out[1])
        return out

    numpy.testing.assert_array_equal(np.vjp(program, X)[0], program(X))
    with pytest.raises(ValueError, match="shape"):
        np.vjp(lambda x: np.concatenate([x, x], out=np.zeros(3)), X)


def test_mixed_batched_and_unbatched_operands():
    x, y = _numbers((3, 2)), _numbers(2, 1)

    def program(x, y):
        return (
            np.concatenate([x, y, x * y]),
            np.stack([y, x]),
            np.where(x > y, x, y),
            np.block([y, x]),
        )

    for axes in ((0, None), (None, 0)):
        given_axes = (x, y) if axes == (0, None) else (y, x)
        found = np.vmap(program, in_axes=axes)(*given_axes)
        loop = [
            program(*(a[k] if i == 0 else a for a, i in zip(given_axes, axes, strict=True)))
            for k in range(3)
        ]
        for ours, numpys in zip(found, zip(*loop, strict=True), strict=True):
            numpy.testing.assert_array_equal(ours, numpy.stack(numpys))
