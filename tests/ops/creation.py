"""Creation functions whose values, ends or shapes come from traced arrays, copies, and scimath."""

import numpy
from op_row import C, I, Op, R, U

import xnp as np

scimath = numpy.lib.scimath
SINGLE = {"dtype": "f4"}


def _like(fun):
    return lambda x: fun(x) * 1.0 + x


def _scimath(fun, *samples, **options):
    return Op(f"scimath_{fun.__name__}", fun, samples, covers=(fun,), **options)


ROWS: list[Op] = [
    Op(
        "array_of_traced",
        lambda x, y: np.array([[x, y], [y * y, 1.0]]),
        [(0.5, 2.0), (R(), R()), (C(), R()), (R(**SINGLE), R(**SINGLE))],
        covers=(np.array, numpy.array),
    ),
    Op(
        "asarray",
        lambda x: (np.asarray(x), np.asanyarray(x), np.ascontiguousarray(x), np.asfortranarray(x)),
        [(R(2, 3),), (R(),), (C(2),), (R(3, 2).T,), (R(2, **SINGLE),), (I(0, 9, 3),)],
        covers=(numpy.asarray, numpy.asanyarray, numpy.ascontiguousarray, numpy.asfortranarray),
    ),
    Op(
        "copy",
        lambda x: (np.copy(x), x * 1.0),
        [(R(2, 3),), (R(),), (C(2),), (R(2, **SINGLE),), (I(0, 9, 3),)],
        covers=(numpy.copy,),
    ),
    Op(
        "astype",
        lambda x: (np.astype(x, numpy.float32), np.astype(x, complex), np.astype(x, int)),
        [(R(2, 3),), (R(4, **SINGLE),), (I(0, 9, 3),)],
        covers=(numpy.astype,),
    ),
    *(
        Op(
            fun.__name__,
            _like(fun),
            [(R(2, 3),), (R(),), (C(2),), (R(2, **SINGLE),), (R(0),)],
            covers=(fun,),
        )
        for fun in (numpy.zeros_like, numpy.ones_like)
    ),
    Op(
        "empty_like",
        lambda x: np.empty_like(x).shape[0] * x,
        [(R(2, 3),), (C(2),)],
        covers=(numpy.empty_like,),
    ),
    Op(
        "full",
        lambda x: (np.full((2, 2), x), np.full_like(np.ones(3), x)),
        [(0.5,), (R(),), (R(**SINGLE),)],
        covers=(numpy.full, numpy.full_like),
    ),
    Op(
        "linspace",
        lambda a, b: np.linspace(a, b, 4),
        [(0.5, 2.0), (R(2), R(2, seed=1)), (C(), R()), (R(**SINGLE), R(seed=1, **SINGLE))],
        covers=(numpy.linspace,),
    ),
    Op(
        "linspace_options",
        lambda a, b: np.linspace(a, b, 3, endpoint=False, axis=-1),
        [(R(2), R(2, seed=1)), (R(), R(3))],
    ),
    Op(
        "logspace",
        lambda a, b: np.logspace(a, b, 4),
        [(0.1, 0.9), (U(0, 1, 2), U(0, 1, 2, seed=1))],
        covers=(numpy.logspace,),
    ),
    Op(
        "geomspace",
        lambda a, b: np.geomspace(a, b, 4),
        [(0.5, 9.0), (U(1, 2, 2), U(3, 4, 2))],
        covers=(numpy.geomspace,),
    ),
    Op(
        "arrays_of_constants",
        lambda x: (
            np.eye(3) @ x + np.ones(3) + np.zeros(3) + np.identity(3)[0] + np.tri(3)[1],
            np.arange(3) * x + np.arange(3.0) + np.empty((3, 0)).sum(),
        ),
        [(R(3),), (C(3),), (R(3, **SINGLE),)],
        covers=(
            numpy.arange,
            numpy.empty,
            numpy.eye,
            numpy.identity,
            numpy.ones,
            numpy.tri,
            numpy.zeros,
        ),
    ),
    # scimath: real in the real domain, complex beyond it.
    _scimath(scimath.sqrt, (U(0.1, 2, 3),), (U(-2, -0.1, 3),), (C(3),)),
    _scimath(scimath.log, (U(0.1, 2, 3),), (U(-2, -0.1, 3),), (C(3),)),
    _scimath(scimath.log2, (U(0.1, 2, 3),), (U(-2, -0.1, 3),)),
    _scimath(scimath.log10, (U(0.1, 2, 3),), (U(-2, -0.1, 3),)),
    _scimath(scimath.logn, (2.5, U(0.1, 2, 3)), (U(2, 3, 3), U(-2, -0.1, 3))),
    _scimath(scimath.power, (U(0.1, 2, 3), 2.5), (U(-2, -0.1, 3), U(1, 2, 3))),
    _scimath(scimath.arccos, (U(-0.9, 0.9, 3),), (U(1.1, 2, 3),)),
    _scimath(scimath.arcsin, (U(-0.9, 0.9, 3),), (U(1.1, 2, 3),)),
    _scimath(scimath.arctanh, (U(-0.9, 0.9, 3),), (U(1.1, 2, 3),)),
]
