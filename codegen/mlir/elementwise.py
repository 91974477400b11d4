"""The table of elementwise primitives for the CPU.

``LOWER[name](emitter, operands, out_dtypes, params)`` writes the code of one primitive on numbers
in registers and returns the result's operand. Operands come with their own dtypes and are converted
to those of the loop that NumPy would run; `loop.loop_types` is how NumPy chooses it. A primitive
without an entry, or whose entry raises `UnsupportedError` (ask `supported`), NumPy computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from ...autodiff.core import Aval, primitives
from .convert import HALF, cast, is_native, round_half, truth
from .elementwise_complex import COMPLEX
from .elementwise_complex import pick as pick_complex
from .elementwise_complex_math import COMPLEX_MATH
from .elementwise_float import FLOAT, float_row, ldexp
from .elementwise_integer import INTEGER, TRUTH
from .emitter import Emitter, Operand, element_type
from .loop import BOOL, DType, Loop, UnsupportedError, loop_types, types_of
from .math_table import TRANSCENDENTAL, TWIN, twins

Lowering = Callable[[Emitter, Sequence[Operand], Sequence[DType], dict[str, Any]], Operand]

_TABLES: dict[str, dict[str, Callable[..., Any]]] = {
    "b": TRUTH,
    "i": INTEGER,
    "u": INTEGER,
    "c": {**COMPLEX, **COMPLEX_MATH},
}
_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


def _row(name: str, kind: str) -> Callable[..., Any] | None:
    """The formula for a loop's kind of dtype, or None."""
    if kind == "f":
        return float_row(name)
    return _TABLES[kind].get(name) if kind in _TABLES else None


def _result(e: Emitter, name: Any, dtype: DType) -> Operand:
    return Operand(round_half(e, name) if dtype == HALF else name, dtype)


def _elementwise(
    name: str, e: Emitter, operands: Sequence[Operand], out: Sequence[DType], params: dict[str, Any]
) -> Operand:
    """Convert to the loop's dtypes, and use the formula for their kind."""
    inputs, output = _loop_of(name, tuple([x.dtype for x in operands]))
    if inputs in ((_INT64, _UINT64), (_UINT64, _INT64)):
        return _compare_mixed(name, e, operands)
    row = _row(name, inputs[0].kind)
    if row is None or not (is_native(inputs[0]) and is_native(output)):
        raise UnsupportedError(f"no native {name} of {inputs[0]}")
    values = [cast(e, x, dtype).name for x, dtype in zip(operands, inputs, strict=True)]
    return _result(e, row(Loop(e, inputs[0]), *values), output)


@lru_cache(4096)
def _loop_of(name: str, dtypes: tuple[DType, ...]) -> tuple[tuple[DType, ...], DType]:
    inputs, (output, *_) = loop_types(name, tuple(Aval((), dtype) for dtype in dtypes))
    return inputs, output


def twin_of(name: str, dtype: DType) -> str | None:
    """The function of a number of this dtype that `lower_twins` computes together with this."""
    return TWIN.get(name) if dtype.kind == "f" and is_native(dtype) else None


def lower_twins(name: str, e: Emitter, x: Operand) -> tuple[Operand, Operand]:
    """What ``LOWER[name]`` gives, and what that of its `twin_of` gives."""
    (inner,), output = _loop_of(name, (x.dtype,))
    loop = Loop(e, inner)
    one, other = twins(name, e, loop.element, cast(e, x, inner).name)
    return _result(e, one, output), _result(e, other, output)


# Whether x <= y, ... of a signed and an unsigned number: by their bits, but for negative ones.
_IF_NEGATIVE = {
    "equal": ("eq", 0, 0),
    "not_equal": ("ne", 1, 1),
    "less": ("ult", 1, 0),
    "less_equal": ("ule", 1, 0),
    "greater": ("ugt", 0, 1),
    "greater_equal": ("uge", 0, 1),
}


def _compare_mixed(name: str, e: Emitter, operands: Sequence[Operand]) -> Operand:
    """int64 with uint64, which have no common dtype but floats: exactly, as NumPy does."""
    if name not in _IF_NEGATIVE:
        raise UnsupportedError(f"no native {name} of int64 and uint64")
    wide = [cast(e, x, _UINT64 if x.dtype.kind == "u" else _INT64) for x in operands]
    predicate, *if_negative = _IF_NEGATIVE[name]
    (x, y), loop = (o.name for o in wide), Loop(e, _INT64)
    signed = 0 if wide[0].dtype == _INT64 else 1
    negative = loop.test("slt", (x, y)[signed], loop.number(0))
    settled = e.constant(if_negative[signed], "i1")
    return Operand(e.select(negative, settled, loop.test(predicate, x, y), "i1"), BOOL)


# --- truth


def _logical(op: str | None) -> Lowering:
    """What asks only whether numbers are 0."""

    def lower(e: Emitter, operands: Any, _out: Any, _params: Any) -> Operand:
        if not all(is_native(x.dtype) for x in operands):
            raise UnsupportedError("no native numbers of these dtypes")
        masks, loop = [truth(e, x) for x in operands], Loop(e, BOOL)
        return Operand(loop.negated(*masks) if op is None else loop(op, *masks), BOOL)

    return lower


def _select(e: Emitter, operands: Sequence[Operand], _out: Any, _params: Any) -> Operand:
    (_, dtype, _), _ = loop_types("select", types_of(operands))
    mask, (x, y) = truth(e, operands[0]), (cast(e, v, dtype).name for v in operands[1:])
    if dtype.kind == "c":
        return Operand(pick_complex(Loop(e, dtype), mask, x, y), dtype)
    return Operand(e.select(mask, x, y, element_type(dtype)), dtype)


# --- conversions and parts


def _convert(e: Emitter, operands: Any, _out: Any, params: dict[str, Any]) -> Operand:
    return cast(e, operands[0], np.dtype(params["dtype"]))


def _identity(_e: Emitter, operands: Any, _out: Any, _params: Any) -> Operand:
    return operands[0]


def _real(_e: Emitter, operands: Any, _out: Any, _params: Any) -> Operand:
    (x,) = operands
    return Operand(x.name[0], _part(x.dtype)) if x.dtype.kind == "c" else x


def _imag(e: Emitter, operands: Any, _out: Any, _params: Any) -> Operand:
    (x,) = operands
    if x.dtype.kind == "c":
        return Operand(x.name[1], _part(x.dtype))
    return Operand(e.constant(0, element_type(x.dtype)), x.dtype)


def _part(dtype: DType) -> DType:
    return np.dtype(f"f{dtype.itemsize // 2}")


def _join_parts(e: Emitter, operands: Sequence[Operand], _out: Any, _params: Any) -> Operand:
    inputs, (dtype,) = loop_types("join_parts", types_of(operands))
    if not is_native(dtype):
        raise UnsupportedError(f"no native {dtype}")
    parts = (cast(e, x, part).name for x, part in zip(operands, inputs, strict=True))
    return Operand(tuple(parts), dtype)


# --- rounding and powers of two


def _round(e: Emitter, operands: Sequence[Operand], _out: Any, params: dict[str, Any]) -> Operand:
    """rint(x * 10^n) / 10^n, for negative n the other way round; integers go by f64."""
    (x,), decimals = operands, params["decimals"]
    if not is_native(x.dtype) or x.dtype == BOOL:
        raise UnsupportedError(f"no native round of {x.dtype}")
    if x.dtype.kind in "iu":
        if decimals >= 0:
            return x
        whole = _round(e, [cast(e, x, np.dtype(float))], None, params)
        return cast(e, whole, x.dtype)
    if x.dtype.kind == "c":
        part = _part(x.dtype)
        names = (_round(e, [Operand(v, part)], None, params).name for v in x.name)
        return Operand(tuple(names), x.dtype)
    return Operand(_round_float(Loop(e, x.dtype), x.name, decimals), x.dtype)


def _round_float(loop: Loop, x: str, decimals: int) -> str:
    if decimals == 0:
        return loop("math.roundeven", x)
    first, second = ("arith.mulf", "arith.divf")[:: 1 if decimals > 0 else -1]
    scale = loop.dtype.type(_power_of_ten(abs(decimals)))
    if not np.isfinite(scale):
        raise UnsupportedError(f"10^{abs(decimals)} is no {loop.dtype}")
    factor = loop.number(float(scale))
    x = loop("math.roundeven", _result(loop.e, loop(first, x, factor), loop.dtype).name)
    return _result(loop.e, loop(second, x, factor), loop.dtype).name


def _power_of_ten(n: int) -> float:
    """As NumPy makes it: exact up to 10^22, then with the error of repeated products."""
    ans = 10.0 ** min(n, 9)
    for _ in range(n - 9):
        ans *= 10.0
    return ans


def _ldexp(e: Emitter, operands: Sequence[Operand], _out: Any, _params: Any) -> Operand:
    (dtype, _), _ = loop_types("ldexp", types_of(operands))
    if not is_native(dtype):
        raise UnsupportedError(f"no native ldexp of {dtype}")
    x, exponent = cast(e, operands[0], dtype).name, cast(e, operands[1], _INT64).name
    return _result(e, ldexp(Loop(e, dtype), x, exponent), dtype)


LOWER: dict[str, Lowering] = {
    **{
        name: partial(_elementwise, name)
        for name in {*FLOAT, *INTEGER, *TRUTH, *COMPLEX, *COMPLEX_MATH, *TRANSCENDENTAL}
    },
    "logical_and": _logical("arith.andi"),
    "logical_or": _logical("arith.ori"),
    "logical_xor": _logical("arith.xori"),
    "logical_not": _logical(None),
    "select": _select,
    "convert": _convert,
    "quantize": _convert,
    "weaken": _identity,
    "stop_gradient": _identity,
    "real": _real,
    "imag": _imag,
    "join_parts": _join_parts,
    "round": _round,
    "ldexp": _ldexp,
}


def supported(
    name: str,
    dtypes: Sequence[DType],
    params: dict[str, Any] | None = None,
    literals: Sequence[Any] | None = None,
) -> bool:
    """Whether `LOWER` has code for a primitive with arguments of these dtypes.

    ``literals``: the numbers of the arguments that will come as constants (`Emitter.constant`),
    else None. Only powers ask: that of an integer is native for a literal exponent that is not
    negative.

    >>> supported("add", [np.dtype("f8"), np.dtype("i4")])
    True
    """
    if name not in LOWER or name not in primitives or not all(map(is_native, dtypes)):
        return False
    items = tuple((params or {}).items())
    known = (None,) * len(dtypes) if literals is None or name != "power" else tuple(literals)
    return _supported(name, tuple(dtypes), items, known)


@lru_cache(4096)
def _supported(
    name: str, dtypes: tuple[DType, ...], params: tuple[Any, ...], literals: tuple[Any, ...]
) -> bool:
    e = Emitter()
    operands = []
    for dtype, literal in zip(dtypes, literals, strict=True):
        if literal is not None and dtype.kind == "c":
            value = tuple(e.constant(x, element_type(dtype)) for x in (literal.real, literal.imag))
        elif literal is not None:
            value = e.constant(literal, element_type(dtype))
        else:
            value = (e.fresh(), e.fresh()) if dtype.kind == "c" else e.fresh()
        operands.append(Operand(value, dtype))
    try:
        LOWER[name](e, operands, (), dict(params))
    except (UnsupportedError, TypeError):
        return False
    return True
