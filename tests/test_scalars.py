"""Scalars of every kind beside arrays: Python's, NumPy's, 0-d arrays, and subclasses of them.

What an expression gives with NumPy, value, dtype, shape and type, it gives under every
transformation; where NumPy raises, so do they.
"""

import numpy
import pytest

import xnp as np

pytestmark = [
    pytest.mark.usefixtures("both_ways"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

inf, nan = numpy.inf, numpy.nan


def outcome(f, *args):
    """What f returns, or the class of what it raises, with what it has made of its arguments."""
    args = [x.copy() if isinstance(x, numpy.ndarray) else x for x in args]
    try:
        return described((f(*args), args))
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises is compared
        return type(error)


def described(x):
    """Everything that can be compared of a result."""
    if isinstance(x, (list, tuple)):
        return type(x), [described(item) for item in x]
    if isinstance(x, (numpy.ndarray, numpy.generic)):
        return type(x), x.dtype, x.shape, [repr(number) for number in x.ravel().tolist()]
    return type(x), repr(x)


def check(f, *args):
    wanted, found = outcome(f, *args), outcome(np.jit(f), *args)
    assert found == wanted or (isinstance(wanted, type) and issubclass(found, wanted)), found


def ones(dtype, *shape):
    return numpy.ones(shape, dtype)


# -- ufuncs' methods --


@pytest.mark.parametrize("dtype", ["?", "u1", "i4", "u8", "f2", "f4", "f8", "c8"])
@pytest.mark.parametrize("number", [3, 2.5, 2j, numpy.float32(3), numpy.uint8(3)])
def test_operands_of_outer_are_arrays(dtype, number):
    check(lambda x: np.multiply.outer(x, number), ones(dtype, 2))
    check(lambda x: np.add.outer(number, x), ones(dtype))
    check(np.add.outer, ones(dtype, 2)[0], number)


def test_outer_of_unsigned_integers():
    check(lambda x: np.subtract.outer(x, 3), ones("u8", 1))


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f4", "c8"])
@pytest.mark.parametrize("number", [1, 300, True, numpy.int64(2)])
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.logical_xor])
def test_at_casts_every_result(dtype, number, ufunc):
    check(lambda x: ufunc.at(x, [0, 0, 1], number), ones(dtype, 3))


@pytest.mark.parametrize("number", [-1, 2, numpy.int8(-1), True])
def test_sums_of_bools_in_place(number):
    check(lambda x: np.add.at(x, [0, 0, 1], number), ones("?", 3))


@pytest.mark.parametrize("axis", [None, 0, (0,), (), (0, 1)])
@pytest.mark.parametrize("shape", [(3,), (2, 2)])
@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.subtract])
def test_axes_of_methods_with_one(axis, shape, ufunc):
    x = numpy.arange(1.0, 1.0 + numpy.prod(shape)).reshape(shape)
    check(lambda x: ufunc.accumulate(x, axis=axis), x)
    check(lambda x: ufunc.reduceat(x, [0, 1], axis=axis), x)


# -- clip --

BOUNDS = [
    None, -1, 0, 300, 1.5, -0.0, True, numpy.float32(1.5), numpy.int8(1), numpy.float64(0), nan,
    numpy.array(1.5), numpy.uint64(3),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("low", BOUNDS, ids=repr)
def test_both_bounds_of_clip_decide_about_the_dtype(dtype, low):
    x = numpy.array([0, 5, 3]).astype(dtype)
    for high in BOUNDS:
        if not (low == 0 or high == 0):  # the sign of a zero is the next test's
            check(lambda x, high=high: np.clip(x, low, high), x)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_clip_keeps_the_sign_of_a_zero(dtype):
    for x in (numpy.array([-0.0, 0.0] * 9, dtype), numpy.array(-0.0, dtype)[()]):
        for low, high in ((0, 1), (-0.0, 1), (-1, 0), (-1.0, -0.0), (0, None)):
            check(lambda x, low=low, high=high: np.clip(x, low, high), x)
