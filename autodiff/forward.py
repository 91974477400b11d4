"""Forward mode: every value carries its tangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Params, PrimalTracer, Primitive, Trace, Value


class JVPTracer(PrimalTracer):
    __slots__ = ("x_dot",)

    def __init__(self, trace: JVPTrace, primal: Value, x_dot: Value) -> None:
        self.trace = trace
        self.primal = primal
        self.x_dot = x_dot


class JVPTrace(Trace):
    name = "jvp"

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: Params) -> Any:
        if not self.alive:
            self.check_alive()
        primals = list(args)
        x_dots: list[Value | None] = [None] * len(args)
        for i, a in enumerate(args):
            if type(a) is JVPTracer and a.trace is self:
                primals[i] = a.primal
                x_dots[i] = a.x_dot
        ans = primitive(*primals, **params)
        if not primitive.differentiable:
            return ans
        with np.errstate(all="ignore"):  # the value has given its warnings
            ans_dot = primitive.push(ans, primals, x_dots, params)
        if not primitive.multiple:
            return self.pair(ans, ans_dot)
        return tuple(self.pair(out, out_dot) for out, out_dot in zip(ans, ans_dot, strict=True))

    def pair(self, primal: Value, x_dot: Value | None) -> Value:
        return primal if x_dot is None else JVPTracer(self, primal, x_dot)
