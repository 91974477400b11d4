"""The native call path: which calls fit a signature, what the kernel is given, what comes back."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from entries import (
    AT_MOST_10,
    DOUBLED,
    F4,
    F8,
    I8,
    MULTIPLY,
    M,
    N,
    is_miss,
    make_fixture,  # noqa: F401 - the fixture `make`
    read,
    signature,
    write,
)

from xnp.runtime.entry_signature import (
    SCALAR_DTYPES,
    Again,
    Argument,
    Array,
    Computed,
    Given,
    NewArray,
    NewScalar,
    Rebuild,
    Scalar,
    Static,
)

# Arrays


@pytest.mark.parametrize("n", [0, 1, 4, 1000])
def test_two_arrays(make, n):
    f = make(MULTIPLY)
    a, b = np.arange(n) + 0.5, np.arange(n) * 2.0
    result = f(a, b)
    assert type(result) is np.ndarray
    assert result.flags.c_contiguous
    assert result.flags.owndata
    np.testing.assert_array_equal(result, a * b + a, strict=True)


class Subclass(np.ndarray):
    pass


def unaligned(n):
    return np.zeros(8 * n + 1, np.uint8)[1:].view(F8)


def readonly(n):
    a = np.zeros(n)
    a.flags.writeable = False
    return a


OTHERS = [
    np.zeros(4, F4), np.zeros(4, I8), np.zeros(4, ">f8"), np.zeros(5), np.zeros((4, 1)),
    np.zeros(()), np.zeros(8)[::2], np.zeros(4)[::-1], unaligned(4), np.zeros(4).view(Subclass),
    np.ma.zeros(4), np.zeros(4, "M8[s]"), np.zeros(4, object), np.zeros(4, [("x", "f8")]),
    np.zeros(4, complex), [0.0] * 4, 1.0, np.float64(1.0), None, "text", (),
]  # fmt: skip


def test_other_arrays_miss(make):
    f = make(MULTIPLY)
    right = np.zeros(4)
    for wrong in OTHERS:
        for args in ((wrong, right), (right, wrong)):
            result = f(*args)
            assert is_miss(result), wrong
            assert all(a is b for a, b in zip(result[1], args, strict=True))
            assert result[2] is None


def test_what_arrays_may_be(make):
    f = make(MULTIPLY)
    right = np.ones(4)
    for fine in (readonly(4), np.zeros(8)[2:6], np.zeros((2, 2)).reshape(4), np.zeros(4, "=f8")):
        np.testing.assert_array_equal(f(fine, right), fine * right + fine)
    with_metadata = np.zeros(4, np.dtype("f8", metadata={"unit": "m"}))
    assert f(with_metadata, right).dtype.metadata is None


def test_shapes_and_symbols(make):
    seen = []

    def kernel(inputs, outputs, sizes):
        seen.append((sizes[0], sizes[1]))
        return 0

    args = (Array(F8, (N, 3)), Array(F4, (M, N, M)))
    f = make(signature(args, result=NewArray(F4, (M, 2, N)), function=kernel, symbols=2))
    assert f(np.zeros((5, 3)), np.zeros((2, 5, 2), F4)).shape == (2, 2, 5)
    assert f(np.zeros((0, 3)), np.zeros((7, 0, 7), F4)).shape == (7, 2, 0)
    assert [(a or 0, b or 0) for a, b in seen] == [(5, 2), (0, 7)]
    for first, second in (((5, 2), (2, 5, 2)), ((5, 3), (2, 5, 3)), ((5, 3), (2, 4, 2))):
        assert is_miss(f(np.zeros(first), np.zeros(second, F4)))


def test_fortran_order_fits_where_it_is_c_order_too(make):
    f = make(signature((Array(F8, (N, M)),), symbols=2))
    assert f(np.zeros((3, 1), order="F")) is None
    assert is_miss(f(np.zeros((3, 2), order="F")))


def test_arrays_with_gaps_fit_by_their_strides(make):
    f = make(signature((Array(F8, (3, 2), strides=(32, -8)),)))
    base = np.zeros((6, 2))
    assert f(base[::2, ::-1]) is None
    assert f(readonly(12).reshape(6, 2)[::2, ::-1]) is None
    for other in (base[::2], base[:3, ::-1], base[:3], base[::2, :1], base[::2, ::-1].astype(F4)):
        assert is_miss(f(other))


def test_read_only_arrays(make):
    either, only, never = (
        make(signature((Array(F8, (3,), writeable=writeable),)))
        for writeable in (None, False, True)
    )
    for array in (np.zeros(3), readonly(3)):
        assert either(array) is None
    assert only(readonly(3)) is None
    assert is_miss(only(np.zeros(3)))
    assert never(np.zeros(3)) is None
    assert is_miss(never(readonly(3)))


def test_results_in_fortran_order(make):
    def kernel(inputs, outputs, sizes):
        write(outputs[0], np.arange(6.0))
        return 0

    result = NewArray(F8, (M, 3), fortran=True)
    f = make(signature((Array(F8, (N, M)),), result=result, function=kernel, symbols=2))
    found = f(np.zeros((4, 2)))
    assert found.flags.f_contiguous
    assert found.flags.owndata
    assert found.tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]


def test_mutated_arrays(make):
    def kernel(inputs, outputs, sizes):
        write(inputs[0], np.array([7.0]))
        return 0

    args = (Array(F8, (N,), mutated=True), Array(F8, (M,)))
    f = make(signature(args, function=kernel, symbols=2))
    a = np.zeros(3)
    assert f(a, np.zeros(2)) is None
    assert a.tolist() == [7, 0, 0]
    assert is_miss(f(readonly(3), a))


def test_overlap_with_a_mutated_array_misses(make):
    args = (Array(F8, (N,)), Array(F8, (M,), mutated=True))
    f = make(signature(args, symbols=2))
    a = np.zeros(10)
    assert is_miss(f(a, a))
    assert is_miss(f(a[:6], a[5:]))
    assert is_miss(f(a[5:], a[:6]))
    assert is_miss(f(a, a[3:4]))
    assert f(a[:5], a[5:]) is None
    assert f(a[5:], a[:5]) is None
    assert f(a, a[3:3]) is None  # nothing in common with what is empty
    read_only = make(signature((Array(F8, (N,)), Array(F8, (M,))), symbols=2))
    assert read_only(a, a) is None


def test_guard_and_computed_sizes(make):
    result = NewArray(F8, (Computed(0), N))
    options = {"symbols": 1, "computed": 1, "guard": AT_MOST_10, "dims": DOUBLED}
    f = make(signature((Array(F8, (N,)),), result=result, **options))
    assert f(np.zeros(3)).shape == (6, 3)
    assert f(np.zeros(10)).shape == (20, 10)
    assert is_miss(f(np.zeros(11)))


# Scalars and static arguments


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (float, [0.0, -1.5, float("inf"), float("nan")]),
        (complex, [1 + 2j, complex("nan")]),
        (int, [0, -1, 2**63 - 1, -(2**63)]),
        (bool, [True, False]),
        *((np.dtype(c).type, [np.dtype(c).type(v) for v in (0, 1)]) for c in "?bBhHiIlLqQefdFD"),
    ],
)
def test_scalars(make, kind, values):
    dtype = SCALAR_DTYPES[kind]
    seen = []

    def kernel(inputs, outputs, sizes):
        seen.append(read(inputs[1], dtype))
        return 0

    f = make(signature((Array(F8, (1,)), Scalar(kind)), function=kernel))
    for value in values:
        assert f(np.zeros(1), value) is None
    np.testing.assert_array_equal(np.array(seen), np.array(values, dtype), strict=True)
    others = {float: 1.0, complex: 1j, int: 1, bool: True, np.float64: np.float64(1)}
    for other, value in others.items():
        if other is not kind:
            assert is_miss(f(np.zeros(1), value)), other
    assert is_miss(f(np.zeros(1), None))


def test_ints_out_of_range_miss(make):
    f = make(signature((Scalar(int),)))
    assert f(2**63 - 1) is None
    assert is_miss(f(2**63))
    assert is_miss(f(-(2**63) - 1))


def never(_):
    raise AssertionError("compared")


class Fussy:
    __hash__ = object.__hash__
    __eq__ = never


class Equal:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        if self.value is None:
            raise ZeroDivisionError
        return self.value == other.value

    __hash__ = None


@pytest.mark.parametrize(
    ("expected", "fits", "misses"),
    [
        (None, [None], [0, False, ""]),
        (True, [True], [1, 1.0, np.True_, False]),
        (1, [1], [True, 1.0, 2, np.int64(1), 10**30]),
        (10**30, [10**30 + 0], [10**30 + 1]),
        ("name", ["".join(["na", "me"])], ["nam", "", b"name"]),
        (b"raw", [bytes([114, 97, 119])], ["raw"]),
        (1.5, [3 / 2], [2, 1.25]),
        (0.0, [0.0], [-0.0, 0, float("nan")]),
        (float("nan"), [float("nan")], [0.0]),
        (len, [len], [max]),
        (np.float64, [np.float64], [np.dtype("f8"), float]),
    ],
)
def test_static_arguments(make, expected, fits, misses):
    f = make(signature((Static(expected),)))
    assert [f(value) for value in fits] == [None] * len(fits)
    assert all(is_miss(f(value)) for value in misses)


def test_static_objects_match_by_identity_or_where_asked_by_equality(make):
    fussy = Fussy()
    by_identity = make(signature((Static(fussy),)))
    assert by_identity(fussy) is None
    assert is_miss(by_identity(Fussy()))
    by_value = make(signature((Static(Equal(3), equal=True),)))
    assert by_value(Equal(3)) is None
    assert is_miss(by_value(Equal(4)))
    assert is_miss(by_value(SimpleNamespace(value=3)))
    assert is_miss(by_value(Equal(None)))  # its own comparison raises: left to Python


def test_static_objects_that_are_not_kept_alive(make):
    thing = Fussy()
    reference = weakref.ref(thing)
    f = make(signature((Static(reference, weak=True),)))
    assert [f(thing), f(thing)] == [None, None]
    assert is_miss(f(Fussy()))
    assert is_miss(f(None))
    del thing
    gc.collect()
    assert reference() is None
    assert all(is_miss(f(x)) for x in (None, *[Fussy() for _ in range(100)]))
    assert is_miss(make(signature((Static(reference, weak=True),)))(None))


# Containers and keywords


def test_containers(make):
    A = Array(F8, (N,))
    seen = []

    def kernel(inputs, outputs, sizes):
        seen.append([read(inputs[i], F8)[()] for i in range(5)])
        return 0

    spec = ([A, (A, Static("x"))], {"w": A, "b": {"deep": A}, "none": Static(None)}, A, (), [], {})
    f = make(signature(spec, function=kernel, symbols=1))
    a, b, c, d, e = (np.array([float(i)]) for i in range(5))
    right = [[a, (b, "x")], {"w": c, "b": {"deep": d}, "none": None}, e, (), [], {}]
    assert f(*right) is None
    assert seen == [[0, 1, 2, 3, 4]]
    wrong = [
        ((a, (b, "x")), 0), ([a, [b, "x"]], 0), ([a, (b, "y")], 0), ([a, (b,)], 0), ([a], 0),
        ([a, (b, "x"), 1], 0), ({"b": {"deep": d}, "w": c, "none": None}, 1), ({}, 1),
        ({"w": c, "b": {"deep": d}}, 1), ({"w": c, "b": {"deeq": d}, "none": None}, 1),
        ({"w": c, "b": {1: d}, "none": None}, 1), (None, 3), ([], 3), ((), 4), ((), 5), ([], 5),
    ]  # fmt: skip
    for value, place in wrong:
        assert is_miss(f(*right[:place], value, *right[place + 1 :])), (value, place)


def test_subclasses_of_containers_miss(make):
    class Pair(tuple):
        __slots__ = ()

    class Mapping(dict):
        pass

    f = make(signature(((Static(1),), {"k": Static(2)})))
    assert f((1,), {"k": 2}) is None
    assert is_miss(f(Pair((1,)), {"k": 2}))
    assert is_miss(f((1,), Mapping(k=2)))


def test_keywords(make):
    A = Array(F8, (N,))
    f = make(signature((A,), {"scale": Scalar(float), "mode": Static("fast")}, symbols=1))
    a = np.zeros(3)
    assert f(a, scale=2.0, mode="fast") is None
    assert f(a, **{"".join(["sc", "ale"]): 2.0, "mode": "fast"}) is None
    misses = [
        {}, {"scale": 2.0}, {"mode": "fast", "scale": 2.0}, {"scale": 2.0, "mode": "slow"},
        {"scale": 2.0, "node": "fast"}, {"scale": 2.0, "mode": "fast", "more": 1},
    ]  # fmt: skip
    for kwargs in misses:
        result = f(a, **kwargs)
        assert is_miss(result)
        assert result[2] == (kwargs or None)
        assert list(result[2] or {}) == list(kwargs)
    assert is_miss(f(a, 2.0, mode="fast"))
    assert is_miss(f(a, 2.0, "fast"))
    assert is_miss(f(a, a, scale=2.0, mode="fast"))


def test_many_arguments(make):
    A = Array(F8, (N,))
    count = 300
    f = make(signature((A,) * count, result=Argument(count - 1), symbols=1))
    arrays = [np.zeros(2) for _ in range(count)]
    assert f(*arrays) is arrays[-1]
    tree = make(signature(([A] * count,), result=Argument(count - 1), symbols=1))
    assert tree(arrays) is arrays[-1]


# Results


@pytest.mark.parametrize("char", "?bBhHiIlLqQefdFD")
def test_results_of_every_dtype(make, char):
    dtype = np.dtype(char)
    values = np.array([[0, 1, 1], [1, 0, 1]], dtype)

    def kernel(inputs, outputs, sizes):
        write(outputs[0], values)
        write(outputs[1], values[0, 1])
        write(outputs[2], values[1, 1])
        return 0

    result = (NewArray(dtype, (2, 3)), NewScalar(dtype), NewArray(dtype, ()))
    array, scalar, zero = make(signature((), result=result, function=kernel))()
    np.testing.assert_array_equal(array, values, strict=True)
    assert type(scalar) is dtype.type
    assert scalar == 1
    np.testing.assert_array_equal(zero, np.array(0, dtype), strict=True)


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 1 - 2j, -(2**63), 2**63 - 1, True, False], ids=repr
)
def test_python_scalars(make, value):
    dtype = SCALAR_DTYPES[type(value)]

    def kernel(inputs, outputs, sizes):
        write(outputs[0], np.array(value, dtype))
        return 0

    result = make(signature((), result=NewScalar(dtype, type(value)), function=kernel))()
    assert type(result) is type(value)
    np.testing.assert_equal(result, value)


def test_result_trees(make):
    marker = object()

    def kernel(inputs, outputs, sizes):
        for i in range(2):
            write(outputs[i], np.array([i + 1.0]))
        return 0

    def rebuild(parts):
        assert type(parts) is list
        return SimpleNamespace(parts=parts)

    tree = {
        "a": [NewArray(F8, (1,)), (), Given(marker)],
        "b": (NewScalar(F8, float), Again(0), {}),
        "c": Rebuild(rebuild, (Argument(1), [Again(4)], Rebuild(rebuild, ()))),
        4: Argument(0),
    }
    f = make(signature((Static("s"), Array(F8, (2,))), result=tree, function=kernel))
    x = np.zeros(2)
    result = f("s", x)
    assert list(result) == ["a", "b", "c", 4]
    assert result["a"][0] == 1
    assert result["a"][1:] == [(), marker]
    assert result["b"] == (2.0, result["a"][0], {})
    assert result["b"][1] is result["a"][0]
    assert result["c"].parts[0] is x
    assert result["c"].parts[1] == [x]
    assert result["c"].parts[2].parts == []
    assert result[4] == "s"
    assert f("s", x) is not result


def test_a_single_container_or_leaf(make):
    assert make(signature((), result=()))() == ()
    assert make(signature((), result={"k": [Given(1)]}))() == {"k": [1]}
    assert make(signature((), result=Given(5)))() == 5
