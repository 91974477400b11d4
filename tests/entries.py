"""Signatures to try the native call path with, and kernels written in Python."""

import ctypes

import numpy as np
import pytest

from xnp.runtime.entry import Entry
from xnp.runtime.entry_signature import NEVER, Array, Given, NewArray, Signature, Size
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


@pytest.fixture(name="make", params=["native", "python"])
def make_fixture(request):
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
