"""Where BLAS and LAPACK are: in the library that NumPy itself uses, else in SciPy's.

With NumPy's own, compiled code gives the numbers that NumPy gives, and one pool of threads obeys
one setting.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from ..autodiff.loading import uninterrupted
from ..codegen.mlir.libraries import INT_BYTES, PREFIX

# How builds of OpenBLAS and others name the routine `x`, and the bytes of their integers.
_NAMES = (("scipy_{}_64_", 8), ("{}_64_", 8), ("{}64_", 8), ("scipy_{}_", 4), ("{}_", 4))


# The numbers whose addresses compiled code is given.
_BYTES = {size: ctypes.c_int64(size) for size in (4, 8)}


class MissingLibraryError(RuntimeError):
    """Neither NumPy nor SciPy gives a routine of BLAS or LAPACK."""


def symbols(names: Iterable[str]) -> dict[str, int]:
    """The addresses of those names that are routines (``xnp_blas_dgemm``, ...), and of the number
    of bytes in their integers.

    Raises:
        MissingLibraryError: a routine was not found.

    >>> sorted(symbols(["xnp_blas_dgemm", "malloc"]))
    ['xnp_blas_dgemm', 'xnp_blas_int_bytes']
    """
    wanted = {name for name in names if name.startswith(PREFIX)} - {INT_BYTES}
    if not wanted:
        return {}
    library, size = _library()
    found = {name: library(name.removeprefix(PREFIX)) for name in wanted}
    return {**found, INT_BYTES: ctypes.addressof(_BYTES[size])}


@cache
def _library() -> tuple[Any, int]:
    """A function from a routine's name to its address, and the bytes of an integer."""
    handle = _numpy_library()
    for pattern, size in _NAMES if handle is not None else ():
        if _address(handle, pattern.format("dgemm")) and _address(handle, pattern.format("dgesv")):
            return _Exported(handle, pattern), size
    return _Capsules(), 4


def _numpy_library() -> Any:
    """NumPy's linear algebra: its symbols are looked up in the libraries it is linked to, too."""
    try:
        return ctypes.CDLL(np.linalg._umath_linalg.__file__)
    except (AttributeError, OSError):
        return None


def _address(handle: Any, name: str) -> int | None:
    try:
        return ctypes.cast(handle[name], ctypes.c_void_p).value
    except AttributeError:
        return None


class _Exported:
    """Routines that a shared library exports."""

    def __init__(self, handle: Any, pattern: str) -> None:
        self.handle, self.pattern = handle, pattern

    def __call__(self, routine: str) -> int:
        address = _address(self.handle, self.pattern.format(routine))
        if address is None:
            raise MissingLibraryError(f"NumPy's BLAS and LAPACK have no {routine}")
        return address


class _Capsules:
    """The C functions that SciPy publishes for Cython."""

    def __call__(self, routine: str) -> int:
        try:
            modules = _scipy()
        except ImportError:
            message = f"the routine {routine} of BLAS or LAPACK: install SciPy, which has it"
            raise MissingLibraryError(message) from None
        for module in modules:
            if routine in module.__pyx_capi__:
                return capsule_pointer(module.__pyx_capi__[routine])
        raise MissingLibraryError(f"SciPy's BLAS and LAPACK have no {routine}")


@uninterrupted
def _scipy() -> tuple[Any, Any]:
    import scipy.linalg.cython_blas as blas
    import scipy.linalg.cython_lapack as lapack

    return blas, lapack


def capsule_pointer(capsule: Any) -> int:
    """What a capsule of Python's C API holds."""
    api = ctypes.pythonapi
    get_name, get_pointer = api.PyCapsule_GetName, api.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return get_pointer(capsule, get_name(capsule))
