"""A fourth trace, of values that are known by shape and dtype only: what a compiler will see.

It records a program of equations by the primitives' shape rules. What runs through it asks no
traced value for its numbers and looks at no array that is not there.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy

from xnp.autodiff import shapes, trees
from xnp.autodiff.core import Aval, Primitive, Trace, Tracer, aval_of, layout_of
from xnp.autodiff.errors import ConcretizationError
from xnp.autodiff.handles import ARRAY0D, RESULT, WEAK, TracedArray, wrap
from xnp.autodiff.primitives.manipulation import transpose_p
from xnp.testing.vectors import leaves_of, map_leaves


class AbstractTracer(Tracer):
    """A value of which only the Aval is known."""

    __slots__ = ("aval", "memory", "name")

    def __init__(self, trace: "AbstractTrace", aval: Aval, name: str, memory: Any) -> None:
        self.trace, self.aval, self.name, self.memory = trace, aval, name, memory

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)
    ndim = property(lambda self: len(self.aval.shape))
    weak = property(lambda self: self.aval.weak)

    def concrete(self) -> Any:
        raise ConcretizationError(f"the value of {self} is not known while the program is recorded")

    def layout(self) -> Any:
        return self.memory

    def operation(self) -> Any:
        made = (e for e in self.trace.equations if any(x is self for x in e.results))
        return next(((e.primitive, e.args, e.params) for e in made), None)

    def __str__(self) -> str:
        return f"{self.name}:{self.aval}"


class Equation(NamedTuple):
    primitive: Primitive
    args: tuple[Any, ...]
    params: dict[str, Any]
    results: list[AbstractTracer]

    def __str__(self) -> str:
        words = [self.primitive.name, *map(_operand, self.args)]
        words += [f"{name}={value}" for name, value in self.params.items()]
        return f"{', '.join(map(str, self.results))} = {' '.join(words)}"


def in_c_order(aval: Aval) -> Any:
    """An array whose elements nobody reads: one, in many places."""
    sizes = [shapes.prod(aval.shape[i + 1 :]) for i in range(aval.ndim)]
    dummy, strides = numpy.empty(1, aval.dtype), [aval.dtype.itemsize * size for size in sizes]
    return numpy.lib.stride_tricks.as_strided(dummy, aval.shape, strides)


def _operand(x: Any) -> str:
    if isinstance(x, AbstractTracer):
        return x.name
    return str(aval_of(x)) if numpy.ndim(x) else str(x)


class AbstractTrace(Trace):
    """Records what is done with its tracers."""

    name = "program"

    def __init__(self) -> None:
        super().__init__()
        self.names = map(_letters, itertools.count())
        self.equations: list[Equation] = []

    def tracer(self, aval: Aval, memory: Any = None) -> AbstractTracer:
        memory = in_c_order(aval) if memory is None else memory
        return AbstractTracer(self, aval, next(self.names), memory)

    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        self.check_alive()
        found = primitive.shape(*map(aval_of, args), **params)
        # Everything lies in C order, but for views of other axes. A compiler needs a rule for the
        # order in memory of every primitive's result, which for most ufuncs is their arguments'.
        memory = layout_of(args[0]).transpose(params["axes"]) if primitive is transpose_p else None
        avals = found if primitive.multiple else (found,)
        results = [self.tracer(aval, memory) for aval in avals]
        self.equations.append(Equation(primitive, args, params, results))
        return tuple(results) if primitive.multiple else results[0]

    def handle(self, leaf: Any) -> TracedArray:
        """An input like ``leaf``, of the kind that NumPy's own object would be."""
        kind = RESULT if isinstance(leaf, numpy.generic) else ARRAY0D
        kind = kind if isinstance(leaf, (numpy.ndarray, numpy.generic)) else WEAK
        return wrap(self.tracer(aval_of(leaf)), kind)


def _letters(n: int) -> str:
    """a, b, ... z, ba, bb, ..."""
    head, last = divmod(n, 26)
    return (_letters(head) if head else "") + chr(ord("a") + last)


class Program(NamedTuple):
    """A function, recorded; calling it computes the equations with NumPy."""

    inputs: list[AbstractTracer]
    equations: list[Equation]
    outputs: list[TracedArray]
    rebuild: Callable[[list[Any]], Any]

    def __call__(self, *args: Any) -> Any:
        known = dict(zip(self.inputs, leaves_of(args), strict=True))

        def value(x: Any) -> Any:
            return known[x] if isinstance(x, AbstractTracer) else x

        for primitive, operands, params, results in self.equations:
            found = primitive.impl(*map(value, operands), **params)
            known.update(zip(results, found if primitive.multiple else (found,), strict=True))
        return self.rebuild([_plain(out, value) for out in self.outputs])

    def __str__(self) -> str:
        return "\n".join(map(str, self.equations))


def _plain(out: Any, value: Callable[[Any], Any]) -> Any:
    """What NumPy would return in the place of a handle."""
    if not isinstance(out, TracedArray):
        return out
    found = value(out.value)
    if out._kind == ARRAY0D:
        return numpy.asarray(found)
    return found[()] if isinstance(found, numpy.ndarray) else found


def record(fun: Callable[..., Any], args: Sequence[Any]) -> Program:
    """``fun`` on abstract arrays, and trees of them, like ``args``."""
    with AbstractTrace() as trace:
        given = tuple(map_leaves(trace.handle, arg) for arg in args)
        inputs = [handle.value for handle in leaves_of(given)]
        outputs, unflatten = trees.flatten(fun(*given))
        return Program(
            inputs, trace.equations, outputs, lambda leaves: trees.rebuild(unflatten, leaves)
        )
