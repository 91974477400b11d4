"""NumPy's functions on traced arrays, one file a chapter of NumPy's reference.

Importing this package fills the tables in `autodiff.dispatch` and `namespace.OURS`.
"""

from ..autodiff import indexing, ndarray_methods, operators, protocols  # noqa: F401 - they complete TracedArray

# TEMPORARY while the chapters are being written: missing or broken ones are skipped.
import importlib as _importlib
import sys as _sys

for _name in (
    "ufuncs ufunc_methods elementwise special reductions sorting statistics quantiles histograms sets nanfunctions creation "
    "ranges vectorizing array_types inspection scimath indexing manipulation joining padding selection contraction einsum linalg norms fft calculus "
    "polynomials polynomial_series windows ledger submodules"
).split():
    try:
        _importlib.import_module("." + _name, __name__)
    except ModuleNotFoundError as _error:
        if _error.name != f"{__name__}.{_name}":
            print("xnp: skipped", _name, repr(_error), file=_sys.stderr)
    except Exception as _error:
        print("xnp: skipped", _name, repr(_error), file=_sys.stderr)
