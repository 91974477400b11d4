"""Threads do not see each other's traces."""

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import xnp as np


def in_threads(count, work):
    """Runs ``work(i)`` in ``count`` threads that start together, and returns the results."""
    barrier = threading.Barrier(count)

    def run(i):
        barrier.wait(timeout=60)
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_gradients_in_many_threads_at_once():
    def work(i):
        x = numpy.full(5, float(i))
        return [np.grad(lambda x: np.sum(np.sin(x) * x))(x) for _ in range(50)]

    for i, gradients in enumerate(in_threads(8, work)):
        x = numpy.full(5, float(i))
        for gradient in gradients:
            numpy.testing.assert_allclose(gradient, numpy.cos(x) * x + numpy.sin(x), rtol=1e-14)


def test_nested_derivatives_and_vmap_in_many_threads():
    def work(i):
        f = lambda x: np.exp(x * (i + 1))
        return np.vmap(np.grad(np.grad(f)))(numpy.zeros(3))

    for i, found in enumerate(in_threads(8, work)):
        numpy.testing.assert_allclose(found, numpy.full(3, (i + 1.0) ** 2), rtol=1e-14)


def test_a_thread_outside_makes_plain_arrays_while_another_traces():
    inside, done = threading.Event(), threading.Event()

    def f(x):
        inside.set()
        assert done.wait(timeout=60)
        return x * np.sum(np.ones(2))

    with ThreadPoolExecutor(1) as pool:
        gradient = pool.submit(np.grad(f), 1.0)
        assert inside.wait(timeout=60)
        made = np.zeros(3)
        done.set()
        assert gradient.result(timeout=60) == 2.0
    assert type(made) is numpy.ndarray


def test_a_worker_thread_may_compute_with_traced_values():
    """The trace is found in the arguments, not in the thread."""

    def f(x):
        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(lambda k: np.sin(x * k), range(1, 4)))
        return sum(parts)

    x = 0.3
    wanted = sum(k * numpy.cos(k * x) for k in range(1, 4))
    assert np.grad(f)(x) == pytest.approx(wanted, rel=1e-14)


TRANSFORMED = {
    "grad": lambda x: np.grad(lambda y: y * y * x)(1.5),
    "jvp, tangent": lambda x: np.jvp(lambda y: y * y * x, (1.0,), (1.5,))[1],
    "jvp, value": lambda x: np.jvp(lambda y: y * x, (3.0,), (1.0,))[0],
    "vjp": lambda x: np.vjp(lambda y: y * y * x, 1.5)[1](1.0)[0],
    "linearize": lambda x: np.linearize(lambda y: y * y * x, 1.5)[1](1.0),
    "vmap": lambda x: np.sum(np.vmap(lambda y: y * x)(numpy.array([1.0, 2.0]))),
    "hessian": lambda x: np.hessian(lambda y: y**3 * x)(0.5),
    "jacfwd": lambda x: np.jacfwd(lambda y: y * y * x)(1.5),
}


@pytest.mark.parametrize("inner", TRANSFORMED.values(), ids=TRANSFORMED)
def test_a_worker_thread_may_transform_functions_of_traced_values(inner):
    """The thread has no transformation running, but its results depend on one that runs outside."""

    def f(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inner, x).result() * x

    assert np.grad(f)(2.0) == pytest.approx(12.0)  # of 3 x^2
    assert np.jvp(f, (2.0,), (1.0,))[1] == pytest.approx(12.0)


def test_a_failing_thread_does_not_disturb_others():
    def work(i):
        def f(x):
            if i % 2:
                raise RuntimeError("planned")
            return x * x

        try:
            return np.grad(f)(float(i))
        except RuntimeError:
            return type(np.zeros(1))

    found = in_threads(6, work)
    assert found[::2] == [0.0, 4.0, 8.0]
    assert found[1::2] == [numpy.ndarray] * 3


def test_large_constants_are_writable_again_after_use_in_several_threads():
    """Large arrays are read-only while a trace may need them; the last thread gives them back."""
    big = numpy.ones(100_000)

    def work(_):
        return np.grad(lambda x: np.sum(x * big))(numpy.ones(100_000))[0]

    assert in_threads(6, work) == [1.0] * 6
    assert big.flags.writeable
    big[0] = 2.0


def test_context_variables_and_copies_of_contexts():
    context = contextvars.copy_context()
    assert context.run(np.grad(np.sin), 0.0) == 1.0
