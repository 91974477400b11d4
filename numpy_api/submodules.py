"""``import xnp.linalg``, ``from xnp.random import default_rng``: NumPy's own submodules."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from operator import attrgetter
from types import ModuleType
from typing import Any

import numpy as np

_PACKAGE = __name__.partition(".")[0] + "."


class _NumPySubmodules:
    """Finds ``xnp.<name>`` among NumPy's submodules.

    It comes before the finder that would load a copy from NumPy's folder under our name. A loader
    may put another module in place of the one it is given.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(_PACKAGE):
            return None
        tail = name[len(_PACKAGE) :]
        if tail.partition(".")[0] in _OURS or not isinstance(_numpys(tail), ModuleType):
            return None
        return ModuleSpec(name, _NumPySubmodules)  # pyright: ignore[reportArgumentType] - duck typed

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        sys.modules[module.__name__] = _numpys(module.__name__[len(_PACKAGE) :])


_OURS = {"autodiff", "numpy_api", "codegen", "runtime", "testing", "polynomial"}


def _numpys(name: str) -> Any:
    try:
        return attrgetter(name)(np)
    except AttributeError:
        return None


sys.meta_path.insert(0, _NumPySubmodules)
