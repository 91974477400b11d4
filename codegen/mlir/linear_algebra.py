"""The primitives solve, inv, cholesky, det and slogdet by LAPACK, on stacks of matrices.

As in NumPy, each matrix is copied column by column and factored with the same routines, so pivots,
rounding and what counts as singular are the same too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..places import Place
from ..plan import Operation
from .convert import is_native
from .elementwise_complex import COMPLEX
from .elementwise_float import elementary
from .emitter import Operand, element_type
from .libraries import (
    INT_BYTES,
    LETTERS,
    NOT_POSITIVE,
    SINGULAR,
    Code,
    Strided,
    letter,
)
from .loop import DType, Loop
from .memory import load, store
from .operations import operation

_INT = np.dtype(np.int64)


def arrays(code: Code, step: Operation) -> tuple[list[Strided], list[Strided]] | None:
    """Operands and results; None where LAPACK has no such numbers."""
    places = [*step.operands, *step.results]
    if not all(isinstance(x, Place) and is_native(x.dtype) for x in places):
        return None
    if any(x.dtype.char not in LETTERS or not x.is_dense for x in step.results):
        return None
    operands = [code.array(x) for x in step.operands]
    return operands, [code.array(x) for x in step.results]


def by_columns(code: Code, dtype: DType, shape: Sequence[Any]) -> Strided:
    """A new matrix whose columns lie together."""
    rows, columns = shape
    return code.temporary(dtype, (columns, rows)).transposed()


@contextmanager
def _each(code: Code, out: Strided, core: int, *arrays: Strided) -> Iterator[list[Strided]]:
    """Loops over the stack of ``out``, whose last ``core`` axes are no stack; gives its part and
    the matrices of the others.
    """
    lead = out.shape[: out.ndim - core]
    with code.loops(lead) as indices:
        at = code.at(out.pointer, *zip(indices, out.strides, strict=False))
        part = Strided(at, out.dtype, out.shape[len(lead) :], out.strides[len(lead) :])
        yield [part, *(x.matrix(code.stack(lead, x, indices, 2)) for x in arrays)]


# --- systems of equations


@operation("solve")
def solve(writer: Any, _plan: Any, step: Operation) -> bool:
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None:
        return False
    (a, b), (x,) = found
    factors = by_columns(code, x.dtype, a.shape[-2:])
    right = by_columns(code, x.dtype, b.shape[-2:])
    pivots = code.temporary(_INT, a.shape[-1:])
    with _each(code, x, 2, a, b) as (part, matrix, columns):
        code.copy(factors, matrix)
        code.copy(right, columns)
        info = _gesv(code, factors, pivots, right)
        code.fail(code.failed(info), SINGULAR)
        code.copy(part, right)
    return True


def _gesv(code: Code, a: Strided, pivots: Strided, b: Strided) -> str:
    """Overwrites b with the solution; returns the address of the status."""
    (n, columns), info = b.shape, code.slots([0])[0]
    lead = code.at_least_one(n)
    routine = f"{letter(a.dtype)}gesv"
    code.call(routine, n, columns, a.pointer, lead, pivots.pointer, b.pointer, lead, info)
    return info


@operation("inv")
def inv(writer: Any, _plan: Any, step: Operation) -> bool:
    return _inverse(Code(writer.main), step, or_nan=False)


@operation("inv_or_nan")
def inv_or_nan(writer: Any, _plan: Any, step: Operation) -> bool:
    return _inverse(Code(writer.main), step, or_nan=True)


def _inverse(code: Code, step: Operation, or_nan: bool) -> bool:
    """The solution for the columns of the identity."""
    found = arrays(code, step)
    if found is None:
        return False
    (a,), (x,) = found
    factors, right = (by_columns(code, x.dtype, a.shape[-2:]) for _ in range(2))
    pivots = code.temporary(_INT, a.shape[-1:])
    with _each(code, x, 2, a) as (part, matrix):
        code.copy(factors, matrix)
        set_identity(code, right)
        failed = code.failed(_gesv(code, factors, pivots, right))
        if not or_nan:
            code.fail(failed, SINGULAR)
        code.copy(part, right)
        if or_nan:
            with code.where(failed), code.loops(part.shape) as (i, j):
                at = code.at(part.pointer, (i, part.strides[0]), (j, part.strides[1]))
                store(code.e, _number(code, part.dtype, np.nan), at)
    return True


def _number(code: Code, dtype: DType, value: float) -> Operand:
    """A number; of a complex one the real part, the imaginary part is 0."""
    kind = element_type(dtype)
    name = code.e.constant(value, kind)
    return Operand((name, code.e.constant(0.0, kind)) if dtype.kind == "c" else name, dtype)


def set_identity(code: Code, x: Strided) -> None:
    code.fill_zero(x)
    with code.loop(x.shape[0]) as i:
        at = code.at(x.pointer, (i, x.strides[0]), (i, x.strides[1]))
        store(code.e, _number(code, x.dtype, 1.0), at)


@operation("cholesky")
def cholesky(writer: Any, _plan: Any, step: Operation) -> bool:
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None:
        return False
    (a,), (out,) = found
    factor = by_columns(code, out.dtype, a.shape[-2:])
    n = a.shape[-1]
    with _each(code, out, 2, a) as (part, matrix):
        code.copy(factor, matrix)
        (info,) = code.slots([0])
        lead = code.at_least_one(n)
        code.call(f"{letter(out.dtype)}potrf", "L", n, factor.pointer, lead, info)
        code.fail(code.failed(info), NOT_POSITIVE)
        code.fill_zero(part)
        with code.loop(n) as i:
            end = code.e.op(f"arith.addi {i}, {code.e.integer(1)} : i64")
            with code.loop(end) as j:
                source, to = (
                    code.at(x.pointer, (i, x.strides[0]), (j, x.strides[1])) for x in (factor, part)
                )
                store(code.e, load(code.e, source, out.dtype), to)
    return True


# --- determinants


@operation("slogdet")
def slogdet(writer: Any, _plan: Any, step: Operation) -> bool:
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None:
        return False
    (a,), (sign, log) = found
    determinants = _Determinants(code, a, sign.dtype)
    lead = sign.shape
    with code.loops(lead) as indices:
        found_sign, found_log = determinants.at(code.stack(lead, a, indices, 2))
        for out, operand in ((sign, found_sign), (log, found_log)):
            at = code.at(out.pointer, *zip(indices, out.strides, strict=True))
            store(code.e, operand, at)
    return True


@operation("det")
def det(writer: Any, _plan: Any, step: Operation) -> bool:
    """The sign times the exponential of the logarithm, as NumPy computes it."""
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None:
        return False
    (a,), (out,) = found
    determinants = _Determinants(code, a, out.dtype)
    with _each(code, out, 0, a) as (part, matrix):
        sign, log = determinants.at(matrix.pointer)
        loop = Loop(code.e, log.dtype)
        size = elementary(loop, "exp", log.name)
        if out.dtype.kind == "c":
            name = COMPLEX["multiply"](loop, sign.name, (size, loop.number(0.0)))
        else:
            name = loop("arith.mulf", sign.name, size)
        store(code.e, Operand(name, out.dtype), part.pointer)
    return True


class _Determinants:
    """Signs and logarithms of determinants, from the diagonals of LU factors."""

    def __init__(self, code: Code, a: Strided, dtype: DType) -> None:
        self.code, self.a, self.dtype = code, a, dtype
        self.real = np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype
        self.factors = by_columns(code, dtype, a.shape[-2:])
        self.pivots = code.temporary(_INT, a.shape[-1:])
        self.sign, self.log = code.main.scratch(16), code.main.scratch(8)
        e = code.e
        e.functions[INT_BYTES] = f"llvm.mlir.global external @{INT_BYTES}() : i64"
        table = code.main.at_top(f"llvm.mlir.addressof @{INT_BYTES} : !llvm.ptr")
        self.int_bytes = code.main.at_top(f"llvm.load {table} : !llvm.ptr -> i64")

    def at(self, matrix: str) -> tuple[Operand, Operand]:
        """Of the matrix at an address. 0 and -inf where it is singular."""
        code, n, e = self.code, self.a.shape[-1], self.code.e
        code.copy(self.factors, self.a.matrix(matrix))
        (info,) = code.slots([0])
        lead = code.at_least_one(n)
        routine = f"{letter(self.dtype)}getrf"
        code.call(routine, n, n, self.factors.pointer, lead, self.pivots.pointer, info)
        store(e, _number(code, self.dtype, 1.0), self.sign)
        store(e, _number(code, self.real, 0.0), self.log)
        with code.loop(n) as i:
            self._take(i)
        with code.where(code.failed(info)):
            store(e, _number(code, self.dtype, 0.0), self.sign)
            store(e, _number(code, self.real, -np.inf), self.log)
        return load(e, self.sign, self.dtype), load(e, self.log, self.real)

    def _take(self, i: str) -> None:
        """Multiply by the element number i of the diagonal."""
        code, e, loop = self.code, self.code.e, Loop(self.code.e, self.real)
        row, column = self.factors.strides
        at = code.at(self.factors.pointer, (i, row), (i, column))
        x = load(e, at, self.dtype).name
        sign = load(e, self.sign, self.dtype).name
        one = loop.number(1.0)
        if self.dtype.kind == "c":
            size = elementary(loop, "hypot", *x)
            x = tuple(loop("arith.divf", part, size) for part in x)
            sign = COMPLEX["multiply"](loop, sign, x)
            turned = tuple(loop("arith.negf", part) for part in sign)
            sign = tuple(
                loop.pick(self._swapped(i), b, a) for a, b in zip(sign, turned, strict=True)
            )
        else:
            size = loop("math.absf", x)
            negative = loop.test("olt", x, loop.number(0.0))
            flips = loop.truth("arith.xori", negative, self._swapped(i))
            factor = loop.pick(flips, loop("arith.negf", one), one)
            sign = loop("arith.mulf", sign, factor)
        store(e, Operand(sign, self.dtype), self.sign)
        log = loop("arith.addf", load(e, self.log, self.real).name, elementary(loop, "log", size))
        store(e, Operand(log, self.real), self.log)

    def _swapped(self, i: str) -> str:
        """Whether row i was exchanged: its pivot, counted from 1, is another."""
        e = self.code.e
        by = e.op(f"arith.muli {i}, {self.int_bytes} : i64")
        at = e.op(f"llvm.getelementptr {self.pivots.pointer}[{by}] : (!llvm.ptr, i64) -> "
                  "!llvm.ptr, i8")  # fmt: skip
        pivot = e.op(f"llvm.load {at} {{alignment = 4 : i64}} : !llvm.ptr -> i32")
        own = e.op(f"arith.addi {i}, {e.integer(1)} : i64")
        return e.compare("ne", pivot, e.op(f"arith.trunci {own} : i64 to i32"), "i32")
