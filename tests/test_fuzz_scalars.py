"""Random expressions of scalars of every kind and small arrays of every dtype, under jit: NumPy's
value, dtype, shape and type, or its error.
"""

import random
import warnings
from typing import Any

import numpy
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("interpreted")

DTYPES = ["?", "i1", "u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]
SHAPES = [(), (1,), (3,), (2, 1), (2, 3)]
UFUNCS = [
    "add", "subtract", "multiply", "maximum", "minimum", "logical_and", "logical_xor", "fmax",
    "hypot",
]  # fmt: skip
TEMPLATES = """
{a} + {b}|{a} - {b}|{a} * {b}|{a} / {b}|{a} < {b}|{a} == {b}|{a} != {b}
np.{u}({a}, {b})|np.{u}.outer({a}, {b})|np.{u}.outer({b}, {c})|np.{u}.reduce({a}, axis=None)
np.{u}.reduce({a}, axis={x}, initial={n})|np.{u}.accumulate({a}, axis={x})
np.clip({a}, {n}, {n})|np.clip({a}, {b}, {n})|np.clip({n}, {a}, {b})|np.clip({a}, None, {n})
np.where({a} > 0, {b}, {n})|np.where({a} > 0, {n}, {n})|np.where({a}, {b}, {c})
np.select([{a} > 0], [{b}], {n})|np.select([{a} > 0, {b} == 1], [{b}, {c}], {n})
np.choose({a} > 0, [{b}, {n}])|np.choose([1, 0, 1], [{b}, {n}])|({a} > 0) * {b}|abs({a})|-{a}
np.sum({a}, initial={n})|np.max({a}, initial={n})|np.prod({a}, axis={x})|np.mean({a}, axis={x})
np.power({a}, 2)|{a} ** 2|{a} ** 0.5|np.divmod({a}, {b})|np.floor_divide({a}, {n})|{a} % {n}
np.full(2, {a})|np.full_like({a}, {n})|np.array([{n}, {n}]) + {a}|np.isclose({a}, {b})
np.allclose({a}, {b})|np.nan_to_num({a}, nan={n})|np.round({a}, 1)|np.sign({a})|np.ravel({a})
""".replace("\n", "|").strip("|")
NUMBERS = [
    0, 1, 3, -1, 300, 2.5, -0.5, True, 2j, numpy.float32(1.5), numpy.int8(2), numpy.uint64(3),
]  # fmt: skip
ERRORS = (TypeError, ValueError, OverflowError, ZeroDivisionError)


def array_of(rng: random.Random) -> Any:
    """An array, a 0-d array, a NumPy scalar or a Python number."""
    dtype, shape = numpy.dtype(rng.choice(DTYPES)), rng.choice(SHAPES)
    numbers = [rng.choice([0, 1, 2, 3]) for _ in range(int(numpy.prod(shape)))]
    x = numpy.array(numbers, float).reshape(shape).astype(dtype)
    if shape or rng.random() < 0.3:
        return x
    return x[()] if rng.random() < 0.6 or dtype.kind not in "fc" else x.item()


def expression_of(rng: random.Random) -> str:
    text = rng.choice(TEMPLATES.split("|"))
    while "{n}" in text:
        number = rng.choice(NUMBERS)
        text = text.replace("{n}", repr(number), 1)
    axis = rng.choice(["None", "0", "-1"])
    return text.format(a="a", b="b", c="c", u=rng.choice(UFUNCS), x=axis)


def outcome(f: Any, *args: Any) -> Any:
    try:
        with numpy.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f(*args)
    except Exception as error:  # noqa: BLE001 - whatever NumPy raises is compared
        return error


def is_same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Exception):
        return isinstance(found, tuple(k for k in ERRORS if isinstance(wanted, k)) or type(wanted))
    if type(found) is not type(wanted):
        return False
    if isinstance(wanted, tuple):
        return all(map(is_same, found, wanted))
    a, b = numpy.asarray(found), numpy.asarray(wanted)
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    eps = numpy.finfo(b.dtype).eps if b.dtype.kind in "fc" else 0
    return numpy.allclose(a, b, rtol=4 * float(eps), atol=0, equal_nan=True)


def check_seed(seed: int) -> None:
    rng = random.Random(seed)
    text, args = expression_of(rng), [array_of(rng) for _ in range(3)]
    f = eval(f"lambda a, b, c: {text}", {"np": np})
    wanted, found = outcome(f, *args), outcome(np.jit(f), *args)
    assert is_same(found, wanted), f"seed {seed}: {text} of {args} is {found!r}, not {wanted!r}"


@pytest.mark.parametrize("block", range(20))
def test_expressions(block):
    for seed in range(100 * block, 100 * block + 100):
        check_seed(seed)
