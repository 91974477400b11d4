"""Watches what primitives are bound with which arguments."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy
from laws import Restricted, call_on_constants
from op_table import Case

import xnp
from xnp.autodiff.core import Primitive, Tracer
from xnp.testing.vectors import random_tangent

Visitor = Callable[[Primitive, tuple[Any, ...], dict[str, Any], Any], None]


@contextlib.contextmanager
def visited_binds(visit: Visitor) -> Iterator[None]:
    """Calls ``visit(primitive, args, params, result)`` for every bind that NumPy computes."""
    bind = Primitive.__call__

    def watched(self: Primitive, *args: Any, **params: Any) -> Any:
        result = bind(self, *args, **params)
        if not any(isinstance(arg, Tracer) for arg in args):
            visit(self, args, params, result)
        return result

    Primitive.__call__ = watched
    try:
        yield
    finally:
        Primitive.__call__ = bind


def run_everything(case: Case) -> None:
    """One traced call, both modes of derivatives, the second derivative, and a batch."""
    with numpy.errstate(all="ignore"):
        call_on_constants(case.op.fun, case.args)
        if case.differentiable:
            f = Restricted(case, case.differentiable)
            out, _ = xnp.jvp(f, f.chosen, f.tangent())
            if out:
                ct = random_tangent(out, numpy.random.default_rng(0))
                x, v = f.chosen, f.tangent()
                if case.op.order >= 2:
                    xnp.jvp(lambda *x: xnp.vjp(f, *x)[1](ct), x, v)
                else:
                    xnp.vjp(f, *x)[1](ct)
