"""The static objects that a recording was made for, and keeps alive only where it must."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from .containers import slots_of
from .tokens import is_hashable

_HEAP_TYPE = 1 << 9  # in the flags of a class that Python code made


class Held:
    """``weak`` are references to those that may die, by id; ``strong`` the others."""

    __slots__ = ("ids", "strong", "weak")

    def __init__(self, objects: Sequence[Any]) -> None:
        self.ids = list(map(id, objects))
        self.weak = {id(x): weakref.ref(x) for x in objects if can_die(x)}
        self.strong = [x for x in objects if id(x) not in self.weak]

    def are(self, objects: Sequence[Any]) -> bool:
        """Whether they are these very objects."""
        return self.ids == list(map(id, objects)) and (not self.weak or self.alive())

    def alive(self) -> bool:
        return all(reference() is not None for reference in self.weak.values())


def can_die(x: Any) -> bool:
    """Whether an object is looked at by its attributes only, which do not keep it alive."""
    kind: Any = type(x)
    return (
        all(cls is object or cls.__flags__ & _HEAP_TYPE for cls in kind.__mro__)
        and kind.__weakrefoffset__ != 0
        and (kind.__eq__ is object.__eq__ or not is_hashable(x))
        and type(getattr(x, "__dict__", None)) is dict
        and not isinstance(x, type)
        and not hasattr(kind, "_environment_parts")
        and next(slots_of(x), None) is None
    )
