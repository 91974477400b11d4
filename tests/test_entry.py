"""The native call path: which calls fit a signature, what the kernel is given, what comes back.

Most kernels here are Python functions behind a C address, so that they can look at what they get.
"""

import contextlib
import copy
import ctypes
import gc
import sys
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnp.runtime import entry_python
from xnp.runtime.entry import Entry, make_entry
from xnp.runtime.entry_signature import (
    NEVER,
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
    Signature,
    Size,
    Static,
)
from xnp.runtime.native import load

KERNEL = ctypes.PYFUNCTYPE(ctypes.c_int32, *3 * [ctypes.POINTER(ctypes.c_void_p)])
F8, F4, I8 = np.dtype("f8"), np.dtype("f4"), np.dtype("i8")
N, M = Size(0), Size(1)

MULTIPLY_ADD = """
define i32 @run(ptr %in, ptr %out, ptr %sizes) {
  %n = load i64, ptr %sizes
  %a = load ptr, ptr %in
  %second = getelementptr ptr, ptr %in, i64 1
  %b = load ptr, ptr %second
  %o = load ptr, ptr %out
  br label %head
head:
  %i = phi i64 [0, %0], [%j, %body]
  %c = icmp slt i64 %i, %n
  br i1 %c, label %body, label %end
body:
  %pa = getelementptr double, ptr %a, i64 %i
  %pb = getelementptr double, ptr %b, i64 %i
  %po = getelementptr double, ptr %o, i64 %i
  %x = load double, ptr %pa
  %y = load double, ptr %pb
  %m = fmul double %x, %y
  %s = fadd double %m, %x
  store double %s, ptr %po
  %j = add i64 %i, 1
  br label %head
end:
  ret i32 0
}
define i32 @code(ptr %in, ptr %out, ptr %sizes) { ret i32 42 }
define i32 @at_most_10(ptr %sizes) {
  %n = load i64, ptr %sizes
  %c = icmp sgt i64 %n, 10
  %r = zext i1 %c to i32
  ret i32 %r
}
define void @doubled(ptr %sizes, ptr %computed) {
  %n = load i64, ptr %sizes
  %m = mul i64 %n, 2
  store i64 %m, ptr %computed
  ret void
}
"""
LIBRARY = load(MULTIPLY_ADD)
RUN, CODE, AT_MOST_10, DOUBLED = map(LIBRARY.address, ("run", "code", "at_most_10", "doubled"))


def missed(args, kwargs):
    return ("missed", args, kwargs)


def is_miss(result):
    return isinstance(result, tuple) and len(result) == 3 and result[0] == "missed"


class PythonEntry(Entry):
    """The same in Python: a type with a ``__call__`` of its own is not called natively."""

    def __call__(self, /, *args, **kwargs):
        return super().__call__(*args, **kwargs)


@pytest.fixture(params=["native", "python"])
def make(request):
    kind = Entry if request.param == "native" else PythonEntry

    def make(*signatures, miss=missed):
        entry = kind(miss, "f", "The docstring.")
        for one in signatures:
            entry.add(one)
        assert entry.is_native() == (kind is Entry and bool(signatures))
        return entry

    return make


def python_kernel(function):
    """(address, keeper) of a kernel that calls ``function(inputs, outputs, sizes)``."""
    callback = KERNEL(function)
    return ctypes.cast(callback, ctypes.c_void_p).value, callback


def signature(positional, keywords=None, result=None, function=None, **options):
    """With a kernel in Python; by default one that returns nothing."""
    run, keep = python_kernel(function or (lambda inputs, outputs, sizes: 0))
    result = Given(None) if result is None else result
    options = {"gil_limit": NEVER, **options}
    return Signature(positional, keywords or {}, result, run, keep=keep, **options)


def read(address, dtype, shape=()):
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(ctypes.string_at(address, count), dtype).reshape(shape).copy()


def write(address, value):
    data = np.ascontiguousarray(value).tobytes()
    ctypes.memmove(address, data, len(data))


MULTIPLY = Signature((Array(F8, (N,)), Array(F8, (N,))), {}, NewArray(F8, (N,)), RUN, symbols=1)


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


# Errors


def test_a_code_becomes_an_exception(make):
    f = make(Signature((), {}, NewArray(F8, (3,)), CODE, failed=IndexError))
    with pytest.raises(IndexError, match="42"):
        f()

    def failed(code):
        raise KeyError(code)

    g = make(Signature((), {}, NewArray(F8, (3,)), CODE, failed=failed))
    with pytest.raises(KeyError, match="42"):
        g()
    with pytest.raises(RuntimeError, match="code 42"):
        make(Signature((), {}, Given(None), CODE))()


def test_an_exception_that_the_kernel_left_is_raised():
    """As a kernel does that calls back into Python."""
    set_error = ctypes.cast(ctypes.pythonapi.PyErr_SetNone, ctypes.c_void_p).value
    text = """
    declare void @set_error(ptr)
    @kind = external global i8
    define i32 @run(ptr %in, ptr %out, ptr %sizes) {
      call void @set_error(ptr @kind)
      ret i32 1
    }"""
    library = load(text, {"set_error": set_error or 0, "kind": id(LookupError)})
    f = make_entry(missed, "f")
    f.add(Signature((), {}, NewArray(F8, (3,)), library.address("run"), keep=library))
    with pytest.raises(LookupError):
        f()


def test_errors_while_building_the_result(make):
    def broken(parts):
        raise ZeroDivisionError

    f = make(signature((), result=[NewArray(F8, (3,)), (Given(1), Rebuild(broken, (Given(2),)))]))
    with pytest.raises(ZeroDivisionError):
        f()
    unhashable = make(signature((), result=({1: NewArray(F8, (3,))}, Given(1))))
    assert set(unhashable()[0]) == {1}
    huge = make(signature((), result=[NewArray(F8, (3,)), NewArray(F8, (2**40, 2**40))]))
    with pytest.raises((ValueError, MemoryError)):
        huge()


def test_miss_may_raise_and_add(make):
    calls = []

    def miss(args, kwargs):
        calls.append(args)
        if args[0] is None:
            raise ZeroDivisionError
        f.add(signature((Static(args[0]),), result=Given(-args[0])))
        return "first"

    f = make(miss=miss)
    with pytest.raises(ZeroDivisionError):
        f(None)
    assert [f(1), f(1), f(2), f(1), f(2)] == ["first", -1, "first", -1, -2]
    assert calls == [(None,), (1,), (2,)]


def test_unsupported_signatures_are_refused():
    with pytest.raises(TypeError, match="not supported"):
        signature((Array(np.dtype("M8[s]"), (3,)),))
    with pytest.raises(TypeError, match="not supported"):
        signature((Array(np.dtype(">f8"), (3,)),))
    with pytest.raises(TypeError, match="not supported"):
        signature((Scalar(str),))
    with pytest.raises(TypeError, match="not an argument"):
        signature((3,))
    with pytest.raises(TypeError, match="not a result"):
        signature((), result=[3])
    with pytest.raises(TypeError, match="not made of"):
        signature((), result=NewScalar(F4, float))
    with pytest.raises(ValueError, match="never set"):
        signature((), result=NewArray(F8, (Computed(0),)))
    with pytest.raises(ValueError, match="no leaf"):
        signature((), result=Argument(0))
    with pytest.raises(ValueError, match="bind"):
        signature((Array(F8, (3,)),), symbols=1)
    with pytest.raises(ValueError, match="too many"):
        make_entry(missed, "f").add(signature(([Static(1)] * 100_000,)))


# The table


def test_many_signatures_newest_first(make):
    f = make(*[signature((Static(i),), result=Given(i)) for i in range(70)])
    assert [f(i) for i in (69, 6, 6, 30, 69)] == [69, 6, 6, 30, 69]
    assert is_miss(f(5))  # the oldest were dropped
    assert len(f.signatures) == 64
    f.add(signature((Static(69),), result=Given("newer")))
    assert f(69) == "newer"
    f.clear()
    assert is_miss(f(69))
    f.add(signature((), result=Given("again")))
    assert f() == "again"


def test_as_a_method(make):
    class Owner:
        pass

    owner = Owner()
    Owner.method = make(signature((Static(owner), Scalar(int)), result=Argument(1)))
    assert owner.method(3) == 3
    assert Owner.method(owner, 3) == 3
    assert is_miss(Owner().method(3))


def test_name_doc_and_attributes(make):
    f = make(MULTIPLY)
    assert (f.__name__, f.__doc__) == ("f", "The docstring.")
    f.anything = 3
    assert f.anything == 3
    assert callable(f)
    assert weakref.ref(f)() is f


def test_subclasses_are_native_too():
    class Named(Entry):
        def __init__(self, name):
            super().__init__(missed, name)
            self.extra = name

        def shout(self):
            return self.__name__.upper()

    f = Named("g")
    f.add(MULTIPLY)
    assert f.is_native()
    assert (f.shout(), f.extra) == ("G", "g")
    assert f(np.ones(1), np.ones(1)).tolist() == [2.0]
    assert is_miss(f(1))


def test_an_uninitialised_entry_raises():
    with pytest.raises(AttributeError):
        Entry.__new__(Entry)()


def test_copies_do_not_share_a_table_by_address():
    """A copy gets the table as an attribute, not the addresses: it works in Python."""
    f = make_entry(missed, "f")
    f.add(MULTIPLY)
    with pytest.raises(TypeError):
        copy.copy(f)


# Memory


def references(objects):
    return [sys.getrefcount(one) for one in objects]


def test_references_are_exact(make):
    """After many calls of every kind each object has as many references as before."""
    marker, text, default = object(), "a string".upper(), [1.5]
    x, y = np.zeros(3), np.zeros(4)
    number, scalar = 10**6 + 1, np.float64(2.5)
    d = {"k": x, "l": [y, (x, default)]}
    A = Array(F8, (N,))
    spec = (A, {"k": A, "l": [Array(F8, (4,)), (A, Static(default))]}, Static(text), Scalar(int))
    result = [
        NewArray(F8, (N,)), {"s": NewScalar(F8), "r": Rebuild(lambda parts: parts, (Argument(1),))},
        Given(marker), Again(0), Argument(4), NewScalar(F8, float),
    ]  # fmt: skip
    fine = signature(spec, {"w": Scalar(np.float64)}, result, symbols=1)
    wrong = Signature((A,), {}, NewArray(F8, (N,)), CODE, symbols=1)
    f = make(fine, wrong, miss=lambda args, kwargs: None)
    watched = [
        marker, text, default, x, y, number, scalar, d, d["l"], d["l"][1], F8, np.ndarray, float,
        None, list, f, fine, np.float64,
    ]  # fmt: skip

    def every_kind():
        f(x, d, text, number, w=scalar)
        f(x, d, text, number)
        f(x, d, text, number, v=scalar)
        f(x, {**d, "l": [y, (x, [1.5])]}, text, number, w=scalar)
        f(x, d, text, 2**70, w=scalar)
        with contextlib.suppress(RuntimeError):
            f(x)

    every_kind()
    gc.collect()
    before = references(watched)
    for _ in range(1000):
        every_kind()
    gc.collect()
    after = references(watched)
    assert [b - a for a, b in zip(before, after, strict=True)] == pytest.approx(
        [0] * len(watched), abs=50
    )


def test_results_are_owned_by_the_caller(make):
    f = make(MULTIPLY)
    result = f(np.ones(3), np.ones(3))
    assert sys.getrefcount(result) == 2
    pair = make(signature((), result=(NewArray(F8, (3,)), Again(0))))()
    first, _ = pair
    del pair, _
    gc.collect()
    assert sys.getrefcount(first) == 2


def test_an_entry_dies_with_all_it_holds():
    class Thing:
        pass

    def lives_and_dies():
        thing, kept = Thing(), Thing()
        f = make_entry(lambda args, kwargs: (f, kept), "f")  # a cycle
        f.add(signature((Static(thing),), result=Given(kept)))
        assert f(thing) is kept
        return [weakref.ref(one) for one in (thing, kept, f)]

    gone = lives_and_dies()
    gc.collect()
    assert [one() for one in gone] == [None] * 3


def test_a_signature_dropped_while_it_runs(make):
    """The kernel clears the very table it was found in."""

    def kernel(inputs, outputs, sizes):
        f.clear()
        gc.collect()
        write(outputs[0], np.array([5.0]))
        return 0

    f = make(signature((Array(F8, (1,)),), result={"k": NewArray(F8, (1,))}, function=kernel))
    assert f(np.zeros(1)) == {"k": 5.0}
    assert is_miss(f(np.zeros(1)))


def test_a_list_emptied_while_the_kernel_runs(make):
    given_list = [np.full(10_000, 3.0)]

    def kernel(inputs, outputs, sizes):
        given_list.clear()
        gc.collect()
        np.zeros(10_000)
        write(outputs[0], read(inputs[0], F8))
        return 0

    f = make(signature(([Array(F8, (10_000,))],), result=NewScalar(F8), function=kernel))
    assert f(given_list) == 3.0


# Threads


def test_large_work_lets_other_threads_run(make):
    """The kernel waits for a thread that can only move while the GIL is free."""
    waiting, answered = threading.Event(), threading.Event()

    def other():
        waiting.wait(20)
        answered.set()

    callback = ctypes.CFUNCTYPE(ctypes.c_int32, *3 * [ctypes.c_void_p])(
        lambda *_: (waiting.set(), int(not answered.wait(20)))[1]
    )
    run = ctypes.cast(callback, ctypes.c_void_p).value or 0
    f = make(Signature((Array(F8, (N,)),), {}, Given("done"), run, symbols=1, gil_limit=100))
    thread = threading.Thread(target=other)
    thread.start()
    assert f(np.zeros(101)) == "done"
    thread.join()


def test_many_threads_call_and_add(make):
    f = make(*[signature((Static(i),), result=Given(i)) for i in range(10)], MULTIPLY)
    errors = []

    def work(seed):
        random = np.random.default_rng(seed)
        for _ in range(300):
            n = int(random.integers(1, 50))
            a, b = random.random(n), random.random(n)
            if not np.array_equal(f(a, b), a * b + a):
                errors.append(n)
            if n == 7:
                f.add(MULTIPLY)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# Native and Python agree on random signatures

SIZES = (3, 0, 5)
DTYPES = [np.dtype(c) for c in "?bfdDiq"]
CONSTANTS = [None, True, 3, "key", 2.5, -0.0, (), len]


@st.composite
def arguments(draw):
    """(spec, an argument that fits it)."""
    kind = draw(st.sampled_from(["array", "array", "scalar", "static"]))
    if kind == "array":
        dims = tuple(draw(st.lists(st.sampled_from([Size(0), Size(1), Size(2), 2]), max_size=3)))
        shape = tuple(SIZES[dim.number] if isinstance(dim, Size) else dim for dim in dims)
        dtype = draw(st.sampled_from(DTYPES))
        value = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
        return Array(dtype, dims, draw(st.booleans())), value
    if kind == "scalar":
        value = draw(st.sampled_from([1.5, 2j, -7, True, np.float32(3), np.int8(4), np.bool_(1)]))
        return Scalar(type(value)), value
    value = draw(st.sampled_from(CONSTANTS))
    return Static(value), value


def nested(children):
    """Containers of (spec, argument) pairs, as a pair of containers."""
    lists = st.lists(children, max_size=3)
    pairs = st.tuples(st.sampled_from([tuple, list]), lists).map(
        lambda chosen: tuple(chosen[0](child[side] for child in chosen[1]) for side in (0, 1))
    )
    dicts = st.dictionaries(st.sampled_from("abcd"), children, max_size=3).map(
        lambda chosen: tuple({k: child[side] for k, child in chosen.items()} for side in (0, 1))
    )
    return pairs | dicts


TREES = st.recursive(arguments(), nested, max_leaves=6)


@st.composite
def results(draw, leaves):
    leaf = st.one_of(
        st.builds(NewArray, st.sampled_from(DTYPES), st.sampled_from([(), (2,), (0, 3), (4, 1)])),
        st.sampled_from([NewScalar(F8), NewScalar(F8, float), NewScalar(F4), Given("given")]),
        *([st.integers(0, leaves - 1).map(Argument)] if leaves else []),
    )
    containers = lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
        st.lists(inner, max_size=2).map(lambda parts: Rebuild(Rebuilt, tuple(parts))),
    )
    return draw(st.recursive(leaf, containers, max_leaves=5))


class Rebuilt:
    def __init__(self, parts):
        self.parts = parts


def perturbed(draw, tree):
    """The argument with one leaf that differs, or as it was."""
    if isinstance(tree, list | tuple) and tree:
        at = draw(st.integers(0, len(tree) - 1))
        return type(tree)([*tree[:at], perturbed(draw, tree[at]), *tree[at + 1 :]])
    if isinstance(tree, dict) and tree:
        key = draw(st.sampled_from(sorted(tree)))
        return {**tree, key: perturbed(draw, tree[key])}
    others = [tree, *CONSTANTS, [], {}, np.zeros(3), np.zeros((3, 3)), np.float64(1), 10**30, False]
    return draw(st.sampled_from(others))


def described(tree, inputs):
    """A result, comparable: what it is made of, and which arguments it holds."""
    if isinstance(tree, Rebuilt):
        return "rebuilt", described(tree.parts, inputs)
    if type(tree) is dict:
        return [(key, described(value, inputs)) for key, value in tree.items()]
    if type(tree) in (list, tuple):
        return type(tree), [described(value, inputs) for value in tree]
    if any(tree is one for one in inputs):
        return id(tree)
    if isinstance(tree, np.ndarray | np.generic):
        return type(tree), tree.dtype, tree.shape, tree.tobytes()
    return type(tree), repr(tree)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_native_and_python_agree(data):
    trees = data.draw(st.lists(TREES, max_size=3))
    named = data.draw(st.dictionaries(st.sampled_from(["p", "q"]), TREES, max_size=2))
    positional = tuple(spec for spec, _ in trees)
    keywords = {name: spec for name, (spec, _) in named.items()}
    every = Array(F8, (Size(0), Size(1), Size(2)))  # binds all symbols
    positional = (every, *positional)
    count = len(entry_leaves((*positional, *keywords.values())))
    result = data.draw(results(count))
    seen = []

    def kernel(inputs, outputs, sizes):
        read_inputs = [read(inputs[i], spec[0], spec[1]) for i, spec in enumerate(input_types)]
        seen.append(([one.tobytes() for one in read_inputs], [sizes[i] or 0 for i in range(3)]))
        for i, (dtype, shape) in enumerate(output_types):
            write(outputs[i], np.ones(shape, dtype))
        return 0

    described_signature = signature(positional, keywords, result, kernel, symbols=3)
    input_types = [storage(leaf) for leaf in described_signature.arguments if is_input(leaf)]
    output_types = [
        (leaf.dtype, getattr(leaf, "dims", ()))
        for leaf in described_signature.results
        if isinstance(leaf, NewArray | NewScalar)
    ]
    args = (np.zeros(SIZES), *(value for _, value in trees))
    kwargs = {name: value for name, (_, value) in named.items()}
    if data.draw(st.booleans()):
        args = perturbed(data.draw, args)
    f = make_entry(lambda args, kwargs: "missed", "f")
    f.add(described_signature)
    native = f(*args, **kwargs)
    python = entry_python.call(described_signature, args, kwargs)
    if python is entry_python.MISSED:
        assert native == "missed"
        assert not seen
    else:
        leaves = entry_leaves((*args, *kwargs.values()))
        assert described(native, leaves) == described(python, leaves)
        assert seen[0] == seen[1]


def entry_leaves(tree):
    if type(tree) is dict:
        tree = list(tree.values())
    if type(tree) in (list, tuple):
        return [leaf for child in tree for leaf in entry_leaves(child)]
    return [tree]


def is_input(leaf):
    return isinstance(leaf, Array | Scalar)


def storage(leaf):
    if isinstance(leaf, Scalar):
        return SCALAR_DTYPES[leaf.type], ()
    return leaf.dtype, tuple(
        SIZES[dim.number] if isinstance(dim, Size) else dim for dim in leaf.dims
    )
