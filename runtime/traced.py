"""A call recorded: the Program, and how the caller's results are made of what it computes.

The Program computes every array that the function made and returns, or that it wrote to among its
arguments, once. Views are made again, by NumPy's own operations, of those arrays or of the caller's
arguments, so that what shares memory in plain NumPy shares it here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CellType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.boundary import describe_any, function_name
from ..autodiff.core import PYTHON_DTYPES, Value, dtype_of, shape_of
from ..autodiff.dims import Dim
from ..autodiff.handles import (
    ARRAY0D,
    WEAK,
    TracedArray,
    View,
    axes_in_memory,
    view_of,
    wrap,
)
from ..autodiff.primitives.manipulation import transpose_p
from ..autodiff.program import Literal, Program, regions
from ..autodiff.recording import ProgramTrace
from ..autodiff.shapes import inverse_permutation
from ..autodiff.size_structures import substituted, symbols_of
from ..codegen.pipeline import collection_paused
from .containers import Containers
from .environment import Environment
from .explanation import parameter_names
from .signature import PLAIN, Call, Type, is_writeable, spec_of

ARGUMENT, COMPUTED, STATIC, CONSTANT, COPIED, SIZE = range(6)
_NO_SIZES: Mapping[Any, int] = {}


class Result(NamedTuple):
    """One leaf of what the function returns. ``source`` says what ``of`` means: the number of a
    traced leaf (ARGUMENT), of an array the Program computes (COMPUTED), of a static leaf (STATIC),
    the leaf itself (CONSTANT), an ndarray made while tracing (COPIED) or a size (SIZE). ``views``:
    from the root.
    """

    source: int
    of: Any
    views: tuple[View, ...] = ()


class Root(NamedTuple):
    """An array that the Program computes: which of its results, the kind of handle, and if it is
    not in C order the axes as they lie in memory.
    """

    output: int
    kind: int
    order: tuple[int, ...] | None
    writeable: bool


class Write(NamedTuple):
    """An argument that the function wrote to: which leaf, which result of the Program."""

    leaf: int
    output: int | None  # None: only its shape was changed
    shape: tuple[Any, ...]


class Traced:
    """What one run of the function recorded."""

    def __init__(
        self,
        function: Callable[..., Any],
        call: Call,
        types: Sequence[Type],
        environment: Environment,
    ) -> None:
        self.name = function_name(function)
        trace = ProgramTrace()
        trace.passes_on = False
        try:
            self._record(trace, function, call, types, environment)
        except Exception:
            if trace.unknown_size is None:
                raise
        if trace.unknown_size is not None:  # also if the function has caught it
            raise trace.unknown_size

    def _record(
        self,
        trace: ProgramTrace,
        function: Callable[..., Any],
        call: Call,
        types: Sequence[Type],
        environment: Environment,
    ) -> None:
        recorder = _Recorder(call, environment)
        with collection_paused(), trace:
            given = [_parameter(trace, t) for t in types]
            recorder.begin(given)
            args, kwargs = call.rebuilt(list(given))
            containers = Containers(call, args, kwargs)
            result = function(*args, **kwargs)
            containers.check(parameter_names(function))
            leaves: list[Any] = []
            self.spec = spec_of(result, _is_array, leaves)
            self.results = [recorder.result(self.name, leaf) for leaf in leaves]
            self.writes = recorder.writes()
            self.roots = recorder.roots
            self.program: Program = trace.program(recorder.outputs, self.name)
        self.captures = [value for value, _ in trace.captures]
        self.live = trace.live_arrays()

    def baked_arrays(self, environment: Environment) -> list[Any]:
        """The large arrays in the environment that numbers in the Program, or the way through the
        function, may follow from.
        """
        large = environment.large
        if not large:
            return []
        known = {id(x) for x in environment.arrays}
        literals = [
            x for x in literals_of(self.program) if not self._is_plain(x, environment, known)
        ]
        if literals or not self._reads_all(known):
            return large
        combined = {id(y) for x in self.live for y in (x, x.base)}
        return [x for x in large if id(x) not in combined]

    def _is_plain(self, x: Literal, environment: Environment, known: set[int]) -> bool:
        """Whether a literal is nothing that was computed."""
        value = x.value
        if isinstance(value, np.ndarray):
            return x.live and (
                id(value) in known or (value.base is not None and id(value.base) in known)
            )
        return isinstance(value, int) or (type(value) is float and id(value) in environment.floats)

    def _reads_all(self, known: set[int]) -> bool:
        """Whether the arrays that were combined with others are all read when the Program runs."""
        read = {id(x.value) for x in literals_of(self.program)}
        return all(id(x) in read for x in self.live if id(x) in known)


def literals_of(program: Program) -> Iterator[Literal]:
    """Those in its regions too."""
    for equation in program.equations:
        yield from (x for x in equation.inputs if type(x) is Literal)
        for region in regions(equation):
            yield from literals_of(region)
    yield from (x for x in program.results if type(x) is Literal)


class _Recorder:
    """Collects what the Program has to compute."""

    def __init__(self, call: Call, environment: Environment) -> None:
        self.statics = {id(x): i for i, x in enumerate(call.objects)}
        self.known = {id(x) for x in environment.refs}
        self.arrays = environment.arrays
        self.outputs: list[Value] = []
        self.roots: list[Root] = []
        self.numbers: dict[tuple[int, int], tuple[int, TracedArray]] = {}  # by id and kind of roots

    def begin(self, given: Sequence[TracedArray]) -> None:
        self.given = given
        self.bases = [_root_of(h)[0] for h in given]
        self.first = [base.value for base in self.bases]
        self.guards = [h._view is not None for h in given]  # the views that make them read-only

    def result(self, name: str, leaf: Any) -> Result:
        if type(leaf) is TracedArray:
            return self.traced_result(leaf)
        if type(leaf) is Dim or (type(leaf) is slice and symbols_of(leaf)):
            return Result(SIZE, leaf)
        if id(leaf) in self.statics:
            return Result(STATIC, self.statics[id(leaf)])
        if isinstance(leaf, np.ndarray):
            outside = any(np.may_share_memory(leaf, x) for x in self.arrays)
            return Result(CONSTANT, leaf) if outside else Result(COPIED, leaf.copy("K"))
        kind = type(leaf)
        if not (kind in _CONSTANT or isinstance(leaf, _CONSTANT_KINDS) or id(leaf) in self.known):
            raise TypeError(
                f"jit: {name} returned {describe_any(leaf)}; wanted arrays, numbers, strings, or a "
                "tree of them. Make a class of results a tree: "
                "@optree.dataclasses.dataclass(namespace='xnp')."
            )
        return Result(CONSTANT, leaf)

    def traced_result(self, handle: TracedArray) -> Result:
        root, steps = _root_of(handle)
        for i, base in enumerate(self.bases):
            if base is root:
                return Result(ARGUMENT, i, steps[1:] if self.guards[i] else steps)
        # A view of a scalar is one of an array made of it.
        kind = ARRAY0D if steps and root.is_scalar() else root._kind
        number, _ = self.numbers.setdefault((id(root), kind), (len(self.roots), root))
        if number == len(self.roots):
            self.roots.append(self.root(root, kind))
        return Result(COMPUTED, number, steps)

    def root(self, handle: TracedArray, kind: int) -> Root:
        value, view = handle.value, handle._view
        order = None
        layout = handle.layout()
        if not layout.flags.c_contiguous:
            order = axes_in_memory(layout)
            value = transpose_p(value, axes=order)
        self.outputs.append(value)
        writeable = view is None or is_writeable(handle)
        return Root(len(self.outputs) - 1, kind, order, writeable)

    def writes(self) -> list[Write]:
        found = []
        arguments = zip(self.given, self.bases, self.first, strict=True)
        for i, (handle, base, first) in enumerate(arguments):
            value = handle.value  # of the view, if that is what makes it read-only
            if base._version:
                self.outputs.append(value)
                found.append(Write(i, len(self.outputs) - 1, shape_of(value)))
            elif value is not first:
                found.append(Write(i, None, shape_of(value)))
        return found


_CONSTANT = PLAIN | {float, complex}
_CONSTANT_KINDS = (np.generic, np.dtype, type, enum.Enum)


def _parameter(trace: ProgramTrace, t: Type) -> TracedArray:
    memory, aval = None, t.aval
    if t.strides is not None:
        memory = np.lib.stride_tricks.as_strided(np.empty(1, t.dtype), t.shape, t.strides)
    value: Value
    if t.order is None:
        value = trace.parameter(aval, memory)
    else:  # the Program takes it as it lies in memory
        shape = tuple(aval.shape[axis] for axis in t.order)
        value = transpose_p(
            trace.parameter(aval._replace(shape=shape)), axes=inverse_permutation(t.order)
        )
    handle = wrap(value, t.kind)
    if t.writeable or t.kind != ARRAY0D:
        return handle
    return view_of(handle, lambda base: base, None, lambda layout: layout)


def _is_array(x: Any) -> bool:
    return type(x) is TracedArray or isinstance(x, np.ndarray)


def _root_of(handle: TracedArray) -> tuple[TracedArray, tuple[View, ...]]:
    """The handle that holds the memory, and the views from it to this one. A view that cannot be
    made again by NumPy's operations is taken to have memory of its own.
    """
    steps: list[View] = []
    while (view := handle._view) is not None and view.exact:
        steps.append(view)
        handle = view.base
    return handle, tuple(reversed(steps))


# -- making results --


def finished(found: Any, root: Root) -> Any:
    """A computed array as the function returns it."""
    if not isinstance(found, np.ndarray):
        found = as_kind(found, root.kind)
    if root.order is not None:
        found = found.transpose(inverse_permutation(root.order))
    if not root.writeable and isinstance(found, np.ndarray):
        found.flags.writeable = False
    return found


def as_kind(number: Any, kind: int) -> Any:
    """What has no dimensions, as a NumPy scalar, an array or a Python number."""
    if kind == ARRAY0D:
        return np.array(number)
    if kind == WEAK:
        return number.item() if isinstance(number, np.generic) else number
    return dtype_of(number).type(number) if type(number) in PYTHON_DTYPES else number


def finished_handle(found: Value, root: Root) -> TracedArray:
    """The same under a transformation."""
    if root.order is not None:
        found = transpose_p(found, axes=inverse_permutation(root.order))
    handle = wrap(found, root.kind)
    if root.writeable:
        return handle
    return view_of(handle, lambda base: base, None, lambda layout: layout)


def numbered(function: Any, sizes: Mapping[Any, int]) -> Any:
    """A function of a view with numbers for the sizes it closes over: a tape keeps them, and
    writes to the view ask for them, after the call.
    """
    if not sizes or type(function) is not FunctionType or function.__closure__ is None:
        return function
    cells = (
        CellType(numbered(substituted(cell.cell_contents, sizes), sizes))
        for cell in function.__closure__
    )
    code, names = function.__code__, function.__globals__
    return FunctionType(code, names, function.__name__, function.__defaults__, tuple(cells))


def seen_through(x: Any, steps: Sequence[View], sizes: Mapping[Any, int] = _NO_SIZES) -> Any:
    """The view of ``x``, an array or a handle, that the steps lead to."""
    if steps and isinstance(x, np.ndarray):
        x = x.view(np.ndarray)
    for step in steps:
        if type(x) is TracedArray:
            get, put, layout = (numbered(f, sizes) for f in (step.get, step.put, step.layout))
            x = view_of(x, get, put, layout, step.exact)
        else:
            x = step.layout(x)
            if step.put is None and isinstance(x, np.ndarray):
                x.flags.writeable = False
    return x
