"""Logarithms and the inverse hyperbolic functions.

x = 2^k m with m in [sqrt(1/2), sqrt(2)), and log(m) = log(1 + f) = 2 atanh(s) with s = f/(2 + f):
an odd series in s, |s| <= 0.1716, of which a minimax polynomial gives all but the first term. In
the order f - (f^2/2 - s (f^2/2 + R)) the rounding errors are those of small terms.
"""

from __future__ import annotations

from .math_exponential import exp, exp2
from .math_numbers import (
    FRACTION,
    INFINITY,
    MAGIC,
    NAN,
    ONE,
    Number,
    fast_two_sum,
    fma,
    polynomial,
    power_of_two,
    two_product,
    two_sum,
)

LN2 = 0.6931471805599453
# LN2_HEAD has 21 zeros at its end: k LN2_HEAD is exact
LN2_HEAD, LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E, LOG2_E_LOW = 1.4426950408889634, 2.0355273740931033e-17
LOG10_E, LOG10_E_LOW = 0.4342944819032518, 1.098319650216765e-17
LOG10_2, LOG10_2_LOW = 0.3010299956639812, -2.8037281277851704e-18

ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
_BIASED_ZERO = 0x433 << 52  # the bits of 2^52, to whose last bits an integer can be or-ed

# (2 atanh(s) - 2 s)/s^3 as a polynomial in s^2: in the logarithm 2^-58 and 2^-29
_LOG = [
    0.6666666666666735, 0.3999999999940745, 0.2857142874414681, 0.22222198378033936,
    0.18183575187253945, 0.15313755177720018, 0.14799072445730785,
]  # fmt: skip
_LOG_NARROW = [0.6666677701998928, 0.3997745267349397, 0.29874355090870375]


def decompose(x: Number) -> tuple[Number, Number]:
    """m and k of a positive finite x."""
    if x.e.narrow:  # all f32 are normal numbers of f64
        return decompose_normal(x)
    tiny = x < 2.2250738585072014e-308
    m, k = decompose_normal(tiny(x * 2.0**54, x))
    return m, k - tiny(x.like(54.0), 0.0)


def decompose_normal(x: Number) -> tuple[Number, Number]:
    i = x.bits() + (ONE - ROOT_HALF)
    k = ((i >> 52) | _BIASED_ZERO).float() - (2.0**52 + 1023.0)
    return ((i & FRACTION) + ROOT_HALF).float(), k


def _series(f: Number) -> tuple[Number, Number, Number]:
    """s, f^2/2 and R, where log(1 + f) = f - (f^2/2 - s (f^2/2 + R))."""
    s = f / (f + 2.0)
    z = s * s
    return s, f * f * 0.5, z * polynomial(z, _LOG, _LOG_NARROW)


def _log_sum(f: Number, k: Number, low: Number | None = None) -> Number:
    """k ln 2 + log(1 + f), plus ``low``, a small correction."""
    s, half, r = _series(f)
    rest = fma(k, LN2_REST, s * (half + r))
    if low is not None:
        rest = rest + low
    return fma(k, LN2_HEAD, f - (half - rest))


def _at_edges(x: Number, ans: Number, pole: float = 0.0) -> Number:
    """``ans``, but -inf at ``pole``, nan below, inf at inf, nan at nan."""
    ans = (x < INFINITY)(ans, x)
    return (x > pole)(ans, x.equals(pole)(x.like(-INFINITY), NAN))


def log(x: Number) -> Number:
    m, k = decompose(x)
    return _at_edges(x, _log_sum(m - 1.0, k))


def _log_parts(m: Number) -> tuple[Number, Number]:
    """log(m) as a sum."""
    f = m - 1.0
    s, half, r = _series(f)
    high = f - half
    return high, ((f - high) - half) + s * (half + r)


def log2(x: Number) -> Number:
    """k + log(m)/ln 2, exact for powers of 2."""
    m, k = decompose(x)
    high, low = _log_parts(m)
    head = high * LOG2_E
    rest = fma(high, LOG2_E, -head) + fma(low, LOG2_E, high * LOG2_E_LOW)
    total, lost = fast_two_sum(k, head)
    return _at_edges(x, total + (lost + rest))


def log10(x: Number) -> Number:
    m, k = decompose(x)
    high, low = _log_parts(m)
    head = high * LOG10_E
    rest = fma(high, LOG10_E, -head) + fma(low, LOG10_E, high * LOG10_E_LOW)
    whole = k * LOG10_2
    rest = rest + fma(k, LOG10_2_LOW, fma(k, LOG10_2, -whole))
    total, lost = fast_two_sum(whole, head)
    return _at_edges(x, total + (lost + rest))


def log_one_plus(v: Number, v_low: Number | None = None) -> Number:
    """log(1 + v + v_low) for finite v > -1. What 1 + v loses to rounding is added to f, so that
    f = v where k = 0.
    """
    u, lost = two_sum(v, 1.0)
    if v_low is not None:
        lost = lost + v_low
    m, k = decompose_normal(u)
    scale = power_of_two((MAGIC - k).bits() + 1023)
    # from 2^60 on nothing is lost that matters
    lost = (u < 2.0**60)(lost * scale, 0.0)
    f, low = fast_two_sum(m - 1.0, lost)
    return _log_sum(f, k, fma(-f, low, low))


def log1p(x: Number) -> Number:
    return _at_edges(x, log_one_plus(x), -1.0).sign_of(x)


def _with_tail(x: Number, large: Number, v: Number, v_low: Number) -> Number:
    """log(1 + v + v_low), and where ``large`` log(2 x)."""
    ans = log_one_plus(large(x, v), large(0.0, v_low))
    return large(ans + LN2, ans)


def _root(high: Number, low: Number) -> tuple[Number, Number]:
    """The square root of a sum, as a sum."""
    root = high.sqrt()
    rest = (fma(-root, root, high) + low) / (root + root)
    return root, high.equals(0.0)(0.0, rest)


def arcsinh(x: Number) -> Number:
    """log(1 + v) with v = |x| + x^2/(1 + sqrt(1 + x^2)), v in twice the precision."""
    size = abs(x)
    if x.e.narrow:
        v = size + x * x / (fma(x, x, 1.0).sqrt() + 1.0)
        return (size < INFINITY)(log_one_plus(v), size).sign_of(x)
    large = size > 2.0**60
    size_or_1 = large(1.0, size)
    square, square_low = two_product(size_or_1, size_or_1)
    total, total_low = two_sum(square, 1.0)
    root, root_low = _root(total, total_low + square_low)
    bottom, bottom_low = two_sum(root, 1.0)
    bottom_low = bottom_low + root_low
    q = square / bottom
    q_low = (fma(-q, bottom, square) + (square_low - q * bottom_low)) / bottom
    v, v_low = two_sum(size_or_1, q)
    ans = _with_tail(size, large, v, v_low + q_low)
    return (size < INFINITY)(ans, size).sign_of(x)


def arccosh(x: Number) -> Number:
    """log(1 + v) with v = x - 1 + sqrt(x^2 - 1), v in twice the precision."""
    if x.e.narrow:
        t = x - 1.0
        ans = log_one_plus(t + (t * (t + 2.0)).sqrt())
        return (x < INFINITY)((x < 1.0)(NAN, ans), x)
    large = x > 2.0**60
    x_or_2 = large(2.0, x)
    t, t_low = two_sum(x_or_2, -1.0)
    square, square_low = two_product(x_or_2, x_or_2)
    less, less_low = two_sum(square, -1.0)
    high, low = fast_two_sum(less, less_low + square_low)
    root, root_low = _root(high, low)
    v, v_low = two_sum(t, root)
    ans = _with_tail(x, large, v, v_low + (t_low + root_low))
    return (x < INFINITY)((x < 1.0)(NAN, ans), x)


def arctanh(x: Number) -> Number:
    """log(1 + v)/2 with v = 2 |x|/(1 - |x|), v in twice the precision."""
    size = abs(x)
    inside = size < 1.0
    if x.e.narrow:
        ans = log_one_plus((size + size) / (1.0 - size)) * 0.5
        return inside(ans, size.equals(1.0)(size.like(INFINITY), NAN)).sign_of(x)
    bottom, bottom_low = two_sum(-inside(size, 0.0), 1.0)
    top = size + size
    q = top / bottom
    q_low = (fma(-q, bottom, top) - q * bottom_low) / bottom
    ans = log_one_plus(q, q_low) * 0.5
    return inside(ans, size.equals(1.0)(size.like(INFINITY), NAN)).sign_of(x)


def logaddexp(x: Number, y: Number) -> Number:
    """The greater plus log(1 + e^-|x - y|). Where the two cancel, as NumPy's, it is accurate beside
    the greater, not beside the result.
    """
    gap = x - y
    greater = (x > y)(x, y)
    ans = greater + log_one_plus(exp(-abs(gap)))
    return x.equals(y)(x + LN2, gap.is_nan()(gap, ans))


def logaddexp2(x: Number, y: Number) -> Number:
    gap = x - y
    greater = (x > y)(x, y)
    ans = greater + log_one_plus(exp2(-abs(gap))) * LOG2_E
    return x.equals(y)(x + 1.0, gap.is_nan()(gap, ans))
