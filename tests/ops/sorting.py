"""Sorting, searching, sets and histograms."""

import numpy
from op_row import B, C, D, I, Op, R, U

import xnp as np

F32 = numpy.float32
TIES = numpy.array([3.0, 1.0, 3.0, 1.0, 2.0, 3.0])
WHY_NO_VMAP = "the size of the result depends on the values"

SORTS = [
    Op(
        "sort",
        np.sort,
        [
            (D(5),),
            (D(2, 4),),
            (D(0),),
            (C(4),),
            (D(4, dtype=F32),),
            (I(0, 3, 6),),
            (B(5),),
        ],
        covers=(np.sort,),
    ),
    Op("sort_ties", np.sort, [(TIES,)], diff=(), reason="ties are kinks", covers=(np.sort,)),
    Op(
        "sort_axes",
        lambda x: (np.sort(x, axis=0), np.sort(x, axis=1), np.sort(x, axis=None)),
        [(D(3, 4, 2),), (C(2, 3),)],
        covers=(np.sort,),
    ),
    Op(
        "sort_kinds",
        lambda x: (np.sort(x, kind="stable"), np.sort(x, kind="heapsort"), np.sort(x, stable=True)),
        [(D(4),)],
        covers=(np.sort,),
    ),
    Op(
        "argsort",
        lambda x: (np.argsort(x), np.argsort(x, axis=0), np.argsort(x, axis=None, kind="stable")),
        [(D(5),), (D(2, 4),), (D(0),), (C(4),), (I(0, 30, 4, 3),), (TIES,)],
        covers=(np.argsort,),
    ),
    Op(
        "argsort_stable",
        lambda x: np.argsort(x, stable=True),
        [(TIES,), (B(9),)],
        covers=(np.argsort,),
    ),
    Op(
        "sort_complex",
        np.sort_complex,
        [(D(4),), (C(2, 3),), (D(3, dtype=F32),), (I(0, 9, 4, dtype=numpy.int8),)],
        covers=(np.sort_complex,),
    ),
    Op(
        "lexsort",
        lambda x, y: (np.lexsort((x, y)), np.lexsort((y, x), axis=0)),
        [(D(5), I(0, 2, 5)), (I(0, 3, 2, 4), I(0, 2, 2, 4))],
        covers=(np.lexsort,),
    ),
    Op(
        "lexsort_rows",
        np.lexsort,
        [(I(0, 3, 3, 6),)],
        vmap=False,
        reason="NumPy's own keys",
        covers=(np.lexsort,),
    ),
    Op(
        "partition",
        lambda x: (
            np.partition(x, 2),
            np.partition(x, (0, 2), axis=0),
            np.partition(x, -1, axis=None),
        ),
        [(D(6),), (D(4, 3),), (C(4),), (I(0, 9, 5),)],
        covers=(np.partition,),
    ),
    Op(
        "argpartition",
        lambda x: (np.argpartition(x, 2), np.argpartition(x, (0, 2), axis=0)),
        [(D(6),), (D(4, 3),)],
        covers=(np.argpartition,),
    ),
]

EDGES = numpy.array([-1.0, 0.0, 0.5, 2.0])

SEARCHES = [
    Op(
        "searchsorted",
        lambda a, v: (np.searchsorted(a, v), np.searchsorted(a, v, side="right")),
        [
            (numpy.sort(R(6)), R(3)),
            (numpy.sort(R(6)), 0.3),
            (EDGES, EDGES),
            (numpy.sort(R(4)), R(2, 3)),
        ],
        covers=(np.searchsorted,),
    ),
    Op(
        "searchsorted_sorter",
        lambda a, v: np.searchsorted(a, v, sorter=np.argsort(a)),
        [(D(6), R(3))],
        covers=(np.searchsorted,),
    ),
    Op(
        "digitize",
        lambda x, bins: (
            np.digitize(x, bins),
            np.digitize(x, bins[::-1]),
            np.digitize(x, bins, right=True),
        ),
        [(R(5), EDGES), (R(2, 3), EDGES), (EDGES, EDGES), (0.3, EDGES)],
        covers=(np.digitize,),
    ),
    Op(
        "nonzero",
        lambda x: (np.nonzero(x), np.flatnonzero(x), np.argwhere(x)),
        [(B(5),), (B(3, 4),), (I(0, 3, 2, 3),), (R(0),), (R(3),)],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.nonzero, np.flatnonzero, np.argwhere),
    ),
    Op(
        "argwhere_scalar",
        np.argwhere,
        [(2.5,), (R(),)],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.argwhere,),
    ),
]

REPEATED = numpy.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0]])

# Gone from NumPy 2.4 on.
IN1D = [getattr(numpy, name) for name in ["in1d"] if hasattr(numpy, name)]

SETS = [
    Op(
        "unique",
        np.unique,
        [(D(5),), (D(2, 3),), (D(0),), (C(4),), (I(0, 4, 9),), (B(5),), (D(3, dtype=F32),)],
        covers=(np.unique,),
    ),
    Op(
        "unique_all_results",
        lambda x: np.unique(x, return_index=True, return_inverse=True, return_counts=True),
        [
            (I(0, 4, 9),),
            (I(0, 4, 3, 3),),
            (D(4),),
            (D(0),),
            (numpy.array([1.0, numpy.nan, numpy.nan, 0.0]),),
        ],
        diff=(),
        reason="ties and NaNs are kinks",
        vmap=False,
        covers=(np.unique,),
    ),
    Op(
        "unique_axis",
        lambda x: (np.unique(x, axis=0), *np.unique(x, True, True, True, axis=-1)),
        [(REPEATED,), (I(0, 2, 6, 2),), (I(0, 2, 4, 2, 3),)],
        diff=(),
        reason="ties are kinks",
        vmap=False,
        covers=(np.unique,),
    ),
    Op(
        "unique_axis_distinct",
        lambda x: np.unique(x, axis=1),
        [(D(3, 4),), (D(2, 3, 2),)],
        covers=(np.unique,),
    ),
    Op(
        "unique_named",
        lambda x: (
            *np.unique_all(x),
            *np.unique_counts(x),
            *np.unique_inverse(x),
            np.sort(np.unique_values(x)),
        ),
        [(I(0, 4, 7),), (D(3),), (I(0, 4, 2, 3),)],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values),
    ),
    Op(
        "set_operations",
        lambda x, y: (
            np.union1d(x, y),
            np.setdiff1d(x, y),
            np.setxor1d(x, y),
            np.intersect1d(x, y),
        ),
        [(D(4), D(3, seed=1)), (I(0, 5, 6), I(0, 5, 4)), (D(3), D(0)), (D(2, 2), R(3))],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.union1d, np.setdiff1d, np.setxor1d, np.intersect1d),
    ),
    Op(
        "set_operations_of_sets",
        lambda x, y: (
            np.setdiff1d(x, y, assume_unique=True),
            np.setxor1d(x, y, assume_unique=True),
            np.intersect1d(x, y, assume_unique=True, return_indices=True),
        ),
        [(numpy.array([3, 1, 2]), numpy.array([2, 5, 3])), (D(4), D(3, seed=1))],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.setdiff1d, np.setxor1d, np.intersect1d),
    ),
    Op(
        "intersect1d_indices",
        lambda x, y: np.intersect1d(x, y, return_indices=True),
        [(I(0, 5, 6), I(0, 5, 4))],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.intersect1d,),
    ),
    Op(
        "isin",
        lambda x, y: (np.isin(x, y), np.isin(x, y, invert=True)),
        [
            (I(0, 9, 3, 4), I(0, 9, 5)),
            (REPEATED, numpy.array([1.0, numpy.nan])),
            (R(3), R(0)),
            (2.5, R(2)),
        ],
        covers=(np.isin, *IN1D),
    ),
]

INNER = U(0.1, 0.9, 6)

HISTOGRAMS = [
    Op(
        "histogram",
        np.histogram,
        [(R(20),), (R(4, 5),), (I(0, 9, 12),), (R(0),), (R(8, dtype=F32),)],
        covers=(np.histogram, np.histogram_bin_edges),
    ),
    Op(
        "histogram_density",
        lambda x: np.histogram(x, bins=4, density=True),
        [(D(9),), (D(3, 4),)],
        covers=(np.histogram,),
    ),
    Op(
        "histogram_weights",
        lambda x, w: np.histogram(x, bins=3, range=(0, 1), weights=w),
        [(U(-0.2, 1.2, 9), R(9)), (INNER, C(6)), (INNER, I(0, 5, 6)), (INNER, R(6, dtype=F32))],
        covers=(np.histogram,),
    ),
    Op(
        "histogram_edges",
        lambda x, edges, w: np.histogram(x, edges, weights=w, density=True),
        [(R(9), EDGES, U(0.5, 2, 9))],
        covers=(np.histogram,),
    ),
    Op(
        "histogram_on_edges",
        lambda x, edges, w: np.histogram(x, edges, weights=w, density=True),
        [(numpy.array([-1.0, 2.0, 0.5, 0.0, 9.0]), EDGES, U(0.5, 2, 5))],
        diff=(2,),
        reason="data that lie on edges are kinks",
        covers=(np.histogram,),
    ),
    Op(
        "histogram_bin_edges",
        lambda x: (np.histogram_bin_edges(x, 5), np.histogram_bin_edges(x, "sturges", (-2, 2))),
        [(D(9),), (I(0, 9, 9),)],
        covers=(np.histogram_bin_edges,),
    ),
    Op(
        "histogram2d",
        lambda x, y: np.histogram2d(x, y, bins=(3, 4), density=True),
        [(D(8), D(8, seed=1))],
        covers=(np.histogram2d,),
    ),
    Op(
        "histogram2d_options",
        lambda x, y, w: (
            np.histogram2d(x, y, bins=[EDGES, 3], weights=w)[0],
            np.histogram2d(x, y, bins=EDGES)[0],
            np.histogram2d(x, y, 2, range=[[0, 1], [0, 2]], weights=w)[0],
        ),
        [(R(8), R(8, seed=1), R(8))],
        covers=(np.histogram2d,),
    ),
    Op(
        "histogramdd",
        lambda x: np.histogramdd(x, bins=2, density=True),
        [(D(7, 3),), (D(5, 1),)],
        covers=(np.histogramdd,),
    ),
    Op(
        "bincount",
        lambda x, w: (
            np.bincount(x, minlength=9),
            np.bincount(x, w, 9),
            np.bincount(x, weights=w, minlength=9),
        ),
        [(I(0, 9, 6), R(6)), (I(0, 9, 6), I(0, 4, 6)), (I(0, 2, 0), R(0))],
        covers=(np.bincount,),
    ),
    Op(
        "bincount_plain",
        np.bincount,
        [(numpy.array([1, 1, 4]),)],
        vmap=False,
        reason=WHY_NO_VMAP,
        covers=(np.bincount,),
    ),
]

ROWS: list[Op] = [*SORTS, *SEARCHES, *SETS, *HISTOGRAMS]
