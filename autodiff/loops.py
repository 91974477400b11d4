"""`for_p`: the counted loop whose bounds are operands.

Its reverse mode cannot stack what it would store: how much that is only the run knows. It keeps the
carried values at SEGMENT places, evenly spread over the loop, and treats the iterations between two
of them in the same way, down to single iterations: so every iteration runs LEVELS times more at
most, and a loop of up to SEGMENT iterations twice more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .core import (
    Aval,
    OptionalValues,
    Params,
    Tracer,
    Value,
    Values,
    aval_of,
    dtype_of,
    shape_of,
)
from .counted import INDEX, Counted, stopping_body
from .errors import DifferentiationError
from .primitives.checks import refuse_p
from .primitives.elementwise import (
    add_p,
    greater_p,
    less_p,
    maximum_p,
    minimum_p,
    multiply_p,
    select_p,
    subtract_p,
)
from .primitives.indexing import gather_p, scatter_p
from .primitives.rounding import floor_divide_p
from .program import Program
from .recording import record
from .region_nodes import (
    Looped,
    back_on_tape,
    given_cotangents,
    known_numbers,
    on_tape,
    wanted_flags,
)
from .regions import (
    Flags,
    Split,
    bind,
    coerce,
    marked,
    rearranged,
    record_region,
    split_at,
    strong,
    zeros_of,
)
from .rules import convert
from .scans import plan_of, scan_p
from .tape import Node, TapeTrace

SEGMENT, LEVELS = 256, 3


def _for(lower: Any, upper: Any, *operands: Any, body: Program, const_count: int, **_: Any) -> Any:
    consts, carry = operands[:const_count], operands[const_count:]
    for index in range(int(lower), int(upper)):
        carry = body(index, *consts, *carry)
    return tuple(carry)


class For(Counted):
    """``for(lower, upper, *consts, *carry; body, const_count, carry_count)`` -> carry.

    ``for index in range(lower, upper): carry = body(index, *consts, *carry)``, with integer scalars
    for bounds; the index is a Python int, of weak dtype.
    """

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        operands = back_on_tape(trace, values, parents)
        found = self.with_consts(operands, params)
        if found is not None:
            return found
        lower, upper = map(known_numbers, values[:2])
        if lower is not None and upper is not None:
            return _as_scan(operands, int(np.max(upper - lower, initial=0)), params)
        wanted = wanted_flags(values[2:], parents[2:])
        plan = plan_of(wanted, params, False)
        outs = self(*values, **params)
        kept = {"primitive": self, "params": params, "wanted": wanted}
        node = Node(_unwound, parents, values, [aval_of(out) for out in outs], kept)
        return on_tape(trace, node, outs, plan.split.pulled)


for_p = For("for", _for, 2)


def _as_scan(operands: Sequence[Value], length: int, params: Params) -> tuple[Value, ...]:
    """A loop whose bounds are known, to all examples of a batch perhaps others."""
    lower, upper, *rest = operands
    new = {**params, "length": length, "reverse": False, "unroll": 1}
    if not isinstance(lower, Tracer) and not isinstance(upper, Tracer):
        return scan_p(*rest, **{**new, "body": shifted_body(params["body"], int(lower))})
    body = stopping_body(params["body"], aval_of(lower))
    new |= {"body": body, "const_count": params["const_count"] + 2}
    return scan_p(lower, trip_count(lower, upper), *rest, **new)


def trip_count(lower: Value, upper: Value) -> Value:
    return convert(maximum_p(subtract_p(upper, lower), 0), INDEX.dtype)


@lru_cache(maxsize=512)
def shifted_body(body: Program, lower: int) -> Program:
    """The body as a function of the number of the iteration, counted from 0."""
    if not lower:
        return body

    def step(k: Value, *rest: Value) -> Sequence[Value]:
        return body(coerce(add_p(k, lower), INDEX), *rest)

    return record(step, body.in_avals, body.name)[0]


# -- reverse mode --


class _Unwound(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        loop = params["params"]
        plan = plan_of(params["wanted"], loop, strong)
        lower, upper, *rest = args
        consts, carry = split_at(rest, loop["const_count"])
        split = plan.split
        back = pulling_body(split, loop["const_count"], len(carry), plan.active)
        count = trip_count(lower, upper)
        refuse_p(
            greater_p(count, SEGMENT**LEVELS),
            error=DifferentiationError,
            message=f"fori_loop: reverse mode of more than {SEGMENT**LEVELS} iterations",
        )
        cts = given_cotangents(ct, ans, split.pulled)
        summed = marked(consts, split.reached[1 : 1 + len(consts)])
        sums = [zeros_of(aval_of(x)) for x in summed]
        unwind = _Unwinding(loop["body"], back, consts)
        found = unwind(LEVELS, lower, count, carry, [*cts, *sums])
        queue = iter([*found[len(cts) :], *found[: len(cts)]])
        return [None, None, *(next(queue) if r else None for r in split.reached[1:])]


_unwound = _Unwound()


@lru_cache(maxsize=512)
def pulling_body(split: Split, const_count: int, carry_count: int, active: Flags) -> Program:
    """(index, consts, carry, cotangents of the carry, sums of those of the consts) -> (cotangents,
    sums), one iteration further back.
    """
    forward, backward = split.forward, split.backward
    arity, carried = len(forward.parameters), sum(active)
    cts = backward.in_avals[len(split.sources) :]
    summed = sum(split.reached[1 : 1 + const_count])

    def run(*args: Value) -> Sequence[Value]:
        given, ct, sums = split_at(args, arity, carried)
        residuals = forward(*given)[carry_count:]
        more, carry_out = split_at(backward(*residuals, *ct), summed)
        return [*carry_out, *(a + b for a, b in zip(sums, more, strict=True))]

    sums = [strong(v.aval) for v in backward.results[:summed]]
    return record(run, [*forward.in_avals, *cts, *sums], backward.name)[0]


def for_values(
    lower: Value, upper: Value, carry: Sequence[Value], step: Callable[..., Sequence[Value]]
) -> list[Value]:
    """``for index in range(lower, upper): carry = step(index, *carry)`` on Values, recorded."""
    avals = [INDEX, *map(aval_of, carry)]
    program, captured = record_region(step, avals, "unwind")
    (index,), state, consts = split_at(program.parameters, 1, len(carry))
    body = rearranged(program, [index, *consts, *state], program.results)
    params = {"body": body, "const_count": len(captured), "carry_count": len(carry)}
    return list(bind(for_p, [lower, upper, *captured, *carry], params))


class _Unwinding:
    """The backward pass through ``count`` iterations from ``first`` on."""

    def __init__(self, body: Program, back: Program, consts: Sequence[Value]) -> None:
        self.body, self.back, self.consts = body, back, consts

    def __call__(
        self, level: int, first: Value, count: Value, carry: Sequence[Value], cts: Sequence[Value]
    ) -> list[Value]:
        """``carry`` is from before the first iteration, ``cts`` belong to after the last; what it
        returns, to before the first.
        """
        if not level:
            return self.back(coerce(first, INDEX), *self.consts, *carry, *cts)
        span = SEGMENT ** (level - 1)
        parts = count if span == 1 else floor_divide_p(add_p(count, span - 1), span)
        stops = add_p(first, count)
        kept = self._kept(first, stops, span, parts, carry)

        def step(k: Value, *cts: Value) -> list[Value]:
            part = subtract_p(subtract_p(parts, 1), k)
            start = add_p(first, multiply_p(part, span))
            many = minimum_p(subtract_p(stops, start), span)
            before = [
                coerce(gather_p(x, part), aval_of(v)) for x, v in zip(kept, carry, strict=True)
            ]
            return self(level - 1, start, many, before, cts)

        return for_values(0, parts, cts, step)

    def _kept(
        self, first: Value, stops: Value, span: int, parts: Value, carry: Sequence[Value]
    ) -> list[Value]:
        """The carry from before each part, stacked."""
        stacks = [zeros_of(Aval((SEGMENT, *shape_of(x)), dtype_of(x))) for x in carry]
        loop = {"body": self.body, "const_count": len(self.consts), "carry_count": len(carry)}

        def step(part: Value, *state: Value) -> list[Value]:
            stacks, carry = split_at(state, len(state) // 2)
            stacks = [
                scatter_p(s, convert(x, dtype_of(x)), part)
                for s, x in zip(stacks, carry, strict=True)
            ]
            start = convert(add_p(first, multiply_p(part, span)), INDEX.dtype)
            stop = minimum_p(add_p(start, span), stops)
            goes_on = less_p(add_p(part, 1), parts)  # after the last part nobody reads the carry
            stop = select_p(goes_on, stop, start)
            return [*stacks, *bind(for_p, [start, stop, *self.consts, *carry], loop)]

        return for_values(0, parts, [*stacks, *carry], step)[: len(carry)]
