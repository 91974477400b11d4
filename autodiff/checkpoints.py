"""`checkpoint_p`: a Program whose reverse mode stores its operands only, and runs it once more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .core import Aval, OptionalValues, Params, Value, Values, aval_of
from .program import Program
from .recording import record
from .region_nodes import Looped, given_cotangents, on_tape, wanted_flags
from .regions import (
    Flags,
    batch_region,
    check_avals,
    jvp_region,
    marked,
    split_region,
    strong,
)
from .structured import Structured
from .tape import Node, TapeTrace


class Checkpoint(Structured):
    """``checkpoint(*operands; program)``: the results of ``program(*operands)``.

    What the backward pass runs is a `checkpoint` too: a compiler that finds the forward one's
    values in it again must not keep them for it.
    """

    def __init__(self) -> None:
        super().__init__(
            "checkpoint",
            lambda *operands, program: tuple(program(*operands)),
            shape=self._result_avals,
        )

    def _result_avals(self, *avals: Aval, program: Program) -> tuple[Aval, ...]:
        check_avals(self.name, "the parameters of the Program", program.in_avals, avals)
        return program.out_avals

    def with_tangents(
        self, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[Sequence[Value], Flags]:
        """The results, then the tangents of those that have one; and which have."""
        program = params["program"]
        moving = tuple(x_dot is not None for x_dot in x_dots)
        both, has_dot = jvp_region(program, moving, (False,) * len(program.results))
        return self(*primals, *(x for x in x_dots if x is not None), program=both), has_dot

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        program, wanted = params["program"], wanted_flags(values, parents)
        pulled = split_region(program, wanted, *_none(program), False).pulled
        outs = self(*values, **params)
        kept = {"primitive": self, "params": params, "wanted": wanted, "pulled": pulled}
        node = Node(_checkpointed, parents, values, [aval_of(out) for out in outs], kept)
        return on_tape(trace, node, outs, pulled)

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        program = params["program"]
        none = (False,) * len(program.results)
        wide, out_batched = batch_region(program, size, tuple(batched), none)
        return self(*args, program=wide), out_batched


checkpoint_p = Checkpoint()


def _none(program: Program) -> tuple[Flags, Flags]:
    return (False,) * len(program.results), (False,) * len(program.parameters)


@lru_cache(maxsize=512)
def recomputing(program: Program, wanted: Flags, masked: bool) -> tuple[Program, Flags]:
    """(operands, cotangents of results) -> cotangents of operands, and of which."""
    split = split_region(program, wanted, *_none(program), masked)
    count = len(program.parameters)

    def run(*args: Value) -> Sequence[Value]:
        found = split.forward(*args[:count])
        return split.backward(*found[len(program.results) :], *args[count:])

    cts = [strong(aval) for aval in marked(program.out_avals, split.pulled)]
    return record(run, [*program.in_avals, *cts], f"again_{program.name}")[0], split.reached


class _Checkpointed(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        again, reached = recomputing(params["params"]["program"], params["wanted"], strong)
        cts = given_cotangents(ct, ans, params["pulled"])
        found = iter(checkpoint_p(*args, *cts, program=again))
        return [next(found) if r else None for r in reached]


_checkpointed = _Checkpointed()
