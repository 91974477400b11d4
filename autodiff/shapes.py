"""Arithmetic on shapes and axes. A dimension is an int or, while a Program is recorded, a ``Dim``.

Every size computation of the package goes through here, and nothing here calls ``int()`` on a
dimension. A question about a ``Dim`` (a comparison) may cost a guard: none is asked without need.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from numpy.exceptions import AxisError

from . import dims
from .dims import is_size, provably_equal

Shape = tuple[Any, ...]


def prod(shape: Iterable[Any]) -> Any:
    """The number of elements of an array of this shape."""
    size: Any = 1
    for dim in shape:
        size = size * dim
    return size


def broadcast(*shapes: Shape) -> Shape:
    """NumPy's broadcast shape; ValueError in NumPy's words if there is none."""
    ndim = max((len(shape) for shape in shapes), default=0)
    out: list[Any] = [1] * ndim
    for shape in shapes:
        offset = ndim - len(shape)
        for i, dim in enumerate(shape):
            joined = _joined(out[offset + i], dim)
            if joined is None:
                text = " ".join(str(shape).replace(" ", "") for shape in shapes)
                raise ValueError(f"operands could not be broadcast together with shapes {text}")
            out[offset + i] = joined
    return tuple(out)


def _joined(a: Any, b: Any) -> Any:
    """What sizes a and b broadcast to, None if they do not."""
    if type(a) is type(b) is int:
        return b if a == 1 else a if b in (1, a) else None
    if is_one(a):
        return b
    if is_one(b) or a == b:
        return a
    return b if a == 1 else a if b == 1 else None


def is_same(a: Shape, b: Shape) -> bool:
    """Whether two shapes are equal; of symbolic ones, whether they are for all sizes."""
    if not dims.in_use or a is b:
        return a == b
    return provably_equal(a, b)


def is_one(dim: Any) -> bool:
    """Whether a size is the number 1; a symbolic one is not asked."""
    return type(dim) is int and dim == 1


def is_zero(dim: Any) -> bool:
    """Whether a size is the number 0; a symbolic one is not asked."""
    return type(dim) is int and dim == 0


def stretched_axes(shape: Shape, big: Shape) -> tuple[int, ...]:
    """The axes of ``big`` that broadcasting from ``shape`` made or stretched, or, of a symbolic
    size in the place of a 1, may have stretched.
    """
    lead = len(big) - len(shape)
    return tuple(range(lead)) + tuple(
        lead + i
        for i, (dim, wide) in enumerate(zip(shape, big[lead:], strict=True))
        if not is_one(wide) and (is_one(dim) or (dim != wide and dim == 1))
    )


def can_broadcast(shape: Shape, target: Shape) -> bool:
    """Whether an array of ``shape`` broadcasts to exactly ``target``."""
    lead = len(target) - len(shape)
    return lead >= 0 and all(
        is_one(a) or a == b or a == 1 for a, b in zip(shape, target[lead:], strict=True)
    )


def check_broadcast(shape: Shape, target: Shape, what: str) -> None:
    """ValueError unless ``shape`` broadcasts to ``target``. Where numbers are computed NumPy sees
    to it; the shape rules must, for the Programs they are recorded in.
    """
    if not can_broadcast(shape, target):
        raise ValueError(f"{what} of shape {shape} could not be broadcast to {target}")


def axis_index(axis: Any, ndim: int, name: str = "axis") -> int:
    """``axis`` as a non-negative int; AxisError as NumPy's when out of range."""
    try:
        axis = operator.index(axis)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {axis!r}") from None
    if not -ndim <= axis < ndim:
        raise AxisError(axis, ndim)
    return axis + ndim if axis < 0 else axis


def axis_tuple(axis: Any, ndim: int) -> tuple[int, ...]:
    """NumPy's ``axis`` argument (None, an int or a tuple) as sorted non-negative ints."""
    if axis is None:
        return tuple(range(ndim))
    if not isinstance(axis, (tuple, list)):
        return (axis_index(axis, ndim),)
    axes = tuple(axis_index(a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return tuple(sorted(axes))


def reduced(shape: Shape, axes: Sequence[int], keepdims: bool = False) -> Shape:
    """The shape that is left when ``axes`` are reduced."""
    if keepdims:
        return tuple(1 if i in axes else dim for i, dim in enumerate(shape))
    return tuple(dim for i, dim in enumerate(shape) if i not in axes)


def slice_bounds(part: slice, size: Any) -> tuple[Any, Any, Any]:
    """``part.indices(size)``, but for an empty part of positive step the stop is the start."""
    step = 1 if part.step is None else _place(part.step)
    if not step:
        raise ValueError("slice step cannot be zero")
    low, high = (0, size) if step > 0 else (-1, size - 1)
    start, stop = (low, high) if step > 0 else (high, low)
    start = start if part.start is None else _clamped(part.start, size, low, high)
    stop = stop if part.stop is None else _clamped(part.stop, size, low, high)
    is_empty = start > stop if step > 0 else start < stop
    return start, start if is_empty else stop, step


def _clamped(place: Any, size: Any, low: Any, high: Any) -> Any:
    """One end of a slice, counted from the start of the axis and within it."""
    place = _place(place)
    if place < 0:
        place = place + size
        return place if place >= low else low
    return place if place <= high else high


def _place(place: Any) -> Any:
    return place if is_size(place) else operator.index(place)


def element_place(item: Any, size: Any) -> Any:
    """Where the element with an integer index is, counted from the start of the axis."""
    return item + size if item < 0 else item


def slice_size(part: slice, size: Any) -> Any:
    """The length of ``x[part]`` for an axis of this size."""
    start, stop, step = slice_bounds(part, size)
    steps = abs(step)
    return ((stop - start if step > 0 else start - stop) + steps - 1) // steps


def with_size(shape: Shape, axis: int, size: Any) -> Shape:
    """``shape`` with another size along ``axis`` (non-negative)."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def inverse_permutation(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes ``permutation``."""
    inverse = [0] * len(permutation)
    for i, p in enumerate(permutation):
        inverse[p] = i
    return tuple(inverse)


def moved_axis(ndim: int, source: int, destination: int) -> tuple[int, ...]:
    """The permutation that moves axis ``source`` to ``destination`` (both non-negative)."""
    order = [i for i in range(ndim) if i != source]
    order.insert(destination, source)
    return tuple(order)
