"""A traced array never turns into a constant without a word: the conversions and their texts."""

import cmath
import configparser
import copy
import math
import pickle
import re
import types
from pathlib import Path

import numpy
import pytest

import xnp as np
from xnp.autodiff import errors

ROOT = Path(__file__).parents[1]


def under_grad(f, x=1.0):
    return np.grad(f)(x)


def text_of(error):
    """The texts of an error and of those that caused it: NumPy wraps some of ours."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return "\n".join(texts)


def store(x):
    out = numpy.zeros(3)
    out[0] = x
    return out[0]


def store_rows(x):
    out = numpy.zeros((2, 2))
    out[0] = x
    return out[0]


def store_in_place(x):
    out = numpy.zeros(2)
    out += x
    return out


def store_in_attribute(x):
    box = types.SimpleNamespace(out=numpy.zeros(2))
    box.out += x
    return box.out


def store_by_out(x):
    return np.sin(x, out=numpy.zeros(2))


ONE, TWO = 1.0, numpy.ones(2)
LOSES = {
    "float": (float, ONE, ["float(x) of a traced array (f64[])", "x in place of float(x)"]),
    "complex": (complex, ONE, ["complex(x) of a traced array (f64[])"]),
    "math": (math.sin, ONE, ["float(x) of a traced array", "xnp.sin(x)", "in place of math's"]),
    "cmath": (cmath.exp, 1j, ["complex(x) of a traced array (c128[])"]),
    "asarray": (numpy.asarray, TWO, ["a plain ndarray made of a traced array (f64[2])"]),
    "array of a list": (lambda x: numpy.array([x, x]), ONE, ["as xnp.array([...])"]),
    "function of a list": (lambda x: numpy.sum([x, x]), ONE, ["as xnp.array([...])"]),
    "item of an ndarray": (store, ONE, ["make that array with xnp (xnp.zeros(...)"]),
    "method of an ndarray": (lambda x: numpy.ones(2).dot(x), TWO, ["a.dot(x)", "as a @ x"]),
    "parameter of a draw": (
        lambda x: numpy.random.default_rng(0).normal(x),
        ONE,
        ["mean + rng.normal(size=n)"],
    ),
    "scalar type": (numpy.float32, TWO, ["np.float64(x) as x.astype(np.float64)"]),
    "percent sign": ("%.3f".__mod__, ONE, ["f'{x:.3f}'"]),
    "part of an ndarray": (store_rows, TWO, ["make that array with xnp (xnp.zeros(...)"]),
    "in place": (store_in_place, TWO, ["np.add", "Write a = a + b in place of a += b"]),
    "attribute": (store_in_attribute, TWO, ["np.add", "o.a = f(o, b) in place of o.a += b"]),
    "out": (store_by_out, TWO, ["np.sin", "make the array with xnp"]),
    "hash": (lambda x: {x * x: 1}, ONE, ["hash(x) of a traced array"]),
    "pickle": (pickle.dumps, ONE, ["cannot be pickled", "Return it from the function"]),
}


@pytest.mark.parametrize(("f", "x", "parts"), LOSES.values(), ids=LOSES.keys())
@pytest.mark.parametrize("transformation", ["grad", "jvp", "vmap", "grad of vmap"])
def test_losing_a_derivative_raises_with_advice(f, x, parts, transformation):
    def call(x):
        if transformation == "grad":
            holomorphic = isinstance(x, complex)
            np.grad(f, holomorphic=holomorphic)(x)
        elif transformation == "jvp":
            np.jvp(f, (x,), (x,))
        elif transformation == "vmap":
            np.vmap(f)(numpy.stack([x, x]))
        else:
            np.jacobian(lambda x: np.vmap(f)(np.stack([x, x])).real)(numpy.real(x))

    if f is cmath.exp and transformation == "grad of vmap":
        parts = ["complex(x) of a traced array"]
    with pytest.raises((TypeError, ValueError)) as caught:
        call(x)
    text = text_of(caught.value)
    for part in parts:
        assert part in text
    assert re.search(r"\(at test_conversion_errors\.py:\d+: ", text)


def test_the_text_names_the_users_line():
    def f(x):
        y = x * 2
        return math.exp(y)  # the line

    with pytest.raises(np.ConcretizationError, match=r"return math\.exp\(y\)  # the line"):
        under_grad(f)


@pytest.mark.parametrize("folder", ["/home/me/numpy", "/home/me/scipy/course", str(ROOT)])
def test_the_users_line_in_any_folder(folder):
    code = compile("def f(x): return x if x > 0 else -x", f"{folder}/mine.py", "exec")
    space = {}
    exec(code, space)
    with pytest.raises(np.ConcretizationError, match=r"\(at mine\.py:1\)"):
        np.jit(space["f"])(1.0)


def test_the_folders_of_the_package():
    packages = configparser.ConfigParser()
    packages.read(ROOT / "setup.cfg")
    names = [name.split(".") for name in packages["options"]["packages"].split()]
    assert {name[1] for name in names if len(name) > 1} == set(errors.OWN_FOLDERS)


def test_stop_gradient_is_the_way_out():
    def f(x):
        known = np.stop_gradient(x)
        assert float(known) == math.floor(known) == 2.0
        return x * float(known)

    assert under_grad(f, 2.0) == 2.0


def test_what_needs_no_derivative_works_where_the_value_is_known():
    def f(x):
        assert bool(x)
        assert int(x) == 2
        assert round(x) == math.floor(x) == math.trunc(x) == 2
        assert math.ceil(x) == 3
        assert list(range(int(x))) == [0, 1]
        assert [10, 20, 30][x.astype(int)] == 30
        assert f"{x:.2f}" == "2.40"
        return x if x > 1 else 2 * x

    assert under_grad(f, 2.4) == 1.0


def test_arrays_have_no_truth_value_or_number():
    with pytest.raises(ValueError, match="truth value of an array with more than one element"):
        under_grad(lambda x: x if x > 0 else -x, TWO)
    with pytest.raises(TypeError, match=r"only 0-dimensional arrays|only length-1"):
        under_grad(int, TWO)
    with pytest.raises(TypeError, match="unhashable type"):
        under_grad(hash, TWO)
    with pytest.raises(TypeError, match="unsupported format string"):
        under_grad(lambda x: f"{x:.2f}", TWO)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        under_grad(lambda x: [1, 2][x])


def test_under_vmap_an_ndarray_is_indexed_by_what_all_examples_agree_on():
    """As with bool(x) and int(x), there is no derivative to lose."""
    plain = numpy.arange(3.0)

    def chosen(x):
        return plain[x > 0] * x[0], plain[x.argmax()]

    same = numpy.array([[1.0, -1.0, 2.0], [3.0, -2.0, 4.0]])
    numpy.testing.assert_array_equal(np.vmap(chosen)(same)[0], [[0, 2], [0, 6]])
    numpy.testing.assert_array_equal(np.vmap(chosen)(same)[1], [2, 2])
    with pytest.raises(np.BatchingError, match=r"write xnp\.array\(a\)\[i\]"):
        np.vmap(chosen)(numpy.array([[1.0, -1.0, 2.0], [1.0, 2.0, -2.0]]))


def test_another_packages_error_keeps_its_text():
    """Only NumPy's text about a sequence in an ndarray is replaced by ours."""

    def f(x):
        try:
            numpy.asarray(x)
        except TypeError as error:
            raise ValueError("the objective must return a number") from error

    with pytest.raises(ValueError, match="the objective must return a number"):
        under_grad(f)


def test_under_vmap_examples_that_disagree_are_an_error():
    with pytest.raises(np.BatchingError, match=r"write|Write .*np\.where"):
        np.vmap(lambda x: x if x > 0 else -x)(numpy.array([-1.0, 1.0]))
    found = np.vmap(lambda x: x if x > 0 else -x)(numpy.array([2.0, 1.0]))
    numpy.testing.assert_array_equal(found, [2, 1])


def test_printing_shows_type_transformation_and_values():
    seen = []

    def f(x):
        seen.extend([repr(x), str(x[0]), f"{np.array(x[0])}", repr(np.zeros(2))])
        return np.sum(x)

    under_grad(f, TWO)
    assert seen == [
        "TracedArray(f64[2], grad or vjp: [1. 1.])",
        "TracedArray(f64[], grad or vjp: 1.0)",
        "TracedArray(0-d array f64[], grad or vjp: 1.0)",
        "TracedArray(f64[2]: [0. 0.])",
    ]
    np.vmap(lambda x: seen.append(repr(x)) or x)(numpy.arange(2.0))
    assert seen[-1] == "TracedArray(f64[], vmap: differs between the examples of the batch)"


def test_a_leaked_array_can_still_be_printed():
    leaked = []
    under_grad(lambda x: leaked.append(x) or x)
    assert (
        repr(leaked[0]) == "TracedArray(f64[], grad or vjp: used after its transformation returned)"
    )
    with pytest.raises(np.LeakedTracerError, match="has_aux=True"):
        leaked[0] + 1


def test_numpys_text_functions_show_the_values():
    def f(x):
        assert np.array2string(x, precision=2) == "[1. 1.]"
        assert np.array_str(x) == "[1. 1.]"
        assert np.array_repr(x) == "array([1., 1.])"
        return np.sum(x)

    under_grad(f, TWO)


def test_copies_stay_traced():
    def f(x):
        y, z = copy.copy(x), copy.deepcopy({"x": x})["x"]
        y[0] = 0
        return np.sum(x + y + z)

    numpy.testing.assert_array_equal(under_grad(f, TWO), [2, 3])


def test_jit_gives_its_own_reason():
    """A plain recording loses no derivative: its results would be those of the first call."""
    for f in (float, complex, math.sin, numpy.asarray, hash):
        with pytest.raises(np.ConcretizationError) as error:
            np.jit(f)(1.0)
        text = text_of(error.value)
        assert "jit would return the numbers of its first call for ever" in text
        assert "static_argnames" in text
        assert "derivative" not in text


def test_bytes_are_memory_and_never_the_numbers_one_by_one():
    def f(x):
        counts = x.astype(int)
        with pytest.raises(np.UnsupportedError, match="tobytes"):
            bytes(counts)
        return x[0] * len(bytes(counts[1]))  # of an int, as many zeros as it says

    numpy.testing.assert_array_equal(np.grad(f)(np.array([1.0, 2.0])), [2.0, 0.0])


def test_rounding_keeps_all_digits_of_integers():
    def f(x):
        assert round((x * 0).astype(int) + 2**60 + 1) == 2**60 + 1
        return x

    assert np.grad(f)(numpy.float64(1.0)) == 1.0
    with pytest.raises(TypeError, match="doesn't define __round__"):
        np.grad(lambda x: x[0] * round(x))(np.ones(1))


def test_powers_with_a_modulus():
    with pytest.raises(TypeError, match=r"pow\(x, y, z\) .* write x\*\*y % z"):
        np.jit(lambda n: pow(n, 2, 3), dynamic_argnames="n")(7)
