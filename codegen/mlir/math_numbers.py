"""Formulas for MLIR: numbers in registers with Python's operators.

A function of `math_table` is written as a formula on `Number`; each operator emits one line. All
are branch-free on the lanes, but for rare arguments, which `where_rare` hands to another function.

The most used functions are formulas for f64 and f32 alike, in the constants of a `Format`. The
others are for f64; there an f32 is computed as f64, with digits and range to spare, and rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np

from .emitter import Emitter

INFINITY, NAN = float("inf"), float("nan")


class Format(NamedTuple):
    """A type of floats. ``magic`` is 1.5 times the number from which on all are integers: added to
    a number not near it, it rounds that to an integer, which the sum's last bits then hold. That
    works on every machine, where a rounding instruction or a conversion might not.
    """

    fraction_bits: int
    bias: int
    magic: float
    least_normal: float
    sign: int


FORMATS = {
    "f64": Format(52, 1023, 1.5 * 2.0**52, 2.0**-1022, 1 << 63),
    "f32": Format(23, 127, 1.5 * 2.0**23, 2.0**-126, 1 << 31),
}
MAGIC, SIGN = FORMATS["f64"].magic, FORMATS["f64"].sign


def parts(*terms: float) -> dict[str, tuple[float, ...]]:
    """A constant, given as a sum of f64, as a sum of three numbers of each format."""
    exact = sum(Fraction(t) for t in terms)
    single = []
    for _ in range(3):
        single.append(float(np.float32(float(exact))))
        exact -= Fraction(single[-1])
    return {"f64": terms, "f32": tuple(single)}


class MathEmitter(Emitter):
    """Writes one function. ``narrow``: for f32, so that errors of 2^-28 do not matter."""

    def __init__(self, lanes: int, narrow: bool) -> None:
        super().__init__()
        self.lanes = lanes
        self.narrow = narrow
        self.cold: list[ColdFunction] = []  # what it calls for rare lanes

    def number(self, value: float, element: str = "f64") -> Number:
        return Number(self, self.constant(value, element), element)


class Number:
    """The SSA name of a float, an integer or a truth value (i1), in all lanes."""

    __slots__ = ("e", "element", "name")

    def __init__(self, e: MathEmitter, name: str, element: str) -> None:
        self.e, self.name, self.element = e, name, element

    @property
    def format(self) -> Format:
        return FORMATS[self.element]

    @property
    def spare(self) -> bool:
        """Whether this f64 stands for an f32."""
        return self.e.narrow and self.element == "f64"

    def like(self, value: Number | float) -> Number:
        """``value`` as a number of this type."""
        return value if isinstance(value, Number) else self.e.number(value, self.element)

    def _binary(self, op: str, other: Number | float) -> Number:
        name = self.e.binary(op, self.name, self.like(other).name, self.element)
        return Number(self.e, name, self.element)

    def _arithmetic(self, op: str, other: Number | float) -> Number:
        return self._binary(f"arith.{op}{'f' if self.element[0] == 'f' else 'i'}", other)

    def __add__(self, other: Number | float) -> Number:
        return self._arithmetic("add", other)

    def __radd__(self, other: float) -> Number:
        return self.like(other) + self

    def __sub__(self, other: Number | float) -> Number:
        return self._arithmetic("sub", other)

    def __rsub__(self, other: float) -> Number:
        return self.like(other) - self

    def __mul__(self, other: Number | float) -> Number:
        return self._arithmetic("mul", other)

    def __rmul__(self, other: float) -> Number:
        return self * other

    def __truediv__(self, other: Number | float) -> Number:
        return self._binary("arith.divf", other)

    def __rtruediv__(self, other: float) -> Number:
        return self.like(other) / self

    def __neg__(self) -> Number:
        return self._unary("arith.negf")

    def __abs__(self) -> Number:
        return self._unary("math.absf")

    def __and__(self, other: Number | int) -> Number:
        return self._binary("arith.andi", other)

    def __or__(self, other: Number | int) -> Number:
        return self._binary("arith.ori", other)

    def __xor__(self, other: Number | int) -> Number:
        return self._binary("arith.xori", other)

    def __invert__(self) -> Number:
        return self ^ (1 if self.element == "i1" else -1)

    def __lshift__(self, count: int) -> Number:
        return self._binary("arith.shli", count)

    def __rshift__(self, count: int) -> Number:
        """Without regard to a sign: zeros come in."""
        return self._binary("arith.shrui", count)

    def _unary(self, op: str) -> Number:
        return Number(self.e, self.e.unary(op, self.name, self.element), self.element)

    def _compare(self, predicate: str, other: Number | float) -> Number:
        name = self.e.compare(predicate, self.name, self.like(other).name, self.element)
        return Number(self.e, name, "i1")

    # Floats compare false with nan, but for `is_not`; integers compare with their signs.

    def __lt__(self, other: Number | float) -> Number:
        return self._compare("olt" if self.element[0] == "f" else "slt", other)

    def __le__(self, other: Number | float) -> Number:
        return self._compare("ole" if self.element[0] == "f" else "sle", other)

    def __gt__(self, other: Number | float) -> Number:
        return self._compare("ogt" if self.element[0] == "f" else "sgt", other)

    def __ge__(self, other: Number | float) -> Number:
        return self._compare("oge" if self.element[0] == "f" else "sge", other)

    def equals(self, other: Number | float) -> Number:
        return self._compare("oeq" if self.element[0] == "f" else "eq", other)

    def is_not(self, other: Number | float) -> Number:
        return self._compare("une" if self.element[0] == "f" else "ne", other)

    def is_nan(self) -> Number:
        return self._compare("uno", self)

    def compare_unordered(self, other: Number) -> Number:
        """Whether one of them is nan."""
        return self._compare("uno", other)

    def truncated(self) -> Number:
        """Towards zero."""
        return self._unary("math.trunc")

    def floored(self) -> Number:
        """Towards minus infinity."""
        return self._unary("math.floor")

    def cast(self, op: str, element: str) -> Number:
        return Number(self.e, self.e.cast(op, self.name, self.element, element), element)

    def sqrt(self) -> Number:
        return self._unary("math.sqrt")

    def bits(self) -> Number:
        """The bits of a float, as an integer."""
        return self.cast("arith.bitcast", f"i{self.element[1:]}")

    def float(self) -> Number:
        """The float with these bits."""
        return self.cast("arith.bitcast", f"f{self.element[1:]}")

    def sign_of(self, other: Number) -> Number:
        """This magnitude with the sign of ``other``."""
        return self._binary("math.copysign", other)

    def __call__(self, yes: Number | float, no: Number | float) -> Number:
        """A truth value chooses: ``yes`` where it is true, else ``no``."""
        kind = yes if isinstance(yes, Number) else no
        if not isinstance(kind, Number):
            raise TypeError("one of the two must be a Number")
        yes, no = kind.like(yes), kind.like(no)
        name = self.e.select(self.name, yes.name, no.name, yes.element)
        return Number(self.e, name, yes.element)


def fma(a: Number, b: Number | float, c: Number | float) -> Number:
    """``a * b + c``, rounded once."""
    b, c = a.like(b), a.like(c)
    return Number(a.e, a.e.fma(a.name, b.name, c.name, a.element), a.element)


def at_most(x: Number, bound: float) -> Number:
    """The lesser; a nan passes."""
    return (x > bound)(bound, x)


def at_least(x: Number, bound: float) -> Number:
    """The greater; a nan passes."""
    return (x < bound)(bound, x)


def polynomial(x: Number, wide: Sequence[float], narrow: Sequence[float] | None = None) -> Number:
    """``c[0] + c[1] x + ...``. With many terms as two chains, of even and of odd powers, to be
    computed side by side.
    """
    c = narrow if x.e.narrow and narrow is not None else wide
    if len(c) < 6:
        return _horner(x, c)
    square = x * x
    return fma(_horner(square, c[1::2]), x, _horner(square, c[0::2]))


def _horner(x: Number, c: Sequence[float]) -> Number:
    total: Number | float = c[-1]
    for coefficient in reversed(c[:-1]):
        total = fma(x, total, coefficient)
    return x.like(total)


# --- a number as the unevaluated sum of two, the second at most half a unit of the first's last


def two_sum(a: Number, b: Number | float) -> tuple[Number, Number]:
    """``a + b`` exactly."""
    b = a.like(b)
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fast_two_sum(a: Number, b: Number) -> tuple[Number, Number]:
    """``a + b`` exactly, where ``|a| >= |b|`` or a is 0."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Number, b: Number | float) -> tuple[Number, Number]:
    """``a * b`` exactly."""
    product = a * b
    return product, fma(a, b, -product)


def power_of_two(biased: Number) -> Number:
    """``2^k`` from an integer whose last bits are ``k + bias``: 11 for f64, 8 for f32."""
    return (biased << (52 if biased.element == "i64" else 23)).float()


class ColdFunction(Protocol):
    """A function (mask, *values, *args) to values that hardly ever runs."""

    @property
    def name(self) -> str: ...

    def texts(self) -> dict[str, str]:
        """The function and all that it calls, by name."""
        ...


def where_rare(
    rare: Number, values: Sequence[Number], function: ColdFunction, args: Sequence[Number]
) -> list[Number]:
    """What ``function(rare, *values, *args)`` returns where a lane is ``rare``, else ``values``:
    behind a branch, so that it costs nothing where none is.
    """
    e, count = rare.e, len(values)
    any_rare = rare.name
    if e.lanes > 1:
        any_rare = e.op(f"vector.reduction <or>, {rare.name} : {e.type('i1')} into i1")
    e.cold.append(function)
    kinds = ", ".join(e.type(v.element) for v in values)
    inputs = [rare, *values, *args]
    names = ", ".join(v.name for v in inputs)
    types = ", ".join(e.type(v.element) for v in inputs)
    out, slow = e.fresh(), e.fresh()
    e.effect(f"{out}:{count} = scf.if {any_rare} -> ({kinds}) {{")
    e.effect(f"{slow}:{count} = func.call @{function.name}({names}) : ({types}) -> ({kinds})")
    e.effect(f"scf.yield {_numbered(slow + '#', count)} : {kinds}")
    e.effect("} else {")
    e.effect(f"scf.yield {', '.join(v.name for v in values)} : {kinds}")
    e.effect("}")
    return [Number(e, f"{out}#{i}", v.element) for i, v in enumerate(values)]


def _numbered(prefix: str, count: int, suffix: str = "") -> str:
    return ", ".join(f"{prefix}{i}{suffix}" for i in range(count))


# Attributes of code that hardly ever runs: not worth the time to optimise it.
COLD = '{passthrough = ["cold", "noinline", "optnone"], llvm.linkage = #llvm.linkage<internal>}'


class LaneByLane(NamedTuple):
    """A scalar function, of f64 to ``results``, for the lanes of the mask.

    ``scalar`` is its text, or its declaration.
    """

    symbol: str
    scalar: str
    arity: int
    results: tuple[str, ...]
    lanes: int

    @property
    def name(self) -> str:
        return f"{self.symbol}_rare_x{self.lanes}"

    def _kind(self, element: str) -> str:
        return element if self.lanes == 1 else f"vector<{self.lanes}x{element}>"

    def texts(self) -> dict[str, str]:
        return {self.symbol: self.scalar, self.name: self._text()}

    def _text(self) -> str:
        count = len(self.results)
        kinds = [self._kind(t) for t in self.results]
        inputs = [
            f"%mask: {self._kind('i1')}",
            *(f"%v{i}: {kind}" for i, kind in enumerate(kinds)),
            *(f"%a{i}: {self._kind('f64')}" for i in range(self.arity)),
        ]
        out = f"({', '.join(kinds)})"
        body = self._scalar_lines() if self.lanes == 1 else self._loop_lines(out)
        lines = [
            f"func.func private @{self.name}({', '.join(inputs)}) -> {out} attributes {COLD} {{",
            *body,
            f"return {_numbered('%o' if self.lanes == 1 else '%all#', count)} : {', '.join(kinds)}",
            "}",
        ]
        return "\n".join(lines)

    def _call(self, suffix: str) -> str:
        args = _numbered("%a", self.arity, suffix)
        kind = f"({', '.join(['f64'] * self.arity)}) -> ({', '.join(self.results)})"
        return f"%r:{len(self.results)} = func.call @{self.symbol}({args}) : {kind}"

    def _scalar_lines(self) -> list[str]:
        selects = (
            f"%o{i} = arith.select %mask, %r#{i}, %v{i} : {t}" for i, t in enumerate(self.results)
        )
        return [self._call(""), *selects]

    def _loop_lines(self, out: str) -> list[str]:
        count, types = len(self.results), out[1:-1]
        carried = ", ".join(f"%w{i} = %v{i}" for i in range(count))
        wide = self._kind("f64")
        return [
            "%zero = arith.constant 0 : index",
            "%one = arith.constant 1 : index",
            f"%end = arith.constant {self.lanes} : index",
            f"%all:{count} = scf.for %i = %zero to %end step %one iter_args({carried}) -> {out} {{",
            f"%m = vector.extract %mask[%i] : i1 from {self._kind('i1')}",
            f"%n:{count} = scf.if %m -> {out} {{",
            *(f"%a{i}s = vector.extract %a{i}[%i] : f64 from {wide}" for i in range(self.arity)),
            self._call("s"),
            *(
                f"%x{i} = vector.insert %r#{i}, %w{i}[%i] : {t} into {self._kind(t)}"
                for i, t in enumerate(self.results)
            ),
            f"scf.yield {_numbered('%x', count)} : {types}",
            "} else {",
            f"scf.yield {_numbered('%w', count)} : {types}",
            "}",
            f"scf.yield {_numbered('%n#', count)} : {types}",
            "}",
        ]


Formula = Callable[..., Number]
