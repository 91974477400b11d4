"""Logarithms and the inverse hyperbolic functions.

x = 2^k m with m in [sqrt(1/2), sqrt(2)), and log(m) = log(1 + f) = 2 atanh(s) with s = f/(2 + f):
an odd series in s, |s| <= 0.1716, of which a minimax polynomial gives all but the first term. In
the order f - (f^2/2 - s (f^2/2 + R)) the rounding errors are those of small terms.
"""

from __future__ import annotations

from .math_exponential import exp, exp2
from .math_numbers import (
    INFINITY,
    NAN,
    Number,
    fast_two_sum,
    fma,
    parts,
    polynomial,
    power_of_two,
    two_product,
    two_sum,
)

LN2 = 0.6931471805599453
# ln 2 as a sum. The first has zeros at its end: k times it is exact
_LN2_SUM = {
    "f64": (6.93147180369123816490e-01, 1.90821492927058770002e-10),
    "f32": (0.693145751953125, 1.4286068203094172e-06),
}
_LOG2_E = parts(1.4426950408889634, 2.0355273740931033e-17, -1.0614659956117258e-33)
_LOG10_E = parts(0.4342944819032518, 1.098319650216765e-17, 3.717181233110959e-34)
_LOG10_2 = parts(0.3010299956639812, -2.8037281277851704e-18, 5.471948402314639e-35)

_ROOT_HALF = {"f64": 0x3FE6A09E667F3BCD, "f32": 0x3F3504F3}  # the bits of sqrt(1/2)

# (2 atanh(s) - 2 s)/s^3 as a polynomial in s^2: in the logarithm 2^-58 and 2^-29
_LOG = [
    0.6666666666666735, 0.3999999999940745, 0.2857142874414681, 0.22222198378033936,
    0.18183575187253945, 0.15313755177720018, 0.14799072445730785,
]  # fmt: skip
_LOG_NARROW = [0.6666677701998928, 0.3997745267349397, 0.29874355090870375]


def decompose(x: Number) -> tuple[Number, Number]:
    """The m and k of a positive finite x."""
    if x.spare:  # all f32 are normal numbers of f64
        return decompose_normal(x)
    tiny, up = x < x.format.least_normal, x.format.fraction_bits + 2
    m, k = decompose_normal(tiny(x * 2.0**up, x))
    return m, k - tiny(x.like(up), 0.0)


def decompose_normal(x: Number) -> tuple[Number, Number]:
    count, bias, *_ = x.format
    root_half = _ROOT_HALF[x.element]
    i = x.bits() + ((bias << count) - root_half)
    # or-ed to the bits of 2^52 (2^23), an integer is that much more
    k = ((i >> count) | ((bias + count) << count)).float() - (2.0**count + bias)
    return ((i & ((1 << count) - 1)) + root_half).float(), k


def _series(f: Number) -> tuple[Number, Number, Number]:
    """s, f^2/2 and R, where log(1 + f) = f - (f^2/2 - s (f^2/2 + R))."""
    s = f / (f + 2.0)
    z = s * s
    return s, f * f * 0.5, z * polynomial(z, _LOG, _LOG_NARROW)


def _log_sum(f: Number, k: Number, low: Number | None = None) -> Number:
    """The sum k ln 2 + log(1 + f), plus ``low``, a small correction."""
    s, half, r = _series(f)
    ln2, ln2_rest = _LN2_SUM[f.element]
    rest = fma(k, ln2_rest, s * (half + r))
    if low is not None:
        rest = rest + low
    return fma(k, ln2, f - (half - rest))


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
    """As k + log(m)/ln 2, exact for powers of 2."""
    m, k = decompose(x)
    high, low = _log_parts(m)
    log2_e, log2_e_low, _ = _LOG2_E[x.element]
    head = high * log2_e
    rest = fma(high, log2_e, -head) + fma(low, log2_e, high * log2_e_low)
    total, lost = fast_two_sum(k, head)
    return _at_edges(x, total + (lost + rest))


def log10(x: Number) -> Number:
    m, k = decompose(x)
    high, low = _log_parts(m)
    log10_e, log10_e_low, _ = _LOG10_E[x.element]
    log10_2, log10_2_low, _ = _LOG10_2[x.element]
    head = high * log10_e
    rest = fma(high, log10_e, -head) + fma(low, log10_e, high * log10_e_low)
    whole = k * log10_2
    rest = rest + fma(k, log10_2_low, fma(k, log10_2, -whole))
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
    scale = power_of_two((v.format.magic - k).bits() + v.format.bias)
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
    large = size > 2.0**60
    size_or_1 = large(1.0, size)
    square, square_low = two_product(size_or_1, size_or_1)
    total, total_low = two_sum(square, 1.0)
    root, root_low = _root(total, total_low + square_low)
    bottom, bottom_low = two_sum(root, 1.0)
    bottom_low = bottom_low + root_low
    inverse = 1.0 / bottom
    q = square * inverse
    q_low = (fma(-q, bottom, square) + (square_low - q * bottom_low)) * inverse
    v, v_low = two_sum(size_or_1, q)
    ans = _with_tail(size, large, v, v_low + q_low)
    return (size < INFINITY)(ans, size).sign_of(x)


def arccosh(x: Number) -> Number:
    """log(1 + v) with v = x - 1 + sqrt(x^2 - 1), v in twice the precision."""
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
    bottom, bottom_low = two_sum(-inside(size, 0.0), 1.0)
    top = size + size
    inverse = 1.0 / bottom
    q = top * inverse
    q_low = (fma(-q, bottom, top) - q * bottom_low) * inverse
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
    ans = greater + log_one_plus(exp2(-abs(gap))) * _LOG2_E[x.element][0]
    return x.equals(y)(x + 1.0, gap.is_nan()(gap, ans))
