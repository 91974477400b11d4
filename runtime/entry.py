"""The objects users call: one call from Python is one native call.

An `Entry` holds signatures, each a compiled function. Its type is laid out so that CPython's
vectorcall protocol reaches `entry_code` directly: that checks the arguments, allocates the
results and runs the kernel, without any Python. What fits no signature goes to ``miss``.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
from collections.abc import Callable
from functools import cache
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.locks import exit_safe_lock
from . import disk_cache, entry_code, entry_language, entry_python, entry_results
from . import entry_layout as at
from .cache_environment import environment_key
from .entry_api import ADDRESSES, EXTERNALS, symbols
from .entry_encode import Encoded
from .entry_signature import Signature
from .native import Library, host, load, load_object

MOST_SIGNATURES = 64

_lock = exit_safe_lock()  # of the tables

_VECTORCALL_FLAG = 1 << 11
_BASETYPE_FLAG = 1 << 10
_DEFAULT_FLAGS = 1 << 18
_TYPE_FLAGS_BYTE = 168  # of tp_flags; checked before it is used
_SLOT_MEMBERS = 72  # Py_tp_members
_SSIZE_MEMBER, _READ_ONLY = 19, 1


class _Member(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p), ("type", ctypes.c_int), ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


class _Slot(ctypes.Structure):
    _fields_ = (("slot", ctypes.c_int), ("value", ctypes.c_void_p))


class _Spec(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint), ("slots", ctypes.c_void_p),
    )  # fmt: skip


_SPEC_PARTS: list[Any] = []  # the type refers to them


def _layout_is_known() -> bool:
    """CPython, 64 bits; where threads are free of the GIL an object's head is longer."""
    return (
        sys.implementation.name == "cpython"
        and object.__basicsize__ == at.HEAD_BYTES
        and sys.byteorder == "little"
    )


def _base_type() -> type:
    """A type with room for what CPython's vectorcall calls, and for the table; or plain object."""
    if not _layout_is_known():
        return object
    member = _Member(b"__vectorcalloffset__", _SSIZE_MEMBER, 8 * at.VECTORCALL_WORD, _READ_ONLY)
    members = (_Member * 2)(member)
    slots = (_Slot * 2)(_Slot(_SLOT_MEMBERS, ctypes.addressof(members)))
    name = b"xnp.runtime.entry.Callable"
    flags = _DEFAULT_FLAGS | _BASETYPE_FLAG
    spec = _Spec(name, at.CALLABLE_BYTES, 0, flags, ctypes.addressof(slots))
    _SPEC_PARTS.extend((members, slots, name, spec))
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p]
    return make(ctypes.addressof(spec))


_Callable: Any = _base_type()


class _Table:
    """An entry's signatures at one time, newest first. It is never changed."""

    def __init__(self, miss: Callable[..., Any], encoded: tuple[Encoded, ...]) -> None:
        self.miss = miss
        self.encoded = encoded
        addresses = [one.address for one in encoded]
        words = [id(self), id(miss), 0, len(addresses), *addresses]
        self.words = np.array(words, np.int64)


class Entry(_Callable):
    """A callable that runs the first of its signatures that fits, else ``miss``.

    ``miss(args, kwargs)`` gets the arguments as a tuple and a dict, or None without keywords, and
    returns the result; it may call `add`. Subclasses may add attributes and methods but no
    ``__call__``. Safe to call from many threads.
    """

    def __init__(self, miss: Callable[[Any, Any], Any], name: str, doc: str | None = None) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc
        self._table = _Table(lambda *args, **kwargs: miss(args, kwargs or None), ())

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        # Reached where the native code is not: before the first signature, or for ever.
        table = self._table
        for encoded in table.encoded:
            result = entry_python.call(encoded.signature, args, kwargs)
            if result is not entry_python.MISSED:
                return result
        return table.miss(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """The signatures, newest first."""
        return tuple(encoded.signature for encoded in self._table.encoded)

    def add(self, signature: Signature) -> None:
        """Try this signature first from now on; the oldest of more than 64 is dropped.

        Raises FrameTooLargeError where it has some ten thousand leaves.
        """
        encoded = Encoded(signature)
        with _lock:
            self._publish((encoded, *self._table.encoded)[:MOST_SIGNATURES])

    def drop(self, is_useless: Callable[[Signature], bool]) -> None:
        """Forget some of the signatures."""
        with _lock:
            kept = tuple(x for x in self._table.encoded if not is_useless(x.signature))
            if len(kept) < len(self._table.encoded):
                self._publish(kept)

    def clear(self) -> None:
        """Forget all signatures. Calls that run in other threads end as they began."""
        with _lock:
            self._publish(())

    def is_native(self) -> bool:
        """Whether calls reach native code without Python."""
        kind: Any = type(self)
        with _lock:
            return bool(_enabled(kind) and self._words()[at.VECTORCALL_WORD])

    def _publish(self, encoded: tuple[Encoded, ...]) -> None:
        table = _Table(self._table.miss, encoded)
        kind: Any = type(self)
        code = _native_code() if _enabled(kind) else None
        if code is not None:
            words = self._words()
            words[at.TABLE_WORD] = table.words.ctypes.data
            words[at.VECTORCALL_WORD] = code.enter
        self._table = table  # the old one was alive until here, for calls that were about to begin

    def _words(self) -> Any:
        return (ctypes.c_uint64 * (at.CALLABLE_BYTES // 8)).from_address(id(self))


def make_entry(miss: Callable[[Any, Any], Any], name: str, doc: str | None = None) -> Entry:
    """An `Entry` without signatures: every call is ``miss(args, kwargs)`` until one is added.

    >>> entry = make_entry(lambda args, kwargs: (args, kwargs), "f")
    >>> entry(1, 2, x=3)
    ((1, 2), {'x': 3})
    """
    return Entry(miss, name, doc)


@cache
def _enabled(kind: Any) -> bool:
    """Have CPython call the instances of this type by what lies in them."""
    if _Callable is object or kind.__call__ is not Entry.__call__:
        return False
    if _native_code() is None:
        return False
    flags = ctypes.c_ulong.from_address(id(kind) + _TYPE_FLAGS_BYTE)
    if flags.value != kind.__flags__:
        return False
    flags.value |= _VECTORCALL_FLAG
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
    return bool(kind.__flags__ & _VECTORCALL_FLAG)


class _NativeCode(NamedTuple):
    library: Library
    enter: int


@cache
def _native_code() -> _NativeCode | None:
    """`entry_code`, compiled, or from the disk. Quickly: better code would save a call some 20 ns,
    and take ten times as long to make. None where there is no compiler or no source. Ask under the
    lock: there must be one only.
    """
    try:
        environment = environment_key(*host())
        object_code = disk_cache.get("the call path", environment)
        if object_code is None:
            library = load(llvm_ir(), symbols(), optimize=0)
            disk_cache.put("the call path", library.object_code(), environment)
        else:
            library = load_object(object_code, symbols())
    except (ImportError, OSError):
        return None
    return _NativeCode(library, library.address("enter"))


def llvm_ir() -> str:
    """The call path's LLVM IR, the same in every process."""
    source = inspect.getsource(entry_code) + inspect.getsource(entry_results)
    constants = {"at": at, **vars(entry_code)}
    return entry_language.compile_functions(source, ["enter"], constants, ADDRESSES, EXTERNALS)
