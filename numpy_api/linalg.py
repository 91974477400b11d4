"""numpy.linalg on traced arrays, but for norms (`norms`) and products (`contraction`)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, deciding_value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import describe, unwrap_known, value_of, wrap
from ..autodiff.primitives import linalg as la
from ..autodiff.primitives.contraction import matmul_p
from ..autodiff.primitives.decompositions import eig_p, eigh_p, svd_p
from ..autodiff.primitives.elementwise import absolute_p
from ..autodiff.primitives.manipulation import transpose_p
from ..autodiff.primitives.matrices import (
    adjoint,
    column,
    eye,
    is_complex,
    precision,
    triangle,
)
from ..autodiff.primitives.qr import qr_complete_p, qr_p, qr_raw_p
from ..autodiff.rules import broadcast_to_p, convert, reduce_sum_p, reshape_p
from .contraction import as_array

LinAlgError = np.linalg.LinAlgError

# NumPy's result types, which have no public names.
_empty = np.zeros((0, 0))
EighResult: Any = type(np.linalg.eigh(_empty))
EigResult: Any = type(np.linalg.eig(_empty))
SVDResult: Any = type(np.linalg.svd(_empty))
QRResult: Any = type(np.linalg.qr(_empty))
SlogdetResult: Any = type(np.linalg.slogdet(_empty))


def inexact(name: str, *values: Value) -> list[Value]:
    """Values in the one dtype that NumPy's linear algebra computes in: double unless all are
    single, complex if one is.
    """
    dtypes = []
    for value in values:
        dtype = dtype_of(value)
        if dtype.kind not in "fc":
            dtype = np.dtype(float)
        elif dtype.char not in "fdFD":
            raise TypeError(
                f"array type {dtype} is unsupported in linalg: np.linalg.{name} got "
                f"{describe(value)}; convert it with x.astype(float)"
            )
        dtypes.append(dtype)
    common = np.result_type(*dtypes)
    return [convert(value, common) for value in values]


def matrix(name: str, a: Any, label: str = "a") -> Value:
    """An argument as a Value of one or more matrices, in a dtype for linear algebra."""
    value = as_array(a)
    if ndim_of(value) < 2:
        raise LinAlgError(
            f"{ndim_of(value)}-dimensional array given. Array must be at least two-dimensional: "
            f"np.linalg.{name} got {label} = {describe(value)}{user_line()}"
        )
    return inexact(name, value)[0]


def square(name: str, a: Any, label: str = "a") -> Value:
    value = matrix(name, a, label)
    m, n = shape_of(value)[-2:]
    if m != n:
        raise LinAlgError(
            f"Last 2 dimensions of the array must be square: np.linalg.{name} got "
            f"{label} = {describe(value)}{user_line()}"
        )
    return value


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    x, y = inexact("solve", square("solve", a), as_array(b))
    if not ndim_of(y):
        raise ValueError("solve: b is a scalar, wanted at least one dimension")
    is_vector = ndim_of(y) == 1  # NumPy 2: only then; a stack of vectors is written b[..., None]
    y = column(y) if is_vector else y
    if shape_of(y)[-2] != shape_of(x)[-1]:
        raise ValueError(
            f"solve: a is {describe(x)} and b is {describe(b)}{user_line()}: b must have "
            f"{shape_of(x)[-1]} rows; for a stack of vectors write solve(a, b[..., None])[..., 0]"
        )
    out = la.solve_p(x, y)
    return wrap(reshape_p(out, shape=shape_of(out)[:-1]) if is_vector else out)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return wrap(la.inv_p(square("inv", a)))


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: Any = 2) -> Any:
    value = as_array(a)
    ind = operator.index(ind)
    if ind <= 0:
        raise ValueError(f"tensorinv: Invalid ind argument: {ind}, wanted a positive integer")
    shape = shape_of(value)
    rows, columns = shapes.prod(shape[:ind]), shapes.prod(shape[ind:])
    flat = square("tensorinv", wrap(reshape_p(value, shape=(rows, columns))))
    return wrap(reshape_p(la.inv_p(flat), shape=(*shape[ind:], *shape[:ind])))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    x, y = as_array(a), as_array(b)
    n = ndim_of(x)
    if axes is not None:
        order = list(range(n))
        for axis in axes:
            order.remove(shapes.axis_index(axis, n))
            order.append(shapes.axis_index(axis, n))
        x = transpose_p(x, axes=tuple(order))
    wanted = shape_of(x)[ndim_of(y) :]
    size = shapes.prod(wanted)
    if shapes.prod(shape_of(x)) != size * size:
        raise LinAlgError(
            "Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == "
            f"prod(a.shape[:b.ndim]): tensorsolve got a = {describe(x)}, b = {describe(y)}"
        )
    matrices, right = inexact("tensorsolve", x, y)
    out = la.solve_p(
        reshape_p(matrices, shape=(size, size)),
        reshape_p(right, shape=(shapes.prod(shape_of(right)), 1)),
    )
    return wrap(reshape_p(out, shape=wanted))


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    value = as_array(a)
    square("matrix_power", wrap(value))
    try:
        n = operator.index(unwrap_known(n, "the exponent"))
    except TypeError:
        raise TypeError(f"matrix_power: exponent must be an integer, got {n!r}") from None
    if n == 0:
        n = shape_of(value)[-1]
        return wrap(broadcast_to_p(eye(n, n, 0, dtype_of(value)), shape=shape_of(value)))
    if n < 0:
        value, n = la.inv_p(*inexact("matrix_power", value)), -n
    result = None
    while n:
        n, bit = divmod(n, 2)
        if bit:
            result = value if result is None else matmul_p(result, value)
        value = matmul_p(value, value) if n else value
    return wrap(result)


@implements(np.linalg.det)
def det(a: Any) -> Any:
    return wrap(la.det_p(square("det", a)))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    return SlogdetResult(*map(wrap, la.slogdet_p(square("slogdet", a))))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: Any = False) -> Any:
    value = square("cholesky", a)
    if not upper:
        return wrap(la.cholesky_p(value))
    return wrap(adjoint(la.cholesky_p(adjoint(value))))  # reads the upper triangle


@implements(np.linalg.qr)
def qr(a: Any, mode: Any = "reduced") -> Any:
    value = matrix("qr", a)
    m, n = shape_of(value)[-2:]
    if mode == "r":
        return wrap(qr_p(value)[1])
    if mode == "raw":
        return tuple(map(wrap, qr_raw_p(value)))
    if mode not in ("reduced", "complete"):
        raise ValueError(
            f"Unrecognized mode {mode!r}: np.linalg.qr of traced arrays takes 'reduced', "
            "'complete', 'r' and 'raw'"
        )
    primitive = qr_complete_p if mode == "complete" and m > n else qr_p
    return QRResult(*map(wrap, primitive(value)))


def _uplo(UPLO: Any) -> str:
    uplo = UPLO.upper() if isinstance(UPLO, str) else UPLO
    if uplo not in ("L", "U"):
        raise ValueError(f"UPLO argument must be 'L' or 'U', got {UPLO!r}")
    return uplo


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: Any = "L") -> Any:
    return EighResult(*map(wrap, eigh_p(square("eigh", a), uplo=_uplo(UPLO))))


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    return wrap(eigh_p(square("eigvalsh", a), uplo=_uplo(UPLO))[0])


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    return EigResult(*map(wrap, eig_p(square("eig", a))))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    return wrap(eig_p(square("eigvals", a))[0])


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: Any = True, compute_uv: Any = True, hermitian: Any = False) -> Any:
    if hermitian:
        return _svd_hermitian(a, compute_uv)
    value = matrix("svd", a)
    if not compute_uv:
        return wrap(svd_p(value, full=False)[1])
    m, n = shape_of(value)[-2:]
    return SVDResult(*map(wrap, svd_p(value, full=bool(full_matrices) and m != n)))


def _svd_hermitian(a: Any, compute_uv: Any) -> Any:
    """By eigenvalues, in NumPy's order, with their signs moved into the right vectors."""
    if not compute_uv:
        return np.sort(np.abs(eigvalsh(a)))[..., ::-1]
    w, u = eigh(a)
    sign = np.copysign(1.0, w)
    order = np.argsort(np.abs(w))[..., ::-1]
    sign = np.take_along_axis(sign, order, axis=-1)
    s = np.take_along_axis(np.abs(w), order, axis=-1)
    u = np.take_along_axis(u, order[..., None, :], axis=-1)
    vh = wrap(adjoint(value_of(u * sign[..., None, :])))
    return SVDResult(u, s, vh)


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return svd(x, compute_uv=False)


_NOT_GIVEN: Any = object()


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: Any = False, *, rtol: Any = _NOT_GIVEN) -> Any:
    value = matrix("pinv", a)
    if rcond is None:
        if rtol is _NOT_GIVEN or type(rtol) is type(np._NoValue):
            rcond = 1e-15
        elif rtol is None:
            rcond = max(shape_of(value)[-2:]) * precision(value)
        else:
            rcond = rtol
    elif rtol is not _NOT_GIVEN:
        raise ValueError("pinv: `rtol` and `rcond` can't be both set.")
    if hermitian:
        value = triangle(value, "L")  # the one that eigh reads
    return wrap(la.pinv_p(value, np.asarray(unwrap_known(rcond, "rcond"))))


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: Any = False, *, rtol: Any = None) -> Any:
    if tol is not None and rtol is not None:
        raise ValueError("matrix_rank: `tol` and `rtol` can't be both set.")
    value = as_array(A)
    if ndim_of(value) < 2:
        known = deciding_value(value, "np.linalg.matrix_rank of a vector")
        return int(np.any(known != 0))
    value = matrix("matrix_rank", wrap(value))
    if tol is not None:
        return wrap(la.rank_p(value, as_array(tol), relative=False, hermitian=bool(hermitian)))
    if rtol is None:
        rtol = max(shape_of(value)[-2:]) * precision(value)
    return wrap(la.rank_p(value, as_array(rtol), relative=True, hermitian=bool(hermitian)))


def least_squares(a: Any, b: Any, rcond: Any) -> tuple[Value, Value, Value, Value]:
    """``a`` and ``b`` as matrices, x with the least |a x - b|, and the rank of a."""
    x, y = inexact("lstsq", matrix("lstsq", a), as_array(b))
    y = column(y) if ndim_of(y) == 1 else y
    for label, value in (("a", x), ("b", y)):
        if ndim_of(value) != 2:
            raise LinAlgError(
                f"{ndim_of(value)}-dimensional array given. Array must be two-dimensional: "
                f"np.linalg.lstsq got {label} = {describe(value)}; for stacks use xnp.vmap"
            )
    m, n = shape_of(x)
    if shape_of(y)[0] != m:
        raise LinAlgError(
            f"Incompatible dimensions: lstsq got a = {describe(x)}, b = {describe(b)}{user_line()}"
        )
    rcond = unwrap_known(rcond, "rcond")
    rcond = precision(x) * max(m, n) if rcond is None else float(rcond)
    if rcond < 0:  # LAPACK's sign for the precision
        rcond = precision(x)
    rank = la.rank_p(x, np.asarray(rcond), relative=True, hermitian=False)
    return x, y, la.lstsq_p(x, y, rcond=rcond), rank


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    x, y, solution, rank = least_squares(a, b, rcond)
    s = svd_p(x, full=False)[1]
    rest = _residuals(x, y, solution, rank)
    if np.ndim(b) == 1:
        solution = reshape_p(solution, shape=(shape_of(x)[1],))
    return wrap(solution), wrap(rest), wrap(convert(rank, np.dtype(np.int32))), wrap(s)


def _residuals(a: Value, b: Value, x: Value, rank: Value) -> Value:
    """The squared lengths of b - A x; empty, as NumPy has it, unless A is tall of full rank."""
    m, n = shape_of(a)
    if m <= n or deciding_value(rank, "the residuals of np.linalg.lstsq") != n:
        return np.zeros(0, np.finfo(dtype_of(a)).dtype)
    r = b - matmul_p(a, x)
    squares = absolute_p(r) * absolute_p(r) if is_complex(r) else r * r
    return reduce_sum_p(squares, axes=(0,))


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    value = matrix("cond", x, "x")
    if not shapes.prod(shape_of(value)[-2:]):
        raise LinAlgError("cond is not defined on empty arrays")
    array: Any = wrap(value)
    with np.errstate(all="ignore"):
        if p is None or p in (2, -2):
            s: Any = wrap(svd_p(value, full=False)[1])
            first, last = s[..., 0], s[..., -1]
            result = last / first if p == -2 else first / last
        else:
            inverse: Any = wrap(la.inv_or_nan_p(square("cond", array, "x")))
            result = np.linalg.norm(array, p, axis=(-2, -1)) * np.linalg.norm(
                inverse, p, axis=(-2, -1)
            )
        bad = np.isnan(result) & ~np.any(np.isnan(array), axis=(-2, -1))
        return np.where(bad, np.inf, result)[()]
