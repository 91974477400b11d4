"""The tables that NumPy's own dispatch is answered from; `numpy_api` fills them.

``UFUNCS``: ufunc -> function of Values (usually a primitive). ``UFUNC_METHODS``: method name ->
function of ``(ufunc, *inputs, **kwargs)`` on handles. ``FUNCTIONS``: NumPy function -> function of
handles with NumPy's signature. ``UNSUPPORTED``: NumPy function or ufunc -> (reason, alternative).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

UFUNCS: dict[Any, Callable[..., Any]] = {}
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
LATER: dict[str, Callable[[], Any]] = {}
"""By name, what gets a public function whose module is loaded on first use: the package's
``__init__`` knows.
"""
UNSUPPORTED: dict[Any, tuple[str, str]] = {}
UNSUPPORTED_MODULES: dict[str, tuple[str, str]] = {}
"""The same for all functions of a module that `import numpy` does not load."""


def implements(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function on handles as what these NumPy functions do on traced arrays."""

    def register(implementation: Callable[..., Any]) -> Callable[..., Any]:
        for function in functions:
            if function in FUNCTIONS:
                raise ValueError(f"{function.__name__} has an implementation already")
            FUNCTIONS[function] = implementation
        return implementation

    return register


def name_of(function: Any) -> str:
    """``np.linalg.norm`` for NumPy's function object; a ufunc of another package by its name."""
    if isinstance(function, np.ufunc) and getattr(np, function.__name__, None) is not function:
        return f"the ufunc {function.__name__.lstrip('_')}"
    module = getattr(function, "__module__", None) or "numpy"
    name = function.__name__.lstrip("_")
    if module.endswith("strings"):  # its own folder in some versions, also for functions of np.char
        module = "numpy.strings" if hasattr(np.strings, name) else "numpy.char"
    return f"{module.replace('numpy', 'np', 1)}.{name}"


LATE_UFUNCS: list[Callable[[], dict[Any, Callable[..., Any]]]] = []
"""Loaders of rules for ufuncs of packages that `import xnp` must not load (scipy.special)."""


def late_ufunc(ufunc: Any) -> Callable[..., Any] | None:
    """The rule for a ufunc that is not NumPy's, loading the tables that may have it."""
    if getattr(np, ufunc.__name__, None) is not ufunc:
        while LATE_UFUNCS:
            UFUNCS.update(LATE_UFUNCS.pop()())
    return UFUNCS.get(ufunc)
