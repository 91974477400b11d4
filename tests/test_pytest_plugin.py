"""The pytest plugin, in a pytest of its own, and what importing `xnp.testing` loads."""

import subprocess
import sys

PROGRAM = """
import numpy
import xnp as np

def test_right(check_grads):
    check_grads(np.tanh, (numpy.ones(3),))

def test_wrong(check_grads):
    check_grads(lambda x: x * np.stop_gradient(x), (numpy.ones(3),))

def test_each_test_has_its_own_seed(check_grads, request):
    assert check_grads.keywords["seed"] != 0
"""


def run_python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_fixture(tmp_path):
    (tmp_path / "test_mine.py").write_text(PROGRAM)
    options = ["-p", "xnp.testing.pytest_plugin", "-p", "no:cacheprovider", "-q"]
    done = run_python("-m", "pytest", *options, cwd=tmp_path)
    assert "2 passed" in done.stdout
    assert "1 failed" in done.stdout
    assert "elements are off" in done.stdout


def test_xnp_testing_loads_neither_hypothesis_nor_numpy_testing(tmp_path):
    code = "import sys, xnp.testing; print(*sys.modules)"
    loaded = run_python("-c", code, cwd=tmp_path).stdout.split()
    assert "xnp.testing.check_grads" in loaded
    assert not {"hypothesis", "pytest", "numpy.testing"} & set(loaded)
