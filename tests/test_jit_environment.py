"""What a jitted function reads besides its arguments may change between calls."""

import collections
import contextvars
import copy
import dataclasses
import functools
import gc
import itertools
import random
import sys
import types
import zlib

import numpy
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")

SCALE = 2.0
SETTINGS = {"offset": 1.0, "nested": [1.0, {"deep": 2.0}]}


def compiles(f):
    return len(np.explain(f))


def helper(x):
    return x * SCALE


def test_a_global_changes(monkeypatch):
    f = np.jit(lambda x: x * SCALE)
    assert f(1.5) == 3.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert f(1.5) == 4.5
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert f(1.5) == 3.0
    assert compiles(f) == 2
    assert np.explain(f)[1].reason == "SCALE changed"


def test_a_global_of_another_function_changes(monkeypatch):
    f = np.jit(lambda x: helper(x) + 1)
    assert f(1.5) == 4.0
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert f(1.5) == 5.5
    monkeypatch.setitem(globals(), "helper", lambda x: x * 10)
    assert f(1.5) == 16.0


def test_a_global_appears_and_hides_a_builtin(monkeypatch):
    f = np.jit(lambda x: abs(x))  # noqa: PLW0108 - the name is looked up at each call
    assert f(-1.5) == 1.5
    monkeypatch.setitem(globals(), "abs", lambda x: x * 0 + 7)
    assert f(-1.5) == 7


def test_a_closure_changes():
    k = 2.0

    def f(x):
        return x * k

    jitted = np.jit(f)
    assert jitted(1.5) == 3.0
    k = 3.0
    assert jitted(1.5) == 4.5
    assert np.explain(jitted)[1].reason == "k changed"


def test_contents_change(monkeypatch):
    f = np.jit(lambda x: x + SETTINGS["offset"] + SETTINGS["nested"][1]["deep"])
    assert f(1.0) == 4.0
    monkeypatch.setitem(SETTINGS, "offset", 2.0)
    assert f(1.0) == 5.0
    monkeypatch.setitem(SETTINGS["nested"][1], "deep", 3.0)
    assert f(1.0) == 6.0
    assert compiles(f) == 3


CONTAINERS = [
    ([1.0], lambda c: c.append(2.0)),
    ([1.0, 2.0], lambda c: c.reverse()),
    ({1.0}, lambda c: c.add(2.0)),
    ({"a": 1.0}, lambda c: c.update(b=2.0)),
    (collections.deque([1.0]), lambda c: c.append(2.0)),
    (collections.defaultdict(float, {1: 1.0}), lambda c: c.update({2: 2.0})),
    (bytearray(b"a"), lambda c: c.append(66)),
    ([[[[[1.0]]]]], lambda c: c[0][0][0][0].append(2.0)),
]


@pytest.mark.parametrize(("container", "change"), CONTAINERS, ids=map(str, range(len(CONTAINERS))))
def test_every_container(container, change):
    container = copy.deepcopy(container)

    def plain(x):
        return x + float(zlib.crc32(repr(container).encode()))

    f = np.jit(plain)
    assert f(1.0) == plain(1.0)
    change(container)
    assert f(1.0) == plain(1.0)
    assert compiles(f) == 2


class Node:
    def __init__(self, value, following=None):
        self.value, self.following = value, following


def test_deep_and_large_structures():
    chain = Node(1.0)
    for _ in range(5000):
        chain = Node(0.0, chain)

    def last(x):
        node = chain
        while node.following is not None:
            node = node.following
        return x * node.value

    f = np.jit(last)
    assert f(2.0) == 2.0
    node = chain
    while node.following is not None:
        node = node.following
    node.value = 3.0
    assert f(2.0) == last(2.0) == 6.0


def test_more_objects_than_are_watched():
    table = [[float(i)] for i in range(30_000)]
    f = np.jit(lambda x: x + table[1][0])
    with pytest.warns(RuntimeWarning, match=r"all that <lambda> reads .* of table\[\d+\], for"):
        assert f(1.0) == 2.0
    table[1][0] = 5.0
    assert f(1.0) == 6.0  # no second warning
    assert np.explain(f)[0].note == "reads more objects than are watched"


class Model:
    """An ordinary class, with state in several places."""

    rate = 0.5

    def __init__(self, weights):
        self.weights = weights
        self.bias = 1.0

    @np.jit
    def predict(self, x):
        return self.inner(x) + self.bias

    def inner(self, x):
        return x @ self.weights * self.rate

    @np.jit
    @staticmethod
    def double(x):
        return x * 2

    @staticmethod
    @np.jit
    def triple(x):
        return x * 3

    @classmethod
    @np.jit
    def scaled(cls, x):
        return x * cls.rate

    @property
    @np.jit
    def norm(self):
        return np.sum(self.weights**2)


def test_methods(monkeypatch):
    x = numpy.ones(2)
    model, other = Model(numpy.array([1.0, 2.0])), Model(numpy.array([3.0, 4.0]))
    assert (model.predict(x), other.predict(x)) == (2.5, 4.5)
    model.bias = 2.0
    assert (model.predict(x), other.predict(x)) == (3.5, 4.5)
    model.weights = numpy.array([2.0, 2.0])
    assert model.predict(x) == 4.0
    model.weights[0] = 4.0
    assert model.predict(x) == 5.0
    assert model.norm == 20.0
    monkeypatch.setattr(Model, "rate", 1.0)
    assert model.predict(x) == 8.0
    monkeypatch.setattr(Model, "inner", lambda self, x: x.sum())
    assert model.predict(x) == 4.0
    assert (Model.double(1.5), model.double(1.5), model.triple(1.5)) == (3.0, 3.0, 4.5)
    assert (Model.scaled(1.5), model.scaled(1.5)) == (1.5, 1.5)
    assert model.predict.trace(x).name == "predict"


@dataclasses.dataclass
class Unhashable:
    rate: float


def test_objects_without_a_hash_as_self():
    class Net(Unhashable):
        @np.jit
        def __call__(self, x):
            return x * self.rate

    net = Net(2.0)
    assert net(1.5) == 3.0
    net.rate = 3.0
    assert net(1.5) == 4.5


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float
    kind: str = "a"


def test_frozen_objects_are_compared_by_value():
    f = np.jit(lambda x, config: x * config.rate)
    assert [f(1.5, Config(2.0)), f(1.5, Config(2.0)), f(1.5, Config(3.0))] == [3.0, 3.0, 4.5]
    assert compiles(f) == 2
    assert [type(np.jit(lambda c: c.rate)(Config(r))) for r in (1, 1.0, True)] == [int, float, bool]


class Slots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def test_objects_with_slots_and_callables():
    slots = Slots(2.0)
    f = np.jit(lambda x: x * slots.value)
    assert f(1.5) == 3.0
    slots.value = 3.0
    assert f(1.5) == 4.5

    class Affine:
        def __init__(self, k):
            self.k = k

        def __call__(self, x):
            return x * self.k

    affine = Affine(2.0)
    g = np.jit(affine)
    assert g(1.5) == 3.0
    affine.k = 3.0
    assert g(1.5) == 4.5


def test_an_attribute_appears_and_hides_that_of_the_class():
    class Meta(type):
        power = 1.0

    class Settings(metaclass=Meta):
        rate = 2.0

    class Lazy:
        __slots__ = ("cached",)

    settings, lazy = Settings(), Lazy()
    f = np.jit(lambda x: x * settings.rate * Settings.power * getattr(lazy, "cached", 1.0))
    for _ in range(2):
        assert f(1.5) == 3.0
    settings.rate = 4.0
    for _ in range(2):
        assert f(1.5) == 6.0
    lazy.cached = 3.0
    for _ in range(2):
        assert f(1.5) == 18.0
    Meta.power = 2.0
    assert f(1.5) == 36.0


def test_context_variables():
    rate = contextvars.ContextVar("rate", default=2.0)
    f = np.jit(lambda x: x * rate.get())
    assert f(1.5) == f(1.5) == 3.0
    token = rate.set(4.0)
    assert f(1.5) == f(1.5) == 6.0
    assert contextvars.Context().run(f, 1.5) == 3.0
    rate.reset(token)
    assert f(1.5) == 3.0
    assert compiles(f) == 2


def test_partials_and_defaults():
    def f(x, k=2.0, *, m=1.0):
        return x * k + m

    jitted = np.jit(functools.partial(f, m=5.0))
    assert jitted(1.5) == 8.0
    f.__defaults__ = (3.0,)
    assert jitted(1.5) == 9.5
    state = [1.0]
    g = np.jit(functools.partial(lambda s, x: x + s[0], state))
    assert g(1.5) == 2.5
    state[0] = 2.0
    assert g(1.5) == 3.5


def test_functions_with_attributes_and_caches():
    def f(x):
        return x * f.k

    f.k = 2.0
    jitted = np.jit(f)
    assert jitted(1.5) == 3.0
    f.k = 3.0
    assert jitted(1.5) == 4.5


def test_a_users_module_changes(monkeypatch):
    module, inner = types.ModuleType("settings_of_test"), types.ModuleType("settings_of_test.inner")
    module.rate, module.inner, inner.rate = 2.0, inner, 10.0
    monkeypatch.setitem(sys.modules, "settings_of_test", module)
    f = np.jit(lambda x: x * module.rate + module.inner.rate)
    assert f(1.5) == 13.0
    module.rate = 3.0
    assert f(1.5) == 14.5
    inner.rate = 20.0
    assert f(1.5) == 24.5

    def imports(x):
        import settings_of_test

        return x * settings_of_test.rate

    g = np.jit(imports)
    assert g(1.5) == 4.5
    module.rate = 4.0
    assert g(1.5) == 6.0

    def renames(x):
        other = module
        return x * other.rate + getattr(module.inner, "rate")  # noqa: B009

    h = np.jit(renames)
    assert h(1.5) == 26.0
    module.rate = 5.0
    assert h(1.5) == 27.5
    inner.rate = 30.0
    assert h(1.5) == 37.5


# -- arrays --


def test_arrays_are_read_when_the_function_runs():
    table = numpy.arange(3.0)
    f = np.jit(lambda x: x * table + table.mean() + (1.0 if table[0] > 5 else 0.0))
    for value in (0.0, 1.0, 9.0):
        table[0] = value
        numpy.testing.assert_array_equal(f(numpy.ones(3)), f.__wrapped__(numpy.ones(3)))


def test_large_arrays_too():
    table = numpy.arange(1e5)
    f = np.jit(lambda x: (x * table)[4] + x * table.sum())
    g = np.jit(lambda x: np.sum(x * table))
    for k in range(4):
        table[k * 3 + 1] += 5.0
        assert f(1.0) == f.__wrapped__(1.0)
        numpy.testing.assert_allclose(g(1.0), table.sum())
    assert compiles(g) == 1
    table[:] = 0.0
    assert f(1.0) == 0.0
    assert g(1.0) == 0.0


def test_an_array_that_the_function_changes_itself():
    buffer = numpy.zeros(3)

    def f(x):
        y = x * buffer
        buffer[0] += 1.0
        return y + x * buffer

    jitted = np.jit(f)
    assert [jitted(1.0).tolist()[0] for _ in range(3)] == [1.0, 3.0, 5.0]
    assert "changes what it reads" in str(np.explain(jitted))


def test_a_scratch_array_of_numpys_own():
    def f(x):
        scratch = numpy.zeros(3)
        a = x + scratch
        scratch[:] = 5.0
        return a, x + scratch

    a, b = np.jit(f)(numpy.ones(3))
    assert (a.tolist(), b.tolist()) == ([1.0] * 3, [6.0] * 3)


def test_state_that_the_function_keeps():
    """It runs anew at each call, as the plain function does."""
    seen, count = [], 0

    def f(x):
        nonlocal count
        count += 1
        seen.append(count)
        return x * count

    jitted = np.jit(f)
    assert [jitted(1.5) for _ in range(3)] == [1.5, 3.0, 4.5]
    assert seen == [1, 2, 3]


# -- random numbers --


def test_random_numbers_are_drawn_at_each_call():
    rng, wanted = numpy.random.default_rng(0), numpy.random.default_rng(0)
    f = np.jit(lambda x: x + rng.normal())
    assert [f(1.0) for _ in range(3)] == [1.0 + wanted.normal() for _ in range(3)]
    assert "draws random numbers" in np.explain(f)[0].note

    numpy.random.seed(0)  # noqa: NPY002 - the global generator
    wanted = numpy.random.RandomState(0)
    g = np.jit(lambda x: x + numpy.random.uniform())  # noqa: NPY002
    assert [g(1.0) for _ in range(3)] == [1.0 + wanted.uniform() for _ in range(3)]

    random.seed(0)
    pythons = random.Random(0)
    h = np.jit(lambda x: x + random.random())
    assert [h(1.0) for _ in range(3)] == [1.0 + pythons.random() for _ in range(3)]


def test_a_generator_as_argument_and_one_made_inside():
    f = np.jit(lambda x, rng: x + rng.normal(size=2))
    rng, wanted = numpy.random.default_rng(0), numpy.random.default_rng(0)
    for _ in range(3):
        numpy.testing.assert_array_equal(f(1.0, rng), 1.0 + wanted.normal(size=2))
    g = np.jit(lambda x: x + np.random.default_rng(3).normal(size=2))
    first = g(1.0)
    numpy.testing.assert_array_equal(first, g(1.0))
    numpy.testing.assert_array_equal(first, 1.0 + numpy.random.default_rng(3).normal(size=2))


# -- what is kept --


def test_old_entries_are_found_again_and_dropped_in_the_end():
    box = [0.0]
    f = np.jit(lambda x: x + box[0])
    for k in itertools.chain(range(3), range(3)):
        box[0] = float(k)
        assert f(1.0) == 1.0 + k
    assert compiles(f) == 3
    for k in range(20):
        box[0] = float(k)
        f(1.0)
    assert sum(map(len, f._entries.values())) <= 8


def test_clear_cache():
    f = np.jit(lambda x: x + 1)
    f(1.0)
    f.clear_cache()
    assert str(np.explain(f)) == "<lambda>: not compiled yet"
    assert f(1.0) == 2.0
    assert compiles(f) == 1


def test_a_function_can_be_collected():
    import weakref

    def make():
        data = numpy.zeros(10)
        f = np.jit(lambda x: x + data)
        f(1.0)
        return weakref.ref(data)

    found = make()
    gc.collect()
    assert found() is None
