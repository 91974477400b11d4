"""Arrays above 64 KB that a jitted function reads: with traced values, or by NumPy alone."""

import dataclasses
import operator
import types

import numpy
import pytest

import xnp as np

pytestmark = pytest.mark.usefixtures("both_ways")

LENGTH = 20_000  # of arrays too large to be compared whole at each call
table = numpy.zeros(LENGTH)


def number(x):
    return x * float(table.max()) + 1.0


def index(x):
    return numpy.arange(9.0)[int(table.argmax())] + x


def branch(x):
    return x * 2.0 if table.sum() > 2.0 else x * 3.0


def element(x):
    return x if table[7] > 2 else -x


def through_a_method(x):
    return Model(table).decided(x)


def by_name(x):
    return x * float(getattr(Model(table), "data").max())  # noqa: B009


get_data = operator.attrgetter("data")


def by_getter(x):
    return x * float(get_data(Model(table)).max())


def by_pattern(x):
    match Model(table):
        case Model(data=found):
            return x * float(found.max())


READERS = [number, index, branch, element, through_a_method, by_name, by_getter, by_pattern]


@dataclasses.dataclass
class Model:
    data: object
    unread: object = None
    settings: object = None

    def decided(self, x):
        return x * 2.0 if self.data.max() > 2 else x

    def fit(self):
        return self.unread.sum()

    @property
    def mean(self):
        return self.unread.mean()


@pytest.fixture(autouse=True)
def filled():
    table[:] = 0.0
    table[3] = 1.0


@pytest.mark.parametrize("f", READERS)
def test_one_element_changes(f):
    jitted = np.jit(f)
    for k in (7, 2, 4, 7):
        for _ in range(2):
            assert jitted(2.0) == f(2.0)
        table[k] += 3.0


def compared(f):
    """The arrays that are compared whole at each call."""
    ((entry,),) = f._entries.values()
    return [x for x, _ in entry.exact]


def test_what_no_code_reads_is_not_compared():
    model = Model(numpy.ones(LENGTH), numpy.ones(LENGTH), types.SimpleNamespace(rate=2.0))
    f = np.jit(lambda x: x * model.settings.rate)
    assert f(1.0) == 2.0
    assert compared(f) == []
    g = np.jit(lambda x: model.decided(x))  # noqa: PLW0108 - by the method's name
    assert g(1.0) == 1.0
    assert [x is model.data for x in compared(g)] == [True]
    h = np.jit(lambda x: x + model.mean)
    assert h(1.0) == 2.0
    assert [x is model.unread for x in compared(h)] == [True]


def test_what_is_combined_with_traced_values_is_not_compared():
    model = Model(numpy.ones(LENGTH))
    f = np.jit(lambda x: np.sum(model.data * x) + np.sum(table[:10] * x))
    assert f(2.0) == 2.0 * LENGTH + 2.0
    assert compared(f) == []
    table[:10] = 1.0
    assert f(2.0) == 2.0 * LENGTH + 20.0


def test_how_much_is_compared_is_told():
    large = numpy.ones(1 << 18)
    f = np.jit(lambda x: x * large.max())
    assert f(2.0) == 2.0
    assert np.explain(f)[0].note == "compares 2 MB of arrays from outside at each call"


def test_both_ways():
    f = np.jit(lambda x: np.sum(x * table) * 3.0 + float(table.max()))  # 3.0 is in the code, too
    table[3] = 3.0
    assert f(1.0) == 12.0
    table[7] = 5.0
    assert f(1.0) == 29.0


@pytest.mark.parametrize("length", [3, LENGTH])
@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]", "U3", [("day", "M8[D]"), ("x", "f8")]])
def test_arrays_of_other_than_numbers(length, dtype):
    array = numpy.zeros(length, dtype)
    f = np.jit(lambda x: x * len(set(array.tolist())))
    assert f(2.0) == 2.0
    array[2] = numpy.ones(1, dtype)[0]
    assert f(2.0) == 4.0
