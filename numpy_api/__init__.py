"""NumPy's functions on traced arrays, one file a chapter of NumPy's reference.

Importing this package fills the tables in `autodiff.dispatch` and `namespace.OURS`.
"""

from ..autodiff import dim_operators as _dim_operators  # noqa: F401 - completes Dim
from ..autodiff import indexing as _indexing  # noqa: F401 - these four complete TracedArray
from ..autodiff import ndarray_methods, operators, protocols  # noqa: F401
from . import (  # noqa: F401 - importing a chapter enters its functions
    array_types,
    bits,
    calculus,
    contraction,
    creation,
    einsum,
    elementwise,
    fft,
    histograms,
    indexing,
    inspection,
    joining,
    ledger,
    linalg,
    manipulation,
    nanfunctions,
    norms,
    padding,
    polynomial_series,
    polynomials,
    quantiles,
    ranges,
    reductions,
    scimath,
    selection,
    sets,
    sorting,
    special,
    statistics,
    submodules,
    ufunc_methods,
    ufuncs,
    vectorizing,
    windows,
)
