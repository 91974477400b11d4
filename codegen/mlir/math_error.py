"""The error function and its relatives, for scipy.special.

erfc(x) = e^(-x^2) G/(1 + 2 x) for x >= 0, where G varies between 1 and 1.3: a polynomial in
t = (x - K)/(x + K), which maps 0 ... inf to -1 ... 1. x^2, the numerator and the denominator are
sums of two numbers, so that only the last steps round.
"""

from __future__ import annotations

from .math_exponential import exp_parts, scale
from .math_numbers import (
    Number,
    at_most,
    fast_two_sum,
    fma,
    parts,
    polynomial,
    two_product,
    two_sum,
)

_ROOT_HALF = parts(0.7071067811865476, -4.833646656726457e-17, 2.0693376543497068e-33)

# K, and the coefficients of G for x <= 27.4 (f32: 10.4): 2^-56 and 2^-29
_K = {"f64": 4.0, "f32": 2.0}
_G = [
    1.2329951186255526, -0.13962111684056286, 0.01537965210262009, 0.068097054254734,
    -0.10103906603632054, 0.09373283499690108, -0.06633036581211055, 0.037167515560874394,
    -0.016197734053848455, 0.0050319697695241075, -0.0007577733675264869, -0.00019925557650135676,
    0.00015062231596331304, -2.4402953420653026e-05, -1.1224887947161138e-05,
    5.717471675626323e-06, 3.013729530612728e-07, -8.346924792920231e-07, 6.281415789542465e-08,
    1.150742981545271e-07, -7.831741888868089e-09, -1.361152434226984e-08, -1.7882329209662164e-09,
]  # fmt: skip
_G_NARROW = [
    1.2769783826957923, -0.09276382011150583, -0.16603052259863021, 0.1640510224812446,
    -0.054217827571050266, -0.008030722074957617, 0.00870920098036077, 0.0012522776793958592,
    -0.001421329461160244, -0.0004004643999566632, 0.0001700983778891654, 7.97098090710683e-05,
]  # fmt: skip
# erf(x)/x - 1 as a polynomial in x^2 for |x| <= 0.85: 2^-56 and 2^-32
_ERF = [
    0.12837916709551256, -0.37612638903183354, 0.11283791670933013, -0.02686617064032961,
    0.0052239775719344775, -0.0008548323540986871, 0.00012055191415268094,
    -1.4921942627466993e-05, 1.63993698225058e-06, -1.5698720304318168e-07,
    1.0680132742013477e-08,
]  # fmt: skip
_ERF_NARROW = [
    0.1283791669588551, -0.37612637027754264, 0.11283749623720589, -0.026862627060504338,
    0.005209682737709142, -0.0008248983800754442, 8.857791885860168e-05,
]  # fmt: skip


def _tail(
    x: Number, square: Number, square_low: Number, low: Number | None = None, halvings: int = 0
) -> Number:
    """erfc(x + low) 2^-halvings for x >= 0, given its square as a sum."""
    k_center = _K[x.element]
    first, *others = _G_NARROW if x.e.narrow else _G
    t = (x - k_center) / (x + k_center)
    g, g_low = fast_two_sum(x.like(first), t * polynomial(t, others))
    k, q = exp_parts(-square, -square_low)
    top, top_low = fast_two_sum(g, fma(g, q, g_low))
    bottom, bottom_low = two_sum(x + x, 1.0)
    if low is not None:
        bottom_low = fma(low, 2.0, bottom_low)
    inverse = 1.0 / bottom
    ans = top * inverse
    rest = fma(-ans, bottom, top) + (top_low - ans * bottom_low)
    return scale(fma(rest, inverse, ans), k - halvings if halvings else k)


def _bounded(x: Number) -> Number:
    """``|x|``, at most where erfc is 0; a nan passes."""
    return at_most(abs(x), 28.0 if x.element == "f64" else 11.0)


def _near_zero(x: Number, square: Number) -> Number:
    """erf(x) for |x| <= 0.85."""
    return fma(x, polynomial(square, _ERF, _ERF_NARROW), x)


def erf(x: Number) -> Number:
    size = _bounded(x)
    square, square_low = two_product(size, size)
    tail = 1.0 - _tail(size, square, square_low)
    return (size < 0.85)(_near_zero(size, square), tail).sign_of(x)


def erfc(x: Number) -> Number:
    size = _bounded(x)
    square, square_low = two_product(size, size)
    tail = _tail(size, square, square_low)
    ans = (x < 0.0)(2.0 - tail, tail)
    return (size < 0.45)(1.0 - _near_zero(x, square), ans)


def ndtr(x: Number) -> Number:
    """The normal distribution: erfc(-x/sqrt(2))/2, where x^2/2 is exact."""
    size = at_most(abs(x), 39.0 if x.element == "f64" else 15.0)
    square, low = two_product(size, size)
    root_half, root_half_low, _ = _ROOT_HALF[x.element]
    y, y_low = two_product(size, root_half)
    tail = _tail(y, square * 0.5, low * 0.5, fma(size, root_half_low, y_low), halvings=1)
    ans = (x > 0.0)(1.0 - tail, tail)
    return (size < 0.63)(fma(_near_zero(x * root_half, square * 0.5), 0.5, 0.5), ans)
