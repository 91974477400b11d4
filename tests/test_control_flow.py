"""Loops and branches, recorded and not, under every composition of transformations.

A row is a function of an array. Run as it is, it is Python's own loop on a tape that has tests of
its own; so that is what the recorded regions, and their derivatives and batches, are compared with.
"""

from collections.abc import Callable
from typing import Any

import numpy
import pytest
from numpy.testing import assert_allclose
from regions import recorded

import xnp as np

X = numpy.array([0.3, -0.7, 1.2])
W = numpy.array([[0.5, -0.2, 0.1], [0.3, 0.4, -0.6], [-0.1, 0.2, 0.7]])


def power(x):
    return np.fori_loop(0, 5, lambda i, c: c * np.sin(x) + i, np.ones(3))


def no_iterations(x):
    return np.fori_loop(3, 1, lambda i, c: c * x, x + 1)


def from_below(x):
    return np.fori_loop(-2, 2, lambda i, c: c + x * i**2, x)


def promoted(x):
    step = lambda i, c: (c[0] + x[0], c[1] + c[2] * i, np.float32(2.0), c[1] > 1)
    a, b, *_ = np.fori_loop(0, 3, step, (0, 0, 1, False))
    return a * b * x


def written_in_place(x):
    def body(i, c):
        c[i] = c[i - 1] * x[i] + np.sum(c)
        c[i + 1] += 1.0
        return c

    return np.fori_loop(0, 2, body, x)


def running_sums(x):
    return np.scan(lambda c, v: (c + v * v, np.exp(c) * v), 0.0, x)[1]


def backward_scan(x):
    c, ys = np.scan(lambda c, v: (np.tanh(c) + v, c * x), 1.0, x, reverse=True)
    return c * ys[1]


def network(x):
    w = np.outer(x, x) + W

    def step(h, v):
        h = np.tanh(w @ h + v)
        return h, np.sum(h**2)

    h, losses = np.scan(step, x, np.stack([x, x * 2, x - 1, x**2]))
    return h * np.sum(losses)


def unused_parts(x):
    def step(c, v):
        a, n, dead = c
        return (a * v["x"], n + v["k"], dead), {"a": a, "n": n}

    xs = {"x": x, "k": np.arange(3)}
    (a, n, _), ys = np.scan(step, (1.0, 0, x), xs)
    return a * n + ys["a"] * ys["n"]


def constants_outside(x):
    return np.fori_loop(0, 4, lambda i, c: np.linalg.inv(np.outer(x, x) + np.eye(3)) @ c * i, x)


def without_xs(x):
    return np.scan(lambda c, _: (c * x, np.sum(c)), x, length=4)[1]


def nested(x):
    def row(i, c):
        return np.fori_loop(0, i + 1, lambda j, d: d + np.sin(d * x[j]) / (i + j + 1), c)

    return np.fori_loop(0, 3, row, x)


def nested_scans(x):
    inner = lambda c, v: (c * v, c + v)
    outer = lambda c, v: np.scan(inner, c + v, x)
    c, ys = np.scan(outer, 1.0, x)
    return c + np.sum(ys, axis=0)


def branch_in_loop(x):
    def body(i, c):
        return np.cond(c[i] > 0, lambda c: np.sqrt(np.abs(c) + 1), lambda c: c * x, c)

    return np.fori_loop(0, 3, body, x)


def branches(x):
    pick = lambda i: np.switch(i, [lambda v: v, np.sin, lambda v: v**2 * x], x)
    return np.fori_loop(-1, 5, lambda i, c: c + pick(i), x)


def masked_branch(x):
    safe = lambda v: np.cond(v > 0.5, lambda v: np.sqrt(v - 0.5), lambda v: 0.0, v)
    return np.map(safe, x)


def halving(x):
    c, n = np.while_loop(lambda c: np.sum(c[0] ** 2) > 0.1, lambda c: (c[0] / 2, c[1] + 1), (x, 0))
    return c * n


def in_batches(x):
    return np.map(lambda v: np.sin(v) * x, np.concatenate([x, x + 1, x]), batch_size=4)


def recomputed(x):
    return np.checkpoint(lambda v, k: np.exp(np.sin(v)) * k["k"])(x * 2, {"k": x})


def recomputed_steps(x):
    step = np.checkpoint(lambda c: np.sin(c) * x)
    return np.fori_loop(0, 4, lambda i, c: step(c), x)


def tape_inside(x):
    return np.fori_loop(0, 3, lambda i, c: np.grad(lambda v: np.sum(v**3 * x))(c) / 4, x)


def batch_inside(x):
    return np.fori_loop(0, 3, lambda i, c: np.vmap(lambda v: v * np.sum(x) / 2 + i)(c), x)


def single_precision(x):
    x = x.astype(np.float32)
    return np.fori_loop(0, 3, lambda i, c: c * x + i / 2, x)


ROWS = [
    power,
    no_iterations,
    from_below,
    promoted,
    written_in_place,
    running_sums,
    backward_scan,
    network,
    unused_parts,
    constants_outside,
    without_xs,
    nested,
    nested_scans,
    branch_in_loop,
    branches,
    masked_branch,
    halving,
    in_batches,
    recomputed,
    recomputed_steps,
    tape_inside,
    batch_inside,
    single_precision,
]
NO_REVERSE = {halving}  # recorded, its number of iterations is not known

Function = Callable[..., Any]


def weighted(f: Function) -> Function:
    """A scalar function that sees every result."""

    def scalar(x):
        y = f(x)
        return np.sum(y * (1 + np.arange(y.size).reshape(y.shape)))

    return scalar


def check_same(transform: Callable[[Function], Function], f: Function, *args: Any) -> None:
    tolerance = 1e-3 if f is single_precision else 1e-10
    wanted = transform(f)(*args)
    got = transform(recorded(f))(*args)
    assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
    assert got.dtype == wanted.dtype


BATCH = numpy.stack([X, X[::-1] * 1.1, X + 0.05])

FORWARD = {
    "value": (lambda f: f, X),
    "jvp": (lambda f: lambda x: np.jvp(f, (x,), (x * 2 - 1,))[1], X),
    "jvp of jvp": (
        lambda f: lambda x: np.jvp(lambda x: np.jvp(f, (x,), (x * x,))[1], (x,), (x + 1,))[1],
        X,
    ),
    "vmap": (np.vmap, BATCH),
    "vmap of jvp": (lambda f: np.vmap(lambda x: np.jvp(f, (x,), (x + 1,))[1]), BATCH),
    "jvp of vmap": (lambda f: lambda x: np.jvp(np.vmap(f), (x,), (x + 1,))[1], BATCH),
    "vmap of vmap": (lambda f: np.vmap(np.vmap(f)), numpy.stack([BATCH, BATCH / 2])),
}
REVERSE = {
    "grad": (lambda f: np.grad(weighted(f)), X),
    "hessian": (lambda f: np.hessian(weighted(f)), X),
    "grad of grad": (lambda f: np.grad(lambda x: np.sum(np.grad(weighted(f))(x) ** 2)), X),
    "vmap of grad": (lambda f: np.vmap(np.grad(weighted(f))), BATCH),
    "grad of vmap": (lambda f: np.grad(weighted(np.vmap(f))), BATCH),
    "linearize": (lambda f: lambda x: np.linearize(f, x)[1](x * 3), X),
}


@pytest.mark.parametrize("f", ROWS)
@pytest.mark.parametrize("name", FORWARD)
def test_recorded_is_plain_forward(f, name):
    transform, arg = FORWARD[name]
    check_same(transform, f, arg)


@pytest.mark.parametrize("f", [f for f in ROWS if f not in NO_REVERSE])
@pytest.mark.parametrize("name", REVERSE)
def test_recorded_is_plain_reverse(f, name):
    transform, arg = REVERSE[name]
    check_same(transform, f, arg)


@pytest.mark.parametrize("f", ROWS)
def test_compiled_is_plain(f):
    tolerance = 1e-3 if f is single_precision else 1e-10
    assert_allclose(np.jit(f)(X), f(X), rtol=tolerance, atol=tolerance)
    if f not in NO_REVERSE:
        gradient = np.grad(weighted(f))
        assert_allclose(np.jit(gradient)(X), gradient(X), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["i1", "f2", "f4", "i4", "d"])
def test_pythons_numbers_among_what_a_scan_stacks(dtype):
    f = lambda xs: np.scan(lambda carry, x: (carry + x, carry), 0, xs)
    xs = numpy.arange(3).astype(dtype)
    for found, wanted in zip(np.jit(f)(xs), f(xs), strict=True):
        assert found.dtype == wanted.dtype == dtype
        numpy.testing.assert_array_equal(found, wanted)
