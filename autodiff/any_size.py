"""What transformations make of a Program for any size: Programs for any size again.

A derivative asks questions about sizes that the function itself did not ask. So it is recorded as
the function was: with symbols of its own, of which is known what is known of the Program's, and the
sizes at hand as hints. What it asks becomes guards; where these do not hold, another *version* is
made. Where that fails, symbols get the numbers at hand. Both happens `MOST` times for each Program;
for further sizes its equations are evaluated one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .core import Params, Value
from .dims import Guard
from .program import Program
from .scopes import Scope, reopened
from .size_bounds import Symbol
from .size_structures import SizeKey, substituted

Sizes = tuple[tuple[Symbol, int], ...]  # of all symbols that a Program may speak of
Made = tuple[Any, ...]  # Programs, and flags of their results

MOST = 16


def derived(make: Callable[..., Made], params: Params, *args: Any) -> tuple[Made, Params] | None:
    """``make(program, *args)`` for the Program of a call with these parameters, and the parameters
    for a call of what it makes, besides that itself. None: no more is made for further sizes.
    """
    program, sizes = params["program"], params.get("sizes", ())
    if not sizes:
        return make(program, *args), {}
    versions = _versions(make, program, args)
    found = versions.for_sizes(sizes)
    if found is not None or not versions.failed:
        return found
    at_hand = _at_sizes(program, sizes)
    return None if at_hand is None else (make(at_hand, *args), {})


def derived_anyway(make: Callable[..., Made], params: Params, *args: Any) -> tuple[Made, Params]:
    """The same, for further sizes too."""
    return derived(make, params, *args) or (make(_with_numbers(params), *args), {})


def at_sizes(params: Params) -> Program | None:
    """The Program of a call with its numbers for the symbols, the same each time; None as above."""
    return _at_sizes(params["program"], params["sizes"])


def evaluated(args: Sequence[Value], params: Params) -> tuple[Value, ...]:
    """What a call gives, equation by equation."""
    return tuple(_with_numbers(params)(*args))


def _with_numbers(params: Params) -> Program:
    sizes = params.get("sizes", ())
    return params["program"].at_sizes(dict(sizes)) if sizes else params["program"]


def _at_sizes(program: Program, sizes: Sizes) -> Program | None:
    known = _programs_at_sizes(program)
    if sizes not in known:
        if len(known) >= MOST:
            return None
        known[sizes] = program.at_sizes(dict(sizes))
    return known[sizes]


@lru_cache(maxsize=256)
def _programs_at_sizes(program: Program) -> dict[Sizes, Program]:
    return {}


# -- versions for the sizes that guards allow --


class _Version(NamedTuple):
    """What was made, its symbols, and what it takes for granted besides what the Program does."""

    made: Made
    symbols: tuple[Symbol, ...]
    guards: list[Guard]

    def sizes(self, given: Sizes) -> Sizes | None:
        """The sizes of its symbols for these of the Program's; None if it does not serve them."""
        sizes = tuple(zip(self.symbols, (size for _, size in given), strict=True))
        values = dict(sizes) if self.guards else {}
        return sizes if all(guard.holds(values) for guard in self.guards) else None


class _Versions:
    """All that were made of one Program in one way."""

    def __init__(self, make: Callable[..., Made], program: Program, args: Sequence[Any]) -> None:
        self.make, self.program, self.args = make, program, args
        self.made: list[_Version] = []
        self.failed = False

    def for_sizes(self, sizes: Sizes) -> tuple[Made, Params] | None:
        """As `derived`; None where it fails, too."""
        for version in self.made:
            own = version.sizes(sizes)
            if own is not None:
                return version.made, {"sizes": own}
        if self.failed or len(self.made) >= MOST:
            return None
        try:
            version = self._new(sizes)
        except Exception:  # noqa: BLE001 - an error of the function's own comes again, with numbers
            self.failed = True
            return None
        self.made.append(version)
        return version.made, {"sizes": version.sizes(sizes)}

    def _new(self, sizes: Sizes) -> _Version:
        scope, own = reopened(sizes)
        known = len(scope.guards)
        try:
            args = [
                SizeKey(substituted(x.size, own)) if type(x) is SizeKey else x for x in self.args
            ]
            made = self.make(self.program.at_sizes(own), *args)
        finally:
            scope.close()
        return _Version(made, tuple(scope.symbols.values()), scope.guards[known:])


@lru_cache(maxsize=512)
def _versions(make: Callable[..., Made], program: Program, args: tuple[Any, ...]) -> _Versions:
    return _Versions(make, program, args)


# -- sizes of batches --


def derived_batch(
    make: Callable[..., Made], params: Params, size: int, flags: tuple[bool, ...]
) -> tuple[Made, Params] | None:
    """As `derived`, of ``make(program, size, flags)`` for a batch of the parameters in ``flags``,
    whose second size makes it a symbol. 0 and 1, which broadcast, stay numbers.
    """
    program, sizes = params["program"], params.get("sizes", ())
    batches = _batches(program, flags)
    dim = batches.symbol_for(size, sizes)
    if dim is not None:
        versions = _versions(make, program, (SizeKey(dim), flags))
        found = versions.for_sizes((*sizes, (dim.symbol, size)))
        if found is not None:
            return found
    return derived(make, params, SizeKey(size), flags) if batches.takes(size) else None


class _Batches:
    """The sizes that batches of one Program have had."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()  # sizes that are no symbols
        self.dim: Any = None

    def symbol_for(self, size: int, sizes: Sizes) -> Any:
        """The symbol that stands for the size; None where that stays a number."""
        if size < 2 or not self.numbers - {0, 1, size}:
            return None
        if self.dim is None:
            names = {symbol.name for symbol, _ in sizes}
            name = next(name for i in range(len(names) + 1) if (name := f"b{i}") not in names)
            scope = Scope()
            self.dim = scope.symbol(name, size, 2)
            scope.close()
        return self.dim

    def takes(self, size: int) -> bool:
        """Whether a size is one of the first that are taken as numbers."""
        if len(self.numbers) < MOST:
            self.numbers.add(size)
        return size in self.numbers


@lru_cache(maxsize=256)
def _batches(program: Program, flags: tuple[bool, ...]) -> _Batches:
    return _Batches()
