"""numpy.fft on traced arrays. fftfreq and rfftfreq take numbers only and stay NumPy's."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line, warn_user
from ..autodiff.handles import as_size, describe, unwrap_known, value_of, wrap
from ..autodiff.primitives.elementwise import conjugate_p
from ..autodiff.primitives.fft import OPPOSITE, c2c_p, c2r_p, r2c_p, resize_axis
from ..autodiff.protocols import write_out

Transform = Callable[..., Value]  # (x, n, axis, norm) on Values


def _norm(norm: Any) -> str:
    if norm is None:
        return "backward"
    if norm not in OPPOSITE:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm


def _size(n: Any, default: Any) -> Any:
    """The number of points to transform."""
    n = default if n is None else as_size(n, "n")
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def _complex(x: Value, n: Any, axis: Any, norm: Any, *, inverse: bool) -> Value:
    axis = shapes.axis_index(axis, ndim_of(x))
    x = resize_axis(x, axis, _size(n, shape_of(x)[axis]))
    return c2c_p(x, axis=axis, inverse=inverse, norm=_norm(norm))


_fft = partial(_complex, inverse=False)
_ifft = partial(_complex, inverse=True)


def _rfft(x: Value, n: Any, axis: Any, norm: Any) -> Value:
    if dtype_of(x).kind == "c":
        raise TypeError(
            f"np.fft.rfft transforms real arrays, got {describe(x)}{user_line()}; use np.fft.fft, "
            "or pass x.real."
        )
    axis = shapes.axis_index(axis, ndim_of(x))
    x = resize_axis(x, axis, _size(n, shape_of(x)[axis]))
    return r2c_p(x, axis=axis, norm=_norm(norm))


def _irfft(x: Value, n: Any, axis: Any, norm: Any) -> Value:
    axis = shapes.axis_index(axis, ndim_of(x))
    n = _size(n, (shape_of(x)[axis] - 1) * 2)
    x = resize_axis(x, axis, n // 2 + 1)
    return c2r_p(x, n=n, axis=axis, norm=_norm(norm))


def _hfft(x: Value, n: Any, axis: Any, norm: Any) -> Value:
    return _irfft(conjugate_p(x), n, axis, OPPOSITE[_norm(norm)])


def _ihfft(x: Value, n: Any, axis: Any, norm: Any) -> Value:
    return conjugate_p(_rfft(x, n, axis, OPPOSITE[_norm(norm)]))


def _register(name: str, transform: Transform) -> None:
    @implements(getattr(np.fft, name))
    def function(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> Any:
        result = transform(value_of(a), n, unwrap_known(axis, "axis"), norm)
        return write_out(f"np.fft.{name}", out, wrap(result))

    function.__name__ = name


for _name, _transform in [
    ("fft", _fft),
    ("ifft", _ifft),
    ("rfft", _rfft),
    ("irfft", _irfft),
    ("hfft", _hfft),
    ("ihfft", _ihfft),
]:
    _register(_name, _transform)


def _sizes_and_axes(
    shape: Sequence[Any], s: Any, axes: Any, half: bool = False
) -> tuple[list[Any], list[Any]]:
    """NumPy's ``s`` and ``axes``: -1 in ``s`` is the axis' whole length, None the default of the
    one-dimensional transform. ``half``: the last axis holds half a spectrum.
    """
    if axes is None:
        if s is not None:
            _deprecated("`axes` should not be `None` if `s` is not `None`")
        axes = list(range(-len(shape if s is None else s), 0))
    else:
        axes = [operator.index(unwrap_known(axis, "axes")) for axis in axes]
    if s is None:
        sizes = [shape[axis] for axis in axes]
        if half and axes:
            sizes[-1] = (sizes[-1] - 1) * 2
        return sizes, axes
    sizes = [size if size is None else as_size(size, "s") for size in s]
    if len(sizes) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    if None in sizes:
        _deprecated("Passing an array containing `None` values to `s` is deprecated")
    return [
        shape[axis] if size == -1 else size for size, axis in zip(sizes, axes, strict=True)
    ], axes


def _deprecated(what: str) -> None:
    warn_user(f"{what} (Deprecated in NumPy 2.0)", DeprecationWarning)


def _fftn(x: Value, s: Any, axes: Any, norm: Any, *, step: Transform) -> Value:
    sizes, axes = _sizes_and_axes(shape_of(x), s, axes)
    for size, axis in zip(reversed(sizes), reversed(axes), strict=True):
        x = step(x, size, axis, norm)
    return x


def _rfftn(x: Value, s: Any, axes: Any, norm: Any) -> Value:
    sizes, axes = _sizes_and_axes(shape_of(x), s, axes)
    x = _rfft(x, sizes[-1], axes[-1], norm)
    for size, axis in zip(sizes[-2::-1], axes[-2::-1], strict=True):
        x = _fft(x, size, axis, norm)
    return x


def _irfftn(x: Value, s: Any, axes: Any, norm: Any) -> Value:
    sizes, axes = _sizes_and_axes(shape_of(x), s, axes, half=True)
    for size, axis in zip(sizes[:-1], axes[:-1], strict=True):
        x = _ifft(x, size, axis, norm)
    return _irfft(x, sizes[-1], axes[-1], norm)


def _register_nd(name: str, transform: Callable[..., Value], default_axes: Any) -> None:
    @implements(getattr(np.fft, name))
    def function(
        a: Any, s: Any = None, axes: Any = default_axes, norm: Any = None, out: Any = None
    ) -> Any:
        # np.fft.irfft2 documents out=, and NumPy 2.4 leaves it unwritten; here it is written.
        return write_out(f"np.fft.{name}", out, wrap(transform(value_of(a), s, axes, norm)))

    function.__name__ = name


for _name, _transform_nd in [
    ("fft", partial(_fftn, step=_fft)),
    ("ifft", partial(_fftn, step=_ifft)),
    ("rfft", _rfftn),
    ("irfft", _irfftn),
]:
    _register_nd(_name + "n", _transform_nd, None)
    _register_nd(_name + "2", _transform_nd, (-2, -1))


def _shift(x: Any, axes: Any, halves: Callable[[Any], Any]) -> Any:
    shape = np.shape(x)
    if axes is None:
        axes = tuple(range(len(shape)))
    elif isinstance(axes, (int, np.integer)):
        return np.roll(x, halves(shape[axes]), axes)
    return np.roll(x, [halves(shape[axis]) for axis in axes], axes)


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    return _shift(x, unwrap_known(axes, "axes"), lambda dim: dim // 2)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    return _shift(x, unwrap_known(axes, "axes"), lambda dim: -(dim // 2))
