"""Choosing between arrays: where, select, piecewise, choose, compress, along an axis."""

import numpy
from op_row import B, C, I, Op, R

import xnp as np

F4 = "f4"


def _piecewise(x):
    return np.piecewise(x, [x < -0.5, x > 0.5], [lambda v: v * v, np.exp, 3.0])


def _piecewise_with_arguments(x, a):
    return np.piecewise(np.array(x), np.array(x) > 0, [lambda v, a: v * a, lambda v, a: v * v], a)


def _safe_sqrt(x):
    return np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0)


ROWS: list[Op] = [
    Op(
        "where",
        lambda mask, x, y: np.where(mask, x * x, y * x),
        [
            (B(3), R(3), R(3)),
            (B(2, 1), R(3), R()),
            (B(), R(2), 1.5),
            (B(3), C(3), R(1)),
            (B(2), R(2, dtype=F4), 2.0),
            (R(3), R(3), R(3, seed=1)),
            (B(0), R(0), R(1)),
        ],
        diff=(1, 2),
        reason="the condition of one sample is a float",
        covers=(numpy.where,),
    ),
    Op("where_integers", lambda i, x: np.where(i > 2, i, x), [(I(0, 5, 3), R(3)), (I(0, 5), R(2))]),
    Op("where_safe", _safe_sqrt, [(R(5),), (R(),), (R(2, 3, dtype=F4),)]),
    Op(
        "where_one_argument",
        lambda x, mask: x[np.where(mask)],
        [(R(3, 4), B(3, 4)), (C(4), B(4))],
        vmap=False,
        reason="the result's size depends on the mask",
        covers=(numpy.where,),
    ),
    Op(
        "select",
        lambda x, y: (
            np.select([x < -0.5, x > 0.5], [x * y, y * y]),
            np.select([x < 0, x < 1, x < 9], [x, x * x, y], default=y * x),
            np.select([x < 0], [1], 2.5),
        ),
        [(R(4), R(4)), (R(2, 3), R(3)), (R(), R()), (R(3, dtype=F4), R(3, dtype=F4)), (R(0), R(1))],
        covers=(numpy.select,),
    ),
    Op(
        "select_wider_default",
        lambda x: (
            np.select([x[:1] > 0], [x[:1]], x),
            np.select([np.sum(x) > 9], [np.sum(x)], x[:1]),
            np.select([x[:1] > 0, x > 1], [x[:1], np.sum(x)], x[:, None]),
        ),
        [(R(3),), (C(1).real,), (R(4, dtype=F4),)],
        covers=(numpy.select,),
    ),
    Op(
        "piecewise",
        _piecewise,
        [(R(5),), (R(2, 3),), (R(),), (R(4, dtype=F4),), (R(0),)],
        covers=(numpy.piecewise,),
    ),
    Op(
        "piecewise_with_arguments",
        _piecewise_with_arguments,
        [(R(5), R())],
        covers=(numpy.piecewise,),
    ),
    Op(
        "choose",
        lambda i, x, y: (
            np.choose(i, [x, y, x * y]),
            np.choose(i + 2, (x, y), mode="wrap"),
            np.choose(i - 1, (x, y), mode="clip"),
        ),
        [(I(0, 3, 4), R(4), R()), (I(0, 3, 2, 1), R(3), R(2, 1)), (I(0, 3), C(2), R(2))],
        covers=(numpy.choose,),
    ),
    Op(
        "choose_from_array",
        lambda i, x: np.choose(i, x * x),
        [(I(0, 3, 2), R(3, 2)), (I(0, 3), R(3))],
    ),
    Op(
        "compress",
        lambda x: (
            np.compress([True, False, True], x),
            np.compress([False, True], x, axis=0),
            np.compress([0, 1, 1], x, axis=-1),
        ),
        [(R(3),), (R(2, 3),), (C(3, 3),), (R(3, dtype=F4),)],
        covers=(numpy.compress,),
    ),
    Op(
        "extract",
        lambda mask, x: np.extract(mask, x * x),
        [(B(4), R(4)), (B(2, 3), R(2, 3)), (numpy.zeros(2, bool), R(2)), (B(3), C(3))],
        vmap=(1,),
        reason="the result's size depends on the mask",
        covers=(numpy.extract,),
    ),
    Op(
        "apply_along_axis",
        lambda x: (
            np.apply_along_axis(lambda v: v[0] * v, 0, x),
            np.apply_along_axis(lambda v: np.stack([v, v * v]), -1, x),
            np.apply_along_axis(np.sum, 1, x),
        ),
        [(R(2, 3),), (C(2, 2),), (R(2, 2, 2),), (R(3, 1, dtype=F4),)],
        covers=(numpy.apply_along_axis,),
    ),
    Op(
        "apply_over_axes",
        lambda x: np.apply_over_axes(np.sum, x * x, [0, -1]),
        [(R(2, 3),), (C(2, 2, 3),), (R(2, 2, dtype=F4),)],
        covers=(numpy.apply_over_axes,),
    ),
]
