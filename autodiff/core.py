"""Values, tracers, primitives, and `bind`: how an operation finds the transformation it is under.

A *Value* is what primitives take and return: an ndarray, a NumPy or Python scalar (Python scalars
are weak, as NEP 50 has it), or a `Tracer`. Values are immutable: nothing here writes to an array
it did not make. A `Tracer` belongs to one `Trace`; a trace that was started later is further in and
is asked first. There is no global stack of interpreters: the innermost trace is found among the
arguments, so that threads, generators and closures cannot confuse traces.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import dims
from .errors import (
    ConcretizationError,
    LeakedTracerError,
    MutationError,
    UnknownSizeError,
    error_line,
    user_line,
)
from .size_structures import settled, symbols_of

Value = Any  # ndarray | np.generic | bool | int | float | complex | Tracer
Values = Sequence[Value]
OptionalValues = Sequence[Value | None]  # None where a derivative is zero or not wanted
Params = dict[str, Any]

PYTHON_DTYPES: dict[type, np.dtype[Any]] = {
    bool: np.dtype(bool),
    int: np.dtype(int),
    float: np.dtype(float),
    complex: np.dtype(complex),
}


class Aval(NamedTuple):
    """An abstract value: all that shape and dtype rules may know."""

    shape: tuple[Any, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        """``f64[3,4]``; a star marks a weak dtype."""
        return describe_type(self.shape, self.dtype) + ("*" if self.weak else "")


_SHORT_KINDS = {"f": "f", "c": "c", "i": "i", "u": "u"}


def describe_type(shape: Sequence[Any], dtype: np.dtype[Any]) -> str:
    """``f64[3,4]``: dtype and shape as every message and printout shows them."""
    if dtype.kind in _SHORT_KINDS:
        name = f"{_SHORT_KINDS[dtype.kind]}{dtype.itemsize * 8}"
    else:
        name = "bool" if dtype.kind == "b" else str(dtype)
    return f"{name}[{','.join(getattr(dim, 'text', None) or str(dim) for dim in shape)}]"


def shape_of(x: Value) -> tuple[Any, ...]:
    return () if type(x) in PYTHON_DTYPES else x.shape


def ndim_of(x: Value) -> int:
    return 0 if type(x) in PYTHON_DTYPES else x.ndim


def dtype_of(x: Value) -> np.dtype[Any]:
    python = PYTHON_DTYPES.get(type(x))
    return x.dtype if python is None else python


def is_weak(x: Value) -> bool:
    return type(x) in PYTHON_DTYPES or (isinstance(x, (Tracer, dims.Dim)) and x.weak)


def aval_of(x: Value) -> Aval:
    return Aval(shape_of(x), dtype_of(x), is_weak(x))


class Tracer:
    """A Value under a transformation. Pure: its operators, filled in by
    `primitives.elementwise`, are for the rules, which read as formulas on ndarrays and tracers
    alike. User code never sees one, it holds `TracedArray` handles.
    """

    __slots__ = ("trace",)
    of_sizes = False  # whether symbolic sizes alone decide the value: it has no derivative to lose
    __array_ufunc__ = None  # ndarray * tracer asks the tracer
    trace: Trace

    # Subclasses give these, from the value they wrap.
    shape: Any
    dtype: Any
    ndim: Any
    weak: Any

    __add__: Callable[[Any, Any], Any]
    __radd__: Callable[[Any, Any], Any]
    __sub__: Callable[[Any, Any], Any]
    __rsub__: Callable[[Any, Any], Any]
    __mul__: Callable[[Any, Any], Any]
    __rmul__: Callable[[Any, Any], Any]
    __truediv__: Callable[[Any, Any], Any]
    __rtruediv__: Callable[[Any, Any], Any]
    __neg__: Callable[[Any], Any]

    def concrete(self) -> Value:
        """The value one trace further out, where it is known (a batch is not)."""
        raise NotImplementedError

    def layout(self) -> Any:
        """An array of this shape with the strides that NumPy's array would have."""
        raise NotImplementedError

    def integer_range(self) -> tuple[Any, Any] | None:
        """The least and the greatest that an integer can be, None where nothing is known."""
        return None

    def operation(self) -> tuple[Primitive, tuple[Value, ...], Params] | None:
        """What it was computed by, where the trace knows that."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({describe_type(self.shape, self.dtype)})"

    def __bool__(self) -> bool:
        raise TypeError("a Tracer has no truth value; rules decide with select")


class PrimalTracer(Tracer):
    """A tracer that carries its value one trace further out."""

    __slots__ = ("primal",)
    primal: Value

    @property
    def shape(self) -> tuple[Any, ...]:
        return shape_of(self.primal)

    @property
    def dtype(self) -> np.dtype[Any]:
        return dtype_of(self.primal)

    @property
    def ndim(self) -> int:
        return ndim_of(self.primal)

    @property
    def weak(self) -> bool:
        return is_weak(self.primal)

    def concrete(self) -> Value:
        return self.primal

    def layout(self) -> Any:
        return layout_of(self.primal)


def concrete_value(x: Value) -> Any:
    """The number or ndarray behind all tracers. Only for uses without a derivative."""
    while isinstance(x, Tracer):
        x.trace.check_alive()
        x = x.concrete()
    return x


def deciding_value(x: Value, what: str, look: Callable[[Value], Any] = concrete_value) -> Any:
    """`concrete_value`, for what decides a size, a dtype or the like: where it is not known, a
    jitted function runs uncompiled. ``what`` is asked for, in the error's text.
    """
    try:
        return look(x)
    except ConcretizationError as error:
        raise noted(UnknownSizeError(f"{what}: {error}")) from None


def noted(error: UnknownSizeError) -> UnknownSizeError:
    """The error, of which the trace that records knows from now on: that it was raised counts even
    if the user's own code catches it, for the plain function would not have raised it.
    """
    if thread_state.program is not None:
        thread_state.program.unknown_size = error
    return error


def settle(error: BaseException) -> None:
    """For who has caught a `noted` error and does without what is not known."""
    if thread_state.program is not None and thread_state.program.unknown_size is error:
        thread_state.program.unknown_size = None


def layout_of(x: Value) -> Any:
    return x.layout() if isinstance(x, Tracer) else np.asarray(x)


_trace_ids = itertools.count(1)


class _ThreadState(threading.local):
    level = 0  # of the innermost transformation that runs in this thread; 0 outside of all
    program: Any = None  # the innermost trace that records a Program in this thread
    # What is due when the outermost one ends, with the exception that ended it.
    cleanup: Callable[[BaseException | None], None] | None = None

    @property
    def depth(self) -> int:
        """Not 0 inside a transformation: there, creation functions return handles."""
        return self.level


thread_state = _ThreadState()
running: dict[int, None] = {}  # outermost traces of all threads; native code looks at its size


def _unsuited_array(error: ValueError) -> MutationError:
    """The error for ``ndarray[i] = traced``, where NumPy itself only speaks of a sequence."""
    return MutationError(
        f"a traced value was written into an ndarray, which cannot hold it{error_line(error)}. "
        "Make the array with xnp inside the function, out = xnp.zeros(...) or out = xnp.array(a)."
    )


class Trace:
    """One run of one transformation, a context manager for the time that the function runs.
    ``level`` orders traces by age: the youngest is innermost.
    """

    name: str = "trace"  # in error texts
    alive = True
    outer_level = 0

    def __init__(self) -> None:
        self.level = next(_trace_ids)

    def __enter__(self) -> Trace:
        self.outer_level = thread_state.level
        thread_state.level = self.level
        if not self.outer_level:
            running[self.level] = None
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        state = thread_state
        state.level = self.outer_level
        self.alive = False
        if not self.outer_level:
            running.pop(self.level, None)
        if not self.outer_level and state.cleanup is not None:
            state.cleanup(error)
        if isinstance(error, ValueError) and isinstance(error.__cause__, ConcretizationError):
            if "array element" not in str(error):
                return  # another package's text about what it was given
            raise _unsuited_array(error) from error

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: Params) -> Any:
        raise NotImplementedError

    def check_alive(self) -> None:
        if not self.alive:
            raise LeakedTracerError(
                f"a value traced by {self.name} was used after {self.name} had returned"
                f"{user_line()}. Return it from the function (has_aux=True passes extra results "
                "out) instead of storing it outside."
            )


class Primitive:
    """An operation with its meaning in NumPy and its rules; the forms of rules are in `rules`.

    ``multiple``: returns a tuple of Values. ``masks``: the transposed rule makes exact zeros,
    behind which derivatives may be infinite (see `strong_multiply_p`).
    """

    differentiable = True
    masks = False
    effect = False  # runs for what it does: it stays where nothing reads its result
    instead = ""  # where there is no shape rule: what to write for a known shape and dtype
    keeps_order = False  # the result lies in memory as the arguments do, as ufuncs have it
    into: Callable[..., None] | None = None  # `impl` into arrays for the results, given first

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *,
        shape: Callable[..., Any] | None = None,
        batch: Callable[..., Any] | None = None,
        multiple: bool = False,
    ) -> None:
        self.name = name
        self.impl = impl
        self.shape_rule = shape
        self.batch_rule = batch
        self.multiple = multiple
        primitives[name] = self

    def __call__(self, *args: Value, **params: Any) -> Any:
        """bind: hand over to the innermost trace among the arguments, or compute with NumPy."""
        for a in args:
            if isinstance(a, Tracer):
                break
        else:
            if dims.in_use and thread_state.program is not None:
                params = settled(params)
                if dims.is_symbolic(args) or symbols_of(params):
                    return thread_state.program.process(self, args, params)
            return self.impl(*args, **params)
        innermost = a.trace
        if len(args) > 1:
            for a in args:
                if isinstance(a, Tracer) and a.trace.level > innermost.level:
                    innermost = a.trace
        program = thread_state.program
        if program is not None and program.level > innermost.level:
            innermost = program  # a branch that is not taken computes nothing from what it captured
        return innermost.process(self, args, params)

    def __repr__(self) -> str:
        return self.name

    def shape(self, *avals: Aval, **params: Any) -> Any:
        """The Aval (or tuple of Avals) of the result."""
        if self.shape_rule is None:
            raise noted(
                UnknownSizeError(
                    f"the shape or dtype of what {self.name} returns depends on values that are "
                    f"not known here{user_line()}. {self.instead}"
                )
            )
        return self.shape_rule(*avals, **params)

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        """The tangent of ``ans`` (None: zero) from the tangents of ``args`` (None: zero)."""
        raise NotImplementedError(f"{self.name} has no forward rule")

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        """The cotangent of every argument whose entry in ``wanted`` is not None."""
        raise NotImplementedError(f"{self.name} has no reverse rule")

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        """The result for a batch along axis 0 of the arguments marked in ``batched``, and whether
        the result has that axis (for ``multiple``: a tuple of answers).
        """
        if self.batch_rule is None:
            raise NotImplementedError(f"{self.name} has no batching rule")
        out, out_batched = self.batch_rule(self, size, args, batched, **params)
        if self.multiple and isinstance(out_batched, bool):
            return out, [out_batched] * len(out)
        return out, out_batched

    # What `keeps` answers for a single argument, where that is always the same.
    keeps_one: tuple[Sequence[int], bool] | None = None

    def keeps(self, parents: Sequence[Any]) -> tuple[Sequence[int], bool]:
        """Which arguments the reverse rule does not read when those are wanted whose entry in
        ``parents`` is not None, and whether it reads the result. Of what is not read the tape may
        keep only the shape and dtype.
        """
        return (), True


class Constant(Primitive):
    """Constant almost everywhere, or no real or complex number at all: derivatives stop here."""

    differentiable = False


primitives: dict[str, Primitive] = {}
