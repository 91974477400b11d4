"""What passes ask of literals, parameters and sizes.

Nothing here compares sizes with ``==``: between symbolic ones that would be a question, whose
answer restricts the Program. Sizes are the same if they are written the same.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.calls import has_effect
from ...autodiff.core import PYTHON_DTYPES, Aval, Params
from ...autodiff.dims import Dim
from ...autodiff.program import Atom, Equation, Literal, Program

SMALL = 1024  # bytes: literals up to this size are computed, compared and copied freely


def same_dim(a: Any, b: Any) -> bool:
    """Whether two sizes are written the same."""
    if type(a) is Dim or type(b) is Dim:
        return type(a) is type(b) and a.key == b.key
    return a == b


def same_shape(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(map(same_dim, a, b))


def same_aval(a: Aval, b: Aval) -> bool:
    return a is b or (a.dtype == b.dtype and a.weak == b.weak and same_shape(a.shape, b.shape))


def is_known(shape: Sequence[Any]) -> bool:
    """Whether all sizes are numbers."""
    return all(type(dim) is not Dim for dim in shape)


def dims_in(value: Any) -> Iterator[Dim]:
    """The symbolic sizes that a parameter or a shape speaks of."""
    if type(value) is Dim:
        yield value
    elif type(value) in (tuple, list):
        for item in value:
            yield from dims_in(item)
    elif type(value) is dict:
        for item in value.values():
            yield from dims_in(item)
    elif type(value) is slice:
        yield from dims_in((value.start, value.stop, value.step))


def literal_key(x: Literal) -> Hashable:
    """Equal for literals that are the same: of one type, with the same bits. Large and live arrays
    are the same only if they are one object.
    """
    value = x.value
    kind = type(value)
    if kind is float:
        return "float", struct.pack("d", value)
    if kind is complex:
        return "complex", struct.pack("dd", value.real, value.imag)
    if kind in PYTHON_DTYPES:
        return kind, value
    if x.live or value.nbytes > SMALL:
        return "array", id(value), x.live
    return value.dtype, value.shape, value.tobytes()


def atom_key(x: Atom) -> Hashable:
    return literal_key(x) if type(x) is Literal else x


def params_key(params: Params) -> Hashable:
    """Equal for parameters that are the same; TypeError where that cannot be told."""
    if not params:
        return ()
    return tuple([(name, _key(value)) for name, value in params.items()])


_PLAIN = (str, bool, type(None), np.dtype)


def _key(value: Any) -> Hashable:
    kind = type(value)
    if kind is int or kind in _PLAIN:
        return kind, value
    if kind is tuple or kind is list:
        return (kind, *map(_key, value))
    if kind is slice:
        return kind, _key(value.start), _key(value.stop), _key(value.step)
    if kind is Dim:
        return kind, value.key
    if kind is float:
        return kind, struct.pack("d", value)
    if kind is dict:
        return (kind, *((_key(k), _key(v)) for k, v in value.items()))
    if isinstance(value, np.dtype):
        return value
    if kind is Program or isinstance(value, type) or callable(value):
        return "object", id(value)
    if isinstance(value, np.generic):
        return value.dtype, value.tobytes()
    raise TypeError(f"a parameter of type {kind.__name__} cannot be compared")


def element_key(value: Any, dtype: np.dtype[Any]) -> bytes | None:
    """The bits of a number in a dtype, to compare it with another; None if it is not there."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(value).astype(dtype, casting="unsafe").tobytes()
        except (TypeError, ValueError, OverflowError):
            return None


def uniform_element(x: Literal) -> Any:
    """The one number, as a NumPy scalar, that all elements of an array literal are, bit for bit;
    None if there is no such number.
    """
    value = x.value
    if x.live or not isinstance(value, np.ndarray) or not value.ndim or not value.size:
        return None
    first = value[(0,) * value.ndim]
    if not any(value.strides) or value.size == 1:
        return first
    if value[(-1,) * value.ndim].tobytes() != first.tobytes():
        return None
    flat = np.ascontiguousarray(value).reshape(-1)
    if flat.itemsize in (1, 2, 4, 8):
        bits = flat.view(f"u{flat.itemsize}")
    else:
        bits = flat.view(np.uint8).reshape(len(flat), -1)
    return first if (bits == bits[0]).all() else None


def with_inputs(equation: Equation, inputs: Sequence[Atom]) -> Equation:
    return Equation(equation.primitive, inputs, equation.params, equation.results, equation.line)


def has_regions(equation: Equation) -> bool:
    for value in equation.params.values():
        if type(value) is Program:
            return True
        if type(value) is tuple and value and type(value[0]) is Program:
            return True
    return False


def acts(equation: Equation) -> bool:
    """Whether an equation does something besides computing its results."""
    if equation.primitive.effect or not has_regions(equation):
        return equation.primitive.effect
    return has_effect(equation)


def with_regions(equation: Equation, change: Any) -> Equation:
    """The equation with ``change(region)`` in the place of every region."""
    if not has_regions(equation):
        return equation
    params = {name: _changed(value, change) for name, value in equation.params.items()}
    if all(params[name] is value for name, value in equation.params.items()):
        return equation
    return Equation(equation.primitive, equation.inputs, params, equation.results, equation.line)


def _changed(value: Any, change: Any) -> Any:
    if type(value) is Program:
        return change(value)
    if type(value) is tuple and any(type(item) is Program for item in value):
        found = tuple(change(item) if type(item) is Program else item for item in value)
        return value if all(map(_is, found, value)) else found
    return value


def _is(a: Any, b: Any) -> bool:
    return a is b


def rebuilt(program: Program, equations: Sequence[Equation], results: Sequence[Atom]) -> Program:
    """The Program with other equations and results; itself if they are the same."""
    if len(equations) == len(program.equations) and len(results) == len(program.results):
        old = zip(program.equations, equations, strict=True)
        if all(map(_is, results, program.results)) and all(a is b for a, b in old):
            return program
    return Program(program.parameters, equations, results, program.name)


def readers_of(
    equations: Iterable[Equation], results: Iterable[Atom]
) -> dict[Atom, list[Equation | None]]:
    """What reads each value, once for each time; None stands for the results."""
    readers: dict[Atom, list[Equation | None]] = defaultdict(list)
    for equation in equations:
        for x in equation.inputs:
            readers[x].append(equation)
    for x in results:
        readers[x].append(None)
    return readers


def substituted(equations: Sequence[Equation], env: Mapping[Atom, Atom]) -> list[Equation]:
    """The equations with other Atoms in the place of those in ``env``."""
    return [
        e if env.keys().isdisjoint(e.inputs) else with_inputs(e, [env.get(x, x) for x in e.inputs])
        for e in equations
    ]
