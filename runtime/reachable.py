"""Which objects the code may look at, of all that can be reached: not attributes whose names stand
in no code that may run.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .code_reads import loads


class Edge(NamedTuple):
    """From one object to another, by their ids: as the attribute ``name``, or in another way."""

    source: int
    target: int
    name: str | None


def readable(edges: Sequence[Edge], functions: Iterable[types.FunctionType]) -> set[int]:
    """The ids of what functions among the reached may read, starting at the source 0."""
    code_of = {id(f): f.__code__ for f in functions}
    names: set[str] = set()
    while True:
        found = _reached(edges, names)
        more = {name for i in found & code_of.keys() for name in loads(code_of[i])}
        if more & _ANY:
            return _reached(edges, None)
        if more <= names:
            return found
        names |= more


def _reached(edges: Sequence[Edge], names: set[str] | None) -> set[int]:
    """From the source 0 through attributes with these names; None: all."""
    following: dict[int, list[int]] = {}
    for source, target, name in edges:
        if name is None or names is None or name in names or _is_implicit(name):
            following.setdefault(source, []).append(target)
    found, waiting = {0}, [0]
    while waiting:
        new = [x for x in following.get(waiting.pop(), ()) if x not in found]
        found.update(new)
        waiting += new
    return found


def _is_implicit(name: str) -> bool:
    """Whether Python calls a method without its name."""
    return name.startswith("__") and name not in _OF_THE_WHOLE


# What read attributes by names that stand nowhere.
_ANY = frozenset(
    {
        *("getattr", "vars", "__dict__", "__getattribute__", "attrgetter", "methodcaller"),
        *("asdict", "astuple", "locals", "eval", "exec", "__slots__", "getmembers", "copy"),
        *("deepcopy", "pickle", "repr", "tree_leaves", "tree_flatten", "tree_map"),
    }
)
# Methods that read all attributes of an object, and not to compute with them.
_OF_THE_WHOLE = frozenset(
    {
        *("__repr__", "__str__", "__format__", "__eq__", "__ne__", "__hash__", "__sizeof__"),
        *("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__copy__"),
        *("__deepcopy__", "__replace__"),
    }
)
