"""Sums, products, extremes, truth and cumulative functions, and their forms that skip NaNs."""

import numpy
from op_row import B, C, D, I, Op, R, U

import xnp as np

F32 = numpy.float32
AXES = (None, 0, -1, (0, 2), (-1, 1, 0), ())


def zeros_at(x, *places):
    """``x`` with zeros at the flat ``places``."""
    x = x.copy()
    x.flat[list(places)] = 0
    return x


def nans_at(x, *places):
    """``x`` with NaN at the flat ``places``."""
    x = x.copy()
    x.flat[list(places)] = numpy.nan
    return x


def _axis_rows(name, fun, make, covers, axes=AXES, **fields):
    """One row for each axis argument, on three dimensions."""
    return [
        Op(
            f"{name}_axis{axis}",
            lambda x, axis=axis: fun(x, axis=axis),
            [(make,)],
            covers=covers,
            **fields,
        )
        for axis in axes
    ]


def _option_rows(name, fun, cases, covers, **fields):
    """One row for each (label, keyword arguments, sample)."""
    return [
        Op(f"{name}_{label}", lambda x, k=keywords: fun(x, **k), samples, covers=covers, **fields)
        for label, keywords, samples in cases
    ]


MASK = numpy.array([[True, False, True, True], [False, True, True, False], [True] * 4])

SUMS = [
    Op(
        "sum",
        np.sum,
        [
            (R(),),
            (R(5),),
            (R(2, 3),),
            (R(0),),
            (C(2, 3),),
            (R(4, dtype=F32),),
            (2.5,),
            (I(0, 9, 4),),
            (B(5),),
        ],
        covers=(np.sum,),
    ),
    *_axis_rows("sum", np.sum, R(2, 3, 4), (np.sum,)),
    *_option_rows(
        "sum",
        np.sum,
        [
            ("keepdims", {"axis": 1, "keepdims": True}, [(R(2, 3),), (C(2, 0),)]),
            ("initial", {"axis": 0, "initial": 2.5}, [(R(2, 3),), (R(0, 2),), (R(3, dtype=F32),)]),
            ("where", {"where": MASK}, [(R(3, 4),), (C(3, 4),), (I(0, 9, 3, 4),)]),
            ("where_row", {"axis": 0, "where": MASK[0]}, [(R(3, 4),)]),
            ("dtype_f4", {"dtype": F32}, [(R(4),), (I(0, 9, 4),)]),
            ("dtype_f8", {"dtype": float, "axis": 0}, [(R(3, 2, dtype=F32),), (B(4),)]),
            ("dtype_i1", {"dtype": numpy.int8}, [(I(0, 99, 20),)]),
            ("dtype_bool", {"dtype": bool}, [(I(0, 2, 4),)]),
            (
                "half",
                {"axis": 0},
                [(I(0, 9, 4, 2, dtype=numpy.uint8),), (R(9, dtype=numpy.float16),)],
            ),
        ],
        (np.sum,),
    ),
    Op("sum_where_data", lambda x: np.sum(x, where=x > 0, axis=0), [(R(4, 3),)], covers=(np.sum,)),
    Op("sum_initial_data", lambda x, y: np.sum(x * y, initial=y), [(R(4), 1.5)], covers=(np.sum,)),
]

PRODS = [
    Op(
        "prod",
        np.prod,
        [
            (R(),),
            (R(5),),
            (R(2, 3),),
            (R(0),),
            (C(2, 2),),
            (R(4, dtype=F32),),
            (2.5,),
            (I(1, 9, 4),),
            (zeros_at(R(4), 1),),
            (zeros_at(R(4), 1, 3),),
            (zeros_at(R(4), 0, 1, 2),),
            (zeros_at(C(3), 2),),
        ],
        order=3,
        covers=(np.prod,),
    ),
    *_axis_rows("prod", np.prod, zeros_at(R(2, 3, 2), 0, 3), (np.prod,)),
    *_option_rows(
        "prod",
        np.prod,
        [
            ("keepdims", {"axis": 1, "keepdims": True}, [(R(2, 3),), (R(2, 0),)]),
            ("initial", {"axis": 0, "initial": 2.5}, [(R(2, 3),), (R(0, 2),)]),
            ("where", {"where": MASK}, [(R(3, 4),)]),
            ("dtype_f4", {"dtype": F32}, [(R(4),), (I(0, 9, 4),)]),
            ("dtype_u1", {"dtype": numpy.uint8}, [(I(0, 99, 6),)]),
        ],
        (np.prod,),
    ),
]

TIES = numpy.array([[1.0, 3.0, 3.0], [2.0, 0.0, 2.0]])

EXTREMES = [
    row
    for name, fun in (("max", np.max), ("min", np.min))
    for row in [
        Op(
            name,
            fun,
            [
                (R(),),
                (D(5),),
                (D(2, 3),),
                (C(4),),
                (D(4, dtype=F32),),
                (2.5,),
                (I(0, 9, 4),),
                (B(5),),
            ],
            covers=(fun,),
        ),
        *_axis_rows(name, fun, D(2, 3, 4), (fun,)),
        *_option_rows(
            name,
            fun,
            [
                ("keepdims", {"axis": 1, "keepdims": True}, [(D(2, 3),)]),
                (
                    "initial",
                    {"axis": 0, "initial": 0.05},
                    [(D(4, 3),), (D(0, 3),), (D(4, dtype=F32),)],
                ),
                ("where", {"axis": 0, "where": MASK, "initial": 0.05}, [(D(3, 4),)]),
                ("initial_int", {"initial": 4}, [(I(0, 9, 5),), (D(4),)]),
            ],
            (fun,),
        ),
    ]
] + [
    Op("ptp", np.ptp, [(D(5),), (D(2, 3),), (D(3, dtype=F32),), (I(0, 9, 4),)], covers=(np.ptp,)),
    *_axis_rows("ptp", np.ptp, D(2, 3, 4), (np.ptp,), axes=(0, -1, (0, 2))),
    Op("ptp_keepdims", lambda x: np.ptp(x, 1, keepdims=True), [(D(2, 3),)], covers=(np.ptp,)),
]

TESTS = (
    [
        row
        for fun in (np.any, np.all)
        for row in [
            Op(
                fun.__name__,
                lambda x, fun=fun: (fun(x), fun(x, axis=0), fun(x, axis=-1, keepdims=True)),
                [
                    (zeros_at(R(2, 3), 1),),
                    (numpy.zeros((2, 2)),),
                    (C(2, 2),),
                    (B(3, 4),),
                    (I(0, 2, 3, 3),),
                    (R(0, 2),),
                ],
                covers=(fun,),
            ),
            Op(
                f"{fun.__name__}_options",
                lambda x, fun=fun: (
                    fun(x, axis=(0, 1)),
                    fun(x, where=MASK),
                    fun(x, where=MASK, axis=1),
                ),
                [(zeros_at(R(3, 4), 1, 5),), (B(3, 4),)],
                covers=(fun,),
            ),
        ]
    ]
    + [
        row
        for fun in (np.argmax, np.argmin)
        for row in [
            Op(
                fun.__name__,
                lambda x, fun=fun: (
                    fun(x),
                    fun(x, axis=0),
                    fun(x, axis=-1, keepdims=True),
                    fun(x, keepdims=True),
                ),
                [(R(2, 3),), (TIES,), (C(3, 2),), (I(0, 3, 4, 4),), (B(3),), (R(2, 3, 4),)],
                covers=(fun,),
            ),
            Op(
                f"{fun.__name__}_scalar",
                lambda x, fun=fun: (fun(x), fun(x, axis=0)),
                [(R(),), (2.5,)],
                covers=(fun,),
            ),
        ]
    ]
    + [
        Op(
            "count_nonzero",
            lambda x: (
                np.count_nonzero(x) + numpy.intp(0),  # a Python int before NumPy 2.3
                np.count_nonzero(x, axis=0),
                np.count_nonzero(x, axis=-1, keepdims=True),
            ),
            [
                (zeros_at(R(2, 3), 1),),
                (zeros_at(C(2, 3), 1),),
                (B(3, 4),),
                (I(0, 2, 3, 3),),
                (R(0, 2),),
            ],
            covers=(np.count_nonzero,),
        ),
    ]
)

CUMULATIVE = [
    Op(
        "cumsum",
        np.cumsum,
        [
            (R(),),
            (R(5),),
            (R(2, 3),),
            (R(0),),
            (C(3),),
            (R(4, dtype=F32),),
            (2.5,),
            (I(0, 9, 4),),
            (B(5),),
        ],
        covers=(np.cumsum,),
    ),
    *_axis_rows("cumsum", np.cumsum, R(2, 3, 4), (np.cumsum,), axes=(0, 1, -1)),
    Op(
        "cumsum_dtype",
        lambda x: np.cumsum(x, dtype=F32),
        [(R(4),), (I(0, 99, 9),)],
        covers=(np.cumsum,),
    ),
    Op(
        "cumprod",
        np.cumprod,
        [
            (R(),),
            (R(5),),
            (R(2, 3),),
            (R(0),),
            (C(3),),
            (R(4, dtype=F32),),
            (2.5,),
            (I(0, 9, 4),),
            (B(5),),
            (zeros_at(R(5), 1),),
            (zeros_at(R(5), 1, 3),),
            (zeros_at(R(4), 0, 1),),
        ],
        order=3,
        covers=(np.cumprod,),
    ),
    *_axis_rows("cumprod", np.cumprod, zeros_at(R(2, 3, 2), 4), (np.cumprod,), axes=(0, 1, -1)),
    Op(
        "cumprod_dtype",
        lambda x: np.cumprod(x, dtype=F32),
        [(R(4),), (I(1, 5, 9),)],
        covers=(np.cumprod,),
    ),
    Op(
        "cumprod_long",
        np.cumprod,
        [(U(0.5, 1.6, 150),), (zeros_at(U(0.5, 1.6, 100), 30),)],
        covers=(np.cumprod,),
    ),
]
if hasattr(np, "cumulative_sum"):
    CUMULATIVE += [
        Op(
            fun.__name__,
            lambda x, fun=fun: (
                fun(x, axis=0),
                fun(x, axis=-1, include_initial=True),
                fun(x, axis=0, dtype=F32),
            ),
            [(R(4),), (R(2, 3),), (R(),), (I(0, 9, 4),), (R(0),)],
            covers=(fun,),
        )
        for fun in (np.cumulative_sum, np.cumulative_prod)
    ]

HOLES = nans_at(D(3, 4), 1, 6, 7)
COMPLEX_HOLES = nans_at(C(3, 4), 1, 6, 7)

SKIPPING = (
    [
        row
        for fun in (np.nansum, np.nanprod, np.nanmax, np.nanmin)
        for row in [
            Op(
                fun.__name__,
                fun,
                [
                    (HOLES,),
                    (HOLES.astype(F32),),
                    (COMPLEX_HOLES,),
                    (D(4),),
                    (I(0, 9, 4),),
                    (1.5,),
                    (R(),),
                ],
                covers=(fun,),
            ),
            *_axis_rows(fun.__name__, fun, HOLES, (fun,), axes=(0, -1, (0, 1))),
            Op(
                f"{fun.__name__}_options",
                lambda x, fun=fun: (
                    fun(x, axis=0, keepdims=True),
                    fun(x, initial=0.05),
                    fun(x, axis=1, initial=0.05, where=MASK),
                ),
                [(HOLES,), (D(3, 4),)],
                covers=(fun,),
            ),
        ]
    ]
    + [
        row
        for fun in (np.nancumsum, np.nancumprod)
        for row in [
            Op(
                fun.__name__,
                fun,
                [(HOLES,), (HOLES.astype(F32),), (COMPLEX_HOLES,), (I(0, 9, 4),)],
                covers=(fun,),
            ),
            *_axis_rows(fun.__name__, fun, HOLES, (fun,), axes=(0, -1)),
        ]
    ]
    + [
        Op(
            fun.__name__,
            lambda x, fun=fun: (fun(x), fun(x, axis=0), fun(x, axis=-1, keepdims=True)),
            [(HOLES,), (COMPLEX_HOLES,), (I(0, 9, 4, 2),)],
            covers=(fun,),
        )
        for fun in (np.nanargmax, np.nanargmin)
    ]
)

OLD_NAMES = [
    Op("amax", lambda x: (np.amax(x), np.amax(x, axis=0)), [(D(2, 3),)], covers=(np.amax,)),
    Op("amin", lambda x: (np.amin(x), np.amin(x, axis=0)), [(D(2, 3),)], covers=(np.amin,)),
]

ROWS: list[Op] = [*OLD_NAMES, *SUMS, *PRODS, *EXTREMES, *TESTS, *CUMULATIVE, *SKIPPING]
