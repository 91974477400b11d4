"""Sizes that vary from call to call: which of them a Program is recorded for symbolically.

Calls that differ in the sizes of their arrays only are a family. The second distinct size of a
dimension makes it a symbol: the function is recorded once more, for any size, and what was asked
about sizes meanwhile is kept as guards. Sizes 0 and 1, which broadcast, stay numbers.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ..autodiff.dims import is_symbolic
from ..autodiff.scopes import Scope
from .entries import Entry
from .signature import Call, Type
from .uncompiled import Uncompiled

MOST = 4  # symbolic Programs of one family, after which sizes are numbers again
SHAPES = 8  # that are remembered
FAILURES = 4  # after which it is no more tried to record


class Family:
    """The calls with one key but for sizes."""

    def __init__(self) -> None:
        self.shapes: list[list[tuple[Any, ...]]] = []
        self.entries: list[Entry | Uncompiled] = []
        self.uncompiled: Uncompiled | None = None  # where recording has failed, the last time
        self.failures = 0
        self.is_fixed = False  # the function takes its sizes for numbers
        self.why = ""  # as `explain` tells it

    def fail(self, entry: Uncompiled) -> None:
        """Notes that the function cannot be recorded."""
        self.uncompiled = entry
        self.entries = [entry, *self.entries][:MOST]
        self.failures += 1

    def found(self, call: Call) -> Entry | Uncompiled | None:
        """What serves a call, as far as a fast look tells."""
        if self.failures >= FAILURES:
            return self.uncompiled
        return next((entry for entry in self.fitting(call) if entry.serves(call)), None)

    def fitting(self, call: Call) -> list[Entry | Uncompiled]:
        return [entry for entry in self.entries if entry.fits(call)]

    def symbolic_types(self, call: Call) -> tuple[Scope, list[Type]] | None:
        """The types of a call's leaves with symbols for the sizes that vary; None if none do."""
        shapes = [t.shape for t in call.types]
        varying = [
            [self._varies(i, axis, size) for axis, size in enumerate(shape)]
            for i, shape in enumerate(shapes)
        ]
        self.shapes = [shapes, *self.shapes][:SHAPES]
        if self.is_fixed or not any(map(any, varying)) or len(self.entries) >= MOST:
            return None
        scope = Scope()
        types = []
        for t, flags in zip(call.types, varying, strict=True):
            dims = [
                scope.symbol(f"n{len(scope.symbols)}", size, 2) if varies else size
                for size, varies in zip(t.shape, flags, strict=True)
            ]
            types.append(t._replace(shape=tuple(dims)))
        return scope, types

    def _varies(self, leaf: int, axis: int, size: int) -> bool:
        """Whether a dimension has had another size."""
        sizes = {shapes[leaf][axis] for shapes in self.shapes} - {0, 1, size}
        return size > 1 and bool(sizes)


def key_without_sizes(call: Call) -> Hashable:
    """Calls with the same are of one family. Arrays in another order than C keep their sizes."""
    return tuple(
        token._replace(shape=(len(token.shape), None))
        if type(token) is Type and token.shape and token.strides is None
        else token
        for token in call.key
    )


def has_symbolic_sizes(call: Call) -> bool:
    """Whether sizes of the arguments are symbols of a Program that is being recorded."""
    return any(is_symbolic(t.shape) for t in call.types)
