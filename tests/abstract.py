"""A fourth trace, of values that are known by shape and dtype only: what a compiler will see.

It records a program, one equation a line, by the primitives' shape rules. What runs through it asks
no traced value for its number and looks at no array that is not there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from xnp.autodiff import shapes
from xnp.autodiff.core import Aval, Primitive, Trace, Tracer, aval_of
from xnp.autodiff.errors import ConcretizationError
from xnp.autodiff.handles import ARRAY0D, RESULT, WEAK, TracedArray, wrap
from xnp.testing.vectors import leaves_of, map_leaves


class AbstractTracer(Tracer):
    """A value of which only the Aval is known."""

    __slots__ = ("aval", "name")

    def __init__(self, trace: AbstractTrace, aval: Aval, name: str) -> None:
        self.trace, self.aval, self.name = trace, aval, name

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)
    ndim = property(lambda self: len(self.aval.shape))
    weak = property(lambda self: self.aval.weak)

    def concrete(self) -> Any:
        raise ConcretizationError(f"the value of {self} is not known while the program is recorded")

    def layout(self) -> Any:
        """In C order, as a compiler would lay it out; nobody reads the elements."""
        strides = [self.dtype.itemsize * shapes.prod(self.shape[i + 1 :]) for i in range(self.ndim)]
        dummy = numpy.empty(1, self.dtype)
        return numpy.lib.stride_tricks.as_strided(dummy, self.shape, strides)

    def __str__(self) -> str:
        return f"{self.name}:{self.aval}"


class AbstractTrace(Trace):
    """Records what is done with its tracers."""

    name = "program"

    def __init__(self) -> None:
        super().__init__()
        self.names = map(_letters, itertools.count())
        self.equations: list[str] = []

    def tracer(self, aval: Aval) -> AbstractTracer:
        return AbstractTracer(self, aval, next(self.names))

    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        self.check_alive()
        found = primitive.shape(*map(aval_of, args), **params)
        results = [self.tracer(aval) for aval in (found if primitive.multiple else (found,))]
        words = [primitive.name, *map(_operand, args)]
        words += [f"{name}={value}" for name, value in params.items()]
        self.equations.append(f"{', '.join(map(str, results))} = {' '.join(words)}")
        return tuple(results) if primitive.multiple else results[0]


def _letters(n: int) -> str:
    """a, b, ... z, ba, bb, ..."""
    head, last = divmod(n, 26)
    return (_letters(head) if head else "") + chr(ord("a") + last)


def _operand(x: Any) -> str:
    if isinstance(x, AbstractTracer):
        return x.name
    return str(aval_of(x)) if numpy.ndim(x) else str(x)


def traced_leaf(trace: AbstractTrace, leaf: Any) -> TracedArray:
    """A handle of the kind that NumPy's own object would be."""
    kind = RESULT if isinstance(leaf, numpy.generic) else ARRAY0D
    kind = kind if isinstance(leaf, (numpy.ndarray, numpy.generic)) else WEAK
    return wrap(trace.tracer(aval_of(leaf)), kind)


def record(
    fun: Callable[..., Any], args: Sequence[Any], positions: Sequence[int]
) -> tuple[list[Aval], list[str]]:
    """The Avals of the results of ``fun``, and the equations, with abstract arguments."""
    with AbstractTrace() as trace:
        given = [
            map_leaves(lambda leaf: traced_leaf(trace, leaf), arg) if i in positions else arg
            for i, arg in enumerate(args)
        ]
        results = leaves_of(fun(*given))
        avals = [aval_of(x.value if isinstance(x, TracedArray) else x) for x in results]
    return avals, trace.equations
