"""What a row of the op table holds, and the makers of its sample arguments."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy


@dataclass(frozen=True)
class Op:
    """One operation as the tests see it.

    ``fun`` is a plain function of positional arguments that calls functions of ``xnp`` or numpy.
    Every sample is a tuple of arguments for it: concrete arrays or numbers, made by the helpers
    below away from kinks and singularities. Arguments of real or complex dtype are differentiated,
    every subset of them; ``diff`` restricts that to the listed positions, with the ``reason``.
    ``vmap`` False (with the reason) where no batch can exist (the result's size depends on values),
    or a tuple of the positions that can be batched.
    ``order`` is the highest order of derivative that is checked. ``rtol`` is relative to the
    dtype's precision; the default fits well conditioned samples, a larger one carries its reason.
    """

    name: str
    fun: Callable[..., Any]
    samples: Sequence[tuple[Any, ...]]
    diff: tuple[int, ...] | None = None
    order: int = 2
    vmap: bool | tuple[int, ...] = True
    rtol: float = 64.0  # units of machine epsilon of the result's dtype, for values against NumPy
    reason: str = ""
    covers: tuple[Any, ...] = field(default=())  # the numpy functions or ufuncs this row is for

    def __str__(self) -> str:
        return self.name


def _rng(*key: Any) -> numpy.random.Generator:
    return numpy.random.default_rng(zlib.crc32(repr(key).encode()))


def R(*shape: int, seed: int = 0, dtype: Any = float) -> Any:
    """Normal numbers."""
    return numpy.asarray(_rng("R", shape, seed).normal(size=shape)).astype(dtype)


def U(low: float, high: float, *shape: int, seed: int = 0, dtype: Any = float) -> Any:
    """Uniform in (low, high)."""
    return numpy.asarray(_rng("U", shape, seed).uniform(low, high, size=shape)).astype(dtype)


def C(*shape: int, seed: int = 0, dtype: Any = complex) -> Any:
    """Complex normal numbers."""
    rng = _rng("C", shape, seed)
    return numpy.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def D(*shape: int, seed: int = 0, dtype: Any = float) -> Any:
    """Distinct numbers, at least 0.1 apart, in random order: no ties for max, sort, median."""
    rng = _rng("D", shape, seed)
    size = int(numpy.prod(shape))
    values = (numpy.arange(size) - size / 2 + 0.3) * 0.2 + rng.uniform(-0.04, 0.04, size)
    return rng.permutation(values).reshape(shape).astype(dtype)


def I(low: int, high: int, *shape: int, seed: int = 0, dtype: Any = int) -> Any:  # noqa: E743 - ints
    """Integers in [low, high)."""
    return numpy.asarray(_rng("I", shape, seed).integers(low, high, size=shape)).astype(dtype)


def B(*shape: int, seed: int = 0) -> Any:
    """Booleans."""
    return _rng("B", shape, seed).integers(0, 2, size=shape).astype(bool)
