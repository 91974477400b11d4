"""Packages that are loaded on first use are loaded whole, whenever an interrupt comes."""

import os
import subprocess
import sys
import threading

import pytest

from xnp.autodiff.loading import uninterrupted
from xnp.runtime import compile as compiler

INTERRUPTED = """
import importlib, os, signal, sys
import numpy
import xnp as np


class Interrupt:
    "Ctrl-C, in the middle of an import"

    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)


x = numpy.linspace(0.1, 0.9, 9)
sys.meta_path.insert(0, Interrupt())
try:
    {code}
    print("not interrupted")
except KeyboardInterrupt:
    pass
{code}
assert {module!r} in sys.modules
"""
SUM = "np.testing.assert_allclose(np.jit(lambda x: np.sum(np.sin(x)))(x), numpy.sin(x).sum())"
CASES = {
    "mlir._mlir_libs._mlirRegisterEverything": SUM,
    "llvmlite.binding.executionengine": SUM,
    "optree.ops": "np.vmap(lambda d: d['a'] * 2)({'a': x})",
}


def run_python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "XNP_CACHE_DIR": "off"},
    )


@pytest.mark.skipif(not compiler.is_available(), reason="there is no compiler here")
@pytest.mark.parametrize("module", CASES)
def test_an_interrupt_while_a_package_is_loaded(module):
    """It comes out, and the next call finds the package whole."""
    done = run_python(INTERRUPTED.format(module=module, code=CASES[module]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_interrupted_process_ends_when_the_package_is_loaded():
    code = """
import os, signal, time
from xnp.autodiff.loading import uninterrupted

@uninterrupted
def load():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    print("whole", flush=True)

load()
"""
    done = run_python(code)
    assert done.stdout == "whole\n"
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_threads_that_ask_at_once_get_one_result():
    started, free, results = threading.Event(), threading.Event(), []

    @uninterrupted
    def load():
        started.set()
        assert free.wait(60)
        return object()

    threads = [threading.Thread(target=lambda: results.append(load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(60)
    free.set()
    results.append(load())
    for thread in threads:
        thread.join(60)
    assert len(results) == 5
    assert len(set(map(id, results))) == 1


def test_one_may_load_another():
    outer = uninterrupted(lambda: inner() + 1)
    inner = uninterrupted(lambda: 1)
    assert outer() == 2


def test_an_error_is_raised_and_the_next_call_tries_again():
    results = iter([ImportError("not yet"), "loaded"])

    @uninterrupted
    def load():
        result = next(results)
        if isinstance(result, ImportError):
            raise result
        return result

    with pytest.raises(ImportError, match="not yet"):
        load()
    assert load() == load() == "loaded"


def test_without_threads_it_is_loaded_in_place(monkeypatch):
    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert uninterrupted(threading.current_thread)() is threading.main_thread()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_waits_for_what_is_being_loaded():
    """Else the child would wait for the import locks of a thread that it does not have."""
    started, free = threading.Event(), threading.Event()

    @uninterrupted
    def load():
        started.set()
        free.wait(60)
        return os.getpid()

    def work():
        assert started.wait(60)
        threading.Timer(0.1, free.set).start()
        pid = os.fork()
        if pid == 0:
            os._exit(load() != os.getppid())
        pids.append(pid)

    pids = []
    thread = threading.Thread(target=work)
    thread.start()
    load()
    thread.join(60)
    assert os.waitpid(pids[0], 0)[1] == 0
