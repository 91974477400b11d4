"""Several equations as one, or a part of what one computes, for code generation only.

`matmul_sum_p` is a sum of products of matrices, and of an array: tiles sum up all of them in
registers, and what a loop carries is added to where it lies. `sort_p` and `partition_p` are what
one places in order by the order that one computes: NumPy sorts values faster than it finds their
order.
`eigvalsh_p` and `svdvals_p` are decompositions of which nothing reads the vectors. `assemble_p`
puts an array together of boxes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.core import Aval, Primitive, Value
from ..autodiff.primitives.contraction import matmul_p
from ..autodiff.primitives.decompositions import eigh_p, svd_p


def _matmul_sum(*operands: Value) -> Any:
    total: Any = sum(np.matmul(a, b) for a, b in zip(operands[:-1:2], operands[1::2], strict=True))
    return total + operands[-1] if len(operands) % 2 else total


def _shape(a: Aval, b: Aval, *_: Aval) -> Aval:
    return matmul_p.shape(a, b)


# matmul_sum a b a' b' ... [c]: the products of each pair, and c, which is broadcast.
matmul_sum_p = Primitive("matmul_sum", _matmul_sum, shape=_shape)
sort_p = Primitive(
    "sort",
    lambda x, *, axis, kind: np.sort(x, axis=axis, kind=kind),
    shape=lambda x, *, axis, kind: Aval(x.shape, x.dtype),
)


def _partition_into(out: Any, x: Any, *, axis: int, kth: Any, kind: Any) -> None:
    out[...] = x
    out.partition(kth, axis=axis, kind=kind)


partition_p = Primitive(
    "partition",
    lambda x, *, axis, kth, kind: np.partition(x, kth, axis=axis, kind=kind),
    shape=lambda x, **_: Aval(x.shape, x.dtype),
)
partition_p.into = _partition_into
eigvalsh_p = Primitive(
    "eigvalsh",
    lambda a, *, uplo: np.linalg.eigvalsh(a, uplo),
    shape=lambda a, *, uplo: eigh_p.shape(a, uplo=uplo)[0],
)
svdvals_p = Primitive("svdvals", np.linalg.svdvals, shape=lambda a: svd_p.shape(a, full=False)[1])


def _assemble(*parts: Any, starts: Any, shape: tuple[int, ...]) -> Any:
    out = np.empty(shape, parts[0].dtype)
    for part, start in zip(parts, starts, strict=True):
        out[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] = part
    return out


# Every element of the result, which has ``shape``, is in one part: they begin at ``starts``.
assemble_p = Primitive(
    "assemble", _assemble, shape=lambda *parts, starts, shape: Aval(shape, parts[0].dtype)
)
