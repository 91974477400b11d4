"""Hypothesis strategies for arrays in all their layouts, broadcasting groups, and indices.

``import xnp.testing.strategies`` needs hypothesis. Shapes, dtypes, layouts and indices are drawn,
and shrink; the numbers are random, from a drawn seed, so that examples are generic and cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st  # noqa: TID253 - this module is imported by name only
from hypothesis.extra import numpy as hypothesis_numpy  # noqa: TID253

REAL = ("float64", "float32")
COMPLEX = ("complex128", "complex64")
INEXACT = REAL + COMPLEX
INTEGERS = ("int64", "int32", "int8", "uint8")
ALL = (*INEXACT, *INTEGERS, "bool")

LAYOUTS = ("C", "F", "reversed", "every second", "transposed", "repeated")


def dtypes(names: Sequence[str] = ALL) -> st.SearchStrategy[np.dtype[Any]]:
    """Dtypes, simplest first."""
    return st.sampled_from([np.dtype(name) for name in names])


def shapes(
    max_dims: int = 3, max_side: int = 4, min_dims: int = 0, min_side: int = 0
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes, zero-dimensional and empty ones included."""
    return hypothesis_numpy.array_shapes(
        min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side
    )


def numbers(dtype: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Normal numbers, small integers or booleans."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -5, 6, shape).astype(dtype)
    values = rng.normal(size=shape)
    if dtype.kind == "c":
        values = values + 1j * rng.normal(size=shape)
    return np.asarray(values).astype(dtype)


def with_layout(values: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    """An array of these values with other strides ("repeated" repeats the first row)."""
    if layout == "F":
        return np.asfortranarray(values).reshape(values.shape)
    if layout == "reversed":
        flip = (slice(None, None, -1),) * values.ndim
        return values[flip].copy()[flip] if values.ndim else values
    if layout == "every second" and values.ndim:
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if layout == "transposed":
        return values.T.copy().T
    if layout == "repeated" and values.ndim and len(values):
        return np.broadcast_to(values[:1], values.shape)
    return values


@st.composite
def arrays(
    draw: st.DrawFn,
    dtype: Any = None,
    shape: Any = None,
    layouts: Sequence[str] = LAYOUTS,
) -> np.ndarray[Any, Any]:
    """Arrays; ``dtype`` and ``shape`` may be values or strategies.

    Strides may be negative, stretched, in Fortran order, or zero (a read-only broadcast array).
    """
    dtype = _drawn(draw, dtypes() if dtype is None else dtype)
    shape = _drawn(draw, shapes() if shape is None else shape)
    values = numbers(dtype, shape, np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    return with_layout(values, draw(st.sampled_from(list(layouts))))


def _drawn(draw: st.DrawFn, what: Any) -> Any:
    return draw(what) if isinstance(what, st.SearchStrategy) else what


@st.composite
def broadcastable(
    draw: st.DrawFn, count: int = 2, dtype: Any = None, max_dims: int = 3
) -> tuple[np.ndarray[Any, Any], ...]:
    """Arrays that broadcast against each other; each draws its own dtype from ``dtype``."""
    found = draw(
        hypothesis_numpy.mutually_broadcastable_shapes(
            num_shapes=count, max_dims=max_dims, min_side=0, max_side=3
        )
    )
    return tuple(draw(arrays(dtype, shape)) for shape in found.input_shapes)


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...], advanced: bool = True) -> Any:
    """Index expressions that fit ``shape``: integers, slices with any step, Ellipsis, None.

    With ``advanced`` also integer arrays that broadcast together and boolean masks, in any mixture.
    """
    lead = draw(hypothesis_numpy.broadcastable_shapes((2,), max_dims=2, max_side=3))
    kinds = ["slice", "int", "array", "mask"] if advanced else ["slice", "int"]
    items: list[Any] = [
        draw(_item(draw(st.sampled_from(kinds)), length, lead))
        for length in shape[: draw(st.integers(0, len(shape)))]
    ]
    if draw(st.booleans()):  # an Ellipsis in place of the axes from `start` to `stop`
        start = draw(st.integers(0, len(items)))
        missing = len(shape) - len(items)
        rest = [draw(_item("slice", length, lead)) for length in shape[start + missing :]]
        items = [*items[:start], Ellipsis, *rest[: len(items) - start]]
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@st.composite
def _item(draw: st.DrawFn, kind: str, length: int, lead: tuple[int, ...]) -> Any:
    """What addresses one axis."""
    if kind == "mask":
        return np.asarray(draw(st.lists(st.booleans(), min_size=length, max_size=length)), bool)
    if kind == "slice" or length == 0:
        bound = st.none() | st.integers(-length - 2, length + 2)
        step = draw(st.none() | st.integers(-3, 3).filter(bool))
        return slice(draw(bound), draw(bound), step)
    if kind == "int":
        return draw(st.integers(-length, length - 1))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(-length, length, size=lead)
