"""The symbols of one Program, and what was asked about them while it was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import dims
from . import size_algebra as algebra
from .errors import UserLine, current_line
from .size_algebra import Polynomial
from .size_bounds import Atom, Symbol, polynomial_of
from .size_structures import substituted, symbols_of


class Scope:
    """The symbols of one Program, and the guards noted about them.

    While it is open, a question without a proof is answered by the hints and noted. When it is
    closed, nothing is noted any more: ``==`` and hashing are structural, and questions that would
    need a guard raise.
    """

    def __init__(self) -> None:
        dims.in_use = True
        self.symbols: dict[str, Symbol] = {}
        self.noted: dict[tuple[str, Any], dims.Guard] = {}
        self.floors: dict[Any, int] = {}  # lower bounds of non-constant parts, from the guards
        self.unequal: set[Any] = set()  # keys of what is not 0, by the guards
        self.fixed_at: UserLine | str = ""  # the user's line that first took a size for a number
        self.is_open = True

    def symbol(
        self, name: str, hint: dims.Size = None, lower: dims.Size = 0, upper: dims.Size = None
    ) -> dims.Dim:
        """A new symbol. With ``lower=2`` the answers for 0 and 1, which differ most, are free."""
        if name in self.symbols:
            raise ValueError(f"there is a symbol {name} already")
        symbol = self.symbols[name] = Symbol(self, name, hint, lower, upper)
        return dims.Dim({(symbol,): 1})

    @property
    def guards(self) -> list[dims.Guard]:
        return list(self.noted.values())

    def holds(self, values: Mapping[Any, int]) -> bool:
        """Whether all guards, and the bounds of the symbols, hold for these sizes."""
        bounds = all(
            s.hint is None
            or (s.lower <= values[s.name] and (s.upper is None or values[s.name] <= s.upper))
            for s in self.symbols.values()
        )
        return bounds and all(guard.holds(values) for guard in self.guards)

    def facts(self) -> list[str]:
        """All that proofs about sizes rest on, a line each: the order and the bounds of the
        symbols, what they equal, what was learnt from guards.
        """
        symbols = [
            f"{s.order} {s.lower} <= {s.name} <= {s.upper}, is "
            f"{None if s.equal is None else algebra.text(s.equal)}, {s.hint is not None}"
            for s in self.symbols.values()
        ]
        floors = [f"{algebra.text(dict(key))} >= {floor}" for key, floor in self.floors.items()]
        unequal = [f"{algebra.text(dict(key))} != 0" for key in self.unequal]
        return [*symbols, *sorted(floors), *sorted(unequal)]

    def close(self) -> None:
        self.is_open = False

    def note(self, guard: dims.Guard) -> None:
        is_number = guard.relation == "==" and len(guard.dim.symbols()) == 1
        if is_number and not self.fixed_at:
            self.fixed_at = current_line()
        self.noted.setdefault((guard.relation, guard.dim.key), guard)
        self._learn(guard.relation, guard.dim)
        if guard.relation == "==" and self._solve(guard.dim):
            for known in self.guards:  # what they say of the symbol, they say of what it equals
                self._learn(known.relation, dims.size_of(known.dim.polynomial))

    def _learn(self, relation: str, size: dims.Size) -> None:
        """Remembers what a guard says, for proofs."""
        if type(size) is not dims.Dim:
            return
        if relation == "!=":
            self.unequal |= {size.key, (-size).key}
        else:
            self._raise_floor(size.polynomial, 1)
        if relation == "==":
            self._raise_floor(size.polynomial, -1)

    def _solve(self, dim: dims.Dim) -> bool:
        """``dim == 0`` gives one of its symbols, the youngest it can, in terms of the others."""
        for symbol in sorted(dim.symbols(), key=lambda s: s.order, reverse=True):
            slope = dim.polynomial.get((symbol,), 0)
            others = {m: -slope * c for m, c in dim.polynomial.items() if m != (symbol,)}
            rest = dims.size_of(others)
            if abs(slope) == 1 and symbol not in symbols_of(rest) and symbol.scope is self:
                symbol.equal = polynomial_of(rest)
                self._learn(">=", rest - symbol.lower)
                return True
        return False

    def _raise_floor(self, polynomial: Polynomial, sign: int) -> None:
        """Notes that ``sign * polynomial >= 0``."""
        rest = {m: sign * c for m, c in polynomial.items() if m}
        key = frozenset(rest.items())
        floor = -sign * polynomial.get((), 0)
        self.floors[key] = max(floor, self.floors.get(key, floor))
        if len(rest) == 1:
            (monomial, slope), *_ = rest.items()
            if len(monomial) == 1 and type(monomial[0]) is Atom:
                self._learn_of_parts(monomial[0], slope, floor)

    def _learn_of_parts(self, atom: Atom, slope: int, floor: int) -> None:
        """What ``slope * atom >= floor`` says of the sizes in the atom."""
        a, b = atom.a, atom.b
        least, most = -(-floor // slope), floor // slope
        if atom.op == "//" and type(b) is int and b > 0:
            self._learn(">=", a - least * b if slope > 0 else most * b + b - 1 - a)
        elif (atom.op == "min") == (slope > 0) and atom.op in ("min", "max"):
            for x in (a, b):
                self._learn(">=", x - least if slope > 0 else most - x)


def reopened(
    sizes: Iterable[tuple[Symbol, int]],
) -> tuple[Scope, dict[Symbol, dims.Dim]]:
    """A new scope, open, with a symbol for each of these and the size as its hint; it knows what
    theirs know. And which of its symbols stands for which.
    """
    scope, own = Scope(), {}
    for symbol, size in sizes:
        lower, upper = substituted((symbol.lower, symbol.upper), own)
        own[symbol] = scope.symbol(symbol.name, size, lower, upper)
    for before in dict.fromkeys(symbol.scope for symbol in own):
        for guard in before.guards:
            dim = substituted(guard.dim, own)
            if type(dim) is dims.Dim:  # else what was noted before says it
                scope.note(dims.Guard(guard.relation, dim))
    return scope, own


def known_of(symbols: Iterable[Symbol]) -> tuple[list[Symbol], list[str]]:
    """All symbols that proofs about these may speak of, in an order that their names give, and the
    facts that those proofs rest on.
    """
    scopes: dict[Scope, None] = {}
    pending = sorted(symbols, key=lambda symbol: symbol.order)
    while pending:
        scope = pending.pop(0).scope
        if scope not in scopes:
            scopes[scope] = None
            for symbol in scope.symbols.values():
                equal = dims.size_of(symbol.equal or {})
                pending += symbols_of((symbol.lower, symbol.upper, equal))
    found = [symbol for scope in scopes for symbol in scope.symbols.values()]
    return found, [fact for scope in scopes for fact in ("scope", *scope.facts())]
