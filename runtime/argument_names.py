"""``static_argnames`` and ``dynamic_argnames`` of `jit`: which arguments they mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..autodiff.boundary import function_name
from .signature import DYNAMIC, STATIC

Names = str | int | Sequence[str | int]
_Parameters = Mapping[str, inspect.Parameter]


def with_positions(names: Names, positions: Any) -> Names:
    """``static_argnames``, and what ``static_argnums`` adds to them."""
    numbers = positions if isinstance(positions, (tuple, list)) else (positions,)
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise TypeError(f"jit: static_argnums is {positions!r}; wanted an int or a tuple of them")
    if not numbers:
        return names
    return (*_items(names), *numbers)


def _items(wanted: Any) -> list[Any]:
    several = isinstance(wanted, Iterable) and not isinstance(wanted, (str, bytes))
    return list(wanted) if several else [wanted]


def modes_of(fun: Callable[..., Any], static: Names, dynamic: Names) -> dict[int | str, int]:
    """How each argument that is named is taken, by position and by name."""
    found: dict[int | str, int] = {}
    for what, wanted, mode in (
        ("static_argnames", static, STATIC),
        ("dynamic_argnames", dynamic, DYNAMIC),
    ):
        for name in _listed(fun, what, wanted):
            for place in _places(fun, what, name):
                if found.setdefault(place, mode) != mode:
                    raise ValueError(
                        f"jit: {name!r} of {function_name(fun)} is both static and dynamic"
                    )
    return found


def _listed(fun: Callable[..., Any], what: str, wanted: Any) -> list[str | int]:
    names = _items(wanted)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise TypeError(
                f"jit: {what} of {function_name(fun)} is {wanted!r}; wanted names or positions of "
                f"its parameters{_told(_parameters(fun))}"
            )
    return names


def _places(fun: Callable[..., Any], what: str, name: str | int) -> list[int | str]:
    """Where the argument may stand in a call."""
    parameters = _parameters(fun)
    if parameters is None:  # of a function written in C
        if isinstance(name, int) and name < 0:
            raise ValueError(
                f"jit: {what} names {name}, but {function_name(fun)} does not tell its "
                "parameters; count them from 0"
            )
        return [name]
    kinds = {p.kind for p in parameters.values()}
    names = [p.name for p in parameters.values() if p.kind in _POSITIONAL]
    if isinstance(name, int):
        place = name + len(names) if name < 0 else name
        if 0 <= place < len(names):
            return [place, names[place]]
        if place >= 0 and inspect.Parameter.VAR_POSITIONAL in kinds:
            return [place]
    elif name in names:
        return [name, names.index(name)]
    elif inspect.Parameter.VAR_KEYWORD in kinds or (
        name in parameters and parameters[name].kind == inspect.Parameter.KEYWORD_ONLY
    ):
        return [name]
    raise ValueError(
        f"jit: {what} names {name!r}, but the parameters of {function_name(fun)} are"
        f"{_told(parameters) or ' none'}"
    )


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(fun: Callable[..., Any]) -> _Parameters | None:
    """None where Python does not know them."""
    try:
        return inspect.signature(fun).parameters
    except (TypeError, ValueError):
        return None


def _told(parameters: _Parameters | None) -> str:
    """`` x, n, *rest``; nothing if there are none."""
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names = [f"{marks.get(p.kind, '')}{p.name}" for p in (parameters or {}).values()]
    return f" {', '.join(names)}" if names else ""
