"""The functions and objects of CPython and NumPy that the native call path refers to."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np

# Types of result and parameters: see `entry_language.Names`.
EXTERNALS = {
    "Py_IncRef": "vw",
    "Py_DecRef": "vw",
    "PyObject_RichCompareBool": "iwwi",
    "PyObject_Call": "wwww",
    "PyObject_GetAttr": "www",
    "PyCell_Get": "ww",
    "PyErr_Clear": "v",
    "PyErr_Occurred": "w",
    "PyEval_SaveThread": "w",
    "PyEval_RestoreThread": "vw",
    "PyTuple_New": "ww",
    "PyTuple_Size": "ww",
    "PyTuple_GetItem": "www",
    "PyTuple_SetItem": "iwww",
    "PyList_New": "ww",
    "PyList_Size": "ww",
    "PyList_GetItem": "www",
    "PyList_SetItem": "iwww",
    "PyDict_New": "w",
    "PyDict_Size": "ww",
    "PyDict_GetItemWithError": "www",
    "PyDict_Next": "iwwww",
    "PyDict_SetItem": "iwww",
    "PyFloat_AsDouble": "dw",
    "PyFloat_FromDouble": "wd",
    "PyComplex_RealAsDouble": "dw",
    "PyComplex_ImagAsDouble": "dw",
    "PyComplex_FromDoubles": "wdd",
    "PyLong_AsLongLongAndOverflow": "www",
    "PyLong_FromLongLong": "ww",
    "PyBool_FromLong": "ww",
    "PyArray_NewFromDescr": "wwwiwwwiw",
    "PyArray_Scalar": "wwww",
    "PyArray_ScalarAsCtype": "vww",
}

_OBJECTS: dict[str, Any] = {
    "ndarray_type": np.ndarray,
    "tuple_type": tuple,
    "list_type": list,
    "dict_type": dict,
    "true_object": True,
}
ADDRESSES = tuple(_OBJECTS)

# Positions in the table that NumPy's C API is; they never change.
_NUMPY_API = {"PyArray_Scalar": 60, "PyArray_ScalarAsCtype": 62, "PyArray_NewFromDescr": 94}


def symbols() -> dict[str, int]:
    """Where all these are in this process."""
    found = {name: id(value) for name, value in _OBJECTS.items()}
    found |= dict(_numpy_functions())
    for name in EXTERNALS.keys() - found.keys():
        function = getattr(ctypes.pythonapi, name)
        found[name] = ctypes.cast(function, ctypes.c_void_p).value or 0
    return found


def _numpy_functions() -> Iterator[tuple[str, int]]:
    for name, position in _NUMPY_API.items():
        yield name, numpy_function(position)


def numpy_function(position: int) -> int:
    """The address of a function of NumPy's C API, by its position in the table."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = np._core._multiarray_umath._ARRAY_API  # pyright: ignore[reportAttributeAccessIssue]
    table = ctypes.cast(get(capsule, None), ctypes.POINTER(ctypes.c_void_p))
    return table[position] or 0
