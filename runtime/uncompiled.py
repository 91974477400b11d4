"""Functions that cannot be recorded: their sizes or dtypes depend on values, they call what has no
meaning on traced arrays, or they write to containers. The plain one runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.errors import (
    ConcretizationError,
    MutationError,
    UnknownSizeError,
    UnsupportedError,
)
from .containers import ContainerWriteError
from .environment import Environment
from .explanation import Compile
from .held import Held
from .signature import Call


class HiddenReadError(ConcretizationError):
    """A function reads what nobody can see in its code."""


UNRECORDABLE = (UnknownSizeError, UnsupportedError, ContainerWriteError, HiddenReadError)


def check_reads(environment: Environment) -> None:
    """HiddenReadError where changes of what the function reads would not be seen."""
    if environment.hidden is not None:
        raise HiddenReadError(
            f"what {environment.hidden} reads is not seen, nor whether it changes. Read variables "
            "by their names, or values by names from a dict of them: SETTINGS[name]."
        )


def _kinds(args: tuple[Any, ...]) -> list[Any] | None:
    """Dtypes and numbers of axes, if all arguments are arrays."""
    kinds: list[Any] = []
    for x in args:
        if type(x) is not np.ndarray:
            return None
        kinds += (x.dtype, x.ndim)
    return kinds


class Uncompiled:
    """In the place of an `Entry`, for calls that differ in the sizes of arrays at most."""

    def __init__(
        self,
        fun: Callable[..., Any],
        call: Call,
        environment: Environment,
        error: ConcretizationError | UnsupportedError | MutationError,
    ) -> None:
        self.fun = fun
        self.held = Held(call.objects)
        self.environment = environment
        self.why = str(error)  # not the error, which keeps alive what was recorded
        self.kind = type(error)
        self.note = f"runs uncompiled: {self.why}"
        self.record: Compile | None = None
        self.kinds = _kinds(call.args) if not call.kwargs else None

    def repeats(self, args: tuple[Any, ...]) -> bool:
        """Whether a call has arrays of the same kinds, by a look that costs less than a `Call`."""
        return (
            self.kinds is not None and _kinds(args) == self.kinds and self.environment.unchanged()
        )

    def serves(self, call: Call) -> bool:
        """Whether the objects are the same, and nothing that was read has changed."""
        return self.held.are(call.objects) and self.environment.unchanged()

    def reads_the_same(self) -> bool:
        return True

    def fits(self, call: Call) -> bool:
        return True

    def run(self, call: Call) -> Any:
        return self.fun(*call.args, **call.kwargs)
