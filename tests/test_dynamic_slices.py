"""Slices that start at a traced integer, ``x[i : i + 2]``: parts of one length, somewhere."""

import numpy
import pytest

import xnp as np
from xnp.testing import check_grads

A = numpy.array
X = numpy.arange(7.0) ** 2 + 1
MATRIX = numpy.arange(42.0).reshape(6, 7)


def same(found, wanted):
    numpy.testing.assert_array_equal(found, wanted)
    assert numpy.shape(found) == numpy.shape(wanted)


# Loops: each is compared with itself, run by Python.


def loop(lower, upper, out, step):
    """``step(i, out)``, which writes to ``out``, for every i."""

    def body(i, out):
        step(i, out)
        return out

    return np.fori_loop(lower, upper, body, out)


def moving_sums(x):
    def step(i, out):
        out[i - 1] = np.sum(x[i - 1 : i + 2])

    return loop(1, 6, np.zeros(5), step)


def overlapping_writes(x):
    def step(i, out):
        out[i : i + 3] += x[i] * np.array([1.0, 2.0, 1.0])

    return loop(0, 7, np.zeros(9), step)


def haar_steps(x):
    def step(i, out):
        pair = out[2 * i : 2 * i + 2]
        pair[:] = np.array([pair[0] + pair[1], pair[0] - pair[1]]) * 0.5

    return loop(0, 3, np.array(x[:6]), step)


def backwards(x):
    def step(i, out):
        out[6 - i : 7 - i] = x[i : i - 3 : -1][2:]

    return loop(3, 7, np.zeros(4), step)


def every_other(x):
    def step(i, out):
        out += x[i : i + 4 : 2]

    return loop(0, 3, np.zeros(2), step)


def nested(x):
    table = np.outer(x, x)

    def row(i, out):
        def element(j, out):
            out[i, j] = np.sum(table[i : i + 3, j : j + 2])

        out[:] = loop(0, i + 1, out, element)

    return loop(0, 5, np.zeros((5, 5)), row)


PROGRAMS = [moving_sums, overlapping_writes, haar_steps, backwards, every_other, nested]


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("program", PROGRAMS)
def test_loops_over_parts(program):
    same(np.jit(program)(X), program(X))


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivatives_of_loops_over_parts(program):
    check_grads(np.jit(program), (X / 10,))
    v, ct = numpy.linspace(-1, 1, 7), numpy.ones(numpy.shape(program(X)))
    wanted = np.jvp(program, (X,), (v,))[1]
    for found in (
        np.jvp(np.jit(program), (X,), (v,))[1],
        np.jit(lambda x: np.jvp(program, (x,), (v,))[1])(X),
    ):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-14)
    wanted = np.vjp(program, X)[1](ct)
    for found in (
        np.vjp(np.jit(program), X)[1](ct),
        np.jit(lambda x: np.vjp(program, x)[1](ct))(X),
    ):
        numpy.testing.assert_allclose(found, wanted, rtol=1e-14)


@pytest.mark.parametrize("program", PROGRAMS)
def test_batches_of_loops_over_parts(program):
    xs = numpy.stack([X, -X, X[::-1]])
    same(np.vmap(np.jit(program))(xs), numpy.stack([program(x) for x in xs]))
    same(np.jit(np.vmap(program))(xs), numpy.stack([program(x) for x in xs]))


def test_the_range_of_a_loops_index_proves_that_nothing_has_to_be_checked():
    def loop(last, shift=0):
        def f(x):
            step = lambda i, c: c + x[i + shift : i + shift + 2]
            return np.fori_loop(0, last, step, np.zeros(2))

        return str(np.jit(f).trace(X))

    assert "refuse" not in loop(6)
    assert "refuse" in loop(7)
    assert "refuse" in loop(5, shift=-1)
    assert "refuse" in loop(5, shift=2)


# Every form


FORMS = {
    "rows": lambda x, i: x[i : i + 2],
    "columns": lambda x, i: x[:, i : i + 2],
    "both": lambda x, i: x[i - 1 : i + 1, 2 * i : 2 * i + 2],
    "swapped": lambda x, i: x[-1 + i : 1 + i, i * 2 : 2 + i + i],
    "negated": lambda x, i: x[0 - (-i) : 2 - (-i)],
    "long chain": lambda x, i: x[i + 1 - 2 + 1 : (i + 3) - 4 + 2],
    "with an int": lambda x, i: x[i : i + 2, 3],
    "with the same int": lambda x, i: x[i : i + 2, i],
    "with a slice": lambda x, i: x[1:4, i : i + 3],
    "with None": lambda x, i: x[None, i : i + 2, None],
    "with an ellipsis": lambda x, i: x[..., i : i + 2],
    "with an array": lambda x, i: x[i : i + 2, [0, 3, 3]],
    "with a mask": lambda x, i: x[i : i + 2, numpy.arange(7) % 2 == 0],
    "with a list between": lambda x, i: x[None, i : i + 2, ..., [1, 2]],
    "step": lambda x, i: x[i : i + 4 : 2],
    "step that ends early": lambda x, i: x[i : i + 4 : 3],
    "backwards": lambda x, i: x[i + 2 : i : -1, i + 1 : i - 1 : -1],
    "empty": lambda x, i: x[i:i],
    "empty by order": lambda x, i: x[i + 1 : i],
    "one": lambda x, i: x[i : i + 1],
    "of a part": lambda x, i: x[1:5][i : i + 2],
    "of the transpose": lambda x, i: x.T[i : i + 2],
    "part of it": lambda x, i: x[i : i + 3][i - 1 : i + 1],
    "reshaped": lambda x, i: np.reshape(x[i : i + 2], (7, 2)),
}


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["i8", "i4", "u8", "u4"])
def test_forms_read(form, dtype):
    f = FORMS[form]
    if form in ("negated", "swapped") and dtype.startswith("u"):
        return  # NumPy has no negative of an unsigned integer
    read = np.jit(f)
    for i in (1, 2):
        same(read(MATRIX, A(i, dtype)), f(MATRIX, i))


@pytest.mark.parametrize("form", FORMS)
def test_forms_in_a_batch(form):
    f = FORMS[form]
    many, wanted = A([2, 1, 1]), numpy.stack([f(MATRIX, i) for i in (2, 1, 1)])
    batched = np.vmap(lambda i: f(np.array(MATRIX), i))
    same(batched(many), wanted)
    same(np.jit(batched)(many), wanted)
    xs = numpy.stack([MATRIX, -MATRIX, MATRIX + 1])
    wanted = numpy.stack([f(x, i) for x, i in zip(xs, many, strict=True)])
    same(np.vmap(f)(xs, many), wanted)
    same(np.jit(np.vmap(f))(xs, many), wanted)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("form", FORMS)
def test_forms_written(form):
    class Written:
        """Assigns where FORMS read."""

        def __init__(self, x):
            self.x, self.T = x, x.T

        def __getitem__(self, index):
            shape = numpy.shape(self.x[index])
            self.x[index] = np.reshape(np.arange(1.0, 1.0 + int(numpy.prod(shape))), shape)
            self.x[index] *= 2.0
            return self.x[index]

    def write(x, i):
        x = np.array(x)
        FORMS[form](Written(x), i)
        return x

    for i in (1, 2):
        same(np.jit(write)(MATRIX, A(i)), write(MATRIX, i))


@pytest.mark.usefixtures("both_ways")
def test_a_part_is_a_view():
    def f(x, i):
        y = np.array(x)
        part = y[i : i + 2]
        part[0] = -1.0
        before = part[1] * 1
        y[i + 1] = 50.0
        part += 1
        part[1:] *= 2
        flat = part.reshape(-1)
        flat[0] = 7.0
        return y, part, before, np.shares_memory(y, part)

    wanted, found = f(X, 2), np.jit(f)(X, A(2))
    for a, b in zip(found, wanted, strict=True):
        same(a, b)
    parameter = X.copy()
    np.jit(lambda x, i: x[i : i + 2].fill(3.0))(parameter, A(4))
    same(parameter, [*X[:4], 3.0, 3.0, X[6]])


def test_lengths_may_be_sizes():
    f = np.jit(lambda x, y, i: x[i : i + len(y)] * y)
    for n in (2, 3, 5, 6):
        y = numpy.arange(float(n))
        same(f(X, y, A(1)), X[1 : 1 + n] * y)
        with pytest.raises(IndexError, match="whose start is traced"):
            f(X, y, A(8 - n))


# What is not there


OUTSIDE = {
    "end": (lambda x, i: x[i : i + 2], [6, 7, -1, -2, 10**12, -(2**63), 2**63 - 1]),
    "before": (lambda x, i: x[i - 1 : i + 1], [0, -3, 7]),
    "backwards": (lambda x, i: x[i : i - 3 : -1], [2, 7, 1, -1]),
    "step": (lambda x, i: x[i : i + 4 : 2], [-1, 5]),
    "empty by order": (lambda x, i: x[i + 1 : i - 1], [0]),
    "second axis": (lambda x, i: np.stack([x, x])[:, i : i + 2], [6, -1]),
}


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_part_that_would_have_another_length_is_an_index_error(name):
    f, places = OUTSIDE[name]
    for i in places:
        for run in (np.jit(f), lambda x, i: np.vmap(f)(numpy.stack([x, x]), A([3, i]))):
            with pytest.raises(IndexError, match=r"slice of . elements whose start is traced"):
                run(X, A(i))


def test_a_part_that_fits_nowhere_is_an_index_error_at_once():
    with pytest.raises(IndexError, match=r"slice of 9 elements .* axis 0 with size 7"):
        np.jit(lambda x, i: x[i : i + 9]).trace(X, A(1))


UNKNOWN = {
    "to the end": lambda x, i: x[i:],
    "from the start": lambda x, i: x[:i],
    "to a number": lambda x, i: x[i:5],
    "two numbers": lambda x, i: x[i : 2 * i],
    "step": lambda x, i: x[0:5:i],
    "small integers": lambda x, i: x[i.astype("i1") : i.astype("i1") + 2],
    "written": lambda x, i: np.array(x).__setitem__(slice(i, None), 0.0) or x,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_lengths_that_are_not_known_say_what_to_write(name):
    f = UNKNOWN[name]
    wanted = r"x\[i \+ np\.arange\(n\)\]"
    with pytest.raises(np.ConcretizationError, match=wanted):
        np.jit(f).trace(X, A(2))
    if name != "small integers":
        with pytest.raises(np.BatchingError, match=wanted):
            np.vmap(f)(numpy.stack([X, X]), A([1, 2]))
    np.jvp(lambda x: f(x, np.array(2)), (X,), (X,))  # where numbers are known, all is NumPy's


def test_numbers_that_are_known_are_numpys_slices():
    wanted = X[5:7]
    same(np.jvp(lambda x: x[np.array(5) : np.array(9)], (X,), (X,))[0], wanted)
    same(np.vmap(lambda x: x[np.array(-2) :])(X[None])[0], wanted)


def test_starts_of_other_types_are_type_errors():
    for bad in (1.0, A([1, 2])):
        with pytest.raises(TypeError):
            np.jit(lambda x, i: x[i : i + 2]).trace(X, bad)
