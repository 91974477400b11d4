"""Arrays put together of parts, which only elementwise operations read, are not made.

`np.roll`, `np.pad`, `np.concatenate`, assignments to slices and the gradients of slices give such
arrays. What is computed from them is done box by box instead: within a box of the result each of
them is one part, so that it is read where that lies. A stencil with `np.roll` so reads its array
once, and a gradient of slices adds no arrays of zeros. Small boxes, as there are along the edges,
are not divided; in those the parts that meet are put together as before.

Groups of elementwise equations of one shape are found first (`joined`): no path leads from a group
through other equations back into it, so each can be computed at once.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...autodiff.primitives.elementwise import add_p
from ...autodiff.primitives.indexing import embed_p, getitem_p, setitem_p
from ...autodiff.primitives.manipulation import concatenate_p
from ...autodiff.program import Atom, Equation, Literal, Program
from ...autodiff.rules import broadcast_to_p, reduce_sum_p
from ..affine import is_one, product
from ..fused import assemble_p
from . import joined
from .atoms import acts, readers_of, rebuilt, same_shape, with_inputs, with_regions
from .joined import Group, groups_of
from .movers import (
    SOURCES,
    Box,
    Size,
    UndecidedError,
    at_most,
    axes_kept,
    is_large,
    is_mover,
    is_same,
    larger,
    parts_met,
    region_of,
    shape_of,
    size_key,
)
from .rewriting import Declined, Rewriter, conversion, is_elementwise
from .simplify import simplifier

MOST, MOST_OF_ALL = 1000, 5000  # equations in the place of a group's, and of all
FEW = 16  # rows, where it is not known how long they are


def split_into_boxes(program: Program) -> Program:
    """The Program without arrays of parts that elementwise operations could read themselves."""
    equations = [with_regions(e, split_into_boxes) for e in program.equations]
    program = rebuilt(program, equations, program.results)
    if not any(e.primitive in SOURCES for e in equations):
        return program
    found, uses, total = [], Uses(program), 0
    for group in groups_of(program, uses.readers):
        try:
            boxes = Boxes(group, uses)
        except UndecidedError:
            continue
        count = len(boxes.boxes) * len(group.equations)
        if boxes.is_useful and count <= MOST and total + count <= MOST_OF_ALL:
            found.append(boxes)
            total += count
    try:
        return _written(program, found) if found else program
    except (UndecidedError, Declined):
        return program


class Uses:
    """What computes and what reads each value of a Program."""

    def __init__(self, program: Program) -> None:
        self.readers = readers_of(program.equations, program.results)
        self.producers: dict[Atom, Equation] = {v: e for e in program.equations for v in e.results}
        self.numbers = {e: i for i, e in enumerate(program.equations)}

    def movers_before(self, equations: Iterable[Equation]) -> list[Equation]:
        """What moves elements to the equations, over others of its kind too; readers first."""
        found: set[Equation] = set()
        waiting = [x for e in equations for x in e.inputs]
        while waiting:
            mover = self.producers.get(waiting.pop())
            if mover is not None and mover not in found and is_mover(mover):
                found.add(mover)
                waiting += mover.inputs
        return sorted(found, key=lambda e: -self.numbers[e])


class Boxes:
    """A group, the arrays that only move elements to it, and the boxes to compute it in."""

    def __init__(self, group: Group, uses: Uses) -> None:
        self.group = group
        self.members: set[Equation | None] = set(group.equations)
        self.readers, self.producers = uses.readers, uses.producers
        self.virtual: dict[Atom, Equation] = {}
        for e in uses.movers_before(group.equations):
            (v,) = e.results
            if all(self._is_within(reader, v) for reader in self.readers[v]):
                self.virtual[v] = e
        self.is_useful = any(e.primitive in SOURCES for e in self.virtual.values())
        self.outputs = [
            e.results[0]
            for e in group.equations
            if any(r not in self.members for r in self.readers[e.results[0]])
        ]
        self.boxes = list(self._divided(tuple((0, n) for n in group.shape)))

    def _is_within(self, reader: Equation | None, v: Atom) -> bool:
        """Whether what reads ``v`` is of the group, or moves all of it to there alone."""
        if reader in self.members:
            return same_shape(v.aval.shape, self.group.shape)
        if reader is None or not reader.results or reader.results[0] not in self.virtual:
            return False
        return self.takes_all(reader, v)

    @staticmethod
    def takes_all(mover: Equation, v: Atom) -> bool:
        """Whether a mover takes the elements of ``v`` as they are, and not broadcast."""
        if mover.primitive not in (embed_p, setitem_p) or v is not mover.inputs[-1]:
            return True
        region = region_of(mover)
        assert region is not None
        return same_shape(v.aval.shape, shape_of(region))

    # Which boxes

    def _divided(self, box: Box) -> Iterator[Box]:
        if is_large(shape_of(box), joined.LONG):
            shape = self.group.shape
            read = [x for x in self.virtual if same_shape(x.aval.shape, shape)]
            for axis, ends in enumerate(box):
                cuts = [c for x in read for c in self._cuts(x, box, axis)]
                rest = product(shape_of((*box[:axis], *box[axis + 1 :])))
                parts = _merged(_sorted([*ends, *cuts]), rest)
                if len(parts) > 1:
                    for part in parts:
                        yield from self._divided((*box[:axis], part, *box[axis + 1 :]))
                    return
        yield box

    def _cuts(self, x: Atom, box: Box, axis: int) -> Iterator[Size]:
        """Where a box of ``x`` has to be divided along an axis to meet one part."""
        equation = self.virtual.get(x)
        if equation is None:
            return
        start, stop = box[axis]
        for i, own, met in parts_met(equation, box):
            yield from (c for c in met[axis] if at_most(start, c) and at_most(c, stop))
            if len(own) == len(box):
                shift = met[axis][0] - own[axis][0]
                yield from (c + shift for c in self._cuts(equation.inputs[i], own, axis))

    # Equations

    def write(self, out: Rewriter, apart: Collection[Equation]) -> None:
        """Appends the equations of all boxes, and what puts the group's results together. ``apart``
        are the equations of all groups, whose results others only have as a whole.
        """
        parts: dict[Atom, list[Atom]] = defaultdict(list)
        for box in self.boxes:
            writer = _Writer(out, self, box, apart)
            for v in self.outputs:
                parts[v].append(writer.whole(v))
        starts = tuple(tuple(start for start, _ in box) for box in self.boxes)
        for v in self.outputs:
            sums = self._sums(v)
            if len(self.boxes) == 1:
                out.replaced[v] = parts[v][0]
            elif sums:
                for equation in sums:
                    out.replaced[equation.results[0]] = _total(out, equation, parts[v])
            else:
                params = {"starts": starts, "shape": self.group.shape}
                out.replaced[v] = out.bind(self.producers[v], assemble_p, *parts[v], **params)

    def _sums(self, v: Atom) -> list[Equation]:
        """What reads ``v`` outside, if that is only sums of all elements."""
        found = [e for e in self.readers[v] if e not in self.members]
        every = tuple(range(len(self.group.shape)))
        sums = [
            e
            for e in found
            if e is not None and e.primitive is reduce_sum_p and e.params["axes"] == every
        ]
        return sums if len(sums) == len(found) else []


def _total(out: Rewriter, equation: Equation, parts: Sequence[Atom]) -> Atom:
    """A sum of all elements, as that of the boxes' sums."""
    sums = [out.bind(equation, reduce_sum_p, x, **equation.params) for x in parts]
    total = sums[0]
    for x in sums[1:]:
        total = out.bind(equation, add_p, total, x)
    return total


def _sorted(places: Sequence[Size]) -> list[Size]:
    """The places in their order, each once."""
    out: list[Size] = []
    for place in {size_key(place): place for place in places}.values():
        i = 0
        while i < len(out) and larger(place, out[i]) is place:
            i += 1
        out.insert(i, place)
    return out


def _merged(cuts: Sequence[Size], rest: Size) -> list[tuple[Size, Size]]:
    """The stretches between cuts, where small ones side by side are one."""
    out: list[tuple[Size, Size]] = []
    least = -(-joined.LONG // rest) if type(rest) is int else FEW
    for start, stop in pairwise(cuts):
        if out and not is_large([stop - start], least) and not is_large(_length(out[-1]), least):
            out[-1] = (out[-1][0], stop)
        else:
            out.append((start, stop))
    return out


def _length(stretch: tuple[Size, Size]) -> list[Size]:
    return [stretch[1] - stretch[0]]


class _Writer:
    """Writes what a group computes in one box."""

    def __init__(self, out: Rewriter, boxes: Boxes, box: Box, apart: Collection[Equation]) -> None:
        self.out, self.boxes, self.box, self.apart = out, boxes, box, apart
        self.known: dict[Atom, Atom] = {}  # what the group computes
        self.read: dict[Any, Atom] = {}
        for equation in boxes.group.equations:
            inputs = [self._part(x, box) for x in equation.inputs]
            self.known[equation.results[0]] = self._bound(equation, inputs)

    def whole(self, v: Atom) -> Atom:
        """What the group's result ``v`` is in the box."""
        return self._full(self.boxes.producers[v], self.known[v], self.box)

    def _part(self, x: Atom, box: Box) -> Atom:
        """``x`` in a box of what it is broadcast to."""
        if x in self.known:
            return self.known[x]
        shape = x.aval.shape
        last = box[len(box) - len(shape) :]
        own: Box = tuple((0, 1) if is_one(n) else ab for n, ab in zip(shape, last, strict=True))
        key = x, tuple(size_key(end) for ends in own for end in ends)
        if key not in self.read:
            self.read[key] = self._found(x, own)
        return self.read[key]

    def _found(self, x: Atom, box: Box) -> Atom:
        if x in self.boxes.virtual:
            return self._moved(self.boxes.virtual[x], box)
        equation = self.boxes.producers.get(x)
        x = self.out.replaced.get(x, x)
        if same_shape(x.aval.shape, shape_of(box)):
            return x
        if equation is not None and self._is_read_once(equation):
            return self._bound(equation, [self._part(y, box) for y in equation.inputs])
        like = equation or self.boxes.group.equations[0]
        return self.out.bind(like, getitem_p, x, index=tuple(slice(a, b) for a, b in box))

    def _is_read_once(self, equation: Equation) -> bool:
        """Whether its result is computed for one array of parts alone, so that every element of it
        may be computed where it is read.
        """
        if not is_elementwise(equation.primitive) or equation in self.apart:
            return False
        (v,) = equation.results
        reader = self._only_reader(v)
        if reader is None or equation.primitive.effect:
            return False
        (out,) = reader.results
        if out not in self.boxes.virtual:
            return same_shape(out.aval.shape, v.aval.shape) and self._is_read_once(reader)
        return self._is_read_in_place(out) and self.boxes.takes_all(reader, v)

    def _only_reader(self, v: Atom) -> Equation | None:
        readers = self.boxes.readers[v]
        return readers[0] if len(readers) == 1 else None

    def _is_read_in_place(self, v: Atom) -> bool:
        """Whether the group reads every element of ``v`` once, where it is."""
        if all(reader in self.boxes.members for reader in self.boxes.readers[v]):
            return True
        reader = self._only_reader(v)
        if reader is None or reader.primitive is getitem_p:
            return False
        return self._is_read_in_place(reader.results[0])

    def _bound(self, like: Equation, inputs: Sequence[Atom]) -> Atom:
        return self.out.bind(like, like.primitive, *inputs, **like.params)

    def _full(self, like: Equation, x: Atom, box: Box) -> Atom:
        if same_shape(x.aval.shape, shape_of(box)):
            return x
        return self.out.bind(like, broadcast_to_p, x, shape=shape_of(box))

    def _moved(self, equation: Equation, box: Box) -> Atom:
        """What a mover's result is in a box."""
        out, dtype = self.out, equation.results[0].aval.dtype
        parts, boxes = [], []
        for i, own, met in parts_met(equation, box):
            part = self._part(equation.inputs[i], own)
            if part.aval.dtype != dtype or part.aval.weak:
                part = out.bind(equation, conversion(dtype), part, dtype=dtype)
            if equation.primitive is concatenate_p:
                part = self._full(equation, part, own)
            elif i == len(equation.inputs) - 1 and equation.primitive is not getitem_p:
                part = self._with_axes(equation, part)
            parts.append(part)
            boxes.append(met)
        if not parts:
            return Literal(dtype.type(0))
        if len(parts) == 1 and is_same(boxes[0], box):
            return parts[0]
        if equation.primitive is concatenate_p:
            return out.bind(equation, concatenate_p, *parts, axis=equation.params["axis"])
        index = tuple(slice(a - s, b - s) for (a, b), (s, _) in zip(boxes[-1], box, strict=True))
        if equation.primitive is embed_p:
            return out.bind(equation, embed_p, parts[0], index=index, shape=shape_of(box))
        ground = self._full(equation, parts[0], box)
        return out.bind(equation, setitem_p, ground, parts[1], index=index)

    def _with_axes(self, equation: Equation, value: Atom) -> Atom:
        """What is assigned, with an axis of length 1 for each integer in the index."""
        kept, ndim = axes_kept(equation), equation.results[0].aval.ndim
        if len(kept) == ndim or not value.aval.shape:
            return value
        first = kept[len(kept) - value.aval.ndim]
        index = tuple(slice(None) if k in kept else None for k in range(first, ndim))
        return self.out.bind(equation, getitem_p, value, index=index)


def _written(program: Program, found: Sequence[Boxes]) -> Program:
    """The Program with groups computed in boxes, each after all that it reads."""
    out = simplifier()
    unit_of: dict[Equation, Boxes] = {e: boxes for boxes in found for e in boxes.group.equations}
    units = _in_order(program, unit_of)
    for unit in units:
        if isinstance(unit, Boxes):
            unit.write(out, unit_of)
        elif not unit.results or unit.results[0] not in out.replaced:
            out.append(with_inputs(unit, [out.replaced.get(x, x) for x in unit.inputs]))
    return rebuilt(program, out.equations, [out.replaced.get(x, x) for x in program.results])


def _in_order(program: Program, unit_of: Mapping[Equation, Boxes]) -> Iterator[Equation | Boxes]:
    """The equations, and in the place of each group's last one the group, where that goes."""
    places: dict[Equation | Boxes, int] = {}
    makers: dict[Atom, Equation | Boxes] = {}
    needs: dict[Equation | Boxes, set[Equation | Boxes]] = defaultdict(set)
    last: Equation | Boxes | None = None
    for place, e in enumerate(program.equations):
        unit = unit_of.get(e, e)
        places[unit] = place
        needs[unit].update(makers[x] for x in e.inputs if x in makers)
        if acts(e):
            if last is not None:
                needs[unit].add(last)
            last = unit
        makers.update((v, unit) for v in e.results)
    followers: dict[Equation | Boxes, list[Equation | Boxes]] = defaultdict(list)
    missing: dict[Equation | Boxes, int] = {}
    for unit in places:
        needs[unit].discard(unit)
        missing[unit] = len(needs[unit])
        for other in needs[unit]:
            followers[other].append(unit)
    at = {place: unit for unit, place in places.items()}
    ready = [place for place, unit in at.items() if not missing[unit]]
    heapq.heapify(ready)
    while ready:
        unit = at[heapq.heappop(ready)]
        yield unit
        for other in followers[unit]:
            missing[other] -= 1
            if not missing[other]:
                heapq.heappush(ready, places[other])
    assert not any(missing.values()), "a group that depends on itself"
