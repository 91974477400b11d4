"""Products that sum over an axis: matmul and the sliding dot product of convolve and correlate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..core import Aval, Primitive, Value, dtype_of, ndim_of, shape_of
from ..rules import MultiLinear, reshape_p, unbroadcast
from .manipulation import flip_p, transpose_p
from .matrices import column, row, stack_batch, transposed


def _matmul_shape(a: Aval, b: Aval) -> Aval:
    for i, x in enumerate((a, b)):
        if not x.ndim:
            raise ValueError(
                f"matmul: operand {i} is a scalar ({x}), wanted at least one dimension; write a * b"
            )
    left = a.shape if a.ndim > 1 else (1, *a.shape)
    right = b.shape if b.ndim > 1 else (*b.shape, 1)
    if left[-1] != right[-2]:
        raise ValueError(
            f"matmul: operands of types {a} and {b} do not fit: the last axis of the first "
            f"({left[-1]}) must be as long as the {'last but one' if b.ndim > 1 else 'only'} axis "
            f"of the second ({right[-2]})"
        )
    lead = shapes.broadcast(left[:-2], right[:-2])
    rows = left[-2:-1] if a.ndim > 1 else ()
    columns = right[-1:] if b.ndim > 1 else ()
    dtype = np.matmul.resolve_dtypes((a.dtype, b.dtype, None))[2]
    return Aval((*lead, *rows, *columns), dtype)


# c = a b: the cotangent of a is ct b^T, and that of b is a^T ct (no conjugation, see `rules`). A
# vector is a matrix of one row (a) or of one column (b). Where an operand without a stack meets
# one with a stack, the sum over the stack is part of one product.
def _matmul_left(ct: Value, a: Any, b: Value) -> Value:
    if ndim_of(a) == 2 == ndim_of(b):
        return matmul_p(ct, transposed(b))
    if ndim_of(a) <= 2 and ndim_of(b) == 1:  # an outer product
        return ct * b if ndim_of(a) == 1 else column(ct) * b
    if ndim_of(a) == 1 and ndim_of(b) == 2:
        return matmul_p(b, ct)
    if ndim_of(b) == 1:
        b, ct = column(b), column(ct)
    if ndim_of(a) == 1:
        ct = row(ct)
    if ndim_of(a) <= 2:
        return reshape_p(_fold_left(ct, b), shape=shape_of(a))
    return unbroadcast(matmul_p(ct, transposed(b)), shape_of(a))


def _fold_left(ct: Value, b: Value) -> Value:
    """The sum over a stack s of ct[s] b[s]^T, as (m, s n) times (s n, k)."""
    *lead, m, n = shape_of(ct)
    if lead:
        axes = len(lead)
        count = shapes.prod(lead) * n
        ct = reshape_p(transpose_p(ct, axes=(axes, *range(axes), axes + 1)), shape=(m, count))
        b = transposed(reshape_p(transposed(b), shape=(count, shape_of(b)[-2])))
    return matmul_p(ct, transposed(b))


def _matmul_right(ct: Value, a: Value, b: Any) -> Value:
    if ndim_of(a) == 2 == ndim_of(b):
        return matmul_p(transposed(a), ct)
    if ndim_of(a) == 1 and ndim_of(b) <= 2:
        return a * ct if ndim_of(b) == 1 else column(a) * ct
    if ndim_of(a) == 2 and ndim_of(b) == 1:
        return matmul_p(ct, a)
    if ndim_of(b) == 1:
        ct = column(ct)
    if ndim_of(a) == 1:
        a, ct = row(a), row(ct)
    if ndim_of(b) <= 2:
        rows = shapes.prod(shape_of(a)[:-1])
        a = reshape_p(a, shape=(rows, shape_of(a)[-1]))
        ct = reshape_p(ct, shape=(rows, shape_of(ct)[-1]))
        return reshape_p(matmul_p(transposed(a), ct), shape=shape_of(b))
    return unbroadcast(matmul_p(transposed(a), ct), shape_of(b))


_as_matrices = stack_batch(2, 2)


def _matmul_batch(primitive: Primitive, size: Any, args: Any, batched: Any) -> Any:
    a, b = args
    a_one, b_one = (
        Aval(shape_of(x)[1:] if is_batched else shape_of(x), dtype_of(x))
        for x, is_batched in zip(args, batched, strict=True)
    )
    wanted = _matmul_shape(a_one, b_one).shape  # raises what each example would
    if not batched[1] and b_one.ndim <= 2:  # all rows of the batch in one product
        flat = (
            a
            if ndim_of(a) == 2
            else reshape_p(a, shape=(shapes.prod(shape_of(a)[:-1]), shape_of(a)[-1]))
        )
        out = matmul_p(flat, b)
        return out if ndim_of(a) == 2 else reshape_p(out, shape=(size, *wanted)), True
    if not batched[0] and a_one.ndim <= 2 and b_one.ndim == 1:
        return matmul_p(b, a if a_one.ndim == 1 else transposed(a)), True
    if a_one.ndim == 1:
        a = row(a)
    if b_one.ndim == 1:
        b = column(b)
    out, _ = _as_matrices(primitive, size, (a, b), batched)
    return out if shape_of(out)[1:] == wanted else reshape_p(out, shape=(size, *wanted)), True


matmul_p = MultiLinear(
    "matmul",
    np.matmul,
    [_matmul_left, _matmul_right],
    shape=_matmul_shape,
    batch=_matmul_batch,
)


def _slide(x: Any, w: Any, *, before: int, after: int) -> Any:
    if not before and not after:
        return _whole_windows(x, w)
    if w.dtype.kind not in "fc" or np.isfinite(w).all():
        padded = np.zeros((*x.shape[:-1], before + x.shape[-1] + after), x.dtype)
        padded[..., before : before + x.shape[-1]] = x
        return _whole_windows(padded, w)
    (m, n), aval = (x.shape[-1], w.shape[-1]), _slide_shape(x, w, before=before, after=after)
    out = np.empty(aval.shape, aval.dtype)
    count = aval.shape[-1]
    whole = range(before, count - after) if m >= n else range(0)
    if whole:
        out[..., whole.start : whole.stop] = _whole_windows(x, w)
    for k in (k for k in range(count) if k not in whole):
        start, stop = max(k - before, 0), min(k - before + n, m)
        weights = w[..., start - k + before : stop - k + before]
        out[..., k] = np.einsum("...i,...i", x[..., start:stop], weights)
    return out


def _whole_windows(x: Any, w: Any) -> Any:
    if w.ndim == 1 and x.ndim == 1:
        conjugate = np.conj(w) if w.dtype.kind == "c" else w  # conj makes int8 of bool
        return np.correlate(x, conjugate, "valid")
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[-1], axis=-1)
    if w.ndim == 1:
        return np.matmul(windows, w)
    return np.matmul(windows, w[..., None])[..., 0]


def _slide_shape(x: Any, w: Any, *, before: Any, after: Any) -> Aval:
    lead = shapes.broadcast(x.shape[:-1], w.shape[:-1])
    count = x.shape[-1] + (before + after) - w.shape[-1] + 1
    return Aval((*lead, count), np.result_type(x.dtype, w.dtype))


# y_k = sum_j x_(k+j-before) w_j over the j where there is such an x. The cotangent of x_i is the
# sum of ct_k w_(i-k+before), which is the same sliding product of ct with the reversed w; that of
# w_j is the sum of ct_k x_(k+j-before), which backwards is that of ct with the weights x.
def _slide_left(ct: Value, x: Any, w: Value, *, before: Any, after: Any) -> Value:
    most = shape_of(w)[-1] - 1
    flipped = flip_p(w, axes=(ndim_of(w) - 1,))
    ct = slide_p(ct, flipped, before=most - before, after=most - after)
    return unbroadcast(ct, shape_of(x))


def _slide_right(ct: Value, x: Value, w: Any, *, before: Any, after: Any) -> Value:
    if not before and not after:
        return unbroadcast(slide_p(x, ct, before=0, after=0), shape_of(w))
    most = shape_of(w)[-1] - 1
    ct = slide_p(ct, x, before=most - before, after=most - after)
    return unbroadcast(flip_p(ct, axes=(ndim_of(ct) - 1,)), shape_of(w))


# The dot products of w with every window of x along the last axis. Windows begin up to `before`
# elements before x and end up to `after` behind it, both less than len(w); there they end with x:
# zeros there would make NaN of an infinite w. len(x) + min(before, after) >= len(w).
slide_p = MultiLinear(
    "slide", _slide, [_slide_left, _slide_right], shape=_slide_shape, batch=stack_batch(1, 1)
)
