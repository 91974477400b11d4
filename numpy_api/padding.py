"""`np.pad` in all its modes.

Axes are padded one after the other, each with pieces of the array that the axes before have made,
as NumPy does it; so the corners agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes, views
from ..autodiff.core import Value, dtype_of, is_weak, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    has_handle,
    is_traced,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.indexing import embed_p, getitem_p, slice_axis
from ..autodiff.primitives.manipulation import concatenate_p
from ..autodiff.primitives.parts import copy_p
from ..autodiff.rules import broadcast_to_p, convert, reshape_p
from ..autodiff.views import array_of
from .indexing import take_values
from .namespace import replaces_for_handles

_KEYWORDS: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",),
    "edge": (),
    "empty": (),
    "linear_ramp": ("end_values",),
    "maximum": ("stat_length",),
    "mean": ("stat_length",),
    "median": ("stat_length",),
    "minimum": ("stat_length",),
    "reflect": ("reflect_type",),
    "symmetric": ("reflect_type",),
    "wrap": (),
}
_STATISTICS: dict[str, Any] = {
    "maximum": np.max,
    "mean": np.mean,
    "median": np.median,
    "minimum": np.min,
}
Pair = tuple[Any, Any]


@replaces_for_handles("pad")
@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> TracedArray:
    array = array_of(array)
    x = array.value
    widths = _widths(pad_width, ndim_of(x))
    if not callable(mode) and not any(map(is_traced, (array, *kwargs.values()))):
        known = {key: unwrap_known(value, key) for key, value in kwargs.items()}
        if not any(map(has_handle, known.values())):
            return wrap(np.pad(x, widths or 0, mode, **known), ARRAY0D)
    if callable(mode):
        return _pad_by_function(x, widths, mode, kwargs)
    _check_keywords(mode, kwargs)
    if mode == "empty" or (mode == "constant" and _is_zero(kwargs.get("constant_values", 0))):
        return views.in_order_of(array, _in_zeros(x, widths))
    if mode != "constant":
        for axis, (size, pair) in enumerate(zip(shape_of(x), widths, strict=True)):
            if not size and any(pair):
                raise ValueError(
                    f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
                    f"{user_line()}"
                )
    maker = _MAKERS.get(mode, _statistics if mode in _STATISTICS else _mirrored)
    option = next(iter(kwargs.values()), None)
    if mode == "constant" and is_weak(filling := value_of(option)):  # NumPy says whether it fits
        option = wrap(convert(filling, dtype_of(x)))
    options = [mode, option]
    for axis, pair in enumerate(widths):
        if any(pair) and shapes.prod(shape_of(x)):
            x = maker(x, axis, pair, *options)
        elif any(pair):
            x = _in_zeros(x, [pair if i == axis else (0, 0) for i in range(len(widths))])
    return views.in_order_of(array, x if x is not array.value else copy_p(x))


def _check_keywords(mode: Any, kwargs: dict[str, Any]) -> None:
    if mode not in _KEYWORDS:
        raise ValueError(f"mode '{mode}' is not supported")
    unsupported = set(kwargs) - set(_KEYWORDS[mode])
    if unsupported:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unsupported}")


def _widths(pad_width: Any, ndim: int) -> list[Pair]:
    pad_width = unwrap_known(pad_width, "pad_width")
    if isinstance(pad_width, dict):
        pairs: list[Any] = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            pairs[axis] = width if isinstance(width, tuple) else (width, width)
        pad_width = pairs
    given = np.asarray(value_of(pad_width))
    if given.dtype.kind != "i":
        raise TypeError("`pad_width` must be of integral type.")
    if (given < 0).any():
        raise ValueError("index can't contain negative values")
    return [tuple(pair) for pair in np.asarray(_pairs(given, ndim)).tolist()]


def _pairs(value: Value, ndim: int) -> Value:
    """A keyword's value broadcast to (ndim, 2): one pair for each axis."""
    size = shapes.prod(shape_of(value))
    if ndim_of(value) < 3 and (size == 1 or (size == 2 and shape_of(value) != (2, 1))):
        value = reshape_p(value, shape=(size,))
    return broadcast_to_p(value, shape=(ndim, 2))


def _is_zero(value: Any) -> bool:
    return not (type(value) is TracedArray or has_handle(value)) and not np.any(value)


def _in_zeros(x: Value, widths: list[Pair]) -> Value:
    shape = tuple(a + dim + b for dim, (a, b) in zip(shape_of(x), widths, strict=True))
    index = tuple(slice(a, a + dim) for dim, (a, _) in zip(shape_of(x), widths, strict=True))
    return embed_p(x, index=index, shape=shape)


def _pad_by_function(
    x: Value, widths: list[Pair], function: Any, kwargs: dict[str, Any]
) -> TracedArray:
    """``function(vector, widths, axis, kwargs)`` writes into every line of the padded array."""
    padded = wrap(_in_zeros(x, widths), ARRAY0D)
    for axis, pair in enumerate(widths):
        lines: Any = views.moveaxis(padded, axis, -1)
        for i in np.ndindex(*shape_of(lines.value)[:-1]):
            function(lines[(*i, ...)], pair, axis, kwargs)
    return padded


def _stretched(x: Value, axis: int, length: Any) -> Value:
    """A slice of length 1, repeated."""
    return broadcast_to_p(x, shape=shapes.with_size(shape_of(x), axis, length))


def _around(x: Value, axis: int, before: Value, after: Value) -> Value:
    pieces = [p for p in (before, x, after) if shape_of(p)[axis]]
    return concatenate_p(*[convert(p, dtype_of(x)) for p in pieces], axis=axis)


def _edges(x: Value, axis: int) -> Pair:
    return slice_axis(x, 0, 1, axis), slice_axis(x, -1, None, axis)


def _edge(x: Value, axis: int, pair: Pair, mode: str, option: Any) -> Value:
    first, last = _edges(x, axis)
    return _around(x, axis, _stretched(first, axis, pair[0]), _stretched(last, axis, pair[1]))


def _one_pair(x: Value, axis: int, option: Any) -> list[Value]:
    """The two numbers for ``axis``, as Values that broadcast against x."""
    pairs = _pairs(value_of(option), ndim_of(x))
    ones = (1,) * ndim_of(x)
    return [reshape_p(getitem_p(pairs, index=(axis, k)), shape=ones) for k in (0, 1)]


def _constant(x: Value, axis: int, pair: Pair, mode: str, option: Any) -> Value:
    shape = list(shape_of(x))
    pieces = []
    for value, width in zip(_one_pair(x, axis, option), pair, strict=True):
        shape[axis] = width
        pieces.append(broadcast_to_p(convert(value, dtype_of(x)), shape=tuple(shape)))
    return _around(x, axis, *pieces)


def _linear_ramp(x: Value, axis: int, pair: Pair, mode: str, option: Any) -> Value:
    ends = _one_pair(x, axis, 0 if option is None else option)
    ramps = []
    for end, edge, width in zip(ends, _edges(x, axis), pair, strict=True):
        steps = np.arange(width).reshape((-1,) + (1,) * (ndim_of(x) - 1 - axis))
        start: Any = wrap(end, ARRAY0D)
        stop: Any = wrap(edge, ARRAY0D)
        ramp: Any = steps * ((stop - start) / max(width, 1)) + start
        if dtype_of(x).kind in "iu":
            ramp = np.floor(ramp)
        ramps.append(ramp)
    return _around(x, axis, ramps[0].value, _image(ramps[1].value, axis, 0, pair[1]))


def _statistics(x: Value, axis: int, pair: Pair, mode: str, option: Any) -> Value:
    size = shape_of(x)[axis]
    lengths = [size, size]
    if option is not None:
        given = np.asarray(unwrap_known(option, "stat_length"))
        lengths = [min(n, size) for n in np.asarray(_pairs(given, ndim_of(x)))[axis].tolist()]
    if 0 in lengths and mode in ("maximum", "minimum"):
        raise ValueError("stat_length of 0 yields no value for padding")
    chunks = slice_axis(x, 0, lengths[0], axis), slice_axis(x, size - lengths[1], None, axis)
    pieces = []
    for chunk, width in zip(chunks, pair, strict=True):
        value = value_of(_STATISTICS[mode](wrap(chunk, ARRAY0D), axis=axis, keepdims=True))
        if dtype_of(x).kind in "iu" and dtype_of(value).kind == "f":
            rounded: Any = wrap(value, ARRAY0D)
            value = value_of(np.rint(rounded))
        pieces.append(_stretched(convert(value, dtype_of(x)), axis, width))
    return _around(x, axis, *pieces)


def _mirrored(x: Value, axis: int, pair: Pair, mode: str, option: Any) -> Value:
    """reflect, symmetric, wrap: NumPy says which element goes where."""
    size = shape_of(x)[axis]
    if size == 1 and mode != "wrap":
        return _edge(x, axis, pair, mode, option)
    if option == "odd":
        return _odd(x, axis, pair, mode == "symmetric")
    if max(pair) <= size - (mode == "reflect"):
        return _mirrored_once(x, axis, pair, mode)
    places = np.pad(np.arange(size), pair, mode)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return take_values(x, places, axis)


def _mirrored_once(x: Value, axis: int, pair: Pair, mode: str) -> Value:
    """The same where the axis is as long as what is put around it."""
    size, (before, after) = shape_of(x)[axis], pair
    if mode == "wrap":
        front, back = slice_axis(x, size - before, None, axis), slice_axis(x, 0, after, axis)
    else:
        skip = int(mode == "reflect")
        front = _image(x, axis, skip, before)
        back = _image(x, axis, size - skip - after, after)
    return _around(x, axis, front, back)


def _odd(x: Value, axis: int, pair: Pair, with_edge: bool) -> Value:
    """The odd reflection about both edges, 2 * edge - mirror image, as often as needed."""
    period = shape_of(x)[axis] - (not with_edge)
    before, after = pair
    while before or after:
        whole = (shape_of(x)[axis] - (not with_edge)) // period * period
        first, last = _edges(x, axis)
        front = _image(x, axis, int(not with_edge), min(whole, before))
        stop = shape_of(x)[axis] - (not with_edge)
        back = _image(x, axis, stop - min(whole, after), min(whole, after))
        before, after = before - min(whole, before), after - min(whole, after)
        x = _around(x, axis, 2 * first - front, 2 * last - back)
    return x


def _image(x: Value, axis: int, start: Any, length: Any) -> Value:
    part = slice_axis(x, start, start + length, axis)
    return getitem_p(part, index=(*(slice(None),) * axis, slice(None, None, -1)))


_MAKERS: dict[str, Any] = {"constant": _constant, "edge": _edge, "linear_ramp": _linear_ramp}
