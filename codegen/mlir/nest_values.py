"""The values of a loop nest: computed in the outermost loop that they allow, loaded, stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...autodiff.program import Atom, Equation, Literal, Variable
from ..affine import Affine, Index
from ..places import Place
from ..plan import FULL, Cluster, Plan, Store, broadcast_index
from . import memory
from .addresses import SOURCES, store_addressed
from .convert import cast
from .elementwise import LOWER, lower_twins, twin_of
from .emitter import Operand, element_type
from .equations import constant, types_of
from .math_table import TWIN
from .nest_shape import Context, NestShape

FAR = 1 << 10  # bytes between steps, from which on memory is fetched ahead
STEPS_AHEAD = 8
NEAR = 4  # steps between lanes up to which all that lies between them is loaded

Nest = TypeVar("Nest", bound="NestValues")


class Found(NamedTuple):
    """A value in registers: how deep in the loops, and whether it fills the lanes."""

    operand: Operand
    depth: int
    is_vector: bool


class Block:
    """The inside of a loop, or of the function: its lines, and what is known there."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.values: dict[Any, Found] = {}
        self.names: dict[Any, str] = {}


class Loop(NamedTuple):
    """An open loop: the name of its first element, its depth, and of its mask where it has one."""

    start: str
    depth: int
    mask: str | None = None


class NestValues(NestShape):
    """What is known in the loops that are open."""

    def __init__(
        self, plan: Plan, cluster: Cluster, context: Context, narrow: bool = False
    ) -> None:
        super().__init__(plan, cluster, context, narrow)
        self._start()

    def _start(self) -> None:
        self.blocks = [Block(self.e.lines)]  # of the function, and of each open loop
        self.open: dict[int, Loop] = {}

    def into(self: Nest, context: Context) -> Nest:
        """The same nest, to be written into another function."""
        other = copy(self)
        other.move(context)
        other._start()
        return other

    @contextmanager
    def at(self, depth: int, *, vector: bool) -> Iterator[None]:
        """Inside, operations are written into the block of this depth."""
        e = self.e
        saved = e.lines, e.lanes
        e.lines, e.lanes = self.blocks[depth].lines, self.lanes if vector else 1
        try:
            yield
        finally:
            e.lines, e.lanes = saved

    def value(self, x: Atom, index: Index) -> Found:
        x, index = self.base(x, index)
        if type(x) is Literal and not x.aval.shape:
            return self.literal(x, x.aval.dtype)
        key = x, index
        for block in self.blocks:
            if key in block.values:
                return block.values[key]
        if type(x) is Variable and x in self.kept and self.cluster.phase[x] < self.phase:
            found = self._load_kept(x)
        elif type(x) is Variable and self._is_own(x) and not self._is_stored_before(x):
            found = self._compute(self.plan.producers[x], x)
        else:
            found = self._load(self.plan.places[x], index)
        self.blocks[found.depth].values[key] = found
        return found

    def _is_stored_before(self, x: Atom) -> bool:
        """Whether an earlier phase has written ``x`` to memory."""
        assert type(x) is Variable
        earlier = self.cluster.phase[x] < self.phase and self.cluster.level[x] == FULL
        return earlier and x in self.plan.places

    def literal(self, x: Literal, dtype: np.dtype[Any]) -> Found:
        with self.at(0, vector=False):
            return Found(constant(self.e, x.value, dtype), 0, False)

    def _compute(self, equation: Equation, out: Variable) -> Found:
        index = self.cluster.index[out]
        if equation.primitive.name in SOURCES:
            return SOURCES[equation.primitive.name](self, equation, index)
        in_types, out_types = types_of(equation)
        found = []
        for x, dtype in zip(equation.inputs, in_types, strict=True):
            if type(x) is Literal and not x.aval.shape:
                found.append(self.literal(x, dtype))
            else:
                found.append(self.converted(x, broadcast_index(x.aval.shape, index), dtype))
        depth = max((f.depth for f in found), default=0)
        vector = any(f.is_vector for f in found)
        operands = [self.widened(f) if vector else f.operand for f in found]
        name, twin = equation.primitive.name, self._twin(equation, in_types[0])
        with self.at(depth, vector=vector):
            if twin is None:
                operand = LOWER[name](self.e, operands, out_types, equation.params)
            else:
                operand, other = lower_twins(name, self.e, operands[0])
                self.blocks[depth].values[twin, index] = Found(other, depth, vector)
        return Found(operand, depth, vector)

    def _twin(self, equation: Equation, dtype: np.dtype[Any]) -> Variable | None:
        """What has most of its work in common with this and is computed at the same place."""
        name, cluster = twin_of(equation.primitive.name, dtype), self.cluster
        mine = equation.results[0]
        if name is None or cluster.phase[mine] != self.phase:
            return None
        for v in self._functions_of.get((name, equation.inputs[0]), ()):
            places = [(cluster.phase[x], cluster.level[x], cluster.index[x]) for x in (v, mine)]
            if places[0] == places[1]:
                return v
        return None

    @cached_property
    def _functions_of(self) -> dict[tuple[str, Atom], list[Variable]]:
        """The cluster's functions of one number that may have a twin, by name and argument."""
        found: dict[tuple[str, Atom], list[Variable]] = {}
        for e in self.cluster.equations:
            if e.primitive.name in TWIN:
                found.setdefault((e.primitive.name, e.inputs[0]), []).append(e.results[0])
        return found

    def converted(self, x: Atom, index: Index, dtype: np.dtype[Any]) -> Found:
        """A value in the dtype that an operation computes in."""
        found = self.value(x, index)
        if found.operand.dtype == dtype:
            return found
        key = (*self.base(x, index), dtype)
        block = self.blocks[found.depth]
        if key not in block.values:
            with self.at(found.depth, vector=found.is_vector):
                operand = cast(self.e, found.operand, dtype)
            block.values[key] = Found(operand, found.depth, found.is_vector)
        return block.values[key]

    def widened(self, found: Found) -> Operand:
        """A scalar in all lanes."""
        if found.is_vector or self.lanes == 1:
            return found.operand
        key = "splat", found.operand
        block = self.blocks[found.depth]
        if key not in block.values:
            dtype, name = found.operand.dtype, found.operand.name
            element = element_type(dtype)
            with self.at(found.depth, vector=True):
                if isinstance(name, tuple):
                    name = tuple(self.e.splat(n, element) for n in name)
                else:
                    name = self.e.splat(name, element)
            block.values[key] = Found(Operand(name, dtype), found.depth, True)
        return block.values[key].operand

    # Memory.

    def pointer(self, name: str, form: Affine, key: Any, least_depth: int = 0) -> tuple[str, int]:
        """The address of an element (the first of the lanes), and the depth it is computed at.
        ``name`` is the pointer to the buffer that ``key`` identifies.
        """
        e, depth = self.e, least_depth
        terms = [
            (max(self.open[k].depth, least_depth), k, c) for k, c in form.terms if k in self.open
        ]
        terms.sort(key=itemgetter(0, 1))
        known: Any = (key, form.constant)
        if not (type(form.constant) is int and form.constant == 0):
            name = self.offset(name, self.context.size(form.constant), depth, known)
        for at, k, coefficient in terms:
            known = (known, k, coefficient)
            if known in self.blocks[at].names:
                name = self.blocks[at].names[known]
            else:
                with self.at(at, vector=False):
                    factor = self.context.size(coefficient)
                    moved = e.op(f"arith.muli {self.open[k].start}, {factor} : i64")
                name = self.offset(name, moved, at, known)
            depth = at
        return name, depth

    def offset(self, pointer: str, by: str, depth: int, key: Any) -> str:
        names = self.blocks[depth].names
        if key not in names:
            with self.at(depth, vector=False):
                names[key] = memory.shifted(self.e, pointer, by)
        return names[key]

    def lane_stride(self, form: Affine) -> Any:
        return form.coefficient(self.lane_loop) if self.lanes > 1 else 0

    def _load(self, place: Place, index: Index) -> Found:
        buffer = place.buffer
        return self.load_at(self.context.pointer(buffer), place.dtype, place.at(index), buffer)

    def load_at(
        self,
        base: str,
        dtype: np.dtype[Any],
        form: Affine,
        key: Any,
        least_depth: int = 0,
        stride: Any = None,
    ) -> Found:
        """What lies at ``base``, a pointer that is known at ``least_depth``, and a form; lanes
        ``stride`` bytes apart if not where the form has them.
        """
        pointer, depth = self.pointer(base, form, key, least_depth)
        stride = self.lane_stride(form) if stride is None else stride
        is_scalar = type(stride) is int and stride == 0
        with self.at(depth, vector=not is_scalar):
            if is_scalar or (type(stride) is int and stride == dtype.itemsize):
                operand = memory.load(self.e, pointer, dtype)
            else:
                operand = self.gathered(pointer, stride, dtype)
        return Found(operand, depth, not is_scalar)

    def lane_pointer(self, pointer: str, stride: Any, lane: int) -> str:
        return memory.shifted(self.e, pointer, self.context.size(stride * lane))

    def gathered(self, pointer: str, stride: Any, dtype: np.dtype[Any]) -> Operand:
        """Lanes that do not lie side by side: out of whole vectors where they are near, else loaded
        one by one.
        """
        e, lanes = self.e, self.e.lanes
        steps = stride // dtype.itemsize if type(stride) is int and dtype.kind != "c" else 0
        near = steps * dtype.itemsize == stride and abs(steps) <= NEAR
        if near and steps not in (0, 1):
            return memory.load_apart(e, pointer, dtype, steps)
        with e.scalar():
            ones = [
                memory.load(e, self.lane_pointer(pointer, stride, lane), dtype)
                for lane in range(lanes)
            ]
        element = element_type(dtype)
        if dtype.kind == "c":
            parts = tuple(e.from_lanes([x.name[i] for x in ones], element) for i in (0, 1))
            return Operand(parts, dtype)
        return Operand(e.from_lanes([x.name for x in ones], element), dtype)

    def _store(self, store: Store) -> None:
        if store.addressed:
            store_addressed(self, store)
            return
        place = store.place
        form = place.at(store.index)
        found = self.stored_value(store, store.index)
        self.store_at(found, self.context.pointer(place.buffer), place.dtype, form, place.buffer)

    def stored_value(self, store: Store, index: Index) -> Found:
        """What is to be stored when the loops are at ``index`` of the target's shape."""
        atom, dtype = store.atom, store.place.dtype
        if type(atom) is Literal and not atom.aval.shape:
            return self.literal(atom, dtype)
        return self.converted(atom, broadcast_index(atom.aval.shape, index), dtype)

    def sum_of(self, a: Operand, b: Operand) -> Operand:
        return LOWER["add"](self.e, [a, b], (a.dtype,), {})

    def found(self, operand: Operand, depth: int, is_vector: bool) -> Found:
        return Found(operand, depth, is_vector)

    def _keep(self, v: Variable) -> None:
        dtype = v.aval.dtype
        found = self.converted(v, self.cluster.index[v], dtype)
        form = self._kept_form().times(dtype.itemsize)
        self.store_at(found, self.kept_at(v), dtype, form, v, self._kept_stride(dtype))

    def _load_kept(self, v: Variable) -> Found:
        dtype = v.aval.dtype
        form = self._kept_form().times(dtype.itemsize)
        stride = self._kept_stride(dtype)
        return self.load_at(self.kept_at(v), dtype, form, v, stride=stride)

    def _kept_stride(self, dtype: np.dtype[Any]) -> int:
        """How far lanes are apart in a kept row, which is filled anew for each row."""
        return dtype.itemsize if self.lanes > 1 else 0

    def store_at(
        self,
        found: Found,
        base: str,
        dtype: np.dtype[Any],
        form: Affine,
        key: Any,
        stride: Any = None,
    ) -> None:
        stride = self.lane_stride(form) if stride is None else stride
        vector = not (type(stride) is int and stride == 0)
        pointer, _ = self.pointer(base, form, key)
        operand = self.widened(found) if vector else found.operand
        with self.at(len(self.blocks) - 1, vector=vector):
            if not vector or (type(stride) is int and stride == dtype.itemsize):
                memory.store(self.e, operand, pointer)
                self._announce(pointer, form, dtype)
            else:
                self._scattered(operand, pointer, stride)

    def _announce(self, pointer: str, form: Affine, dtype: np.dtype[Any]) -> None:
        """Has the cache fetch what will be written some steps later down the columns: these are
        too far apart for the hardware to expect them.
        """
        if not self.is_down_columns() or not self.inner_loops:
            return
        step = form.coefficient(self.inner_loops[-1])
        if type(step) is int and abs(step) < FAR:
            return
        with self.e.scalar():
            ahead = self.context.size(step * STEPS_AHEAD)
            pointer = memory.shifted(self.e, pointer, ahead)
            memory.prefetch(self.e, pointer, self.lanes * dtype.itemsize)

    def _scattered(self, operand: Operand, pointer: str, stride: Any) -> None:
        e, lanes = self.e, self.e.lanes
        element = element_type(operand.dtype)
        names = operand.name if isinstance(operand.name, tuple) else (operand.name,)
        split = [e.to_lanes(name, element) for name in names]
        with e.scalar():
            for lane in range(lanes):
                mine = tuple(part[lane] for part in split)
                one = Operand(mine if len(mine) == 2 else mine[0], operand.dtype)
                memory.store(e, one, self.lane_pointer(pointer, stride, lane))
