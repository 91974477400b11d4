"""A user's mistakes: each raises an error that names what it was and what to write instead."""

import copy
import dataclasses
import json
import math
import pickle

import numpy
import pytest

import xnp as np
from xnp.autodiff.errors import (
    BatchingError,
    ConcretizationError,
    DifferentiationError,
    MutationError,
    UnsupportedError,
)

X = numpy.array([1.0, 2.0, 3.0])


def traced(fun, x=X):
    """``fun`` of a traced array, whatever it returns."""
    return np.vjp(lambda x: (np.sum(x), fun(x)), x, has_aux=True)


def square(x, y=1.0):
    return np.sum(x * x) * y


def doubled(x):
    return 2 * x


def no_result(x):
    np.sum(x)


def complex_sum(x):
    return np.sum(x) * 1j


def write_outside(x):
    buffer = numpy.zeros(3)
    buffer[0] = x[0]
    return np.sum(buffer)


def add_into_outside(x):
    buffer = numpy.zeros(3)
    buffer += x
    return np.sum(buffer)


def write_to_out(x):
    return np.sum(np.add(x, x, out=numpy.zeros(3)))


def write_to_scalar(x):
    y = np.sum(x)
    y[...] = 1.0
    return y


CASES = {
    # what is differentiated
    "argnums out of range": (
        lambda: np.grad(square, 2)(X),
        TypeError,
        "argnums=2, but square was called with 1 positional argument; count from 0",
    ),
    "argnums of a wrong name": (
        lambda: np.grad(square, "z")(X),
        TypeError,
        "argnums='z', but square was called without an argument of that name .*: x, y",
    ),
    "argnums a float": (lambda: np.grad(square, 1.0), TypeError, "argnums is 1.0; wanted an int"),
    "argnums a bool": (lambda: np.grad(square, True), TypeError, "argnums is True; wanted an int"),
    "argnums twice": (lambda: np.grad(square, (0, 0))(X), TypeError, "an argument of square twice"),
    "a value, not a function": (
        lambda: np.grad(square(X)),
        TypeError,
        r"grad takes a function as its first argument, got .* write grad\(f\)\(x\)",
    ),
    "a vector result": (
        lambda: np.grad(lambda x: x * 2)(X),
        DifferentiationError,
        r"returned .*f64\[3\].*, wanted a scalar; reduce it with np.sum",
    ),
    "a None result": (
        lambda: np.grad(lambda x: None)(X),
        DifferentiationError,
        "returned .*None.*; does it lack a return statement",
    ),
    "a pair without has_aux": (
        lambda: np.grad(lambda x: (np.sum(x), x))(X),
        DifferentiationError,
        "has_aux=True",
    ),
    "has_aux without a pair": (
        lambda: np.grad(square, has_aux=True)(X),
        DifferentiationError,
        r"has_aux=True wants square to return a pair \(value, aux\)",
    ),
    "a string result": (
        lambda: np.vjp(lambda x: "text", X),
        DifferentiationError,
        "returned str 'text'; wanted arrays",
    ),
    "a complex result": (
        lambda: np.grad(lambda x: np.sum(x * 1j))(X),
        DifferentiationError,
        r"returned a complex scalar; take np.real",
    ),
    "an integer result": (
        lambda: np.grad(lambda x: np.argmax(x))(X),  # noqa: PLW0108 - a user writes this
        DifferentiationError,
        "wanted floating",
    ),
    "an integer array": (
        lambda: np.grad(square)(numpy.arange(3)),
        DifferentiationError,
        r"grad: argument 0 \(x\) is ndarray i64\[3\].* pass x.astype\(float\)",
    ),
    "an integer": (
        lambda: np.grad(square)(2),
        DifferentiationError,
        r"argument 0 \(x\) is int 2.* pass float\(x\)",
    ),
    "a bool": (lambda: np.grad(square)(True), DifferentiationError, "argument 0"),
    "a string": (
        lambda: np.grad(square)("abc"),
        DifferentiationError,
        "argument 0 .* is str 'abc'",
    ),
    "a leaf that is a string": (
        lambda: np.grad(lambda p: p["w"])({"w": 1.0, "name": "net"}),
        DifferentiationError,
        r"x\['name'\].* is str 'net'",
    ),
    "an object array": (
        lambda: np.grad(square)(numpy.array([1.0, None])),
        TypeError,
        "dtype object.*ragged",
    ),
    "times": (
        lambda: np.grad(square)(numpy.array(["2020-01-01"], "datetime64[D]")),
        TypeError,
        "datetime64.*convert times to numbers",
    ),
    "a structured array": (
        lambda: np.grad(square)(numpy.zeros(2, [("a", float)])),
        TypeError,
        r"x\['name'\]",
    ),
    "a masked array": (
        lambda: np.grad(square)(numpy.ma.masked_array([1.0, 2.0], [True, False])),
        (TypeError, UnsupportedError),
        "MaskedArray cannot be combined",
    ),
    "holomorphic with real arguments": (
        lambda: np.grad(square, holomorphic=True)(X),
        DifferentiationError,
        r"holomorphic=True wants complex; pass x.astype\(complex\)",
    ),
    # what is made of other transformations goes by its own name
    "jacobian of integers": (
        lambda: np.jacobian(square)(numpy.arange(3)),
        DifferentiationError,
        r"^jacobian: argument 0 \(x\) is ndarray i64\[3\].* choose other arguments with argnums",
    ),
    "jacobian of nothing": (
        lambda: np.jacobian(no_result)(X),
        DifferentiationError,
        "^jacobian: no_result returned None; does it lack a return statement",
    ),
    "hessian of integers": (
        lambda: np.hessian(square)(numpy.arange(3)),
        DifferentiationError,
        r"^hessian: argument 0 \(x\) is ndarray i64\[3\]",
    ),
    "hessian of a complex result": (
        lambda: np.hessian(complex_sum)(X),
        DifferentiationError,
        "^hessian: a result of complex_sum is .*c128",
    ),
    "hvp of an array": (
        lambda: np.hvp(doubled, (X,), (X,)),
        DifferentiationError,
        r"^hvp: doubled returned f64\[3\], wanted a scalar",
    ),
    "jvp of integers": (
        lambda: np.jvp(square, (3,), (1.0,)),
        DifferentiationError,
        r"^jvp: primal 0 is int 3, .* pass float\(x\), or leave it out of the primals",
    ),
    # tangents and cotangents
    "primals not in a tuple": (
        lambda: np.jvp(square, X, X),
        TypeError,
        r"primals must be a tuple .* write jvp\(f, \(x,\), \(x_dot,\)\)",
    ),
    "too few tangents": (lambda: np.jvp(square, (X, 1.0), (X,)), TypeError, "2 primals but 1 tang"),
    "a tangent of another shape": (
        lambda: np.jvp(square, (X,), (X[:2],)),
        DifferentiationError,
        r"tangent has shape \(2,\), its value has shape \(3,\)",
    ),
    "a complex tangent": (
        lambda: np.jvp(square, (X,), (X * 1j,)),
        DifferentiationError,
        "tangent has dtype complex128, its value has dtype float64",
    ),
    "a cotangent of another tree": (
        lambda: np.vjp(lambda x: (x, x), X)[1](X),
        DifferentiationError,
        "the cotangent must have the tree of the value it belongs to",
    ),
    "a tangent of other keys": (
        lambda: np.jvp(lambda d: d["a"], ({"a": X},), ({"b": X},)),
        DifferentiationError,
        r"the tangent must have the tree .*'a'.*, got .*'b'",
    ),
    "a cotangent in a list": (
        lambda: np.vjp(square, X)[1]([X]),
        DifferentiationError,
        r"the cotangent must have the tree .*\*\), got .*\[\*\]",
    ),
    # what is done with traced values
    "math.sin": (
        lambda: np.grad(lambda x: math.sin(x))(1.0),  # noqa: PLW0108 - a user writes this
        ConcretizationError,
        r"test_bad_input.py:\d+: .*math.sin",
    ),
    "float": (lambda: traced(lambda x: float(x[0])), ConcretizationError, "stop_gradient"),
    "numpy.asarray": (
        lambda: traced(lambda x: numpy.asarray(x)),  # noqa: PLW0108 - a user writes this
        ConcretizationError,
        "plain ndarray made",
    ),
    "an ndarray's item": (
        lambda: np.grad(write_outside)(X),
        MutationError,
        r"test_bad_input.py:\d+: buffer.*Make the array with xnp inside the function",
    ),
    "an ndarray in place": (lambda: np.grad(add_into_outside)(X), MutationError, "a = a [+] b"),
    "out= of an ndarray": (lambda: np.grad(write_to_out)(X), MutationError, "xnp.zeros"),
    "an item of a scalar": (
        lambda: np.grad(write_to_scalar)(X),
        TypeError,
        "does not support item assignment.*write x = ...",
    ),
    "a closure's array": (
        lambda: np.grad(lambda x: np.vmap(lambda i: x.__setitem__(0, i))(X))(X),
        (MutationError, DifferentiationError, BatchingError),
        "outside of it|returned",
    ),
    "pickle": (lambda: traced(pickle.dumps), TypeError, "pickle|pickled"),
    "deep copies": (lambda: traced(lambda x: json.dumps(x)), TypeError, "JSON"),  # noqa: PLW0108
    "hash": (lambda: traced(hash), TypeError, "unhashable"),
    "an unsupported function": (
        lambda: traced(lambda x: np.save("f", x)),
        (UnsupportedError, ConcretizationError),
        r"np.save|plain ndarray made",
    ),
    "deleting": (
        lambda: traced(lambda x: x.__delitem__(0)),
        ValueError,
        "cannot delete array elements",
    ),
    "the truth of an array": (lambda: traced(bool), ValueError, "ambiguous"),
    "an attribute that is not there": (lambda: traced(lambda x: x.relu()), AttributeError, "relu"),
    # shapes, indices
    "shapes that do not broadcast": (
        lambda: traced(lambda x: x + numpy.ones(2)),
        ValueError,
        r"\(3,\).*\(2,\)|broadcast",
    ),
    "shapes that do not multiply": (
        lambda: traced(lambda x: x @ numpy.ones((2, 2))),
        ValueError,
        "matmul",
    ),
    "a bad reshape": (lambda: traced(lambda x: np.reshape(x, (2, 2))), ValueError, "reshape"),
    "an index out of range": (lambda: traced(lambda x: x[3]), IndexError, "out of bounds"),
    "too many indices": (lambda: traced(lambda x: x[0, 0]), IndexError, "too many indices"),
    "a float index": (lambda: traced(lambda x: x[1.0]), IndexError, "only integers, slices"),
    "a mask of another size": (
        lambda: traced(lambda x: x[numpy.array([True, False])]),
        IndexError,
        "boolean index did not match",
    ),
    "an array index out of range": (
        lambda: traced(lambda x: x[numpy.array([0, 5])]),
        IndexError,
        "out of bounds",
    ),
    "an axis out of range": (
        lambda: traced(lambda x: np.sum(x, axis=1)),
        numpy.exceptions.AxisError,
        "axis 1 is out of bounds for array of dimension 1",
    ),
    "assignment of a wrong shape": (
        lambda: traced(lambda x: x.__setitem__(slice(None), numpy.ones(2))),
        ValueError,
        "could not (be )?broadcast",
    ),
    "a ragged nested list": (
        lambda: traced(lambda x: np.array([[x[0], x[1]], [x[2]]])),
        ValueError,
        "ragged|inhomogeneous",
    ),
    "another object": (
        lambda: traced(lambda x: np.sin(x) + "a"),
        (TypeError, numpy.exceptions.DTypePromotionError),
        "str|<U",
    ),
    # vmap
    "sizes that differ": (
        lambda: np.vmap(np.add)(numpy.ones(2), numpy.ones(3)),
        BatchingError,
        "argument 1 of add has 3 examples along axis 0, but argument 0 has 2",
    ),
    "an axis that is not there": (
        lambda: np.vmap(np.sin, in_axes=1)(X),
        BatchingError,
        r"argument 0 of sin is .*f64\[3\].*, which has no axis 1",
    ),
    "nothing to map over": (
        lambda: np.vmap(np.sin, in_axes=None)(X),
        BatchingError,
        "no argument of sin is batched",
    ),
    "a number to map over": (lambda: np.vmap(np.sin)(1.0), BatchingError, "which has no axis 0"),
    "in_axes of a wrong length": (
        lambda: np.vmap(np.add, in_axes=(0,))(X, X),
        BatchingError,
        "in_axes has 1 entries, but add was called with 2",
    ),
    "in_axes a string": (lambda: np.vmap(np.sin, in_axes="0")(X), TypeError, "in_axes is str '0'"),
    "in_axes that hold a string": (
        lambda: np.vmap(np.sin, in_axes=("0",))(X),
        TypeError,
        "in_axes of sin holds str '0'; wanted ints and None",
    ),
    "out_axes a string": (
        lambda: np.vmap(np.sin, out_axes="0")(X),
        TypeError,
        "out_axes of sin holds str '0'",
    ),
    "axis_size a float": (
        lambda: np.vmap(np.sin, axis_size=3.0)(X),
        TypeError,
        "axis_size is float 3.0, wanted an int",
    ),
    "a branch on a batched value": (
        lambda: np.vmap(lambda x: 1.0 if x > 2 else 2.0)(X),
        BatchingError,
        r"disagree .*np.where\(condition, a, b\)",
    ),
    "a mask that selects differently many": (
        lambda: np.vmap(lambda x: x[x > 2])(numpy.arange(6.0).reshape(2, 3)),
        BatchingError,
        "selects 0 to 3 elements",
    ),
    "out_axes None of a result that depends on the example": (
        lambda: np.vmap(np.sin, out_axes=None)(X),
        BatchingError,
        "out_axes is None for a result of sin that depends on the example",
    ),
    "a batched value in an array made outside": (
        lambda: np.grad(
            lambda x: np.sum(np.vmap(lambda i: x.__setitem__(0, i) or i)(numpy.ones(2)))
        )(X),
        MutationError,
        "was written into an array that was made outside of it",
    ),
    # higher-level transformations
    "a Jacobian of an integer result": (
        lambda: np.jacobian(np.argmax)(X),
        DifferentiationError,
        "wanted a real floating dtype",
    ),
    "a negative order": (lambda: np.derivative(np.sin, -1)(1.0), ValueError, "n is -1; wanted"),
    "a derivative of an array": (
        lambda: np.derivative(np.sin)(X),
        DifferentiationError,
        r"write vmap\(derivative\(f, n\)\)\(x\)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_mistake(name):
    call, error, text = CASES[name]
    with pytest.raises(error, match=text):
        call()
    assert type(np.zeros(1)) is numpy.ndarray, "the failing call left a transformation open"


def test_shape_mismatches_raise_numpys_error():
    """The type of the error, and the shapes in its text, are NumPy's."""
    for wrong in (
        lambda x: x + numpy.ones(2),
        lambda x: x @ numpy.ones(4),
        lambda x: np.concatenate([x, numpy.ones((2, 2))]),
        lambda x: np.reshape(x, 2),
        lambda x: np.sum(x, axis=2),
        lambda x: np.transpose(x, (0, 1)),
        lambda x: x[5],
        lambda x: np.stack([x, x[:2]]),
        lambda x: np.linalg.inv(x),  # noqa: PLW0108 - alike
        lambda x: np.broadcast_to(x, (2, 2)),
        lambda x: np.squeeze(x, 0),
        lambda x: np.split(x, 2),
        lambda x: np.take(x, 7),
    ):
        with pytest.raises(Exception) as plain:  # noqa: PT011 - whatever NumPy raises
            wrong(X)
        with pytest.raises(type(plain.value)):
            traced(wrong)


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf, -numpy.inf])
def test_nan_and_inf_pass_through_as_in_numpy(value):
    x = numpy.array([1.0, value, 3.0])
    with numpy.errstate(all="ignore"):
        out, pull = np.vjp(lambda x: np.sin(x) * 2.0, x)
        numpy.testing.assert_array_equal(out, numpy.sin(x) * 2)
        numpy.testing.assert_array_equal(pull(numpy.ones(3))[0], numpy.cos(x) * 2)
    masked = np.grad(lambda x: np.sum(np.where(np.isfinite(x), x * x, 0.0)))(x)
    numpy.testing.assert_array_equal(masked, [2.0, 0.0, 6.0])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 1)])
def test_arrays_of_size_zero(shape):
    x = numpy.zeros(shape)
    gradient = np.grad(lambda x: np.sum(np.sin(x) ** 2))(x)
    assert gradient.shape == shape
    assert np.jacobian(lambda x: x * 2.0)(x).shape == shape + shape
    assert np.hessian(lambda x: np.sum(x**3))(x).shape == shape + shape
    assert np.vmap(lambda row: row * 2.0)(x).shape == shape
    with pytest.raises(ValueError, match="zero-size array"):
        np.grad(np.max)(x)


def test_copies_of_traced_values_are_values():
    """copy.copy and copy.deepcopy copy, as they do an ndarray."""

    def f(x):
        y = copy.copy(x)
        y[0] = 0.0
        return np.sum(x * x) + np.sum(copy.deepcopy(y) ** 2)

    numpy.testing.assert_array_equal(np.grad(f)(X), [2.0, 8.0, 12.0])


def test_an_unregistered_class_says_how_to_register_it():
    @dataclasses.dataclass
    class Line:
        slope: float

    with pytest.raises(np.DifferentiationError, match=r"namespace='xnp'"):
        np.grad(lambda line: line.slope**2)(Line(1.0))


def test_nditer_says_what_to_iterate_over():
    with pytest.raises(np.UnsupportedError, match=r"for v in x\.flat"):
        np.grad(lambda x: sum(np.nditer(x)))(numpy.ones(2))
    iterator = np.nditer(numpy.arange(3.0), flags=["multi_index"])
    assert isinstance(iterator, np.nditer)
    assert isinstance(iterator, numpy.nditer)
    assert [float(v) for v in iterator] == [0, 1, 2]


class Wrapped(numpy.lib.mixins.NDArrayOperatorsMixin):
    """An array type with ufuncs of its own, which holds traced arrays as it holds others."""

    def __init__(self, value):
        self.value = value

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        values = [x.value if isinstance(x, Wrapped) else x for x in inputs]
        return Wrapped(getattr(ufunc, method)(*values, **kwargs))


@pytest.mark.parametrize(
    "multiply",
    [
        lambda x, w: (x * w).value,
        lambda x, w: (w * x).value,
        lambda x, w: np.multiply(x, w).value,
        lambda x, w: (Wrapped(x) * 2.0).value,
    ],
    ids=["left", "right", "ufunc", "inside"],
)
def test_array_types_with_ufuncs_of_their_own_are_asked(multiply):
    x = numpy.array([1.0, 2.0])
    found = np.grad(lambda x: np.sum(multiply(x, Wrapped(numpy.full(2, 2.0)))))(x)
    numpy.testing.assert_array_equal(found, [2.0, 2.0])


def test_comparing_with_what_is_no_array():
    def f(x):
        return np.sum(x), (x == None, x != None, x == "a")  # noqa: E711 - elementwise

    none, some, text = np.grad(f, has_aux=True)(numpy.ones(2))[1]
    assert none.tolist() == [False, False]
    assert some.tolist() == [True, True]
    assert text.tolist() == [False, False]
