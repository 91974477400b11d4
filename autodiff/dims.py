"""Symbolic sizes: what stands in a shape where a Program is to work for every size.

A `Dim` is a polynomial with integer coefficients over symbols (the sizes of arguments, loop
indices) and atoms (``//``, min and max of other sizes). Arithmetic with a constant result gives
an int, so a dimension is an int or a `Dim`, and equal sizes that are written differently are one
`Dim`: ``(n + 1) * 2 - 2 == 2 * n``.

A question about sizes (``n == m``, ``n > 3``) is answered by proof where the bounds of the symbols
decide it. Else it is answered for the sizes at hand, the symbols' hints, and noted as a `Guard` in
the `Scope` of the symbols: what is recorded holds wherever the guards hold. ``int(n)``,
``range(n)`` and whatever else needs a number take the hint and note that the size is fixed; so code
that knows nothing of symbols is never wrong, it only serves fewer sizes.
"""

from __future__ import annotations

import contextlib
import math
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from . import size_algebra as algebra
from .errors import ConcretizationError, LeakedTracerError, is_asked_by_user, user_line
from .size_algebra import Polynomial
from .size_bounds import Atom, Factor, Symbol, lowest, never_zero

Size = Any  # int | Dim

in_use = False  # whether there has been a scope: while there is none, hot paths look no further


class Guard(NamedTuple):
    """What must hold for a Program to be valid: ``dim == 0``, ``dim != 0`` or ``dim >= 0``."""

    relation: str
    dim: Dim

    def holds(self, values: Mapping[Any, int]) -> bool:
        """Whether it holds for these sizes of the symbols."""
        return bool(_RELATIONS[self.relation](self.dim.evaluate(values), 0))

    def __str__(self) -> str:
        left = {m: c for m, c in self.dim.polynomial.items() if c > 0}
        right = {m: -c for m, c in self.dim.polynomial.items() if c < 0}
        if not any(left) and self.relation != ">=":  # no symbol on the left
            left, right = right, left
        return f"{algebra.text(left)} {self.relation} {algebra.text(right)}"


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
}


class Dim:
    """A size that is no number yet. See the module's text for what questions about it do."""

    __slots__ = ("key", "polynomial")

    # As a Value: a number of NumPy's integer dtype, weak as Python's.
    shape: tuple[()] = ()
    ndim = 0
    dtype = np.dtype(int)
    weak = True

    # float and array arithmetic need values that are traced: `dim_operators` fills it in
    traced: Callable[..., Any]

    def __init__(self, polynomial: Polynomial) -> None:
        self.polynomial = polynomial
        self.key = frozenset(polynomial.items())  # structural: equal for equal polynomials

    # -- what it is made of --

    def terms(self) -> list[tuple[int, tuple[Factor, ...]]]:
        """The sum's terms: (coefficient, factors), the constant's factors being ()."""
        ordered = sorted(self.polynomial, key=algebra.rank, reverse=True)
        return [(self.polynomial[monomial], monomial) for monomial in ordered]

    @property
    def symbol(self) -> Symbol | None:
        """The symbol that it is; None if it is made of more."""
        (monomial, coefficient), *more = self.polynomial.items()
        is_one = not more and coefficient == 1 and len(monomial) == 1
        return monomial[0] if is_one and type(monomial[0]) is Symbol else None

    def symbols(self) -> set[Symbol]:
        """All symbols in it, those within atoms too."""
        found: set[Symbol] = set()
        for factor in algebra.factors(self.polynomial):
            if type(factor) is Symbol:
                found.add(factor)
            else:
                found |= _symbols_within(factor)
        return found

    def evaluate(self, values: Mapping[Any, Any]) -> Any:
        """The size for these sizes of the symbols: an int, or a `Dim` if they are. The symbols, or
        their names, are the keys.
        """
        return _evaluated(self.polynomial, lambda s: values[s] if s in values else values[s.name])

    @property
    def hint(self) -> Any:
        """The size for the hints; None where a symbol has none."""
        if any(symbol.hint is None for symbol in self.symbols()):
            return None
        return _evaluated(self.polynomial, operator.attrgetter("hint"))

    @property
    def text(self) -> str:
        """Its form: ``2*n+1``."""
        return algebra.text(self.polynomial)

    def __repr__(self) -> str:
        """Its form; where the user's program makes a text of it, the number."""
        asks = self._is_open() and self.hint is not None and is_asked_by_user(__file__)
        return str(_fixed(self)) if asks else self.text

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else repr(self)

    @property
    def __class__(self) -> type:
        """What ``isinstance`` sees: programs ask whether sizes are ints."""
        return int

    # -- arithmetic --

    def __add__(self, other: Any) -> Any:
        return _sum(self, other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return _sum(self, other, -1)

    def __rsub__(self, other: Any) -> Any:
        left = _polynomial_of(other)
        if left is None:
            return _with_numbers(self, other, operator.sub, swapped=True)
        return size_of(algebra.add(left, self.polynomial, -1))

    def __mul__(self, other: Any) -> Any:
        right = _polynomial_of(other)
        if right is None:
            return _with_numbers(self, other, operator.mul)
        return size_of(algebra.multiply(self.polynomial, right))

    def __rmul__(self, other: Any) -> Any:
        right = _polynomial_of(other)
        if right is None:
            return _with_numbers(self, other, operator.mul, swapped=True)
        return size_of(algebra.multiply(self.polynomial, right))

    def __neg__(self) -> Any:
        return size_of({monomial: -c for monomial, c in self.polynomial.items()})

    def __pos__(self) -> Any:
        return self

    __trunc__ = __floor__ = __ceil__ = __pos__

    def __round__(self, digits: Any = None) -> Any:
        return self if digits is None or digits >= 0 else round(int(self), digits)

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __pow__(self, other: Any) -> Any:
        if type(other) is int and other < 0:
            return _with_numbers(self, float(other), operator.pow)
        if type(other) is not int:
            return _with_numbers(self, other, operator.pow)
        power: Any = 1
        for _ in range(other):
            power = self * power
        return power

    def __rpow__(self, other: Any) -> Any:
        return _with_numbers(self, other, operator.pow, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        if _polynomial_of(other) is None:
            return _with_numbers(self, other, operator.floordiv)
        return _quotient(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        if _polynomial_of(other) is None:
            return _with_numbers(self, other, operator.floordiv, swapped=True)
        return _quotient(other, self)

    def __mod__(self, other: Any) -> Any:
        if _polynomial_of(other) is None:
            return _with_numbers(self, other, operator.mod)
        return self - _quotient(self, other) * other

    def __rmod__(self, other: Any) -> Any:
        if _polynomial_of(other) is None:
            return _with_numbers(self, other, operator.mod, swapped=True)
        return other - _quotient(other, self) * self

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __truediv__(self, other: Any) -> Any:
        return _with_numbers(self, other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Any:
        return _with_numbers(self, other, operator.truediv, swapped=True)

    # -- numbers --

    def __index__(self) -> int:
        return _fixed(self)

    def __int__(self) -> int:
        return _fixed(self)

    def __float__(self) -> float:
        return float(_fixed(self))

    def __complex__(self) -> complex:
        return complex(_fixed(self))

    def __hash__(self) -> int:
        """In an open scope that of the number, which a set or dict of ints has to find."""
        if self._is_open():
            return hash(_fixed(self))
        _refuse_the_user(self)
        return hash(self.key)

    def _is_open(self) -> bool:
        return any(symbol.scope.is_open for symbol in self.symbols())

    # -- questions --

    def __bool__(self) -> bool:
        return not _holds("==", self)

    def __eq__(self, other: Any) -> Any:
        if other is self or (type(other) is Dim and other.key == self.key):
            return True
        return _compared(self, other, operator.eq, lambda d: _holds("==", d))

    def __ne__(self, other: Any) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __ge__(self, other: Any) -> Any:
        return _compared(self, other, operator.ge, lambda d: _holds(">=", d))

    def __lt__(self, other: Any) -> Any:
        return _compared(self, other, operator.lt, lambda d: not _holds(">=", d))

    def __le__(self, other: Any) -> Any:
        return _compared(self, other, operator.le, lambda d: _holds(">=", -d))

    def __gt__(self, other: Any) -> Any:
        return _compared(self, other, operator.gt, lambda d: not _holds(">=", -d))


def _polynomial_of(x: Any) -> Polynomial | None:
    if type(x) is Dim:
        return x.polynomial
    if isinstance(x, int) or (isinstance(x, np.integer) and not is_asked_by_user(__file__)):
        return {(): int(x)} if x else {}
    return None


def size_of(polynomial: Polynomial) -> Size:
    """An int where the polynomial is constant."""
    if any(map(_is_solved, algebra.factors(polynomial))):
        return _evaluated(polynomial, solution)
    if not any(polynomial):
        return polynomial.get((), 0)
    return Dim(polynomial)


def _is_solved(factor: Factor) -> bool:
    """Whether a guard says what a symbol, or one in an atom, equals."""
    if type(factor) is Symbol:
        return factor.equal is not None
    assert type(factor) is Atom
    return any(symbol.equal is not None for symbol in _symbols_within(factor))


def _symbols_within(atom: Atom) -> set[Symbol]:
    return {symbol for x in (atom.a, atom.b) if type(x) is Dim for symbol in x.symbols()}


def solution(symbol: Symbol) -> Size:
    """What the guards say that a symbol equals; itself where they say nothing."""
    return Dim({(symbol,): 1}) if symbol.equal is None else size_of(symbol.equal)


def _sum(dim: Dim, other: Any, sign: int) -> Any:
    right = _polynomial_of(other)
    if right is None:
        return _with_numbers(dim, other, operator.add if sign == 1 else operator.sub)
    return size_of(algebra.add(dim.polynomial, right, sign))


def _with_numbers(dim: Dim, other: Any, function: Callable[..., Any], swapped: bool = False) -> Any:
    """Arithmetic that gives no size: with the traced value of the size. Arrays do their own, and
    NumPy's integers, whose dtype the result has, want the number.
    """
    if isinstance(other, np.integer):
        return function(other, _fixed(dim)) if swapped else function(_fixed(dim), other)
    if not isinstance(other, (int, float, complex, Dim)):
        return NotImplemented
    number = other.traced() if type(other) is Dim else other
    return function(number, dim.traced()) if swapped else function(dim.traced(), number)


def _quotient(a: Size, b: Size) -> Size:
    """``a // b``. What divides exactly goes out of it: ``(2*n + 3) // 2 == n + 1``."""
    if b == 0:
        raise ZeroDivisionError("division of a size by zero")
    a, b = a + 0, b + 0  # with what the guards say
    dividend, divisor = _polynomial_of(a), _polynomial_of(b)
    assert dividend is not None
    assert divisor is not None
    whole, rest = algebra.divide(dividend, divisor)
    if not rest:
        return size_of(whole)
    if set(divisor) == {()}:
        part = _constant_quotient(rest, divisor[()])
    else:
        part = _bounded_quotient(size_of(rest), b)
        if part is None:  # as it was written
            return Dim({(Atom("//", a, b),): 1})
    return size_of(algebra.add(whole, part))


def _constant_quotient(rest: Polynomial, divisor: int) -> Polynomial:
    """``rest // divisor`` with a common factor taken out: floor((2n + 3) / 4) is
    floor((n + 1) / 2).
    """
    if not any(rest):
        return _polynomial_of(rest[()] // divisor) or {}
    common = math.gcd(divisor, *(c for m, c in rest.items() if m))
    if divisor < 0:
        common = -common
    reduced = size_of({m: c // common for m, c in rest.items() if c // common})
    if divisor == common:
        return _polynomial_of(reduced) or {}
    return {(Atom("//", reduced, divisor // common),): 1}


def _bounded_quotient(rest: Size, divisor: Size) -> Polynomial | None:
    """``rest // divisor`` where the sizes' bounds say that it is 0 or -1."""
    if _proved(">=", rest) and _proved(">=", divisor - rest - 1):
        return {}
    if _proved(">=", -1 - rest) and _proved(">=", divisor + rest):
        return {(): -1}
    return None


def _compared(
    dim: Dim,
    other: Any,
    question: Callable[..., Any],
    decide: Callable[[Dim], bool],
) -> Any:
    right = {(): int(other)} if isinstance(other, np.integer) else _polynomial_of(other)
    if right is None:
        return question(_fixed(dim), other) if isinstance(other, float) else NotImplemented
    difference = size_of(algebra.add(dim.polynomial, right, -1))
    return question(difference, 0) if type(difference) is int else decide(difference)


class _AtHand(threading.local):
    sizes: Mapping[Any, Any] | None = None


_at_hand = _AtHand()


@contextlib.contextmanager
def numbers_for(sizes: Mapping[Any, Any]) -> Iterator[None]:
    """Has sizes of closed scopes answer with their numbers for these sizes of the symbols."""
    before, _at_hand.sizes = _at_hand.sizes, sizes
    try:
        yield
    finally:
        _at_hand.sizes = before


def _fixed(dim: Dim) -> int:
    """The number at hand, with the guard that it is this one."""
    if _at_hand.sizes is not None and not dim._is_open():
        return operator.index(dim.evaluate(_at_hand.sizes))
    number = dim.hint
    if number is None:
        raise ConcretizationError(
            f"the size {dim} is not known while the function is recorded{user_line()}, and here a "
            "number is needed. Write it with array operations on shapes, or move it out of the "
            "loop."
        )
    number = operator.index(number)
    difference = dim - number
    if _proved("==", difference) is None:
        _note(Guard("==", difference))
    return number


def _note(guard: Guard) -> None:
    scopes = {symbol.scope for symbol in guard.dim.symbols()}
    if not any(scope.is_open for scope in scopes):
        raise _leaked(guard.dim)
    for scope in scopes:
        scope.note(guard)


def _refuse_the_user(dim: Dim) -> None:
    """A question without an answer after the recording, that the user's program asks: of a size
    that it has kept. Where sizes are at hand these answer.
    """
    if _at_hand.sizes is None and is_asked_by_user(__file__):
        raise _leaked(dim)


def _leaked(dim: Any) -> LeakedTracerError:
    return LeakedTracerError(
        f"the size {dim.text} was asked for a number{user_line()} after the function whose "
        "sizes it is made of had returned. Return sizes from the function, do not store them."
    )


def _holds(relation: str, dim: Any) -> bool:
    """Whether ``dim == 0`` or ``dim >= 0``: proved, or true of the hints and noted."""
    dim = size_of(dim.polynomial)
    proved = _proved(relation, dim)
    if proved is not None:
        return proved
    if relation == "==" and not dim._is_open():
        _refuse_the_user(dim)
        return False
    number = dim.hint
    if number is None:
        raise ConcretizationError(
            f"whether {Guard(relation, dim)} is not known while the function is "
            f"recorded{user_line()}. Write the choice with np.where."
        )
    answer = bool(_RELATIONS[relation](number, 0))
    _note(Guard(relation, dim) if answer else _negated(relation, dim, number))
    return answer


def _negated(relation: str, dim: Dim, number: Any) -> Guard:
    """The guard for a question that was answered with no."""
    if relation == ">=":
        return Guard(">=", -dim - 1)
    sign = 1 if number > 0 else -1
    low = lowest((sign * dim).polynomial)
    if low == 0:
        return Guard(">=", sign * dim - 1)
    rest = sign * dim.polynomial.get((), 0)
    if low == rest == -1 and number > 0 and len(dim.polynomial) == 2:
        return Guard(">=", dim - 1)  # n != 1 is asked where n != 0 will be: n >= 2
    return Guard("!=", dim)


def _proved(relation: str, size: Size) -> bool | None:
    """Whether ``size == 0`` or ``size >= 0`` for all symbols within their bounds; None: it
    depends.
    """
    if type(size) is int:
        return bool(_RELATIONS[relation](size, 0))
    low, high = lowest(size.polynomial), -lowest((-size).polynomial)
    if relation == ">=":
        return True if low >= 0 else False if high < 0 else None
    if low > 0 or high < 0 or never_zero(size.polynomial) or _noted_unequal(size):
        return False
    return True if low == high == 0 else None


def _noted_unequal(dim: Dim) -> bool:
    return any(dim.key in symbol.scope.unequal for symbol in dim.symbols())


def provably_equal(a: Any, b: Any) -> bool:
    """Whether two sizes, or two shapes, are equal for all symbols; nothing is noted."""
    if type(a) is tuple:
        return len(a) == len(b) and all(map(provably_equal, a, b))
    if a is b or type(a) is type(b) is int:
        return a == b
    return bool(_proved("==", a - b))


def minimum(a: Size, b: Size) -> Size:
    """The smaller size, for every size: no guard is noted."""
    return _extreme("min", a, b)


def maximum(a: Size, b: Size) -> Size:
    """The larger size, for every size: no guard is noted."""
    return _extreme("max", a, b)


def _extreme(op: str, a: Size, b: Size) -> Size:
    first_is_larger = _proved(">=", a - b)
    if first_is_larger is not None:
        return a if first_is_larger == (op == "max") else b
    if _text_of(b) < _text_of(a):
        a, b = b, a
    return Dim({(Atom(op, a, b),): 1})


def _text_of(size: Size) -> str:
    return algebra.text(_polynomial_of(size) or {})


def _evaluated(polynomial: Polynomial, value: Callable[[Symbol], Any]) -> Any:
    total: Any = 0
    for monomial, coefficient in polynomial.items():
        term: Any = coefficient
        for factor in monomial:
            term = term * (value(factor) if type(factor) is Symbol else _atom_value(factor, value))
        total = total + term
    return total


def _atom_value(atom: Atom, value: Callable[[Symbol], Any]) -> Any:
    a, b = (_evaluated(_polynomial_of(x) or {}, value) for x in (atom.a, atom.b))
    if atom.op == "//":
        return a // b
    return minimum(a, b) if atom.op == "min" else maximum(a, b)


def is_symbolic(shape: Iterable[Any]) -> bool:
    """Whether a shape holds a size that is no number."""
    return Dim in map(type, shape)


def is_size(x: Any) -> bool:
    """Whether something is an int or a `Dim`, and no bool."""
    return type(x) is int or type(x) is Dim
