"""The QR decomposition, in all of NumPy's modes.

References: S. F. Walter, L. Lehmann, R. Lamour, "On evaluating higher-order derivatives of the QR
decomposition of tall matrices with full column rank" (2012); G. Ballard et al., "Reconstructing
Householder vectors from tall-skinny QR" (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Aval, Value, dtype_of, ndim_of, shape_of
from ..rules import General, real_dtype, zeros
from .contraction import matmul_p
from .indexing import setitem_p
from .linalg import solve_p
from .manipulation import concatenate_p
from .matrices import (
    FULL,
    adjoint,
    column,
    diagonal,
    eye,
    identity,
    imag_part,
    is_complex,
    lower_mask,
    part,
    stack_batch,
    transposed,
    tri,
)


# A = Q R. Let A1 be the first min(m, n) columns, R1 those of R, C = Q^H dA1 R1^-1 and W = Q^H dQ,
# which is antihermitian. dR1 R1^-1 = C - W is upper triangular with a real diagonal (LAPACK makes
# that of R real), so W is the strictly lower part of C less its adjoint, plus i Im(diag C). Then
# dQ = Q W + (1 - Q Q^H) dA1 R1^-1 and dR = Q^H dA - W R, for wide matrices too.
def _qr_jvp(ans: Any, args: Any, dots: Sequence[Value]) -> Any:
    (q, r), a_dot = ans, dots[0]
    k = shape_of(q)[-1]
    first = slice(0, k)
    wide = shape_of(r)[-1] > k
    r1 = part(r, FULL, first) if wide else r
    a1_dot = part(a_dot, FULL, first) if wide else a_dot
    scaled = transposed(solve_p(transposed(r1), transposed(a1_dot)))
    c = matmul_p(adjoint(q), scaled)
    lower = c * lower_mask(k, c, -1)
    w = lower - adjoint(lower)
    if is_complex(c):
        w = w + column(imag_part(diagonal(c)) * 1j) * identity(k, c)
    q_dot = matmul_p(q, w)
    if shape_of(q)[-2] > k:
        q_dot = q_dot + scaled - matmul_p(q, c)
    r_dot = matmul_p(adjoint(q), a_dot) - matmul_p(w, r)
    return q_dot, r_dot * _upper_mask(r)


def _upper_mask(r: Value) -> Any:
    m, n = shape_of(r)[-2:]
    return 1 - tri(m, n, -1, real_dtype(dtype_of(r)))


def _qr_shape(a: Aval) -> Any:
    *lead, m, n = a.shape
    k = min(m, n)
    return Aval((*lead, m, k), a.dtype), Aval((*lead, k, n), a.dtype)


qr_p = General(
    "qr",
    lambda a: tuple(np.linalg.qr(a)),
    _qr_jvp,
    multiple=True,
    shape=_qr_shape,
    batch=stack_batch(2),
)


# LAPACK's Q is a product of reflectors, Q = 1 - V T V^H, with V unit lower trapezoidal and T upper
# triangular with tau on its diagonal. So Q E - E = V W, with E the first k columns of the identity,
# V1 the first k rows of V and W = -T V1^H upper triangular: V and W are the LU factors of Q E - E
# without pivoting, which are stable because diag(Q E - E) = -tau has modulus at least 1. With
# M = V W, V1^-1 dM1 W^-1 = V1^-1 dV1 + dW W^-1 splits into a strictly lower and an upper part.
# In a square matrix the last reflector may be trivial (tau = 0): then the last column of V is that
# of the identity, and the last diagonal element of W divides nothing: 1 is added to keep W regular
# (it is -tau, and |tau - 1| = 1 or tau = 0).
def _householder_jvp(ans: Any, args: Any, dots: Sequence[Value]) -> Any:
    (v, w), m_dot = ans, dots[0]
    k = shape_of(w)[-1]
    v1 = part(v, slice(0, k), FULL)
    safe = w + _trivial(k, v) if k == shape_of(v)[-2] else w
    m1_dot = part(m_dot, slice(0, k), FULL)
    left = solve_p(v1, m1_dot)
    lower = _over(left, safe) * lower_mask(k, v, -1)
    v1_dot = matmul_p(v1, lower)
    w_dot = (left - matmul_p(lower, w)) * transposed(lower_mask(k, v))
    if k == shape_of(v)[-2]:
        return v1_dot, w_dot
    v2, m2_dot = part(v, slice(k, None), FULL), part(m_dot, slice(k, None), FULL)
    v2_dot = _over(m2_dot - matmul_p(v2, w_dot), safe)
    return concatenate_p(v1_dot, v2_dot, axis=ndim_of(v) - 2), w_dot


def _trivial(k: Any, like: Value) -> Any:
    """1 as the last diagonal element of a k x k matrix."""
    zero = real_dtype(dtype_of(like)).type(0)
    return setitem_p(identity(k, like), zero, index=(slice(0, k - 1),))


def _over(x: Value, w: Value) -> Value:
    """``x w^-1``."""
    return transposed(solve_p(transposed(w), transposed(x)))


def _householder(m: Any) -> Any:
    k = m.shape[-1]
    w = np.array(m)
    v = np.zeros_like(w)
    for j in range(k):
        v[..., j, j] = 1
        pivot = w[..., j : j + 1, j]
        v[..., j + 1 :, j] = w[..., j + 1 :, j] / np.where(pivot == 0, 1, pivot)
        w[..., j + 1 :, :] -= v[..., j + 1 :, j : j + 1] * w[..., j : j + 1, :]
    return v, np.triu(w[..., :k, :])


# The LU factors without pivoting of a tall matrix.
householder_p = General(
    "householder",
    _householder,
    _householder_jvp,
    multiple=True,
    shape=lambda m: (m, Aval((*m.shape[:-2], m.shape[-1], m.shape[-1]), m.dtype)),
    batch=stack_batch(2),
)


def _reflectors(q: Value) -> Any:
    m, k = shape_of(q)[-2:]
    return householder_p(q - eye(m, k, 0, real_dtype(dtype_of(q))))


# The extra columns of the complete Q are those of 1 - V T V^H = 1 + V W V1^-H V^H.
def _complete_jvp(ans: Any, args: Any, dots: Sequence[Value]) -> Any:
    q, r = ans
    m, n = shape_of(q)[-1], shape_of(r)[-1]
    thin = (part(q, FULL, slice(0, n)), part(r, slice(0, n), FULL))
    q_dot, r_dot = _qr_jvp(thin, args, dots)
    v, w = _reflectors(thin[0])
    v_dot, w_dot = _householder_jvp((v, w), (), (q_dot,))
    top, low = slice(0, n), slice(n, None)
    v1, v2 = part(v, top, FULL), part(v, low, FULL)
    v1_dot, v2_dot = part(v_dot, top, FULL), part(v_dot, low, FULL)
    back = adjoint(v1)
    y = solve_p(back, adjoint(v2))  # V1^-H V2^H
    y_dot = solve_p(back, adjoint(v2_dot) - matmul_p(adjoint(v1_dot), y))
    wy = matmul_p(w, y)
    more_dot = matmul_p(v_dot, wy) + matmul_p(v, matmul_p(w_dot, y) + matmul_p(w, y_dot))
    return concatenate_p(q_dot, more_dot, axis=ndim_of(q) - 1), _padded(r_dot, m, n)


def _complete_shape(a: Aval) -> Any:
    return Aval((*a.shape[:-1], a.shape[-2]), a.dtype), a


# Mode "complete" of a matrix with more rows than columns.
qr_complete_p = General(
    "qr_complete",
    lambda a: tuple(np.linalg.qr(a, "complete")),
    _complete_jvp,
    multiple=True,
    shape=_complete_shape,
    batch=stack_batch(2),
)


# Mode "raw": h is the transpose of R over the strictly lower part of V; tau = -diag(W).
def _raw_jvp(ans: Any, args: Any, dots: Sequence[Value]) -> Any:
    q, r = qr_p(args[0])
    q_dot, r_dot = _qr_jvp((q, r), args, dots)
    reflectors = _reflectors(q)
    v_dot, w_dot = _householder_jvp(reflectors, (), (q_dot,))
    m, n = shape_of(q)[-2], shape_of(r)[-1]
    h_dot = _padded(r_dot, m, n) + _padded(v_dot, m, n)
    return transposed(h_dot), -diagonal(w_dot)


def _padded(x: Value, rows: Any, columns: Any) -> Value:
    """``x`` with zero rows below and zero columns to the right."""
    *lead, m, n = shape_of(x)
    if rows > m:
        blank = zeros((*lead, rows - m, n), real_dtype(dtype_of(x)))
        x = concatenate_p(x, blank, axis=ndim_of(x) - 2)
    if columns > n:
        blank = zeros((*lead, rows, columns - n), real_dtype(dtype_of(x)))
        x = concatenate_p(x, blank, axis=ndim_of(x) - 1)
    return x


def _raw_shape(a: Aval) -> Any:
    *lead, m, n = a.shape
    return Aval((*lead, n, m), a.dtype), Aval((*lead, min(m, n)), a.dtype)


qr_raw_p = General(
    "qr_raw",
    lambda a: tuple(np.linalg.qr(a, "raw")),
    _raw_jvp,
    multiple=True,
    shape=_raw_shape,
    batch=stack_batch(2),
)
