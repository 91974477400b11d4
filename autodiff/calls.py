"""`call_p`: a Program as one operation of another, and what transformations make of it.

A jitted function under a transformation is one call. Its derivative, its batch are Programs too,
made once for each combination of arguments that carry one, and called in its place:

* jvp: the Program of values and tangents together;
* the tape: a forward Program, that returns what the backward one reads besides its results, and
  the backward Program. Cheap elementwise values are computed again rather than stored.
* vmap: the Program of the whole batch.

A Program for any size is called with ``sizes``, the numbers of all its symbols, and what is made of
it is for any size again if it can be (`any_size`). In a Program that is recorded sizes are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from .any_size import at_sizes, derived, derived_anyway, derived_batch, evaluated
from .batching import BatchTrace, BatchTracer
from .core import (
    Aval,
    OptionalValues,
    Params,
    Primitive,
    Value,
    Values,
    aval_of,
    dtype_of,
    thread_state,
)
from .forward import JVPTrace, JVPTracer
from .program import Atom, Equation, Program, Variable, regions
from .recording import ProgramTrace
from .rules import broadcast_to_p, zeros_like
from .size_structures import SizeKey
from .structured import Structured, back_on_tape, enter_tape, is_traced_by, paired
from .tape import Node, OutputNode, TapeTrace, TapeTracer, pull_back


class Call(Structured):
    """``call(*values, program=p)``: ``p(*values)`` as a tuple."""

    def __init__(self) -> None:
        super().__init__(
            "call",
            lambda *values, **params: evaluated(values, params),
            shape=lambda *avals, program: program.out_avals,
        )

    def __call__(self, *args: Value, **params: Any) -> Any:
        if thread_state.program is not None and "sizes" in params:
            program = at_sizes(params)
            if program is None:
                return evaluated(args, params)
            params = {"program": program}
        return super().__call__(*args, **params)

    def process_jvp(
        self, trace: JVPTrace, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[Value, ...]:
        moving = tuple(x_dot is not None for x_dot in x_dots)
        made = derived(jvp_program, params, moving)
        if made is None:
            pairs = zip(primals, x_dots, strict=True)
            return evaluated([x if d is None else JVPTracer(trace, x, d) for x, d in pairs], params)
        (both, has_dot), sizes = made
        found = self(*primals, *(x for x in x_dots if x is not None), program=both, **sizes)
        return paired(trace, found, has_dot)

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        wanted = tuple(parent is not None for parent in parents)
        made = derived(split_program, params, wanted)
        if made is None:
            return evaluated(back_on_tape(trace, values, parents), params)
        (forward, backward, pulled), sizes = made
        found = self(*values, program=forward, **sizes)
        count = len(params["program"].results)
        outs, residuals = found[:count], found[count:]
        node = Node(
            _called_p,
            parents,
            values,
            [aval_of(out) for out in outs],
            {
                "call": params,
                "forward": forward,
                "backward": {"program": backward, **sizes},
                "residuals": residuals,
                "pulled": pulled,
            },
        )
        return tuple(
            TapeTracer(trace, out, OutputNode(node, i)) if pulled[i] else out
            for i, out in enumerate(outs)
        )

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        flags = tuple(batched)
        if thread_state.program is not None:  # and the size may be a symbol of what is recorded
            program, out_batched = batched_program(params["program"], SizeKey(size), flags)
            return self(*args, program=program), out_batched
        made = derived_batch(batched_program, params, size, flags)
        if made is None:
            return _evaluated_batch(size, args, flags, params)
        (program, out_batched), sizes = made
        return self(*args, program=program, **sizes), out_batched


def _evaluated_batch(
    size: int, args: Sequence[Value], batched: Sequence[bool], params: Params
) -> tuple[Any, Any]:
    trace = BatchTrace(size)
    inputs = [BatchTracer(trace, x) if b else x for x, b in zip(args, batched, strict=True)]
    found = evaluated(inputs, params)
    return _batch_results(found, trace)


call_p = Call()


class _Called(Primitive):
    """What stands on a tape for a call: only its derivative is ever asked for."""

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        cts = [
            zeros_like(aval) if c is None else c
            for c, aval, is_pulled in zip(ct, ans, params["pulled"], strict=True)
            if is_pulled
        ]
        residuals, backward = params["residuals"], params["backward"]
        if strong:
            residuals, backward = self._masked(args, wanted, params)
        found = iter(call_p(*residuals, *cts, **backward))
        return [None if w is None else next(found) for w in wanted]

    def _masked(self, args: Values, wanted: Sequence[Any], params: Params) -> tuple[Values, Params]:
        """What the backward Program reads, and the call of it, where cotangents may be zeros from
        behind a mask.
        """
        call = params["call"]
        count = len(call["program"].results)
        flags = tuple(w is not None for w in wanted)
        (forward, backward, _), sizes = derived_anyway(split_program, call, flags, True)
        residuals = params["residuals"]
        if not _is_same(forward, params["forward"]):
            residuals = call_p(*args, program=forward, **sizes)[count:]
        return residuals, {"program": backward, **sizes}

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        moving = tuple(x_dot is not None for x_dot in x_dots)
        (both, has_dot), sizes = derived_anyway(jvp_program, params["call"], moving)
        found = call_p(*args, *(x for x in x_dots if x is not None), program=both, **sizes)
        dots = iter(found[len(params["call"]["program"].results) :])
        return tuple(next(dots) if has else None for has in has_dot)


@lru_cache(maxsize=512)
def _is_same(a: Program, b: Program) -> bool:
    """Whether two Programs made of one compute the same. They may be versions of it that know
    different things of the sizes, and so have different equations.
    """
    return str(a) == str(b)


_called_p = _Called("called", lambda *_, **__: None, multiple=True)


@lru_cache(maxsize=512)
def jvp_program(program: Program, moving: tuple[bool, ...]) -> tuple[Program, tuple[bool, ...]]:
    """The Program of (values, tangents of those marked in ``moving``) -> (results, tangents), and
    which results have a tangent.
    """
    with ProgramTrace(f"jvp of {program.name}") as outer:
        primals = [outer.parameter(aval) for aval in program.in_avals]
        trace = JVPTrace()
        inputs: list[Value] = [
            JVPTracer(trace, x, outer.parameter(Aval(x.shape, x.dtype))) if moves else x
            for x, moves in zip(primals, moving, strict=True)
        ]
        outs, dots = [], []
        for out in program(*inputs):
            mine = is_traced_by(out, trace)
            outs.append(out.primal if mine else out)
            dots.append(out.x_dot if mine else None)
        results = [*outs, *(x for x in dots if x is not None)]
        made = outer.program(results, f"jvp_{program.name}")
    return made, tuple(x is not None for x in dots)


@lru_cache(maxsize=512)
def batched_program(
    program: Program, key: SizeKey, batched: tuple[bool, ...]
) -> tuple[Program, tuple[bool, ...]]:
    """The Program for a batch along axis 0 of the parameters marked, and which results have it."""
    size = key.size
    with ProgramTrace(f"vmap of {program.name}") as outer:
        trace = BatchTrace(size)
        inputs = [
            BatchTracer(trace, outer.parameter(Aval((size, *aval.shape), aval.dtype)))
            if is_batched
            else outer.parameter(aval)
            for aval, is_batched in zip(program.in_avals, batched, strict=True)
        ]
        results, flags = _batch_results(program(*inputs), trace)
        return outer.program(results, f"vmap_{program.name}"), flags


def _batch_results(
    found: Sequence[Value], trace: BatchTrace
) -> tuple[tuple[Value, ...], tuple[bool, ...]]:
    """Results with the batch axis where they have one, and which have."""
    flags = tuple(is_traced_by(out, trace) for out in found)
    values = (
        out.values if isinstance(out, BatchTracer) and f else out
        for out, f in zip(found, flags, strict=True)
    )
    return tuple(values), flags


@lru_cache(maxsize=512)
def split_program(
    program: Program, wanted: tuple[bool, ...], masked: bool = False
) -> tuple[Program, Program, tuple[bool, ...]]:
    """The forward Program: parameters -> (results, residuals); the backward one: (residuals,
    cotangents of results) -> cotangents of the parameters in ``wanted``; and which results have
    a cotangent. ``masked``: see `pull_back`.
    """
    with ProgramTrace(f"grad of {program.name}") as outer:
        trace = TapeTrace()
        inputs = enter_tape(trace, outer, program.in_avals, wanted)
        found = program(*inputs)
        mine = [is_traced_by(out, trace) for out in found]
        outs = [out.primal if m else out for out, m in zip(found, mine, strict=True)]
        parameters = outer.parameters[:]
        cts = [
            outer.parameter(Aval(out.shape, dtype_of(out)))
            for out, m in zip(found, mine, strict=True)
            if m
        ]
        nodes = [out.node for out, m in zip(found, mine, strict=True) if m]
        sources = [x for x, w in zip(inputs, wanted, strict=True) if w]
        pairs = list(zip(nodes, cts, strict=True))
        grads = pull_back(pairs, [x.node for x in sources], masked)
        grads = [
            broadcast_to_p(dtype_of(x).type(0), shape=x.shape) if g is None else g
            for g, x in zip(grads, sources, strict=True)
        ]
        joint = outer.program([*outs, *grads], program.name)
    forward, backward = partition(joint, parameters, len(outs))
    return forward, backward, tuple(mine)


# Values that cost less to compute again than to store and load.
CHEAP = frozenset(
    {
        "reshape",
        "broadcast_to",
        "transpose",
        "flip",
        "getitem",
        "convert",
        "quantize",
        "real",
        "imag",
        "conjugate",
        "copy",
        "weaken",
        "add",
        "subtract",
        "multiply",
        "divide",
        "negative",
        "positive",
        "maximum",
        "minimum",
        "absolute",
        "fabs",
        "square",
        "reciprocal",
        "sqrt",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "sign",
        "select",
        "logical_and",
        "logical_or",
        "logical_not",
        "strong_multiply",
        "stop_gradient",
        "share",
        "deg2rad",
        "rad2deg",
        "radians",
        "degrees",
        "isnan",
        "isfinite",
        "isinf",
        "signbit",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "invert",
        "floor",
        "ceil",
        "trunc",
        "rint",
        "diagonal",
        "dimension",
        "iota",
    }
)


Producers = Mapping[Variable, Equation]
# From the forward values that are read, and which equation makes which: the values to store.
Choice = Callable[[Sequence[Variable], Producers], Iterable[Variable]]


def recomputable(equation: Equation | None) -> bool:
    return equation is not None and equation.primitive.name in CHEAP


def sources(read: Sequence[Variable], producers: Producers) -> list[Variable]:
    """What the values read are cheaply computed from."""
    stored: dict[Variable, None] = {}
    again: set[Equation] = set()
    stack = list(read)
    while stack:
        x = stack.pop()
        equation = producers.get(x)
        if equation is None or not recomputable(equation):
            stored[x] = None
        elif equation not in again:
            again.add(equation)
            stack += [v for v in equation.inputs if type(v) is Variable]
    return list(stored)


def partition(
    joint: Program, parameters: Sequence[Variable], out_count: int, choose: Choice = sources
) -> tuple[Program, Program]:
    """Cuts a Program of results and gradients in two; see `split_program`. ``choose``: what the
    forward Program stores.
    """
    outs, grads = joint.results[:out_count], joint.results[out_count:]
    cts = [v for v in joint.parameters if v not in set(parameters)]
    late = dependents(joint.equations, cts)
    first = needed([e for e in joint.equations if e not in late], outs)
    producer = {v: e for e in joint.equations for v in e.results}
    early = {v for e in first for v in e.results} | set(parameters)

    checks = [v for e in late if has_effect(e) for v in e.results]  # errors that cotangents decide
    later = needed(joint.equations, [*grads, *checks], stop=early)
    # What the backward Program reads of the forward one: stored, or if cheap computed again.
    read: list[Atom] = [x for e in later for x in e.inputs] + list(grads)
    wanted = [x for x in read if type(x) is Variable and x in early]
    stored = set(choose(wanted, producer))
    again: set[Equation] = set()
    stack = [x for x in wanted if x not in stored]
    while stack:
        equation = producer[stack.pop()]
        if equation not in again:
            again.add(equation)
            stack += [v for v in equation.inputs if type(v) is Variable and v not in stored]
    chosen = set(later) | again
    backward = [e for e in joint.equations if e in chosen]
    order = {v: i for i, v in enumerate([*parameters, *(v for e in first for v in e.results)])}
    residuals = sorted(stored, key=order.__getitem__)
    name = joint.name
    return (
        Program(parameters, first, [*outs, *residuals], f"forward_{name}"),
        Program([*residuals, *cts], backward, grads, f"backward_{name}"),
    )


def residual_places(forward: Program, out_count: int) -> list[int]:
    """Of the residuals of a forward Program: their numbers among all its values."""
    number = {v: i for i, v in enumerate(forward.parameters)}
    for equation in forward.equations:
        for v in equation.results:
            number[v] = len(number)
    return [number[v] for v in forward.results[out_count:] if type(v) is Variable]


def needed(
    equations: Sequence[Equation], results: Sequence[Atom], stop: set[Variable] | None = None
) -> list[Equation]:
    """The equations that ``results`` depend on, and those with effects (unless ``stop`` is given:
    the variables that are there already).
    """
    live = {x for x in results if type(x) is Variable and (stop is None or x not in stop)}
    kept = []
    for equation in reversed(equations):
        wanted = any(v in live for v in equation.results)
        if wanted or (stop is None and has_effect(equation)):
            kept.append(equation)
            for x in equation.inputs:
                if type(x) is Variable and (stop is None or x not in stop):
                    live.add(x)
    return kept[::-1]


def dependents(equations: Sequence[Equation], sources: Sequence[Variable]) -> dict[Equation, None]:
    """The equations that read ``sources``, or what follows from them, in order."""
    reached, found = set(sources), {}
    for equation in equations:
        if any(x in reached for x in equation.inputs):
            found[equation] = None
            reached.update(equation.results)
    return found


def has_effect(equation: Equation) -> bool:
    """Whether an equation does something besides computing its results."""
    return equation.primitive.effect or any(
        has_effect(inner) for region in regions(equation) for inner in region.equations
    )


Executor = Callable[..., tuple[Value, ...]]


def set_executor(execute: Executor) -> None:
    """What computes a call on ndarrays: ``execute(*values, program=p)``. Evaluating it equation by
    equation is the default; the runtime compiles it.
    """
    call_p.impl = execute
