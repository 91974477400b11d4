"""Derivatives by differences: Ridders' method, central differences extrapolated to step 0.

No magic step: a table of estimates from halved steps is extrapolated in all orders, and for every
element the entry with the smallest error estimate counts, together with that estimate.
[C. J. F. Ridders, Advances in Engineering Software 4 (1982) 75-76]
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy

START = 2.0**-6
LEVELS = 8
EPS = numpy.finfo(float).eps


def derivative(f: Callable[[float], Sequence[Any]]) -> list[tuple[Any, Any]]:
    """For every array that ``f(h)`` returns, its derivative at 0 and the error estimate of that."""
    steps = [START / 2**k for k in range(LEVELS)]
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = [(f(h), f(-h)) for h in steps]
        return [
            _extrapolated(
                steps,
                [numpy.asarray(ahead[i]) for ahead, _ in pairs],
                [numpy.asarray(behind[i]) for _, behind in pairs],
            )
            for i in range(len(pairs[0][0]))
        ]


def _extrapolated(steps: list[float], ahead: list[Any], behind: list[Any]) -> tuple[Any, Any]:
    size = numpy.abs(ahead[-1])
    slope = numpy.abs(ahead[0] - behind[0]) / steps[0]
    size = numpy.minimum(numpy.nanmax(size, initial=0.0), 100 * (size + slope))
    precision = max(EPS, numpy.finfo(ahead[0].dtype).eps)
    rows: list[list[Any]] = []
    best = numpy.full(ahead[0].shape, numpy.nan, numpy.result_type(ahead[0], float))
    error = numpy.full(ahead[0].shape, numpy.inf)
    for k, h in enumerate(steps):
        wide = numpy.result_type(ahead[k], float)
        row = [(ahead[k].astype(wide) - behind[k].astype(wide)) / (2 * h)]
        rounding = 2 * precision * size / h
        for j in range(1, k + 1):
            above = rows[k - 1][j - 1]
            row.append(row[-1] + (row[-1] - above) / (4.0**j - 1))
            estimate = numpy.maximum(numpy.abs(row[j] - row[j - 1]), numpy.abs(row[j] - above))
            estimate = estimate + rounding
            better = estimate < error
            error = numpy.where(better, estimate, error)
            best = numpy.where(better, row[j], best)
        rows.append(row)
    return best, error
