"""``handle[index]`` and ``handle[index] = value`` for every index form that NumPy has.

Basic indices (ints, slices, Ellipsis, newaxis) give views. Anything with an index array is split
into a basic view, a transpose that brings the addressed axes to the front, and a gather or scatter
on the leading axes; writing goes through the same two views.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from . import shapes
from .core import Tracer, Value, dtype_of, ndim_of, shape_of
from .errors import user_line
from .handles import (
    TracedArray,
    concrete_value,
    fit_shape,
    sequence_value,
    value_of,
    view_of,
    wrap,
)
from .primitives.elementwise import select_p
from .primitives.indexing import gather_p, getitem_p, nonzero_p, scatter_p, setitem_p
from .primitives.manipulation import transpose_p
from .rules import convert, reshape_p

FULL = slice(None)


def _part(x: Any) -> Any:
    """A slice's start, stop or step as an int or None."""
    return x if x is None else operator.index(x)


def _index_value(item: Any) -> Any:
    """One item of an index: an int, slice, None or Ellipsis, or the Value of an index array."""
    if item is None or item is Ellipsis or type(item) is int:
        return item
    if isinstance(item, slice):
        if any(type(p) is TracedArray for p in (item.start, item.stop, item.step)):
            return slice(_part(item.start), _part(item.stop), _part(item.step))
        return item
    if isinstance(item, np.integer):
        return int(item)
    if isinstance(item, (list, tuple)):
        item = sequence_value(item)
        if shape_of(item) == (0,):
            return np.zeros(0, np.intp)
    elif type(item) is TracedArray:
        item = item.value
    elif isinstance(item, (np.ndarray, bool, np.bool_)):
        item = np.asarray(item)
    else:
        try:
            return operator.index(item)
        except TypeError:
            raise _bad_index(item) from None
    if dtype_of(item).kind not in "biu":
        raise IndexError(
            "arrays used as indices must be of integer (or boolean) type, got "
            f"{dtype_of(item)}{user_line()}"
        )
    if ndim_of(item) == 0 and dtype_of(item).kind != "b" and not isinstance(item, Tracer):
        return int(item)
    return item


def _bad_index(item: Any) -> IndexError:
    return IndexError(
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or "
        f"boolean arrays are valid indices, got {type(item).__name__} {item!r:.60}{user_line()}"
    )


def normalized(index: Any, ndim: int) -> tuple[list[Any], bool, bool]:
    """The index as a list of ints, slices, None and arrays that covers all axes from the first;
    whether it has arrays, and whether it had an Ellipsis. Masks are expanded to index arrays."""
    items: list[Any] = []
    consumed = 0
    advanced = False
    ellipsis = -1
    for item in map(_index_value, index if type(index) is tuple else (index,)):
        if item is Ellipsis:
            if ellipsis >= 0:
                raise IndexError("an index can only have a single ellipsis ('...')")
            ellipsis = len(items)
        elif item is None:
            items.append(item)
        elif type(item) is int or type(item) is slice:
            items.append(item)
            consumed += 1
        elif dtype_of(item).kind == "b":
            advanced = True
            if ndim_of(item) == 0:  # a[True] is a[None], a[False] an empty a[None]
                items.append(_NewAxis(np.zeros(int(bool(concrete_value(item, "mask"))), np.intp)))
            else:
                items.extend(nonzero_p(item))
                consumed += ndim_of(item)
        else:
            advanced = True
            items.append(item)
            consumed += 1
    if consumed > ndim:
        raise IndexError(
            f"too many indices for array: array is {ndim}-dimensional, but {consumed} were indexed"
        )
    if ellipsis >= 0:
        items[ellipsis:ellipsis] = [FULL] * (ndim - consumed)
    return items, advanced, ellipsis >= 0


class _NewAxis:
    """An index array on an axis of length 1 that the index itself adds."""

    __slots__ = ("indices",)

    def __init__(self, indices: Any) -> None:
        self.indices = indices


def _check_masks(index: Any, shape: tuple[Any, ...]) -> None:
    """IndexError, as NumPy's, where a mask's shape is not that of the axes it covers."""
    axis = 0
    items = index if type(index) is tuple else (index,)
    used = sum(_axes_used(item) for item in items)
    for item in items:
        if item is Ellipsis:
            axis += len(shape) - used
            continue
        if isinstance(item, (np.ndarray, TracedArray)) and _dtype(item).kind == "b":
            mask = np.shape(item)
            for k, dim in enumerate(mask):
                if axis + k < len(shape) and dim != shape[axis + k]:
                    raise IndexError(
                        f"boolean index did not match indexed array along axis {axis + k}; size of "
                        f"axis is {shape[axis + k]} but size of corresponding boolean axis is {dim}"
                    )
        axis += _axes_used(item)


def _dtype(item: Any) -> Any:
    return dtype_of(item.value if type(item) is TracedArray else item)


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    if isinstance(item, (np.ndarray, TracedArray)) and _dtype(item).kind == "b":
        return len(np.shape(item))
    return 1


def _basic_view(handle: TracedArray, index: tuple[Any, ...]) -> TracedArray:
    return view_of(
        handle,
        lambda base: getitem_p(base, index=index),
        lambda base, new: setitem_p(base, new, index=index),
        lambda layout: layout[index],
    )


def _transposed_view(handle: TracedArray, axes: tuple[int, ...]) -> TracedArray:
    if axes == tuple(range(len(axes))):
        return handle
    inverse = shapes.inverse_permutation(axes)
    return view_of(
        handle,
        lambda base: transpose_p(base, axes=axes),
        lambda base, new: transpose_p(new, axes=inverse),
        lambda layout: layout.transpose(axes),
    )


class _Advanced:
    """An advanced index, taken apart: the view whose leading axes the arrays address, the arrays,
    and the permutation from (index axes, other axes) to NumPy's order of the result's axes."""

    def __init__(self, handle: TracedArray, items: list[Any]) -> None:
        basic: list[Any] = []
        arrays: list[Any] = []
        places: list[int] = []
        for position, item in enumerate(items):
            if item is None or type(item) is slice:
                basic.append(item)
                continue
            is_new = type(item) is _NewAxis
            basic.append(None if is_new else FULL)
            arrays.append(item.indices if is_new else item)
            places.append(position)
        view = _basic_view(handle, tuple(basic))
        ndim = ndim_of(view.value)
        rest = [axis for axis in range(ndim) if axis not in places]
        self.arrays = arrays
        self.view = _transposed_view(view, (*places, *rest))
        self.lead = max(ndim_of(array) for array in arrays)
        adjacent = places[-1] - places[0] == len(places) - 1
        self.position = places[0] if adjacent else 0

    def result_axes(self, ndim: int) -> tuple[int, ...] | None:
        """The permutation for the result, or None where it changes nothing."""
        p, lead = self.position, self.lead
        if not p or not lead:
            return None
        return (*range(lead, lead + p), *range(lead), *range(lead + p, ndim))

    def read(self) -> Value:
        out = gather_p(self.view.value, *self.arrays)
        axes = self.result_axes(ndim_of(out))
        return out if axes is None else transpose_p(out, axes=axes)

    def write(self, value: Value) -> None:
        base = self.view.value
        inner = shape_of(base)[len(self.arrays) :]
        if ndim_of(value):
            lead = shapes.broadcast(*(shape_of(a) for a in self.arrays))
            p = self.position
            value = fit_shape(value, (*inner[:p], *lead, *inner[p:]))
            axes = self.result_axes(ndim_of(value))
            if axes is not None:
                value = transpose_p(value, axes=shapes.inverse_permutation(axes))
        self.view.write(scatter_p(base, value, *self.arrays))


def getitem(self: TracedArray, index: Any) -> TracedArray:
    value = self.value
    if type(index) is not int:
        _check_masks(index, shape_of(value))
    items, advanced, ellipsis = normalized(index, ndim_of(value))
    if advanced:
        return wrap(_Advanced(self, items).read())
    if not ellipsis and ndim_of(value) == len(items) and all(type(i) is int for i in items):
        return wrap(getitem_p(value, index=tuple(items)))
    view = _basic_view(self, tuple(items))
    assert view._view is not None
    view._view.key = index
    return view


def setitem(self: TracedArray, index: Any, new: Any) -> None:
    value = self.value
    if self.is_scalar():
        raise TypeError(
            f"'{dtype_of(value)}' object does not support item assignment{user_line()}: it is a "
            "scalar, as NumPy's results without dimensions are; write x = ... instead."
        )
    if _is_own_view(self, index, new):
        return
    shape = shape_of(value)
    if type(index) is not int:
        _check_masks(index, shape)
    new = convert(value_of(new), dtype_of(value))
    mask = _whole_mask(index)
    if mask is not None and not ndim_of(new):
        ndim = ndim_of(mask)
        mask = reshape_p(mask, shape=(*shape_of(mask), *(1 for _ in shape[ndim:])))
        self.write(select_p(mask, new, value))
        return
    items, advanced, _ = normalized(index, len(shape))
    if advanced:
        _Advanced(self, items).write(new)
        return
    basic = tuple(items)
    target = sum(type(i) is not int for i in items) + len(shape) - sum(i is not None for i in items)
    extra = ndim_of(new) - target
    if extra > 0 and all(dim == 1 for dim in shape_of(new)[:extra]):
        new = reshape_p(new, shape=shape_of(new)[extra:])
    self.write(setitem_p(value, new, index=basic))


def _is_own_view(self: TracedArray, index: Any, new: Any) -> bool:
    """Whether ``new`` is the view ``self[index]``, as after ``self[index] += x``."""
    if type(new) is not TracedArray or new._view is None or new._view.base is not self:
        return False
    key = new._view.key
    if type(key) is not type(index):
        return False
    parts = (key, index) if type(key) is tuple else ((key,), (index,))
    return len(parts[0]) == len(parts[1]) and all(
        type(a) is type(b) and isinstance(a, (int, slice)) and a == b for a, b in zip(*parts)
    )


def _whole_mask(index: Any) -> Value | None:
    """The mask, if the index is one boolean array."""
    if type(index) is tuple and len(index) == 1:
        index = index[0]
    if type(index) is TracedArray and dtype_of(index.value).kind == "b":
        return index.value
    if type(index) is np.ndarray and index.dtype.kind == "b":
        return index.copy()
    return None


def _delitem(self: TracedArray, index: Any) -> None:
    raise ValueError("cannot delete array elements")


TracedArray.__getitem__ = getitem  # type: ignore[attr-defined]  # as in `operators`
TracedArray.__setitem__ = setitem  # type: ignore[attr-defined]
TracedArray.__delitem__ = _delitem  # type: ignore[attr-defined]
