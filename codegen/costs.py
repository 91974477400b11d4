"""Estimates of work: what is worth storing, what is worth sharing among threads."""

from __future__ import annotations

from typing import Any

from ..autodiff.program import Equation
from .affine import product
from .plan import Cluster

HEAVY = 10  # simple operations that an elementary function costs


def work_of(cluster: Cluster) -> Any:
    """About how many simple operations a cluster takes."""
    each = len(cluster.stores) + sum(map(weight, cluster.equations))
    return product(cluster.shape) * each


_HEAVY = frozenset(
    {
        "exp",
        "exp2",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "arctan2",
        "arcsinh",
        "arccosh",
        "arctanh",
        "power",
        "cbrt",
        "hypot",
        "logaddexp",
        "logaddexp2",
        "logistic",
        "sech_squared",
        "scipy.erf",
        "scipy.erfc",
        "scipy.ndtr",
        "scipy.expit",
        "scipy.exp2",
        "scipy.expm1",
        "scipy.log1p",
        "scipy.cbrt",
    }
)


def weight(equation: Equation) -> int:
    """About how many simple operations an element takes."""
    return HEAVY if equation.primitive.name in _HEAVY else 1
