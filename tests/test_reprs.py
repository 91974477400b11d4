"""How types, tracers and primitives print. Handles are in test_conversion_errors.py too."""

import numpy
import pytest

import xnp
from xnp.autodiff.batching import BatchTrace, BatchTracer
from xnp.autodiff.core import Aval, aval_of, describe_type
from xnp.autodiff.forward import JVPTrace, JVPTracer
from xnp.autodiff.primitives.contraction import matmul_p
from xnp.autodiff.primitives.decompositions import svd_p
from xnp.autodiff.primitives.sinc import sinc_derivative
from xnp.autodiff.tape import TapeTrace
from xnp.numpy_api.special import rules


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("float64", "f64[3,4]"),
        ("float16", "f16[3,4]"),
        ("complex64", "c64[3,4]"),
        ("int8", "i8[3,4]"),
        ("uint32", "u32[3,4]"),
        ("bool", "bool[3,4]"),
    ],
)
def test_types(dtype, text):
    assert describe_type((3, 4), numpy.dtype(dtype)) == text
    assert repr(Aval((3, 4), numpy.dtype(dtype))) == str(Aval((3, 4), numpy.dtype(dtype))) == text


def test_types_of_numbers():
    assert repr(aval_of(2.0)) == "f64[]*"
    assert repr(aval_of(2)) == "i64[]*"
    assert repr(aval_of(numpy.float32(2.0))) == "f32[]"


def test_primitives():
    assert [repr(p) for p in (matmul_p, svd_p, sinc_derivative(0), sinc_derivative(2))] == [
        "matmul",
        "svd",
        "sinc",
        "sinc_2",
    ]
    assert repr(rules()["erf"]) == "scipy.erf"


def test_tracers():
    x = numpy.ones((3, 2))
    assert repr(TapeTrace().variable(x)) == "TapeTracer(f64[3,2])"
    assert repr(JVPTracer(JVPTrace(), 1.0, 1.0)) == "JVPTracer(f64[])"
    assert repr(BatchTracer(BatchTrace(3), x)) == "BatchTracer(f64[2])"


def test_nested_handles_name_the_innermost_transformation():
    seen = []
    xnp.grad(xnp.grad(lambda x: seen.append(repr(x)) or x * x))(2.0)
    xnp.vmap(xnp.grad(lambda x: seen.append(repr(x)) or x * x))(numpy.array([1.0, 2.0]))
    assert seen == [
        "TracedArray(f64[], grad or vjp: 2.0)",
        "TracedArray(f64[], grad or vjp: differs between the examples of the batch)",
    ]
