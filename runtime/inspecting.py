"""What ``jit(f).inspect(*args)`` gives: a Program, planned and compiled to be looked at."""

from __future__ import annotations

from ..autodiff.program import Program
from ..codegen.counts import Group, is_view, kernels
from ..codegen.inspection import Inspection
from ..codegen.pipeline import optimize
from ..codegen.plan import Cluster
from .compile import Compiled, is_available


def inspection_of(program: Program) -> Inspection:
    """The `Inspection` of a recorded Program. Where there is no compiler each equation is a kernel,
    and there is no code.
    """
    optimized = optimize(program)
    if not is_available():
        equations = [(e.primitive.name, "NumPy", (e,)) for e in optimized.equations]
        return Inspection(program, optimized, kernels(optimized, equations))
    compiled = Compiled(optimized)
    return Inspection(
        program,
        optimized,
        kernels(optimized, _groups(compiled)),
        mlir=compiled.module.text,
        llvm=compiled.library.llvm_ir,
        assembly=compiled.library.assembly,
    )


def _groups(compiled: Compiled) -> list[Group]:
    """The steps of the plan: loop nests, and operations of their own. An update that is no more
    than stores, as `setitem` is, belongs to the last step that stores into its result.
    """
    plan, called_back = compiled.module.plan, {id(s.equation) for s in compiled.module.callbacks}
    equations = [
        list(step.equations) if isinstance(step, Cluster) else [step.equation]
        for step in plan.steps
    ]
    shown = {e for group in equations for e in group}
    writer = {
        store.place.buffer: number
        for number, step in enumerate(plan.steps)
        if isinstance(step, Cluster)
        for store in step.stores
    }
    for e in plan.program.equations:
        place = plan.places.get(e.results[0]) if e.results and e not in shown else None
        if place is not None and not is_view(e) and place.buffer in writer:
            equations[writer[place.buffer]].append(e)
    groups: list[Group] = []
    for step, own in zip(plan.steps, equations, strict=True):
        if isinstance(step, Cluster):
            kind = "loop nest" if step.reduced is None else "reduction"
        else:
            kind = "call to NumPy" if id(step.equation) in called_back else "operation"
        if own:
            groups.append((f"kernel {step.number}", kind, own))
    return groups
