"""Writes the body of one MLIR function, as text: SSA names, types, constants, regions.

Text is built because it is an order of magnitude faster than building operations one by one
through the bindings. All integers that count or address are i64: there is no index type, so that
nothing has to be converted on the way to LLVM.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np


class Operand(NamedTuple):
    """A number in registers, ``Emitter.lanes`` of them side by side.

    ``name`` is an SSA name, for a complex dtype the pair of names of real and imaginary part.
    bool is i1. float16 is held as f32 that was rounded to f16 after each operation, as NumPy does.
    """

    name: Any
    dtype: np.dtype[Any]


_ELEMENT = {
    "b1": "i1", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64",
    "u1": "i8", "u2": "i16", "u4": "i32", "u8": "i64",
    "f2": "f32", "f4": "f32", "f8": "f64",
}  # fmt: skip


def element_type(dtype: np.dtype[Any]) -> str:
    """The MLIR type of one number in a register (of one part of a complex number)."""
    if dtype.kind == "c":
        return f"f{dtype.itemsize * 4}"
    return _ELEMENT[dtype.str[1:]]


class Emitter:
    """Collects lines. ``lanes`` is how many numbers an `Operand` holds: 1 for scalars, else the
    length of the vectors.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.prologue: list[str] = []  # constants, at the top of the function
        self.functions: dict[str, str] = {}  # what is called: to be printed into the module
        self.shared: dict[str, dict[str, str]] = {}  # what all modules of a process share
        self.uses: dict[str, int] = {}  # how often
        self.lanes = 1
        self.vector_bytes = 0  # of the registers that the code is for, where that is known
        self._count = 0
        self._constants: dict[tuple[str, str], str] = {}
        self._literals: dict[str, Any] = {}

    def share(self, name: str, texts: dict[str, str]) -> None:
        """Declares a function that is compiled once for all modules: ``texts`` are its own and
        those of what it calls, by name.
        """
        if name not in self.shared:
            self.shared[name] = texts
            head = texts[name].partition(" attributes")[0]
            self.functions[name] = re.sub(r"%\w+: ", "", head)

    def fresh(self) -> str:
        self._count += 1
        return f"%{self._count}"

    def op(self, text: str) -> str:
        """``%7 = text``; returns ``%7``."""
        name = self.fresh()
        self.lines.append(f"{name} = {text}")
        return name

    def effect(self, text: str) -> None:
        """An operation without a result."""
        self.lines.append(text)

    def type(self, element: str) -> str:
        """``f64``, or ``vector<8xf64>`` where there are lanes."""
        return element if self.lanes == 1 else f"vector<{self.lanes}x{element}>"

    def type_of(self, dtype: np.dtype[Any]) -> str:
        return self.type(element_type(dtype))

    def constant(self, value: Any, element: str) -> str:
        """A number of MLIR type ``element`` (f32, f64, i1, i8 ... i64) in all lanes."""
        name = self._constant(_literal(value, element), element, self.lanes)
        self._literals[name] = value
        return name

    def literal(self, name: str) -> Any:
        """The number that `constant` gave this name, or None."""
        return self._literals.get(name)

    def integer(self, value: int) -> str:
        """A scalar i64, whatever the lanes: for addresses and loops."""
        return self._constant(_literal(value, "i64"), "i64", 1)

    def _constant(self, literal: str, element: str, lanes: int) -> str:
        if lanes != 1:
            literal, element = f"dense<{literal}>", f"vector<{lanes}x{element}>"
        key = literal, element
        if key not in self._constants:
            name = self.fresh()
            kind = "" if element == "i1" else f" : {element}"  # true and false have no other
            self.prologue.append(f"{name} = arith.constant {literal}{kind}")
            self._constants[key] = name
        return self._constants[key]

    def splat(self, name: str, element: str) -> str:
        """A scalar in all lanes."""
        if self.lanes == 1:
            return name
        if name in self._literals:
            return self.constant(self._literals[name], element)
        return self.op(f"vector.broadcast {name} : {element} to {self.type(element)}")

    def lane_numbers(self, element: str = "i64") -> str:
        """0, 1, 2, ..., one in each lane."""
        kind = self.type(element)
        literal = str(list(range(self.lanes)))
        key = literal, kind
        if key not in self._constants:
            self._constants[key] = name = self.fresh()
            self.prologue.append(f"{name} = arith.constant dense<{literal}> : {kind}")
        return self._constants[key]

    def from_lanes(self, names: Sequence[str], element: str) -> str:
        """A vector of scalars."""
        return self.op(f"vector.from_elements {', '.join(names)} : {self.type(element)}")

    def to_lanes(self, name: str, element: str) -> list[str]:
        """The scalars of a vector."""
        kind = self.type(element)
        return [
            self.op(f"vector.extract {name}[{lane}] : {element} from {kind}")
            for lane in range(self.lanes)
        ]

    @contextmanager
    def scalar(self) -> Iterator[None]:
        """Inside, operands have one lane."""
        lanes, self.lanes = self.lanes, 1
        try:
            yield
        finally:
            self.lanes = lanes

    # Short forms. `element` is the MLIR element type; vectors follow from `lanes`.

    def binary(self, name: str, a: str, b: str, element: str) -> str:
        """``arith.addf``, ``arith.andi``, ``math.atan2`` ...: operands and result of one type."""
        return self.op(f"{name} {a}, {b} : {self.type(element)}")

    def unary(self, name: str, a: str, element: str) -> str:
        return self.op(f"{name} {a} : {self.type(element)}")

    def fma(self, a: str, b: str, c: str, element: str) -> str:
        return self.op(f"math.fma {a}, {b}, {c} : {self.type(element)}")

    def compare(self, predicate: str, a: str, b: str, element: str) -> str:
        """``olt``, ``une``, ... for floats, ``eq``, ``slt``, ``ult``, ... for integers; an i1."""
        which = "cmpf" if element.startswith("f") else "cmpi"
        return self.op(f"arith.{which} {predicate}, {a}, {b} : {self.type(element)}")

    def select(self, mask: str, a: str, b: str, element: str) -> str:
        types = (
            self.type(element) if self.lanes == 1 else f"{self.type('i1')}, {self.type(element)}"
        )
        return self.op(f"arith.select {mask}, {a}, {b} : {types}")

    def cast(self, name: str, a: str, source: str, target: str) -> str:
        """``arith.extf``, ``arith.sitofp``, ``arith.bitcast``, ... from one type to another."""
        return self.op(f"{name} {a} : {self.type(source)} to {self.type(target)}")


def _literal(value: Any, element: str) -> str:
    if element == "i1":
        return "true" if value else "false"
    if element[0] == "i":
        bits = int(element[1:])
        value = int(value) & ((1 << bits) - 1)  # MLIR reads signed numbers
        return str(value - (1 << bits) if value >> (bits - 1) else value)
    code, size = ("<f", 4) if element == "f32" else ("<d", 8)
    if element == "f32":
        with np.errstate(over="ignore"):  # what f32 cannot hold is inf
            value = float(np.float32(value))
    return f"0x{int.from_bytes(struct.pack(code, value), 'little'):0{2 * size}X}"
