"""arange, linspace and its relatives, and the indexing tricks ``r_``, ``c_``, ``mgrid``, ``ogrid``.

Where the bounds are traced, the elements are computed from them with NumPy's own formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import dims, shapes
from ..autodiff.core import PYTHON_DTYPES, Value, dtype_of, is_weak, thread_state
from ..autodiff.dispatch import FUNCTIONS, implements
from ..autodiff.errors import UnsupportedError, user_line
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    as_size,
    has_handle,
    is_traced,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.checks import refuse_p
from ..autodiff.primitives.elementwise import add_p, equal_p, multiply_p
from ..autodiff.rules import convert, reshape_p
from ..autodiff.size_structures import symbols_of
from ..autodiff.sizes import iota, size_value
from .creation import array, owned
from .namespace import replaces, replaces_inside


def _any_handle(*xs: Any) -> bool:
    return any(type(x) is TracedArray or has_handle(x) for x in xs)


def _number(x: Any) -> Any:
    """A handle that nothing traces as the constant it is."""
    return x if is_traced(x) else unwrap_known(x, "a bound")


@replaces_inside("arange")
def arange(*args: Any, **kwargs: Any) -> Any:
    if dims.in_use and symbols_of((args, kwargs)):
        values = _arange_of_sizes(*args, **kwargs)
        if values is not None:
            return wrap(values, ARRAY0D)
    bounds = [_number(x) for x in args[:3]]
    if not any(map(is_traced, bounds)) and not any(map(is_traced, kwargs.values())):
        named = {name: _number(x) for name, x in kwargs.items()}
        return owned("arange", np.arange(*bounds, *args[3:], **named))
    return _arange(*bounds, *args[3:], **kwargs)


FUNCTIONS[np.arange] = arange


def _arange_of_sizes(
    start: Any, stop: Any = None, step: Any = None, dtype: Any = None, **_: Any
) -> Value | None:
    """The elements where bounds are symbolic and all are sizes; else None."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if not all(map(dims.is_size, (start, stop, step))):
        return None
    size = shapes.slice_size(slice(None, None, step), stop - start) if step > 0 else None
    if size is None:
        return None
    values = iota(size)
    if step != 1:
        values = multiply_p(values, size_value(step))
    if start != 0:
        values = add_p(values, size_value(start))
    return values if dtype is None else convert(values, np.dtype(dtype))


def _arange(
    start: Any,
    stop: Any = None,
    step: Any = None,
    dtype: Any = None,
    *,
    device: Any = None,
    like: Any = None,
) -> TracedArray:
    """start, start + step, ...: how many there are is decided by the values of the bounds."""
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    known = [unwrap_known(x, "arange") for x in (start, stop, step)]
    example = np.arange(*known, dtype=dtype)
    first = array(start, example.dtype)
    delta = array(start + step, example.dtype) - first
    return first + np.arange(len(example)) * delta


@replaces_inside("linspace")
@implements(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    num, axis = as_size(num, "num"), unwrap_known(axis, "axis")
    if not _any_handle(start, stop) and type(num) is int:
        numpys: Any = np.linspace
        result = numpys(start, stop, num, endpoint, retstep, dtype, axis)
        if retstep:
            return owned("linspace", result[0]), result[1]
        return owned("linspace", result)
    samples, step = _linspace(start, stop, num, endpoint)
    if dtype is None:
        samples = samples.astype(np.result_type(_vote(start), _vote(stop), 0.0), copy=False)
    else:
        if np.dtype(dtype).kind in "iu":
            samples = np.floor(samples)
        samples = samples.astype(dtype, copy=False)
    if axis:
        samples = np.moveaxis(samples, 0, axis)
    return (samples, step) if retstep else samples


def _vote(x: Any) -> Any:
    """What counts of an argument for the dtype of the result: Python numbers are weak."""
    value = value_of(x)
    return dtype_of(value).type(1).item() if is_weak(value) else dtype_of(value)


def _linspace(start: Any, stop: Any, num: Any, endpoint: bool) -> tuple[Any, Any]:
    """The samples along the first axis and the step, in floating point, as NumPy rounds them."""
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    intervals = num - 1 if endpoint else num
    start, stop = array(start) * 1.0, array(stop) * 1.0
    delta = stop - start
    dtype = np.result_type(start.dtype, stop.dtype)
    steps: Any = wrap(reshape_p(iota(num, dtype), shape=(num,) + (1,) * np.ndim(delta)), ARRAY0D)
    step: Any = np.nan
    samples = steps * delta
    if intervals > 0:
        step = delta / intervals
        vanished = np.any(step == 0)  # by underflow, say
        samples = np.where(vanished, steps / intervals * delta, steps * step)
    samples = array(samples + start)
    if endpoint and num > 1:
        samples[-1, ...] = stop
    return samples, step


@replaces_inside("logspace")
@implements(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    if not _any_handle(start, stop, base):
        result = np.logspace(start, stop, num, endpoint, base, dtype, axis)
        return owned("logspace", result)
    if np.ndim(base):
        ndim = max(map(np.ndim, (start, stop, base)))
        start, stop, base = (array(x, ndmin=ndim) for x in (start, stop, base))
        base = np.expand_dims(base, axis)
    samples = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return samples if dtype is None else samples.astype(dtype, copy=False)


@replaces_inside("geomspace")
@implements(np.geomspace)
def geomspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    if not _any_handle(start, stop):
        result = np.geomspace(start, stop, num, endpoint, dtype, axis)
        return owned("geomspace", result)
    start, stop = array(start) * 1.0, array(stop) * 1.0
    for end in (start, stop):
        message = "Geometric sequence cannot include zero"
        refuse_p(equal_p(end.value, 0), error=ValueError, message=message)
    sign = np.sign(start)  # the rest of the computation starts on the positive real axis
    ends = start / sign, stop / sign
    logs = (np.log10(end) for end in ends)
    samples = array(logspace(*logs, num, endpoint))
    if np.shape(samples)[0] > 0:
        samples[0, ...] = ends[0]
        if np.shape(samples)[0] > 1 and endpoint:
            samples[-1, ...] = ends[1]
    samples = samples * sign
    if axis:
        samples = np.moveaxis(samples, 0, axis)
    return samples if dtype is None else samples.astype(dtype, copy=False)


def _sliced(part: slice) -> Any:
    """``r_[start:stop:step]``: arange, or linspace where the step is imaginary."""
    start = 0 if part.start is None else part.start
    step = 1 if part.step is None else part.step
    if isinstance(step, (complex, np.complexfloating)):
        return linspace(start, part.stop, int(abs(step)))
    return arange(start, part.stop, step)


class _Concatenator:
    """``r_`` and ``c_``: NumPy's own without traced parts."""

    def __init__(self, numpys: Any, axis: int, ndmin: int, trans1d: int) -> None:
        self.numpys = numpys
        self.defaults = axis, ndmin, trans1d
        self.__doc__ = numpys.__doc__

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        inner = [
            x for p in parts for x in ((p.start, p.stop, p.step) if isinstance(p, slice) else (p,))
        ]
        if _any_handle(*inner):
            return self._joined(list(parts))
        result = self.numpys[key]
        return owned("r_", result) if thread_state.level else result

    def _joined(self, parts: list[Any]) -> Any:
        axis, ndmin, trans1d = self.defaults
        if isinstance(parts[0], str):
            axis, ndmin, trans1d = self._directive(parts.pop(0))
        if any(isinstance(part, str) for part in parts):
            raise ValueError("special directives must be the first entry.")
        pieces = [self._piece(part, ndmin, trans1d) for part in parts]
        dtype = np.result_type(*(_dtype_vote(p, x) for p, x in zip(parts, pieces, strict=True)))
        return np.concatenate([piece.astype(dtype, copy=False) for piece in pieces], axis)

    def _directive(self, text: str) -> tuple[int, int, int]:
        if text in ("r", "c"):
            raise UnsupportedError(
                f"r_[{text!r}, ...] makes a numpy.matrix{user_line()}, which traced arrays cannot "
                "be; leave the directive out."
            )
        try:
            numbers = [int(number) for number in text.split(",")]
        except ValueError:
            raise ValueError(f"unknown special directive {text!r}") from None
        return tuple(numbers + list(self.defaults[len(numbers) :]))  # pyright: ignore[reportReturnType] - three ints

    def _piece(self, part: Any, ndmin: int, trans1d: int) -> Any:
        if isinstance(part, slice):
            piece = array(_sliced(part), ndmin=ndmin)
            return piece.swapaxes(-1, trans1d) if ndmin > 1 and trans1d != -1 else piece
        whole = array(part)
        ndim = whole.ndim
        piece = array(whole, ndmin=ndmin)
        if trans1d == -1 or not 0 < ndim < ndmin:
            return piece
        split = ndmin - ndim
        first = trans1d if trans1d >= 0 else trans1d + split + 1
        axes = list(range(ndmin))
        return piece.transpose(axes[:first] + axes[split:] + axes[first:split])


def _dtype_vote(part: Any, piece: Any) -> Any:
    """What a part of ``r_`` has a say with: Python numbers are weak (NEP 50)."""
    return part if type(part) in PYTHON_DTYPES else piece.dtype


r_ = replaces("r_")(_Concatenator(np.r_, 0, 1, -1))
c_ = replaces("c_")(_Concatenator(np.c_, -1, 2, 0))


class _Grid:
    """``mgrid`` and ``ogrid``: NumPy's own without traced bounds."""

    def __init__(self, numpys: Any, sparse: bool) -> None:
        self.numpys = numpys
        self.sparse = sparse
        self.__doc__ = numpys.__doc__

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if _any_handle(*(x for p in parts for x in (p.start, p.stop, p.step))):
            axes = [_sliced(part) for part in parts]
            if not isinstance(key, tuple):
                return axes[0]
            grids = np.meshgrid(*axes, indexing="ij", sparse=self.sparse)
            return tuple(grids) if self.sparse else np.stack(grids)
        result = self.numpys[key]
        if not thread_state.level:
            return result
        if isinstance(result, tuple):
            return tuple(owned("ogrid", part) for part in result)
        return owned("mgrid", result)


mgrid = replaces("mgrid")(_Grid(np.mgrid, sparse=False))
ogrid = replaces("ogrid")(_Grid(np.ogrid, sparse=True))
