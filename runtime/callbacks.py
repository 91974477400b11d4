"""Calls from native code back to NumPy, for what has no code of its own."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.program import Literal
from ..autodiff.size_bounds import Symbol
from ..autodiff.size_structures import substituted, symbols_of
from ..codegen.places import Place
from ..codegen.plan import Operation

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
)


class CallBacks:
    """The function that native code calls, for all operations of a Program that NumPy does."""

    def __init__(self, steps: Sequence[Operation], symbols: Sequence[Symbol]) -> None:
        self.symbols = list(symbols)
        self.steps = [_Step(step) for step in steps]
        self.errors = threading.local()  # .error: what the last call in this thread raised
        self.function = _CALLBACK(_called(self.steps, self.symbols, self.errors))


def _called(steps: Sequence[_Step], symbols: Sequence[Symbol], errors: Any) -> Any:
    """What ctypes calls: no method, as that would keep its object, and the object it, alive."""

    def call(number: int, table: int, sizes: int, state: int) -> int:
        """Whether it went well. Only the result says so: ctypes returns 0 where an exception gets
        out of what it calls, as one of a signal that arrived before us does. ``state``: not 0 if
        something has gone wrong before.
        """
        try:
            if not state:
                step = steps[number]
                values = {} if step.is_fixed else _values(symbols, sizes)
                step.compute(table, values)
        except BaseException as error:  # noqa: BLE001 - it goes on behind the native code
            errors.error = error
            return 0
        return 1

    return call


def _values(symbols: Sequence[Symbol], sizes: int) -> dict[Any, int]:
    known = (ctypes.c_int64 * len(symbols)).from_address(sizes)
    return dict(zip(symbols, known, strict=True))


class _Form(NamedTuple):
    """How an array lies in memory around the address of its first element."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]
    memory: Any  # a ctypes array of as many bytes
    low: int  # where that begins

    def at(self, pointer: int | None) -> Any:
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        memory = self.memory.from_address((pointer or 0) + self.low)
        return np.ndarray(self.shape, self.dtype, memory, -self.low, self.strides)


def _form(place: Place, sizes: Mapping[Any, int]) -> _Form:
    shape, strides = place.shape, place.strides
    if sizes:
        shape, strides = substituted(shape, sizes), substituted(strides, sizes)
    steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True) if n]
    low = sum(s for s in steps if s < 0)
    extent = sum(s for s in steps if s > 0) - low + place.dtype.itemsize
    return _Form(shape, place.dtype, strides, ctypes.c_char * extent, low)


class _Step:
    """One operation. The arrays of the last call are kept for the next one: they often lie where
    those did. They are views of memory that others own, read and written while the call lasts.
    """

    def __init__(self, step: Operation) -> None:
        self.equation = step.equation
        self.operands, self.results = step.operands, step.results
        self.places = [x for x in step.operands if not isinstance(x, Literal)] + step.results
        self.table = ctypes.c_void_p * len(self.places)
        varying = [(place.shape, place.strides) for place in self.places]
        self.is_fixed = not symbols_of((varying, self.equation.params))
        self.forms = [_form(place, {}) for place in self.places] if self.is_fixed else []
        self.last: tuple[list[Any], list[Any]] = [], []  # addresses and arrays

    def compute(self, table: int, sizes: Mapping[Any, int]) -> None:
        equation = self.equation
        arrays = iter(self._arrays(table, sizes))
        args = []
        for x, atom in zip(self.operands, equation.inputs):  # noqa: B905 - the hot path
            if isinstance(x, Literal):
                args.append(x.value)
                continue
            array = next(arrays)
            args.append(array if array.ndim else array.item() if atom.aval.weak else array[()])
        params = equation.params if self.is_fixed else substituted(equation.params, sizes)
        primitive = equation.primitive
        if primitive.into is not None:
            primitive.into(*arrays, *args, **params)
            return
        found = primitive.impl(*args, **params)
        if not primitive.multiple:
            found = (found,)
        for result, array in zip(found, arrays, strict=True):
            array[...] = result

    def _arrays(self, table: int, sizes: Mapping[Any, int]) -> list[Any]:
        pointers = self.table.from_address(table)[:]
        known, arrays = self.last
        if self.is_fixed and pointers == known:
            return arrays
        forms = self.forms if self.is_fixed else [_form(place, sizes) for place in self.places]
        arrays = [form.at(pointer) for form, pointer in zip(forms, pointers, strict=True)]
        self.last = pointers, arrays
        return arrays
