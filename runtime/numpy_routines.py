"""The routines that NumPy sorts with: those of the dtypes, which its C API makes public.

With them compiled code is as fast as NumPy, and gives equal numbers the order that NumPy gives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from ..codegen.mlir.sorting import KINDS, PREFIX
from .entry_api import numpy_function

_GET_ARRAY_FUNCTIONS = 365  # in NumPy's table: from a dtype to its `PyArray_ArrFuncs`
_OFFSETS = {"sort": 264, "argsort": 288}  # there, in bytes, of routines of the three kinds

_SORT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p)
_ARGSORT = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_void_p
)


class MissingRoutineError(RuntimeError):
    """This NumPy has no such routine, or has another one where it was expected."""


def symbols(names: Iterable[str]) -> dict[str, int]:
    """The addresses of those names that are NumPy's routines (``xnp_numpy_sort_f8_0``, ...).

    Raises:
        MissingRoutineError: one was not found, or does not sort.

    >>> sorted(symbols(["xnp_numpy_sort_f8_0", "malloc"]))
    ['xnp_numpy_sort_f8_0']
    """
    return {name: _address(name) for name in names if name.startswith(PREFIX)}


@cache
def _address(name: str) -> int:
    what, code, kind = name.removeprefix(PREFIX).split("_")
    dtype, number = np.dtype(code), int(kind)
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(numpy_function(_GET_ARRAY_FUNCTIONS))
    functions = get(dtype)
    address = ctypes.c_void_p.from_address(functions + _OFFSETS[what] + 8 * number).value
    if not address or not _sorts(what, address, dtype, number):
        raise MissingRoutineError(f"NumPy {np.__version__} has no {what} for {dtype}")
    return address


def _sorts(what: str, address: int, dtype: np.dtype[Any], number: int) -> bool:
    """Whether a routine does what NumPy's function does."""
    x = (np.arange(50) * 37 % 29).astype(dtype)
    kind: Any = next(name for name, k in KINDS.items() if k == number)
    if what == "sort":
        found, expected = x.copy(), np.sort(x, kind=kind)
        code = _SORT(address)(found.ctypes.data, x.size, None)
    else:
        found, expected = np.arange(50), np.argsort(x, kind=kind)
        code = _ARGSORT(address)(x.ctypes.data, found.ctypes.data, x.size, None)
    return code == 0 and np.array_equal(found, expected)
