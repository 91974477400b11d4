"""Einsum: parsed here, computed pair by pair with transposes, products and matmul.

Labels are letters, and negative ints for the axes that an ellipsis stands for, counted from the
last as NumPy broadcasts them.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import TracedArray, view_of, wrap
from ..autodiff.primitives.contraction import matmul_p
from ..autodiff.primitives.elementwise import multiply_p
from ..autodiff.primitives.indexing import getitem_p, setitem_p
from ..autodiff.primitives.manipulation import transpose_p
from ..autodiff.protocols import write_out
from ..autodiff.rules import convert, reduce_sum_p, reshape_p
from ..autodiff.size_structures import hinted
from .contraction import as_array

Label = str | int
Labels = tuple[Label, ...]
Term = tuple[Value, Labels]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _sublist_letters(sublist: Any) -> str:
    parts = []
    for item in sublist:
        if item is Ellipsis:
            parts.append("...")
        elif isinstance(item, (int, np.integer)) and 0 <= item < len(_LETTERS):
            parts.append(_LETTERS[item])
        else:
            raise TypeError(f"einsum: a subscript is {item!r}, wanted an int below 52 or ...")
    return "".join(parts)


def _arguments(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """The subscripts as one string, and the operands, of either calling form."""
    if not operands:
        raise ValueError("einsum: wanted subscripts and at least one operand")
    first = operands[0]
    if isinstance(first, str):
        return first.replace(" ", ""), list(operands[1:])
    sublists = [_sublist_letters(sublist) for sublist in operands[1::2]]
    arrays = list(operands[: 2 * len(sublists) : 2])
    text = ",".join(sublists)
    if len(operands) % 2:
        text += "->" + _sublist_letters(operands[-1])
    return text, arrays


def _split(text: str, count: int) -> tuple[list[str], str | None]:
    """The subscripts of each operand and of the result (None: implied), checked."""
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    for term in (*terms, right):
        for letter in term.replace("...", "", 1):
            if letter not in _LETTERS:
                raise ValueError(
                    f"einsum: {letter!r} in {text!r} is not a valid subscript; wanted letters, "
                    "one '...' for each operand, ',' and '->'"
                )
    if len(terms) != count:
        raise ValueError(
            f"einsum: {text!r} has subscripts for {len(terms)} operands, got {count}{user_line()}"
        )
    return terms, right if arrow else None


def _expand(term: str, stand_in: int, where: str) -> Labels:
    """``term`` as labels, its ellipsis standing for ``stand_in`` axes."""
    before, dots, after = term.partition("...")
    if not dots and stand_in:
        raise ValueError(
            f"einsum: {where} has {stand_in} more dimensions than its subscripts {term!r} name; "
            f"write '...' for them{user_line()}"
        )
    return (*before, *range(-stand_in, 0), *after)


@functools.lru_cache(maxsize=256)
def _parse(text: str, ndims: tuple[int, ...]) -> tuple[list[Labels], Labels]:
    terms, right = _split(text, len(ndims))
    inputs = []
    for i, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        extra = ndim - len(term.replace("...", ""))
        if extra < 0:
            raise ValueError(
                f"einsum: operand {i} has {ndim} dimensions, its subscripts {term!r} name "
                f"{ndim - extra}{user_line()}"
            )
        inputs.append(_expand(term, extra, f"operand {i}"))
    widest = max(sum(isinstance(label, int) for label in labels) for labels in inputs)
    if right is None:
        seen = "".join(terms).replace("...", "")
        right = "..." + "".join(sorted(letter for letter in set(seen) if seen.count(letter) == 1))
    output = _expand(right, widest, "the result")
    for label in output:
        if output.count(label) > 1:
            raise ValueError(f"einsum: the result has subscript {label!r} twice in {text!r}")
        if isinstance(label, str) and not any(label in labels for labels in inputs):
            raise ValueError(
                f"einsum: subscript {label!r} of the result is in no operand: {text!r}"
            )
    return inputs, output


def _sizes(text: str, inputs: Sequence[Labels], values: Sequence[Value]) -> dict[Label, Any]:
    """The size of every label; lengths of 1 broadcast."""
    sizes: dict[Label, Any] = {}
    for i, (labels, value) in enumerate(zip(inputs, values, strict=True)):
        for label, dim in zip(labels, shape_of(value), strict=True):
            known = sizes.get(label, 1)
            if known != 1 and dim not in (1, known):
                raise ValueError(
                    f"einsum: subscript {label!r} of {text!r} has size {dim} in operand {i} and "
                    f"{known} before; operands could not be broadcast together{user_line()}"
                )
            sizes[label] = known if dim == 1 else dim
    return sizes


def _take_diagonal(x: Value, i: int, j: int) -> Value:
    """The diagonal of axes i < j, in the place of axis i."""
    n = ndim_of(x)
    rest = [axis for axis in range(n) if axis not in (i, j)]
    x = transpose_p(x, axes=(*rest, i, j))
    x = getitem_p(_flat_pair(x), index=_diagonal_index(x))
    order = list(range(len(rest)))
    order.insert(i, len(rest))
    return transpose_p(x, axes=tuple(order))


def _put_diagonal(x: Value, new: Value, i: int, j: int) -> Value:
    """``x`` with that diagonal replaced."""
    n = ndim_of(x)
    order = [*(axis for axis in range(n) if axis not in (i, j)), i, j]
    new = transpose_p(new, axes=shapes.moved_axis(n - 1, i, n - 2))
    x = transpose_p(x, axes=tuple(order))
    flat = setitem_p(_flat_pair(x), new, index=_diagonal_index(x))
    x = reshape_p(flat, shape=shape_of(x))
    return transpose_p(x, axes=shapes.inverse_permutation(order))


def _flat_pair(x: Value) -> Value:
    *lead, m, n = shape_of(x)
    return reshape_p(x, shape=(*lead, m * n))


def _diagonal_index(x: Value) -> tuple[Any, ...]:
    *lead, n = shape_of(x)[:-1]
    return (*(slice(None) for _ in lead), slice(None, None, n + 1))


def _repeated(labels: Labels) -> tuple[int, int] | None:
    for j, label in enumerate(labels):
        i = labels.index(label)
        if i != j:
            return i, j
    return None


def _prepared(i: int, x: Value, labels: Labels, sizes: dict[Label, Any]) -> Term:
    """An operand with one axis for each of its labels: repeated ones give diagonals, and those of
    length 1 that broadcast are dropped.
    """
    while pair := _repeated(labels):
        first, second = (shape_of(x)[axis] for axis in pair)
        if first != second:
            raise ValueError(
                f"einsum: subscript {labels[pair[0]]!r} of operand {i} stands for dimensions that "
                f"don't match ({first} != {second}){user_line()}"
            )
        x = _take_diagonal(x, *pair)
        labels = (*labels[: pair[1]], *labels[pair[1] + 1 :])
    shape = shape_of(x)
    kept = [a for a, label in enumerate(labels) if shape[a] == sizes[label]]
    if len(kept) < len(labels):
        x = reshape_p(x, shape=tuple(shape[a] for a in kept))
        labels = tuple(labels[a] for a in kept)
    return x, labels


def _sum_out(term: Term, needed: set[Label]) -> Term:
    """The sum over all axes whose labels nothing else needs."""
    x, labels = term
    axes = tuple(a for a, label in enumerate(labels) if label not in needed)
    if not axes:
        return term
    dtype = dtype_of(x)
    x = convert(reduce_sum_p(x, axes=axes), dtype)  # einsum does not widen small integers
    return x, tuple(label for label in labels if label in needed)


def _ordered(term: Term, order: Labels) -> Value:
    x, labels = term
    axes = tuple(labels.index(label) for label in order)
    return x if axes == tuple(range(len(axes))) else transpose_p(x, axes=axes)


def _pair(left: Term, right: Term, needed: set[Label], sizes: dict[Label, Any]) -> Term:
    """The product of two operands, summed over the labels that only they have."""
    left = _sum_out(left, needed | set(right[1]))
    right = _sum_out(right, needed | set(left[1]))
    common = [label for label in left[1] if label in right[1]]
    batch = tuple(label for label in common if label in needed)
    summed = tuple(label for label in common if label not in needed)
    rows = tuple(label for label in left[1] if label not in common)
    columns = tuple(label for label in right[1] if label not in common)

    def dims(labels: Labels) -> tuple[Any, ...]:
        return tuple(sizes[label] for label in labels)

    x = _ordered(left, batch + rows + summed)
    y = _ordered(right, batch + summed + columns)
    if not summed:
        if columns:
            x = reshape_p(x, shape=(*dims(batch + rows), *(1 for _ in columns)))
        if rows and batch:
            y = reshape_p(y, shape=(*dims(batch), *(1 for _ in rows), *dims(columns)))
        return multiply_p(x, y), batch + rows + columns
    inner = shapes.prod(dims(summed))
    x = reshape_p(x, shape=(*dims(batch), shapes.prod(dims(rows)), inner))
    y = reshape_p(y, shape=(*dims(batch), inner, shapes.prod(dims(columns))))
    product = reshape_p(matmul_p(x, y), shape=dims(batch + rows + columns))
    return product, batch + rows + columns


@functools.lru_cache(maxsize=256)
def _greedy_path(text: str, dims: tuple[tuple[Any, ...], ...]) -> list[tuple[int, ...]]:
    stand_ins = [np.broadcast_to(np.int8(0), shape) for shape in dims]
    return np.einsum_path(text, *stand_ins, optimize="greedy")[0][1:]


def _path(text: str, values: Sequence[Value], optimize: Any) -> list[tuple[int, ...]]:
    """Which operands to contract, in NumPy's form: each step takes the listed operands out and
    appends its result. Any order gives the same result.
    """
    if len(values) <= 2:
        return [tuple(range(len(values)))]
    if isinstance(optimize, (list, tuple)) and len(optimize) and optimize[0] == "einsum_path":
        return [tuple(step) for step in optimize[1:]]
    dims = tuple(hinted(tuple(shape_of(value))) for value in values)
    if optimize in (False, True, "greedy"):
        return _greedy_path(text, dims)
    stand_ins = [np.broadcast_to(np.int8(0), shape) for shape in dims]
    return np.einsum_path(text, *stand_ins, optimize=optimize)[0][1:]


def einsum_values(text: str, values: Sequence[Value], optimize: Any = False) -> Value:
    """``np.einsum`` on Values of one dtype."""
    inputs, output = _parse(text, tuple(ndim_of(value) for value in values))
    sizes = _sizes(text, inputs, values)
    terms = [
        _prepared(i, value, labels, sizes)
        for i, (value, labels) in enumerate(zip(values, inputs, strict=True))
    ]
    for step in _path(text, values, optimize):
        chosen = [terms.pop(i) for i in sorted(step, reverse=True)][::-1]
        result = chosen[0]
        for k, other in enumerate(chosen[1:], 2):
            needed = set(output).union(*(labels for _, labels in terms + chosen[k:]))
            result = _pair(result, other, needed, sizes)
        terms.append(result)
    (result,) = terms
    return _ordered(_sum_out(result, set(output)), output)


def _is_view(inputs: Sequence[Labels], output: Labels) -> bool:
    return len(inputs) == 1 and set(inputs[0]) == set(output)


def _view(handle: TracedArray, labels: Labels, output: Labels) -> TracedArray:
    """The result for one operand without a sum: a view, that writes through."""
    while pair := _repeated(labels):
        handle = _diagonal_view(handle, *pair)
        labels = (*labels[: pair[1]], *labels[pair[1] + 1 :])
    order = tuple(labels.index(label) for label in output)
    return views.permuted(handle, order)


def _diagonal_view(handle: TracedArray, i: int, j: int) -> TracedArray:
    n = ndim_of(handle.value)
    return view_of(
        handle,
        lambda base: _take_diagonal(base, i, j),
        lambda base, new: _put_diagonal(base, new, i, j),
        lambda layout: np.moveaxis(np.diagonal(layout, 0, i, j), n - 2, i),
    )


@implements(np.einsum)
def einsum(
    *operands: Any,
    out: Any = None,
    optimize: Any = False,
    dtype: Any = None,
    casting: Any = "safe",
    order: Any = "K",
) -> Any:
    text, arrays = _arguments(operands)
    values = [as_array(array) for array in arrays]
    result_dtype = np.result_type(*map(dtype_of, values)) if dtype is None else np.dtype(dtype)
    if dtype is not None:
        for i, value in enumerate(values):
            if not np.can_cast(dtype_of(value), result_dtype, casting):
                raise TypeError(
                    f"einsum: cannot cast operand {i} from {dtype_of(value)} to {result_dtype} "
                    f"according to the rule {casting!r}"
                )
    if len(values) == 1 and out is None and type(arrays[0]) is TracedArray:
        inputs, output = _parse(text, (ndim_of(values[0]),))
        if output and _is_view(inputs, output) and result_dtype == dtype_of(values[0]):
            _prepared(0, values[0], inputs[0], _sizes(text, inputs, values))  # checks
            return _view(arrays[0], inputs[0], output)
    values = [convert(value, result_dtype) for value in values]
    return write_out("np.einsum", out, wrap(einsum_values(text, values, optimize)))


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: Any = False) -> Any:
    text, arrays = _arguments(operands)
    stand_ins = [np.broadcast_to(np.int8(0), np.shape(array)) for array in arrays]
    return np.einsum_path(text, *stand_ins, optimize=optimize)
