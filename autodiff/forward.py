"""Forward mode: every value carries its tangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Primitive, Trace, Tracer, Value, dtype_of, is_weak, layout_of, ndim_of, shape_of


class JVPTracer(Tracer):
    __slots__ = ("primal", "x_dot")

    def __init__(self, trace: JVPTrace, primal: Value, x_dot: Value) -> None:
        self.trace = trace
        self.primal = primal
        self.x_dot = x_dot

    @property
    def shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return shape_of(self.primal)

    @property
    def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
        return dtype_of(self.primal)

    @property
    def ndim(self) -> int:  # type: ignore[override]
        return ndim_of(self.primal)

    @property
    def weak(self) -> bool:  # type: ignore[override]
        return is_weak(self.primal)

    def concrete(self) -> Value:
        return self.primal

    def layout(self) -> Any:
        return layout_of(self.primal)


class JVPTrace(Trace):
    name = "jvp"

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: dict[str, Any]) -> Any:
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
