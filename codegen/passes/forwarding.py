"""Reading what has just been written: `getitem` of `setitem` and of `embed`, and dead writes.

Mutation is recorded as a chain of `setitem`s. A read whose place is that of a write is what was
written; one that no write of the chain touches reads the array before it. Places are compared only
where they are known numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autodiff.dims import Dim
from ...autodiff.primitives.indexing import getitem_p, setitem_p
from ...autodiff.program import Atom, Equation, Literal
from .atoms import is_known
from .rewriting import Rewriter, Rule

LONGEST = 64  # how many writes a read looks back through

Part = range | int | None  # of an axis; None where sizes are not known


def read_written(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x`` after ``a[i] = x`` in the place of ``a[i]``; the ``a`` before a write elsewhere."""
    index = equation.params["index"]
    first = x = equation.inputs[0]
    for _ in range(LONGEST):
        source = rewriter.sources.get(x)
        if source is None or source.primitive.name not in ("setitem", "embed"):
            break
        shape = x.aval.shape
        if same_place(index, source.params["index"], shape):
            if source.primitive is not setitem_p:
                return rewriter.fitted(equation, source.inputs[0])
            return _written(rewriter, equation, source.inputs[1])
        if not _apart(index, source.params["index"], shape):
            break
        if source.primitive is not setitem_p:
            zero = equation.results[0].aval.dtype.type(0)
            return rewriter.fitted(equation, Literal(zero))
        x = source.inputs[0]
    if x is first:
        return None
    return rewriter.replace(equation, getitem_p, x, index=index)


def _written(rewriter: Rewriter, equation: Equation, value: Atom) -> Atom | None:
    """What an assignment made of the value: NumPy drops leading axes of length 1."""
    if value.aval.ndim > equation.results[0].aval.ndim:
        return None
    return rewriter.fitted(equation, value)


def write_all(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``a[...] = x``: x."""
    x, value = equation.inputs
    parts = _parts(equation.params["index"], x.aval.shape)
    if parts is None or not is_known(x.aval.shape):
        return None
    if all(part == range(size) for part, size in zip(parts, x.aval.shape, strict=True)):
        return _written(rewriter, equation, value)
    return None


def write_again(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A write to the place of the write before."""
    x, value = equation.inputs
    source = rewriter.source(x, "setitem")
    index = equation.params["index"]
    if source is None or not same_place(index, source.params["index"], x.aval.shape):
        return None
    return rewriter.replace(equation, setitem_p, source.inputs[0], value, index=index)


def write_back(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``a[i] = a[i]``: a."""
    x, value = equation.inputs
    source = rewriter.source(value, "getitem")
    if (
        source is None
        or source.inputs[0] is not x
        or not same_place(equation.params["index"], source.params["index"], x.aval.shape)
    ):
        return None
    return x


def _parts(index: Sequence[Any], shape: Sequence[Any]) -> list[Part] | None:
    """What an index takes of each axis; None if it is of a form that is not known here."""
    items = [item for item in index if item is not None]
    if len(items) > len(shape):
        return None
    items += [slice(None)] * (len(shape) - len(items))
    found: list[Part] = []
    for item, size in zip(items, shape, strict=True):
        if type(item) is slice:
            ends = (item.start, item.stop, item.step)
            known = type(size) is not Dim and not any(type(end) is Dim for end in ends)
            found.append(range(*item.indices(size)) if known else None)
        elif type(item) is int:
            found.append(item + size if item < 0 else item)
        else:
            return None
    return [None if type(part) is Dim else part for part in found]


def same_place(a: Sequence[Any], b: Sequence[Any], shape: Sequence[Any]) -> bool:
    """Whether two indices of an array of ``shape`` give the same part of it, of one shape."""
    if _new_axes(a) != _new_axes(b):
        return False
    first, second = _parts(a, shape), _parts(b, shape)
    if first is None or second is None:
        return False
    return all(
        p is not None and type(p) is type(q) and p == q for p, q in zip(first, second, strict=True)
    )


def _new_axes(index: Sequence[Any]) -> list[int]:
    """Before how many axes each new one stands."""
    found, axes = [], 0
    for item in index:
        if item is None:
            found.append(axes)
        else:
            axes += 1
    return found


def _apart(a: Sequence[Any], b: Sequence[Any], shape: Sequence[Any]) -> bool:
    """Whether two indices have no element in common."""
    first, second = _parts(a, shape), _parts(b, shape)
    if first is None or second is None:
        return False
    return any(_disjoint(p, q) for p, q in zip(first, second, strict=True))


def _disjoint(p: Part, q: Part) -> bool:
    if p is None or q is None:
        return False
    p = p if isinstance(p, range) else range(p, p + 1)
    q = q if isinstance(q, range) else range(q, q + 1)
    if not p or not q:
        return True
    if max(p) < min(q) or max(q) < min(p):
        return True
    step = abs(p.step) if len(p) > 1 else 0
    other = abs(q.step) if len(q) > 1 else 0
    if step == other and step > 1:
        return (p[0] - q[0]) % step != 0
    return (other == 0 and q[0] not in p) or (step == 0 and p[0] not in q)


RULES: dict[str, list[Rule]] = {
    "getitem": [read_written],
    "setitem": [write_all, write_again, write_back],
}
