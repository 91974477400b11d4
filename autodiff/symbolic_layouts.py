"""Layouts of arrays whose sizes are symbolic.

Whether NumPy's reshape is a view or a copy follows from sizes and strides. Where those are numbers
an ndarray answers; a `SymbolicLayout` answers as one does, by NumPy's own rules, for all sizes, or
with a guard for those at hand. It has what the layouts of views use of ndarray's methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import shapes
from .dims import Size, is_size, is_symbolic
from .size_structures import key_of

Sizes = tuple[Size, ...]


class Flags:
    """Contiguity, by NumPy's definition: axes of length 1 and arrays without elements are free."""

    __slots__ = ("_layout",)

    def __init__(self, layout: SymbolicLayout) -> None:
        self._layout = layout

    def _is_dense(self, axes: Sequence[int]) -> bool:
        layout, step = self._layout, self._layout.dtype.itemsize
        for axis in axes:
            dim, stride = layout.shape[axis], layout.strides[axis]
            if stride != step and dim != 1:
                return bool(shapes.prod(layout.shape) == 0)
            step = step * dim
        return True

    @property
    def c_contiguous(self) -> bool:
        return self._is_dense(range(self._layout.ndim)[::-1])

    @property
    def f_contiguous(self) -> bool:
        return self._is_dense(range(self._layout.ndim))

    @property
    def fnc(self) -> bool:
        return self.f_contiguous and not self.c_contiguous


class SymbolicLayout:
    """Shape, strides in bytes and dtype."""

    __slots__ = ("dtype", "shape", "strides")

    def __init__(self, shape: Sizes, strides: Sizes, dtype: np.dtype[Any]) -> None:
        self.shape, self.strides, self.dtype = tuple(shape), tuple(strides), dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        return shapes.prod(self.shape)

    @property
    def flags(self) -> Flags:
        return Flags(self)

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return True

    def transpose(self, *axes: Any) -> SymbolicLayout:
        order = (axes[0] if len(axes) == 1 else axes) or range(self.ndim)[::-1]
        return self._with([self.shape[a] for a in order], [self.strides[a] for a in order])

    def _with(self, shape: Sequence[Size], strides: Sequence[Size]) -> SymbolicLayout:
        return SymbolicLayout(tuple(shape), tuple(strides), self.dtype)

    def __getitem__(self, index: Any) -> SymbolicLayout:
        items = list(index) if type(index) is tuple else [index]
        if Ellipsis not in [item for item in items if item is Ellipsis]:
            items.append(Ellipsis)
        used = sum(item is not None and item is not Ellipsis for item in items)
        shape: list[Size] = []
        strides: list[Size] = []
        axis = 0
        for item in items:
            if item is Ellipsis:
                stop = axis + self.ndim - used
                shape += self.shape[axis:stop]
                strides += self.strides[axis:stop]
                axis = stop
            elif item is None:
                shape.append(1)
                strides.append(0)
            else:
                if not is_size(item):
                    shape.append(shapes.slice_size(item, self.shape[axis]))
                    strides.append(self.strides[axis] * (1 if item.step is None else item.step))
                axis += 1
        return self._with(shape, strides)

    def reshape(self, shape: Any, order: str = "C", copy: bool | None = None) -> SymbolicLayout:
        """As ndarray's; ValueError where ``copy`` is False and NumPy would have to copy."""
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        strides = reshaped_strides(self, shape, order)
        if strides is None:
            if copy is False:
                raise ValueError("Unable to avoid creating a copy while reshaping.")
            strides = dense_strides(shape, self.dtype, order)
        return self._with(shape, strides)

    @property
    def real(self) -> SymbolicLayout:
        if self.dtype.kind != "c":
            return self
        half = np.dtype(f"f{self.dtype.itemsize // 2}")
        return SymbolicLayout(self.shape, self.strides, half)

    imag = real

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _FUNCTIONS[function](*args, **kwargs)

    __hash__ = None  # pyright: ignore[reportAssignmentType]


def dense_strides(shape: Sizes, dtype: np.dtype[Any], order: str = "C") -> Sizes:
    axes = range(len(shape))[::-1] if order == "C" else range(len(shape))
    strides: list[Size] = [0] * len(shape)
    step: Size = dtype.itemsize
    for axis in axes:
        strides[axis] = step
        step = step * shape[axis]
    return tuple(strides)


def reshaped_strides(layout: SymbolicLayout, shape: Sizes, order: str) -> Sizes | None:
    """The strides of a view of another shape, None where there is no such view. Each group of
    axes that becomes another group must lie in memory as one axis does.
    """
    if order != "C":
        turned = reshaped_strides(layout.transpose(), shape[::-1], "C")
        return None if turned is None else turned[::-1]
    if layout.flags.c_contiguous:
        return dense_strides(shape, layout.dtype)
    kept = [(d, s) for d, s in zip(layout.shape, layout.strides, strict=True) if d != 1]
    strides: list[Size] = [layout.dtype.itemsize] * len(shape)
    i = j = 0
    while i < len(kept) and j < len(shape):
        old, new, first, start = kept[i][0], shape[j], i, j
        while key_of(old) != key_of(new) and old != new:
            if new < old:
                j += 1
                new = new * shape[j]
            else:
                i += 1
                old = old * kept[i][0]
        if any(kept[k][1] != kept[k + 1][0] * kept[k + 1][1] for k in range(first, i)):
            return None
        step = kept[i][1]
        for axis in range(j, start - 1, -1):
            strides[axis] = step
            step = step * shape[axis]
        i, j = i + 1, j + 1
    return tuple(strides)


def stretched(layout: Any, shape: Any, **_: Any) -> Any:
    """``np.broadcast_to`` of a layout, of which the sizes or the new shape may be symbolic."""
    lead = len(shape) - layout.ndim
    strides = [0] * lead + [
        stride if shapes.is_same((dim,), (wide,)) else 0
        for dim, stride, wide in zip(layout.shape, layout.strides, shape[lead:], strict=True)
    ]
    return strided(tuple(shape), tuple(strides), layout.dtype)


def _diagonal(
    layout: SymbolicLayout, offset: int = 0, axis1: int = 0, axis2: int = 1
) -> SymbolicLayout:
    rows, columns = layout.shape[axis1], layout.shape[axis2]
    length = min(rows + min(offset, 0), columns - max(offset, 0))
    rest = [i for i in range(layout.ndim) if i not in (axis1, axis2)]
    shape = [layout.shape[i] for i in rest] + [length if length >= 0 else 0]
    strides = [layout.strides[i] for i in rest] + [layout.strides[axis1] + layout.strides[axis2]]
    return layout._with(shape, strides)


def _windows(layout: SymbolicLayout, window: Any, axes: Any) -> SymbolicLayout:
    shape = list(layout.shape)
    for size, axis in zip(window, axes, strict=True):
        shape[axis] = shape[axis] - size + 1
    return layout._with(
        [*shape, *window], [*layout.strides, *(layout.strides[axis] for axis in axes)]
    )


def _moveaxis(layout: SymbolicLayout, source: int, destination: int) -> SymbolicLayout:
    return layout.transpose(shapes.moved_axis(layout.ndim, source, destination))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.reshape: SymbolicLayout.reshape,
    np.broadcast_to: stretched,
    np.diagonal: _diagonal,
    np.moveaxis: _moveaxis,
    np.lib.stride_tricks.sliding_window_view: _windows,
}


def fixed(layout: Any) -> Any:
    """An array with the sizes at hand."""
    if type(layout) is not SymbolicLayout:
        return layout
    shape, strides = ([int(x) for x in sizes] for sizes in (layout.shape, layout.strides))
    return strided(tuple(shape), tuple(strides), layout.dtype)


def strided(shape: Sizes, strides: Sizes, dtype: np.dtype[Any]) -> Any:
    """A layout: an array whose elements nobody reads, or a `SymbolicLayout`."""
    if is_symbolic(shape) or is_symbolic(strides):
        return SymbolicLayout(shape, strides, dtype)
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)
