"""Modules by their names: whether they are installed libraries, and what functions import."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from typing import Any

from .code_reads import Import, imports

_PACKAGE = __name__.partition(".")[0]
OWN = frozenset({"numpy", "scipy", "optree", "mlir", "llvmlite", _PACKAGE})


def is_library(top: str) -> bool:
    """Whether a module at the top belongs to Python, NumPy or another installed package. Of one
    that has not been imported nobody knows.
    """
    if top in OWN or top.startswith("_cython_"):
        return True
    if top in sys.stdlib_module_names and top != "__main__":
        return top not in sys.modules or _is_pythons(top)
    return top in sys.modules and _is_installed(top)


@functools.lru_cache(maxsize=1024)
def _is_installed(top: str) -> bool:
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return any(folder in file for folder in ("site-packages", "dist-packages"))


_FOLDERS = tuple(
    f"{x}{os.sep}" for x in (os.path.dirname(os.__file__), sysconfig.get_path("platstdlib"))
)


@functools.lru_cache(maxsize=1024)
def _is_pythons(top: str) -> bool:
    """Whether it is no file of the user's that has the name of one of Python's modules."""
    file = getattr(sys.modules.get(top), "__file__", None)
    return file is None or file.startswith(_FOLDERS) or _is_installed(top)


def top_of(x: Any) -> str:
    """The module at the top of that in which a function or class is defined."""
    return (getattr(x, "__module__", None) or "").partition(".")[0]


def imports_of(f: types.FunctionType) -> Iterator[Import]:
    """What a function imports when it runs, by full names."""
    for found in imports(f.__code__):
        name = found.name
        if found.level:
            package = _package_of(f.__globals__).rsplit(".", found.level - 1)[0]
            name = f"{package}.{name}" if name else package
        yield Import(0, name, found.names)


def _package_of(space: dict[str, Any]) -> str:
    package = space.get("__package__")
    if isinstance(package, str):
        return package
    name = str(space.get("__name__"))
    return name if "__path__" in space else name.rpartition(".")[0]
