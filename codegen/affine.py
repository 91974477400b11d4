"""Affine forms of loop indices, and where index operations send them.

An index of an element is a tuple of forms, one for each axis. Operations that only rename positions
(transpose, broadcast_to, slices, ...) are functions on such tuples: what computes with their result
reads their argument at another index, and nothing is moved in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..autodiff.dims import Dim, provably_equal
from ..autodiff.program import Equation
from ..autodiff.shapes import element_place, slice_bounds
from ..autodiff.size_bounds import lowest, polynomial_of

Shape = tuple[Any, ...]


def same(a: Any, b: Any) -> bool:
    """Whether two sizes are provably equal; asks no question that would become a guard."""
    return a == b if type(a) is int and type(b) is int else provably_equal(a, b)


def lower_bound(dim: Any) -> int:
    """The least that a size can be."""
    if type(dim) is int:
        return dim
    least = lowest(polynomial_of(dim))
    return 0 if least == -math.inf else int(least)


def is_ordered(a: Any, b: Any) -> bool:
    """Whether ``a <= b`` for all sizes that there can be."""
    if type(a) is not Dim and type(b) is not Dim:
        return a <= b
    return lowest(polynomial_of(b - a)) >= 0


def is_one(dim: Any) -> bool:
    return type(dim) is int and dim == 1


def product(dims: Sequence[Any]) -> Any:
    total: Any = 1
    for dim in dims:
        total = total * dim
    return total


class Affine(NamedTuple):
    """``constant + sum of coefficient * loop``; loops are numbered, coefficients may be Dims."""

    constant: Any
    terms: tuple[tuple[int, Any], ...] = ()  # (loop, coefficient), by loop

    def plus(self, other: Affine) -> Affine:
        terms = dict(self.terms)
        for loop, coefficient in other.terms:
            terms[loop] = terms.get(loop, 0) + coefficient
        kept = [(k, c) for k, c in sorted(terms.items()) if not (type(c) is int and c == 0)]
        return Affine(self.constant + other.constant, tuple(kept))

    def times(self, factor: Any) -> Affine:
        if type(factor) is int and factor == 0:
            return Affine(0)
        return Affine(self.constant * factor, tuple((k, c * factor) for k, c in self.terms))

    def coefficient(self, loop: int) -> Any:
        for k, c in self.terms:
            if k == loop:
                return c
        return 0


ZERO = Affine(0)
Index = tuple[Affine, ...]


def identity(loops: Sequence[int]) -> Index:
    return tuple(Affine(0, ((loop, 1),)) for loop in loops)


# Operations whose result is their argument's elements at other places, or at the same.
INDEX_OPERATIONS = frozenset(
    {
        "transpose",
        "broadcast_to",
        "reshape",
        "getitem",
        "flip",
        "diagonal",
        "windows",
        "copy",
        "stop_gradient",
    }
)


def through(equation: Equation, index: Index) -> Index | None:
    """The index into the argument that ``index`` into the result reads; None if it is not affine
    (a reshape that splits what is one loop).
    """
    x = equation.inputs[0].aval.shape
    params = equation.params
    match equation.primitive.name:
        case "transpose":
            found: list[Any] = [ZERO] * len(x)
            for axis, form in zip(params["axes"], index, strict=True):
                found[axis] = form
            return tuple(found)
        case "broadcast_to":
            inner = index[len(index) - len(x) :]
            return tuple(ZERO if is_one(dim) else f for dim, f in zip(x, inner, strict=True))
        case "reshape":
            return _through_reshape(x, params["shape"], index)
        case "getitem":
            return _through_getitem(x, params["index"], index)
        case "flip":
            return tuple(
                Affine(dim - 1).plus(f.times(-1)) if axis in params["axes"] else f
                for axis, (dim, f) in enumerate(zip(x, index, strict=True))
            )
        case "diagonal":
            return _through_diagonal(len(x), index, **params)
        case "windows":
            found = list(index[: len(x)])
            for axis, form in zip(params["axes"], index[len(x) :], strict=True):
                found[axis] = found[axis].plus(form)
            return tuple(found)
        case _:
            return index


def _through_diagonal(ndim: int, index: Index, *, offset: int, axis1: int, axis2: int) -> Index:
    *rest, along = index
    others = iter(rest)
    found = []
    for axis in range(ndim):
        if axis == axis1:
            found.append(along.plus(Affine(max(-offset, 0))))
        elif axis == axis2:
            found.append(along.plus(Affine(max(offset, 0))))
        else:
            found.append(next(others))
    return tuple(found)


def slice_start_step(item: slice, dim: Any) -> tuple[Any, Any]:
    """Where a slice of an axis of this size starts, and its step."""
    start, _, step = slice_bounds(item, dim)
    return start, step


def _through_getitem(x: Shape, items: Sequence[Any], index: Index) -> Index:
    forms = iter(index)
    found = []
    axis = 0
    for item in items:
        if item is None:
            next(forms)
            continue
        if isinstance(item, slice):
            start, step = slice_start_step(item, x[axis])
            found.append(next(forms).times(step).plus(Affine(start)))
        else:
            found.append(Affine(element_place(item, x[axis])))
        axis += 1
    return (*found, *forms)


def reshape_groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]] | None:
    """The axes of ``old`` and of ``new``, axes of length 1 left out, in groups of equal size."""
    a = [i for i, dim in enumerate(old) if not is_one(dim)]
    b = [i for i, dim in enumerate(new) if not is_one(dim)]
    groups = []
    i = j = 0
    while i < len(a) and j < len(b):
        left, right = [a[i]], [b[j]]
        size_a, size_b = old[a[i]], new[b[j]]
        i, j = i + 1, j + 1
        while not same(size_a, size_b):
            if type(size_a) is int and type(size_b) is int:
                if 0 in (size_a, size_b):
                    return None
                grow_a = size_a < size_b
            else:
                grow_a = len(a) - i > len(b) - j
            if grow_a:
                if i == len(a):
                    return None
                size_a, i = size_a * old[a[i]], i + 1
                left.append(a[i - 1])
            else:
                if j == len(b):
                    return None
                size_b, j = size_b * new[b[j]], j + 1
                right.append(b[j - 1])
        groups.append((left, right))
    return groups if i == len(a) and j == len(b) else None


def _through_reshape(old: Shape, new: Shape, index: Index) -> Index | None:
    groups = reshape_groups(old, new)
    if groups is None:
        return None
    found = [ZERO] * len(old)
    for left, right in groups:
        if len(left) != 1:
            return None
        total = ZERO
        for axis in right:
            total = total.times(new[axis]).plus(index[axis])
        found[left[0]] = total
    return tuple(found)
