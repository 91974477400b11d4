"""Copies in memory order, diagonals, and complex numbers from their parts.

With reshape, transpose and getitem they are what the views of `autodiff.views` read and write by.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import shapes
from ..core import Aval, Primitive, Value, dtype_of, shape_of
from ..rules import JointlyLinear, Linear, batch_unchanged, imag_p, real_p
from .elementwise import elementwise_batch

# The same numbers in a new, C-contiguous array. Only the layout differs, which decides whether a
# later reshape is a view; so the transpose has nothing to do.
copy_p = Linear(
    "copy",
    lambda x: np.array(x, order="C"),
    lambda ct, x: ct,
    shape=lambda x: Aval(x.shape, x.dtype),
    batch=batch_unchanged,
)


def _diagonal_shape(x: Aval, *, offset: int, axis1: int, axis2: int) -> Aval:
    rows, columns = x.shape[axis1], x.shape[axis2]
    rest = tuple(d for i, d in enumerate(x.shape) if i not in (axis1, axis2))
    length = min(rows + min(offset, 0), columns - max(offset, 0))
    return Aval((*rest, length if length >= 0 else 0), x.dtype)


def _diagonal_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, offset: int, axis1: int, axis2: int
) -> Any:
    return diagonal_p(args[0], offset=offset, axis1=axis1 + 1, axis2=axis2 + 1), True


# The transpose of reading a diagonal is writing it into zeros, and the other way round.
diagonal_p = Linear(
    "diagonal",
    lambda x, *, offset, axis1, axis2: np.diagonal(x, offset, axis1, axis2),
    lambda ct, x, **where: embed_diagonal_p(ct, shape=shape_of(x), **where),
    shape=_diagonal_shape,
    batch=_diagonal_batch,
)


def _embed_diagonal(x: Any, *, shape: tuple[Any, ...], offset: int, axis1: int, axis2: int) -> Any:
    out = np.zeros(shape, dtype_of(x))
    diagonal = np.diagonal(out, offset, axis1, axis2)
    diagonal.flags.writeable = True  # NumPy gives a read-only view of our own array
    diagonal[...] = x
    return out


def _embed_diagonal_batch(
    primitive: Primitive,
    size: Any,
    args: Any,
    batched: Any,
    *,
    shape: Any,
    offset: int,
    axis1: int,
    axis2: int,
) -> Any:
    where = {"offset": offset, "axis1": axis1 + 1, "axis2": axis2 + 1}
    return embed_diagonal_p(args[0], shape=(size, *shape), **where), True


# Zeros of ``shape`` with x, whose last axis is the diagonal's, on a diagonal.
embed_diagonal_p = Linear(
    "embed_diagonal",
    _embed_diagonal,
    lambda ct, x, *, shape, **where: diagonal_p(ct, **where),
    shape=lambda x, *, shape, offset, axis1, axis2: Aval(shape, x.dtype),
    batch=_embed_diagonal_batch,
)


def _complex_dtype(real: Any, imag: Any) -> np.dtype[Any]:
    return np.result_type(real.dtype, imag.dtype, np.complex64)


def _join_parts(real: Any, imag: Any) -> Any:
    real, imag = np.broadcast_arrays(real, imag)
    out = np.empty_like(real, dtype=_complex_dtype(real, imag), subok=False)
    out.real = real
    out.imag = imag
    return out


def _join_parts_transpose(i: int, ct: Value, args: Sequence[Any]) -> Value:
    return real_p(ct) if i == 0 else -imag_p(ct)


# real + i imag for arrays of one shape, exact for infinite and signed zero parts, which the product
# with 1j is not. Re(ct * i y_dot) = -Im(ct) y_dot.
join_parts_p = JointlyLinear(
    "join_parts",
    _join_parts,
    _join_parts_transpose,
    shape=lambda real, imag: Aval(
        shapes.broadcast(real.shape, imag.shape), _complex_dtype(real, imag)
    ),
    batch=elementwise_batch,
)
