"""Numbers from one dtype to another, and from memory into registers and back.

LLVM leaves undefined what a float becomes that does not fit an integer; NumPy gives what the C
compiler's instruction gives. So it is guarded here, and the machine's own answer made.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import Any

import numpy as np

from .emitter import Emitter, Operand, element_type
from .loop import BOOL, DType, Loop, UnsupportedError

_ARM = platform.machine().lower() in ("aarch64", "arm64")  # there, what does not fit is clipped
HALF = np.dtype(np.float16)
_FLOAT32, _INT32, _INT64 = np.dtype(np.float32), np.dtype(np.int32), np.dtype(np.int64)


def is_native(dtype: DType) -> bool:
    """Whether numbers of this dtype can be held in registers."""
    return dtype.isnative and (dtype.kind in "biu" or dtype.char in "efdFD")


# --- memory


def memory_element(dtype: DType) -> str:
    """The MLIR type of a number (of one part of a complex number) in memory."""
    return {"?": "i8", "e": "f16"}.get(dtype.char) or element_type(dtype)


def memory_type(e: Emitter, dtype: DType) -> str:
    """The MLIR type that holds ``e.lanes`` numbers which lie side by side in memory. Of complex
    numbers it is a vector with the parts in turn, also for one lane.
    """
    if dtype.kind == "c":
        return f"vector<{2 * e.lanes}x{element_type(dtype)}>"
    return e.type(memory_element(dtype))


def from_memory(e: Emitter, name: Any, dtype: DType) -> Operand:
    """A number of memory type ``memory_type(e, dtype)`` as an operand. A complex number may also
    come as a pair of names.
    """
    if dtype.char == "?":
        return Operand(e.compare("ne", name, e.constant(0, "i8"), "i8"), dtype)
    if dtype == HALF:
        return Operand(e.cast("arith.extf", name, "f16", "f32"), dtype)
    if dtype.kind == "c" and isinstance(name, str):
        return Operand(_deinterleaved(e, name, element_type(dtype)), dtype)
    return Operand(name, dtype)


def to_memory(e: Emitter, operand: Operand) -> str:
    """The operand as a value of memory type ``memory_type(e, operand.dtype)``."""
    name, dtype = operand
    if dtype.char == "?":
        return e.cast("arith.extui", name, "i1", "i8")
    if dtype == HALF:
        return narrow_half(e, name)
    if dtype.kind == "c":
        return _interleaved(e, name, element_type(dtype))
    return name


def _deinterleaved(e: Emitter, name: str, element: str) -> tuple[str, str]:
    kind = f"vector<{2 * e.lanes}x{element}>"
    if e.lanes == 1:
        re = e.op(f"vector.extract {name}[0] : {element} from {kind}")
        return re, e.op(f"vector.extract {name}[1] : {element} from {kind}")
    re, im = (
        e.op(f"vector.shuffle {name}, {name} {list(range(part, 2 * e.lanes, 2))} : {kind}, {kind}")
        for part in (0, 1)
    )
    return re, im


def _interleaved(e: Emitter, names: tuple[str, str], element: str) -> str:
    re, im = names
    if e.lanes == 1:
        return e.op(f"vector.from_elements {re}, {im} : vector<2x{element}>")
    order = [i // 2 + e.lanes * (i % 2) for i in range(2 * e.lanes)]
    kind = f"vector<{e.lanes}x{element}>"
    return e.op(f"vector.shuffle {re}, {im} {order} : {kind}, {kind}")


# --- from dtype to dtype


def cast(e: Emitter, operand: Operand, dtype: DType) -> Operand:
    """``operand.astype(dtype)``; of a complex number the real part where ``dtype`` is real.

    Raises UnsupportedError where a dtype has no native numbers.
    """
    source = operand.dtype
    if source == dtype:
        return operand
    if not (is_native(source) and is_native(dtype)):
        raise UnsupportedError(f"no native conversion of {source} to {dtype}")
    if dtype == BOOL:
        return Operand(truth(e, operand), BOOL)
    if source.kind == "c":
        return _cast_complex(e, operand, dtype)
    literal = e.literal(operand.name)
    if literal is not None and dtype.kind != "c" and np.isfinite(literal):
        value = np.asarray(literal, source).astype(dtype).item()  # a literal again, for `power`
        return Operand(e.constant(value, element_type(dtype)), dtype)
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        re = cast(e, operand, part).name
        return Operand((re, e.constant(0.0, element_type(part))), dtype)
    return Operand(
        _CASTS[_group(source), _group(dtype)](Loop(e, source), operand.name, dtype), dtype
    )


def _cast_complex(e: Emitter, operand: Operand, dtype: DType) -> Operand:
    part = np.dtype(f"f{operand.dtype.itemsize // 2}")
    re, im = operand.name
    if dtype.kind != "c":
        return cast(e, Operand(re, part), dtype)
    wanted = np.dtype(f"f{dtype.itemsize // 2}")
    names = (cast(e, Operand(x, part), wanted).name for x in (re, im))
    return Operand(tuple(names), dtype)


def truth(e: Emitter, operand: Operand) -> str:
    """Whether a number is not zero; nan is not."""
    name, dtype = operand
    if dtype == BOOL:
        return name
    loop = Loop(e, dtype)
    if dtype.kind == "c":
        re, im = (loop.test("une", x, loop.number(0.0)) for x in name)
        return loop.either(re, im)
    return loop.test("une" if dtype.kind == "f" else "ne", name, loop.number(0))


def round_half(e: Emitter, name: str) -> str:
    """An f32 rounded to the next float16."""
    return e.cast("arith.extf", narrow_half(e, name), "f16", "f32")


def narrow_half(e: Emitter, name: str) -> str:
    """An f32 as f16. Where the f32 was made from an f64, LLVM may combine the two steps for a sign
    (of copysign) into a call of the compiler's runtime library, which need not be here.
    """
    e.functions[_FROM_DOUBLE] = _from_double()
    return e.cast("arith.truncf", name, "f32", "f16")


_FROM_DOUBLE = "__truncdfhf2"


@cache
def _from_double() -> str:
    e = Emitter()
    half = e.cast("arith.truncf", _to_odd(Loop(e, np.dtype(float)), "%x"), "f32", "f16")
    body = "\n".join([*e.prologue, *e.lines])
    return f"func.func @{_FROM_DOUBLE}(%x: f64) -> f16 {{\n{body}\nreturn {half} : f16\n}}"


def _group(dtype: DType) -> str:
    return {"b": "bool", "i": "integer", "u": "integer", "f": "float"}[dtype.kind]


def _bool_to_integer(loop: Loop, x: str, dtype: DType) -> str:
    return loop.e.cast("arith.extui", x, "i1", element_type(dtype))


def _bool_to_float(loop: Loop, x: str, dtype: DType) -> str:
    return loop.e.cast("arith.uitofp", x, "i1", element_type(dtype))


def _integer_to_integer(loop: Loop, x: str, dtype: DType) -> str:
    if dtype.itemsize == loop.dtype.itemsize:
        return x
    if dtype.itemsize < loop.dtype.itemsize:
        op = "arith.trunci"
    else:
        op = "arith.extsi" if loop.signed else "arith.extui"
    return loop.e.cast(op, x, loop.element, element_type(dtype))


def _integer_to_float(loop: Loop, x: str, dtype: DType) -> str:
    op = "arith.sitofp" if loop.signed else "arith.uitofp"
    name = loop.e.cast(op, x, loop.element, element_type(dtype))
    return round_half(loop.e, name) if dtype == HALF else name


def _float_to_float(loop: Loop, x: str, dtype: DType) -> str:
    source, target = loop.element, element_type(dtype)
    if source == "f32" and target == "f64":
        return loop.e.cast("arith.extf", x, source, target)
    if source == "f64" and dtype == HALF:
        return round_half(loop.e, _to_odd(loop, x))
    if source == "f64":
        return loop.e.cast("arith.truncf", x, source, target)
    return round_half(loop.e, x) if dtype == HALF else x


def _to_odd(loop: Loop, x: str) -> str:
    """An f64 as the f32 next toward zero, its last bit set where that is not exact: from there,
    rounding to fewer digits gives what rounding at once gives.
    """
    e, narrow = loop.e, Loop(loop.e, _FLOAT32)
    near = e.cast("arith.truncf", x, "f64", "f32")
    back = e.cast("arith.extf", near, "f32", "f64")
    beyond = loop.test("ogt", loop("math.absf", back), loop("math.absf", x))
    bits = Loop(e, _INT32)
    down = e.cast("arith.extui", beyond, "i1", "i32")
    odd = bits("arith.ori", bits("arith.subi", narrow.to_bits(near), down), bits.number(1))
    return narrow.pick(loop.test("one", back, x), narrow.from_bits(odd), near)


def _float_to_integer(loop: Loop, x: str, dtype: DType) -> str:
    signed = dtype.kind == "i"
    if _ARM:
        width = 64 if dtype.itemsize == 8 else 32
        found = _clipped(loop, x, signed, width)
        return _narrowed(loop, found, width, dtype)
    if dtype.itemsize == 8:
        return _truncated(loop, x, 64) if signed else _to_uint64(loop, x)
    width = 64 if dtype == np.uint32 else 32
    return _narrowed(loop, _truncated(loop, x, width), width, dtype)


def _clipped(loop: Loop, x: str, signed: bool, width: int) -> str:
    """ARM's answer: the nearest integer that fits, 0 for nan."""
    e, element = loop.e, loop.element
    lanes = "" if e.lanes == 1 else f"v{e.lanes}"
    name = f"llvm.fpto{'s' if signed else 'u'}i.sat.{lanes}i{width}.{lanes}{element}"
    types = f"({e.type(element)}) -> {e.type(f'i{width}')}"
    return e.op(f'llvm.call_intrinsic "{name}"({x}) : {types}')


def _narrowed(loop: Loop, x: str, width: int, dtype: DType) -> str:
    if dtype.itemsize * 8 == width:
        return x
    return loop.e.cast("arith.trunci", x, f"i{width}", element_type(dtype))


def _truncated(loop: Loop, x: str, width: int) -> str:
    """x86's answer: the least integer for whatever does not fit."""
    least = -(2.0 ** (width - 1))
    fits = loop.test("olt", loop("math.absf", x), loop.number(-least))
    guarded = loop.pick(fits, x, loop.number(least))
    return loop.e.cast("arith.fptosi", guarded, loop.element, f"i{width}")


def _to_uint64(loop: Loop, x: str) -> str:
    e, integers = loop.e, Loop(loop.e, _INT64)
    half = loop.number(2.0**63)
    large = loop.test("oge", x, half)
    found = _truncated(loop, loop.pick(large, loop("arith.subf", x, half), x), 64)
    flipped = integers("arith.xori", found, e.constant(-(2**63), "i64"))
    return integers.pick(large, flipped, found)


_CASTS = {
    ("bool", "integer"): _bool_to_integer,
    ("bool", "float"): _bool_to_float,
    ("integer", "integer"): _integer_to_integer,
    ("integer", "float"): _integer_to_float,
    ("float", "integer"): _float_to_integer,
    ("float", "float"): _float_to_float,
}
