"""The hazard function of the normal distribution and its derivatives of any order.

With the density phi and the distribution function Phi, h(x) = phi(x)/Phi(x) is the derivative of
log Phi, and h' = -h (h + x). Far to the left h + x is 1/|x| beside h = |x|, and what is left of it
after the subtraction is soon nothing but rounding errors. Mills's ratio 1/h has the continued
fraction (t = -x; Abramowitz and Stegun, 26.2.14)

    h = t + f_1,    f_k = k / (t + f_(k+1)),

so f_1 is h + x without the subtraction. From h' = -h f_1, by induction,

    f_k' = f_k (f_(k+1) - f_k),

where to the left f_k is nearly k/t: the second derivative of log Phi keeps all its digits, the
higher ones lose a factor of t^2 of them at most.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ..autodiff.primitives.elementwise import Elementwise, negative_p, result_like

_FAR = -1.5  # to the left of this, so many levels of the fraction give all digits
_LEVELS = 100


def _hazard(x: Any, erfcx: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.divide(math.sqrt(2.0 / math.pi), erfcx(x * -math.sqrt(0.5)))


def _fraction(t: Any, k: int) -> Any:
    last = k + _LEVELS
    f = (np.sqrt(t * t + 4.0 * last) - t) * 0.5  # as if all further levels were alike
    for level in reversed(range(k, last)):
        f = float(level) / (t + f)
    return f


def _excess(x: Any, erfcx: Any, k: int) -> Any:
    """f_k: to the left by the fraction; else from f_1 upwards, which would lose digits there."""
    x = np.asarray(x)
    far = np.real(x) < _FAR
    near = np.where(far, 0, x)
    f = _hazard(near, erfcx) + near
    for level in range(1, k):
        f = float(level) / f + near
    if far.any():
        f = np.where(far, _fraction(np.where(far, -x, 2), k), f)
    return f.astype(x.dtype)[()]


@cache
def _excess_p(erfcx: Any, k: int) -> Elementwise:
    """The primitive for f_k."""
    return Elementwise(
        f"scipy.hazard_{k}",
        lambda x: _excess(x, erfcx, k),
        lambda ans, x: ans * (_excess_p(erfcx, k + 1)(x) - ans),
        shape=result_like(np.exp),
    )


def hazard(erfcx: Any) -> Elementwise:
    """The primitive for h, computed with scipy.special's ``erfcx(x) = e^(x^2) erfc(x)``."""
    return Elementwise(
        "scipy.hazard",
        lambda x: _hazard(x, erfcx),
        lambda ans, x: negative_p(ans * _excess_p(erfcx, 1)(x)),
        shape=result_like(np.exp),
    )
