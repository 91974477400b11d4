"""Ufuncs on traced arrays.

The table is complete, derivatives keep their digits over the whole range, kinks are as documented,
and the methods of ufuncs do what NumPy's do.
"""

import numpy
import pytest

import xnp as np
from xnp.autodiff.core import primitives
from xnp.autodiff.dispatch import UFUNCS, UNSUPPORTED
from xnp.autodiff.primitives.elementwise import Elementwise
from xnp.testing import check_grads

inf, nan = numpy.inf, numpy.nan
EPS = numpy.finfo(float).eps

ALL_UFUNCS = {
    f
    for space in (numpy, numpy.strings)
    for f in vars(space).values()
    if isinstance(f, numpy.ufunc)
}


def test_every_ufunc_has_a_rule_or_a_reason():
    missing = {f.__name__ for f in ALL_UFUNCS if f not in UFUNCS and f not in UNSUPPORTED}
    assert not missing
    assert not UFUNCS.keys() & UNSUPPORTED.keys()


def test_unsupported_ufunc_says_why():
    with pytest.raises(np.UnsupportedError, match=r"np.isnat does not work on traced arrays"):
        np.grad(lambda x: np.isnat(x) * 1.0)(1.0)


# --- precision

ONE = [p for p in primitives.values() if isinstance(p, Elementwise) and len(p.partials) == 1]
TWO = [p for p in primitives.values() if isinstance(p, Elementwise) and len(p.partials) == 2]
KINDS = [numpy.float16, numpy.float32, numpy.complex64]


def _arguments(dtype, count):
    """Arrays, scalars, and each of the two with a Python number beside it."""
    for shape in ((2,), ()):
        narrow = [numpy.full(shape, 0.5, dtype)[()] for _ in range(count)]
        yield narrow
        for i in range(count if count > 1 else 0):
            yield [0.7 if i == j else x for j, x in enumerate(narrow)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("primitive", ONE + TWO, ids=str)
def test_partials_compute_in_the_precision_of_the_arguments(primitive):
    for dtype in KINDS:
        for args in _arguments(dtype, len(primitive.partials)):
            try:
                ans = primitive.impl(*args)
            except TypeError:
                continue  # no complex loop
            for partial in filter(callable, primitive.partials):
                found = partial(ans, *args)
                narrow = isinstance(found, float) or found.dtype.itemsize <= dtype().itemsize
                assert narrow, f"{dtype.__name__}: {args} give {found!r}"


def _both_modes(f, *x):
    """The derivatives with respect to all arguments, by both modes, which must agree."""
    back = np.grad(f, tuple(range(len(x))))(*x)
    ahead = [
        np.jvp(f, x, tuple(1.0 if i == j else 0.0 for j in range(len(x))))[1] for i in range(len(x))
    ]
    numpy.testing.assert_allclose(ahead, back, rtol=8 * EPS)
    return back if len(x) > 1 else back[0]


# Functions at points where the obvious formula loses digits or overflows, with the derivative to
# 16 digits (computed with 50).
HARD_POINTS = [
    (np.tanh, 1e-9, 1.0),
    (np.tanh, 20.0, 1.6993417021166356e-17),
    (np.tanh, -300.0, 1.0601586212017243e-260),
    (np.tanh, 1000.0, 0.0),
    (np.expm1, -50.0, 1.9287498479639178e-22),
    (np.arcsin, 1 - 2.0**-50, 23726566.406062893),
    (np.arccos, 1 - 2.0**-50, -23726566.406062893),
    (np.arctan, 1e200, 0.0),
    (np.arctan, 1e100, 1e-200),
    (np.arcsinh, 1e200, 1e-200),
    (np.arccosh, 1e200, 1e-200),
    (np.arccosh, 1 + 2.0**-50, 23726566.406062883),
    (np.arctanh, 1 - 2.0**-50, 562949953421312.25),
    (np.log1p, -1 + 2.0**-40, 2.0**40),
    (np.sinc, 1e-8, -3.289868133696453e-08),
    (np.sinc, 3.0, -1 / 3),
]


@pytest.mark.parametrize(
    ("f", "x", "wanted"), HARD_POINTS, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_derivative_keeps_its_digits(f, x, wanted):
    numpy.testing.assert_allclose(_both_modes(f, x), wanted, rtol=16 * EPS)


def test_derivatives_of_two_arguments_keep_their_digits():
    close = {"rtol": 16 * EPS}
    check = numpy.testing.assert_allclose
    check(_both_modes(np.hypot, 3e200, 4e200), (0.6, 0.8), **close)
    check(_both_modes(np.hypot, 3e-200, 4e-200), (0.6, 0.8), **close)
    check(_both_modes(np.arctan2, 3e200, 4e200), (0.16e-200, -0.12e-200), **close)
    check(_both_modes(np.logaddexp, 0.0, -800.0), (1.0, 0.0), **close)
    check(_both_modes(np.logaddexp, 1000.0, 1030.0)[0], 9.357622968839299e-14, **close)
    check(_both_modes(np.logaddexp2, 0.0, -100.0)[1], 2.0**-100, rtol=1e-13)
    check(_both_modes(np.remainder, 1e16, 3.0)[1], -3333333333333333.0, **close)
    check(_both_modes(np.fmod, -7.5, 2.0), (1.0, 3.0), **close)
    check(_both_modes(np.remainder, -7.5, 2.0), (1.0, 4.0), **close)


def test_second_derivatives_without_cancellation():
    """y^2/h^3 and |z|'' by a formula that subtracts nothing."""
    d2 = np.grad(np.grad(np.hypot))(1.0, 1e-9)
    numpy.testing.assert_allclose(d2, 1e-18, rtol=16 * EPS)
    d2 = np.grad(np.grad(lambda x: np.abs(x + 1e-9j)))(1.0)
    numpy.testing.assert_allclose(d2, 1e-18, rtol=16 * EPS)
    d2 = np.grad(np.grad(np.tanh))(300.0)
    numpy.testing.assert_allclose(d2, -2 * 1.0601586212017243e-260, rtol=16 * EPS)


# c x near 0, where the derivatives of the factors of 1 - x^2 or 1 + z^2 would cancel
NEAR_ZERO = [
    (np.arcsin, 1.0),
    (np.arccos, -1.0),
    (np.arctan, -2.0),
    (np.arctanh, 2.0),
    (np.arcsinh, -1.0),
]


@pytest.mark.parametrize(("f", "c"), NEAR_ZERO, ids=lambda v: getattr(v, "__name__", str(v)))
@pytest.mark.parametrize("x", [1e-11, -3e-12 + 1e-12j])
def test_second_derivatives_near_zero(f, c, x):
    second = np.derivative(f, 2) if isinstance(x, float) else _holomorphic_second(f)
    numpy.testing.assert_allclose(second(x), c * x, rtol=16 * EPS)


def _holomorphic_second(f):
    return np.grad(np.grad(f, holomorphic=True), holomorphic=True)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_second_derivative_of_cbrt_is_its_limit():
    x = numpy.array([0.0, -0.0, inf, -inf])
    second = np.vmap(np.grad(np.grad(np.cbrt)))(x)
    numpy.testing.assert_array_equal(second, [-inf, inf, 0.0, 0.0])


def test_sinc_to_any_order():
    """Even derivatives at 0: (-1)^k pi^2k/(2k+1)."""
    f = np.sinc
    for k in range(1, 4):
        f = np.grad(np.grad(f))
        numpy.testing.assert_allclose(f(0.0), (-1) ** k * numpy.pi ** (2 * k) / (2 * k + 1))


@pytest.mark.parametrize("order", range(1, 7))
def test_sinc_series_and_recurrence_meet(order):
    f = np.sinc
    for _ in range(order):
        f = np.grad(f)
    seam = (order + 1) / numpy.pi
    below, above = f(seam - 1e-13), f(seam + 1e-13)
    numpy.testing.assert_allclose(below, above, rtol=1e-10, atol=1e-11 * numpy.pi**order)


# --- powers


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.0, 2.0, 3.0])
@pytest.mark.parametrize("x", [0.0, 1.5, -1.5])
def test_whole_powers_need_no_logarithm(x, exponent):
    if x == 0 and exponent < 0:
        return
    f = lambda x: x**exponent
    wanted = 1.0
    for order in range(4):
        got = f(x)
        numpy.testing.assert_allclose(
            got,
            wanted * x ** max(exponent - order, 0)
            if exponent >= 0
            else wanted * x ** (exponent - order),
        )
        wanted *= exponent - order
        f = np.grad(f)


def test_powers_of_arrays_at_zero():
    exponents = numpy.array([0.0, 0.5, 1.0, 2.0, 3.0])
    first = np.grad(lambda x: np.sum(x**exponents))
    assert first(0.0) == inf
    by_exponent = [np.grad(lambda x, p=p: np.sum(x**p))(numpy.zeros(1))[0] for p in exponents]
    assert by_exponent == [0.0, inf, 1.0, 0.0, 0.0]
    assert np.grad(lambda p: 0.0**p)(2.0) == 0.0
    assert np.grad(lambda p: 0.0**p)(numpy.float64(2.0)) == 0.0


def test_mixed_derivative_of_a_power_at_exponent_zero():
    """d2/dx dp x^p = x^(p-1) (1 + p log x), which is 1/x at p = 0."""
    mixed = np.grad(np.grad(lambda x, p: x**p, 0), 1)
    numpy.testing.assert_allclose(mixed(2.0, numpy.zeros(())), 0.5)
    numpy.testing.assert_allclose(mixed(numpy.float64(2.0), numpy.float64(0.0)), 0.5)


def test_negative_base_with_traced_exponent_is_nan():
    with numpy.errstate(invalid="ignore"):
        assert numpy.isnan(np.grad(lambda p: numpy.float64(-2.0) ** p)(numpy.float64(3.0)))


def test_square_is_one_operation():
    x = numpy.linspace(-2, 2, 5)
    for f in (lambda x: x**2, lambda x: x**2.0, lambda x: np.power(x, 2)):
        text = repr(np.vjp(f, x)[0])
        assert text == repr(x * x)
    numpy.testing.assert_array_equal(np.grad(lambda x: np.sum(x**2))(x), 2 * x)


# --- complex functions

HOLOMORPHIC = [
    np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sqrt, np.square,
    np.reciprocal, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh,
    np.tanh, np.arcsinh, np.arccosh, np.arctanh, np.sinc,
]  # fmt: skip
PLANE = numpy.array([0.3 + 0.4j, -0.6 + 0.2j, -0.2 - 0.9j, 0.7 - 0.3j, 2.1 + 1.3j, -1.7 - 2.2j])
# on the branch cuts, approached from either side by the sign of the zero
CUTS = {
    np.arcsin: [complex(2, 0.0), complex(2, -0.0), complex(-2, 0.0), complex(-2, -0.0)],
    np.arccos: [complex(2, 0.0), complex(2, -0.0), complex(-2, 0.0), complex(-2, -0.0)],
    np.arctanh: [complex(2, 0.0), complex(2, -0.0), complex(-2, 0.0), complex(-2, -0.0)],
    np.arccosh: [complex(-2, 0.0), complex(-2, -0.0), complex(0.2, 0.0), complex(0.2, -0.0)],
    np.arcsinh: [complex(0.0, 2), complex(-0.0, 2), complex(0.0, -2), complex(-0.0, -2)],
    np.arctan: [complex(0.0, 2), complex(-0.0, 2), complex(0.0, -2), complex(-0.0, -2)],
    np.sqrt: [complex(-2, 0.0), complex(-2, -0.0)],
    np.log: [complex(-2, 0.0), complex(-2, -0.0)],
}


@pytest.mark.parametrize("f", HOLOMORPHIC, ids=lambda f: f.__name__)
def test_holomorphic_derivative_in_both_directions(f):
    """Cauchy-Riemann: differences along the real and the imaginary axis give one number."""
    found = np.grad(lambda z: np.sum(f(z)), holomorphic=True)(PLANE)
    h = 1e-5
    for step in (h, h * 1j):
        wanted = (f(PLANE + step) - f(PLANE - step)) / (2 * step)
        numpy.testing.assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.parametrize("f", CUTS, ids=lambda f: f.__name__)
def test_holomorphic_derivative_on_branch_cuts(f):
    for z in CUTS[f]:
        along_real = abs(z.real) > 0
        h = 1e-6

        def moved(t, z=z, along_real=along_real):
            at = complex(z.real + t, z.imag) if along_real else complex(z.real, z.imag + t)
            return f(numpy.complex128(at))

        wanted = (moved(h) - moved(-h)) / (2 * h) / (1 if along_real else 1j)
        found = np.grad(f, holomorphic=True)(numpy.complex128(z))
        numpy.testing.assert_allclose(found, wanted, rtol=1e-8, err_msg=f"{f.__name__} at {z}")


def test_complex_tanh_far_out():
    for z in (800.0 + 1j, -800.0 + 1j):
        assert np.grad(np.tanh, holomorphic=True)(z) == 0
    found = np.grad(np.tan, holomorphic=True)(1.0 + 30.0j)
    numpy.testing.assert_allclose(found, 1 / numpy.cos(1.0 + 30.0j) ** 2, rtol=1e-13)


# --- kinks: the table in autodiff/primitives/math.py

KINKS = [
    (np.abs, (0.0,), (0.0,)),
    (np.fabs, (0.0,), (0.0,)),
    (np.hypot, (0.0, 0.0), (0.0, 0.0)),
    (np.hypot, (-inf, 1.0), (-1.0, 0.0)),
    (np.hypot, (2.0, inf), (0.0, 1.0)),
    (np.sqrt, (0.0,), (inf,)),
    (np.cbrt, (0.0,), (inf,)),
    (np.arcsin, (1.0,), (inf,)),
    (np.maximum, (2.0, 2.0), (0.5, 0.5)),
    (np.minimum, (2.0, 2.0), (0.5, 0.5)),
    (np.fmax, (2.0, 2.0), (0.5, 0.5)),
    (np.maximum, (2.0, nan), (1.0, 1.0)),
    (np.fmin, (2.0, nan), (1.0, 0.0)),
    (np.fmax, (nan, 2.0), (0.0, 1.0)),
    (np.clip, (1.0, 1.0, 3.0), (0.5, 0.5, 0.0)),
    (np.sign, (0.0,), (0.0,)),
    (np.floor, (1.0,), (0.0,)),
    (np.remainder, (6.0, 2.0), (1.0, -3.0)),
    (np.fmod, (6.0, 2.0), (1.0, -3.0)),
    (np.arctan2, (0.0, 0.0), (nan, nan)),
    (np.logaddexp, (-inf, -inf), (0.5, 0.5)),
    (np.logaddexp, (-inf, 1.0), (0.0, 1.0)),
    (np.logaddexp, (inf, 1.0), (1.0, 0.0)),
    (np.copysign, (0.0, -1.0), (0.0, 0.0)),
    (np.copysign, (-2.0, 1.0), (-1.0, 0.0)),
    (np.heaviside, (0.0, 0.5), (0.0, 1.0)),
    (np.heaviside, (1.0, 0.5), (0.0, 0.0)),
    (np.nan_to_num, (nan,), (0.0,)),
    (np.nan_to_num, (inf,), (0.0,)),
]


@pytest.mark.parametrize(("f", "x", "wanted"), KINKS, ids=lambda v: getattr(v, "__name__", str(v)))
def test_kinks_are_as_documented(f, x, wanted):
    found = np.grad(f, tuple(range(len(x))))(*map(numpy.float64, x))
    numpy.testing.assert_array_equal(found, wanted)
    for i in range(len(x)):
        x_dot = tuple(1.0 if i == j else 0.0 for j in range(len(x)))
        numpy.testing.assert_array_equal(np.jvp(f, x, x_dot)[1], wanted[i])


def test_whole_parts_are_constant():
    part = lambda f, i: lambda x: f(x)[i] * 1.0
    for f, x, wanted in ((np.modf, 2.7, (1.0, 0.0)), (np.frexp, 5.0, (0.125, 0.0))):
        assert tuple(np.grad(part(f, i))(x) for i in (0, 1)) == wanted


def test_modulus_of_complex_zero():
    assert np.grad(np.abs)(0j) == 0
    assert np.grad(lambda z: np.abs(np.sign(z)) ** 2)(0j) == 0


def test_masked_branches_leak_no_nan():
    x = numpy.array([-1.0, 0.0, 4.0])
    with numpy.errstate(invalid="ignore", divide="ignore"):
        found = np.grad(lambda x: np.sum(np.maximum(np.sqrt(x), 0.0) * (x > 1)))(x)
        assert found[1:].tolist() == [0.0, 0.25]
        found = np.grad(lambda x: np.logaddexp(np.log(x), 0.0))(0.0)
        assert found == 0.0 or found == 1.0
    assert np.grad(lambda x: np.sqrt(x * x))(0.0) == 0.0


def test_nan_in_maximum_stays_nan():
    with numpy.errstate(invalid="ignore"):
        found = np.grad(lambda x: np.maximum(np.sqrt(x), 1.0))(-1.0)
    assert numpy.isnan(found)


@pytest.mark.parametrize("dtype", [numpy.float16, numpy.float32, numpy.float64])
@pytest.mark.parametrize("f", [np.sin, np.tanh, np.sqrt, np.log2, np.deg2rad, np.sinc, np.exp2])
def test_dtype_of_gradient(f, dtype):
    x = numpy.array([0.3, 0.7], dtype)
    assert np.grad(lambda x: np.sum(f(x)))(x).dtype == dtype
    assert np.grad(f)(dtype(0.5)).dtype == dtype


def test_integers_promote_as_in_numpy():
    n = numpy.arange(1, 4)
    f = lambda x: (np.sin(n + 0 * x.astype(int)), np.true_divide(n, 2), x)
    sines = np.vjp(lambda x: f(x)[0], numpy.ones(3))[0]
    assert sines.dtype == numpy.sin(n).dtype
    numpy.testing.assert_array_equal(sines, numpy.sin(n))


# --- methods

ASSOCIATIVE = [
    np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2,
    np.hypot,
]  # fmt: skip
# not power and arctan2, of which NumPy 2.4 gives the last element's on some processors
ORDERED = [np.subtract, np.divide, np.copysign, np.fmod]
rng = numpy.random.default_rng(0)
X = rng.uniform(0.5, 2.0, (4, 3, 2))


def _under_vjp(f, *x):
    """The value that f has on traced arrays."""
    return np.vjp(f, *x)[0]


def test_float_power_has_double_precision_at_least():
    wide = numpy.full(2, 3.0, numpy.longdouble)
    for x, y in ((wide, 2), (numpy.float32(3), wide), (wide, 1j), (numpy.float32(3), 2)):
        wanted = numpy.float_power(x, y)
        found = np.jit(np.float_power, dynamic_argnames="x2")(x, y)
        assert found.dtype == wanted.dtype
        numpy.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize("ufunc", ASSOCIATIVE + ORDERED, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_reduce_and_accumulate(ufunc, axis):
    for f in (
        lambda x: ufunc.reduce(x, axis=axis),
        lambda x: ufunc.reduce(x, axis=axis, keepdims=True),
        lambda x: ufunc.reduce(x, axis, initial=1.5),
        lambda x: ufunc.reduce(x, axis, initial=1.5, where=x > 1),
        lambda x: ufunc.accumulate(x, axis=axis),
        lambda x: ufunc.reduceat(x, [0, 1, 0], axis=axis),
        lambda x: ufunc.reduce(x[:0], axis=axis, initial=2.0) if axis == 0 else x,
    ):
        numpy.testing.assert_allclose(_under_vjp(f, X), f(X), rtol=1e-12)
        check_grads(f, (X,), order=1)


@pytest.mark.parametrize("ufunc", ASSOCIATIVE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [None, (0, 2), ()])
def test_reduce_over_several_axes(ufunc, axis):
    f = lambda x: ufunc.reduce(x, axis=axis)
    numpy.testing.assert_allclose(_under_vjp(f, X), f(X), rtol=1e-12)


def test_reduce_of_integers_and_bools():
    n = numpy.arange(1, 13).reshape(3, 4).astype("i2")
    for ufunc in (
        np.add, np.multiply, np.maximum, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.gcd,
        np.lcm, np.logical_and, np.logical_or, np.logical_xor, np.subtract, np.floor_divide,
        np.logaddexp, np.equal,
    ):  # fmt: skip
        for method in (ufunc.reduce, ufunc.accumulate):
            data = n > 3 if ufunc is np.equal else n

            def f(x, data=data, method=method):
                return x, method(data + x.astype(data.dtype), axis=1)

            wanted = method(data, axis=1)
            _, _, found = np.vjp(f, numpy.zeros(()), has_aux=True)
            assert found.dtype == wanted.dtype, ufunc
            numpy.testing.assert_allclose(found, wanted, rtol=1e-6)  # float32 among them


def test_reduce_errors_are_numpys():
    with pytest.raises(ValueError, match="not reorderable, so at most one axis"):
        _under_vjp(lambda x: np.subtract.reduce(x, axis=(0, 1)), X)
    with pytest.raises(ValueError, match="zero-size array to reduction operation fmax"):
        _under_vjp(lambda x: np.fmax.reduce(x[:0]), X)
    with pytest.raises(ValueError, match="one has to specify 'initial'"):
        _under_vjp(lambda x: np.fmax.reduce(x, where=x > 1), X)
    with pytest.raises(ValueError, match="only supported for binary functions"):
        _under_vjp(np.sin.reduce, X)
    with pytest.raises(TypeError, match="cannot accumulate on a scalar"):
        _under_vjp(np.add.accumulate, 1.0)
    with pytest.raises(IndexError, match=r"index 4 out-of-bounds in add.reduceat \[0, 4\)"):
        _under_vjp(lambda x: np.add.reduceat(x, [0, 4]), X)


def test_reduce_into_out():
    def f(x):
        out = np.zeros((3, 2))
        result = np.logaddexp.reduce(x, out=out)
        assert result is out
        return out

    numpy.testing.assert_allclose(_under_vjp(f, X), numpy.logaddexp.reduce(X))


def test_reduce_of_nothing_is_the_identity():
    for ufunc in (np.logaddexp, np.hypot, np.add, np.multiply):
        f = lambda x, ufunc=ufunc: ufunc.reduce(x[:0])
        numpy.testing.assert_array_equal(_under_vjp(f, X), f(X))


@pytest.mark.parametrize("ufunc", [np.subtract, np.multiply, np.hypot, np.maximum, np.divmod])
def test_outer(ufunc):
    x, y = X[:, 0], X[1, :, 0]
    found = np.vjp(lambda x: (x, ufunc.outer(x, y)), x, has_aux=True)[2]
    for ours, numpys in zip(numpy.asarray(found), numpy.asarray(ufunc.outer(x, y)), strict=True):
        numpy.testing.assert_array_equal(ours, numpys)


INDICES = [
    [0, 1, 0, 0, 2],
    numpy.array([[1, 1], [2, 0]]),
    slice(1, None),
    numpy.array([True, False, True, True]),
    ([0, 0, 3], [1, 1, 2]),
    (slice(None), [1, 1, 0]),
    (..., 0),
    -1,
]


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.maximum, np.power])
@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_at_counts_repeats(ufunc, index):
    a = X[:, :, 0]
    b = numpy.random.default_rng(1).uniform(0.5, 2.0, a[index].shape)

    def f(a, b):
        a = a + 0.0 * np.sum(b)
        ufunc.at(a, index, b)
        return a

    numpy.testing.assert_allclose(_under_vjp(f, a, b), f(a, b), rtol=1e-13)
    check_grads(f, (a, b), order=2)


def test_at_of_one_argument_and_of_a_view():
    def f(x):
        y = x * 1.0
        np.negative.at(y, [0, 0, 1])
        np.square.at(y[1:], [0, 0])
        return y

    x = numpy.array([1.0, 2.0, 3.0])
    assert _under_vjp(f, x).tolist() == [1.0, 16.0, 3.0]
    assert np.vjp(f, x)[1](numpy.ones(3))[0].tolist() == [1.0, 32.0, 1.0]


def test_at_into_a_plain_array_says_what_to_write():
    counts = numpy.zeros(3)
    with pytest.raises(np.MutationError, match="make the array with xnp"):
        np.grad(lambda x: np.add.at(counts, [0], x))(1.0)


def test_at_checks_the_cast():
    def f(x):
        counts = np.zeros(3, int)
        np.add.at(counts, [0, 1], x)
        return counts

    with pytest.raises(TypeError, match="Cannot cast ufunc 'add' output from float64 to int64"):
        np.vjp(f, 1.0)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply])
def test_at_under_vmap(ufunc):
    def f(a, b):
        a = a + 0.0
        ufunc.at(a, [0, 1, 0], b)
        return a

    a, b = X[:, :, 0], X[:, :, 1]
    wanted = numpy.stack([f(x, y) for x, y in zip(a, b, strict=True)])
    numpy.testing.assert_allclose(np.vmap(f)(a, b), wanted, rtol=1e-14)


def test_keywords_of_a_ufunc_call():
    x = X[:, :, 0]
    for f in (
        lambda x: np.add(x, 1.0, dtype=np.float32),
        lambda x: np.multiply(x, x, out=np.zeros((4, 3)), where=x > 1),
        lambda x: np.hypot(x, 1.0, out=np.zeros((4, 3))),
        lambda x: np.clip(x, 0.7, 1.2, out=np.zeros((4, 3))),
        lambda x: np.round(x, 1, out=np.zeros((4, 3))),
    ):
        found, wanted = _under_vjp(f, x), f(x)
        assert found.dtype == wanted.dtype
        numpy.testing.assert_array_equal(found, wanted)


def test_clip_wants_both_bounds_or_none():
    with pytest.raises(TypeError, match="a_max=None"):
        np.grad(lambda x: np.clip(x, 0.0))(1.0)
    with pytest.raises(ValueError, match="forbidden"):
        np.grad(lambda x: np.clip(x, 0.0, 1.0, min=0.0))(1.0)


def test_signed_infinity_of_complex_numbers():
    with pytest.raises(TypeError, match=r"write np.isposinf\(x.real\)"):
        _under_vjp(lambda z: np.isposinf(z) * 1.0, 1j)


def test_real_and_imag_write_through():
    def f(z):
        z = z * 1.0
        np.real(z)[0] = 5.0
        np.imag(z)[1] *= 2.0
        return z

    found = _under_vjp(f, numpy.array([1 + 2j, 3 + 4j]))
    assert found.tolist() == [5 + 2j, 3 + 8j]


@pytest.mark.parametrize("ufunc", [np.multiply, np.maximum, np.subtract, np.power, np.logaddexp])
def test_at_counts_repeats_of_indices_that_are_traced(ufunc):
    def f(a, i, b):
        out = np.array(a)
        ufunc.at(out, i, b)
        return out

    step = np.jit(f)
    for n, count in [(5, 7), (3, 4), (6, 1), (4, 0), (70, 200)]:
        a, b = rng.uniform(0.5, 2.0, n), rng.uniform(0.5, 1.5, count)
        i = rng.integers(-n, n, count)
        numpy.testing.assert_allclose(step(a, i, b), f(a, i, b), rtol=1e-13)
        numpy.testing.assert_allclose(step(a, i, 1.5), f(a, i, 1.5), rtol=1e-13)
    a, b, i = rng.uniform(0.5, 2.0, 5), rng.uniform(0.5, 1.5, (3, 4)), rng.integers(0, 5, (3, 4))
    lanes = numpy.stack([f(a, *pair) for pair in zip(i, b, strict=True)])
    numpy.testing.assert_allclose(np.vmap(f, (None, 0, 0))(a, i, b), lanes, rtol=1e-13)
    numpy.testing.assert_allclose(np.jit(np.vmap(f, (None, 0, 0)))(a, i, b), lanes, rtol=1e-13)

    def loss(a, b, i):
        return np.sum(np.sin(f(a, i, b)))

    wanted = np.grad(loss, (0, 1))(a, b[0], i[0])
    for found in (np.jit(np.grad(loss, (0, 1))), np.grad(np.jit(loss), (0, 1))):
        for x, y in zip(found(a, b[0], i[0]), wanted, strict=True):
            numpy.testing.assert_allclose(x, y, rtol=1e-12)


def test_at_of_traced_indices_in_several_dimensions():
    def f(a, i, j):
        np.maximum.at(a, (i, j), 2.5)
        np.negative.at(a[1:], (slice(None), j))
        return a

    a, i, j = X[:, :, 0], numpy.array([[0, 1], [1, -1]]), numpy.array([2, 2])
    numpy.testing.assert_array_equal(np.jit(f)(a.copy(), i, j), f(a.copy(), i, j))
    bad = a.copy()
    with pytest.raises(IndexError, match="index 7 is out of bounds"):
        np.jit(f)(bad, numpy.array([0, 7]), j)
    numpy.testing.assert_array_equal(bad, a)
