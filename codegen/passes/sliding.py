"""Sliding products, as those of convolutions: loops in the place of calls of NumPy.

y_k is the sum over j of x_(k+j) w_j. With few weights it is a sum of arrays, x from the element
number j on times w_j, which takes as many elements at a time as fit in a register. With more it is
a sum along the windows of x, and where there are very many of both, a call of BLAS for every window
costs less.

The sums at both ends, where windows are wider than what is left of x, are computed apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autodiff.primitives.contraction import slide_p
from ...autodiff.primitives.elementwise import add_p, multiply_p, select_p
from ...autodiff.primitives.indexing import getitem_p
from ...autodiff.primitives.manipulation import concatenate_p, windows_p
from ...autodiff.program import Atom, Equation, Literal
from ...autodiff.rules import broadcast_to_p, reduce_sum_p, reshape_p
from .rewriting import Rewriter, Rule, conversion

FEW, MANY = 32, 128  # weights or windows


def slide_apart(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """The sums at both ends, which have fewer terms, and those between."""
    x, w = equation.inputs
    before, after = equation.params["before"], equation.params["after"]
    size, count = x.aval.shape[-1], w.aval.shape[-1]
    if not (before or after) or not _is_in_loops(equation) or not _is_few(count):
        return None
    if type(before + after) is not int or (type(size) is int and size < count):
        return None
    axis = x.aval.ndim - 1
    parts = [rewriter.bind(equation, slide_p, x, w, before=0, after=0)]
    if before:
        end = _part(rewriter, equation, x, slice(count - 1))
        blank = _blank(rewriter, equation, end, before)
        end = rewriter.bind(equation, concatenate_p, blank, end, axis=axis)
        parts.insert(0, _along_windows(rewriter, equation, end, range(before, before + count - 1)))
    if after:
        end = _part(rewriter, equation, x, slice(size - (count - 1), size))
        blank = _blank(rewriter, equation, end, after)
        end = rewriter.bind(equation, concatenate_p, end, blank, axis=axis)
        parts.append(_along_windows(rewriter, equation, end, range(count - 1)))
    return rewriter.replace(equation, concatenate_p, *parts, axis=parts[0].aval.ndim - 1)


def _is_in_loops(equation: Equation) -> bool:
    """Whether it is a product of numbers that NumPy, too, adds up in their own dtype, and one of
    the lengths is small.
    """
    x, w = equation.inputs
    out = equation.results[0].aval
    return (
        (out.dtype.kind in "iu" or out.dtype.char in "fdFD")
        and x.aval.dtype == w.aval.dtype == out.dtype
        and not (x.aval.weak or w.aval.weak)
        and (_is_few(w.aval.shape[-1]) or _is_few(out.shape[-1]))
    )


def _is_few(size: Any) -> bool:
    return type(size) is int and size <= MANY


def _part(rewriter: Rewriter, equation: Equation, x: Atom, last: Any) -> Atom:
    index = (*(slice(None) for _ in x.aval.shape[1:]), last)
    return rewriter.bind(equation, getitem_p, x, index=index)


def _blank(rewriter: Rewriter, equation: Equation, x: Atom, size: int) -> Atom:
    """Zeros to lie before or after ``x``."""
    zero = Literal(x.aval.dtype.type(0))
    return rewriter.bind(equation, broadcast_to_p, zero, shape=(*x.aval.shape[:-1], size))


def slide_in_loops(rewriter: Rewriter, equation: Equation) -> Atom | None:
    x, w = equation.inputs
    if equation.params["before"] or equation.params["after"] or not _is_in_loops(equation):
        return None
    count, dtype = w.aval.shape[-1], x.aval.dtype
    if type(count) is not int or count > FEW:
        total = _along_windows(rewriter, equation, x)
    else:
        windows = _windows(rewriter, equation, x)
        terms = [_term(rewriter, equation, windows, w, j) for j in range(count)]
        total = terms[0]
        for term in terms[1:]:
            total = rewriter.bind(equation, add_p, total, term)
        if dtype.kind in "fc":  # NumPy's sums begin with 0.0
            total = rewriter.bind(equation, add_p, total, Literal(dtype.type(0)))
    return rewriter.fitted(equation, total)


def _windows(rewriter: Rewriter, equation: Equation, x: Atom) -> Atom:
    count = equation.inputs[1].aval.shape[-1]
    return rewriter.bind(equation, windows_p, x, window=(count,), axes=(x.aval.ndim - 1,))


def _term(rewriter: Rewriter, equation: Equation, windows: Atom, w: Atom, j: int) -> Atom:
    """What the weight number j adds."""
    elements = _part(rewriter, equation, windows, j)
    weight = _part(rewriter, equation, w, slice(j, j + 1))
    return rewriter.bind(equation, multiply_p, elements, weight)


def _along_windows(
    rewriter: Rewriter, equation: Equation, x: Atom, counted: range | None = None
) -> Atom:
    """The sums of w times the windows of ``x``, of which only the places ``counted`` count."""
    w = equation.inputs[1]
    *lead, count = w.aval.shape
    windows = _windows(rewriter, equation, x)
    w = rewriter.bind(equation, reshape_p, w, shape=(*lead, 1, count))
    products = rewriter.bind(equation, multiply_p, windows, w)
    if counted is not None:
        places = np.arange(windows.aval.shape[-2])[:, None] + np.arange(count)
        mask = Literal((places >= counted.start) & (places < counted.stop))
        zero = Literal(products.aval.dtype.type(0))
        products = rewriter.bind(equation, select_p, mask, products, zero)
    total = rewriter.bind(equation, reduce_sum_p, products, axes=(products.aval.ndim - 1,))
    dtype = equation.results[0].aval.dtype  # sums of small integers are int64
    if total.aval.dtype != dtype:
        total = rewriter.bind(equation, conversion(dtype), total, dtype=dtype)
    return total


RULES: dict[str, list[Rule]] = {"slide": [slide_apart, slide_in_loops]}
