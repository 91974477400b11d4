"""Products of matrices of moderate size, as tiles that are summed up in registers.

A tile is some rows of the result by a few vectors of columns, its panel: see `tile_kernels`. Rows
and columns that do not come out even are done by tiles that overlap others and write the same
numbers again. Threads share the tiles, so the result does not depend on their number.

BLAS takes longer than a small product to be called, and has threads of its own, which wait awake
and, where both have work, fight with ours for the cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..affine import is_one, lower_bound, product, same
from ..costs import is_moderate_product
from ..places import Buffer
from .emitter import Operand, element_type
from .libraries import Code, Strided
from .loop import DType
from .memory import load, store
from .tile_kernels import kernel_of

LONG_PANEL = 1 << 14  # bytes from which on a panel is copied to lie in one piece
SHARED_WORK = 1 << 17  # multiplications from which on threads share a product
PIECE_WORK = 1 << 16  # that one of them takes at once
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


class Tiled:
    """A product ``c = a @ b`` of stacks of matrices, written as tiles; or ``c = start + a @ b``,
    where ``start`` may be ``c`` itself.
    """

    def __init__(
        self,
        writer: Any,
        code: Code,
        c: Strided,
        a: Strided,
        b: Strided,
        start: Strided | None = None,
    ) -> None:
        self.writer, self.code = writer, code
        self.c, self.a, self.b, self.start = c, a, _once(b), start
        (self.m, self.k), self.n = a.shape[-2:], b.shape[-1]
        self.lead = c.shape[:-2]
        self.dtype: DType = c.dtype

    def is_possible(self) -> bool:
        """Whether tiles are for a product of these sizes."""
        return is_moderate_product(self.m, self.k, self.n, self.dtype)

    def write(self) -> None:
        lanes = self.writer.vector_bytes // self.dtype.itemsize
        forms = forms_of(self.m, self.n, lanes, self.writer.vector_bytes)
        in_place = self.start is not None and self.start.pointer == self.c.pointer
        if in_place and not all(map(self._is_exact, forms)):  # nothing may be added twice
            self.start = self.code.packed(self.c, self.dtype)
        for form in forms:
            if lower_bound(self.m) >= form.rows:
                self._write_form(form)
                continue
            enough = self.code.e.integer(form.rows)
            enough = self.code.e.compare("sge", self.code.size(self.m), enough, "i64")
            with self.code.where(enough):
                self._write_form(form)
            fewer = self.code.e.binary("arith.xori", enough, self.code.e.constant(1, "i1"), "i1")
            with self.code.where(fewer):
                self._write_form(form._replace(rows=1))

    def _is_exact(self, form: Form) -> bool:
        """Whether no two tiles overlap."""
        even = all(offset == i * form.lanes for i, offset in enumerate(form.offsets))
        after = form.first % form.lanes == 0
        return type(self.m) is int and self.m % form.rows == 0 and even and after

    def _write_form(self, form: Form) -> None:
        """All tiles of one form, shared among threads where they are much work."""
        columns, offsets = self._columns(form)
        steps = product(self.lead) * form.panels * self._tiles(form)
        work = product(self.lead) * self.m * self.k * self.n
        if type(work) is int and work < SHARED_WORK:
            code = self.code
            arrays = self.c, self.a, columns, self.start
            self._write_steps(code, form, offsets, arrays, "", code.size(steps))
            return
        part = self.writer.new_part()
        arrays = self.c, self.a, columns, self.start
        inside = [None if x is None else self._inside(part, x) for x in arrays]
        self._write_steps(Code(part), form, offsets, inside, "%begin", "%end")
        self.writer.call_part(part, steps, PIECE_WORK // (form.rows * form.width * self.k) + 1)

    def _tiles(self, form: Form) -> Any:
        """Of one panel of one matrix."""
        return (self.m + form.rows - 1) // form.rows

    def _inside(self, part: Any, x: Strided) -> Strided:
        """The same array in the function of a part."""
        buffer = Buffer("address", 0, 0)
        self.code.main.pointers[buffer] = x.pointer
        return x._replace(pointer=part.pointer(buffer))

    # The columns of b: as they lie in memory, or in panels of their own.

    def _columns(self, form: Form) -> tuple[Strided, Sequence[int]]:
        """The panels of b, of shape (stack, panel, row, column); where in a row vectors begin."""
        b, item = self.b, self.dtype.itemsize
        shape = (*b.shape[:-2], form.panels, self.k, form.width)
        by_rows = same(b.strides[-1], item)
        long = self.k * form.width * item >= LONG_PANEL and lower_bound(self.m) >= 4 * form.rows
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
            column = self._column(self.code, form, panel)
            source = self.code.at(source, (column, b.strides[-1]))
            target = self.code.at(packed.pointer, *zip(indices, packed.strides, strict=False))
            self._pack(form, target, source, packed.strides[-2])
        return packed, range(0, form.width, form.lanes)

    def _column(self, code: Code, form: Form, panel: str) -> str:
        """The first column of a panel."""
        e = code.e
        column = e.op(f"arith.muli {panel}, {e.integer(form.width)} : i64")
        return e.op(f"arith.addi {column}, {e.integer(form.first)} : i64")

    def _pack(self, form: Form, target: str, source: str, step: int) -> None:
        """One panel, whose rows are to be ``step`` bytes apart."""
        row, column = self.b.strides[-2:]
        code, item = self.code, self.dtype.itemsize
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

    # Tiles.

    def _write_steps(
        self,
        code: Code,
        form: Form,
        offsets: Sequence[int],
        arrays: Sequence[Strided | None],
        low: str,
        high: str,
    ) -> None:
        """The tiles from ``low`` to ``high``, those of a panel one after another."""
        e, item = code.e, self.dtype.itemsize
        c, a, columns, start = arrays
        assert c is not None
        assert a is not None
        assert columns is not None
        with code.loop(high, start=low) as number:
            rest, tile = _divided(code, number, self._tiles(form))
            stack, panel = _divided(code, rest, form.panels)
            indices = _unraveled(code, stack, self.lead)
            row = e.op(f"arith.muli {tile}, {e.integer(form.rows)} : i64")
            last = e.op(f"arith.subi {code.size(self.m)}, {e.integer(form.rows)} : i64")
            row = e.op(f"arith.minsi {row}, {last} : i64")
            column = self._column(code, form, panel)
            target = code.at(code.stack(self.lead, c, indices, 2), (row, c.strides[-2]))
            target = code.at(target, (column, c.strides[-1]))
            left = code.at(code.stack(self.lead, a, indices, 2), (row, a.strides[-2]))
            right = code.stack(self.lead, columns, indices, 3)
            right = code.at(right, (panel, columns.strides[-3]))
            begin: tuple[Any, ...] = ()
            if start is not None:
                first = code.at(code.stack(self.lead, start, indices, 2), (row, start.strides[-2]))
                begin = code.at(first, (column, start.strides[-1])), start.strides[-2]
            kernel = kernel_of(self.dtype, form.rows, len(offsets), form.lanes, bool(begin))
            kernel.call(
                code, target, left, right, self.k, c.strides[-2], *a.strides[-2:],
                columns.strides[-2], form.offsets[-1] * item, offsets[-1] * item, *begin,
            )  # fmt: skip


def _once(stack: Strided) -> Strided:
    """A stack with its repeated matrices once."""
    *lead, m, n = stack.shape
    steps = stack.strides[: len(lead)]
    lead = [1 if same(step, 0) else size for size, step in zip(lead, steps, strict=True)]
    return stack._replace(shape=(*lead, m, n))


def _divided(code: Code, number: str, by: Any) -> tuple[str, str]:
    """Quotient and remainder."""
    e = code.e
    if type(by) is int and by == 1:
        return number, e.integer(0)
    divisor = code.size(by)
    quotient = e.op(f"arith.divui {number}, {divisor} : i64")
    return quotient, e.op(f"arith.remui {number}, {divisor} : i64")


def _unraveled(code: Code, number: str, shape: Sequence[Any]) -> list[str]:
    """The indices of the element with that number, in C order."""
    indices = []
    for size in reversed(shape):
        number, index = _divided(code, number, size)
        indices.append(index)
    return indices[::-1]
