"""One program for each library that can run it, compiled as its users would compile it."""

import importlib
import types
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy

import xnp

from .problem import Contenders

Function = Callable[..., Any]
Maker = Callable[[Any], Function]  # a library's NumPy -> the function of arrays


@cache
def library(name: str) -> Any:
    """The module, or None where it is not installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        print(f"  (no {name} here: pip install xnp[bench]; torch is installed by itself)")
        return None
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


@cache
def torch_numpy() -> Any:
    """Torch's functions under NumPy's names."""
    torch: Any = library("torch")
    names = ("exp", "log", "sqrt", "sin", "tanh", "where", "abs", "sum", "mean", "matmul", "roll")
    found = types.SimpleNamespace(**{name: getattr(torch, name) for name in names})
    found.max = torch.amax
    found.var = partial(torch.var, correction=0)
    return found


def on_jax(function: Function, *trees: Any) -> Callable[[], Any]:
    """A call with JAX's own arrays that waits for the result."""
    jax: Any = library("jax")
    mine = jax.tree.map(jax.numpy.asarray, trees)
    jitted, wait = jax.jit(function), jax.block_until_ready
    return lambda: wait(jitted(*mine))


def on_torch(function: Function, *trees: Any) -> Callable[[], Any]:
    """A call with torch's own arrays."""
    torch: Any = library("torch")
    jitted = torch.compile(function, dynamic=False)
    mine = torch.utils._pytree.tree_map(torch.from_numpy, trees)
    return lambda: jitted(*mine)


def compiled(
    make: Maker,
    arrays: Sequence[Any],
    *,
    numba: Function | None = None,
    numexpr: Callable[[Any], Function] | None = None,
    torch: bool = True,
) -> Contenders:
    """Contenders of one source. ``numba`` is the source for numba, ``numexpr`` makes the calls."""
    found: Contenders = {
        "xnp": partial(xnp.jit(make(xnp)), *arrays),
        "numpy": partial(make(numpy), *arrays),
    }
    if jax := library("jax"):
        found["jax"] = on_jax(make(jax.numpy), *arrays)
    if numba is not None and library("numba"):
        found["numba"] = partial(library("numba").njit(parallel=True)(numba), *arrays)
    if numexpr is not None and (module := library("numexpr")):
        found["numexpr"] = partial(numexpr(module), *arrays)
    if torch and library("torch"):
        found["torch.compile"] = on_torch(make(torch_numpy()), *arrays)
    return found


def with_numba(found: Contenders, function: Callable[..., Any], *arrays: Any) -> Contenders:
    """The contenders and numba's on the same arrays."""
    if numba := library("numba"):
        found["numba"] = partial(numba.njit(function), *arrays)
    return found
