"""Entries as signatures of the native call path: the next call of the kind runs without Python.

Arrays and numbers go in, arrays and numbers come out. What that path cannot
do by itself (views, results in another order, writing to arguments) are functions it calls at the
end. All else goes on through `entries`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autodiff.core import PYTHON_DTYPES, running
from ..autodiff.dims import Dim, is_symbolic, numbers_for
from ..autodiff.handles import ARRAY0D, WEAK, View
from ..autodiff.size_structures import key_of, substituted
from . import entry_layout as at
from .compile import Compiled
from .entries import Entry, Sizes
from .entry_signature import (
    Again,
    Argument,
    Array,
    Computed,
    Given,
    NewArray,
    NewScalar,
    Rebuild,
    Scalar,
    Signature,
    Size,
    Static,
    WatchCall,
    WatchContents,
)
from .entry_watches import watches_of
from .signature import DYNAMIC, PLAIN, Call, Spec, Type, is_tree, leaf_type
from .signature import STATIC as BY_VALUE
from .size_code import SizeCode
from .traced import (
    ARGUMENT,
    COMPUTED,
    CONSTANT,
    SIZE,
    STATIC,
    Result,
    Root,
    finished,
    seen_through,
)

_PYTHON_TYPES = {dtype: kind for kind, dtype in PYTHON_DTYPES.items()}


class _NotSimpleError(Exception):
    pass


def signature_of(entry: Entry, call: Call) -> Signature | None:
    """The signature that serves calls like this one; None where it takes Python."""
    compiled = entry.executable
    if not (isinstance(compiled, Compiled) and compiled.is_self_contained):
        return None
    if entry.draws or entry.traced.captures:
        return None
    if entry.traced.writes and (entry.arrays or any(t.strides is not None for t in entry.types)):
        return None  # which may overlap with what is written to
    try:
        symbols = _Symbols(entry, compiled)
        arguments = _Arguments(call, entry, symbols)
        result = _Results(entry, arguments, symbols).whole()
        code = symbols.code()
        return Signature(
            arguments.positional,
            arguments.keywords,
            result,
            compiled.address,
            symbols=len(symbols.known),
            computed=len(symbols.computed),
            guard=code.guard if code else 0,
            dims=code.dims if code and symbols.computed else 0,
            failed=compiled.failure,
            watches=_watches(entry),
            keep=(entry, compiled, code),
        )
    except (_NotSimpleError, TypeError):  # TypeError: of a dtype that is not supported
        return None


def _watches(entry: Entry) -> list[Any]:
    """Outside of all transformations, and what the function reads is as it was."""
    found = [WatchContents(running, {}), *watches_of(entry.environment.probes)]
    return [*found, WatchCall(entry.reads_the_same)] if entry.exact else found


class _Symbols:
    """The symbolic sizes of an entry: those that a call binds, and what is computed of them."""

    def __init__(self, entry: Entry, compiled: Compiled) -> None:
        self.scope = entry.scope
        own = [d.symbol for t in entry.types for d in t.shape if type(d) is Dim and d.symbol]
        self.known = [*compiled.symbols, *(s for s in own if s not in compiled.symbols)]
        self.computed: list[Dim] = []

    def dims(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        """A shape as signatures have it."""
        return tuple(self._dim(dim) for dim in shape)

    def _dim(self, dim: Any) -> Any:
        if type(dim) is not Dim:
            return dim
        if dim.symbol is not None:
            return Size(self.known.index(dim.symbol))
        keys = [known.key for known in self.computed]
        if dim.key not in keys:
            self.computed.append(dim)
            return Computed(len(keys))
        return Computed(keys.index(dim.key))

    def code(self) -> SizeCode | None:
        return None if self.scope is None else SizeCode(self.scope, self.known, self.computed)


class _Arguments:
    """A call's arguments as the native path checks them; where among their leaves the traced and
    the static ones are.
    """

    def __init__(self, call: Call, entry: Entry, symbols: _Symbols) -> None:
        self.call = call
        self.types = entry.types
        self.weak = entry.held.weak if at.REFERENT_WORD else {}
        self.symbols = symbols
        self.written = {write.leaf for write in entry.traced.writes}
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
            number = len(self.traced)
            self.traced.append(self._next())
            dims = self.symbols.dims(self.types[number].shape)
            return _leaf(x, found, dims, number in self.written)
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
        reference = self.weak.get(id(x))
        return Static(x) if reference is None else Static(reference, weak=True)

    def _next(self) -> int:
        self.count += 1
        return self.count - 1


def _leaf(x: Any, t: Type, dims: tuple[Any, ...], is_written: bool) -> Array | Scalar:
    if t.kind != ARRAY0D:
        return Scalar(type(x))
    if type(x) is not np.ndarray or t.converted or (is_written and not t.writeable):
        raise _NotSimpleError
    if t.strides is None and (t.order is None or t.is_fortran):
        fortran = t.order is not None
        return Array(t.dtype, dims, is_written, fortran, writeable=t.writeable)
    if is_written or any(isinstance(dim, Size) for dim in dims):
        raise _NotSimpleError
    return Array(t.dtype, dims, strides=x.strides, writeable=t.writeable)


class _Results:
    """What the function returns, as the native path makes it."""

    def __init__(self, entry: Entry, arguments: _Arguments, symbols: _Symbols) -> None:
        self.traced = entry.traced
        self.types = entry.types
        self.symbols = symbols
        self.avals = entry.traced.program.out_avals
        self.leaves = iter(entry.traced.results)
        self.arguments = arguments
        self.count = 0
        self.made: dict[int, int] = {}  # by number of the root: the leaf that is it

    def whole(self) -> Any:
        """The tree; where arguments are written to, in a node that does so."""
        tree = self._tree(self.traced.spec)
        writes = self.traced.writes
        if not writes:
            return tree
        parts: list[Any] = []
        for write in writes:
            if write.output is None or not _is_same(write.shape, self.types[write.leaf].shape):
                raise _NotSimpleError
            aval = self.avals[write.output]
            new = NewArray(aval.dtype, self.symbols.dims(aval.shape))
            parts += [self._argument(write.leaf), self._next(new)]

        def written(found: list[Any]) -> Any:
            for i in range(len(writes)):
                np.copyto(found[2 * i + 1], found[2 * i + 2])
            return found[0]

        return Rebuild(written, (tree, *parts))

    def _tree(self, spec: Any) -> Any:
        if not isinstance(spec, Spec):
            return self._leaf(next(self.leaves))
        children = [self._tree(child) for child in spec.children]
        if spec.build in (tuple, list):
            return spec.build(children)
        if spec.names is not None and all(type(name) in (str, int) for name in spec.names):
            return dict(zip(spec.names, children, strict=True))
        return Rebuild(spec.build, tuple(children))

    def _next(self, leaf: Any) -> Any:
        self.count += 1
        return leaf

    def _argument(self, number: int) -> Any:
        return self._next(Argument(self.arguments.traced[number]))

    def _leaf(self, result: Result) -> Any:
        if result.source == COMPUTED:
            return self._computed(result.of, result.views)
        if result.source == ARGUMENT:
            leaf = self._argument(result.of)
            return self._viewed(leaf, result.views, None) if result.views else leaf
        if result.source == STATIC:
            return self._next(Argument(self.arguments.static[result.of]))
        if result.source == CONSTANT:
            return self._next(Given(result.of))
        if result.source == SIZE:
            return self._with_sizes([], lambda found, sizes: substituted(result.of, sizes))
        raise _NotSimpleError

    def _computed(self, number: int, views: tuple[View, ...]) -> Any:
        root = self.traced.roots[number]
        if _is_reversed(root.order):
            root = root._replace(order=None)  # the native path makes it so
        is_plain = root.order is None and root.writeable
        if number in self.made:
            if not views and not is_plain:
                raise _NotSimpleError  # the same object twice
            leaf = self._next(Again(self.made[number]))
        else:
            self.made[number] = self.count
            leaf = self._next(self._new(self.traced.roots[number]))
        return leaf if is_plain and not views else self._viewed(leaf, views, root)

    def _new(self, root: Root) -> NewArray | NewScalar:
        aval = self.avals[root.output]
        if aval.shape or root.kind == ARRAY0D:
            fortran = _is_reversed(root.order)
            shape = aval.shape[::-1] if fortran else aval.shape
            return NewArray(aval.dtype, self.symbols.dims(shape), fortran)
        return NewScalar(aval.dtype, _PYTHON_TYPES[aval.dtype] if root.kind == WEAK else None)

    def _viewed(self, leaf: Any, views: tuple[View, ...], root: Root | None) -> Rebuild:
        def view(found: list[Any], sizes: Sizes) -> Any:
            x = found[0] if root is None else finished(found[0], root)
            if not sizes:
                return seen_through(x, views)
            with numbers_for(sizes):
                return seen_through(x, views)

        return self._with_sizes([leaf], view)

    def _with_sizes(
        self, leaves: list[Any], function: Callable[[list[Any], Sizes], Any]
    ) -> Rebuild:
        """A node made by a function of leaves and sizes, which the arguments' shapes give."""
        binders = [i for i, t in enumerate(self.types) if is_symbolic(t.shape)]
        shapes = [self.types[i].shape for i in binders]
        parts = [*leaves, *map(self._argument, binders)]
        count = len(leaves)
        if not binders:
            return Rebuild(lambda found: function(found, {}), tuple(parts))

        def made(found: list[Any]) -> Any:
            sizes = {
                dim.symbol.name: size
                for dims, x in zip(shapes, found[count:], strict=True)
                for dim, size in zip(dims, x.shape, strict=True)
                if type(dim) is Dim and dim.symbol is not None
            }
            return function(found, sizes)

        return Rebuild(made, tuple(parts))


def _is_reversed(order: tuple[int, ...] | None) -> bool:
    return order is not None and order == tuple(range(len(order)))[::-1]


def _is_same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return key_of(a) == key_of(b)
