"""Programs that write into arrays, as NumPy programs do, under the transformations.

Each is run on plain NumPy and under grad, jvp, vmap and grad of grad; what comes out must be what
the same program without writing gives, or what NumPy gives on every example.
"""

import threading

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp as np
from xnp.autodiff import foreign


def _numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).uniform(0.5, 1.5, shape)


def recurrence(x):
    """x**2 + x**3 + ... by filling an array from its own elements."""
    f = np.zeros(6)
    f[0] = x[0]
    for i in range(1, 6):
        f[i] = f[i - 1] * x[0]
    return f * x[1]


def blocks(x):
    a = np.zeros((4, 4))
    a[:2, :2] = x[:2] * x[2:, None]
    a[2:, 2:] = a[:2, :2].T * 2.0
    a[:2, 2:] = x[0]
    return a


def transposed_view(x):
    w = np.array(x).reshape(2, 2)
    t = w.T
    w[0] = x[:2] * x[2:]
    return t.dot(x[1:3]) * w.T.dot(x[:2])


def used_before_and_after(x):
    y = x * 2.0
    before = y * y
    y[1] = x[0] * x[2]
    return before * y[1] + y


def swap(x):
    y = x * x
    y[[0, 1]] = y[[1, 0]]
    y[2], y[3] = y[3], y[2]
    return y * x


def shifted_sum(x):
    y = x * 1.0
    y[1:] += y[:-1] * x[1:]
    y[:-1] -= y[1:]
    return y * y


def overlapping_copy(x):
    y = x * x
    y[1:] = y[:-1]
    z = x * x
    z[::-1] = z
    y[:2] *= z[2:]
    return y * z


def views_of_views(x):
    y = x.reshape(2, 2) * 1.0
    column = y[:, 1]
    column *= x[0]
    column[::-1][0] += y[0, 0]
    corner = y[1:][:, 1:]
    corner[...] = corner * column[0]
    y.ravel()[2] = x[3] ** 2
    return y


def out_arguments(x):
    y = np.zeros(4)
    np.multiply(x, x, out=y)
    np.add(y, x[0], out=y)
    np.exp(y[:2], out=y[2:])
    np.sum(x * y, out=y[0, ...])
    return y * x


def repeated_additions(x):
    y = x * 1.0
    np.add.at(y, [0, 1, 0, 3], x * x)
    np.subtract.at(y, ([2, 2],), x[:2])
    return y * y


def masked(x):
    y = x * 1.0
    y[x > 1.0] = 1.0
    y[y < 0.7] *= y[y < 0.7]
    return y * x


def in_place_operators(x):
    y = x * 1.0
    alias = y
    y += x
    y *= alias
    y **= 2
    y /= x[0]
    alias -= 1.0
    return y


def elimination(x):
    """Gaussian elimination of a matrix with x on it, in place."""
    a = np.eye(4) * 3.0 + np.outer(x, x)
    b = np.array(x)
    for k in range(4):
        for i in range(k + 1, 4):
            factor = a[i, k] / a[k, k]
            a[i, k:] -= factor * a[k, k:]
            b[i] -= factor * b[k]
    for k in range(3, -1, -1):
        b[k] = (b[k] - a[k, k + 1 :] @ b[k + 1 :]) / a[k, k]
    return b


def stencil(x):
    u = np.zeros((3, 4))
    u[0] = x
    for t in range(2):
        u[t + 1, 1:-1] = u[t, 1:-1] + 0.1 * (u[t, 2:] - 2 * u[t, 1:-1] + u[t, :-2])
        u[t + 1, [0, -1]] = u[t + 1, [1, -2]]
    return u * x


def structure_of_rows(x):
    rows = [np.array(x), np.array(x) * 2.0]
    for row in rows:
        row[1:] *= row[0]
    first, second = rows
    first += second
    return np.stack(rows)


PROGRAMS = [
    recurrence,
    blocks,
    transposed_view,
    used_before_and_after,
    swap,
    shifted_sum,
    overlapping_copy,
    views_of_views,
    out_arguments,
    repeated_additions,
    masked,
    in_place_operators,
    elimination,
    stencil,
    structure_of_rows,
]
X = _numbers(4)
EPS = 1e-6


def _difference(function, x, x_dot, h=EPS):
    return (function(x + h * x_dot) - function(x - h * x_dot)) / (2 * h)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
class TestPrograms:
    def test_value(self, program):
        kept = X.copy()
        expected = program(X)
        for found in (np.vjp(program, X)[0], np.jvp(program, (X,), (X,))[0]):
            numpy.testing.assert_array_equal(found, expected)
        numpy.testing.assert_array_equal(X, kept)

    def test_derivative(self, program):
        x_dot = _numbers(4, seed=1)
        y, y_dot = np.jvp(program, (X,), (x_dot,))
        numpy.testing.assert_allclose(y_dot, _difference(program, X, x_dot), rtol=1e-6, atol=1e-8)
        ct = _numbers(*y.shape, seed=2)
        (x_ct,) = np.vjp(program, X)[1](ct)
        numpy.testing.assert_allclose((x_ct * x_dot).sum(), (ct * y_dot).sum(), rtol=1e-12)
        numpy.testing.assert_allclose(np.linearize(program, X)[1](x_dot), y_dot, rtol=1e-14)

    def test_gradient_of_gradient(self, program):
        def total(x):
            return np.sum(program(x) ** 2)

        x_dot = _numbers(4, seed=1)
        reverse = np.grad(lambda x: np.sum(np.grad(total)(x) * x_dot))(X)
        forward = np.jvp(np.grad(total), (X,), (x_dot,))[1]
        numpy.testing.assert_allclose(reverse, forward, rtol=1e-12, atol=1e-12)
        difference = _difference(np.grad(total), X, x_dot)
        numpy.testing.assert_allclose(forward, difference, rtol=1e-5, atol=1e-6)

    def test_batch(self, program):
        batch = _numbers(3, 4, seed=3)
        if program is masked:
            batch[:] = batch[0]  # masks of a batch must be of one size to be read
        numpy.testing.assert_allclose(
            np.vmap(program)(batch), numpy.stack([program(x) for x in batch]), rtol=1e-14
        )

        def total(x):
            return np.sum(program(x) ** 2)

        loop = numpy.stack([np.grad(total)(x) for x in batch])
        numpy.testing.assert_allclose(np.vmap(np.grad(total))(batch), loop, rtol=1e-12)
        together = np.grad(lambda batch: np.sum(np.vmap(total)(batch)))(batch)
        numpy.testing.assert_allclose(together, loop, rtol=1e-12)


# ------------------------------------------------------------------- random programs


# What can be written, each with something of its shape.
TARGETS = {
    "a": "b",
    "b": "a",
    "a[1:]": "b[:-1]",
    "b[::-1]": "a",
    "a[:-1]": "a[1:]",
    "v": "b[1:3]",
    "m[0]": "v",
    "m[:, 1]": "m[0]",
    "m.T[1]": "b[:2]",
}


def _statement(draw):
    """One statement on the arrays a and b, the views v of a and m of b, and the argument x."""
    target = draw(st.sampled_from(sorted(TARGETS)))
    kind = draw(st.sampled_from(["=", "+=", "*=", "-="]))
    factor = draw(st.sampled_from(["x[0]", "0.5", "a[0]", "m[1, 0]", "v[1]"]))
    return f"{target}{'[...]' if kind == '=' else ''} {kind} {TARGETS[target]} * {factor}"


@st.composite
def random_programs(draw):
    return [_statement(draw) for _ in range(draw(st.integers(1, 8)))]


def _run(statements, x):
    names = {"np": np, "x": x}
    exec("a = np.array(x); b = a * 0.5; v = a[1:3]; m = b.reshape(2, 2)", names)
    for statement in statements:
        exec(statement, names)
    return np.stack([names["a"], names["b"]]) + np.sum(names["m"] * names["v"])


@given(random_programs())
def test_random_programs(statements):
    """Writing through views that overlap, in any order: NumPy's values, and their derivatives."""
    x_dot = _numbers(4, seed=1)
    y, y_dot = np.jvp(lambda x: _run(statements, x), (X,), (x_dot,))
    numpy.testing.assert_allclose(y, _run(statements, X), rtol=1e-14)
    complex_step = _run(statements, X + 1e-30j * x_dot).imag / 1e-30  # exact: all is analytic
    numpy.testing.assert_allclose(y_dot, complex_step, rtol=1e-11, atol=1e-11)
    ct = _numbers(2, 4, seed=2)
    (x_ct,) = np.vjp(lambda x: _run(statements, x), X)[1](ct)
    numpy.testing.assert_allclose((x_ct * x_dot).sum(), (ct * y_dot).sum(), rtol=1e-11)
    batch = numpy.stack([X, X * 1.5])
    loop = numpy.stack([_run(statements, x) for x in batch])
    numpy.testing.assert_allclose(np.vmap(lambda x: _run(statements, x))(batch), loop, rtol=1e-14)


# --------------------------------------------------- arrays from outside that are overwritten

SMALL, LARGE = 8, 100_000


def test_a_small_buffer_may_be_reused():
    """The values that an array had when it was used count, also in the backward pass."""
    buffer = numpy.empty(SMALL)

    def program(x):
        total = 0.0
        for k in range(1, 4):
            buffer[:] = k
            total = total + np.sum(x * buffer) ** 2
        return total

    x = _numbers(SMALL)
    expected = sum(2 * (x * k).sum() * k for k in range(1, 4))
    numpy.testing.assert_allclose(np.grad(program)(x), numpy.full(SMALL, expected), rtol=1e-14)


def test_a_large_buffer_is_read_only_while_it_is_needed():
    buffer = numpy.ones(LARGE)

    def program(x):
        y = np.sum(x * buffer)
        with pytest.raises(ValueError, match="read-only"):
            buffer[:] = 2.0
        return y

    numpy.testing.assert_array_equal(np.grad(program)(buffer * 3.0), numpy.ones(LARGE))
    buffer[:] = 2.0


def test_large_arrays_are_given_back_after_an_exception():
    buffer = numpy.ones((LARGE, 1))
    part = buffer[::2]

    def program(x):
        y = np.sum(x * buffer) + np.sum(x * part)
        assert not buffer.flags.writeable
        raise KeyError(y.shape)

    for _ in range(2):
        with pytest.raises(KeyError):
            np.grad(program)(2.0)
        assert buffer.flags.writeable
        assert part.flags.writeable


def test_read_only_arrays_stay_read_only():
    constant = numpy.ones(LARGE)
    constant.flags.writeable = False
    np.grad(lambda x: np.sum(x * constant))(2.0)
    assert not constant.flags.writeable


def test_nested_transformations_hold_large_arrays_until_the_outermost_ends():
    buffer = numpy.ones(LARGE)

    def inner(x):
        return np.sum(x * x * buffer)

    def outer(x):
        y = np.grad(inner)(x)
        assert not buffer.flags.writeable
        return y

    assert np.grad(outer)(2.0) == 2.0 * LARGE
    assert buffer.flags.writeable


def test_threads_share_large_arrays():
    buffer = numpy.ones(LARGE)
    inside, first_done = threading.Barrier(2, timeout=30), threading.Event()
    seen = {}

    def program(name):
        def function(x):
            y = np.sum(x * buffer)
            inside.wait()
            if name == "second":
                assert first_done.wait(30)
                seen["held by the second"] = not buffer.flags.writeable
            return y

        return function

    def first():
        seen["first"] = np.grad(program("first"))(1.0)
        first_done.set()

    def second():
        seen["second"] = np.grad(program("second"))(1.0)

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == {"first": LARGE, "second": LARGE, "held by the second": True}
    assert buffer.flags.writeable


def test_an_argument_may_be_overwritten_after_the_call():
    x = _numbers(SMALL)
    kept = x.copy()
    y, pull = np.vjp(lambda x: x * x, x)
    x[:] = 0.0
    numpy.testing.assert_array_equal(pull(numpy.ones(SMALL))[0], 2 * kept)
    numpy.testing.assert_array_equal(y, kept * kept)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_results_may_be_overwritten_before_the_backward_pass(size):
    x = numpy.linspace(0.5, 1.0, size)

    def program(x):
        inner = np.sin(x)
        return np.exp(inner), inner

    wanted = numpy.exp(numpy.sin(x)) * numpy.cos(x)
    for transform in (np.vjp, np.linearize):
        out, apply, aux = transform(program, x, has_aux=True)
        out[:] = aux[:] = 0.0
        found = apply(numpy.ones(size))
        numpy.testing.assert_allclose(
            found[0] if transform is np.vjp else found, wanted, rtol=1e-14
        )


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_results_have_memory_of_their_own(size):
    x, x_dot = numpy.ones(size), numpy.ones(size)

    def program(x):
        copied, filled = np.zeros(size), np.zeros(size)
        np.copyto(copied, x)
        filled[...] = x
        return x, x[::-1], copied, filled, x + 0.0

    out, out_dot = np.jvp(program, (x,), (x_dot,))
    results = [x, x_dot, *out, *out_dot, *np.vjp(program, x)[0], *np.linearize(program, x)[1](x)]
    for i, a in enumerate(results):
        assert a.flags.writeable
        assert not any(numpy.shares_memory(a, b) for b in results[:i])


def test_a_large_array_overwritten_through_a_view_that_was_there_before():
    buffer = numpy.ones(LARGE)
    view = buffer[:]

    def program(x):
        y = np.sum(x * buffer)
        view[:] = 2.0
        return y

    with pytest.raises(np.MutationError, match="through a view made before"):
        np.grad(program)(numpy.ones(LARGE))
    assert buffer.flags.writeable


class Duck:
    """Gives out its own memory."""

    def __init__(self):
        self.memory = numpy.ones(SMALL)

    def __array__(self, dtype=None, copy=None):
        return self.memory


@pytest.mark.parametrize(
    "use",
    [
        lambda x, duck: x * duck,
        lambda x, duck: np.multiply(duck, x),
        lambda x, duck: np.dot(duck, x),
        lambda x, duck: x * np.asarray(duck),
    ],
    ids=["operator", "ufunc", "function", "asarray"],
)
def test_an_object_that_gives_its_memory_may_overwrite_it(use):
    duck = Duck()

    def program(x):
        y = np.sum(use(x, duck))
        duck.memory[:] = 7.0
        return y

    numpy.testing.assert_array_equal(np.grad(program)(numpy.ones(SMALL)), numpy.ones(SMALL))


def test_views_of_views_of_views():
    """Chains that are longer than Python's stack is deep."""

    def program(x):
        y = x * 1.0
        view = y
        for _ in range(3000):
            view = view[::-1]
        view[0] = view[1] * 3.0
        return np.sum(y * y)

    x = numpy.array([1.0, 2.0, 3.0])
    numpy.testing.assert_array_equal(np.grad(program)(x), [0.0, 18 * x[1] + 2 * x[1], 2 * x[2]])


# -------------------------------------------------------------------- where it cannot work


def test_a_traced_value_cannot_go_into_an_ndarray():
    buffer = numpy.zeros(3)

    def store(x):
        buffer[0] = x
        return np.sum(buffer)

    with pytest.raises(np.MutationError, match=r"xnp\.zeros") as error:
        np.grad(store)(1.0)
    assert "with a sequence" in str(error.value.__cause__)  # NumPy's own words
    for write in (np.copyto, lambda b, x: np.put(b, 0, x), lambda b, x: np.putmask(b, b == 0, x)):
        with pytest.raises(np.MutationError, match="ndarray"):
            np.grad(lambda x, write=write: write(buffer, x) or x)(1.0)
    with pytest.raises(np.MutationError, match=r"a = a \+ b in place of a \+= b"):
        np.grad(lambda x: np.sum(np.add(x, x, out=buffer)))(1.0)
    assert not buffer.any()


def test_known_handles_go_into_ndarrays_through_functions():
    buffer = numpy.zeros(3)

    def program(x):
        np.copyto(buffer, np.arange(3.0))
        np.put(buffer, 0, np.ones(1))
        return x * buffer[2]

    assert np.grad(program)(1.0) == 2.0
    numpy.testing.assert_array_equal(buffer, [1.0, 1.0, 2.0])


def test_batched_values_go_into_arrays_made_inside_but_not_outside():
    def inside(x):
        out = np.zeros(3)
        out[1] = x
        out += x
        return out

    x = numpy.arange(2.0)
    numpy.testing.assert_array_equal(np.vmap(inside)(x), [[0, 0, 0], [1, 2, 1]])

    def outside(x):
        out = np.zeros(3)

        def store(t):
            out[0] = t
            return out

        return np.sum(np.vmap(store)(x))

    with pytest.raises(np.MutationError, match=r"made outside of it.*Make the array inside"):
        np.grad(outside)(x)


def test_inner_derivatives_do_not_leak_into_outer_arrays():
    def outer(x):
        cache = np.zeros(2)

        def inner(y):
            cache[0] = y
            return y * y

        return np.grad(inner)(x) + cache[0]

    with pytest.raises(np.MutationError, match="grad"):
        np.grad(outer)(1.0)


def test_outer_values_go_into_outer_arrays_from_inside():
    def outer(x):
        cache = np.zeros(2)

        def inner(y):
            cache[0] = x
            return y * x

        return np.grad(inner)(x) * cache[0]

    assert np.grad(outer)(3.0) == 6.0


def test_read_only_views():
    def program(x):
        np.broadcast_to(x, (2, 3))[0] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        np.grad(program)(numpy.ones(3))


def test_in_place_dtype_rules_are_numpys():
    def program(x):
        counts = np.zeros(3, int)
        counts += x

    with pytest.raises(TypeError, match="same_kind"):
        np.grad(program)(1.0)

    def narrow(x):
        y = np.zeros(2, "f4")
        y += x
        y[0] = x * 2
        return y

    y, pull = np.vjp(narrow, 1.5)
    assert y.dtype == numpy.float32
    assert pull(numpy.ones(2, "f4")) == (3.0,)


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.fill(3.0),
        lambda x: x.put(0, 3.0),
        lambda x: x.flat.__setitem__(0, 3.0),
        lambda x: np.copyto(x, 3.0),
        lambda x: np.add(x, 1.0, out=x),
    ],
    ids=["fill", "put", "flat", "copyto", "out"],
)
def test_a_scalar_cannot_be_written_to(write):
    def program(x):
        total = np.sum(x)
        write(total)
        return total

    with pytest.raises(TypeError, match=r"a scalar \(f64\[\]\) cannot be written to"):
        np.grad(program)(numpy.ones(3))


def test_arrays_are_given_back_in_spite_of_interrupts(monkeypatch):
    a, b = numpy.ones(10_000), numpy.ones(10_000)
    depth = foreign._base_depth

    def interrupted(x):
        if x is b:
            raise KeyboardInterrupt
        return depth(x)

    with monkeypatch.context() as patch:
        patch.setattr(foreign, "_base_depth", interrupted)
        with pytest.raises(KeyboardInterrupt):
            np.grad(lambda x: np.sum(x * a * b))(1.0)
    np.grad(lambda x: np.sum(x * numpy.ones(10_000)))(1.0)
    a[0] = b[0] = 2.0
    assert np.grad(lambda x: np.sum(x * a * b))(1.0) == 10_003.0
    a[0] = b[0] = 3.0
