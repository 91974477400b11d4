"""The inside of a product of matrices: one tile of the result, summed up in registers.

For each k, a row of b's panel is loaded once for all rows of the tile, and one number of each row
of a once for all vectors. A kernel is a function that all products of a process share, as it takes
depth and strides as arguments; it is compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from .emitter import Emitter, Operand, element_type
from .libraries import Code
from .loop import DType
from .memory import load, shifted, store

_PRIVATE = "{llvm.linkage = #llvm.linkage<internal>}"
_TARGET = {"target": "!llvm.ptr", "target_row": "i64", "target_last": "i64"}
_PRODUCT = {
    "left": "!llvm.ptr", "left_row": "i64", "left_column": "i64", "depth": "i64",
    "right": "!llvm.ptr", "right_row": "i64", "right_last": "i64",
}  # fmt: skip
_START = {"start": "!llvm.ptr", "start_row": "i64"}


class Kernel(NamedTuple):
    """``target = left @ right``, of the shapes (rows, depth) and (depth, vectors * lanes); of some,
    the sum of several products, or ``start`` and them.

    Strides are in bytes. The vectors of ``target``, ``start`` and ``right`` lie side by side but
    for the last one, which begins ``..._last`` bytes behind the first.
    """

    name: str
    types: tuple[str, ...]
    text: str

    def call(self, code: Code, arguments: Sequence[Any]) -> None:
        """With pointers and sizes: of the target, of each product, of the start."""
        code.e.share(self.name, {self.name: self.text})
        names = [x if isinstance(x, str) else code.size(x) for x in arguments]
        kinds = ", ".join(self.types)
        code.e.effect(f"func.call @{self.name}({', '.join(names)}) : ({kinds}) -> ()")


@lru_cache(256)
def kernel_of(
    dtype: DType, rows: int, vectors: int, lanes: int, products: int = 1, has_start: bool = False
) -> Kernel:
    """For tiles of so many rows and vectors of ``lanes`` numbers."""
    return _Writer(dtype, rows, vectors, lanes).kernel(products, has_start)


class _Writer:
    """Writes a kernel."""

    def __init__(self, dtype: DType, rows: int, vectors: int, lanes: int) -> None:
        self.dtype, self.rows, self.vectors, self.lanes = dtype, rows, vectors, lanes
        self.element = element_type(dtype)
        self.e = Emitter()

    def kernel(self, products: int, has_start: bool) -> Kernel:
        parameters = dict(_TARGET)
        for i in range(products):
            parameters |= {f"{name}{i}": kind for name, kind in _PRODUCT.items()}
        parameters |= _START if has_start else {}
        sums = self._starts() if has_start else self._zeros()
        for i in range(products):
            sums = self._added(sums, str(i))
        self._store(sums)
        shape = f"{self.rows}x{self.vectors}x{self.lanes}"
        kind = f"{products if products > 1 else ''}{'_add' if has_start else ''}"
        name = f"xnp_tile{kind}_{self.element}_{shape}"
        signature = ", ".join(f"%{x}: {kind}" for x, kind in parameters.items())
        head = f"func.func private @{name}({signature}) attributes {_PRIVATE} {{"
        text = "\n".join([head, *self.e.prologue, *self.e.lines, "return", "}"])
        return Kernel(name, tuple(parameters.values()), text)

    def _zeros(self) -> list[str]:
        self.e.lanes = self.lanes
        zero = self.e.constant(0.0, self.element)
        self.e.lanes = 1
        return [zero] * (self.rows * self.vectors)

    def _starts(self) -> list[str]:
        found = []
        for i in range(self.rows):
            row = self._at("%start", self.e.integer(i), "%start_row")
            found += self._row(row, "%target_last")
        return found

    def _added(self, sums: Sequence[str], number: str) -> list[str]:
        """The sums with a product added, whose arguments have this number."""
        e = self.e
        e.lanes = self.lanes
        kind = e.type(self.element)
        e.lanes = 1
        k, bundle, inside = e.fresh(), e.fresh(), [e.fresh() for _ in sums]
        types = ", ".join([kind] * len(sums))
        pairs = ", ".join(f"{x} = {y}" for x, y in zip(inside, sums, strict=True))
        e.effect(
            f"{bundle}:{len(sums)} = scf.for {k} = {e.integer(0)} to %depth{number} "
            f"step {e.integer(1)} iter_args({pairs}) -> ({types}) : i64 {{"
        )
        right = self._row(
            self._at(f"%right{number}", k, f"%right_row{number}"), f"%right_last{number}"
        )
        left = self._at(f"%left{number}", k, f"%left_column{number}")
        found = []
        for i in range(self.rows):
            one = load(e, self._at(left, e.integer(i), f"%left_row{number}"), self.dtype).name
            mine = inside[i * self.vectors : (i + 1) * self.vectors]
            e.lanes = self.lanes
            wide = e.splat(one, self.element)
            found += [e.fma(wide, x, s, self.element) for x, s in zip(right, mine, strict=True)]
            e.lanes = 1
        e.effect(f"scf.yield {', '.join(found)} : {types}")
        e.effect("}")
        return [f"{bundle}#{i}" for i in range(len(sums))]

    def _store(self, sums: Sequence[str]) -> None:
        for i in range(self.rows):
            row = self._at("%target", self.e.integer(i), "%target_row")
            for j in range(self.vectors):
                place = self._vector(row, j, "%target_last")
                self.e.lanes = self.lanes
                store(self.e, Operand(sums[i * self.vectors + j], self.dtype), place)
                self.e.lanes = 1

    def _row(self, start: str, last: str) -> list[str]:
        """The vectors of a row."""
        found = []
        for i in range(self.vectors):
            place = self._vector(start, i, last)
            self.e.lanes = self.lanes
            found.append(load(self.e, place, self.dtype).name)
            self.e.lanes = 1
        return found

    def _at(self, pointer: str, index: str, stride: str) -> str:
        return shifted(self.e, pointer, self.e.op(f"arith.muli {index}, {stride} : i64"))

    def _vector(self, pointer: str, number: int, last: str) -> str:
        """The address of a vector of a row."""
        if number and number == self.vectors - 1:
            return shifted(self.e, pointer, last)
        by = number * self.lanes * self.dtype.itemsize
        return shifted(self.e, pointer, self.e.integer(by))
