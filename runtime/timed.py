"""Compiled Programs that take the time of each kernel, for `profile`."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

from ..autodiff.core import Value
from ..autodiff.program import Program
from ..codegen.mlir.module import Module, ModuleWriter
from ..codegen.pipeline import optimize
from . import profile
from .compile import Compiled, vector_bytes
from .inspecting import kernels_of


class Timed(Compiled):
    """``timed(values)`` computes as `Compiled` does, and reports each kernel's time."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.kernels = dict(kernels_of(optimize(program)))
        self._lock = threading.Lock()  # the times of a run lie in one table

    def _written(self, program: Program, name: str) -> Module:
        return ModuleWriter(program, name, vector_bytes(), timed=True).module()

    def __call__(self, values: Sequence[Value]) -> list[Any]:
        with self._lock:
            found = super().__call__(values)
            count = 1 + max(self.kernels, default=-1)
            address = self.library.address(f"{self.recipe.name}_times")
            times = list((ctypes.c_int64 * (count + 1)).from_address(address))
        for step, kernel in self.kernels.items():
            names = " ".join(dict.fromkeys(e.primitive.name for e in kernel.equations))
            text = f"{self.program.name}: {kernel.name} ({names:.60})"
            profile.record(text, times[step], times[step + 1], kernel.bytes, kernel.operations)
        return found
