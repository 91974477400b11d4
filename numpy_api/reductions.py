"""sum, prod, max, min, any, all, argmax, argmin, count_nonzero, ptp, cumsum, cumprod."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.batching import BatchTracer
from ..autodiff.core import Primitive, Tracer, Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import ConcretizationError, user_line
from ..autodiff.handles import RESULT, TracedArray, value_of, wrap
from ..autodiff.primitives.elementwise import add_p, maximum_p, minimum_p, multiply_p, select_p
from ..autodiff.primitives.elementwise import not_equal_p as unequal_p
from ..autodiff.primitives.manipulation import concatenate_p
from ..autodiff.primitives.reductions import (
    argmax_p,
    argmin_p,
    count_values,
    cumprod_p,
    cumsum_p,
    keep_axes,
    prod_values,
    reduce_all_p,
    reduce_any_p,
    reduce_max_p,
    reduce_min_p,
    sum_values,
)
from ..autodiff.protocols import write_out
from ..autodiff.rules import (
    broadcast_to_p,
    convert,
    filled,
    raveled,
    reduce_sum_p,
    reshape_p,
)

NONE: Any = np._NoValue  # NumPy's own mark of an argument that was not given
_BOOL = np.dtype(bool)


def reduction_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a ufunc's reduction: axis 0 and -1 exist on a scalar, and a list is refused."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, list):
        raise TypeError(
            "'list' object cannot be interpreted as an integer: axis is a list"
            f"{user_line()}; write axis={tuple(axis)!r}"
        )
    if ndim == 0 and not isinstance(axis, tuple) and operator.index(axis) in (0, -1):
        return ()
    return shapes.axis_tuple(axis, ndim)


def handle(value: Value) -> Any:
    """A handle for NumPy code: typed Any, because type checkers do not know it as an array."""
    return wrap(value)


def array_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a function that is no ufunc's reduction: a scalar has none."""
    axes = reduction_axes(axis, ndim)
    if ndim == 0 and axis is not None and axis != ():
        shapes.axis_tuple(axis, ndim)
    return axes


def is_set(flag: Any) -> bool:
    """Whether an optional ``keepdims`` was given and is true."""
    return flag is not NONE and flag is not None and bool(flag)


def examine(value: Value) -> Any:
    """The numbers behind a Value, of every example of a batch."""
    while isinstance(value, Tracer):
        value = value.values if isinstance(value, BatchTracer) else value.concrete()
    return np.asarray(value)


def may_hold(mask: Value) -> bool:
    """Whether anything in a mask is true, or nobody knows: what a shortcut asks."""
    try:
        return bool(examine(mask).any())
    except ConcretizationError:
        return True


def finish(name: str, value: Value, out: Any, kind: int = RESULT) -> Any:
    """The result of a reduction, cast to the dtype of ``out`` (as NumPy's reductions cast)."""
    if out is None:
        return wrap(value, kind)
    target = out[0] if isinstance(out, tuple) else out
    if type(target) is TracedArray:
        value = convert(value, dtype_of(target.value))
    return write_out(name, out, wrap(value))


def mask_of(where: Any, x: Value) -> Value | None:
    """``where=`` as a boolean Value that broadcasts to x; None where it keeps everything."""
    if where is NONE or where is True or where is None:
        return None
    mask = value_of(where)
    if dtype_of(mask) != _BOOL:
        if isinstance(where, (list, tuple)):
            mask = unequal_p(mask, 0)
        else:
            raise TypeError(
                f"where= must be boolean, got {dtype_of(mask)}{user_line()}; write where=mask != 0"
            )
    if not shapes.can_broadcast(shape_of(mask), shape_of(x)):
        raise ValueError(
            f"where= of shape {shape_of(mask)} does not broadcast to the array's shape "
            f"{shape_of(x)}{user_line()}"
        )
    return mask


def start_of(initial: Any, dtype: np.dtype[Any]) -> Value | None:
    """``initial=`` as a scalar Value of the result's dtype; None where there is none."""
    if initial is NONE or initial is None:
        return None
    start = value_of(initial)
    if ndim_of(start):
        raise ValueError(
            f"initial must be a scalar, got an array of shape {shape_of(start)}{user_line()}"
        )
    return convert(start, dtype)


def _out_dtype(dtype: Any, out: Any, x: Value) -> Any:
    """The dtype in which x is reduced: the one asked for, or what x and ``out`` have in common."""
    if dtype is not None:
        return np.dtype(dtype)
    if type(out) is not TracedArray:
        return None
    return np.result_type(dtype_of(out.value), dtype_of(x))


def _folded(
    name: str,
    reduce: Callable[..., Value],
    combine: Primitive,
    identity: int,
    a: Any,
    axis: Any,
    dtype: Any,
    out: Any,
    keepdims: Any,
    initial: Any,
    where: Any,
) -> Any:
    """Both sum and prod."""
    x = value_of(a)
    axes = reduction_axes(axis, ndim_of(x))
    mask = mask_of(where, x)
    shape = shape_of(x)
    if mask is not None:
        x = select_p(mask, x, dtype_of(x).type(identity))
    result = reduce(x, axes, _out_dtype(dtype, out, x))
    start = start_of(initial, dtype_of(result))
    if start is not None:
        result = combine(start, result)
    if is_set(keepdims):
        result = keep_axes(result, shape, axes)
    return finish(name, result, out)


@implements(np.sum)
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    if dtype is None and out is None and keepdims is NONE and initial is NONE and where is NONE:
        x = value_of(a)
        return wrap(reduce_sum_p(x, axes=reduction_axes(axis, ndim_of(x))))
    return _folded("np.sum", sum_values, add_p, 0, a, axis, dtype, out, keepdims, initial, where)


@implements(np.prod)
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return _folded(
        "np.prod", prod_values, multiply_p, 1, a, axis, dtype, out, keepdims, initial, where
    )


def _extreme(
    name: str,
    ufunc: Any,
    reduce: Primitive,
    combine: Primitive,
    a: Any,
    axis: Any,
    out: Any,
    keepdims: Any,
    initial: Any,
    where: Any,
) -> Any:
    """Both max and min."""
    x = value_of(a)
    shape = shape_of(x)
    axes = reduction_axes(axis, len(shape))
    mask = mask_of(where, x)
    start = start_of(initial, dtype_of(x))
    if start is None:
        if mask is not None:
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a "
                "where mask one has to specify 'initial'"
            )
        result = reduce(x, axes=axes)
    else:
        if mask is not None:
            x = select_p(mask, x, start)
        left = shapes.reduced(shape, axes)
        if shapes.prod(shape) == 0:
            result = broadcast_to_p(start, shape=left)
        else:
            result = combine(reduce(x, axes=axes), start)
    if is_set(keepdims):
        result = keep_axes(result, shape, axes)
    return finish(name, result, out)


@implements(np.max, np.amax)
def max(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return _extreme(
        "np.max", np.maximum, reduce_max_p, maximum_p, a, axis, out, keepdims, initial, where
    )


@implements(np.min, np.amin)
def min(
    a: Any,
    axis: Any = None,
    out: Any = None,
    keepdims: Any = NONE,
    initial: Any = NONE,
    where: Any = NONE,
) -> Any:
    return _extreme(
        "np.min", np.minimum, reduce_min_p, minimum_p, a, axis, out, keepdims, initial, where
    )


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE) -> Any:
    span = np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)
    return finish("np.ptp", value_of(span), out)


def _truth(
    name: str,
    reduce: Primitive,
    neutral: bool,
    a: Any,
    axis: Any,
    out: Any,
    keepdims: Any,
    where: Any,
) -> Any:
    """Both any and all."""
    x = value_of(a)
    shape = shape_of(x)
    axes = reduction_axes(axis, len(shape))
    mask = mask_of(where, x)
    if mask is not None:
        x = select_p(mask, unequal_p(x, 0), neutral)
    result = reduce(x, axes=axes)
    if is_set(keepdims):
        result = keep_axes(result, shape, axes)
    return finish(name, result, out)


@implements(np.any)
def any(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE, *, where: Any = NONE
) -> Any:
    return _truth("np.any", reduce_any_p, False, a, axis, out, keepdims, where)


@implements(np.all)
def all(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NONE, *, where: Any = NONE
) -> Any:
    return _truth("np.all", reduce_all_p, True, a, axis, out, keepdims, where)


def _position(name: str, find: Primitive, a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    x = value_of(a)
    shape = shape_of(x)
    if axis is None or not shape:
        if axis is not None:
            shapes.axis_index(axis, 1)
        result = find(raveled(x), axis=0)
        kept = (1,) * len(shape)
    else:
        along = shapes.axis_index(axis, len(shape))
        result = find(x, axis=along)
        kept = shapes.reduced(shape, (along,), True)
    if is_set(keepdims):
        result = reshape_p(result, shape=kept)
    return write_out(name, out, wrap(result))


@implements(np.argmax)
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NONE) -> Any:
    return _position("np.argmax", argmax_p, a, axis, out, keepdims)


@implements(np.argmin)
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NONE) -> Any:
    return _position("np.argmin", argmin_p, a, axis, out, keepdims)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    x = value_of(a)
    shape = shape_of(x)
    axes = reduction_axes(axis, len(shape))
    count = count_values(unequal_p(x, 0), axes)
    return wrap(keep_axes(count, shape, axes) if keepdims else count)


def _along(name: str, scan: Primitive, a: Any, axis: Any, dtype: Any, out: Any) -> Any:
    """Both cumsum and cumprod."""
    x = value_of(a)
    shape = shape_of(x)
    if axis is None or not shape:
        if axis is not None:
            shapes.axis_index(axis, 1)
        x, along = raveled(x), 0
    else:
        along = shapes.axis_index(axis, len(shape))
    wanted = _out_dtype(dtype, out, x)
    if wanted is None:
        return finish(name, scan(x, axis=along), out)
    return finish(name, convert(scan(convert(x, wanted), axis=along), wanted), out)


@implements(np.cumsum)
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _along("np.cumsum", cumsum_p, a, axis, dtype, out)


@implements(np.cumprod)
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return _along("np.cumprod", cumprod_p, a, axis, dtype, out)


def _cumulative(
    scan: Callable[..., Any],
    identity: int,
    name: str,
    x: Any,
    axis: Any,
    dtype: Any,
    out: Any,
    include_initial: bool,
) -> Any:
    value = value_of(x)
    if not ndim_of(value):
        value = reshape_p(value, shape=(1,))
    if axis is None:
        if ndim_of(value) > 1:
            raise ValueError(
                "For arrays which have more than one dimension ``axis`` argument is required."
            )
        axis = 0
    result = value_of(scan(wrap(value), axis=axis, dtype=dtype))
    if include_initial:
        along = shapes.axis_index(axis, ndim_of(result))
        one = shapes.with_size(shape_of(result), along, 1)
        first = filled(one, identity, dtype_of(result))
        result = concatenate_p(first, result, axis=along)
    return finish(name, result, out)


# Names that NumPy has from 2.1 on.
if hasattr(np, "cumulative_sum"):

    @implements(np.cumulative_sum)
    def cumulative_sum(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        return _cumulative(cumsum, 0, "np.cumulative_sum", x, axis, dtype, out, include_initial)

    @implements(np.cumulative_prod)
    def cumulative_prod(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        return _cumulative(cumprod, 1, "np.cumulative_prod", x, axis, dtype, out, include_initial)
