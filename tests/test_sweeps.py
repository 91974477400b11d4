"""Reverse mode of loops whose length only the run knows: to any order, in the memory of one."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from numpy.testing import assert_allclose
from regions import equations, program_of, recorded

import xnp as np
from xnp.codegen.mlir import sweeps

X = numpy.array([0.5, -0.3, 1.1])


def sines(n, x):
    return np.fori_loop(0, n, lambda i, c: np.sin(c * x) + 0.1 * i, x)


def mixed(n, x):
    """Consts, an integer, a Python number and an array that are carried, and bounds below 0."""

    def body(i, c):
        v, k, y, w = c
        return v * x + y * i, k + i, np.cos(v) * w + k, w * 0.5

    v, k, y, w = np.fori_loop(-2, n - 2, body, (x, 1, x * 0.5, 1.5))
    return v * k + y * w


def nested(n, x):
    inner = lambda i, c: np.fori_loop(i, n, lambda j, d: np.sin(d * x) + j, c)
    return np.fori_loop(0, n, inner, x)


def branching(n, x):
    def body(i, c):
        return np.cond(c > 0.3, lambda c: c * x - 0.2, lambda c: np.exp(c) * x, c)

    return np.fori_loop(0, n, body, x)


LOOPS = {f.__name__: f for f in (sines, mixed, nested, branching)}


def derivative(f: Callable[..., Any], order: int) -> Callable[..., Any]:
    for _ in range(order):
        f = np.grad(f, 1)
    return f


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("f", LOOPS.values(), ids=LOOPS)
def test_reverse_mode_to_any_order(f, order):
    compiled, known = np.jit(derivative(f, order)), derivative(f, order)
    for n in (0, 1, 4):
        wanted = known(n, 0.7)
        assert_allclose(compiled(numpy.array(n), 0.7), wanted, rtol=1e-9, atol=1e-12)
        assert_allclose(recorded(known)(numpy.array(n), 0.7), wanted, rtol=1e-9, atol=1e-12)


def test_a_body_stands_in_the_program_once_for_each_sweep():
    program = program_of(derivative(sines, 3), numpy.array(4), numpy.float64(0.7))
    most = max(len(e.params["bodies"]) for e in equations(program, "sweeps"))
    assert most == 8
    assert not equations(program, "scan")


@pytest.mark.parametrize("f", LOOPS.values(), ids=LOOPS)
def test_forward_mode_and_batches_of_reverse_mode(f):
    second = lambda n, x: np.jvp(lambda x: np.grad(f, 1)(n, x), (x,), (1.0,))[1]
    wanted = [derivative(f, 2)(3, x) for x in X]
    n = numpy.array(3)
    assert_allclose([np.jit(second)(n, x) for x in X], wanted, rtol=1e-9)
    many = np.jit(np.vmap(derivative(f, 2), (None, 0)))
    assert_allclose(many(n, X), wanted, rtol=1e-9)
    sums = np.jit(np.grad(lambda n, x: np.sum(np.vmap(np.grad(f, 1), (None, 0))(n, x)), 1))
    assert_allclose(sums(n, X), wanted, rtol=1e-9)


@pytest.mark.parametrize("f", [sines, mixed, branching])
def test_batches_of_loops_of_different_lengths(f):
    lengths = numpy.array([0, 5, 2])
    wanted = [derivative(f, 2)(int(n), x) for n, x in zip(lengths, X, strict=True)]
    many = np.vmap(derivative(f, 2))
    assert_allclose(np.jit(many)(lengths, X), wanted, rtol=1e-9, atol=1e-12)
    sums = np.grad(lambda n, x: np.sum(np.vmap(np.grad(f, 1))(n, x)), 1)
    assert_allclose(recorded(sums)(lengths, X), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 7, 30])
def test_segments(n, monkeypatch):
    """With room for a few rows only, the loop is run again between places that are kept."""

    def gradient(g):
        return np.grad(lambda n, x: np.sum(g(n, x)), 1)

    monkeypatch.setenv("XNP_CACHE_DIR", "off")
    monkeypatch.setattr(sweeps, "BUDGET", 40)
    f = mixed
    for _ in range(3):
        f = gradient(f)
        assert_allclose(np.jit(f)(numpy.array(n), X), f(n, X), rtol=1e-8, atol=1e-12)


LIMITED = """
import resource, numpy, xnp as np
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))
f = lambda x, n: np.sum(np.fori_loop(0, n, lambda i, c: np.sin(c * x), x))
first = np.jit(np.grad(f))
second = np.jit(np.grad(lambda x, n: np.sum(np.grad(f)(x, n))))
for size in (1, 20, 300_000):
    x = numpy.full(size, 0.5)
    known = np.grad(lambda x: np.sum(np.grad(f)(x, 4)))(x)
    assert numpy.allclose(second(x, numpy.array(4)), known)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
first(x, numpy.array(4))
print((peak() - before) * 1024 < 40 * x.nbytes)
first(x, numpy.array(500))  # 2.4 GB, if all rows were kept
g = lambda v, n: np.fori_loop(
    0, n, lambda i, c: np.fori_loop(i, n, lambda j, d: d * v + j, c), v
)
h = np.grad(np.grad(g))
print(numpy.allclose(np.jit(h)(0.5, numpy.array(4)), h(0.5, 4)))
"""


def test_memory_is_that_of_the_rows():
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "True"], done.stderr
