"""Tokens of objects that compare as their classes say."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from .signature import typed_key


def is_hashable(x: Any) -> bool:
    if type(x).__hash__ in (None, object.__hash__):
        return False
    try:
        hash(x)
    except (TypeError, ValueError, RuntimeError):  # a list or traced value in it, a memoryview
        return False
    return True


class Equal:
    """Compares as the object does; a user's __eq__ may raise or give anything."""

    __slots__ = ("hash", "x")

    def __init__(self, x: Any) -> None:
        self.x, self.hash = x, hash(x)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if type(other) is not Equal:
            return False
        try:
            return self.x is other.x or bool(self.x == other.x)
        except Exception:  # noqa: BLE001 - a user's: identity counts
            return False


def name_key(key: Any) -> Hashable:
    return key if type(key) is str else typed_key(key)
