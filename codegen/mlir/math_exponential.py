"""Exponentials: e^x, 2^x, and what is built from them.

All use x = k ln 2 + r with an integer k and |r| <= ln(2)/2, and e^r = 1 + r + r^2 P(r) with a
minimax polynomial P. k ln 2 is subtracted in two parts by fused multiply-adds; the first
difference is exact.
"""

from __future__ import annotations

from typing import NamedTuple

from .math_numbers import (
    Number,
    at_least,
    at_most,
    fma,
    parts,
    polynomial,
    power_of_two,
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
# (r coth(r) - 1) / r^2 as a polynomial in r^2 for |r| <= ln(2)/4: in r coth(r) 2^-60, 2^-28
_COTH = [
    0.33333333333333204, -0.02222222222161218, 0.0021164020228463852, -0.00021163394795601246,
    2.118725816824674e-05,
]  # fmt: skip
_COTH_NARROW = [0.33333251481211706, -0.022134026452567287]


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


class _Hyperbolic(NamedTuple):
    """What tanh and sech of a number share: e^-2|x| = 2^k (R - r)/(R + r) with |r| <= ln(2)/4 and
    R = r coth(r) = 1 + curve. Beside 1, 2^k is ``s``, which does not go below 2^-1000 (f32:
    2^-100). The denominator, R + r + s (R - r), is bottom + lost.
    """

    shifted: Number  # its last bits are k, with the bias
    bounded: Number  # those are of s
    s: Number
    r: Number
    curve: Number
    bottom: Number
    lost: Number

    @classmethod
    def of(cls, x: Number, most: tuple[float, float] = (375.0, 53.5)) -> _Hyperbolic:
        """``most``: from which size on nothing changes, for f64 and f32."""
        wide, magic = x.element == "f64", x.format.magic + x.format.bias
        size = at_most(abs(x), most[0] if wide else most[1])
        shifted = fma(size, -2.0 * LOG2_E, magic)
        k, (ln2, ln2_low, _) = shifted - magic, LN2[x.element]
        r = fma(k, 0.5 * ln2_low, fma(k, 0.5 * ln2, size))
        z = r * r
        curve = z * polynomial(z, _COTH, _COTH_NARROW)
        is_small = most[0] < 300.0
        bounded = shifted if is_small else at_least(shifted, magic - (1000.0 if wide else 100.0))
        s = power_of_two(bounded.bits())
        rest = fma(curve, 1.0 + s, r * (1.0 - s))
        bottom = (1.0 + s) + rest
        return cls(shifted, bounded, s, r, curve, bottom, rest - ((bottom - 1.0) - s))

    def tanh(self) -> Number:
        """(R (1 - s) + r (1 + s))/bottom. What bottom lost is taken off the numerator, times
        (1 - s)^2, which is near enough to the quotient. For large x both are the same number.
        """
        less = 1.0 - self.s
        first = less + self.r
        first_low = (less - first) + self.r
        near = fma(-self.lost, less, self.curve)
        return (first + fma(near, less, fma(self.r, self.s, first_low))) / self.bottom

    def sech_squared(self) -> Number:
        """2^k (R^2 - r^2) (2/bottom)^2. What bottom and its inverse lost is in one factor with
        R^2 - r^2.
        """
        inverse = 2.0 / self.bottom
        lost = fma(-inverse, self.lost, fma(-inverse, self.bottom, 2.0))
        factor = lost + fma(self.curve, self.curve + 2.0, -(self.r * self.r))
        ans = fma(inverse, factor, inverse) * inverse
        magic = inverse.format.magic + inverse.format.bias
        return ans * self.s * power_of_two(((self.shifted - self.bounded) + magic).bits())


def tanh(x: Number) -> Number:
    return _Hyperbolic.of(x, (22.0, 11.0)).tanh().sign_of(x)


def sech_squared(x: Number) -> Number:
    """The square of 1/cosh."""
    return _Hyperbolic.of(x).sech_squared()


def tanh_and_sech_squared(x: Number) -> tuple[Number, Number]:
    shared = _Hyperbolic.of(x)
    return shared.tanh().sign_of(x), shared.sech_squared()


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
