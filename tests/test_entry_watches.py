"""What a function reads besides its arguments is watched by the native call path as by Python."""

import numpy as np
import pytest
from entries import is_miss, missed, signature

from xnp.runtime.entry import make_entry
from xnp.runtime.entry_signature import Given, WatchCall
from xnp.runtime.entry_watches import watches_of
from xnp.runtime.environment import Environment

scale = 2.0
settings = {"mode": "fast", "levels": [1, 2]}
table = np.arange(3.0)


class Model:
    rate = 0.5

    def __init__(self):
        self.width = 3

    def step(self, x):
        return x * self.rate * self.width


def helper(x, y=1):
    return x + y + scale


def other(x, y=1):
    return x


def read_everything():
    offset, model = [1.0], Model()

    def f(x, z=(1, 2)):
        size = settings["levels"][0] + len(settings)
        return model.step(helper(x)) + offset[0] + table[size] + np.sin(x) + absent  # noqa: F821

    return f, offset, model


def set_global(name, value):
    globals()[name] = value


def changes(f, offset, model):
    """(what changes something, what changes it back)."""
    old = {"scale": scale, "helper": helper, "step": Model.step}
    return {
        "global": (lambda: set_global("scale", 3.0), lambda: set_global("scale", old["scale"])),
        "new global": (lambda: set_global("absent", 1), lambda: globals().pop("absent")),
        "function": (lambda: set_global("helper", abs), lambda: set_global("helper", helper_)),
        "defaults": (
            lambda: setattr(helper, "__defaults__", (2,)),
            lambda: setattr(helper, "__defaults__", defaults),
        ),
        "keyword defaults": (
            lambda: setattr(helper, "__kwdefaults__", {"y": 2}),
            lambda: setattr(helper, "__kwdefaults__", None),
        ),
        "code": (
            lambda: setattr(helper, "__code__", other.__code__),
            lambda: setattr(helper, "__code__", code),
        ),
        "function attribute": (
            lambda: setattr(helper, "rate", 2),
            lambda: delattr(helper, "rate"),
        ),
        "item": (lambda: settings.update(mode="slow"), lambda: settings.update(mode="fast")),
        "nested": (lambda: settings["levels"].append(3), settings["levels"].pop),
        "closure": (lambda: offset.append(2.0), offset.pop),
        "attribute": (lambda: setattr(model, "width", 4), lambda: setattr(model, "width", 3)),
        "class": (lambda: setattr(Model, "rate", 0.7), lambda: setattr(Model, "rate", rate)),
        "method": (
            lambda: setattr(Model, "step", helper),
            lambda: setattr(Model, "step", old["step"]),
        ),
        "array": (lambda: table.__setitem__(0, 5.0), lambda: table.__setitem__(0, 0.0)),
    }


helper_, defaults, code, rate = helper, helper.__defaults__, helper.__code__, Model.rate
NAMES = list(changes(*read_everything()))


@pytest.mark.parametrize("name", NAMES)
def test_a_change_misses(name):
    f, offset, model = read_everything()
    environment = Environment(f, [])
    entry = make_entry(missed, "f")
    watches = watches_of(environment.probes)
    entry.add(signature((), result=Given("fits"), watches=watches))
    assert entry() == "fits"
    change, back = changes(f, offset, model)[name]
    change()
    try:
        assert not environment.unchanged()
        assert is_miss(entry())
    finally:
        back()
    assert environment.unchanged()
    assert entry() == "fits"


def test_few_watches_need_python():
    f, *_ = read_everything()
    watches = watches_of(Environment(f, []).probes)
    asked = [watch for watch in watches if isinstance(watch, WatchCall)]
    assert len(asked) <= 2  # the array's elements and the class's members
    assert len(watches) > 10
