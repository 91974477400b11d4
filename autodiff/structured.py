"""The form of primitives that hold Programs: calls, loops, branches.

Their derivatives are Programs of their own, which compute values and derivatives together, so they
are asked before the value is computed, unlike the rules of other primitives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .core import Aval, OptionalValues, Params, Primitive, Tracer, Value, Values, thread_state
from .forward import JVPTrace, JVPTracer
from .recording import ProgramTrace
from .rules import zeros_like
from .tape import Node, TapeTrace, TapeTracer


class Structured(Primitive):
    """A primitive with Programs among its parameters; it always returns a tuple.

    Forward mode is its ``with_tangents``. ``process_tape`` returns the results as tracers of the
    trace (or plain Values, where a result carries no derivative).
    """

    def __init__(self, name: str, impl: Callable[..., Any], *, shape: Callable[..., Any]) -> None:
        super().__init__(name, impl, shape=shape, multiple=True)

    def __call__(self, *args: Value, **params: Any) -> Any:
        innermost = None
        for a in args:
            if isinstance(a, Tracer) and (innermost is None or a.trace.level > innermost.level):
                innermost = a.trace
        if innermost is None:
            return self.impl(*args, **params)
        program = thread_state.program
        if program is not None and program.level > innermost.level:
            innermost = program
        innermost.check_alive()
        if isinstance(innermost, JVPTrace):
            primals, x_dots = [], []
            for a in args:
                mine = type(a) is JVPTracer and a.trace is innermost
                primals.append(a.primal if mine else a)
                x_dots.append(a.x_dot if mine else None)
            return self.process_jvp(innermost, primals, x_dots, params)
        if isinstance(innermost, TapeTrace):
            values, parents = [], []
            for a in args:
                mine = type(a) is TapeTracer and a.trace is innermost
                values.append(a.primal if mine else a)
                parents.append(a.node if mine else None)
            return self.process_tape(innermost, values, parents, params)
        return innermost.process(self, args, params)

    def process_jvp(
        self, trace: JVPTrace, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[Value, ...]:
        return paired(trace, *self.with_tangents(primals, x_dots, params))

    def with_tangents(
        self, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[Sequence[Value], Sequence[bool]]:
        """The results, then the tangents of those that have one; and which have."""
        raise NotImplementedError(f"{self.name} has no forward rule")

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        raise NotImplementedError(f"{self.name} has no reverse rule")


def paired(trace: JVPTrace, found: Sequence[Value], has_dot: Sequence[bool]) -> tuple[Value, ...]:
    """Results as tracers, from the results followed by the tangents that there are."""
    dots = iter(found[len(has_dot) :])
    outs = found[: len(has_dot)]
    return tuple(
        JVPTracer(trace, out, next(dots)) if has else out
        for out, has in zip(outs, has_dot, strict=True)
    )


def enter_tape(
    trace: TapeTrace, outer: ProgramTrace, avals: Sequence[Aval], wanted: Sequence[bool]
) -> list[Value]:
    """New parameters of ``outer``, those in ``wanted`` as variables of ``trace``."""
    parameters = [outer.parameter(aval) for aval in avals]
    return [trace.variable(x) if w else x for x, w in zip(parameters, wanted, strict=True)]


def back_on_tape(trace: TapeTrace, values: Values, parents: Sequence[Node | None]) -> list[Value]:
    """The tracers that `process_tape` was given in two parts."""
    return [
        x if p is None else TapeTracer(trace, x, p) for x, p in zip(values, parents, strict=True)
    ]


def is_traced_by(x: Value, trace: Any) -> bool:
    return isinstance(x, Tracer) and x.trace is trace


def filled(cts: OptionalValues, avals: Sequence[Aval]) -> list[Value]:
    """Cotangents with zeros in the place of None."""
    return [zeros_like(a) if c is None else c for c, a in zip(cts, avals, strict=True)]
