"""From a Program as it was recorded to one that code is generated for."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..autodiff.program import Program
from .batches.cutting import cut_batches
from .passes.boxes import split_into_boxes
from .passes.checks import reduce_checks
from .passes.common import merge_common
from .passes.dead import drop_dead
from .passes.decompositions import drop_vectors
from .passes.early_reads import read_early
from .passes.inline import inline_calls, inline_checkpoints
from .passes.loops import hoist
from .passes.products import add_to_products, expand_products
from .passes.residuals import move_residuals
from .passes.scattered import scatter_sums
from .passes.settling import settle_sizes
from .passes.simplify import simplify
from .passes.sorting import sort_values

Pass = Callable[[Program], Program]
Hook = Callable[[str, Program], None]

# A round simplifies what the one before has merged.
MOST_ROUNDS = 4


def optimize(program: Program, hook: Hook | None = None) -> Program:
    """An equivalent Program that is cheaper to compute, for code generation: not to be
    differentiated any more. See `passes.simplify` for what "equivalent" means.

    ``hook(name, program)`` is called after every pass that changed something. With XNP_CHECK=1 in
    the environment the Program is checked after every such pass.
    """
    with collection_paused():
        return _optimized(program, hook, os.environ.get("XNP_CHECK") == "1")


@contextmanager
def collection_paused() -> Iterator[None]:
    """Keeps the garbage collector from looking again and again at what is being built, of which
    nothing is garbage: that would take longer than the building.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _optimized(program: Program, hook: Hook | None, check: bool) -> Program:
    def run(name: str, function: Pass, program: Program) -> Program:
        found = function(program)
        if found is not program:
            if check:
                found.check()
            if hook is not None:
                hook(name, found)
        return found

    program = run("inline calls", inline_calls, program)
    program = run("settle sizes", settle_sizes, program)
    program = run("reduce checks", reduce_checks, program)
    program = run("drop dead", drop_dead, program)
    for _ in range(MOST_ROUNDS):
        program = run("simplify", simplify, program)
        before = program
        program = run("merge common", merge_common, program)
        program = run("hoist", hoist, program)
        merged, program = program is not before, run("drop dead", drop_dead, program)
        if not merged:
            break
    before, program = program, run("inline checkpoints", inline_checkpoints, program)
    if program is not before:
        program = run("simplify", simplify, program)
        program = run("drop dead", drop_dead, program)
    last: list[tuple[str, Pass]] = [
        ("sort values", sort_values),
        ("drop vectors", drop_vectors),
        ("expand products", expand_products),
        ("move residuals", move_residuals),
        ("cut batches", cut_batches),
        ("add to products", add_to_products),
        ("scatter sums", scatter_sums),
        ("read early", read_early),
        ("split into boxes", split_into_boxes),
    ]
    for name, function in last:
        before, program = program, run(name, function, program)
        if program is not before:
            program = run("drop dead", drop_dead, program)
    return program
