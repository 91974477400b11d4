"""What is known of integers while a Program is recorded: the smallest and the largest they can be.

Loop indices have ranges, from which those of the bounds of inner loops follow: how often a loop
over ``range(i + 1, n)`` runs at most decides how much reverse mode has to make room for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .core import Tracer, Value
from .dims import Dim, maximum, minimum
from .program import Atom, Literal

Range = tuple[Any, Any]  # sizes, both included


def range_of(x: Value) -> Range | None:
    """The range of an integer Value, None where nothing is known."""
    if type(x) is Dim or isinstance(x, (int, np.integer)):
        size = x if type(x) is Dim else int(x)
        return size, size
    return x.integer_range() if isinstance(x, Tracer) else None


def most_trips(lower: Value, upper: Value) -> Any:
    """A size: how often a loop between these bounds runs at most; None where that is not known."""
    low, high = range_of(lower), range_of(upper)
    return None if low is None or high is None else maximum(high[1] - low[0], 0)


def range_of_atom(trace: Any, x: Atom) -> Range | None:
    """The range of an integer in the Program that a `ProgramTrace` records."""
    if isinstance(x, Literal):
        return None if x.aval.shape else range_of(x.value)
    if x in trace.ranges:
        return trace.ranges[x]
    for value, variable in trace.captures:
        if variable is x:
            return range_of(value)
    for equation in reversed(trace.equations):
        if x in equation.results:
            return _range_of_result(trace, equation)
    return None


def _range_of_result(trace: Any, equation: Any) -> Range | None:
    name, inputs = equation.primitive.name, equation.inputs
    if name == "dimension":
        return equation.params["dim"], equation.params["dim"]
    rule = RULES.get(name)
    if rule is None or any(a.aval.dtype != np.int64 for a in (*inputs, *equation.results)):
        return None
    ranges = [range_of_atom(trace, a) for a in inputs]
    known = [r for r in ranges if r is not None]
    return rule(*known) if len(known) == len(ranges) else None


def _product(a: Range, b: Range) -> Range | None:
    products = [x * y for x in a for y in b]
    if not all(type(p) is int for p in products):
        return None
    return min(products), max(products)


def _quotient(a: Range, b: Range) -> Range | None:
    divisor, other = b
    if type(divisor) is not int or divisor != other or divisor <= 0:
        return None
    return a[0] // divisor, a[1] // divisor


RULES: dict[str, Callable[..., Range | None]] = {
    "weaken": lambda a: a,
    "quantize": lambda a: a,
    "positive": lambda a: a,
    "negative": lambda a: (-a[1], -a[0]),
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "subtract": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "multiply": _product,
    "floor_divide": _quotient,
    "minimum": lambda a, b: (minimum(a[0], b[0]), minimum(a[1], b[1])),
    "maximum": lambda a, b: (maximum(a[0], b[0]), maximum(a[1], b[1])),
}
