"""Reductions down columns: by blocks and bands of rows, however many, as NumPy has them."""

import itertools

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xnp
from xnp.codegen.mlir import columns, module
from xnp.runtime import recipe

RNG = numpy.random.default_rng(3)
REDUCTIONS = {
    "sum": lambda x: numpy.sum(x, axis=0),
    "prod": lambda x: numpy.prod(x, axis=0),
    "max": lambda x: numpy.max(x, axis=0),
    "argmin": lambda x: numpy.argmin(x, axis=0),
    "any": lambda x: numpy.any(x > 0.7, axis=0),
    "two": lambda x: (numpy.sum(x * x, axis=0), numpy.max(x, axis=0)),
    "beside": lambda x: (x + 1, numpy.sum(x + 1, axis=0)),
    "after": lambda x: numpy.sqrt(numpy.sum(x * x, axis=0)) + x[0],
}


@pytest.fixture(params=[(5, 3, 2), (4, 8, 1), (100, 4, 100)], ids=str)
def small(request, monkeypatch):
    """Blocks of so many rows, by bands of so many, and strips of so many steps."""
    force(monkeypatch, *request.param)


def force(patch, height, band, strip):
    patch.setattr(recipe, "find", lambda key, literals: None)
    patch.setattr(recipe, "save", lambda *args: None)
    patch.setattr(module, "SHARED_WORK", 0)
    patch.setattr(columns, "FEW_ROWS", 2)

    def plan_blocks(nest, _piece):
        nest.strip, nest.height, nest.band = strip, height, band
        nest.count_blocks()

    patch.setattr(columns.ColumnNest, "plan_blocks", plan_blocks)


def written(f, *args):
    """How many reductions down columns by blocks the code of ``f`` has."""
    seen = []
    write = columns.ColumnNest.write_rest

    def noted(nest, table):
        seen.append(nest)
        write(nest, table)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns.ColumnNest, "write_rest", noted)
        xnp.jit(f)(*args)
    return len(seen)


def agree(f, *args, rtol=1e-13):
    expected, found = f(*args), xnp.jit(f)(*args)
    many = isinstance(expected, tuple)
    for a, b in zip(found if many else [found], expected if many else [expected], strict=True):
        assert a.dtype == b.dtype
        numpy.testing.assert_allclose(a, b, rtol=rtol)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("shape", [(11, 1), (11, 3), (13, 16), (12, 37), (3, 200), (64, 131)])
@pytest.mark.usefixtures("small")
def test_shapes(name, shape):
    x = RNG.uniform(0.5, 1.5, size=shape)
    assert written(REDUCTIONS[name], x) == (shape[1] > 1)
    agree(REDUCTIONS[name], x)


@pytest.mark.parametrize("dtype", "?bBhHiIlLefdFD")
@pytest.mark.usefixtures("small")
def test_dtypes(dtype):
    x = RNG.integers(0, 5, size=(23, 45)).astype(dtype)
    for f in (lambda x: numpy.sum(x, axis=0), lambda x: numpy.prod(x[:9], axis=0)):
        agree(f, x)
    if dtype not in "FD":
        agree(lambda x: (numpy.argmax(x, axis=0), numpy.min(x, axis=0)), x)


@pytest.mark.usefixtures("small")
def test_nan_and_ties():
    x = RNG.integers(0, 3, size=(40, 33)).astype(float)
    x[RNG.integers(0, 40, 30), RNG.integers(0, 33, 30)] = numpy.nan
    agree(lambda x: (numpy.argmax(x, axis=0), numpy.argmin(x, axis=0), numpy.max(x, axis=0)), x)


@pytest.mark.usefixtures("small")
def test_the_sum_of_negative_zeros_has_numpys_sign():
    x = numpy.full((30, 20), -0.0)
    found = xnp.jit(lambda x: numpy.sum(x, axis=0))(x)
    numpy.testing.assert_array_equal(numpy.signbit(found), numpy.signbit(numpy.sum(x, axis=0)))


@pytest.mark.usefixtures("small")
def test_any_size():
    f = xnp.jit(lambda x: numpy.sum(x * 2, axis=0))
    for rows, width in itertools.product([2, 5, 9, 24, 31], [16, 19, 130, 1, 3]):
        x = RNG.normal(size=(rows, width))
        numpy.testing.assert_allclose(f(x), numpy.sum(x * 2, axis=0), rtol=1e-12)


@pytest.mark.usefixtures("small")
def test_a_result_that_overwrites_its_argument():
    def f(x):
        x *= 2
        return x.sum(axis=0)

    x = RNG.normal(size=(21, 37))
    mine, theirs = x.copy(), x.copy()
    numpy.testing.assert_allclose(xnp.jit(f)(mine), f(theirs), rtol=1e-12)
    numpy.testing.assert_array_equal(mine, theirs)


@pytest.mark.usefixtures("small")
def test_inside_a_loop():
    def f(x):
        return xnp.fori_loop(0, 3, lambda i, x: x - numpy.sum(numpy.sin(x), axis=0) / 9, x)

    x = RNG.normal(size=(20, 37))
    numpy.testing.assert_allclose(xnp.jit(f)(x), f(x), rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(2, 40),
    width=st.integers(2, 150),
    height=st.integers(1, 50),
    band=st.integers(1, 50),
    strip=st.integers(1, 5),
    name=st.sampled_from(sorted(REDUCTIONS)),
    order=st.sampled_from("CF"),
)
def test_blocks_of_any_size(rows, width, height, band, strip, name, order):
    x = numpy.asarray(RNG.uniform(0.5, 1.5, size=(rows, width)), order=order)
    with pytest.MonkeyPatch.context() as patch:
        force(patch, height, band, strip)
        agree(REDUCTIONS[name], x)


def test_long_columns_are_as_accurate_as_numpys():
    x = RNG.uniform(size=(200_000, 9))
    exact = numpy.sum(x.astype(numpy.longdouble), axis=0)
    mine = numpy.abs(xnp.jit(lambda x: numpy.sum(x, axis=0))(x) - exact).max()
    assert mine <= numpy.abs(numpy.sum(x, axis=0) - exact).max()


def test_results_do_not_depend_on_threads():
    x = RNG.normal(size=(5000, 700))
    f = xnp.jit(lambda x: numpy.sum(numpy.exp(x), axis=0))
    with xnp.threads(1):
        one = f(x)
    with xnp.threads(2):
        numpy.testing.assert_array_equal(one, f(x))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), size=st.integers(1, 300), name=st.sampled_from(["argmax", "argmin"]))
def test_the_first_of_equal_extremes(data, size, name):
    dtype = data.draw(st.sampled_from(["f8", "f4", "i8", "i1", "u2", "?"]))
    info = numpy.iinfo(dtype) if dtype[0] in "iu" else None
    numbers = [0, 1] if info is None else [info.min, info.max, 3]
    if dtype[0] == "f":
        numbers = [numpy.nan, -numpy.inf, numpy.inf, -0.0, 0.0, 1.0]
    few = data.draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=3))
    x = numpy.array(few * size)[:size].astype(dtype)
    numpy.random.default_rng(size).shuffle(x)
    f = getattr(numpy, name)
    assert xnp.jit(f)(x) == f(x)
    with pytest.MonkeyPatch.context() as patch:
        force(patch, 4, 2, 1)
        patch.setattr(module, "PIECE_WORK", 40)
        assert xnp.jit(f)(x) == f(x)
        columns = numpy.stack([x, x[::-1], numpy.roll(x, 3)], axis=1)
        agree(lambda x: f(x, axis=0), columns)
