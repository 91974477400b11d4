"""Between which numbers integers lie, as far as loops and constants tell: an index that fits its
axis need not be asked whether it does.

Sizes may be symbolic. Only what holds for all of them is used; nothing here asks a question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.counted import Counted
from ..autodiff.dims import Dim
from ..autodiff.intervals import RULES, Range
from ..autodiff.program import Atom, Equation, Literal, Program, Variable, regions
from .affine import INDEX_OPERATIONS, is_ordered

LARGEST = 1 << 62  # beyond it sums may wrap

# What has the elements of some of its arguments, and no others.
_MOVES = INDEX_OPERATIONS | {"gather", "weaken", "quantize", "positive", "convert"}


class Ranges:
    """The ranges of a Program's integers, and those of its regions'."""

    def __init__(self, program: Program) -> None:
        self._found: dict[Atom, Range | None] = {}
        self._visit(program, [None] * len(program.parameters))

    def of(self, x: Atom) -> Range | None:
        """Both ends included; None where nothing is known."""
        if x.aval.dtype.kind not in "iu":
            return None
        return _of_literal(x) if type(x) is Literal else self._found.get(x)

    def is_negative(self, x: Atom) -> bool:
        """Whether an element may be below 0."""
        found = self.of(x)
        return found is None or not is_ordered(0, found[0])

    def fits(self, x: Atom, size: Any) -> bool:
        """Whether all elements are indices of an axis of this size."""
        found = self.of(x)
        return found is not None and is_ordered(-size, found[0]) and is_ordered(found[1] + 1, size)

    def _visit(self, program: Program, given: Sequence[Range | None]) -> None:
        for v, found in zip(program.parameters, given, strict=True):
            self._note(v, found)
        for equation in program.equations:
            if equation.results[0].aval.dtype.kind in "iu" and len(equation.results) == 1:
                self._note(equation.results[0], self._of_result(equation))
            for region, inner in _entered(equation, [self.of(x) for x in equation.inputs]):
                self._visit(region, inner)

    def _note(self, v: Variable, found: Range | None) -> None:
        """A Program may be the region of several loops."""
        known = self._found.get(v, found)
        self._found[v] = None if known is None or found is None else _union(known, found)

    def _of_result(self, equation: Equation) -> Range | None:
        name, inputs = equation.primitive.name, equation.inputs
        if name in ("dimension", "iota"):
            size = equation.params["dim" if name == "dimension" else "size"]
            return (size, size) if name == "dimension" else (0, size - 1)
        if name in _MOVES:
            found = self.of(inputs[0])
            return found if found is None or _holds(equation.results[0].aval.dtype, found) else None
        if any(x.aval.dtype != np.int64 for x in (*inputs[-2:], *equation.results)):
            return None
        if name == "select":
            x, y = map(self.of, inputs[1:])
            return None if x is None or y is None else _union(x, y)
        rule = _RULES.get(name)
        ranges = [found for found in map(self.of, inputs) if found is not None]
        if rule is None or len(ranges) < len(inputs):
            return None
        found = rule(*ranges)
        return found if found is not None and all(map(_is_moderate, found)) else None


def _entered(
    equation: Equation, operands: list[Range | None]
) -> list[tuple[Program, list[Range | None]]]:
    """The regions of an equation with the ranges of their parameters."""
    if not isinstance(equation.primitive, Counted):
        if equation.primitive.name == "branch":
            return [(branch, operands[1:]) for branch in equation.params["branches"]]
        return [(region, [None] * len(region.parameters)) for region in regions(equation)]
    params, count = equation.params, equation.primitive.bound_count
    if count:
        low, high = operands[:2]
        index = None if low is None or high is None else (low[0], high[1] - 1)
    else:
        index = 0, params["length"] - 1
    carry_end = count + params["const_count"] + params["carry_count"]
    consts = operands[count : count + params["const_count"]]
    carry: list[Range | None] = [None] * params["carry_count"]
    return [(params["body"], [index, *consts, *carry, *operands[carry_end:]])]


def _of_literal(x: Literal) -> Range | None:
    value = np.asarray(x.value)
    if x.live or not value.size:
        return None
    low, high = int(value.min()), int(value.max())
    return (low, high) if _is_moderate(low) and _is_moderate(high) else None


def _holds(dtype: np.dtype[Any], found: Range) -> bool:
    limits = np.iinfo(dtype)
    if all(type(end) is int for end in found):
        return limits.min <= found[0] and found[1] <= limits.max
    return dtype == np.int64


def _is_moderate(end: Any) -> bool:
    return type(end) is Dim or -LARGEST < end < LARGEST


def _union(a: Range, b: Range) -> Range | None:
    low, high = _lesser(a[0], b[0]), _greater(a[1], b[1])
    return None if low is None or high is None else (low, high)


def _lesser(a: Any, b: Any) -> Any:
    return a if is_ordered(a, b) else b if is_ordered(b, a) else None


def _greater(a: Any, b: Any) -> Any:
    return b if is_ordered(a, b) else a if is_ordered(b, a) else None


def _extremes(choose: Callable[[Any, Any], Any]) -> Callable[[Range, Range], Range | None]:
    def rule(a: Range, b: Range) -> Range | None:
        low, high = choose(a[0], b[0]), choose(a[1], b[1])
        return None if low is None or high is None else (low, high)

    return rule


def _remainder(a: Range, b: Range) -> Range | None:
    """NumPy's, which has the sign of the divisor."""
    return (0, b[1] - 1) if is_ordered(1, b[0]) else None


_RULES: dict[str, Callable[..., Range | None]] = {
    **RULES,
    "minimum": _extremes(_lesser),
    "maximum": _extremes(_greater),
    "remainder": _remainder,
}
