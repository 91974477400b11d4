"""Sliding products, as those of convolutions: loops in the place of calls of NumPy.

y_k is the sum over j of x_(k+j) w_j. With few weights it is a sum of arrays, x from the element
number j on times w_j, which takes as many elements at a time as fit in a register. With more it is
a sum along the windows of x, and with very many a call of BLAS for every window costs less.

Long arrays between zeros are not copied: the sums at both ends are computed apart.
"""

from __future__ import annotations

from ...autodiff.primitives.contraction import slide_p
from ...autodiff.primitives.elementwise import add_p, multiply_p
from ...autodiff.primitives.indexing import getitem_p, setitem_p
from ...autodiff.primitives.manipulation import concatenate_p, windows_p
from ...autodiff.program import Atom, Equation, Literal
from ...autodiff.rules import broadcast_to_p, reduce_sum_p, reshape_p
from ..affine import product
from .constants import uniform_value
from .rewriting import Rewriter, Rule

FEW, MANY = 32, 128  # weights
LONG = 1 << 12  # elements


def slide_apart(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """The product with a long vector between zeros: those with its ends, and with itself."""
    whole, w = equation.inputs
    source, count = rewriter.source(whole, "setitem"), w.aval.shape[-1]
    if source is None or whole.aval.ndim != 1 or type(count) is not int or count > MANY:
        return None
    base, x = source.inputs
    sizes = whole.aval.shape[0], product(x.aval.shape)
    if uniform_value(rewriter, base) != 0 or not all(type(size) is int for size in sizes):
        return None
    total, size = sizes
    start, stop, step = source.params["index"][0].indices(total)
    before, after = start, total - stop
    if size < max(LONG, count) or (step, stop - start) != (1, size) or max(before, after) >= count:
        return None
    parts = [rewriter.bind(equation, slide_p, x, w)]
    if before:
        end = _padded(rewriter, equation, _part(rewriter, equation, x, 0, count - 1), before, 0)
        parts.insert(0, rewriter.bind(equation, slide_p, end, w))
    if after:
        end = _part(rewriter, equation, x, size - count + 1, size)
        end = _padded(rewriter, equation, end, 0, after)
        parts.append(rewriter.bind(equation, slide_p, end, w))
    return rewriter.replace(equation, concatenate_p, *parts, axis=parts[0].aval.ndim - 1)


def _part(rewriter: Rewriter, equation: Equation, x: Atom, start: int, stop: int) -> Atom:
    return rewriter.bind(equation, getitem_p, x, index=(slice(start, stop),))


def _padded(rewriter: Rewriter, equation: Equation, x: Atom, before: int, after: int) -> Atom:
    size = x.aval.shape[0]
    zero = Literal(x.aval.dtype.type(0))
    base = rewriter.bind(equation, broadcast_to_p, zero, shape=(before + size + after,))
    index = (slice(before, before + size),)
    return rewriter.bind(equation, setitem_p, base, x, index=index)


def slide_in_loops(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A sliding product of numbers that NumPy, too, adds up in their own dtype."""
    x, w = equation.inputs
    (out,) = equation.results
    dtype, count = out.aval.dtype, w.aval.shape[-1]
    if dtype.kind not in "iu" and dtype.char not in "fdFD":
        return None
    if x.aval.dtype != dtype or w.aval.dtype != dtype or x.aval.weak or w.aval.weak:
        return None
    if type(count) is not int or count > MANY:
        return None
    axis = x.aval.ndim - 1
    windows = rewriter.bind(equation, windows_p, x, window=(count,), axes=(axis,))
    if count > FEW:
        return _along_windows(rewriter, equation, windows, w)
    terms = [_term(rewriter, equation, windows, w, j) for j in range(count)]
    total = terms[0]
    for term in terms[1:]:
        total = rewriter.bind(equation, add_p, total, term)
    if dtype.kind in "fc":  # NumPy's sums begin with 0.0
        total = rewriter.bind(equation, add_p, total, Literal(dtype.type(0)))
    return rewriter.fitted(equation, total)


def _term(rewriter: Rewriter, equation: Equation, windows: Atom, w: Atom, j: int) -> Atom:
    """What the weight number j adds."""
    every = slice(None)
    index = (*(every for _ in windows.aval.shape[1:]), j)
    elements = rewriter.bind(equation, getitem_p, windows, index=index)
    index = (*(every for _ in w.aval.shape[1:]), slice(j, j + 1))
    weight = rewriter.bind(equation, getitem_p, w, index=index)
    return rewriter.bind(equation, multiply_p, elements, weight)


def _along_windows(rewriter: Rewriter, equation: Equation, windows: Atom, w: Atom) -> Atom | None:
    *lead, count = w.aval.shape
    w = rewriter.bind(equation, reshape_p, w, shape=(*lead, 1, count))
    products = rewriter.bind(equation, multiply_p, windows, w)
    total = rewriter.bind(equation, reduce_sum_p, products, axes=(products.aval.ndim - 1,))
    return rewriter.fitted(equation, total)  # sums of small integers are int64


RULES: dict[str, list[Rule]] = {"slide": [slide_apart, slide_in_loops]}
