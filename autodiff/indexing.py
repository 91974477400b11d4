"""``handle[index]`` and ``handle[index] = value`` for every index form that NumPy has.

Basic indices (ints, slices, Ellipsis, newaxis) give views. Anything with an index array is split
into a basic view, a transpose that brings the addressed axes to the front, and a gather or scatter
on the leading axes; writing goes through the same two views. Where every index array is a single
number that differs between the examples of a vmapped batch, the result is a view too, as it is in
each example.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning

from . import shapes, views
from .core import Primitive, Tracer, Value, dtype_of, ndim_of, shape_of, thread_state
from .dims import is_size
from .dynamic_slices import DynamicSlice, at_dynamic_places
from .errors import user_line, warn_user
from .handles import (
    ARRAY0D,
    RESULT,
    WEAK,
    TracedArray,
    drop_lead,
    fit_shape,
    has_handle,
    sequence_value,
    value_of,
    view_of,
    wrap,
)
from .index_forms import (
    FULL,
    Index,
    converted_items,
    dynamic_slices,
    holds_array,
    index_value,
    raise_out_of_bounds,
)
from .primitives.checks import refuse_p
from .primitives.elementwise import less_p, logical_or_p, select_p
from .primitives.indexing import (
    gather_p,
    getitem_p,
    part_shape,
    scatter_add_p,
    scatter_p,
    setitem_p,
)
from .primitives.manipulation import transpose_p
from .rules import broadcast_to_p, convert, reshape_p
from .sizes import size_value


def _is_whole(basic: Sequence[Any]) -> bool:
    """Whether ``[basic]`` changes nothing."""
    return all(type(item) is slice and item == FULL for item in basic)


def _addressed(handle: TracedArray, basic: list[Any]) -> TracedArray:
    """The view ``[basic]``, or the handle itself where that changes nothing."""
    if _is_whole(basic):
        return handle
    return views.index_view(handle, tuple(basic))


def _element_view(handle: TracedArray, arrays: list[Any], named: Any) -> TracedArray:
    """``handle[i, j, ...]`` for numbers that only a trace knows."""
    count = len(arrays)
    shape = shape_of(handle.value)[count:]
    return view_of(
        handle,
        lambda base: gather_p(base, *arrays, **named),
        lambda base, new: scatter_p(base, new, *arrays, **named),
        # which element does not matter for the strides
        lambda layout: layout[(0,) * count + (...,)] if layout.size else np.empty(shape, np.int8),
        exact=False,
    )


class _Advanced:
    """An index with index arrays: the view whose leading axes they address, and the permutation
    from (index axes, other axes) to NumPy's order of the result's axes.
    """

    def __init__(self, handle: TracedArray, index: Index) -> None:
        self.index = index
        handle = _addressed(handle, index.basic)
        rest = [axis for axis in range(ndim_of(handle.value)) if axis not in index.places]
        axes = (*index.places, *rest)
        self.view = handle if axes == tuple(range(len(axes))) else views.permuted(handle, axes)
        self.lead = max(map(ndim_of, index.arrays))
        are_leading = index.axes == list(range(len(index.axes)))
        self.named = {} if are_leading else {"axes": tuple(index.axes)}
        if thread_state.program is not None:
            self._check_known()

    def _check_known(self) -> None:
        """IndexError now, where NumPy raises it, and not when the Program runs."""
        try:
            shapes.broadcast(*map(shape_of, self.index.arrays))
        except ValueError:
            texts = " ".join(str(shape_of(i)).replace(" ", "") for i in self.index.arrays)
            raise IndexError(
                "shape mismatch: indexing arrays could not be broadcast together with shapes "
                f"{texts}{user_line()}"
            ) from None
        addressed = shape_of(self.view.value)
        self._check_of_nothing(addressed)
        for array, axis, size in zip(self.index.arrays, self.index.axes, addressed, strict=False):
            if not isinstance(array, Tracer) and type(size) is int:
                known = np.asarray(array)
                bad = known[(known < -size) | (known >= size)]
                if bad.size:
                    raise_out_of_bounds(bad.flat[0], axis, self.index.shape)

    def _check_of_nothing(self, addressed: tuple[Any, ...]) -> None:
        """Has the Program check indices that it does not read by, as no element is read."""
        count = len(self.index.arrays)
        if not any(type(size) is int and size == 0 for size in addressed[count:]):
            return
        for array, axis, size in zip(self.index.arrays, self.index.axes, addressed, strict=False):
            bad = logical_or_p(
                less_p(array, size_value(-size)), less_p(size_value(size - 1), array)
            )
            message = f"an index is out of bounds for axis {axis} with size {size}"
            refuse_p(bad, error=IndexError, message=message)

    def result_axes(self, ndim: int) -> tuple[int, ...] | None:
        """The permutation for the result, or None where it changes nothing."""
        p, lead = self.index.position, self.lead
        if not p or not lead:
            return None
        return (*range(lead, lead + p), *range(lead), *range(lead + p, ndim))

    def element_view(self) -> TracedArray | None:
        """The result as a view, where the arrays are single numbers."""
        return None if self.lead else _element_view(self.view, self.index.arrays, self.named)

    def read(self) -> Value:
        try:
            out = gather_p(self.view.value, *self.index.arrays, **self.named)
        except IndexError as error:
            self.index.diagnose(error)
        axes = self.result_axes(ndim_of(out))
        return out if axes is None else transpose_p(out, axes=axes)

    def write(self, value: Value, scatter: Primitive = scatter_p) -> None:
        base, arrays = self.view.value, self.index.arrays
        if ndim_of(value):
            value = self._fitted(value, shape_of(base)[len(arrays) :])
        try:
            new = scatter(base, value, *arrays, **self.named)
        except IndexError as error:
            self.index.diagnose(error)
        self.view.write(new)

    def _fitted(self, value: Value, inner: tuple[Any, ...]) -> Value:
        """``value`` in the shape (index axes, other axes)."""
        try:
            lead = shapes.broadcast(*map(shape_of, self.index.arrays))
        except ValueError:
            gather_p(self.view.value, *self.index.arrays)  # NumPy's own words
            raise
        p = self.index.position
        target = (*inner[:p], *lead, *inner[p:])
        try:
            value = fit_shape(value, target)
        except ValueError:
            raise ValueError(
                f"shape mismatch: value array of shape {shape_of(value)} could not be broadcast to "
                f"indexing result of shape {target}{user_line()}"
            ) from None
        axes = self.result_axes(ndim_of(value))
        if axes is None:
            return value
        return transpose_p(value, axes=shapes.inverse_permutation(axes))


def _at_dynamic_slices(handle: TracedArray, items: list[Any]) -> tuple[TracedArray, list[Any]]:
    """The view of the slices at dynamic places among the converted items, whole in all other axes,
    and the index into it that is left; the handle and the items themselves if there are none.
    """
    shape = shape_of(handle.value)
    slices = dynamic_slices(items, len(shape))
    if not slices:
        return handle, items
    rest = [FULL if type(item) is DynamicSlice else item for item in items]
    Index(rest, shape)  # NumPy's errors
    return at_dynamic_places(handle, slices), rest


def _keyed_view(handle: TracedArray, basic: tuple[Any, ...], key: Any) -> TracedArray:
    return _keyed(views.index_view(handle, basic), key)


def _keyed(view: TracedArray, key: Any) -> TracedArray:
    assert view._view is not None
    view._view.key = key
    return view


def _check_scalar(self: TracedArray, index: Any) -> None:
    """Python's and NumPy's errors where a number is indexed."""
    if self._kind == WEAK:
        python = {"b": "bool", "f": "float", "c": "complex"}.get(dtype_of(self.value).kind, "int")
        raise TypeError(f"'{python}' object is not subscriptable{user_line()}")
    if self._kind == RESULT and isinstance(index, (int, slice)) and type(index) is not bool:
        raise IndexError(f"invalid index to scalar variable.{user_line()}")


def _element_index(index: Any, ndim: int) -> tuple[int, ...] | None:
    """The index, if it is made of plain ints for all axes; the usual case in a loop."""
    if type(index) is int:
        return (index,) if ndim == 1 else None
    if type(index) is not tuple or len(index) != ndim:
        return None
    for item in index:
        if type(item) is not int:
            return None
    return index


def getitem(self: TracedArray, index: Any) -> TracedArray:
    value = self._value if self._view is None else self.value
    shape = shape_of(value)
    if not shape:
        _check_scalar(self, index)
    elements = _element_index(index, len(shape))
    if elements is not None:
        try:
            return wrap(getitem_p(value, index=elements))
        except IndexError:
            pass  # diagnosed below, in terms of the user's axes
    elif shape and (type(index) is slice or (type(index) is int and -shape[0] <= index < shape[0])):
        part = index_value(index)
        if type(part) is not DynamicSlice:
            return _keyed_view(self, (part,), index)
    items, explicit = converted_items(index)
    place, items = _at_dynamic_slices(self, items)
    value, shape = place.value, shape_of(place.value)
    parts = Index(items, shape)
    kind = ARRAY0D if explicit else RESULT
    if parts.arrays:
        parts.expand_masks()
        advanced = _Advanced(place, parts)
        view = advanced.element_view()
        if view is None or holds_array(index) or (kind == RESULT and not ndim_of(view.value)):
            return wrap(advanced.read(), kind)
        return view
    basic = tuple(parts.basic)
    scalar = not explicit and len(basic) == len(shape) and all(map(is_size, basic))
    if scalar or self.is_scalar() or holds_array(index):
        return wrap(getitem_p(value, index=basic), kind)
    if place is not self and _is_whole(basic):
        return _keyed(place, index)
    return _keyed_view(place, basic, index)


def setitem(self: TracedArray, index: Any, new: Any) -> None:
    value = self._value if self._view is None else self.value
    if self.is_scalar():
        raise TypeError(
            f"'{dtype_of(value)}' object does not support item assignment{user_line()}: it is a "
            "scalar, as NumPy's results without dimensions are; write x = ... instead."
        )
    if self._view is not None and self._view.put is None:
        raise ValueError("assignment destination is read-only")
    if type(new) is TracedArray and _is_own_view(self, index, new):
        return
    shape = shape_of(value)
    new = _assigned(new, dtype_of(value))
    elements = _element_index(index, len(shape))
    if elements is not None and not ndim_of(new):
        try:
            self.write(setitem_p(value, new, index=elements))
            return
        except IndexError:
            pass  # diagnosed below, in terms of the user's axes
    items, explicit = converted_items(index)
    place, items = _at_dynamic_slices(self, items)
    parts = Index(items, shape_of(place.value))
    if parts.arrays:
        _set_advanced(place, parts, new, alone=len(items) == 2 and not explicit)
        return
    basic = tuple(parts.basic)
    target = part_shape(parts.shape, basic)
    if not target and not explicit and ndim_of(new):
        raise ValueError(
            f"setting an array element with a sequence{user_line()}: one element was given an "
            f"array of shape {shape_of(new)}."
        )
    if ndim_of(new):
        new = drop_lead(new, target)
    if place is not self and _is_whole(basic):
        place.write(broadcast_to_p(new, shape=target))
    else:
        place.write(setitem_p(place.value, new, index=basic))


def add_at(self: TracedArray, index: Any, value: Value) -> None:
    """``np.add.at(self, index, value)``: as ``self[index] += value``, with repeats counted."""
    value = convert(value, dtype_of(self.value))
    items, _ = converted_items(index)
    place, items = _at_dynamic_slices(self, items)
    parts = Index(items, shape_of(place.value))
    if parts.arrays:
        parts.expand_masks()
        _Advanced(place, parts).write(value, scatter_add_p)
    else:
        setitem(self, index, wrap(getitem(self, index).value + value))


_SINGLE = (bool, int, float, complex, np.generic, str, bytes, type(None))


def _assigned(new: Any, dtype: np.dtype[Any]) -> Value:
    """The Value of what is assigned to an array of ``dtype``, cast as NumPy casts there."""
    if isinstance(new, (list, tuple)):
        new = sequence_value(new, dtype) if has_handle(new) else np.asarray(new, dtype)
    elif not isinstance(new, _SINGLE):
        new = value_of(new)
    if isinstance(new, _SINGLE):
        box = np.empty((), dtype)  # which numbers overflow or do not convert, NumPy knows
        box[()] = new
        return box[()]
    if dtype_of(new).kind == "c" and dtype.kind not in "cb":
        text = "Casting complex values to real discards the imaginary part"
        warn_user(text, ComplexWarning)
    return convert(new, dtype)


def _set_advanced(self: TracedArray, parts: Index, new: Value, alone: bool) -> None:
    """``alone``: the index is one array or mask."""
    mask = parts.sole_mask()
    if mask is not None and not ndim_of(new) and 0 not in shape_of(mask):
        # works for masks of a batch that differ in size
        view = _addressed(self, parts.basic)
        trailing = ndim_of(view.value) - parts.places[0] - ndim_of(mask)
        mask = reshape_p(mask, shape=(*shape_of(mask), *(1,) * trailing))
        view.write(select_p(mask, new, view.value))
        return
    covers_all = alone and mask is not None and ndim_of(mask) == ndim_of(self.value)
    parts.expand_masks()
    if covers_all and ndim_of(new):
        _check_masked(shape_of(new), shape_of(parts.arrays[0])[0])
    _Advanced(self, parts).write(new)


def _check_masked(shape: tuple[Any, ...], count: Any) -> None:
    """NumPy's errors for ``x[mask] = new`` where the mask covers all axes."""
    if len(shape) > 1:
        raise TypeError(
            "NumPy boolean array indexing assignment requires a 0 or 1-dimensional input, input "
            f"has {len(shape)} dimensions{user_line()}"
        )
    (size,) = list(shape)
    if size not in (1, count):
        raise ValueError(
            f"NumPy boolean array indexing assignment cannot assign {size} input values to the "
            f"{count} output values where the mask is true{user_line()}"
        )


def _is_own_view(self: TracedArray, index: Any, new: TracedArray) -> bool:
    """Whether ``new`` is the view ``self[index]``, as after ``self[index] += x``."""
    if new._view is None or new._view.base is not self:
        return False
    key = new._view.key
    if type(key) is not type(index):
        return False
    parts = (key, index) if type(key) is tuple else ((key,), (index,))
    return len(parts[0]) == len(parts[1]) and all(
        type(a) is type(b) and isinstance(a, (int, slice)) and a == b
        for a, b in zip(*parts, strict=True)
    )


def _delitem(self: TracedArray, index: Any) -> None:
    raise ValueError("cannot delete array elements")


for _name, _method in [
    ("__getitem__", getitem),
    ("__setitem__", setitem),
    ("__delitem__", _delitem),
]:
    setattr(TracedArray, _name, _method)
