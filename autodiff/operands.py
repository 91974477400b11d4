"""What stands beside a traced number or array in an operator, as Python and NumPy take it."""

from __future__ import annotations

import decimal
import numbers
import operator
from typing import Any

import numpy as np

from . import foreign
from .core import PYTHON_DTYPES, deciding_value, dtype_of
from .errors import user_line
from .handles import WEAK, TracedArray, describe

_MISSING = object()
_PYTHON_NUMBERS: tuple[Any, ...] = (int, float, complex)  # and subclasses: an IntEnum's members
_SEQUENCES = (list, tuple)
_REPEATED = (*_SEQUENCES, str, bytes, bytearray)


def is_operand(x: Any) -> bool:
    """What an operator converts, as ndarray's do: of classes that do not want to be asked."""
    if isinstance(x, (np.generic, *_SEQUENCES, *_PYTHON_NUMBERS)):
        return True
    if getattr(x, "__array_ufunc__", _MISSING) is None or foreign.overrides_ufuncs(x):
        return False
    return isinstance(x, np.ndarray) or hasattr(type(x), "__array__")


def plain_number(x: Any) -> Any:
    """The Python number that one of a subclass is for Python's operators; None for all else. For
    NumPy it is an array, whose dtype is not weak.
    """
    if isinstance(x, np.generic):
        return None
    for kind in _PYTHON_NUMBERS:
        if isinstance(x, kind):
            return kind(x)
    return None


def is_repetition(ufunc: Any, number: TracedArray, other: Any) -> bool:
    """Whether a product repeats a sequence, as it does with a Python number or NumPy scalar."""
    return ufunc is np.multiply and isinstance(other, _REPEATED) and number.is_scalar()


def repeated(sequence: Any, number: TracedArray) -> Any:
    """``sequence * number``; the number must be known."""
    kind = dtype_of(number.value).kind
    if kind in "iu" or (kind == "b" and number._kind == WEAK):
        return sequence * operator.index(deciding_value(number.value, "a length"))
    raise TypeError(
        f"can't multiply sequence by non-int: a {type(sequence).__name__} with a number "
        f"({describe(number)}){user_line()}; for the product of each element write "
        "np.array([...]) * x"
    )


def refuses_arrays(weak: bool, other: Any) -> bool:
    """Whether Python would not know what a number and a list are together."""
    return weak and isinstance(other, _SEQUENCES)


def check_number(x: Any) -> None:
    """TypeError for numbers that have no dtype, of which NumPy would make arrays of objects."""
    if type(x) in PYTHON_DTYPES or not isinstance(x, (numbers.Rational, decimal.Decimal)):
        return
    name = type(x).__name__
    raise TypeError(
        f"{name} {x!r:.60} cannot be combined with a traced array{user_line()}: it has no dtype; "
        "write float(f) for the number nearest to it"
    )
