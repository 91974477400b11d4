"""The inner loop of a ufunc: the dtypes NumPy computes in, and the short forms formulas use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...autodiff.core import Aval, primitives
from ...autodiff.primitives.elementwise import ufunc_of
from .emitter import Emitter, Operand, element_type

DType = np.dtype[Any]
BOOL = np.dtype(bool)


class UnsupportedError(Exception):
    """There is no native code for this primitive with these dtypes or parameters: NumPy does it."""


class Loop(NamedTuple):
    """An emitter and the dtype that a formula computes in. For complex numbers, whose names are
    pairs, the short forms work on their parts.
    """

    e: Emitter
    dtype: DType

    @property
    def element(self) -> str:
        """The MLIR type of a number, or of one part of a complex number."""
        return element_type(self.dtype)

    @property
    def bits(self) -> int:
        """The width of an integer."""
        return self.dtype.itemsize * 8

    @property
    def signed(self) -> bool:
        return self.dtype.kind == "i"

    def __call__(self, op: str, *names: str) -> str:
        """``arith.addf``, ``math.floor``, ...: operands and result of one type."""
        return self.e.op(f"{op} {', '.join(names)} : {self.e.type(self.element)}")

    def number(self, value: Any) -> str:
        return self.e.constant(value, self.element)

    def test(self, predicate: str, x: str, y: str) -> str:
        return self.e.compare(predicate, x, y, self.element)

    def pick(self, mask: str, x: str, y: str) -> str:
        return self.e.select(mask, x, y, self.element)

    def truth(self, op: str, *masks: str) -> str:
        """``arith.andi``, ``arith.ori``, ``arith.xori`` of truth values."""
        return self.e.op(f"{op} {', '.join(masks)} : {self.e.type('i1')}")

    def both(self, x: str, y: str) -> str:
        return self.truth("arith.andi", x, y)

    def either(self, x: str, y: str) -> str:
        return self.truth("arith.ori", x, y)

    def negated(self, mask: str) -> str:
        return self.truth("arith.xori", mask, self.e.constant(1, "i1"))

    def to_bits(self, x: str) -> str:
        """The bits of a float as an integer."""
        return self.e.cast("arith.bitcast", x, self.element, "i" + self.element[1:])

    def from_bits(self, x: str) -> str:
        return self.e.cast("arith.bitcast", x, "i" + self.element[1:], self.element)


# What computes in the dtypes of a ufunc without being one.
_LIKE = {"strong_multiply": np.multiply, "frexp_exponent": np.frexp, "sinc": np.sinc}
_PYTHON = {"b": BOOL, "i": int, "u": int, "f": float, "c": complex}


def _ufunc(name: str) -> Any:
    """The ufunc whose loop a primitive has, or None."""
    if name in _LIKE:
        return _LIKE[name] if isinstance(_LIKE[name], np.ufunc) else np.sin
    return ufunc_of(primitives[name])


@lru_cache(4096)
def loop_types(name: str, avals: tuple[Aval, ...]) -> tuple[tuple[DType, ...], tuple[DType, ...]]:
    """The dtypes that NumPy converts the arguments to, and those of the results.

    Only dtypes and weakness of ``avals`` are read: give them the shape () and the cache answers.

    Raises:
        UnsupportedError: the primitive is not elementwise, or its dtypes do not follow from a loop.
        TypeError: NumPy has no loop for these dtypes.
    """
    given = [_PYTHON[a.dtype.kind] if a.weak else a.dtype for a in avals]
    if name in _OWN_TYPES:
        return _OWN_TYPES[name](*avals)
    ufunc = _ufunc(name)
    if ufunc is None or ufunc.nin != len(avals):
        raise UnsupportedError(f"{name} has no loop")
    resolved = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
    inputs, outputs = resolved[: ufunc.nin], resolved[ufunc.nin :]
    primitive = primitives[name]
    if not primitive.multiple:
        outputs = (primitive.shape(*avals).dtype,)
    return inputs, outputs


COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})


def beside_large(
    avals: Sequence[Aval], values: Sequence[Any]
) -> tuple[tuple[DType, ...], tuple[DType, ...]] | None:
    """The dtypes in which `COMPARISONS` compare integers with a Python number that theirs cannot
    hold; else None. Everywhere else such a number is an error.

    Raises UnsupportedError where no dtype can hold it.
    """
    for value, aval, other in zip(values, avals, reversed(avals), strict=True):
        if other.weak or type(value) is not int or holds(other.dtype, value):
            continue
        wide = next((t for t in _WIDE if holds(t, value)), None)
        if wide is None:
            raise UnsupportedError(f"{value} fits no dtype")
        return tuple(wide if a is aval else a.dtype for a in avals), (BOOL,)
    return None


_WIDE = (np.dtype(np.int64), np.dtype(np.uint64))


def holds(dtype: DType, value: Any) -> bool:
    """Whether a Python int is a number of ``dtype``; all others are converted as NumPy does."""
    if type(value) is not int or dtype.kind not in "iu":
        return True
    return np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _select_types(mask: Aval, x: Aval, y: Aval) -> Any:
    dtype = primitives["select"].shape(mask, x, y).dtype
    return (BOOL, dtype, dtype), (dtype,)


def _share_types(x: Aval, y: Aval) -> Any:
    (dtype, _), _ = loop_types("maximum", (x, y))
    return (dtype, dtype), (primitives["share"].shape(x, y).dtype,)


def _join_types(x: Aval, y: Aval) -> Any:
    dtype = primitives["join_parts"].shape(x, y).dtype
    part = np.dtype(f"f{dtype.itemsize // 2}")
    return (part, part), (dtype,)


def _part_types(x: Aval) -> Any:
    return (x.dtype,), (primitives["real"].shape(x).dtype,)


def _same_types(x: Aval) -> Any:
    return (x.dtype,), (x.dtype,)


_OWN_TYPES = {
    "select": _select_types,
    "share": _share_types,
    "join_parts": _join_types,
    "real": _part_types,
    "imag": _part_types,
    "round": _same_types,
    "weaken": _same_types,
    "stop_gradient": _same_types,
}


def types_of(operands: Sequence[Operand]) -> tuple[Aval, ...]:
    return tuple([Aval((), x.dtype) for x in operands])
