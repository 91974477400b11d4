"""Programs recorded with symbolic sizes: right at the sizes they were recorded with, and at all
others that their guards allow.

The rows of the op table are recorded with every size of 2 or more a symbol. A ledger lists those
that fix a size; user programs, their gradients and batches must not.
"""

import warnings
from functools import cache

import numpy
import pytest
from laws import Restricted, check_value
from op_table import CASES, OPS, Case, is_array
from symbolic import grown, record
from test_abstract_values import LEDGER as NOT_RECORDED

import xnp as np
from xnp.autodiff import dims
from xnp.testing.vectors import leaves_of, map_leaves

# Rows that fix a size, and why.
CONSTANT = "the row combines its argument with an array of a fixed size"
LOOP = "a Python loop runs over the size"
ORDER = "NumPy chooses the order of contraction by the sizes"
PLACES = "the places, an ndarray, are computed from the size"
SIZES = "the row asks for one size"

FIXED = {
    **dict.fromkeys(
        [
            *("all_options", "any_options", "arrays_of_constants", "broadcast", "cov_weights"),
            *("choose_from_array", "cumulative_prod", "cumulative_sum", "max_where"),
            *("mean_options", "min_where", "nan_options", "nanmax_options", "nanmin_options"),
            *("nanprod_options", "nansum_options", "prod_where", "put", "roll_by_each"),
            *("setitem_broadcast", "setitem_masks", "setitem_repeated", "setitem_repeated_rows"),
            *("setitem_slice", "std_options", "sum_where", "sum_where_row", "var_options"),
            *("lexsort_rows", "windows", "vectorize", "isin", "reshape", "repeat"),
        ],
        CONSTANT,
    ),
    **dict.fromkeys(
        [
            *("apply_along_axis", "pad_by_function", "polyadd", "polyder", "polyder_m", "polyfit"),
            *("polyfit_cov_unscaled", "polyfit_weights", "polyint", "polyint_k", "polysub"),
            *("polyval", "polyval_single", "unstack", "vander", "pad_reflect_odd"),
            *("series_coefficients", "series_polyder", "series_polyint", "series_polyval"),
        ],
        LOOP,
    ),
    **{
        f"series_{kind}{name}": LOOP
        for kind in ("cheb", "herm", "herme", "lag", "leg")
        for name in ("der", "grid2d", "int", "val", "val2d")
    },
    **dict.fromkeys(["series_polygrid2d", "series_polyval2d"], LOOP),
}
