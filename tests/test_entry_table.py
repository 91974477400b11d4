"""The native call path: errors, many signatures, references, threads."""

import contextlib
import copy
import ctypes
import gc
import sys
import threading
import tracemalloc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from entries import (
    CODE,
    F4,
    F8,
    MULTIPLY,
    N,
    is_miss,
    make_fixture,  # noqa: F401 - the fixture `make`
    missed,
    read,
    signature,
    write,
)

from xnp.runtime.entry import Entry, make_entry
from xnp.runtime.entry_signature import (
    ABSENT,
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
    Static,
    WatchAttribute,
    WatchCall,
    WatchCell,
    WatchContents,
    WatchItem,
    WatchWord,
)
from xnp.runtime.native import load

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


# Watches


def test_watches(make):
    word = (ctypes.c_int64 * 1)(5)
    space, present, free = {"name": 1.5}, [[1], "two"], {"k": [3]}
    owner, answers = SimpleNamespace(attribute=(1,)), [True]

    def function():
        return free

    def ask():
        return answers[-1] if answers[-1] is not None else 1 / 0

    cell = function.__closure__[0]
    watches = [
        WatchWord(ctypes.addressof(word), 5),
        WatchItem(space, "name", space["name"]),
        WatchItem(space, "absent", ABSENT),
        WatchAttribute(owner, "attribute", owner.attribute),
        WatchAttribute(owner, "other", ABSENT),
        WatchCell(cell, free),
        WatchContents(present, list(present)),
        WatchContents(free, dict(free)),
        WatchCall(ask),
    ]
    f = make(signature((), result=Given("fits"), watches=watches))

    def changed(change, back):
        change()
        missed_now = is_miss(f())
        back()
        return missed_now and f() == "fits"

    first, old = present[0], owner.attribute
    assert f() == "fits"
    assert changed(lambda: word.__setitem__(0, 4), lambda: word.__setitem__(0, 5))
    kept = space["name"]
    assert changed(lambda: space.update(name=2.5), lambda: space.update(name=kept))
    assert changed(lambda: space.update(absent=0), lambda: space.pop("absent"))
    assert changed(
        lambda: setattr(owner, "attribute", (2,)), lambda: setattr(owner, "attribute", old)
    )
    assert changed(lambda: setattr(owner, "other", 1), lambda: delattr(owner, "other"))
    inner = free
    assert changed(
        lambda: setattr(cell, "cell_contents", {}), lambda: setattr(cell, "cell_contents", inner)
    )
    assert changed(
        lambda: delattr(cell, "cell_contents"), lambda: setattr(cell, "cell_contents", inner)
    )
    assert changed(lambda: present.append(1), present.pop)
    assert changed(lambda: present.__setitem__(0, [1]), lambda: present.__setitem__(0, first))
    assert changed(lambda: inner.update(j=1), lambda: inner.pop("j"))
    item = inner["k"]
    assert changed(lambda: inner.update(k=[3]), lambda: inner.update(k=item))
    for answer in (False, 1, None):
        assert changed(lambda x=answer: answers.append(x), answers.pop)
    assert sys.getrefcount(kept) < 20
    before = sys.getrefcount(old)
    for _ in range(1000):
        f()
    assert sys.getrefcount(old) == before


def test_watches_that_are_none():
    with pytest.raises(TypeError, match="not a watch"):
        make_entry(missed, "f").add(signature((), watches=[3]))


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


def test_no_array_is_lost_when_a_call_fails(make):
    def broken(parts):
        raise ZeroDivisionError

    large = NewArray(F8, (100_000,))
    tree = [large, (large, Rebuild(broken, (large,)))]
    entries = [
        make(Signature((), {}, [large, large], CODE)),
        make(signature((), result=tree)),
        make(signature((), result=[large, NewArray(F8, (2**40, 2**40))])),
    ]

    def fail_all():
        for f in entries:
            with contextlib.suppress(RuntimeError, ZeroDivisionError, ValueError, MemoryError):
                f()

    tracemalloc.start()
    try:
        fail_all()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            fail_all()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 400_000  # half an array


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
