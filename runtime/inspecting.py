"""What ``jit(f).inspect(*args)`` gives: a Program, planned and compiled to be looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ..autodiff.program import Equation, Program
from ..codegen.counts import Group, Kernel, is_view, kernels
from ..codegen.inspection import Inspection
from ..codegen.mlir.module import Module, ModuleWriter
from ..codegen.pipeline import optimize
from ..codegen.places import Buffer
from ..codegen.plan import Cluster, Plan
from .compile import is_available, vector_bytes
from .lower_mlir import to_llvm_ir
from .native import CompiledLibrary, load

Sizes = Mapping[Any, int]  # by symbol


def inspection_of(program: Program, sizes: Sizes | None = None) -> Inspection:
    """The `Inspection` of a recorded Program; the costs are those at ``sizes``. Where there is no
    compiler each equation is a kernel, and there is no code.
    """
    optimized = optimize(program)
    if not is_available():
        equations = [(e.primitive.name, "NumPy", (e,)) for e in optimized.equations]
        return Inspection(program, optimized, kernels_at(optimized, equations, sizes))
    name = "xnp_inspected"
    module = ModuleWriter(optimized, name, vector_bytes()).module()
    text = _with_shared(module)

    @cache
    def library() -> CompiledLibrary:
        """The code, which is never run: what it calls may lie anywhere."""
        declared = set(re.findall(r"llvm.func @(xnp_\w+)", text)) - {name}
        return load(to_llvm_ir(text), dict.fromkeys(declared, 1), module.optimization)

    return Inspection(
        program,
        optimized,
        kernels_at(optimized, _groups(module), sizes),
        mlir=text,
        llvm=lambda: library().llvm_ir(),
        assembly=lambda: library().assembly(),
    )


def _with_shared(module: Module) -> str:
    """The module's text with the functions that it only declares, as modules share them."""
    texts = {name: text for called in module.shared.values() for name, text in called.items()}
    declared = re.compile(r"^func\.func private @(\w+)\([^%{\n]*$\n?", re.MULTILINE)
    own = declared.sub(lambda m: "" if m[1] in texts else m[0], module.text)
    return "\n".join([*texts.values(), own])


def groups_of(optimized: Program) -> list[Group]:
    """The kernels of an optimized Program, which are named by the numbers of their steps."""
    return _groups(ModuleWriter(optimized, "xnp_counted", vector_bytes()).module())


def kernels_at(program: Program, groups: Sequence[Group], sizes: Sizes | None) -> list[Kernel]:
    """`kernels`, with what they cost at these sizes."""
    if not sizes:
        return kernels(program, groups)
    sized = program.at_sizes(sizes)
    match = dict(zip(program.equations, sized.equations, strict=True))
    found = kernels(sized, [(name, kind, [match[e] for e in es]) for name, kind, es in groups])
    return [
        kernel._replace(equations=tuple(equations))
        for kernel, (_, _, equations) in zip(found, groups, strict=True)
    ]


def _groups(module: Module) -> list[Group]:
    """The steps of the plan: loop nests, and operations of their own."""
    called_back = {id(step.equation) for step in module.callbacks}
    groups: list[Group] = []
    for step, equations in zip(module.plan.steps, _equations(module.plan), strict=True):
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
