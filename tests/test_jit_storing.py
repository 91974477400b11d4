"""Jitted functions that store what they compute: in ``self``, in objects, in what is outside."""

import collections
import contextvars
import dataclasses
import types
import warnings

import numpy
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")


class Slotted:
    __slots__ = ("hist", "w")


class Model:
    total = 0.0

    def __init__(self):
        self.w, self.n, self.hist, self.cache = numpy.ones(2), 0, [], {}
        self.inner = types.SimpleNamespace(queue=collections.deque(maxlen=2))
        self.counts = numpy.zeros(1)
        self.slotted = Slotted()
        self.slotted.hist = ()


def attribute(o, x):
    o.n += 1
    o.w = o.w - 0.1 * x
    return o.w


def new_attribute(o, x):
    o.last = x * 2
    return o.last


def item_of_a_list(o, x):
    o.n += 1
    o.counts[0] += 1
    o.hist.append(x)
    return x * len(o.hist)


def item_of_a_dict(o, x):
    o.cache["w"] = o.cache.get("w", 0.0) + x
    return o.cache["w"]


def deeper(o, x):
    o.inner.queue.append((x, {"a": x}))
    return x * 2


def slot(o, x):
    o.slotted.w = x
    o.slotted.hist = (*o.slotted.hist, o.n)
    return x + len(o.slotted.hist)


def of_the_class(o, x):
    type(o).total = type(o).total + x
    return o.total


def wrapped(o, x):
    o.saved = types.SimpleNamespace(x=[x])
    return x


def deleted(o, x):
    old = o.w
    del o.w
    o.v = old + x
    o.w = o.v
    return old * x


STORING = [
    *(attribute, new_attribute, item_of_a_list, item_of_a_dict, deeper, slot, of_the_class),
    *(wrapped, deleted),
]


def state(o):
    slots = {name: getattr(o.slotted, name, None) for name in Slotted.__slots__}
    return repr({**vars(o), "slotted": slots, "total": type(o).total})


def calls(f, o):
    try:
        return repr([f(o, numpy.array([1.0, k])) for k in range(3)]), state(o)
    finally:
        Model.total = 0.0


@pytest.mark.parametrize("f", STORING)
@pytest.mark.parametrize("way", ["static", "method", "outside"])
def test_it_is_the_plain_function(f, way, monkeypatch):
    wanted = calls(f, Model())
    o, jitted = Model(), np.jit(f)
    if way == "method":
        monkeypatch.setattr(Model, f.__name__, jitted, raising=False)
        call = lambda o, x: getattr(o, f.__name__)(x)
    elif way == "outside":
        jitted = np.jit(lambda x: f(o, x))
        call = lambda _, x: jitted(x)
    else:
        call = jitted
    with pytest.warns(RuntimeWarning, match="uncompiled: it stores traced values in") as caught:
        assert calls(call, o) == wanted
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls(call, o)


total = 0.0
context = contextvars.ContextVar("context", default=0.0)


def in_globals(x):
    global total  # noqa: PLW0603 - what is tested
    total = total + x
    return total


def in_a_context_variable(x):
    context.set(context.get() + x)
    return context.get()


def in_a_default(x, log=[0.0]):  # noqa: B006
    log[0] = log[0] + x
    return log[0]


def in_a_function(x):
    in_a_function.last = getattr(in_a_function, "last", 0.0) + x
    return in_a_function.last


def in_a_closure():
    count, last = 0, 0.0

    def f(x):
        nonlocal count, last
        count += 1
        last = last + x
        return last * count

    return f


@pytest.mark.parametrize(
    "make",
    [
        lambda: in_globals,
        lambda: in_a_context_variable,
        lambda: in_a_default,
        lambda: in_a_function,
        in_a_closure,
    ],
    ids=["globals", "context", "default", "function", "closure"],
)
def test_what_is_no_object(make):
    f = make()
    wanted = [1.0, 3.0, 6.0] if make is not in_a_closure else [1.0, 6.0, 18.0]
    try:
        with pytest.warns(RuntimeWarning, match="it stores traced values in"):
            found = [np.jit(f)(float(k)) for k in (1, 2, 3)]
        assert found == wanted
    finally:
        globals().update(total=0.0)
        context.set(0.0)
        in_a_default.__defaults__[0][0] = 0.0
        vars(in_a_function).clear()


def keep(x):
    global kept  # noqa: PLW0603 - what is tested: nothing reads it
    kept = x


@pytest.mark.parametrize("before", [{}, {"kept": None}], ids=["new", "old"])
def test_a_global_that_is_only_written(before):
    def f(x):
        keep(x * 2.0)
        return x

    jitted = np.jit(f)
    globals().update(before)
    try:
        with pytest.warns(RuntimeWarning, match="it stores traced values in kept"):
            assert jitted(1.0) == 1.0
        assert kept == 2.0
        jitted(3.0)
        assert kept == 6.0
    finally:
        globals().pop("kept", None)


def test_the_warning_names_the_attribute():
    with pytest.warns(RuntimeWarning, match=r"values in Model.w, .* o.w = o.step\(x\)"):
        np.jit(attribute)(Model(), numpy.ones(2))


def test_nothing_is_lost_when_the_function_raises():
    def f(o, x):
        o.w = o.w * x
        raise LookupError

    o = Model()
    for _ in range(2):
        with pytest.raises(LookupError):
            np.jit(f)(o, numpy.ones(2))
        assert o.w.tolist() == [1.0, 1.0]


def test_what_is_put_back_by_the_function_itself_is_compiled():
    def f(o, x):
        old, o.w = o.w, x
        try:
            return o.w * 2
        finally:
            o.w = old

    o, jitted = Model(), np.jit(f)
    assert [jitted(o, x) for x in (1.0, 2.0)] == [2.0, 4.0]
    assert [compiled.note for compiled in np.explain(jitted)] == [""]


def test_where_programs_are_shown_it_raises():
    with pytest.raises(np.MutationError, match=r"stores traced values in Model\.w"):
        np.jit(attribute).trace(Model(), numpy.ones(2))


def test_what_the_error_of_an_operation_in_place_advises():
    def f(o, x):
        o.w -= 0.1 * x
        return o.w

    o = Model()
    with pytest.raises(np.MutationError, match=r"return it, and assign it where .* called"):
        np.jit(f)(o, numpy.ones(2))
    assert o.w.tolist() == [1.0, 1.0]


def test_where_recording_fails_for_another_reason():
    def f(o, x):
        o.n += 1
        o.w = x[x > 0]
        return o.w.sum() * o.n

    o, jitted = Model(), np.jit(f)
    with pytest.warns(RuntimeWarning, match="uncompiled"):
        found = [jitted(o, numpy.array([1.0, -1.0, k])) for k in range(6)]
    plain = Model()
    assert found == [f(plain, numpy.array([1.0, -1.0, k])) for k in range(6)]
    assert state(o) == state(plain)


def test_one_inside_of_another():
    o = Model()
    inner = np.jit(attribute)
    outer = np.jit(lambda x: inner(o, x) * 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(1, 4):
            outer(numpy.ones(2))
            assert o.w.tolist() == pytest.approx([1.0 - 0.1 * k] * 2)
            assert o.n == k
    assert len(caught) == 2  # of either


def test_what_is_recorded_twice_is_stored_once():
    class Counts:
        calls = 0

        @np.jit
        def mean(self, x):
            self.calls += 1
            return np.sum(x) / len(x)

    o = Counts()
    for n in range(1, 7):
        assert o.mean(numpy.ones(n)) == 1.0
        assert o.calls == n


def test_a_hashable_record_of_traced_values():
    @dataclasses.dataclass(frozen=True)
    class Record:
        x: object

    def f(o, x):
        o.record = Record(x)
        return x

    o = Model()
    with pytest.warns(RuntimeWarning, match=r"stores traced values in Model\.record\.x"):
        assert np.jit(f)(o, 2.0) == 2.0
    assert o.record == Record(2.0)
