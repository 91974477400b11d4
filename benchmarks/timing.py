"""Times contenders in turns, in one process, so that they meet the same machine."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

ROUNDS = 15
ROUND_SECONDS = 0.02  # of each contender in each round


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    """Seconds a call, as the mean of ``repeats``."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def repeats_for(call: Callable[[], Any]) -> int:
    """How many calls take about a round's time."""
    call()
    return max(1, int(ROUND_SECONDS / max(seconds_of(call, 1), seconds_of(call, 3), 1e-9)))


def interleaved(contenders: Mapping[str, Callable[[], Any]]) -> dict[str, tuple[float, float]]:
    """For each contender the median of its seconds a call, and the median over the rounds of the
    ratio to the first contender.
    """
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
        name: (
            statistics.median(seconds),
            statistics.median(s / f for s, f in zip(seconds, first, strict=True)),
        )
        for name, seconds in rounds.items()
    }
