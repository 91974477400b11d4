"""Operations on Python numbers, of which one is traced.

Their values, their exceptions and their promotion to complex are Python's, and the result is a
Python number again. Where numbers are not known, a check of them is recorded with the operation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dispatch
from .core import Tracer, Value, concrete_value, dtype_of
from .errors import ConcretizationError
from .handles import WEAK, TracedArray, unwrap_known, wrap
from .primitives.checks import refuse_p
from .primitives.elementwise import (
    equal_p,
    less_p,
    logical_and_p,
    logical_or_p,
    not_equal_p,
)
from .primitives.rounding import floor_p, isfinite_p, round_number_p
from .rules import convert, convert_p, imag_p, real_p, weaken_p

_COMPLEX, _INT = np.dtype(complex), np.dtype(int)
_ON_BITS = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)  # of Python's bools these are bools
_EQUALITY = (np.equal, np.not_equal)

Operands = tuple[Value, Value]


def python_result(python: Callable[..., Any], ufunc: Any, operands: Operands) -> TracedArray:
    """What an operator gives."""
    values = list(operands)
    try:
        if any(isinstance(x, Tracer) and x.of_sizes for x in operands):
            raise ConcretizationError  # which would fix the sizes
        numbers = [concrete_value(x) for x in operands]
    except ConcretizationError:
        _refuse_what_python_would(ufunc, *operands)
    else:
        if isinstance(python(*numbers), complex):
            values = [convert_p(x, dtype=_COMPLEX) for x in values]
    if ufunc not in _ON_BITS and all(dtype_of(x).kind == "b" for x in values):
        values = [python_int(x) for x in values]
    return wrap(weaken_p(dispatch.UFUNCS[ufunc](*values)), WEAK)


def python_comparison(python: Callable[..., Any], ufunc: Any, operands: Operands) -> Any:
    """What a comparison gives. NumPy orders complex numbers, Python does not."""
    kinds = [dtype_of(x).kind for x in operands]
    if ufunc not in _EQUALITY and "c" in kinds:
        return python(*(dtype_of(x).type(0).item() for x in operands))  # the TypeError
    result = dispatch.UFUNCS[ufunc](*operands)
    if isinstance(result, Tracer):
        return wrap(weaken_p(result), WEAK)
    return python(*map(concrete_value, operands))


def python_rounded(x: Value, digits: Any) -> TracedArray:
    """``round(x, digits)``: exactly, where NumPy multiplies, rounds and divides."""
    digits = operator.index(unwrap_known(digits, "round: ndigits"))
    if dtype_of(x).kind == "c":
        raise TypeError("type complex doesn't define __round__ method")
    return wrap(round_number_p(python_int(x), digits=digits), WEAK)


def python_int(x: Value) -> Value:
    """Python counts with its bools: True + True is 2."""
    return weaken_p(convert(x, _INT)) if dtype_of(x).kind == "b" else x


def _refuse_what_python_would(ufunc: Any, x: Value, y: Value) -> None:
    """Python's errors, and the one place where a dtype would depend on unknown numbers."""
    if ufunc in (np.true_divide, np.floor_divide, np.remainder):
        refuse_p(equal_p(y, 0), error=ZeroDivisionError, message="division by zero")
    elif ufunc in (np.left_shift, np.right_shift):
        refuse_p(less_p(y, 0), error=ValueError, message="negative shift count")
    elif ufunc is np.power:
        _refuse_powers(x, y)


def _refuse_powers(x: Value, y: Value) -> None:
    is_complex = "c" in (dtype_of(x).kind, dtype_of(y).kind)
    if is_complex:
        bad = logical_or_p(less_p(real_p(y), 0), not_equal_p(imag_p(y), 0))
        bad = logical_and_p(equal_p(x, 0), bad)
    else:
        bad = logical_and_p(equal_p(x, 0), logical_and_p(less_p(y, 0), isfinite_p(y)))
    message = "zero to a negative power; for inf, as NumPy has it, write np.power(x, y)"
    refuse_p(bad, error=ZeroDivisionError, message=message)
    if is_complex:
        return
    broken = logical_and_p(isfinite_p(y), not_equal_p(y, floor_p(y)))
    bad = logical_and_p(less_p(x, 0), broken)
    message = (
        "a negative Python number to a broken power is complex, which jit cannot know when it "
        "records the function; write (x + 0j) ** y for the complex number, np.power(x, y) for nan, "
        "as NumPy has it, np.sign(x) * np.abs(x) ** y for a real one"
    )
    refuse_p(bad, error=ConcretizationError, message=message)
