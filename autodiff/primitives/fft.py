"""Discrete Fourier transforms along one axis: complex to complex, real to half spectrum and back.

They transform an axis at its full length; cropping and padding are `resize_axis`. ``norm`` is
NumPy's: "backward" scales the inverse by 1/n, "forward" the forward transform, "ortho" both by
1/sqrt(n). All three are symmetric enough to be each other's transposes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import shapes
from ..core import Aval, Value, dtype_of, ndim_of, shape_of
from ..rules import Linear, batch_axis, filled, fit_dtype, reshape_p, zeros
from .elementwise import conjugate_p, multiply_p
from .indexing import getitem_p, setitem_p

OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def complex_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype of a spectrum: complex64 up to single precision, complex128 for integers."""
    return np.result_type(dtype, 1j)


def _real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.result_type(np.real(np.zeros(1, dtype)).dtype, 1.0)


def _transform_into(impl: Any, out: Any, x: Any, **params: Any) -> None:
    impl(x, out=out, **params)


def resize_axis(x: Value, axis: int, size: Any) -> Value:
    """``x`` with ``axis`` cropped, or padded with zeros at its end, to ``size``."""
    shape = shape_of(x)
    old = shape[axis]
    lead = (slice(None),) * axis
    if size < old:
        return getitem_p(x, index=(*lead, slice(0, size)))
    if size > old:
        blank = zeros(shapes.with_size(shape, axis, size), dtype_of(x))
        return setitem_p(blank, x, index=(*lead, slice(0, old)))
    return x


def _c2c(x: Any, *, axis: int, inverse: bool, norm: Any, out: Any = None) -> Any:
    return (np.fft.ifft if inverse else np.fft.fft)(x, axis=axis, norm=norm, out=out)


def _r2c(x: Any, *, axis: int, norm: Any, out: Any = None) -> Any:
    return np.fft.rfft(x, axis=axis, norm=norm, out=out)


def _c2r(x: Any, *, n: Any, axis: int, norm: Any, out: Any = None) -> Any:
    return np.fft.irfft(x, n, axis, norm, out)


# y_k = s sum_j x_j w^(jk): the matrix is symmetric in j and k, so it is its own transpose.
c2c_p = Linear(
    "fft_c2c",
    _c2c,
    lambda ct, x, **params: fit_dtype(c2c_p(ct, **params), x),
    shape=lambda x, *, axis, inverse, norm: Aval(x.shape, complex_dtype(x.dtype)),
    batch=batch_axis,
)


def _half_weights(n: Any, like: Any, axis: int) -> Any:
    """How often each coefficient of a half spectrum counts in the whole: the first once, so the
    last if n is even, the others twice, for their conjugates; shaped to multiply ``like``.
    """
    count, dtype = n // 2 + 1, _real_dtype(dtype_of(like))
    weights = filled((count,), 2, dtype)
    ends = (0, -1) if n % 2 == 0 else (0,)
    for end in ends:
        weights = setitem_p(weights, dtype.type(1), index=(end,))
    return reshape_p(weights, shape=(count,) + (1,) * (ndim_of(like) - axis - 1))


# <ct, r2c(x_dot)> = Re sum_k ct_k s sum_j x_dot_j w^(jk), so x_j gets
#     s Re sum_k ct_k w^(jk) = s Re sum_k conj(ct_k) w^(-jk),
# which is the inverse transform of the half spectrum conj(ct), its middle halved because c2r
# counts it twice, and with the scale s as it is: the other direction's opposite norm.
def _r2c_transpose(ct: Value, x: Any, *, axis: int, norm: str) -> Value:
    n = shape_of(x)[axis]
    halved = multiply_p(conjugate_p(ct), 1.0 / _half_weights(n, ct, axis))
    return fit_dtype(c2r_p(halved, n=n, axis=axis, norm=OPPOSITE[norm]), x)


r2c_p = Linear(
    "fft_r2c",
    _r2c,
    _r2c_transpose,
    shape=lambda x, *, axis, norm: Aval(
        shapes.with_size(x.shape, axis, x.shape[axis] // 2 + 1), complex_dtype(x.dtype)
    ),
    batch=batch_axis,
)


# y_j = s Re sum_k weight_k c_k w^(-jk), where the imaginary parts of c_0 (and of the last one if
# n is even) drop out. c_k gets weight_k s sum_j ct_j w^(-jk) = weight_k conj(r2c(ct))_k, which is
# real where those parts drop out, as it must be.
def _c2r_transpose(ct: Value, x: Any, *, n: Any, axis: int, norm: str) -> Value:
    spectrum = conjugate_p(r2c_p(ct, axis=axis, norm=OPPOSITE[norm]))
    return fit_dtype(multiply_p(spectrum, _half_weights(n, ct, axis)), x)


# The half spectrum has n//2 + 1 coefficients along the axis.
c2r_p = Linear(
    "fft_c2r",
    _c2r,
    _c2r_transpose,
    shape=lambda x, *, n, axis, norm: Aval(
        shapes.with_size(x.shape, axis, n), _real_dtype(x.dtype)
    ),
    batch=batch_axis,
)

for _p in (c2c_p, r2c_p, c2r_p):
    _p.into = partial(_transform_into, _p.impl)
