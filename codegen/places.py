"""Where values lie in memory: a buffer, an offset, and strides, in bytes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.program import Equation
from ..autodiff.shapes import element_place, slice_bounds, slice_size
from .affine import (
    INDEX_OPERATIONS,
    Affine,
    Index,
    Shape,
    is_one,
    product,
    reshape_groups,
    same,
    through,
)

# Kinds of buffers.
PARAMETER, RESULT, CONSTANT, TEMPORARY = "parameter", "result", "constant", "temporary"

COPIED = 512  # bytes up to which regions copy what they carry: LLVM makes registers of the copies


class Buffer:
    """A piece of memory. ``number`` counts within its kind."""

    __slots__ = ("first", "kind", "last", "nbytes", "number", "offset")

    def __init__(self, kind: str, number: int, nbytes: Any) -> None:
        self.kind, self.number, self.nbytes = kind, number, nbytes
        self.first = self.last = -1  # the steps between which a temporary lives
        self.offset: Any = 0  # of a temporary in the arena

    def __repr__(self) -> str:
        return f"{self.kind}{self.number}"


STATUS = Buffer("status", 0, 24)  # what has gone wrong: which check, a number, a size


class Place(NamedTuple):
    """An array in memory."""

    buffer: Buffer
    dtype: np.dtype[Any]
    shape: Shape
    strides: tuple[Any, ...]  # bytes
    offset: Any = 0  # bytes

    def at(self, index: Index) -> Affine:
        """The byte of the element at an index."""
        total = Affine(self.offset)
        for form, stride in zip(index, self.strides, strict=True):
            total = total.plus(form.times(stride))
        return total

    @property
    def is_dense(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return all(
            is_one(dim) or same(s, w)
            for dim, s, w in zip(
                self.shape, self.strides, dense_strides(self.shape, self.dtype), strict=True
            )
        )


def has_dense_rows(place: Place) -> bool:
    """Whether what one index of the first axis addresses lies in C order without gaps."""
    row = place._replace(shape=place.shape[1:], strides=place.strides[1:])
    return bool(place.shape) and row.is_dense


def dense_strides(shape: Shape, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    strides: list[Any] = []
    step: Any = dtype.itemsize
    for dim in reversed(shape):
        strides.append(step)
        step = step * dim
    return tuple(reversed(strides))


def dense(buffer: Buffer, dtype: np.dtype[Any], shape: Shape, offset: Any = 0) -> Place:
    return Place(buffer, dtype, shape, dense_strides(shape, dtype), offset)


def nbytes(shape: Shape, dtype: np.dtype[Any]) -> Any:
    return product(shape) * dtype.itemsize


def is_small(size: Any) -> bool:
    """Whether regions copy a value of so many bytes."""
    return type(size) is int and size <= COPIED


def view(equation: Equation, place: Place) -> Place | None:
    """The result of ``equation`` as a view of its argument's place, None if it is none."""
    name = equation.primitive.name
    out = equation.results[0].aval
    if name in ("real", "imag"):
        if place.dtype.kind != "c":
            return place if name == "real" else None
        shift = place.dtype.itemsize // 2 if name == "imag" else 0
        return place._replace(dtype=out.dtype, offset=place.offset + shift)
    if name not in INDEX_OPERATIONS:
        return None
    if name == "reshape":
        return _reshaped(place, out.shape)
    loops = range(len(out.shape))
    index = through(equation, tuple(Affine(0, ((loop, 1),)) for loop in loops))
    if index is None:
        return None
    form = place.at(index)
    strides = tuple(form.coefficient(loop) for loop in loops)
    return Place(place.buffer, place.dtype, out.shape, strides, form.constant)


def _reshaped(place: Place, shape: Shape) -> Place | None:
    groups = reshape_groups(place.shape, shape)
    if groups is None:
        return dense(place.buffer, place.dtype, shape, place.offset) if place.is_dense else None
    strides: list[Any] = [0] * len(shape)
    for left, right in groups:
        for a, b in itertools.pairwise(left):  # the old axes must be one run in memory
            if not same(place.strides[a], place.strides[b] * place.shape[b]):
                return None
        step = place.strides[left[-1]]
        for axis in reversed(right):
            strides[axis] = step
            step = step * shape[axis]
    return Place(place.buffer, place.dtype, shape, tuple(strides), place.offset)


def is_whole(place: Place) -> bool:
    """Whether the array is all there is in its buffer."""
    return place.is_dense and same(place.buffer.nbytes, nbytes(place.shape, place.dtype))


def view_part(place: Place, index: Sequence[Any]) -> Place:
    """The place of ``x[index]``, a basic index, for x at ``place``."""
    shape, strides, offset, axis = [], [], place.offset, 0
    for item in index:
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        dim, stride = place.shape[axis], place.strides[axis]
        if isinstance(item, slice):
            start, step, length = slice_parts(item, dim)
            offset = offset + start * stride
            shape.append(length)
            strides.append(step * stride)
        else:
            offset = offset + element_place(item, dim) * stride
        axis += 1
    return Place(
        place.buffer,
        place.dtype,
        (*shape, *place.shape[axis:]),
        (*strides, *place.strides[axis:]),
        offset,
    )


def view_diagonal(place: Place, shape: Shape, *, offset: int, axis1: int, axis2: int) -> Place:
    """The place of a diagonal, its own axis last, of ``shape``."""
    strides = [s for k, s in enumerate(place.strides) if k not in (axis1, axis2)]
    first, second = place.strides[axis1], place.strides[axis2]
    start = max(-offset, 0) * first + max(offset, 0) * second
    return Place(place.buffer, place.dtype, shape, (*strides, first + second), place.offset + start)


def slice_parts(item: slice, dim: Any) -> tuple[Any, Any, Any]:
    """Start, step and length of a slice of an axis of this size."""
    start, _, step = slice_bounds(item, dim)
    return start, step, slice_size(item, dim)
