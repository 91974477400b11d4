"""The native code of elementwise primitives against NumPy's loops, in scalars and in vectors."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from kernels import Kernels, Spec, combinations, numbers, same_bits

import xnp
from xnp.autodiff.core import Aval, primitives
from xnp.codegen.mlir import convert
from xnp.codegen.mlir.elementwise import LOWER, supported
from xnp.codegen.mlir.elementwise_complex_math import COMPLEX_MATH
from xnp.codegen.mlir.loop import loop_types
from xnp.codegen.mlir.math_table import TRANSCENDENTAL

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ALL = "?bBhHiIqQefdFD"
SOME = "?bHiqQefdFD"  # where each dtype's code is the same in several widths
_ARGUMENTS = {"select": 3, "strong_multiply": 2, "share": 2, "join_parts": 2, "ldexp": 2}
_ARGUMENTS |= {"cosine": 2}
# What the code of rules and of slopes computes is not bit for bit what NumPy's several steps give.
_ROUNDED = {*TRANSCENDENTAL, "power", "weaken", "convert", "quantize"} - {
    "fmod", "remainder", "floor_divide", "copysign", "nextafter", "spacing", "heaviside", "radians",
    "deg2rad", "rad2deg", "degrees",
}  # fmt: skip
EXACT = sorted(name for name in LOWER if name in primitives and name not in _ROUNDED)
# Of signed zeros NumPy's fmax takes one or the other, as the array's length has it.
_BY_SIZE = {"absolute", "sign", "complex_sign"}
_ANY_ZERO = {"fmax", "fmin", "strong_multiply"}


def _arguments(name):
    impl = primitives[name].impl
    return impl.nin if isinstance(impl, np.ufunc) else _ARGUMENTS.get(name, 1)


def _dtypes(name, char):
    dtypes = [np.dtype(char)] * _arguments(name)
    if name == "select":
        dtypes[0] = np.dtype(bool)
    if name == "ldexp":
        dtypes[1] = np.dtype(np.int32)
    return tuple(dtypes)


def _specs(name, chars, params):
    return [
        Spec(name, dtypes, lanes, params)
        for char in chars
        if supported(name, dtypes := _dtypes(name, char), params)
        for lanes in (1, 8)
    ]


def _reference(spec, arrays):
    want = primitives[spec.name].impl(*arrays, **spec.params)
    return np.asarray(want[0] if isinstance(want, tuple) else want)


@pytest.mark.parametrize("name", EXACT)
def test_bits_are_those_of_numpy(name):
    chars = SOME if _arguments(name) == 2 else ALL
    specs = _specs(name, chars, {"decimals": 2} if name == "round" else {})
    assert specs
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        arrays = combinations(spec.dtypes)
        got, want = kernels(k, *arrays), _reference(spec, arrays)
        good = same_bits(got, want)
        if name in _ANY_ZERO:
            good |= (got == want) & (got == 0)
        if name in _BY_SIZE and spec.dtypes[0].kind == "c":  # whose hypot is our own
            good |= np.abs(got - want) <= 2 * np.spacing(np.abs(want))
        bad = np.flatnonzero(~good)[:4]
        assert not len(bad), (spec, [a[bad] for a in arrays], got[bad], want[bad])


@pytest.mark.parametrize(
    "name",
    sorted(n for n in TRANSCENDENTAL if n in _ROUNDED and n != "sinc" and "." not in n),
)
def test_elementary_functions_of_halves_and_integers(name):
    """`math_table` itself is tested with f32 and f64; here the conversions around it."""
    specs = _specs(name, "eq", {})
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        arrays = [np.clip(a, -100, 100) for a in combinations(spec.dtypes)]
        got = kernels(k, *arrays)
        (dtypes, _) = loop_types(name, tuple(Aval((), d) for d in spec.dtypes))
        with np.errstate(all="ignore"):
            exact = [a.astype(float) for a in arrays]
            want = _reference(spec, exact).astype(got.dtype)
            good = np.abs(got - want) <= 2 * np.spacing(np.abs(want))
        good |= same_bits(got, want)
        assert dtypes[0].kind == "f"
        bad = np.flatnonzero(~good)[:4]
        assert not len(bad), (spec, [a[bad] for a in arrays], got[bad], want[bad])


@pytest.mark.parametrize("name", sorted(set(COMPLEX_MATH) - {"power", "sinc"} - set(EXACT)))
def test_complex_functions(name):
    """NumPy's numbers to the bit, but where it composes real functions; at all infinities too."""
    specs = _specs(name, "FD", {})
    kernels = Kernels(specs)
    parts = np.array([0.0, -0.0, 1, -1, 0.5, np.inf, -np.inf, np.nan, 3e38, 1e-40, 2])
    for k, spec in enumerate(specs):
        z = np.empty(len(parts) ** 2, spec.dtypes[0])
        z.real, z.imag = np.repeat(parts, len(parts)), np.tile(parts, len(parts))
        z = np.concatenate([z, numbers(spec.dtypes[0])])
        got, want = kernels(k, z), _reference(spec, [z])
        good = same_bits(got, want)
        if name in ("expm1", "log1p"):
            with np.errstate(all="ignore"):
                good |= np.abs(got - want) <= 4 * np.finfo(z.dtype).eps * np.abs(want)
        bad = np.flatnonzero(~good)[:4]
        assert not len(bad), (spec, z[bad], got[bad], want[bad])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, -1, -2, 99, -99, 100, 0.5, 1j, 2 + 1j])
def test_complex_numbers_to_a_literal_power(exponent):
    specs = [Spec("power", (np.dtype(c),) * 2, 4, literals=(exponent,)) for c in "FD"]
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        z = numbers(spec.dtypes[0])
        want = np.power(z, np.full(z.shape, exponent, z.dtype))
        bad = np.flatnonzero(~same_bits(kernels(k, z), want))[:4]
        assert not len(bad), (spec, z[bad], kernels(k, z)[bad], want[bad])


@pytest.mark.parametrize("source", ALL)
def test_conversions(source):
    dtypes = [np.dtype(c) for c in ALL]
    specs = [
        Spec("convert" if d.kind in "fc" else "quantize", (np.dtype(source),), lanes, {"dtype": d})
        for d in dtypes
        for lanes in (1, 8)
    ]
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        x = numbers(spec.dtypes[0], count=900)
        if spec.params["dtype"] == np.uint32 and x.dtype.kind in "fc":
            x = x[(x.real >= -(2.0**31)) & (x.real < 2.0**32)]  # NumPy's own vary with the length
        got, want = kernels(k, x), _reference(spec, [x])
        bad = np.flatnonzero(~same_bits(got, want))[:4]
        assert not len(bad), (spec, x[bad], got[bad], want[bad])


@pytest.mark.parametrize("name", ["add", "divide", "less", "equal", "select", "left_shift"])
def test_mixed_dtypes_go_the_way_of_numpys_loop(name):
    specs = []
    for k, first in enumerate("?BqQefF"):
        for j, second in enumerate("bIqQdD"):
            dtypes = (np.dtype(first), np.dtype(second))
            if name == "select":
                dtypes = (np.dtype(ALL[k + j]), *dtypes)
            if supported(name, dtypes):
                specs.append(Spec(name, dtypes, 8))
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        arrays = combinations(spec.dtypes)
        got, want = kernels(k, *arrays), _reference(spec, arrays)
        bad = np.flatnonzero(~same_bits(got, want))[:4]
        assert not len(bad), (spec, [a[bad] for a in arrays], got[bad], want[bad])


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, 64, 65, 200])
def test_integers_to_a_literal_power(exponent):
    specs = [
        Spec("power", (np.dtype(c), np.dtype(c)), lanes, literals=(exponent,))
        for c in "BqI"
        for lanes in (1, 4)
    ]
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        x = numbers(spec.dtypes[0])
        np.testing.assert_array_equal(kernels(k, x), x ** x.dtype.type(exponent))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 7, 13, 16, 17, -1, -2, 0.5, 1.5, np.inf])
def test_floats_to_a_literal_power(exponent):
    specs = [
        Spec("power", (np.dtype(c),) * 2, lanes, literals=(float(exponent),))
        for c in "efd"
        for lanes in (1, 8)
    ]
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        x = np.concatenate(
            [numbers(spec.dtypes[0]), np.linspace(0.5, 3, 99).astype(spec.dtypes[0])]
        )
        got, want = kernels(k, x), np.power(x, x.dtype.type(exponent))
        with np.errstate(all="ignore"):
            good = same_bits(got, want) | (np.abs(got - want) <= np.spacing(np.abs(want)))
        bad = np.flatnonzero(~good)[:4]
        assert not len(bad), (spec, x[bad], got[bad], want[bad])


def test_what_numpy_refuses_has_no_code():
    i8, f8 = np.dtype(np.int64), np.dtype(np.float64)
    assert not supported("power", [i8, i8])
    assert not supported("power", [i8, i8], literals=[None, -1])
    assert supported("power", [i8, i8], literals=[None, 3])
    assert not supported("bitwise_and", [f8, f8])
    assert not supported("subtract", [np.dtype(bool)] * 2)
    assert not supported("add", [np.dtype(object), f8])
    assert not supported("add", [np.dtype(np.longdouble), f8])
    assert not supported("add", [np.dtype(">f8"), f8])


@pytest.mark.parametrize("decimals", [-3, -1, 0, 1, 5, 12, 25])
def test_rounding_to_decimals(decimals):
    specs = _specs("round", "Bqefd", {"decimals": decimals})
    kernels = Kernels(specs)
    for k, spec in enumerate(specs):
        (x,) = combinations(spec.dtypes)
        got, want = kernels(k, x), _reference(spec, [x])
        bad = np.flatnonzero(~same_bits(got, want))[:4]
        assert not len(bad), (spec, x[bad], got[bad], want[bad])


_SEARCHED = ["add", "divide", "floor_divide", "remainder", "maximum", "less", "ldexp", "nextafter"]


@cache
def _searched_kernels():
    return Kernels([s for name in _SEARCHED for s in _specs(name, "bqQefd", {}) if s.lanes == 8])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_numbers(data):
    kernels = _searched_kernels()
    k = data.draw(st.integers(0, len(kernels.specs) - 1))
    spec = kernels.specs[k]
    elements = [npst.from_dtype(dtype) for dtype in spec.dtypes]
    arrays = [
        data.draw(npst.arrays(d, 6, elements=e)) for d, e in zip(spec.dtypes, elements, strict=True)
    ]
    assert same_bits(kernels(k, *arrays), _reference(spec, arrays)).all()


@pytest.mark.parametrize("name", ["add", "less", "power", "logical_or", "true_divide", "copysign"])
@pytest.mark.parametrize("other", [True, 3, 2.5, 1j])
def test_loop_types_of_python_numbers(name, other):
    """What NumPy converts to beside a weak number shows in the result and in `resolve_dtypes`."""
    name = "divide" if name == "true_divide" else name
    ufunc = primitives[name].impl
    for char in "biQefdF":
        x = np.ones(3, char)
        weak = Aval((), np.asarray(other).dtype, True)
        try:
            want = ufunc(x, other).dtype
        except TypeError:
            with pytest.raises(TypeError):
                loop_types(name, (Aval((), x.dtype), weak))
            continue
        _, (out,) = loop_types(name, (Aval((), x.dtype), weak))
        assert out == want


_BESIDE = {
    "less": lambda x: x < 300,
    "greater, swapped": lambda x: x < 300,
    "equal": lambda x: x == -1,
    "wide, signed": lambda x: x.astype(np.int64) < 2**63,
    "wide, unsigned": lambda x: x.astype(np.uint64) > -1,
    "beyond all dtypes": lambda x: x < 10**30,
    "sum": lambda x: x + 300,
    "greatest": lambda x: np.maximum(x, -200),
    "square": lambda x: x**2,
    "negative power": lambda x: x**-1,
}


@pytest.mark.parametrize("char", "Bb")
@pytest.mark.parametrize("case", _BESIDE)
def test_python_integers_that_do_not_fit(case, char):
    """Comparisons are exact, everything else raises what NumPy raises."""
    x = np.array([0, 1, 44, 120], char)
    try:
        want = _BESIDE[case](x)
    except (OverflowError, ValueError) as error:
        with pytest.raises(type(error), match=str(error)[:30]):
            xnp.jit(_BESIDE[case])(x)
        return
    got = xnp.jit(_BESIDE[case])(x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_conversions_where_the_machine_clips(monkeypatch):
    """The code for ARM, whose conversions clip and make 0 of nan, runs everywhere."""
    monkeypatch.setattr(convert, "_ARM", True)
    dtypes = [np.dtype(c) for c in "bBhHiIqQ"]
    specs = [Spec("quantize", (np.dtype(float),), 4, {"dtype": d}) for d in dtypes]
    kernels = Kernels(specs)
    x = np.array([np.nan, np.inf, -np.inf, 1e300, -3.7, 3.7])
    for k, dtype in enumerate(dtypes):
        wide = np.dtype(f"{dtype.kind}{max(dtype.itemsize, 4)}")
        info = np.iinfo(wide)
        want = [0, info.max, info.min, info.max, max(-3, info.min), 3]
        np.testing.assert_array_equal(kernels(k, x), np.array(want, wide).astype(dtype))
