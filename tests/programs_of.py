"""Functions of arrays as Programs, as `jit` records them, for tests of what is done with those."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pytest

from xnp.autodiff import trees
from xnp.autodiff.core import Tracer, aval_of
from xnp.autodiff.handles import ARRAY0D, RESULT, WEAK, TracedArray, value_of, wrap
from xnp.autodiff.program import Program
from xnp.autodiff.recording import ProgramTrace
from xnp.codegen.pipeline import optimize
from xnp.testing.vectors import leaves_of, map_leaves


def program_of(fun: Callable[..., Any], args: Sequence[Any]) -> Program:
    """``fun`` recorded on values with the types of the leaves of ``args``. Results that are traced
    are the Program's, in the order of the leaves.
    """
    with ProgramTrace(getattr(fun, "__name__", "f").strip("<>")) as trace:

        def handle(leaf: Any) -> TracedArray:
            kind = RESULT if isinstance(leaf, numpy.generic) else ARRAY0D
            kind = kind if isinstance(leaf, (numpy.ndarray, numpy.generic)) else WEAK
            return wrap(trace.parameter(aval_of(leaf)), kind)

        found, _ = trees.flatten(fun(*(map_leaves(handle, arg) for arg in args)))
        values = [value_of(x) for x in found if type(x) is TracedArray]
        return trace.program([v for v in values if isinstance(v, Tracer)], trace.name)


def values_of(args: Sequence[Any]) -> list[Any]:
    """The leaves, in the order of the parameters."""
    return leaves_of(tuple(args))


def same_bits(a: Any, b: Any) -> bool:
    """Equal types and equal numbers, -0.0 and 0.0 told apart; NaNs are all alike."""
    a, b = numpy.asarray(a), numpy.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    if a.dtype.kind == "c":
        return same_bits(a.real, b.real) and same_bits(a.imag, b.imag)
    nan = numpy.isnan(a)
    signs = (numpy.signbit(a) == numpy.signbit(b)) | nan
    return bool(((a == b) | (nan & numpy.isnan(b))).all() and signs.all())


X = numpy.array([[1.5, -0.0, 0.0, numpy.inf], [-numpy.inf, numpy.nan, 5e-324, -3.25]])
INTS = numpy.array([[-128, -1, 0], [1, 2, 127]], numpy.int8)

# Sums may be formed in another order, matmul leaves its order to BLAS, and LAPACK has routines of
# their own for values without vectors.
REASSOCIATED = {
    *("reduce_sum", "matmul", "slide", "cumsum", "norm2", "eigh", "svd"),
    "accumulate",  # parts of a gradient are added to the sum, one after the other
}


def names(program):
    return [e.primitive.name for e in program.equations]


def check_same(program, args, loose=False):
    """The optimised Program, which gives the same bits; or raises as the Program does."""
    optimized = optimize(program)
    values = values_of(args)
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = program(*values)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            with pytest.raises(type(error)):
                optimized(*values)
            return optimized
        found = optimized(*values)
    for a, b in zip(found, wanted, strict=True):
        if not same_bits(a, b):
            a, b = numpy.asarray(a), numpy.asarray(b)
            sums = loose or not REASSOCIATED.isdisjoint(names(program))
            assert sums, f"{a!r} and {b!r}\n{program}\n{optimized}"
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            tolerance = 1e-4 if a.dtype.name in ("float16", "float32", "complex64") else 1e-9
            assert numpy.allclose(a, b, tolerance, tolerance, equal_nan=True), f"{a!r} and {b!r}"
    return optimized


def optimized_names(f, *args):
    return names(check_same(program_of(f, args), args))
