"""An `Environment`'s probes as watches, which the native call path looks at by itself."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from . import probes as known
from .containers import MISSING
from .entry_signature import (
    ABSENT,
    WatchAttribute,
    WatchCall,
    WatchCell,
    WatchContents,
    WatchItem,
)


def watches_of(probes: Iterable[known.Probe]) -> list[Any]:
    """For each probe a watch that says the same; one the native path does not know calls it."""
    return [_watch(get, name, wanted) for get, name, wanted in probes]


def _watch(get: Any, name: Any, wanted: Any) -> Any:
    expected = ABSENT if wanted is MISSING else wanted
    if get is known.cell_contents:
        return WatchCell(name, expected)
    if get is len:  # of an empty dict
        return WatchContents(name, {})
    owner = getattr(get, "__self__", None)
    if type(owner) is dict and get == owner.get:
        return WatchItem(owner, name, expected)
    if type(get) is functools.partial and len(get.args) == 1 and not get.keywords:
        (owner,) = get.args
        if get.func in (getattr, known.attribute):
            return WatchAttribute(owner, name, expected)
        if get.func is known.is_missing and type(owner) is dict:
            return WatchItem(owner, name, ABSENT)
        if get.func is known.same_dict and type(owner) is dict:
            return WatchContents(owner, name)
        if get.func is known.same_items and type(owner) is list:
            return WatchContents(owner, name)
    return WatchCall(lambda: get(name) is wanted)
