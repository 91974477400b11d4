"""einsum and the products beside it: views, errors, keyword arguments, the cost of a batch."""

import numpy
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from recording import visited_binds

import xnp as np

rng = numpy.random.default_rng(0)


def traced(fun, *args):
    """The result of ``fun`` on traced arguments."""
    return np.vjp(fun, *args)[0]


@pytest.mark.parametrize(
    ("text", "shape"), [("ii->i", (3, 3)), ("ij->ji", (2, 3)), ("iij->ji", (2, 2, 3)), ("i", (3,))]
)
def test_writes_through_the_view_that_one_operand_gives(text, shape):
    def program(xp, x):
        a = xp.zeros(shape)
        view = xp.einsum(text, a)
        view[...] = x * xp.ones(view.shape)
        view[0] *= 2.0
        return a * 1.0

    assert_array_equal(traced(lambda x: program(np, x), 3.0), program(numpy, 3.0))
    wanted = program(numpy, 1.0)
    assert_array_equal(np.jacobian(lambda x: program(np, x))(3.0), wanted)


def test_sum_over_a_letter_gives_no_view():
    def program(x):
        out = np.einsum("ij->i", x)
        out[0] = 0.0
        return np.sum(x) + np.sum(out)

    assert_array_equal(np.grad(program)(numpy.ones((2, 2))), [[1.0, 1.0], [2.0, 2.0]])


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ij,jk", [(2, 3), (4, 2)]),
        ("ij,jk", [(2, 3)]),
        ("i", [(2, 3)]),
        ("ijk", [(2, 3)]),
        ("ii->i", [(2, 3)]),
        ("ii->i", [(1, 3)]),
        ("ij->ii", [(2, 3)]),
        ("ij->ijk", [(2, 3)]),
        ("i!->i", [(2, 3)]),
        ("...i->i", [(2, 3)]),
        ("ij->i->j", [(2, 3)]),
    ],
)
def test_refuses_what_numpy_refuses(text, shapes):
    arrays = [numpy.ones(shape) for shape in shapes]
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy's texts differ between versions
        numpy.einsum(text, *arrays)
    with pytest.raises(ValueError, match="einsum"):
        traced(lambda *arrays: np.einsum(text, *arrays), *arrays)


def test_error_names_operand_and_line():
    with pytest.raises(
        ValueError, match=r"'j' of 'ij,jk' has size 4 in operand 1 and 3 before.*at"
    ):
        traced(lambda a: np.einsum("ij,jk", a, numpy.ones((4, 2))), numpy.ones((2, 3)))


def test_writes_to_out():
    def program(a, b):
        out = np.zeros((2, 4))
        result = np.einsum("ij,jk->ik", a, b, out=out)
        assert result is out
        assert np.matmul(a, b, out=out) is out
        assert np.dot(a, b, out=out) is out
        return out + 0.0

    a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    assert_allclose(traced(program, a, b), a @ b, rtol=1e-14)


def test_casts_to_dtype():
    a = rng.normal(size=3).astype(numpy.float32)
    out = traced(lambda a: np.einsum("i,i", a, a, dtype=float), a)
    assert out.dtype == float
    with pytest.raises(TypeError, match="cannot cast operand 0"):
        traced(lambda a: np.einsum("i,i", a, a, dtype=numpy.float32), a.astype(float))
    same = traced(lambda a: np.einsum("i->i", a, dtype=numpy.float32, casting="same_kind"), a * 1.0)
    assert same.dtype == numpy.float32


def test_path_needs_only_shapes():
    a, b, c = (rng.normal(size=s) for s in ((2, 3), (3, 40), (40, 2)))
    wanted = numpy.einsum_path("ij,jk,kl", a, b, c, optimize="optimal")
    found = []
    np.vjp(lambda a: found.append(np.einsum_path("ij,jk,kl", a, b, c, optimize="optimal")) or a, a)
    assert found[0] == wanted


def test_matmul_of_a_scalar_and_of_wrong_shapes():
    a = numpy.ones((2, 3))
    with pytest.raises(ValueError, match="matmul"):
        traced(lambda a: a @ 2.0, a)
    with pytest.raises(ValueError, match="matmul"):
        traced(lambda a: a @ a, a)
    with pytest.raises(ValueError, match=r"matmul.*do not fit"):
        np.vmap(lambda row: row @ a.T)(a[:, :2])


def binds_of(name, fun, *args):
    shapes = []

    def visit(primitive, args, params, result):
        if primitive.name == name:
            shapes.append(tuple(numpy.shape(a) for a in args))

    with visited_binds(visit):
        fun(*args)
    return shapes


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 3), (5, 2, 4, 3)])
def test_a_batch_of_rows_times_one_matrix_is_one_product(shape):
    x, w = rng.normal(size=shape), rng.normal(size=(3, 2))
    (shapes,) = binds_of("matmul", np.vmap(lambda x: numpy.matmul(x, w)), x)[-1:]
    assert shapes == ((x.size // 3, 3), (3, 2))


def test_per_example_gradients_sum_to_the_gradient():
    x, w = rng.normal(size=(5, 3)), rng.normal(size=(3, 2))
    loss = lambda w, x: np.sum(np.tanh(x @ w) ** 2)
    each = np.vmap(np.grad(loss), in_axes=(None, 0))(w, x)
    assert_allclose(each.sum(0), np.grad(loss)(w, x), rtol=1e-13)


def test_keepdims_and_axes_of_generalised_ufuncs():
    a, b = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    for keywords in ({"axis": 0}, {"axis": 0, "keepdims": True}, {"keepdims": True}):
        wanted = numpy.vecdot(a, b, **keywords)
        assert_allclose(traced(lambda a: np.vecdot(a, b, **keywords), a), wanted)  # noqa: B023
    wanted = numpy.matmul(a, b, axes=[(1, 0), (0, 1), (0, 1)])
    found = traced(lambda a: np.matmul(a, b, axes=[(1, 0), (0, 1), (0, 1)]), a)
    assert_allclose(found, wanted)


def test_convolve_refuses_what_numpy_refuses():
    for bad in (numpy.ones((2, 2)), numpy.ones(0)):
        with pytest.raises(ValueError, match="v"):
            traced(lambda a: np.convolve(a, bad), numpy.ones(3))  # noqa: B023
    with pytest.raises(ValueError, match="mode"):
        traced(lambda a: np.convolve(a, a, "fll"), numpy.ones(3))


def test_multi_dot_takes_the_cheap_order():
    a, b, c = rng.normal(size=(100, 2)), rng.normal(size=(2, 100)), rng.normal(size=(100, 3))
    shapes = binds_of("matmul", lambda a: traced(lambda a: np.linalg.multi_dot([a, b, c]), a), a)
    assert ((100, 2), (2, 100)) not in shapes
