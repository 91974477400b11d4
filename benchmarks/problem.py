"""What is measured: problems, and for each the contenders."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Functions of no arguments, by the library's name, that return what must agree.
Contenders = dict[str, Callable[[], Any]]

BEST_PEER = "best peer"


@dataclass(frozen=True)
class Problem:
    """One table of the report.

    ``make`` makes the contenders, of which the first is the one that is judged. ``targets``: the
    most that its time may be of another's, or of the fastest of all others (`BEST_PEER`).
    ``seconds``: the most that it may take.
    """

    name: str
    make: Callable[[], Contenders]
    targets: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    tolerance: float = 1e-9  # relative; how far the results may differ


@dataclass(frozen=True)
class OwnTime:
    """What a contender returns that measures itself: a process tells what it took inside."""

    seconds: float
    result: Any
