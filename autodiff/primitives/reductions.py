"""Reductions and cumulative functions: products, maxima, truth, positions of extremes.

`reduce_sum_p` is in `rules`, which needs it. Axes are sorted non-negative tuples. No derivative
divides by the values: a product that holds zeros has the exact derivative, at every order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import shapes
from ..core import Aval, Constant, Primitive, Value, dtype_of, ndim_of, shape_of
from ..rules import (
    General,
    Linear,
    accumulated_dtype,
    batch_axes,
    batch_axis,
    convert,
    filled,
    reduce_sum_p,
    reshape_p,
)
from .elementwise import as_float, equal_p, logical_or_p, not_equal_p, strong_multiply_p
from .indexing import slice_axis
from .manipulation import concatenate_p, flip_p, transpose_p

Axes = tuple[int, ...]


def keep_axes(x: Value, shape: tuple[Any, ...], axes: Sequence[int]) -> Value:
    """The result of a reduction with its axes back, of length 1: it broadcasts to ``shape``."""
    kept = shapes.reduced(shape, axes, True)
    return x if shapes.is_same(shape_of(x), kept) else reshape_p(x, shape=kept)


def axes_to_front(x: Value, axes: Axes) -> Value:
    """``axes`` merged into one, the first; the others follow in their order."""
    shape = shape_of(x)
    rest = tuple(i for i in range(len(shape)) if i not in axes)
    if (*axes, *rest) != tuple(range(len(shape))):
        x = transpose_p(x, axes=(*axes, *rest))
    if len(axes) == 1:
        return x
    merged = shapes.prod(shape[a] for a in axes)
    return reshape_p(x, shape=(merged, *(shape[a] for a in rest)))


def axes_from_front(x: Value, shape: tuple[Any, ...], axes: Axes) -> Value:
    """Undoes `axes_to_front`, for an array that had ``shape``."""
    rest = tuple(i for i in range(len(shape)) if i not in axes)
    order = (*axes, *rest)
    if len(axes) != 1:
        x = reshape_p(x, shape=tuple(shape[a] for a in order))
    if order != tuple(range(len(shape))):
        x = transpose_p(x, axes=shapes.inverse_permutation(order))
    return x


# cumsum is a triangular matrix of ones; its transpose sums from the other end.
cumsum_p = Linear(
    "cumsum",
    lambda x, *, axis: np.add.accumulate(x, axis=axis),
    lambda ct, x, *, axis: flip_p(
        cumsum_p(flip_p(ct, axes=(axis,)), axis=axis),
        axes=(axis,),
    ),
    shape=lambda x, *, axis: Aval(x.shape, accumulated_dtype(x.dtype)),
    batch=batch_axis,
)


def _shifted(x: Value, axis: int, first: float) -> Value:
    """``x`` moved on by one place along ``axis``, with ``first`` before it."""
    shape = shape_of(x)
    if shape[axis] == 0:
        return x
    head = filled(shapes.with_size(shape, axis, 1), first, dtype_of(x))
    return concatenate_p(head, slice_axis(x, 0, -1, axis), axis=axis)


def _recurrence_in_sequence(a: Any, b: Any) -> Any:
    s = np.array(b)
    for i in range(1, len(s)):
        s[i] += a[i] * s[i - 1]
    return s


_SHORT = 64  # up to this length, or with this many recurrences side by side, a plain loop is best


def _recurrence_in_blocks(a: Any, b: Any) -> Any:
    """The recurrence of all blocks side by side, with 0 before each block; then the blocks' true
    first values, which need the product of each block's factors. None where a product leaves the
    range in which it is accurate.
    """
    n = len(a)
    width = int(np.sqrt(n))
    blocks = n // width
    split = (blocks, width, *a.shape[1:])
    inner_a = np.moveaxis(a[: blocks * width].reshape(split), 1, 0)
    inner_b = np.moveaxis(b[: blocks * width].reshape(split), 1, 0)
    with np.errstate(all="ignore"):
        product = np.multiply.reduce(inner_a, axis=0)
        size = np.abs(product)
        limit = np.sqrt(np.finfo(a.dtype).tiny)
        safe = ((size > limit) & (size < 1 / limit)) | (inner_a == 0).any(axis=0)
        if not safe.all():
            return None
    alone = _recurrence_in_sequence(inner_a, inner_b)
    before = np.zeros_like(product)
    for k in range(1, blocks):
        before[k] = product[k - 1] * before[k - 1] + alone[-1, k - 1]
    inner_b = np.array(inner_b)
    inner_b[0] += inner_a[0] * before
    done = np.moveaxis(_recurrence_in_sequence(inner_a, inner_b), 0, 1)
    s = np.array(b)
    s[: blocks * width] = done.reshape((blocks * width, *a.shape[1:]))
    for i in range(blocks * width, n):
        s[i] += a[i] * s[i - 1]
    return s


def _recurrence(a: Any, b: Any, *, axis: int) -> Any:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    s = None
    if len(a) > _SHORT and a[0].size < _SHORT and np.isfinite(a).all():
        s = _recurrence_in_blocks(a, b)
    if s is None:
        s = _recurrence_in_sequence(a, b)
    return np.moveaxis(s, 0, axis)


def _recurrence_jvp(ans: Value, args: Any, x_dots: Any, *, axis: int) -> Value:
    a_dot, b_dot = x_dots
    if a_dot is not None:
        driven = a_dot * _shifted(ans, axis, 0.0)
        b_dot = driven if b_dot is None else b_dot + driven
    return recurrence_p(args[0], b_dot, axis=axis)


def _recurrence_vjp(ct: Value, ans: Value, args: Any, wanted: Any, *, axis: int) -> Any:
    factors = _shifted(flip_p(args[0], axes=(axis,)), axis, 0.0)
    u = flip_p(recurrence_p(factors, flip_p(ct, axes=(axis,)), axis=axis), axes=(axis,))
    return u * _shifted(ans, axis, 0.0) if wanted[0] else None, u


# The linear recurrence s[i] = a[i] s[i-1] + b[i] with s[-1] = 0. Its derivatives are recurrences
# again: s'[i] = a[i] s'[i-1] + (a'[i] s[i-1] + b'[i]), and backward, from the other end,
# u[i] = ct[i] + a[i+1] u[i+1] with b's cotangent u and a's u[i] s[i-1].
recurrence_p = General(
    "recurrence",
    _recurrence,
    _recurrence_jvp,
    _recurrence_vjp,
    shape=lambda a, b, *, axis: Aval(b.shape, np.result_type(a.dtype, b.dtype)),
    batch=batch_axis,
)


def _cumprod_jvp(ans: Value, args: Any, x_dots: Any, *, axis: int) -> Value:
    before = _shifted(ans, axis, 1.0)
    return recurrence_p(args[0], x_dots[0] * before, axis=axis)


# p[i] = x[i] p[i-1], so p'[i] = x[i] p'[i-1] + x'[i] p[i-1]: a linear recurrence.
cumprod_p = General(
    "cumprod",
    lambda x, *, axis: np.multiply.accumulate(x, axis=axis),
    _cumprod_jvp,
    shape=lambda x, *, axis: Aval(x.shape, accumulated_dtype(x.dtype)),
    batch=batch_axis,
)


def _products_of_others(x: Value, axes: Axes) -> Value:
    """For each element, the product of all others that are reduced with it: what is before it
    times what is after it.
    """
    shape = shape_of(x)
    line = axes_to_front(x, axes)
    if shape_of(line)[0] == 0:
        return x
    before = cumprod_p(_shifted(line, 0, 1.0), axis=0)
    after = flip_p(cumprod_p(_shifted(flip_p(line, axes=(0,)), 0, 1.0), axis=0), axes=(0,))
    return axes_from_front(before * after, shape, axes)


def _reduce_prod_jvp(ans: Value, args: Any, x_dots: Any, *, axes: Axes) -> Value:
    return reduce_sum_p(x_dots[0] * _products_of_others(args[0], axes), axes=axes)


def _reduce_prod_vjp(ct: Value, ans: Value, args: Any, wanted: Any, *, axes: Axes) -> Any:
    (x,) = args
    return (keep_axes(ct, shape_of(x), axes) * _products_of_others(x, axes),)


# d prod / d x[i] is the product of the others.
reduce_prod_p = General(
    "reduce_prod",
    lambda x, *, axes: np.multiply.reduce(x, axis=axes),
    _reduce_prod_jvp,
    _reduce_prod_vjp,
    shape=lambda x, *, axes: Aval(shapes.reduced(x.shape, axes), accumulated_dtype(x.dtype)),
    batch=batch_axes,
)


def _shares(ans: Value, x: Value, axes: Axes) -> Value:
    """1/k at each of the k elements that equal the extreme. A NaN is the extreme of its row."""
    chosen = equal_p(x, keep_axes(ans, shape_of(x), axes))
    chosen = as_float(logical_or_p(chosen, not_equal_p(x, x)), x)
    return chosen / keep_axes(reduce_sum_p(chosen, axes=axes), shape_of(x), axes)


def _extreme_jvp(ans: Value, args: Any, x_dots: Any, *, axes: Axes) -> Value:
    return reduce_sum_p(strong_multiply_p(x_dots[0], _shares(ans, args[0], axes)), axes=axes)


def _extreme_vjp(ct: Value, ans: Value, args: Any, wanted: Any, *, axes: Axes) -> Any:
    (x,) = args
    return (strong_multiply_p(keep_axes(ct, shape_of(x), axes), _shares(ans, x, axes)),)


def _extreme(name: str, ufunc: Any) -> General:
    return General(
        name,
        lambda x, *, axes: ufunc.reduce(x, axis=axes),
        _extreme_jvp,
        _extreme_vjp,
        masks=True,
        shape=lambda x, *, axes: Aval(shapes.reduced(x.shape, axes), x.dtype),
        batch=batch_axes,
    )


# The derivative goes to the extreme element; ties share it equally, as in `maximum`.
reduce_max_p = _extreme("reduce_max", np.maximum)
reduce_min_p = _extreme("reduce_min", np.minimum)


def _test(name: str, ufunc: Any) -> Primitive:
    return Constant(
        name,
        lambda x, *, axes: ufunc.reduce(x, axis=axes, dtype=bool),
        shape=lambda x, *, axes: Aval(shapes.reduced(x.shape, axes), np.dtype(bool)),
        batch=batch_axes,
    )


reduce_any_p = _test("reduce_any", np.logical_or)
reduce_all_p = _test("reduce_all", np.logical_and)


def _position(name: str, function: Any) -> Primitive:
    return Constant(
        name,
        lambda x, *, axis: function(x, axis),
        shape=lambda x, *, axis: Aval(shapes.reduced(x.shape, (axis,)), np.dtype(np.intp)),
        batch=batch_axis,
    )


# The position of the first extreme along one axis.
argmax_p = _position("argmax", np.argmax)
argmin_p = _position("argmin", np.argmin)


def sum_values(x: Value, axes: Axes, dtype: Any = None) -> Value:
    """``np.sum`` on Values: added up in ``dtype``, small integers too."""
    return _in_dtype(reduce_sum_p, x, axes, dtype)


def prod_values(x: Value, axes: Axes, dtype: Any = None) -> Value:
    """``np.prod`` on Values."""
    return _in_dtype(reduce_prod_p, x, axes, dtype)


def _in_dtype(primitive: Primitive, x: Value, axes: Axes, dtype: Any) -> Value:
    if dtype is None:
        return primitive(x, axes=axes)
    return convert(primitive(convert(x, dtype), axes=axes), dtype)


def count_values(mask: Value, axes: Axes) -> Value:
    """The number of True elements, as intp."""
    return reduce_sum_p(mask, axes=axes) if ndim_of(mask) else convert(mask, np.dtype(np.intp))
