"""Is a claimed derivative right? By the slope of the Taylor remainder, with no step size to choose.

For F(h) = f(x + h v) and a claimed derivative F'(0) the remainder r(h) = |F(h) - F(0) - h F'(0)|
falls as h^2, until it meets the rounding errors of F, if the claim is right; off by d, it levels
off at d h. So r(h)/h, which a right claim brings down to about sqrt(C n), with the curvature
C = r/h^2 and the noise n of F, stays at d or above. Both are measured: C at the largest steps at
which F is finite, n at steps of a few units in the last place of x.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.errors import DifferentiationError
from .vectors import precision_of

STEPS = [4.0**-k for k in range(1, 27)]
LARGEST = 5  # how many of the largest finite steps give the curvature
NOISE_STEPS = (3.0, 7.0, 20.0, 50.0, -5.0, -30.0)  # in units in the last place
MARGIN = 30.0  # between the error bound and an error: noise and curvature are estimates
ROUNDING = 1000.0  # in machine epsilons: what rounding may cost in the claimed derivative itself


class Verdict(NamedTuple):
    """Which elements of a claimed derivative are off, and what differences say instead."""

    off: Any
    expected: Any
    slope: float  # of the remainder of the worst element: 2 is right, 1 is wrong


class Line:
    """``f``, which returns a list of arrays, along a line: the points ``at(h)``.

    ``scale`` is the size of the point, ``precision`` the machine epsilon of ``f`` where it computes
    with less than its results show.
    """

    def __init__(
        self,
        f: Callable[..., Sequence[Any]],
        at: Callable[[float], Any],
        scale: float,
        precision: float = 0.0,
    ) -> None:
        def values(h: float) -> list[Any]:
            try:
                found = [_wide(out) for out in f(*at(h))]
            except (ValueError, ArithmeticError, DifferentiationError):  # outside the domain
                found = []
            if [out.shape for out in found] == [out.shape for out in self.start]:
                return found
            return [np.full_like(out, np.nan) for out in self.start]

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = f(*at(0.0))
            self.start = [_wide(out) for out in start]
            # Results of lower precision do not see smaller steps.
            ulp = max(precision, precision_of(start), float(np.finfo(float).eps)) * scale
            self.steps = [h * max(1.0, scale) for h in STEPS]
            self.values = [values(h) for h in self.steps]
            self.noise_steps = [k * ulp for k in NOISE_STEPS]
            self.noise_values = [values(h) for h in self.noise_steps]
            h = max(1.0, scale) * 6e-6  # the cube root of epsilon; for messages only
            ahead, behind = values(h), values(-h)
            self.central = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]

    def judge(self, i: int, claimed: Any, precision: float, pair: Any = None) -> Verdict:
        """About result number i, or with ``pair`` about the number ``Re(sum(pair * result))``.

        ``pair`` is a list with an array for each result; ``precision`` is the machine epsilon that
        the claimed derivative was computed with.
        """
        with np.errstate(all="ignore"):
            return self._judge(_wide(claimed), precision, lambda v: _picked(v, i, pair))

    def _judge(self, claimed: Any, precision: float, pick: Callable[[list[Any]], Any]) -> Verdict:
        start = pick(self.start)

        def remainder(h: float, values: list[Any]) -> Any:
            return np.abs(pick(values) - start - h * claimed)

        noise = np.finfo(float).eps * np.abs(start)
        for h, values in zip(self.noise_steps, self.noise_values, strict=True):
            noise = np.fmax(noise, remainder(h, values))
        errors, curvature = [], np.zeros(np.shape(start))
        for h, values in zip(self.steps, self.values, strict=True):
            r = remainder(h, values) + noise  # a remainder below the noise is an accident
            errors.append(np.where(np.isfinite(r), r / h, np.inf))
        finite = [int(np.isfinite(error).all()) for error in errors]
        first = finite.index(1) if any(finite) else 0
        for h, error in list(zip(self.steps, errors, strict=True))[first : first + LARGEST]:
            curvature = np.fmax(curvature, np.where(np.isfinite(error), error / h, 0.0))
        bound = np.sqrt(curvature) * np.sqrt(noise) + noise / self.steps[first]
        size = np.max(np.abs(claimed), initial=0.0)
        off = ~(np.min(errors, axis=0) <= MARGIN * bound + ROUNDING * precision * size)
        return Verdict(off, pick(self.central), _slope(self.steps, errors, off, bound))


def _wide(x: Any) -> Any:
    return np.asarray(x, np.result_type(x, np.float64))


def _picked(values: list[Any], i: int, pair: Any) -> Any:
    if pair is None:
        return values[i]
    products = [np.real(np.sum(_wide(c) * v)) for c, v in zip(pair, values, strict=True)]
    return np.asarray(sum(products, 0.0))


def _slope(steps: list[float], errors: list[Any], off: Any, bound: Any) -> float:
    """The exponent p of r = h^p for the worst wrong element, fitted where r is above the noise."""
    if not np.any(off):
        return 2.0
    worst = np.argmax(np.where(off, np.min(errors, axis=0) - bound, -np.inf))
    curve = [(h, error.flat[worst] * h) for h, error in zip(steps, errors, strict=True)]
    above = [(h, r) for h, r in curve if np.isfinite(r) and r > 0][4:14]
    if len(above) < 2:
        return np.nan
    return float(np.polyfit(np.log([h for h, _ in above]), np.log([r for _, r in above]), 1)[0])
