"""How regions stand on a tape: one node each, whose rules are loops and branches again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .batching import BatchTracer
from .core import Aval, OptionalValues, Params, PrimalTracer, Tracer, Value, Values, aval_of
from .errors import DifferentiationError
from .regions import Flags, inexact, marked, zeros_of
from .tape import Node, OutputNode, TapeTrace, TapeTracer


def known_numbers(x: Value) -> Any:
    """The numbers behind all tracers, of all the examples of a batch; None where only a Program
    that runs will know them.
    """
    while isinstance(x, Tracer):
        if isinstance(x, BatchTracer):
            x = x.values
        elif isinstance(x, PrimalTracer):
            x = x.primal
        else:
            return None
    return np.asarray(x)


def wanted_flags(values: Values, parents: Sequence[Node | None]) -> Flags:
    """Which operands are on the tape and have a derivative."""
    return tuple(
        p is not None and inexact(aval_of(x)) for x, p in zip(values, parents, strict=True)
    )


def given_cotangents(cts: OptionalValues, avals: Sequence[Aval], pulled: Flags) -> list[Value]:
    """The cotangents of the results in ``pulled``, zeros where nobody has asked for one."""
    return [
        zeros_of(aval) if ct is None else ct
        for ct, aval in zip(marked(cts, pulled), marked(avals, pulled), strict=True)
    ]


class Looped:
    """What stands on a tape for a region: only its derivatives are ever asked for."""

    masks = False

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        raise NotImplementedError

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        return tangents_only(params["primitive"], args, x_dots, params["params"])


class _Refused(Looped):
    """A loop that has no reverse mode: it says so when it is asked."""

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        raise DifferentiationError(params["message"])


_refused = _Refused()


def refused_on_tape(
    primitive: Any,
    trace: TapeTrace,
    values: Values,
    parents: Sequence[Node | None],
    params: Params,
    pulled: Sequence[bool],
    message: str,
) -> tuple[Value, ...]:
    """Runs a region without reverse mode; ``pulled`` are the results of which it would be asked."""
    outs = primitive(*values, **params)
    node = Node(
        _refused,
        parents,
        values,
        [aval_of(out) for out in outs],
        {"primitive": primitive, "params": params, "message": message},
    )
    return on_tape(trace, node, outs, pulled)


def on_tape(
    trace: TapeTrace, node: Node, outs: Sequence[Value], pulled: Sequence[bool]
) -> tuple[Value, ...]:
    """The results of a node as tracers, where they have a cotangent."""
    return tuple(
        TapeTracer(trace, out, OutputNode(node, i)) if p else out
        for i, (out, p) in enumerate(zip(outs, pulled, strict=True))
    )


def tangents_only(
    primitive: Any, args: Values, x_dots: OptionalValues, params: Params
) -> tuple[Value | None, ...]:
    """The tangents of a region's results, None where one is zero."""
    found, has_dot = primitive.with_tangents(args, x_dots, params)
    dots = iter(found[len(has_dot) :])
    return tuple(next(dots) if has else None for has in has_dot)
