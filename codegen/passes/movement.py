"""Rules on what moves elements and converts them: reshape, transpose, broadcast, slices, dtypes.

A transpose that swaps the last two axes in front of a matmul stays there: the code generator hands
it to BLAS as a flag. Views cost nothing, so the aim is few of them, near the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.primitives.indexing import getitem_p
from ...autodiff.primitives.manipulation import flip_p, transpose_p
from ...autodiff.program import Atom, Equation, Literal
from ...autodiff.rules import broadcast_to_p, reshape_p
from .atoms import is_known, same_aval, same_dim, same_shape
from .constants import uniform_value
from .rewriting import Rewriter, Rule, conversion, drop_identity


def merge_reshapes(rewriter: Rewriter, equation: Equation) -> Atom | None:
    source = rewriter.source(equation.inputs[0], "reshape")
    if source is None:
        return None
    return rewriter.replace(equation, reshape_p, source.inputs[0], **equation.params)


def merge_transposes(rewriter: Rewriter, equation: Equation) -> Atom | None:
    axes = equation.params["axes"]
    (x,) = equation.inputs
    if axes == tuple(range(len(axes))):
        return drop_identity(rewriter, equation)
    source = rewriter.source(x, "transpose")
    if source is not None:
        merged = tuple(source.params["axes"][a] for a in axes)
        return rewriter.replace(equation, transpose_p, source.inputs[0], axes=merged)
    long = [a for a in axes if not same_dim(x.aval.shape[a], 1)]
    if long == sorted(long):  # only axes of length 1 move
        return rewriter.replace(equation, reshape_p, x, shape=equation.results[0].aval.shape)
    return None


def merge_flips(rewriter: Rewriter, equation: Equation) -> Atom | None:
    axes = set(equation.params["axes"])
    (x,) = equation.inputs
    axes -= {a for a in axes if same_dim(x.aval.shape[a], 1)}
    source = rewriter.source(x, "flip")
    if source is not None:
        axes ^= set(source.params["axes"])
        x = source.inputs[0]
    elif len(axes) == len(equation.params["axes"]):
        return None
    if not axes:
        return x if same_aval(x.aval, equation.results[0].aval) else None
    return rewriter.replace(equation, flip_p, x, axes=tuple(sorted(axes)))


def merge_broadcasts(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A broadcast of a broadcast, or of an array that was given axes of length 1 in front."""
    (x,) = equation.inputs
    if same_aval(x.aval, equation.results[0].aval):
        return x
    source = rewriter.sources.get(x)
    if source is None:
        return None
    if source.primitive is broadcast_to_p:
        return rewriter.replace(equation, broadcast_to_p, source.inputs[0], **equation.params)
    if source.primitive is reshape_p:
        (inner,) = source.inputs
        added = x.aval.ndim - inner.aval.ndim
        lead, rest = x.aval.shape[: max(added, 0)], x.aval.shape[max(added, 0) :]
        if added > 0 and _all_ones(lead) and same_shape(rest, inner.aval.shape):
            return rewriter.replace(equation, broadcast_to_p, inner, **equation.params)
    return None


def _all_ones(shape: Sequence[Any]) -> bool:
    return all(same_dim(dim, 1) for dim in shape)


def move_uniform(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """Elements that are all equal stay so, wherever they are moved."""
    element = uniform_value(rewriter, equation.inputs[0])
    aval = equation.results[0].aval
    if element is None or (not aval.shape and type(equation.inputs[0]) is Literal):
        return None
    return rewriter.fitted(equation, Literal(element))


def reshape_broadcast(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A reshape of a broadcast number."""
    source = rewriter.source(equation.inputs[0], "broadcast_to")
    if source is None or source.inputs[0].aval.shape or source.inputs[0].aval.weak:
        return None
    shape = equation.results[0].aval.shape
    return rewriter.replace(equation, broadcast_to_p, source.inputs[0], shape=shape)


def transpose_broadcast(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """The transpose of a broadcast array: the broadcast of the transpose, if that is smaller."""
    source = rewriter.source(equation.inputs[0], "broadcast_to")
    if source is None or source.inputs[0].aval.weak:
        return None
    axes, x = equation.params["axes"], source.inputs[0]
    lead = len(axes) - x.aval.ndim
    full = (1,) * lead + tuple(x.aval.shape)
    order = [a for a in axes if not same_dim(full[a], 1)]
    if order != sorted(order):
        return None
    shape = tuple(full[a] for a in axes)
    column = rewriter.bind(equation, reshape_p, x, shape=shape)
    return rewriter.replace(equation, broadcast_to_p, column, shape=equation.results[0].aval.shape)


# Conversions

_DIGITS = {2: 11, 4: 24, 8: 53, 16: 64}  # of floating-point numbers, by size; of long ones at least


def keeps_values(a: np.dtype[Any], b: np.dtype[Any]) -> bool:
    """Whether every number of dtype ``a`` is one of ``b``. NumPy's "safe" is not that strict:
    float64 does not hold all of int64.
    """
    if a == b or a.kind == "b":
        return True
    if b.kind == "c":
        part = np.dtype(f"f{b.itemsize // 2}")
        return keeps_values(np.dtype(f"f{a.itemsize // 2}") if a.kind == "c" else a, part)
    if a.kind in "iu" and b.kind == "f":
        return a.itemsize * 8 - (a.kind == "i") <= _DIGITS.get(b.itemsize, 0)
    if a.kind in "iu" and b.kind in "iu":
        return np.can_cast(a, b, "safe")
    return a.kind == b.kind == "f" and a.itemsize <= b.itemsize


def merge_conversions(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A conversion of converted numbers, which the first conversion has not changed."""
    (x,) = equation.inputs
    target = equation.params["dtype"]
    if same_aval(x.aval, equation.results[0].aval):
        return x
    source = rewriter.source(x, "convert") or rewriter.source(x, "quantize")
    if source is None:
        return None
    (inner,) = source.inputs
    own, between = inner.aval.dtype, source.params["dtype"]
    if inner.aval.weak or not keeps_values(own, between):
        return None
    # C leaves open what a float out of an integer's range becomes; integers wrap around.
    through_floats = target.kind in "iu" and own.kind in "iu" and between.kind in "fc"
    if through_floats and not keeps_values(own, target):
        return None
    if same_aval(inner.aval, equation.results[0].aval):
        return inner
    return rewriter.replace(equation, conversion(target), inner, dtype=target)


def whole_part(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x[:, :]``, ``x[0:n]``: x."""
    x = equation.inputs[0]
    for item, size in zip(equation.params["index"], x.aval.shape, strict=False):
        if type(item) is not slice or (item != FULL and not _takes_all(item, size)):
            return None
    return drop_identity(rewriter, equation)


FULL = slice(None)


def _takes_all(part: slice, size: Any) -> bool:
    return _is_plain(part) and type(size) is int and range(size)[part] == range(size)


def merge_parts(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x[i][j]``: ``x[k]``."""
    source = rewriter.source(equation.inputs[0], "getitem")
    if source is None:
        return None
    x = source.inputs[0]
    index = merged_index(x.aval.shape, source.params["index"], equation.params["index"])
    if index is None:
        return None
    return rewriter.replace(equation, getitem_p, x, index=index)


def merged_index(
    shape: Sequence[Any], first: Sequence[Any], then: Sequence[Any]
) -> tuple[Any, ...] | None:
    """The index that does what two do, one after the other; None where sizes are not known."""
    if not is_known(shape) or not all(map(_is_plain, (*first, *then))):
        return None
    axes = iter(shape)
    items: list[Any] = [
        range(*item.indices(next(axes)))
        if type(item) is slice
        else (None if item is None else item % next(axes))
        for item in first
    ]
    items += map(range, axes)
    out: list[Any] = []
    rest = iter(then)
    for item in items:
        if type(item) is int:
            out.append(item)
            continue
        part = next(rest, FULL)
        while part is None:
            out.append(None)
            part = next(rest, FULL)
        if item is not None:
            out.append(item[part])
        elif type(part) is slice:
            if len(range(1)[part]) != 1:
                return None
            out.append(None)
    out += rest  # new axes at the end
    return tuple(_as_slice(item) if type(item) is range else item for item in out)


def _is_plain(item: Any) -> bool:
    ends = (item.start, item.stop, item.step) if type(item) is slice else (item,)
    return all(end is None or type(end) is int for end in ends)


def _as_slice(part: range) -> slice:
    if not part:
        return slice(0, 0)
    return slice(part.start, part.stop if part.stop >= 0 else None, part.step)


def axes_only(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """``x[:, None]``: a reshape, which other rules merge."""
    index = equation.params["index"]
    if not all(item is None or (type(item) is slice and item == FULL) for item in index):
        return None
    shape = equation.results[0].aval.shape
    return rewriter.replace(equation, reshape_p, equation.inputs[0], shape=shape)


def single_piece(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A concatenation of one array, or in which all others are empty."""
    axis = equation.params["axis"]
    pieces = [x for x in equation.inputs if not same_dim(x.aval.shape[axis], 0)]
    if len(pieces) == 1:
        return rewriter.fitted(equation, pieces[0])
    return None


def split_rows(rewriter: Rewriter, equation: Equation) -> Sequence[Atom]:
    """The rows of an array: each a slice, which costs nothing."""
    x = equation.inputs[0]
    rows = range(len(equation.results))
    return [rewriter.bind(equation, getitem_p, x, index=(row,)) for row in rows]


RULES: dict[str, list[Rule]] = {
    "reshape": [drop_identity, move_uniform, merge_reshapes, reshape_broadcast],
    "transpose": [merge_transposes, move_uniform, transpose_broadcast],
    "flip": [move_uniform, merge_flips],
    "broadcast_to": [merge_broadcasts],
    "convert": [merge_conversions, move_uniform],
    "quantize": [merge_conversions, move_uniform],
    "getitem": [whole_part, move_uniform, axes_only, merge_parts],
    "diagonal": [move_uniform],
    "copy": [drop_identity],
    "stop_gradient": [drop_identity],
    "concatenate": [single_piece],
}
