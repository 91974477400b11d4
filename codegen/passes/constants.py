"""Constants: what only depends on literals is computed when the Program is made.

Small results become literals; larger ones where they take no more memory than what they are
computed from. An array of equal elements becomes one element, broadcast, which costs no memory and
which the other rules see through.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...autodiff.core import aval_of
from ...autodiff.program import Atom, Equation, Literal
from ...autodiff.rules import broadcast_to_p
from .atoms import (
    SMALL,
    acts,
    dims_in,
    has_regions,
    is_known,
    same_aval,
    uniform_element,
    with_inputs,
)
from .rewriting import Rewriter

LARGEST = 1 << 22  # elements that are computed or looked through while compiling


def fold(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """The value of an equation on literals."""
    values = []
    for x in equation.inputs:
        if type(x) is Literal:
            if x.live:
                return None
            values.append(x.value)
        else:
            element = uniform_value(rewriter, x)
            if element is None:
                return None
            values.append((element, x.aval.shape))
    aval = equation.results[0].aval
    if equation.primitive is broadcast_to_p and aval.shape:
        return None
    if not values or acts(equation) or has_regions(equation) or not _is_worth_it(equation):
        return None
    return _computed(equation, [_full(*v) if type(v) is tuple else v for v in values])


def uniform_value(rewriter: Rewriter, x: Atom) -> Any:
    """The number that all elements of ``x`` are, where that is known: a NumPy scalar, or a Python
    number if its dtype is weak.
    """
    if type(x) is not Literal:
        source = rewriter.sources.get(x)
        if source is None or source.primitive is not broadcast_to_p:
            return None
        x = source.inputs[0]
        if type(x) is not Literal:
            return None
    if x.live:
        return None
    if not x.aval.shape:
        return x.value[()] if isinstance(x.value, np.ndarray) else x.value
    if x.value.size > LARGEST:
        return None
    if id(x) not in rewriter.memory:
        rewriter.memory[id(x)] = x, uniform_element(x)
    return rewriter.memory[id(x)][1]


def share_uniform(rewriter: Rewriter, equation: Equation) -> Equation:
    """The equation with broadcast elements in the place of arrays of equal elements."""
    changed = False
    inputs = list(equation.inputs)
    for i, x in enumerate(inputs):
        if type(x) is Literal and x.aval.shape:
            inputs[i] = _as_broadcast(rewriter, equation, x)
            changed = changed or inputs[i] is not x
    return with_inputs(equation, inputs) if changed else equation


def _as_broadcast(rewriter: Rewriter, equation: Equation, x: Atom) -> Atom:
    if type(x) is not Literal or not x.aval.shape:
        return x
    element = uniform_value(rewriter, x)
    if element is None:
        return x
    return rewriter.bind(equation, broadcast_to_p, Literal(element), shape=x.aval.shape)


def _full(element: Any, shape: tuple[Any, ...]) -> Any:
    return np.broadcast_to(element, shape)


def _is_worth_it(equation: Equation) -> bool:
    aval = equation.results[0].aval
    if not is_known(aval.shape):
        return False
    wanted = _nbytes(aval)
    if wanted > SMALL and wanted > sum(
        x.value.nbytes for x in equation.inputs if type(x) is Literal and x.aval.shape
    ):
        return False
    if not all(is_known(x.aval.shape) and _size(x.aval) <= LARGEST for x in equation.inputs):
        return False
    return not any(True for value in equation.params.values() for _ in dims_in(value))


def _size(aval: Any) -> int:
    size = 1
    for dim in aval.shape:
        size *= dim
    return size


def _nbytes(aval: Any) -> int:
    return _size(aval) * aval.dtype.itemsize


def _computed(equation: Equation, values: list[Any]) -> Literal | None:
    """None where NumPy refuses: the Program will, when it runs."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = equation.primitive.impl(*values, **equation.params)
        except Exception:  # noqa: BLE001 - whatever it is, it is raised again when the Program runs
            return None
    if isinstance(found, np.ndarray):
        found = found[()] if not found.ndim else found.copy() if found.nbytes <= SMALL else found
    aval = equation.results[0].aval
    return Literal(found) if same_aval(aval_of(found), aval) else None
