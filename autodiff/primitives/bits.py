"""Bits of integers, packed into bytes and taken out of them. They have no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..core import Aval, Constant
from ..rules import batch_axis

_BYTE = np.dtype(np.uint8)


def _packed_shape(x: Aval, *, axis: int, bitorder: str) -> Aval:
    return Aval(shapes.with_size(x.shape, axis, (x.shape[axis] + 7) // 8), _BYTE)


# Whether elements are not zero, eight in a byte along an axis; the last one is filled with zeros.
packbits_p = Constant(
    "packbits",
    lambda x, *, axis, bitorder: np.packbits(x, axis, bitorder),
    shape=_packed_shape,
    batch=batch_axis,
)


def _unpacked_shape(x: Aval, *, axis: int, count: Any, bitorder: str) -> Aval:
    size = 8 * x.shape[axis]
    if count is not None:
        size = count if count >= 0 else size + count
    return Aval(shapes.with_size(x.shape, axis, size), _BYTE)


# The bits of bytes as zeros and ones: the first ``count``, zeros behind them, or all but the last.
unpackbits_p = Constant(
    "unpackbits",
    lambda x, *, axis, count, bitorder: np.unpackbits(x, axis, count, bitorder),
    shape=_unpacked_shape,
    batch=batch_axis,
)
