"""Means, variances, correlations, medians and quantiles."""

import numpy
from op_row import C, D, I, Op, R, U

import xnp as np
from ops.reductions import COMPLEX_HOLES, HOLES, MASK, nans_at

F16, F32 = numpy.float16, numpy.float32

MEANS = [
    Op(
        "mean",
        np.mean,
        [
            (R(),),
            (R(5),),
            (R(2, 3),),
            (C(2, 3),),
            (R(4, dtype=F32),),
            (R(40, dtype=F16),),
            (2.5,),
            (I(0, 9, 4),),
            (numpy.array([True, False]),),
            (C(3, dtype=numpy.complex64),),
        ],
        covers=(np.mean,),
    ),
    Op(
        "mean_options",
        lambda x: (
            np.mean(x, axis=0),
            np.mean(x, axis=(0, -1), keepdims=True),
            np.mean(x, axis=1, where=MASK),
            np.mean(x, dtype=F32),
            np.mean(x, axis=()),
            np.mean(x, axis=-1, dtype=complex),
        ),
        [(R(3, 4),), (I(0, 9, 3, 4),)],
        covers=(np.mean,),
    ),
    Op(
        "average",
        lambda x: (
            np.average(x),
            np.average(x, axis=0),
            np.average(x, axis=-1, keepdims=True, returned=True),
        ),
        [(R(3, 4),), (I(0, 9, 3, 4),), (C(2, 2),), (R(5),), (R(2, 2, dtype=F32),)],
        covers=(np.average,),
    ),
    Op(
        "average_weights",
        lambda x, w: (np.average(x, weights=w), np.average(x, axis=0, weights=w, returned=True)),
        [
            (R(3, 4), U(0.5, 2, 3, 4)),
            (I(0, 9, 3, 4), I(1, 4, 3, 4)),
            (C(2, 2), U(0.5, 2, 2, 2)),
            (R(5), U(0.5, 2, 5)),
        ],
        covers=(np.average,),
    ),
    Op(
        "average_weights_axis",
        lambda x, w: (
            np.average(x, axis=1, weights=w),
            np.average(x, 1, w, keepdims=True, returned=True),
        ),
        [(R(3, 4), U(0.5, 2, 4)), (R(2, 4, 3), U(0.5, 2, 4))],
        covers=(np.average,),
    ),
    Op(
        "average_weights_axes",
        lambda x, w: np.average(x, axis=(2, 0), weights=w),
        [(R(2, 4, 3), U(0.5, 2, 3, 2))],
        covers=(np.average,),
    ),
]

SPREADS = [
    row
    for fun in (np.var, np.std)
    for row in [
        Op(
            fun.__name__,
            fun,
            # nothing spreads in a single number, and std has a kink there
            [
                *[(R(5),), (R(2, 3),), (C(2, 3),), (R(4, dtype=F32),), (R(9, dtype=F16),)],
                *[(I(0, 9, 4),), *([(2.5,)] if fun is np.var else [])],
            ],
            covers=(fun,),
        ),
        Op(
            f"{fun.__name__}_options",
            lambda x, fun=fun: (
                fun(x, axis=0),
                fun(x, axis=(0, -1), keepdims=True),
                fun(x, axis=1, where=MASK),
                fun(x, ddof=1),
                fun(x, axis=1, correction=1),
                fun(x, ddof=0.5),
            ),
            [(R(3, 4),), (I(0, 9, 3, 4),)],
            covers=(fun,),
        ),
        Op(
            f"{fun.__name__}_float32",
            lambda x, fun=fun: fun(x, dtype=F32, axis=0),
            [(R(3, 4),), (I(0, 9, 3, 4),), (R(3, 4, dtype=F32),)],
            order=1,
            reason="computes in float32 from doubles",
            covers=(fun,),
        ),
        Op(
            f"{fun.__name__}_mean",
            lambda x, m, fun=fun: fun(x, axis=0, mean=m),
            [(R(3, 4), R(1, 4))],
            covers=(fun,),
        ),
    ]
]

COVARIANCES = [
    Op(
        "cov",
        lambda x: (np.cov(x), np.cov(x, rowvar=False), np.cov(x, bias=True), np.cov(x, ddof=0)),
        [(R(3, 5),), (C(2, 4),), (R(6),), (I(0, 9, 2, 5),)],
        covers=(np.cov,),
    ),
    Op(
        "cov_float32",
        lambda x: (np.cov(x), np.cov(x, dtype=F32)),
        [(R(2, 5, dtype=F32),)],
        covers=(np.cov,),
    ),
    Op(
        "cov_pair",
        lambda x, y: (np.cov(x, y), np.cov(x, y, rowvar=False)),
        [(R(4), R(4, seed=1)), (R(4, 4), R(4, 4, seed=1))],
        covers=(np.cov,),
    ),
    Op(
        "cov_weights",
        lambda x, w: (
            np.cov(x, aweights=w),
            np.cov(x, fweights=[1, 2, 1, 3], aweights=w),
            np.cov(x, aweights=w, ddof=0),
            np.cov(x, fweights=[1, 2, 1, 3]),
        ),
        [(R(3, 4), U(0.5, 2, 4))],
        covers=(np.cov,),
    ),
    Op(
        "corrcoef",
        np.corrcoef,
        [(R(3, 5),), (C(2, 4),), (I(0, 9, 2, 5),)],
        covers=(np.corrcoef,),
    ),
    Op(
        "corrcoef_pair",
        lambda x, y: (np.corrcoef(x, y), np.corrcoef(x, y, rowvar=False)),
        [(R(5), R(5, seed=1)), (R(4, 6), R(4, 6, seed=1))],
        covers=(np.corrcoef,),
    ),
    Op("corrcoef_single", np.corrcoef, [(R(5),)], covers=(np.corrcoef,)),
]

METHODS = (
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
    "hazen",
    "weibull",
    "linear",
    "median_unbiased",
    "normal_unbiased",
    "lower",
    "higher",
    "midpoint",
    "nearest",
)
LEVELS = [0.0, 0.13, 0.5, 0.77, 1.0]

QUANTILES = [
    Op(
        "median",
        np.median,
        [
            (D(5),),
            (D(6),),
            (D(2, 3),),
            (D(4, dtype=F32),),
            (D(5, dtype=F16),),
            (C(4),),
            (I(0, 9, 4),),
            (R(),),
            (2.5,),
        ],
        covers=(np.median,),
    ),
    Op(
        "median_options",
        lambda x: (
            np.median(x, axis=0),
            np.median(x, axis=(0, -1), keepdims=True),
            np.median(x, axis=1),
            np.median(x, keepdims=True),
        ),
        [(D(3, 4),), (D(2, 3, 4),)],
        covers=(np.median,),
    ),
    Op(
        "quantile",
        lambda x: (
            np.quantile(x, 0.3),
            np.quantile(x, LEVELS),
            np.quantile(x, 1),
            np.quantile(x, [0, 1]),
        ),
        [(D(5),), (D(2, 3),), (D(4, dtype=F32),), (I(0, 9, 4),), (R(),)],
        covers=(np.quantile,),
    ),
    Op(
        "quantile_options",
        lambda x: (
            np.quantile(x, 0.3, axis=0),
            np.quantile(x, LEVELS, axis=(0, -1), keepdims=True),
            np.quantile(x, numpy.array([[0.2, 0.4], [0.5, 0.6]]), axis=1),
            np.percentile(x, 35, axis=1),
            np.percentile(x, [10, 35.5], axis=-1, keepdims=True),
        ),
        [(D(3, 4),), (D(2, 3, 4),)],
        covers=(np.quantile, np.percentile),
    ),
    *(
        Op(
            f"quantile_{method}",
            lambda x, method=method: (
                np.quantile(x, LEVELS, method=method),
                np.quantile(x, 0.4, axis=0, method=method),
            ),
            [(D(5),), (D(3, 4),), (D(4, dtype=F32),), (I(0, 9, 8),)],
            covers=(np.quantile,),
        )
        for method in METHODS
    ),
    Op(
        "quantile_of_nans",
        lambda x: (np.median(x, axis=0), np.quantile(x, LEVELS, axis=0), np.percentile(x, 40)),
        [(HOLES,), (nans_at(D(5), 1),)],
        diff=(),
        reason="NaN has no differences",
        covers=(np.median, np.quantile, np.percentile),
    ),
    Op(
        "quantile_level",
        lambda x, q: (
            np.quantile(x, q, axis=0),
            np.quantile(x, q, method="hazen"),
            np.percentile(x, 100 * q),
        ),
        [(D(6), 0.33), (D(6), numpy.array([0.31, 0.57])), (D(5, 2), 0.33), (D(6, dtype=F32), 0.33)],
        covers=(np.quantile, np.percentile),
    ),
    Op(
        "quantile_weights",
        lambda x, w: (
            np.quantile(x, LEVELS, weights=w, method="inverted_cdf"),
            np.percentile(x, 40, axis=0, weights=w, method="inverted_cdf", keepdims=True),
            np.nanquantile(x, 0.4, axis=-1, weights=w, method="inverted_cdf"),
        ),
        [(D(5), U(0.5, 2, 5)), (D(3, 4), U(0.5, 2, 3, 4))],
        covers=(np.quantile, np.percentile, np.nanquantile),
    ),
    Op(
        "quantile_weights_axis",
        lambda x, w: np.quantile(x, [0.2, 0.5], axis=1, weights=w, method="inverted_cdf"),
        [(D(3, 4), U(0.5, 2, 4)), (D(2, 4, 3), U(0.5, 2, 4))],
        covers=(np.quantile,),
    ),
]

SKIPPING = [
    Op(
        fun.__name__,
        lambda x, fun=fun: (fun(x), fun(x, axis=0), fun(x, axis=-1, keepdims=True)),
        [(HOLES,), (D(3, 4),), (I(0, 9, 3, 4),), (HOLES.astype(F32),)],
        covers=(fun,),
    )
    for fun in (np.nanmean, np.nanvar, np.nanstd, np.nanmedian)
] + [
    Op(
        "nan_options",
        lambda x: (
            np.nanmean(x, axis=0, dtype=complex),
            np.nanmean(x, where=MASK),
            np.nanvar(x, axis=0, ddof=1),
            np.nanvar(x, where=MASK),
            np.nanstd(x, correction=1, axis=1, keepdims=True),
            np.nanvar(x, axis=0, mean=0.1),
            np.nanmedian(x, axis=(0, 1), keepdims=True),
        ),
        [(HOLES,), (D(3, 4),)],
        covers=(np.nanmean, np.nanvar, np.nanstd, np.nanmedian),
    ),
    Op(
        "nan_complex",
        lambda x: (np.nanmean(x, 0), np.nanvar(x, 0), np.nanstd(x)),
        [(COMPLEX_HOLES,)],
        covers=(np.nanmean, np.nanvar, np.nanstd),
    ),
    Op(
        "nanquantile",
        lambda x: (
            np.nanquantile(x, 0.3),
            np.nanquantile(x, LEVELS, axis=0),
            np.nanpercentile(x, 40, axis=-1, keepdims=True),
            np.nanpercentile(x, LEVELS),
        ),
        [(HOLES,), (D(3, 4),), (HOLES.astype(F32),), (D(5),)],
        covers=(np.nanquantile, np.nanpercentile),
    ),
    *(
        Op(
            f"nanquantile_{method}",
            lambda x, method=method: np.nanquantile(x, LEVELS, axis=0, method=method),
            [(HOLES,), (D(5),)],
            covers=(np.nanquantile,),
        )
        for method in METHODS
    ),
    Op(
        "nanquantile_level",
        lambda x, q: np.nanquantile(x, q, axis=0),
        [(HOLES, 0.33)],
        covers=(np.nanquantile,),
    ),
]

ROWS: list[Op] = [*MEANS, *SPREADS, *COVARIANCES, *QUANTILES, *SKIPPING]
