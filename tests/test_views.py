"""Views and mutation, compared with NumPy.

Random programs of making views, writing and reading are run on plain arrays and on handles under
every transformation.
"""

import warnings

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp as np

# A step makes a view, writes or reads. It gets the list of live arrays and a source of choices,
# and does the same to NumPy's arrays and to handles: all it calls are functions and methods that
# both have.


def pick(arrays, number):
    return arrays[number % len(arrays)]


def view_reshape(a, n):
    shapes = [(a.size,), (1, *a.shape), (*a.shape, 1), a.shape[::-1], (-1, 2), (2, -1)]
    return a.reshape(shapes[n % len(shapes)], order="CFA"[n // 7 % 3])


def view_index(a, n):
    choices = [
        slice(1, None),
        slice(None, None, -1),
        slice(None, None, 2),
        (Ellipsis, slice(0, 1)),
        (None, Ellipsis),
        (slice(None), *([slice(1)] * (a.ndim - 1))),
        0,
    ]
    return a[choices[n % len(choices)]]


def view_diagonal(a, n):
    return a.diagonal(n % 3 - 1)


VIEWS = [
    view_reshape,
    view_index,
    lambda a, n: a.ravel("CFAK"[n % 4]),
    lambda a, n: a.T,
    lambda a, n: a.transpose(*numpy.random.default_rng(n).permutation(a.ndim).tolist()),
    lambda a, n: a.swapaxes(0, n % max(a.ndim, 1)),
    lambda a, n: a.squeeze(),
    view_diagonal,
    lambda a, n: a.real,
    lambda a, n: a.imag,
    lambda a, n: a.view(),
    lambda a, n: a[...],
    lambda a, n: a.copy("CFAK"[n % 4]),
    lambda a, n: a.flatten("CFAK"[n % 4]),
]


def write_fill(a, n, other):
    a[...] = n % 7


def write_scaled(a, n, other):
    a *= 1 + n % 3


def write_first(a, n, other):
    a[0] = a[-1] * 2


def write_overlapping(a, n, other):
    a[1:] = a[:-1]


def write_other(a, n, other):
    a[...] = other * 0.5


def write_flat(a, n, other):
    a.flat[n % 3 :: 2] = [1.5, n % 5]


def write_real(a, n, other):
    a.real = n % 4 - a.imag


def write_imag(a, n, other):
    a.imag = n % 4 + a.real


def write_shape(a, n, other):
    a.shape = [(-1,), (*a.shape, 1), a.shape[::-1]][n % 3]


def write_method(a, n, other):
    a.fill(n % 5)


def write_transposed(a, n, other):
    a.T[...] = a * 3


def write_mask(a, n, other):
    a[a.real > n % 3] = -1


WRITES = [
    write_fill,
    write_scaled,
    write_first,
    write_overlapping,
    write_other,
    write_flat,
    write_real,
    write_imag,
    write_shape,
    write_method,
    write_transposed,
    write_mask,
]

STEPS = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ),
    min_size=1,
    max_size=12,
)
STARTS = [(6,), (2, 3), (4, 1), (2, 2, 2), ()]


def step(arrays, choice):
    """One step of a program; a failing step changes nothing, and its error is the result."""
    make_view, which, number, first, second = choice
    a = pick(arrays, first)
    try:
        if make_view:
            arrays.append(VIEWS[which % len(VIEWS)](a, number))
        else:
            WRITES[which % len(WRITES)](a, number, pick(arrays, second))
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        return type(error).__name__
    return None


def start(shape, kind, seed=0):
    """Numbers that no constant of a program equals, so that masks do not flip nearby."""
    rng = numpy.random.default_rng(seed)
    x = numpy.arange(1, 1 + numpy.prod(shape, dtype=int)).reshape(shape) + rng.uniform(size=shape)
    return numpy.asarray(x + 0.7j * rng.normal(size=shape) if kind is complex else x)


def facts(arrays):
    return [
        (a.shape, a.flags.c_contiguous, a.flags.f_contiguous, a.flags.writeable) for a in arrays
    ]


def finally_live(x, program):
    """All arrays that are alive after the program, which works on a copy of x."""
    arrays = [np.array(x)]
    for choice in program:
        step(arrays, choice)
    return arrays


def differentiable(arrays):
    return tuple(np.copy(a) for a in arrays)


@pytest.fixture(autouse=True)
def programs_may_do_what_numpy_warns_of():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", numpy.exceptions.ComplexWarning)
        # Deprecated in NumPy 2.5, and there until it is removed.
        warnings.filterwarnings("ignore", "Setting the shape on a NumPy array", DeprecationWarning)
        yield


KINDS = st.sampled_from([float, complex])
SHAPES = st.sampled_from(STARTS)


@given(SHAPES, KINDS, STEPS)
def test_a_program_on_handles_does_step_by_step_what_it_does_on_arrays(shape, kind, program):
    def traced(x):
        ours, numpys = [x], [start(shape, kind)]
        for choice in program:
            assert step(ours, choice) == step(numpys, choice)
            assert facts(ours) == facts(numpys)
            for a, b in zip(ours, numpys, strict=True):
                numpy.testing.assert_array_equal(np.stop_gradient(a), b, strict=True)
        return np.sum(x).real

    np.grad(traced)(start(shape, kind))


@given(SHAPES, KINDS, STEPS)
def test_derivatives_of_a_program(shape, kind, program):
    """The programs are piecewise linear, so that differences have only rounding errors."""

    def f(x):
        return differentiable(finally_live(x, program))

    x, x_dot = start(shape, kind), start(shape, kind, seed=1)
    out, out_dot = np.jvp(f, (x,), (x_dot,))
    h = 2.0**-12
    above, below = finally_live(x + h * x_dot, program), finally_live(x - h * x_dot, program)
    for dot, a, b in zip(out_dot, above, below, strict=True):
        numpy.testing.assert_allclose(dot, (a - b) / (2 * h), rtol=1e-7, atol=1e-7)
    _, pull = np.vjp(f, x)
    cts = tuple(
        start(y.shape, complex if y.dtype.kind == "c" else float, i) for i, y in enumerate(out)
    )
    (x_bar,) = pull(cts)
    forward = sum(numpy.sum(ct * dot).real for ct, dot in zip(cts, out_dot, strict=True))
    numpy.testing.assert_allclose(numpy.sum(x_bar * x_dot).real, forward, rtol=1e-9, atol=1e-9)


@given(SHAPES, KINDS, STEPS)
def test_a_program_under_vmap_is_the_stacked_loop(shape, kind, program):
    xs = numpy.stack([start(shape, kind, seed) for seed in range(3)])
    found = np.vmap(lambda x: differentiable(finally_live(x, program)))(xs)
    wanted = [finally_live(x, program) for x in xs]
    for i, batch in enumerate(found):
        stacked = numpy.stack([arrays[i] for arrays in wanted])
        numpy.testing.assert_array_equal(batch, stacked, strict=True)


@given(SHAPES, KINDS, STEPS)
def test_derivatives_of_a_program_under_vmap(shape, kind, program):
    def f(x):
        return differentiable(finally_live(x, program))

    def push(x, x_dot):
        return np.jvp(f, (x,), (x_dot,))[1]

    xs = numpy.stack([start(shape, kind, seed) for seed in range(2)])
    x_dots = numpy.stack([start(shape, kind, seed) for seed in range(2, 4)])
    found = np.vmap(push)(xs, x_dots)
    wanted = [push(x, x_dot) for x, x_dot in zip(xs, x_dots, strict=True)]
    for i, batch in enumerate(found):
        numpy.testing.assert_allclose(batch, numpy.stack([dots[i] for dots in wanted]))
