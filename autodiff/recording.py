"""The trace that records a `Program`: its values are known by shape and dtype only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .core import (
    Aval,
    Params,
    Primitive,
    Trace,
    Tracer,
    Value,
    aval_of,
    describe_type,
    layout_of,
    thread_state,
)
from .dims import Dim
from .errors import (
    ConcretizationError,
    MutationError,
    UnknownSizeError,
    current_line,
    user_line,
)
from .foreign import COPY_LIMIT, digest
from .intervals import range_of_atom
from .layouts import c_order, layout_rule, reads_layouts
from .program import Atom, Equation, Literal, Program, Variable
from .python_integers import dtype_where_large, dtypes_to_fit, is_held
from .rules import convert
from .sizes import dimension_p, size_value

_AS_INDEX = (
    " An ndarray or list a cannot be indexed by it: write xnp.array(a)[i] or xnp.take(a, i) in "
    "place of a[i]."
)


class ProgramTracer(Tracer):
    """A value of which only the Aval is known."""

    __slots__ = ("aval", "equation", "memory", "variable")

    def __init__(
        self, trace: ProgramTrace, variable: Variable, equation: Any = None, memory: Any = None
    ) -> None:
        self.trace = trace
        self.variable = variable
        self.aval = variable.aval
        self.equation = equation  # (primitive, args, params)
        self.memory = memory

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.aval.shape)

    @property
    def weak(self) -> bool:
        return self.aval.weak

    @property
    def of_sizes(self) -> bool:
        return self.variable in self._program_trace.of_sizes

    @property
    def _program_trace(self) -> ProgramTrace:
        assert isinstance(self.trace, ProgramTrace)
        return self.trace

    def concrete(self) -> Value:
        if self.of_sizes:
            return self._program_trace.number(self.variable)
        raise ConcretizationError(
            f"the value of a traced array ({self.aval}) is not known while {self.trace.name} "
            f"records the function{user_line()}: Python cannot branch on it, print it or use it as "
            "a size. Write np.where(condition, a, b) or xnp.cond for a choice, xnp.while_loop or "
            "xnp.fori_loop for a loop; an argument that Python must know goes into static_argnames."
            + _AS_INDEX
            * (self.dtype.kind in "iu")
        )

    def integer_range(self) -> tuple[Any, Any] | None:
        return range_of_atom(self.trace, self.variable)

    def layout(self) -> Any:
        pending = [self]  # no recursion: what a result follows from may be thousands of steps long
        while pending:
            tracer = pending[-1]
            before = tracer._layout_sources()
            pending += before
            if not before:
                pending.pop()
                if tracer.memory is None:
                    tracer.memory = tracer._layout()
                    if tracer.ndim:
                        tracer.equation = None
        return self.memory

    def operation(self) -> tuple[Primitive, tuple[Value, ...], Params] | None:
        return self.equation

    def _layout_sources(self) -> list[ProgramTracer]:
        """The arguments whose layouts have to be found first."""
        if self.memory is not None or self.equation is None or self.ndim < 2:
            return []
        primitive, args, _ = self.equation
        if not reads_layouts(primitive):
            return []
        return [a for a in args if type(a) is ProgramTracer and a.memory is None]

    def _layout(self) -> Any:
        if self.equation is None or self.ndim < 2 or not reads_layouts(self.equation[0]):
            return c_order(self.aval)
        primitive, args, params = self.equation
        return layout_rule(primitive, [layout_of(a) for a in args], params, self.aval)


class _Noted(NamedTuple):
    """A user's array, what it held when it was combined with traced values, and a copy if small."""

    array: np.ndarray[Any, Any]
    digest: int
    copy: np.ndarray[Any, Any] | None


class ProgramTrace(Trace):
    """Records what is done with its tracers.

    A tracer of an older trace that the function reads is captured: it becomes a parameter, and
    ``captures`` holds its value. ndarrays of the user's that are combined with traced values are
    not copied: `Literal.live` ones are read when the Program runs.
    """

    name = "jit"
    unknown_size: UnknownSizeError | None = None  # that was raised while it recorded
    passes_on = True  # such an error to the trace outside, of which it records a part

    def __init__(self, name: str = "jit") -> None:
        super().__init__()
        self.name = name
        self.parameters: list[Variable] = []
        self.equations: list[Equation] = []
        self.captures: list[tuple[Tracer, Variable]] = []
        self.ranges: dict[Variable, tuple[Any, Any]] = {}  # of loop indices, both ends included
        self.of_sizes: dict[Variable, Equation] = {}  # numbers that symbolic sizes decide
        self._captured: dict[int, Variable] = {}
        self._live: dict[int, _Noted] = {}  # by id
        self._literals: dict[int, Literal] = {}

    def __enter__(self) -> ProgramTrace:
        super().__enter__()
        self.outer_program = thread_state.program
        thread_state.program = self
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        thread_state.program = self.outer_program
        if self.passes_on and self.unknown_size is not None and self.outer_program is not None:
            self.outer_program.unknown_size = self.unknown_size
        super().__exit__(kind, error, traceback)
        if error is None:
            self._check_live()

    def parameter(self, aval: Aval, memory: Any = None) -> ProgramTracer:
        """A new parameter of the Program; ``memory`` is its layout if that is not C order."""
        variable = Variable(aval)
        self.parameters.append(variable)
        return ProgramTracer(self, variable, memory=memory)

    def enter_foreign(self, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Notes that the array is the user's, who may write to it between calls."""
        noted = self._live.get(id(x))
        if noted is not None and noted.copy is not None and digest(x) != noted.digest:
            self._settle(noted)
            noted = None
        if noted is None:
            copy = x.copy("K") if x.nbytes <= COPY_LIMIT else None
            self._live[id(x)] = _Noted(x, digest(x), copy)
        return x

    def live_arrays(self) -> list[np.ndarray[Any, Any]]:
        """The user's arrays that have been combined with traced values."""
        return [noted.array for noted in self._live.values()]

    def _check_live(self) -> None:
        for noted in self._live.values():
            if digest(noted.array) != noted.digest:
                self._settle(noted)

    def _settle(self, noted: _Noted) -> None:
        """The function overwrites an array: what was recorded keeps the numbers of that time."""
        x = noted.array
        if noted.copy is None:
            raise MutationError(
                f"an ndarray ({describe_type(x.shape, x.dtype)}) of more than {COPY_LIMIT} bytes "
                f"that traced values have been combined with was overwritten while {self.name} "
                "recorded the function; the Program would read the last numbers everywhere. Make "
                "the array with xnp inside the function, xnp.array(a), or write a = a + b in place "
                "of a += b."
            )
        literal = self._literals.pop(id(x), None)
        if literal is not None:
            literal.value, literal.live = noted.copy, False

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: Params) -> Any:
        if not self.alive:
            self.check_alive()
        inputs = [self.atom(a) for a in args]
        if (dtypes := dtypes_to_fit(primitive, inputs)) is not None:
            inputs = [
                x if dtype is None else self._fitted(primitive, x, dtype)
                for x, dtype in zip(inputs, dtypes, strict=True)
            ]
        found = primitive.shape(*[x.aval for x in inputs], **params)
        avals = found if primitive.multiple else (found,)
        results = [Variable(aval) for aval in avals]
        self.equations.append(Equation(primitive, inputs, params, results, current_line()))
        if primitive is dimension_p or self.of_sizes:
            self._note_of_sizes(self.equations[-1])
        if primitive.multiple:
            return tuple(ProgramTracer(self, v) for v in results)
        return ProgramTracer(self, results[0], (primitive, args, params))

    def _fitted(self, primitive: Primitive, x: Atom, dtype: np.dtype[Any]) -> Atom:
        """A Python int for a loop of this dtype, converted unless its range says that it fits."""
        if is_held(range_of_atom(self, x), dtype):
            return x
        assert type(x) is Variable
        return self.atom(convert(ProgramTracer(self, x), dtype_where_large(primitive, dtype)))

    def _note_of_sizes(self, equation: Equation) -> None:
        """Keeps in mind what follows from sizes alone: Python may ask for it as it may for them."""
        known = all(
            x in self.of_sizes if type(x) is Variable else not x.aval.shape for x in equation.inputs
        )
        if known and len(equation.results) == 1 and not equation.results[0].aval.shape:
            self.of_sizes[equation.results[0]] = equation

    def number(self, x: Atom) -> Value:
        """What a number made of sizes is for the sizes at hand; they are fixed by that."""
        if type(x) is Literal:
            return x.value
        equation = self.of_sizes[x]  # pyright: ignore[reportArgumentType] - a Variable
        return equation.primitive.impl(*map(self.number, equation.inputs), **equation.params)

    def atom(self, x: Value) -> Atom:
        """What stands for a Value in the Program."""
        if type(x) is ProgramTracer and x.trace is self:
            return x.variable
        if type(x) is Dim:
            return self.atom(size_value(x))
        if isinstance(x, Tracer):
            return self._capture(x)
        if isinstance(x, np.ndarray) and x.ndim:
            known = self._literals.get(id(x))
            if known is None:
                known = self._literals[id(x)] = Literal(x, live=id(x) in self._live)
            return known
        return Literal(x)

    def _capture(self, x: Tracer) -> Variable:
        x.trace.check_alive()
        if id(x) not in self._captured:
            variable = Variable(aval_of(x))
            self._captured[id(x)] = variable
            self.captures.append((x, variable))
        return self._captured[id(x)]

    def program(self, results: Sequence[Value], name: str) -> Program:
        """The Program that computes these Values; captured values are its last parameters."""
        atoms = [self.atom(x) for x in results]
        captured = [variable for _, variable in self.captures]
        return Program([*self.parameters, *captured], self.equations, atoms, name)


def record(
    function: Callable[..., Sequence[Value]], avals: Sequence[Aval], name: str
) -> tuple[Program, list[Tracer]]:
    """The Program of a function of Values that returns a sequence of Values, and the older traces'
    values that it captured: arguments for the Program's last parameters.
    """
    with ProgramTrace(name) as trace:
        results = function(*[trace.parameter(aval) for aval in avals])
        program = trace.program(results, name)
    return program, [value for value, _ in trace.captures]


def note_range(x: Value, low: Any, high: Any) -> None:
    """Notes the range of a loop's index, a parameter of the Program that is recorded."""
    if isinstance(x, ProgramTracer) and isinstance(x.trace, ProgramTrace):
        x.trace.ranges[x.variable] = (low, high)
