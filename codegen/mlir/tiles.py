"""Products of matrices of moderate size, as tiles that are summed up in registers.

A tile is some rows of the result by a few vectors of columns, its panel: see `tile_kernels`. Rows
and columns that do not come out even are done by tiles that overlap others and write the same
numbers again. Threads share the tiles, so the result does not depend on their number.

BLAS takes longer than a small product to be called, and has threads of its own, which wait awake
and, where both have work, fight with ours for the cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..affine import lower_bound, product, same
from ..costs import is_moderate_product
from .libraries import Code, Strided
from .panels import Form, Panels, forms_of
from .tile_kernels import kernel_of

SHARED_WORK = 1 << 17  # multiplications from which on threads share a product
PIECE_WORK = 1 << 16  # that one of them takes at once

Factors = tuple[Strided, Strided]


class Tiled:
    """``c = a @ b``, of stacks of matrices, written as tiles; or the sum of several such products,
    or ``start`` and them, which may be ``c`` itself.
    """

    def __init__(
        self,
        writer: Any,
        code: Code,
        c: Strided,
        factors: Sequence[Factors],
        start: Strided | None = None,
    ) -> None:
        self.writer, self.code = writer, code
        self.c, self.start = c, start
        self.factors = [(a, _once(b)) for a, b in factors]
        self.m, self.n = c.shape[-2:]
        self.lead = c.shape[:-2]

    def is_possible(self) -> bool:
        """Whether tiles are for products of these sizes."""
        sizes = [a.shape[-1] for a, _ in self.factors]
        return all(is_moderate_product(self.m, k, self.n, self.c.dtype) for k in sizes)

    def write(self) -> None:
        lanes = self.writer.vector_bytes // self.c.dtype.itemsize
        forms = forms_of(self.m, self.n, lanes, self.writer.vector_bytes)
        in_place = self.start is not None and self.start.pointer == self.c.pointer
        if in_place and not all(map(self._is_exact, forms)):  # nothing may be added twice
            self.start = self.code.packed(self.c, self.c.dtype)
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
        many = lower_bound(self.m) >= 4 * form.rows
        panels = [Panels(self.code, b, form).found(many) for _, b in self.factors]
        tiles = _Tiles(form, self.lead, self.m, [offsets for _, offsets in panels])
        arrays = [self.c, *(a for a, _ in self.factors), *(columns for columns, _ in panels)]
        arrays += [] if self.start is None else [self.start]
        depth = sum(a.shape[-1] for a, _ in self.factors)
        work = product(self.lead) * self.m * depth * self.n
        if type(work) is int and work < SHARED_WORK:
            tiles.write(self.code, arrays, "", self.code.size(tiles.steps))
            return
        part = self.writer.new_part()
        inside = [self.code.inside(part, x) for x in arrays]
        tiles.write(Code(part), inside, "%begin", "%end")
        self.writer.call_part(part, tiles.steps, PIECE_WORK // (form.rows * form.width * depth) + 1)


class _Tiles:
    """All tiles of one form. ``offsets``: by product, where in its panels vectors begin."""

    def __init__(
        self, form: Form, lead: Sequence[Any], m: Any, offsets: Sequence[Sequence[int]]
    ) -> None:
        self.form, self.lead, self.m, self.offsets = form, lead, m, offsets
        self.of_panel = (m + form.rows - 1) // form.rows
        self.steps = product(lead) * form.panels * self.of_panel

    def write(self, code: Code, arrays: Sequence[Strided], low: str, high: str) -> None:
        """The tiles from ``low`` to ``high``, those of a panel one after another. ``arrays``: the
        result, the left sides, the panels of the right sides, and what the sums begin with.
        """
        e, form, count = code.e, self.form, len(self.offsets)
        c, lefts, panels = arrays[0], arrays[1 : 1 + count], arrays[1 + count : 1 + 2 * count]
        item = c.dtype.itemsize
        with code.loop(high, start=low) as number:
            rest, tile = _divided(code, number, self.of_panel)
            stack, panel = _divided(code, rest, form.panels)
            indices = _unraveled(code, stack, self.lead)
            row = e.op(f"arith.muli {tile}, {e.integer(form.rows)} : i64")
            last = e.op(f"arith.subi {code.size(self.m)}, {e.integer(form.rows)} : i64")
            row = e.op(f"arith.minsi {row}, {last} : i64")
            column = form.column(code, panel)

            def corner(x: Strided) -> str:
                at = code.at(code.stack(self.lead, x, indices, 2), (row, x.strides[-2]))
                return code.at(at, (column, x.strides[-1]))

            arguments: list[Any] = [corner(c), c.strides[-2], form.offsets[-1] * item]
            for a, columns, offsets in zip(lefts, panels, self.offsets, strict=True):
                left = code.at(code.stack(self.lead, a, indices, 2), (row, a.strides[-2]))
                right = code.stack(self.lead, columns, indices, 3)
                right = code.at(right, (panel, columns.strides[-3]))
                arguments += [left, *a.strides[-2:], a.shape[-1]]
                arguments += [right, columns.strides[-2], offsets[-1] * item]
            for start in arrays[1 + 2 * count :]:
                arguments += [corner(start), start.strides[-2]]
            has_start = len(arrays) > 1 + 2 * count
            kernel = kernel_of(c.dtype, form.rows, len(form.offsets), form.lanes, count, has_start)
            kernel.call(code, arguments)


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
