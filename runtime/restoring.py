"""Whether a function stores traced values in what it reads, objects and containers, while it is
recorded. They are put back as they were then.
"""

from __future__ import annotations

import contextvars
import functools
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autodiff.dims import Dim
from ..autodiff.errors import LeakedTracerError
from ..autodiff.handles import TracedArray
from . import probes as known
from .containers import MISSING, ContainerWriteError
from .environment import Environment


class Storage:
    """What a function reaches, as it is before it runs: an `Environment` with names."""

    def __init__(self, function: Any, objects: Iterable[Any], environment: Environment) -> None:
        self._given = function, objects
        self._before = environment
        self._copies = [
            (x, x.copy("K"))
            for x in environment.arrays
            if x.nbytes <= known.WHOLE and x.flags.writeable and not x.dtype.hasobject
        ]

    def check(self) -> None:
        """ContainerWriteError if it holds traced values now that it has not held before;
        LeakedTracerError if it holds sizes that are symbols, where a number is wanted.
        """
        traced, names = self._new_traced()
        if not traced:
            return
        if all(type(x) is Dim for x in traced):
            raise LeakedTracerError("a symbolic size is stored outside of the function")
        raise ContainerWriteError(
            f"it stores traced values in {', '.join(names[:3])}, and compiled code has none to "
            "store. Return the new value and assign it where the function is called: o.w = "
            "o.step(x)."
        )

    def undo_traced(self) -> None:
        """As it was before, if it holds traced values that are new."""
        if self._new_traced()[0]:
            self.undo()

    def undo(self) -> None:
        """As it was before."""
        if self._before.unchanged():
            return
        for probe in self._before.probes:
            if not known.holds(probe):
                _restore(*probe)
        for x, copy in self._copies:
            if x.shape == copy.shape and x.tobytes() != copy.tobytes():
                np.copyto(x, copy)

    def _new_traced(self) -> tuple[list[Any], list[str]]:
        """The new ones, and how the function's author writes them."""
        if self._before.unchanged():
            return [], []
        after = Environment(*self._given, names=True)
        old = {id(x) for x in _traced(self._before)}
        new = [x for x in _traced(after) if id(x) not in old]
        tokens = [(id(x), id(x.value)) for x in new if type(x) is TracedArray]
        return new, [name for name, token in after.names if token in tokens] or ["an object"]


def _traced(environment: Environment) -> list[Any]:
    return [x for x in environment.refs if type(x) in (TracedArray, Dim)]


def _restore(get: Any, name: Any, wanted: Any) -> None:
    """What a probe looks at."""
    if get is known.cell_contents:
        if wanted is MISSING:
            del name.cell_contents
        else:
            name.cell_contents = wanted
    elif get is len:
        name.clear()
    elif isinstance(owner := getattr(get, "__self__", None), dict):
        if owner is not sys.modules:  # what was imported stays
            owner[name] = wanted
    elif isinstance(owner, contextvars.ContextVar):
        if wanted is not MISSING:  # there is no way back to none
            owner.set(wanted)
    elif isinstance(get, functools.partial):
        put = _PUT.get(get.func)
        if put is not None:
            put(get.args[0], name, wanted)


def _put_attribute(x: Any, name: str, wanted: Any) -> None:
    if isinstance(x, type):
        setattr(x, name, wanted)
    elif wanted is MISSING:
        object.__delattr__(x, name)
    else:
        object.__setattr__(x, name, wanted)


def _put_nothing(space: dict[str, Any], name: str, _: Any) -> None:
    if space is not sys.modules:
        space.pop(name, None)


def _put_items(x: Any, items: tuple[Any, ...], _: Any) -> None:
    x.clear()
    x.extend(items)


def _put_set(x: Any, items: set[Any], _: Any) -> None:
    x.clear()
    x.update(items)


def _put_dict(x: Any, items: dict[Any, Any], _: Any) -> None:
    for key in [key for key in x if key not in items]:
        del x[key]
    for key, item in items.items():
        if x.get(key, MISSING) is not item:
            x[key] = item
    if list(x) != list(items):  # in another order
        x.clear()
        x.update(items)


def _put_members(x: Any, members: dict[str, Any], _: Any) -> None:
    for name in [name for name in vars(x) if name not in members]:
        if not known.is_class_noise(name) and not known.is_dunder(name):
            delattr(x, name)
    for name, item in members.items():
        if vars(x).get(name, MISSING) is not item:
            setattr(x, name, item)


_PUT: dict[Any, Any] = {
    getattr: _put_attribute,
    known.attribute: _put_attribute,
    known.is_missing: _put_nothing,
    known.same_items: _put_items,
    known.same_dict: _put_dict,
    known.same_set: _put_set,
    known.same_local: lambda x, items, _: _put_dict(x.__dict__, items, None),
    known.same_bytes: lambda x, wanted, _: x.__setitem__(slice(None), wanted),
    known.same_names: _put_members,
}
