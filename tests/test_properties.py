"""Arithmetic, reductions, indexing and writing on arrays of all dtypes, shapes and strides."""

import operator

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import assert_close, call_on_constants, largest

import xnp
import xnp.testing.strategies as xst
from xnp.testing.vectors import inner, inner_size, precision_of, random_tangent

ARITHMETIC = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.and_, operator.or_, operator.xor, operator.lt, operator.ge, operator.eq,
    numpy.maximum, numpy.fmin, numpy.arctan2, numpy.logaddexp, numpy.copysign,
]  # fmt: skip
SMOOTH = [operator.add, operator.sub, operator.mul]
UNARY = [
    operator.neg, operator.pos, operator.abs, operator.invert, numpy.sin, numpy.exp, numpy.tanh,
    numpy.sign, numpy.square, numpy.conjugate, numpy.floor, numpy.isnan, numpy.real, numpy.imag,
]  # fmt: skip
REDUCTIONS = [
    numpy.sum, numpy.prod, numpy.mean, numpy.max, numpy.min, numpy.any, numpy.all,
]  # fmt: skip
NUMBERS = [True, 2, -3, 0.5, 1j, numpy.float32(0.25), numpy.int8(3)]
ERRORS = (IndexError, TypeError, ValueError, OverflowError)


def outcome(call):
    """What a call returns, or the type of what it raises."""
    with numpy.errstate(all="ignore"):
        try:
            return call()
        except ERRORS as error:
            return next(kind for kind in ERRORS if isinstance(error, kind))


def assert_as_numpy(fun, *args):
    """``fun`` on handles gives what it gives on arrays: value, dtype, shape, scalar or array."""
    wanted = outcome(lambda: fun(*args))
    found = outcome(lambda: call_on_constants(fun, args))
    if isinstance(wanted, type) or isinstance(found, type):
        assert found is wanted, f"on handles {found}, in NumPy {wanted}"
        return
    assert type(found) is type(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if wanted.dtype.kind not in "fc":
        numpy.testing.assert_array_equal(found, wanted)
        return
    tolerance = 64 * precision_of(wanted) * largest(wanted)
    assert_close(found, wanted, tolerance, "on handles")


def assert_linear_laws(fun, *args):
    """<ct, J v> = <J^T ct, v>, and J v as the difference of a function that is at most bilinear."""
    rng = numpy.random.default_rng(0)
    v = random_tangent(args, rng)
    out, out_dot = xnp.jvp(fun, args, v)
    ct = random_tangent(out, rng)
    cts = xnp.vjp(fun, *args)[1](ct)
    for g, arg in zip(cts, args, strict=True):
        assert (g.shape, g.dtype) == (arg.shape, arg.dtype)
    eps = max(precision_of(args), precision_of(out))
    size = max(inner_size(ct, out_dot), inner_size(cts, v))
    assert_close(inner(ct, out_dot), inner(cts, v), 200 * eps * size, "pairing")
    ahead, behind = (fun(*(a + s * d for a, d in zip(args, v, strict=True))) for s in (1, -1))
    size = max(largest(ahead), largest(behind))
    assert_close(out_dot, (ahead - behind) / 2, 200 * eps * size, "jvp")


@given(st.sampled_from(ARITHMETIC), xst.broadcastable(2))
def test_binary_operations(op, pair):
    assert_as_numpy(op, *pair)


@given(st.sampled_from(ARITHMETIC), xst.arrays(), st.sampled_from(NUMBERS), st.booleans())
def test_numbers_have_numpys_promotion(op, x, number, swapped):
    if op is operator.pow and x.dtype == bool and number == 2:
        return  # NumPy has a path of its own here, which alone gives int8; its ufunc does not
    assert_as_numpy((lambda a: op(number, a)) if swapped else (lambda a: op(a, number)), x)


@given(st.sampled_from(UNARY), xst.arrays())
def test_unary_operations(op, x):
    assert_as_numpy(op, x)


@given(st.sampled_from(SMOOTH), xst.broadcastable(2, xst.dtypes(xst.INEXACT)))
def test_derivatives_of_broadcasting_arithmetic(op, pair):
    assert_linear_laws(op, *pair)


@st.composite
def array_and_axis(draw, dtypes=xst.ALL):
    x = draw(xst.arrays(xst.dtypes(dtypes)))
    axes = st.none()
    if x.ndim:
        one = st.integers(-x.ndim, x.ndim - 1)
        several = st.lists(st.integers(0, x.ndim - 1), unique=True).map(tuple)
        axes = axes | one | several
    return x, draw(axes)


@given(st.sampled_from(REDUCTIONS), array_and_axis(), st.booleans())
def test_reductions(reduce, x_axis, keepdims):
    x, axis = x_axis
    if x.dtype.kind == "c" and reduce in (numpy.max, numpy.min) and x.size == 0:
        return
    with numpy.errstate(all="ignore"):
        if reduce is numpy.mean and x.size == 0:
            return  # warns, in Python's way
    assert_as_numpy(lambda a: reduce(a, axis=axis, keepdims=keepdims), x)


@given(st.sampled_from([numpy.sum, numpy.cumsum]), array_and_axis(xst.INEXACT))
def test_derivatives_of_sums(reduce, x_axis):
    x, axis = x_axis
    if reduce is numpy.cumsum and isinstance(axis, tuple):
        axis = None
    assert_linear_laws(lambda a: reduce(a, axis=axis), x)


@st.composite
def array_and_index(draw, dtypes=xst.ALL, advanced=True):
    x = draw(xst.arrays(xst.dtypes(dtypes)))
    return x, draw(xst.indices(x.shape, advanced))


@given(array_and_index())
def test_reading_with_any_index(x_index):
    x, index = x_index
    assert_as_numpy(lambda a: a[index], x)


@given(array_and_index(xst.INEXACT))
def test_derivatives_of_reading(x_index):
    x, index = x_index
    if isinstance(outcome(lambda: x[index]), type):
        return
    assert_linear_laws(lambda a: a[index] * 2.0, x)


@st.composite
def writing(draw, dtypes=xst.ALL):
    """An array, an index, and a value that broadcasts to what it addresses."""
    x, index = draw(array_and_index(dtypes))
    part = outcome(lambda: x[index])
    shape = () if isinstance(part, type) else part.shape
    shape = tuple(1 if draw(st.integers(0, 3)) == 0 else dim for dim in shape)
    shape = shape[draw(st.integers(0, len(shape))) :]
    return x, index, draw(xst.arrays(x.dtype, shape))


@given(writing())
def test_writing_with_any_index(sample):
    x, index, value = sample

    def fun(a, b):
        out = xnp.array(a)
        out[index] = b
        return out

    assert_as_numpy(fun, x, value)


@given(writing(xst.INEXACT))
def test_derivatives_of_writing(sample):
    x, index, value = sample

    def fun(a, b):
        out = xnp.array(a) * 1.0
        out[index] = b
        return out

    if not isinstance(outcome(lambda: fun(x, value)), type):
        assert_linear_laws(fun, x, value)


@given(array_and_index(xst.INEXACT + xst.INTEGERS, advanced=False))
def test_views_write_through(x_index):
    """A basic index gives a view, also a view of a view; an in-place operation reaches the base."""
    x, index = x_index

    def fun(a):
        out = xnp.array(a)
        part = out[index]
        if numpy.ndim(part):
            part += numpy.int8(1)
            part[...] *= part[..., ::-1].copy()
        return out

    assert_as_numpy(fun, x)


@given(xst.arrays(shape=xst.shapes(min_dims=1)), st.data())
def test_overlapping_copies(x, data):
    """``a[1:] = a[:-1]`` and the like, as NumPy does them: the right side is read first."""
    shift = data.draw(st.integers(0, len(x)))
    back = data.draw(st.booleans())

    def fun(a):
        out = xnp.array(a)
        if back:
            out[: len(out) - shift] = out[shift:]
        else:
            out[shift:] = out[: len(out) - shift]
        return out

    assert_as_numpy(fun, x)


@given(xst.broadcastable(2, xst.dtypes(xst.REAL)), st.integers(0, 2), st.integers(-2, 1))
def test_vmap_is_the_stacked_loop(pair, in_axis, out_axis):
    x, y = pair
    in_axis = min(in_axis, x.ndim)
    batch = numpy.stack([x, x * 2, x - 1], in_axis)
    wanted = [numpy.sin(part) * y for part in (x, x * 2, x - 1)]
    out_axis = max(min(out_axis, wanted[0].ndim), -wanted[0].ndim - 1)
    found = xnp.vmap(lambda a: numpy.sin(a) * y, in_axes=in_axis, out_axes=out_axis)(batch)
    assert_close(found, numpy.stack(wanted, out_axis), 1e-6, "vmap")


@pytest.mark.parametrize("layout", xst.LAYOUTS)
def test_layouts_hold_the_values(layout):
    values = numpy.arange(6.0).reshape(2, 3)
    made = xst.with_layout(values, layout)
    assert made.shape == values.shape
    wanted = values[:1].repeat(2, 0) if layout == "repeated" else values
    numpy.testing.assert_array_equal(made, wanted)
