"""What is around a function that is recorded once, where plain Python would run it many times, or
not at all: a variable, item or attribute that it changes would change once. Such a function is not
recorded; `jit` runs what calls it uncompiled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from .core import noted
from .errors import UnknownSizeError, is_users, user_line

DEEPEST = 3  # functions that call functions that ...
MOST = 100  # items of a container
_NOTHING = object()
_OWN = __name__.partition(".")[0]

Place = tuple[str, Callable[[], Any]]  # what it is called, and how to read it


def recorded_once(what: str, role: str, fun: Callable[..., Any]) -> Callable[..., Any]:
    """``fun``, which raises UnknownSizeError where it changes something around it.

    ``what``: the function that records it, where it is the argument ``role``.
    """

    def watched(*args: Any) -> Any:
        before = [(name, read, read()) for name, read in _places(fun, DEEPEST)]
        result = fun(*args)
        for name, read, value in before:
            if read() is not value:
                raise noted(
                    UnknownSizeError(
                        f"{what}: {role} changes {name}{user_line()}, which is outside of it. It "
                        "would change once, when the function is recorded, not whenever it runs; "
                        "make it part of what is carried."
                    )
                )
        return result

    return watched


def _places(fun: Any, depth: int) -> Iterator[Place]:
    """The variables that a function shares with others, and the items and attributes of what they
    hold: how to read them.
    """
    while isinstance(fun, functools.partial):
        fun = fun.func
    if isinstance(fun, MethodType):
        yield from _parts("self", fun.__self__)
        fun = fun.__func__
    if not depth or not isinstance(fun, FunctionType) or not is_users(fun.__code__.co_filename):
        return
    cells = zip(fun.__code__.co_freevars, fun.__closure__ or (), strict=True)
    variables = [(name, functools.partial(_contents, cell)) for name, cell in cells]
    names = [name for name in _names(fun.__code__) if name in fun.__globals__]
    variables += [(n, functools.partial(fun.__globals__.get, n, _NOTHING)) for n in names]
    for name, read in variables:
        yield name, read
        yield from _parts(name, read())
        yield from _places(read(), depth - 1)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty one
        return _NOTHING


def _names(code: CodeType) -> list[str]:
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _names(c)]
    return [*code.co_names, *inner]


def _parts(name: str, holder: Any) -> Iterator[Place]:
    """The items of a list or dict and the attributes of an object; dicts and objects may get new
    ones, for what they keep once they have computed it.
    """
    if type(holder) in (list, set) and len(holder) <= MOST:
        yield f"the length of {name}", functools.partial(len, holder)
    if type(holder) is list and len(holder) <= MOST:
        for i in range(len(holder)):
            yield f"{name}[{i}]", functools.partial(_item, holder, i)
    elif type(holder) is dict and len(holder) <= MOST:
        for key in list(holder):
            yield f"{name}[{key!r}]", functools.partial(holder.get, key, _NOTHING)
    elif type(vars_of := getattr(holder, "__dict__", None)) is dict and len(vars_of) <= MOST:
        owner = type(holder).__module__.partition(".")[0]
        if not isinstance(holder, (type, FunctionType)) and owner not in (_OWN, "numpy"):
            for key in list(vars_of):
                yield f"{name}.{key}", functools.partial(vars_of.get, key, _NOTHING)


def _item(items: list[Any], i: int) -> Any:
    return items[i] if i < len(items) else _NOTHING
