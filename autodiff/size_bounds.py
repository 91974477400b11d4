"""What sizes are made of, symbols and atoms, and the bounds that follow for polynomials of them."""

from __future__ import annotations

import math
from typing import Any

from . import size_algebra as algebra
from .size_algebra import Monomial, Polynomial

Size = Any  # int | Dim


class Symbol:
    """A size that is known when a Program runs. Two symbols of one name are different.

    ``lower`` and ``upper`` (None: there is none) bound it, ends included, and may be sizes
    themselves; ``hint`` is the size at hand, None where there is none, as for a loop index.
    ``equal`` is the polynomial that a guard says it equals, which stands for it from then on.
    """

    __slots__ = ("equal", "hint", "lower", "order", "scope", "text", "upper")

    equal: Polynomial | None

    def __init__(self, scope: Any, name: str, hint: Size, lower: Size, upper: Size) -> None:
        self.scope, self.text, self.hint = scope, name, hint
        self.lower, self.upper = lower, upper
        self.equal = None
        self.order = (len(scope.symbols), name)

    @property
    def name(self) -> str:
        return self.text

    @property
    def grouped(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Atom:
    """``a // b``, ``min(a, b)`` or ``max(a, b)`` of sizes that do not simplify."""

    __slots__ = ("a", "b", "grouped", "hash", "key", "op", "order", "text")

    def __init__(self, op: str, a: Size, b: Size) -> None:
        self.op, self.a, self.b = op, a, b
        self.key = (op, getattr(a, "key", a), getattr(b, "key", b))
        self.hash = hash(self.key)
        inside = ", ".join(getattr(x, "text", str(x)) for x in (a, b))
        self.text = f"{_group(a)}//{_group(b)}" if op == "//" else f"{op}({inside})"
        self.grouped = f"({self.text})" if op == "//" else self.text
        self.order = (1 << 30, self.text)  # after the symbols

    def __eq__(self, other: Any) -> bool:
        return type(other) is Atom and self.key == other.key

    def __hash__(self) -> int:
        return self.hash

    def __repr__(self) -> str:
        return self.text


Factor = Symbol | Atom


def _group(size: Size) -> str:
    text = str(size) if type(size) is int else size.text
    return text if text.isalnum() else f"({text})"


def polynomial_of(size: Size) -> Polynomial:
    if type(size) is int:
        return {(): size} if size else {}
    return size.polynomial


def lowest(polynomial: Polynomial) -> float:
    """A lower bound, minus infinity where none is known."""
    return _lowest(polynomial, {})


def highest(polynomial: Polynomial) -> float:
    return _highest(polynomial, {})


# What one question has found, which it asks of an atom within atoms many times over.
Found = dict[frozenset[tuple[Monomial, int]], float]


def _lowest(polynomial: Polynomial, found: Found) -> float:
    if not any(polynomial):
        return polynomial.get((), 0)
    key = frozenset(polynomial.items())
    low = found.get(key)
    if low is None:
        low = found[key] = _lowest_found(polynomial, found)
    return low


def _lowest_found(polynomial: Polynomial, found: Found) -> float:
    rest = {m: c for m, c in polynomial.items() if m}
    low = sum(_least(m, c, found) for m, c in rest.items())
    key = frozenset(rest.items())
    for scope in _scopes(rest):
        low = max(low, scope.floors.get(key, low))
    low += polynomial.get((), 0)
    return low if low >= 0 else max(low, _with_bounds(polynomial, found))


def _highest(polynomial: Polynomial, found: Found) -> float:
    return -_lowest({m: -c for m, c in polynomial.items()}, found)


def _scopes(polynomial: Polynomial) -> set[Any]:
    """Those of the symbols, also of those within atoms."""
    found = set()
    for factor in algebra.factors(polynomial):
        if type(factor) is Symbol:
            found.add(factor.scope)
        else:
            assert type(factor) is Atom
            sizes = (x for x in (factor.a, factor.b) if type(x) is not int)
            found.update(symbol.scope for x in sizes for symbol in x.symbols())
    return found


def never_zero(polynomial: Polynomial) -> bool:
    """Whether a divisor of all else does not divide the constant: ``2*n + 1``."""
    constant = polynomial.get((), 0)
    return constant % math.gcd(*(c for m, c in polynomial.items() if m)) != 0


def _with_bounds(polynomial: Polynomial, found: Found) -> float:
    """A lower bound by putting bounds in the place of a factor: j <= n - 1 in n - 1 - j, and
    2 * (n // 2) <= n in n - n // 2.
    """
    for factor in algebra.factors(polynomial):
        if any(m.count(factor) > 1 for m in polynomial):
            continue
        slope = {
            tuple(f for f in m if f != factor): c for m, c in polynomial.items() if factor in m
        }
        rest = {m: c for m, c in polynomial.items() if factor not in m}
        if type(factor) is Symbol and _is_bounded_by_sizes(factor):
            bound = factor.lower if _lowest(slope, found) >= 0 else factor.upper
            if bound is not None and (bound is factor.lower or _highest(slope, found) <= 0):
                low = algebra.add(rest, algebra.multiply(slope, polynomial_of(bound)))
                return _lowest(low, found)
        if type(factor) is Atom and factor.op == "//" and type(factor.b) is int and factor.b > 0:
            divided = polynomial_of(factor.a)
            if _highest(slope, found) <= 0:
                bound = divided
            elif _lowest(slope, found) >= 0:
                bound = algebra.add(divided, {(): 1 - factor.b})
            else:
                continue
            low = _lowest(algebra.add(algebra.multiply(slope, bound), rest, factor.b), found)
            return math.ceil(low / factor.b) if math.isfinite(low) else -math.inf
    return -math.inf


def _is_bounded_by_sizes(symbol: Symbol) -> bool:
    return any(
        type(bound) is not int and bound is not None for bound in (symbol.lower, symbol.upper)
    )


def _least(monomial: Monomial, coefficient: int, found: Found) -> float:
    low: float = coefficient
    high: float = coefficient
    for factor in monomial:
        ends = [_times(a, b) for a in (low, high) for b in _range(factor, found)]
        low, high = min(ends), max(ends)
    return low


def _times(a: float, b: float) -> float:
    return a * b if a and b else 0  # 0 * inf


def _ends(size: Size, found: Found) -> tuple[float, float]:
    polynomial = polynomial_of(size)
    return _lowest(polynomial, found), _highest(polynomial, found)


def _range(factor: Factor, found: Found) -> tuple[float, float]:
    """Bounds of a symbol or atom."""
    if type(factor) is Symbol:
        return _symbol_range(factor, found)
    assert type(factor) is Atom
    a, b = _ends(factor.a, found), _ends(factor.b, found)
    if factor.op == "min":
        return min(a[0], b[0]), min(a[1], b[1])
    if factor.op == "max":
        return max(a[0], b[0]), max(a[1], b[1])
    if b[0] < 1:
        return -math.inf, math.inf
    ends = [_floored(x, y) for x in a for y in b]
    return min(ends), max(ends)


def _symbol_range(symbol: Symbol, found: Found) -> tuple[float, float]:
    floors = symbol.scope.floors
    low = _ends(symbol.lower, found)[0]
    high = math.inf if symbol.upper is None else _ends(symbol.upper, found)[1]
    return (
        max(low, floors.get(frozenset({((symbol,), 1)}), low)),
        min(high, -floors.get(frozenset({((symbol,), -1)}), -high)),
    )


def _floored(a: float, b: float) -> float:
    """``a // b`` for ``b >= 1`` where either may be infinite."""
    if math.isinf(b):
        return 0 if a >= 0 else -1
    return a if math.isinf(a) else a // b
