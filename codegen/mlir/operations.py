"""Native code for single operations: libraries, small matrices, regions. What is not here, or
returns False, calls back to NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OPERATIONS: dict[str, Callable[..., bool]] = {}


def operation(name: str) -> Callable[[Any], Any]:
    """Enters a function (module writer, plan, step) -> done? for a primitive."""

    def enter(function: Any) -> Any:
        OPERATIONS[name] = function
        return function

    return enter
