"""Programs as the bodies of loops and branches, and what each transformation makes of them.

A region is a closed Program. Its derivative and its batch are Programs too, made once for each
combination of parameters that carry one; the primitives in `loops`, `whiles`, `branches` and
`checkpoints` arrange them into new loops and branches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from . import foreign
from .batching import BatchTrace, BatchTracer
from .calls import CHEAP, has_effect, needed, partition, residual_places
from .core import (
    PYTHON_DTYPES,
    Aval,
    OptionalValues,
    Tracer,
    Value,
    aval_of,
    dtype_of,
    is_weak,
    thread_state,
)
from .errors import user_line
from .forward import JVPTrace, JVPTracer
from .program import Equation, Literal, Program, Variable
from .recording import ProgramTrace
from .residuals import cheapest, size_in_bytes
from .rules import broadcast_to_p, convert, lead_batch, weaken_p, zeros_like
from .size_structures import SizeKey
from .structured import enter_tape, is_traced_by
from .tape import TapeTrace, pull_back

Flags = tuple[bool, ...]


# -- values and their types --

_PYTHON_ZERO: dict[str, Any] = {"b": False, "i": 0, "u": 0, "f": 0.0, "c": 0j}


def joined_dtype(a: Aval, b: Aval) -> tuple[np.dtype[Any], bool]:
    """The dtype of what is sometimes an ``a`` and sometimes a ``b``, and whether it is weak."""
    if a.weak and b.weak:
        kinds = [_PYTHON_ZERO[x.dtype.kind] for x in (a, b)]
        return PYTHON_DTYPES[type(max(kinds, key=lambda x: "bifc".index(_kind(x))))], True
    first, second = (_PYTHON_ZERO[x.dtype.kind] if x.weak else x.dtype for x in (a, b))
    return np.result_type(first, second), False


def _kind(x: Any) -> str:
    return PYTHON_DTYPES[type(x)].kind


def coerce(x: Value, aval: Aval) -> Value:
    """``x`` with exactly the dtype of ``aval``, weak if that is."""
    if not aval.weak:
        return convert(x, aval.dtype)
    if is_weak(x) and dtype_of(x) == aval.dtype:
        return x
    return weaken_p(convert(x, aval.dtype))


def strong(aval: Aval) -> Aval:
    return Aval(aval.shape, aval.dtype)


def zeros_of(aval: Aval) -> Value:
    """Zeros; while a Program is recorded, one of its equations rather than a literal."""
    program = thread_state.program
    if program is None or not aval.shape:
        return zeros_like(aval)
    return program.process(broadcast_to_p, (aval.dtype.type(0),), {"shape": aval.shape})


def inexact(aval: Aval) -> bool:
    return aval.dtype.kind in "fc"


def check_avals(what: str, role: str, got: Sequence[Aval], wanted: Sequence[Aval]) -> None:
    """TypeError unless a region is given, or gives, values of the types it must."""
    same = len(got) == len(wanted) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.weak == b.weak
        for a, b in zip(got, wanted, strict=True)
    )
    if not same:
        raise TypeError(f"{what}: {role} are {list(got)}, wanted {list(wanted)}{user_line()}")


def split_at(items: Sequence[Any], *counts: int) -> list[list[Any]]:
    """``items`` cut into groups of these sizes, and the rest."""
    groups, start = [], 0
    for count in counts:
        groups.append(list(items[start : start + count]))
        start += count
    return [*groups, list(items[start:])]


def marked(items: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [item for item, flag in zip(items, flags, strict=True) if flag]


def unmarked(items: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [item for item, flag in zip(items, flags, strict=True) if not flag]


# -- recording --


def bind(primitive: Any, args: Sequence[Value], params: dict[str, Any]) -> tuple[Value, ...]:
    """Binds a region's primitive. Where a Program is recorded it is recorded, even if no operand is
    traced: live arrays are read when the Program runs.
    """
    program = thread_state.program
    if program is not None and not any(isinstance(a, Tracer) for a in args):
        return program.process(primitive, tuple(args), params)
    return primitive(*args, **params)


def record_region(
    function: Callable[..., Sequence[Value]], avals: Sequence[Aval], name: str
) -> tuple[Program, list[Value]]:
    """The Program of a function of Values, and the Values that it captured, tracers of older traces
    and the user's own arrays: arguments for the Program's last parameters.
    """
    with ProgramTrace(name) as trace:
        results = function(*[trace.parameter(aval) for aval in avals])
        program = trace.program(results, name)
    return without_live(program, [value for value, _ in trace.captures])


def without_live(program: Program, captures: list[Value]) -> tuple[Program, list[Value]]:
    """Makes parameters of the live arrays: a region reads no memory but that of its operands."""
    live: dict[int, tuple[Literal, Variable]] = {}

    def variable(x: Any) -> Any:
        if type(x) is not Literal or not x.live:
            return x
        if id(x.value) not in live:
            live[id(x.value)] = (x, Variable(x.aval))
        return live[id(x.value)][1]

    equations = [
        e
        if not any(type(x) is Literal and x.live for x in e.inputs)
        else Equation(e.primitive, [variable(x) for x in e.inputs], e.params, e.results, e.line)
        for e in program.equations
    ]
    results = [variable(x) for x in program.results]
    if not live:
        return program, captures
    parameters = [*program.parameters, *(v for _, v in live.values())]
    arrays = [literal.value for literal, _ in live.values()]
    closed = Program(parameters, equations, results, program.name)
    return closed, [*captures, *map(foreign.enter, arrays)]


def rearranged(
    program: Program, parameters: Sequence[Any], results: Sequence[Any], name: str = ""
) -> Program:
    """The same equations with parameters and results in another order, or fewer results."""
    return Program(parameters, program.equations, results, name or program.name)


def swept(program: Program) -> Program:
    """Without the equations that nothing reads."""
    kept = needed(program.equations, program.results)
    return Program(program.parameters, kept, program.results, program.name)


# -- forward mode --


@lru_cache(maxsize=512)
def jvp_region(program: Program, moving: Flags, forced: Flags) -> tuple[Program, Flags]:
    """(values, tangents of those in ``moving``) -> (results, tangents of those that have one), and
    which have: those in ``forced`` do, zero if need be.
    """
    with ProgramTrace(f"jvp of {program.name}") as outer:
        primals = [outer.parameter(aval) for aval in program.in_avals]
        trace = JVPTrace()
        inputs: list[Value] = [
            JVPTracer(trace, x, outer.parameter(strong(x.aval))) if moves else x
            for x, moves in zip(primals, moving, strict=True)
        ]
        outs, dots = [], []
        for out, force in zip(program(*inputs), forced, strict=True):
            mine = is_traced_by(out, trace)
            outs.append(out.primal if mine else out)
            dot = out.x_dot if mine else zeros_of(aval_of(out)) if force else None
            dots.append(None if dot is None else convert(dot, dtype_of(out)))
        results = [*outs, *(x for x in dots if x is not None)]
        made = outer.program(results, f"jvp_{program.name}")
    return made, tuple(x is not None for x in dots)


def moving_carry(program: Program, moving: Sequence[bool], start: int, count: int) -> Flags:
    """Which of the ``count`` carried values, parameters from ``start`` on, have a tangent in some
    iteration, if those parameters have one at first that are marked in ``moving``.
    """
    carry = list(moving[start : start + count])
    while True:
        flags = (*moving[:start], *carry, *moving[start + count :])
        has_dot = dependent(program, flags)[:count]
        grown = [
            a or (b and inexact(v.aval))
            for a, b, v in zip(carry, has_dot, program.results[:count], strict=True)
        ]
        if grown == carry:
            return tuple(carry)
        carry = grown


@lru_cache(maxsize=512)
def dependent(program: Program, moving: Flags) -> Flags:
    """Which results have a tangent if the parameters in ``moving`` do."""
    return jvp_region(program, moving, (False,) * len(program.results))[1]


def tangent_operands(
    values: Sequence[Value], x_dots: OptionalValues, moves: Sequence[bool]
) -> list[Value]:
    """The initial tangents of a carry, zeros where only later iterations have one."""
    return [
        zeros_of(aval_of(x)) if x_dot is None else x_dot
        for x, x_dot, m in zip(values, x_dots, moves, strict=True)
        if m
    ]


# -- reverse mode --


class Split(NamedTuple):
    """A region cut for reverse mode; see `split_region`."""

    forward: Program  # parameters -> (results, residuals)
    backward: Program  # (residuals, cotangents of results) -> cotangents of parameters
    pulled: Flags  # which results have a cotangent
    reached: Flags  # which parameters get one
    sources: tuple[int | None, ...]  # of each residual: which parameter it is, or None
    places: tuple[int, ...]  # of each residual: its number among the forward Program's values


@lru_cache(maxsize=512)
def split_region(
    program: Program,
    wanted: Flags,
    forced: Flags,
    carried: Flags,
    masked: bool,
    there: Flags | None = None,
) -> Split:
    """Cuts a region in two. ``wanted``: parameters whose cotangents are wanted. ``forced``: results
    that have a cotangent, whether they depend on those or not; ``carried``: parameters that get
    one in any case. ``masked``: the cotangents may be zeros behind a mask, where partials may be
    infinite. ``there``: which of (parameters, results) the backward region has without storing
    them; all parameters, if it is not said.
    """
    with ProgramTrace(f"grad of {program.name}") as outer:
        trace = TapeTrace()
        inputs = enter_tape(trace, outer, program.in_avals, wanted)
        found = program(*inputs)
        outs = [out.primal if is_traced_by(out, trace) else out for out in found]
        mine = [is_traced_by(out, trace) and inexact(aval_of(out)) for out in found]
        parameters = outer.parameters[:]
        pulled = tuple(m or f for m, f in zip(mine, forced, strict=True))
        cts = [
            outer.parameter(strong(aval_of(out))) if p else None
            for out, p in zip(outs, pulled, strict=True)
        ]
        pairs = [(out.node, ct) for out, m, ct in zip(found, mine, cts, strict=True) if m]
        nodes = [x.node if w else None for x, w in zip(inputs, wanted, strict=True)]
        grads = iter(pull_back(pairs, [n for n in nodes if n is not None], masked))
        cotangents: list[Value | None] = []
        for x, w, c in zip(inputs, wanted, carried, strict=True):
            g = next(grads) if w else None
            if g is None and c:
                g = zeros_of(aval_of(x))
            cotangents.append(None if g is None else convert(g, dtype_of(x)))
        reached = tuple(g is not None for g in cotangents)
        chosen = [g for g in cotangents if g is not None]
        joint = outer.program([*outs, *chosen], program.name)
    if there is None:
        there = tuple(i < len(parameters) for i in range(len(parameters) + len(outs)))
    free = set(marked([*parameters, *joint.results[: len(outs)]], there))
    choose = cheapest(lambda v: 0.0 if v in free else size_in_bytes(v.aval))
    forward, backward = partition(joint, parameters, len(outs), choose)
    residuals = forward.results[len(outs) :]
    number = {v: i for i, v in enumerate(parameters)}
    sources = tuple(number.get(v) for v in residuals if type(v) is Variable)
    places = tuple(residual_places(forward, len(outs)))
    return Split(forward, backward, pulled, reached, sources, places)


@lru_cache(maxsize=512)
def hoisted(program: Program, constant: Flags) -> tuple[Program, Program] | None:
    """Takes what depends on nothing but the parameters in ``constant`` out of a region: the Program
    of that (a function of those parameters), and the region with its results as new last
    parameters. None where there is nothing that is worth it.
    """
    fixed = set(marked(program.parameters, constant))
    outside, inside = [], []
    for e in program.equations:
        free = [x for x in e.inputs if type(x) is Variable]
        if free and all(x in fixed for x in free) and not has_effect(e):
            outside.append(e)
            fixed.update(e.results)
        else:
            inside.append(e)
    made = {v for e in outside for v in e.results}
    read = [x for e in inside for x in e.inputs] + list(program.results)
    moved = list(dict.fromkeys(x for x in read if type(x) is Variable and x in made))
    if all(e.primitive.name in CHEAP for e in outside):
        return None
    prelude = Program(
        marked(program.parameters, constant), outside, moved, f"constants_of_{program.name}"
    )
    return swept(prelude), Program(
        [*program.parameters, *moved], inside, program.results, program.name
    )


# -- batches --


def batch_region(
    program: Program, size: Any, batched: Flags, forced: Flags
) -> tuple[Program, Flags]:
    """The region for a batch along axis 0 of the parameters marked, and which results have it:
    those in ``forced`` do in any case. The dtypes of batches are never weak.
    """
    return _batch_region(program, SizeKey(size), batched, forced)


@lru_cache(maxsize=512)
def _batch_region(
    program: Program, key: SizeKey, batched: Flags, forced: Flags
) -> tuple[Program, Flags]:
    size = key.size
    with ProgramTrace(f"vmap of {program.name}") as outer:
        trace = BatchTrace(size)
        inputs = [
            BatchTracer(trace, outer.parameter(batched_aval(aval, size)))
            if is_batched
            else outer.parameter(aval)
            for aval, is_batched in zip(program.in_avals, batched, strict=True)
        ]
        results, flags = [], []
        for out, aval, force in zip(program(*inputs), program.out_avals, forced, strict=True):
            mine = is_traced_by(out, trace)
            if mine or force:
                out = lead_batch(out.values if mine else out, size, mine)
                out = convert(out, aval.dtype)
            else:
                out = coerce(out, aval)
            results.append(out)
            flags.append(mine or force)
        return outer.program(results, f"vmap_{program.name}"), tuple(flags)


def batched_aval(aval: Aval, size: Any) -> Aval:
    return Aval((size, *aval.shape), aval.dtype)


def batched_operands(
    size: Any, values: Sequence[Value], batched: Sequence[bool], wanted: Sequence[bool]
) -> list[Value]:
    """Initial values of a carry, with the batch axis where that is wanted."""
    return [
        convert(lead_batch(x, size, b), dtype_of(x)) if w else x
        for x, b, w in zip(values, batched, wanted, strict=True)
    ]


def batched_carry(
    program: Program, size: Any, batched: Sequence[bool], start: int, count: int
) -> Flags:
    """Which of the ``count`` carried values, parameters from ``start`` on, differ between the
    examples in some iteration.
    """
    carry = list(batched[start : start + count])
    none = (False,) * len(program.results)
    while True:
        flags = (*batched[:start], *carry, *batched[start + count :])
        found = batch_region(program, size, flags, none)[1][:count]
        grown = [a or b for a, b in zip(carry, found, strict=True)]
        if grown == carry:
            return tuple(carry)
        carry = grown
