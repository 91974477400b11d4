"""NumPy's polynomials with the highest power first: poly, roots, polyval, polyfit and the others.

`numpy.poly1d` works on handles through them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autodiff.batching import BatchTracer
from ..autodiff.core import Tracer, Value, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import (
    BatchingError,
    ConcretizationError,
    UnsupportedError,
    advised,
    user_line,
)
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    describe,
    handle_of,
    unwrap_known,
    value_of,
    wrap,
)
from ..autodiff.primitives.checks import warn_p
from ..autodiff.primitives.elementwise import not_equal_p
from ..autodiff.primitives.polynomials import roots_p
from ..autodiff.rules import convert
from .linalg import least_squares

Handle = Any  # a TracedArray; its operators are installed where type checkers do not see them


def _coefficients(p: Any) -> Handle:
    """A polynomial as a handle with at least one dimension."""
    p = handle_of(p.coeffs if isinstance(p, np.poly1d) else p)
    return p if ndim_of(p.value) else np.reshape(p, (1,))


def _any_poly1d(*polynomials: Any) -> bool:
    return any(isinstance(p, np.poly1d) for p in polynomials)


def _order(m: Any, what: str, inverse: str) -> int:
    m = int(unwrap_known(m, "m"))
    if m < 0:
        raise ValueError(f"Order of {what} must be positive (see {inverse})")
    return m


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    zeros: Handle = _coefficients(seq_of_zeros)
    shape, dtype = shape_of(zeros.value), dtype_of(zeros.value)
    if len(shape) == 2 and shape[0] == shape[1] and shape[0] != 0:
        zeros = np.linalg.eigvals(zeros)
    elif len(shape) == 1:
        floating = np.dtype(np.mintypecode(dtype.char))
        zeros = handle_of(wrap(convert(zeros.value, floating)))
    else:
        raise ValueError(
            "input must be 1d or non-empty square 2d array, got shape "
            f"{shape} in np.poly{user_line()}"
        )
    if shape[0] == 0:
        return 1.0
    a: Handle = np.ones(1, dtype_of(zeros.value))
    none = np.zeros(1, a.dtype)
    for i in range(shape[0]):  # a times (x - zero)
        a = np.concatenate([a, none]) - zeros[i] * np.concatenate([none, a])
    if dtype_of(zeros.value).kind == "c" and _closed_under_conjugation(zeros):
        a = np.real(a)
    return wrap(a.value)


def _closed_under_conjugation(roots: Handle) -> bool:
    return bool(np.all(np.sort(roots) == np.sort(np.conjugate(roots))))


@implements(np.roots)
def roots(p: Any) -> Any:
    p = _coefficients(p)
    if ndim_of(p.value) != 1:
        raise ValueError(f"Input must be a rank-1 array, got {describe(p)}{user_line()}.")
    kind = dtype_of(p.value).kind
    return wrap(roots_p(p.value if kind in "fc" else convert(p.value, np.dtype(float))))


@implements(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    m = _order(m, "integral", "polyder")
    constants = _coefficients(np.zeros(m) if k is None else k)
    count = shape_of(constants.value)[0]
    if count == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    elif count < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    y = _coefficients(p)
    for i in range(m):
        powers = np.arange(shape_of(value_of(y))[0], 0, -1)
        y = np.concatenate([y / powers, constants[i : i + 1]])
    return np.poly1d(y) if _any_poly1d(p) else y


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    m = _order(m, "derivative", "polyint")
    y = _coefficients(p)
    for _ in range(m):
        y = y[:-1] * np.arange(shape_of(y.value)[0] - 1, 0, -1)
    return np.poly1d(y) if _any_poly1d(p) else y


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    p = _coefficients(p)
    if isinstance(x, np.poly1d):
        y: Any = 0
    else:
        x = handle_of(x)
        y = np.zeros(shape_of(x.value), dtype_of(x.value))
    for i in range(shape_of(p.value)[0]):
        y = y * x + p[i]
    return y if isinstance(y, (TracedArray, np.poly1d)) else wrap(value_of(y), ARRAY0D)


def _same_length(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Both polynomials with leading zeros, as many as the shorter one lacks."""
    a1, a2 = _coefficients(a1), _coefficients(a2)
    missing = shape_of(a2.value)[0] - shape_of(a1.value)[0]
    if missing > 0:
        a1 = np.concatenate([np.zeros(missing, dtype_of(a1.value)), a1])
    elif missing < 0:
        a2 = np.concatenate([np.zeros(-missing, dtype_of(a2.value)), a2])
    return a1, a2


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    left, right = _same_length(a1, a2)
    return np.poly1d(left + right) if _any_poly1d(a1, a2) else left + right


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    left, right = _same_length(a1, a2)
    return np.poly1d(left - right) if _any_poly1d(a1, a2) else left - right


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    product = np.convolve(_trimmed(a1, "a1"), _trimmed(a2, "a2"))
    return np.poly1d(product) if _any_poly1d(a1, a2) else product


def _trimmed(p: Any, name: str) -> Handle:
    """Without leading zeros. One that carries a derivative cannot be left out: what it contributes
    would have no place in the result.
    """
    p = _coefficients(p)
    if ndim_of(p.value) > 1:
        raise ValueError("Polynomial must be 1d only.")
    nonzero = p != 0
    try:
        first = int(np.argmax(nonzero)) if bool(np.any(nonzero)) else shape_of(p.value)[0] - 1
    except (BatchingError, ConcretizationError) as error:
        advice = (
            "np.polymul cuts off leading zeros, so that its size depends on the coefficients. "
            "Write np.convolve(a1, a2), which keeps them."
        )
        raise advised(error, advice) from None
    if first > 0 and _carries_derivative(p.value):
        raise UnsupportedError(
            f"np.polymul: {name} is {describe(p)} with {first} leading zero"
            f"{'s' * (first != 1)}{user_line()}, which NumPy cuts off, and the derivative with "
            "respect to them with it. Write np.convolve(a1, a2), which keeps them."
        )
    return p[first:] if first > 0 else p


def _carries_derivative(value: Value) -> bool:
    while isinstance(value, BatchTracer):
        value = value.values
    return isinstance(value, Tracer)


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    # Leading coefficients of the remainder within 1e-8 of zero are cut off, as NumPy does; the
    # derivatives of those that stay are exact.
    truepoly = _any_poly1d(u, v)
    u, v = _coefficients(u) + 0.0, _coefficients(v) + 0.0
    dtype = np.result_type(dtype_of(u.value), dtype_of(v.value))
    m, n = (shape_of(a.value)[0] - 1 for a in (u, v))
    scale = 1.0 / v[0]
    remainder: Handle = wrap(convert(u.value, dtype))
    quotient: list[Any] = []
    for k in range(m - n + 1):
        d = scale * remainder[k]
        quotient.append(d)
        remainder[k : k + n + 1] -= d * v
    q: Handle = np.stack(quotient) if quotient else np.zeros(1, dtype)
    q = wrap(convert(value_of(q), dtype))
    while shape_of(remainder.value)[0] > 1 and bool(abs(remainder[0]) <= 1e-8):
        remainder = remainder[1:]
    return (np.poly1d(q), np.poly1d(remainder)) if truepoly else (q, remainder)


@implements(np.polyfit)
def polyfit(
    x: Any,
    y: Any,
    deg: Any,
    rcond: Any = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    order = operator.index(unwrap_known(deg, "deg")) + 1
    x, y = handle_of(x) + 0.0, handle_of(y) + 0.0
    count = _check_fit(x, y, order)
    if rcond is None:
        rcond = count * np.finfo(dtype_of(x.value)).eps
    lhs, rhs = np.vander(x, order), y
    if w is not None:
        w = _check_weights(w, count)
        lhs = lhs * w[:, None]
        rhs = rhs * w if ndim_of(rhs.value) == 1 else rhs * w[:, None]
    scale = np.sqrt(np.sum(lhs * lhs, axis=0))
    lhs = lhs / scale
    if full:
        c, resids, rank, s = np.linalg.lstsq(lhs, rhs, rcond)
        return np.transpose(np.transpose(c) / scale), resids, rank, s, rcond
    _, _, solution, rank = least_squares(lhs, rhs, rcond)
    shape = (order, *shape_of(y.value)[1:])
    c = np.transpose(np.transpose(np.reshape(handle_of(wrap(solution)), shape)) / scale)
    poor, category = "Polyfit may be poorly conditioned", np.exceptions.RankWarning
    warn_p(not_equal_p(rank, order), message=poor, category=category)
    if not cov:
        return c
    covariance = np.linalg.inv(np.dot(np.transpose(lhs), lhs)) / np.outer(scale, scale)
    factor: Any = 1
    if cov != "unscaled":
        if count <= order:
            raise ValueError(
                "the number of data points must exceed order to scale the covariance matrix"
            )
        factor = np.linalg.lstsq(lhs, rhs, rcond)[1] / (count - order)
    if ndim_of(y.value) == 1:
        return c, covariance * factor
    return c, covariance[:, :, None] * factor


def _check_fit(x: Handle, y: Handle, order: int) -> Any:
    """The number of points."""
    if order < 1:
        raise ValueError("expected deg >= 0")
    shape, ndim = shape_of(x.value), ndim_of(y.value)
    if len(shape) != 1:
        raise TypeError(f"expected 1D vector for x, got {describe(x)}")
    if shape[0] == 0:
        raise TypeError("expected non-empty vector for x")
    if ndim < 1 or ndim > 2:
        raise TypeError(f"expected 1D or 2D array for y, got {describe(y)}")
    if shape[0] != shape_of(y.value)[0]:
        raise TypeError(
            f"expected x and y to have same length, got x {describe(x)} and y {describe(y)}"
        )
    return shape[0]


def _check_weights(w: Any, count: Any) -> Handle:
    weights = handle_of(w) + 0.0
    if ndim_of(weights.value) != 1:
        raise TypeError(f"expected a 1-d array for weights, got {describe(weights)}")
    if shape_of(weights.value)[0] != count:
        raise TypeError(
            f"expected w and y to have the same length, got w {describe(weights)}, {count} points"
        )
    return weights
