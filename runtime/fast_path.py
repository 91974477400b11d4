"""Entries as signatures of the native call path: the next call of the kind runs without Python.

What is simple enough is put there: arrays in C order and numbers in, new arrays and numbers out,
nothing written to, no views. All else goes on through `entries`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.core import PYTHON_DTYPES, running
from ..autodiff.handles import ARRAY0D, RESULT, WEAK
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
from .signature import STATIC as BY_VALUE
from .signature import Call, Spec, Type, is_node, leaf_children, leaf_type
from .traced import ARGUMENT, COMPUTED, CONSTANT, STATIC, Result

_USED_WORD = 2  # of a dict: its number of items
_PYTHON_TYPES = {dtype: kind for kind, dtype in PYTHON_DTYPES.items()}


class _NotSimple(Exception):
    pass


def signature_of(entry: Entry, call: Call) -> Signature | None:
    """The signature that serves calls like this one; None where it takes Python."""
    compiled = entry.executable
    simple = isinstance(compiled, Compiled) and compiled.is_self_contained and not (
        entry.draws or entry.scope or entry.traced.writes or entry.environment.overflow
    )
    if not simple:
        return None
    assert isinstance(compiled, Compiled)
    arguments, results = _Arguments(call), _Results(entry)
    try:
        positional = tuple(arguments.tree(x, i) for i, x in enumerate(call.args))
        keywords = {name: arguments.tree(x, name) for name, x in call.kwargs.items()}
        results.numbers = arguments
        result = results.tree(entry.traced.spec)
        return Signature(
            positional,
            keywords,
            result,
            compiled.address,
            failed=lambda code: compiled.failure(code, {}),
            watches=_watches(entry),
            keep=(entry, compiled),
        )
    except (_NotSimple, TypeError):  # TypeError: of a dtype that is not supported
        return None
