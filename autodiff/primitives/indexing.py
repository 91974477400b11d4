"""Reading and writing parts of arrays: static basic indices, and index arrays.

``index`` is a tuple of ints, slices and None (newaxis), as long as needed, without Ellipsis:
NumPy's basic indexing. Index arrays address the leading axes; `autodiff.indexing` brings every
form of NumPy's advanced indexing into this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import shapes
from ..core import (
    PYTHON_DTYPES,
    Aval,
    Constant,
    Primitive,
    Value,
    concrete_value,
    dtype_of,
    ndim_of,
    shape_of,
)
from ..errors import BatchingError, user_line
from ..rules import (
    JointlyLinear,
    Linear,
    batch_unchanged,
    broadcast_to_p,
    lead_batch,
    reshape_p,
    unbroadcast,
)
from ..sizes import iota
from .elementwise import elementwise_batch, select_p

Index = tuple[Any, ...]


def part_shape(shape: tuple[Any, ...], index: Index) -> tuple[Any, ...]:
    """The shape of ``x[index]`` for an x of ``shape``."""
    out: list[Any] = []
    axis = 0
    for item in index:
        if item is None:
            out.append(1)
            continue
        if isinstance(item, slice):
            out.append(shapes.slice_size(item, shape[axis]))
        elif not -shape[axis] <= item < shape[axis]:
            raise IndexError(
                f"index {item} is out of bounds for axis {axis} with size {shape[axis]}"
            )
        else:
            shapes.element_place(item, shape[axis])  # of a symbolic index code has to know the sign
        axis += 1
    return (*out, *shape[axis:])


FEW = 512  # elements: of what is smaller, memory is not worth a thought


def _getitem(x: Any, *, index: Index) -> Any:
    """A view of most of ``x``, a copy of less: a view would keep all of it alive, on a tape in
    every version that a loop makes by writing to it.
    """
    if type(x) in PYTHON_DTYPES:
        x = np.asarray(x)
    part = x[index]
    return part.copy() if x.size > FEW and part.ndim and 4 * part.size < x.size else part


# The transpose of reading a part is writing it into zeros.
getitem_p = Linear(
    "getitem",
    _getitem,
    lambda ct, x, *, index: embed_p(ct, index=index, shape=shape_of(x)),
    shape=lambda x, *, index: Aval(part_shape(x.shape, index), x.dtype),
    batch=lambda primitive, size, args, batched, *, index: (
        getitem_p(args[0], index=(slice(None), *index)),
        True,
    ),
)


def slice_axis(x: Value, start: Any, stop: Any, axis: int) -> Value:
    """``x[..., start:stop, ...]`` along one axis."""
    return getitem_p(x, index=(*(slice(None),) * axis, slice(start, stop)))


def _embed(part: Any, *, index: Index, shape: tuple[Any, ...]) -> Any:
    out = np.zeros(shape, dtype_of(part))
    out[index] = part
    return out


def _embed_shape(part: Aval, *, index: Index, shape: tuple[Any, ...]) -> Aval:
    shapes.check_broadcast(part.shape, part_shape(shape, index), "a part")
    return Aval(shape, part.dtype)


# Zeros of ``shape`` with the part at ``index`` given: what reading that part undoes.
embed_p = Linear(
    "embed",
    _embed,
    lambda ct, part, *, index, shape: getitem_p(ct, index=index),
    shape=_embed_shape,
    batch=lambda primitive, size, args, batched, *, index, shape: (
        embed_p(args[0], index=(slice(None), *index), shape=(size, *shape)),
        True,
    ),
)


def _setitem(x: Any, value: Any, *, index: Index) -> Any:
    out = np.array(x)
    out[index] = value
    return out


def _setitem_transpose(i: int, ct: Value, args: Sequence[Any], *, index: Index) -> Value:
    if i == 0:
        return setitem_p(ct, dtype_of(ct).type(0), index=index)
    return unbroadcast(getitem_p(ct, index=index), shape_of(args[1]))


def _widened(x: Value, is_batched: bool, ndim: int) -> Value:
    """A batched ``x`` with axes of length 1, so that it broadcasts to (batch, ndim axes)."""
    missing = ndim + 1 - ndim_of(x)
    if not is_batched or not missing:
        return x
    return getitem_p(x, index=(slice(None), *(None,) * missing))


def _setitem_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, index: Index
) -> Any:
    x, value = args
    target = part_shape(shape_of(x)[1:] if batched[0] else shape_of(x), index)
    value = _widened(value, batched[1], len(target))
    return setitem_p(lead_batch(x, size, batched[0]), value, index=(slice(None), *index)), True


def _setitem_shape(x: Aval, value: Aval, *, index: Index) -> Aval:
    shapes.check_broadcast(value.shape, part_shape(x.shape, index), "a value")
    return Aval(x.shape, x.dtype)


# x with the part x[index] replaced by value (broadcast to it): linear in (x, value) together.
setitem_p = JointlyLinear(
    "setitem",
    _setitem,
    _setitem_transpose,
    masks=True,
    shape=_setitem_shape,
    batch=_setitem_batch,
)


Axes = tuple[int, ...] | None
"""The user's axes that index arrays address, for errors; None where they are the leading ones."""


def _raise_at(error: IndexError, shape: Sequence[Any], indices: Sequence[Any], axes: Axes) -> None:
    """NumPy's error in terms of the user's axes."""
    for index, size, axis in zip(indices, shape, axes or (), strict=False):
        bad = [i for i in np.ravel(index) if not -size <= i < size]
        if bad:
            raise IndexError(
                f"index {bad[0]} is out of bounds for axis {axis} with size {size}"
            ) from None
    raise error


def _gather(x: Any, *indices: Any, axes: Axes = None) -> Any:
    try:
        return x[indices]
    except IndexError as error:
        _raise_at(error, x.shape, indices, axes)


def _gather_shape(x: Aval, *indices: Aval, axes: Axes = None) -> Aval:
    lead = shapes.broadcast(*(i.shape for i in indices))
    return Aval((*lead, *x.shape[len(indices) :]), x.dtype)


def _batch_indices(
    size: Any, x_batched: bool, indices: Sequence[Value], batched: Sequence[bool]
) -> list[Value]:
    """Index arrays for a batched gather or scatter: every batched one gets axes so that the batch
    leads the broadcast; a batched x is addressed along its batch axis by an arange.
    """
    ndim = max(ndim_of(i) - b for i, b in zip(indices, batched, strict=True))
    out = [_widened(i, b, ndim) for i, b in zip(indices, batched, strict=True)]
    if x_batched:
        out.insert(0, reshape_p(iota(size), shape=(size,) + (1,) * ndim))
    return out


def _axes_in_batch(axes: Axes, count: int, x_batched: bool) -> dict[str, Axes]:
    """The parameter for a batched gather or scatter: the batch axis does not count."""
    if not x_batched:
        return {} if axes is None else {"axes": axes}
    return {"axes": (0, *(range(count) if axes is None else axes))}


def _gather_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, axes: Axes = None
) -> Any:
    x, *indices = args
    named = _axes_in_batch(axes, len(indices), batched[0])
    return gather_p(x, *_batch_indices(size, batched[0], indices, batched[1:]), **named), True


# x[i, j, ...] with integer arrays on the leading axes.
gather_p = Linear(
    "gather",
    _gather,
    lambda ct, x, *indices, **axes: accumulate_p(ct, *indices, shape=shape_of(x), **axes),
    shape=_gather_shape,
    batch=_gather_batch,
)


def _accumulate(value: Any, *indices: Any, shape: tuple[Any, ...], axes: Axes = None) -> Any:
    out = np.zeros(shape, dtype_of(value))
    try:
        np.add.at(out, indices, value)
    except IndexError as error:
        _raise_at(error, shape, indices, axes)
    return out


def _written(x: Aval, value: Aval, *indices: Aval, axes: Axes = None) -> Aval:
    """The shape rule of what writes ``value`` to ``x[indices]``."""
    shapes.check_broadcast(value.shape, _gather_shape(x, *indices).shape, "a value")
    return Aval(x.shape, x.dtype)


def _accumulate_batch(
    primitive: Primitive,
    size: Any,
    args: Any,
    batched: Any,
    *,
    shape: tuple[Any, ...],
    axes: Axes = None,
) -> tuple[Value, bool]:
    value, *indices = args
    lead = max(ndim_of(i) - b for i, b in zip(indices, batched[1:], strict=True))
    value = _widened(value, batched[0], lead + len(shape) - len(indices))
    places = _batch_indices(size, True, indices, batched[1:])
    if not batched[0]:  # every example adds the same value at its own places
        value = broadcast_to_p(value, shape=(size, *shape_of(value)))
    named = _axes_in_batch(axes, len(indices), True)
    return accumulate_p(value, *places, shape=(size, *shape), **named), True


# Zeros of ``shape`` to which value is added at [i, j, ...], repeated indices counted. ``value`` has
# the shape of the part that the indices address.
accumulate_p = Linear(
    "accumulate",
    _accumulate,
    lambda ct, value, *indices, shape, **axes: gather_p(ct, *indices, **axes),
    shape=lambda value, *indices, shape, axes=None: _written(
        Aval(shape, value.dtype), value, *indices
    ),
    batch=_accumulate_batch,
)


def _scatter_add(x: Any, value: Any, *indices: Any, axes: Axes = None) -> Any:
    out = np.array(x)
    lead = np.broadcast_shapes(*(np.shape(i) for i in indices))
    if np.ndim(value) == 1 and len(lead) > 1:
        # np.add.at (of NumPy 2.4 still) does not broadcast these: it reads on behind the value.
        value = np.broadcast_to(value, lead + out.shape[len(indices) :])
    try:
        np.add.at(out, indices, value)
    except IndexError as error:
        _raise_at(error, out.shape, indices, axes)
    return out


def _scatter_add_transpose(i: int, ct: Value, args: Sequence[Any], *, axes: Axes = None) -> Value:
    return ct if i == 0 else unbroadcast(gather_p(ct, *args[2:]), shape_of(args[1]))


def _scatter_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, axes: Axes = None
) -> Any:
    x, value, *indices = args
    inner = shape_of(x)[1:] if batched[0] else shape_of(x)
    lead = max(ndim_of(i) - b for i, b in zip(indices, batched[2:], strict=True))
    value = _widened(value, batched[1], lead + len(inner) - len(indices))
    places = _batch_indices(size, True, indices, batched[2:])
    named = _axes_in_batch(axes, len(indices), True)
    return primitive(lead_batch(x, size, batched[0]), value, *places, **named), True


# x[i, j, ...] += value with every repeated index counted, as np.add.at.
scatter_add_p = JointlyLinear(
    "scatter_add",
    _scatter_add,
    _scatter_add_transpose,
    last=2,
    shape=_written,
    batch=_scatter_batch,
)


def _in_order(indices: Sequence[Any]) -> tuple[Any, ...]:
    """Index arrays that NumPy goes through in C order, whatever their strides were: with repeated
    indices the order decides who writes last, and the derivative must agree with the value.
    """
    return tuple(np.ascontiguousarray(i) if np.ndim(i) else i for i in indices)


def _scatter(x: Any, value: Any, *indices: Any, axes: Axes = None) -> Any:
    out = np.array(x)
    try:
        out[_in_order(indices)] = value
    except IndexError as error:
        _raise_at(error, out.shape, indices, axes)
    return out


def _scatter_transpose(i: int, ct: Value, args: Sequence[Any], *, axes: Axes = None) -> Value:
    x, value, *indices = args
    zero = dtype_of(ct).type(0)
    if i == 0:
        return scatter_p(ct, zero, *indices)
    back = gather_p(ct, *indices)
    if any(map(ndim_of, indices)):  # there is but one write to one place
        back = select_p(last_writer_p(*indices, shape=shape_of(x)), back, zero)
    return unbroadcast(back, shape_of(value))


# x[i, j, ...] = value; of several writes to one place the last counts, as in NumPy.
scatter_p = JointlyLinear(
    "scatter",
    _scatter,
    _scatter_transpose,
    last=2,
    masks=True,
    shape=_written,
    batch=_scatter_batch,
)


def _last_writer(*indices: Any, shape: tuple[Any, ...]) -> Any:
    lead = np.broadcast_shapes(*(np.shape(i) for i in indices))
    order = np.arange(shapes.prod(lead)).reshape(lead)
    winner = np.zeros(shape[: len(indices)], dtype=order.dtype)
    winner[_in_order(indices)] = order
    won = winner[indices] == order
    return won.reshape(lead + (1,) * (len(shape) - len(indices)))


def _last_writer_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, shape: tuple[Any, ...]
) -> tuple[Value, bool]:
    indices = _batch_indices(size, True, args, batched)
    return last_writer_p(*indices, shape=(size, *shape)), True


# Which of the writes of a scatter survive: True for the last one to each place.
last_writer_p = Constant(
    "last_writer",
    _last_writer,
    shape=lambda *indices, shape: Aval(
        shapes.broadcast(*(i.shape for i in indices)) + (1,) * (len(shape) - len(indices)),
        np.dtype(bool),
    ),
    batch=_last_writer_batch,
)


def _nonzero_batch(primitive: Primitive, size: Any, args: Any, batched: Any) -> Any:
    example, *places = nonzero_p(args[0])
    counts = np.bincount(concrete_value(example), minlength=size)
    if (counts != counts[:1]).any():
        raise BatchingError(
            f"a boolean mask selects {counts.min()} to {counts.max()} elements in the examples of "
            f"a vmapped batch{user_line()}; the results cannot be stacked. Write np.where(mask, x, "
            "0) in place of x[mask], or x = np.where(mask, new, x) in place of x[mask] = new."
        )
    shape = (size, counts[0] if size else 0)
    return tuple(reshape_p(p, shape=shape) for p in places), True


# The indices of the True elements. The size of the result depends on the values.
nonzero_p = Constant("nonzero", np.nonzero, batch=_nonzero_batch, multiple=True)
nonzero_p.instead = (
    "Keep all elements: write np.where(mask, a, 0.0) in place of a[mask], and "
    "a[...] = np.where(mask, new, a) in place of a[mask] = new."
)


# Positions in the order of the elements as indices, one for each axis.
unravel_index_p = Constant(
    "unravel_index",
    lambda positions, *, shape, order: np.unravel_index(positions, shape, order),
    shape=lambda positions, *, shape, order: tuple(
        Aval(positions.shape, np.dtype(np.intp)) for _ in shape
    ),
    batch=batch_unchanged,
    multiple=True,
)


# Indices, one for each axis, as positions in the order of the elements.
ravel_multi_index_p = Constant(
    "ravel_multi_index",
    lambda *indices, dims, mode, order: np.ravel_multi_index(indices, dims, mode, order),
    shape=lambda *indices, dims, mode, order: Aval(
        shapes.broadcast(*(i.shape for i in indices)), np.dtype(np.intp)
    ),
    batch=elementwise_batch,
)
