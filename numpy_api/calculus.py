"""Numerical calculus: differences, gradients on grids, the trapezoidal rule, interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import dtype_of, layout_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import (
    describe,
    handle_of,
    is_traced,
    laid_out_as,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.checks import refuse_p
from ..autodiff.primitives.elementwise import equal_p
from ..autodiff.rules import convert
from .namespace import replaces_for_handles

FULL = slice(None)
Index = tuple[Any, ...]
Handle = Any  # a TracedArray; its operators are installed where type checkers do not see them


def _along(axis: int, item: Any) -> Index:
    """The index that applies ``item`` to ``axis``."""
    return (FULL,) * axis + (item,)


@implements(np.diff)
def diff(
    a: Any, n: Any = 1, axis: Any = -1, prepend: Any = np._NoValue, append: Any = np._NoValue
) -> Any:
    n = unwrap_known(n, "n")
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    x = handle_of(a)
    ndim = ndim_of(x.value)
    if not ndim:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim)
    pieces = [_edge(piece, x, axis) for piece in (prepend, a, append) if piece is not np._NoValue]
    if len(pieces) > 1:
        x = np.concatenate(pieces, axis)
    op = np.not_equal if dtype_of(value_of(x)).kind == "b" else np.subtract
    later, earlier = _along(axis, slice(1, None)), _along(axis, slice(None, -1))
    for _ in range(n):
        x = op(x[later], x[earlier])
    return x


def _edge(piece: Any, x: Handle, axis: int) -> Handle:
    """What diff puts before or behind x; a scalar fills a layer."""
    piece = handle_of(piece)
    if ndim_of(piece.value):
        return piece
    return np.broadcast_to(piece, shapes.with_size(shape_of(x.value), axis, 1))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x: Handle = np.ravel(handle_of(ary))
    dtype = dtype_of(x.value)
    begin = [] if to_begin is None else [_end(to_begin, "to_begin", dtype)]
    end = [] if to_end is None else [_end(to_end, "to_end", dtype)]
    differences = x[1:] - x[:-1]
    return np.concatenate([*begin, differences, *end]) if begin or end else differences


def _end(x: Any, name: str, dtype: np.dtype[Any]) -> Handle:
    handle = handle_of(x)
    if not np.can_cast(dtype_of(handle.value), dtype, casting="same_kind"):
        raise TypeError(
            f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule."
        )
    return wrap(convert(value_of(np.ravel(handle)), dtype))


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    x = handle_of(f)
    axes = _gradient_axes(unwrap_known(axis, "axis"), ndim_of(x.value))
    spacings = _spacings(shape_of(x.value), axes, varargs)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    dtype = dtype_of(x.value)
    if dtype.kind in "iu":
        x = wrap(convert(x.value, np.dtype(float)))
    result_dtype = dtype if dtype.kind in "fc" else np.dtype(float)
    out = []
    for i, spacing in zip(axes, spacings, strict=True):
        if shape_of(x.value)[i] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, "
                "at least (edge_order + 1) elements are required."
            )
        derivative = _gradient_along(x, i, spacing, edge_order)
        out.append(wrap(laid_out_as(convert(derivative.value, result_dtype), layout_of(x.value))))
    return out[0] if len(out) == 1 else tuple(out)


def _gradient_axes(axis: Any, ndim: int) -> list[int]:
    """The axes in the order given."""
    if axis is None:
        return list(range(ndim))
    axes = [axis] if np.ndim(axis) == 0 else list(axis)
    axes = [shapes.axis_index(a, ndim) for a in axes]
    if len(set(axes)) != len(axes):
        raise ValueError("repeated axis")
    return axes


def _spacings(shape: Sequence[Any], axes: Sequence[int], varargs: Sequence[Any]) -> Sequence[Any]:
    """For each axis the distance of its points: a scalar, or a 1-d array where it varies."""
    if not varargs:
        return [1.0] * len(axes)
    if len(varargs) == 1 and not ndim_of(value_of(varargs[0])):
        return [varargs[0]] * len(axes)
    if len(varargs) != len(axes):
        raise TypeError(
            f"invalid number of arguments: np.gradient got {len(varargs)} spacings{user_line()}, "
            f"wanted none, one scalar, or one for each of the {len(axes)} axes"
        )
    return [_spacing(d, shape[axis]) for d, axis in zip(varargs, axes, strict=True)]


def _spacing(coordinates: Any, size: Any) -> Any:
    value = value_of(coordinates)
    if not ndim_of(value):
        return coordinates
    if ndim_of(value) != 1:
        raise ValueError("distances must be either scalars or 1d")
    if shape_of(value)[0] != size:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    if dtype_of(value).kind in "iu":
        value = convert(value, np.dtype(float))
    distances = diff(wrap(value))
    # NumPy takes the first distance for all of them where they are equal. Of traced coordinates
    # that would leave the others without their derivatives.
    if not is_traced(distances) and (distances.value == distances.value[0]).all():
        return distances.value[0]
    return distances


def _gradient_along(x: Handle, axis: int, spacing: Any, edge_order: int) -> Handle:
    """Second order differences inside, one-sided ones of ``edge_order`` at both ends."""
    uniform = not ndim_of(value_of(spacing))

    def part(start: Any, stop: Any) -> Any:
        return x[_along(axis, slice(start, stop))]

    if uniform:
        inside = (part(2, None) - part(None, -2)) / (2.0 * spacing)
    else:
        trailing = (1,) * (ndim_of(x.value) - axis - 1)
        left, right = (np.reshape(d, (-1, *trailing)) for d in (spacing[:-1], spacing[1:]))
        a, b, c = _inner_weights(left, right)
        inside = a * part(None, -2) + b * part(1, -1) + c * part(2, None)
    if edge_order == 1:
        first, last = (spacing, spacing) if uniform else (spacing[0], spacing[-1])
        start = (part(1, 2) - part(0, 1)) / first
        end = (part(-1, None) - part(-2, -1)) / last
    else:
        a, b, c = _edge_weights(*((spacing, spacing) if uniform else (spacing[0], spacing[1])))
        start = a * part(0, 1) + b * part(1, 2) + c * part(2, 3)
        a, b, c = _edge_weights(*((spacing, spacing) if uniform else (spacing[-1], spacing[-2])))
        end = -(c * part(-3, -2)) - b * part(-2, -1) - a * part(-1, None)
    return np.concatenate([start, inside, end], axis)


def _inner_weights(left: Any, right: Any) -> tuple[Any, Any, Any]:
    """Weights of the points before, at and behind for the derivative of their parabola."""
    return (
        -right / (left * (left + right)),
        (right - left) / (left * right),
        left / (right * (left + right)),
    )


def _edge_weights(near: Any, far: Any) -> tuple[Any, Any, Any]:
    """Weights of the outermost three points, from the edge inwards, at the left edge."""
    if near is far:  # uniform
        return -1.5 / near, 2.0 / near, -0.5 / near
    return (
        -(2.0 * near + far) / (near * (near + far)),
        (near + far) / (near * far),
        -near / (far * (near + far)),
    )


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Any:
    y = handle_of(y)
    ndim = ndim_of(y.value)
    axis = shapes.axis_index(unwrap_known(axis, "axis"), ndim)
    width = dx
    if x is not None:
        x = handle_of(x)
        if ndim_of(x.value) == 1:
            width = np.reshape(diff(x), (-1,) + (1,) * (ndim - axis - 1))
        else:
            width = diff(x, axis=axis - ndim)
    later, earlier = _along(axis, slice(1, None)), _along(axis, slice(None, -1))
    return np.sum(width * (y[later] + y[earlier]) / 2.0, axis)


@replaces_for_handles("interp")
@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    # At a knot the derivative is that of the interval on its right, at the last knot that of the
    # interval on its left.
    if dtype_of(value_of(x)).kind == "c" or dtype_of(value_of(xp)).kind == "c":
        raise TypeError(
            f"np.interp wants real x and xp{user_line()}, got {describe(value_of(x))} and "
            f"{describe(value_of(xp))}"
        )
    x, xp, fp = _as_double(x), _as_double(xp), _as_double(fp)
    _check_points(xp, fp)
    if period is not None:
        message = "period must be a non-zero value"
        refuse_p(equal_p(value_of(period), 0), error=ValueError, message=message)
        left = right = None
        x, xp, fp = _periodic(x, xp, fp, abs(period))
    left = fp[0] if left is None else _outside("left", left, fp)
    right = fp[-1] if right is None else _outside("right", right, fp)
    with np.errstate(all="ignore"):  # NumPy's interp never warns
        inside = _interpolate(x, xp, fp) if shape_of(xp.value)[0] > 1 else fp[0]
    result = np.where(x < xp[0], left, np.where(x > xp[-1], right, inside))
    return wrap(value_of(result))


def _as_double(x: Any) -> Handle:
    handle = handle_of(x)
    dtype = np.dtype(complex if dtype_of(handle.value).kind == "c" else float)
    return wrap(convert(handle.value, dtype))


def _outside(name: str, value: Any, fp: Handle) -> Any:
    if dtype_of(value_of(value)).kind == "c" and dtype_of(fp.value).kind != "c":
        raise TypeError(f"np.interp: {name} is complex and fp is {describe(fp)}{user_line()}")
    return value


def _check_points(xp: Handle, fp: Handle) -> None:
    shape = shape_of(xp.value)
    if len(shape) != 1 or ndim_of(fp.value) != 1:
        raise ValueError(
            f"Data points must be 1-D sequences, got xp {describe(xp)} and fp {describe(fp)}"
        )
    if shape != shape_of(fp.value):
        raise ValueError(
            f"fp and xp are not of the same length: xp is {describe(xp)}, fp is {describe(fp)}"
        )
    if shape == (0,):
        raise ValueError("array of sample points is empty")


def _periodic(x: Handle, xp: Handle, fp: Handle, period: Any) -> tuple[Handle, Handle, Handle]:
    """The points and x brought into one period, with a point more at each end."""
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = xp[order], fp[order]
    xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
    return x, xp, np.concatenate([fp[-1:], fp, fp[:1]])


def _interpolate(x: Handle, xp: Handle, fp: Handle) -> Any:
    """The line of the interval that x is in, or nearest to, through the knot before x."""
    count = shape_of(xp.value)[0]
    knot = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, count - 1)
    start = np.minimum(knot, count - 2)
    width = xp[start + 1] - xp[start]
    repeated = width == 0  # only where the last knot repeats: the value is fp's last
    slope = (fp[start + 1] - fp[start]) / np.where(repeated, 1.0, width)
    offset = x - xp[knot]
    # A knot has its own value, however steep the line is.
    slope = np.where(repeated | ((offset == 0) & ~np.isfinite(slope)), 0.0, slope)
    line = slope * offset + fp[knot]
    # Next to an infinite fp, infinity less infinity is decided from the other end, as in NumPy.
    from_end = slope * (x - xp[start + 1]) + fp[start + 1]
    from_end = np.where(fp[start] == fp[start + 1], fp[knot], from_end)
    return np.where(np.isnan(line) & (offset != 0) & ~np.isnan(x), from_end, line)
