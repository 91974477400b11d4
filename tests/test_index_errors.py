"""Indices that do not fit: NumPy's errors, in terms of the user's axes, wherever they are found."""

import numpy
import pytest

import xnp as np

A = numpy.array
X = numpy.arange(6.0).reshape(2, 3)
EMPTY = numpy.zeros((0, 3))
HUGE = A(2**64 - 1, "u8")


def written(x, i):
    y = np.array(x)
    y[0, i] = 2.0
    return y


def added(x, i):
    y = np.array(x)
    np.add.at(y, (slice(None), i), 2.0)
    return y


CASES = {
    "number": (lambda x, i: x[0, i], X, A(5)),
    "number in the last axis": (lambda x, i: x[..., i], X, A(-4)),
    "array": (lambda x, i: x[0, i], X, A([1, 5])),
    "array behind a slice": (lambda x, i: x[:, i], X, A([-4])),
    "two arrays": (lambda x, i: x[i, i], X, A(2)),
    "second of two": (lambda x, i: x[i - 4, i], X, A([5])),
    "behind a new axis": (lambda x, i: x[:, None, i], X, A([7])),
    "take": (lambda x, i: np.take(x, i, axis=1), X, A([0, 9])),
    "take from the end": (lambda x, i: np.take(x, i, axis=-1), X, A(-9)),
    "written": (written, X, A(7)),
    "written by an array": (written, X, A([1, 7])),
    "added": (added, X, A([7])),
    "part": (lambda x, i: x[0][i], X, A(4)),
    "shapes": (lambda x, i: x[[0, 1], i], X, A([0, 1, 2])),
    "choose": (lambda x, i: np.choose(i, [x[0], 2.0]), X, A([0, 9, 1])),
    "choose from the end": (lambda x, i: np.choose(i, [x[0], 2.0]), X, A([0, -1, 1])),
    "unsigned": (lambda x, i: x[0, i], X, HUGE),
}


def error_of(f, *args):
    with pytest.raises((IndexError, ValueError, OverflowError)) as caught:
        f(*args)
    return type(caught.value), str(caught.value).partition(" (at ")[0].strip()


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("name", CASES)
def test_jit_raises_numpys_error(name):
    f, x, i = CASES[name]
    wanted = error_of(f, x, i)
    assert error_of(np.jit(f), x, i) == wanted
    assert error_of(np.grad(lambda x: np.sum(np.jit(f)(x, i))), x) == wanted
    assert error_of(np.jit(np.grad(lambda x, i: np.sum(f(x, i) ** 2))), x, i) == wanted


@pytest.mark.parametrize("name", sorted(set(CASES) - {"shapes"}))
def test_vmap_raises_numpys_error(name):
    f, x, i = CASES[name]
    wanted = error_of(f, x, i)
    xs, many = numpy.stack([x, x]), numpy.stack([0 * i, i])
    if name == "second of two":
        many[0] = 2
    assert error_of(np.vmap(f), xs, many) == wanted
    assert error_of(np.jit(np.vmap(f)), xs, many) == wanted
    assert error_of(np.jit(np.vmap(f, in_axes=(0, None))), xs, i) == wanted


@pytest.mark.usefixtures("both_ways")
def test_a_derivative_that_reads_no_element_names_the_axis_too():
    f = lambda x, i: np.sum(x[:, i])
    assert error_of(np.jit(np.grad(f)), X, A([7])) == error_of(f, X, A([7]))
    assert error_of(np.jit(np.vmap(np.grad(f))), X[None], A([[7]])) == error_of(f, X, A([7]))


def test_written_out_shapes_that_do_not_fit_together():
    f = lambda x: x[[0, 1], [0, 1, 2]]
    assert error_of(np.jit(f), X) == error_of(f, X)


@pytest.mark.parametrize("i", [A(5), A([5]), A([-4, 0])])
def test_indices_into_arrays_without_elements(i):
    f = lambda x, i: x[:, i]
    (kind, text), wanted = error_of(np.jit(f), EMPTY, i), error_of(f, EMPTY, i)
    assert kind is wanted[0] is IndexError
    assert text == "an index is out of bounds for axis 1 with size 3"
    numpy.testing.assert_array_equal(np.jit(f)(EMPTY, i * 0 - 3), f(EMPTY, i * 0 - 3))


def test_unsigned_indices_are_numpys():
    f = lambda x, i: x[0, i]
    for i in (A(2, "u8"), A([2, 0], "u8"), A([255], "u1") - A([254], "u1"), HUGE[None]):
        numpy.testing.assert_array_equal(np.jit(f)(X, i), f(X, i))
    assert error_of(np.jit(f), X, A(255, "u1")) == error_of(f, X, A(255, "u1"))
