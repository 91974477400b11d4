"""The inside of a product of matrices: one tile of the result, summed up in registers.

For each k, a row of b's panel is loaded once for all rows of the tile, and one number of each row
of a once for all vectors. A kernel is a function that all products of a process share, as it takes
depth and strides as arguments; it is compiled once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from .emitter import Emitter, Operand, element_type
from .libraries import Code
from .loop import DType
from .memory import load, shifted, store

_ARGUMENTS = (
    "target", "left", "right", "depth", "target_row", "left_row", "left_column", "right_row",
    "target_last", "right_last",
)  # fmt: skip
_START = ("start", "start_row")
_PRIVATE = "{llvm.linkage = #llvm.linkage<internal>}"
_TYPES = ["!llvm.ptr"] * 3 + ["i64"] * 7
_START_TYPES = ["!llvm.ptr", "i64"]


class Kernel(NamedTuple):
    """``target = left @ right``, of the shapes (rows, depth) and (depth, vectors * lanes), or
    ``start + left @ right``.

    Strides are in bytes. The vectors of ``target``, ``start`` and ``right`` lie side by side but
    for the last one, which begins ``..._last`` bytes behind the first.
    """

    name: str
    text: str

    def call(self, code: Code, *arguments: Any) -> None:
        """With pointers and sizes for the arguments."""
        code.e.share(self.name, {self.name: self.text})
        names = [x if isinstance(x, str) else code.size(x) for x in arguments]
        types = [*_TYPES, *_START_TYPES][: len(names)]
        code.e.effect(f"func.call @{self.name}({', '.join(names)}) : ({', '.join(types)}) -> ()")


@lru_cache(256)
def kernel_of(dtype: DType, rows: int, vectors: int, lanes: int, adds: bool = False) -> Kernel:
    """For tiles of so many rows and vectors of ``lanes`` numbers; with a start if it ``adds``."""
    element = element_type(dtype)
    name = f"xnp_tile_{element}_{rows}x{vectors}x{lanes}{'_add' if adds else ''}"
    e = Emitter()
    first = _first_sums(e, dtype, rows, vectors, lanes, adds)
    kind = e.type(element)
    e.lanes = 1
    k, bundle = e.fresh(), e.fresh()
    sums = [e.fresh() for _ in range(rows * vectors)]
    types = ", ".join([kind] * len(sums))
    pairs = ", ".join(f"{x} = {y}" for x, y in zip(sums, first, strict=True))
    e.effect(
        f"{bundle}:{len(sums)} = scf.for {k} = {e.integer(0)} to %depth step {e.integer(1)} "
        f"iter_args({pairs}) -> ({types}) : i64 {{"
    )
    right, left = _at(e, "%right", k, "%right_row"), _at(e, "%left", k, "%left_column")
    e.lanes = lanes
    row = [
        load(e, _vector(e, right, i, vectors, dtype, "%right_last"), dtype).name
        for i in range(vectors)
    ]
    found = []
    for i in range(rows):
        with e.scalar():
            one = load(e, _at(e, left, e.integer(i), "%left_row"), dtype).name
        wide, mine = e.splat(one, element), sums[i * vectors : (i + 1) * vectors]
        found += [e.fma(wide, x, s, element) for x, s in zip(row, mine, strict=True)]
    e.effect(f"scf.yield {', '.join(found)} : {types}")
    e.effect("}")
    for i in range(rows):
        start = _at(e, "%target", e.integer(i), "%target_row")
        for j in range(vectors):
            at = _vector(e, start, j, vectors, dtype, "%target_last")
            store(e, Operand(f"{bundle}#{i * vectors + j}", dtype), at)
    names = (*_ARGUMENTS, *_START) if adds else _ARGUMENTS
    given = zip(names, [*_TYPES, *_START_TYPES], strict=False)
    signature = ", ".join(f"%{x}: {kind}" for x, kind in given)
    head = f"func.func private @{name}({signature}) attributes {_PRIVATE} {{"
    return Kernel(name, "\n".join([head, *e.prologue, *e.lines, "return", "}"]))


def _first_sums(
    e: Emitter, dtype: DType, rows: int, vectors: int, lanes: int, adds: bool
) -> list[str]:
    """What the sums begin with; leaves the emitter at so many lanes."""
    e.lanes = lanes
    if not adds:
        return [e.constant(0.0, element_type(dtype))] * (rows * vectors)
    found = []
    for i in range(rows):
        with e.scalar():
            row = _at(e, "%start", e.integer(i), "%start_row")
        places = [_vector(e, row, j, vectors, dtype, "%target_last") for j in range(vectors)]
        found += [load(e, place, dtype).name for place in places]
    return found


def _at(e: Emitter, pointer: str, index: str, stride: str) -> str:
    return shifted(e, pointer, e.op(f"arith.muli {index}, {stride} : i64"))


def _vector(e: Emitter, pointer: str, number: int, count: int, dtype: DType, last: str) -> str:
    """The address of a vector of a row."""
    if number and number == count - 1:
        return shifted(e, pointer, last)
    return shifted(e, pointer, e.integer(number * e.lanes * dtype.itemsize))
