"""x = n pi/2 + r + low with |r| <= pi/4: what sine, cosine, tangent begin with.

pi/2 is subtracted in three parts by fused multiply-adds, the first of which is exact as long as n
is. That serves up to 2^28; for f32 up to 2^14, up to 2^28 with two parts in f64.

Beyond, it is done by integers (Payne and Hanek), lane by lane. x = M 2^e with 53 bits M. Of the
product with 2/pi, bits of weight 4 and more do not matter, nor do those more than 190 below: so M
is multiplied by a window of 192 bits of 2/pi, modulo 2^192. The two highest bits are the quadrant,
the rest is the fraction, which for no f64 is below 2^-62.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import NamedTuple

from .math_numbers import (
    COLD,
    INFINITY,
    MAGIC,
    NAN,
    LaneByLane,
    MathEmitter,
    Number,
    fast_two_sum,
    fma,
    parts,
    two_product,
    where_rare,
)

TWO_OVER_PI = 0.6366197723675814
_HALF_PI = parts(1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
_LARGE, _LARGE_SINGLE = 2.0**28, 2.0**14
_REDUCE, _TABLE = "xnp_reduce_huge", "xnp_two_over_pi"
_WORDS = 22


def reduce(x: Number) -> tuple[Number, Number, Number]:
    """The quadrant n as an integer (its last bits), r and low."""
    wide, half_pi = x.element == "f64", _HALF_PI[x.element]
    shifted = fma(x, TWO_OVER_PI, x.format.magic)
    n = shifted - x.format.magic
    first = fma(n, -half_pi[0], x)
    second, second_low = two_product(n, half_pi[1])
    r, low = fast_two_sum(first, -second)
    low = fma(n, -half_pi[2], low - second_low)
    usual = [shifted.bits(), r, low]
    large = abs(x) > (_LARGE if wide else _LARGE_SINGLE)
    function = _lane_by_lane(x.e.lanes) if wide else _ByDouble(x.e.lanes)
    quadrant, r, low = where_rare(large, usual, function, [x])
    return quadrant, r, low


def _lane_by_lane(lanes: int) -> LaneByLane:
    return LaneByLane(_REDUCE, _reduce_huge_text(), 1, ("i64", "f64", "f64"), lanes)


class _ByDouble(NamedTuple):
    """The reduction of large f32, in f64, which has digits to spare."""

    lanes: int

    @property
    def name(self) -> str:
        return f"xnp_reduce_f32x{self.lanes}"

    def texts(self) -> dict[str, str]:
        e = MathEmitter(self.lanes, True)
        mask = Number(e, "%mask", "i1")
        usual = [Number(e, f"%v{i}", t) for i, t in enumerate(("i32", "f32", "f32"))]
        large = _reduce_by_double(Number(e, "%x", "f32"))
        chosen = [mask(a, b) for a, b in zip(large, usual, strict=True)]
        kinds = ", ".join(e.type(v.element) for v in usual)
        inputs = [mask, *usual, Number(e, "%x", "f32")]
        signature = ", ".join(f"{v.name}: {e.type(v.element)}" for v in inputs)
        lines = [
            f"func.func private @{self.name}({signature}) -> ({kinds}) attributes {_CALLED} {{",
            *e.prologue,
            *e.lines,
            f"return {', '.join(v.name for v in chosen)} : {kinds}",
            "}",
        ]
        texts = {name: text for f in e.cold for name, text in f.texts().items()}
        return {**texts, self.name: "\n".join(lines)}


# Not as rare as to be left unoptimised.
_CALLED = '{passthrough = ["cold", "noinline"], llvm.linkage = #llvm.linkage<internal>}'


def _reduce_by_double(x: Number) -> tuple[Number, Number, Number]:
    x, half_pi = x.cast("arith.extf", "f64"), _HALF_PI["f64"]
    shifted = fma(x, TWO_OVER_PI, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -half_pi[1], fma(n, -half_pi[0], x))
    usual = [shifted.bits(), r, x.like(0.0)]
    quadrant, r, _ = where_rare(abs(x) > _LARGE, usual, _lane_by_lane(x.e.lanes), [x])
    high = r.cast("arith.truncf", "f32")
    low = (r - high.cast("arith.extf", "f64")).cast("arith.truncf", "f32")
    return quadrant.cast("arith.trunci", "i32"), high, low


@cache
def _reduce_huge_text() -> str:
    """The function and its table. Of inf and nan, r is nan."""
    e = MathEmitter(1, False)
    x = Number(e, "%x", "f64")
    quadrant, r, low = _reduce_huge(x)
    r = (abs(x) < INFINITY)(r, NAN)
    lines = [
        _table(),
        f"func.func private @{_REDUCE}(%x: f64) -> (i64, f64, f64) attributes {COLD} {{",
        *e.prologue,
        *e.lines,
        f"return {quadrant.name}, {r.name}, {low.name} : i64, f64, f64",
        "}",
    ]
    return "\n".join(lines)


def _table() -> str:
    """The first bits of 2/pi in words of 64, after one word of zeros."""
    count = 64 * (_WORDS - 1)
    bits = (2 << (2 * count)) // _pi(count)
    words = [0] + [bits >> (64 * k) & (2**64 - 1) for k in reversed(range(_WORDS - 1))]
    signed = ", ".join(str(w - (w >> 63 << 64)) for w in words)
    kind = f"tensor<{_WORDS}xi64>"
    return (
        f"llvm.mlir.global internal constant @{_TABLE}(dense<[{signed}]> : {kind}) "
        f": !llvm.array<{_WORDS} x i64>"
    )


def _pi(bits: int) -> int:
    """The integer part of pi 2^bits, by Machin's formula."""
    guard = bits + 64

    def arctan_inverse(n: int) -> int:
        power, k, total = (1 << guard) // n, 0, 0
        while power:
            total += (-1) ** k * (power // (2 * k + 1))
            power //= n * n
            k += 1
        return total

    return (16 * arctan_inverse(5) - 4 * arctan_inverse(239)) >> 64


def _reduce_huge(x: Number) -> tuple[Number, Number, Number]:
    """The quadrant (its last two bits), r and low of one finite number beyond 2^28."""
    e = x.e
    bits = x.bits()
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    # e - 2, counted from the start of the table
    offset = ((bits >> 52) & 0x7FF) - (1023 + 52 + 2 - 64)
    words = _window(e, offset)
    m = _widen(mantissa)
    low = m * _widen(words[2])
    middle = m * _widen(words[1]) + (low >> 64)
    high = mantissa * words[0] + _narrow(middle >> 64)
    fraction = ((_widen(high) << 64) | _widen(_narrow(middle))) << 2
    fraction = fraction | _widen(_narrow(low) >> 62)
    quadrant = high >> 62
    # the next quadrant, minus something, from 1/2 on
    above = (fraction >> 127).cast("arith.trunci", "i1")
    quadrant = above(quadrant + 1, quadrant)
    fraction = above(_minus(fraction), fraction)
    r, r_low = _times_half_pi(fraction)
    negative = above ^ (bits >> 63).cast("arith.trunci", "i1")
    quadrant = (bits >> 63).cast("arith.trunci", "i1")(_minus(quadrant), quadrant)
    return quadrant, negative(-r, r), negative(-r_low, r_low)


def _window(e: MathEmitter, offset: Number) -> list[Number]:
    """Three words of the table from a bit on."""
    shift, word = offset & 63, offset >> 6
    base = e.op(f"llvm.mlir.addressof @{_TABLE} : !llvm.ptr")
    loaded = []
    for k in range(4):
        index = (word + k).name
        at = e.op(f"llvm.getelementptr {base}[{index}] : (!llvm.ptr, i64) -> !llvm.ptr, i64")
        loaded.append(Number(e, e.op(f"llvm.load {at} : !llvm.ptr -> i64"), "i64"))
    rest = shift ^ 63
    pairs = pairwise(loaded)
    return [_shift(a, "shli", shift) | _shift(b >> 1, "shrui", rest) for a, b in pairs]


def _shift(a: Number, op: str, count: Number) -> Number:
    return Number(a.e, a.e.binary(f"arith.{op}", a.name, count.name, a.element), a.element)


def _widen(a: Number) -> Number:
    return a.cast("arith.extui", "i128")


def _narrow(a: Number) -> Number:
    return a.cast("arith.trunci", "i64")


def _minus(a: Number) -> Number:
    return a.like(0) - a


def _times_half_pi(fraction: Number) -> tuple[Number, Number]:
    """``fraction 2^-128 pi/2`` as a sum."""
    high, low = _narrow(fraction >> 64), _narrow(fraction)
    # 32 bits are exact as floats
    parts = [high >> 32, high & 0xFFFFFFFF, low >> 32, low & 0xFFFFFFFF]
    a, b, c, d = (p.cast("arith.uitofp", "f64") * 2.0 ** (-32 * k) for k, p in enumerate(parts, 1))
    total, rest = fast_two_sum(a, b)
    total, rest = fast_two_sum(total, rest + (c + d))
    half_pi = _HALF_PI["f64"]
    product, product_low = two_product(total, half_pi[0])
    return fast_two_sum(product, fma(total, half_pi[1], fma(rest, half_pi[0], product_low)))
