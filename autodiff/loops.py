"""`for_p` and `while_p`: loops whose number of iterations is not known before they run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .branches import branch_p
from .core import Aval, OptionalValues, Params, Tracer, Value, Values, aval_of
from .counted import INDEX, Counted, kept_values
from .errors import user_line
from .forward import JVPTrace
from .primitives.elementwise import add_p, logical_and_p
from .primitives.reductions import reduce_any_p
from .program import Program
from .recording import record
from .regions import (
    Flags,
    batch_region,
    batched_carry,
    batched_operands,
    check_avals,
    coerce,
    dependent,
    inexact,
    jvp_region,
    moving_carry,
    paired,
    rearranged,
    refused_on_tape,
    split_at,
    tangent_operands,
)
from .scans import scan_p
from .structured import Structured
from .tape import Node, TapeTrace, TapeTracer


def _for(lower: Any, upper: Any, *operands: Any, body: Program, const_count: int, **_: Any) -> Any:
    consts, carry = operands[:const_count], operands[const_count:]
    for index in range(int(lower), int(upper)):
        carry = body(index, *consts, *carry)
    return tuple(carry)


class For(Counted):
    """``for(lower, upper, *consts, *carry; body, const_count, carry_count)`` -> carry.

    ``for index in range(lower, upper): carry = body(index, *consts, *carry)``, with integer scalars
    for bounds; the index is a Python int, of weak dtype. Its trip count is not known before it
    runs, so there is no reverse mode; where the bounds turn out to be known it is a scan.
    """

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        lower, upper = values[:2]
        if not isinstance(lower, Tracer) and not isinstance(upper, Tracer):
            back = [
                x if p is None else TapeTracer(trace, x, p)
                for x, p in zip(values[2:], parents[2:], strict=True)
            ]
            return scan_p(*back, **scan_params(int(lower), int(upper), params))
        flags = [p is not None and inexact(aval_of(x)) for x, p in zip(values, parents, strict=True)]
        groups = self.groups(flags, params)
        moving = (False, *groups.consts, *groups.carry)
        start, count = 1 + len(groups.consts), len(groups.carry)
        carry = moving_carry(params["body"], moving, start, count)
        message = (
            "fori_loop: reverse mode needs a number of iterations that is known when the function "
            f"is traced{user_line()}. Make the bounds Python ints, under jit static arguments or "
            "sizes such as x.shape[0]; or use forward mode, xnp.jvp or xnp.jacfwd."
        )
        return refused_on_tape(self, trace, values, parents, params, carry, message)


def scan_params(lower: Any, upper: Any, params: Params) -> Params:
    """The parameters of the scan that a `for` with known bounds is."""
    length = upper - lower if upper > lower else 0
    return {
        "body": shifted_body(params["body"], lower),
        "const_count": params["const_count"],
        "carry_count": params["carry_count"],
        "length": length,
        "reverse": False,
        "unroll": 1,
    }


@lru_cache(maxsize=512)
def shifted_body(body: Program, lower: int) -> Program:
    """The body as a function of the number of the iteration, counted from 0."""
    if not lower:
        return body

    def step(k: Value, *rest: Value) -> Sequence[Value]:
        return body(coerce(add_p(k, lower), INDEX), *rest)

    return record(step, body.in_avals, body.name)[0]


for_p = For("for", _for, 2)


# -- while --


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

    def process_jvp(
        self, trace: JVPTrace, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[Value, ...]:
        return paired(trace, *self.with_tangents(primals, x_dots, params))

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
        flags = [p is not None and inexact(aval_of(x)) for x, p in zip(values, parents, strict=True)]
        groups = _groups(flags, params)
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
        first, _ = batch_region(
            params["cond"], size, (*flags.cond_consts, *carry), (True,)
        )
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
        stay = kept_values(body, len(carry))
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
