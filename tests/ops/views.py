"""Views and writing through them, r_, c_ and vectorize."""

from typing import Any

import numpy
from op_row import C, Op, R

import xnp as np


def _write_parts(z: Any, x: Any, y: Any) -> Any:
    z = np.array(z)
    z.real = x
    z.imag[...] = y
    return z


def _fortran(x: Any) -> Any:
    return np.array(x, order="F").ravel("K")


def _through_flat(x: Any, y: Any) -> Any:
    x = np.array(x)
    x.T.flat[1::2] = y
    return x


def _vectorized(x: Any, y: Any) -> Any:
    return np.vectorize(lambda a, b: a * b)(x, y)


ROWS: list[Op] = [
    Op(
        "ndarray.diagonal",
        lambda x: x.diagonal(1, 0, -1) * 2,
        [(R(3, 4),), (C(2, 3, 2),), (R(2, 0),), (R(2, 2, dtype=numpy.float32),)],
    ),
    Op("ndarray.copy", lambda x: x.T.copy().ravel(), [(R(2, 3),), (C(3),), (R(0, 2),)]),
    Op("order F", _fortran, [(R(2, 3),), (R(2, 1, 3, dtype=numpy.float32),)]),
    Op(
        "writing real and imag",
        _write_parts,
        [(C(2, 3), R(2, 3), R(2, 3, seed=1)), (C(3), R(3), R()), (C(0), R(0), R(0))],
    ),
    Op("ndarray.flat", _through_flat, [(R(2, 3), R(3)), (R(3, 1), R(1)), (C(2, 2), C(2, seed=1))]),
    Op("ndarray.item", lambda x: x.item(1) * x[0].tolist()[0], [(R(2, 2),), (C(1, 2),)]),
    Op("r_", lambda x, y: np.r_[x, 1.0, y], [(R(3), R(2)), (R(), R(2)), (C(1), R())]),
    Op("c_", lambda x, y: np.c_[x, y], [(R(3), R(3, seed=1)), (R(2, 1), R(2, 2))]),
    Op("vectorize", _vectorized, [(R(2, 1), R(3)), (C(2), R(2))]),
]
