"""The right side of products in tiles: the columns of a matrix, in panels as wide as a tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..affine import is_one, same
from .emitter import Operand, element_type
from .libraries import Code, Strided
from .loop import DType
from .memory import load, store

LONG_PANEL = 1 << 14  # bytes from which on a panel is copied to lie in one piece
MOST_ROWS = 12  # of a tile


class Form(NamedTuple):
    """Tiles of one form: so many ``rows``, and vectors that begin at these columns of a panel. Its
    panels lie side by side from the column ``first`` on.
    """

    rows: int
    lanes: int
    offsets: tuple[int, ...]
    first: int
    panels: int

    @property
    def width(self) -> int:
        """Columns of a panel, and its numbers in a row where it is packed."""
        return len(self.offsets) * self.lanes

    def column(self, code: Code, panel: str) -> str:
        """The first column of a panel."""
        e = code.e
        column = e.op(f"arith.muli {panel}, {e.integer(self.width)} : i64")
        return e.op(f"arith.addi {column}, {e.integer(self.first)} : i64")


def forms_of(m: Any, n: int, lanes: int, vector_bytes: int) -> list[Form]:
    """The tiles for ``m`` rows and ``n`` columns: what fits into the registers."""
    sums, vectors = (24, 4) if vector_bytes == 64 else (12, 3)
    while lanes > n:
        lanes //= 2
    width = vectors * lanes
    panels, rest = divmod(n, width)
    places = [(tuple(range(0, width, lanes)), 0, panels)] if panels else []
    if rest and rest < lanes and panels:
        places.append(((0,), n - lanes, 1))
    elif rest:
        offsets = [*range(0, rest - lanes + 1, lanes)]
        if rest % lanes:
            offsets.append(rest - lanes)
        places.append((tuple(offsets), n - rest, 1))
    return [
        Form(_best_rows(m, min(sums // len(offsets), MOST_ROWS)), lanes, offsets, first, count)
        for offsets, first, count in places
    ]


def _best_rows(m: Any, most: int) -> int:
    """How many rows a tile should have so that the last one repeats few."""
    if type(m) is not int:
        return most
    if m <= most:
        return m
    return min(range(most, max(most // 2, 1) - 1, -1), key=lambda r: -(-m // r) * r)


class Panels:
    """The panels of a stack of matrices, for tiles of one form."""

    def __init__(self, code: Code, b: Strided, form: Form) -> None:
        self.code, self.b, self.form = code, b, form
        self.k: int = b.shape[-2]
        self.dtype: DType = b.dtype

    def found(self, many_rows: bool) -> tuple[Strided, Sequence[int]]:
        """The panels, of shape (stack, panel, row, column), as they lie in memory or copied; and
        where in a row vectors begin. ``many_rows``: of tiles, so that a copy pays.
        """
        b, form, item = self.b, self.form, self.dtype.itemsize
        shape = (*b.shape[:-2], form.panels, self.k, form.width)
        by_rows = same(b.strides[-1], item)
        long = self.k * form.width * item >= LONG_PANEL and many_rows
        long = long and all(map(is_one, b.shape[:-2]))
        if by_rows and not long:
            row, column = b.strides[-2:]
            pointer = self.code.at(b.pointer, (self.code.e.integer(form.first), column))
            strides = (*b.strides[:-2], form.width * item, row, item)
            return Strided(pointer, self.dtype, shape, strides), form.offsets
        packed = self.code.temporary(self.dtype, shape)
        with self.code.loops(packed.shape[:-2]) as indices:
            *stack, panel = indices
            source = self.code.at(b.pointer, *zip(stack, b.strides[:-2], strict=True))
            column = form.column(self.code, panel)
            source = self.code.at(source, (column, b.strides[-1]))
            target = self.code.at(packed.pointer, *zip(indices, packed.strides, strict=False))
            self._pack(target, source, packed.strides[-2])
        return packed, range(0, form.width, form.lanes)

    def _pack(self, target: str, source: str, step: int) -> None:
        """One panel, whose rows are to be ``step`` bytes apart."""
        row, column = self.b.strides[-2:]
        code, form, item = self.code, self.form, self.dtype.itemsize
        square = same(row, item) and form.lanes > 1 and self.k >= form.lanes
        rows = form.lanes if square else 1
        with code.loop(-(-self.k // rows)) as block:
            k = code.e.op(f"arith.muli {block}, {code.e.integer(rows)} : i64")
            k = code.e.op(f"arith.minsi {k}, {code.e.integer(self.k - rows)} : i64")
            to, start = code.at(target, (k, step)), code.at(source, (k, row))
            for number, offset in enumerate(form.offsets):
                at = code.at(start, (code.e.integer(offset), column))
                into = code.at(to, (code.e.integer(number * form.lanes), item))
                if square:
                    self._pack_square(form.lanes, into, at, step, column)
                else:
                    self._pack_vector(form.lanes, into, at, column)

    def _pack_vector(self, lanes: int, target: str, source: str, column: Any) -> None:
        code, e = self.code, self.code.e
        if same(column, self.dtype.itemsize):
            e.lanes = lanes
            x = load(e, source, self.dtype)
        else:
            ones = [
                load(e, code.at(source, (e.integer(i), column)), self.dtype).name
                for i in range(lanes)
            ]
            e.lanes = lanes
            x = Operand(e.from_lanes(ones, element_type(self.dtype)), self.dtype)
        store(e, x, target)
        e.lanes = 1

    def _pack_square(self, lanes: int, target: str, source: str, step: int, column: Any) -> None:
        """As many rows as columns, of which the columns lie side by side: transposed in registers,
        by exchanging halves of pairs, quarters, and so on.
        """
        code, e = self.code, self.code.e
        e.lanes = lanes
        kind = e.type(element_type(self.dtype))
        rows = [
            load(e, code.at(source, (e.integer(i), column)), self.dtype).name for i in range(lanes)
        ]
        half = lanes // 2
        while half:
            low = [i + (lanes if i & half else 0) - (half if i & half else 0) for i in range(lanes)]
            high = [i + half for i in low]
            found = list(rows)
            for i in range(lanes):
                if not i & half:
                    pair = f"{rows[i]}, {rows[i + half]}"
                    found[i] = e.op(f"vector.shuffle {pair} {low} : {kind}, {kind}")
                    found[i + half] = e.op(f"vector.shuffle {pair} {high} : {kind}, {kind}")
            rows, half = found, half // 2
        for i, name in enumerate(rows):
            store(e, Operand(name, self.dtype), code.at(target, (e.integer(i), step)))
        e.lanes = 1
