"""jit with sizes that change from call to call: the plain function's results at each."""

import queue

import numpy
import pytest
from laws import assert_close, largest

import xnp as np
from xnp.testing.vectors import leaves_of, precision_of

PROGRAMS = {
    "sum": lambda x: np.sum(np.sin(x) * x),
    "mean": lambda x: np.mean(x) + np.var(x) / x.size + np.std(x, ddof=1),
    "mean of float32": lambda x: np.mean(x.astype(np.float32)),
    "slices": lambda x: (x[1:] - x[:-1], x[-3:] * 2, x[2:-2:2] * 3, x[: x.shape[0] // 2] * 2),
    "slices backward": lambda x: (x[::-1] * 2, x[-2::-1] * 1.0, x[5:0:-1] + 1, x[::-2] * 2),
    "slices beyond": lambda x: (x[:100] * 2, x[100:] * 2, x[-100:] * 2),
    "last element": lambda x: x[-1] + x[x.shape[0] - 1] + x[x.shape[0] // 2],
    "reshape": lambda x: np.where(x > 0, x, 0).reshape(1, -1).T.copy().ravel(),
    "concatenate": lambda x: np.concatenate([x, x[:2], np.zeros(x.shape[0]), np.ones_like(x)]),
    "outer": lambda x: np.outer(x, x).trace() + np.outer(x, x).T.sum(axis=0),
    "matrices": lambda x: np.diag(x) @ x + np.eye(x.size) @ x + np.tri(x.size).sum(1),
    "triangles": lambda x: np.triu(np.outer(x, x)).sum(0) + np.tril(np.outer(x, x), -1).sum(1),
    "cumulative": lambda x: np.cumsum(x) / np.arange(1, x.size + 1),
    "roll": lambda x: (np.roll(x, 2), np.roll(x, -1), np.fft.fftshift(x), np.fft.ifftshift(x)),
    "pad": lambda x: (np.pad(x, 2, mode="wrap"), np.pad(x, (1, 3)), np.pad(x, 2, mode="edge")),
    "repeat": lambda x: (np.tile(x, 3), np.repeat(x, 2), np.resize(x, (2, x.size))),
    "sort": lambda x: (np.sort(x)[::-1], x[np.argsort(x)], np.median(x), np.quantile(x, 0.3)),
    "convolve": lambda x: np.convolve(x, np.array([1.0, 2.0, 3.0]), "valid"),
    "spectrum": lambda x: np.abs(np.fft.fft(x)) + np.fft.irfft(np.fft.rfft(x), x.shape[0]),
    "interp": lambda x: np.interp(x, np.linspace(-1, 1, x.shape[0]), np.arange(x.shape[0]) * 1.0),
    "solve": lambda x: np.linalg.solve(np.eye(x.size) * 3 + np.outer(x, x) * 0.1, x),
    "sizes": lambda x: (x.shape, x.size, x.shape[0] / 2, x.shape[0] * 0.5 + np.sum(x)),
    "split": lambda x: [part * 2 for part in np.array_split(x, 2)],
    "loop": lambda x: sum(x[i] * i for i in range(min(x.shape[0], 4))),
    "gradient": np.grad(lambda y: np.sum(y[1:] * y[:-1]) / y.size),
    "hessian": np.hessian(lambda y: np.sum(y[1:] ** 2 * y[:-1])),
    "batch": lambda x: np.vmap(lambda a: a * np.sum(x))(x),
    "batch of gradients": lambda x: np.vmap(np.grad(lambda a: np.sum(np.tanh(a * x))))(x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_at_every_size(name):
    """Also those that violate what was assumed of the sizes before, which are recorded anew."""
    f = PROGRAMS[name]
    jitted = np.jit(f)
    for size in (6, 8, 9, 7, 12, 5, 6):
        x = numpy.random.default_rng(size).normal(size=size)
        wanted, found = leaves_of(f(x)), leaves_of(jitted(x))
        assert [type(leaf) for leaf in found] == [type(leaf) for leaf in wanted]
        for ours, numpys in zip(found, wanted, strict=True):
            assert numpy.asarray(ours).dtype == numpy.asarray(numpys).dtype
            tolerance = 100 * precision_of(numpys) * max(largest(numpys), 1.0)
            assert_close(ours, numpys, tolerance, f"{name} of {size} elements")


def test_one_program_serves_all_sizes():
    f = np.jit(lambda x, y: np.tanh(x @ y) / x.shape[0])
    for n, m in [(3, 4), (5, 6), (7, 8), (20, 30)]:
        f(numpy.ones((n, m)), numpy.ones(m))
    explained = str(np.explain(f))
    assert explained.count(" ms ") == 2
    assert "for any size with n1 == n2" in explained


def test_wrong_sizes_are_numpys_error():
    f = np.jit(lambda x, y: x + y)
    for n in (3, 4, 5):
        f(numpy.ones(n), numpy.ones(n))
    with pytest.raises(ValueError, match="broadcast"):
        f(numpy.ones(6), numpy.ones(7))
    numpy.testing.assert_array_equal(f(numpy.ones(6), numpy.ones(1)), numpy.full(6, 2.0))


# -- sizes are ints to the program --


def test_texts_of_sizes_are_those_of_the_call():
    names = {"w3": 1.0, "w4": 2.0, "w5": 3.0}
    f = np.jit(lambda x: (x * names[f"w{x.shape[0]}"], f"{x.shape}", str(x.size), repr(x.shape)))
    for n in (3, 4, 5, 4, 3):
        scaled, *texts = f(numpy.ones(n))
        assert scaled[0] == n - 2
        assert texts == [f"({n},)", f"{n}", f"({n},)"]


def test_a_size_is_an_int_at_every_call():
    f = np.jit(lambda x: x * 2 if isinstance(x.shape[0], (int, numpy.integer)) else x * 3)
    assert [f(numpy.ones(n))[0] for n in (3, 4, 5)] == [2.0, 2.0, 2.0]


def test_slices_of_sizes_are_returned_with_numbers():
    f = np.jit(lambda x: (x, slice(0, x.shape[0], 2)))
    for n in (3, 4, 5, 6):
        assert f(numpy.ones(n))[1] == slice(0, n, 2)


def test_a_size_that_was_kept_answers_no_question():
    kept = queue.SimpleQueue()  # what it holds nobody sees
    f = np.jit(lambda x: kept.put(x.shape[0]) or x.mean())
    for n in (3, 4):
        f(numpy.ones(n))
    assert kept.get() == 3
    size = kept.get()
    for question in (lambda n: n == 4, lambda n: n in (3, 4), lambda n: {n: 1}, lambda n: n > 3):
        with pytest.raises(np.LeakedTracerError, match="was asked for a number"):
            question(size)


def test_a_size_that_is_stored_in_an_object_is_a_number():
    class Norm:
        @np.jit
        def fit(self, x):
            self.n = x.shape[0]
            return x.mean()

    norm = Norm()
    for n in (3, 4, 5, 4):
        assert norm.fit(numpy.ones(n)) == 1.0
        assert type(norm.n) is int
        assert norm.n == n


def test_a_failed_call_says_nothing_of_other_sizes():
    f = np.jit(lambda x, y: x + y)
    f(numpy.ones(3), numpy.ones(3))
    with pytest.raises(ValueError, match="broadcast"):
        f(numpy.ones(4), numpy.ones(3))
    for n in (5, 6, 7, 8):
        numpy.testing.assert_array_equal(f(numpy.ones(n), numpy.ones(n)), numpy.full(n, 2.0))
    assert len(np.explain(f)) == 2
    assert "for any size" in np.explain(f)[1].note


def test_explain_tells_where_a_size_is_taken_for_a_number():
    def mean(x):
        return np.sum(x) / len(x)

    f = np.jit(mean)
    for n in (3, 4, 5):
        assert f(numpy.ones(n)) == 1.0
    first, *others = [compiled.note for compiled in np.explain(f)]
    assert first == ""
    assert len(others) == 2
    for note in others:
        assert note.startswith("for these sizes: one is taken for a number (at test_jit_sizes.py:")
        assert note.endswith("return np.sum(x) / len(x))")


def half(b):
    return b[: b.shape[0] // 2]


STRETCHED = {
    "product": lambda b: b * half(b),
    "gradient": np.grad(lambda b: np.sum(b * half(b))),
    "hessian": np.hessian(lambda b: np.sum(b * half(b))),
    "constant": lambda b: half(b) + numpy.ones(4),
    "broadcast": lambda b: np.broadcast_to(half(b), 4),
    "joined": lambda b: np.concatenate([half(b), b]) * half(b),
    "assigned": lambda b: np.array(b) * 0 + half(b),
    "loop": lambda b: np.fori_loop(0, 3, lambda i, c: c * half(b) + half(b), b),
    "batch": lambda b: np.vmap(lambda x: x * half(b))(np.stack([b, 2 * b])),
    "steps": lambda b: b * b[::3],
}


@pytest.mark.parametrize("name", STRETCHED)
def test_sizes_that_only_a_guard_makes_1_are_stretched(name):
    f, sizes = STRETCHED[name], (1, 2, 3) if name == "steps" else (2, 3, 2)
    jitted = np.jit(f)
    for n in sizes:
        b = numpy.arange(1.0, n + 1)
        numpy.testing.assert_allclose(jitted(b), f(b))


PLACES = {
    "3 - n": lambda n: 3 - n,
    "-n": lambda n: -n,
    "1 - n": lambda n: 1 - n,
    "-(n // 2)": lambda n: -(n // 2),
    "-n // 4": lambda n: -n // 4,
    "n // 2": lambda n: n // 2,
    "n - 2": lambda n: n - 2,
    "2 - n // 2": lambda n: 2 - n // 2,
}


@pytest.mark.parametrize("name", PLACES)
def test_places_that_are_computed_of_sizes(name):
    """Negative ones count from the end, reading, writing and in derivatives."""
    place = PLACES[name]

    def written(b):
        c = np.array(b)
        c[place(b.shape[0])] = 9.0
        c[place(b.shape[0])] += 1.0
        return c

    column = lambda b: (b * b[:, None])[:, place(b.shape[0])]
    read = lambda b: b[place(b.shape[0])] ** 2
    loop = lambda b: np.fori_loop(0, 2, lambda i, c: c + read(b), 0.0)
    for f in (written, column, read, np.grad(read), loop):
        jitted = np.jit(f)
        for n in (5, 4, 6, 3, 2, 7):
            b = numpy.arange(1.0, n + 1)
            try:
                wanted = f(b)
            except IndexError:
                with pytest.raises(IndexError):
                    jitted(b)
                continue
            numpy.testing.assert_allclose(jitted(b), wanted)


VIEWS = {
    "rows backwards": lambda a: a[::-1],
    "columns backwards": lambda a: a[:, ::-1],
    "parts backwards": lambda a: a[:0:-1, 1:],
    "parts": lambda a: a[1:, :-1],
    "every second": lambda a: a[::2, ::-2],
}


@pytest.mark.parametrize("name", VIEWS)
def test_products_of_views_of_any_size(name):
    view = VIEWS[name]
    functions = (
        lambda a: view(a) @ view(a).T,
        lambda a: view(a).T @ view(a),
        lambda a: view(a) @ np.sum(view(a), 0),
        lambda a: np.sum(view(a), 1) @ view(a),
        lambda a: np.linalg.solve(view(a).T @ view(a) + 99 * np.eye(view(a).shape[1]), view(a).T),
    )
    for f in functions:
        jitted = np.jit(f)
        for shape in ((4, 7), (12, 9), (3, 3), (5, 5), (40, 50), (4, 2)):
            x = numpy.random.default_rng(0).normal(size=shape)
            for a in (x, numpy.asfortranarray(x), x[::-1, ::-1]):
                numpy.testing.assert_allclose(jitted(a), f(a), rtol=1e-9, atol=1e-12)


RETURNED_VIEWS = {
    "slice": lambda x: np.sin(x)[: x.shape[0] - 1],
    "slice of an argument": lambda x: x[x.shape[0] // 2 :],
    "reshape": lambda x: np.sin(x).reshape(x.shape[0] // 2, 2),
    "part of a transpose": lambda x: np.outer(x, x).T[: x.shape[0] - 1, 1:],
    "broadcast": lambda x: np.broadcast_to(np.sin(x), (2, x.shape[0])),
    "diagonal": lambda x: np.diagonal(np.outer(x, x)[: x.shape[0] - 1]),
    "windows": lambda x: np.lib.stride_tricks.sliding_window_view(x * 2, x.shape[0] - 2),
}


@pytest.mark.parametrize("name", RETURNED_VIEWS)
def test_views_that_are_returned_under_transformations(name):
    """Backward passes, and writes, ask for their places after the call."""

    def total(f, x):
        view = f(x)
        if view.flags.writeable:
            view[..., 0] = 3.0 * view[..., 1]
        return np.sum(view**2 * np.arange(view.shape[-1])) + np.sum(x)

    f = RETURNED_VIEWS[name]
    jitted = np.jit(f)
    for size in (4, 6, 8):
        x = numpy.random.default_rng(size).normal(size=size)
        for of in (np.grad, lambda f: lambda y: np.jvp(f, (y,), (y,))[1], np.hessian):
            found, wanted = of(lambda y: total(jitted, y))(x), of(lambda y: total(f, y))(x)
            numpy.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


NUMPY_INTEGERS = {
    "int64": lambda x: x * (x.shape[0] * numpy.int64(2)),
    "from the left": lambda x: x * (numpy.int64(2) * x.shape[0]),
    "int8 wraps": lambda x: x * (x.shape[0] * numpy.int8(2)),
    "uint8 wraps": lambda x: x.sum() * (x.shape[0] - numpy.uint8(5)),
    "returned": lambda x: x.shape[0] * numpy.int64(2),
    "quotient": lambda x: x * (x.shape[0] // numpy.int32(2)),
    "remainder": lambda x: x * (x.shape[0] % numpy.int32(3)),
    "comparison": lambda x: x * 2 if x.shape[0] > numpy.int64(5) else x,
    "slices": lambda x: x[: numpy.int64(2)] + x[x.shape[0] - numpy.int64(2) :],
    "negative power": lambda x: x.mean() * x.shape[0] ** -1,
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NUMPY_INTEGERS)
def test_sizes_with_numpy_integers_are_numpys(name):
    f = NUMPY_INTEGERS[name]
    for dtype in "fd":
        jitted = np.jit(f)
        for n in (8, 4, 70, 3):
            x = numpy.ones(n, dtype)
            wanted, found = f(x), jitted(x)
            assert type(found) is type(wanted)
            assert numpy.asarray(found).dtype == numpy.asarray(wanted).dtype
            numpy.testing.assert_allclose(found, wanted)
