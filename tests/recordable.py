"""Which rows of the op table can be recorded as a program, and what of theirs is recorded."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy
from laws import Restricted
from op_table import Case, is_array

import xnp
from xnp.testing.vectors import map_leaves

SIZE = "the size of the result depends on values"
DTYPE = "the dtype of the result depends on values"
BRANCH = "NumPy, or the row, decides in Python by a value"

# Rows that cannot be recorded, and why.
LEDGER = {
    **dict.fromkeys(
        [
            *("argwhere_scalar", "bincount", "bincount_plain", "extract", "getitem_mask"),
            *("getitem_masks", "histogram_bin_edges", "intersect1d_indices", "lstsq", "lstsq_rank"),
            *("nonzero", "piecewise", "poly1d", "polydiv", "polyfit_cov", "polyfit_full"),
            *("polymul", "roots", "set_operations", "set_operations_of_sets", "trim_zeros"),
            *("unique", "unique_all_results", "unique_axis", "unique_axis_distinct"),
            *("unique_named", "where_one_argument", "series_arithmetic"),
            *("series_composition", "series_fit"),
        ],
        SIZE,
    ),
    **{
        f"series_{kind}{name}": SIZE  # leading zeros are cut off
        for kind in ("poly", "cheb", "herm", "herme", "lag", "leg")
        for name in ("add", "div", "fit", "fromroots", "mul", "pow", "roots")
    },
    **{f"series_poly2{kind}": SIZE for kind in ("cheb", "herm", "herme", "lag", "leg")},
    **{f"series_{kind}2poly": SIZE for kind in ("cheb", "herm", "herme", "lag", "leg")},
    **dict.fromkeys(["eig", "eigvals", "poly", "poly_conjugates", "poly_matrix"], DTYPE),
    **dict.fromkeys(["real_if_close"], DTYPE),
    **{
        f"scimath_{name}": DTYPE
        for name in (
            *("arccos", "arcsin", "arctanh", "log", "log10", "log2", "logn", "power", "sqrt"),
        )
    },
    "comparisons_of_arrays": BRANCH,
}

# Rows whose derivatives take another formula at the points sampled, by a rank that is not known.
REFUSED = {"det_singular"}


def abstractable(case: Case) -> tuple[int, ...]:
    return tuple(i for i, arg in enumerate(case.args) if is_array(arg))


def programs_of_derivatives(
    case: Case, wrapped: Callable[..., Any] = lambda f: f
) -> Iterator[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    """Derivatives and batches of a case (of ``wrapped`` of its function), each with arguments."""
    f = Restricted(case, tuple(i for i in case.differentiable if is_array(case.args[i])))
    with numpy.errstate(all="ignore"):
        out = f(*f.chosen)
    if not f.positions or not out:
        return
    x, v, ct = f.chosen, f.tangent(), f.cotangent(out)

    g = wrapped(f)

    def pull(*x: Any) -> Any:
        return xnp.vjp(g, *x)[1](ct)

    yield "jvp", lambda x, v: xnp.jvp(g, x, v)[1], (x, v)
    yield "vjp", lambda x, ct: xnp.vjp(g, *x)[1](ct), (x, ct)
    if case.op.order >= 2:
        yield "jvp of vjp", lambda x, v: xnp.jvp(pull, x, v)[1], (x, v)
    if set(f.positions) <= set(case.batchable):
        batch = map_leaves(lambda leaf: numpy.stack([leaf, leaf]), x)
        yield "vmap", lambda x: xnp.vmap(g)(*x), (batch,)
