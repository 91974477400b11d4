"""Prints each problem's times and ratios; fails if a target is missed or results disagree."""

import argparse
import importlib.metadata
import os
import platform
import sys

import numpy
import pyperf

from xnp.testing.vectors import leaves_of

from .problems import PROBLEMS, Problem
from .timing import interleaved


def versions() -> str:
    parts = [f"Python {platform.python_version()}", platform.machine(), f"{os.cpu_count()} cores"]
    for name in ("xnp", "numpy", "autograd", "jax", "jaxlib"):
        try:
            parts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            parts.append(f"no {name}")
    return ", ".join(parts)


def check_equal(problem: Problem, results: dict) -> None:
    """Results that are compared in time are the same."""
    ours = leaves_of(results["xnp"])
    for name, result in results.items():
        for a, b in zip(leaves_of(result), ours, strict=True):
            a, b = numpy.asarray(a), numpy.asarray(b)
            message = f"{problem.name}: {name} and xnp disagree"
            numpy.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=message)


def run(problem: Problem, measured: list[pyperf.Benchmark]) -> bool:
    """Prints one problem's lines; whether all its targets are met."""
    contenders = problem.make()
    check_equal(problem, {name: call() for name, call in contenders.items()})
    met = True
    print(f"\n{problem.name}")
    for name, timing in interleaved(problem.name, contenders).items():
        measured.append(timing.benchmark)
        line = f"  {name:10} {timing.seconds * 1e6:12.1f} us"
        if name != "xnp":
            line += f"   xnp takes {timing.ratio:6.3f} of it"
            target = problem.targets.get(name)
            if target is not None:
                good = timing.ratio <= target
                line += f", target {target}{'' if good else ': MISSED'}"
                met &= good
        print(line, flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("words", nargs="*", help="only the problems whose names have such a word")
    parser.add_argument("--json", help="a file for pyperf (pyperf compare_to, pyperf hist)")
    options = parser.parse_args()
    words = options.words
    chosen = [p for p in PROBLEMS if not words or any(word in p.name for word in words)]
    if not chosen:
        parser.error("no such problem; there are: " + "; ".join(p.name for p in PROBLEMS))
    print(versions())
    measured: list[pyperf.Benchmark] = []
    met = [run(problem, measured) for problem in chosen]
    if options.json:
        pyperf.BenchmarkSuite(measured).dump(options.json, replace=True)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
