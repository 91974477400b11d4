"""Sizes as values, and arrays that are made from nothing but a size.

Where sizes are numbers these are NumPy's arrays. Where they are symbolic there is no such array
while a Program is recorded: the Program makes it when it runs.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .core import Aval, Constant, Value
from .dims import Dim, Size
from .rules import convert

# The number that a size is, as a Python int: its dtype is weak.
dimension_p = Constant(
    "dimension",
    lambda *, dim: operator.index(dim),
    shape=lambda *, dim: Aval((), np.dtype(int), True),
)

# 0, 1, 2, ... size - 1.
iota_p = Constant(
    "iota",
    lambda *, size, dtype: np.arange(size, dtype=dtype),
    shape=lambda *, size, dtype: Aval((size,), dtype),
)

INTP = np.dtype(np.intp)


def size_value(size: Size) -> Value:
    """A size as a Value to compute with."""
    return dimension_p(dim=size) if type(size) is Dim else size


def intp(size: Size) -> Value:
    """``np.intp(size)``: a number whose dtype is not weak."""
    return convert(size_value(size), INTP)


def iota(size: Size, dtype: np.dtype[Any] = INTP) -> Value:
    """``np.arange(size)``."""
    return iota_p(size=size, dtype=dtype) if type(size) is Dim else np.arange(size, dtype=dtype)
