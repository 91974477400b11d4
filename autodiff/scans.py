"""`scan_p`: the counted loop that reads and writes stacks, and that has a reverse mode.

Reverse mode stores what the backward body reads of the forward one and does not compute again: the
scan writes it to stacks, as more ys. What does not change from one iteration to the next is neither
stacked nor computed in the loop. The backward loop is a scan from the other end, that reads those
stacks, carries the cotangents of the carry, and adds up those of the consts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .core import (
    OptionalValues,
    Params,
    Value,
    Values,
    aval_of,
)
from .counted import INDEX, Counted
from .program import Program
from .recording import record
from .region_nodes import Looped, given_cotangents, on_tape, wanted_flags
from .regions import (
    Flags,
    Split,
    coerce,
    hoisted,
    marked,
    rearranged,
    split_at,
    split_region,
    strong,
    zeros_of,
)
from .structured import back_on_tape
from .tape import Node, TapeTrace


def _scan(
    *operands: Any,
    body: Program,
    const_count: int,
    carry_count: int,
    length: Any,
    reverse: bool,
    unroll: int,
) -> Any:
    consts, carry, xs = split_at(operands, const_count, carry_count)
    count = xs[0].shape[0] if xs else int(length)
    stacks = [np.empty((count, *y.shape), y.dtype) for y in body.out_avals[carry_count:]]
    for index in reversed(range(count)) if reverse else range(count):
        found = body(index, *consts, *carry, *(x[index] for x in xs))
        carry = found[:carry_count]
        for stack, y in zip(stacks, found[carry_count:], strict=True):
            stack[index] = y
    return (*carry, *stacks)


class Scan(Counted):
    """``scan(*consts, *carry, *xs; body, const_count, carry_count, length, reverse, unroll)`` ->
    (carry, ys).

    ``for index in range(length): carry, y = body(index, *consts, *carry, *xs[index])``, backward
    from ``length - 1`` if ``reverse``; the y are stacked along axis 0, each at its index.
    ``length`` is a size. The index is a Python int, of weak dtype. ``unroll``: how many iterations
    the code should do at a time.
    """

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        back = back_on_tape(trace, values, parents)
        found = self.with_consts(back, params)
        if found is not None:
            return found
        outside = hoist_constants(params)
        if outside is not None:
            return self(*with_constants(back, *outside, params), **outside_params(params, outside))
        wanted = wanted_flags(values, parents)
        plan = plan_of(wanted, params, False)
        outs, stacks = run_forward(plan, values, params)
        kept = {
            "primitive": self,
            "params": params,
            "wanted": wanted,
            "plan": plan,
            "stacks": stacks,
        }
        node = Node(_scanned, parents, values, [aval_of(out) for out in outs], kept)
        return on_tape(trace, node, outs, plan.split.pulled)


scan_p = Scan("scan", _scan, 0)


# -- what does not change --


@lru_cache(maxsize=512)
def _hoisted_body(body: Program, const_count: int) -> tuple[Program, Program] | None:
    """The Program of what depends on the consts alone, and the body with its results as further
    consts.
    """
    constant = tuple(0 < i <= const_count for i in range(len(body.parameters)))
    found = hoisted(body, constant)
    if found is None:
        return None
    prelude, rest = found
    head, tail = rest.parameters[: const_count + 1], rest.parameters[const_count + 1 :]
    extra = len(prelude.results)
    parameters = [*head, *tail[len(tail) - extra :], *tail[: len(tail) - extra]]
    return prelude, rearranged(rest, parameters, rest.results)


def hoist_constants(params: Params) -> tuple[Program, Program] | None:
    """As `_hoisted_body`, of a loop that is known to run: what it computes must not raise for
    nothing.
    """
    if type(params["length"]) is not int or params["length"] < 1:
        return None
    return _hoisted_body(params["body"], params["const_count"])


def with_constants(
    args: Sequence[Value], prelude: Program, body: Program, params: Params
) -> list[Value]:
    consts, rest = split_at(args, params["const_count"])
    return [*consts, *prelude(*consts), *rest]


def outside_params(params: Params, outside: tuple[Program, Program]) -> Params:
    prelude, body = outside
    return {**params, "body": body, "const_count": params["const_count"] + len(prelude.results)}


# -- the backward loop --


class Plan(NamedTuple):
    """How a scan runs backward."""

    split: Split
    forward: Program  # the body that also gives what is stacked
    stacked: tuple[int, ...]  # of the ys of that body: those that the backward body reads
    active: Flags  # which carried values have a cotangent
    backward: Program  # the backward body


def plan_of(wanted: Flags, params: Params, masked: bool) -> Plan:
    """``wanted``: of (consts, carry, xs) those whose cotangents are wanted at first."""
    counts = params["const_count"], params["carry_count"]
    return reverse_plan(params["body"], wanted, *counts, masked)


def run_forward(plan: Plan, values: Values, params: Params) -> tuple[Sequence[Value], list[Value]]:
    """The results of the loop, and the stacks for the backward one."""
    found = scan_p(*values, **{**params, "body": plan.forward})
    ys = found[params["carry_count"] :]
    return found[: len(params["body"].results)], [ys[i] for i in plan.stacked]


@lru_cache(maxsize=512)
def reverse_plan(
    body: Program, wanted: Flags, const_count: int, carry_count: int, masked: bool
) -> Plan:
    y_count = len(body.results) - carry_count
    active = list(wanted[const_count : const_count + carry_count])
    there = tuple(
        not 0 <= i - 1 - const_count < carry_count for i in range(len(body.parameters))
    ) + tuple(i >= carry_count for i in range(len(body.results)))
    while True:
        flags = (False, *wanted[:const_count], *active, *wanted[const_count + carry_count :])
        forced = (*active, *(False for _ in range(y_count)))
        carried = tuple(a and 0 <= i - 1 - const_count < carry_count for i, a in enumerate(flags))
        split = split_region(body, flags, forced, carried, masked, there)
        if list(split.pulled[:carry_count]) == active:
            break
        active = list(split.pulled[:carry_count])
    forward, stacked = _stacking(split, body, const_count, carry_count)
    return Plan(
        split,
        forward,
        stacked,
        tuple(active),
        _backward_body(split, tuple(active), const_count, carry_count),
    )


def _group(source: int | None, const_count: int, carry_count: int) -> str:
    """Where the backward body finds a residual."""
    if source is None or const_count < source <= const_count + carry_count:
        return "stacked"
    return "index" if source == 0 else "const" if source <= const_count else "x"


def source_groups(split: Split, const_count: int, carry_count: int) -> list[str]:
    """Where the backward body finds each of its residuals."""
    return [_group(source, const_count, carry_count) for source in split.sources]


def _stacking(
    split: Split, body: Program, const_count: int, carry_count: int
) -> tuple[Program, tuple[int, ...]]:
    """The body that also gives the residuals that must be stacked, and which of its ys these are: a
    residual may be one of the loop's own.
    """
    outs, residuals = split_at(split.forward.results, len(body.results))
    ys = outs[carry_count:]
    places = []
    for v, source in zip(residuals, split.sources, strict=True):
        if _group(source, const_count, carry_count) == "stacked":
            if v not in ys:
                ys.append(v)
            places.append(ys.index(v))
    results = [*outs[:carry_count], *ys]
    return rearranged(split.forward, split.forward.parameters, results), tuple(places)


def _backward_body(split: Split, active: Flags, const_count: int, carry_count: int) -> Program:
    """(index, consts that are read, cotangents of the carry, sums of those of the consts, stacked
    residuals, slices of xs that are read, cotangents of ys) -> (the carry's, sums, those of the
    slices of xs).
    """
    groups = source_groups(split, const_count, carry_count)
    avals = split.backward.in_avals
    read = {g: [a for a, h in zip(avals, groups, strict=False) if h == g] for g in groups}
    consts, stacked, xs = (read.get(g, []) for g in ("const", "stacked", "x"))
    summed = sum(split.reached[1 : 1 + const_count])
    carry = sum(active)
    carry_cts, y_cts = split_at(avals[len(groups) :], carry)
    sums = [strong(v.aval) for v in split.backward.results[:summed]]

    def run(index: Value, *args: Value) -> Sequence[Value]:
        counts = len(consts), carry, summed, len(stacked), len(xs)
        const, ct, totals, stack, slices, y_ct = split_at(args, *counts)
        given = {"index": [index], "const": const, "stacked": stack, "x": slices}
        queues = {name: iter(values) for name, values in given.items()}
        residuals = [coerce(next(queues[g]), a) for g, a in zip(groups, avals, strict=False)]
        found = split.backward(*residuals, *ct, *y_ct)
        more, carry_out, x_out = split_at(found, summed, carry)
        grown = [a + b for a, b in zip(totals, more, strict=True)]
        return [*carry_out, *grown, *x_out]

    stacks = [strong(a) for a in stacked]
    slices = [strong(a) for a in xs]
    given = [INDEX, *consts, *carry_cts, *sums, *stacks, *slices, *y_cts]
    return record(run, given, split.backward.name)[0]


class _Scanned(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        loop, plan, stacks = params["params"], params["plan"], params["stacks"]
        if strong:
            masked = plan_of(params["wanted"], loop, True)
            if masked.split.places != plan.split.places:
                _, stacks = run_forward(masked, args, loop)
            plan = masked
        const_count, carry_count = loop["const_count"], loop["carry_count"]
        split = plan.split
        groups = source_groups(split, const_count, carry_count)
        sources = list(zip(split.sources, groups, strict=True))
        consts = [args[s - 1] for s, group in sources if s and group == "const"]
        xs = [args[s - 1] for s, group in sources if s and group == "x"]
        cts = given_cotangents(ct, ans, split.pulled)
        carry_cts, y_cts = split_at(cts, sum(plan.active))
        summed = marked(args[:const_count], split.reached[1 : 1 + const_count])
        found = scan_p(
            *consts,
            *carry_cts,
            *(zeros_of(aval_of(x)) for x in summed),
            *stacks,
            *xs,
            *y_cts,
            body=plan.backward,
            const_count=len(consts),
            carry_count=len(carry_cts) + len(summed),
            length=loop["length"],
            reverse=not loop["reverse"],
            unroll=loop["unroll"],
        )
        carry_out, sums, x_out = split_at(found, len(carry_cts), len(summed))
        queue = iter([*sums, *carry_out, *x_out])
        return [next(queue) if reached else None for reached in split.reached[1:]]


_scanned = _Scanned()
