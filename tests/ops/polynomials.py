"""Polynomials with the highest power first."""

import numpy
from op_row import C, I, Op, R, U

import xnp as np

X = numpy.linspace(-1.0, 2.0, 8)
REAL_ROOTS = numpy.array([1.5, -1.0, -3.2, 0.7])
COMPLEX_ROOTS = numpy.array([1.0, 0.4, 2.0, -0.3])
WEIGHTS = U(0.5, 2, 8)

ROWS: list[Op] = [
    Op(
        "poly",
        np.poly,
        [(R(4),), (R(1),), (C(3),), (R(3, dtype=numpy.float32),), (I(0, 4, 3),), (R(0),)],
        covers=(np.poly,),
    ),
    Op(
        "poly_matrix",
        np.poly,
        [(R(3, 3),), (R(2, 2, seed=3),)],
        covers=(np.poly,),
        rtol=1e3,
        reason="eigenvalues",
    ),
    Op(
        "poly_conjugates",
        lambda r, s: np.poly(np.stack([r + 1j * s, r - 1j * s])),
        [(0.5, 1.5), (R(), R(seed=1))],
        covers=(np.poly,),
    ),
    Op(
        "roots",
        np.roots,
        [
            (numpy.poly(REAL_ROOTS),),
            (COMPLEX_ROOTS,),
            (C(4),),
            (numpy.array([2.0, 3.0]),),
            (numpy.array([2.0]),),
            (numpy.array([1, -5, 6]),),
        ],
        covers=(np.roots,),
        rtol=1e3,
        reason="eigenvalues",
    ),
    Op(
        "polyval",
        np.polyval,
        [(R(4), R(3)), (R(4), 0.5), (C(3), R(2, 2)), (R(0), R(2))],
        covers=(np.polyval,),
    ),
    Op(
        "polyval_single",
        np.polyval,
        [(R(3, dtype=numpy.float32), R(2)), (I(0, 5, 3), R(2))],
        covers=(np.polyval,),
    ),
    Op(
        "polyadd",
        np.polyadd,
        [(R(3), R(5)), (R(4), R(2)), (C(2), R(2)), (1.5, R(2))],
        covers=(np.polyadd,),
    ),
    Op(
        "polysub",
        np.polysub,
        [(R(3), R(5)), (R(4), R(2)), (C(2), R(2)), (R(2), 1.5)],
        covers=(np.polysub,),
    ),
    Op("polymul", np.polymul, [(R(3), R(5)), (C(2), R(3)), (2.5, R(3))], covers=(np.polymul,)),
    Op(
        "polydiv",
        np.polydiv,
        [(R(5), R(3)), (R(3), R(5)), (C(4), R(2)), (R(3), R(3, seed=1))],
        covers=(np.polydiv,),
    ),
    Op(
        "polyder",
        np.polyder,
        [(R(4),), (C(3),), (R(1),), (R(3, dtype=numpy.float32),)],
        covers=(np.polyder,),
    ),
    Op("polyder_m", lambda p: np.polyder(p, 2), [(R(5),), (R(2),)], covers=(np.polyder,)),
    Op(
        "polyint",
        np.polyint,
        [(R(4),), (C(3),), (R(1),), (R(3, dtype=numpy.float32),)],
        covers=(np.polyint,),
    ),
    Op(
        "polyint_k",  # NumPy dispatches on p only
        lambda p, k: np.polyint(p + 0 * np.sum(k), 2, k),
        [(R(3), 1.5), (R(3), R(2)), (C(2), R(3))],
        covers=(np.polyint,),
    ),
    Op(
        "polyfit",
        lambda x, y: np.polyfit(x, y, 2),
        [(X, R(8)), (X, R(8, 2)), (X, C(8)), (U(0, 3, 6), R(6))],
        covers=(np.polyfit,),
        rtol=1e4,
        reason="a least squares problem's condition number",
    ),
    Op(
        "polyfit_weights",
        lambda x, y, w: np.polyfit(x, y, 1, w=w),
        [(X, R(8), WEIGHTS), (X, R(8, 2), WEIGHTS)],
        covers=(np.polyfit,),
        rtol=1e4,
        reason="a least squares problem's condition number",
    ),
    Op(
        "polyfit_cov",
        lambda x, y: np.polyfit(x, y, 2, cov=True),
        [(X, R(8)), (X, R(8, 2))],
        covers=(np.polyfit,),
        rtol=1e5,
        reason="a least squares problem's condition number",
    ),
    Op(
        "polyfit_cov_unscaled",
        lambda x, y, w: np.polyfit(x, y, 1, cov="unscaled", w=w),
        [(X, R(8), WEIGHTS)],
        covers=(np.polyfit,),
        rtol=1e5,
        reason="a least squares problem's condition number",
    ),
    Op(
        "polyfit_full",
        lambda x, y: np.polyfit(x, y, 1, full=True)[:2],
        [(X, R(8))],
        covers=(np.polyfit,),
        rtol=1e4,
        reason="a least squares problem's condition number",
    ),
    Op(
        "poly1d",
        lambda p, x: (np.poly1d(p) * np.poly1d([1.0, 2.0]) + 3.0)(x),
        [(R(3), R(4)), (R(2), 0.5)],
        covers=(np.polyval, np.polymul, np.polyadd),
    ),
]
