"""Scalars of every kind beside arrays: Python's, NumPy's, 0-d arrays, and subclasses of them.

What an expression gives with NumPy, value, dtype, shape and type, it gives under every
transformation; where NumPy raises, so do they.
"""

import decimal
import enum
import fractions
import operator
from typing import NamedTuple

import numpy
import pytest
from numpy_version import NUMPY

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


@pytest.mark.parametrize("x", [numpy.float32(2), numpy.array(2.0), ones("i4", 3), ones("u1", 2, 2)])
def test_reductions_of_every_element_alone(x):
    for ufunc in (np.subtract, np.divide, np.add, np.hypot):
        check(lambda x, f=ufunc: f.reduce(x, axis=()), x)
        check(lambda x, f=ufunc: f.reduce(x, axis=(), initial=5), x)
        check(lambda x, f=ufunc: f.reduce(x, axis=(), initial=5, where=x > 1), x)
        check(lambda x, f=ufunc: f.reduce(x, axis=(), where=x > 1), x)


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


# -- numbers of subclasses --


class Choice(enum.IntEnum):
    TWO = 2
    MANY = 300


class Length(float):
    pass


class Phase(complex):
    pass


SUBCLASSED = [Choice.TWO, Choice.MANY, Length(2.5), Phase(2j)]
OPERATIONS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "%": operator.mod, "<": operator.lt, "==": operator.eq, "//": operator.floordiv,
}  # fmt: skip
BESIDE = [
    2.5, 3, 1j, numpy.float32(2), numpy.int8(2), numpy.float64(2), numpy.array(2.0), ones("f4", 2),
    ones("i1", 2), ones("?", 2), ones("c8", 2),
]  # fmt: skip


@pytest.mark.parametrize("number", [*SUBCLASSED, True, numpy.True_], ids=repr)
@pytest.mark.parametrize("name", OPERATIONS)
def test_numbers_of_subclasses_in_operators(name, number):
    operation = OPERATIONS[name]
    for x in BESIDE:
        if type(x) is int or (type(x) is complex and name in "<//%"):
            continue  # static; an error of Python's, which says the same otherwise
        check(lambda x: operation(x, number), x)
        if type(x) is not numpy.float64:  # which is a float: Python computes, and forgets NumPy
            check(lambda x: operation(number, x), x)


@pytest.mark.parametrize("number", SUBCLASSED[::2], ids=repr)
def test_powers_of_numbers_of_subclasses(number):
    for x in BESIDE[7:]:
        for f in (lambda x: x**number, lambda x: number**x):
            found, wanted = np.jit(f)(x), f(x)
            assert (type(found), numpy.result_type(found)) == (type(wanted), wanted.dtype)
            numpy.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("number", [Choice.TWO, Length(2.5)])
def test_numbers_of_subclasses_under_derivatives_and_in_batches(number):
    plain = float(number)
    assert np.grad(lambda x: x * number + number**x)(3.0) == np.grad(
        lambda x: x * plain + plain**x
    )(3.0)
    x = numpy.arange(3.0)
    numpy.testing.assert_array_equal(np.vmap(lambda x: number - x)(x), number - x)


@pytest.mark.parametrize("number", [fractions.Fraction(1, 2), decimal.Decimal("0.5")])
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("x", [2.0, numpy.float32(2), ones("f8", 2)])
def test_numbers_without_a_dtype_are_refused(name, number, x):
    operation = OPERATIONS[name]
    for f in (lambda x: operation(x, number), lambda x: operation(number, x)):
        with pytest.raises(TypeError, match=r"cannot be combined .* write float\(f\)"):
            np.jit(f)(x)


# -- sequences --


class Pair(NamedTuple):
    first: int
    second: int


SEQUENCES = [[1, 2], (1, 2), "ab", b"ab", [], bytearray(b"ab"), Pair(1, 2)]


@pytest.mark.filterwarnings("ignore:jit runs")
@pytest.mark.parametrize("sequence", SEQUENCES, ids=repr)
def test_products_of_numbers_and_sequences_repeat_them(sequence):
    for x in (numpy.arange(4), numpy.arange(4)[::-1].astype("u1")):
        check(lambda x: (sequence * np.argmax(x), x[2] * sequence), x)
        check(lambda x: sequence * (x[2] == 2), x)
    for number in (True, 3, -1):
        f = np.jit(lambda n: (sequence * n, n * sequence), dynamic_argnames="n")
        assert f(number) == f.__wrapped__(number)
    for number in (2.0, numpy.float64(2), 2j):
        check(lambda x: x * sequence, number)
        check(lambda x: sequence * x, number)


def test_products_of_arrays_and_lists():
    for x in (numpy.array(2), numpy.array(2.5), numpy.arange(2), ones("?", 2)):
        check(lambda x: (x * [1, 2], [1.5, 2] * x, x * (2,)), x)


def test_a_list_repeated_under_a_derivative():
    x = numpy.array([1.0, 5.0, 7.0])
    slope = np.grad(lambda x: np.sum(x) * len([0] * np.argmax(x)))
    assert slope(x).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(np.BatchingError):
        np.vmap(lambda x: np.sum(x) * len([0] * np.argmax(x)))(numpy.eye(3))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("x", [3.0, 3j])
def test_python_numbers_beside_lists(name, x):
    check(lambda x: OPERATIONS[name](x, [3.0]), x)
    check(lambda x: OPERATIONS[name]((3.0,), x), x)


def test_python_complex_numbers_have_no_order():
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        check(lambda z, compare=compare: compare(z, z), 3j)


# -- powers --

EXTREMES = [inf, -inf, nan, 0.0, -0.0, 1.0, -2.5, 3e200]
EXPONENTS = [-1, -1.0, 0, 0.0, 0.5, 1, 1.0, 2, 2.0, 3, True, 2 + 0j, 0.5 + 0j]


@pytest.mark.skipif(NUMPY < (2, 3), reason="NumPy had more shortcuts for powers before")
@pytest.mark.parametrize("exponent", [*EXPONENTS, *map(numpy.float64, (-1, 0.5, 2))], ids=repr)
@pytest.mark.parametrize("power", [operator.pow, np.power, operator.ipow])
def test_powers_of_extreme_complex_numbers(power, exponent):
    z = numpy.array([complex(a, b) for a in EXTREMES for b in EXTREMES])
    check(lambda z: power(z, exponent), z)
    if power is not operator.ipow:
        check(lambda z: [power(z[i], exponent) for i in range(z.size)], z)
    traced = np.vjp(lambda z: power(z * 1, exponent), z)[0]
    assert described(traced) == described(power(z * 1, exponent))


@pytest.mark.parametrize("exponent", [*EXPONENTS[:-2], numpy.float32(0.5)], ids=repr)
@pytest.mark.parametrize("dtype", ["?", "i4", "f2", "f4", "f8"])
def test_powers_of_extreme_real_numbers(dtype, exponent):
    x = numpy.array(EXTREMES[:-1] if dtype[0] == "f" else [1, 2, 1], dtype)
    check(lambda x: x**exponent, x)
    check(lambda x: np.power(x, exponent), x)


@pytest.mark.parametrize("exponent", [-1, 2, 0.5])
def test_derivatives_of_complex_powers(exponent):
    z = numpy.array([1 + 2j, -0.5 - 1j])
    for f in (lambda z: z**exponent, lambda z: np.power(z, exponent)):
        slope = np.vjp(f, z)[1](numpy.ones(2, complex))[0]
        numpy.testing.assert_allclose(slope, exponent * z ** (exponent - 1), rtol=1e-14)


# -- results without dimensions, and nothing at all --


@pytest.mark.parametrize("same", [np.allclose, np.array_equal, np.array_equiv])
def test_answers_about_whole_arrays_are_pythons(same):
    x = numpy.arange(3.0)
    for y in (x, x + 1, x[:1], x[:2]):
        check(same, x, y)
    check(lambda x: same(x, x) + same(x, x + 1) + same(x, x), x)
    seen = []
    np.grad(lambda x: seen.append((same(x, x), same(x, x + 1))) or np.sum(x))(x)
    assert repr(seen) == "[(True, False)]"
    assert np.vmap(lambda x: same(x, numpy.zeros(1)))(numpy.eye(3, 1)).tolist() == [
        False,
        True,
        True,
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_product_of_plane_vectors_is_an_array():
    check(np.cross, numpy.array([1.0, 2.0]), numpy.array([3.0, 5.0]))
    check(np.cross, numpy.ones((3, 2)), numpy.array([3.0, 5.0]))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_quantiles_of_nothing(shape, axis):
    for q in (0.5, [0.25, 0.5]):
        check(lambda x, q=q: np.quantile(x, q, axis), numpy.ones(shape))


def test_iterators_are_assigned_as_arrays():
    def f(x):
        a, b, c = np.zeros(4), np.zeros((2, 4)), np.zeros(3)
        a.flat[:] = x.flat
        b[...] = x.flat
        c.flat = x.T.flat
        return a, b, c, x.flat == x.flat

    check(f, numpy.arange(4.0).reshape(2, 2))
    slope = np.grad(lambda x: np.sum(f(x)[0] * f(x)[1]))(numpy.ones((2, 2)))
    assert slope.tolist() == [[4.0, 4.0], [4.0, 4.0]]
