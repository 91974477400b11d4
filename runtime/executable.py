"""From a Program to something that computes it on ndarrays.

An `Executable` takes one ndarray or scalar for each parameter and gives one for each result: a new
array of its own in C order, or where there are no dimensions a NumPy scalar (a Python number where
the type is weak). What runs natively is decided by `NATIVE`; without it, or where it declines, the
Program is evaluated with NumPy, equation by equation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..autodiff.any_size import Sizes
from ..autodiff.calls import set_executor
from ..autodiff.core import Aval
from ..autodiff.program import Literal, Program
from . import profile
from .compile import Compiled, Strides, native_code
from .timed import Timed

Executable = Callable[..., list[Any]]  # of values, and of the symbols' sizes if they do not show

# Compiles a Program, or says None: it cannot be compiled here.
NATIVE: Callable[[Program, Sequence[Strides]], Executable | None] | None = native_code


def make_executable(program: Program, strides: Sequence[Strides] | None = None) -> Executable:
    """What computes ``program``; ``strides`` are those of its parameters, C order by default."""
    if NATIVE is not None:
        compiled = NATIVE(program, strides or (None,) * len(program.parameters))
        if compiled is not None:
            return compiled
    return Interpreter(program)


def run(executable: Executable, values: Sequence[Any], sizes: Sizes = ()) -> list[Any]:
    """What an executable computes; with the time of each kernel, where `profile` wants it."""
    if not profile.active() or not isinstance(executable, Compiled):
        return executable(values, sizes)
    if executable.timed is None:
        executable.timed = Timed(executable.program)
    return executable.timed(values, sizes)


class Interpreter:
    """Evaluates a Program with NumPy."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.avals = program.out_avals
        atoms = [*program.results, *(x for e in program.equations for x in e.inputs)]
        self.literals = {id(x.value) for x in atoms if type(x) is Literal}

    def __call__(self, values: Sequence[Any], sizes: Sizes = ()) -> list[Any]:
        program = self.program.at_sizes(dict(sizes)) if sizes else self.program
        found = program(*values)
        taken = self.literals.union(map(id, values))
        return [_owned(x, aval, taken) for x, aval in zip(found, self.avals, strict=True)]


def _owned(x: Any, aval: Aval, taken: set[int]) -> Any:
    """``x`` as a result: nothing else refers to its memory."""
    if not aval.shape:
        number = x.item() if isinstance(x, (np.ndarray, np.generic)) and aval.weak else x
        return number if aval.weak else np.asarray(number, aval.dtype)[()]
    shared = id(x) in taken or x.base is not None
    if shared or not x.flags.c_contiguous or not x.flags.writeable:
        x = np.array(x, order="C")
    taken.add(id(x))
    return x


# Not by weak reference: an executable holds its Program, which so would live for ever.
_executable_of = lru_cache(maxsize=512)(make_executable)


def execute(*values: Any, program: Program, sizes: Sizes = ()) -> tuple[Any, ...]:
    """What `call_p` does with ndarrays and numbers."""
    return tuple(run(_executable_of(program), values, sizes))


set_executor(execute)
