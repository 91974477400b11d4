"""What a jitted function reads through views, references and attributes in places of their own."""

import collections
import types
import weakref

import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")


class Box:
    def __init__(self, rate):
        self.rate = rate


class Slotted:
    __slots__ = ("__hidden", "other", "rate")

    def __init__(self, hidden):
        self.hide(hidden)

    def hide(self, hidden):
        self.__hidden = hidden

    def hidden(self):
        return self.__hidden


def changed(read, change, *objects):
    """The results before and after a change, which are those of the plain function."""
    f = np.jit(lambda x: x * read(*objects))
    before = f(1.0), f(1.0)
    assert before[0] == before[1] == read(*objects)
    change()
    return before[0], f(1.0), f(1.0)


def test_slots_with_private_names():
    x = Slotted(2.0)
    assert changed(Slotted.hidden, lambda: x.hide(3.0), x) == (2.0, 3.0, 3.0)


def test_a_value_moves_to_another_attribute():
    def move(x):
        x.other = x.rate
        del x.rate

    for x in (Slotted(1.0), Box(1.0)):
        x.rate = 2.0
        found = changed(lambda x: getattr(x, "rate", 5.0), lambda x=x: move(x), x)
        assert found == (2.0, 5.0, 5.0)


VIEWS = {
    "proxy": types.MappingProxyType,
    "values": dict.values,
    "items": dict.items,
    "values in order": collections.OrderedDict.values,
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_dicts(name):
    d = collections.OrderedDict(a=2.0)
    view = VIEWS[name](d)

    def read(view):
        if isinstance(view, types.MappingProxyType):
            return view["a"]
        (found,) = view
        return found if type(found) is float else found[1]

    assert changed(read, lambda: d.update(a=3.0), view) == (2.0, 3.0, 3.0)


def test_weak_references():
    box = Box(2.0)
    values, keys = weakref.WeakValueDictionary(), weakref.WeakKeyDictionary()
    values["box"], keys[box] = box, 1.0
    for read, held in (
        (lambda r: r().rate, weakref.ref(box)),
        (lambda d: d["box"].rate, values),
        (lambda s: next(iter(s)).rate, weakref.WeakSet([box])),
        (lambda d: next(iter(d)).rate, keys),
    ):
        box.rate = 2.0
        assert changed(read, lambda: setattr(box, "rate", 3.0), held) == (2.0, 3.0, 3.0)
    other = Box(4.0)
    assert changed(lambda d: d["box"].rate, lambda: values.update(box=other), values)[1] == 4.0


def test_a_default_factory():
    d = collections.defaultdict(lambda: 2.0)

    def change():
        d.clear()
        d.default_factory = lambda: 3.0

    assert changed(lambda d: d["a"], change, d) == (2.0, 3.0, 3.0)


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys])
def test_objects_in_sets_and_as_keys(kind):
    box = Box(2.0)
    boxes = kind([box])
    read = lambda boxes: next(iter(boxes)).rate
    assert changed(read, lambda: setattr(box, "rate", 3.0), boxes) == (2.0, 3.0, 3.0)
