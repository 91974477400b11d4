"""Loops over a batch that are cut into pieces: the same results, whatever the pieces."""

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from regions import equations
from test_control_flow_random import arguments, bodies, texts, weighted

import xnp
from xnp.codegen.batches import cutting
from xnp.runtime import recipe

RNG = numpy.random.default_rng(7)
B, H, T = 7, 5, 6
STATES, WEIGHTS, INPUTS = (
    RNG.normal(size=(B, H)),
    RNG.normal(size=(H, H)) / 3,
    RNG.normal(size=(T, B, H)),
)
LINE = RNG.normal(size=B)


@pytest.fixture(params=[1, 2, 3])
def pieces(request, monkeypatch):
    """However small a loop is, it is cut into about so many pieces; none comes from the disk."""
    force(monkeypatch, request.param)
    return request.param


def force(patch, size):
    patch.setattr(recipe, "find", lambda key, literals: None)
    patch.setattr(recipe, "save", lambda *args: None)
    for name, value in {
        "LEAST_WORK": 0,
        "LANES": 1,
        "ROWS": 1,
        "MOST_REPEATED": 1e9,
        "SHARE_IN_BATCH": 0.3,
        "CACHE_BYTES": 1 << 10,
        "piece_size": lambda group: size if is_longer(group.batch.length, size) else 0,
    }.items():
        patch.setattr(cutting, name, value)


def is_longer(length, size):
    return type(length) is not int or length > size


def optimized(f, *args):
    return xnp.jit(f).inspect(*args).optimized


def cuts(f, *args):
    return equations(optimized(f, *args), "pieces")


def same(f, *args, times=1):
    """jit(f) gives what f gives, and was cut so often."""
    assert len(cuts(f, *args)) == times
    copies = [numpy.array(a, copy=True) if isinstance(a, numpy.ndarray) else a for a in args]
    wanted, found = f(*copies), xnp.jit(f)(*args)
    wanted, found = (x if isinstance(x, tuple) else (x,) for x in (wanted, found))
    for a, b in zip(wanted, found, strict=True):
        accuracy = 1e-6 if numpy.asarray(a).dtype.char in "fF" else 1e-12
        numpy.testing.assert_allclose(b, a, rtol=accuracy, atol=accuracy)
        assert numpy.asarray(a).dtype == numpy.asarray(b).dtype


def network(w, states, inputs):
    def step(h, x):
        h = xnp.tanh(h @ w + x)
        return h, (xnp.sum(h * h), h[:, 0])

    h, (squares, firsts) = xnp.scan(step, states, inputs)
    return xnp.mean(squares) + xnp.sum(h), firsts


def test_scan_whose_stacks_are_along_another_axis(pieces):
    same(network, WEIGHTS, STATES, INPUTS)


def test_gradient_runs_forward_and_back_in_one_piece(pieces):
    def gradient(w, states, inputs):
        return xnp.grad(lambda *args: network(*args)[0], argnums=(0, 1, 2))(w, states, inputs)

    same(gradient, WEIGHTS, STATES, INPUTS)
    (equation,) = cuts(gradient, WEIGHTS, STATES, INPUTS)
    assert [e.primitive.name for e in equation.params["bodies"][0].equations].count("scan") == 2


def test_second_derivative(pieces):
    def loss(w):
        return network(w, STATES, INPUTS)[0]

    def curvature(w):
        return xnp.grad(lambda w: xnp.sum(xnp.grad(loss)(w) ** 2))(w)

    program = optimized(curvature, WEIGHTS)
    assert list(equations(program, "pieces"))
    numpy.testing.assert_allclose(xnp.jit(curvature)(WEIGHTS), curvature(WEIGHTS), rtol=1e-10)


def test_counted_loop_over_a_line(pieces):
    def f(x, n):
        step = lambda i, s: (s[0] * 0.9 + xnp.sin(s[1]) * i, s[1] - 0.1 * s[0])
        return xnp.fori_loop(0, n, step, (x, x * 2))

    same(f, LINE, 5)
    same(f, LINE, numpy.array(5))  # known when it runs
    same(f, LINE, numpy.array(0))


def test_while_whose_condition_does_not_depend_on_the_batch(pieces):
    def f(x):
        return xnp.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, s[1] * s[1] - 0.5), (0, x))

    same(f, LINE)


def test_numbers_that_all_pieces_agree_on_are_one_result(pieces):
    def f(x):
        return xnp.fori_loop(0, 3, lambda i, s: (s[0] * 0.5, s[1] * 1.5), (x, numpy.float64(2.0)))

    same(f, LINE)


def test_branches_and_inner_loops(pieces):
    def f(x, flag):
        def step(i, s):
            s = xnp.cond(flag > i, xnp.cos, lambda s: s * 2, s)
            return xnp.fori_loop(0, 2, lambda j, s: s + 0.1 * j * s, s)

        return xnp.fori_loop(0, 4, step, x)

    same(f, STATES, numpy.int64(2))


def test_sums_that_are_carried(pieces):
    def f(x, w):
        def step(i, s):
            x, total = s
            x = xnp.tanh(x @ w)
            return x, total + x.T @ x - xnp.sum(x, axis=0) * 2.0

        return xnp.fori_loop(0, 3, step, (x, xnp.zeros((H, H))))

    same(f, STATES, WEIGHTS)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8"])
def test_dtypes(pieces, dtype):
    def f(x):
        def step(i, s):
            x, total = s
            return x * 2 + 1, total + xnp.sum(x, axis=0)

        return xnp.fori_loop(0, 3, step, (x, xnp.zeros(H, dtype)))

    same(f, (STATES * 8).astype(dtype))


def test_parts_and_writes_beside_the_batch(pieces):
    def f(x, table, where):
        def step(i, s):
            first = s[:, :2] * table[where][:, None]
            s = xnp.concatenate([s[:, 2:], first], axis=1)
            s[:, 1] += 0.5 * i
            return s.reshape(B, 1, H)[:, 0, :]

        return xnp.fori_loop(0, 3, step, x)

    same(f, STATES.copy(), LINE, RNG.integers(0, B, B))


def test_arrays_that_the_function_holds(pieces):
    held = RNG.normal(size=(B, H))
    same(lambda x: xnp.fori_loop(0, 3, lambda i, s: s * held.sum() + x, xnp.zeros((B, H))), STATES)
    same(lambda x: xnp.scan(lambda s, h: (s + h, s[:, 0]), x, xnp.array(INPUTS))[1], STATES)


def test_loops_in_other_regions(pieces):
    def train(w, states, inputs):
        loss = lambda w: network(w, states, inputs)[0]
        return xnp.fori_loop(0, 3, lambda i, w: w - 0.1 * xnp.grad(loss)(w), w)

    args = WEIGHTS, STATES, INPUTS
    assert len(cuts(train, *args)) == 1
    assert "pieces" not in [e.primitive.name for e in optimized(train, *args).equations]
    numpy.testing.assert_allclose(xnp.jit(train)(*args), train(*args), rtol=1e-11)


def test_libraries_are_not_called_by_every_piece():
    def f(a, s):
        return xnp.fori_loop(0, 20, lambda i, s: xnp.tanh(s @ xnp.linalg.inv(a + i)), s)

    def g(w, s):
        s = xnp.fori_loop(0, 20, lambda i, s: xnp.tanh(s), s) @ w
        return xnp.fori_loop(0, 20, lambda i, s: xnp.tanh(s), s)

    assert not cuts(f, numpy.eye(64), numpy.ones((1024, 64)))
    assert len(cuts(g, numpy.eye(64), numpy.ones((512, 64)))) == 1
    large = cuts(g, numpy.eye(1200), numpy.ones((512, 1200)))
    assert all(len(e.params["bodies"][0].equations) == 1 for e in large)


def test_large_arrays_that_all_pieces_read_are_read_together():
    def f(w, h):
        return xnp.fori_loop(0, 100, lambda i, h: xnp.tanh(h @ w), h)

    for size, times in ((64, 1), (600, 0)):
        assert len(cuts(f, numpy.ones((size, size)), numpy.ones((64, size)))) == times


def test_batches_of_any_length(pieces):
    loss = xnp.jit(lambda *args: network(*args)[0])
    gradient = xnp.jit(xnp.grad(loss))
    for length in (7, 5, 9, 8, 2, 3, 12):
        args = WEIGHTS, RNG.normal(size=(length, H)), RNG.normal(size=(T, length, H))
        numpy.testing.assert_allclose(loss(*args), network(*args)[0], rtol=1e-12)
        wanted = xnp.grad(lambda *args: network(*args)[0])(*args)
        numpy.testing.assert_allclose(gradient(*args), wanted, rtol=1e-11)
    assert len(xnp.explain(loss)) == 2
    assert len(equations(loss.inspect(*args).optimized, "pieces")) == 1
    f = xnp.jit(lambda x: xnp.fori_loop(0, 3, lambda i, s: (s[0] * 2, s[1] + 1), (x, 0.5)))
    for length in (7, 5, 0, 4):
        x = RNG.normal(size=length)
        found, number = f(x)
        assert (found == x * 8).all()
        assert number == 3.5


def test_batches_along_another_axis(pieces):
    """Where the values of a piece do not lie side by side."""

    def f(x):
        step = lambda i, s: xnp.sin(s) + s[::-1] * 0.1
        y = xnp.cos(xnp.fori_loop(0, 5, step, x))
        y = xnp.cond(xnp.array(True), lambda y: xnp.cumsum(y, axis=0), lambda y: y, y)
        return y, xnp.fori_loop(0, 5, step, y)

    same(f, STATES.T.copy())
    same(f, RNG.normal(size=(50, B)))  # where what is carried is not copied
    same(xnp.grad(lambda x: xnp.sum(f(x)[1] ** 2)), RNG.normal(size=(50, B)))


# What cannot be cut is not.


ACROSS = {
    "a sum": lambda s: s / xnp.sum(s),
    "the greatest": lambda s: s - xnp.max(s),
    "sorting": xnp.sort,
    "running sums": xnp.cumsum,
    "the other end": lambda s: s[::-1] * 0.5,
    "neighbours": lambda s: s * xnp.roll(s, 1),
    "a condition": lambda s: xnp.where(xnp.any(s > 0), s, -s),
}


@pytest.mark.parametrize("name", ACROSS)
def test_what_looks_across_the_batch_is_not_cut(pieces, name):
    body = ACROSS[name]
    same(lambda x: xnp.fori_loop(0, 3, lambda i, s: body(s), x), abs(LINE) + 1, times=0)


def test_a_condition_on_the_batch_is_not_cut(pieces):
    def f(x):
        return xnp.while_loop(lambda s: xnp.sum(s) > 1, lambda s: s * 0.5, x)

    same(f, abs(LINE), times=0)


def test_a_sum_that_does_not_begin_at_zero_is_not_cut(pieces):
    def f(x):
        step = lambda i, s: (s[0] * 0.5, s[1] + xnp.sum(s[0]))
        return xnp.fori_loop(0, 3, step, (x, numpy.float64(1.0)))

    same(f, LINE, times=0)


def test_a_product_over_pieces_is_not_a_sum(pieces):
    def f(x):
        step = lambda i, s: (s[0] * 0.5, xnp.exp(xnp.sum(s[0])))
        return xnp.fori_loop(0, 3, step, (x, numpy.float64(0.0)))

    same(f, LINE, times=0)


def test_matrices_whose_two_axes_belong_together_are_not_cut(pieces):
    square = WEIGHTS.copy()
    same(lambda x: xnp.fori_loop(0, 3, lambda i, s: s @ s, x), square, times=0)
    same(lambda x: xnp.fori_loop(0, 3, lambda i, s: s + s.T, x), square, times=0)


# What runs in pieces.


def test_small_work_is_not_cut():
    assert not cuts(lambda x: xnp.fori_loop(0, 3, lambda i, s: xnp.sin(s), x), LINE)
    long = numpy.ones(10_000)
    assert cuts(lambda x: xnp.fori_loop(0, 300, lambda i, s: xnp.sin(s), x), long)


def test_sums_do_not_depend_on_the_number_of_threads():
    states = RNG.normal(size=(1000, 16))
    weights = RNG.normal(size=(16, 16)) / 4

    def loss(w):
        return xnp.sum(xnp.fori_loop(0, 50, lambda i, h: xnp.tanh(h @ w), states) ** 2)

    gradient = xnp.jit(xnp.grad(loss))
    assert cuts(xnp.grad(loss), weights)
    with xnp.threads(1):
        alone = gradient(weights)
    for _ in range(20):
        assert (gradient(weights) == alone).all()
    numpy.testing.assert_allclose(alone, xnp.grad(loss)(weights), rtol=1e-10)


def test_an_index_that_does_not_fit_raises(pieces):
    def f(x, table, where):
        return xnp.fori_loop(0, 3, lambda i, s: s + table[where + i], x)

    assert cuts(f, LINE, LINE, numpy.arange(B))
    with pytest.raises(IndexError, match="index 7 is out of bounds for axis 0 with size 7"):
        xnp.jit(f)(LINE, LINE, numpy.arange(B))
    where = numpy.arange(B) - 3
    numpy.testing.assert_allclose(xnp.jit(f)(LINE, LINE, where), f(LINE, LINE, where))


def test_what_calls_back_runs_on_the_calling_thread(pieces):
    def f(x):
        return xnp.fori_loop(0, 3, lambda i, s: xnp.asarray(s, "f2").astype("f8") + xnp.exp(s), x)

    half = STATES.astype("f2")
    g = lambda x: xnp.fori_loop(0, 3, lambda i, s: xnp.spacing(s) + s, x)
    for function, x in ((f, LINE / 9), (g, half), (g, STATES)):
        numpy.testing.assert_allclose(xnp.jit(function)(x), function(x), rtol=1e-6)


def test_profile_and_pictures(pieces):
    f = lambda x: xnp.fori_loop(0, 10, lambda i, s: s * 2 + 1, x)
    found = xnp.jit(f).inspect(LINE)
    assert "pieces" in found.svg()
    assert found.operations == 10 * 2 * B
    with xnp.profile() as profile:
        xnp.jit(f)(LINE)
    assert "(pieces)" in profile.table()


# Random bodies.

STEPS = {
    "mix": lambda s, w: {**s, "h": xnp.tanh(s["h"] @ w)},
    "shift": lambda s, w: {**s, "h": s["h"] + s["line"][:, None] * 0.1},
    "back": lambda s, w: {**s, "line": xnp.cos(s["line"]) + xnp.sum(s["h"], axis=1) * 0.1},
    "outer": lambda s, w: {**s, "total": s["total"] + s["h"].T @ s["h"] * 0.1},
    "sum": lambda s, w: {**s, "count": s["count"] + xnp.sum(s["line"] * s["h"][:, 0])},
    "scale": lambda s, w: {**s, "number": s["number"] * 0.9, "h": s["h"] * s["number"]},
    "choose": lambda s, w: {**s, "h": xnp.where(s["h"] > 0, s["h"], s["line"][:, None])},
    "write": lambda s, w: {**s, "h": written(s["h"], s["line"])},
    "sums of sums": lambda s, w: {**s, "total": s["total"] + xnp.sum(s["line"]) * w},
    "transposed": lambda s, w: {**s, "h": (w @ s["h"].T).T * 0.3},
    "normalised": lambda s, w: {**s, "h": s["h"] / (1 + xnp.max(abs(s["h"]), axis=1)[:, None])},
}


def written(h, line):
    h = h.copy()
    h[:, 2] = line
    h[:, 1:3] *= 0.5
    return h


@settings(max_examples=60)
@given(
    names=st.lists(st.sampled_from(list(STEPS)), min_size=2, max_size=7),
    size=st.integers(1, 4),
    trips=st.integers(0, 4),
    gradient=st.booleans(),
)
def test_random_bodies(names, size, trips, gradient):
    def f(h, line, w):
        def step(i, s):
            for name in names:
                s = STEPS[name](s, w)
            return s

        start = {"h": h, "line": line, "number": numpy.float64(1.5)}
        start |= {"total": xnp.zeros((H, H)), "count": numpy.float64(0.0)}
        return xnp.fori_loop(0, trips, step, start)

    def total(*args):
        return sum(xnp.sum(x * x) for x in f(*args).values())

    args = STATES, LINE, WEIGHTS
    g = xnp.grad(total, argnums=(0, 1, 2)) if gradient else lambda *args: tuple(f(*args).values())
    with pytest.MonkeyPatch.context() as patch:
        force(patch, size)
        found = xnp.jit(g)(*args)
    for a, b in zip(g(*args), found, strict=True):
        numpy.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9)


@settings(max_examples=25)
@example(["v = np.switch(n % 4, [np.sin, lambda v: v, lambda v: v * s], v)"], 1, 1, True)
@given(texts, st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_batches_of_random_bodies(statements, length, size, derivative):
    """What `vmap` makes of a loop, and of its gradient, is a loop over a batch."""
    made, args = bodies(statements, False), arguments(length)
    many = tuple(numpy.stack([a, a * 0.5 - 0.2, 0.1 - a, a * 0.3]) for a in args)
    gradient = lambda f: xnp.grad(weighted(f), (0, 1, 2, 3))
    wrap = gradient if derivative else lambda f: f
    examples = [wrap(made.plain)(*(a[k] for a in many)) for k in range(4)]
    wanted = [numpy.stack(parts) for parts in zip(*examples, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        force(patch, size)
        for f in (made.scan, made.fori):
            found = xnp.jit(xnp.vmap(wrap(f)))(*many)
            for a, b in zip(found, wanted, strict=True):
                numpy.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)
