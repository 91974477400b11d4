"""Where the time of compiled functions goes: each run of a kernel, as a table and as a trace.

Executables ask `active` before they take the time of a kernel, and report it by `record`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from types import TracebackType
from typing import NamedTuple

from ..autodiff.core import running


class Record(NamedTuple):
    """One run of a kernel; times as of ``time.perf_counter_ns``."""

    name: str
    begin_ns: int
    end_ns: int
    bytes: int
    operations: int
    thread: int


class Profile:
    """The runs of kernels while it was entered: ``records``, `table`, `save`. See `profile`."""

    def __init__(self, show: bool = True) -> None:
        self.records: list[Record] = []
        self._show = show
        self._start_ns = 0

    def __enter__(self) -> Profile:
        with _lock:
            if any(one is self for one in _active):
                raise RuntimeError("this profile is being taken already; make another: profile()")
            self._start_ns = self._start_ns or time.perf_counter_ns()
            _set_active((*_active, self))
            running[-id(self)] = None  # the native call path takes no times
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _lock:
            _set_active(tuple(one for one in _active if one is not self))
            running.pop(-id(self), None)
        if self._show:
            print(self.table())  # noqa: T201 - asked for by show=True

    def __repr__(self) -> str:
        return f"<profile of {len(self.records)} kernel runs>"

    def table(self) -> str:
        """A line for each kernel, the costliest first; rates count bytes and operations once."""
        if not self.records:
            return "profile: no compiled kernel has run"
        rows = [("kernel", "calls", "total ms", "ms/call", "GB/s", "GFLOP/s")]
        rows += [_row(name, records) for name, records in self._by_kernel()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(_line(row, widths) for row in rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Chrome trace, which chrome://tracing and ui.perfetto.dev show.

        Raises OSError where the file cannot be written.
        """
        events = [self._event(record) for record in self.records]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)

    def _by_kernel(self) -> list[tuple[str, list[Record]]]:
        groups: dict[str, list[Record]] = {}
        for record in self.records:
            groups.setdefault(record.name, []).append(record)
        return sorted(groups.items(), key=lambda item: -_seconds(item[1]))

    def _event(self, record: Record) -> dict[str, object]:
        return {
            "name": record.name,
            "cat": "kernel",
            "ph": "X",
            "pid": os.getpid(),
            "tid": record.thread,
            "ts": (record.begin_ns - self._start_ns) / 1000,
            "dur": (record.end_ns - record.begin_ns) / 1000,
            "args": {"bytes": record.bytes, "operations": record.operations},
        }


def profile(show: bool = True) -> Profile:
    """Take the time of each kernel of the compiled functions that run inside a ``with``.

    At its end a table is printed: kernel, calls, milliseconds, the gigabytes it moved and the
    10^9 operations it did a second. ``records`` holds each run, `Profile.save` writes a Chrome
    trace. It is taken of all threads of the process; profiles may overlap. Functions run a little
    slower meanwhile.

    Args:
        show: print the table at the end.

    Example:

        >>> import xnp as np
        >>> with np.profile() as p:
        ...     pass
        profile: no compiled kernel has run
    """
    return Profile(show)


_lock = threading.Lock()
_active: tuple[Profile, ...] = ()  # replaced, never changed: readers take no lock


def active() -> bool:
    """Is anybody interested? Executables take no times otherwise."""
    return bool(_active)


def record(name: str, begin_ns: int, end_ns: int, bytes: int = 0, operations: int = 0) -> None:
    """Report one run of a kernel: its times by ``time.perf_counter_ns``, what it moved and did."""
    found = Record(name, begin_ns, end_ns, bytes, operations, threading.get_native_id())
    for one in _active:
        one.records.append(found)


def _set_active(profiles: tuple[Profile, ...]) -> None:
    global _active  # noqa: PLW0603 - entered and left by `with`
    _active = profiles


def _seconds(records: list[Record]) -> float:
    return sum(one.end_ns - one.begin_ns for one in records) / 1e9


def _row(name: str, records: list[Record]) -> tuple[str, ...]:
    seconds = _seconds(records)
    return (
        name,
        str(len(records)),
        f"{seconds * 1e3:.3f}",
        f"{seconds * 1e3 / len(records):.4f}",
        _rate(sum(one.bytes for one in records), seconds),
        _rate(sum(one.operations for one in records), seconds),
    )


def _rate(amount: int, seconds: float) -> str:
    return f"{amount / seconds / 1e9:.2f}" if amount and seconds else "-"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers = (
        text.ljust(width) if column == 0 else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([name, *numbers])
