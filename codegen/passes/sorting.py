"""Sorting: values whose order nobody asks for are sorted themselves, or, where only some places of
them are read, as for a median, partitioned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...autodiff.primitives.sorting import STABLE_VALUES
from ...autodiff.program import Atom, Equation, Literal, Program
from ..fused import partition_p, sort_p
from .atoms import has_regions, readers_of, rebuilt, same_aval, with_regions

FEW = 32  # places that are found faster than everything is sorted


def sort_values(program: Program) -> Program:
    """``permute x (argsort x)`` becomes ``sort x``, and that of a partition's order ``partition
    x``, if nothing else reads the order: derivatives do. Among equal numbers the order is then
    NumPy's, which is that of an unstable sort unless the user asked for a stable one.
    """
    uses = Counter([x for e in program.equations for x in e.inputs])
    uses.update(program.results)
    orders: dict[Atom, Equation] = {}
    equations = []
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, sort_values)
        if (
            equation.primitive.name in ("argsort", "partition_order")
            and uses[equation.results[0]] == 1
        ):
            orders[equation.results[0]] = equation
        elif equation.primitive.name == "permute":
            equation = _sorted(equation, orders)
        equations.append(equation)
    return rebuilt(program, _partitioned(equations, program.results), program.results)


def _sorted(equation: Equation, orders: dict[Atom, Equation]) -> Equation:
    x, order = equation.inputs
    source, axis = orders.get(order), equation.params["axis"]
    if source is None or source.inputs[0] is not x or source.params["axis"] != axis:
        return equation
    if x.aval.weak or not same_aval(x.aval, equation.results[0].aval):
        return equation
    if source.primitive.name == "argsort":
        kind = "stable" if source.params["kind"] == STABLE_VALUES else "quicksort"
        params = {"axis": axis, "kind": kind}
        return Equation(sort_p, [x], params, equation.results, equation.line)
    return Equation(partition_p, [x], source.params, equation.results, equation.line)


def _partitioned(equations: Sequence[Equation], results: Iterable[Atom]) -> list[Equation]:
    """The equations, where arrays are only partitioned of which few places are read."""
    readers, out = readers_of(equations, results), []
    for equation in equations:
        if equation.primitive is sort_p and equation.params["kind"] == "quicksort":
            (v,), axis = equation.results, equation.params["axis"]
            found = [_places_read(e, v, axis) for e in readers[v]]
            places = set().union(*[f for f in found if f is not None])
            if None not in found and len(places) <= FEW:
                params = {"axis": axis, "kth": tuple(sorted(places)), "kind": "introselect"}
                equation = Equation(
                    partition_p, equation.inputs, params, equation.results, equation.line
                )
        out.append(equation)
    return out


def _places_read(equation: Equation | None, x: Atom, axis: int) -> Sequence[int] | None:
    """What is read of ``x`` along the axis, where that is known."""
    size = x.aval.shape[axis]
    if equation is None or type(size) is not int:
        return None
    if equation.primitive.name == "gather" and equation.inputs[0] is x:
        indices: Sequence[Any] = equation.inputs[1:]
        index = indices[axis] if axis < len(indices) else None
        value = np.asarray(index.value) if isinstance(index, Literal) else None
        if value is None or value.size > FEW or not np.all((-size <= value) & (value < size)):
            return None
        return [int(i) % size for i in value.ravel()]
    if equation.primitive.name == "getitem":
        taken = [i for i in equation.params["index"] if i is not None]
        index = taken[axis] if axis < len(taken) else slice(None)
        if type(index) is int:
            return [index % size]
        if type(index) is not slice:
            return None
        known = all(i is None or type(i) is int for i in (index.start, index.stop, index.step))
        places = range(size)[index] if known else range(size)
        return places if len(places) <= FEW else None
    return None
