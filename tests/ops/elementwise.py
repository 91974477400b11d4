"""Ufuncs and the other elementwise functions."""

import warnings

import numpy
from op_row import B, C, I, Op, R, U

import xnp as np


def _shapes(low, high):
    """Samples for a real function of one variable whose domain contains (low, high)."""
    return [
        (U(low, high, 3),),
        (U(low, high, 2, 3, seed=1),),
        (U(low, high),),
        (U(low, high, 0, 2),),
        (U(low, high, 4, dtype="f4"),),
        (float(U(low, high, seed=2)),),
        (U(low, high, 4, 3)[::2, ::-1].T,),
    ]


COMPLEX = [(C(3) * 0.7,), (C() * 0.7,), (C(2, dtype="c8"),)]
PAIRS = [
    (R(3), R(3, seed=1)),
    (R(2, 3), R(3, seed=1)),
    (R(2, 1), R(3)),
    (R(), R(3)),
    (R(), R(seed=1)),
    (R(0), R(1)),
    (R(3, dtype="f4"), R(3, seed=1, dtype="f4")),
    (R(3, dtype="f4"), 0.7),
    (0.7, R(3, dtype="f4")),
    (R(3), I(1, 5, 3)),
    (I(1, 5, 3), R(3)),
    (R(2, dtype="f4"), R(2, seed=1)),
]


def unary(ufunc, low, high, *, complex_too=False, more=(), **options):
    samples = _shapes(low, high) + (COMPLEX if complex_too else []) + list(more)
    return Op(ufunc.__name__, ufunc, samples, covers=(ufunc,), **options)


def binary(ufunc, samples=PAIRS, **options):
    return Op(ufunc.__name__, ufunc, samples, covers=(ufunc,), **options)


def positive(samples, *, first=True, second=True):
    """The same samples with positive numbers in place of real ones."""

    def lifted(x, wanted):
        inexact = numpy.asarray(x).dtype.kind == "f"
        return numpy.abs(x) + numpy.asarray(x).dtype.type(0.3) if wanted and inexact else x

    return [(lifted(x, first), lifted(y, second)) for x, y in samples]


INTEGERS = [(I(1, 40, 3),), (I(1, 40),), (I(1, 100, 2, dtype="i1"),), (I(0, 9, 3, dtype="u2"),)]
INTEGER_PAIRS = [
    (I(1, 40, 3), I(1, 9, 3, seed=1)),
    (I(1, 40, 2, 1), I(1, 9, 3, seed=1)),
    (I(1, 40, dtype="i1"), I(1, 9, 3, seed=1, dtype="i2")),
    (I(1, 40, 3), 3),
]

EXPONENTIALS = [
    unary(np.exp, -2, 2, complex_too=True, more=[(I(-3, 3, 2),)]),
    unary(np.exp2, -2, 2, complex_too=True),
    unary(np.expm1, -2, 2, complex_too=True),
    unary(np.log, 0.2, 3, complex_too=True),
    unary(np.log2, 0.2, 3, complex_too=True),
    unary(np.log10, 0.2, 3, complex_too=True),
    unary(np.log1p, -0.7, 2, complex_too=True),
    binary(np.logaddexp),
    binary(np.logaddexp2),
]

POWERS = [
    unary(np.square, -2, 2, complex_too=True, more=INTEGERS),
    unary(np.sqrt, 0.2, 3, complex_too=True, more=INTEGERS),
    unary(np.cbrt, 0.2, 3, more=[(U(-3, -0.2, 3),)]),
    unary(np.reciprocal, 0.3, 2, complex_too=True, more=[(U(-2, -0.3, 2),), (I(1, 3, 2),)]),
    binary(
        np.power,
        [
            *positive(PAIRS, second=False),
            (R(3), 3),
            (R(3), 3.0),
            (R(3), -2),
            (R(3), 2),
            (R(3), 1),
            (R(3), 0),
            (R(3), -1),
            (U(0.2, 2, 3), 0.5),
            (U(0.2, 2), 0.5),
            (R(3), I(0, 4, 3)),
            (R(3), I(0, 4, 3, dtype="u1")),
            (R(3, dtype="f4"), I(0, 4, 3, dtype="i1")),
            (C(3), 2),
            (C(3), C(3, seed=1) * 0.5),
            (C(2), R(2)),
            (U(0.2, 2, 2), C(2)),
            (C(2, dtype="c8"), 3),
            (2.0, R(3, dtype="f4")),
        ],
        rtol=256.0,  # rounding of log(x) is magnified by the exponent
    ),
    Op(
        "power_operator",
        lambda x: x**3 - 2.0**x + x**2 + x**-1 + (x * x) ** 0.5,
        [(U(0.3, 2, 3),), (U(0.3, 2),), (0.7,), (C(2),), (U(0.3, 2, 2, dtype="f4"),)],
        rtol=256.0,
        covers=(numpy.power,),
    ),
    binary(np.float_power, [*positive(PAIRS, second=False), (C(2), R(2))], rtol=256.0),
    binary(np.hypot),
]

ANGLES = [
    unary(np.sin, -3, 3, complex_too=True, more=[(I(-3, 3, 2),)]),
    unary(np.cos, -3, 3, complex_too=True),
    unary(np.tan, -1.2, 1.2, complex_too=True),
    unary(np.arcsin, -0.8, 0.8, complex_too=True),
    unary(np.arccos, -0.8, 0.8, complex_too=True),
    unary(np.arctan, -3, 3, complex_too=True),
    binary(np.arctan2, rtol=256.0),
    unary(np.deg2rad, -90, 90),
    unary(np.radians, -90, 90),
    unary(np.rad2deg, -3, 3),
    unary(np.degrees, -3, 3),
    unary(np.sinh, -2, 2, complex_too=True),
    unary(np.cosh, -2, 2, complex_too=True),
    unary(np.tanh, -2, 2, complex_too=True),
    unary(np.arcsinh, -2, 2, complex_too=True),
    unary(np.arccosh, 1.3, 3, complex_too=True),
    unary(np.arctanh, -0.8, 0.8, complex_too=True),
    unary(np.sinc, -3, 3, complex_too=True),
    Op(
        "angle",
        lambda z, deg: np.angle(z, deg=deg),
        [(C(3), False), (C(), True), (C(2, dtype="c8"), False), (R(3), False)],
        covers=(numpy.angle,),
    ),
    Op(
        "unwrap",
        np.unwrap,
        [(numpy.cumsum(U(0, 4, 6)) % 6.28,), (U(0, 20, 2, 5),), (U(0, 20, 5, dtype="f4"),)],
        covers=(numpy.unwrap,),
    ),
    Op(
        "unwrap_options",
        # NumPy asks only p whether it is traced
        lambda p, period: np.unwrap(p + 0 * period, 1.0, axis=0, period=period),
        [(U(0, 20, 5, 2), 3.3), (U(0, 20, 5), numpy.array(3.3))],
        covers=(numpy.unwrap,),
    ),
    Op("unwrap_integers", lambda p: np.unwrap(p, period=8), [(I(0, 30, 6),)]),
]

SIGNS = [
    binary(np.add, [*PAIRS, (C(2), R(2)), (B(3), B(3, seed=1)), (I(0, 9, 2), 0.5)]),
    binary(np.subtract, [*PAIRS, (C(2), R(2)), (I(0, 9, 2), I(0, 9, 2, seed=1))]),
    binary(np.multiply, [*PAIRS, (C(2), R(2)), (R(3, dtype="f2"), R(3, dtype="f2"))]),
    binary(np.divide, [*positive(PAIRS, first=False), (R(2), C(2)), (R(3, dtype="f4"), 3)]),
    unary(np.negative, -2, 2, complex_too=True, more=INTEGERS[:2]),
    unary(np.positive, -2, 2, complex_too=True),
    unary(np.absolute, 0.2, 2, complex_too=True, more=[(U(-2, -0.2, 2),), (I(-3, 3, 2),)]),
    unary(np.fabs, 0.2, 2, more=[(U(-2, -0.2, 2),)]),
    unary(np.conjugate, -2, 2, complex_too=True),
    unary(np.sign, 0.2, 2, complex_too=True, more=[(U(-2, -0.2, 2),), (I(-3, 3, 2),)]),
    unary(np.signbit, 0.2, 2, more=[(U(-2, -0.2, 2),)]),
    binary(np.copysign),
    binary(np.heaviside),
    binary(np.maximum, [*PAIRS, (C(3), C(3, seed=1)), *INTEGER_PAIRS]),
    binary(np.minimum, [*PAIRS, (C(3), C(3, seed=1)), *INTEGER_PAIRS]),
    binary(np.fmax, [*PAIRS, (numpy.array([1.0, numpy.nan, 2.0]), R(3))]),
    binary(np.fmin, [*PAIRS, (R(3), numpy.array([1.0, numpy.nan, 2.0]))]),
]

ROUNDED = U(0.1, 0.9, 3) + numpy.array([-2.0, 1.0, 3.0])
QUOTIENTS = [
    (numpy.array([7.3, -7.3, 2.1]), numpy.array([2.0, 2.0, -0.9])),
    (numpy.array([[7.3], [-7.3]]), numpy.array([2.0, 3.1])),
    (numpy.array(5.3), numpy.array(-1.7)),
    (numpy.array([7.3, 5.2], "f4"), 1.5),
    (7.3, numpy.array([2.0, 3.0], "f4")),
    (R(0), R(1)),
    (I(1, 40, 3), numpy.array([2.3, 3.3, 4.7])),
    *INTEGER_PAIRS,
]


def _fix(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from NumPy 2.5 on
        return np.fix(x)


ROUNDING = [
    *(
        Op(f.__name__, f, [(ROUNDED,), (ROUNDED[0],), (ROUNDED.astype("f4"),)], covers=(f,))
        for f in (np.floor, np.ceil, np.trunc, np.rint)
    ),
    Op("fix", _fix, [(ROUNDED,), (ROUNDED[0],), (ROUNDED.astype("f4"),)], covers=(np.fix,)),
    Op(
        "round",
        np.round,
        [(ROUNDED, 0), (ROUNDED, 1), (ROUNDED[1], 0), (C(2), 1)],
        diff=(0,),
        reason="decimals is a number of places",
        covers=(numpy.round, numpy.around),
    ),
    Op("round_integers", np.round, [(I(0, 90, 3), -1)]),
    binary(np.remainder, QUOTIENTS),
    binary(np.fmod, QUOTIENTS),
    binary(np.floor_divide, QUOTIENTS),
    binary(np.divmod, QUOTIENTS),
    unary(np.modf, 0.2, 0.8, more=[(ROUNDED,), (-ROUNDED,)]),
    unary(np.frexp, 0.55, 0.95, more=[(numpy.array([3.0, -100.7, 0.3]),)]),
    binary(
        np.ldexp,
        [(R(3), I(-3, 3, 3)), (R(2, 1), I(-3, 3, 3)), (R(3), 2), (R(3, dtype="f4"), I(-3, 3, 3))],
    ),
    binary(np.nextafter, [(R(3), R(3, seed=1)), (R(3, dtype="f4"), R(3, seed=1, dtype="f4"))]),
    unary(np.spacing, 0.55, 0.95),
    Op(
        "clip",
        np.clip,
        [
            (U(-2, 2, 4), -1.0, 1.0),
            (U(-2, 2, 2, 3), numpy.array([-0.5, -1.0, 0.0]), 1.3),
            (U(-2, 2, 4), None, numpy.array(0.5)),
            (U(-2, 2, 4), -0.5, None),
            (U(-2, 2, 4), None, None),
            (U(-2, 2, 4, dtype="f4"), -1.0, 1.0),
            (I(0, 100, 3, dtype="i1"), -300, 50),
            (U(-2, 2), -1, 1),
            (B(3), -1, numpy.float32(1.5)),
            (B(3), -1, numpy.int8(1)),
            (I(0, 9, 3, dtype="u1"), 2, numpy.float16(4.5)),
            (I(-9, 9, 3, dtype="i1"), numpy.uint8(1), 5.5),
        ],
        covers=(numpy.clip,),
    ),
    Op(
        "clip_zero",
        lambda x: np.copysign(1, np.clip(x, 0, 1)),
        [
            (numpy.array([-0.0, 0.0] * 5),),
            (numpy.array([-0.0, 0.0], "f4"),),
            (numpy.float64(-0.0),),
        ],
        diff=(),
        reason="a kink",
        covers=(numpy.clip,),
    ),
    Op(
        "clip_keywords",
        lambda x, low, high: np.clip(x, min=low, max=high),
        [(U(-2, 2, 4), -1.0, 1.0)],
        covers=(numpy.clip,),
    ),
    Op(
        "nan_to_num",
        np.nan_to_num,
        [
            (numpy.array([1.0, numpy.nan]),),
            (numpy.array([1.0 + 2j, complex(numpy.nan, 1)]),),
            (numpy.array([1.0, numpy.nan], "f4"),),
            (R(),),
            (I(0, 3, 2),),
        ],
        covers=(numpy.nan_to_num,),
    ),
    Op(
        "nan_to_num_values",
        lambda x, nan, high: np.nan_to_num(x, nan=nan, posinf=high, neginf=-1.0),
        [(numpy.array([1.0, numpy.nan, numpy.inf, -numpy.inf]), numpy.array(0.5), 2.5)],
        diff=(0,),
        vmap=(0,),
        reason="NumPy does not ask the other arguments whether they are traced",
        covers=(numpy.nan_to_num,),
    ),
]

TESTS = [
    *(
        binary(f, [*PAIRS, *INTEGER_PAIRS, (C(2), C(2, seed=1))])
        for f in (
            np.equal,
            np.not_equal,
            np.less,
            np.less_equal,
            np.greater,
            np.greater_equal,
            np.logical_and,
            np.logical_or,
            np.logical_xor,
        )
    ),
    *(
        unary(f, -2, 2, complex_too=True, more=INTEGERS)
        for f in (
            np.isfinite,
            np.isinf,
            np.isnan,
            np.logical_not,
        )
    ),
    *(
        binary(f, INTEGER_PAIRS)
        for f in (
            np.bitwise_and,
            np.bitwise_or,
            np.bitwise_xor,
            np.left_shift,
            np.right_shift,
            np.gcd,
            np.lcm,
        )
    ),
    Op("invert", np.invert, [*INTEGERS, (B(3),)], covers=(np.invert,)),
    Op("bitwise_count", np.bitwise_count, INTEGERS, covers=(np.bitwise_count,)),
    *(
        Op(f.__name__, f, [(R(3),), (C(3),), (I(0, 3, 2),), (C(),)], covers=(f,))
        for f in (
            np.isreal,
            np.iscomplex,
            np.isrealobj,
            np.iscomplexobj,
            np.real,
            np.imag,
            np.real_if_close,
        )
    ),
    *(
        Op(
            f.__name__,
            f,
            [(R(3),), (numpy.array([numpy.inf, 1.0, -numpy.inf]),), (R(),)],
            covers=(f,),
        )
        for f in (np.isposinf, np.isneginf)
    ),
    Op(
        "isclose",
        lambda x, y: np.isclose(x, y, rtol=0.5, equal_nan=True),
        [*PAIRS, (I(0, 9, 3), I(0, 9, 3)), (numpy.array([1.0, numpy.nan]), 1.0)],
        covers=(numpy.isclose,),
    ),
    Op(
        "comparisons_of_arrays",
        lambda x, y: [bool(f(x, y)) for f in (np.allclose, np.array_equal, np.array_equiv)],
        [(R(3), R(3)), (R(3), R(3, seed=1)), (R(2, 3), R(3)), (R(2), R(3)), (I(0, 9, 3), 4)][:3],
        vmap=False,
        reason="bool of what differs between examples",
        covers=(numpy.allclose, numpy.array_equal, numpy.array_equiv),
    ),
]

ROWS: list[Op] = [*EXPONENTIALS, *POWERS, *ANGLES, *SIGNS, *ROUNDING, *TESTS]
