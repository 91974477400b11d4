"""Functions that are being written: their emitter, and the names of buffers and sizes in them."""

from __future__ import annotations

from typing import Any

from ...autodiff.dims import Dim
from ...autodiff.size_bounds import Atom, Symbol
from ..places import CONSTANT, PARAMETER, RESULT, STATUS, Buffer
from ..plan import Plan
from .arena import Arena
from .emitter import Emitter

STACK_BYTES = 1 << 14  # temporaries up to this size lie on the stack
STACK_TOTAL = 1 << 18


class FunctionWriter:
    """One function: its emitter, and the SSA names of its buffers and sizes."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.e = Emitter()
        self.e.functions, self.e.uses = module.functions, module.uses
        self.e.shared, self.e.vector_bytes = module.shared, module.vector_bytes
        self.stack: list[str] = []  # memory on the stack, in the first block: see `scratch`
        self.head: list[str] = []  # after the constants: sizes and pointers
        self.pointers: dict[Buffer, str] = {}
        self.size_names: dict[Any, str] = {}

    def at_top(self, text: str) -> str:
        name = self.e.fresh()
        self.head.append(f"{name} = {text}")
        return name

    def pointer(self, buffer: Buffer) -> str:
        if buffer not in self.pointers:
            self.pointers[buffer] = self.new_pointer(buffer)
        return self.pointers[buffer]

    def new_pointer(self, buffer: Buffer) -> str:
        raise NotImplementedError

    def symbol(self, symbol: Symbol) -> str:
        raise NotImplementedError

    def scratch(self, size: int) -> str:
        """Memory on the stack. One array, in the first block of the function, and not a number of
        bytes: LLVM turns only that into registers.
        """
        name = self.e.fresh()
        self.stack.append(
            f"{name} = llvm.alloca {self.e.integer(1)} x !llvm.array<{max(size, 1)} x i8> "
            "{alignment = 64 : i64} : (i64) -> !llvm.ptr"
        )
        return name

    def temporary(self, size: Any) -> str:
        """Memory for as long as the function runs."""
        return self.scratch(size)

    def size(self, dim: Any) -> str:
        """A size as an i64, computed at the top of the function."""
        if type(dim) is int:
            return self.e.integer(dim)
        if dim.key not in self.size_names:
            self.size_names[dim.key] = self._sum(dim)
        return self.size_names[dim.key]

    def _sum(self, dim: Dim) -> str:
        total = ""
        for coefficient, factors in dim.terms():
            term = self.e.integer(coefficient)
            for factor in factors:
                term = self.at_top(f"arith.muli {term}, {self._factor(factor)} : i64")
            total = term if not total else self.at_top(f"arith.addi {total}, {term} : i64")
        return total

    def _factor(self, factor: Symbol | Atom) -> str:
        if isinstance(factor, Symbol):
            return self.symbol(factor)
        name = {"//": "floordivsi", "%": "remsi", "min": "minsi", "max": "maxsi"}[factor.op]
        a, b = self.size(factor.a), self.size(factor.b)
        return self.at_top(f"arith.{name} {a}, {b} : i64")

    def element_pointer(self, base: str, number: int, element: str) -> str:
        """What lies in a table of 8-byte slots."""
        at = self.at_top(f"llvm.getelementptr {base}[{number}] : (!llvm.ptr) -> !llvm.ptr, i64")
        return self.at_top(f"llvm.load {at} {{alignment = 8 : i64}} : !llvm.ptr -> {element}")

    def body(self) -> str:
        return "\n".join([*self.e.prologue, *self.stack, *self.head, *self.e.lines])


class MainWriter(FunctionWriter):
    """The function that is called from outside. Temporaries lie on the stack or in an arena."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.arena = Arena(self)
        self.stack_used = 0
        self.sizes = "%sizes"
        self.status = self.new_status()
        self.pointers[STATUS] = self.status

    def new_status(self) -> str:
        status = self.scratch(24)
        self.head.append(f"llvm.store {self.e.integer(0)}, {status} : i64, !llvm.ptr")
        return status

    def pointer(self, buffer: Buffer) -> str:
        name = super().pointer(buffer)
        self.arena.used(name, self.module.clock)
        return name

    def new_pointer(self, buffer: Buffer) -> str:
        if buffer.kind == PARAMETER:
            return self.element_pointer("%inputs", buffer.number, "!llvm.ptr")
        if buffer.kind == RESULT:
            return self.element_pointer("%outputs", buffer.number, "!llvm.ptr")
        if buffer.kind == CONSTANT:
            table = self.at_top(f"llvm.mlir.addressof @{self.module.name}_constants : !llvm.ptr")
            return self.element_pointer(table, buffer.number, "!llvm.ptr")
        return self.temporary(buffer.nbytes)

    def bind(self, plan: Plan, names: dict[tuple[str, int], str]) -> None:
        """Where the parameters and results of a region's plan are."""
        for buffer in plan.outside:
            self.pointers[buffer] = names[buffer.kind, buffer.number]

    def temporary(self, size: Any) -> str:
        """Memory for as long as the function runs."""
        small = type(size) is int and size <= STACK_BYTES
        if small and self.stack_used + size <= STACK_TOTAL:
            self.stack_used += size
            return self.scratch(size)
        return self.arena.take(size, self.module.clock)

    def symbol(self, symbol: Symbol) -> str:
        if symbol not in self.size_names:
            number = self.module.symbols.index(symbol)
            self.size_names[symbol] = self.element_pointer(self.sizes, number, "i64")
        return self.size_names[symbol]

    def _tell_index(self, code: str) -> None:
        """Tells the runtime which index failed a check, and the size it should have fitted."""
        e = self.e
        failed = e.op(f"arith.cmpi ne, {code}, {e.integer(0)} : i64")
        e.effect(f"scf.if {failed} {{")
        told = []
        for slot in (1, 2):
            at = f"{self.status}[{slot}] : (!llvm.ptr) -> !llvm.ptr, i64"
            at = e.op(f"llvm.getelementptr {at}")
            told.append(e.op(f"llvm.load {at} : !llvm.ptr -> i64"))
        e.effect(f"llvm.call @xnp_failed_index({', '.join(told)}) : (i64, i64) -> ()")
        e.effect("}")

    def text(self) -> str:
        self.arena.finish()
        code = self.e.op(f"llvm.load {self.status} : !llvm.ptr -> i64")
        if self.module.checks:
            self._tell_index(code)
        code = self.e.op(f"arith.trunci {code} : i64 to i32")
        return (
            f"llvm.func @{self.module.name}(%inputs: !llvm.ptr, %outputs: !llvm.ptr, "
            f"%sizes: !llvm.ptr) -> i32 {{\n{self.body()}\nllvm.return {code} : i32\n}}"
        )


class PartWriter(FunctionWriter):
    """The body of a cluster that threads share: a function of a table of pointers and sizes, and
    of the range of the outermost loop.
    """

    def __init__(self, module: Any, name: str) -> None:
        super().__init__(module)
        self.name = name
        self.frame: list[Buffer | Symbol] = []

    def _slot(self, x: Buffer | Symbol, element: str) -> str:
        self.frame.append(x)
        return self.element_pointer("%frame", len(self.frame) - 1, element)

    def new_pointer(self, buffer: Buffer) -> str:
        return self._slot(buffer, "!llvm.ptr")

    def symbol(self, symbol: Symbol) -> str:
        if symbol not in self.size_names:
            self.size_names[symbol] = self._slot(symbol, "i64")
        return self.size_names[symbol]

    def text(self) -> str:
        return (
            f"llvm.func internal @{self.name}(%frame: !llvm.ptr, %begin: i64, %end: i64) {{\n"
            f"{self.body()}\nllvm.return\n}}"
        )


class BatchPartWriter(MainWriter):
    """The body of `pieces`: a function of a table of addresses, and of the range of the pieces. It
    may hold all that the main function may but calls back; each call of it has its own memory.
    """

    def __init__(self, module: Any, name: str, count: int) -> None:
        super().__init__(module)
        self.name = name
        self.arena.is_kept = False
        self.sizes = self.element_pointer("%frame", 1, "!llvm.ptr")
        self.addresses = [self.element_pointer("%frame", 2 + i, "!llvm.ptr") for i in range(count)]

    def new_status(self) -> str:
        return self.element_pointer("%frame", 0, "!llvm.ptr")

    def text(self) -> str:
        self.arena.finish()
        return (
            f"llvm.func internal @{self.name}(%frame: !llvm.ptr, %begin: i64, %end: i64) {{\n"
            f"{self.body()}\nllvm.return\n}}"
        )
