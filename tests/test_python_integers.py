"""Python numbers under jit beside arrays of integers: as NumPy has it, errors included."""

import operator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")

ARRAYS = {
    dtype: numpy.array([0, 1, 3, numpy.iinfo(dtype).max, numpy.iinfo(dtype).min], dtype)
    for dtype in "bBhHiIlL"
}
OPERATORS = (
    operator.add, operator.sub, operator.mul, operator.and_, operator.or_, operator.xor,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge,
    np.maximum, np.minimum, np.where,
)  # fmt: skip


def outcome(f, *args):
    """What a call gives, or the text of its error."""
    try:
        found = f(*args)
    except (OverflowError, ValueError, TypeError) as error:
        return str(error)
    return found.dtype, found.tolist()


def traced(f):
    return np.jit(f, dynamic_argnames="n")


EDGES = [
    edge + i for bits in (7, 8, 15, 16, 31, 32) for edge in (-(2**bits), 2**bits) for i in (-1, 0)
]


@given(
    st.sampled_from(sorted(ARRAYS)),
    st.sampled_from(range(len(OPERATORS))),
    st.sampled_from(EDGES) | st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
)
def test_operators(dtype, which, n, swapped):
    operation = OPERATORS[which]
    if operation is np.where:  # NumPy's own lets them wrap around

        def f(x, n):
            return np.where(x > 1, x, n)
    elif swapped:

        def f(x, n):
            return operation(n, x)
    else:

        def f(x, n):
            return operation(x, n)

    x = ARRAYS[dtype]
    assert outcome(traced(f), x, n) == outcome(f, x, n)


def setitem(x, n):
    x[0] = n
    return x


def setitems(x, n):
    x[:2] = [n, 1]
    return x


def filled(x, n):
    x.fill(n)
    return x


def put(x, n):
    np.put(x, 0, n)
    return x


def place(x, n):
    np.place(x, x > 0, n)
    return x


def copyto(x, n):
    np.copyto(x, n)
    return x


WRITERS = {
    "setitem": setitem,
    "setitems": setitems,
    "fill": filled,
    "put": put,
    "place": place,
    "copyto": copyto,
    "array": lambda x, n: np.array(n, x.dtype),
    "array of list": lambda x, n: np.array([n, 1], x.dtype),
    "asarray": lambda x, n: np.asarray(n, x.dtype),
    "full": lambda x, n: np.full(3, n, x.dtype),
    "full_like": lambda x, n: np.full_like(x, fill_value=n),
    "insert": lambda x, n: np.insert(x, 0, n),
    "clip above": lambda x, n: np.clip(x, 0, n),
    "clip below": lambda x, n: np.clip(x, n, None),
    "select": lambda x, n: np.select([x > 0], [x], n),
    "max": lambda x, n: np.max(x, initial=n),
}


@pytest.mark.parametrize("dtype", "bBhiL")
@pytest.mark.parametrize("name", WRITERS)
def test_what_takes_a_number(name, dtype):
    f = WRITERS[name]
    for n in (3, -1, 127, 128, 300, 2**40):
        x = ARRAYS[dtype]
        assert outcome(traced(f), x.copy(), n) == outcome(f, x.copy(), n), n


INTO_INTEGERS = (
    "setitem",
    "setitems",
    "fill",
    "array",
    "array of list",
    "asarray",
    "full",
    "full_like",
)
FLOATS = (
    3.7,
    -0.9,
    -1.0,
    -1.5,
    127.9,
    128.0,
    255.5,
    300.5,
    2.0**31,
    2.0**63,
    -(2.0**63),
    1.8e19,
    2.0**64,
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's and the interpreter's, of casts
@pytest.mark.parametrize("dtype", "bBhIlL")
@pytest.mark.parametrize("name", INTO_INTEGERS)
def test_floats_in_arrays_of_integers(name, dtype):
    def f(x, n):
        return WRITERS[name](x, n)

    jitted, x = np.jit(f), ARRAYS[dtype]
    for n in (*FLOATS, 1e300, numpy.inf, -numpy.inf, numpy.nan):
        if "full" in name and not abs(n) < 2**31:
            continue  # not checked, and left to the machine
        assert outcome(jitted, x.copy(), n) == outcome(f, x.copy(), n), n
    if "full" not in name:
        assert outcome(jitted, x.copy(), 1j) == outcome(f, x.copy(), 1j)


def test_the_error_is_numpys():
    with pytest.raises(OverflowError, match=r"^Python integer 300 out of bounds for int8$"):
        traced(lambda x, n: x + n)(numpy.ones(2, numpy.int8), 300)


def sum_of_indices(x, count=300):
    return np.fori_loop(0, count, lambda i, total: total + i, x)


def test_an_index_that_does_not_fit():
    """The error is that of the first iteration in which it does not."""
    x = numpy.zeros(2, numpy.int8)
    wanted = outcome(sum_of_indices, x)
    assert wanted == "Python integer 128 out of bounds for int8"
    assert outcome(np.jit(sum_of_indices), x) == wanted


def test_a_range_that_fits_costs_nothing():
    x = numpy.zeros(2, numpy.int8)
    assert "narrow" not in str(np.jit(lambda x: sum_of_indices(x, 100)).trace(x))
    assert "narrow" in str(np.jit(sum_of_indices).trace(x))
    assert "narrow" not in str(traced(lambda x, n: x + n).trace(numpy.zeros(2, numpy.int64), 3))
    assert "narrow" not in str(traced(lambda x, n: x + n).trace(numpy.zeros(2), 3))


def test_branches_that_are_not_taken_raise_nothing():
    @np.jit(dynamic_argnames="n")
    def f(x, n):
        return np.cond(n < 100, lambda x: x + n, lambda x: x, x)

    x = numpy.ones(2, numpy.int8)
    assert f(x, 3).tolist() == [4, 4]
    assert f(x, 300).tolist() == [1, 1]


def weighted(w, n):
    return np.sum((numpy.ones(3, numpy.int8) + n) * w)


ONE, BATCH = numpy.float64(2.0), numpy.array([1.0, 2.0])
TRANSFORMED = {
    "jit grad": (np.jit(np.grad(weighted), dynamic_argnames="n"), ONE),
    "grad jit": (np.grad(traced(weighted)), ONE),
    "vmap jit": (np.vmap(traced(weighted), in_axes=(0, None)), BATCH),
    "jit vmap": (np.jit(np.vmap(weighted, (0, None)), dynamic_argnames=1), BATCH),
    "vmap grad jit": (np.vmap(np.grad(traced(weighted)), in_axes=(0, None)), BATCH),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_under_transformations(name):
    transformed, w = TRANSFORMED[name]
    numpy.testing.assert_array_equal(transformed(w, 5), 18.0 * (w if "grad" not in name else 1))
    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for int8"):
        transformed(w, 300)


def test_known_numbers_under_transformations():
    def f(w):
        x = np.zeros(2, np.int8)
        x[0] = 300
        return w

    with pytest.raises(OverflowError, match="Python integer 300 out of bounds for int8"):
        np.grad(f)(1.0)


def test_the_second_of_two_numbers():
    """What failed first is told, on all cores too."""
    x = numpy.zeros(1 << 20, numpy.int16)
    f = traced(lambda x, n: (x + n) * 2)
    assert outcome(f, x, 2**15) == "Python integer 32768 out of bounds for int16"
    assert f(x, 5)[-1] == 10
