"""Elementwise equations and numbers of a Program, as the table of `elementwise` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.core import Aval
from ...autodiff.program import Equation, Literal
from .elementwise import LOWER, supported
from .emitter import Emitter, Operand, element_type
from .loop import COMPARISONS, UnsupportedError, beside_large, holds, loop_types

DTypes = Sequence[np.dtype[Any]]
_DOUBLE = np.dtype(np.float64)


def types_of(equation: Equation) -> tuple[DTypes, DTypes]:
    """The dtypes an elementwise equation computes in, and those of its results."""
    name = equation.primitive.name
    if name in ("convert", "quantize"):
        return (equation.inputs[0].aval.dtype,), (equation.params["dtype"],)
    avals = [x.aval for x in equation.inputs]
    some_strong = False in [aval.weak for aval in avals]  # else they have their own dtypes
    shapeless = tuple([Aval((), aval.dtype, some_strong and aval.weak) for aval in avals])
    if name in COMPARISONS:
        values = [x.value if type(x) is Literal else None for x in equation.inputs]
        return beside_large(shapeless, values) or loop_types(name, shapeless)
    return loop_types(name, shapeless)


def is_elementwise(equation: Equation) -> bool:
    """Whether a loop can hold the equation: else it is an operation of its own."""
    name = equation.primitive.name
    if name in ("iota", "dimension", "narrow"):
        return True
    if name not in LOWER or equation.primitive.multiple:
        return False
    try:
        dtypes, _ = types_of(equation)
    except (UnsupportedError, TypeError):
        return False
    values = [x.value if type(x) is Literal else None for x in equation.inputs]
    if not all(map(holds, dtypes, values)):  # NumPy says so when it is computed
        return False
    literals = [
        np.asarray(x.value).item() if type(x) is Literal and not x.aval.shape else None
        for x in equation.inputs
    ]
    return supported(name, dtypes, equation.params, literals)


def constant(e: Emitter, value: Any, dtype: np.dtype[Any]) -> Operand:
    """A number of a Program in registers, converted as NumPy does."""
    if type(value) is float and dtype == _DOUBLE:
        return Operand(e.constant(value, "f64"), dtype)
    with np.errstate(all="ignore"):
        number: Any = np.asarray(value).astype(dtype)
    element = element_type(dtype)
    if dtype.kind == "c":
        return Operand((e.constant(number.real, element), e.constant(number.imag, element)), dtype)
    return Operand(e.constant(number.item(), element), dtype)
