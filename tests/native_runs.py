"""Runs compiled Programs on memory that is watched, in every form the code generator has."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

from xnp.autodiff.size_structures import substituted
from xnp.codegen import places
from xnp.codegen.mlir import (
    columns,
    functions,
    loops,
    module,
    nest_shape,
    nest_values,
    panels,
    tiles,
)
from xnp.codegen.passes import joined
from xnp.runtime import compile as compiling
from xnp.runtime import recipe
from xnp.runtime.compile import Compiled

MARGIN = 192  # bytes around an array that nobody may write to


class Form(NamedTuple):
    """Thresholds of the code generator: which forms of its code small arrays get."""

    name: str
    vector_bytes: int | None = None
    shared_work: int | None = None  # from which on threads share a cluster
    piece_work: int | None = None
    stack_bytes: int | None = None  # up to which a temporary lies on the stack
    tiny: int | None = None  # elements of a loop that is unrolled
    copied: int | None = None  # bytes up to which a carried value is copied
    row_bytes: int | None = None  # of rows that phases hand on
    column_bytes: int | None = None  # the same of columns
    far: int | None = None  # bytes between steps from which on memory is fetched ahead
    many: int | None = None  # elements an accumulator takes in a block of a sum
    many_steps: int | None = None  # from which on each loop nest is a function
    shared_product: int | None = None  # multiplications from which on threads share a product
    long_panel: int | None = None  # bytes of columns of a product that are copied into one piece
    few_rows: int | None = None  # that a block of columns has at least
    band: int | None = None  # rows that it takes at a time at least
    few_steps: int | None = None  # of the last loop, up to which they are not aligned
    long: int | None = None  # elements of arrays that are not made if elementwise work reads them


FORMS = {
    form.name: form
    for form in (
        Form("usual"),
        Form("in place", copied=0, few_steps=0),
        Form("boxes", long=2),
        Form("shared", shared_work=1, piece_work=1, tiny=0, shared_product=1),
        Form(
            "shared in pieces",
            shared_work=1,
            piece_work=200,
            tiny=0,
            many=2,
            few_rows=3,
            band=2,
            few_steps=0,
        ),
        Form("arena", stack_bytes=0, copied=0, many_steps=0),
        Form(
            "arena, shared",
            stack_bytes=0,
            shared_work=1,
            piece_work=1,
            tiny=0,
            long=8,
            shared_product=1,
            long_panel=1,
            few_rows=1,
            band=1,
            few_steps=0,
        ),
        Form(
            "narrow vectors",
            vector_bytes=16,
            tiny=4,
            row_bytes=64,
            column_bytes=64,
            many=1,
            long_panel=1,
            few_steps=0,
        ),
        Form("AVX2", vector_bytes=32, copied=16, many=1, many_steps=0, column_bytes=1 << 10, far=1),
    )
}


@contextmanager
def forced(form: Form) -> Iterator[None]:
    """Inside, Programs are compiled in this form, and not taken from the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "find", lambda key, literals: None)
        patch.setattr(recipe, "save", lambda *args: None)
        if form.vector_bytes is not None:
            patch.setattr(compiling, "vector_bytes", lambda: form.vector_bytes)
        thresholds = {
            "shared_work": (module, "SHARED_WORK"),
            "piece_work": (module, "PIECE_WORK"),
            "stack_bytes": (functions, "STACK_BYTES"),
            "tiny": (nest_shape, "TINY"),
            "copied": (places, "COPIED"),
            "row_bytes": (nest_shape, "ROW_BYTES"),
            "column_bytes": (nest_shape, "COLUMN_BYTES"),
            "far": (nest_values, "FAR"),
            "many": (loops, "MANY"),
            "many_steps": (module, "MANY_STEPS"),
            "shared_product": (tiles, "SHARED_WORK"),
            "long_panel": (panels, "LONG_PANEL"),
            "few_rows": (columns, "FEW_ROWS"),
            "band": (columns, "LEAST_BAND"),
            "few_steps": (nest_shape, "FEW_STEPS"),
            "long": (joined, "LONG"),
        }
        for field, (where, name) in thresholds.items():
            value = getattr(form, field)
            if value is not None:
                patch.setattr(where, name, value)
        if form.band is not None:
            patch.setattr(columns, "BAND_BYTES", 0)
        yield


class Watched:
    """An array between margins that show whether somebody wrote there."""

    def __init__(self, shape: Sequence[int], dtype: Any, seed: int) -> None:
        nbytes = int(np.prod(shape, dtype=int)) * dtype.itemsize
        alignment = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
        room = np.random.default_rng(seed).integers(0, 256, nbytes + 2 * MARGIN + 64, np.uint8)
        start = MARGIN + (-(room.ctypes.data + MARGIN)) % 64 + alignment * (seed % 3)
        self.room, self.start, self.stop = room, start, start + nbytes
        self.array = room[start : self.stop].view(dtype).reshape(shape)
        self.before = room.copy()

    def check(self, what: str, *, all_of_it: bool) -> None:
        changed = np.flatnonzero(self.room != self.before)
        if not all_of_it:
            changed = changed[(changed < self.start) | (changed >= self.stop)]
        size = self.stop - self.start
        assert not changed.size, f"{what} of {size} bytes: byte {changed[0] - self.start} written"


class Guarded(Watched):
    """An array beside pages that nobody may even read; whoever does ends the process."""

    def __init__(self, shape: Sequence[int], dtype: Any, seed: int) -> None:
        nbytes = int(np.prod(shape, dtype=int)) * dtype.itemsize
        page = mmap.PAGESIZE
        inner = -(-max(nbytes, 1) // page) * page
        self.pages = mmap.mmap(-1, inner + 2 * page)
        room = np.frombuffer(self.pages, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        for at in (0, page + inner):
            address = ctypes.c_void_p(room.ctypes.data + at)
            assert libc.mprotect(address, ctypes.c_size_t(page), 0) == 0
        self.room = room[page : page + inner]
        self.room[:] = np.random.default_rng(seed).integers(0, 256, inner, np.uint8)
        self.start = inner - nbytes if seed % 2 else 0
        self.stop = self.start + nbytes
        self.array = self.room[self.start : self.stop].view(dtype).reshape(shape)
        self.before = self.room.copy()


def run_watched(
    compiled: Compiled, values: Sequence[Any], seed: int, kind: type[Watched] = Watched
) -> list[Any]:
    """The results; AssertionError if anything else was written to."""
    avals = compiled.program.in_avals
    given = []
    for i, (x, aval) in enumerate(zip(values, avals, strict=True)):
        x = np.asarray(x, aval.dtype)
        w = kind(x.shape, x.dtype, seed + i)
        w.array[...] = x
        w.before = w.room.copy()
        given.append(w)
    sizes = compiled._sizes([w.array for w in given])
    results = [
        kind(substituted(aval.shape, sizes), aval.dtype, seed + 7 * i)
        for i, aval in enumerate(compiled.program.out_avals)
    ]
    for copy, live in compiled._refreshed:
        np.copyto(copy, live)
    numbers = [sizes[symbol] for symbol in compiled.symbols]
    code = compiled._run(
        _table([w.array for w in given]), _table([w.array for w in results]),
        (ctypes.c_int64 * max(len(numbers), 1))(*numbers),
    )  # fmt: skip
    for i, w in enumerate(given):
        w.check(f"parameter {i}", all_of_it=True)
    for i, w in enumerate(results):
        w.check(f"result {i}", all_of_it=False)
    if code:
        raise compiled.failure(code)
    return [w.array for w in results]


def _table(arrays: Sequence[Any]) -> Any:
    return (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])
