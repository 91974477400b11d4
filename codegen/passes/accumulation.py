"""Sums of parts: gradients of elements add up arrays that are zero but for a few elements.

``embed(a) + embed(b)`` becomes an array that is written to twice, which is done in place. Adding
0.0 makes 0.0 of -0.0 and changes nothing else: where one of the summands holds no -0.0, elements to
which only zeros are added may be left as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.primitives.elementwise import add_p
from ...autodiff.primitives.indexing import embed_p, getitem_p, setitem_p
from ...autodiff.program import Atom, Equation, Literal
from .atoms import is_known, same_aval, same_shape
from .forwarding import same_place
from .rewriting import Rewriter, Rule

SMALL_PART = 4  # parts of less than 1/4 of the array; larger ones are added with all the rest
DEPTH = 8


def add_part(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x + embed(part)``: a write of ``x[index] + part`` into x."""
    aval = equation.results[0].aval
    for x, y in (equation.inputs, equation.inputs[::-1]):
        part = rewriter.source(y, "embed")
        if part is None or not same_aval(x.aval, aval) or not same_aval(y.aval, aval):
            continue
        index = part.params["index"]
        other = rewriter.source(x, "embed")
        if other is not None and same_place(index, other.params["index"], aval.shape):
            return _of_one_place(rewriter, equation, other, part)
        if not _is_small(part.inputs[0].aval.shape, aval.shape):
            continue
        if not has_no_negative_zero(rewriter, x):
            x = _without_negative_zero(rewriter, equation, other)
        if x is not None:
            old = rewriter.bind(equation, getitem_p, x, index=index)
            new = rewriter.bind(equation, add_p, old, part.inputs[0])
            return rewriter.replace(equation, setitem_p, x, new, index=index)
    return None


def _of_one_place(
    rewriter: Rewriter, equation: Equation, first: Equation, second: Equation
) -> Atom | None:
    a, b = first.inputs[0], second.inputs[0]
    if not same_shape(a.aval.shape, b.aval.shape):
        return None
    total = rewriter.bind(equation, add_p, a, b)
    return rewriter.replace(equation, embed_p, total, **first.params)


def _without_negative_zero(
    rewriter: Rewriter, equation: Equation, x: Equation | None
) -> Atom | None:
    """A small embedded part with 0.0 added to it."""
    if x is None or not _is_small(x.inputs[0].aval.shape, x.results[0].aval.shape):
        return None
    zero = Literal(x.results[0].aval.dtype.type(0))
    part = rewriter.bind(equation, add_p, x.inputs[0], zero)
    return rewriter.bind(equation, embed_p, part, **x.params)


def _is_small(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    if not is_known(part) or not is_known(whole):
        return False
    return SMALL_PART * int(np.prod(part, dtype=object)) <= int(np.prod(whole, dtype=object))


def has_no_negative_zero(rewriter: Rewriter, x: Atom, depth: int = DEPTH) -> bool:
    """Whether no element of ``x`` can be -0.0. A sum is -0.0 only if both summands are."""
    if x.aval.dtype.kind not in "fc":
        return True
    if type(x) is Literal:
        return not x.live and not x.aval.shape and _is_plus(x.value)
    memory = rewriter.memory
    if x not in memory:
        source = rewriter.sources.get(x)
        memory[x] = depth > 0 and source is not None and _keeps_away(rewriter, source, depth - 1)
    return memory[x]


def _is_plus(number: Any) -> bool:
    return not (np.signbit(np.real(number)) or np.signbit(np.imag(number)))


def _keeps_away(rewriter: Rewriter, source: Equation, depth: int) -> bool:
    name, inputs = source.primitive.name, source.inputs
    if name == "add":
        return any(has_no_negative_zero(rewriter, x, depth) for x in inputs)
    if name in ("embed", "getitem", "reshape", "broadcast_to", "transpose"):
        return has_no_negative_zero(rewriter, inputs[0], depth)
    return name == "setitem" and all(has_no_negative_zero(rewriter, x, depth) for x in inputs)


RULES: dict[str, list[Rule]] = {"add": [add_part]}
