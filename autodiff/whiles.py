"""`while_p`: the loop whose number of iterations only its own values decide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .branches import branch_p
from .core import Aval, OptionalValues, Params, Value, Values
from .counted import kept_values
from .errors import user_line
from .primitives.elementwise import logical_and_p
from .primitives.reductions import reduce_any_p
from .program import Program
from .recording import record
from .region_nodes import known_numbers, refused_on_tape, wanted_flags
from .regions import (
    Flags,
    batch_region,
    batched_carry,
    batched_operands,
    check_avals,
    jvp_region,
    moving_carry,
    rearranged,
    split_at,
    tangent_operands,
)
from .structured import Structured, back_on_tape
from .tape import Node, TapeTrace


class WhileGroups(NamedTuple):
    """Operands of `while_p`, or flags of them."""

    cond_consts: list[Any]
    body_consts: list[Any]
    carry: list[Any]


def _groups(items: Sequence[Any], params: Params) -> WhileGroups:
    return WhileGroups(*split_at(items, params["cond_count"], params["body_count"]))


def _while(*operands: Any, cond: Program, body: Program, **params: Any) -> Any:
    cond_consts, body_consts, carry = _groups(operands, params)
    while cond(*cond_consts, *carry)[0]:
        carry = body(*body_consts, *carry)
    return tuple(carry)


class While(Structured):
    """``while(*cond_consts, *body_consts, *carry; cond, body, cond_count, body_count)`` -> carry.

    ``while cond(*cond_consts, *carry): carry = body(*body_consts, *carry)``; ``cond`` gives one
    bool scalar. ``cond_count`` and ``body_count`` are the numbers of the consts.
    """

    def __init__(self) -> None:
        super().__init__("while", _while, shape=self._result_avals)

    def _result_avals(self, *avals: Aval, **params: Any) -> tuple[Aval, ...]:
        given, cond, body = _groups(avals, params), params["cond"], params["body"]
        wanted = [*given.cond_consts, *given.carry]
        check_avals(self.name, "the parameters of the condition", cond.in_avals, wanted)
        bools = [Aval((), np.dtype(bool))]
        check_avals(self.name, "the results of the condition", cond.out_avals, bools)
        wanted = [*given.body_consts, *given.carry]
        check_avals(self.name, "the parameters of the body", body.in_avals, wanted)
        check_avals(self.name, "the results of the body", body.out_avals, given.carry)
        return tuple(given.carry)

    def with_tangents(
        self, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[list[Value], Flags]:
        """The results, then the tangents of those that have one; and which have."""
        values, dots = _groups(primals, params), _groups(x_dots, params)
        consts = tuple(d is not None for d in dots.body_consts)
        start = tuple(d is not None for d in dots.carry)
        cond, body, moves = jvp_while(params["cond"], params["body"], consts, start)
        const_dots = [d for d in dots.body_consts if d is not None]
        found = self(
            *values.cond_consts,
            *values.body_consts,
            *const_dots,
            *values.carry,
            *tangent_operands(values.carry, dots.carry, moves),
            cond=cond,
            body=body,
            cond_count=params["cond_count"],
            body_count=params["body_count"] + len(const_dots),
        )
        return list(found), moves

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        found = self._unrolled(back_on_tape(trace, values, parents), params)
        if found is not None:
            return found
        groups = _groups(wanted_flags(values, parents), params)
        moving = (*groups.body_consts, *groups.carry)
        start, count = len(groups.body_consts), len(groups.carry)
        carry = moving_carry(params["body"], moving, start, count)
        message = (
            "while_loop: reverse mode needs a number of iterations that is known when the loop "
            f"starts{user_line()}. Write xnp.fori_loop or xnp.scan with a known count (and "
            "xnp.cond inside for a loop that ends early), or use forward mode, xnp.jvp or "
            "xnp.jacfwd."
        )
        return refused_on_tape(self, trace, values, parents, params, carry, message)

    def _unrolled(self, args: Sequence[Value], params: Params) -> tuple[Value, ...] | None:
        """The loop run here and now, where the numbers are known, as those of a batch are."""
        cond_consts, body_consts, carry = _groups(args, params)
        (active,) = params["cond"](*cond_consts, *carry)
        step = stopping_step(params["cond"], params["body"], params["cond_count"])
        while True:
            numbers = known_numbers(active)
            if numbers is None:
                return None
            if not numbers.any():
                return tuple(carry)
            active, *carry = step(*cond_consts, *body_consts, active, *carry)

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        values, flags = _groups(args, params), _groups(batched, params)
        body, count = params["body"], len(values.carry)
        start = len(values.body_consts)
        given = (*flags.body_consts, *flags.carry)
        carry = batched_carry(body, size, given, start, count)
        in_cond = (*flags.cond_consts, *carry)
        cond, (differs,) = batch_region(params["cond"], size, in_cond, (False,))
        if differs:
            return self._batch_test(size, values, flags, params)
        body, out_batched = batch_region(body, size, (*flags.body_consts, *carry), carry)
        found = self(
            *values.cond_consts,
            *values.body_consts,
            *batched_operands(size, values.carry, flags.carry, carry),
            **{**params, "cond": cond, "body": body},
        )
        return found, out_batched

    def _batch_test(
        self, size: Any, values: WhileGroups, flags: WhileGroups, params: Params
    ) -> tuple[Any, Any]:
        """Examples that end at different times: the loop goes on until all have ended, and carries
        for each whether it goes on; one that has ended keeps its values.
        """
        count = len(values.carry)
        step = stopping_step(params["cond"], params["body"], params["cond_count"])
        given = (*flags.cond_consts, *flags.body_consts, True)
        operands = (*given, *flags.carry)
        carry = batched_carry(step, size, operands, len(given) - 1, count + 1)[1:]
        all_flags = (*given, *carry)
        body, _ = batch_region(step, size, all_flags, (True, *carry))
        first, _ = batch_region(params["cond"], size, (*flags.cond_consts, *carry), (True,))
        initial = batched_operands(size, values.carry, flags.carry, carry)
        (active,) = first(*values.cond_consts, *initial)
        consts = [*values.cond_consts, *values.body_consts]
        test = any_of([Aval((size,), np.dtype(bool)), *body.in_avals[len(consts) + 1 :]])
        found = self(
            *consts, active, *initial, cond=test, body=body, cond_count=0, body_count=len(consts)
        )
        return found[1:], carry


def any_of(avals: Sequence[Aval]) -> Program:
    """Whether anything in the first parameter is true."""
    return record(lambda active, *_: [reduce_any_p(active, axes=(0,))], avals, "any")[0]


@lru_cache(maxsize=512)
def stopping_step(cond: Program, body: Program, cond_count: int) -> Program:
    """(cond_consts, body_consts, active, carry) -> (active, carry): the body, if this example is
    active, and whether it goes on.
    """
    body_count = len(body.parameters) - len(body.results)
    names = cond.in_avals[:cond_count]

    def step(*args: Value) -> Sequence[Value]:
        cond_consts, body_consts, (active,), carry = split_at(args, cond_count, body_count, 1)
        stay = kept_values(body, body_count, len(carry))
        carry = branch_p(active, *body_consts, *carry, branches=(stay, body))
        (goes_on,) = cond(*cond_consts, *carry)
        return logical_and_p(active, goes_on), *carry

    avals = [*names, *body.in_avals[:body_count], Aval((), np.dtype(bool)), *body.out_avals]
    return record(step, avals, body.name)[0]


@lru_cache(maxsize=512)
def jvp_while(
    cond: Program, body: Program, consts: Flags, start: Flags
) -> tuple[Program, Program, Flags]:
    """Condition and body of the loop of values and tangents, which carries (values, tangents), and
    which carried values have one.
    """
    const_count, count = len(consts), len(start)
    moves = moving_carry(body, (*consts, *start), const_count, count)
    both, _ = jvp_region(body, (*consts, *moves), moves)
    const, state, dots = split_at(both.parameters, const_count, count)
    const_dots, state_dots = split_at(dots, sum(consts))
    body = rearranged(both, [*const, *const_dots, *state, *state_dots], both.results)
    avals = [*cond.in_avals, *(v.aval for v in state_dots)]
    cond_arity = len(cond.parameters)
    wide, _ = record(lambda *args: cond(*args[:cond_arity]), avals, cond.name)
    return wide, body, moves


while_p = While()
