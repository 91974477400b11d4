"""Entries as signatures of the native call path: the next call of the kind runs without Python.

What is simple enough is put there: arrays in C order and numbers in, new arrays and numbers out,
nothing written to, no views. All else goes on through `entries`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.core import PYTHON_DTYPES, running
from ..autodiff.handles import ARRAY0D, WEAK
from .compile import Compiled
from .entries import Entry
from .entry_signature import (
    Again,
    Argument,
    Array,
    Given,
    NewArray,
    NewScalar,
    Rebuild,
    Scalar,
    Signature,
    Static,
    WatchCall,
    WatchWord,
)
from .entry_watches import watches_of
from .signature import DYNAMIC, PLAIN, Call, Spec, Type, is_tree, leaf_type
from .signature import STATIC as BY_VALUE
from .traced import ARGUMENT, COMPUTED, CONSTANT, STATIC, Result

_USED_WORD = 2  # of a dict: its number of items
_PYTHON_TYPES = {dtype: kind for kind, dtype in PYTHON_DTYPES.items()}


class _NotSimpleError(Exception):
    pass


def signature_of(entry: Entry, call: Call) -> Signature | None:
    """The signature that serves calls like this one; None where it takes Python."""
    compiled = entry.executable
    if not (isinstance(compiled, Compiled) and compiled.is_self_contained):
        return None
    if entry.draws or entry.scope or entry.traced.writes or entry.traced.captures:
        return None
    try:
        arguments = _Arguments(call)
        return Signature(
            arguments.positional,
            arguments.keywords,
            _Results(entry, arguments).tree(entry.traced.spec),
            compiled.address,
            failed=lambda code: compiled.failure(code, {}),
            watches=_watches(entry),
            keep=(entry, compiled),
        )
    except (_NotSimpleError, TypeError):  # TypeError: of a dtype that is not supported
        return None


def _watches(entry: Entry) -> list[Any]:
    """Outside of all transformations, and what the function reads is as it was."""
    found = [WatchWord(id(running) + 8 * _USED_WORD, 0), *watches_of(entry.environment.probes)]
    return [*found, WatchCall(entry.reads_the_same)] if entry.exact else found


class _Arguments:
    """A call's arguments as the native path checks them; where among their leaves the traced and
    the static ones are.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.count = 0
        self.traced: list[int] = []
        self.static: list[int] = []
        self.positional = tuple(self._argument(x, i) for i, x in enumerate(call.args))
        self.keywords = {name: self._argument(x, name) for name, x in call.kwargs.items()}

    def _argument(self, x: Any, place: int | str) -> Any:
        mode = self.call.modes(place)
        return self._static(x) if mode == BY_VALUE else self._tree(x, mode == DYNAMIC)

    def _tree(self, x: Any, dynamic: bool) -> Any:
        kind = type(x)
        if (found := leaf_type(x, dynamic)) is not None:
            self.traced.append(self._next())
            return _leaf(x, found)
        if kind is tuple or kind is list:
            return kind(self._tree(item, dynamic) for item in x)
        if kind is dict and all(type(key) in (str, int) for key in x):
            return {key: self._tree(item, dynamic) for key, item in x.items()}
        if is_tree(x):
            raise _NotSimpleError
        return self._static(x)

    def _static(self, x: Any) -> Static:
        number = self._next()
        if not (type(x) in PLAIN or isinstance(x, (float, complex, np.generic))):
            self.static.append(number)
        return Static(x)

    def _next(self) -> int:
        self.count += 1
        return self.count - 1


def _leaf(x: Any, t: Type) -> Array | Scalar:
    if t.kind != ARRAY0D:
        return Scalar(type(x))
    if type(x) is not np.ndarray or t.strides is not None or t.converted or not t.writeable:
        raise _NotSimpleError
    return Array(t.dtype, t.shape)


class _Results:
    """What the function returns, as the native path makes it."""

    def __init__(self, entry: Entry, arguments: _Arguments) -> None:
        self.roots = entry.traced.roots
        self.avals = entry.traced.program.out_avals
        self.leaves = iter(entry.traced.results)
        self.arguments = arguments
        self.count = 0
        self.made: dict[int, int] = {}  # by number of the root: the leaf that is it

    def tree(self, spec: Any) -> Any:
        if not isinstance(spec, Spec):
            return self._leaf(next(self.leaves))
        children = [self.tree(child) for child in spec.children]
        if spec.build in (tuple, list):
            return spec.build(children)
        if spec.names is not None and all(type(name) in (str, int) for name in spec.names):
            return dict(zip(spec.names, children, strict=True))
        return Rebuild(spec.build, tuple(children))

    def _leaf(self, result: Result) -> Any:
        self.count += 1
        if result.views:
            raise _NotSimpleError
        if result.source == COMPUTED:
            return self._computed(result.of)
        if result.source == ARGUMENT:
            return Argument(self.arguments.traced[result.of])
        if result.source == STATIC:
            return Argument(self.arguments.static[result.of])
        if result.source == CONSTANT:
            return Given(result.of)
        raise _NotSimpleError

    def _computed(self, number: int) -> Any:
        if number in self.made:
            return Again(self.made[number])
        self.made[number] = self.count - 1
        root = self.roots[number]
        aval = self.avals[root.output]
        if root.order is not None or not root.writeable:
            raise _NotSimpleError
        if aval.shape or root.kind == ARRAY0D:
            return NewArray(aval.dtype, aval.shape)
        return NewScalar(aval.dtype, _PYTHON_TYPES[aval.dtype] if root.kind == WEAK else None)
