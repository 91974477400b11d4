"""Exponentials: e^x, 2^x, and what is built from them.

All use x = k ln 2 + r with an integer k and |r| <= ln(2)/2, and e^r = 1 + r + r^2 P(r) with a
minimax polynomial P. k ln 2 is subtracted in two parts by fused multiply-adds; the first
difference is exact.
"""

from __future__ import annotations

from .math_numbers import (
    Number,
    at_least,
    at_most,
    fast_two_sum,
    fma,
    parts,
    polynomial,
    power_of_two,
    two_product,
    two_sum,
)

LOG2_E = 1.4426950408889634
LN2 = parts(0.6931471805599453, 2.3190468138462996e-17, 5.707708438416212e-34)

# (e^r - 1 - r) / r^2 for |r| <= 0.347: in e^r errors below 2^-56 and 2^-32
_EXP = [
    0.5000000000000001, 0.16666666666666674, 0.04166666666662382, 0.008333333333322044,
    0.001388888891737093, 0.0001984126988704372, 2.480152105197779e-05, 2.7557241868437393e-06,
    2.762020421652038e-07, 2.5110214094825917e-08,
]  # fmt: skip
_EXP_NARROW = [
    0.5000000013546682, 0.16666666757322215, 0.04166646413173086, 0.008333285762714556,
    0.0013933736324943248, 0.00019907739510195149,
]  # fmt: skip

# the same within 2^-57 relative to e^r - 1
_EXPM1 = [
    0.5, 0.1666666666666667, 0.041666666666666685, 0.008333333333326082, 0.0013888888888874294,
    0.0001984126987500567, 2.4801587347587177e-05, 2.7557255166245233e-06, 2.7557252673292366e-07,
    2.5105314116534945e-08, 2.092167017912071e-09,
]  # fmt: skip
# (sinh(x) - x) / x^3 as a polynomial in x^2 for |x| <= 1: 2^-63, 2^-34
_SINH = [
    0.16666666666666669, 0.008333333333333137, 0.0001984126984143937, 2.7557319154785033e-06,
    2.5052123489043367e-08, 1.6057233091989216e-10, 7.759537947781307e-13,
]  # fmt: skip
_SINH_NARROW = [
    0.16666666487306878, 0.008333350701176977, 0.00019836045476055435, 2.817563272566426e-06,
]  # fmt: skip
# (tanh(x) - x) / x^3 as a quotient of polynomials in x^2 for |x| <= 0.625: 2^-55, 2^-34
_TANH_TOP = [-1613.9423211213955, -99.25162809953557, -0.9643850439830097]
_TANH_BOTTOM = [4841.826963364187, 2234.4856696442644, 112.77258130262922, 1.0]
_TANH_TOP_NARROW = [-21.06654248830946, -0.9336471594399617]
_TANH_BOTTOM_NARROW = [63.19962746839534, 28.08079218011841, 1.0]


def _split(x: Number, low: Number | None = None) -> tuple[Number, Number, Number]:
    """The parts of x + low: k as an integer, k as a number, and r."""
    magic, (ln2, ln2_low, _) = x.format.magic, LN2[x.element]
    shifted = fma(x, LOG2_E, magic)
    k = shifted - magic
    first = fma(k, -ln2, x)
    r = fma(k, -ln2_low, first) if low is None else first + fma(k, -ln2_low, low)
    return shifted.bits(), k, r


def _exp_fraction(r: Number) -> Number:
    """The value of e^r."""
    return fma(r * r, polynomial(r, _EXP, _EXP_NARROW), r) + 1.0


def scale(p: Number, k: Number) -> Number:
    """``p 2^k``, rounded once, for any k within twice the range of exponents."""
    half, bias = k >> 1, p.format.bias
    return p * power_of_two(half + bias) * power_of_two(k - half + bias)


def _scale_small(p: Number, k: Number) -> Number:
    """``p 2^k`` where the result is a normal number. Of nan it makes anything."""
    return (p.bits() + (k << p.format.fraction_bits)).float()


def _bounded(x: Number, wide: tuple[float, float], single: tuple[float, float]) -> Number:
    """``x`` between the bounds of its format, the upper one first."""
    high, low = wide if x.element == "f64" else single
    return at_least(at_most(x, high), low)


def exp(x: Number) -> Number:
    """Beyond the bounds it overflows to inf or underflows to 0."""
    k, _, r = _split(_bounded(x, (710.0, -746.0), (89.0, -105.0)))
    return scale(_exp_fraction(r), k)


def exp_parts(x: Number, low: Number) -> tuple[Number, Number]:
    """Give k and e^r - 1 with e^(x + low) = 2^k e^r, for x <= 0."""
    k, _, r = _split(_bounded(x, (0.0, -746.0), (0.0, -105.0)), low)
    return k, fma(r * r, polynomial(r, _EXP, _EXP_NARROW), r)


def power_of_2(whole: Number, low: Number | None = None) -> Number:
    """2^(whole + low), for |whole| within the range of exponents and a little more. The fraction
    goes from base 2 to base e.
    """
    magic, (ln2, ln2_low, _) = whole.format.magic, LN2[whole.element]
    shifted = whole + magic
    r = whole - (shifted - magic)
    if low is not None:
        r = r + low
    to_power = _scale_small if whole.spare else scale
    return to_power(_exp_fraction(fma(r, ln2, r * ln2_low)), shifted.bits())


def exp2(x: Number) -> Number:
    """2^x, exact for integers."""
    return power_of_2(_bounded(x, (1025.0, -1077.0), (129.0, -152.0)))


def expm1(x: Number) -> Number:
    """With s = 2^(k-1): 2 (s (e^r - 1) + (s - 1/2)); k - 1, because 2^1024 is no number. What
    r loses to rounding is added to e^r - 1. Where k = 0 it is e^r - 1, exact for small x.
    """
    bounded = _bounded(x, (710.0, -60.0), (89.0, -30.0))
    k, number, r = _split(bounded)
    ln2, ln2_low, _ = LN2[x.element]
    lost = fma(number, -ln2_low, fma(number, -ln2, bounded) - r)
    q = r + fma(r * r, polynomial(r, _EXPM1, _EXP_NARROW), lost)
    s = power_of_two(k + (x.format.bias - 1))
    scaled = fma(s, q, s - 0.5)
    return number.equals(0.0)(q, scaled + scaled).sign_of(x)


def _half_exp(size: Number) -> Number:
    """e^size / 2, which overflows later than e^size."""
    k, _, r = _split(_bounded(size, (712.0, 0.0), (91.0, 0.0)))
    return scale(_exp_fraction(r), k - 1)


def cosh(x: Number) -> Number:
    """As h + 1/(4 h) with h = e^|x| / 2."""
    h = _half_exp(abs(x))
    return h + 0.25 / h


def sinh(x: Number) -> Number:
    """As h - 1/(4 h) with h = e^|x| / 2; an odd polynomial where |x| < 1."""
    size = abs(x)
    h = _half_exp(size)
    z = x * x
    small = fma(size * z, polynomial(z, _SINH, _SINH_NARROW), size)
    return (size < 1.0)(small, h - 0.25 / h).sign_of(x)


def tanh(x: Number) -> Number:
    """1 - 2/(e^2|x| + 1); x + x^3 P(x^2)/Q(x^2) where |x| < 0.625. One division serves both."""
    size = at_most(abs(x), 22.0)
    k, _, r = _split(size + size)
    grown = _scale_small(_exp_fraction(r), k) + 1.0
    z = size * size
    large = size >= 0.625  # not so for nan
    top = size * z * polynomial(z, _TANH_TOP, _TANH_TOP_NARROW)
    bottom = polynomial(z, _TANH_BOTTOM, _TANH_BOTTOM_NARROW)
    ans = large(1.0, size) + large(-2.0, top) / large(grown, bottom)
    return ans.sign_of(x)


def logistic(x: Number) -> Number:
    """c/(c + c e^-x), where c e^-x = s + s (e^r - 1) with a power of two s. c = 1, but smaller
    where the sum would overflow.
    """
    k, number, r = _split(_bounded(-x, (746.0, -45.0), (105.0, -25.0)))
    q = fma(r * r, polynomial(r, _EXP, _EXP_NARROW), r)
    large, less, bias = number > 64.0, 100 if x.element == "f64" else 30, x.format.bias
    c = large(x.like(2.0**-less), 1.0)
    s = power_of_two(k + large(k.like(bias - less), bias))
    total, lost = two_sum(s, c)
    return c / (total + fma(s, q, lost))


def sech_squared(x: Number) -> Number:
    """1/cosh^2 = 4 d/(1 + d)^2 with d = e^-2|x|; numerator and denominator are sums of two, so
    that only the last steps round.
    """
    size = abs(x)
    k, number, r = _split(_bounded(size * -2.0, (0.0, -750.0), (0.0, -107.0)))
    q = fma(r * r, polynomial(r, _EXP, _EXP_NARROW), r)
    # beside 1, what is below 2^-100 is nothing
    s = power_of_two((at_least(number, -100.0) + x.format.magic).bits() + x.format.bias)
    one, one_low = fast_two_sum(s.like(1.0), s)
    root, root_low = fast_two_sum(one, fma(s, q, one_low))
    bottom, bottom_low = two_product(root, root)
    bottom_low = fma(root + root, root_low, bottom_low)
    top, top_low = fast_two_sum(q.like(1.0), q)
    inverse = 1.0 / bottom
    ans = top * inverse
    rest = fma(-ans, bottom, top) + (top_low - ans * bottom_low)
    return scale(fma(rest, inverse, ans), k + 2)
