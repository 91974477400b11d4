"""What does not work on traced arrays, each with its reason and what to write instead.

``dispatch.UNSUPPORTED`` holds the functions that NumPy dispatches to us: they raise
`UnsupportedError` with this text. `NOT_DISPATCHED` holds the public names that NumPy keeps to
itself and that are not ours. `NDARRAY_ATTRIBUTES` holds the attributes of ``numpy.ndarray`` that
`TracedArray` has not. tests/test_namespace.py compares all three with NumPy, both ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autodiff.dispatch import UNSUPPORTED, UNSUPPORTED_MODULES

_FILES = (
    "a file would hold values without their derivatives",
    "return the array with has_aux=True and save it outside, or save xnp.stop_gradient's value",
)
_TEXT = ("text has no derivative", "convert the text to numbers outside of the transformation")
_DATES = (
    "dates have no derivative",
    "convert them to numbers outside of the transformation: x / np.timedelta64(1, 's')",
)
_RECORDS = (
    "a traced array holds numbers of one dtype, no named fields",
    "keep the fields as separate arrays, in a dict",
)


_DISPATCHED = type(np.sum) | np.ufunc


def _declare(entry: tuple[str, str], module: Any, names: Iterable[str]) -> None:
    """Enters those functions that this version of NumPy dispatches (text: from 2.3 on)."""
    for name in names:
        function = getattr(module, name, None)
        if isinstance(function, _DISPATCHED):
            UNSUPPORTED[function] = entry


_declare(_FILES, np, ["save", "savez", "savez_compressed", "savetxt"])
_declare(_DATES, np, ["busday_count", "busday_offset", "is_busday", "datetime_as_string", "isnat"])

_STRINGS = [
    *("capitalize", "center", "decode", "encode", "expandtabs", "ljust", "lower", "mod"),
    *("multiply", "partition", "replace", "rjust", "rpartition", "swapcase", "title"),
    *("translate", "upper", "zfill"),
]
_declare(_TEXT, np.strings, _STRINGS)
_declare(
    _TEXT,
    np.char,
    [
        *("equal", "greater", "greater_equal", "join", "less", "less_equal", "not_equal"),
        *("rsplit", "split", "splitlines"),
    ],
)

UNSUPPORTED_MODULES["numpy.lib.recfunctions"] = _RECORDS

_NO_ARRAY = "takes no array, so a traced one cannot reach it"
_READS = "makes an array from a file or buffer; np.array(x) makes one to write traced values in"
_MATRIX = "numpy.matrix has rules of its own, which traced arrays do not follow; use 2-d arrays"
_SCALARS = "Python loops over memory; traced arrays have none. Iterate, or use np.ndenumerate"
_POLYNOMIAL = "works on traced coefficients through the functions it calls"
_SHOWS = "gives text of a number; float(np.stop_gradient(x)) is one"

NOT_DISPATCHED: dict[str, str] = {
    **dict.fromkeys(
        [
            *("base_repr", "binary_repr", "broadcast_shapes", "datetime_data", "diag_indices"),
            *("errstate", "finfo", "frompyfunc", "get_include", "get_printoptions", "getbufsize"),
            *("geterr", "geterrcall", "iinfo", "info", "isdtype", "issubdtype", "mask_indices"),
            *("mintypecode", "ndindex", "printoptions", "promote_types", "set_printoptions"),
            *("setbufsize", "seterr", "seterrcall", "show_config", "show_runtime", "test"),
            *("tril_indices", "triu_indices", "typename", "ufunc", "busdaycalendar"),
        ],
        _NO_ARRAY,
    ),
    **dict.fromkeys(
        [
            *("from_dlpack", "frombuffer", "fromfile", "fromregex", "fromstring", "genfromtxt"),
            *("load", "loadtxt", "memmap"),
        ],
        _READS,
    ),
    **dict.fromkeys(["asmatrix", "bmat", "matrix"], _MATRIX),
    **dict.fromkeys(["broadcast", "flatiter", "nested_iters"], _SCALARS),
    **dict.fromkeys(["format_float_positional", "format_float_scientific"], _SHOWS),
    **dict.fromkeys(["isfortran", "iterable"], "asks the traced array itself"),
    **dict.fromkeys(["recarray", "record"], _RECORDS[0] + "; " + _RECORDS[1]),
    "poly1d": _POLYNOMIAL,
    "row_stack": "NumPy's deprecated name of vstack",
    "trapz": "NumPy's deprecated name of trapezoid",
}

NDARRAY_ATTRIBUTES: dict[str, str] = {
    "__array_finalize__": "is a hook for subclasses of ndarray",
    "__array_interface__": "would show memory, which a traced array has not",
    "__array_struct__": "would show memory, which a traced array has not",
    "__buffer__": "would show memory, which a traced array has not",
    "__class_getitem__": "is for annotations; np.ndarray[...] has it",
    "__setstate__": "is for unpickling, and traced arrays are not pickled",
    **dict.fromkeys(
        ["itemset", "newbyteorder", "ptp"],
        "raises in every NumPy 2, which says what to write",
    ),
    "tostring": "is a deprecated name of tobytes",
}
