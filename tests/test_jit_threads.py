"""Compiled functions in many Python threads at once, and after a fork."""

import collections
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import xnp
from xnp.runtime import compile as compiler

pytestmark = pytest.mark.skipif(not compiler.is_available(), reason="there is no compiler here")

WEIGHTS = numpy.random.default_rng(0).normal(size=(3, 40, 40)) / 8
ROWS = (3, 40, 120, 600)


def layers(count):
    """BLAS, temporaries in the arena, calls back to NumPy, several results."""

    def f(x, shift):
        for w in WEIGHTS[:count]:
            x = numpy.tanh(x @ w) + shift
        return x * numpy.sort(x, axis=0), x - x.mean(axis=0), numpy.fft.fft(x, axis=0).real.sum()

    return f


@pytest.fixture
def eager_switching():
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_switching")
def test_the_same_and_other_functions_in_many_threads():
    """Compiling and running at once: each thread gets its own numbers."""
    plain = [layers(count) for count in (1, 2, 3)]
    jitted = [xnp.jit(f) for f in plain]
    rng = numpy.random.default_rng(1)
    inputs = [(rng.normal(size=(n, 40)), 0.1 * n / 600) for n in ROWS]
    wanted = [[f(*args) for args in inputs] for f in plain]
    barrier = threading.Barrier(6)

    def work(seed):
        barrier.wait(timeout=60)
        for _ in range(15):
            i, j = numpy.random.default_rng(seed).integers((3, len(ROWS)))
            for got, want in zip(jitted[i](*inputs[j]), wanted[i][j], strict=True):
                numpy.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
            seed += 100

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


@pytest.mark.usefixtures("eager_switching")
def test_errors_stay_in_their_thread():
    factor = xnp.jit(lambda a: numpy.linalg.cholesky(a) + numpy.linalg.eigvalsh(a))
    good = numpy.eye(4)
    factor(good)

    def work(sign):
        for _ in range(50):
            if sign > 0:
                numpy.testing.assert_allclose(factor(good), good + 1.0)
            else:
                with pytest.raises(numpy.linalg.LinAlgError):
                    factor(-good)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [1, -1, 1, -1]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_calls_and_compiles():
    x = numpy.ones(300_000)  # enough for all cores
    old, new = xnp.jit(lambda x: numpy.sin(x).sum()), xnp.jit(lambda x: numpy.cos(x).sum())
    old(x)
    child = os.fork()
    if child == 0:  # no traceback may go back into pytest
        fine = False
        try:
            found = [old(x), new(x), xnp.grad(old)(x)[0]]
            wanted = [numpy.sin(x).sum(), numpy.cos(x).sum(), numpy.cos(1.0)]
            fine = numpy.allclose(found, wanted, rtol=1e-12)
        finally:
            os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0


END = """
import itertools, sys, threading, time
import numpy
import xnp

x, reached = numpy.linspace(0.1, 0.9, 9), threading.Event()


def watch(frame, event, _):
    code = frame.f_code
    if reached.is_set() or event != "call":
        return
    if code.co_name == {stage!r} and {file!r} in code.co_filename:
        reached.set()
        time.sleep(0.05)


def work():
    sys.setprofile(watch)
    for k in itertools.count():
        xnp.jit(lambda x: xnp.sum(xnp.sin(x) * k))(x)


kept = xnp.jit(xnp.cos)
kept(x)
threading.Thread(target=work, daemon=True).start()
assert reached.wait(60)
"""


@pytest.mark.parametrize(
    ("file", "stage"), [("lower_mlir", "visit"), ("native", "_optimized"), ("native", "_link")]
)
def test_the_process_ends_while_a_daemon_thread_compiles(file, stage):
    """It waits for a compiler that is at work, and for no lock of a thread that was stopped."""
    done = subprocess.run(
        [sys.executable, "-c", END.format(file=file, stage=stage)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XNP_CACHE_DIR": "off"},
    )
    assert (done.returncode, done.stderr) == (0, "")


class Box:
    def __init__(self):
        self.__dict__.update({f"a{i}": float(i) for i in range(100)})


def change_dict(d, k):
    d[k % 50 + 300] = 1.0
    d.pop((k + 25) % 50 + 300, None)


def change_set(s, k):
    s.add(k % 50 + 300)
    s.discard((k + 25) % 50 + 300)


def change_deque(d, k):
    d.append(1.0)
    d.pop()


def change_box(box, k):
    setattr(box, f"b{k % 50}", k)
    box.__dict__.pop(f"b{(k + 25) % 50}", None)


@pytest.mark.parametrize(
    ("container", "read", "change"),
    [
        (dict.fromkeys(range(100), 1.0), lambda d: d[0], change_dict),
        (set(map(float, range(100))), lambda s: 1.0 in s, change_set),
        (collections.deque([1.0] * 100), lambda d: d[0], change_deque),
        (Box(), lambda box: box.a1, change_box),
    ],
    ids=["dict", "set", "deque", "object"],
)
@pytest.mark.usefixtures("eager_switching")
def test_a_container_that_another_thread_changes(container, read, change):
    f = xnp.jit(lambda x: x * read(container))
    done = threading.Event()

    def run():
        k = 0
        while not done.is_set():
            k += 1
            change(container, k)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert f(2.0) == 2.0
    finally:
        done.set()
        thread.join()
