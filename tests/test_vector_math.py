"""The real functions that the code generator writes for the CPU.

Held against mpmath to 2 units in the last place over all numbers, against NumPy at zeros, poles,
infinities and nan, and against themselves at another number of lanes.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import xnp
from xnp.autodiff.core import primitives
from xnp.codegen.mlir.emitter import Emitter
from xnp.codegen.mlir.math_steps import EXTERNAL
from xnp.codegen.mlir.math_table import TRANSCENDENTAL, TWIN
from xnp.runtime.lower_mlir import to_llvm_ir
from xnp.runtime.shared_code import addresses

from . import vector_math
from .vector_math import context as mp
from .vector_math import run, worst

assert xnp  # registers all primitives

LIMIT = 2.0  # in units in the last place
DTYPES = [np.float32, np.float64]


def _real(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give nan where ``f`` has a pole or is not real."""

    def real(*args: Any) -> Any:
        try:
            ans = f(*args)
        except (ZeroDivisionError, ValueError):
            return mp.nan
        return mp.nan if isinstance(ans, mp.mpc) else ans

    return real


def _cosine(x: Any, y: Any) -> Any:
    return x / mp.hypot(x, y) if x or y else mp.zero


# True values, for arguments where the function is finite.
UNARY = {
    "exp": mp.exp,
    "exp2": lambda x: mp.power(2, x),
    "expm1": mp.expm1,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "logistic": lambda x: 1 / (1 + mp.exp(-x)),
    "sech_squared": lambda x: mp.sech(x) ** 2,
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.ln2,
    "log10": lambda x: mp.log(x) / mp.ln10,
    "log1p": mp.log1p,
    "arcsinh": mp.asinh,
    "arccosh": mp.acosh,
    "arctanh": mp.atanh,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "arcsin": mp.asin,
    "arccos": mp.acos,
    "arctan": mp.atan,
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)),
    "scipy.erf": mp.erf,
    "scipy.erfc": mp.erfc,
    "scipy.ndtr": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2,
    "arcsin_slope": lambda x: 1 / mp.sqrt((1 - x) * (1 + x)),
    "arctan_slope": lambda x: 1 / (1 + x * x),
    "arcsinh_slope": lambda x: 1 / mp.hypot(x, 1),
    "arccosh_slope": lambda x: 1 / mp.sqrt((x - 1) * (x + 1)),
    "arctanh_slope": lambda x: 1 / ((1 - x) * (1 + x)),
}
BINARY = {
    "arctan2": mp.atan2,
    "hypot": mp.hypot,
    "power": mp.power,
    "cosine": _cosine,
}
# Like NumPy's, accurate beside their arguments, not where they are near 0.
BESIDE_ARGUMENTS = {
    "logaddexp": lambda x, y: max(x, y) + mp.log1p(mp.exp(-abs(x - y))),
    "logaddexp2": lambda x, y: max(x, y) + mp.log1p(mp.power(2, -abs(x - y))) / mp.ln2,
}
# The same operations as NumPy's: equal to the last bit.
EXACT = {
    **dict.fromkeys(["deg2rad", "rad2deg", "radians", "degrees"], 1),
    **dict.fromkeys(["fmod", "remainder", "floor_divide", "heaviside"], 2),
}
# NumPy's formula is the definition.
AS_NUMPY = {"sinc": np.sinc}

# Where the values are neither 0, 1, infinite nor nan.
INTERESTING = {
    "exp": (-110, 110), "exp2": (-160, 160), "expm1": (-50, 110), "sinh": (-100, 100),
    "cosh": (-100, 100), "tanh": (-25, 25), "logistic": (-110, 40), "sech_squared": (-60, 60),
    "scipy.erf": (-6, 6), "scipy.erfc": (-4, 28), "scipy.ndtr": (-38, 6),
    "log1p": (-1, 4), "arccosh": (1, 4), "arctanh": (-1, 1), "sin": (-1e4, 1e4),
    "cos": (-1e4, 1e4), "tan": (-1e4, 1e4), "arcsin": (-1, 1), "arccos": (-1, 1),
    "arcsin_slope": (-1, 1), "arccosh_slope": (1, 4), "arctanh_slope": (-1, 1),
}  # fmt: skip


def all_exponents(dtype: Any, seed: int) -> Any:
    """A number of every size and sign, subnormal ones too, in random order."""
    info = np.finfo(dtype)
    random = np.random.default_rng(seed)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    fractions = random.uniform(1, 2, exponents.size) * random.choice([-1, 1], exponents.size)
    with np.errstate(over="ignore"):
        numbers = np.ldexp(fractions, exponents).astype(dtype)
    return random.permutation(numbers[np.isfinite(numbers)])


def unary_samples(name: str, dtype: Any) -> Any:
    low, high = INTERESTING.get(name, (-3, 3))
    random = np.random.default_rng(3)
    reach = 7 if dtype == np.float64 and name in ("exp", "exp2", "sinh", "cosh", "logistic") else 1
    parts = [
        all_exponents(dtype, 1)[:600],
        random.uniform(low, high, 400),
        random.uniform(low * reach, high * reach, 200),
        random.uniform(-1, 1, 200),
        1 + random.uniform(-1e-3, 1e-3, 100),
    ]
    if name in ("sin", "cos", "tan"):
        parts += [np.arange(-60, 60) * np.pi / 4, np.arange(1, 2**28, 2**21) * np.pi / 2]
        parts += [[6381956970095103 * 2.0**797]] if dtype == np.float64 else []  # nearly n pi/2
    return np.concatenate(parts).astype(dtype)


def binary_samples(name: str, dtype: Any) -> tuple[Any, Any]:
    random = np.random.default_rng(4)
    tiny, large = np.finfo(dtype).tiny, np.finfo(dtype).max
    x = [all_exponents(dtype, 1)[:500], *(random.uniform(-s, s, 300) for s in (2, tiny, large / 2))]
    y = [all_exponents(dtype, 2)[:500], *(random.uniform(-s, s, 300) for s in (2, tiny, large / 2))]
    if name == "power":
        x = [*x, random.uniform(0.3, 3, 600), 1 + random.uniform(-1e-5, 1e-5, 300)]
        y = [*y, random.uniform(-60, 60, 600), random.uniform(-1e7, 1e7, 300)]
    return np.concatenate(x).astype(dtype), np.concatenate(y).astype(dtype)


def _finite_values(name: str, x: Any) -> Any:
    """Those of ``x`` where the true value is finite."""
    size = np.abs(x)
    if name in ("log", "log2", "log10"):
        return x[x > 0]
    if name == "log1p":
        return x[x > -1]
    if name.startswith("scipy."):  # mpmath cannot take numbers of all sizes
        return x[size < 1e6]
    if name in ("arccosh", "arccosh_slope"):
        return x[x > 1]
    if name in ("arctanh", "arcsin_slope"):
        return x[size < 1]
    if name in ("arctan_slope", "arctanh_slope"):  # as NumPy's 1/(1 + x^2), 0 where x^2 overflows
        x, size = x[size < 1e18], size[size < 1e18]
    if name in ("arctanh_slope",):
        return x[size != 1]
    return x[size <= 1] if name in ("arcsin", "arccos") else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_are_within_the_limit(name: str, dtype: Any) -> None:
    x = _finite_values(name, unary_samples(name, dtype))
    error, where = worst(name, _real(UNARY[name]), x)
    assert error <= LIMIT, where


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_are_within_the_limit(name: str, dtype: Any) -> None:
    x, y = binary_samples(name, dtype)
    if name == "cosine":  # NumPy's quotient: hypot must not be subnormal
        normal = np.maximum(np.abs(x), np.abs(y)) > np.finfo(dtype).tiny
        x, y = x[normal], y[normal]
    error, where = worst(name, _real(BINARY[name]), x, y)
    assert error <= LIMIT, where


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BESIDE_ARGUMENTS)
def test_sums_of_exponentials_are_as_accurate_as_their_arguments(name: str, dtype: Any) -> None:
    random = np.random.default_rng(5)
    x, y = random.uniform(-30, 30, (2, 400)).astype(dtype)
    want = [
        float(BESIDE_ARGUMENTS[name](mp.mpf(float(a)), mp.mpf(float(b))))
        for a, b in zip(x, y, strict=True)
    ]
    scale = np.maximum(np.abs(want), np.maximum(np.abs(np.maximum(x, y)), 1))
    assert np.max(np.abs(run(name, x, y) - want) / scale) <= LIMIT * np.finfo(dtype).eps


def floats(dtype: Any) -> Any:
    return st.floats(width=np.dtype(dtype).itemsize * 8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_any_number(name: str, dtype: Any) -> None:
    reference = _real({**UNARY, **BINARY}[name])
    arity = 1 if name in UNARY else 2

    @settings(max_examples=25)
    @given(st.lists(st.tuples(*[floats(dtype)] * arity), min_size=1, max_size=8))
    def check(points: list[tuple[float, ...]]) -> None:
        arrays = np.array(points, dtype).T
        finite = np.isfinite(arrays).all(axis=0)
        with np.errstate(all="ignore"):
            finite &= np.isfinite(_numpy(name)(*arrays))
            finite &= ~((arrays == 0).any(axis=0) & (arity == 2))  # the special values' test
            if name in ("arctan_slope", "arctanh_slope") or name.startswith("scipy."):
                finite &= np.abs(arrays[0]) < 1e18
            if name == "cosine":
                finite &= np.hypot(*arrays) > np.finfo(dtype).tiny
        if not finite.any():
            return
        error, where = worst(name, reference, *arrays[:, finite])
        assert error <= LIMIT, where

    check()


def _numpy(name: str) -> Callable[..., Any]:
    if name.startswith("scipy."):
        return getattr(scipy.special, name.removeprefix("scipy."))
    return AS_NUMPY.get(name) or primitives[name].impl


def special(dtype: Any) -> Any:
    info = np.finfo(dtype)
    positive = [
        0,
        info.smallest_subnormal,
        info.tiny,
        0.5,
        1,
        2,
        2.5,
        3,
        2.0**24 - 1,
        info.max,
        np.inf,
    ]
    nans = np.array([-1, 1 - 2 ** (info.bits - 2 - info.nexp)], f"i{info.bits // 8}").view(dtype)
    return np.array([*positive, *(-p for p in positive), np.nan, *nans], dtype)


def assert_same_kind(got: Any, want: Any, arrays: Any) -> None:
    """Check: nan where NumPy has nan, the same zeros and infinities, and numbers nearly equal."""
    message = str([np.array(arrays).T, got, want])
    assert np.array_equal(np.isnan(got), np.isnan(want)), message
    got, want = np.nan_to_num(got, nan=1.0), np.nan_to_num(want, nan=1.0)
    assert np.array_equal(np.signbit(got), np.signbit(want)), message
    info = np.finfo(got.dtype)
    np.testing.assert_allclose(got, want, rtol=8 * info.eps, atol=4 * info.smallest_subnormal)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*UNARY, *AS_NUMPY])
def test_special_values_of_unary_functions(name: str, dtype: Any) -> None:
    x = special(dtype)
    if name in ("logistic", "sech_squared", "arctan_slope", "arctanh_slope"):
        x = x[(np.abs(x) < 1e4) | ~np.isfinite(x)]  # NumPy's formulas overflow on the way
    with np.errstate(all="ignore"):
        assert_same_kind(run(name, x), np.asarray(_numpy(name)(x)), [x])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*BINARY, *BESIDE_ARGUMENTS])
def test_special_values_of_binary_functions(name: str, dtype: Any) -> None:
    x, y = (a.ravel() for a in np.meshgrid(special(dtype), special(dtype)))
    if name == "cosine":
        within = (np.abs(x) < 1e4) & (np.abs(x) > 1e-30) & (np.abs(y) < 1e4)
        x, y = x[within | ~np.isfinite(x)], y[within | ~np.isfinite(x)]
    with np.errstate(all="ignore"):
        assert_same_kind(run(name, x, y), np.asarray(_numpy(name)(x, y)), [x, y])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact_equals_numpy(name: str, dtype: Any) -> None:
    x, y = (a.ravel() for a in np.meshgrid(special(dtype), special(dtype)))
    random = np.random.default_rng(6)
    x = np.concatenate([x, all_exponents(dtype, 1)[:200], random.uniform(-99, 99, 500)])
    y = np.concatenate([y, all_exponents(dtype, 2)[:200], random.uniform(-3, 3, 500)])
    arrays = [a.astype(dtype) for a in (x, y)][: EXACT[name]]
    with np.errstate(all="ignore"):
        want = getattr(np, name)(*arrays)
    got = run(name, *arrays)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    numbers = ~np.isnan(want)
    assert got[numbers].tobytes() == want[numbers].tobytes()


def test_values_that_programs_rely_on() -> None:
    whole = np.arange(-60.0, 60.0)
    assert np.array_equal(run("exp2", whole), np.exp2(whole))
    assert np.array_equal(run("log2", np.exp2(whole)), whole)
    assert np.array_equal(run("cbrt", whole**3), whole)
    powers = np.array([0.0, 1.0, 2.0, 3.0])
    assert np.array_equal(run("power", whole[:, None].repeat(4, 1).ravel(), np.tile(powers, 120)),
                          (whole[:, None] ** powers).ravel())  # fmt: skip
    assert np.all(np.abs(run("sin", np.linspace(-9, 9, 4096))) <= 1)
    assert run("cos", np.zeros(1))[0] == run("exp", np.zeros(1))[0] == 1
    assert run("hypot", np.array([3.0]), np.array([4.0]))[0] == 5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(TRANSCENDENTAL))
def test_lanes_do_not_matter(name: str, dtype: Any) -> None:
    arity = 2 if name in (*BINARY, *BESIDE_ARGUMENTS) or EXACT.get(name) == 2 else 1
    arrays = [all_exponents(dtype, 1)[:150], all_exponents(dtype, 2)[:150]][:arity]
    one, eight = (run(name, *arrays, lanes=lanes) for lanes in (1, 8))
    numbers = ~np.isnan(eight)
    assert one[numbers].tobytes() == eight[numbers].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", [np.sin, np.tanh])
def test_a_function_and_its_slope_are_computed_together_as_each_alone(f: Any, dtype: Any) -> None:
    name = f.__name__
    x = np.concatenate([special(dtype), unary_samples(name, dtype)])
    both = xnp.jit(lambda x: xnp.jvp(f, (x,), (np.ones_like(x),)))
    for each, got in zip((name, TWIN[name]), both(x), strict=True):
        alone = run(each, x)
        numbers = ~np.isnan(alone)
        assert got[numbers].tobytes() == alone[numbers].tobytes()
        assert np.isnan(got[~numbers]).all()
    called = re.findall(r"call @xnp_(\w+)_f\d+x", both.inspect(x).mlir)
    assert [symbol for symbol in called if name in symbol] == [f"{name}_and_{TWIN[name]}"]


def test_the_tables_here_are_complete() -> None:
    tested = {*UNARY, *BINARY, *BESIDE_ARGUMENTS, *EXACT, *AS_NUMPY}
    scipy_names = {f"scipy.{name}" for name in ("expit", "exp2", "expm1", "log1p", "cbrt")}
    assert tested | scipy_names == TRANSCENDENTAL.keys()


def test_many_uses_share_one_function() -> None:
    e = Emitter()
    e.lanes = 8
    name = "%x"
    for _ in range(100):
        name = TRANSCENDENTAL["sin"](e, "f64", name)
    assert len(e.lines) == 100
    assert "{" not in e.functions["xnp_sin_f64x8"]  # it is declared
    assert "noinline" in e.shared["xnp_sin_f64x8"]["xnp_sin_f64x8"].splitlines()[0]
    body = "\n".join([*e.prologue, *e.lines])
    kind = "vector<8xf64>"
    text = "\n".join(e.functions.values())
    to_llvm_ir(f"{text}\nfunc.func @f(%x: {kind}) -> {kind} {{\n{body}\nreturn {name} : {kind}\n}}")


def test_modules_share_the_functions_that_they_call() -> None:
    """Two programs, one address; where there are 32 registers a function used once is inlined."""

    def shared(scale: float, vector_bytes: int) -> tuple[str, int]:
        e = Emitter()
        e.lanes, e.vector_bytes = 16, vector_bytes
        TRANSCENDENTAL["tanh"](e, "f64", e.constant(scale, "f64"))
        return "\n".join(e.functions.values()), addresses(e.shared).get("xnp_tanh_f64x16", 0)

    (text, one), (_, other) = shared(1.0, 32), shared(2.0, 32)
    assert one == other != 0
    assert "{" not in text
    inlined, none = shared(1.0, 64)
    assert "alwaysinline" in inlined
    assert none == 0


def test_libm_is_called_for_no_function_but_the_remainders() -> None:
    for name in TRANSCENDENTAL:
        arity = 2 if name in (*BINARY, *BESIDE_ARGUMENTS) or EXACT.get(name) == 2 else 1
        text, e = vector_math.module(name, "f64", 8, arity)
        text += "".join(part for texts in e.shared.values() for part in texts.values())
        called = {symbol for symbol, declaration in EXTERNAL.items() if declaration in text}
        assert called == ({"fmod"} if name in ("fmod", "remainder", "floor_divide") else set())
