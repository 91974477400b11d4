"""What only moves elements, box by box, for `boxes`: where the elements of a box come from.

Sizes may be symbolic. Then what is larger has to hold for all that they can be; else the arrays are
made as they are written (`UndecidedError`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...autodiff.dims import Dim
from ...autodiff.primitives.indexing import embed_p, getitem_p, setitem_p
from ...autodiff.primitives.manipulation import concatenate_p
from ...autodiff.program import Equation
from ...autodiff.shapes import element_place, slice_bounds
from ..affine import is_ordered, product
from .atoms import same_shape

Size = Any  # an int or a Dim
Box = tuple[tuple[Size, Size], ...]
"""Of an array: along each axis the first element, and the one behind the last."""

SOURCES = (concatenate_p, embed_p, setitem_p)  # what puts an array together of parts


class UndecidedError(Exception):
    """Which of two sizes is the larger depends on the symbols in them."""


def at_most(a: Size, b: Size) -> bool:
    if is_ordered(a, b):
        return True
    if is_ordered(b + 1, a):
        return False
    raise UndecidedError


def is_met(start: Size, stop: Size) -> bool:
    """Whether there is something between, or may be."""
    return not is_ordered(stop, start) and at_most(start, stop)


def larger(a: Size, b: Size) -> Size:
    return b if is_ordered(a, b) or not at_most(b, a) else a


def smaller(a: Size, b: Size) -> Size:
    return b if larger(a, b) is a else a


def size_key(size: Size) -> Any:
    return size.key if type(size) is Dim else int(size)


def shape_of(box: Box) -> tuple[Size, ...]:
    return tuple(stop - start for start, stop in box)


def is_same(a: Box, b: Box) -> bool:
    return same_shape([end for ends in a for end in ends], [end for ends in b for end in ends])


def is_large(shape: Sequence[Size], least: int) -> bool:
    """Whether there are that many elements; where that is not known, there may be."""
    size = product(shape)
    return type(size) is not int or size >= least


def is_mover(equation: Equation) -> bool:
    """Whether the elements of its result are those of its inputs, or zeros, in boxes."""
    primitive = equation.primitive
    if primitive is concatenate_p:
        return True
    if primitive not in (*SOURCES, getitem_p):
        return False
    if primitive is getitem_p and not all(type(i) is slice for i in equation.params["index"]):
        return False
    return region_of(equation) is not None


def region_of(equation: Equation) -> Box | None:
    """The box that an index addresses; None where it leaves out elements within."""
    reads = equation.primitive is getitem_p
    shape = (equation.inputs if reads else equation.results)[0].aval.shape
    index: Sequence[Any] = equation.params["index"]
    if any(item is None for item in index) or len(index) > len(shape):
        return None
    found = []
    for k, size in enumerate(shape):
        item = index[k] if k < len(index) else slice(None)
        if type(item) is slice:
            if item.step is not None and not (type(item.step) is int and item.step == 1):
                return None
            start, stop, _ = slice_bounds(item, size)
        else:
            start = element_place(item, size)
            stop = start + 1
        found.append((start, stop))
    return tuple(found)


def axes_kept(equation: Equation) -> list[int]:
    """The axes that an index addresses by slices."""
    index = equation.params["index"]
    ndim = equation.results[0].aval.ndim
    return [k for k in range(ndim) if k >= len(index) or type(index[k]) is slice]


def parts_met(equation: Equation, box: Box) -> Iterator[tuple[int, Box, Box]]:
    """Where a mover's elements in ``box`` come from: the number of an input, the box there, and
    that of the result. What a later one gives takes the place of an earlier one's; where there is
    nothing there are zeros.
    """
    if equation.primitive is concatenate_p:
        axis, place = equation.params["axis"], 0
        for i, x in enumerate(equation.inputs):
            size = x.aval.shape[axis]
            start, stop = larger(box[axis][0], place), smaller(box[axis][1], place + size)
            if is_met(start, stop):
                own = (*box[:axis], (start - place, stop - place), *box[axis + 1 :])
                yield i, own, (*box[:axis], (start, stop), *box[axis + 1 :])
            place += size
        return
    region = region_of(equation)
    assert region is not None
    if equation.primitive is getitem_p:
        yield 0, tuple((a + s, b + s) for (a, b), (s, _) in zip(box, region, strict=True)), box
        return
    met = tuple((larger(a, c), smaller(b, d)) for (a, b), (c, d) in zip(box, region, strict=True))
    has_part = all(is_met(a, b) for a, b in met)
    if equation.primitive is setitem_p and not (has_part and is_same(met, box)):
        yield 0, box, box
    if has_part:
        kept = axes_kept(equation)
        own = tuple((met[k][0] - region[k][0], met[k][1] - region[k][0]) for k in kept)
        yield len(equation.inputs) - 1, own, met
