"""``np.emath``: square root, logarithms and powers that turn complex outside their real domain.

The dtype depends on the values, as NumPy's does, so the values must be known (not so under vmap).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib import scimath

from ..autodiff.dispatch import implements
from ..autodiff.errors import BatchingError, ConcretizationError, advised
from .creation import asarray


def _to_complex(x: Any) -> Any:
    """NumPy's choice: single precision for single and short types, else double."""
    single = x.dtype.char in "fbhBHF"
    return x.astype(np.complex64 if single else np.complex128)


def _complex_if(outside: Any, x: Any) -> Any:
    """Complex numbers if any element is real and outside of the real domain."""
    try:
        leaves = bool(np.any(np.isreal(x) & outside))
    except (BatchingError, ConcretizationError) as error:
        advice = (
            "np.emath's results are real or complex as the numbers are. For complex ones write "
            "np.sqrt(x.astype(complex)), for real ones np.sqrt(x), and so for the other functions."
        )
        raise advised(error, advice) from None
    return _to_complex(x) if leaves else x


def _complex_where_negative(x: Any) -> Any:
    x = asarray(x)
    return _complex_if(x < 0, x)


def _complex_beyond_one(x: Any) -> Any:
    x = asarray(x)
    return _complex_if(abs(x) > 1, x)


@implements(scimath.sqrt)
def sqrt(x: Any) -> Any:
    return np.sqrt(_complex_where_negative(x))


@implements(scimath.log)
def log(x: Any) -> Any:
    return np.log(_complex_where_negative(x))


@implements(scimath.log2)
def log2(x: Any) -> Any:
    return np.log2(_complex_where_negative(x))


@implements(scimath.log10)
def log10(x: Any) -> Any:
    return np.log10(_complex_where_negative(x))


@implements(scimath.logn)
def logn(n: Any, x: Any) -> Any:
    return np.log(_complex_where_negative(x)) / np.log(_complex_where_negative(n))


@implements(scimath.power)
def power(x: Any, p: Any) -> Any:
    exponent = asarray(p)
    if exponent.dtype.kind in "iu" and np.any(exponent < 0):
        exponent = exponent * 1.0
    return np.power(_complex_where_negative(x), exponent)


@implements(scimath.arccos)
def arccos(x: Any) -> Any:
    return np.arccos(_complex_beyond_one(x))


@implements(scimath.arcsin)
def arcsin(x: Any) -> Any:
    return np.arcsin(_complex_beyond_one(x))


@implements(scimath.arctanh)
def arctanh(x: Any) -> Any:
    return np.arctanh(_complex_beyond_one(x))
