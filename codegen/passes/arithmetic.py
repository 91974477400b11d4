"""Algebra on elementwise operations: only what keeps every bit for every value.

``x + 0.0`` stays, it makes 0.0 of -0.0; so does ``x - x``, which is not 0 for infinities. Integers
wrap around, so that all the laws of arithmetic modulo 2**n hold for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ...autodiff.primitives.elementwise import (
    absolute_p,
    add_p,
    divide_p,
    multiply_p,
    negative_p,
    select_p,
    subtract_p,
)
from ...autodiff.primitives.math import reciprocal_p, sqrt_p, square_p
from ...autodiff.program import Atom, Equation, Literal
from .atoms import element_key, same_aval
from .constants import uniform_value
from .rewriting import Rewriter, Rule, drop_identity, is_scalar_literal

# By primitive: at which inputs, and what, by the kind of the dtype that NumPy computes in. Complex
# products are missing: 0 * inf in them is nan.
NEUTRAL: Mapping[str, tuple[tuple[int, ...], Mapping[str, Any]]] = {
    "add": ((0, 1), {"f": -0.0, "c": complex(-0.0, -0.0), "i": 0, "u": 0, "b": False}),
    "subtract": ((1,), {"f": 0.0, "c": 0j, "i": 0, "u": 0}),
    "multiply": ((0, 1), {"f": 1.0, "i": 1, "u": 1, "b": True}),
    "strong_multiply": ((0, 1), {"f": 1.0, "i": 1, "u": 1, "b": True}),
    "divide": ((1,), {"f": 1.0}),
    "floor_divide": ((1,), {"i": 1, "u": 1}),
    "power": ((1,), {"f": 1.0, "i": 1, "u": 1}),
    "bitwise_or": ((0, 1), {"i": 0, "u": 0, "b": False}),
    "bitwise_xor": ((0, 1), {"i": 0, "u": 0, "b": False}),
    "bitwise_and": ((0, 1), {"i": -1, "b": True}),
    "left_shift": ((1,), {"i": 0, "u": 0}),
    "right_shift": ((1,), {"i": 0, "u": 0}),
}


def drop_neutral(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x * 1``, ``x - 0.0``, ``x | 0`` ...: x."""
    places, numbers = NEUTRAL[equation.primitive.name]
    dtype = equation.results[0].aval.dtype
    if dtype.kind not in numbers:
        return None
    for place in places:
        if _is_number(rewriter, equation.inputs[place], numbers[dtype.kind], dtype):
            found = rewriter.fitted(equation, equation.inputs[1 - place])
            if found is not None:
                return found
    return None


def _is_number(rewriter: Rewriter, x: Atom, number: Any, dtype: np.dtype[Any]) -> bool:
    """Whether all elements of ``x`` are this number, once they are of this dtype."""
    element = uniform_value(rewriter, x)
    if element is None or element != number:
        return False
    return element_key(element, dtype) == element_key(number, dtype)


def times_zero(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """0 times an integer."""
    aval = equation.results[0].aval
    if aval.dtype.kind not in "iub":
        return None
    for x in equation.inputs:
        if _is_number(rewriter, x, 0, aval.dtype):
            return rewriter.fitted(equation, Literal(aval.dtype.type(0)))
    return None


def times_minus_one(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x * -1``: ``-x``."""
    aval = equation.results[0].aval
    if aval.dtype.kind not in "fi":
        return None
    places = (0, 1) if equation.primitive is multiply_p else (1,)
    for place in places:
        if _is_number(rewriter, equation.inputs[place], -1, aval.dtype):
            x = rewriter.fitted(equation, equation.inputs[1 - place])
            return None if x is None else rewriter.replace(equation, negative_p, x)
    return None


def divide_by_power_of_two(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x / 4.0``: ``x * 0.25``, which is rounded from the same exact quotient."""
    x, y = equation.inputs
    dtype = equation.results[0].aval.dtype
    if dtype.kind != "f" or dtype.itemsize > 8 or not is_scalar_literal(y):
        return None
    number = float(uniform_value(rewriter, y))
    if not math.isfinite(number) or abs(math.frexp(number)[0]) != 0.5:
        return None
    inverse, least = 1.0 / number, float(np.finfo(dtype).tiny)
    if not (least <= abs(inverse) < 1 / least and least <= abs(number) < 1 / least):
        return None
    like = y.aval.dtype.type if y.aval.dtype.kind == "f" and not y.aval.weak else None
    factor = float(inverse) if like is None else like(inverse)
    return rewriter.replace(equation, multiply_p, x, Literal(factor))


@cache
def _root_is_power() -> bool:
    """Whether NumPy computes ``x ** 0.5`` as a square root: they differ at -0.0 and -inf."""
    with np.errstate(all="ignore"):
        return bool(np.isnan(np.power(np.array([-np.inf]), 0.5))[0])


def small_power(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x ** 2``, ``x ** -1``, ``x ** 0.5`` as NumPy computes them for one real exponent."""
    x, y = equation.inputs
    aval = equation.results[0].aval
    if not is_scalar_literal(y) or aval.dtype.kind not in "fiu":
        return None
    exponent = uniform_value(rewriter, y)
    if exponent == 2:
        primitive = square_p
    elif exponent == -1 and aval.dtype.kind == "f":
        primitive = reciprocal_p
    elif exponent == 0.5 and aval.dtype.char in "fd" and _root_is_power():
        primitive = sqrt_p
    else:
        return None
    base = rewriter.fitted(equation, x)
    return None if base is None else rewriter.replace(equation, primitive, base)


def _undone_by(name: str) -> Rule:
    """The rule for a primitive that undoes another, or itself."""

    def rule(rewriter: Rewriter, equation: Equation) -> Atom | None:
        source = rewriter.source(equation.inputs[0], name)
        if source is None or not same_aval(source.inputs[0].aval, equation.results[0].aval):
            return None
        return source.inputs[0]

    return rule


def _idempotent(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``f(f(x))``: ``f(x)``."""
    (x,) = equation.inputs
    same = rewriter.source(x, equation.primitive.name) is not None
    return x if same and same_aval(x.aval, equation.results[0].aval) else None


def _same_on_reals(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """What only does something to complex numbers."""
    (x,) = equation.inputs
    same = x.aval.dtype.kind != "c" and same_aval(x.aval, equation.results[0].aval)
    return x if same else None


def _negated(rewriter: Rewriter, x: Atom, dtype: np.dtype[Any]) -> Atom | None:
    """``y`` if x is ``-y`` and y may stand in its place in an operation computed in ``dtype``: a
    negated integer has wrapped around before it is converted.
    """
    source = rewriter.source(x, "negative")
    if source is None or source.inputs[0].aval.weak:
        return None
    own = source.inputs[0].aval.dtype
    fits = own == dtype or (own.kind in "fc" and dtype.kind in "fc")
    return source.inputs[0] if fits and own == x.aval.dtype else None


def add_negative(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x + -y`` and ``-y + x``: ``x - y``."""
    dtype = equation.results[0].aval.dtype
    for i, x in enumerate(equation.inputs):
        y = _negated(rewriter, x, dtype)
        if y is not None:
            return rewriter.replace(equation, subtract_p, equation.inputs[1 - i], y)
    return None


def subtract_negative(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x - -y``: ``x + y``."""
    y = _negated(rewriter, equation.inputs[1], equation.results[0].aval.dtype)
    return None if y is None else rewriter.replace(equation, add_p, equation.inputs[0], y)


def product_of_negatives(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``-x * -y``: ``x * y``, and so for quotients of real numbers."""
    dtype = equation.results[0].aval.dtype
    if dtype.kind == "c" or (equation.primitive is divide_p and dtype.kind != "f"):
        return None
    x, y = (_negated(rewriter, x, dtype) for x in equation.inputs)
    if x is None or y is None:
        return None
    return rewriter.replace(equation, equation.primitive, x, y)


def absolute_of_negative(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``|-x|``: ``|x|``. Unsigned integers wrap around."""
    source = rewriter.source(equation.inputs[0], "negative")
    if source is None or source.inputs[0].aval.weak or equation.results[0].aval.dtype.kind == "u":
        return None
    return rewriter.replace(equation, absolute_p, source.inputs[0])


def _logical_not_twice(rewriter: Rewriter, equation: Equation) -> Atom | None:
    source = rewriter.source(equation.inputs[0], "logical_not")
    if source is None or source.inputs[0].aval.dtype.kind != "b":
        return None
    return source.inputs[0]


def known_choice(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A select between equals, or whose mask is known."""
    mask, x, y = equation.inputs
    if x is y:
        return rewriter.fitted(equation, x)
    element = uniform_value(rewriter, mask)
    if element is None:
        return None
    return rewriter.fitted(equation, x if element else y)


def swapped_choice(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A select on ``~mask`` or ``not mask``: on the mask, the other way round."""
    mask, x, y = equation.inputs
    for name in ("logical_not", "invert"):
        source = rewriter.source(mask, name)
        if source is not None and source.inputs[0].aval.dtype.kind == "b":
            return rewriter.replace(equation, select_p, source.inputs[0], y, x)
    return None


def known_logic(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x and True``, ``x or False``: x if it is a truth value. ``x and False``: False."""
    absorbing = equation.primitive.name == "logical_or"
    for i, x in enumerate(equation.inputs):
        element = uniform_value(rewriter, x)
        if element is None:
            continue
        if bool(element) == absorbing:
            return rewriter.fitted(equation, Literal(np.bool_(absorbing)))
        other = equation.inputs[1 - i]
        if other.aval.dtype.kind == "b":
            return rewriter.fitted(equation, other)
    return None


def silent_check(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A check that is known to pass."""
    element = uniform_value(rewriter, equation.inputs[0])
    return Literal(np.bool_(False)) if element is not None and not element else None


RULES: dict[str, list[Rule]] = {
    **{name: [drop_neutral] for name in NEUTRAL},
    "add": [drop_neutral, add_negative],
    "subtract": [drop_neutral, subtract_negative],
    "multiply": [drop_neutral, times_zero, times_minus_one, product_of_negatives],
    "divide": [drop_neutral, times_minus_one, divide_by_power_of_two, product_of_negatives],
    "power": [drop_neutral, small_power],
    "negative": [_undone_by("negative")],
    "invert": [_undone_by("invert")],
    "conjugate": [_same_on_reals, _undone_by("conjugate")],
    "logical_not": [_logical_not_twice],
    "positive": [drop_identity],
    "real": [_same_on_reals],
    "absolute": [_idempotent, absolute_of_negative],
    "fabs": [_idempotent],
    "sign": [_idempotent],
    **{name: [_idempotent] for name in ("floor", "ceil", "trunc", "rint")},
    "select": [known_choice, swapped_choice],
    "logical_and": [known_logic],
    "logical_or": [known_logic],
    "refuse": [silent_check],
    "warn": [silent_check],
}
