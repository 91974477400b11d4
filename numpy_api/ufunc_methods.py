"""What ``ufunc.reduce``, ``accumulate``, ``reduceat``, ``outer`` and ``at`` do on traced arrays.

Sums, products and extremes are what `reductions` makes of them. Any other binary ufunc is folded:
in pairs of halves where the order does not matter, which takes log2(n) operations, else one slice
after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, deciding_value, dtype_of, ndim_of, settle, shape_of
from ..autodiff.dispatch import FUNCTIONS, LATER, UFUNC_METHODS, UFUNCS, name_of
from ..autodiff.errors import BatchingError, ConcretizationError, user_line
from ..autodiff.handles import (
    TracedArray,
    array_value,
    fit_shape,
    has_handle,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.indexing import add_at
from ..autodiff.primitives.elementwise import negative_p, select_p
from ..autodiff.primitives.indexing import gather_p, getitem_p, scatter_p, slice_axis
from ..autodiff.primitives.manipulation import concatenate_p
from ..autodiff.protocols import concrete_out, write_out
from ..autodiff.rules import broadcast_to_p, convert, reshape_p
from ..autodiff.sizes import iota
from .reductions import NONE, is_set, mask_of, reduction_axes, start_of

Rule = Callable[..., Value]

_REDUCTIONS = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
_SCANS = {np.add: np.cumsum, np.multiply: np.cumprod}

# Associative and commutative: NumPy calls them reorderable.
_REORDERABLE = {
    *_REDUCTIONS,
    np.fmax,
    np.fmin,
    np.logical_xor,
    np.bitwise_and,
    np.bitwise_or,
    np.bitwise_xor,
    np.hypot,
    np.logaddexp,
    np.logaddexp2,
    np.gcd,
    np.lcm,
}


def _check_binary(ufunc: Any, method: str) -> None:
    if ufunc.signature is not None:
        raise RuntimeError(f"{method} is not defined on {ufunc.__name__}, which has a signature")
    if ufunc.nin != 2 or ufunc.nout != 1:
        raise ValueError(f"{method} only supported for binary functions, not {ufunc.__name__}")


def _prepared(ufunc: Any, x: Value, dtype: Any) -> Value:
    """``x`` in the dtype in which NumPy reduces it."""
    if dtype is not None:
        return convert(x, np.dtype(dtype))
    return convert(x, ufunc.resolve_dtypes((None, dtype_of(x), None), reduction=True)[1])


def _item(x: Value, axis: int, i: int) -> Value:
    return getitem_p(x, index=(*(slice(None),) * axis, i))


# --- reduce


def reduce(
    ufunc: Any,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = NONE,
    where: Any = True,
) -> Any:
    _check_binary(ufunc, "reduce")
    known = _REDUCTIONS.get(ufunc)
    keywords = {"axis": axis, "out": out, "keepdims": keepdims, "where": where}
    if known is np.sum or known is np.prod:
        return FUNCTIONS[known](array, **keywords, dtype=dtype, initial=initial)
    if known is np.max or known is np.min:
        array = array if dtype is None else wrap(convert(value_of(array), np.dtype(dtype)))
        return FUNCTIONS[known](array, **keywords, initial=initial)
    if known is not None and initial is NONE and dtype in (None, bool):
        return FUNCTIONS[known](array, **keywords)
    x = _prepared(ufunc, value_of(array), dtype)
    axes = reduction_axes(axis, ndim_of(x))
    result = _reduced(ufunc, x, axes, mask_of(where, x), start_of(initial, dtype_of(x)))
    if is_set(keepdims):
        result = reshape_p(result, shape=shapes.reduced(shape_of(x), axes, True))
    return write_out(f"np.{ufunc.__name__}.reduce", out, wrap(result))


def _reduced(
    ufunc: Any, x: Value, axes: tuple[int, ...], mask: Value | None, start: Value | None
) -> Value:
    rule = UFUNCS[ufunc]
    if ufunc not in _REORDERABLE:
        if len(axes) > 1:
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis "
                "may be specified"
            )
        if not axes:  # of every element alone
            x = reshape_p(x, shape=(1, *shape_of(x)))
            mask = mask if mask is None else broadcast_to_p(mask, shape=shape_of(x))
            axes = (0,)
        return _folded_left(ufunc, x, axes, mask, start)
    if mask is not None:
        x = select_p(mask, x, _neutral(ufunc, start, dtype_of(x)))
    for axis in reversed(axes):
        if shape_of(x)[axis] == 0:
            shape = shapes.reduced(shape_of(x), (axis,))
            x = broadcast_to_p(_identity(ufunc, start, dtype_of(x)), shape=shape)
        else:
            x = _halved(rule, x, axis)
    return x if start is None else rule(start, x)


def _identity(ufunc: Any, start: Value | None, dtype: np.dtype[Any]) -> Value:
    """What nothing at all reduces to."""
    if ufunc.identity is not None:
        return np.asarray(ufunc.identity).astype(dtype)[()]
    if start is None:
        raise ValueError(
            f"zero-size array to reduction operation {ufunc.__name__} which has no identity"
            f"{user_line()}; give initial="
        )
    return start


def _neutral(ufunc: Any, start: Value | None, dtype: np.dtype[Any]) -> Value:
    """What masked elements are replaced by; functions without an identity are idempotent."""
    if ufunc.identity is None and start is None:
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where "
            "mask one has to specify 'initial'"
        )
    return _identity(ufunc, start, dtype)


def _halved(rule: Rule, x: Value, axis: int) -> Value:
    """The first half with the second, until one is left."""
    size = shape_of(x)[axis]
    while size > 1:
        half = size // 2
        joined = rule(slice_axis(x, 0, half, axis), slice_axis(x, half, 2 * half, axis))
        if size % 2:
            joined = concatenate_p(joined, slice_axis(x, size - 1, size, axis), axis=axis)
        x, size = joined, size - half
    return _item(x, axis, 0)


def _folded_left(
    ufunc: Any, x: Value, axes: tuple[int, ...], mask: Value | None, start: Value | None
) -> Value:
    """((x0 . x1) . x2) ..., from ``start`` if there is one."""
    (axis,) = axes
    if mask is not None:
        _neutral(ufunc, start, dtype_of(x))
        mask = broadcast_to_p(mask, shape=shape_of(x))
    items = range(shape_of(x)[axis])
    if start is None:
        if not items:
            return _identity(ufunc, None, dtype_of(x))
        total, items = _item(x, axis, 0), items[1:]
    else:
        total = broadcast_to_p(start, shape=shapes.reduced(shape_of(x), axes))
    for i in items:
        new = UFUNCS[ufunc](total, _item(x, axis, i))
        total = new if mask is None else select_p(_item(mask, axis, i), new, total)
    return total


# --- accumulate, reduceat, outer


def _one_axis(method: str, axis: Any, ndim: int) -> int:
    """The axis that a method with one axis works along: None, or a tuple, may name one too."""
    axes = reduction_axes(axis, ndim)
    if len(axes) != 1:
        raise ValueError(f"{method} does not allow multiple axes: axis={axis} names {len(axes)}")
    return axes[0]


def accumulate(ufunc: Any, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    _check_binary(ufunc, "accumulate")
    x = value_of(array)
    if not ndim_of(x):
        raise TypeError(f"cannot accumulate on a scalar: {ufunc.__name__}.accumulate got {array!r}")
    axis = _one_axis("accumulate", axis, ndim_of(x))
    known = _SCANS.get(ufunc)
    if known is not None:
        return FUNCTIONS[known](array, axis, dtype, out)
    x = _prepared(ufunc, x, dtype)
    scan = _scanned if ufunc in _REORDERABLE else _scanned_left
    result = scan(UFUNCS[ufunc], x, axis) if shape_of(x)[axis] else x
    return write_out(f"np.{ufunc.__name__}.accumulate", out, wrap(result))


def _scanned(rule: Rule, x: Value, axis: int) -> Value:
    """Every element with the one 1, then 2, 4, ... places before it."""
    size, step = shape_of(x)[axis], 1
    while step < size:
        joined = rule(slice_axis(x, 0, size - step, axis), slice_axis(x, step, size, axis))
        x = concatenate_p(slice_axis(x, 0, step, axis), joined, axis=axis)
        step *= 2
    return x


def _scanned_left(rule: Rule, x: Value, axis: int) -> Value:
    totals = [slice_axis(x, 0, 1, axis)]
    for i in range(1, shape_of(x)[axis]):
        totals.append(rule(totals[-1], slice_axis(x, i, i + 1, axis)))
    return concatenate_p(*totals, axis=axis)


def reduceat(
    ufunc: Any, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    _check_binary(ufunc, "reduceat")
    x = value_of(array)
    axis = _one_axis("reduceat", axis, ndim_of(x))
    size = shape_of(x)[axis]
    starts = np.asarray(unwrap_known(indices, "reduceat: indices"))
    outside = (starts < 0) | (starts >= size)
    if outside.any():
        raise IndexError(
            f"index {starts[outside][0]} out-of-bounds in {ufunc.__name__}.reduceat [0, {size})"
            f"{user_line()}"
        )
    pieces = []
    for start, following in zip(starts, (*starts[1:], size), strict=True):
        piece = slice_axis(x, int(start), int(max(following, start + 1)), axis)
        pieces.append(value_of(reduce(ufunc, wrap(piece), axis, dtype, None, True)))
    result = concatenate_p(*pieces, axis=axis) if pieces else slice_axis(x, 0, 0, axis)
    return write_out(f"np.{ufunc.__name__}.reduceat", out, wrap(result))


def outer(ufunc: Any, A: Any, B: Any, **keywords: Any) -> Any:
    if ufunc.signature is not None:
        raise RuntimeError(f"outer is not defined on {ufunc.__name__}, which has a signature")
    if ufunc.nin != 2:
        raise ValueError(f"outer product only supported for binary functions, not {ufunc.__name__}")
    x, y = array_value(A), array_value(B)
    x = reshape_p(x, shape=(*shape_of(x), *(1,) * ndim_of(y)))
    return ufunc(wrap(x), wrap(y), **keywords)


# --- at


def at(ufunc: Any, a: Any, indices: Any, *operands: Any) -> None:
    """``a[indices] = ufunc(a[indices], b)`` in place, once for every time an element is named."""
    if ufunc.signature is not None or ufunc.nin > 2 or ufunc.nout != 1:
        raise TypeError(f"at is only supported for ufuncs of one or two arguments, not {ufunc!r}")
    if len(operands) != ufunc.nin - 1:
        raise ValueError(f"{ufunc.__name__}.at wants {ufunc.nin} operands, got {len(operands) + 1}")
    if type(a) is not TracedArray:
        raise concrete_out(f"{name_of(ufunc)}.at", a)
    values = [array_value(operand) for operand in operands]
    _check_cast(ufunc, a.value, values)
    if ufunc is np.add and _adds_up(a.value, values):
        add_at(a, indices, values[0])
    elif ufunc is np.subtract and _adds_up(a.value, values):
        add_at(a, indices, negative_p(convert(values[0], dtype_of(a.value))))
    else:
        _in_rounds(ufunc, a, indices, values)


def _check_cast(ufunc: Any, x: Value, operands: list[Value]) -> None:
    wanted = dtype_of(x)
    for operand in operands:
        have = dtype_of(operand)
        if have.kind in "fc" and not np.can_cast(have, wanted, "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc '{ufunc.__name__}' output from {have} to {wanted} with casting "
                f"rule 'same_kind'{user_line()}"
            )


def _adds_up(x: Value, operands: list[Value]) -> bool:
    """Whether sums do not depend on when they are cast to the dtype of ``x``: those of bools do."""
    return dtype_of(x).kind != "b" or dtype_of(operands[0]).kind == "b"


def _in_rounds(ufunc: Any, a: TracedArray, indices: Any, operands: list[Value]) -> None:
    """The first occurrences of all elements at once, then the second ones, and so on; where the
    indices or sizes are not known, one after the other.
    """
    x = a.value
    numbers: Any = wrap(reshape_p(iota(shapes.prod(shape_of(x))), shape=shape_of(x)))
    known = _known_places(numbers, indices)
    if known is None:
        _in_turn(ufunc, a, value_of(numbers[indices]), operands)
        return
    places = np.asarray(known)
    operands = [reshape_p(fit_shape(b, places.shape), shape=(places.size,)) for b in operands]
    flat = _flat(x)
    places = places.ravel()
    occurrence = _occurrences(places)
    for turn in range(occurrence.max(initial=-1) + 1):
        (now,) = np.nonzero(occurrence == turn)
        old = gather_p(flat, places[now])
        new = UFUNCS[ufunc](old, *(gather_p(b, now) for b in operands))
        flat = scatter_p(flat, convert(new, dtype_of(x)), places[now])
    a.write(reshape_p(flat, shape=shape_of(x)))


def _in_turn(ufunc: Any, a: TracedArray, places: Value, operands: list[Value]) -> None:
    """One place after the other, as a loop of the Program."""
    shape = shape_of(places)
    places, *rest = (_flat(fit_shape(v, shape)) for v in (places, *operands))

    def step(flat: Any, row: Any) -> Any:
        place, *others = row
        flat[place] = ufunc(flat[place], *others)
        return flat, None

    flat, _ = LATER["scan"]()(step, wrap(_flat(a.value)), [wrap(v) for v in (places, *rest)])
    a.write(reshape_p(value_of(flat), shape=shape_of(a.value)))


def _flat(x: Value) -> Value:
    return reshape_p(x, shape=(shapes.prod(shape_of(x)),))


def _occurrences(places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """For every item, how many equal ones come before it."""
    order = np.argsort(places, kind="stable")
    ranked = places[order]
    before = np.empty(places.size, int)
    before[order] = np.arange(places.size) - np.searchsorted(ranked, ranked)
    return before


def _known_places(numbers: TracedArray, indices: Any) -> Any:
    """``numbers[indices]``, None where it is not known."""
    if not isinstance(numbers.value, np.ndarray):
        return None
    try:
        return numbers.value[_known_index(indices)]
    except (BatchingError, ConcretizationError) as error:
        settle(error)
        return None


def _known_index(index: Any) -> Any:
    """An index in which traced integers are replaced by their values."""
    if isinstance(index, tuple):
        return tuple(map(_known_index, index))
    if type(index) is TracedArray or (isinstance(index, list) and has_handle(index)):
        return deciding_value(value_of(index), "indices of a ufunc's method")
    return index


UFUNC_METHODS.update(
    {"reduce": reduce, "accumulate": accumulate, "reduceat": reduceat, "outer": outer, "at": at}
)
