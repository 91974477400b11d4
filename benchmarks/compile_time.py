"""Time until the first result: tracing and compiling, in this process and in new ones."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy

import xnp

from .chains import arguments, chain, chain_source
from .libraries import library
from .problem import Contenders, OwnTime, Problem

LONG = 10_000
CACHED = 1000  # operations of the program that the disk cache keeps
ROOT = Path(__file__).parents[1]


def first_call(count: int) -> Contenders:
    """Each call compiles a program that has not been seen before; the compilers are loaded."""
    x, y = arguments()
    found: Contenders = {}

    def ours(seeds: Any) -> Any:
        return xnp.jit(chain(xnp, count, next(seeds)))(x, y)

    def jax_call(jax: Any, mine: Any, seeds: Any) -> Any:
        return jax.block_until_ready(jax.jit(chain(jax.numpy, count, next(seeds)))(*mine))

    def numba_call(numba: Any, seeds: Any) -> Any:
        scope: dict[str, Any] = {"numpy": numpy}
        exec(chain_source(count, next(seeds)), scope)
        return numba.vectorize(["float64(float64, float64)"])(scope["function"])(x, y)

    def seeds() -> Any:
        return itertools.count(0.0, 1e-13)

    found["xnp"] = partial(ours, seeds())
    if jax := library("jax"):
        mine = jax.numpy.asarray(x), jax.numpy.asarray(y)
        found["jax"] = partial(jax_call, jax, mine, seeds())
    if count < 1000 and (numba := library("numba")):  # it takes minutes for 1000
        found["numba"] = partial(numba_call, numba, seeds())
    return found


def long_trace() -> Contenders:
    """Recording alone, of a function that has not been seen before."""
    x, y = arguments()
    found: Contenders = {"xnp": lambda: [len(xnp.jit(chain(xnp, LONG)).trace(x, y).equations)]}
    if jax := library("jax"):
        found["jax"] = lambda: [len(jax.make_jaxpr(chain(jax.numpy, LONG))(x, y).eqns)]
    return found


def new_process(name: str, wall: bool, cold: bool, folder: str) -> OwnTime:
    """What `benchmarks.first_call` measures in a new process with this disk cache."""
    if cold:
        shutil.rmtree(folder, ignore_errors=True)
    caches = {"XNP_CACHE_DIR": folder, "JAX_COMPILATION_CACHE_DIR": folder}
    caches["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    command = [sys.executable, "-m", "benchmarks.first_call", name, str(CACHED)]
    start = time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | caches, cwd=ROOT, check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    found = json.loads(done.stdout)
    return OwnTime(seconds if wall else found["seconds"], found["result"])


def disk_cache(wall: bool) -> Contenders:
    """The first is the second process. The folders go with the interpreter."""
    holder = tempfile.TemporaryDirectory(prefix="xnp-bench-")
    found: Contenders = {}
    for name in ("xnp", "jax") if library("jax") else ("xnp",):
        for cold in (False, True):
            folder = os.path.join(holder.name, f"{name}-{'cold' if cold else 'warm'}")
            label = f"{name}, no cache" if cold else name
            found[label] = partial(_kept, holder, name, wall, cold, folder)
        found[name]()  # fills it
    return found


def _kept(_holder: Any, *arguments: Any) -> OwnTime:
    return new_process(*arguments)


PROBLEMS = [
    *(
        Problem(
            f"first call, {count} elementwise operations", partial(first_call, count), {"jax": 0.5}
        )
        for count in (10, 100, 1000)
    ),
    Problem(
        f"first call in a new process, {CACHED} operations, disk cache",
        partial(disk_cache, False),
        {"xnp, no cache": 0.2},
    ),
    Problem(
        f"the whole of such a process, {CACHED} operations, disk cache", partial(disk_cache, True)
    ),
    Problem(f"trace of {LONG} operations", long_trace, seconds=2.0),
]
