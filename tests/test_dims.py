"""Symbolic sizes: their arithmetic is that of the numbers they stand for, and what they answer
holds wherever the guards that were noted hold.
"""

import itertools
import math
import operator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnp import ConcretizationError, LeakedTracerError
from xnp.autodiff import dims, shapes, size_bounds
from xnp.autodiff.dims import Dim
from xnp.autodiff.scopes import Scope
from xnp.autodiff.size_structures import hinted, substituted
from xnp.autodiff.symbolic_layouts import SymbolicLayout, dense_strides

NAMES = ("n", "m", "k")


def made(hints=(5, 7, 3), lower=0):
    """A scope and its symbols n, m, k."""
    scope = Scope()
    return scope, [scope.symbol(x, hint, lower) for x, hint in zip(NAMES, hints, strict=True)]


def texts(scope):
    return [str(guard) for guard in scope.guards]


# An expression is a number, the index of a symbol, or (operation, left, right).
OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": lambda a, b: a // (b if type(b) is int and b else 3),
    "%": lambda a, b: a % (b if type(b) is int and b else 4),
}
LEAVES = st.integers(-4, 4) | st.sampled_from(NAMES)
EXPRESSIONS = st.recursive(
    LEAVES, lambda inner: st.tuples(st.sampled_from(list(OPERATIONS)), inner, inner), max_leaves=6
)
SIZES = st.tuples(*[st.integers(0, 9)] * 3)


def computed(expression, values, divisors):
    """The value of an expression, a divisor being the number that it was in ``divisors``."""
    if type(expression) is int:
        return expression
    if type(expression) is str:
        return values[expression]
    op, left, right = expression
    a, b = computed(left, values, divisors), computed(right, values, divisors)
    if op in ("//", "%"):
        b = divisors.setdefault(expression, b if type(b) is int and b else 3)
    return OPERATIONS[op](a, b)


def both(expression, symbols, values):
    """An expression as a size, and as the number that it is for ``values``."""
    divisors = {}
    size = computed(expression, dict(zip(NAMES, symbols, strict=True)), divisors)
    return size, computed(expression, dict(zip(NAMES, values, strict=True)), divisors)


@given(EXPRESSIONS, SIZES)
def test_arithmetic_is_that_of_numbers(expression, values):
    scope, symbols = made()
    size, number = both(expression, symbols, values)
    found = size.evaluate(dict(zip(NAMES, values, strict=True))) if type(size) is Dim else size
    assert found == number
    assert not scope.guards


@given(EXPRESSIONS, EXPRESSIONS, SIZES, SIZES)
def test_answers_hold_where_their_guards_hold(left, right, hints, values):
    scope, symbols = made(hints)
    known = dict(zip(NAMES, values, strict=True))
    (a, x), (b, y) = both(left, symbols, values), both(right, symbols, values)
    for compare in (operator.lt, operator.eq, operator.ge, operator.ne):
        answer = compare(a, b)
        assert scope.holds(dict(zip(NAMES, hints, strict=True)))
        if scope.holds(known):
            assert compare(x, y) == answer


@given(EXPRESSIONS, SIZES, SIZES)
def test_what_is_noted_is_known(expression, hints, values):
    """A question is noted once, and what follows from the guards is asked without another."""
    scope, symbols = made(hints)
    size, _ = both(expression, symbols, values)
    answers = [size >= 0, size == 0]
    count = len(scope.guards)
    assert [size >= 0, size == 0] == answers
    assert len(scope.guards) == count


@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_equal_polynomials_are_equal_without_a_guard(left, right, values):
    scope, symbols = made()
    (a, _), (b, _) = both(left, symbols, values), both(right, symbols, values)
    assert (a + b) * (a - b) == a * a - b * b
    assert dims.provably_equal((a, b + a), (a, a + b))
    assert not scope.guards


def test_constant_results_are_ints():
    scope, (n, m, _) = made(lower=1)
    for result in (n - n, n // n, 0 * n, (2 * n + 3) % 2, (n * m) // (m * n), n**0, n // (n + 1)):
        assert type(result) is int
    assert (2 * n + 3) // 2 == n + 1
    assert (n * m + n) // (m + 1) == n
    assert (4 * n + 2) // 4 == (2 * n + 1) // 2
    assert not scope.guards


def test_printing():
    _, (n, m, _) = made()
    sizes = [2 * n + 1, n * m - n, n // 2, 2 * (n // 2), -n, (n + 1) // m, n**2 * m - 3]
    printed = ["2*n+1", "n*m-n", "n//2", "2*(n//2)", "-n", "(n+1)//m", "n*n*m-3"]
    assert [size.text for size in sizes] == printed
    assert dims.minimum(n, m).text == "min(m, n)"


def test_what_the_user_prints_is_the_number():
    scope, (n, m, _) = made((5, 6, 3))
    assert f"{n} of {m + 1}, {(n, 2)}, {n!r}" == "5 of 7, (5, 2), 5"
    assert [str(guard) for guard in scope.guards] == ["n == 5", "m == 6"]
    scope, (n, *_) = made((5, 6, 3))
    scope.close()
    assert f"{n + 1}" == "n+1"


def test_sizes_are_ints_to_isinstance():
    _, (n, *_) = made()
    assert isinstance(n, int)
    assert isinstance(2 * n, (int, float))
    assert not isinstance(n, float)


def test_terms_are_what_code_is_made_from():
    _, (n, m, _) = made()
    size = 3 * n * m - n // 2 + 4
    by_name = [(c, [str(f) for f in factors]) for c, factors in size.terms()]
    assert by_name == [(3, ["n", "m"]), (-1, ["n//2"]), (4, [])]
    atom = size.terms()[1][1][0]
    assert (atom.op, atom.a.text, atom.b) == ("//", "n", 2)
    assert n.symbol is n.terms()[0][1][0]
    assert (n + 1).symbol is None
    assert {s.name for s in size.symbols()} == {"n", "m"}


def test_guards_print_as_they_are_written():
    scope, (n, m, k) = made((5, 5, 3))
    assert n == m
    assert n != k
    assert n < 10
    assert k > 1
    assert texts(scope) == ["n == m", "n != k", "9 >= n", "k >= 2"]


def test_bounds_answer_without_a_guard():
    scope, (n, m, _) = made(lower=2)
    assert n != 1
    assert n >= 2
    assert n * m >= 4
    assert n // 2 <= n
    assert n + m > 3
    assert not n - 2 < 0
    assert n
    assert not scope.guards


def test_a_size_that_is_not_1_is_at_least_2():
    scope, (n, *_) = made()
    assert n != 1
    assert n != 0
    assert texts(scope) == ["n >= 2"]


def test_an_equality_takes_the_place_of_the_symbol():
    scope, (n, m, k) = made((5, 5, 3))
    assert n == m
    assert n * m - n * n == 0
    assert k == 3
    assert type(k + 1) is int
    assert texts(scope) == ["n == m", "k == 3"]


def test_numbers_fix_the_size():
    for use in (int, float, range, operator.index, numpy.zeros, hash, numpy.asarray):
        scope, (n, *_) = made()
        use(n)
        assert texts(scope) == ["n == 5"], use


def test_a_set_of_numbers_finds_a_size():
    _, (n, *_) = made()
    assert n in {4, 5}
    assert {5: "five"}[n] == "five"


def test_comparisons_with_what_is_no_size():
    scope, (n, *_) = made()
    assert n != "n"
    assert n is not None
    assert n > 2.5
    assert texts(scope) == ["n == 5"]


def test_loop_indices_are_bounded_by_sizes():
    scope, (n, *_) = made()
    i = scope.symbol("i", None, 0, n - 1)
    assert i < n
    assert n - i - 1 >= 0
    assert not scope.guards
    with pytest.raises(ConcretizationError, match="i is not known"):
        range(i)
    with pytest.raises(ConcretizationError, match="i >= 3 is not known"):
        bool(i < 3)


def test_bounds_of_quotients_within_quotients_are_found_once(monkeypatch):
    """A recursion that halves its argument: as much work a level, not many times more."""
    found, floored = [], size_bounds._floored
    monkeypatch.setattr(size_bounds, "_floored", lambda a, b: found.append(a) or floored(a, b))
    _, (size, *_) = made((1 << 20, 7, 3))
    for _ in range(7):
        size = (size + 1) // 2
    assert size_bounds.lowest(size.polynomial) == 0
    assert size - size // 2 >= 0
    assert len(found) < 2000


def test_minimum_and_maximum_ask_nothing():
    scope, (n, m, _) = made()
    for a, b in itertools.product((0, 4, 9), repeat=2):
        values = {"n": a, "m": b, "k": 0}
        assert dims.minimum(n, m + 1).evaluate(values) == min(a, b + 1)
        assert dims.maximum(n, m + 1).evaluate(values) == max(a, b + 1)
    assert dims.minimum(n, n + 1).text == "n"
    assert not scope.guards


def test_a_closed_scope_notes_nothing():
    scope, (n, m, _) = made((5, 5, 3))
    scope.close()
    assert n + m == m + n
    questions = (int, hash, lambda n: n == m, lambda n: n != 5, lambda n: n > 2, lambda n: n in [3])
    for question in questions:
        with pytest.raises(LeakedTracerError, match="was asked for a number"):
            question(n)
    assert not scope.guards


def test_a_hint_may_be_a_size_of_an_outer_program():
    outer, (n, m, _) = made((5, 5, 3))
    inner = Scope()
    a, b = inner.symbol("a", n), inner.symbol("b", m)
    assert a == b
    assert (texts(inner), texts(outer)) == (["a == b"], ["n == m"])
    assert int(a) == 5
    assert (texts(inner)[1:], texts(outer)[1:]) == (["a == 5"], ["n == 5"])


def test_substitution():
    _, (n, m, _) = made()
    params = {"shape": (n, m + 1), "index": (slice(None, n // 2), 3), "axis": 0}
    found = substituted(params, {"n": 6, "m": 2})
    assert found == {"shape": (6, 3), "index": (slice(None, 3), 3), "axis": 0}
    assert hinted((n, m)) == (5, 7)


def test_division_by_zero():
    _, (n, *_) = made()
    with pytest.raises(ZeroDivisionError):
        n // 0
    assert math.ceil(n) is n


PLACES = st.none() | st.integers(-9, 9)
STEPS = st.none() | st.integers(-3, 3).filter(bool)


@given(PLACES, PLACES, STEPS, st.integers(0, 9), st.integers(0, 9))
def test_slices(start, stop, step, hint, size):
    part, scope = slice(start, stop, step), Scope()
    n = scope.symbol("n", hint)
    length = shapes.slice_size(part, n)
    assert scope.holds({"n": hint})
    if scope.holds({"n": size}):
        found = length.evaluate({"n": size}) if type(length) is Dim else length
        assert found == len(range(*part.indices(size)))
    assert shapes.slice_size(part, size) == len(range(*part.indices(size)))


def test_slices_fix_nothing():
    scope, (n, *_) = made(lower=2)
    parts = [slice(1, None), slice(None, -1), slice(None, None, -1), slice(None, n // 2), slice(2)]
    lengths = [shapes.slice_size(part, n) for part in parts]
    assert [getattr(x, "text", x) for x in lengths] == ["n-1", "n-1", "n", "n//2", 2]
    assert not scope.guards


def test_broadcasting():
    scope, (n, m, k) = made((5, 5, 3), lower=1)
    assert shapes.broadcast((n, 1), (k,), ()) == (n, k)
    assert shapes.broadcast((n + 1,), (1,)) == (n + 1,)
    assert not scope.guards
    assert shapes.broadcast((n,), (m,)) == (n,)
    assert texts(scope) == ["n == m"]
    with pytest.raises(ValueError, match=r"shapes \(n\) \(k\)|shapes \(n,\) \(k,\)"):
        shapes.broadcast((n,), (k,))


# Layouts


def numpys(shape):
    return numpy.lib.stride_tricks.as_strided(
        numpy.empty(1), shape, dense_strides(shape, numpy.dtype(float))
    )


STEPS_OF_VIEWS = [
    lambda x: x.transpose((1, 0)),
    lambda x: x[::2],
    lambda x: x[:, ::2],
    lambda x: x[:, 1:],
    lambda x: x[1:],
    lambda x: x[::-1],
    lambda x: x[:, :3],
    lambda x: x[None, 0],
    lambda x: x[:, None, 1][:, :],
]


@given(
    st.lists(st.sampled_from(STEPS_OF_VIEWS), max_size=3),
    st.sampled_from([(-1,), (-1, 2), (2, -1), (-1, 1), (1, -1, 1)]),
    st.sampled_from("CF"),
    st.tuples(st.integers(3, 8), st.integers(3, 8)),
    st.tuples(st.integers(3, 8), st.integers(3, 8)),
)
def test_layouts_are_numpys_wherever_the_guards_hold(steps, wanted, order, hints, sizes):
    """The same strides after a chain of views, and the same answer whether a reshape is one."""
    scope = Scope()
    shape = tuple(scope.symbol(name, hint, 2) for name, hint in zip("nm", hints, strict=True))
    layout = SymbolicLayout(shape, dense_strides(shape, numpy.dtype(float)), numpy.dtype(float))
    at_hints, at_sizes = numpys(hints), numpys(sizes)
    taken = []
    for step in steps:
        if at_hints.ndim == 2 and min(at_hints.shape) > 2:
            taken.append(step)
            at_hints, layout = step(at_hints), step(layout)
    found = in_place(layout, at_hints, wanted, order)
    if found is None or not scope.holds(dict(zip("nm", sizes, strict=True))):
        return
    for step in taken:
        if min(at_sizes.shape) < 2:
            return
        at_sizes = step(at_sizes)
    values = dict(zip("nm", sizes, strict=True))
    assert substituted(layout.shape, values) == at_sizes.shape
    for dim, ours, theirs in zip(
        at_sizes.shape, substituted(layout.strides, values), at_sizes.strides, strict=True
    ):
        assert dim == 1 or ours == theirs
    assert found == in_place(at_sizes, at_sizes, wanted, order)


def in_place(layout, like, wanted, order):
    """Whether NumPy reshapes without a copy; None where the sizes do not fit."""
    known = abs(math.prod(wanted))
    if like.size % known or not like.size:
        return None
    if layout.size % known != 0:
        return None
    shape = tuple(layout.size // known if dim == -1 else dim for dim in wanted)
    try:
        numpy.reshape(layout, shape, order=order, copy=False)
    except ValueError:
        return False
    return True
