"""Estimates of work: what is worth storing, what is worth sharing among threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.program import Equation
from .affine import lower_bound, product
from .plan import Cluster

# Products that tiles are for, not BLAS: so many multiplications, rows and columns of the second.
FEWEST, MOST = 64, 1 << 24
DEEPEST = 2048
NARROWEST = 4
TINY = 8  # rows and columns up to which a product is unrolled

HEAVY = 10  # simple operations that an elementary function costs
SEARCH = 25  # a search in a sorted array


def work_of(cluster: Cluster) -> Any:
    """About how many simple operations a cluster takes."""
    return product(cluster.shape) * work_of_element(cluster)


def work_of_element(cluster: Cluster) -> int:
    return len(cluster.stores) + sum(map(weight, cluster.equations))


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
    if equation.primitive.name == "searchsorted":
        return SEARCH
    return HEAVY if equation.primitive.name in _HEAVY else 1


def is_moderate_product(m: Any, k: Any, n: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the product of an (m, k) and a (k, n) matrix is done in tiles."""
    if dtype.char not in "fd" or type(k) is not int or type(n) is not int:
        return False
    if not (1 <= k <= DEEPEST and n >= NARROWEST and lower_bound(m) >= 2):
        return False
    work = m * k * n
    return type(work) is not int or FEWEST <= work <= MOST


def is_tiny_product(m: Any, k: Any, n: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the product of an (m, k) and a (k, n) matrix is unrolled."""
    return dtype.kind == "f" and all(type(d) is int and 0 < d <= TINY for d in (m, k, n))
