"""histogram, histogram2d, histogramdd, bincount.

Counts are constant almost everywhere, so they have no derivative with respect to the data. They
have one with respect to the weights, and, with ``density=True``, through the widths of the bins
where the edges are computed from the data (their smallest and largest element) or are given as
traced values. The edges themselves are differentiable.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import (
    PYTHON_DTYPES,
    Tracer,
    Value,
    deciding_value,
    dtype_of,
    ndim_of,
    shape_of,
)
from ..autodiff.dispatch import implements
from ..autodiff.errors import BatchingError, ConcretizationError, advised, user_line
from ..autodiff.handles import TracedArray, unwrap_known, value_of, wrap
from ..autodiff.primitives.checks import refuse_p
from ..autodiff.primitives.elementwise import (
    equal_p,
    greater_equal_p,
    greater_p,
    less_equal_p,
    less_p,
    logical_and_p,
    logical_not_p,
    select_p,
)
from ..autodiff.primitives.indexing import getitem_p, scatter_add_p, slice_axis
from ..autodiff.primitives.reductions import reduce_max_p, reduce_min_p
from ..autodiff.primitives.rounding import isfinite_p
from ..autodiff.primitives.sorting import searchsorted_p
from ..autodiff.rules import convert, filled, raveled, reduce_sum_p, reshape_p
from ..autodiff.sizes import INTP, intp
from .reductions import examine, handle

_FLOAT64 = np.dtype(np.float64)
_INTP = np.dtype(np.intp)


def _outer_edges(a: Value, limits: Any) -> tuple[Any, Any]:
    """The lowest and the highest edge, from the data unless they are given."""
    if limits is not None:
        first, last = map(value_of, limits)
        message = "max must be larger than min in range parameter."
        refuse_p(greater_p(first, last), error=ValueError, message=message)
        origin = "supplied"
    elif shape_of(a)[0] == 0:
        return 0, 1
    else:
        axes = tuple(range(ndim_of(a)))
        first, last = reduce_min_p(a, axes=axes), reduce_max_p(a, axes=axes)
        origin = "autodetected"
    for edge, name in ((first, "lower"), (last, "upper")):
        message = f"{origin} range is not finite: its {name} end is NaN or infinite"
        refuse_p(logical_not_p(isfinite_p(edge)), error=ValueError, message=message)
    return _apart(first, last)


def _apart(first: Value, last: Value) -> tuple[Any, Any]:
    """Two equal edges moved apart by 1."""
    same = equal_p(first, last)
    if not isinstance(same, Tracer):
        return (first - 0.5, last + 0.5) if same else (first, last)
    dtype = np.result_type(dtype_of(first), dtype_of(last))
    dtype = dtype if dtype.kind == "f" else _FLOAT64
    step = select_p(same, dtype.type(0.5), dtype.type(0))
    return first - step, last + step


def _estimated_count(bins: str, a: Value, limits: Any) -> int:
    """The number of bins by one of NumPy's estimators, which all examples of a batch must share."""
    known: Any = None if limits is None else [unwrap_known(limit, "range") for limit in limits]
    size = shape_of(a)[0]
    examples = (
        deciding_value(a, "the number of bins", examine).reshape((-1, size))
        if size
        else np.zeros((1, 0))
    )
    counts = {len(np.histogram_bin_edges(row, bins, known)) - 1 for row in examples}
    if len(counts) > 1:
        raise BatchingError(
            f"bins={bins!r} gives from {min(counts)} to {max(counts)} bins for the examples of a "
            f"vmapped batch{user_line()}; the results cannot be stacked. Write the number of bins."
        )
    return counts.pop()


def _known_count(bins: Any, a: Value, limits: Any, weighted: bool) -> int:
    """The number of bins of equal width."""
    if isinstance(bins, str):
        if weighted:
            raise TypeError(
                "Automated estimation of the number of bins is not supported for weighted data"
            )
        return _estimated_count(bins, a, limits)
    try:
        count = operator.index(unwrap_known(bins, "bins"))
    except TypeError:
        raise TypeError("`bins` must be an integer, a string, or an array") from None
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    return count


def _spaced(first: Value, last: Value, count: Any, dtype: Any = None) -> Value:
    """The edges of ``count`` bins of equal width."""
    start, stop = (handle(edge) if isinstance(edge, Tracer) else edge for edge in (first, last))
    return value_of(np.linspace(start, stop, count + 1, dtype=dtype))


def _check_ascending(edges: Value, message: str, *, strictly: bool = False) -> None:
    compare_p = greater_equal_p if strictly else greater_p
    wrong = compare_p(slice_axis(edges, None, -1, 0), slice_axis(edges, 1, None, 0))
    refuse_p(wrong, error=ValueError, message=message)


def _bin_edges(a: Value, bins: Any, limits: Any, weighted: bool) -> tuple[Value, bool]:
    """The edges, and whether the bins have equal widths."""
    if isinstance(bins, str) or np.ndim(bins) == 0:
        count = _known_count(bins, a, limits, weighted)
        first, last = _outer_edges(a, limits)
        dtype = np.result_type(*(_promotable(edge) for edge in (first, last)), dtype_of(a))
        if dtype.kind in "iub":
            dtype = np.result_type(dtype, float)
        edges = _spaced(first, last, count, dtype)
        message = f"Too many bins for data range. Cannot create {count} finite-sized bins."
        _check_ascending(edges, message, strictly=True)
        return edges, True
    if np.ndim(bins) != 1:
        raise ValueError("`bins` must be 1d, when an array")
    edges = value_of(bins)
    _check_ascending(edges, "`bins` must increase monotonically, when an array")
    return edges, False


def _promotable(edge: Any) -> Any:
    return edge if type(edge) in PYTHON_DTYPES else dtype_of(edge)


def _bin_numbers(a: Value, edges: Value) -> Value:
    """The bin of each element; the number of bins for those outside. The last bin is closed."""
    count = shape_of(edges)[0] - 1
    found = searchsorted_p(edges, a, side="right", lead=0)
    found = found - np.intp(1)
    top = getitem_p(edges, index=(-1,))
    found = select_p(equal_p(a, top), intp(count - 1), found)
    inside = logical_and_p(less_equal_p(getitem_p(edges, index=(0,)), a), less_equal_p(a, top))
    return select_p(inside, found, intp(count))


def _gathered(numbers: Value, weights: Value | None, count: Any) -> Value:
    """How many of ``numbers`` are 0, 1, …, count - 1; or the sums of their weights."""
    if weights is None:
        weights = filled(shape_of(numbers), 1, INTP)
    return scatter_add_p(np.zeros(count, dtype_of(weights)), weights, numbers)


def _weights_like(weights: Any, shape: tuple[Any, ...]) -> Value | None:
    if weights is None:
        return None
    w = value_of(weights)
    if shape_of(w) != shape:
        raise ValueError(
            f"weights should have the same shape as a: got {shape_of(w)} and {shape}{user_line()}"
        )
    return raveled(w)


def _data(a: Any) -> Value:
    x = _ordered(value_of(a))
    return convert(x, np.dtype(np.uint8)) if dtype_of(x) == np.bool_ else x


def _ordered(x: Value) -> Value:
    """``x``, which must be real."""
    if dtype_of(x).kind == "c":
        raise TypeError(
            f"a histogram of complex numbers ({dtype_of(x)}) has no meaning{user_line()}: they are "
            "not ordered; write np.histogram2d(z.real, z.imag)"
        )
    return x


def _widths(edges: Value) -> Value:
    return convert(slice_axis(edges, 1, None, 0) - slice_axis(edges, None, -1, 0), _FLOAT64)


@implements(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    x = _data(a)
    w = _weights_like(weights, shape_of(x))
    x = raveled(x)
    edges, equal = _bin_edges(x, bins, range, w is not None)
    if equal:
        x = convert(x, dtype_of(edges))
    count = shape_of(edges)[0] - 1
    counts = slice_axis(_gathered(_bin_numbers(x, edges), w, count + 1), None, -1, 0)
    if density:
        total = reduce_sum_p(counts, axes=(0,))
        counts = handle(counts) / handle(_widths(edges)) / handle(total)
        return counts, wrap(edges)
    return wrap(counts), wrap(edges)


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    x = _data(a)
    w = _weights_like(weights, shape_of(x))
    return wrap(_bin_edges(raveled(x), bins, range, w is not None)[0])


def _sample_columns(sample: Any) -> list[Value]:
    """The coordinates of a sample: the columns of an (N, D) array, or D arrays."""
    if not isinstance(sample, (list, tuple)):
        x = _ordered(value_of(sample))
        if ndim_of(x) == 2:
            return [getitem_p(x, index=(slice(None), i)) for i in range(shape_of(x)[1])]
        if ndim_of(x) < 2:
            return [raveled(x)]
        raise ValueError(f"sample must be an (N, D) array or D arrays, got shape {shape_of(x)}")
    columns = [_ordered(value_of(column)) for column in sample]
    if any(shape_of(column) != shape_of(columns[0]) for column in columns):
        raise ValueError(
            f"the coordinates of the sample differ in shape: {[*map(shape_of, columns)]}"
            f"{user_line()}"
        )
    return [raveled(column) for column in columns]


def _axis_edges(a: Value, bins: Any, limits: Any, i: int) -> Value:
    if np.ndim(bins) == 0:
        try:
            count = operator.index(unwrap_known(bins, "bins"))
        except TypeError:
            raise TypeError(f"`bins[{i}]` must be an integer, when a scalar") from None
        if count < 1:
            raise ValueError(f"`bins[{i}]` must be positive, when an integer")
        return _spaced(*_outer_edges(a, limits), count)
    if np.ndim(bins) != 1:
        raise ValueError(f"`bins[{i}]` must be a scalar or 1d array")
    edges = value_of(bins)
    _check_ascending(edges, f"`bins[{i}]` must be monotonically increasing, when an array")
    return edges


def _one_per_axis(bins: Any, count: int) -> Any:
    if not isinstance(bins, (list, tuple)) and np.ndim(bins) == 0:
        return [bins] * count
    if len(bins) != count:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    return bins


@implements(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    columns = _sample_columns(sample)
    dims = len(columns)
    bins = [bins] * dims if isinstance(bins, str) else _one_per_axis(bins, dims)
    limits = (None,) * dims if range is None else range
    if len(limits) != dims:
        raise ValueError("range argument must have one entry per dimension")
    edges = [_axis_edges(columns[i], bins[i], limits[i], i) for i, _ in enumerate(columns)]
    sizes = [shape_of(e)[0] for e in edges]  # the bins, and one for what is outside
    place: Any = np.intp(0)
    for column, e, size in zip(columns, edges, sizes, strict=True):
        place = place * intp(size) + _bin_numbers(column, e)
    w = None if weights is None else convert(raveled(value_of(weights)), _FLOAT64)
    counts = reshape_p(_gathered(place, w, shapes.prod(sizes)), shape=tuple(sizes))
    counts = convert(getitem_p(counts, index=(slice(None, -1),) * dims), _FLOAT64)
    if density:
        total = reduce_sum_p(counts, axes=tuple(i for i, _ in enumerate(edges)))
        for i, e in enumerate(edges):
            counts = counts / reshape_p(_widths(e), shape=_on_axis(i, dims, sizes[i] - 1))
        counts = counts / total
    return wrap(counts), [wrap(e) for e in edges]


def _on_axis(axis: int, ndim: int, size: Any) -> tuple[Any, ...]:
    return (*(1,) * axis, size, *(1,) * (ndim - axis - 1))


def _rows(x: Any) -> Any:
    """``len(x)``, which is an int, but for a symbolic size of a handle."""
    shape = shape_of(x.value) if type(x) is TracedArray else (len(x),)
    if not shape:
        raise TypeError("len() of unsized object")
    return shape[0]


@implements(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    if _rows(x) != _rows(y):
        raise ValueError("x and y must have the same length.")
    if hasattr(bins, "__len__") and not isinstance(bins, str) and len(bins) not in (1, 2):
        bins = [bins, bins]
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]


def _length(x: Value, minlength: Any) -> int:
    """The number of bins of bincount, which must be the same for all examples of a batch."""
    least = operator.index(unwrap_known(minlength, "minlength"))
    if least < 0:
        raise ValueError("'minlength' must not be negative")
    if not shape_of(x)[0]:
        return least
    message = "'list' argument must have no negative elements"
    refuse_p(less_p(x, 0), error=ValueError, message=message)
    longest = np.max(handle(x)) + 1
    try:
        return int(np.maximum(longest, least))
    except (BatchingError, ConcretizationError) as error:
        advice = (
            "np.bincount has as many bins as the largest number asks for. For n bins write "
            "counts = np.zeros(n, int); np.add.at(counts, x, 1), with weights in place of 1."
        )
        raise advised(error, advice) from None


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Any:
    numbers = value_of(x)
    if dtype_of(numbers).kind not in "iub":
        raise TypeError(
            f"bincount: x must hold integers, got {dtype_of(numbers)}{user_line()}: a count has no "
            "derivative. Write np.bincount(x.astype(int), weights)"
        )
    if ndim_of(numbers) != 1:
        raise ValueError(
            f"bincount: x must be one-dimensional, got shape {shape_of(numbers)}{user_line()}"
        )
    numbers = convert(numbers, _INTP)
    w = None if weights is None or not shape_of(numbers)[0] else value_of(weights)
    if w is not None:
        if dtype_of(w).kind == "c":
            raise TypeError(
                "Cannot cast array data from dtype('complex128') to dtype('float64') according to "
                f"the rule 'safe'{user_line()}: count the real and imaginary weights separately"
            )
        if shape_of(w) != shape_of(numbers):
            raise ValueError("The weights and list don't have the same length.")
        w = convert(w, _FLOAT64)
    return wrap(_gathered(numbers, w, _length(numbers, minlength)))
