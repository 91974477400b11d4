"""The memory of large temporaries: one block for all of known size, with places used again.

A block of moderate size is kept between calls, so that its pages are not mapped anew each time: a
call takes it from a global variable by an atomic exchange, and gives it back at its end. A call
that finds none, because another thread has it, allocates its own.
"""

from __future__ import annotations

from typing import Any

from .libraries import NO_MEMORY

KEPT_BYTES = 1 << 26  # blocks up to this size are kept
ALIGNMENT = 64


class _Piece:
    """A temporary of the block, and the steps from the first to the last that use it."""

    def __init__(self, line: int, size: int, clock: int) -> None:
        self.line, self.size = line, -(-size // ALIGNMENT) * ALIGNMENT
        self.first = self.last = clock
        self.offset = 0


class Arena:
    """The temporaries of one function, which `take` gives out while its text is written."""

    def __init__(self, writer: Any) -> None:
        self.writer = writer
        self.pieces: dict[str, _Piece] = {}
        self.loose: list[str] = []  # blocks of their own, whose size only the run knows
        self.base = ""
        self.line = -1
        self.is_kept = True  # between calls

    @property
    def slot(self) -> str:
        return f"{self.writer.module.name}_arena"

    def take(self, size: Any, clock: int) -> str:
        """A pointer to ``size`` bytes, for the step ``clock`` and those that say `used`."""
        writer = self.writer
        if type(size) is not int:
            name = writer.at_top(f"llvm.call @malloc({writer.size(size)}) : (i64) -> !llvm.ptr")
            self.loose.append(name)
            return name
        if not self.base:
            self.base = writer.e.fresh()
            self.line = len(writer.head)
            writer.head.append("")  # what makes the block, once its size is known
        name = writer.e.fresh()
        self.pieces[name] = _Piece(len(writer.head), size, clock)
        writer.head.append("")
        return name

    def used(self, name: str, clock: int) -> None:
        piece = self.pieces.get(name)
        if piece is not None:
            piece.last = clock

    def finish(self) -> None:
        """Fills in the lines that depend on the whole function, and writes those of its end."""
        e = self.writer.e
        self._declare()
        if self.base:
            total = self._place()
            for name, piece in self.pieces.items():
                by = e.integer(piece.offset)  # a constant in the instruction has 32 bits
                self.writer.head[piece.line] = (
                    f"{name} = llvm.getelementptr {self.base}[{by}] : "
                    "(!llvm.ptr, i64) -> !llvm.ptr, i8"
                )
            self.writer.head[self.line] = "\n".join(self._begin(total))
        if self.base or self.loose:
            self._check()
        if self.base:
            e.lines += self._end(total)
        for name in self.loose:
            e.effect(f"llvm.call @free({name}) : (!llvm.ptr) -> ()")

    def _place(self) -> int:
        """Gives every piece an offset that no other piece has at the same time; the total size."""
        placed: list[_Piece] = []
        for piece in sorted(self.pieces.values(), key=lambda p: -p.size):
            at = 0
            for other in sorted(placed, key=lambda p: p.offset):
                together = piece.first <= other.last and other.first <= piece.last
                if together and at < other.offset + other.size and other.offset < at + piece.size:
                    at = other.offset + other.size
            piece.offset = at
            placed.append(piece)
        return max(p.offset + p.size for p in placed)

    def _check(self) -> None:
        """Goes on to the end, with a failure, if there is no memory for one of the blocks."""
        writer, e = self.writer, self.writer.e
        null, missing = writer.at_top("llvm.mlir.zero : !llvm.ptr"), ""
        for block in filter(None, (self.base, *self.loose)):
            is_null = writer.at_top(f'llvm.icmp "eq" {block}, {null} : !llvm.ptr')
            missing = (
                is_null if not missing else writer.at_top(f"arith.ori {missing}, {is_null} : i1")
            )
        writer.head += [
            f"llvm.cond_br {missing}, ^missing, ^run",
            "^missing:",
            f"llvm.store {e.integer(NO_MEMORY)}, {writer.status} : i64, !llvm.ptr",
            "llvm.br ^end",
            "^run:",
        ]
        e.lines += ["llvm.br ^end", "^end:"]

    def _keeps(self, total: int) -> bool:
        return self.is_kept and total <= KEPT_BYTES

    def _begin(self, total: int) -> list[str]:
        e = self.writer.e
        allocate = (
            f"llvm.call @aligned_alloc({e.integer(ALIGNMENT)}, {e.integer(total)}) : "
            "(i64, i64) -> !llvm.ptr"
        )
        if not self._keeps(total):
            return [f"{self.base} = {allocate}"]
        slot, null, kept, missing, new = (e.fresh() for _ in range(5))
        return [
            f"{slot} = llvm.mlir.addressof @{self.slot} : !llvm.ptr",
            f"{null} = llvm.mlir.zero : !llvm.ptr",
            f"{kept} = llvm.atomicrmw xchg {slot}, {null} acq_rel : !llvm.ptr, !llvm.ptr",
            f'{missing} = llvm.icmp "eq" {kept}, {null} : !llvm.ptr',
            f"{self.base} = scf.if {missing} -> (!llvm.ptr) {{",
            f"{new} = {allocate}",
            f"scf.yield {new} : !llvm.ptr",
            "} else {",
            f"scf.yield {kept} : !llvm.ptr",
            "}",
        ]

    def _end(self, total: int) -> list[str]:
        e = self.writer.e
        if not self._keeps(total):
            return [f"llvm.call @free({self.base}) : (!llvm.ptr) -> ()"]
        slot, other = e.fresh(), e.fresh()
        return [
            f"{slot} = llvm.mlir.addressof @{self.slot} : !llvm.ptr",
            f"{other} = llvm.atomicrmw xchg {slot}, {self.base} acq_rel : !llvm.ptr, !llvm.ptr",
            f"llvm.call @free({other}) : (!llvm.ptr) -> ()",
        ]

    def _declare(self) -> None:
        """What the module has to declare."""
        functions = self.writer.module.functions
        if self.loose:
            functions.setdefault("malloc", "llvm.func @malloc(i64) -> !llvm.ptr")
        if self.base:
            line = "llvm.func @aligned_alloc(i64, i64) -> !llvm.ptr"
            functions.setdefault("aligned_alloc", line)
        if self.base or self.loose:
            functions.setdefault("free", "llvm.func @free(!llvm.ptr)")
        if self.base and self.is_kept:
            functions[self.slot] = (
                f"llvm.mlir.global external @{self.slot}() : !llvm.ptr {{\n"
                "%z = llvm.mlir.zero : !llvm.ptr\nllvm.return %z : !llvm.ptr\n}"
            )
