"""How many threads a process should use: what the user says, else what the system grants."""

from __future__ import annotations

import math
import os

from ..autodiff.errors import warn_user

_DIGITS = 18  # of a number that are read: more are as good as these


def default_threads() -> int:
    """The first number of OMP_NUM_THREADS, else the CPUs this process may use. At least 1.

    A value of OMP_NUM_THREADS that is no positive number is ignored with a RuntimeWarning.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if not asked.strip():
        return available_cpus()
    first = asked.split(",")[0].strip()  # the others are for nested regions
    if first.isdecimal() and (number := int(first[:_DIGITS])) > 0:
        return number
    warn_user(
        f"OMP_NUM_THREADS={asked!r:.60} is ignored: it should begin with a positive number",
        RuntimeWarning,
    )
    return available_cpus()


def available_cpus(root: str = "/") -> int:
    """CPUs in the process's affinity, or fewer where its control group grants less time.

    A quota of 1.5 CPUs is worth two threads: they are not always both at work. ``root`` is where
    ``proc`` and ``sys`` are found.
    """
    knows = hasattr(os, "sched_getaffinity")
    cpus = len(os.sched_getaffinity(0)) if knows else os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, _quota(root))))


def _quota(root: str) -> float:
    """CPUs' worth of time that the control groups grant, infinite without a bound.

    A group is bound by those above it too. In a container, the path that /proc names may lie
    outside of what is mounted; the mount's root is then the container's own group.
    """
    least = math.inf
    for controllers, path in _groups(os.path.join(root, "proc/self/cgroup")):
        if controllers == "":
            mount, read = "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = "sys/fs/cgroup/cpu", _quota_v1
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            least = min(least, read(os.path.join(root, mount, *parts[:depth])))
    return least


def _groups(file: str) -> list[tuple[str, str]]:
    """(controllers, path) of each line ``number:controllers:path``."""
    lines = [line.split(":", 2) for line in _text(file).splitlines()]
    return [(fields[1], fields[2]) for fields in lines if len(fields) == 3]


def _quota_v2(folder: str) -> float:
    return _ratio(_text(os.path.join(folder, "cpu.max")).split())  # "max 100000" or "50000 100000"


def _quota_v1(folder: str) -> float:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # a quota of -1 is none
    return _ratio([_text(os.path.join(folder, name)).strip() for name in names])


def _ratio(fields: list[str]) -> float:
    if len(fields) != 2 or not all(field.isdecimal() and int(field) > 0 for field in fields):
        return math.inf
    return int(fields[0]) / int(fields[1])


def _text(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except OSError:  # no such controller
        return ""
