"""Index arrays: which axes they address, and whether they name an element twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.core import Params
from ...autodiff.primitives.indexing import accumulate_p, scatter_add_p, scatter_p
from ...autodiff.primitives.manipulation import transpose_p
from ...autodiff.program import Atom, Equation, Literal
from ...autodiff.rules import broadcast_to_p, reshape_p
from ...autodiff.sizes import INTP, iota_p
from ..affine import lower_bound
from .atoms import same_shape
from .rewriting import Rewriter, Rule

MOST = 1 << 16  # index pairs that are looked at


def all_survive(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``last_writer`` of places that are all different: those of slices that begin anywhere."""
    shape, offsets = equation.params["shape"], []
    for x, size in zip(equation.inputs, shape, strict=False):
        found = _offsets(rewriter, x)
        if found is None or (found.size and int(np.ptp(found)) >= lower_bound(size)):
            return None
        offsets.append(found)
    lead = np.broadcast_shapes(*[x.shape for x in offsets])
    count = int(np.prod(lead))
    if not count or count > MOST:
        return None
    places = np.stack([np.broadcast_to(x, lead).ravel() for x in offsets])
    if np.unique(places, axis=1).shape[1] < count:
        return None
    wanted = equation.results[0].aval.shape
    return rewriter.replace(equation, broadcast_to_p, Literal(np.True_), shape=wanted)


def _offsets(rewriter: Rewriter, x: Atom) -> np.ndarray[Any, Any] | None:
    """Known integers from which ``x`` differs by one and the same number."""
    if not x.aval.shape:
        return np.zeros((), np.int64)
    if type(x) is Literal:
        return None if x.live else np.asarray(x.value)
    source = rewriter.source(x)
    if source is None:
        return None
    if source.primitive.name == "reshape" and all(type(d) is int for d in x.aval.shape):
        inner = _offsets(rewriter, source.inputs[0])
        return None if inner is None else inner.reshape(x.aval.shape)
    if source.primitive.name == "add":
        for a, b in (source.inputs, source.inputs[::-1]):
            if not a.aval.shape and b.aval.shape == x.aval.shape:
                return _offsets(rewriter, b)
    return None


def write_in_place(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A write along other axes than the leading ones, which is recorded as one into a transposed
    array, transposed back: as a write that addresses all axes up to the last of them, into the
    array itself.
    """
    source, back = rewriter.source(equation.inputs[0]), equation.params["axes"]
    axes = tuple(int(a) for a in np.argsort(back))  # of the array, as the write sees them
    if source is None:
        return None
    if source.primitive is accumulate_p:
        value, *indices = source.inputs
        if not _are_of_one_shape(indices):
            return None
        whole = [source.params["shape"][a] for a in back]
        addressed = _Addressed(rewriter, equation, whole, axes, indices)
        params = {"shape": tuple(whole), **addressed.names(source)}
        value = addressed.value(value)
        return rewriter.replace(equation, accumulate_p, value, *addressed.indices, **params)
    if source.primitive not in (scatter_p, scatter_add_p):
        return None
    moved, value, *indices = source.inputs
    before = rewriter.source(moved, "transpose")
    if before is None or tuple(before.params["axes"]) != axes or not _are_of_one_shape(indices):
        return None
    x = before.inputs[0]
    addressed = _Addressed(rewriter, equation, x.aval.shape, axes, indices)
    value, names = addressed.value(value), addressed.names(source)
    return rewriter.replace(equation, source.primitive, x, value, *addressed.indices, **names)


class _Addressed:
    """Index arrays for the first axes of ``transpose(x, axes)``, as some for x: those of the axes
    between them count from 0, behind the dimensions of the others.
    """

    def __init__(
        self,
        rewriter: Rewriter,
        equation: Equation,
        shape: Sequence[Any],
        axes: Sequence[int],
        indices: Sequence[Atom],
    ) -> None:
        self.rewriter, self.equation, self.shape, self.axes = rewriter, equation, shape, axes
        self.given = dict(zip(axes, indices, strict=False))
        self.between = [a for a in range(max(self.given) + 1) if a not in self.given]
        self.lead = max((x.aval.shape for x in indices), key=len)
        self.indices = [self._index(a) for a in range(max(self.given) + 1)]

    def _index(self, axis: int) -> Atom:
        rest = len(self.between)
        if axis in self.given:
            x = self.given[axis]
            shape = (*x.aval.shape, *(1,) * rest) if x.aval.shape else ()
        else:
            number, size = self.between.index(axis), self.shape[axis]
            x = self.rewriter.bind(self.equation, iota_p, size=size, dtype=INTP)
            shape = (*(1,) * number, size, *(1,) * (rest - 1 - number))
        if len(shape) == len(x.aval.shape):
            return x
        return self.rewriter.bind(self.equation, reshape_p, x, shape=shape)

    def names(self, source: Equation) -> Params:
        """What errors call the axes."""
        if source.params.get("axes") is None:
            return {}
        names = dict(zip(self.axes, source.params["axes"], strict=False))
        return {"axes": tuple(names.get(a, a) for a in range(max(self.given) + 1))}

    def value(self, x: Atom) -> Atom:
        """What is written, with the axes in the order of the new index arrays."""
        behind = self.axes[len(self.given) :]
        count = len(self.lead)
        full = (*self.lead, *(self.shape[a] for a in behind))
        if len(x.aval.shape) != len(full):
            x = self.rewriter.bind(self.equation, broadcast_to_p, x, shape=full)
        axes = (*range(count), *(count + behind.index(a) for a in sorted(behind)))
        return self.rewriter.bind(self.equation, transpose_p, x, axes=axes)


def _are_of_one_shape(indices: Sequence[Atom]) -> bool:
    """Or single numbers."""
    shapes = [x.aval.shape for x in indices if x.aval.shape]
    return all(same_shape(shape, shapes[0]) for shape in shapes)


RULES: dict[str, list[Rule]] = {"last_writer": [all_survive], "transpose": [write_in_place]}
