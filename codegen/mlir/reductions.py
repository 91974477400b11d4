"""Accumulators: what a reduction starts from, how it takes a value, how lanes are put together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ...autodiff.program import Equation
from ..plan import reduced_axes
from .convert import cast
from .emitter import Emitter, Operand, element_type


class Reduction:
    """The accumulators of one reduction are SSA names of MLIR types ``types`` (with lanes).

    A sum of many floats is one of blocks, and keeps the rounding errors of adding those in a second
    accumulator (Knuth's two-sum), so that its error does not grow with the number of elements;
    NumPy's pairwise sum has an error that grows with the logarithm.
    """

    def __init__(
        self, name: str, dtype: np.dtype[Any], compensated: bool, place: np.dtype[Any]
    ) -> None:
        self.name = {"cumsum": "sum", "cumprod": "prod"}.get(name, name.removeprefix("reduce_"))
        self.is_place = name in PLACES
        self.place_dtype, self.place = place, element_type(place)
        self.dtype = np.dtype(bool) if self.name in ("any", "all") else dtype
        self.element = element_type(self.dtype)
        self.parts = 2 if self.dtype.kind == "c" else 1
        self.compensated = compensated and self.name == "sum" and self.dtype.kind in "fc"
        self.count = self.parts * (2 if self.compensated or self.is_place else 1)

    def types(self, e: Emitter) -> list[str]:
        """The MLIR types of the accumulators."""
        second = self.place if self.is_place else self.element
        return [e.type(self.element if i < self.parts else second) for i in range(self.count)]

    def dtypes(self) -> list[np.dtype[Any]]:
        """Those that hold the accumulators in memory as they are in registers."""
        part = np.dtype(f"f{self.dtype.itemsize // 2}") if self.parts == 2 else self.dtype
        part = np.dtype(np.float32) if part == np.float16 else part
        second = self.place_dtype if self.is_place else part
        return [part if i < self.parts else second for i in range(self.count)]

    def start(self, e: Emitter) -> list[str]:
        neutral = self._neutral(e)
        if self.is_place:  # 0 is right, too, where nothing is better than what there is at first
            return [*neutral, e.constant(0, self.place)]
        return neutral + ([e.constant(0, self.element)] * self.parts if self.compensated else [])

    def _neutral(self, e: Emitter) -> list[str]:
        match self.name:
            case "prod":
                one = e.constant(1, self.element)
                return [one] if self.parts == 1 else [one, e.constant(0, self.element)]
            case "max" | "min" | "argmax" | "argmin":
                return [e.constant(self._extreme(), self.element)]
            case "all":
                return [e.constant(True, "i1")]
            case _:  # NumPy's sum of nothing but -0.0 is 0.0, too
                return [e.constant(0, self.element)] * self.parts

    def _extreme(self) -> Any:
        least = self.name.endswith("max")
        if self.dtype.kind == "f":
            return -np.inf if least else np.inf
        if self.dtype.kind == "b":
            return not least
        info = np.iinfo(self.dtype.type)
        return info.min if least else info.max

    def take(
        self,
        e: Emitter,
        accumulators: Sequence[str],
        x: Operand,
        mask: str | None,
        position: str | None = None,
    ) -> list[str]:
        """The accumulators with a value taken in, that is at ``position`` along the axis; lanes
        where ``mask`` is false are left out.
        """
        x = cast(e, x, self.dtype)
        values = list(x.name) if self.parts == 2 else [x.name]
        if position is not None:
            return self._take_later(e, accumulators, [*values, position], mask)
        if mask is not None:
            neutral = self._neutral(e)
            values = [
                e.select(mask, v, n, self.element) for v, n in zip(values, neutral, strict=True)
            ]
        if not self.compensated:
            return self._combine(e, accumulators, values)
        return self.take_sums(e, accumulators, values)

    def take_sums(self, e: Emitter, accumulators: Sequence[str], sums: Sequence[str]) -> list[str]:
        """The accumulators with the parts of a number, or of a sum of some, taken in."""
        found, errors = [], []
        for s, c, v in zip(
            accumulators[: self.parts], accumulators[self.parts :], sums, strict=True
        ):
            total, error = self._two_sum(e, s, v)
            found.append(total)
            errors.append(e.binary("arith.addf", c, error, self.element))
        return found + errors

    def plain(self) -> Reduction:
        """The same without the second accumulator of a sum."""
        if not self.compensated:
            return self
        found = copy(self)
        found.compensated, found.count = False, self.parts
        return found

    def _take_later(
        self, e: Emitter, kept: Sequence[str], new: Sequence[str], mask: str | None
    ) -> list[str]:
        """Of two values with their places the extreme one, where the new one comes later: of equal
        ones, and of NaNs, the one that is kept.
        """
        (a, i), (b, j) = kept, new
        better = self._is_better(e, a, b)
        if mask is not None:
            better = e.binary("arith.andi", better, mask, "i1")
        return [e.select(better, b, a, self.element), e.select(better, j, i, self.place)]

    def _is_better(self, e: Emitter, a: str, b: str) -> str:
        """Whether b is more extreme than a; NaN is more extreme than all numbers."""
        predicate = "gt" if self.name == "argmax" else "lt"
        if self.dtype.kind != "f":
            sign = "s" if self.dtype.kind == "i" else "u"
            return e.compare(sign + predicate, b, a, self.element)
        beyond = e.compare("u" + predicate, b, a, self.element)  # or one of them is NaN
        return e.binary("arith.andi", beyond, e.compare("ord", a, a, self.element), "i1")

    def _earlier(self, e: Emitter, first: Sequence[str], second: Sequence[str]) -> list[str]:
        """Of two values with their places the extreme one: of equal ones, and of NaNs, the one
        that comes first.
        """
        (a, i), (b, j) = first, second
        better, worse = self._is_better(e, a, b), self._is_better(e, b, a)
        sooner = e.compare("slt", j, i, self.place)
        same = e.binary("arith.ori", better, worse, "i1")
        same = e.binary("arith.xori", same, e.constant(True, "i1"), "i1")
        chosen = e.binary("arith.andi", same, sooner, "i1")
        chosen = e.binary("arith.ori", better, chosen, "i1")
        return [e.select(chosen, b, a, self.element), e.select(chosen, j, i, self.place)]

    def _two_sum(self, e: Emitter, a: str, b: str) -> tuple[str, str]:
        """A + b rounded, and what rounding lost."""

        def sub(x: str, y: str) -> str:
            return e.binary("arith.subf", x, y, self.element)

        total = e.binary("arith.addf", a, b, self.element)
        virtual = sub(total, a)
        left = sub(a, sub(total, virtual))
        return total, e.binary("arith.addf", left, sub(b, virtual), self.element)

    def _combine(self, e: Emitter, a: Sequence[str], b: Sequence[str]) -> list[str]:
        if self.parts == 2 and self.name == "prod":
            return self._complex_product(e, a, b)
        if self.name in ("max", "min") and self.dtype.kind == "f":
            return [self._extreme_of(e, a[0], b[0])]
        operation = self._operation()
        return [e.binary(operation, x, y, self.element) for x, y in zip(a, b, strict=True)]

    def _complex_product(self, e: Emitter, a: Sequence[str], b: Sequence[str]) -> list[str]:
        def mul(x: str, y: str) -> str:
            return e.binary("arith.mulf", x, y, self.element)

        re = e.binary("arith.subf", mul(a[0], b[0]), mul(a[1], b[1]), self.element)
        im = e.binary("arith.addf", mul(a[0], b[1]), mul(a[1], b[0]), self.element)
        return [re, im]

    def _extreme_of(self, e: Emitter, a: str, b: str) -> str:
        """The larger or smaller one: NaN, if one is; of 0 and -0 either, as in NumPy."""
        predicate = "ogt" if self.name == "max" else "olt"
        found = e.select(e.compare(predicate, a, b, self.element), a, b, self.element)
        return e.select(e.compare("uno", a, a, self.element), a, found, self.element)

    def _operation(self) -> str:
        kind = self.dtype.kind
        match self.name, kind:
            case "sum", _:
                return "arith.addf" if kind in "fc" else "arith.addi"
            case "prod", _:
                return "arith.mulf" if kind in "fc" else "arith.muli"
            case "any", _:
                return "arith.ori"
            case "all", _:
                return "arith.andi"
            case name, "b":
                return "arith.ori" if name == "max" else "arith.andi"
            case name, _:
                return f"arith.{name}{'s' if kind == 'i' else 'u'}i"

    def finish(self, e: Emitter, accumulators: Sequence[str], lanes: int) -> Operand:
        """The result; ``lanes`` partial ones are put together two by two."""
        return self.rounded(e, self.across(e, accumulators, lanes))

    def across(self, e: Emitter, accumulators: Sequence[str], lanes: int) -> list[str]:
        """The accumulators of all lanes together."""
        names = list(accumulators)
        while lanes > 1:
            half = lanes // 2
            e.lanes = half
            elements = [self.element, self.place] if self.is_place else [self.element] * len(names)
            pairs = list(zip(names, elements, strict=True))
            low = [self._part(e, n, k, 0, half, lanes) for n, k in pairs]
            high = [self._part(e, n, k, half, half, lanes) for n, k in pairs]
            names = self.join(e, low, high)
            lanes = half
        e.lanes = lanes
        return names

    def rounded(self, e: Emitter, names: Sequence[str]) -> Operand:
        """The result that accumulators stand for."""
        if self.compensated:
            names = [
                self._with_error(e, s, c)
                for s, c in zip(names[: self.parts], names[self.parts :], strict=True)
            ]
        return self.operand(e, names)

    def operand(self, e: Emitter, names: Sequence[str]) -> Operand:
        if self.is_place:
            wide = self.place == "i64"
            number = names[1] if wide else e.cast("arith.extsi", names[1], self.place, "i64")
            return Operand(number, np.dtype(np.intp))
        return Operand(tuple(names) if self.parts == 2 else names[0], self.dtype)

    def _with_error(self, e: Emitter, total: str, error: str) -> str:
        """Their sum; where the total is infinite or NaN the error means nothing."""
        fixed = e.binary("arith.addf", total, error, self.element)
        usable = e.compare("ord", error, error, self.element)
        return e.select(usable, fixed, total, self.element)

    def join(self, e: Emitter, low: list[str], high: list[str]) -> list[str]:
        if self.is_place:
            return self._earlier(e, low, high)
        if not self.compensated:
            return self._combine(e, low, high)
        found, errors = [], []
        for i in range(self.parts):
            total, error = self._two_sum(e, low[i], high[i])
            both = e.binary("arith.addf", low[i + self.parts], high[i + self.parts], self.element)
            found.append(total)
            errors.append(e.binary("arith.addf", both, error, self.element))
        return found + errors

    def _part(self, e: Emitter, name: str, element: str, start: int, size: int, lanes: int) -> str:
        whole = f"vector<{lanes}x{element}>"
        if size == 1:
            return e.op(f"vector.extract {name}[{start}] : {element} from {whole}")
        return e.op(
            f"vector.extract_strided_slice {name} {{offsets = [{start}], sizes = [{size}], "
            f"strides = [1]}} : {whole} to vector<{size}x{element}>"
        )


def joined(
    e: Emitter, reductions: Sequence[Reduction], names: Sequence[str], others: Sequence[str]
) -> list[str]:
    """The accumulators of several reductions with others of their kind, which come later."""
    out: list[str] = []
    for reduction in reductions:
        n = reduction.count
        out += reduction.join(e, list(names[:n]), list(others[:n]))
        names, others = names[n:], others[n:]
    return out


PLACES = ("argmax", "argmin")


def place_dtype(equation: Equation) -> np.dtype[Any]:
    """What holds places along the axis that an equation searches: as few bytes as its numbers."""
    (x,) = equation.inputs
    narrow = x.aval.dtype.itemsize <= 4 and x.aval.dtype.kind != "c"
    size = x.aval.shape[reduced_axes(equation)[0]] if narrow else None
    return np.dtype(np.int32 if type(size) is int and size < 2**31 else np.int64)


def reduction_of(equation: Equation, compensated: bool = False) -> Reduction:
    """The accumulators of an equation that reduces."""
    name = equation.primitive.name
    source = equation.inputs[0] if name in PLACES else equation.results[0]
    place = place_dtype(equation) if name in PLACES else np.dtype(np.int64)
    return Reduction(name, source.aval.dtype, compensated, place)
