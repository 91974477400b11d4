"""Points and tangents as trees of arrays: what checks of derivatives compute with.

A tangent has the tree, shapes and dtypes of its point. Cotangents and tangents are paired by
``inner``, without conjugation, as everywhere in xnp: ``Re(sum(ct * x_dot))``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff import trees
from ..autodiff.core import PYTHON_DTYPES, dtype_of


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf is an array or number of a real or complex dtype."""
    known = isinstance(leaf, (np.ndarray, np.generic)) or type(leaf) in PYTHON_DTYPES
    return known and dtype_of(leaf).kind in "fc"


def leaves_of(tree: Any) -> list[Any]:
    return trees.flatten(tree)[0]


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """``tree`` with ``function(leaf, *other_leaves)`` in place of every leaf."""
    leaves, unflatten = trees.flatten(tree)
    columns = [leaves, *(leaves_of(other) for other in others)]
    return trees.rebuild(unflatten, [function(*row) for row in zip(*columns, strict=True)])


def like(values: Any, leaf: Any) -> Any:
    """``values`` as what ``leaf`` is: an array of its dtype, a NumPy scalar or a Python number."""
    if isinstance(leaf, np.ndarray):
        return np.asarray(values, dtype=leaf.dtype)
    return dtype_of(leaf).type(values) if isinstance(leaf, np.generic) else type(leaf)(values)


def random_tangent(tree: Any, rng: np.random.Generator) -> Any:
    """Independent normal numbers for every leaf, scaled to at most 1; complex for complex ones.

    A leaf of any other dtype gets zeros.
    """

    def draw(leaf: Any) -> Any:
        if not is_inexact(leaf):
            return np.zeros(np.shape(leaf), dtype_of(leaf))
        shape = np.shape(leaf)
        numbers = rng.normal(size=shape)
        if dtype_of(leaf).kind == "c":
            numbers = numbers + 1j * rng.normal(size=shape)
        largest = np.max(np.abs(numbers), initial=0.0)
        return like(numbers / largest if largest else numbers, leaf)

    return map_leaves(draw, tree)


def shifted(tree: Any, h: float, tangent: Any) -> Any:
    """``tree + h * tangent``; leaves that are no real or complex arrays stay."""

    def shift(leaf: Any, direction: Any) -> Any:
        return like(leaf + h * direction, leaf) if is_inexact(leaf) else leaf

    return map_leaves(shift, tree, tangent)


def scaled(tree: Any, factor: complex) -> Any:
    return map_leaves(lambda leaf: like(leaf * factor, leaf) if is_inexact(leaf) else leaf, tree)


def inner(ct: Any, x_dot: Any) -> float:
    """``Re(sum(ct * x_dot))`` over all real and complex leaves."""
    return sum(_products(ct, x_dot), 0.0)


def inner_size(ct: Any, x_dot: Any) -> float:
    """The sum of the absolute values of what `inner` adds up: its rounding errors' scale."""
    pairs = zip(leaves_of(ct), leaves_of(x_dot), strict=True)
    return sum(
        (float(np.sum(np.abs(_wide(a)) * np.abs(_wide(b)))) for a, b in pairs if is_inexact(b)), 0.0
    )


def _products(ct: Any, x_dot: Any) -> list[float]:
    pairs = zip(leaves_of(ct), leaves_of(x_dot), strict=True)
    return [float(np.real(np.sum(_wide(a) * _wide(b)))) for a, b in pairs if is_inexact(b)]


def _wide(x: Any) -> Any:
    """``x`` in at least double precision, so that the pairing itself adds no error."""
    return np.asarray(x, np.result_type(x, np.float64))


def precision_of(tree: Any) -> float:
    """The largest machine epsilon among the real and complex leaves; 0 if there are none."""
    found = [dtype_of(leaf) for leaf in leaves_of(tree) if is_inexact(leaf)]
    return max((float(np.finfo(dtype).eps) for dtype in found), default=0.0)
