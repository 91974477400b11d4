"""Problems without compiling: xnp beside NumPy, autograd and unjitted JAX, on one thread."""

from collections.abc import Callable
from typing import Any

import numpy

import xnp

from .problem import Contenders, Problem


def peers() -> dict[str, tuple[Any, Any]]:
    """Library -> (its NumPy, the module with its grad), for those that are installed."""
    found: dict[str, tuple[Any, Any]] = {"xnp": (xnp, xnp)}
    try:
        import autograd
        import autograd.numpy

        found["autograd"] = (autograd.numpy, autograd)
    except ImportError:
        print("autograd is not installed: pip install xnp[bench]")
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        found["jax"] = (jax.numpy, jax)
    except ImportError:
        print("jax is not installed: pip install xnp[bench]")
    return found


def each(make: Callable[[Any, Any], Callable[[], Any]]) -> Contenders:
    """A contender for every library; JAX's work is waited for."""
    contenders: Contenders = {}
    for name, (np, lib) in peers().items():
        call = make(np, lib)
        if name == "jax":
            contenders[name] = lambda call=call, wait=lib.block_until_ready: wait(call())
        else:
            contenders[name] = call
    return contenders


def small_gradient() -> Contenders:
    """The gradient of sum(tanh(2x)**2) with 10 elements."""
    x = numpy.linspace(-1.0, 1.0, 10)

    def make(np: Any, lib: Any) -> Callable[[], Any]:
        gradient = lib.grad(lambda x: np.sum(np.tanh(2.0 * x) ** 2))
        mine = np.array(x)
        return lambda: gradient(mine)

    return each(make)


def rosenbrock(np: Any, x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_hessian() -> Contenders:
    """The Hessian of the Rosenbrock function in 20 dimensions."""
    x = numpy.linspace(-1.0, 1.0, 20)

    def make(np: Any, lib: Any) -> Callable[[], Any]:
        hessian = lib.hessian(lambda x: rosenbrock(np, x))
        mine = np.array(x)
        return lambda: hessian(mine)

    return each(make)


def cross_entropy(np: Any, params: Any, images: Any, one_hot: Any) -> Any:
    hidden = np.tanh(images @ params["w1"] + params["b1"])
    logits = hidden @ params["w2"] + params["b2"]
    logits = logits - np.max(logits, axis=1, keepdims=True)
    log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    decay = 1e-4 * (np.sum(params["w1"] ** 2) + np.sum(params["w2"] ** 2))
    return -np.mean(np.sum(one_hot * log_p, axis=1)) + decay


def digits_gradient() -> Contenders:
    """The gradient of a network of the size that the digits need: 64 inputs, 10 classes."""
    rng = numpy.random.default_rng(0)
    images = rng.uniform(size=(1437, 64))
    one_hot = numpy.eye(10)[rng.integers(0, 10, 1437)]
    params = {
        "w1": rng.normal(size=(64, 32)) / 8,
        "b1": numpy.zeros(32),
        "w2": rng.normal(size=(32, 10)) / 6,
        "b2": numpy.zeros(10),
    }

    def make(np: Any, lib: Any) -> Callable[[], Any]:
        gradient = lib.grad(lambda p, x, y: cross_entropy(np, p, x, y))
        mine = {name: np.array(value) for name, value in params.items()}
        data = np.array(images), np.array(one_hot)
        return lambda: gradient(mine, *data)

    return each(make)


def untraced_call(name: str) -> Callable[[], Contenders]:
    """A small program on plain arrays, with xnp's names and with NumPy's."""

    def program(np: Any) -> Callable[[], Any]:
        x, y = numpy.linspace(0.1, 1.0, 10), numpy.linspace(1.0, 2.0, 10)
        programs: dict[str, Callable[[], Any]] = {
            "ufuncs": lambda: np.sin(x) * np.exp(y) + np.sqrt(x),
            "reductions": lambda: np.sum(x) + np.max(y) + np.mean(x),
            "creation": lambda: np.zeros(10) + np.arange(10) + np.array([1.0] * 10),
            "shapes": lambda: np.concatenate([np.reshape(x, (2, 5)), np.stack([y[:5], y[5:]])]),
        }
        return programs[name]

    return lambda: {"xnp": program(xnp), "numpy": program(numpy)}


PROBLEMS = [
    Problem(
        "grad of sum(tanh(2x)**2), 10 elements", small_gradient, {"autograd": 0.5, "jax": 0.05}
    ),
    Problem("hessian of Rosenbrock, 20 dimensions", rosenbrock_hessian, {}),
    Problem("gradient of the digits network", digits_gradient, {}),
    *(
        Problem(f"untraced {name}", untraced_call(name), {"numpy": 1.1})
        for name in ("ufuncs", "reductions", "shapes")
    ),
    # zeros, arange and array cannot dispatch and are ours: a Python call more each, 0.15 us
    Problem("untraced creation", untraced_call("creation"), {}),
]
