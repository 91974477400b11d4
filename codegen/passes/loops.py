"""Loops: what never changes is no longer carried, what nothing reads is dropped, and what is the
same in every iteration is computed once, before the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ...autodiff.calls import CHEAP, needed
from ...autodiff.counted import Counted
from ...autodiff.program import Atom, Equation, Literal, Program, Variable
from .atoms import acts, dims_in, rebuilt, substituted, with_inputs, with_regions
from .rewriting import is_elementwise, is_scalar_literal

# What may be computed before a loop that may run no iteration: it raises for no numbers at all.
# Cheap operations stay inside, where they cost less than to store and load their results.
SAFE = frozenset({"matmul", "slide", "cumsum", "cumprod", "argmax", "argmin", "argsort"})


class Carried(NamedTuple):
    """A value that one iteration hands to the next."""

    operand: Atom
    parameter: Variable  # of the body
    tested: Variable | None  # the parameter of the condition, of a `while`
    out: Atom
    result: Variable


Passed = tuple[Atom, Variable]  # an operand and the parameter that stands for it


class Loop:
    """A loop's equation, taken apart: see `autodiff.counted` for the groups."""

    equation: Equation
    bounds: list[Atom]
    index: list[Variable]
    tests: list[Passed]  # the consts of a `while`'s condition
    consts: list[Passed]
    carry: list[Carried]
    xs: list[Passed]
    ys: list[tuple[Atom, Variable]]  # of the body, and the stack of the loop
    body: Sequence[Equation]
    cond: Sequence[Equation]
    test: Sequence[Atom]  # the result of a `while`'s condition

    def __init__(self, **parts: Any) -> None:
        vars(self).update(parts)

    def rebuilt(self) -> Equation:
        """The loop with these parts."""
        old = self.equation
        state = [c.parameter for c in self.carry]
        body = Program(
            [*self.index, *_parameters(self.consts), *state, *_parameters(self.xs)],
            self.body,
            [*(c.out for c in self.carry), *(y for y, _ in self.ys)],
            old.params["body"].name,
        )
        params: dict[str, Any] = {**old.params, "body": body}
        if "cond" in params:
            cond = params["cond"]
            tested = [c.tested for c in self.carry if c.tested is not None]
            inputs = [*_parameters(self.tests), *tested]
            params["cond"] = Program(inputs, self.cond, self.test, cond.name)
            params.update(cond_count=len(self.tests), body_count=len(self.consts))
        else:
            params.update(const_count=len(self.consts), carry_count=len(self.carry))
        operands = [*self.bounds, *_operands(self.tests), *_operands(self.consts)]
        operands += [*(c.operand for c in self.carry), *_operands(self.xs)]
        results = [*(c.result for c in self.carry), *(result for _, result in self.ys)]
        return Equation(old.primitive, operands, params, results, old.line)


def _operands(group: Iterable[Passed]) -> list[Atom]:
    return [operand for operand, _ in group]


def _parameters(group: Iterable[Passed]) -> list[Variable]:
    return [parameter for _, parameter in group]


def loop_of(equation: Equation) -> Loop | None:
    """The parts of a loop; None if the equation is none."""
    params = equation.params
    if isinstance(equation.primitive, Counted):
        groups = equation.primitive.groups(equation.inputs, params)
        return _taken_apart(equation, groups.bounds, [], groups.consts, groups.carry, groups.xs)
    if equation.primitive.name == "while":
        first, second = params["cond_count"], params["cond_count"] + params["body_count"]
        operands = equation.inputs
        return _taken_apart(
            equation, [], operands[:first], operands[first:second], operands[second:], []
        )
    return None


def _taken_apart(
    equation: Equation,
    bounds: Sequence[Atom],
    tests: Sequence[Atom],
    consts: Sequence[Atom],
    carry: Sequence[Atom],
    xs: Sequence[Atom],
) -> Loop:
    body, cond, count = equation.params["body"], equation.params.get("cond"), len(carry)
    start = 1 if cond is None else 0
    own = body.parameters[start:]
    given = () if cond is None else cond.parameters
    tested = given[len(tests) :] if given else [None] * count
    state = own[len(consts) : len(consts) + count]
    parts = zip(carry, state, tested, body.results[:count], equation.results[:count], strict=True)
    return Loop(
        equation=equation,
        bounds=list(bounds),
        index=list(body.parameters[:start]),
        tests=list(zip(tests, given[: len(tests)], strict=True)),
        consts=list(zip(consts, own[: len(consts)], strict=True)),
        carry=[Carried(*part) for part in parts],
        xs=list(zip(xs, own[len(consts) + count :], strict=True)),
        ys=list(zip(body.results[count:], equation.results[count:], strict=True)),
        body=body.equations,
        cond=() if cond is None else cond.equations,
        test=() if cond is None else cond.results,
    )


# -- what nothing reads --


def loop_without_dead(equation: Equation, live: set[Variable]) -> Equation:
    """The loop without the carried values and stacks that nothing reads: no later equation, by
    ``live``, and no value that is read itself.
    """
    loop = loop_of(equation)
    if loop is None:
        return equation
    loop.ys = [(y, result) for y, result in loop.ys if result in live]
    alive = {c.parameter for c in loop.carry if c.result in live}
    if "cond" in equation.params:
        tests = _read(loop.cond, loop.test)
        alive |= {c.parameter for c in loop.carry if c.tested in tests}
        loop.tests = [(x, v) for x, v in loop.tests if v in tests]
    while True:
        outs = [c.out for c in loop.carry if c.parameter in alive] + [y for y, _ in loop.ys]
        body = needed(loop.body, outs)
        read = _read(body, outs)
        grown = alive | {c.parameter for c in loop.carry if c.parameter in read}
        if grown == alive:
            break
        alive = grown
    loop.carry = [c for c in loop.carry if c.parameter in alive]
    loop.consts = [(x, v) for x, v in loop.consts if v in read]
    loop.xs = [(x, v) for x, v in loop.xs if v in read]
    loop.body = body
    found = loop.rebuilt()
    counts = len(equation.inputs), len(equation.results)
    return equation if (len(found.inputs), len(found.results)) == counts else found


def _read(equations: Iterable[Equation], results: Iterable[Atom]) -> set[Atom]:
    read = {x for e in equations for x in e.inputs}
    read.update(results)
    return read


# -- what is the same in every iteration --


def hoist(program: Program) -> Program:
    """The Program whose loops, those in its regions too, carry nothing that never changes, and
    compute before they start what does not depend on the iteration.
    """
    env: dict[Atom, Atom] = {}
    equations: list[Equation] = []
    for equation in program.equations:
        if env and not env.keys().isdisjoint(equation.inputs):
            equation = with_inputs(equation, [env.get(x, x) for x in equation.inputs])
        if equation.params:
            equation = with_regions(equation, hoist)
        loop = loop_of(equation)
        if loop is not None:
            changed = _drop_invariant(loop, env)
            changed = _insert_numbers(loop) or changed
            before = _taken_out(loop)
            equations += before
            if changed or before:
                equation = loop.rebuilt()
        equations.append(equation)
    return rebuilt(program, equations, [env.get(x, x) for x in program.results])


def _drop_invariant(loop: Loop, env: dict[Atom, Atom]) -> bool:
    """Makes consts of the carried values that every iteration hands on as it got them."""
    fixed = [c for c in loop.carry if c.out is c.parameter]
    for c in fixed:
        loop.consts.append((c.operand, c.parameter))
        if c.tested is not None:
            loop.tests.append((c.operand, c.tested))
        env[c.result] = c.operand
    loop.carry = [c for c in loop.carry if c.out is not c.parameter]
    return bool(fixed)


def _insert_numbers(loop: Loop) -> bool:
    """Puts consts that are known numbers into the body and the condition, which may simplify."""
    known: dict[Atom, Atom] = {v: x for x, v in (*loop.consts, *loop.tests) if is_scalar_literal(x)}
    if not known:
        return False
    loop.consts = [(x, v) for x, v in loop.consts if v not in known]
    loop.tests = [(x, v) for x, v in loop.tests if v not in known]
    loop.body = substituted(loop.body, known)
    loop.carry = [c._replace(out=known.get(c.out, c.out)) for c in loop.carry]
    loop.ys = [(known.get(y, y), result) for y, result in loop.ys]
    loop.cond = substituted(loop.cond, known)
    loop.test = [known.get(x, x) for x in loop.test]
    return True


def _taken_out(loop: Loop) -> list[Equation]:
    """Takes out of the body what depends on the consts alone, as equations on their operands; its
    results become consts.
    """
    constant: set[Atom] = set(_parameters(loop.consts))
    candidates: dict[Variable, Equation] = {}
    wanted: list[Equation] = []
    for e in loop.body:
        if all(type(x) is Literal or x in constant for x in e.inputs) and _is_safe(e):
            constant.update(e.results)
            candidates.update((v, e) for v in e.results)
            if e.primitive.name not in CHEAP:
                wanted.append(e)
    if not wanted:
        return []
    outside = needed(
        list(dict.fromkeys(candidates.values())), [v for e in wanted for v in e.results]
    )
    taken = set(wanted)
    loop.body = [e for e in loop.body if e not in taken]
    env: dict[Atom, Atom] = {parameter: operand for operand, parameter in loop.consts}
    made = []
    for e in outside:
        results = [Variable(v.aval) for v in e.results]
        made.append(
            Equation(e.primitive, [env.get(x, x) for x in e.inputs], e.params, results, e.line)
        )
        env.update(zip(e.results, results, strict=True))
    read = _read(loop.body, [*(c.out for c in loop.carry), *(y for y, _ in loop.ys)])
    loop.consts += [(env[v], v) for e in wanted for v in e.results if v in read]
    return made


def _is_safe(e: Equation) -> bool:
    name = e.primitive.name
    if acts(e) or (name == "power" and e.results[0].aval.dtype.kind not in "fc"):
        return False
    sizes = [
        dim
        for part in (*e.params.values(), *(v.aval.shape for v in e.results))
        for dim in dims_in(part)
    ]
    if any(symbol.hint is None for dim in sizes for symbol in dim.symbols()):
        return False  # of the loop's own index
    return (
        is_elementwise(e.primitive) or name in SAFE or name in CHEAP or name.startswith("reduce_")
    )
