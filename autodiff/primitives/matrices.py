"""What the rules on matrices share. The last two axes of a Value are a matrix, or its last axis a
vector; the axes before are a stack of them, which NumPy's functions loop over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Aval, Primitive, Value, dtype_of, ndim_of, shape_of
from ..rules import convert, imag_p, real_dtype, real_p, reduce_sum_p, reshape_p
from ..sizes import iota, size_value
from .elementwise import conjugate_p, equal_p, greater_equal_p, multiply_p
from .indexing import getitem_p
from .manipulation import transpose_p

FULL = slice(None)


def is_complex(x: Any) -> bool:
    return dtype_of(x).kind == "c"


def precision(x: Any) -> float:
    """The machine epsilon of the dtype of ``x``."""
    return float(np.finfo(dtype_of(x)).eps)


def transposed(x: Value) -> Value:
    """Every matrix transposed."""
    if type(x) is np.ndarray:
        return x.swapaxes(-1, -2)
    n = ndim_of(x)
    return transpose_p(x, axes=(*range(n - 2), n - 1, n - 2))


def conjugated(x: Value) -> Value:
    return conjugate_p(x) if is_complex(x) else x


def adjoint(x: Value) -> Value:
    """Every matrix transposed and conjugated."""
    return conjugated(transposed(x))


def real_part(x: Value) -> Value:
    return real_p(x) if is_complex(x) else x


def imag_part(x: Value) -> Value:
    return imag_p(x)


def column(x: Value) -> Value:
    """Vectors as matrices of one column; on a row of factors, to scale the rows of a matrix."""
    return reshape_p(x, shape=(*shape_of(x), 1))


def row(x: Value) -> Value:
    """Vectors as matrices of one row."""
    shape = shape_of(x)
    return reshape_p(x, shape=(*shape[:-1], 1, shape[-1]))


def as_scale(x: Value) -> Value:
    """One number for each matrix, with two axes of length 1 added."""
    return reshape_p(x, shape=(*shape_of(x), 1, 1))


def part(x: Value, *index: Any) -> Value:
    """``x[..., index]``."""
    lead = (FULL,) * (ndim_of(x) - len(index))
    return getitem_p(x, index=(*lead, *index))


def diagonal(x: Value) -> Value:
    """The main diagonals, of length min(m, n)."""
    *lead, m, n = shape_of(x)
    k = min(m, n)
    if k != n:
        x = part(x, FULL, slice(0, k))
    if k != m:
        x = part(x, slice(0, k), FULL)
    flat = reshape_p(x, shape=(*lead, k * k))
    return part(flat, slice(None, None, k + 1))


def trace(x: Value) -> Value:
    return reduce_sum_p(diagonal(x), axes=(ndim_of(x) - 2,))


def sum_matrices(x: Value) -> Value:
    """The sum over the last two axes."""
    n = ndim_of(x)
    return reduce_sum_p(x, axes=(n - 2, n - 1))


def eye(m: Any, n: Any, k: int, dtype: np.dtype[Any]) -> Value:
    """``np.eye(m, n, k, dtype)``."""
    if type(m) is int and type(n) is int:
        return np.eye(m, n, k, dtype)
    return convert(equal_p(column(iota(m)) + k, iota(n)), dtype)


def tri(m: Any, n: Any, k: int, dtype: np.dtype[Any]) -> Value:
    """``np.tri(m, n, k, dtype)``."""
    if type(m) is int and type(n) is int:
        return np.tri(m, n, k, dtype)
    return convert(greater_equal_p(column(iota(m)) + k, iota(n)), dtype)


def size_times(n: Any, factor: float, like: Any) -> Value:
    """``n * factor`` for a size, a number of the real dtype of ``like`` or a Python number."""
    if type(n) is int:
        return n * factor
    return convert(multiply_p(size_value(n), factor), real_dtype(dtype_of(like)))


def identity(n: Any, like: Any) -> Any:
    """The identity in the real dtype of ``like``."""
    return eye(n, n, 0, real_dtype(dtype_of(like)))


def lower_mask(n: Any, like: Any, k: int = 0) -> Any:
    """Ones on and below the k-th diagonal, in the real dtype of ``like``."""
    return tri(n, n, k, real_dtype(dtype_of(like)))


def triangle(x: Value, uplo: str) -> Value:
    """The Hermitian matrix that LAPACK sees where it reads one triangle of ``x``."""
    n = shape_of(x)[-1]
    strict = lower_mask(n, x, -1)
    half = x * (strict if uplo == "L" else transposed(strict))
    return half + adjoint(half) + real_part(x) * identity(n, x)


def triangle_transpose(ct: Value, uplo: str) -> Value:
    """The transpose of `triangle`, for the pairing without conjugation:
    Re(g_ij x_ij + g_ji conj(x_ij)) = Re((g_ij + conj(g_ji)) x_ij).
    """
    n = shape_of(ct)[-1]
    strict = lower_mask(n, ct, -1)
    half = (ct + adjoint(ct)) * (strict if uplo == "L" else transposed(strict))
    return half + real_part(ct) * identity(n, ct)


def stack_batch(*core: int) -> Callable[..., Any]:
    """The batching of a primitive that acts on the last ``core[i]`` axes of argument i and
    broadcasts the others: the batch is one more of those.
    """

    def batch(primitive: Primitive, size: Any, args: Any, batched: Any, **params: Any) -> Any:
        leads = [ndim_of(a) - b - c for a, b, c in zip(args, batched, core, strict=True)]
        lead = max(leads)
        values = []
        for a, b, own in zip(args, batched, leads, strict=True):
            if b and own < lead:
                shape = shape_of(a)
                a = reshape_p(a, shape=(shape[0], *(1 for _ in range(lead - own)), *shape[1:]))
            values.append(a)
        return primitive(*values, **params), True

    return batch


def same_type(x: Aval, **_: Any) -> Aval:
    """The shape rule of what keeps shape and dtype."""
    return Aval(x.shape, x.dtype)
