"""Sizes within tuples, lists, dicts and slices, as shapes, indices and parameters hold them: which
symbols they have, and other sizes in the place of those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import dims
from .size_bounds import Symbol


def symbols_of(value: Any) -> set[Symbol]:
    """The symbols in a size, or in the sizes that a tuple, list, dict or slice holds."""
    if type(value) is dims.Dim:
        return value.symbols()
    found: set[Symbol] = set()
    for x in _items(value):
        if type(x) is not int:
            found |= symbols_of(x)
    return found


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, slice):
        return (value.start, value.stop, value.step)
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, (tuple, list)) else ()


def with_sizes(value: Any, change: Callable[[dims.Dim], Any]) -> Any:
    """The same with ``change(size)`` for each symbolic size, within tuples, lists, dicts, slices
    and Programs.
    """
    if type(value) is dims.Dim:
        return change(value)
    if type(value) is slice:
        return slice(*(with_sizes(x, change) for x in _items(value)))
    if type(value) in (tuple, list):
        return type(value)(with_sizes(x, change) for x in value)
    if type(value) is dict:
        return {name: with_sizes(x, change) for name, x in value.items()}
    if hasattr(value, "with_sizes"):  # a Program
        return value.with_sizes(change)
    return value


def substituted(value: Any, values: Mapping[Any, Any]) -> Any:
    """The same with numbers (or other sizes) for the symbols, as `Dim.evaluate`."""
    return with_sizes(value, lambda dim: dim.evaluate(values))


def hinted(value: Any) -> Any:
    """A shape or an index with the hints in place of its symbolic sizes; nothing is noted."""
    if not dims.in_use:
        return value
    return substituted(value, _Hints())


def settled(value: Any) -> Any:
    """With what the guards so far say that symbols equal in their place."""
    return substituted(value, _Solutions())


class _Hints(dict[Symbol, Any]):
    """The hint of every symbol."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, symbol: Symbol) -> Any:
        return symbol.hint


class _Solutions(_Hints):
    """What the guards say that every symbol equals."""

    def __missing__(self, symbol: Symbol) -> Any:
        return dims.solution(symbol)


def key_of(x: Any) -> Any:
    """A structural key of a size, or of a tuple of sizes, for a dict."""
    if type(x) is dims.Dim:
        return x.key
    return tuple(map(key_of, x)) if type(x) is tuple else x


class SizeKey:
    """A size as the argument of a cached function: hashing a `Dim` itself would fix its number."""

    __slots__ = ("key", "size")

    def __init__(self, size: dims.Size) -> None:
        self.size, self.key = size, key_of(size)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: Any) -> bool:
        return type(other) is SizeKey and self.key == other.key
