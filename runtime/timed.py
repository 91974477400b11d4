"""Compiled Programs that take the time of each kernel, for `profile`."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff.any_size import Sizes
from ..autodiff.core import Value
from ..autodiff.program import Program
from ..codegen.counts import Kernel
from ..codegen.mlir.module import Module, ModuleWriter
from ..codegen.pipeline import optimize
from . import profile
from .compile import Compiled, vector_bytes
from .inspecting import groups_of, kernels_at

MOST_SIZES = 64  # for which costs are kept


class Timed(Compiled):
    """``timed(values)`` computes as `Compiled` does, and reports each kernel's time."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._optimized = optimize(program)
        self._groups = groups_of(self._optimized)
        self._steps = [int(name.split()[-1]) for name, _, _ in self._groups]
        self._costs: dict[tuple[int, ...], list[Kernel]] = {}  # by sizes
        self._lock = (
            threading.RLock()
        )  # the times of a run lie in one table; NumPy may call us again

    def _written(self, program: Program, name: str) -> Module:
        return ModuleWriter(program, name, vector_bytes(), timed=True).module()

    def __call__(self, values: Sequence[Value], sizes: Sizes = ()) -> list[Any]:
        with self._lock:
            found = super().__call__(values, sizes)
            count = 1 + max(self._steps, default=-1)
            address = self.library.address(f"{self.recipe.name}_times")
            times = list((ctypes.c_int64 * (count + 1)).from_address(address))
        for step, kernel in zip(self._steps, self._kernels(values, sizes), strict=True):
            names = " ".join(dict.fromkeys(e.primitive.name for e in kernel.equations))
            text = f"{self.program.name}: {kernel.name} ({names:.60})"
            profile.record(text, times[step], times[step + 1], kernel.bytes, kernel.operations)
        return found

    def _kernels(self, values: Sequence[Value], sizes: Sizes) -> list[Kernel]:
        """The kernels, with what they cost for these arguments."""
        known = dict(sizes)
        if self.symbols and not sizes:
            known = self._sizes([np.asarray(x) for x in values])
        key = tuple(known.values())
        if key not in self._costs:
            if len(self._costs) >= MOST_SIZES:
                self._costs.clear()
            self._costs[key] = kernels_at(self._optimized, self._groups, known)
        return self._costs[key]
