"""What a jitted function keeps alive of the objects that it was called with."""

import dataclasses
import gc
import weakref

import numpy
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")


class Model:
    def __init__(self, rate):
        self.rate = rate
        self.data = numpy.ones(3)

    @np.jit
    def method(self, x):
        return x * self.rate


@dataclasses.dataclass
class Data(Model):
    rate: float
    data: object = dataclasses.field(default_factory=lambda: numpy.ones(3))


def scaled(x, o):
    return x * o.rate


@pytest.mark.parametrize(("kind", "is_method"), [(Model, False), (Model, True), (Data, True)])
def test_objects_die(kind, is_method):
    f = np.jit(scaled)
    objects, arrays = [], []
    for k in range(20):
        o = kind(float(k))
        for _ in range(3):
            assert (o.method(2.0) if is_method else f(2.0, o)) == 2.0 * k
        objects.append(weakref.ref(o))
        arrays.append(weakref.ref(o.data))
    del o
    gc.collect()
    assert not any(reference() for reference in objects)
    alive = sum(reference() is not None for reference in arrays)
    assert alive <= 1  # what its attributes hold goes when the next one is recorded


def test_others_in_their_places_are_told_apart():
    f = np.jit(lambda x, o: x + len(o.names))
    for k in range(50):
        o = Model(0.0)
        o.names = ("a",) * k
        assert [f(1.0, o) for _ in range(3)] == [1.0 + k] * 3
        del o


def test_one_that_is_changed_and_dies():
    f = np.jit(scaled)
    o = Model(1.0)
    for k in range(5):
        o.rate = float(k)
        assert [f(2.0, o), f(2.0, o)] == [2.0 * k] * 2
    reference = weakref.ref(o)
    del o
    gc.collect()
    assert reference() is None
    assert f(2.0, Model(7.0)) == 14.0


class Slotted:
    __slots__ = ("__weakref__", "rate")


class Fixed:
    rate = 2.0

    def __eq__(self, other):
        return type(other) is Fixed

    def __hash__(self):
        return 1


def test_what_is_kept_alive_works_as_well():
    slotted, own = Slotted(), Model(2.0)
    slotted.rate, own.own = 2.0, own
    f = np.jit(scaled)
    for o in (slotted, own, Fixed(), Fixed(), Model):
        if o is Model:
            o.rate = 2.0
        assert [f(1.5, o) for _ in range(3)] == [3.0] * 3
    slotted.rate = own.rate = 3.0
    assert f(1.5, slotted) == f(1.5, own) == 4.5
    del Model.rate


def test_explain_still_tells_why():
    f = np.jit(scaled)
    for k in range(3):
        f(1.0, Model(float(k)))
        gc.collect()
    reasons = [compiled.reason for compiled in np.explain(f)]
    assert reasons[0] == "first call"
    assert len(reasons) == 3
