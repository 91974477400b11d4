"""Containers among the arguments of a jitted function, which it writes to."""

import collections
import copy
import functools
import warnings

import numpy
import optree
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")


@optree.dataclasses.dataclass(namespace="xnp")
class Layer:
    weight: object
    bias: object = 0.5

    @functools.cached_property
    def total(self):
        return self.weight + self.bias


def assign(p, x):
    p["w"] = p["w"] - 0.1 * x
    return p["w"]


def append(p, x):
    p.append(x * p[0])
    return x


def update(p, x):
    p["inner"].update(w=x)
    return p["inner"]["w"] * 2


def missing_key(p, x):
    p["count"] += x
    return p["count"]


def item(p, x):
    p[0], p[-1] = p[-1] * x, p[0]
    return p[0]


def remove(p, x):
    return x * p.pop()


def reorder(p, x):
    p["a"] = p.pop("a")
    return x * p["a"]


def attribute(p, x):
    p.weight = p.weight * x
    return p.weight


def in_a_tuple(p, x):
    p[0]["w"] = x
    return x


def static_item(p, x):
    p["n"] += 1
    return x * p["n"]


WRITERS = [
    (assign, {"w": 1.0}),
    (assign, {"w": numpy.ones(3)}),
    (append, [2.0]),
    (append, collections.deque([2.0])),
    (update, {"inner": {}}),
    (missing_key, collections.defaultdict(float)),
    (item, [1.0, 2.0]),
    (remove, [2.0] * 5),
    (reorder, {"a": 1.0, "b": 2.0}),
    (reorder, collections.OrderedDict(a=1.0, b=2.0)),
    (attribute, Layer(3.0)),
    (in_a_tuple, ({"w": 0.0}, 1.0)),
    (static_item, {"n": 1}),
]


@pytest.mark.parametrize(("f", "given"), WRITERS, ids=range(len(WRITERS)))
def test_writes_are_those_of_the_plain_function(f, given):
    ours, plain = copy.deepcopy(given), copy.deepcopy(given)
    jitted = np.jit(f)
    with pytest.warns(RuntimeWarning, match=f"jit runs {f.__name__} uncompiled: it writes to p"):
        found = [jitted(ours, 3.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one warning only
        found += [jitted(ours, 3.0) for _ in range(3)]
    numpy.testing.assert_array_equal(found, [f(plain, 3.0) for _ in range(4)])
    assert repr(ours) == repr(plain)
    assert "runs uncompiled: it writes to p" in np.explain(jitted)[0].note


def test_by_keyword_and_under_transformations():
    params = {"w": 2.0}
    step = np.jit(lambda x, *, p: assign(p, x))
    with pytest.warns(RuntimeWarning, match="it writes to"):
        assert step(1.0, p=params) == params["w"] == 1.9
    assert np.grad(np.jit(lambda x: assign({"w": x}, x)))(2.0) == 0.9
    with pytest.warns(RuntimeWarning, match="it writes to p"):
        assert np.grad(np.jit(assign), argnums=1)({"w": 1.0}, 2.0) == -0.1


def test_one_that_grows_is_not_recorded_for_ever():
    runs = []
    log = []

    def f(log, x):
        runs.append(1)
        log.append(x)
        return x

    jitted = np.jit(f)
    with pytest.warns(RuntimeWarning):
        jitted(log, 1.0)
    for _ in range(20):
        jitted(log, 1.0)
    assert log == [1.0] * 21
    assert len(runs) < 2 * 21
    assert len(np.explain(jitted)) < 8


def test_inside_of_another():
    """The outer function makes the container, so it is compiled."""
    inner = np.jit(assign)

    def f(x):
        p = {"w": x}
        inner(p, x)
        return p["w"] * 2

    outer = np.jit(f)
    with pytest.warns(RuntimeWarning, match="jit runs assign uncompiled"):
        assert outer(3.0) == f(3.0) == 5.4
    assert np.explain(outer)[0].note == ""
    assert outer(4.0) == f(4.0)


def test_reading_and_writing_to_arrays_is_compiled():
    def f(p, x):
        p["w"][0] += x
        p["w"] *= 2  # the same array again
        [*p["l"]].append(x)
        own = dict(p)
        own["new"] = x
        return p["w"] + len(own) + p["node"].total

    def made():
        return {"w": numpy.ones(3), "l": [1.0], "node": Layer(2.0)}

    jitted, ours, plain = np.jit(f), made(), made()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            numpy.testing.assert_array_equal(jitted(ours, 3.0), f(plain, 3.0))
            numpy.testing.assert_array_equal(ours["w"], plain["w"])
    assert np.explain(jitted)[0].note == ""


def test_what_shows_programs_raises():
    with pytest.raises(np.MutationError, match="writes to p: a dict holds other keys or items"):
        np.jit(assign).trace({"w": 1.0}, 2.0)


def test_other_kinds_of_arguments_are_compiled_still():
    def f(p, x, train):
        if train:
            p["seen"] = x
        return p["w"] * x

    jitted, p = np.jit(f), {"w": 2.0}
    assert jitted(p, 3.0, False) == 6.0
    with pytest.warns(RuntimeWarning):
        assert jitted(p, 3.0, True) == 6.0
    assert p == {"w": 2.0, "seen": 3.0}
    assert [jitted({"w": w}, 3.0, False) for w in (4.0, 5.0)] == [12.0, 15.0]
    assert [c.note[:4] for c in np.explain(jitted)] == ["", "runs"]
