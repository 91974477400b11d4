"""Calls of BLAS and LAPACK, and the loops around them: copies into the layouts those want.

Routines are called by Fortran's conventions: every argument is a pointer. A number lies in a slot
of 8 bytes of which, on a little-endian machine, a library with 4-byte integers reads the lower
half; so one text serves both kinds of libraries. What they write is told apart by
``@xnp_blas_int_bytes``.

The routine ``dgemm`` is the external symbol ``xnp_blas_dgemm``; `runtime.libraries` finds it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..affine import is_one, is_ordered, lower_bound, product, same
from ..places import STATUS, Buffer, Place, dense_strides
from .convert import cast
from .loop import DType
from .memory import load, shifted, store

PREFIX = "xnp_blas_"
INT_BYTES = "xnp_blas_int_bytes"
LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}

# What a native function returns instead of 0, and the error that it means. Positive numbers are
# those of checks of a Program.
SINGULAR, NOT_POSITIVE, EIGENVALUES, SINGULAR_VALUES, NO_MEMORY = -1, -2, -3, -4, -5
ERRORS: dict[int, tuple[type[Exception], str]] = {
    SINGULAR: (np.linalg.LinAlgError, "Singular matrix"),
    NOT_POSITIVE: (np.linalg.LinAlgError, "Matrix is not positive definite"),
    EIGENVALUES: (np.linalg.LinAlgError, "Eigenvalues did not converge"),
    SINGULAR_VALUES: (np.linalg.LinAlgError, "SVD did not converge"),
    NO_MEMORY: (MemoryError, "there was no memory for temporary arrays"),
}


class Strided(NamedTuple):
    """An array in memory: the address of its first element, sizes, and strides in bytes."""

    pointer: str
    dtype: DType
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def transposed(self) -> Strided:
        """The last two axes exchanged."""
        *lead, m, n = self.shape
        *steps, row, column = self.strides
        return self._replace(shape=(*lead, n, m), strides=(*steps, column, row))

    def matrix(self, pointer: str) -> Strided:
        """One of the stack, whose first element is there."""
        return Strided(pointer, self.dtype, self.shape[-2:], self.strides[-2:])


class Code:
    """Short forms for what operations write into a function: the main one, where they need `fail`
    or `temporary`.
    """

    def __init__(self, function: Any) -> None:
        self.main, self.e = function, function.e

    # --- addresses and loops

    def array(self, place: Place) -> Strided:
        base = self.main.pointer(place.buffer)
        if not (type(place.offset) is int and place.offset == 0):
            base = shifted(self.e, base, self.size(place.offset))
        return Strided(base, place.dtype, place.shape, place.strides)

    def inside(self, part: Any, array: Strided) -> Strided:
        """The same array in the function of a part, which threads call."""
        buffer = Buffer("address", 0, 0)
        self.main.pointers[buffer] = array.pointer
        return array._replace(pointer=part.pointer(buffer))

    def size(self, dim: Any) -> str:
        return self.main.size(dim)

    def at(self, pointer: str, *steps: tuple[str, Any]) -> str:
        """The address that many strides further: pairs of an index and a stride."""
        for index, stride in steps:
            if type(stride) is int and stride == 0:
                continue
            by = self.e.op(f"arith.muli {index}, {self.size(stride)} : i64")
            pointer = shifted(self.e, pointer, by)
        return pointer

    @contextmanager
    def loop(self, size: Any, step: int = 1, start: str = "") -> Iterator[str]:
        """``for i in range(start, size, step)``; ``size`` may be an SSA name."""
        end = size if isinstance(size, str) else self.size(size)
        i, start = self.e.fresh(), start or self.e.integer(0)
        self.e.effect(f"scf.for {i} = {start} to {end} step {self.e.integer(step)} : i64 {{")
        yield i
        self.e.effect("}")

    @contextmanager
    def loops(self, shape: Sequence[Any]) -> Iterator[list[str]]:
        """Nested loops; those of length 1 are none."""
        indices = []
        for size in shape:
            if is_one(size):
                indices.append(self.e.integer(0))
                continue
            i = self.e.fresh()
            self.e.effect(
                f"scf.for {i} = {self.e.integer(0)} to {self.size(size)} "
                f"step {self.e.integer(1)} : i64 {{"
            )
            indices.append(i)
        yield indices
        for size in shape:
            if not is_one(size):
                self.e.effect("}")

    @contextmanager
    def where(self, condition: str) -> Iterator[None]:
        self.e.effect(f"scf.if {condition} {{")
        yield
        self.e.effect("}")

    # --- memory

    def temporary(self, dtype: DType, shape: Sequence[Any]) -> Strided:
        """A new array in C order."""
        pointer = self.main.temporary(product(shape) * dtype.itemsize)
        return Strided(pointer, dtype, tuple(shape), dense_strides(tuple(shape), dtype))

    def copy(self, target: Strided, source: Strided) -> None:
        """``target[...] = source``, arrays of one shape, converted."""
        order = _inner_last(target)
        with self.loops([target.shape[k] for k in order]) as indices:
            steps = list(zip(order, indices, strict=True))
            x = load(self.e, self.at(source.pointer, *((i, source.strides[k]) for k, i in steps)),
                     source.dtype)  # fmt: skip
            to = self.at(target.pointer, *((i, target.strides[k]) for k, i in steps))
            store(self.e, cast(self.e, x, target.dtype), to)

    def packed(self, source: Strided, dtype: DType) -> Strided:
        """A copy in C order."""
        target = self.temporary(dtype, source.shape)
        self.copy(target, source)
        return target

    def fill_zero(self, array: Strided) -> None:
        """For an array without gaps."""
        count = self.size(product(array.shape) * array.dtype.itemsize)
        zero = self.e.constant(0, "i8")
        self.e.effect(
            f'"llvm.intr.memset"({array.pointer}, {zero}, {count}) <{{isVolatile = false}}> : '
            "(!llvm.ptr, i8, i64) -> ()"
        )

    def stack(self, out: Sequence[Any], array: Strided, indices: Sequence[str], core: int) -> str:
        """The address of the matrix (``core`` = 2) of ``array`` that goes with these indices of the
        result's stack, whose shape is ``out``: axes of length 1 are repeated.
        """
        lead = array.shape[: array.ndim - core]
        steps = zip(indices[len(indices) - len(lead) :], lead, array.strides, strict=False)
        wanted = out[len(out) - len(lead) :]
        return self.at(
            array.pointer,
            *(
                (i, 0 if is_one(n) and not is_one(w) else stride)
                for (i, n, stride), w in zip(steps, wanted, strict=True)
            ),
        )

    # --- calls

    def call(self, routine: str, *args: Any, result: str = "") -> str:
        """Call a routine. Arguments are addresses (SSA names) or what `slots` takes; a string of
        one letter is a flag.
        """
        pointers = iter(self.slots([a for a in args if not _is_address(a)]))
        names = [a if _is_address(a) else next(pointers) for a in args]
        # gfortran's hidden arguments: the lengths of strings.
        flags = [self.e.integer(1) for a in args if isinstance(a, str) and not _is_address(a)]
        types = ["!llvm.ptr"] * len(names) + ["i64"] * len(flags)
        symbol = PREFIX + routine
        signature = f"({', '.join(types)}) -> {result or '()'}"
        declared = f"({', '.join(types)}){f' -> {result}' if result else ''}"
        self.e.functions[symbol] = f"llvm.func @{symbol}{declared}"
        text = f"llvm.call @{symbol}({', '.join([*names, *flags])}) : {signature}"
        if result:
            return self.e.op(text)
        self.e.effect(text)
        return ""

    def slots(self, values: Sequence[Any]) -> list[str]:
        """Addresses of numbers: a flag, a size, an i64's SSA name in a tuple, a NumPy scalar."""
        widths = [16 if isinstance(v, np.complexfloating) else 8 for v in values]
        base = self.main.scratch(sum(widths))
        out, offset = [], 0
        for value, width in zip(values, widths, strict=True):
            at = shifted(self.e, base, self.e.integer(offset)) if offset else base
            for k, word in enumerate(self._words(value)):
                to = shifted(self.e, at, self.e.integer(8)) if k else at
                self.e.effect(f"llvm.store {word}, {to} {{alignment = 8 : i64}} : i64, !llvm.ptr")
            out.append(at)
            offset += width
        return out

    def _words(self, value: Any) -> list[str]:
        if isinstance(value, str):
            return [self.e.integer(ord(value))]
        if isinstance(value, tuple):
            return [value[0]]
        if isinstance(value, np.generic):
            data = value.tobytes()
            data += bytes(-len(data) % 8)
            return [self.e.integer(word) for (word,) in struct.iter_unpack("<q", data)]
        return [self.size(value)]

    def failed(self, info: str) -> str:
        """Whether a routine's status, at that address, is not 0."""
        status = self.e.op(f"llvm.load {info} {{alignment = 8 : i64}} : !llvm.ptr -> i32")
        return self.e.compare("ne", status, self.e.constant(0, "i32"), "i32")

    def fail(self, condition: str, code: int) -> None:
        """The whole function returns ``code``, if nothing went wrong before."""
        status = self.main.pointer(STATUS)
        with self.where(condition):
            old = self.e.op(f"llvm.load {status} : !llvm.ptr -> i64")
            first = self.e.compare("eq", old, self.e.integer(0), "i64")
            new = self.e.select(first, self.e.integer(code), old, "i64")
            self.e.effect(f"llvm.store {new}, {status} : i64, !llvm.ptr")

    def at_least_one(self, size: Any) -> Any:
        """A leading dimension, which must not be 0 where a matrix is empty."""
        if lower_bound(size) >= 1:
            return size
        return (self.e.op(f"arith.maxsi {self.size(size)}, {self.e.integer(1)} : i64"),)


def _is_address(x: Any) -> bool:
    return isinstance(x, str) and x.startswith("%")


def _inner_last(array: Strided) -> list[int]:
    """The axes, the one whose elements lie side by side last."""
    axes = list(range(array.ndim))
    for k in axes:
        if type(array.strides[k]) is int and array.strides[k] == array.dtype.itemsize:
            return [*axes[:k], *axes[k + 1 :], k]
    return axes


def letter(dtype: DType) -> str:
    """The first letter of the routines for a dtype."""
    return LETTERS[dtype.char]


def leading(matrix: Strided) -> tuple[str, Any] | None:
    """How a routine that counts in columns sees a matrix in rows: "N" with the rows' distance, "T"
    with the columns' if those lie together, None if it has to be copied.
    """
    (rows, columns), (row, column) = matrix.shape, matrix.strides
    item = matrix.dtype.itemsize
    by_rows = same(column, item) or is_one(columns)
    by_columns = same(row, item) or is_one(rows)
    if by_rows and (is_one(rows) or _is_distance(row, columns, item)):
        return "N", columns if is_one(rows) else row // item
    if by_columns and (is_one(columns) or _is_distance(column, rows, item)):
        return "T", rows if is_one(columns) else column // item
    return None


def _is_distance(stride: Any, length: Any, item: int) -> bool:
    """Whether lines of ``length`` elements that far apart do not overlap."""
    if same(stride, length * item):
        return True
    if type(stride) is int and type(length) is int:
        return stride % item == 0 and max(length, 1) <= stride // item < 2**31
    return type(stride) is not int and stride % item == 0 and is_ordered(length * item, stride)


def increment(vector: Strided) -> Any | None:
    """The distance of a vector's elements, None if it has to be copied."""
    (size,), (stride,), item = vector.shape, vector.strides, vector.dtype.itemsize
    if is_one(size):
        return 1
    if type(stride) is int:
        return stride // item if stride > 0 and stride % item == 0 else None
    return stride // item if is_ordered(item, stride) else None


def number(value: Any, dtype: DType) -> Any:
    return dtype.type(value)
