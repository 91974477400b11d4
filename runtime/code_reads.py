"""What compiled Python code reads from outside: names, attributes of them, modules it imports."""

from __future__ import annotations

import dis
import functools
import types
from collections.abc import Iterator
from typing import NamedTuple

Chains = frozenset[tuple[str, ...]]


class _Read(NamedTuple):
    is_global: bool
    name: str
    chain: tuple[str, ...]


_ATTRIBUTE_CODES = ("LOAD_ATTR", "LOAD_METHOD")
_CLOSURE_CODES = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
# What a variable of a module is given must be known as well: a traced value is not to stay there.
_GLOBAL_CODES = (
    *("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"),
    *("STORE_GLOBAL", "DELETE_GLOBAL"),
)


def _reads_of(code: types.CodeType) -> Iterator[_Read]:
    """``name.a.b`` for every variable from outside that the code, nested code too, reads or gives a
    value.
    """
    current: _Read | None = None
    for op in dis.get_instructions(code):
        if op.opname in _ATTRIBUTE_CODES and current is not None:
            current = current._replace(chain=(*current.chain, op.argval))
            continue
        if current is not None:
            yield current
        current = None
        if op.opname in _GLOBAL_CODES or op.opname in _CLOSURE_CODES:
            current = _Read(op.opname in _GLOBAL_CODES, op.argval, ())
    if current is not None:
        yield current
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _reads_of(inner)


@functools.lru_cache(maxsize=4096)
def _reads(code: types.CodeType, is_global: bool) -> dict[str, Chains]:
    found: dict[str, set[tuple[str, ...]]] = {}
    for read in _reads_of(code):
        if read.is_global == is_global:
            found.setdefault(read.name, set()).add(read.chain)
    return {name: frozenset(chains) for name, chains in found.items()}


class Import(NamedTuple):
    """``from ..name import a, b``: two levels. Without ``names``: ``import name``."""

    level: int
    name: str
    names: tuple[str, ...] | None


@functools.lru_cache(maxsize=4096)
def imports(code: types.CodeType) -> tuple[Import, ...]:
    """What the code imports when it runs, nested code too."""
    found = []
    ops = [op for op in dis.get_instructions(code) if op.opname != "EXTENDED_ARG"]
    for level, names, op in zip(ops, ops[1:], ops[2:], strict=False):
        if op.opname == "IMPORT_NAME":
            found.append(Import(level.argval, op.argval, names.argval))
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found += imports(inner)
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def mentions(code: types.CodeType) -> frozenset[str]:
    """All names of globals, attributes and modules in it, nested code too."""
    found = set(code.co_names)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= mentions(inner)
    return frozenset(found)


_STORE_CODES = ("STORE_", "DELETE_")


@functools.lru_cache(maxsize=4096)
def loads(code: types.CodeType) -> frozenset[str]:
    """The globals and attributes in it that are read, not only given a value; nested code too. With
    "getattr" where the names stand in the class.
    """
    found = set()
    for op in dis.get_instructions(code):
        if op.opcode in dis.hasname and not op.opname.startswith(_STORE_CODES):
            found.add(op.argval)
        elif op.opname == "MATCH_CLASS":
            found.add("getattr")
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= loads(inner)
    return frozenset(found)


HIDING = ("eval", "exec", "globals", "__globals__")


@functools.lru_cache(maxsize=4096)
def hides(code: types.CodeType) -> str | None:
    """What in the code reads globals whose names are not written in it; None if nothing does."""
    reads = global_reads(code)
    inside = {chain[0] for chain in reads.get("builtins", ()) if chain}
    attributes = mentions(code) & {"__globals__"}
    return next((name for name in HIDING if name in {*reads, *inside, *attributes}), None)


def float_constants(code: types.CodeType) -> set[int]:
    """The ids of the floats that are written in it."""
    found = {id(x) for x in code.co_consts if type(x) is float}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= float_constants(inner)
    return found


def global_reads(code: types.CodeType) -> dict[str, Chains]:
    """The globals that the code reads or writes, with the attributes it goes on to."""
    return _reads(code, True)


def closure_reads(code: types.CodeType) -> dict[str, Chains]:
    """The same for the variables of functions around it."""
    return _reads(code, False)
