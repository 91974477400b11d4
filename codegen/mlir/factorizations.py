"""The primitives qr, eigh and svd by LAPACK, with the routines that NumPy uses, on stacks; of the
latter two also the values alone, which take half the time.

How much memory a routine works in, it says itself: it is called once with -1 for the size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..affine import lower_bound
from ..plan import Operation
from .libraries import EIGENVALUES, LETTERS, SINGULAR_VALUES, Code, Strided, letter
from .linear_algebra import arrays, by_columns, set_identity
from .loop import DType
from .memory import load, store
from .operations import operation

_INT = np.dtype(np.int64)


class _Memory:
    """Working memory of routines, from when a routine has said how much until `close`."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.pointers: list[str] = []

    def ask(self, dtypes: Sequence[DType], call: Callable[..., None]) -> list[Any]:
        """Arguments (address, size, address, size, ...) for ``call``: arrays of these dtypes, as
        large as it says when the sizes are -1.
        """
        slots = [self.code.main.scratch(16) for _ in dtypes]
        call(*(x for slot in slots for x in (slot, -1)))
        found: list[Any] = []
        for slot, dtype in zip(slots, dtypes, strict=True):
            count = self._count(slot, dtype)
            found += [self._new(count, dtype), (count,)]
        return found

    def _count(self, slot: str, dtype: DType) -> str:
        """What a routine wrote: an integer of unknown width, or a float of the array's dtype."""
        e = self.code.e
        if dtype == _INT:
            low = e.op(f"llvm.load {slot} {{alignment = 4 : i64}} : !llvm.ptr -> i32")
            count = e.cast("arith.extsi", low, "i32", "i64")
        else:
            kind = "f32" if dtype.char in "fF" else "f64"
            size = e.op(f"llvm.load {slot} : !llvm.ptr -> {kind}")
            count = e.cast("arith.fptosi", size, kind, "i64")
        return e.op(f"arith.maxsi {count}, {e.integer(1)} : i64")

    def _new(self, count: str, dtype: DType) -> str:
        e = self.code.e
        e.functions["malloc"] = "llvm.func @malloc(i64) -> !llvm.ptr"
        e.functions["free"] = "llvm.func @free(!llvm.ptr)"
        size = e.op(f"arith.muli {count}, {e.integer(dtype.itemsize)} : i64")
        self.pointers.append(e.op(f"llvm.call @malloc({size}) : (i64) -> !llvm.ptr"))
        return self.pointers[-1]

    def close(self) -> None:
        for pointer in self.pointers:
            self.code.e.effect(f"llvm.call @free({pointer}) : (!llvm.ptr) -> ()")


@contextmanager
def _memory(code: Code) -> Iterator[_Memory]:
    memory = _Memory(code)
    yield memory
    memory.close()


def _part(code: Code, x: Strided, indices: Sequence[str]) -> Strided:
    """The matrix or vector of a result that goes with these indices of the stack."""
    lead = len(indices)
    at = code.at(x.pointer, *zip(indices, x.strides, strict=False))
    return Strided(at, x.dtype, x.shape[lead:], x.strides[lead:])


def _real(dtype: DType) -> DType:
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


@operation("qr")
def qr(writer: Any, _plan: Any, step: Operation) -> bool:
    """Reflectors, whose upper triangle is R, and then their product."""
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None:
        return False
    (a,), (q, r) = found
    (m, n), k, dtype = a.shape[-2:], q.shape[-1], q.dtype
    factors = by_columns(code, dtype, (m, n))
    tau = code.temporary(dtype, (k,))
    lead, (info,) = code.at_least_one(m), code.slots([0])
    names = [letter(dtype) + name for name in ("geqrf", "ungqr" if dtype.kind == "c" else "orgqr")]

    def reflect(*work: Any) -> None:
        code.call(names[0], m, n, factors.pointer, lead, tau.pointer, *work, info)

    def multiply(*work: Any) -> None:
        code.call(names[1], m, k, k, factors.pointer, lead, tau.pointer, *work, info)

    with _memory(code) as memory:
        first, second = memory.ask([dtype], reflect), memory.ask([dtype], multiply)
        with code.loops(q.shape[:-2]) as indices:
            code.copy(factors, a.matrix(code.stack(q.shape[:-2], a, indices, 2)))
            reflect(*first)
            _copy_upper(code, _part(code, r, indices), factors)
            multiply(*second)
            code.copy(_part(code, q, indices), factors._replace(shape=(m, k)))
    return True


def _copy_upper(code: Code, target: Strided, source: Strided) -> None:
    """The upper triangle; zeros below it."""
    code.fill_zero(target)
    rows, columns = target.shape
    with code.loop(rows) as i, code.loop(columns, start=i) as j:
        x = load(code.e, code.at(source.pointer, (i, source.strides[0]), (j, source.strides[1])),
                 source.dtype)  # fmt: skip
        store(code.e, x, code.at(target.pointer, (i, target.strides[0]), (j, target.strides[1])))


class _Decomposition(NamedTuple):
    """A routine that overwrites a matrix, and what it computes."""

    call: Callable[..., None]
    work: Sequence[DType]  # what it works in besides
    info: str  # the address of its status
    error: int
    matrix: Strided
    results: Sequence[Strided]

    def write(self, code: Code, a: Strided, outs: Sequence[Strided]) -> bool:
        """Of every matrix of a stack."""
        lead = a.shape[:-2]
        with _memory(code) as memory:
            work = memory.ask(self.work, self.call)
            with code.loops(lead) as indices:
                code.copy(self.matrix, a.matrix(code.stack(lead, a, indices, 2)))
                self.call(*work)
                code.fail(code.failed(self.info), self.error)
                for out, result in zip(outs, self.results, strict=True):
                    code.copy(_part(code, out, indices), result)
        return True


@operation("eigh")
@operation("eigvalsh")
def eigh(writer: Any, _plan: Any, step: Operation) -> bool:
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None or found[0][0].dtype.char not in LETTERS:
        return False
    (a,), outs = found
    n, dtype = a.shape[-1], a.dtype
    matrix = by_columns(code, dtype, (n, n))
    values = code.temporary(_real(dtype), (n,))
    lead, (info,) = code.at_least_one(n), code.slots([0])
    routine = letter(dtype) + ("heevd" if dtype.kind == "c" else "syevd")
    work = [dtype, values.dtype, _INT] if dtype.kind == "c" else [dtype, _INT]
    results = [values, matrix][: len(outs)]
    which, uplo = "V" if len(outs) > 1 else "N", step.equation.params["uplo"].upper()

    def decompose(*work: Any) -> None:
        code.call(routine, which, uplo, n, matrix.pointer, lead, values.pointer, *work, info)

    decomposition = _Decomposition(decompose, work, info, EIGENVALUES, matrix, results)
    return decomposition.write(code, a, outs)


@operation("svd")
def svd(writer: Any, _plan: Any, step: Operation) -> bool:
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None:
        return False
    (a,), outs = found
    full = step.equation.params["full"]
    matrix, left, right = (by_columns(code, a.dtype, x.shape[-2:]) for x in (a, outs[0], outs[2]))
    k = outs[1].shape[-1]
    if lower_bound(k) < 1:  # of no columns or rows the routine writes nothing
        for x in (left, right) if full else ():
            set_identity(code, x)
    return _singular(code, "A" if full else "S", k, matrix, left, right).write(code, a, outs)


@operation("svdvals")
def svdvals(writer: Any, _plan: Any, step: Operation) -> bool:
    code = Code(writer.main)
    found = arrays(code, step)
    if found is None or found[0][0].dtype.char not in LETTERS:
        return False
    (a,), outs = found
    matrix = by_columns(code, a.dtype, a.shape[-2:])
    unread = code.temporary(a.dtype, (1, 1))
    singular = _singular(code, "N", outs[0].shape[-1], matrix, unread, unread)
    return singular._replace(results=singular.results[1:2]).write(code, a, outs)


def _singular(
    code: Code, which: str, k: Any, matrix: Strided, left: Strided, right: Strided
) -> _Decomposition:
    """Of k singular values, and of vectors unless ``which`` is "N"."""
    (m, n), dtype = matrix.shape, matrix.dtype
    values = code.temporary(_real(dtype), (k,))
    counts = code.temporary(_INT, (8 * k,))
    (info,) = code.slots([0])
    leads = [code.at_least_one(x.shape[0]) for x in (matrix, left, right)]
    extra = []
    if dtype.kind == "c":
        # enough for any shape of a: at least what each of the documented bounds asks for
        vectors = 0 if which == "N" else 7 * k * k + 2 * m * n
        extra = [code.temporary(_real(dtype), (vectors + 7 * k,)).pointer]

    def decompose(*work: Any) -> None:
        code.call(
            f"{letter(dtype)}gesdd", which, m, n, matrix.pointer, leads[0], values.pointer,
            left.pointer, leads[1], right.pointer, leads[2], *work, *extra, counts.pointer, info,
        )  # fmt: skip

    return _Decomposition(decompose, [dtype], info, SINGULAR_VALUES, matrix, [left, values, right])
