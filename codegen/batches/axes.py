"""Which axes of a Program's values belong together: along which it does the same to each part.

Axes are joined where an equation handles them alike: an elementwise operation joins the axes of its
arguments and its result, a loop those of what it carries and of the parameters of its body. A set
of joined axes is a *batch* if no equation looks across it, but for sums. All that the Program
computes of one part of a batch it can then compute without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autodiff.core import Aval
from ...autodiff.program import Atom, Equation
from ..affine import is_one, same

Axis = tuple[Atom, int]


class Axes:
    """Sets of joined axes; `joining` fills them."""

    def __init__(self) -> None:
        self._next: dict[Axis, Axis] = {}
        self._barred: dict[Axis, None] = {}

    def root(self, axis: Axis) -> Axis:
        """What all joined axes have in common."""
        path = []
        while axis in self._next:
            path.append(axis)
            axis = self._next[axis]
        for step in path[:-1]:
            self._next[step] = axis
        return axis

    def join(self, a: Axis, b: Axis) -> None:
        a, b = self.root(a), self.root(b)
        if a != b:
            self._next[a] = b

    def bar(self, *atoms: Atom, axes: Sequence[int] | None = None) -> None:
        """No batch has one of these axes (None: any) of the atoms."""
        for x in atoms:
            for k in range(x.aval.ndim) if axes is None else axes:
                self._barred[x, k] = None

    def join_all(self, x: Atom, y: Atom, shift: int = 0) -> None:
        """Joins all axes of ``y`` with those of ``x``, which come ``shift`` later."""
        for k in range(y.aval.ndim):
            self.join((x, k + shift), (y, k))

    def join_aligned(
        self, x: Atom, out: Atom, end: int | None = None, count: int | None = None
    ) -> None:
        """Joins the axes of what is broadcast, or the first ``count`` of them, with those of the
        result that end at ``end``.
        """
        lead = x.aval.shape[:count]
        first = (out.aval.ndim if end is None else end) - len(lead)
        for k, dim in enumerate(lead):
            if not is_one(dim) or is_one(out.aval.shape[first + k]):
                self.join((x, k), (out, first + k))

    def batches(self, starts: Sequence[Axis]) -> list[Batch]:
        """The batches with one of these axes."""
        sets: dict[Axis, list[Axis]] = {}
        for axis in dict.fromkeys([*starts, *self._next, *self._next.values()]):
            sets.setdefault(self.root(axis), []).append(axis)
        barred = {self.root(axis) for axis in self._barred}
        found = []
        for root in dict.fromkeys(self.root(axis) for axis in starts):
            batch = Batch(dict(sets[root]))
            of_one_axis = len(batch.axes) == len(sets[root])
            if root not in barred and of_one_axis and batch.is_of_one_size():
                found.append(batch)
        return found


def resized(aval: Aval, axis: int | None, size: Any) -> Aval:
    """The type of an array with another size of an axis; None: of none."""
    if axis is None:
        return aval
    return aval._replace(shape=(*aval.shape[:axis], size, *aval.shape[axis + 1 :]))


class Batch:
    """The axis of each value that has one, and its ``length``."""

    def __init__(self, axes: dict[Atom, int]) -> None:
        self.axes = axes
        self._sizes = [x.aval.shape[k] for x, k in axes.items()]
        self.length: Any = self._sizes[0]

    def is_of_one_size(self) -> bool:
        """Whether all axes have the same size, and it may be more than 1."""
        return not is_one(self.length) and all(same(self.length, size) for size in self._sizes)

    def __contains__(self, x: Atom) -> bool:
        return x in self.axes

    def is_summed_by(self, equation: Equation) -> bool:
        """Whether the equation adds up the parts of the batch."""
        name, x = equation.primitive.name, equation.inputs[0] if equation.inputs else None
        if x not in self.axes:
            return False
        axis = self.axes[x]
        if name == "reduce_sum":
            return axis in equation.params["axes"]
        if name == "accumulate":
            out, indices = equation.results[0], equation.inputs[1:]
            return axis < x.aval.ndim - (out.aval.ndim - len(indices))
        return name == "matmul" and axis == x.aval.ndim - 1
