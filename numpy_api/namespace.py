"""Which names of `xnp` are ours and not NumPy's own object: what NumPy's dispatch cannot reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OURS: dict[str, Any] = {}


def replaces(name: str) -> Callable[[Any], Any]:
    """Registers an object as what ``xnp.<name>`` is."""

    def register(ours: Any) -> Any:
        if name in OURS:
            raise ValueError(f"xnp.{name} is defined twice")
        OURS[name] = ours
        return ours

    return register
