"""`for_p`: the counted loop whose bounds are operands.

Where it is known how often it runs at most, its reverse mode is that of a scan: the first run
writes what it stores to stacks of that length. Where it is not, reverse mode keeps the operands
alone, and runs the loop again: see `sweeps`.
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
)
from .counted import INDEX, Counted, stopping_body, trip_count
from .primitives.elementwise import (
    add_p,
    subtract_p,
)
from .primitives.indexing import gather_p, scatter_p
from .program import Program
from .recording import record
from .region_nodes import (
    Looped,
    given_cotangents,
    known_numbers,
    on_tape,
    wanted_flags,
)
from .regions import (
    bind,
    coerce,
    marked,
    rearranged,
    record_region,
    split_at,
    zeros_of,
)
from .rules import convert
from .scans import Plan, plan_of, scan_p
from .structured import back_on_tape
from .sweeps import Chain, pull_back_sweeps
from .tape import Node, TapeTrace


def _for(lower: Any, upper: Any, *operands: Any, body: Program, const_count: int, **_: Any) -> Any:
    consts, carry = operands[:const_count], operands[const_count:]
    for index in range(int(lower), int(upper)):
        carry = body(index, *consts, *carry)
    return tuple(carry)


class For(Counted):
    """``for(lower, upper, *consts, *carry; body, const_count, carry_count, limit)`` -> carry.

    ``for index in range(lower, upper): carry = body(index, *consts, *carry)``, with integer scalars
    for bounds; the index is a Python int, of weak dtype. ``limit``: a size, how often it runs at
    most, or None.
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
            trips = np.where(upper > lower, upper - lower, 0)
            return _as_scan(operands, int(np.max(trips, initial=0)), params)
        wanted = wanted_flags(values[2:], parents[2:])
        kept = {"primitive": self, "params": params, "wanted": wanted}
        plan = plan_of(wanted, params, False)
        if params["limit"] is None:
            outs = self(*values, **params)
            node = Node(_unwound, parents, values, [aval_of(out) for out in outs], kept)
        else:
            outs, kept["stacks"] = run_stacking(plan, values, params)
            node = Node(_stacked, parents, values, [aval_of(out) for out in outs], kept)
        return on_tape(trace, node, outs, plan.split.pulled)


for_p = For("for", _for, 2)


def _as_scan(operands: Sequence[Value], length: int, params: Params) -> tuple[Value, ...]:
    """A loop whose bounds are known, to all examples of a batch perhaps others."""
    lower, upper, *rest = operands
    new = {**params, "length": length, "reverse": False, "unroll": 1}
    del new["limit"]
    if not isinstance(lower, Tracer) and not isinstance(upper, Tracer):
        return scan_p(*rest, **{**new, "body": shifted_body(params["body"], int(lower))})
    start = 1 + params["const_count"]
    body = stopping_body(params["body"], aval_of(lower), start, params["carry_count"])
    new |= {"body": body, "const_count": params["const_count"] + 2}
    return scan_p(lower, trip_count(lower, upper), *rest, **new)


@lru_cache(maxsize=512)
def shifted_body(body: Program, lower: int) -> Program:
    """The body as a function of the number of the iteration, counted from 0."""
    if not lower:
        return body

    def step(k: Value, *rest: Value) -> Sequence[Value]:
        return body(coerce(add_p(k, lower), INDEX), *rest)

    return record(step, body.in_avals, body.name)[0]


# -- reverse mode, with stacks --


def run_stacking(plan: Plan, values: Values, params: Params) -> tuple[list[Value], list[Value]]:
    """The results of the loop, and the stacks for the backward one."""
    lower, upper, *rest = values
    consts, carry = split_at(rest, params["const_count"])
    avals = [v.aval for v in plan.forward.results[len(carry) :]]
    stacks = [zeros_of(Aval((params["limit"], *a.shape), a.dtype)) for a in avals]

    def step(index: Value, given: Sequence[Value], *state: Value) -> list[Value]:
        first, *consts = given
        carry_in, held = split_at(state, len(carry))
        new, ys = split_at(plan.forward(index, *consts, *carry_in), len(carry))
        place = subtract_p(index, first)
        pairs = zip(held, ys, strict=True)
        return [*new, *(scatter_p(s, convert(y, dtype_of(s)), place) for s, y in pairs)]

    found = for_values(lower, upper, [lower, *consts], [*carry, *stacks], step, params["limit"])
    outs, stacks = split_at(found, len(carry))
    return outs, [stacks[i] for i in plan.stacked]


class _Stacked(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        loop, stacks = params["params"], params["stacks"]
        plan = plan_of(params["wanted"], loop, False)
        if strong:
            masked = plan_of(params["wanted"], loop, True)
            if masked.split.places != plan.split.places:
                _, stacks = run_stacking(masked, args, loop)
            plan = masked
        lower, upper, *rest = args
        consts, _ = split_at(rest, loop["const_count"])
        read = [consts[s - 1] for s in plan.split.sources if s and s <= len(consts)]
        cts, sums = first_cotangents(plan, ct, ans, consts)
        trips = trip_count(lower, upper)

        def step(k: Value, given: Sequence[Value], *state: Value) -> list[Value]:
            (first, count), const, held = split_at(given, 2, len(read))
            place = subtract_p(subtract_p(count, 1), k)
            index = coerce(add_p(first, place), INDEX)
            slices = [gather_p(s, place) for s in held]
            return plan.backward(index, *const, *state, *slices)

        given = [lower, trips, *read, *stacks]
        found = for_values(0, trips, given, [*cts, *sums], step, loop["limit"])
        return in_order(plan, found, len(cts))


_stacked = _Stacked()


def first_cotangents(
    plan: Plan, ct: Any, ans: Any, consts: Sequence[Value]
) -> tuple[list[Value], list[Value]]:
    """The cotangents of the carry after the loop, and zeros to add those of the consts to."""
    cts = given_cotangents(ct, ans, plan.split.pulled)
    summed = marked(consts, plan.split.reached[1 : 1 + len(consts)])
    return cts, [zeros_of(aval_of(x)) for x in summed]


def in_order(plan: Plan, found: Sequence[Value], carried: int) -> list[Value | None]:
    """Cotangents of all operands, from those of the carry and then the sums."""
    queue = iter([*found[carried:], *found[:carried]])
    return [None, None, *(next(queue) if r else None for r in plan.split.reached[1:])]


def for_values(
    lower: Value,
    upper: Value,
    consts: Sequence[Value],
    carry: Sequence[Value],
    step: Callable[..., Sequence[Value]],
    limit: Any = None,
) -> list[Value]:
    """``for index in range(lower, upper): carry = step(index, consts, *carry)``, recorded."""
    count = len(consts)

    def run(index: Value, *values: Value) -> Sequence[Value]:
        return step(index, values[:count], *values[count:])

    avals = [INDEX, *map(aval_of, consts), *map(aval_of, carry)]
    program, captured = record_region(run, avals, "unwind")
    (index,), given, state, more = split_at(program.parameters, 1, count, len(carry))
    body = rearranged(program, [index, *given, *more, *state], program.results)
    params = {
        "body": body,
        "const_count": count + len(captured),
        "carry_count": len(carry),
        "limit": limit,
    }
    return list(bind(for_p, [lower, upper, *consts, *captured, *carry], params))


# -- reverse mode, without a limit --


class _Unwound(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        loop = params["params"]
        chain = Chain((loop["body"],), loop["const_count"], (loop["carry_count"],), ((),))
        return pull_back_sweeps(ct, ans, args, chain, params["wanted"], strong)


_unwound = _Unwound()
