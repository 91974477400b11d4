"""One group of problems: prints times and ratios; fails if a target is missed or results differ."""

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

import numpy
import pyperf

from xnp.testing.vectors import leaves_of

from . import compile_time, eager, elementwise, loops, networks, reductions, stencils
from .problem import BEST_PEER, Contenders, OwnTime, Problem
from .timing import Timing, interleaved, ratio_of

GROUPS = {
    "eager": eager.PROBLEMS,
    "jit": [
        *elementwise.PROBLEMS,
        *reductions.PROBLEMS,
        *stencils.PROBLEMS,
        *networks.PROBLEMS,
        *loops.PROBLEMS,
        *compile_time.PROBLEMS,
    ],
    "training": networks.PROBLEMS_WITH_ONE_THREAD,
}
LIBRARIES = ("xnp", "numpy", "scipy", "llvmlite", "autograd", "jax", "jaxlib")
COMPILERS = ("numba", "numexpr", "torch")


def versions(group: str) -> str:
    parts = [f"Python {platform.python_version()}", platform.machine()]
    blas = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    parts += [f"{os.cpu_count()} cores, BLAS threads: {blas}"]
    if kind := os.environ.get("OPENBLAS_CORETYPE"):
        parts.append(f"OPENBLAS_CORETYPE={kind}")
    for name in LIBRARIES if group == "eager" else LIBRARIES + COMPILERS:
        try:
            parts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            parts.append(f"no {name}")
    return ", ".join(parts)


def threads() -> str:
    """How many threads each library has, of those that tell."""
    asked = {
        "xnp": "xnp.runtime.threads:threads",
        "numba": "numba:get_num_threads",
        "numexpr": "numexpr:get_num_threads",
        "torch": "torch:get_num_threads",
    }
    found = []
    for name, place in asked.items():
        module, _, function = place.partition(":")
        ask = getattr(sys.modules.get(module), function, None)
        if ask is not None:
            found.append(f"{name} {ask()}")
    return f"threads: {', '.join(found) or 'not asked'}; load {os.getloadavg()[0]:.1f}"


def first_results(problem: Problem) -> tuple[Contenders, dict[str, Any]]:
    """The contenders that can do it, and their results. A peer that cannot is reported."""
    contenders, results = problem.make(), {}
    for name, call in list(contenders.items()):
        try:
            result = call()
            results[name] = result.result if isinstance(result, OwnTime) else result
        except Exception as error:  # noqa: BLE001 - whatever a library says about our program
            lines = str(error).strip().splitlines() or [""]
            print(f"  {name} FAILED: {type(error).__name__}: {lines[0]:.200}")
            del contenders[name]
    return contenders, results


def check_equal(problem: Problem, results: Mapping[str, Any]) -> None:
    """Results that are compared in time are the same."""
    reference, *others = results
    ours = leaves_of(results[reference])
    for name in others:
        for a, b in zip(leaves_of(results[name]), ours, strict=True):
            a, b = numpy.asarray(a), numpy.asarray(b)
            message = f"{problem.name}: {name} and {reference} disagree"
            scale = float(numpy.max(numpy.abs(b), initial=1e-3))
            tolerance = problem.tolerance
            numpy.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance * scale, err_msg=message
            )


def judged(problem: Problem, timings: Mapping[str, Timing]) -> bool:
    """Prints the lines of a problem; whether all its targets are met."""
    first, *others = timings
    best = min(others, key=lambda name: timings[name].seconds, default=None)
    met = True
    for name, timing in timings.items():
        line = f"  {name:14} {timing.seconds * 1e6:12.2f} us ±{timing.spread:4.0%}"
        limits = [(problem.targets.get(name), name)]
        if name == best:
            limits.append((problem.targets.get(BEST_PEER), BEST_PEER))
        if name != first:
            ratio = ratio_of(timings[first], timing)
            line += f"   {first} takes {ratio:6.3f} of it"
            line += f" ({timings[first].fastest / timing.fastest:.3f} of the fastest)"
            for limit, what in limits:
                if limit is not None:
                    good = ratio <= limit
                    met &= good
                    line += f", target {limit:.3g}{' as ' + what if what != name else ''}"
                    line += "" if good else ": MISSED"
        elif problem.seconds is not None:
            good = timing.seconds <= problem.seconds
            met &= good
            line += f"   target {problem.seconds} s{'' if good else ': MISSED'}"
        print(line, flush=True)
    return met


def run(problem: Problem, measured: list[pyperf.Benchmark]) -> bool:
    """Measures a problem; whether all its targets are met."""
    print(f"\n{problem.name}", flush=True)
    contenders, results = first_results(problem)
    if not contenders:
        return True  # something to measure it with is not installed, and has been named
    if "xnp" not in contenders:
        return False
    check_equal(problem, results)
    timings = interleaved(problem.name, contenders)
    measured += [timing.benchmark for timing in timings.values()]
    return judged(problem, timings)


def save(path: str, measured: list[pyperf.Benchmark]) -> None:
    """Adds to the file."""
    if os.path.exists(path):
        measured = [*pyperf.BenchmarkSuite.load(path).get_benchmarks(), *measured]
    pyperf.BenchmarkSuite(measured).dump(path, replace=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.group", description=__doc__)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json")
    options = parser.parse_args()
    words = options.words
    problems = [
        p for p in GROUPS[options.group] if not words or any(word in p.name for word in words)
    ]
    if not problems:
        print(f"{options.group}: no such problem")
        return 0
    print(f"\n{options.group}: {versions(options.group)}, load {os.getloadavg()[0]:.1f}")
    measured: list[pyperf.Benchmark] = []
    missed = [problem.name for problem in problems if not run(problem, measured)]
    if options.json and measured:
        save(options.json, measured)
    print(f"\n{options.group}: {threads()}")
    print(f"{options.group}: {len(problems) - len(missed)} of {len(problems)} met")
    for name in missed:
        print(f"  missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
