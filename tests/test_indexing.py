"""Indexing, against plain NumPy: every form of index, for reading, writing and adding in place.

Reading and writing are linear in the array and the value, so the derivative along a tangent is the
same program on the tangents, and the transpose is checked against one-hot tangents, all of them.
"""

import warnings

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp as np


def _numbers(shape, seed):
    return numpy.random.default_rng(seed).integers(-99, 100, shape) / 8.0


# ---------------------------------------------------------------------------- drawing an index


@st.composite
def _axis_item(draw, kind, length, lead, rng):
    """What addresses one axis of ``length``."""
    if kind == "slice" or not length:
        bound = st.none() | st.integers(-length - 2, length + 2)
        return slice(draw(bound), draw(bound), draw(st.none() | st.integers(-3, 3).filter(bool)))
    if kind == "int":
        number = draw(st.integers(-length, length - 1))
        return draw(st.sampled_from([number, numpy.int64(number), numpy.array(number)]))
    if kind == "mask":
        mask = rng.integers(0, 2, length).astype(bool)
        return draw(st.sampled_from([mask, mask.tolist()]))
    shape = draw(st.sampled_from([lead, lead[1:], (1, *lead[1:])]))
    array = rng.integers(-length, length, shape)
    return draw(st.sampled_from([array, array.tolist() if array.size else array, array.T.copy().T]))


@st.composite
def indices(draw, shape):
    """Index expressions that usually fit ``shape``; masks may select different numbers of places,
    and index arrays may not broadcast: then both sides must raise.
    """
    rng = numpy.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lead = draw(st.sampled_from([(), (2,), (3,), (2, 3), (0,), (1, 2)]))
    kinds = st.sampled_from(
        draw(st.sampled_from([("slice", "int"), ("slice", "int", "array", "mask")]))
    )
    items = []
    axis = 0
    stop = draw(st.integers(0, len(shape)))
    while axis < stop:
        kind = draw(kinds)
        if kind == "mask" and axis + 2 <= stop and draw(st.booleans()):
            items.append(rng.integers(0, 2, shape[axis : axis + 2]).astype(bool))
            axis += 2
            continue
        items.append(draw(_axis_item(kind, shape[axis], lead, rng)))
        axis += 1
    # NumPy lets an empty mask stand for axes that are not empty, in an empty array; we do not.
    empty_mask = any(isinstance(x, numpy.ndarray) and x.ndim > 1 and not x.size for x in items)
    if draw(st.booleans()) and not empty_mask:
        place = draw(st.integers(0, len(items)))
        items = [*items[:place], Ellipsis, *items[place:]]
    for extra in draw(st.lists(st.sampled_from([None, None, True, False]), max_size=2)):
        items.insert(draw(st.integers(0, len(items))), extra)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def reads(draw):
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    return shape, draw(indices(shape))


@st.composite
def writes(draw):
    """(shape, index, shape of a value): usually one that broadcasts."""
    shape, index = draw(reads())
    try:
        target = numpy.shape(numpy.zeros(shape)[index])
    except IndexError:
        target = ()
    keep = draw(st.integers(0, len(target)))
    value = [1 if draw(st.integers(0, 3)) == 0 else dim for dim in target[len(target) - keep :]]
    return shape, index, (*(1,) * draw(st.integers(0, 1)), *value)


# ------------------------------------------------------------------------------------ the laws


def _outcome(function):
    """What a function returns, or the class of error it raises."""
    try:
        return function(), None
    except (IndexError, ValueError, TypeError) as error:
        return None, type(error)


def _same(ours, numpys):
    assert numpy.shape(ours) == numpy.shape(numpys)
    numpy.testing.assert_array_equal(ours, numpys)


def _get(index):
    return lambda x: x[index]


def _set(index):
    def program(xnp_or_numpy, x, value):
        y = xnp_or_numpy.array(x)
        y[index] = value
        return y

    return program


def _add(index):
    def program(xnp_or_numpy, x, value):
        y = xnp_or_numpy.array(x)
        y[index] += value
        return y

    return program


def _check_transpose(program, arguments, out_shape, pull):
    """<ct, J e> = <J^T ct, e> for all one-hot e; ``program`` is linear, in plain NumPy."""
    ct = _numbers(out_shape, 7)
    cts = pull(ct)
    for k, argument in enumerate(arguments):
        expected = numpy.zeros(argument.shape)
        for place in numpy.ndindex(*argument.shape):
            tangents = [numpy.zeros(a.shape) for a in arguments]
            tangents[k][place] = 1.0
            expected[place] = (ct * program(*tangents)).sum()
        _same(cts[k], expected)


@given(reads())
def test_get(case):
    shape, index = case
    x, x_dot = _numbers(shape, 1), _numbers(shape, 2)
    expected, error = _outcome(lambda: x[index])
    if error:
        with pytest.raises(error):
            np.vjp(_get(index), x)
        return
    (y, y_dot), (again, pull) = np.jvp(_get(index), (x,), (x_dot,)), np.vjp(_get(index), x)
    _same(y, expected)
    _same(again, expected)
    assert type(y) is type(expected)
    _same(y_dot, x_dot[index])
    _check_transpose(_get(index), [x], numpy.shape(expected), pull)


@given(writes())
def test_set(case):
    shape, index, value_shape = case
    _check_write(_set(index), shape, value_shape)


@given(writes())
def test_add(case):
    shape, index, value_shape = case
    _check_write(_add(index), shape, value_shape)


def _check_write(program, shape, value_shape):
    x, value = _numbers(shape, 1), _numbers(value_shape, 2)
    x_dot, value_dot = _numbers(shape, 3), _numbers(value_shape, 4)

    def plain(x, value):
        return program(numpy, x, value)

    def traced(x, value):
        return program(np, x, value)

    expected, error = _outcome(lambda: plain(x, value))
    if error:
        with pytest.raises(error):
            np.vjp(traced, x, value)
        return
    (y, y_dot), (again, pull) = (
        np.jvp(traced, (x, value), (x_dot, value_dot)),
        np.vjp(traced, x, value),
    )
    _same(y, expected)
    _same(again, expected)
    _same(y_dot, plain(x_dot, value_dot))
    _check_transpose(plain, [x, value], shape, pull)


@given(reads())
def test_views_and_copies(case):
    """Writing into what was read changes the array exactly where NumPy's result is a view."""
    shape, index = case
    x = _numbers(shape, 1)

    def program(numpy_or_xnp, x):
        y = numpy_or_xnp.array(x)
        part = y[index]
        part *= 3.0
        y += 1.0
        return y, part

    expected, error = _outcome(lambda: program(numpy, x))
    if error is None:
        found = np.vjp(lambda x: program(np, x), x)[0]
        _same(found[0], expected[0])
        _same(found[1], expected[1])


# ------------------------------------------------------------------------------------- batches

SIZE = 3


def _vary(index, shape, rng):
    """The index arrays and masks of an index, one for every example of a batch.

    Returns the batched leaves and the function that puts one example's into the index. Masks keep
    their number of true elements. Ranges of integer arrays are kept, so that they stay in bounds.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    places = [i for i, x in enumerate(items) if isinstance(x, numpy.ndarray) and x.ndim]

    def varied(x):
        flat = numpy.stack([rng.permutation(x.ravel()) for _ in range(SIZE)])
        return flat.reshape(SIZE, *x.shape)

    def rebuild(leaves):
        new = list(items)
        for place, leaf in zip(places, leaves, strict=True):
            new[place] = leaf
        return tuple(new) if isinstance(index, tuple) else new[0]

    return [varied(items[i]) for i in places], rebuild


@given(writes(), st.booleans(), st.booleans(), st.booleans())
def test_batches(case, vary_index, vary_array, vary_value):
    """As the stacked loop, with any of array, index and value batched, and its derivatives."""
    shape, index, value_shape = case
    leaves, rebuild = _vary(index, shape, numpy.random.default_rng(0))
    if not (vary_array or vary_value or (vary_index and leaves)):
        vary_array = True
    vary_index = vary_index and bool(leaves)
    x = _numbers((SIZE, *shape) if vary_array else shape, 1)
    value = _numbers((SIZE, *value_shape) if vary_value else value_shape, 2)
    if not vary_index:
        leaves = [leaf[0] for leaf in leaves]
    axes = (
        0 if vary_array else None,
        0 if vary_value else None,
        [0 if vary_index else None] * len(leaves),
    )

    def program(numpy_or_xnp, x, value, leaves):
        place = rebuild(leaves)
        y = numpy_or_xnp.array(x)
        y[place] = value
        z = numpy_or_xnp.array(x)
        z[place] += value
        return numpy_or_xnp.array(x)[place] * 1.0, y, z

    def example(k):
        one = [leaf[k] if vary_index else leaf for leaf in leaves]
        return program(numpy, x[k] if vary_array else x, value[k] if vary_value else value, one)

    expected, error = _outcome(
        lambda: [numpy.stack(r) for r in zip(*map(example, range(SIZE)), strict=True)]
    )
    if error:
        return

    def traced(x, value):
        return np.vmap(lambda *args: program(np, *args), in_axes=axes)(x, value, leaves)

    for ours, numpys in zip(traced(x, value), expected, strict=True):
        _same(ours, numpys)
    x_dot, value_dot = _numbers(x.shape, 3), _numbers(value.shape, 4)
    y, y_dot = np.jvp(traced, (x, value), (x_dot, value_dot))
    cts = tuple(_numbers(numpy.shape(a), 5) for a in y)
    x_ct, value_ct = np.vjp(traced, x, value)[1](cts)
    left = sum((a * b).sum() for a, b in zip(cts, y_dot, strict=True))
    assert left == (x_ct * x_dot).sum() + (value_ct * value_dot).sum()
    for ours, again in zip(y_dot, traced(x_dot, value_dot), strict=True):
        _same(ours, again)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple), st.integers(0, 99))
def test_masks_of_different_sizes_in_a_batch(shape, seed):
    """A number may be assigned through masks that select differently many elements."""
    masks = numpy.random.default_rng(seed).integers(0, 2, (SIZE, *shape)).astype(bool)
    x = _numbers((SIZE, *shape), seed)
    values = _numbers(SIZE, 1)

    def program(x, mask, value):
        y = np.array(x)
        y[mask] = value
        y[..., mask.reshape(-1)[: shape[-1]]] = 2.0
        return y

    expected = numpy.stack([program(*args) for args in zip(x, masks, values, strict=True)])
    _same(np.vmap(program)(x, masks, values), expected)
    ct = _numbers(x.shape, 2)
    wanted = [
        np.vjp(lambda x, m=m: program(x, m, 1.0), a)[1](c)[0]
        for a, m, c in zip(x, masks, ct, strict=True)
    ]
    _same(np.vjp(lambda x: np.vmap(program)(x, masks, values), x)[1](ct)[0], numpy.stack(wanted))


def test_masks_of_different_sizes_cannot_be_read():
    x = numpy.arange(6.0).reshape(2, 3)
    with pytest.raises(
        np.BatchingError, match=r"selects 1 to 3 elements .*np\.where\(mask, x, 0\)"
    ):
        np.vmap(lambda x: x[x > 1.0])(x)


# ------------------------------------------------------------------------------- special cases


@pytest.mark.parametrize(
    "index",
    [
        5,
        (0, 3),
        (slice(None), [0, -4]),
        ([2, 0],),
        (0, 0, 0),
        "a",
        1.0,
        (..., ...),
        ([0, 1], [0, 1, 2]),
        numpy.array([1.0]),
        numpy.ones((3, 3), bool),
        [True],
        (slice(None), [True, False]),
        ([[0], [1]], [[2]], 0),
    ],
    ids=str,
)
def test_errors_are_numpys(index):
    x = numpy.zeros((2, 3))
    with pytest.raises(Exception) as numpys:  # noqa: PT011 - whichever NumPy raises
        x[index]
    for function in (_get(index), lambda x: _set(index)(np, x, 1.0)):
        with pytest.raises(numpys.type) as ours:
            np.vjp(function, x)
        assert str(ours.value).startswith(str(numpys.value).rstrip(" ")[:60])
        with pytest.raises(numpys.type) as ours:
            np.vmap(function, axis_size=2)(numpy.zeros((2, 2, 3)))
        assert str(ours.value).startswith(str(numpys.value).rstrip(" ")[:60])


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, [1.0, 2.0]),
        (slice(0, 2), [1.0, 2.0, 3.0]),
        ([0, 1], [1.0, 2.0, 3.0]),
        ([True, True, False], [1.0, 2.0, 3.0]),
        (numpy.array([True, True, False]), [[1.0, 2.0]]),
        (numpy.array([True, True, False]), [1.0, 2.0, 3.0]),
        (0, "x"),
        (0, 1j),
    ],
    ids=str,
)
def test_errors_of_assignment_are_numpys(index, value):
    x = numpy.zeros(3)
    with pytest.raises(Exception) as numpys:  # noqa: PT011 - whichever NumPy raises
        x[index] = value
    with pytest.raises(numpys.type) as ours:
        np.vjp(lambda x: _set(index)(np, x, value), x)
    assert str(ours.value)[:30] == str(numpys.value)[:30]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i1", "u1", "c16", "c8", "?"])
@pytest.mark.parametrize(
    "value",
    [
        1,
        -1,
        300,
        2.7,
        numpy.nan,
        1j,
        True,
        numpy.float32(2.7),
        numpy.int64(300),
        numpy.array(2.7),
        numpy.array([300, -1]),
        numpy.array([2.7, 1e30]),
        numpy.array([1 + 2j, 0.5]),
        [2.7, 3],
        None,
    ],
    ids=repr,
)
@pytest.mark.parametrize("index", [0, slice(0, 2), [0, 1]], ids=str)
def test_casts(dtype, value, index):
    """What is assigned is cast as NumPy casts: truncated, wrapped, warned about, refused."""

    def program(numpy_or_xnp):
        x = numpy_or_xnp.zeros(3, dtype)
        x[index] = value
        return x

    def recorded(function):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found, error = _outcome_of_any(function)
        return found, error, {w.category for w in caught}

    expected, error, categories = recorded(lambda: program(numpy))
    found, our_error, ours = recorded(
        lambda: np.vjp(lambda t: (t, program(np)), 0.0, has_aux=True)[2]
    )
    wraps = type(value) is numpy.int64 and error is None  # NumPy refuses it or not, by the index
    if wraps and our_error is OverflowError:
        return
    if index == 0 and numpy.ndim(value):
        assert our_error is ValueError  # NumPy's is one of several, and bool(value) for booleans
        return
    assert our_error is error
    if error is None:
        _same(found, expected)
        assert found.dtype == expected.dtype
        assert ours == categories


def _outcome_of_any(function):
    try:
        return function(), None
    except (OverflowError, ValueError, TypeError) as error:
        return None, type(error)


def test_the_last_of_repeated_writes_counts():
    def program(x, value):
        y = np.array(x)
        y[[0, 1, 0, 0]] = value
        return y

    x, value = numpy.zeros(2), numpy.arange(1.0, 5.0)
    y, pull = np.vjp(program, x, value)
    _same(y, [4.0, 2.0])
    x_ct, value_ct = pull(numpy.array([10.0, 100.0]))
    _same(x_ct, [0.0, 0.0])
    _same(value_ct, [0.0, 100.0, 0.0, 10.0])


def test_repeated_writes_through_arrays_in_any_layout_agree_with_their_derivative():
    place = numpy.array([[0, 1, 0], [1, 0, 0]]).T[::-1]
    value = numpy.arange(6.0).reshape(3, 2)

    def program(value):
        y = np.zeros(2)
        y[place] = value
        return y

    y, y_dot = np.jvp(program, (value,), (value,))
    _same(y, y_dot)
    ct = numpy.array([1.0, 10.0])
    assert (np.vjp(program, value)[1](ct)[0] * value).sum() == (ct * y).sum()


def test_known_handles_are_indices():
    def program(x):
        best = np.argmax(x)
        order = np.argsort(x)
        return x[best] * x[order][best], x[: best + 1], x[order[0] : best : 1], x[x > x[0]]

    x = numpy.array([1.0, 5.0, 3.0, 2.0])
    for ours, numpys in zip(np.vjp(program, x)[0], program(x), strict=True):
        _same(ours, numpys)


def test_a_batched_number_as_index_gives_a_view():
    def program(a, i, j):
        b = np.array(a)
        row = b[i]
        row[j] = 7.0
        row += b[j]
        b[i, j] *= 2.0
        return b, row

    a = _numbers((3, 3), 0)
    i, j = numpy.array([0, 2, 1]), numpy.array([1, 1, 0])
    ours = np.vmap(program, in_axes=(None, 0, 0))(a, i, j)
    loop = [program(a, *ij) for ij in zip(i, j, strict=True)]
    for found, expected in zip(ours, zip(*loop, strict=True), strict=True):
        _same(found, numpy.stack(expected))


def test_batched_slice_bounds_say_what_to_write():
    x = numpy.arange(5.0)
    with pytest.raises(np.BatchingError, match=r"x\[i \+ np\.arange\(n\)\]"):
        np.vmap(lambda i: np.array(x)[i : 2 * i])(numpy.array([0, 2]))
    windows = np.vmap(lambda i: np.array(x)[i + np.arange(2)])(numpy.array([0, 2]))
    _same(windows, [[0.0, 1.0], [2.0, 3.0]])


def test_scalars_are_not_indexed():
    x = numpy.ones(2)
    with pytest.raises(IndexError, match="invalid index to scalar variable"):
        np.grad(lambda x: np.sum(x)[0])(x)
    with pytest.raises(TypeError, match="'float' object is not subscriptable"):
        np.grad(lambda x: x[0])(1.0)
    with pytest.raises(TypeError, match="does not support item assignment"):
        np.grad(lambda x: np.sum(x).__setitem__((), 1.0))(x)


def test_arrays_made_of_a_scalar_are_their_own():
    def program(x):
        total = np.sum(x)
        row, point = total[None], total[...]
        row[0] = 0.0
        point[...] = 0.0
        return total + row[0]

    _same(np.grad(program)(numpy.ones(2)), [1.0, 1.0])


def test_index_arrays_may_be_overwritten_later():
    place, mask = numpy.array([0, 1]), numpy.array([True, False, True])

    def program(x):
        y = x[place] * x[mask]
        place[:] = 2
        mask[:] = False
        return np.sum(y)

    _same(np.grad(program)(numpy.array([2.0, 3.0, 5.0])), [4.0, 5.0, 3.0])


def test_plain_arrays_and_lists_indexed_in_a_batch_say_what_to_write():
    i = numpy.array([0, 2])
    wanted = r"write xnp\.array\(a\)\[i\] or xnp\.take\(a, i\) in place of a\[i\] for a list"
    for plain in (numpy.arange(3.0), [10, 20, 30]):
        with pytest.raises(np.BatchingError, match=wanted):
            np.vmap(lambda i, plain=plain: plain[i])(i)
