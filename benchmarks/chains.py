"""Programs of many elementwise operations, for the time that compiling takes."""

from collections.abc import Callable
from typing import Any

import numpy

SIZE = 1000


def chain(np: Any, count: int, seed: float = 0.0) -> Callable[..., Any]:
    """``count`` elementwise operations, one of five a sine; each seed is another program."""

    def function(x: Any, y: Any) -> Any:
        steps = (
            lambda i, x: x * (0.5 + 1e-4 * i + seed),
            lambda i, x: x + y,
            lambda i, x: np.sin(x),
            lambda i, x: x - (0.25 + 1e-4 * i),
            lambda i, x: x * y,
        )
        for i in range(count):
            x = steps[i % 5](i, x)
        return x

    return function


def chain_source(count: int, seed: float) -> str:
    """The same as text, for numba, which compiles statements and no closures called in a loop."""
    steps = ("x * {a}", "x + y", "numpy.sin(x)", "x - {b}", "x * y")
    lines = [
        "    x = " + steps[i % 5].format(a=repr(0.5 + 1e-4 * i + seed), b=repr(0.25 + 1e-4 * i))
        for i in range(count)
    ]
    return "\n".join(["def function(x, y):", *lines, "    return x"])


def arguments() -> tuple[Any, Any]:
    return numpy.linspace(0.0, 1.0, SIZE), numpy.linspace(0.5, 1.0, SIZE)
