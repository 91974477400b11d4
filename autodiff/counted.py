"""The form of counted loops: `scan_p`, whose trip count is a size, and `for_p`, whose bounds are
operands.

Both hold the body as one Program, and keep their operands in groups:

========  ===========================================================================
bounds    of `for_p` only: the first index, and the one that is not reached
consts    the same in every iteration: what the body captured
carry     handed from one iteration to the next
xs        of `scan_p` only: an iteration gets its slice along axis 0
========  ===========================================================================

The body's parameters are (index, consts, carry, slices of xs), its results (carry, ys). The
derivative of a loop is a loop: forward mode carries tangents along, reverse mode runs from the end
over what the first run has stored (`scans`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .branches import branch_p
from .core import (
    Aval,
    OptionalValues,
    Params,
    Value,
    Values,
    aval_of,
)
from .primitives.elementwise import add_p, greater_p, less_p, select_p, subtract_p
from .primitives.manipulation import move_axis
from .primitives.reductions import reduce_max_p
from .program import Program
from .recording import record
from .regions import (
    Flags,
    batch_region,
    batched_carry,
    batched_operands,
    check_avals,
    coerce,
    jvp_region,
    marked,
    moving_carry,
    rearranged,
    split_at,
    strong,
    tangent_operands,
    unmarked,
    zeros_of,
)
from .rules import convert
from .structured import Structured

INDEX = Aval((), np.dtype(np.int64), True)  # as Python's own, from range()


class Groups(NamedTuple):
    """Operands, or flags of them, in the groups of the module's text."""

    bounds: list[Any]
    consts: list[Any]
    carry: list[Any]
    xs: list[Any]


class Counted(Structured):
    """What `scan_p` and `for_p` have in common. ``bound_count``: 2 for `for_p`, else 0."""

    def __init__(self, name: str, impl: Any, bound_count: int) -> None:
        super().__init__(name, impl, shape=self._result_avals)
        self.bound_count = bound_count

    def groups(self, items: Sequence[Any], params: Params) -> Groups:
        counts = self.bound_count, params["const_count"], params["carry_count"]
        return Groups(*split_at(items, *counts))

    def _result_avals(self, *avals: Aval, **params: Any) -> tuple[Aval, ...]:
        given, body = self.groups(avals, params), params["body"]
        slices = [Aval(x.shape[1:], x.dtype) for x in given.xs]
        wanted = [INDEX, *given.consts, *given.carry, *slices]
        check_avals(self.name, "the parameters of the body", body.in_avals, wanted)
        carry, ys = split_at(body.out_avals, params["carry_count"])
        check_avals(self.name, "the carried results of the body", carry, given.carry)
        if self.bound_count and ys:
            raise TypeError(f"{self.name}: the body gives more than it carries")
        return (*carry, *(Aval((params["length"], *y.shape), y.dtype) for y in ys))

    def with_consts(self, args: Sequence[Value], params: Params) -> tuple[Value, ...] | None:
        """The loop with consts in the place of carried values that never change, of which reverse
        mode would store every iteration's; None if there are none.
        """
        values = self.groups(args, params)
        fixed = fixed_carry(params["body"], len(values.consts), len(values.carry))
        if not any(fixed):
            return None
        kept, moved = unmarked(values.carry, fixed), marked(values.carry, fixed)
        new = {
            "body": body_with_consts(params["body"], len(values.consts), fixed),
            "const_count": len(values.consts) + len(moved),
            "carry_count": len(kept),
        }
        operands = [*values.bounds, *values.consts, *moved, *kept, *values.xs]
        found = iter(self(*operands, **{**params, **new}))
        carry = [x if f else next(found) for x, f in zip(values.carry, fixed, strict=True)]
        return (*carry, *found)

    # -- forward mode --

    def with_tangents(
        self, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[list[Value], Flags]:
        """The results, then the tangents of those that have one; and which have."""
        values, dots = self.groups(primals, params), self.groups(x_dots, params)
        moves = tuple(d is not None for d in (*dots.consts, *dots.carry, *dots.xs))
        both, has_dot = jvp_body(params["body"], moves, len(values.consts), len(values.carry))
        carry_moves = has_dot[: len(values.carry)]
        const_dots = [d for d in dots.consts if d is not None]
        carry_dots = tangent_operands(values.carry, dots.carry, carry_moves)
        new = {
            "body": both,
            "const_count": len(values.consts) + len(const_dots),
            "carry_count": len(values.carry) + len(carry_dots),
        }
        found = self(
            *values.bounds,
            *values.consts,
            *const_dots,
            *values.carry,
            *carry_dots,
            *values.xs,
            *(d for d in dots.xs if d is not None),
            **{**params, **new},
        )
        y_count = len(has_dot) - len(values.carry)
        carry, moved, ys, y_dots = split_at(found, len(values.carry), len(carry_dots), y_count)
        return [*carry, *ys, *moved, *y_dots], has_dot

    # -- batches --

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        values, flags = self.groups(args, params), self.groups(batched, params)
        if any(flags.bounds):
            return self._batch_bounds(size, values, flags, params)
        count, start = len(values.carry), 1 + len(values.consts)
        given = (False, *flags.consts, *flags.carry, *flags.xs)
        carry = batched_carry(params["body"], size, given, start, count)
        forced = (*carry, *(False for _ in params["body"].results[count:]))
        given = (False, *flags.consts, *carry, *flags.xs)
        body, out_batched = batch_region(params["body"], size, given, forced)
        found = self(
            *values.bounds,
            *values.consts,
            *batched_operands(size, values.carry, flags.carry, carry),
            *(move_axis(x, 1, 0) if b else x for x, b in zip(values.xs, flags.xs, strict=True)),
            **{**params, "body": body},
        )
        pairs = zip(found[count:], out_batched[count:], strict=True)
        ys = [move_axis(y, 0, 1) if b else y for y, b in pairs]
        return (*found[:count], *ys), out_batched

    def _batch_bounds(
        self, size: Any, values: Groups, flags: Groups, params: Params
    ) -> tuple[Any, Any]:
        """Examples whose loops are of different lengths: as many iterations as the longest has; in
        those that an example has not, its carried values stay.
        """
        lower, upper = values.bounds
        trips = trip_count(lower, upper)
        longest = trips
        if any(flags.bounds):
            longest = reduce_max_p(trips, axes=(0,)) if size != 0 else np.int64(0)
        first = aval_of_example(lower, flags.bounds[0])
        start = 1 + params["const_count"]
        body = stopping_body(params["body"], first, start, params["carry_count"])
        args = [0, longest, lower, trips, *values.consts, *values.carry]
        batched = [False, False, flags.bounds[0], True, *flags.consts, *flags.carry]
        new = {**params, "body": body, "const_count": params["const_count"] + 2}
        return self.batch(size, args, batched, new)


@lru_cache(maxsize=512)
def fixed_carry(body: Program, const_count: int, carry_count: int) -> Flags:
    """Which carried values the body hands on as they are."""
    given = body.parameters[1 + const_count : 1 + const_count + carry_count]
    return tuple(a is b for a, b in zip(given, body.results, strict=False))


@lru_cache(maxsize=512)
def body_with_consts(body: Program, const_count: int, fixed: Flags) -> Program:
    """The body in which the carried values in ``fixed`` are the last consts."""
    index, consts, carry, xs = split_at(body.parameters, 1, const_count, len(fixed))
    out, ys = split_at(body.results, len(fixed))
    parameters = [*index, *consts, *marked(carry, fixed), *unmarked(carry, fixed), *xs]
    return rearranged(body, parameters, [*unmarked(out, fixed), *ys])


def aval_of_example(x: Value, is_batched: bool) -> Aval:
    aval = aval_of(x)
    return Aval(aval.shape[1:], aval.dtype) if is_batched else aval


def trip_count(lower: Value, upper: Value) -> Value:
    """How often a loop runs. The difference of the bounds alone does not tell: it may overflow."""
    count = select_p(greater_p(upper, lower), subtract_p(upper, lower), 0)
    return convert(count, INDEX.dtype)


@lru_cache(maxsize=512)
def stopping_body(body: Program, lower: Aval, start: int, count: int) -> Program:
    """(k, first index, number of iterations, *the body's further parameters) -> the body's results:
    the body at the k-th index, if there are that many; else ``count`` of its parameters from
    ``start`` on, which are its carry, and zeros.
    """

    def step(k: Value, first: Value, trips: Value, *rest: Value) -> Sequence[Value]:
        index = coerce(add_p(first, k), INDEX)
        stay = kept_values(body, start, count)
        return branch_p(less_p(k, trips), index, *rest, branches=(stay, body))

    avals = [INDEX, lower, Aval((), INDEX.dtype), *body.in_avals[1:]]
    return record(step, avals, body.name)[0]


@lru_cache(maxsize=512)
def kept_values(body: Program, start: int, count: int) -> Program:
    """In place of the body: its carry as it is, ``count`` of its parameters, and zeros."""

    def stay(*values: Value) -> Sequence[Value]:
        rows = body.out_avals[count:]
        return [*values[start : start + count], *(coerce(zeros_of(strong(a)), a) for a in rows)]

    return record(stay, body.in_avals, "kept")[0]


@lru_cache(maxsize=512)
def jvp_body(
    body: Program, moves: Flags, const_count: int, carry_count: int
) -> tuple[Program, Flags]:
    """The body of the loop of values and tangents: (index, consts, their tangents, carry, its
    tangents, slices, theirs) -> (carry, its tangents, ys, theirs), and which carried values and ys
    have a tangent. ``moves``: which of (consts, carry, xs) have one at first.
    """
    moving = (False, *moves)
    carry = moving_carry(body, moving, 1 + const_count, carry_count)
    consts, _, xs = split_at(moves, const_count, carry_count)
    y_count = len(body.results) - carry_count
    both, has_dot = jvp_region(
        body, (False, *consts, *carry, *xs), (*carry, *(False for _ in range(y_count)))
    )
    index, const, state, slices, dots = split_at(
        both.parameters, 1, const_count, carry_count, len(xs)
    )
    const_dots, state_dots, slice_dots = split_at(dots, sum(consts), sum(carry))
    out, ys, out_dots, y_dots = split_at(both.results, carry_count, y_count, sum(carry))
    parameters = [*index, *const, *const_dots, *state, *state_dots, *slices, *slice_dots]
    return rearranged(both, parameters, [*out, *out_dots, *ys, *y_dots]), has_dot
