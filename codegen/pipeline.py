"""From a Program as it was recorded to one that code is generated for."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..autodiff.program import Program
from .passes.common import merge_common
from .passes.dead import drop_dead
from .passes.inline import inline_calls, inline_checkpoints
from .passes.loops import hoist
from .passes.simplify import simplify

Pass = Callable[[Program], Program]
Hook = Callable[[str, Program], None]

# Each round sees what the one before has brought together; nearly always the second finds nothing.
ROUND: tuple[tuple[str, Pass], ...] = (
    ("simplify", simplify),
    ("merge common", merge_common),
    ("hoist", hoist),
    ("drop dead", drop_dead),
)
MOST_ROUNDS = 4


def optimize(program: Program, hook: Hook | None = None) -> Program:
    """An equivalent Program that is cheaper to compute, for code generation: not to be
    differentiated any more. See `passes.simplify` for what "equivalent" means.

    ``hook(name, program)`` is called after every pass that changed something. With XNP_CHECK=1 in
    the environment the Program is checked after every such pass.
    """
    check = os.environ.get("XNP_CHECK") == "1"

    def run(name: str, function: Pass, program: Program) -> Program:
        found = function(program)
        if found is not program:
            if check:
                found.check()
            if hook is not None:
                hook(name, found)
        return found

    program = run("inline calls", inline_calls, program)
    program = run("drop dead", drop_dead, program)
    for _ in range(MOST_ROUNDS):
        before = program
        for name, function in ROUND:
            program = run(name, function, program)
        if program is before:
            break
    before, program = program, run("inline checkpoints", inline_checkpoints, program)
    if program is not before:
        program = run("simplify", simplify, program)
        program = run("drop dead", drop_dead, program)
    return program
