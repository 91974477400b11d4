"""jit of value_and_grad: a network of three layers, and the training of the digits example."""

import importlib.util
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy

import xnp

from .libraries import library, on_jax, on_torch, torch_numpy
from .problem import Contenders, Problem

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits.py"
ITERATIONS = 100
WITHOUT_JIT = "xnp, no jit"


def network_loss(np: Any) -> Callable[..., Any]:
    def loss(params: Any, images: Any, one_hot: Any) -> Any:
        h = np.tanh(images @ params["w1"] + params["b1"])
        h = np.tanh(h @ params["w2"] + params["b2"])
        logits = h @ params["w3"] + params["b3"]
        logits = logits - np.max(logits, axis=1, keepdims=True)
        log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
        return -np.mean(np.sum(one_hot * log_p, axis=1))

    return loss


def network_gradient() -> Contenders:
    """256 images of 64 pixels, two hidden layers of 128, 10 classes."""
    rng = numpy.random.default_rng(0)
    sizes = (64, 128, 128, 10)
    params: dict[str, Any] = {}
    for i, (n, m) in enumerate(itertools.pairwise(sizes), 1):
        params |= {f"w{i}": rng.normal(size=(n, m)) / n**0.5, f"b{i}": numpy.zeros(m)}
    images, one_hot = rng.uniform(size=(256, 64)), numpy.eye(10)[rng.integers(0, 10, 256)]
    data = params, images, one_hot
    ours = xnp.value_and_grad(network_loss(xnp))
    found: Contenders = {"xnp": partial(xnp.jit(ours), *data), WITHOUT_JIT: partial(ours, *data)}
    if jax := library("jax"):
        found["jax"] = on_jax(jax.value_and_grad(network_loss(jax.numpy)), *data)
    if torch := library("torch"):
        both = torch.func.grad_and_value(network_loss(torch_numpy()))
        found["torch.compile"] = on_torch(lambda *args: both(*args)[::-1], *data)
    return found


def digits_example() -> Any:
    """examples/digits.py as a module, or None where it lacks a library."""
    spec = importlib.util.spec_from_file_location("digits_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        print(f"  (left out: {error}; pip install xnp[demo])")
        return None
    return module


def digits_training() -> Contenders:
    """The example's loss, minimised by L-BFGS as there, with its gradient jitted and not."""
    example = digits_example()
    if example is None:
        return {}
    digits = example.load_digits()
    rng = numpy.random.default_rng(0)
    images, labels = digits.data / 16.0, digits.target
    start = example.initial_parameters(rng, 64, 64, 10)

    def train(value_and_grad: Callable[..., Any]) -> float:
        def objective(flat: Any) -> Any:
            params = example.unflatten(flat, start)
            value, gradient = value_and_grad(params, images, labels, 1e-4)
            return float(value), example.flatten(gradient)

        options = {"maxiter": ITERATIONS}
        found = example.minimize(
            objective, example.flatten(start), method="L-BFGS-B", jac=True, options=options
        )
        return found.fun

    plain = xnp.value_and_grad(example.loss)
    return {"xnp": partial(train, xnp.jit(plain)), WITHOUT_JIT: partial(train, plain)}


NETWORK = "value_and_grad of a network of three layers"
PROBLEMS = [Problem(NETWORK, network_gradient, {"jax": 0.8})]
# The training comes first, before JAX and torch are loaded: what they allocate leaves the allocator
# with memory in hand, which the gradient without jit then finds. Some of it jit leaves, too.
PROBLEMS_WITH_ONE_THREAD = [
    # two runs of an optimiser that round differently part at the end
    Problem(
        f"training of the digits example, {ITERATIONS} iterations",
        digits_training,
        {WITHOUT_JIT: 1 / 3},
        tolerance=1e-2,
    ),
    Problem(NETWORK, network_gradient),
]
