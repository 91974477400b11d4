"""Slices that start at a traced integer: ``x[i : i + 2]``, parts of one length at dynamic places.

Their length must be known: the stop is the start and a constant. That is read off the affine forms
of both, sums of constants times integers that are not known: traces know what they recorded.
NumPy cuts a slice off at the ends of an axis, and counts negative starts from the end, either of
which changes the length: what the range of a loop's index does not rule out is checked when the
Program runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .batching import BatchTracer
from .core import (
    PrimalTracer,
    Tracer,
    Value,
    concrete_value,
    dtype_of,
    ndim_of,
    shape_of,
)
from .dims import Dim, is_size, maximum, minimum
from .errors import BatchingError, ConcretizationError, reworded, user_line
from .handles import TracedArray, value_of, view_of
from .intervals import range_of
from .primitives.checks import refuse_p
from .primitives.elementwise import add_p, less_p, logical_or_p, multiply_p, subtract_p
from .primitives.indexing import gather_p, scatter_p
from .rules import convert, reshape_p
from .size_bounds import lowest, polynomial_of
from .sizes import INTP, iota, size_value


class DynamicSlice(NamedTuple):
    """``length`` elements from ``start`` on, a Value, every ``step``-th; the stop is the start and
    ``reach``.
    """

    start: Value
    reach: Any
    length: Any
    step: int


def is_known(end: Any) -> bool:
    """Whether a start, stop or step is a number now."""
    try:
        concrete_value(end.value if type(end) is TracedArray else end)
    except (BatchingError, ConcretizationError):
        return False
    return True


def dynamic_slice(item: slice, step: Any) -> DynamicSlice | None:
    """The slice, whose start or stop is traced, if its length is known; ``step`` is a number."""
    if item.start is None or item.stop is None or type(step) is Dim or step == 0:
        return None
    start, stop = (value_of(end) for end in (item.start, item.stop))
    if not (_is_integer(start) and _is_integer(stop)):
        return None
    reach = _difference(stop, start)
    if reach is None or (type(reach) is Dim and step != 1):
        return None
    length = maximum(reach, 0) if step == 1 else len(range(0, reach, step))
    return DynamicSlice(start, reach, length, step)


def _is_integer(x: Value) -> bool:
    """Whether x is a number of a type that does not overflow at the sizes of arrays."""
    dtype = dtype_of(x)
    return not ndim_of(x) and dtype.kind in "iu" and dtype.itemsize >= 4


# How far apart two integers are


Form = tuple[dict[Any, int], Any]  # factors of what is not known, and a constant

_LIMIT = 64  # of operations that are looked at


def _difference(stop: Value, start: Value) -> Any:
    """``stop - start`` as a size if that is the same whatever the numbers are; else None."""
    one, other = _within(stop), _within(start)
    if not isinstance(one, Tracer) and not isinstance(other, Tracer):  # of a batch
        try:
            return int(concrete_value(subtract_p(stop, start)))
        except BatchingError:
            return None
    seen: dict[Tracer, Form] = {}
    factors, distance = _sum(_form(one, seen), _scaled(_form(other, seen), -1))
    return None if factors else distance


def _within(x: Value) -> Value:
    """What is behind batches and derivatives: a number, the numbers of a batch, or a tracer."""
    while isinstance(x, (BatchTracer, PrimalTracer)):
        x = x.values if isinstance(x, BatchTracer) else x.primal
    return x


def _form(x: Value, seen: dict[Tracer, Form]) -> Form:
    x = _within(x)
    if is_size(x):
        return {}, x
    if not isinstance(x, Tracer):
        return ({}, int(x)) if isinstance(x, np.integer) else ({id(x): 1}, 0)
    if x not in seen:
        operation = x.operation() if len(seen) < _LIMIT else None
        seen[x] = {x: 1}, 0
        if operation is not None:
            seen[x] = _form_of_result(*operation, seen) or seen[x]
    return seen[x]


def _form_of_result(primitive: Any, args: Any, params: Any, seen: Any) -> Form | None:
    if primitive.name == "dimension":
        return {}, params["dim"]
    if any(dtype_of(x).kind not in "iu" or dtype_of(x).itemsize < 4 for x in args):
        return None
    match primitive.name:
        case "weaken" | "quantize" | "positive":
            return _form(args[0], seen)
        case "negative":
            return _scaled(_form(args[0], seen), -1)
        case "add":
            return _sum(_form(args[0], seen), _form(args[1], seen))
        case "subtract":
            return _sum(_form(args[0], seen), _scaled(_form(args[1], seen), -1))
        case "multiply":
            return _product(_form(args[0], seen), _form(args[1], seen))
    return None


def _product(a: Form, b: Form) -> Form | None:
    for one, (factors, constant) in ((a, b), (b, a)):
        if not factors and type(constant) is int:
            return _scaled(one, constant)
    return None


def _scaled(form: Form, by: int) -> Form:
    factors, constant = form
    return {k: c * by for k, c in factors.items() if by}, constant * by


def _sum(a: Form, b: Form) -> Form:
    factors = {k: a[0].get(k, 0) + b[0].get(k, 0) for k in (*a[0], *b[0])}
    return {k: c for k, c in factors.items() if c}, a[1] + b[1]


# The part of an array


def at_dynamic_places(
    handle: TracedArray, slices: Sequence[tuple[int, DynamicSlice]]
) -> TracedArray:
    """The view of the parts along some axes, all others whole."""
    shape = shape_of(handle.value)
    along = dict(slices)
    places, layout_index = [], []  # of the axes up to the last that has a slice
    for axis in range(slices[-1][0] + 1):
        part = along.get(axis)
        if part is None:
            numbers, of_layout = iota(shape[axis]), slice(None)
        else:
            _check(part, axis, shape[axis])
            numbers, of_layout = _numbers(part), _some_slice(part)
        after = slices[-1][0] - axis
        places.append(reshape_p(numbers, shape=(1,) * axis + shape_of(numbers) + (1,) * after))
        layout_index.append(of_layout)
    return view_of(
        handle,
        lambda base: gather_p(base, *places),
        lambda base, new: scatter_p(base, new, *places),
        lambda layout: layout[tuple(layout_index)],
        exact=False,
    )


def _numbers(part: DynamicSlice) -> Value:
    """The places of the elements along the axis."""
    steps = multiply_p(iota(part.length), np.intp(part.step))
    return add_p(convert(part.start, INTP), steps)


def _some_slice(part: DynamicSlice) -> slice:
    """A slice of this length and step."""
    if type(part.length) is Dim:
        return slice(0, part.length)
    if part.step > 0 or not part.length:
        return slice(0, part.length * part.step, part.step)
    return slice((part.length - 1) * -part.step, None, part.step)


def _check(part: DynamicSlice, axis: int, size: Any) -> None:
    """IndexError, when it is known, unless NumPy's slice has this length too: neither end may be
    negative, and the last element must be there.
    """
    start, reach, length, step = part
    text = (
        f"a slice of {length} elements whose start is traced{user_line()} would leave axis {axis} "
        f"with size {size}; NumPy gives a part of another length there, which would not be known. "
        "Keep the start within the array, as np.clip(i, 0, size - length) does"
    )
    last = (length - 1) * step if step > 0 else 0  # from the start to the element furthest behind
    if type(length) is int and type(size) is int and (length - 1) * abs(step) >= size:
        raise IndexError(text)
    low, high = range_of(_within(start)) or (None, None)
    is_empty = type(length) is int and length == 0  # wherever, unless one end counts from the end
    first, place, bad = minimum(reach, 0), convert(start, INTP), []
    if not (is_empty and reach == 0) and (low is None or not _is_natural(low + first)):
        bad.append(less_p(place, size_value(-first)))
    if not is_empty and (high is None or not _is_natural(size - 1 - last - high)):
        bad.append(less_p(size_value(size - 1 - last), place))
    if bad:
        outside = bad[0] if len(bad) == 1 else logical_or_p(*bad)
        refuse_p(outside, error=IndexError, message=text)


def _is_natural(size: Any) -> bool:
    """Whether a size is never negative; asks no question that would become a guard."""
    return size >= 0 if type(size) is int else lowest(polynomial_of(size)) >= 0


def unknown_length(error: Exception) -> Exception:
    """The error for a slice whose length depends on numbers that are not known, from the one that
    the number itself raised.
    """
    if isinstance(error, BatchingError):
        return reworded(
            error,
            f"a slice's start, stop or step differs between the examples of a vmapped batch"
            f"{user_line()}, so the parts may differ in size. For parts of one size n write "
            "x[i + np.arange(n)] in place of x[i : i + n].",
        )
    return reworded(
        error,
        f"a slice's length depends on values that are not known here{user_line()}. For a part of "
        "one size n write x[i : i + n] with a constant n, or x[i + np.arange(n)]; to leave out "
        "elements, np.where(np.arange(len(x)) < i, x, 0.0).",
    )
