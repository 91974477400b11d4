"""Broadcasts moved inwards: what is computed on copies of an element is computed on the element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autodiff.program import Atom, Equation
from ...autodiff.rules import broadcast_to_p
from .atoms import same_dim, same_shape
from .rewriting import Rewriter

# NumPy takes another way for one exponent than for an array of equal ones.
EXCEPT = frozenset({"power"})


def shrink_elementwise(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """An elementwise operation on broadcast arrays: on what is broadcast, and the result broadcast
    where it is smaller.
    """
    sources = [rewriter.source(x, "broadcast_to") for x in equation.inputs]
    if not any(sources) or equation.primitive.name in EXCEPT:
        return None
    inputs = [
        x if source is None or _loses_type(source) else source.inputs[0]
        for x, source in zip(equation.inputs, sources, strict=True)
    ]
    if all(a is b for a, b in zip(inputs, equation.inputs, strict=True)):
        return None
    aval = equation.results[0].aval
    shape = joined_shape([x.aval.shape for x in inputs])
    if shape is None:
        return None
    if same_shape(shape, aval.shape):
        return rewriter.replace(equation, equation.primitive, *inputs, **equation.params)
    inner = rewriter.bind(equation, equation.primitive, *inputs, **equation.params)
    return rewriter.replace(equation, broadcast_to_p, inner, shape=aval.shape)


def _loses_type(broadcast: Equation) -> bool:
    """Whether a Python number was broadcast, whose dtype would give way again."""
    return broadcast.inputs[0].aval.weak


def joined_shape(shapes: Sequence[Sequence[Any]]) -> tuple[Any, ...] | None:
    """NumPy's broadcast shape, without questions about sizes: None where it would need one."""
    ndim = max(map(len, shapes))
    out: list[Any] = [1] * ndim
    for shape in shapes:
        for i, dim in enumerate(shape, ndim - len(shape)):
            if same_dim(dim, 1) or same_dim(out[i], dim):
                continue
            if not same_dim(out[i], 1):
                return None
            out[i] = dim
    return tuple(out)
