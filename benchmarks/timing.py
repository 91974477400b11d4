"""Times contenders in turns, in one process, so that they meet the same machine.

pyperf's own runner gives each benchmark processes of its own, one benchmark after the other; on a
shared machine the ratio of two such runs says little. So the turns are ours, and the values go into
pyperf's objects, which have the statistics, the metadata and the file format.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyperf

from .problem import OwnTime

ROUNDS = 15
FEWEST_ROUNDS = 5
PROBLEM_SECONDS = 12.0  # fewer rounds of what takes longer
ROUND_SECONDS = 0.02  # of each contender in each round
# Threads of the contender before still wait awake for more: BLAS for 25 ms, OpenMP for a few.
PAUSE_SECONDS = 0.03
# How much longer to wait for other work on the machine to end; Linux tells how much there is.
PATIENCE_SECONDS = 0.07
RUNNING = Path("/proc/stat")


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    """Seconds a call, as the mean of ``repeats``."""
    result = None
    start = pyperf.perf_counter()
    for _ in range(repeats):
        result = call()
    seconds = (pyperf.perf_counter() - start) / repeats
    return result.seconds if isinstance(result, OwnTime) else seconds


def repeats_for(call: Callable[[], Any]) -> tuple[int, float]:
    """How many calls take about a round's time, and how long one takes."""
    seconds = seconds_of(call, 1)
    if seconds > ROUND_SECONDS:
        return 1, seconds
    seconds = max(min(seconds, seconds_of(call, 3)), 1e-9)
    return max(1, int(ROUND_SECONDS / seconds)), seconds


@dataclass(frozen=True)
class Timing:
    """What one contender took."""

    benchmark: pyperf.Benchmark
    rounds: list[float]  # seconds a call, of each round

    @property
    def seconds(self) -> float:
        """The median."""
        return self.benchmark.median()

    @property
    def fastest(self) -> float:
        """The fastest round: what other work on the machine disturbed least."""
        return min(self.rounds)

    @property
    def spread(self) -> float:
        """Half the range of the middle half of the rounds, of the median."""
        low, _, high = statistics.quantiles(self.rounds, n=4)
        return (high - low) / 2 / self.seconds


def ratio_of(mine: Timing, other: Timing) -> float:
    """The median over the rounds of my time to the other's."""
    return statistics.median(a / b for a, b in zip(mine.rounds, other.rounds, strict=True))


def interleaved(title: str, contenders: Mapping[str, Callable[[], Any]]) -> dict[str, Timing]:
    """The timing of each contender."""
    plans = {name: repeats_for(call) for name, call in contenders.items()}
    once = sum(repeats * seconds + PAUSE_SECONDS for repeats, seconds in plans.values())
    count = min(ROUNDS, max(FEWEST_ROUNDS, int(PROBLEM_SECONDS / once)))
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(count):
            for name in order:
                rounds[name].append(_turn(contenders[name], *plans[name]))
            order.reverse()  # nobody is always first after the others' garbage
            gc.collect()
    finally:
        if was_enabled:
            gc.enable()
    return {
        name: Timing(_benchmark(f"{title}: {name}", plans[name][0], seconds), seconds)
        for name, seconds in rounds.items()
    }


def _turn(call: Callable[[], Any], repeats: int, seconds: float) -> float:
    time.sleep(PAUSE_SECONDS)
    _wait_for_quiet()
    if seconds < ROUND_SECONDS:
        call()  # wakes threads, fills caches
    return seconds_of(call, repeats)


def _wait_for_quiet() -> None:
    end = time.perf_counter() + PATIENCE_SECONDS
    while RUNNING.exists() and time.perf_counter() < end:
        counts = dict(line.split(" ", 1) for line in RUNNING.read_text().splitlines())
        if int(counts.get("procs_running", 0)) <= 1:
            return
        time.sleep(0.005)


def _benchmark(name: str, loops: int, seconds: list[float]) -> pyperf.Benchmark:
    metadata = {"name": name, "loops": loops, "unit": "second"}
    return pyperf.Benchmark([pyperf.Run(seconds, metadata=metadata, collect_metadata=False)])
