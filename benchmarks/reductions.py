"""jit of programs with reductions over an axis of a matrix, and of matrix products."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy

import xnp

from .libraries import compiled, library, on_jax
from .problem import BEST_PEER, Contenders, Problem

SIZE = 1000


def softmax(np: Any, axis: int) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        e = np.exp(x - np.max(x, axis=axis, keepdims=True))
        return e / np.sum(e, axis=axis, keepdims=True)

    return function


def layer_norm(np: Any, axis: int) -> Callable[..., Any]:
    def function(x: Any) -> Any:
        centered = x - np.mean(x, axis=axis, keepdims=True)
        variance = np.mean(centered * centered, axis=axis, keepdims=True)
        return centered / np.sqrt(variance + 1e-5)

    return function


def total(np: Any, axis: int) -> Callable[..., Any]:
    return lambda x: np.sum(x, axis=axis)


def variance(np: Any, axis: int) -> Callable[..., Any]:
    return lambda x: np.var(x, axis=axis)


def over_axis(make: Callable[[Any, int], Callable[..., Any]], axis: int) -> Contenders:
    x = numpy.random.default_rng(0).normal(size=(SIZE, SIZE))
    found = compiled(lambda np: make(np, axis), (x,))
    if numba := library("numba"):
        source = numba_sources(numba).get((make, axis))
        if source is not None:
            found["numba"] = partial(numba.njit(parallel=True)(source), x)
    return found


def numba_sources(numba: Any) -> dict[Any, Callable[..., Any]]:
    """Loops over the rows: numba has no keepdims."""

    def rows_softmax(x: Any) -> Any:
        out = numpy.empty_like(x)
        for i in numba.prange(x.shape[0]):
            e = numpy.exp(x[i] - numpy.max(x[i]))
            out[i] = e / numpy.sum(e)
        return out

    def rows_layer_norm(x: Any) -> Any:
        out = numpy.empty_like(x)
        for i in numba.prange(x.shape[0]):
            centered = x[i] - numpy.mean(x[i])
            out[i] = centered / numpy.sqrt(numpy.mean(centered * centered) + 1e-5)
        return out

    def rows_total(x: Any) -> Any:
        out = numpy.empty(x.shape[0])
        for i in numba.prange(x.shape[0]):
            out[i] = numpy.sum(x[i])
        return out

    def rows_variance(x: Any) -> Any:
        out = numpy.empty(x.shape[0])
        for i in numba.prange(x.shape[0]):
            out[i] = numpy.var(x[i])
        return out

    return {
        (softmax, 1): rows_softmax,
        (layer_norm, 1): rows_layer_norm,
        (total, 1): rows_total,
        (variance, 1): rows_variance,
    }


def product(size: int) -> Contenders:
    """A product of two square matrices, by the BLAS that each library has."""
    rng = numpy.random.default_rng(0)
    a, b = rng.normal(size=(size, size)), rng.normal(size=(size, size))
    found: Contenders = {
        "xnp": partial(xnp.jit(lambda a, b: a @ b), a, b),
        "numpy": partial(numpy.matmul, a, b),
    }
    if library("jax"):
        found["jax"] = on_jax(lambda a, b: a @ b, a, b)
    if torch := library("torch"):
        found["torch"] = partial(torch.matmul, torch.from_numpy(a), torch.from_numpy(b))
    return found


PROBLEMS = [
    *(
        Problem(
            f"{name} over axis {axis} of {SIZE} x {SIZE}",
            partial(over_axis, make, axis),
            {BEST_PEER: 1.0, "numpy": 0.5},
        )
        for name, make in (
            ("softmax", softmax),
            ("layer norm", layer_norm),
            ("sum", total),
            ("var", variance),
        )
        for axis in (0, 1)
    ),
    *(
        Problem(f"matmul {size} x {size}", partial(product, size), {"numpy": 1.05})
        for size in (500, 1000)
    ),
]
