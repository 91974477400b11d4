"""jit of differences of neighbours: np.roll, and gradients through slices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy

import xnp

from .libraries import compiled, library, on_jax, with_numba
from .problem import Contenders, Problem

SIZE = 500


def laplacian(np: Any) -> Callable[..., Any]:
    """On a torus."""

    def apply(u: Any) -> Any:
        x = np.roll(u, 1, 0) + np.roll(u, -1, 0)
        y = np.roll(u, 1, 1) + np.roll(u, -1, 1)
        return x + y - 4.0 * u

    return apply


def plain_laplacian(u: Any) -> Any:
    """The same, as numba wants it."""
    n, m = u.shape
    out = numpy.empty_like(u)
    for i in range(n):
        up, down = (i - 1) % n, (i + 1) % n
        for j in range(m):
            x = u[up, j] + u[down, j]
            out[i, j] = x + (u[i, (j - 1) % m] + u[i, (j + 1) % m]) - 4.0 * u[i, j]
    return out


def total_variation(np: Any) -> Callable[..., Any]:
    def total(u: Any) -> Any:
        x, y = u[1:, :-1] - u[:-1, :-1], u[:-1, 1:] - u[:-1, :-1]
        return np.sum(np.sqrt(x * x + y * y + 1e-6))

    return total


def image() -> Any:
    return numpy.random.default_rng(0).normal(size=(SIZE, SIZE))


def torus() -> Contenders:
    u = image()
    return with_numba(compiled(laplacian, [u]), plain_laplacian, u)


def gradient() -> Contenders:
    u = image()
    found: Contenders = {"xnp": partial(xnp.jit(xnp.grad(total_variation(xnp))), u)}
    if jax := library("jax"):
        found["jax"] = on_jax(jax.grad(total_variation(jax.numpy)), u)
    return found


PROBLEMS = [
    Problem(f"Laplacian with np.roll, {SIZE} x {SIZE}", torus),
    Problem(f"gradient of the total variation, {SIZE} x {SIZE}", gradient),
]
