"""`pieces_p`: a batch computed piece by piece, by threads where there are several.

It is what code is generated for, and is not differentiated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.core import Aval, Value
from ...autodiff.program import Program
from ...autodiff.regions import check_avals, strong
from ...autodiff.structured import Structured
from .axes import resized


class Form(NamedTuple):
    """The parameters of `pieces_p`."""

    bodies: tuple[Program, ...]  # for a whole piece, and for the last one if that may be shorter
    size: int  # of a piece
    length: Any  # of the batch
    axes: tuple[int | None, ...]  # of each operand: the batch's, None where a piece gets all
    out_axes: tuple[int | None, ...]  # of each result; None: those of all pieces are stacked

    @property
    def count(self) -> Any:
        """How many pieces there are."""
        return (self.length + self.size - 1) // self.size

    @property
    def rest(self) -> Any:
        """The examples of the last piece."""
        return self.length - (self.count - 1) * self.size

    def body(self, number: int) -> Program:
        """What computes the piece with this number."""
        is_short = number == self.count - 1 and self.rest < self.size
        return self.bodies[-1] if is_short else self.bodies[0]


def _part(x: Value, axis: int | None, start: int, stop: int) -> Value:
    return x if axis is None else x[(slice(None),) * axis + (slice(start, stop),)]


def _pieces(*operands: Value, **params: Any) -> tuple[Value, ...]:
    form = Form(**params)
    rows: list[Sequence[Any]] = []
    for number in range(form.count):
        start = number * form.size
        stop = min(start + form.size, form.length)
        pairs = zip(operands, form.axes, strict=True)
        rows.append(form.body(number)(*(_part(x, axis, start, stop) for x, axis in pairs)))
    return tuple(
        np.stack(parts) if axis is None else np.concatenate(parts, axis)
        for parts, axis in zip(zip(*rows, strict=True), form.out_axes, strict=True)
    )


def _shape(*avals: Aval, **params: Any) -> tuple[Aval, ...]:
    form = Form(**params)
    for body, size in zip(form.bodies, (form.size, form.rest), strict=False):
        wanted = [resized(x, axis, size) for x, axis in zip(avals, form.axes, strict=True)]
        check_avals("pieces", "the parameters of a body", body.in_avals, wanted)
    out = map(strong, form.bodies[0].out_avals)
    return tuple(
        Aval((form.count, *x.shape), x.dtype) if axis is None else resized(x, axis, form.length)
        for x, axis in zip(out, form.out_axes, strict=True)
    )


pieces_p = Structured("pieces", _pieces, shape=_shape)
