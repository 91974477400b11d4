"""Windows. NumPy's take numbers only and do not dispatch, so these are the namespace's own.

Only ``beta`` of `kaiser` can carry a derivative; the number of points must be known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.core import dtype_of, ndim_of, thread_state
from ..autodiff.handles import ARRAY0D, handle_of, is_traced, unwrap_known, wrap
from ..autodiff.rules import convert
from .namespace import replaces


def _window(name: str) -> Callable[[Any], Any]:
    numpy_window = getattr(np, name)

    def window(M: Any) -> Any:
        if not thread_state.level:
            return numpy_window(M)
        return wrap(numpy_window(unwrap_known(M, f"np.{name}: M")), ARRAY0D)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"""``numpy.{name}``: the {name} window of ``M`` points, float64[M].

    >>> import xnp as np
    >>> print(np.{name}(1))
    [1.]
    """
    return window


for _name in ("bartlett", "blackman", "hamming", "hanning"):
    replaces(_name)(_window(_name))


@replaces("kaiser")
def kaiser(M: Any, beta: Any) -> Any:
    """``numpy.kaiser``: the Kaiser window of ``M`` points, float64[M]; ``beta``, a real scalar, is
    its shape: 0 is a rectangle, 14 has very low side lobes. Differentiable in ``beta``.

    >>> import xnp as np
    >>> print(np.jacobian(lambda beta: np.kaiser(3, beta))(0.0))
    [0. 0. 0.]
    """
    if not is_traced(beta):
        array = np.kaiser(unwrap_known(M, "np.kaiser: M"), unwrap_known(beta, "np.kaiser: beta"))
        return wrap(array, ARRAY0D) if thread_state.level else array
    M = unwrap_known(M, "np.kaiser: M")
    beta = handle_of(beta)
    if ndim_of(beta.value):
        raise ValueError(f"np.kaiser: beta must be a scalar, got shape {beta.shape}")
    dtype = np.result_type(np.float64, dtype_of(beta.value))
    beta = wrap(convert(beta.value, dtype))
    M = float(M)
    if M == 1:
        return wrap(np.ones(1, dtype), ARRAY0D)
    half = (M - 1) / 2.0
    inside = np.sqrt(1 - ((np.arange(0, M) - half) / half) ** 2.0)
    return np.i0(beta * inside) / np.i0(beta)
