"""Sorting, row by row, by the routines that NumPy itself sorts with; threads share the rows.

The external symbol ``xnp_numpy_sort_f8_0`` is the routine for float64 of kind 0 of `KINDS`;
`runtime.numpy_routines` finds it. It sorts numbers that lie side by side; ``xnp_numpy_argsort_...``
reorders their places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.dims import maximum
from ..affine import is_one, product, same
from ..places import Place
from ..plan import Operation
from .convert import is_native
from .emitter import Operand
from .libraries import NO_MEMORY, Code, Strided
from .loop import DType
from .memory import store
from .operations import operation

PREFIX = "xnp_numpy_"
KINDS = {"quicksort": 0, "mergesort": 2, "stable": 2}  # "heapsort" may be any of these

EACH = 16  # simple operations that sorting takes for each element, about
SHARED_WORK = 1 << 18  # of those from which on threads share the rows
PIECE_WORK = 1 << 15  # that a thread takes at once

_PLACE = np.dtype(np.intp)


def routine_name(what: str, dtype: DType, kind: str) -> str:
    return f"{PREFIX}{what}_{dtype.kind}{dtype.itemsize}_{KINDS[kind]}"


@operation("sort")
def _sort(writer: Any, _plan: Any, step: Operation) -> bool:
    return _written(writer, step, "sort", step.equation.params["kind"])


@operation("argsort")
def _argsort(writer: Any, _plan: Any, step: Operation) -> bool:
    return _written(writer, step, "argsort", step.equation.params["kind"])


def _written(writer: Any, step: Operation, what: str, kind: str) -> bool:
    (x,), (out,) = step.operands, step.results
    if not isinstance(x, Place) or not is_native(x.dtype) or kind not in KINDS:
        return False
    code, axis = Code(writer.main), step.equation.params["axis"]
    source, target = (_along(code.array(place), axis) for place in (x, out))
    is_dense = _is_stack(target)
    rows = target if is_dense else code.temporary(target.dtype, target.shape)
    if what == "sort":
        code.copy(rows, source)
        arrays = [rows]
    else:
        arrays = [source if _is_stack(source) else code.packed(source, source.dtype), rows]
    _Rows(writer, code, arrays, routine_name(what, x.dtype, kind)).write()
    if not is_dense:
        code.copy(target, rows)
    return True


def _along(array: Strided, axis: int) -> Strided:
    """The array with this axis last."""
    order = [*(k for k in range(array.ndim) if k != axis), axis]
    shape, strides = array.shape, array.strides
    return array._replace(
        shape=tuple(shape[k] for k in order), strides=tuple(strides[k] for k in order)
    )


def _is_stack(array: Strided) -> bool:
    """Whether rows lie in C order: one number tells where each is."""
    step: Any = array.dtype.itemsize
    for size, stride in zip(reversed(array.shape), reversed(array.strides), strict=True):
        if not is_one(size) and not same(stride, step):
            return False
        step = step * size
    return True


class _Rows:
    """Calls a routine for every row of some arrays, of which the last is written."""

    def __init__(self, writer: Any, code: Code, arrays: Sequence[Strided], routine: str) -> None:
        self.writer, self.code, self.arrays, self.routine = writer, code, arrays, routine
        *lead, self.length = arrays[-1].shape
        self.count = product(lead)

    def write(self) -> None:
        work = self.count * self.length * EACH
        if is_one(self.count) or (type(work) is int and work < SHARED_WORK):
            self._write(self.code, self.arrays, "", self.code.size(self.count))
            return
        part = self.writer.new_part()
        self._write(Code(part), [self.code.inside(part, x) for x in self.arrays], "%begin", "%end")
        each = maximum(self.length * EACH, 1)
        self.writer.call_part(part, self.count, PIECE_WORK // each + 1)

    def _write(self, code: Code, arrays: Sequence[Strided], low: str, high: str) -> None:
        e, length = code.e, code.size(self.length)
        with code.loop(high, start=low) as row:
            pointers = [code.at(x.pointer, (row, self.length * x.dtype.itemsize)) for x in arrays]
            if len(arrays) > 1:
                with code.loop(self.length) as place:
                    at = code.at(pointers[-1], (place, _PLACE.itemsize))
                    store(e, Operand(place, _PLACE), at)
            types = ["!llvm.ptr"] * len(arrays) + ["i64", "!llvm.ptr"]
            e.functions[self.routine] = f"llvm.func @{self.routine}({', '.join(types)}) -> i32"
            nothing = e.op("llvm.mlir.zero : !llvm.ptr")
            found = e.op(
                f"llvm.call @{self.routine}({', '.join([*pointers, length, nothing])}) : "
                f"({', '.join(types)}) -> i32"
            )
            code.fail(e.compare("ne", found, e.constant(0, "i32"), "i32"), NO_MEMORY)
