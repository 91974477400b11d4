"""What only moves elements, box by box, for `boxes`: where the elements of a box come from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ...autodiff.primitives.indexing import embed_p, getitem_p, setitem_p
from ...autodiff.primitives.manipulation import concatenate_p
from ...autodiff.program import Equation
from .atoms import is_known

Box = tuple[tuple[int, int], ...]
"""Of an array: along each axis the first element, and the one behind the last."""

SOURCES = (concatenate_p, embed_p, setitem_p)  # what puts an array together of parts


def size_of(box: Box) -> int:
    return math.prod(stop - start for start, stop in box)


def shape_of(box: Box) -> tuple[int, ...]:
    return tuple(stop - start for start, stop in box)


def is_mover(equation: Equation) -> bool:
    """Whether the elements of its result are those of its inputs, or zeros, in boxes."""
    primitive = equation.primitive
    if primitive not in (*SOURCES, getitem_p):
        return False
    if not all(is_known(x.aval.shape) for x in (*equation.inputs, *equation.results)):
        return False
    if primitive is concatenate_p:
        return True
    if primitive is getitem_p:
        index = equation.params["index"]
        return all(type(item) is slice for item in index) and region_of(equation) is not None
    return region_of(equation) is not None


def region_of(equation: Equation) -> Box | None:
    """The box that an index addresses; None where it leaves out elements within."""
    reads = equation.primitive is getitem_p
    shape = (equation.inputs if reads else equation.results)[0].aval.shape
    index: Sequence[Any] = equation.params["index"]
    if None in index or len(index) > len(shape):
        return None
    found = []
    for k, size in enumerate(shape):
        item = index[k] if k < len(index) else slice(None)
        if type(item) is int:
            found.append((item % size, item % size + 1))
            continue
        if type(item) is not slice:
            return None
        if not all(i is None or type(i) is int for i in (item.start, item.stop, item.step)):
            return None
        start, stop, step = item.indices(size)
        if step != 1 or start >= stop:
            return None
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
            start, stop = max(box[axis][0], place), min(box[axis][1], place + size)
            if start < stop:
                own = (*box[:axis], (start - place, stop - place), *box[axis + 1 :])
                yield i, own, (*box[:axis], (start, stop), *box[axis + 1 :])
            place += size
        return
    region = region_of(equation)
    assert region is not None
    if equation.primitive is getitem_p:
        yield 0, tuple((a + s, b + s) for (a, b), (s, _) in zip(box, region, strict=True)), box
        return
    met = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, region, strict=True))
    is_met = all(a < b for a, b in met)
    if equation.primitive is setitem_p and not (is_met and met == box):
        yield 0, box, box
    if is_met:
        kept = axes_kept(equation)
        own = tuple((met[k][0] - region[k][0], met[k][1] - region[k][0]) for k in kept)
        yield len(equation.inputs) - 1, own, met
