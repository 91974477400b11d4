"""Python numbers as traced arguments of jit: what Python gives, Python's error, or one that says
what to write.
"""

import cmath
import math
import operator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp as np

pytestmark = [
    pytest.mark.usefixtures("both_ways"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy's, of the interpreter
]

OPERATIONS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow, "divmod": divmod,
    "<<": operator.lshift, ">>": operator.rshift, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
    ">": operator.gt, ">=": operator.ge, "neg": lambda x, _: -x, "pos": lambda x, _: +x,
    "abs": lambda x, _: abs(x), "~": lambda x, _: ~x, "conjugate": lambda x, _: x.conjugate(),
    "count": lambda x, y: (x < y) + (y < x) + (x == y), "sum": lambda x, y: sum([x, y]),
    "round": lambda x, _: round(x, 1), "tens": lambda x, _: round(x, -1),
}  # fmt: skip
JITTED = {
    name: np.jit(lambda x, y, f=f: f(x, y), dynamic_argnames=("x", "y"), static_argnames="f")
    for name, f in OPERATIONS.items()
}
FLOATS = st.sampled_from([0.0, -0.0, 0.5, -2.5, 1 / 3, 2.675, 1e16, math.inf, -math.inf, math.nan])
INTS = st.integers(-40, 40)
COMPLEXES = st.sampled_from([0j, 1 + 2j, -1.5 + 0j, 3 - 4j])
NUMBERS = FLOATS | INTS | st.booleans() | COMPLEXES


def outcome(f, *args):
    try:
        return f(*args)
    except Exception as error:  # noqa: BLE001 - whatever Python raises is compared
        return error


def is_like(found, wanted):
    """Whether it is the same number; of powers and complex quotients libraries choose the last
    digits.
    """
    if isinstance(wanted, tuple):
        return all(map(is_like, found, wanted))
    if type(found) is not type(wanted):
        return False
    if isinstance(wanted, (int, bool)):
        return found == wanted
    a, b = complex(found), complex(wanted)
    return all(map(is_near, (a.real, a.imag), (b.real, b.imag)))


def is_near(a, b):
    both_nan = math.isnan(a) and math.isnan(b)
    return both_nan or a == b or math.isclose(a, b, rel_tol=1e-14, abs_tol=1e-15)


def is_too_large(wanted):
    """What 64 bits do not hold: documented to be infinite, or to wrap around."""
    return isinstance(wanted, OverflowError) or (isinstance(wanted, int) and abs(wanted) >= 2**63)


@given(st.sampled_from(sorted(OPERATIONS)), NUMBERS, NUMBERS)
def test_operations_give_what_python_gives(name, x, y):
    wanted = outcome(OPERATIONS[name], x, y)
    found = outcome(JITTED[name], x, y)
    if is_too_large(wanted) or (isinstance(wanted, complex) and not cmath.isfinite(wanted)):
        return
    if isinstance(wanted, Exception):
        assert isinstance(found, (type(wanted), np.ConcretizationError)), (found, wanted)
    elif isinstance(found, Exception):  # a type that depends on numbers
        assert type(wanted) is not type(OPERATIONS[name](type(x)(1), type(y)(1))), (found, wanted)
        assert isinstance(found, (np.ConcretizationError, ValueError))
    else:
        assert is_like(found, wanted), (found, wanted)


def power(x, y):
    return x**y


def test_a_power_that_is_complex_says_what_to_write():
    f = np.jit(power)
    assert np.isclose(f(8.0, 0.5), 8.0**0.5)
    with pytest.raises(np.ConcretizationError, match="negative Python number") as error:
        f(-8.0, 1 / 3)
    for advice in ("(x + 0j) ** y", "np.power(x, y)", "np.sign(x) * np.abs(x) ** y"):
        assert advice in str(error.value)
    assert np.isclose(np.jit(lambda x, y: (x + 0j) ** y)(-8.0, 1 / 3), (-8.0) ** (1 / 3))
    assert math.isnan(np.jit(np.power)(-8.0, 1 / 3))
    assert np.isclose(np.jit(lambda x, y: np.sign(x) * np.abs(x) ** y)(-8.0, 1 / 3), -2.0)


@pytest.mark.parametrize(("x", "y"), [(0.0, -1.0), (-0.0, -0.5), (0.0, -1 + 0j), (0j, 1j)])
def test_zero_to_a_negative_power(x, y):
    with pytest.raises(ZeroDivisionError):
        x**y
    with pytest.raises(ZeroDivisionError):
        np.jit(power)(x, y)


def test_powers_where_python_raises_nothing():
    f = np.jit(power)
    for x, y in (
        (0.0, -math.inf),
        (-2.0, math.inf),
        (0.0, 0.0),
        (-8.0, math.nan),
    ):
        numpy.testing.assert_equal(f(x, y), x**y)


def test_numpys_numbers_have_numpys_powers():
    f = np.jit(power)
    assert math.isnan(f(numpy.float64(-8.0), 1 / 3))
    assert f(numpy.float64(0.0), -1.0) == math.inf


HALVES = [2.675, 1.005, 0.15, 0.25, -0.25, 1e300, 5e-324, 1e16, math.inf, math.nan]


@pytest.mark.parametrize("digits", [0, 1, 2, -1, 20, -400])
@pytest.mark.parametrize("x", HALVES)
def test_python_floats_are_rounded_as_python_rounds(x, digits):
    def f(x):
        return round(x, digits)

    numpy.testing.assert_equal(np.jit(f)(x), round(x, digits))
    found = []
    np.grad(lambda x: found.append(round(x, digits)) or x)(x)
    numpy.testing.assert_equal(float(f"{found[0]:.17g}"), round(x, digits))


def through_jit(f):
    return np.jit(f)


def through_grad(f):
    return lambda x: np.value_and_grad(lambda x: f(x) + 0.0 * x)(x)[0]


def through_jvp(f):
    return lambda x: np.jvp(f, (x,), (numpy.float64(1.0),))[0]


def through_vmap(f):
    return lambda x: np.vmap(f)(numpy.array([x, x]))[1]


@pytest.mark.parametrize("through", [through_jit, through_grad, through_jvp, through_vmap])
@pytest.mark.parametrize("compiled", [False, True])
def test_numpys_numbers_are_rounded_as_numpy_rounds(through, compiled):
    def f(x):
        return round(x, 2)

    g = through(np.jit(f) if compiled else f)
    for x in (2.675, 1.005, -0.125, 1e6 / 7):
        x = numpy.float64(x)
        assert g(x) == round(x, 2) == numpy.round(x, 2)
    assert np.jit(f)(numpy.array(2.675)) == numpy.round(2.675, 2)


def test_rounding_has_no_slope():
    assert np.grad(lambda x: x * round(x, 1))(1.26) == 1.3
    assert np.grad(np.jit(lambda x: x * round(x, 1)))(1.26) == 1.3
    assert np.jit(np.grad(lambda x: x * round(x, 1)))(numpy.float64(1.26)) == 1.3
    numpy.testing.assert_array_equal(
        np.vmap(np.jit(lambda x: round(x, -1)))(numpy.array([14.9, 15.1])), [10.0, 20.0]
    )


def test_formats_of_known_numbers():
    shown = []

    def f(x):
        shown.append(f"{x:.2f}|{x:>8}|{x:e}|{x:.1%}")
        return x * x

    np.grad(f)(1.26)
    np.vmap(np.grad(f))(numpy.array([1.26, 1.26]))
    assert shown == ["1.26|    1.26|1.260000e+00|126.0%"] * 2
    with pytest.raises(np.ConcretizationError, match="print it"):
        np.jit(f)(1.26)
