"""Branches and loops that update an array where it lies, and those that must not.

The arrays are so large that regions do not copy them. `test_fuzz_native` does the same with random
Programs.
"""

import numpy
import pytest

import xnp as np

X = numpy.random.default_rng(0).normal(size=100)
STEPS = 20


def written(c, i, value):
    c[i] = value
    return c


def looped(body):
    return lambda x: np.fori_loop(0, STEPS, body, x)


def cond_of(true_fun, false_fun):
    return looped(lambda i, c: np.cond(c[i] > 0, true_fun, false_fun, c, i))


def nested(i, c):
    return np.fori_loop(0, 5, lambda j, d: written(d, j + i, d[j] + 1.0), c)


def in_while(i, c):
    more = lambda s: s[0] < 5
    return np.while_loop(more, lambda s: (s[0] + 1, written(s[1], s[0] + i, s[1][i])), (0, c))[1]


def in_scan(i, c):
    step = lambda d, k: (written(d, k + i, d[k] * 0.5), None)
    return np.scan(step, c, np.arange(5))[0]


def deep(i, c):
    set_one = lambda d: np.cond(d[i] > 0, lambda d: written(d, i, 2.0), lambda d: d, d)
    return np.switch(i % 3, [set_one, lambda d: nested(i, d), lambda d: written(d, 0, 0.5)], c)


# Every iteration of these touches a few elements only.
IN_PLACE = {
    "a write or nothing": cond_of(lambda c, i: written(c, i, 2.0), lambda c, i: c),
    "two writes": cond_of(lambda c, i: written(c, i, 2.0), lambda c, i: written(c, i + 1, 3.0)),
    "in a loop": looped(nested),
    "in a while loop": looped(in_while),
    "in a scan": looped(in_scan),
    "in branches of branches": looped(deep),
}


@pytest.mark.parametrize("f", IN_PLACE.values(), ids=IN_PLACE)
def test_what_is_done_in_place(f):
    numpy.testing.assert_array_equal(np.jit(f)(X), f(X))
    text = np.jit(f).inspect(X).mlir
    assert text.count(f"!llvm.array<{X.nbytes} x i8>") == 1  # the only array besides the arguments


def both(i, c):
    """The operand is read after the branch."""
    d = np.cond(c[i] > 0, lambda c: written(c, i, 2.0), lambda c: c, c)
    return d + c[::-1] * 0.5


def twice(i, c):
    return np.cond(c[i] > 0, lambda a, b: written(a, i, b[i + 1]), lambda a, b: b[::-1], c, c)


def a_view_beside(i, c):
    f = lambda a, b: written(a, slice(0, 50), b[::-1])
    return np.cond(c[i] > 0, f, lambda a, b: a, c, c[:50])


def two_results(i, c):
    a, b = np.cond(c[i] > 0, lambda c: (written(np.copy(c), i, 2.0), c), lambda c: (c, c + 1), c)
    return a * 0.5 + b[::-1] * 0.25


def changing_places(i, s):
    a, b = s
    return np.cond(a[i] > 0, lambda a, b: (b, written(a, i, 0.5)), lambda a, b: (a, b), a, b)


def loop_read_after(i, c):
    d = nested(i, np.copy(c))
    return d * 0.5 + c[::-1] * 0.25


def swapping_loop(i, s):
    a, b = s
    return np.fori_loop(0, i % 3, lambda j, s: (s[1], written(s[0], j, s[1][i])), (a, b))


NOT_IN_PLACE = {
    "a branch that reads it from the other end": cond_of(
        lambda c, i: written(c, i, 2.0), lambda c, i: c[::-1]
    ),
    "a branch that reads its neighbours": cond_of(
        lambda c, i: written(c, i, 2.0), lambda c, i: np.roll(c, 1) + c
    ),
    "a branch that writes from a view": cond_of(
        lambda c, i: written(c, slice(1, None), c[:-1]), lambda c, i: written(c, i, 1.0)
    ),
    "read after the branch": looped(both),
    "given twice": looped(twice),
    "a view beside it": looped(a_view_beside),
    "two results of one": looped(two_results),
    "two that change places": lambda x: looped(changing_places)((x, x + 1.0)),
    "read after an inner loop": looped(loop_read_after),
    "two that change places in an inner loop": lambda x: looped(swapping_loop)((x, x + 1.0)),
}


@pytest.mark.parametrize("f", NOT_IN_PLACE.values(), ids=NOT_IN_PLACE)
def test_what_cannot_be_done_in_place(f):
    before = X.copy()
    for g, x in ((f, X), (lambda x: f(np.sin(x)), X), (np.vmap(f), numpy.stack([X, -X]))):
        found, wanted = np.jit(g)(x), g(x)
        pairs = zip(found, wanted, strict=True) if type(wanted) is tuple else [(found, wanted)]
        for a, b in pairs:
            numpy.testing.assert_allclose(a, b, rtol=1e-13)
    assert (before == X).all()
