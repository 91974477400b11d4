"""Matrix products: BLAS for floating-point numbers, unrolled code for tiny matrices, loops for what
BLAS does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..affine import is_one, lower_bound, product, same
from ..costs import is_tiny_product
from ..places import Place
from ..plan import Operation
from .convert import HALF, cast, is_native
from .elementwise_float import FLOAT
from .elementwise_integer import INTEGER, TRUTH
from .emitter import Operand, element_type
from .libraries import LETTERS, Code, Strided, increment, leading, letter, number
from .loop import DType, Loop
from .memory import load, store
from .operations import operation
from .tiles import Factors, Tiled


@operation("matmul")
def matmul(writer: Any, _plan: Any, step: Operation) -> bool:
    """``step``'s product into its place; False where that has to be left to NumPy."""
    if not all(isinstance(x, Place) and is_native(x.dtype) for x in step.operands):
        return False
    (place,) = step.results
    if not is_native(place.dtype) or not place.is_dense:
        return False
    code = Code(writer.main)
    operands = [code.array(x) for x in step.operands]
    if place.dtype.char in LETTERS:
        operands = [x if x.dtype == place.dtype else code.packed(x, place.dtype) for x in operands]
    a, b = operands
    product_into(writer, code, code.array(place), a, b)
    return True


@operation("matmul_sum")
def matmul_sum(writer: Any, _plan: Any, step: Operation) -> bool:
    """A sum of products, and of an array whose place the result may have."""
    code, (place,) = Code(writer.main), step.results
    c, arrays = code.array(place), [code.array(x) for x in step.operands]
    factors = list(zip(arrays[:-1:2], arrays[1::2], strict=True))
    start = _broadcast(arrays[-1], c.shape) if len(arrays) % 2 else None
    if start is not None and not same(start.strides[-1], c.dtype.itemsize):
        start = code.packed(start, c.dtype)
    tiled = Tiled(writer, code, c, factors, start)
    if all(_chosen(a, b, c) is _unrolled for a, b in factors):
        _unrolled(code, c, factors, start)
    elif tiled.is_possible():
        tiled.write()
    else:
        _sum_of_products(writer, code, c, factors, start)
    return True


def _sum_of_products(
    writer: Any, code: Code, c: Strided, factors: Sequence[Factors], start: Strided | None
) -> None:
    terms = [] if start is None else [start]
    for a, b in factors:
        terms.append(code.temporary(c.dtype, c.shape))
        product_into(writer, code, terms[-1], a, b)
    with code.loops(c.shape) as indices:
        at = [code.at(x.pointer, *zip(indices, x.strides, strict=True)) for x in (*terms, c)]
        total, *others = (load(code.e, pointer, c.dtype).name for pointer in at[:-1])
        for x in others:
            total = code.e.binary("arith.addf", total, x, element_type(c.dtype))
        store(code.e, Operand(total, c.dtype), at[-1])


def _broadcast(x: Strided, shape: Sequence[Any]) -> Strided:
    missing = len(shape) - x.ndim
    pairs = zip(x.shape, shape[missing:], x.strides, strict=True)
    strides = [0 if is_one(n) and not is_one(m) else stride for n, m, stride in pairs]
    return x._replace(shape=tuple(shape), strides=(*[0] * missing, *strides))


def product_into(writer: Any, code: Code, c: Strided, a: Strided, b: Strided) -> None:
    """``c = a @ b``: c is dense; a, b and it have one dtype if that is one of BLAS's."""
    if a.ndim == 1:
        a = _with_axis(a, 0)
        c = _with_axis(c, c.ndim if b.ndim == 1 else c.ndim - 1)
    if b.ndim == 1:
        b = _with_axis(b, 1)
        c = _with_axis(c, c.ndim)
    one = _rows_merged(a, b, c)
    if one is not None:
        a, b, c = one
    write = _chosen(a, b, c)
    if write in (_gemm, _syrk):
        tiled = Tiled(writer, code, c, [(a, b)])
        if tiled.is_possible():
            tiled.write()
            return
    if write in (_gemm, _vector):
        a, b = (x if leading(x.matrix("")) is not None else code.packed(x, x.dtype) for x in (a, b))
    lead = c.shape[:-2]
    with code.loops(lead) as indices:
        parts = [x.matrix(code.stack(lead, x, indices, 2)) for x in (c, a, b)]
        if write is _unrolled:
            _unrolled(code, parts[0], [(parts[1], parts[2])])
        else:
            write(code, *parts)


def _with_axis(x: Strided, axis: int) -> Strided:
    """``x`` with an axis of length 1."""
    item = x.dtype.itemsize
    return x._replace(
        shape=(*x.shape[:axis], 1, *x.shape[axis:]),
        strides=(*x.strides[:axis], item, *x.strides[axis:]),
    )


def _rows_merged(a: Strided, b: Strided, c: Strided) -> tuple[Strided, Strided, Strided] | None:
    """A stack times one matrix as one product, if all rows of the stack are equally far apart."""
    lead = c.shape[:-2]
    if not lead or not all(is_one(n) for n in b.shape[:-2]) or a.shape[:-2] != lead:
        return None
    for axis in range(len(lead)):
        if not same(a.strides[axis], a.strides[axis + 1] * a.shape[axis + 1]):
            return None
    rows = product(a.shape[:-1])
    b = Strided(b.pointer, b.dtype, b.shape[-2:], b.strides[-2:])
    return (
        a._replace(shape=(rows, a.shape[-1]), strides=a.strides[-2:]),
        b,
        c._replace(shape=(rows, c.shape[-1]), strides=c.strides[-2:]),
    )


def _chosen(a: Strided, b: Strided, c: Strided) -> Callable[..., None]:
    sizes = a.shape[-2], a.shape[-1], b.shape[-1]
    if c.dtype.char not in LETTERS:
        return _by_loops
    if is_tiny_product(*sizes, c.dtype):
        return _unrolled
    if is_one(sizes[0]) or is_one(sizes[2]):
        return _vector
    return _syrk if _is_square_of(a, b, c) else _gemm


# --- BLAS. It counts in columns, so it is given the transposed problem: c^T = b^T a^T.


def _form(x: Strided) -> tuple[str, Any]:
    found = leading(x)
    assert found is not None, "it was packed"
    return found


def _gemm(code: Code, c: Strided, a: Strided, b: Strided) -> None:
    (m, k), n = a.shape, b.shape[1]
    (a_flag, a_lead), (b_flag, b_lead) = _form(a), _form(b)
    code.call(
        f"{letter(c.dtype)}gemm", b_flag, a_flag, n, m, k, number(1, c.dtype),
        b.pointer, code.at_least_one(b_lead), a.pointer, code.at_least_one(a_lead),
        number(0, c.dtype), c.pointer, code.at_least_one(n),
    )  # fmt: skip


def _is_square_of(a: Strided, b: Strided, c: Strided) -> bool:
    """Whether b is the transpose of a, in memory."""
    return (
        a.ndim == b.ndim == c.ndim == 2
        and a.pointer == b.pointer
        and same(a.shape[0], b.shape[1])
        and all(same(x, y) for x, y in zip(a.strides, reversed(b.strides), strict=True))
        and leading(a) is not None
    )


def _syrk(code: Code, c: Strided, a: Strided, _b: Strided) -> None:
    """One triangle, and then the other from it."""
    n, k = a.shape
    flag, lead = _form(a)
    code.call(
        f"{letter(c.dtype)}syrk", "U", "T" if flag == "N" else "N", n, k, number(1, c.dtype),
        a.pointer, code.at_least_one(lead), number(0, c.dtype), c.pointer, code.at_least_one(n),
    )  # fmt: skip
    row, column = c.strides
    with code.loop(n) as i, code.loop(i) as j:
        x = load(code.e, code.at(c.pointer, (i, row), (j, column)), c.dtype)
        store(code.e, x, code.at(c.pointer, (j, row), (i, column)))


def _vector(code: Code, c: Strided, a: Strided, b: Strided) -> None:
    """A matrix times a vector; a row times a matrix is the transposed matrix times a column."""
    if not is_one(b.shape[1]):
        a, b = b.transposed(), a.transposed()
    x = b._replace(shape=b.shape[:1], strides=b.strides[:1])
    step = increment(x)
    if step is None:
        x, step = code.packed(x, x.dtype), 1
    if is_one(a.shape[0]) and c.dtype.kind == "f":
        _dot(code, c, a, x, step)
        return
    (m, k), (flag, lead) = a.shape, _form(a)
    if lower_bound(k) < 1:
        code.fill_zero(c)  # gemv of nothing writes nothing
    rows, columns, trans = (k, m, "T") if flag == "N" else (m, k, "N")
    code.call(
        f"{letter(c.dtype)}gemv", trans, rows, columns, number(1, c.dtype), a.pointer,
        code.at_least_one(lead), x.pointer, step, number(0, c.dtype), c.pointer, 1,
    )  # fmt: skip


def _dot(code: Code, c: Strided, a: Strided, x: Strided, x_step: Any) -> None:
    row = a._replace(shape=a.shape[1:], strides=a.strides[1:])
    step = increment(row)
    if step is None:
        row, step = code.packed(row, row.dtype), 1
    size = a.shape[1]
    routine = f"{letter(c.dtype)}dot"
    kind = element_type(c.dtype)
    name = code.call(routine, size, row.pointer, step, x.pointer, x_step, result=kind)
    store(code.e, Operand(name, c.dtype), c.pointer)


# --- unrolled


def _unrolled(
    code: Code, c: Strided, factors: Sequence[Factors], start: Strided | None = None
) -> None:
    """Rows of the result as vectors: sums of rows of b. A single column: sums of columns of a."""
    if is_one(c.shape[1]) and not is_one(c.shape[0]):
        c, factors = c.transposed(), [(b.transposed(), a.transposed()) for a, b in factors]
        start = start and start.transposed()
    (m, n), e = c.shape, code.e
    lanes, e.lanes = e.lanes, n
    try:
        right = [_row(code, b, k) for _, b in factors for k in range(b.shape[0])]
        for i in range(m):
            left = [_element(code, a, i, k) for a, _ in factors for k in range(a.shape[1])]
            first = "" if start is None else _row(code, start, i)
            _store_row(code, c, i, _weighted_sum(code, left, right, first, c.dtype))
    finally:
        e.lanes = lanes


def _weighted_sum(
    code: Code, left: Sequence[str], right: Sequence[str], start: str, dtype: DType
) -> str:
    """The sum of the rows on the right times these numbers, as two sums side by side: in a loop
    the next iteration waits for it.
    """
    e, element = code.e, element_type(dtype)
    sums = [start, ""]
    for k, (factor, row) in enumerate(zip(left, right, strict=True)):
        which, wide = k % 2 if len(left) > 2 else 0, e.splat(factor, element)
        if sums[which]:
            sums[which] = e.fma(wide, row, sums[which], element)
        else:
            sums[which] = e.binary("arith.mulf", wide, row, element)
    return e.binary("arith.addf", *sums, element) if sums[1] else sums[0]


def _element(code: Code, x: Strided, i: int, j: int) -> str:
    with code.e.scalar():
        return load(code.e, _offset(code, x, i, j), x.dtype).name


def _offset(code: Code, x: Strided, i: int, j: int) -> str:
    return code.at(x.pointer, (code.e.integer(i), x.strides[0]), (code.e.integer(j), x.strides[1]))


def _row(code: Code, x: Strided, i: int) -> str:
    """A row as a vector; loaded as one where its elements lie side by side."""
    if code.e.lanes == 1 or same(x.strides[1], x.dtype.itemsize):
        return load(code.e, _offset(code, x, i, 0), x.dtype).name
    parts = [_element(code, x, i, j) for j in range(x.shape[1])]
    return code.e.from_lanes(parts, element_type(x.dtype))


def _store_row(code: Code, x: Strided, i: int, name: str) -> None:
    e = code.e
    if e.lanes == 1 or same(x.strides[1], x.dtype.itemsize):
        store(e, Operand(name, x.dtype), _offset(code, x, i, 0))
        return
    parts = e.to_lanes(name, element_type(x.dtype))
    for j, part in enumerate(parts):
        with e.scalar():
            store(e, Operand(part, x.dtype), _offset(code, x, i, j))


# --- loops

_LANES = 8


def _accumulator(dtype: DType) -> DType:
    """What sums are held in: of float16, as in NumPy, float32."""
    return np.dtype(np.float32) if dtype == HALF else dtype


def _by_loops(code: Code, c: Strided, a: Strided, b: Strided) -> None:
    """Integers, truth values, halves: some columns at a time where they lie side by side."""
    rows, columns = c.shape
    start = ""
    with code.loop(rows) as i:
        if same(b.strides[1], b.dtype.itemsize):
            end = _whole_blocks(code, columns)
            lanes, code.e.lanes = code.e.lanes, _LANES
            with code.loop(end, _LANES) as j:
                _sum_at(code, c, a, b, (i, j))
            code.e.lanes, start = lanes, end
        with code.loop(columns, start=start) as j:
            _sum_at(code, c, a, b, (i, j))


def _whole_blocks(code: Code, size: Any) -> str:
    mask = code.e.integer(-_LANES)
    return code.e.op(f"arith.andi {code.size(size)}, {mask} : i64")


def _sum_at(code: Code, c: Strided, a: Strided, b: Strided, at: Sequence[str]) -> None:
    """``c[i, j:j + lanes]``, as a loop that carries the sums."""
    e, (i, j) = code.e, at
    dtype = _accumulator(c.dtype)
    loop = Loop(e, dtype)
    table = {"b": TRUTH, "f": FLOAT}.get(dtype.kind, INTEGER)
    kind, k, old = e.type(loop.element), e.fresh(), e.fresh()
    zero, total = loop.number(0), e.fresh()
    e.effect(
        f"{total} = scf.for {k} = {e.integer(0)} to {code.size(a.shape[1])} step {e.integer(1)} "
        f"iter_args({old} = {zero}) -> ({kind}) : i64 {{"
    )
    with e.scalar():
        address = code.at(a.pointer, (i, a.strides[0]), (k, a.strides[1]))
        factor = cast(e, load(e, address, a.dtype), dtype).name
    factor = e.splat(factor, loop.element)
    address = code.at(b.pointer, (k, b.strides[0]), (j, b.strides[1]))
    other = cast(e, load(e, address, b.dtype), dtype).name
    new = table["add"](loop, old, table["multiply"](loop, factor, other))
    e.effect(f"scf.yield {new} : {kind}")
    e.effect("}")
    address = code.at(c.pointer, (i, c.strides[0]), (j, c.strides[1]))
    store(e, cast(e, Operand(total, dtype), c.dtype), address)
