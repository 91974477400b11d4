"""Lists, dicts and nodes among the arguments: whether a function writes to them.

It is recorded on copies of them, whose leaves are traced. What a compiled function writes back are
elements of arrays, so one that changes what a container holds cannot be recorded.
"""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

from ..autodiff import trees
from ..autodiff.errors import MutationError
from .signature import STATIC, Call, is_tree, leaf_type


class ContainerWriteError(MutationError):
    """A function that is recorded has written to a container among its arguments."""


class Containers:
    """Those among the arguments that a function is recorded with, as they are before it runs."""

    def __init__(self, call: Call, args: Iterable[Any], kwargs: dict[str, Any]) -> None:
        self._before: list[tuple[int | str, Any, list[Any]]] = []
        for place, arg in (*enumerate(args), *kwargs.items()):
            if call.modes(place) != STATIC:
                self._before += [(place, x, _contents(x)) for x in _containers(arg)]

    def check(self, names: list[str]) -> None:
        """ContainerWriteError if one holds something else now; ``names``: of the parameters."""
        places = {**dict(enumerate(names)), **{name: name for name in names}}
        for place, x, before in self._before:
            now = _contents(x)
            if len(now) != len(before) or any(a is not b for a, b in zip(now, before, strict=True)):
                name = places.get(place, "its arguments")
                raise ContainerWriteError(
                    f"it writes to {name}: a {type(x).__name__} holds other keys or items after "
                    "the call, and compiled code writes to elements of arrays only. Copy it first "
                    "(p = dict(p), l = [*l]) and return the new one."
                )


def _containers(tree: Any) -> Iterator[Any]:
    """All that a tree consists of but its leaves."""
    if leaf_type(tree) is not None or not is_tree(tree):
        return
    yield tree
    for child in _children(tree):
        yield from _containers(child)


def _children(x: Any) -> Iterable[Any]:
    if type(x) in (list, tuple):
        return x
    if type(x) is dict:
        return x.values()
    node = trees.one_level(x)
    return () if node is None else node[0]


def _contents(x: Any) -> list[Any]:
    """Keys, items and attributes, to be compared by identity."""
    found: list[Any] = []
    if isinstance(x, dict):
        found += [*x, *x.values()]
    elif isinstance(x, (list, tuple, collections.deque)):
        found += x
    cls: Any = type(x)
    for name, value in getattr(x, "__dict__", {}).items():
        # What is computed once for every object is computed for each copy.
        if not isinstance(getattr(cls, name, None), functools.cached_property):
            found += [name, value]
    return found + [value for _, value in slots_of(x)]


MISSING: Any = object()


def slots_of(x: Any) -> Iterator[tuple[str, Any]]:
    """The attributes of an object that have places of their own; MISSING where there is none."""
    for cls in type(x).__mro__:
        if "__slots__" in vars(cls):
            for name, member in vars(cls).items():  # of __rate in S the name is _S__rate
                if type(member) is types.MemberDescriptorType:
                    yield name, getattr(x, name, MISSING)
