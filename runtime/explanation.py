"""`explain`: what was compiled, when and why."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..autodiff.boundary import describe_any
from .environment import Environment
from .signature import DYNAMIC, STATIC, Call, leaf_type

Description = dict[str, str]  # of each leaf of the arguments, by the name its author gives it


@dataclass
class Compile:
    """One compilation of a jitted function.

    ``signature``: the arguments it serves; ``reason``: why those before did not; ``note``: what is
    special about it (the plain function runs instead, say); ``milliseconds``: what recording it and
    making native code took, so far.
    """

    signature: str
    reason: str
    note: str
    milliseconds: float

    def __str__(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"{self.milliseconds:8.2f} ms  ({self.signature}): {self.reason}{note}"


class Explanation(list[Compile]):
    """The compilations of one function, oldest first; prints one in a line."""

    def __init__(self, name: str, found: list[Compile]) -> None:
        super().__init__(found)
        self.name = name

    def __str__(self) -> str:
        if not self:
            return f"{self.name}: not compiled yet"
        return "\n".join([f"{self.name}:", *map(str, self)])

    __repr__ = __str__


def describe(function: Callable[..., Any], call: Call) -> Description:
    """What there is to say about each leaf of the arguments."""
    names = parameter_names(function)
    found: Description = {}
    for i, arg in enumerate(call.args):
        name = names[i] if i < len(names) else f"argument {i}"
        found.update(_leaves(arg, name, call.modes(i)))
    for name, arg in call.kwargs.items():
        found.update(_leaves(arg, name, call.modes(name)))
    return found


def _leaves(x: Any, name: str, mode: int) -> Iterator[tuple[str, str]]:
    if mode != STATIC:
        if (found := leaf_type(x, mode == DYNAMIC)) is not None:
            yield name, str(found)
            return
        if type(x) in (list, tuple):
            for i, item in enumerate(x):
                yield from _leaves(item, f"{name}[{i}]", mode)
            return
        if type(x) is dict:
            for key, item in x.items():
                yield from _leaves(item, f"{name}[{key!r}]", mode)
            return
    yield name, describe_any(x)


def parameter_names(function: Callable[..., Any]) -> list[str]:
    """The names of the positional parameters; none where Python does not know them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def reason_of(
    new: Description, before: list[tuple[Description, Environment]], environment: Environment
) -> str:
    """Why none of the compilations ``before`` serves."""
    if not before:
        return "first call"
    candidates = [_differences(new, old) for old, _ in before]
    nearest = min(range(len(before)), key=lambda i: (len(candidates[i]), -i))
    found = candidates[nearest]
    if not found:
        return "; ".join(_changes(before[nearest][1], environment)) or "its cache entry was dropped"
    return "; ".join(found[:4]) + ("; ..." if len(found) > 4 else "")


def _differences(new: Description, old: Description) -> list[str]:
    found = [
        f"{name} is {text} (was {old[name]})"
        for name, text in new.items()
        if name in old and old[name] != text
    ]
    found += [f"{name} is new" for name in new if name not in old]
    return found + [f"{name} is missing" for name in old if name not in new]


def _changes(old: Environment, new: Environment) -> list[str]:
    names = old.changes(new)
    return [f"{name} changed" for name in dict.fromkeys(names[:4])]
