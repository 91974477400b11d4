"""Differences, gradients on grids, the trapezoidal rule, interpolation, windows."""

import numpy
from op_row import B, C, I, Op, R, U

import xnp as np

X = numpy.array([0.0, 0.7, 1.1, 2.5, 3.0, 4.2])  # uneven coordinates
XP = numpy.array([-1.0, -0.2, 0.5, 1.5, 2.0])
AT = numpy.array([[-0.9, 0.1, 1.2], [1.9, 0.6, -0.4]])  # away from the knots


def _interp(**options):
    return lambda x, xp, fp: np.interp(x, xp, fp, **options)


DIFF = [
    Op("diff", np.diff, [(R(6),), (R(3, 4),), (R(1),), (R(0),), (C(4),), (R(2, 0, 3),)]),
    Op("diff_single", np.diff, [(R(5, dtype=numpy.float32),), (I(0, 9, 5),), (B(5),)]),
    Op("diff_n", lambda a: np.diff(a, 2, axis=0), [(R(5),), (R(4, 3),), (R(2),)]),
    Op(
        "diff_ends",
        lambda a, p, q: np.diff(a, prepend=p, append=q),
        [
            (R(3, 4), R(3, 2, seed=1), R(3, 1, seed=2)),
            (R(4), 1.5, 2.5),
            (R(4, dtype=numpy.float32), R(2, seed=1), numpy.float32(3)),
        ],
    ),
    Op("diff_prepend", lambda a, p: np.diff(a, n=2, axis=0, prepend=p), [(R(3, 2), R(seed=1))]),
    Op("ediff1d", np.ediff1d, [(R(5),), (R(2, 3),), (R(1),), (C(4),), (I(0, 9, 4),)]),
    Op(
        "ediff1d_ends",
        lambda a, e, b: np.ediff1d(a, to_end=e, to_begin=b),
        [(R(4), R(2, seed=1), R(seed=2)), (R(3, dtype=numpy.float32), R(1, seed=1), 2.0)],
    ),
]

GRADIENT = [
    Op("gradient", np.gradient, [(R(6),), (R(2),), (C(4),), (I(0, 9, 5),)]),
    Op("gradient_2d", np.gradient, [(R(3, 4),), (R(2, 3, dtype=numpy.float32),)]),
    Op("gradient_axis", lambda f: np.gradient(f, axis=-1), [(R(3, 4),)]),
    Op("gradient_axes", lambda f: np.gradient(f, 0.5, 2.0, axis=(1, 0)), [(R(3, 4),)]),
    Op("gradient_edge2", lambda f: np.gradient(f, edge_order=2), [(R(5),), (R(3, 4),)]),
    Op("gradient_scalar", np.gradient, [(R(5), 0.3), (R(5), U(1, 2, seed=1)), (R(3, 4), 0.3)]),
    Op("gradient_coordinates", np.gradient, [(R(6), X), (R(6, dtype=numpy.float32), X)]),
    Op("gradient_even_coordinates", np.gradient, [(R(5), numpy.arange(5.0)), (R(2), X[:2])]),
    Op(
        "gradient_mixed",
        lambda f, x, h: np.gradient(f, x, h, edge_order=2),
        [(R(6, 3), X, 0.5), (R(4, 5), X[:4], X[1:])],
    ),
]

TRAPEZOID = [
    Op("trapezoid", np.trapezoid, [(R(5),), (R(3, 4),), (C(4),), (R(1),), (I(0, 9, 4),)]),
    Op("trapezoid_single", np.trapezoid, [(R(5, dtype=numpy.float32),)]),
    Op("trapezoid_x", np.trapezoid, [(R(6), X), (R(3, 6), X), (R(2, 6), R(2, 6, seed=1))]),
    Op("trapezoid_dx", lambda y, h: np.trapezoid(y, dx=h, axis=0), [(R(4, 2), 0.3)]),
    Op("trapezoid_axis", lambda y, x: np.trapezoid(y, x, axis=0), [(R(6, 2), X), (R(6), X)]),
]

INTERP = [
    Op("interp", np.interp, [(AT, XP, R(5)), (R(seed=1), XP, R(5)), (R(4), XP, C(5))]),
    Op("interp_float", np.interp, [(0.3, XP, R(5)), (R(3, dtype=numpy.float32), XP, R(5))]),
    Op("interp_outside", np.interp, [(numpy.array([-3.0, 0.1, 9.0]), XP, R(5))]),
    Op("interp_one_point", np.interp, [(numpy.array([-3.0, 9.0]), XP[:1], R(1))]),
    Op("interp_lists", lambda x: np.interp(x, [0, 1, 2], [3, 5, 4]), [(U(0, 2, 4),)]),
    # NumPy dispatches on x, xp and fp only, so one of them must be traced with the others.
    Op(
        "interp_ends",
        lambda x, xp, fp, low, high: np.interp(x + 0 * (low + high), xp, fp, low, high),
        [(numpy.array([-3.0, 0.1, 9.0]), XP, R(5), 0.5, 1.5)],
    ),
    Op("interp_period", _interp(period=4.0), [(AT * 3, XP * 3, R(5)), (AT - 7, XP, C(5))]),
    Op(
        "interp_of_period",
        lambda x, p: np.interp(x + 0 * p, XP, R(5), period=p),
        [(numpy.array([-5.1, 0.1, 9.0]), 4.3)],
    ),
]

WINDOWS = [
    Op("kaiser", lambda beta: np.kaiser(7, beta), [(U(1, 9),), (2.5,), (numpy.float32(3),)]),
    Op("kaiser_short", lambda beta: np.kaiser(1, beta) + np.kaiser(2, beta), [(2.5,)]),
    Op(
        "windows",
        lambda x: x * np.hanning(6) + np.hamming(6) * np.blackman(6) - x * np.bartlett(6),
        [(R(6),), (R(2, 6),)],
    ),
]


def _covering(rows, *covers):
    return [Op(**{**vars(row), "covers": covers}) for row in rows]


ROWS: list[Op] = [
    *_covering(DIFF, np.diff, np.ediff1d),
    *_covering(GRADIENT, np.gradient),
    *_covering(TRAPEZOID, np.trapezoid),
    *_covering(INTERP, np.interp),
    *WINDOWS,
]
