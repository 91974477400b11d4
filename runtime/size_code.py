"""Native code for questions about symbolic sizes: do the guards hold, how large are the results?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autodiff.dims import Dim, Guard
from ..autodiff.scopes import Scope
from ..autodiff.size_bounds import Symbol
from . import native

_BROKEN = {"==": "ne", "!=": "eq", ">=": "slt"}  # the comparison with 0 that breaks a guard


class SizeCode:
    """``guard``: the address of ``i32 guard(ptr sizes)``, not 0 where the sizes do not fit;
    ``dims``: that of ``void dims(ptr sizes, ptr computed)``, which computes sizes.
    """

    def __init__(self, scope: Scope, symbols: Sequence[Symbol], computed: Sequence[Dim]) -> None:
        numbers = {symbol: i for i, symbol in enumerate(symbols)}
        self.library = native.load(
            _guard_ir(scope, numbers) + _dims_ir(computed, numbers), optimize=0
        )
        self.guard = self.library.address("guard")
        self.dims = self.library.address("dims")


def _guard_ir(scope: Scope, numbers: dict[Symbol, int]) -> str:
    code = _Code(numbers)
    bad = "0"
    for guard in _conditions(scope):
        broken = code.add(f"icmp {_BROKEN[guard.relation]} i64 {code.size(guard.dim)}, 0")
        bad = code.add(f"or i1 {bad}, {broken}")
    return code.function("i32 @guard(ptr %sizes)", f"ret i32 {code.add(f'zext i1 {bad} to i32')}")


def _conditions(scope: Scope) -> list[Guard]:
    """The guards, and the bounds of the symbols as such."""
    found = scope.guards
    for symbol in scope.symbols.values():
        if symbol.hint is None:  # a loop's index
            continue
        dim = Dim({(symbol,): 1})
        found.append(Guard(">=", dim - symbol.lower))
        if symbol.upper is not None:
            found.append(Guard(">=", symbol.upper - dim))
    return found


def _dims_ir(computed: Sequence[Dim], numbers: dict[Symbol, int]) -> str:
    code = _Code(numbers)
    for i, dim in enumerate(computed):
        value = code.size(dim)
        place = code.add(f"getelementptr i64, ptr %computed, i64 {i}")
        code.lines.append(f"store i64 {value}, ptr {place}")
    return code.function("void @dims(ptr %sizes, ptr %computed)", "ret void")


class _Code:
    """The body of one function."""

    def __init__(self, numbers: dict[Symbol, int]) -> None:
        self.numbers = numbers
        self.lines: list[str] = []
        self.count = 0

    def add(self, instruction: str) -> str:
        """A new instruction; the name of its result."""
        self.count += 1
        self.lines.append(f"%v{self.count} = {instruction}")
        return f"%v{self.count}"

    def function(self, head: str, end: str) -> str:
        body = "\n".join(f"  {line}" for line in [*self.lines, end])
        return f"define {head} {{\n{body}\n}}\n"

    def size(self, dim: Any) -> str:
        """The value of an int or a Dim."""
        if type(dim) is not Dim:
            return str(int(dim))
        total = "0"
        for coefficient, factors in dim.terms():
            term = str(coefficient)
            for factor in factors:
                term = self.add(f"mul i64 {term}, {self.factor(factor)}")
            total = self.add(f"add i64 {total}, {term}")
        return total

    def factor(self, factor: Any) -> str:
        if type(factor) is Symbol:
            place = self.add(f"getelementptr i64, ptr %sizes, i64 {self.numbers[factor]}")
            return self.add(f"load i64, ptr {place}")
        a, b = self.size(factor.a), self.size(factor.b)
        if factor.op == "//":
            return self.quotient(a, b)
        order = "slt" if factor.op == "min" else "sgt"
        first = self.add(f"icmp {order} i64 {a}, {b}")
        return self.add(f"select i1 {first}, i64 {a}, i64 {b}")

    def quotient(self, a: str, b: str) -> str:
        """``a // b``, rounded down; by 0, which a guard excludes, anything."""
        is_zero = self.add(f"icmp eq i64 {b}, 0")
        b = self.add(f"select i1 {is_zero}, i64 1, i64 {b}")
        cut = self.add(f"sdiv i64 {a}, {b}")
        rest = self.add(f"sub i64 {a}, {self.add(f'mul i64 {cut}, {b}')}")
        inexact = self.add(f"icmp ne i64 {rest}, 0")
        differ = self.add(f"icmp slt i64 {self.add(f'xor i64 {rest}, {b}')}, 0")
        lower = self.add(f"and i1 {inexact}, {differ}")
        return self.add(f"sub i64 {cut}, {self.add(f'zext i1 {lower} to i64')}")
