"""Inverse trigonometric functions."""

from __future__ import annotations

from .math_numbers import Number, fast_two_sum, fma, parts, polynomial, two_sum

_HALF_PI = parts(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
_QUARTER_PI = parts(0.7853981633974483, 3.061616997868383e-17, -7.486924524295849e-34)
_PI = parts(3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33)
_TAN_EIGHTH = 0.4142135623730951  # tan(pi/8)

# (asin(s) - s)/s^3 as a polynomial in s^2 for s <= 1/2: 2^-60, 2^-32
_ARCSIN = [
    0.16666666666666763, 0.07499999999970093, 0.04464285717529243, 0.030381942674952995,
    0.022372215914944805, 0.017351595347504738, 0.013981020212704249, 0.011397280628393115,
    0.010789383806760342, 0.0036719722823546855, 0.021791113608825557, -0.021117316316984564,
    0.032702501464835436,
]  # fmt: skip
_ARCSIN_NARROW = [
    0.16666659852894933, 0.075005121722409, 0.044515461137733844, 0.03181990960363873,
    0.014393451753923057, 0.03757865942011395,
]  # fmt: skip
# (atan(t) - t)/t^3 as a polynomial in t^2 for t <= tan(pi/8): 2^-59, 2^-30
_ARCTAN = [
    -0.33333333333333204, 0.19999999999955423, -0.14285714280343906, 0.1111111078963299,
    -0.0909089791112275, 0.07692062620499944, -0.06663128484335626, 0.05848049680371724,
    -0.05039960972045623, 0.03807978092716163, -0.017922483010795465,
]  # fmt: skip
_ARCTAN_NARROW = [
    -0.3333331541214548, 0.1999848347830742, -0.1424373071612862, 0.10595088608666986,
    -0.06081041316345494,
]  # fmt: skip


def _half_angle(x: Number) -> tuple[Number, Number, Number]:
    """Whether |x| <= 1/2, and asin of what is within as a sum: of |x|, beyond 1/2 of
    sqrt((1 - |x|)/2), because asin(x) = pi/2 - 2 asin(sqrt((1 - x)/2)).
    """
    size = abs(x)
    small = size <= 0.5
    z = small(x * x, fma(size, -0.5, 0.5))
    s = small(size, z.sqrt())
    return small, s, s * z * polynomial(z, _ARCSIN, _ARCSIN_NARROW)


def arcsin(x: Number) -> Number:
    small, s, rest = _half_angle(x)
    half_pi, half_pi_low, _ = _HALF_PI[x.element]
    high, low = fast_two_sum(x.like(half_pi), s * -2.0)
    large = high + (low + fma(rest, -2.0, half_pi_low))
    return small(s + rest, large).sign_of(x)


def arccos(x: Number) -> Number:
    small, s, rest = _half_angle(x)
    (half_pi, half_pi_low, _), (pi, pi_low, _) = _HALF_PI[x.element], _PI[x.element]
    middle = half_pi - (s.sign_of(x) + (rest.sign_of(x) - half_pi_low))
    double = (s + s) + (rest + rest)
    return small(middle, (x < 0.0)(pi - (double - pi_low), double))


def _octant(a: Number, b: Number) -> tuple[Number, Number]:
    """atan(a/b) for 0 <= a <= b, b > 0, as a sum. Beyond tan(pi/8) it is pi/4 plus the atan of
    (a - b)/(a + b), of which what rounding loses is added.
    """
    turned = a > b * _TAN_EIGHTH
    less, less_low = two_sum(a, -b)
    more, more_low = two_sum(b, a)
    top, bottom = turned(less, a), turned(more, b)
    t = top / bottom
    z = t * t
    rest = t * z * polynomial(z, _ARCTAN, _ARCTAN_NARROW)
    quarter_pi, quarter_pi_low, _ = _QUARTER_PI[a.element]
    lost = (fma(-t, bottom, top) + (less_low - t * more_low)) / bottom
    rest = rest + turned(lost + quarter_pi_low, 0.0)
    high, low = fast_two_sum(turned(a.like(quarter_pi), 0.0), t)
    return high, low + rest


def _turn(start: Number, start_low: Number, back: Number, high: Number, low: Number) -> Number:
    """``start`` plus the angle, minus it where ``back``."""
    total, lost = fast_two_sum(start, back(-high, high))
    return total + (lost + (back(-low, low) + start_low))


def arctan(x: Number) -> Number:
    size = abs(x)
    steep = size > 1.0
    high, low = _octant(steep(1.0, size), steep(size, 1.0))
    half_pi, half_pi_low, _ = _HALF_PI[x.element]
    ans = _turn(steep(x.like(half_pi), 0.0), steep(x.like(half_pi_low), 0.0), steep, high, low)
    return ans.sign_of(x)


def _scaled(y: Number, x: Number) -> tuple[Number, Number]:
    """Both multiplied by a power of 2 where they are very large or very small together."""
    greater = (x > y)(x, y)
    large, small, by = (1000, -900, 100) if x.element == "f64" else (120, -90, 30)
    factor = (greater > 2.0**large)(x.like(2.0**-by), 1.0)
    factor = (greater < 2.0**small)(2.0**by, factor)
    return y * factor, x * factor


def arctan2(y: Number, x: Number) -> Number:
    """The octant of (|x|, |y|), mirrored at the diagonal and at the axes."""
    y_size, x_size = abs(y), abs(x)
    nan = y_size.compare_unordered(x_size)
    y_size, x_size = _scaled(y_size, x_size)
    steep = y_size > x_size
    a, b = steep(x_size, y_size), steep(y_size, x_size)
    same = a.equals(b)  # also 0 and inf
    high, low = _octant(same(1.0, a), same(1.0, b))
    origin = b.equals(0.0)
    high, low = origin(0.0, high), origin(0.0, low)
    left = (x.bits() & x.format.sign).is_not(0)
    (half_pi, half_pi_low, _), (pi, pi_low, _) = _HALF_PI[x.element], _PI[x.element]
    start = steep(x.like(half_pi), left(x.like(pi), 0.0))
    start_low = steep(x.like(half_pi_low), left(x.like(pi_low), 0.0))
    ans = _turn(start, start_low, steep ^ left, high, low)
    return nan(x + y, ans.sign_of(y))
