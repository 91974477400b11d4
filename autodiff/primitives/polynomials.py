"""The roots of a polynomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Value, dtype_of, ndim_of, shape_of
from ..errors import BatchingError, user_line
from ..rules import General, batch_unchanged, fit_dtype, reduce_sum_p, reshape_p
from .elementwise import absolute_p, greater_p, strong_multiply_p, where
from .indexing import getitem_p
from .manipulation import concatenate_p, flip_p


def _roots(p: Any) -> Any:
    """``np.roots`` of every row."""
    if p.ndim == 1:
        return np.roots(p)
    size = p.shape[-1]
    rows = [np.roots(row) for row in p.reshape(-1, size)]
    counts = {len(row) for row in rows}
    if len(counts) > 1:
        raise BatchingError(
            f"np.roots finds {min(counts)} to {max(counts)} roots in the examples of a vmapped "
            f"batch{user_line()}, because leading coefficients are zero in some; the results "
            "cannot be stacked. Take the roots in a Python loop."
        )
    stacked = np.stack(rows) if rows else np.zeros((0, max(size - 1, 0)))
    return stacked.reshape(*p.shape[:-1], stacked.shape[-1])


def _powers(s: Value, count: int) -> Value:
    """s^0 ... s^(count - 1) along a new last axis."""
    shape = (*shape_of(s), 1)
    s = reshape_p(s, shape=shape)
    powers = [np.ones(shape, dtype_of(s))]
    for _ in range(count - 1):
        powers.append(powers[-1] * s)
    return concatenate_p(*powers, axis=len(shape) - 1)


# p(r) = 0 gives dp(r) + p'(r) dr = 0, so dr = -dp(r)/p'(r) for every simple root, including those
# at zero; the leading zeros that np.roots strips off get their derivatives too. Powers of large
# roots would overflow: with s = 1/r and the degree n,
#     dp(r) = r^n sum_k dp_k s^k,   p'(r) = r^(n-1) sum_k (n-k) p_k s^k.
# The derivative at a multiple root is infinite.
def _slopes(ans: Value, p: Value) -> tuple[Value, Value]:
    """For every root, its derivative by each coefficient as a product: (root) times (root, k)."""
    *lead, size = shape_of(p)
    n = size - 1
    big = greater_p(absolute_p(ans), 1.0)
    s = where(big, 1.0 / where(big, ans, 1.0), ans)
    rising = _powers(s, size)
    falling = flip_p(rising, axes=(len(lead) + 1,))
    shifted = flip_p(getitem_p(rising, index=_last(lead, slice(0, n))), axes=(len(lead) + 1,))
    zero = np.zeros((*shape_of(ans), 1), dtype_of(s))
    shifted = concatenate_p(shifted, zero, axis=len(lead) + 1)
    wide = reshape_p(big, shape=(*shape_of(ans), 1))
    degrees = np.arange(n, -1, -1).astype(dtype_of(p).char.lower())
    slope = reshape_p(p * degrees, shape=(*lead, 1, size)) * where(wide, rising, shifted)
    slope = reduce_sum_p(slope, axes=(len(lead) + 1,))
    return -where(big, ans, 1.0) / slope, where(wide, rising, falling)


def _roots_jvp(ans: Any, args: Sequence[Value], x_dots: Sequence[Any]) -> Value:
    *lead, size = shape_of(args[0])
    factor, powers = _slopes(ans, args[0])
    change = reshape_p(x_dots[0], shape=(*lead, 1, size)) * powers
    return fit_dtype(factor * reduce_sum_p(change, axes=(len(lead) + 1,)), ans)


# The transpose of that. A root whose cotangent is 0 gives nothing, be it a multiple one.
def _roots_vjp(ct: Any, ans: Any, args: Sequence[Value], wanted: Any) -> Sequence[Value]:
    factor, powers = _slopes(ans, args[0])
    ct = strong_multiply_p(ct, factor)
    product = reshape_p(ct, shape=(*shape_of(ans), 1)) * powers
    return (reduce_sum_p(product, axes=(ndim_of(ans) - 1,)),)


def _last(lead: Sequence[Any], item: Any) -> tuple[Any, ...]:
    return (*(slice(None) for _ in lead), slice(None), item)


# Along the last axis. How many there are and whether they are complex depends on the values.
roots_p = General(
    "roots",
    _roots,
    _roots_jvp,
    _roots_vjp,
    batch=batch_unchanged,
)
roots_p.instead = (
    "Find a single root by steps of Newton's method, in np.fori_loop or np.while_loop."
)
