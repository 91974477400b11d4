"""``xnp.testing``: checks of derivatives, and everything ``numpy.testing`` has.

Hypothesis strategies are in ``xnp.testing.strategies``, which needs hypothesis and is imported by
name: ``import xnp.testing.strategies``.
"""

from __future__ import annotations

import importlib
from typing import Any

from .check_grads import check_grads

__all__ = ["check_grads"]


def __getattr__(name: str) -> Any:
    """NumPy's names, on first use: numpy.testing costs as much to import as the rest of xnp."""
    if name == "strategies":
        raise AttributeError("write `import xnp.testing.strategies` first; it needs hypothesis")
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module("numpy.testing"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *importlib.import_module("numpy.testing").__all__})
