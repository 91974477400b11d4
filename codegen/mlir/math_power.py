"""Powers and roots."""

from __future__ import annotations

from .math_exponential import power_of_2
from .math_logarithm import decompose
from .math_numbers import (
    INFINITY,
    NAN,
    SIGN,
    Number,
    at_least,
    at_most,
    fast_two_sum,
    fma,
    polynomial,
    power_of_two,
    two_product,
)

# 2/ln 2 and 2/(3 ln 2), the first coefficients of log2(m) in s = (m - 1)/(m + 1)
_FIRST, _FIRST_LOW = 2.8853900817779268, 4.0710547481862066e-17
_SECOND, _SECOND_LOW = 0.9617966939259756, 5.0577616648125907e-17
# the others as a polynomial in s^2: in the logarithm 2^-65
_OTHERS = [
    0.5770780163555905, 0.4121985831032352, 0.32059890049464623, 0.262307841066856,
    0.22197812348851123, 0.19138108183590263, 0.1893009823569809,
]  # fmt: skip
# all of them: 2^-43
_ALL_NARROW = [
    2.8853900817778486, 0.9617966941158762, 0.5770779415926364, 0.4122093337795279,
    0.3199022282961509, 0.2829514754778905,
]  # fmt: skip


def _log2(x: Number) -> tuple[Number, Number]:
    """log2 of a positive number as a sum, within 2^-65 of it."""
    m, k = decompose(x)
    f = m - 1.0
    d = m + 1.0
    inverse = 1.0 / d
    s = f * inverse
    z = s * s
    if x.e.narrow:
        return fma(s, polynomial(z, _ALL_NARROW), k), x.like(0.0)
    s_low = (fma(-s, d, f) - s * (m - (d - 1.0))) * inverse
    z_low = fma(s, s, -z) + (s + s) * s_low
    # T = first + z (second + z Q), L = s T, each as a sum
    q = z * polynomial(z, _OTHERS)
    p, p_low = fast_two_sum(x.like(_SECOND), q)
    u, u_low = two_product(z, p)
    u_low = u_low + fma(z, p_low + _SECOND_LOW, z_low * p)
    t, t_low = fast_two_sum(x.like(_FIRST), u)
    t_low = t_low + (u_low + _FIRST_LOW)
    log, log_low = two_product(s, t)
    log_low = log_low + fma(s, t_low, s_low * t)
    high, low = fast_two_sum(k, log)
    return high, low + log_low


def _magnitude(size: Number, y: Number) -> Number:
    """size^y = 2^(y log2(size)) for positive finite sizes."""
    log, log_low = _log2(size)
    # beyond 2^66 the power of any number but 1 is 0 or infinite
    y = at_least(at_most(y, 2.0**66), -(2.0**66))
    whole, low = two_product(y, log)
    low = fma(y, log_low, low)
    bound = 300.0 if y.e.narrow else 1080.0
    bounded = at_least(at_most(whole, bound), -bound)
    return power_of_2(bounded, bounded.equals(whole)(low, 0.0))


def power(x: Number, y: Number) -> Number:
    """x^y with the special cases of C."""
    size = abs(x)
    edge = size.equals(0.0) | size.equals(INFINITY)
    at_edge = (size.equals(0.0) ^ (y < 0.0))(x.like(0.0), INFINITY)
    ans = edge(at_edge, _magnitude(size, y))
    whole = y.truncated()
    is_integer = whole.equals(y)
    half = y * 0.5
    odd = is_integer & half.truncated().is_not(half)
    sign = x.bits() & odd(y.bits().like(SIGN), 0)
    ans = (ans.bits() | sign).float()
    no_root = (x < 0.0) & (x > -INFINITY) & y.is_not(whole)
    ans = (no_root | x.compare_unordered(y))(NAN, ans)
    return (y.equals(0.0) | x.equals(1.0))(1.0, ans)


# m^(-1/3) for m between 0.353 and 2.83, within 2^-8.3
_INVERSE_CUBE_ROOT = [
    2.0151774957544433, -2.386972209268741, 2.3064425260979844, -1.2358135619458899,
    0.33460011239789267, -0.03569503601887693,
]  # fmt: skip


def cbrt(x: Number) -> Number:
    """With x = 8^n m, 2^n m w^2 for w = m^(-1/3) within 2^-30, and a step of Newton."""
    size = abs(x)
    fraction, k = decompose(size)
    shifted = fma(k, 1.0 / 3.0, x.format.magic)
    third = shifted - x.format.magic
    over = fma(third, -3.0, k)  # -1, 0 or 1
    m = fraction * (over > 0.0)(x.like(2.0), (over < 0.0)(x.like(0.5), 1.0))
    w = polynomial(m, _INVERSE_CUBE_ROOT)
    h = 1.0 - m * w * w * w  # m^(-1/3) = w (1 - h)^(-1/3), of which four terms
    w = fma(w * h, fma(h, fma(h, 14.0 / 81.0, 2.0 / 9.0), 1.0 / 3.0), w)
    root = m * w * w
    square, square_low = two_product(root, root)
    rest = fma(square, root, -m) + square_low * root
    root = fma(rest * w * w, -1.0 / 3.0, root)
    ans = root * power_of_two(shifted.bits() + x.format.bias)
    ans = (size.equals(0.0) | ~(size < INFINITY))(size, ans)
    return ans.sign_of(x)


def hypot(x: Number, y: Number | float) -> Number:
    """sqrt(x^2 + y^2), scaled where the squares would leave the range; inf beside nan is inf."""
    x, y = abs(x), abs(x.like(y))
    infinite = x.equals(INFINITY) | y.equals(INFINITY)
    if x.e.narrow:
        return infinite(INFINITY, fma(x, x, y * y).sqrt())
    greater = (x > y)(x, y)
    lesser = (x > y)(y, x)
    large, small = greater > 2.0**500, greater < 2.0**-400
    down = large(x.like(2.0**-600), small(x.like(2.0**600), 1.0))
    up = large(x.like(2.0**600), small(x.like(2.0**-600), 1.0))
    a, b = greater * down, lesser * down
    aa, aa_low = two_product(a, a)
    bb, bb_low = two_product(b, b)
    total, low = fast_two_sum(aa, bb)
    root = total.sqrt()
    rest = (fma(-root, root, total) + (low + (aa_low + bb_low))) / (root + root)
    ans = (root + total.equals(0.0)(0.0, rest)) * up
    return infinite(INFINITY, (x.equals(0.0))(y, ans + x * 0.0))
