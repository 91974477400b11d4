"""What handles do by themselves: operators, indexing, in-place writing, views."""

import numpy
from op_row import B, C, I, Op, R, U

import xnp as np


def _fill_in_loop(x):
    """The recurrence f[i] = f[i-1] * x, written in place."""
    f = np.zeros(5) + x * 0
    f[0] = x
    for i in range(1, 5):
        f[i] = f[i - 1] * x
    return f


def _assign(index):
    def fun(x, value):
        y = np.array(x) * 2.0  # np.array: a plain ndarray cannot hold a traced value
        y[index] = value
        return y * y

    return fun


def _write_through_view(x):
    y = x + 0.0
    row = y[1]
    row *= x[0]
    y.T[0] += row
    return y


ROWS: list[Op] = [
    Op(
        "operator_arithmetic",
        lambda x, y: (x + y) * x - y / (x * x + 1.0),
        [(R(3), R(2, 3)), (R(), R(2)), (C(2), R(2)), (R(2, dtype="f4"), 1.5), (R(0), R(1))],
        covers=(numpy.add, numpy.subtract, numpy.multiply, numpy.divide),
    ),
    Op(
        "operator_reflected",
        lambda x: 2.0 - x + 3.0 / (2.0 + x * x) - x,
        [(R(3),), (R(),), (C(2),), (R(3, dtype="f4"),), (0.5,)],
    ),
    Op("operator_integers", lambda x, y: (x + y, x * y, x - y), [(I(0, 9, 3), I(1, 5, 2, 3))]),
    Op(
        "getitem_basic",
        lambda x: (x[1], x[::-1, 1:], x[..., None, 0], x[-1, 2]),
        [(R(3, 4),), (C(3, 4),), (R(3, 4, dtype="f4"),), (R(4, 3).T,), (R(3, 8)[:, ::-2],)],
    ),
    Op(
        "getitem_integer_arrays",
        lambda x, i: (np.array(x)[i], np.array(x)[:, i], np.array(x)[i, i]),
        [(R(3, 3), I(0, 3, 4)), (C(3, 3), I(-3, 3, 2, 2)), (R(3, 3), I(0, 1, 0))],
    ),
    Op(
        "getitem_mask",
        lambda x, mask: x[mask],
        [(R(3, 4), B(3, 4)), (R(3, 4), B(3)), (C(4), B(4))],
        vmap=False,
        reason="the result's size depends on the mask",
    ),
    Op("setitem_slice", _assign(slice(1, 3)), [(R(4), R(2)), (R(4), R()), (C(4, 2), R(1, 2))]),
    Op("setitem_repeated", _assign([0, 1, 0]), [(R(3), R(3)), (R(3, 2), R(3, 2))]),
    Op("setitem_loop", _fill_in_loop, [(U(0.5, 1.0),)]),
    Op("setitem_view", _write_through_view, [(R(3, 3),)]),
]
