"""What ``jit(f).inspect(*args)`` gives: a Program, planned and compiled to be looked at."""

from __future__ import annotations

from ..autodiff.program import Equation, Program
from ..codegen.counts import Group, is_view, kernels
from ..codegen.inspection import Inspection
from ..codegen.pipeline import optimize
from ..codegen.places import Buffer
from ..codegen.plan import Cluster, Plan
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
    """The steps of the plan: loop nests, and operations of their own."""
    called_back = {id(step.equation) for step in compiled.module.callbacks}
    groups: list[Group] = []
    for step, equations in zip(
        compiled.module.plan.steps, _equations(compiled.module.plan), strict=True
    ):
        if isinstance(step, Cluster):
            kind = "loop nest" if step.reduced is None else "reduction"
        else:
            kind = "call to NumPy" if id(step.equation) in called_back else "operation"
        if equations:
            groups.append((f"kernel {step.number}", kind, equations))
    return groups


def _equations(plan: Plan) -> list[list[Equation]]:
    """The equations of each step. An update that is no more than stores, as `setitem` is, belongs
    to the last step that stores into its result.
    """
    found: list[list[Equation]] = []
    writer: dict[Buffer, int] = {}
    for number, step in enumerate(plan.steps):
        if isinstance(step, Cluster):
            writer.update((store.place.buffer, number) for store in step.stores)
            found.append(list(step.equations))
        else:
            found.append([step.equation])
    shown = {e for equations in found for e in equations}
    for e in plan.program.equations:
        place = plan.places.get(e.results[0]) if e.results and e not in shown else None
        if place is not None and not is_view(e) and place.buffer in writer:
            found[writer[place.buffer]].append(e)
    return found
