"""An index expression, taken apart: converted, checked and brought into one form."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

import numpy as np

from .batching import BatchTracer
from .core import Tracer, deciding_value, dtype_of, ndim_of, shape_of
from .dims import Dim, is_size
from .dynamic_slices import DynamicSlice, dynamic_slice, is_known, unknown_length
from .errors import BatchingError, ConcretizationError, user_line
from .handles import ARRAY0D, TracedArray, has_handle, sequence_value
from .primitives.checks import refuse_p
from .primitives.elementwise import less_p
from .primitives.indexing import nonzero_p

FULL = slice(None)


def _part(x: Any) -> Any:
    """A slice's start, stop or step as an int or None."""
    return x if x is None or type(x) is Dim else operator.index(x)


def _slice(item: slice) -> Any:
    """A slice with traced parts: of ints and None, or at a dynamic place."""
    if is_known(item.step) and not (is_known(item.start) and is_known(item.stop)):
        found = dynamic_slice(item, 1 if item.step is None else _part(item.step))
        if found is not None:
            return found
    try:
        return slice(_part(item.start), _part(item.stop), _part(item.step))
    except (BatchingError, ConcretizationError) as error:
        raise unknown_length(error) from None


def index_value(item: Any) -> Any:
    """One item of an index: an int, slice, None, Ellipsis or `DynamicSlice`, or the Value of an
    index array.
    """
    if item is None or item is Ellipsis or type(item) is int or type(item) is Dim:
        return item
    if isinstance(item, slice):
        if any(type(p) is TracedArray for p in (item.start, item.stop, item.step)):
            return _slice(item)
        return item
    if isinstance(item, np.integer):
        return int(item)
    if isinstance(item, (list, tuple)):
        item = sequence_value(item) if has_handle(item) else np.array(item)
        if 0 in shape_of(item):
            return np.zeros(shape_of(item), np.intp)
    elif type(item) is TracedArray:
        item = item.value
    elif isinstance(item, (bool, np.bool_)):
        item = np.asarray(item)
    elif isinstance(item, np.ndarray):
        item = np.array(item)  # the program may go on to overwrite it
    else:
        try:
            return operator.index(item)
        except TypeError:
            _raise_bad_index(item)
    if dtype_of(item).kind not in "biu":
        if ndim_of(item) == 0 or dtype_of(item).kind not in "fc":
            _raise_bad_index(item)
        raise IndexError(
            "arrays used as indices must be of integer (or boolean) type, got "
            f"{dtype_of(item)}{user_line()}"
        )
    if ndim_of(item) == 0 and dtype_of(item).kind != "b":
        return _checked_number(item) if isinstance(item, Tracer) else int(item)
    return item


def _checked_number(item: Tracer) -> Tracer:
    """A traced index, with NumPy's error for one that no signed integer holds."""
    if dtype_of(item) == np.uint64:
        large = less_p(np.uint64(np.iinfo(np.intp).max), item)
        refuse_p(large, error=OverflowError, message="Python int too large to convert to C long")
    return item


def _raise_bad_index(item: Any) -> NoReturn:
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or "
        f"boolean arrays are valid indices, got {type(item).__name__} {item!r:.60}{user_line()}"
    )


def _axes_used(item: Any) -> int:
    """How many axes of the array an item from `index_value` stands for."""
    if item is None or item is Ellipsis:
        return 0
    if is_size(item) or type(item) is slice or type(item) is DynamicSlice:
        return 1
    return ndim_of(item) if dtype_of(item).kind == "b" else 1


class Index:
    """An index, taken apart against the shape of an array.

    ``basic`` are the ints, slices and Nones that cover all axes from the first, with a full slice
    in the place of each index array. ``arrays`` are the index arrays and masks; ``axes`` are the
    axes they address in the array, ``places`` those in the view ``[basic]``. ``position`` is where
    the axes of the index arrays go in the result, as NumPy has it: in their place if they stand
    side by side (ints count as index arrays), otherwise first.
    """

    __slots__ = ("arrays", "axes", "basic", "places", "position", "shape")

    def __init__(self, items: list[Any], shape: tuple[Any, ...]) -> None:
        self.shape = shape
        self.basic: list[Any] = []
        self.arrays: list[Any] = []
        self.axes: list[int] = []
        self.places: list[int] = []
        used = sum(map(_axes_used, items))
        if used > len(shape):
            raise IndexError(
                f"too many indices for array: array is {len(shape)}-dimensional, "
                f"but {used} were indexed{user_line()}"
            )
        axis = kept = 0  # the next axis of the array, of the view
        begin, closed, apart = -1, False, False  # of the run of ints and index arrays
        for item in items:
            stays = item is None or item is Ellipsis or type(item) is slice
            if stays:
                closed = begin >= 0
            else:
                apart = apart or closed
                begin = kept - len(self.places) if begin < 0 else begin
            if item is Ellipsis:
                count = len(shape) - used
                self.basic += [FULL] * count
                kept += count
                axis += count
                continue
            if is_size(item):
                if not -shape[axis] <= item < shape[axis]:
                    raise_out_of_bounds(item, axis, shape)
                self.basic.append(item)
            elif stays:
                self.basic.append(item)
                kept += 1
            else:
                kept += self._add_array(item, axis, kept)
            axis += _axes_used(item)
        self.position = 0 if apart else max(begin, 0)

    def _add_array(self, item: Any, axis: int, place: int) -> int:
        """Adds an index array or a mask; returns how many axes of the view it addresses."""
        is_mask = dtype_of(item).kind == "b"
        if is_mask:
            check_mask(shape_of(item), self.shape, axis)
        self.arrays.append(item)
        if is_mask and not ndim_of(item):  # a[True] is a[None], a[False] an empty a[None]
            self.basic.append(None)
            self.axes.append(axis)
            self.places.append(place)
            return 1
        count = _axes_used(item)
        self.basic += [FULL] * count
        self.axes += range(axis, axis + count)
        self.places += range(place, place + count)
        return count

    def sole_mask(self) -> Any:
        """The mask, if there is one and no index array besides."""
        (array, *others) = self.arrays
        return array if not others and dtype_of(array).kind == "b" else None

    def expand_masks(self) -> None:
        """Replaces every mask by the index arrays that it stands for."""
        arrays: list[Any] = []
        for array in self.arrays:
            if dtype_of(array).kind != "b":
                arrays.append(array)
            elif ndim_of(array):
                arrays += nonzero_p(array)
            else:
                arrays.append(np.zeros(int(bool(deciding_value(array, "a[mask]"))), np.intp))
        self.arrays = arrays

    def diagnose(self, error: IndexError) -> NoReturn:
        """NumPy's error from a gather or scatter, in terms of the user's axes."""
        for array, axis in zip(self.arrays, self.axes, strict=True):
            known = array
            while isinstance(known, Tracer):
                known = known.values if isinstance(known, BatchTracer) else known.concrete()
            bad = [i for i in np.ravel(known) if not -self.shape[axis] <= i < self.shape[axis]]
            if bad:
                raise_out_of_bounds(bad[0], axis, self.shape)
        raise error


def raise_out_of_bounds(index: Any, axis: int, shape: tuple[Any, ...]) -> NoReturn:
    raise IndexError(
        f"index {index} is out of bounds for axis {axis} with size {shape[axis]}{user_line()}"
    )


def check_mask(mask: tuple[Any, ...], shape: tuple[Any, ...], axis: int = 0) -> None:
    """IndexError, as NumPy's, where a mask's shape is not that of the axes it covers. A mask of
    length 0 may stand for any length.
    """
    for k, dim in enumerate(mask):
        if dim not in (0, shape[axis + k]):
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis + k}; size of axis is "
                f"{shape[axis + k]} but size of corresponding boolean axis is {dim}{user_line()}"
            )


def converted_items(index: Any) -> tuple[list[Any], bool]:
    """The items of an index, converted, with an Ellipsis; and whether it was written there."""
    items = [index_value(item) for item in (index if type(index) is tuple else (index,))]
    count = sum(item is Ellipsis for item in items)
    if count > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not count:
        items.append(Ellipsis)
    return items, count == 1


def dynamic_slices(items: list[Any], ndim: int) -> list[tuple[int, DynamicSlice]]:
    """The slices at dynamic places among converted items, with the axes that they are of."""
    found, axis = [], 0
    for item in items:
        if type(item) is DynamicSlice:
            found.append((axis, item))
        axis += ndim - sum(map(_axes_used, items)) if item is Ellipsis else _axes_used(item)
    return found


def holds_array(index: Any) -> bool:
    """Whether a single number in the index is a 0-d array, for which NumPy copies."""
    items = index if type(index) is tuple else (index,)
    return any(
        item._kind == ARRAY0D if type(item) is TracedArray else isinstance(item, np.ndarray)
        for item in items
    )
