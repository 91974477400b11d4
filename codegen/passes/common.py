"""Common subexpressions: what is computed twice from the same inputs is computed once."""

from __future__ import annotations

from collections.abc import Hashable

from ...autodiff.program import Atom, Equation, Program
from .atoms import acts, atom_key, has_regions, params_key, rebuilt, with_inputs, with_regions

# a op b and b op a have the same bits (but for which NaN comes out, which IEEE 754 leaves open).
COMMUTATIVE = frozenset(
    {"add", "multiply", "equal", "not_equal", "logical_and", "logical_or", "logical_xor"}
    | {"bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"}
)


def merge_common(program: Program) -> Program:
    """The Program with every repeated equation replaced by the first one's results."""
    seen: dict[Hashable, Equation] = {}
    env: dict[Atom, Atom] = {}
    kept = []
    for equation in program.equations:
        inputs = equation.inputs
        if env and not env.keys().isdisjoint(inputs):
            inputs = tuple([env.get(x, x) for x in inputs])
            equation = with_inputs(equation, inputs)
        if has_regions(equation):
            equation = with_regions(equation, merge_common)
        key = key_of(equation)
        first = seen.setdefault(key, equation) if key is not None else equation
        if first is equation:
            kept.append(equation)
        else:
            env.update(zip(equation.results, first.results, strict=True))
    return rebuilt(program, kept, [env.get(x, x) for x in program.results])


def key_of(equation: Equation) -> Hashable:
    """Equal for equations with equal results; None for those that are never merged."""
    if acts(equation):
        return None
    inputs = [atom_key(x) for x in equation.inputs]
    if len(inputs) == 2 and equation.primitive.name in COMMUTATIVE:
        inputs.sort(key=hash)
    try:
        return equation.primitive, tuple(inputs), params_key(equation.params)
    except TypeError:
        return None
