"""Sizes that can only be 1 are 1.

The question whether a symbolic size is 1, and so broadcasts, becomes a guard. Where guards leave
nothing else, code that looks for a 1 has to see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...autodiff.dims import Dim, size_of
from ...autodiff.program import Program, regions
from ...autodiff.size_bounds import highest, lowest
from .atoms import dims_in, is_known


def settle_sizes(program: Program) -> Program:
    """The Program with what guards say that sizes are equal to in their place."""
    if all(is_known(v.aval.shape) for v in program.parameters):
        return program
    known: dict[Any, Any] = {}
    for dim in _dims(program):
        if dim.key not in known:
            known[dim.key] = _settled(dim)
    if all(type(x) is Dim and x.key == key for key, x in known.items()):
        return program
    return program.with_sizes(lambda dim: known[dim.key])


def _dims(program: Program) -> Iterator[Dim]:
    for v in program.parameters:
        yield from dims_in(v.aval.shape)
    for equation in program.equations:
        for v in equation.results:
            yield from dims_in(v.aval.shape)
        for value in equation.params.values():
            yield from dims_in(value)
        for region in regions(equation):
            yield from _dims(region)


def _settled(dim: Dim) -> Any:
    size = size_of(dim.polynomial)
    if type(size) is Dim and lowest(size.polynomial) == highest(size.polynomial) == 1:
        return 1
    return size
