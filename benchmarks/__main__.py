"""Runs the groups of problems, each in a process of its own, with the threads it is to have."""

import argparse
import os
import subprocess
import sys

# What is set before NumPy is loaded. Without compiling, the work around the kernels is compared,
# and threads that wait for busy cores would drown it: one thread for BLAS. Compiled, all cores.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "XNP_CACHE_DIR": "off",  # what is called a first call compiles
    # OpenMP's threads (numba's, torch's) else wait awake, and where other work has the second core
    # a parallel loop of theirs takes a time slice of 8 ms.
    "OMP_WAIT_POLICY": "PASSIVE",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of idle processes
}
# NumPy and SciPy have an OpenBLAS each, with threads that wait awake: an optimiser of SciPy's that
# calls a function of NumPy's on two cores spends most of its time waiting for time slices.
GROUPS = {"eager": ONE_THREAD, "jit": {}, "training": {"OPENBLAS_NUM_THREADS": "1"}}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("words", nargs="*", help="only the problems whose names have such a word")
    parser.add_argument("--group", choices=GROUPS, action="append", help="only this group")
    parser.add_argument("--json", help="a file for pyperf (pyperf compare_to, pyperf hist)")
    options = parser.parse_args()
    if options.json and os.path.exists(options.json):
        os.remove(options.json)
    codes = []
    for group in options.group or GROUPS:
        command = [sys.executable, "-m", "benchmarks.group", group, *options.words]
        if options.json:
            command += ["--json", options.json]
        environment = os.environ | SETTINGS | GROUPS[group]
        codes.append(subprocess.run(command, env=environment, check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
