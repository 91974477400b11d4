"""Times contenders in turns, in one process, so that they meet the same machine.

pyperf's own runner gives each benchmark processes of its own, one benchmark after the other; on a
shared machine the ratio of two such runs says little. So the turns are ours, and the values go into
pyperf's objects, which have the statistics, the metadata and the file format.
"""

import gc
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyperf

ROUNDS = 15
ROUND_SECONDS = 0.02  # of each contender in each round


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    """Seconds a call, as the mean of ``repeats``."""
    start = pyperf.perf_counter()
    for _ in range(repeats):
        call()
    return (pyperf.perf_counter() - start) / repeats


def repeats_for(call: Callable[[], Any]) -> int:
    """How many calls take about a round's time."""
    call()
    return max(1, int(ROUND_SECONDS / max(seconds_of(call, 1), seconds_of(call, 3), 1e-9)))


@dataclass(frozen=True)
class Timing:
    """What one contender took."""

    benchmark: pyperf.Benchmark
    ratio: float  # of the first contender's seconds to this one's, median over the rounds

    @property
    def seconds(self) -> float:
        """The median."""
        return self.benchmark.median()


def interleaved(title: str, contenders: Mapping[str, Callable[[], Any]]) -> dict[str, Timing]:
    """The timing of each contender."""
    repeats = {name: repeats_for(call) for name, call in contenders.items()}
    rounds: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for name in order:
                rounds[name].append(seconds_of(contenders[name], repeats[name]))
            order.reverse()  # nobody is always first after the others' garbage
            gc.collect()
    finally:
        if was_enabled:
            gc.enable()
    first = rounds[next(iter(contenders))]
    return {
        name: Timing(
            pyperf.Benchmark([_run(f"{title}: {name}", repeats[name], seconds)]),
            statistics.median(f / s for s, f in zip(seconds, first, strict=True)),
        )
        for name, seconds in rounds.items()
    }


def _run(name: str, loops: int, seconds: list[float]) -> pyperf.Run:
    metadata = {"name": name, "loops": loops, "unit": "second"}
    return pyperf.Run(seconds, metadata=metadata, collect_metadata=False)
