"""Linear algebra that solves: solve, inv, det, slogdet, cholesky, pinv, lstsq, the 2-norm.

All act on the last two axes. Most formulas are in M. B. Giles, "An extended collection of matrix
derivative results for forward and reverse mode automatic differentiation" (2008); that of the
pseudoinverse is by G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973). Cotangents are
paired without conjugation (see `rules`), so transposes stand where that literature has adjoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import shapes
from ..core import Aval, Constant, Value, concrete_value, dtype_of, ndim_of, shape_of
from ..errors import ConcretizationError
from ..rules import (
    General,
    batch_axes,
    real_dtype,
    reduce_sum_p,
    reshape_p,
    stop_gradient_p,
    unbroadcast,
)
from .checks import refuse_p
from .contraction import matmul_p
from .elementwise import equal_p, greater_p, where
from .manipulation import concatenate_p
from .matrices import (
    adjoint,
    as_scale,
    conjugated,
    identity,
    imag_part,
    is_complex,
    lower_mask,
    part,
    real_part,
    same_type,
    stack_batch,
    sum_matrices,
    trace,
    transposed,
    triangle,
    triangle_transpose,
)


# A x = b gives dx = A^-1 (db - dA x). Backward: ct_b = A^-T ct, ct_A = -ct_b x^T.
def _solve_jvp(x: Value, args: Sequence[Value], dots: Sequence[Value | None]) -> Value:
    a_dot, right = dots
    if a_dot is not None:
        change = matmul_p(a_dot, x)
        right = -change if right is None else right - change
    return solve_p(args[0], right)


def _solve_vjp(ct: Value, x: Value, args: Any, wanted: Sequence[bool]) -> Sequence[Value | None]:
    a, b = args
    b_ct = solve_p(transposed(a), ct)
    a_ct = unbroadcast(-matmul_p(b_ct, transposed(x)), shape_of(a)) if wanted[0] else None
    return a_ct, unbroadcast(b_ct, shape_of(b)) if wanted[1] else None


def _solve_shape(a: Aval, b: Aval) -> Aval:
    lead = shapes.broadcast(a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"solve: a is {a}, so b, which is {b}, must have {a.shape[-1]} rows")
    return Aval((*lead, *b.shape[-2:]), np.result_type(a.dtype, b.dtype))


solve_p = General(
    "solve", np.linalg.solve, _solve_jvp, _solve_vjp, shape=_solve_shape, batch=stack_batch(2, 2)
)


# d(A^-1) = -A^-1 dA A^-1.
def _inv_jvp(ans: Value, args: Any, dots: Sequence[Value]) -> Value:
    return -matmul_p(matmul_p(ans, dots[0]), ans)


def _inv_vjp(ct: Value, ans: Value, args: Any, wanted: Any) -> Sequence[Value]:
    back = transposed(ans)
    return (-matmul_p(matmul_p(back, ct), back),)


inv_p = General("inv", np.linalg.inv, _inv_jvp, _inv_vjp, shape=same_type, batch=stack_batch(2))


def _inv_or_nan(a: Any) -> Any:
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        if a.ndim == 2:
            return np.full(a.shape, np.nan, a.dtype)
        return np.stack([_inv_or_nan(matrix) for matrix in a])


# The inverse with NaN where there is none, for np.linalg.cond.
inv_or_nan_p = General(
    "inv_or_nan", _inv_or_nan, _inv_jvp, _inv_vjp, shape=same_type, batch=stack_batch(2)
)


def _scalar_shape(x: Aval) -> Aval:
    return Aval(x.shape[:-2], x.dtype)


# d det(A) = tr(adj(A) dA), at singular matrices too.
def _det_jvp(ans: Value, args: Any, dots: Sequence[Value]) -> Value:
    return sum_matrices(transposed(adjugate(args[0])) * dots[0])


def _det_vjp(ct: Value, ans: Value, args: Any, wanted: Any) -> Sequence[Value]:
    return (as_scale(ct) * transposed(adjugate(args[0])),)


det_p = General("det", np.linalg.det, _det_jvp, _det_vjp, shape=_scalar_shape, batch=stack_batch(2))


def adjugate(a: Value) -> Value:
    """The transposed cofactors, in operations that can be differentiated to any order wherever A
    is: entries of adj(A) are polynomials, but A^-1 det(A) is none where A is singular.

    With A = U B V^H, where U and V are the singular vectors *as constants*, B is diagonal in value
    but not in its derivatives, and adj(A) = det(U) det(V^H) V adj(B) U^H. Split B so that its
    last k diagonal entries are the tiny singular values. With X = B11^-1 and the Schur complement
    S = B22 - B21 X B12, block elimination gives

        adj(B) = det(B11) [ det(S) X + X B12 adj(S) B21 X,  -X B12 adj(S) ]
                          [ -adj(S) B21 X,                   adj(S)       ]

    B11 is well conditioned, and adj(S), k x k, is computed without division. k = 0 is the usual
    case, A^-1 det(A). A is scaled by a power of two first, as det may underflow before adj does.
    """
    n = shape_of(a)[-1]
    scale = matrix_scale_p(a)
    a = a / as_scale(scale)
    k = _known_nullity(a)
    adj = as_scale(det_p(a)) * inv_p(a) if not k else _singular_adjugate(a, k)
    return as_scale(_int_power(scale, n - 1)) * adj if n else adj


def _known_nullity(a: Value) -> int:
    """The k that `adjugate` chooses its formula by; 0, and an error at singular matrices in the
    finished program, where numbers are not known yet.
    """
    nullity = nullity_p(a)
    try:
        return int(concrete_value(nullity))
    except ConcretizationError:
        message = "the derivative of det of a singular matrix, whose rank was not known in advance"
        refuse_p(greater_p(nullity, 0), error=np.linalg.LinAlgError, message=message)
        return 0


def _int_power(x: Value, n: Any) -> Value:
    result: Value = 1.0
    for _ in range(n):
        result = x * result
    return result if n > 0 else 1.0 / x if n < 0 else x / x


def _singular_adjugate(a: Value, k: Any) -> Value:
    left, right = singular_bases_p(stop_gradient_p(a))
    r = shape_of(a)[-1] - k
    b = matmul_p(matmul_p(adjoint(left), a), right)
    big, small = slice(0, r), slice(r, None)
    corner = part(b, big, big)
    x = inv_p(corner)
    lower = matmul_p(part(b, small, big), x)
    upper = matmul_p(x, part(b, big, small))
    schur = part(b, small, small) - matmul_p(part(b, small, big), upper)
    adj = _small_adjugate(schur, k)
    det = as_scale(trace(matmul_p(schur, adj)) / k)
    across = matmul_p(upper, adj)
    axis = ndim_of(a) - 1
    top = concatenate_p(det * x + matmul_p(across, lower), -across, axis=axis)
    bottom = concatenate_p(-matmul_p(adj, lower), adj, axis=axis)
    whole = concatenate_p(top, bottom, axis=axis - 1)
    factor = det_p(left) * conjugated(det_p(right)) * det_p(corner)
    return as_scale(factor) * matmul_p(matmul_p(right, whole), adjoint(left))


def _small_adjugate(s: Value, k: Any) -> Value:
    """By Faddeev and LeVerrier: no division by elements of ``s``."""
    eye = identity(k, s)
    m: Value = eye + s * 0.0
    for j in range(1, k):
        product = matmul_p(s, m)
        m = product - as_scale(trace(product) / j) * eye
    return m if k % 2 else -m


def _nullity(a: Any) -> Any:
    n = a.shape[-1]
    tiny = np.sqrt(np.finfo(a.dtype).eps)
    if not a.size or not np.isfinite(a).all():
        return np.intp(0)
    sizes = np.linalg.norm(a, 1, (-2, -1)) * np.linalg.norm(_inv_or_nan(a), 1, (-2, -1))
    if (sizes < 1 / tiny).all():
        return np.intp(0)
    s = np.linalg.svd(a, compute_uv=False)
    return np.max(n - np.sum(s > tiny * s[..., :1], axis=-1))


# How many singular values are tiny, at most in the whole stack; vmap's batch is a part of that.
nullity_p = Constant(
    "nullity",
    _nullity,
    shape=lambda a: Aval((), np.dtype(np.intp)),
    batch=lambda primitive, size, args, batched: (primitive(args[0]), False),
)


def _matrix_scale(a: Any) -> Any:
    largest = np.max(np.abs(a), axis=(-2, -1), initial=0)
    usable = np.where((largest > 0) & np.isfinite(largest), largest, 1)
    return np.exp2(np.rint(np.log2(usable))).astype(largest.dtype)[()]


# A power of two near the largest element of each matrix.
matrix_scale_p = Constant(
    "matrix_scale",
    _matrix_scale,
    shape=lambda a: Aval(a.shape[:-2], real_dtype(a.dtype)),
    batch=stack_batch(2),
)


def _singular_bases(a: Any) -> Any:
    u, _, vh = np.linalg.svd(a)
    return u, np.conj(np.swapaxes(vh, -1, -2))


# Left and right singular vectors, as constants.
singular_bases_p = Constant(
    "singular_bases", _singular_bases, shape=lambda a: (a, a), multiple=True, batch=stack_batch(2)
)


# With t = tr(A^-1 dA): d log|det A| = Re t, and d sign = i Im(t) sign (0 if real). Backward, as
# Re(ct_s i Im(t) sign) = -Im(t) Im(ct_s sign), the cotangent of t is ct_l + i Im(ct_s sign), and
# that of A is this times A^-T.
def _slogdet_jvp(ans: Any, args: Any, dots: Sequence[Value]) -> Any:
    t = trace(solve_p(args[0], dots[0]))
    if not is_complex(t):
        return None, t
    return ans[0] * (t - real_part(t)), real_part(t)


def _slogdet_vjp(ct: Any, ans: Any, args: Any, wanted: Any) -> Sequence[Value]:
    sign_ct, log_ct = ct
    if is_complex(args[0]):
        log_ct = log_ct + imag_part(sign_ct * ans[0]) * 1j
    return (as_scale(log_ct) * transposed(inv_p(args[0])),)


slogdet_p = General(
    "slogdet",
    lambda a: tuple(np.linalg.slogdet(a)),
    _slogdet_jvp,
    _slogdet_vjp,
    multiple=True,
    shape=lambda a: (Aval(a.shape[:-2], a.dtype), Aval(a.shape[:-2], real_dtype(a.dtype))),
    batch=stack_batch(2),
)


# A = L L^H gives L^-1 dA L^-H = L^-1 dL + (L^-1 dL)^H, whose first term is lower triangular with a
# real diagonal: dL = L Phi(L^-1 dA L^-H), where Phi takes the lower triangle and half the diagonal.
# Backward (conjugated, as Phi is its own adjoint): L^-H Phi(L^H ct) L^-1. NumPy reads only the
# lower triangle of A, so only that has a derivative, and both triangles' share goes there.
def _half_lower(x: Value) -> Value:
    n = shape_of(x)[-1]
    return x * (lower_mask(n, x) - 0.5 * identity(n, x))


def _cholesky_jvp(ans: Value, args: Any, dots: Sequence[Value]) -> Value:
    half = solve_p(ans, triangle(dots[0], "L"))
    return matmul_p(ans, _half_lower(adjoint(solve_p(ans, adjoint(half)))))


def _cholesky_vjp(ct: Value, ans: Value, args: Any, wanted: Any) -> Sequence[Value]:
    back = adjoint(ans)
    inner = _half_lower(matmul_p(back, conjugated(ct)))
    left = solve_p(back, inner)
    whole = adjoint(solve_p(back, adjoint(left)))
    return (triangle_transpose(conjugated(whole), "L"),)


# The lower factor; the upper one is a composite of it.
cholesky_p = General(
    "cholesky",
    np.linalg.cholesky,
    _cholesky_jvp,
    _cholesky_vjp,
    shape=same_type,
    batch=stack_batch(2),
)


# P = A^+, at constant rank (Golub and Pereyra):
# dP = -P dA P + P P^H dA^H (I - A P) + (I - P A) dA^H P^H P.
def _pinv_jvp(p: Value, args: Any, dots: Sequence[Value | None]) -> Value | None:
    a, a_dot = args[0], dots[0]
    if a_dot is None:
        return None
    back, p_back = adjoint(a_dot), adjoint(p)
    left = back - matmul_p(matmul_p(back, a), p)
    right = back - matmul_p(p, matmul_p(a, back))
    return (
        matmul_p(p, matmul_p(p_back, left))
        + matmul_p(matmul_p(right, p_back), p)
        - matmul_p(matmul_p(p, a_dot), p)
    )


def _pinv_shape(a: Aval, rcond: Aval) -> Aval:
    return Aval((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)


pinv_p = General("pinv", np.linalg.pinv, _pinv_jvp, shape=_pinv_shape, batch=stack_batch(2, 0))


def _lstsq(a: Any, b: Any, *, rcond: float) -> Any:
    if a.ndim == 2 == b.ndim:
        return np.linalg.lstsq(a, b, rcond)[0]
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.empty((*lead, a.shape[-1], b.shape[-1]), b.dtype)
    a = np.broadcast_to(a, (*lead, *a.shape[-2:]))
    b = np.broadcast_to(b, (*lead, *b.shape[-2:]))
    for i in np.ndindex(lead):
        out[i] = np.linalg.lstsq(a[i], b[i], rcond)[0]
    return out


# x = A^+ b; with r = b - A x the derivative of the pseudoinverse above gives
# dx = P (db - dA x) + P P^H dA^H r + (I - P A) dA^H P^H x.
def _lstsq_jvp(
    x: Value, args: Sequence[Value], dots: Sequence[Value | None], *, rcond: float
) -> Value:
    a, b = args
    a_dot, b_dot = dots
    p = pinv_p(a, rcond)
    if a_dot is None:
        return matmul_p(p, b_dot)
    change = -matmul_p(a_dot, x) if b_dot is None else b_dot - matmul_p(a_dot, x)
    back, p_back = adjoint(a_dot), adjoint(p)
    out_of_range = matmul_p(back, b - matmul_p(a, x))
    shorter = matmul_p(back, matmul_p(p_back, x))
    return (
        matmul_p(p, change + matmul_p(p_back, out_of_range))
        + shorter
        - matmul_p(p, matmul_p(a, shorter))
    )


def _lstsq_shape(a: Aval, b: Aval, *, rcond: float) -> Aval:
    lead = shapes.broadcast(a.shape[:-2], b.shape[:-2])
    if a.shape[-2] != b.shape[-2]:
        raise ValueError(f"lstsq: a is {a}, so b, which is {b}, must have {a.shape[-2]} rows")
    return Aval((*lead, a.shape[-1], b.shape[-1]), b.dtype)


lstsq_p = General("lstsq", _lstsq, _lstsq_jvp, shape=_lstsq_shape, batch=stack_batch(2, 2))


def _rank(a: Any, tol: Any, *, relative: bool, hermitian: bool) -> Any:
    if relative:
        return np.linalg.matrix_rank(a, hermitian=hermitian, rtol=tol)
    return np.linalg.matrix_rank(a, tol, hermitian)


rank_p = Constant(
    "rank",
    _rank,
    shape=lambda a, tol, **_: Aval(a.shape[:-2], np.dtype(np.intp)),
    batch=stack_batch(2, 0),
)


def _norm2(x: Any, *, axes: tuple[int, ...]) -> Any:
    if len(axes) == x.ndim and x.dtype.kind == "f":
        flat = x.ravel(order="K")
        return np.sqrt(np.dot(flat, flat))
    return np.sqrt(np.add.reduce((np.conj(x) * x).real, axis=axes))


def _unit(ans: Value, x: Value, axes: tuple[int, ...]) -> Value:
    kept = shapes.reduced(shape_of(x), axes, True)
    length = reshape_p(ans, shape=kept)
    infinity = dtype_of(length).type(np.inf)
    return conjugated(x) / where(equal_p(length, 0), infinity, length)


def _norm2_jvp(ans: Value, args: Any, dots: Sequence[Value], *, axes: tuple[int, ...]) -> Value:
    return reduce_sum_p(real_part(_unit(ans, args[0], axes) * dots[0]), axes=axes)


def _norm2_vjp(
    ct: Value, ans: Value, args: Any, wanted: Any, *, axes: tuple[int, ...]
) -> Sequence[Value]:
    ct = reshape_p(ct, shape=shapes.reduced(shape_of(args[0]), axes, True))
    return (ct * _unit(ans, args[0], axes),)


# |x|, the square root of the sum of |x_i|^2 over axes: d|x| = Re(conj(x) dx) / |x|. At x = 0
# the subgradient is 0, and so are the derivatives of higher order, which do not exist there.
norm2_p = General(
    "norm2",
    _norm2,
    _norm2_jvp,
    _norm2_vjp,
    masks=True,
    shape=lambda x, *, axes: Aval(shapes.reduced(x.shape, axes), real_dtype(x.dtype)),
    batch=batch_axes,
)
