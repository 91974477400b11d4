"""`import xnp` is light: it loads no optional or heavy library and costs little more than NumPy."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "cupy",
    "hypothesis",
    "jax",
    "libtpu",
    "llvmlite",
    "matplotlib",
    "mlir",
    "mpi4py",
    "optree",
    "pypjrt",
    "pytest",
    "scipy",
    "sklearn",
}
MAX_COST_RATIO = 1.5

# CPU time, so that other processes count little; the start of the interpreter is not in it.
TIMED_IMPORT = """
import time
start = time.process_time()
import {module}
print(time.process_time() - start)
"""


def run_python(code: str, folder: Path) -> str:
    """Run `code` in a new interpreter, in an empty folder, and return what it prints."""
    environment = dict(os.environ)
    # Bytecode is cached as on a user's machine, and BLAS threads do not spin on our clock.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["OPENBLAS_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,  # the assertion shows what it printed
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def import_cost(module: str, folder: Path) -> float:
    return float(run_python(TIMED_IMPORT.format(module=module), folder))


def test_import_loads_no_heavy_library(tmp_path):
    loaded = run_python("import sys, xnp; print(*sys.modules)", tmp_path).split()
    assert not HEAVY & {name.partition(".")[0] for name in loaded}


def test_import_costs_little_more_than_numpy(tmp_path):
    """Minima of interleaved runs; more runs only while the ratio is too high."""
    run_python("import xnp", tmp_path)  # writes the bytecode
    numpy_cost = xnp_cost = float("inf")
    for repeat in range(25):
        numpy_cost = min(numpy_cost, import_cost("numpy", tmp_path))
        xnp_cost = min(xnp_cost, import_cost("xnp", tmp_path))
        if repeat >= 4 and xnp_cost <= MAX_COST_RATIO * numpy_cost:
            return
    raise AssertionError(
        f"importing xnp takes {xnp_cost:.3f} s of CPU time, numpy {numpy_cost:.3f} s; "
        "see what is slow with: python -X importtime -c 'import xnp'"
    )
