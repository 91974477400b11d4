"""jit of loops written with while_loop, fori_loop and scan, and of their gradients."""

import types
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy

import xnp

from .libraries import library, on_jax, with_numba
from .problem import Contenders, Problem

STEPS = 2**20
MATRIX_STEPS = 100_000
POINTS = 10_000
TIMES, BATCH, INPUTS, HIDDEN = 100, 16, 8, 32


def jax_library() -> Any:
    """JAX's functions where xnp has its own: loops beside grad."""
    jax: Any = library("jax")
    if jax is None:
        return None
    names = ("while_loop", "fori_loop", "scan")
    return types.SimpleNamespace(grad=jax.grad, **{name: getattr(jax.lax, name) for name in names})


def both(make: Callable[[Any, Any], Callable[..., Any]], *arrays: Any) -> Contenders:
    """``make(np, lib)`` for xnp and JAX."""
    found: Contenders = {"xnp": partial(xnp.jit(make(xnp, xnp)), *arrays)}
    if lib := jax_library():
        found["jax"] = on_jax(make(library("jax").numpy, lib), *arrays)
    return found


def scalar_while(_np: Any, lib: Any) -> Callable[..., Any]:
    def run(x: Any, goal: Any) -> Any:
        def step(state: Any) -> Any:
            i, x = state
            return i + 1, x - 0.1 * (x * x * x - goal - 1e-7 * i)

        return lib.while_loop(lambda state: state[0] < STEPS, step, (0, x))[1]

    return run


def plain_while(x: Any, goal: Any) -> Any:
    i = 0
    while i < STEPS:
        x = x - 0.1 * (x * x * x - goal - 1e-7 * i)
        i += 1
    return x


def scalar_loop() -> Contenders:
    return with_numba(both(scalar_while, 1.0, 0.5), plain_while, 1.0, 0.5)


def matrix_recurrence(_np: Any, lib: Any) -> Callable[..., Any]:
    return lambda a, b: lib.fori_loop(0, MATRIX_STEPS, lambda i, x: a @ x + b, b)


def matrix_gradient(np: Any, lib: Any) -> Callable[..., Any]:
    run = matrix_recurrence(np, lib)
    return lib.grad(lambda a, b: np.sum(run(a, b) ** 2))


def plain_recurrence(a: Any, b: Any) -> Any:
    x, y = b.copy(), numpy.empty_like(b)
    for _ in range(MATRIX_STEPS):
        for i in range(3):
            for j in range(3):
                total = b[i, j]
                for k in range(3):
                    total += a[i, k] * x[k, j]
                y[i, j] = total
        x, y = y, x
    return x


def matrices() -> tuple[Any, Any]:
    rng = numpy.random.default_rng(0)
    return rng.normal(size=(3, 3)) / 6, rng.normal(size=(3, 3))


def matrix_loop() -> Contenders:
    arrays = matrices()
    return with_numba(both(matrix_recurrence, *arrays), plain_recurrence, *arrays)


def relaxation(_np: Any, lib: Any) -> Callable[..., Any]:
    def step(i: Any, u: Any) -> Any:
        value = 0.5 * (u[i - 1] + u[i + 1]) + 0.1 * u[i]
        if hasattr(u, "at"):  # JAX's arrays are not written to
            return u.at[i].set(value)
        u[i] = value
        return u

    return lambda x: lib.fori_loop(1, POINTS - 1, step, x * 1.0)


def relaxation_gradient(np: Any, lib: Any) -> Callable[..., Any]:
    run = relaxation(np, lib)
    return lib.grad(lambda x: np.sum(run(x) ** 2))


def plain_relaxation(x: Any) -> Any:
    u = x.copy()
    for i in range(1, POINTS - 1):
        u[i] = 0.5 * (u[i - 1] + u[i + 1]) + 0.1 * u[i]
    return u


def points() -> Any:
    return numpy.random.default_rng(0).normal(size=POINTS)


def network_loss(np: Any, lib: Any) -> Callable[..., Any]:
    def loss(params: Any, inputs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = np.tanh(h @ params["w"] + x @ params["u"] + params["b"])
            return h, np.sum(h * h)

        h, squares = lib.scan(step, np.zeros((BATCH, HIDDEN)), inputs)
        return np.mean(squares) + np.sum(h)

    return loss


def network_gradient(np: Any, lib: Any) -> Callable[..., Any]:
    return lib.grad(network_loss(np, lib))


def recurrent(make: Callable[[Any, Any], Callable[..., Any]]) -> Contenders:
    rng = numpy.random.default_rng(0)
    params = {
        "w": rng.normal(size=(HIDDEN, HIDDEN)) / HIDDEN**0.5,
        "u": rng.normal(size=(INPUTS, HIDDEN)),
        "b": numpy.zeros(HIDDEN),
    }
    inputs = rng.normal(size=(TIMES, BATCH, INPUTS))
    found = both(make, params, inputs)
    if make is network_loss:
        with_numba(found, plain_network, *params.values(), inputs)
    return found


def plain_network(w: Any, u: Any, b: Any, inputs: Any) -> Any:
    h = numpy.zeros((BATCH, HIDDEN))
    squares = 0.0
    for t in range(TIMES):
        h = numpy.tanh(h @ w + inputs[t] @ u + b)
        squares += numpy.sum(h * h)
    return squares / TIMES + numpy.sum(h)


PROBLEMS = [
    Problem(f"while_loop, scalar, {STEPS} steps", scalar_loop, {"jax": 0.2, "numba": 1.2}),
    Problem(
        f"fori_loop, 3 x 3, {MATRIX_STEPS} steps",
        matrix_loop,
        {"jax": 0.2, "numba": 1.2},
    ),
    Problem(
        f"gradient of fori_loop, 3 x 3, {MATRIX_STEPS} steps",
        lambda: both(matrix_gradient, *matrices()),
        {"jax": 0.2},
    ),
    Problem(
        f"fori_loop, u[i] = ... of neighbours, {POINTS} steps",
        lambda: with_numba(both(relaxation, points()), plain_relaxation, points()),
        {"numba": 1.2},
    ),
    Problem(
        f"gradient of fori_loop, u[i] = ... of neighbours, {POINTS} steps",
        lambda: both(relaxation_gradient, points()),
        {"jax": 0.2},
    ),
    Problem(
        f"scan, RNN, {TIMES} steps", partial(recurrent, network_loss), {"jax": 0.2, "numba": 1.2}
    ),
    Problem(
        f"gradient of scan, RNN, {TIMES} steps", partial(recurrent, network_gradient), {"jax": 0.2}
    ),
]
