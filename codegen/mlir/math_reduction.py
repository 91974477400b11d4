"""Sine, cosine, tangent of huge numbers: x mod pi/2 by integers (Payne and Hanek), lane by lane.

x = M 2^e with 53 bits M. Of the product with 2/pi, bits of weight 4 and more do not matter, nor do
those more than 190 below: so M is multiplied by a window of 192 bits of 2/pi, modulo 2^192. The two
highest bits are the quadrant, the rest is the fraction, which for no f64 is below 2^-62.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from .math_numbers import (
    COLD,
    INFINITY,
    NAN,
    MathEmitter,
    Number,
    fast_two_sum,
    fma,
    two_product,
)

HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
REDUCE = "xnp_reduce_huge"  # the function: f64 -> quadrant in the last bits of an i64, r, low
_TABLE = "xnp_two_over_pi"
_WORDS = 22


@cache
def reduce_function() -> str:
    """The function and its table. Of inf and nan, r is nan."""
    e = MathEmitter(1, False)
    x = Number(e, "%x", "f64")
    quadrant, r, low = _reduce_huge(x)
    r = (abs(x) < INFINITY)(r, NAN)
    lines = [
        _table(),
        f"func.func private @{REDUCE['f64']}(%x: f64) -> (i64, f64, f64) attributes {COLD} {{",
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
    product, product_low = two_product(total, HALF_PI[0])
    return fast_two_sum(product, fma(total, HALF_PI[1], fma(rest, HALF_PI[0], product_low)))
