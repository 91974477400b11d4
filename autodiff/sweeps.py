"""`sweeps_p`: loops that go up and down the same indices in turn, and hand rows to one another.

This is what reverse mode makes of a loop of whose length nothing is known. First the loop itself
goes up, and hands on what its backward body reads; then that one goes down. The form is closed:
reverse mode of sweeps adds, last one first, a sweep in the other direction for each, that gets the
cotangents of the rows from those which have read them. So however often a loop is differentiated,
what is stored is one row of each sweep for each iteration; and where that is much, who runs the
sweeps may keep the states at a few places and run what is between them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .core import Aval, OptionalValues, Params, Value, Values, aval_of
from .counted import INDEX, aval_of_example, jvp_body, stopping_body, trip_count
from .primitives.reductions import reduce_max_p
from .program import Program
from .recording import record
from .region_nodes import Looped, given_cotangents, on_tape, wanted_flags
from .regions import (
    Flags,
    batch_region,
    batched_carry,
    batched_operands,
    check_avals,
    marked,
    split_at,
    strong,
    tangent_operands,
    zeros_of,
)
from .scans import Plan, reverse_plan, source_groups
from .structured import Structured
from .tape import Node, TapeTrace


class Chain(NamedTuple):
    """The parameters of `sweeps_p`."""

    bodies: tuple[Program, ...]
    const_count: int
    carry_counts: tuple[int, ...]  # by sweep
    reads: tuple[tuple[int, ...], ...]  # by sweep: the stacks of whose rows it gets one

    def parts(self, items: Sequence[Any]) -> tuple[list[Any], list[list[Any]]]:
        """Operands but for the bounds, or flags of them: of consts, and of each sweep's carry."""
        consts, *states = split_at(items, self.const_count, *self.carry_counts)[:-1]
        return consts, states

    def sweeps(self, states: Sequence[list[Any]]) -> zip[tuple[Program, list[Any], Any]]:
        """By sweep: its body, its part of ``states``, and the stacks it reads."""
        return zip(self.bodies, states, self.reads, strict=True)


def is_upward(number: int) -> bool:
    """Whether a sweep goes from the first index to the last."""
    return number % 2 == 0


def _sweeps(lower: Any, upper: Any, *operands: Any, **params: Any) -> Any:
    chain = Chain(**params)
    consts, states = chain.parts(operands)
    indices = range(int(lower), int(upper))
    stacks: list[dict[int, Value]] = []
    finals: list[Value] = []
    for number, (body, state, read) in enumerate(chain.sweeps(states)):
        count = len(state)
        emitted: list[dict[int, Value]] = [{} for _ in body.results[count:]]
        for index in indices if is_upward(number) else reversed(indices):
            found = body(index, *consts, *state, *(stacks[s][index] for s in read))
            state, rows = split_at(found, count)
            for stack, row in zip(emitted, rows, strict=True):
                stack[index] = row
        stacks += emitted
        finals += state
    return tuple(finals)


class Sweeps(Structured):
    """``sweeps(lower, upper, *consts, *carries; bodies, const_count, carry_counts, reads)`` -> the
    last values of all carries.

    Sweep after sweep, with its own carry: ``for index in range(lower, upper): carry, rows =
    body(index, *consts, *carry, *rows_read)``, every second one from the last index to the first.
    The rows go to stacks, numbered through all sweeps; a later sweep gets those of its index.
    """

    def __init__(self) -> None:
        super().__init__("sweeps", _sweeps, shape=self._result_avals)

    def _result_avals(self, lower: Aval, upper: Aval, *avals: Aval, **params: Any) -> Any:
        chain = Chain(**params)
        consts, states = chain.parts(avals)
        stacks: list[Aval] = []
        for body, state, read in chain.sweeps(states):
            wanted = [INDEX, *consts, *state, *(stacks[s] for s in read)]
            check_avals(self.name, "the parameters of a body", body.in_avals, wanted)
            carry, rows = split_at(body.out_avals, len(state))
            check_avals(self.name, "the carried results of a body", carry, state)
            stacks += map(strong, rows)
        return tuple(a for state in states for a in state)

    # -- forward mode --

    def with_tangents(
        self, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[list[Value], Flags]:
        """The results, then the tangents of those that have one; and which have."""
        chain = Chain(**params)
        consts, states = chain.parts(primals[2:])
        const_dots, state_dots = chain.parts(x_dots[2:])
        const_moves, start_moves = chain.parts([d is not None for d in x_dots[2:]])
        moving, moves = moving_chain(
            chain, tuple(const_moves), tuple(tuple(m) for m in start_moves)
        )
        operands = [*primals[:2], *consts, *(d for d in const_dots if d is not None)]
        for state, dots, has in zip(states, state_dots, moves, strict=True):
            operands += [*state, *tangent_operands(state, dots, has)]
        found = self(*operands, **moving._asdict())
        _, groups = Chain((), 0, moving.carry_counts, ()).parts(found)
        outs = [x for group, has in zip(groups, moves, strict=True) for x in group[: len(has)]]
        dots = [x for group, has in zip(groups, moves, strict=True) for x in group[len(has) :]]
        return [*outs, *dots], tuple(m for has in moves for m in has)

    # -- reverse mode --

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        wanted = wanted_flags(values[2:], parents[2:])
        pulled = [a for plan in plans_of(Chain(**params), wanted, False) for a in plan.active]
        outs = self(*values, **params)
        kept = {"primitive": self, "params": params, "wanted": wanted}
        node = Node(_swept, parents, values, [aval_of(out) for out in outs], kept)
        return on_tape(trace, node, outs, pulled)

    # -- batches --

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        if any(batched[:2]):
            return self._batch_bounds(size, args, batched, params)
        chain = Chain(**params)
        const_flags, start_flags = chain.parts(batched[2:])
        consts, states = chain.parts(args[2:])
        bodies, operands, out_batched, stacks = [], [*args[:2], *consts], [], []
        start = 1 + len(consts)
        for (body, state, read), flags in zip(chain.sweeps(states), start_flags, strict=True):
            rows = [stacks[s] for s in read]
            given = (False, *const_flags, *flags, *rows)
            carry = batched_carry(body, size, given, start, len(state))
            forced = (*carry, *(False for _ in body.results[len(state) :]))
            wide, found = batch_region(body, size, (False, *const_flags, *carry, *rows), forced)
            bodies.append(wide)
            operands += batched_operands(size, state, flags, carry)
            out_batched += carry
            stacks += found[len(state) :]
        return self(*operands, **chain._replace(bodies=tuple(bodies))._asdict()), out_batched

    def _batch_bounds(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        """Examples whose loops are of different lengths: see `Counted`."""
        chain = Chain(**params)
        lower, upper, *operands = args
        trips = trip_count(lower, upper)
        longest = reduce_max_p(trips, axes=(0,)) if size != 0 else np.int64(0)
        first = aval_of_example(lower, batched[0])
        bodies = tuple(
            stopping_body(body, first, 1 + chain.const_count, count)
            for body, count in zip(chain.bodies, chain.carry_counts, strict=True)
        )
        new = chain._replace(bodies=bodies, const_count=chain.const_count + 2)
        flags = [False, False, batched[0], True, *batched[2:]]
        return self.batch(size, [0, longest, lower, trips, *operands], flags, new._asdict())


sweeps_p = Sweeps()


@lru_cache(maxsize=512)
def moving_chain(
    chain: Chain, consts: Flags, states: tuple[Flags, ...]
) -> tuple[Chain, list[Flags]]:
    """The sweeps of values and tangents, and which carried values of each have a tangent, if those
    in ``consts`` and ``states`` have one at first.
    """
    bodies, counts, reads, moves = [], [], [], []
    stacks: list[tuple[int, int | None]] = []  # the new numbers of a stack and of its tangents
    total = 0
    for body, state, read in chain.sweeps([list(s) for s in states]):
        rows = [stacks[s] for s in read]
        flags = (*consts, *state, *(dot is not None for _, dot in rows))
        both, has_dot = jvp_body(body, flags, len(consts), len(state))
        bodies.append(both)
        moves.append(has_dot[: len(state)])
        counts.append(len(state) + sum(moves[-1]))
        reads.append((*(x for x, _ in rows), *(dot for _, dot in rows if dot is not None)))
        emitted = has_dot[len(state) :]
        for i, has in enumerate(emitted):
            dot = total + len(emitted) + sum(emitted[:i]) if has else None
            stacks.append((total + i, dot))
        total += len(emitted) + sum(emitted)
    made = Chain(tuple(bodies), len(consts) + sum(consts), tuple(counts), tuple(reads))
    return made, moves


# -- reverse mode --


@lru_cache(maxsize=512)
def plans_of(chain: Chain, wanted: Flags, masked: bool) -> list[Plan]:
    """How each sweep runs backward. ``wanted``: the operands whose cotangents are."""
    consts, states = chain.parts(wanted)
    plans: list[Plan] = []
    active: list[bool] = []  # stacks
    for body, state, read in chain.sweeps(states):
        flags = (*consts, *state, *(active[s] for s in read))
        plans.append(reverse_plan(body, flags, chain.const_count, len(state), masked))
        active += plans[-1].split.pulled[len(state) :]
    return plans


class Reversal(NamedTuple):
    """Sweeps, followed by those that pull cotangents back through them, the last one's first."""

    chain: Chain
    plans: list[Plan]  # of the sweeps as they were


@lru_cache(maxsize=512)
def reversal(chain: Chain, wanted: Flags, masked: bool) -> Reversal:
    plans = plans_of(chain, wanted, masked)
    build = _Reversing(chain, plans)
    for number in reversed(range(len(plans))):
        build.pull(number)
    return Reversal(build.chain(), plans)


class _Reversing:
    """Writes the sweeps of a `Reversal`, and numbers their stacks."""

    def __init__(self, chain: Chain, plans: Sequence[Plan]) -> None:
        self.old, self.plans = chain, plans
        self.bodies: list[Program] = []
        self.counts = list(chain.carry_counts)
        self.reads: list[tuple[int, ...]] = []
        self.total = 0
        self.starts: list[int] = []  # by sweep as it was: the number of its first stack
        self.first_old: list[int] = []
        numbers: list[int] = []  # of the stacks that there were
        for plan, body, count, read in zip(
            plans, chain.bodies, chain.carry_counts, chain.reads, strict=True
        ):
            self.bodies.append(plan.forward)
            self.reads.append(tuple(numbers[s] for s in read))
            self.starts.append(self.total)
            self.first_old.append(len(numbers))
            numbers += range(self.total, self.total + len(body.results) - count)
            self.total += len(plan.forward.results) - count
        self.cotangents: list[list[int]] = [[] for _ in numbers]  # the stacks that add up to them

    def chain(self) -> Chain:
        return Chain(
            tuple(self.bodies), self.old.const_count, tuple(self.counts), tuple(self.reads)
        )

    def pull(self, number: int) -> None:
        """Adds the sweep that pulls back through this one."""
        plan, consts, count = self.plans[number], self.old.const_count, len(self.old.bodies)
        assert number < count
        split, carried = plan.split, self.old.carry_counts[number]
        first, own = self.first_old[number], split.pulled[carried:]
        given = [self.cotangents[first + i] for i, active in enumerate(own) if active]
        groups = source_groups(split, consts, carried)
        lead = 1 + consts + carried
        xs = [s - lead for s, g in zip(split.sources, groups, strict=True) if s and g == "x"]
        stacked = [self.starts[number] + i for i in plan.stacked]
        rows = [*stacked, *(self.reads[number][x] for x in xs), *(s for g in given for s in g)]
        const_avals = self.old.bodies[number].in_avals[1 : 1 + consts]
        self.bodies.append(_pulling_body(plan, groups, tuple(const_avals), tuple(map(len, given))))
        self.counts.append(sum(plan.active) + sum(split.reached[1 : 1 + consts]))
        self.reads.append(tuple(rows))
        for old, reached in zip(self.old.reads[number], split.reached[lead:], strict=True):
            if reached:
                self.cotangents[old].append(self.total)
                self.total += 1


def _pulling_body(
    plan: Plan, groups: Sequence[str], const_avals: Sequence[Aval], given: Sequence[int]
) -> Program:
    """The plan's backward body with all consts as its own, and with ``given[i]`` rows that add up
    to the cotangent of the i-th of the rows which have one.
    """
    avals = plan.backward.in_avals
    const_count = groups.count("const")
    y_avals = avals[len(avals) - len(given) :]
    middle = avals[1 + const_count : len(avals) - len(given)]
    sources = [s - 1 for s, g in zip(plan.split.sources, groups, strict=True) if s and g == "const"]

    def run(index: Value, *args: Value) -> Sequence[Value]:
        consts, state, cts = split_at(args, len(const_avals), len(middle))
        parts = split_at(cts, *given)
        sums = [
            _added(part) if part else zeros_of(aval)
            for part, aval in zip(parts, y_avals, strict=False)
        ]
        return plan.backward(index, *(consts[s] for s in sources), *state, *sums)

    rows = [aval for aval, n in zip(y_avals, given, strict=True) for _ in range(n)]
    return record(run, [INDEX, *const_avals, *middle, *rows], plan.backward.name)[0]


def _added(values: Sequence[Value]) -> Value:
    total: Any = values[0]
    for value in values[1:]:
        total = total + value
    return total


def pull_back_sweeps(
    ct: OptionalValues, ans: Sequence[Aval], args: Values, chain: Chain, wanted: Flags, masked: bool
) -> OptionalValues:
    """The cotangents of all operands."""
    both, plans = reversal(chain, wanted, masked)
    lower, upper, *operands = args
    consts, _ = chain.parts(operands)
    carries = Chain((), 0, chain.carry_counts, ())
    _, out_cts = carries.parts(ct)
    _, out_avals = carries.parts(ans)
    starts: list[Value] = []
    for plan, cts, avals in reversed(list(zip(plans, out_cts, out_avals, strict=True))):
        summed = marked(consts, plan.split.reached[1 : 1 + len(consts)])
        starts += given_cotangents(cts, avals, plan.active)
        starts += [zeros_of(strong(aval_of(x))) for x in summed]
    found = sweeps_p(lower, upper, *operands, *starts, **both._asdict())
    return [None, None, *_cotangents(found, both, plans)]


def _cotangents(
    found: Sequence[Value], both: Chain, plans: Sequence[Plan]
) -> Sequence[Value | None]:
    """Those of consts and carries, from the last values of all sweeps."""
    _, groups = Chain((), 0, both.carry_counts, ()).parts(found)
    const_cts: list[Value | None] = [None] * both.const_count
    carry_cts: list[list[Value | None]] = []
    for plan, group in zip(plans, reversed(groups), strict=False):
        queue = iter(group)
        carry_cts.append([next(queue) if active else None for active in plan.active])
        for i, reached in enumerate(plan.split.reached[1 : 1 + both.const_count]):
            if reached:
                more, before = next(queue), const_cts[i]
                const_cts[i] = more if before is None else before + more
    return [*const_cts, *(x for cts in carry_cts for x in cts)]


class _Swept(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        chain = Chain(**params["params"])
        return pull_back_sweeps(ct, ans, args, chain, params["wanted"], strong)


_swept = _Swept()
