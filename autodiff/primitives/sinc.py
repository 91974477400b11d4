"""The normalised sinc function and all its derivatives."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from .elementwise import Elementwise, result_like


def _taylor(u: Any, order: int) -> Any:
    """d^order/du^order sin(u)/u from the series sum_k (-1)^k u^2k / (2k+1)!"""
    total = np.zeros_like(u)
    first = (order + 1) // 2
    for k in reversed(range(first, first + 20 + 2 * order)):
        factor = (-1) ** k * math.perm(2 * k, order) / math.factorial(2 * k + 1)
        total = total + factor * u ** (2 * k - order)
    return total


def _recurrence(u: Any, order: int) -> Any:
    """The same from u s = sin(u), differentiated: u s_n + n s_(n-1) = sin(u + n pi/2)."""
    waves = (np.sin(u), np.cos(u))
    signs = (1.0, 1.0, -1.0, -1.0)
    s = waves[0] / u
    for n in range(1, order + 1):
        s = (waves[n % 2] * signs[n % 4] - s * float(n)) / u
    return s


def _derivative(x: Any, order: int) -> Any:
    """The recurrence divides by u = pi x: near 0, where that magnifies errors, the series."""
    u = np.asarray(x * math.pi)
    near = np.absolute(u) < order + 1.0
    far = _recurrence(np.where(near, u.dtype.type(order + 1), u), order)
    return (np.where(near, _taylor(np.where(near, u, 0), order), far) * math.pi**order)[()]


@cache
def sinc_derivative(order: int) -> Elementwise:
    """The primitive that computes the derivative of sinc of this order, 0 for sinc itself."""
    return Elementwise(
        f"sinc_{order}" if order else "sinc",
        (lambda x: _derivative(x, order)) if order else np.sinc,
        lambda _ans, x: sinc_derivative(order + 1)(x),
        shape=result_like(np.sin),
    )
