"""Functions whose sizes or dtypes depend on values: jit runs the plain function, and says so."""

import gc
import itertools
import os
import random
import warnings
import weakref

import numpy
import pytest

import xnp as np
from xnp.autodiff.core import thread_state

pytestmark = pytest.mark.usefixtures("both_ways")

X = numpy.array([1.0, -2.0, 3.0])
COUNTS = numpy.array([1, 0, 2])


def quietly(f, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return f(*args, **kwargs)


def dynamic(f):
    return np.jit(f, dynamic_argnames="n")


FUNCTIONS = {
    "mask": lambda x: x[x > 0],
    "nonzero": np.nonzero,
    "flatnonzero": lambda x: np.flatnonzero(x > 0),
    "argwhere": lambda x: np.argwhere(x > 0),
    "where": lambda x: np.where(x > 0),
    "extract": lambda x: np.extract(x > 0, x),
    "compress": lambda x: np.compress(x > 0, x),
    "unique": lambda x: np.unique(np.round(x)),
    "union1d": lambda x: np.union1d(x, -x),
    "roots": np.roots,
    "trim_zeros": lambda x: np.trim_zeros(x * (x > 0)),
    "repeat": lambda x: np.repeat(x, COUNTS + (x > 100)),
    "eig": lambda x: np.linalg.eig(np.outer(x, x) + np.eye(3)),
    "emath": np.emath.sqrt,
    "in a region": lambda x: np.fori_loop(0, 3, lambda i, s: s + np.sum(x[x > i]), 0.0),
}
NUMBERS = {
    "zeros": lambda x, n: np.zeros(n),
    "zeros of a tuple": lambda x, n: np.zeros((n, 2)),
    "full": lambda x, n: np.full(n, x[0]),
    "eye": lambda x, n: np.eye(n),
    "arange": lambda x, n: np.arange(n),
    "linspace": lambda x, n: np.linspace(x[0], x[1], n),
    "slice": lambda x, n: x[:n],
    "reshape": lambda x, n: x.reshape(n, -1),
    "split": lambda x, n: np.split(x + 1, n),
    "split at": lambda x, n: np.split(x, [n - 1]),
    "tile": lambda x, n: np.tile(x + 1, n),
    "axis": lambda x, n: np.sum(np.stack([x, x, x, x]), axis=n - 2),
    "list": lambda x, n: np.array([x[0]] * n),
    "tuple": lambda x, n: np.array(n * (x[0], x[1])),
}


def check_equal(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, (list, tuple)):
        for a, b in zip(found, wanted, strict=True):
            check_equal(a, b)
    else:
        numpy.testing.assert_array_equal(found, wanted, strict=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sizes_that_depend_on_values(name):
    f = FUNCTIONS[name]
    jitted = np.jit(f)
    for x in (X, X, -X, numpy.array([4.0, 5.0, 0.0])):
        check_equal(quietly(jitted, x), f(x))
    (compiled,) = np.explain(jitted)
    assert compiled.note.startswith("runs uncompiled: ")


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_are_sizes(name):
    f = NUMBERS[name]
    jitted = dynamic(f)
    for n in (3, 1, 3):
        check_equal(quietly(jitted, X, n), f(X, n))
    (compiled,) = np.explain(jitted)
    assert compiled.note.startswith("runs uncompiled: ")


def test_the_warning():
    """One for each function, at the call, with the line inside and what to write."""

    @np.jit
    def positive(x):
        return x[x > 0]  # this line

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for x in (X, X, numpy.ones((2, 2))):
            positive(x)
    (warning,) = found
    assert warning.category is RuntimeWarning
    assert warning.filename == __file__
    for part in (
        "jit runs positive uncompiled",
        "nonzero",
        "return x[x > 0]  # this line",
        "np.where(mask, a, 0.0)",
    ):
        assert part in str(warning.message)


def test_what_shows_programs_raises():
    f = np.jit(lambda x: x[x > 0])
    quietly(f, X)
    for show in (f.trace, f.lower, f.inspect):
        with pytest.raises(np.UnknownSizeError, match=r"np.where\(mask, a, 0.0\)"):
            show(X)
    assert issubclass(np.UnknownSizeError, np.ConcretizationError)


def test_files(tmp_path):
    def saved(x):
        np.save(tmp_path / "x", x * 2)
        return x + 1

    f = np.jit(saved)
    with pytest.warns(RuntimeWarning, match=r"runs saved uncompiled: np\.save .*has_aux=True"):
        assert (f(X) == X + 1).all()
    assert (numpy.load(tmp_path / "x.npy") == X * 2).all()
    f(X + 1)
    assert (numpy.load(tmp_path / "x.npy") == X * 2 + 2).all()
    with pytest.raises(np.UnsupportedError, match=r"np\.save"):
        quietly(np.grad(lambda x: np.sum(f(x))), X)
    with pytest.raises(np.UnsupportedError, match=r"np\.save"):
        f.trace(X)


def test_what_writes_what_it_reads_is_tried_once():
    calls = numpy.zeros(1)

    def f(x):
        calls[0] += 1
        np.save(os.devnull, x)
        return x + calls[0]

    jitted = np.jit(f)
    before = [quietly(jitted, X)[0] for _ in range(4)]
    assert numpy.diff(before).tolist() == [1, 1, 1]


def test_memory():
    f = np.jit(lambda x: np.add.reduce(x.view("i8") & 1))
    assert quietly(f, X) == numpy.sum(X.view("i8") & 1)
    assert quietly(np.jit(lambda x: f(x) + 1), X) == numpy.sum(X.view("i8") & 1) + 1


def test_branches_stay_errors():
    """What the function's own code asks for is a branch, or goes who knows where."""
    for f in (
        lambda x: x[x > 0] if np.sum(x) > 0 else x,
        lambda x: np.zeros(int(np.sum(x > 0))),
        lambda x: [x for _ in range(np.sum(x > 0))],
        lambda x: max(x[0], x[1]),
        lambda x: 1.0 in x,
    ):
        with pytest.raises(np.ConcretizationError) as error:
            np.jit(f)(X)
        assert not isinstance(error.value, np.UnknownSizeError)
    assert thread_state.level == 0
    assert thread_state.program is None


def loss(x):
    return np.sum(x[x > 0] ** 2)


def test_with_transformations():
    jitted = np.jit(loss)
    quietly(jitted, X)
    numpy.testing.assert_array_equal(np.grad(jitted)(X), [2.0, 0.0, 6.0])
    numpy.testing.assert_array_equal(quietly(np.jit(np.grad(loss)), X), [2.0, 0.0, 6.0])
    numpy.testing.assert_array_equal(np.hessian(jitted)(X), np.diag([2.0, 0.0, 2.0]))
    numpy.testing.assert_array_equal(np.vmap(jitted)(numpy.array([X, X])), [10.0, 10.0])
    numpy.testing.assert_array_equal(np.vmap(np.grad(jitted))(numpy.array([X, X]))[1], [2, 0, 6])
    assert np.jvp(jitted, (X,), (numpy.ones(3),)) == (10.0, 8.0)
    with pytest.raises(np.BatchingError):  # as without jit
        np.vmap(jitted)(numpy.array([X, -X]))


def test_inside_of_another():
    """The outer one runs uncompiled too; other functions that it calls are compiled as before."""
    inner, other = np.jit(loss), np.jit(lambda x: x * 2)
    outer = np.jit(lambda x: inner(x) + np.sum(other(x)))
    assert quietly(outer, X) == loss(X) + 2 * np.sum(X)
    assert outer(X) == loss(X) + 2 * np.sum(X)
    notes = [[c.note.split(":")[0] for c in np.explain(f)] for f in (outer, inner, other)]
    assert notes[0] == notes[1] == ["runs uncompiled"]
    assert "runs uncompiled" not in notes[2]


def test_of_constants_in_another():
    """The inner one has sizes that the outer one knows."""
    inner = np.jit(loss)
    outer = np.jit(lambda x: x * inner(X))
    numpy.testing.assert_array_equal(quietly(outer, X), X * 10.0)
    assert [compiled.note for compiled in np.explain(outer)] == [""]


def test_it_is_tried_once():
    runs = itertools.count()  # no change of it is seen: not a reason to record anew

    @np.jit
    def f(x):
        next(runs)
        return x[x > 0]

    quietly(f, X)
    assert next(runs) == 2  # the attempt, the call
    for x in (X, -X, numpy.ones(5), numpy.ones(7)):
        f(x)
    assert next(runs) == 2 + 1 + 4


def test_calls_like_the_last_one():
    """They are told by a fast look; arrays of another kind may be compiled."""
    runs = itertools.count()

    @np.jit
    def f(x, *rest):
        next(runs)
        return x[x > 0] if x.ndim == 1 and x.dtype == float else x * 2 + len(rest)

    for x in (X, X[:2], X[::2], X, numpy.zeros(0)):
        numpy.testing.assert_array_equal(quietly(f, x), x[x > 0])
    for other in (X.astype(numpy.float32), X[None], COUNTS):
        numpy.testing.assert_array_equal(f(other), other * 2)
        numpy.testing.assert_array_equal(f(other, other), other * 2 + 1)
    count = next(runs)
    numpy.testing.assert_array_equal(f(COUNTS), COUNTS * 2)
    assert next(runs) == count + 1  # compiled
    numpy.testing.assert_array_equal(f(X), [1.0, 3.0])
    assert next(runs) == count + 3


def test_what_it_reads_may_change():
    settings = {}
    f = np.jit(lambda x: settings["scale"] * x[x > 0])
    for scale in range(10):
        settings["scale"] = scale
        numpy.testing.assert_array_equal(quietly(f, X), scale * X[X > 0])
    assert len(np.explain(f)) == 4  # from then on it is not tried again


def test_arguments_are_written_to_once():
    def f(x, total):
        total += 1.0
        x[x < 0] = 0.0
        total *= len(x[x > 0])
        return total

    ours, plain = [X.copy(), numpy.zeros(2)], [X.copy(), numpy.zeros(2)]
    jitted = np.jit(f)
    for _ in range(3):
        assert quietly(jitted, *ours) is ours[1]
        f(*plain)
        for a, b in zip(ours, plain, strict=True):
            numpy.testing.assert_array_equal(a, b)


def test_random_numbers_are_drawn_once():
    ours, plain = numpy.random.default_rng(1), numpy.random.default_rng(1)

    def draws(rng):
        def f(x):
            noise = rng.normal(size=3) + random.random()
            noise += numpy.random.random()  # noqa: NPY002 - the global generator
            return (x + noise)[x > 0]

        return f

    def seeded(f):
        numpy.random.seed(3)  # noqa: NPY002 - the global generator
        random.seed(4)
        return [quietly(f, X) for _ in range(3)]

    check_equal(seeded(np.jit(draws(ours))), seeded(draws(plain)))


def test_what_the_function_catches():
    """The plain function meets no error, so what it does in that case must not be recorded."""

    def tolerant(x):
        try:
            return x[x > 0]
        except TypeError:
            return x

    def complaining(x):
        try:
            return x[x > 0]
        except TypeError as error:
            raise ValueError("not an array") from error

    def inside_a_loop(x):
        return np.fori_loop(0, 2, lambda i, s: s + np.sum(tolerant(x)), 0.0)

    for f in (tolerant, complaining, inside_a_loop):
        check_equal(quietly(np.jit(f), X), f(X))


def test_own_errors_of_the_function():
    def f(x):
        if len(x[x > 0]) == 0:
            raise ValueError("nothing is positive")
        return np.sum(x)

    jitted = np.jit(f)
    assert quietly(jitted, X) == 2.0
    with pytest.raises(ValueError, match="nothing is positive"):
        jitted(-numpy.ones(3))


def test_static_arguments_are_kept_apart():
    f = np.jit(lambda x, positive: x[x > 0] if positive else x * 2)
    numpy.testing.assert_array_equal(quietly(f, X, True), [1.0, 3.0])
    numpy.testing.assert_array_equal(f(X, False), X * 2)
    assert [bool(compiled.note) for compiled in np.explain(f)] == [True, False]


def test_methods():
    class Filter:
        def __init__(self, level):
            self.level = level

        @np.jit
        def above(self, x):
            return x[x > self.level]

    filters = [Filter(0.0), Filter(2.0)]
    for _ in range(2):
        for one in filters:
            check_equal(quietly(one.above, X), X[one.level < X])
    filters[0].level = 2.5
    check_equal(quietly(filters[0].above, X), X[X > 2.5])


def test_nothing_of_the_attempt_stays_alive():
    class Marker:
        pass

    seen = []

    def f(x):
        marker = Marker()
        seen.append(weakref.ref(marker))
        return x[x > 0]

    jitted = np.jit(f)
    quietly(jitted, X)
    gc.collect()
    assert all(ref() is None for ref in seen)


def test_clearing():
    f = np.jit(lambda x: x[x > 0])
    quietly(f, X)
    f.clear_cache()
    assert list(np.explain(f)) == []
    check_equal(f(X), X[X > 0])


def local_counter(x):
    n = 0

    def body(i, c):
        nonlocal n
        n += 1
        return c * n

    return np.fori_loop(0, 3, body, x)


def item_counter(x):
    state = {"n": 0}

    def step(c, v):
        state["n"] += 1
        return c * state["n"] + v, c

    return np.scan(step, x, np.zeros(3))[0]


class Counter:
    n = 0

    def __init__(self):
        self.n = 0

    def step(self, i, c):
        self.n += 1
        return c * self.n


def attribute_counter(x):
    return np.fori_loop(0, 3, Counter().step, x)


def branch_counter(x):
    seen = []

    def branch(x):
        nonlocal seen
        seen = [*seen, 1]
        return x

    return np.cond(x > 0, branch, branch, x) * len(seen)


def list_counter(x):
    log = []
    y = np.fori_loop(0, 3, lambda i, c: (log.append(0), c * 2)[1], x)
    return y * len(log)


@pytest.mark.parametrize(
    ("f", "what"),
    [
        (list_counter, "fori_loop: body_fun changes the length of log "),
        (local_counter, "fori_loop: body_fun changes n "),
        (item_counter, r"scan: f changes state\['n'\] "),
        (attribute_counter, "fori_loop: body_fun changes self.n "),
        (branch_counter, "cond: a branch changes seen "),
    ],
)
def test_a_body_that_changes_what_is_around_it_is_not_recorded(f, what):
    wanted, slope = f(1.5), np.grad(f)(1.5)
    with pytest.warns(RuntimeWarning, match=f"runs {f.__name__} uncompiled: {what}"):
        assert np.jit(f)(1.5) == wanted
    assert quietly(np.jit(np.grad(f)), 1.5) == slope


def test_what_a_body_changes_outside_of_the_function_changes_as_often_as_it_runs():
    counter, totals = Counter(), {"n": 0}

    def body(i, c):
        totals["n"] += 1
        return counter.step(i, c) + totals["n"]

    f = np.jit(lambda x: np.fori_loop(0, 3, body, x))
    assert quietly(f, 1.0) == ((1.0 * 1 + 1) * 2 + 2) * 3 + 3
    assert (counter.n, totals["n"]) == (3, 3)
    assert f(1.0) == ((1.0 * 4 + 4) * 5 + 5) * 6 + 6
    assert (counter.n, totals["n"]) == (6, 6)


def test_functions_and_caches_that_a_body_uses_do_not_count_as_changes():
    inner, cache = np.jit(lambda x, i, s: s + x[i] * s * 0.01), {}

    def body(i, s):
        return inner(cache.setdefault("x", numpy.ones(4)), i, s)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.jit(lambda s: np.fori_loop(0, 4, body, s))(1.0) == pytest.approx(1.01**4)
