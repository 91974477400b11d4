"""Reductions of what was broadcast, of single elements, and of reductions; norms as sums.

A sum may be formed in another order than it was written in. NumPy's own order depends on the
layout in memory, and its sums of 0 start from 0.0: that of -0.0 alone is 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autodiff.primitives.contraction import matmul_p
from ...autodiff.primitives.elementwise import add_p, multiply_p
from ...autodiff.primitives.math import sqrt_p
from ...autodiff.program import Atom, Equation, Literal
from ...autodiff.rules import imag_p, real_p, reduce_sum_p, reshape_p
from ..affine import product
from .atoms import same_dim, same_shape
from .rewriting import Rewriter, Rule, conversion


def reduce_single(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A reduction along axes of length 1, or along none."""
    (x,) = equation.inputs
    axes, aval = equation.params["axes"], equation.results[0].aval
    if equation.primitive.name == "reduce_prod" and aval.dtype.kind == "c":
        return None  # NumPy multiplies with 1
    if x.aval.weak or not all(same_dim(x.aval.shape[a], 1) for a in axes):
        return None
    if x.aval.dtype != aval.dtype:
        x = rewriter.bind(equation, conversion(aval.dtype), x, dtype=aval.dtype)
    if not same_shape(x.aval.shape, aval.shape):
        x = rewriter.bind(equation, reshape_p, x, shape=aval.shape)
    if equation.primitive.name == "reduce_sum" and aval.dtype.kind in "fc":
        return rewriter.replace(equation, add_p, x, Literal(aval.dtype.type(0)))
    return x


def reduce_reduced(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A reduction of a reduction: one along all the axes."""
    source = rewriter.source(equation.inputs[0], equation.primitive.name)
    if source is None:
        return None
    (x,) = source.inputs
    first, then = source.params["axes"], equation.params["axes"]
    left = [a for a in range(x.aval.ndim) if a not in first]
    axes = tuple(sorted((*first, *(left[a] for a in then))))
    return rewriter.replace(equation, equation.primitive, x, axes=axes)


def reduce_broadcast(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A reduction along axes that were broadcast: of one element of each. A sum is that element
    times their number.
    """
    source = rewriter.source(equation.inputs[0], "broadcast_to")
    if source is None or source.inputs[0].aval.weak:
        return None
    x, full = source.inputs[0], equation.inputs[0].aval.shape
    own = (1,) * (len(full) - x.aval.ndim) + tuple(x.aval.shape)
    axes = equation.params["axes"]
    stretched = [a for a in axes if same_dim(own[a], 1) and not same_dim(full[a], 1)]
    count = 1
    for a in stretched:
        if type(full[a]) is not int or full[a] < 1:
            return None
        count *= full[a]
    is_sum = equation.primitive.name == "reduce_sum"
    if not stretched or (is_sum and not _multiplies(count, equation.results[0].aval.dtype)):
        return None
    if len(own) != x.aval.ndim:
        x = rewriter.bind(equation, reshape_p, x, shape=own)
    found = rewriter.bind(equation, equation.primitive, x, axes=axes)
    if is_sum:
        factor = Literal(found.aval.dtype.type(count))
        found = rewriter.bind(equation, multiply_p, found, factor)
    return rewriter.fitted(equation, found)


def _multiplies(count: int, dtype: Any) -> bool:
    """Whether a product with ``count`` is the sum of so many: infinities make complex ones nan."""
    return dtype.kind in "iu" or (dtype.kind == "f" and float(dtype.type(count)) == count)


def sum_of_reshaped(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A sum of all elements of a reshaped or transposed array: of the array."""
    (x,) = equation.inputs
    if len(equation.params["axes"]) != x.aval.ndim or not x.aval.ndim:
        return None
    source = rewriter.source(x, "reshape") or rewriter.source(x, "transpose")
    if source is None or not source.inputs[0].aval.ndim:
        return None
    inner = source.inputs[0]
    axes = tuple(range(inner.aval.ndim))
    return rewriter.replace(equation, equation.primitive, inner, axes=axes)


def _moved(axes: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(order[a] for a in axes))


def reduce_transposed(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A reduction of a transposed array: of the array, transposed if what is left needs it."""
    source = rewriter.source(equation.inputs[0], "transpose")
    if source is None:
        return None
    order, axes = source.params["axes"], equation.params["axes"]
    rest = [order[a] for a in range(len(order)) if a not in axes]
    if rest != sorted(rest):
        return None
    return rewriter.replace(
        equation, equation.primitive, source.inputs[0], axes=_moved(axes, order)
    )


def norm_by_squares(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A norm: the square root of a sum of squares, loops that fuse with what computes the elements.
    Those of real arrays that lie in memory already are summed up faster by BLAS.
    """
    (x,) = equation.inputs
    axes, ndim, dtype = equation.params["axes"], x.aval.ndim, x.aval.dtype
    if dtype.char not in "fdFD" or x.aval.weak:
        return None  # NumPy sums up squares of half precision in single precision
    if dtype.kind == "f" and rewriter.source(x) is None and 0 < ndim == len(axes):
        flat = rewriter.bind(equation, reshape_p, x, shape=(product(x.aval.shape),))
        total = rewriter.bind(equation, matmul_p, flat, flat)
    else:
        total = rewriter.bind(equation, reduce_sum_p, _squares(rewriter, equation, x), axes=axes)
    return rewriter.replace(equation, sqrt_p, total)


def _squares(rewriter: Rewriter, equation: Equation, x: Atom) -> Atom:
    """``|x|**2``, element by element."""
    if x.aval.dtype.kind == "f":
        return rewriter.bind(equation, multiply_p, x, x)
    parts = [rewriter.bind(equation, part, x) for part in (real_p, imag_p)]
    squares = [rewriter.bind(equation, multiply_p, part, part) for part in parts]
    return rewriter.bind(equation, add_p, *squares)


_ANY_ORDER: list[Rule] = [sum_of_reshaped, reduce_transposed, reduce_reduced]

RULES: dict[str, list[Rule]] = {
    "reduce_sum": [reduce_single, reduce_broadcast, *_ANY_ORDER],
    "reduce_max": [reduce_single, reduce_broadcast, *_ANY_ORDER],
    "reduce_min": [reduce_single, reduce_broadcast, *_ANY_ORDER],
    "reduce_any": [reduce_single, reduce_broadcast, *_ANY_ORDER],
    "reduce_all": [reduce_single, reduce_broadcast, *_ANY_ORDER],
    "reduce_prod": [reduce_single],
    "norm2": [sum_of_reshaped, norm_by_squares],
}
