"""Values whose address or number comes from the loops or from index arrays: gather, scatter, iota.

An index that does not fit its axis makes the run fail with IndexError, after the loops: until then
element 0 stands in its place, so that nothing outside the array is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.program import Atom, Equation
from ..affine import ZERO, Affine, Index
from ..places import Place
from ..plan import Store, broadcast_index
from . import memory
from .checks import narrow, note_failure
from .convert import cast
from .emitter import Operand, element_type
from .searching import search

INT64 = np.dtype(np.int64)


def checked(nest: Any, atom: Atom, index: Any, axis: int, size: Any) -> Any:
    """An index, counted from the end where it is negative, as i64; 0 where it does not fit, which
    is noted. ``index``, of the elements of ``atom``, and the result are `Found`.
    """
    e, context = nest.e, nest.context
    with nest.at(index.depth, vector=index.is_vector):
        i = cast(e, index.operand, INT64).name
        length = e.splat(context.size(size), "i64")
        if context.ranges.is_negative(atom):
            negative = e.compare("slt", i, e.constant(0, "i64"), "i64")
            i = e.select(negative, e.binary("arith.addi", i, length, "i64"), i, "i64")
        if not context.ranges.fits(atom, size):
            bad = e.compare("uge", i, length, "i64")
            note_failure(nest, bad, i, axis, context.size(size))
            i = e.select(bad, e.constant(0, "i64"), i, "i64")
    return index._replace(operand=Operand(i, INT64))


def _addresses(
    nest: Any,
    place: Place,
    indices: Sequence[tuple[Atom, Index]],
    rest: Index,
    axes: Sequence[int] | None,
) -> tuple[Any, Affine, int, bool]:
    """The bytes that index arrays, each read where the loops are in it, add to an address (SSA
    names, by lane), the form of what is left, the depth, and whether lanes have addresses of their
    own. ``axes``: what errors call the axes.
    """
    e = nest.e
    names = range(len(indices)) if axes is None else axes
    found = [
        checked(nest, atom, nest.value(atom, at), name, size)
        for (atom, at), name, size in zip(indices, names, place.shape, strict=False)
    ]
    depth = max((f.depth for f in found), default=0)
    vector = any(f.is_vector for f in found)
    total = ""
    for axis, f in enumerate(found):
        operand = nest.widened(f) if vector else f.operand
        with nest.at(depth, vector=vector):
            stride = e.splat(nest.context.size(place.strides[axis]), "i64")
            term = e.binary("arith.muli", operand.name, stride, "i64")
            total = term if not total else e.binary("arith.addi", total, term, "i64")
    form = place.at((*(ZERO for _ in indices), *rest))
    return total, form, depth, vector


def _gather(nest: Any, equation: Equation, index: Index) -> Any:
    x, *atoms = equation.inputs
    place = nest.plan.places[x]
    rest_count = len(place.shape) - len(atoms)
    lead, rest = index[: len(index) - rest_count], index[len(index) - rest_count :]
    indices = [(a, broadcast_index(a.aval.shape, lead)) for a in atoms]
    total, form, depth, vector = _addresses(nest, place, indices, rest, equation.params.get("axes"))
    base = nest.context.pointer(place.buffer)
    if not vector:
        with nest.at(depth, vector=False):
            moved = memory.shifted(nest.e, base, total)
        return nest.load_at(moved, place.dtype, form, (moved,), depth)
    pointer, at = nest.pointer(base, form, place.buffer)
    depth = max(depth, at)
    stride = nest.lane_stride(form)
    return nest.found(_gather_lanes(nest, pointer, total, stride, place.dtype, depth), depth, True)


def _lane_pointers(nest: Any, pointer: str, total: str, stride: Any) -> list[str]:
    """The address of each lane's element; called where lanes are."""
    e = nest.e
    offsets = e.to_lanes(total, "i64") if e.lanes != 1 else [total]
    with e.scalar():
        moved = [memory.shifted(e, pointer, by) for by in offsets]
        if not (type(stride) is int and stride == 0):
            moved = [nest.lane_pointer(p, stride, lane) for lane, p in enumerate(moved)]
    return moved


def _gather_lanes(
    nest: Any, pointer: str, total: str, stride: Any, dtype: np.dtype[Any], depth: int
) -> Operand:
    e = nest.e
    with nest.at(depth, vector=True):
        pointers = _lane_pointers(nest, pointer, total, stride)
        with e.scalar():
            ones = [memory.load(e, p, dtype) for p in pointers]
        if len(ones) == 1:
            return ones[0]
        element = element_type(dtype)
        if dtype.kind == "c":
            parts = tuple(e.from_lanes([x.name[i] for x in ones], element) for i in (0, 1))
            return Operand(parts, dtype)
        return Operand(e.from_lanes([x.name for x in ones], element), dtype)


def store_addressed(nest: Any, store: Store) -> None:
    """Writes to, or adds to, the elements that index arrays address, in the order of the loops."""
    e, place = nest.e, store.place
    value = nest.stored_value(store, nest.full_index)
    total, form, _, vector = _addresses(nest, place, store.addressed, store.index, store.axes)
    depth = len(nest.blocks) - 1
    pointer, _ = nest.pointer(nest.context.pointer(place.buffer), form, place.buffer)
    stride = nest.lane_stride(form)
    spread = vector or not (type(stride) is int and stride == 0)
    spread = spread or value.is_vector
    operand = nest.widened(value) if spread else value.operand
    with nest.at(depth, vector=spread):
        if not vector:
            total = e.splat(total, "i64")
        pointers = _lane_pointers(nest, pointer, total, stride)
        names = operand.name if isinstance(operand.name, tuple) else (operand.name,)
        element = element_type(operand.dtype)
        split = [e.to_lanes(n, element) if e.lanes != 1 else [n] for n in names]
        with e.scalar():
            for lane, p in enumerate(pointers):
                mine = tuple(part[lane] for part in split)
                one = Operand(mine if len(mine) == 2 else mine[0], operand.dtype)
                memory.store(e, _added(nest, one, p) if store.adds else one, p)


def _added(nest: Any, one: Operand, pointer: str) -> Operand:
    return nest.sum_of(memory.load(nest.e, pointer, one.dtype), one)


def _iota(nest: Any, equation: Equation, index: Index) -> Any:
    """The number of the element."""
    e = nest.e
    (form,) = index
    terms = [(k, c) for k, c in form.terms if k in nest.open]
    depth = max((nest.open[k].depth for k, _ in terms), default=0)
    vector = nest.lanes > 1 and any(k == nest.lane_loop for k, _ in terms)
    with nest.at(depth, vector=vector):
        total = e.splat(nest.context.size(form.constant), "i64")
        for k, coefficient in terms:
            here = e.splat(nest.open[k].start, "i64")
            if vector and k == nest.lane_loop:
                here = e.binary("arith.addi", here, e.lane_numbers(), "i64")
            step = e.splat(nest.context.size(coefficient), "i64")
            total = e.binary("arith.addi", total, e.binary("arith.muli", here, step, "i64"), "i64")
        operand = cast(e, Operand(total, INT64), equation.results[0].aval.dtype)
    return nest.found(operand, depth, vector)


def _dimension(nest: Any, equation: Equation, index: Index) -> Any:
    return nest.found(Operand(nest.context.size(equation.params["dim"]), INT64), 0, False)


# Equations that do not just compute with the elements of their arguments.
SOURCES = {
    "gather": _gather,
    "iota": _iota,
    "dimension": _dimension,
    "narrow": narrow,
    "searchsorted": search,
}
