"""Programs: typed SSA. What a function does, as a list of equations on abstract values.

A `Program` is closed: it reads its parameters and literals, nothing else. Structured control flow
is primitives whose parameters hold Programs. Evaluating a Program binds its primitives again, so a
transformation of a Program is just running it under that transformation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import dims
from .core import (
    PYTHON_DTYPES,
    Aval,
    Params,
    Primitive,
    Tracer,
    Value,
    Values,
    aval_of,
    dtype_of,
    is_weak,
    ndim_of,
    shape_of,
)
from .errors import UserLine, user_line
from .handles import TracedArray, value_of, wrap
from .rules import convert, weaken_p
from .size_structures import substituted, symbols_of, with_sizes

_VALUES = (Tracer, np.ndarray, np.generic, *PYTHON_DTYPES)


class Variable:
    """A value of a Program that its parameters or one of its equations define."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"Variable({self.aval})"


class Literal:
    """A value that is known when the Program is made: a number or an ndarray.

    ``live``: the ndarray belongs to the user, who may write to it between calls; the Program reads
    what it holds then, as the plain function would.
    """

    __slots__ = ("aval", "live", "value")

    def __init__(self, value: Value, live: bool = False) -> None:
        self.value, self.live = value, live
        self.aval = aval_of(value)

    def __repr__(self) -> str:
        return f"Literal({_literal_text(self)})"


Atom = Variable | Literal


class Equation:
    """``results = primitive(inputs, **params)``. ``line``: the user's own, for error texts."""

    __slots__ = ("inputs", "line", "params", "primitive", "results")

    def __init__(
        self,
        primitive: Primitive,
        inputs: Sequence[Atom],
        params: Params,
        results: Sequence[Variable],
        line: UserLine | str = "",
    ) -> None:
        self.primitive = primitive
        self.inputs = tuple(inputs)
        self.params = params
        self.results = tuple(results)
        self.line = line

    def __repr__(self) -> str:
        return Names().equation(self)


class Program:
    """Parameters, equations, results. Calling it evaluates it: ``program(*values)`` is a list of
    Values, one for each result; of handles, if handles are given.
    """

    __slots__ = ("__weakref__", "equations", "name", "parameters", "results")

    def __init__(
        self,
        parameters: Sequence[Variable],
        equations: Sequence[Equation],
        results: Sequence[Atom],
        name: str = "program",
    ) -> None:
        self.parameters = tuple(parameters)
        self.equations = tuple(equations)
        self.results = tuple(results)
        self.name = name

    @property
    def in_avals(self) -> tuple[Aval, ...]:
        return tuple(v.aval for v in self.parameters)

    @property
    def out_avals(self) -> tuple[Aval, ...]:
        return tuple(v.aval for v in self.results)

    def __call__(self, *values: Any) -> list[Any]:
        """The results for these values; tracers among them see every primitive. TypeError where a
        value has another type than its parameter: the equations are right for that one only.
        """
        if len(values) != len(self.parameters):
            raise TypeError(
                f"{self.name} takes {len(self.parameters)} values, {len(values)} were given"
            )
        has_handles = any(type(x) is TracedArray for x in values)
        values = tuple(x if isinstance(x, _VALUES) else value_of(x) for x in values)
        for i, x in enumerate(values):
            aval = self.parameters[i].aval
            if dtype_of(x) != aval.dtype or ndim_of(x) != aval.ndim:
                raise self._refusal(i, x)
        sizes = self._sizes(values) if dims.in_use else None
        if sizes:
            self._check_guards(sizes)
        values = tuple(self._given(i, x, sizes) for i, x in enumerate(values))
        found = self._evaluated(values, sizes)
        return [wrap(x) for x in found] if has_handles else found

    def _refusal(self, i: int, x: Value) -> TypeError:
        return TypeError(
            f"{self.name}: parameter {i} is {self.parameters[i].aval}, got {aval_of(x)}"
            f"{user_line()}. A Program is right for the types only that it shows; record one for "
            "these arguments: jit(f).trace(...)"
        )

    def _given(self, i: int, x: Value, sizes: Any) -> Value:
        """The Value of parameter i, which must have its type."""
        aval, given = self.parameters[i].aval, shape_of(x)
        shape = substituted(aval.shape, sizes) if sizes else aval.shape
        if all(type(dim) is int for dim in (*shape, *given)) and shape != given:
            raise self._refusal(i, x)
        if aval.weak == is_weak(x):
            return x
        return weaken_p(x) if aval.weak else convert(x, aval.dtype)

    def _check_guards(self, sizes: Mapping[dims.Symbol, Any]) -> None:
        """ValueError for sizes at which the function would have taken another course."""
        numbers = {s.name: size for s, size in sizes.items() if type(size) is int}
        for scope in {s.scope for s in sizes}:
            if numbers.keys() >= scope.symbols.keys() and not scope.holds(numbers):
                guards = ", ".join(map(str, scope.guards))
                raise ValueError(
                    f"{self.name} is not right for the sizes {numbers}{user_line()}: it was "
                    f"recorded with {guards}. Record one for them: jit(f).trace(...)"
                )

    def _evaluated(self, values: Values, sizes: Any) -> list[Value]:
        known: dict[Atom, Value] = dict(zip(self.parameters, values, strict=True))
        last_reads = self._last_reads()
        for number, equation in enumerate(self.equations):
            args = [x.value if type(x) is Literal else known[x] for x in equation.inputs]
            params = substituted(equation.params, sizes) if sizes else equation.params
            found = equation.primitive(*args, **params)
            if not equation.primitive.multiple:
                found = (found,)
            known.update(zip(equation.results, found, strict=True))
            for x in last_reads[number]:
                del known[x]
        return [x.value if type(x) is Literal else known[x] for x in self.results]

    def _sizes(self, values: Sequence[Value]) -> dict[dims.Symbol, Any]:
        """The sizes of the symbols in the parameters' shapes, for these Values; none where all
        stand for themselves.
        """
        sizes: dict[dims.Symbol, Any] = {}
        for v, value in zip(self.parameters, values, strict=True):
            for dim, size in zip(v.aval.shape, shape_of(value), strict=True):
                if type(dim) is dims.Dim and (symbol := dim.symbol) is not None:
                    sizes.setdefault(symbol, size)
        if all(type(size) is dims.Dim and size.symbol is s for s, size in sizes.items()):
            return {}
        return sizes

    def symbols(self) -> set[dims.Symbol]:
        """The symbols of all sizes in it and its regions."""
        found = symbols_of([aval.shape for aval in self.in_avals])
        for equation in self.equations:
            for v in equation.results:
                found |= symbols_of(v.aval.shape)
            if equation.params:
                found |= symbols_of(equation.params)
            for region in regions(equation):
                found |= region.symbols()
        return found

    def at_sizes(self, sizes: Mapping[Any, Any]) -> Program:
        """The same Program with sizes in the place of symbols."""
        return self.with_sizes(lambda dim: dim.evaluate(sizes))

    def with_sizes(self, change: Callable[[Any], Any]) -> Program:
        """The same Program with ``change(size)`` for each symbolic size."""
        made: dict[Variable, Variable] = {}

        def sized(x: Any) -> Any:
            if type(x) is not Variable:
                return x
            if x not in made:
                made[x] = Variable(x.aval._replace(shape=with_sizes(x.aval.shape, change)))
            return made[x]

        equations = [
            Equation(
                e.primitive,
                [sized(x) for x in e.inputs],
                with_sizes(e.params, change),
                [sized(x) for x in e.results],
                e.line,
            )
            for e in self.equations
        ]
        parameters, results = map(sized, self.parameters), map(sized, self.results)
        return Program([*parameters], equations, [*results], self.name)

    def _last_reads(self) -> list[list[Variable]]:
        """By equation: the variables that nothing reads after it."""
        seen: set[Atom] = {x for x in self.results if type(x) is Variable}
        last: list[list[Variable]] = []
        for equation in reversed(self.equations):
            ends = []
            for x in (*equation.inputs, *equation.results):
                if type(x) is Variable and x not in seen:
                    seen.add(x)
                    ends.append(x)
            last.append(ends)
        return last[::-1]

    def __str__(self) -> str:
        return "\n".join(Names().program(self))

    def __repr__(self) -> str:
        return f"<Program {self.name}: {len(self.equations)} equations>"

    def check(self) -> None:
        """AssertionError unless the Program is well formed: every variable is defined once and
        before it is read, and every equation has the types that its primitive's shape rule gives.
        """
        defined: set[Variable] = set()

        def define(variables: Sequence[Variable], where: str) -> None:
            for v in variables:
                assert v not in defined, f"{where}: {v} is defined twice"
                defined.add(v)

        def read(atoms: Sequence[Atom], where: str) -> None:
            for x in atoms:
                assert type(x) is Literal or x in defined, f"{where}: {x} is not defined"

        define(self.parameters, self.name)
        for equation in self.equations:
            where = f"{self.name}: {equation}"
            read(equation.inputs, where)
            _check_types(equation, where)
            for region in regions(equation):
                region.check()
            define(equation.results, where)
        read(self.results, self.name)


def _check_types(equation: Equation, where: str) -> None:
    primitive = equation.primitive
    found = primitive.shape(*(x.aval for x in equation.inputs), **equation.params)
    wanted = tuple(found) if primitive.multiple else (found,)
    got = tuple(v.aval for v in equation.results)
    assert len(wanted) == len(got), f"{where}: {len(got)} results, its rule gives {len(wanted)}"
    for a, b in zip(wanted, got, strict=True):
        same = a.shape == b.shape and a.dtype == b.dtype and a.weak == b.weak
        assert same, f"{where}: a result is {b}, its rule gives {a}"


def regions(equation: Equation) -> Iterator[Program]:
    """The Programs that are parameters of an equation: loop bodies, branches, callees."""
    for value in equation.params.values():
        if type(value) is Program:
            yield value
        elif type(value) is tuple:
            yield from (item for item in value if type(item) is Program)


def letters(n: int) -> str:
    """a, b, ... z, ba, bb, ..."""
    head, last = divmod(n, 26)
    return (letters(head) if head else "") + chr(ord("a") + last)


def _literal_text(x: Literal) -> str:
    value = x.value
    if type(value) in PYTHON_DTYPES:
        return repr(value)
    if x.aval.shape:
        return f"{x.aval}{'(live)' if x.live else '(...)'}"
    return f"{x.aval}({np.asarray(value).item()!r})"


class Names:
    """Letters for variables, given as they are met; prints equations and Programs."""

    def __init__(self) -> None:
        self.names: dict[Variable, str] = {}
        self._letters = map(letters, itertools.count())

    def __getitem__(self, x: Atom) -> str:
        if isinstance(x, Literal):
            return _literal_text(x)
        if x not in self.names:
            self.names[x] = next(self._letters)
        return self.names[x]

    def typed(self, x: Variable) -> str:
        return f"{self[x]}:{x.aval}"

    def equation(self, equation: Equation) -> str:
        """``c:f64[3,4] = add a b``, without regions."""
        words = [equation.primitive.name, *(self[x] for x in equation.inputs)]
        for name, value in equation.params.items():
            words.append(f"{name}={_parameter_text(value)}")
        head = ", ".join(self.typed(v) for v in equation.results)
        return f"{head} = {' '.join(words)}" if head else " ".join(words)

    def program(self, program: Program, indent: str = "") -> list[str]:
        """The lines of a Program, regions indented under their equation."""
        head = ", ".join(self.typed(v) for v in program.parameters)
        lines = [f"{indent}{program.name}({head}) {{"]
        for equation in program.equations:
            lines.append(f"{indent}  {self.equation(equation)}")
            for region in regions(equation):
                lines += self.program(region, indent + "    ")
        lines.append(f"{indent}  return {', '.join(self[x] for x in program.results)}")
        return [*lines, f"{indent}}}"]


def _parameter_text(value: Any) -> str:
    if type(value) is Program:
        return value.name
    if type(value) is tuple and any(type(item) is Program for item in value):
        return f"({', '.join(map(_parameter_text, value))})"
    if isinstance(value, type):
        return value.__name__
    return str(value)
