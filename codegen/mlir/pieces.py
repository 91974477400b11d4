"""A batch in pieces: a function for some of them, which threads share.

Each call of it has its own memory for what a piece computes. Operands and results lie where the
whole batch has them: a piece reads and writes its part there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autodiff.program import Program
from ..batches.pieces import Form
from ..plan import Operation
from .memory import shifted
from .operations import operation
from .regions import Inside, pointer_to, write_region


class _Pieces:
    """Writes one `pieces` operation."""

    def __init__(self, writer: Any, step: Operation) -> None:
        self.writer, self.step = writer, step
        self.form = Form(**step.equation.params)

    def write(self) -> None:
        writer, places = self.writer, [*self.step.operands, *self.step.results]
        outer = writer.main
        addresses = [pointer_to(writer, place) for place in places]
        callbacks, clusters = len(writer.callbacks), len(writer.clusters)
        writer.main = inner = writer.new_batch_part(len(places))
        try:
            self._write_loop(inner.addresses, "%begin", "%end")
        finally:
            writer.main = outer
        if len(writer.callbacks) == callbacks:
            writer.call_batch_part(inner, addresses, self.form.count)
            return
        del writer.callbacks[callbacks:], writer.clusters[clusters:]
        e = outer.e  # written again, for this thread alone: only it may call Python
        self._write_loop(addresses, e.integer(0), writer.main.size(self.form.count))

    def _write_loop(self, addresses: Sequence[str], begin: str, end: str) -> None:
        e, form = self.writer.main.e, self.form
        number = e.fresh()
        e.effect(f"scf.for {number} = {begin} to {end} step {e.integer(1)} : i64 {{")
        whole = form.bodies[0]
        if len(form.bodies) == 1:
            self._write_piece(whole, addresses, number)
        else:
            short = self._is_short(number)
            with Inside(self.writer) as rest:
                self._write_piece(form.bodies[1], addresses, number)
            with Inside(self.writer) as lines:
                self._write_piece(whole, addresses, number)
            e.lines += [f"scf.if {short} {{", *rest, "} else {", *lines, "}"]
        e.effect("}")

    def _is_short(self, number: str) -> str:
        """Whether this is the last piece, and not a whole one."""
        e, size, form = self.writer.main.e, self.writer.main.size, self.form
        last = e.compare("eq", number, size(form.count - 1), "i64")
        fewer = e.compare("slt", size(form.rest), e.integer(form.size), "i64")
        return e.binary("arith.andi", last, fewer, "i1")

    def _write_piece(self, body: Program, addresses: Sequence[str], number: str) -> None:
        """The piece with this number, of a batch that lies at these addresses."""
        form, count = self.form, len(self.form.axes)
        operands = list(zip(self.step.operands, form.axes, strict=True))
        results = list(zip(self.step.results, form.out_axes, strict=True))
        strides = [None if axis is None else place.strides for place, axis in operands]
        out_strides = [None if axis is None else place.strides for place, axis in results]
        plan = self.writer.plan(body, strides=strides, out_strides=out_strides)
        found = [
            self._at(address, number, 0 if axis is None else place.strides[axis] * form.size)
            for address, (place, axis) in zip(addresses, operands, strict=False)
        ]
        for address, (place, axis) in zip(addresses[count:], results, strict=True):
            step = place.strides[0] if axis is None else place.strides[axis] * form.size
            found.append(self._at(address, number, step))
        write_region(self.writer, body, found[:count], found[count:], plan)

    def _at(self, address: str, number: str, step: Any) -> str:
        e = self.writer.main.e
        if type(step) is int and step == 0:
            return address
        by = e.op(f"arith.muli {number}, {self.writer.main.size(step)} : i64")
        return shifted(e, address, by)


@operation("pieces")
def _pieces(writer: Any, _plan: Any, step: Operation) -> bool:
    _Pieces(writer, step).write()
    return True
