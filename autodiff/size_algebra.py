"""Polynomials with integer coefficients, as symbolic sizes are made of.

A polynomial is a dict: monomial -> coefficient, none of them zero. A monomial is a tuple of factors
in a fixed order, a repeated one for a power; ``()`` is the constant. Factors are anything hashable
with an ``order`` to sort by.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

Monomial = tuple[Any, ...]
Polynomial = dict[Monomial, int]

_order = attrgetter("order")


def add(a: Polynomial, b: Polynomial, scale: int = 1) -> Polynomial:
    """``a + scale * b``."""
    total = dict(a)
    for monomial, coefficient in b.items():
        found = total.get(monomial, 0) + scale * coefficient
        if found:
            total[monomial] = found
        else:
            total.pop(monomial, None)
    return total


def multiply(a: Polynomial, b: Polynomial) -> Polynomial:
    total: Polynomial = {}
    for left, p in a.items():
        for right, q in b.items():
            monomial = _product(left, right)
            total[monomial] = total.get(monomial, 0) + p * q
    return {monomial: c for monomial, c in total.items() if c}


def _product(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    return tuple(sorted((*left, *right), key=_order))


def _without(whole: Monomial, part: Monomial) -> Monomial | None:
    """The monomial whole / part; None if part does not divide it."""
    rest = list(whole)
    for factor in part:
        if factor not in rest:
            return None
        rest.remove(factor)
    return tuple(rest)


def rank(monomial: Monomial) -> tuple[Any, ...]:
    """Sorts monomials by degree, then by their factors in reverse: a total order that products
    respect, as division needs it.
    """
    factors = sorted({f.order for f in monomial})
    return (len(monomial), [(_Backward(f), sum(g.order == f for g in monomial)) for f in factors])


class _Backward:
    """A key that sorts the other way round: n**2 stands before n*m before m**2 if n is first."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __eq__(self, other: Any) -> bool:
        return self.key == other.key

    def __lt__(self, other: Any) -> bool:
        return self.key > other.key

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def divide(a: Polynomial, b: Polynomial) -> tuple[Polynomial, Polynomial]:
    """(q, r) with ``a == q * b + r``, no term of r divisible by the leading term of b."""
    lead = max(b, key=rank)
    quotient: Polynomial = {}
    rest: Polynomial = {}
    left = dict(a)
    while left:
        monomial = max(left, key=rank)
        coefficient = left[monomial]
        shared = _without(monomial, lead)
        count = coefficient // b[lead]
        if shared is None or not count:
            rest[monomial] = left.pop(monomial)
            continue
        quotient[shared] = quotient.get(shared, 0) + count
        left = add(left, multiply({shared: count}, b), -1)
        if monomial in left:  # the coefficient's remainder
            rest[monomial] = left.pop(monomial)
    return quotient, rest


def factors(polynomial: Iterable[Monomial]) -> set[Any]:
    """All factors that occur."""
    return {factor for monomial in polynomial for factor in monomial}


def text(polynomial: Polynomial) -> str:
    """``2*n*m + n - 1`` without spaces: ``2*n*m+n-1``."""
    parts = []
    for monomial in sorted(polynomial, key=rank, reverse=True):
        coefficient = polynomial[monomial]
        alone = len(polynomial) == len(monomial) == coefficient == 1
        factors = [f.text if alone else f.grouped for f in monomial]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        parts.append(("-" if coefficient < 0 else "+") + "*".join(factors))
    return "".join(parts).removeprefix("+") or "0"
