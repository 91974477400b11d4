"""What a jitted function reads of pytree nodes besides their leaves may change between calls."""

import collections
import functools
import typing

import numpy
import optree
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")

RATE = 2.0


@optree.dataclasses.dataclass(namespace="xnp")
class Layer:
    w: object
    aux: object = optree.dataclasses.field(default=None, pytree_node=False)
    k: typing.ClassVar[float] = 2.0

    def scaled(self):
        return self.w * RATE

    @property
    def doubled(self):
        return self.w * RATE * 2

    def by_class(self):
        return self.w * type(self).k


class Pair(typing.NamedTuple):
    w: float

    def scaled(self):
        return self.w * RATE


class Registered:
    def __init__(self, w):
        self.w = w

    def scaled(self):
        return self.w * RATE


optree.register_pytree_node(
    Registered, lambda node: ((node.w,), None), lambda _, w: Registered(*w), namespace="xnp"
)


@pytest.mark.parametrize("node", [Layer(1.5), Pair(1.5), Registered(1.5)])
def test_a_global_that_a_method_reads(node, monkeypatch):
    f = np.jit(lambda p: p.scaled())
    assert f(node) == 3.0
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert f(node) == 4.5


def test_a_property_a_class_attribute_and_a_method(monkeypatch):
    f = np.jit(lambda p: (p.doubled, p.k * p.w, p.by_class(), p.scaled()))
    assert f(Layer(1.0)) == (4.0, 2.0, 2.0, 2.0)
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert f(Layer(1.0)) == (6.0, 2.0, 2.0, 3.0)
    monkeypatch.setattr(Layer, "k", 5.0)
    assert f(Layer(1.0)) == (6.0, 5.0, 5.0, 3.0)
    assert np.explain(f)[-1].reason == "Layer.k changed"
    monkeypatch.setattr(Layer, "scaled", lambda self: self.w * 100)
    assert f(Layer(1.0)) == (6.0, 5.0, 5.0, 100.0)


def scale(x):
    return x * RATE


@pytest.mark.parametrize("aux", [scale, functools.partial(scale), (scale,), {"f": scale}])
def test_a_function_among_the_metadata(aux, monkeypatch):
    def f(p):
        inner = p.aux
        if isinstance(inner, (tuple, dict)):
            (inner,) = inner.values() if isinstance(inner, dict) else inner
        return inner(p.w)

    jitted = np.jit(f)
    assert jitted(Layer(1.5, aux)) == 3.0
    monkeypatch.setitem(globals(), "RATE", 3.0)
    assert jitted(Layer(1.5, aux)) == 4.5


class Settings:
    def __init__(self, rate):
        self.rate = rate


def test_an_object_among_the_metadata():
    settings = Settings(2.0)
    f = np.jit(lambda p: p.w * p.aux.rate)
    assert f(Layer(1.5, settings)) == 3.0
    settings.rate = 3.0
    assert f(Layer(1.5, settings)) == 4.5
    assert f(Layer(1.5, Settings(4.0))) == 6.0


def test_containers_and_arrays_among_the_metadata():
    f = np.jit(lambda p: p.w * p.aux[0])
    for aux in ([2.0], numpy.array([2.0])):
        assert f(Layer(1.5, aux)) == 3.0
        aux[0] = 3.0
        assert f(Layer(1.5, aux)) == 4.5


def test_metadata_is_told_apart_by_type():
    f = np.jit(lambda p: type(p.aux).__name__)
    assert [f(Layer(1.0, aux)) for aux in (1, True, 1.0)] == ["int", "bool", "float"]
    g = np.jit(lambda p: str(p.aux))
    assert [g(Layer(1.0, aux)) for aux in (0.0, -0.0)] == ["0.0", "-0.0"]


def test_equal_metadata_is_compiled_once():
    f = np.jit(lambda p: p.w * len(p.aux))
    for _ in range(3):
        assert f(Layer(1.5, ["a", ("b", {"c": 1})])) == 3.0
    assert len(np.explain(f)) == 1


def test_the_default_factory_of_a_dict():
    f = np.jit(lambda d: d["w"] * d.default_factory())
    assert f(collections.defaultdict(lambda: 2.0, w=1.5)) == 3.0
    assert f(collections.defaultdict(lambda: 3.0, w=1.5)) == 4.5
