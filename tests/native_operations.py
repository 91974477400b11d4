"""What a random Program may do next: each function adds an equation or a few to a `Maker`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from native_programs import Known, Maker, Refused, fits, is_same

from xnp.autodiff import dims
from xnp.autodiff.core import Aval
from xnp.autodiff.program import Literal, Program
from xnp.autodiff.size_structures import hinted

INTP = np.dtype(np.intp)


def _is_one(dim: Any) -> bool:
    return type(dim) is int and dim == 1


def _at_least(dim: Any, least: int) -> bool:
    """Whether an axis has so many elements, whatever a symbol is."""
    number = dim if type(dim) is int else 2
    return number >= least


# Elementwise.

_BINARY = ("add", "subtract", "multiply", "maximum", "minimum", "add", "multiply")
_COMPARE = ("less", "less_equal", "equal", "not_equal", "greater")
_BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")
_UNARY = (
    "negative",
    "absolute",
    "square",
    "copy",
    "sign",
    "positive",
    "stop_gradient",
    "conjugate",
)


def binary(m: Maker) -> None:
    x = m.pick()
    pair = [x, m.other(x)]
    m.rng.shuffle(pair)
    m.add(m.rng.choice(_BINARY), *pair)


def compare(m: Maker) -> None:
    x = m.pick(lambda x: x.dtype.kind != "c")
    m.add(m.rng.choice(_COMPARE), x, m.other(x))


def bits(m: Maker) -> None:
    x = m.pick(lambda x: x.dtype.kind in "biu")
    m.add(m.rng.choice(_BITS), x, m.other(x))


def divide_integers(m: Maker) -> None:
    x = m.pick(lambda x: x.dtype.kind in "iuf")
    m.add(m.rng.choice(("floor_divide", "remainder", "fmod")), x, m.number(x.dtype))


def unary(m: Maker) -> None:
    x = m.pick()
    name = m.rng.choice(_UNARY)
    if name == "absolute" and x.dtype.kind == "c":
        raise Refused  # a hypotenuse is no integer
    m.add(name, x)


def heavy(m: Maker) -> None:
    """What loops rather keep than compute twice."""
    x = m.pick(lambda x: x.dtype.kind == "f")
    name = m.rng.choice(("sin", "cos", "tanh", "arctan"))
    five = np.dtype(x.dtype).type(5)
    m.add("rint", m.add("multiply", m.add(name, x), Known(Literal(five), five)))


def convert(m: Maker) -> None:
    m.add("convert", m.pick(), dtype=np.dtype(m.rng.choice("dfeFD?bBhiqQ")))


def select(m: Maker) -> None:
    x = m.pick()
    y = m.other(x)
    mask = m.pick(lambda k: k.dtype.kind == "b" and _broadcasts(k.shape, x.shape))
    m.add("select", mask, *((x, y) if m.rng.random() < 0.5 else (y, x)))


def _broadcasts(a: Sequence[Any], b: Sequence[Any]) -> bool:
    pairs = zip(reversed(a), reversed(b), strict=False)
    return all(_is_one(m) or _is_one(n) or is_same(m, n) for m, n in pairs)


def parts(m: Maker) -> None:
    m.add(m.rng.choice(("real", "imag")), m.pick(lambda x: x.dtype.kind == "c"))


def join_parts(m: Maker) -> None:
    x = m.pick(lambda x: x.dtype.char in "fd")
    m.add("join_parts", x, m.pick(lambda y: y.dtype == x.dtype and _broadcasts(y.shape, x.shape)))


def outer(m: Maker) -> None:
    """Two arrays that broadcast each other."""
    x = m.pick(lambda x: x.ndim in (1, 2))
    y = m.pick(lambda y: y.ndim == 1)
    column = m.add("reshape", x, shape=(*x.shape, 1))
    m.add(m.rng.choice(_BINARY), column, y)


# Reductions.


def _axes(m: Maker, x: Known) -> tuple[int, ...]:
    if m.rng.random() < 0.25:
        return tuple(range(x.ndim))
    return tuple(sorted(m.rng.sample(range(x.ndim), m.rng.randint(1, x.ndim))))


_REDUCTIONS = (
    *("reduce_sum",) * 4, "reduce_max", "reduce_max", "reduce_min", "reduce_any", "reduce_all",
    "reduce_prod",
)  # fmt: skip


def reduce(m: Maker) -> None:
    x = m.array()
    axes = _axes(m, x)
    found = m.add(m.rng.choice(_REDUCTIONS), x, axes=axes)
    if m.rng.random() < 0.5:  # keepdims
        shape = tuple(1 if k in axes else dim for k, dim in enumerate(x.shape))
        found = m.add("reshape", found, shape=shape)
        if m.rng.random() < 0.7:
            m.add(m.rng.choice(_BINARY), x, found)


def place_of_extreme(m: Maker) -> None:
    x = m.array()
    m.add(m.rng.choice(("argmax", "argmin")), x, axis=m.rng.randrange(x.ndim))


def running(m: Maker) -> None:
    x = m.array()
    name = m.rng.choice(("cumsum", "cumsum", "cumprod"))
    m.add(name, x, axis=m.rng.randrange(x.ndim))


def centred(m: Maker) -> None:
    """Two phases or three: what a row gives goes back into it."""
    x = m.array()
    axes = _axes(m, x)
    shape = tuple(1 if k in axes else dim for k, dim in enumerate(x.shape))
    low = m.add("reshape", m.add("reduce_min", x, axes=axes), shape=shape)
    moved = m.add("subtract", x, low)
    if m.rng.random() < 0.5 and moved.dtype.kind == "f":
        five = moved.dtype.type(5)
        moved = m.add("rint", m.add("multiply", m.add("tanh", moved), Known(Literal(five), five)))
    total = m.add("reshape", m.add("reduce_sum", moved, axes=axes), shape=shape)
    m.add("add", moved, total)


# Other places in memory.


def transpose(m: Maker) -> None:
    x = m.array(lambda x: x.ndim > 1)
    m.add("transpose", x, axes=tuple(m.rng.sample(range(x.ndim), x.ndim)))


def flip(m: Maker) -> None:
    x = m.array()
    m.add("flip", x, axes=_axes(m, x))


def broadcast_to(m: Maker) -> None:
    x = m.pick(lambda x: x.ndim < 4)
    shape = [m.rng.choice((*m.sizes, 2)) if _is_one(dim) else dim for dim in x.shape]
    lead = [m.rng.choice((1, 2, 3, *m.sizes))] if m.rng.random() < 0.5 else []
    m.add("broadcast_to", x, shape=(*lead, *shape))


def reshape(m: Maker) -> None:
    x = m.array()
    shape = list(x.shape)
    for _ in range(m.rng.choice((1, 1, 2))):
        _change_shape(m, shape)
    if m.rng.random() < 0.2:  # in Fortran's order
        turned = m.add("transpose", x, axes=tuple(range(x.ndim))[::-1])
        found = m.add("reshape", turned, shape=tuple(reversed(shape)))
        m.add("transpose", found, axes=tuple(range(len(shape)))[::-1])
        return
    m.add("reshape", x, shape=tuple(shape))


def _change_shape(m: Maker, shape: list[Any]) -> None:
    k = m.rng.randrange(len(shape)) if shape else 0
    kind = m.rng.random()
    if kind < 0.4 and len(shape) > 1:
        k = m.rng.randrange(len(shape) - 1)
        shape[k : k + 2] = [shape[k] * shape[k + 1]]
    elif kind < 0.7 and shape and type(shape[k]) is int and shape[k] > 1:
        divisors = [d for d in range(1, shape[k] + 1) if shape[k] % d == 0]
        d = m.rng.choice(divisors)
        shape[k : k + 1] = [d, shape[k] // d]
    elif kind < 0.85 and any(map(_is_one, shape)):
        shape.remove(1)
    else:
        shape.insert(k, 1)


def basic_index(m: Maker, shape: Sequence[Any]) -> tuple[Any, ...]:
    """Ints, slices and None; at least one of them changes something."""
    found: list[Any] = []
    for dim in shape:
        if m.rng.random() < 0.1:
            found.append(None)
        if m.rng.random() < 0.2 and _at_least(dim, 1):
            found.append(m.rng.choice((0, -1, 1 if _at_least(dim, 2) else 0)))
        else:
            places = (None, None, 0, 1, 2, -1, -2, 5)
            step = m.rng.choice((None, None, 1, -1, -1, 2, 3, -2, -3))
            found.append(slice(m.rng.choice(places), m.rng.choice(places), step))
    return tuple(found[: m.rng.randint(1, max(len(found), 1))])


def getitem(m: Maker) -> None:
    x = m.array()
    m.add("getitem", x, index=basic_index(m, x.shape))


def diagonal(m: Maker) -> None:
    x = m.array(lambda x: x.ndim > 1)
    axis1, axis2 = m.rng.sample(range(x.ndim), 2)
    m.add("diagonal", x, offset=m.rng.choice((0, 0, 1, -1, 2)), axis1=axis1, axis2=axis2)


def windows(m: Maker) -> None:
    x = m.array()
    axis = m.rng.randrange(x.ndim)
    size = m.rng.choice((1, 2, 3))
    if not _at_least(x.shape[axis], size) or x.ndim > 2:
        raise Refused
    m.add("windows", x, window=(size,), axes=(axis,))


# New arrays, and parts of them.


def concatenate(m: Maker) -> None:
    x = m.array()
    axis = m.rng.randrange(x.ndim)
    others = [
        m.array(lambda y: y.ndim == x.ndim and _agree(x.shape, y.shape, axis))
        for _ in range(m.rng.choice((0, 1, 1, 2)))
    ]
    m.add("concatenate", x, *others, axis=axis)


def _agree(a: Sequence[Any], b: Sequence[Any], axis: int) -> bool:
    return all(k == axis or is_same(m, n) for k, (m, n) in enumerate(zip(a, b, strict=True)))


def _value_for(m: Maker, shape: Sequence[Any], dtype: Any) -> Known:
    """What may be written to a part of this shape."""
    if m.rng.random() < 0.2:
        return m.number(dtype)
    return m.pick(lambda y: y.dtype == dtype and fits(y.shape, shape))


def setitem(m: Maker) -> None:
    x = m.array()
    index = basic_index(m, x.shape)
    part = m.add("getitem", x, index=index)
    kind = m.rng.random()
    if kind < 0.2:
        value = m.add(m.rng.choice(("negative", "square")), part)
    elif kind < 0.5:
        value = _value_for(m, part.shape, x.dtype)
    elif kind < 0.8 and part.ndim:
        value = m.add("flip", part, axes=_axes(m, part))
    else:
        value = part
    m.add("setitem", x, value, index=index)


def embed(m: Maker) -> None:
    shape = _some_shape(m)
    index = basic_index(m, shape)
    part = Known(None, np.zeros([hinted(dim) for dim in shape])[index])
    x = m.pick(lambda x: x.ndim == part.sample.ndim and np.shape(x.sample) == part.sample.shape)
    m.add("embed", x, index=index, shape=tuple(shape))


def _some_shape(m: Maker) -> list[Any]:
    if m.rng.random() < 0.6:
        return list(m.array().shape)
    return [m.rng.choice((*m.sizes, 3)) for _ in range(m.rng.choice((1, 2)))]


def embed_diagonal(m: Maker) -> None:
    x = m.array()
    offset = m.rng.choice((0, 1, -2))
    size = x.shape[-1] + abs(offset)
    axes = m.rng.sample(range(x.ndim + 1), 2)
    shape = list(x.shape[:-1])
    for axis in sorted(axes):
        shape.insert(axis, size)
    m.add("embed_diagonal", x, shape=tuple(shape), offset=offset, axis1=axes[0], axis2=axes[1])


def _indices(m: Maker, sizes: Sequence[Any]) -> list[Known]:
    """Index arrays, which broadcast, for axes of these sizes; now and then out of bounds."""
    found: list[Known] = []
    for size in sizes:
        if not _at_least(size, 1):
            raise Refused
        least = size if type(size) is int else 2
        if m.rng.random() < 0.25:
            number = INTP.type(m.rng.randint(-least, least - 1))
            found.append(Known(Literal(number), number))
            continue
        x = m.pick(
            lambda x: x.dtype.kind in "iu" and all(_broadcasts(x.shape, y.shape) for y in found)
        )
        if m.rng.random() < 0.98:
            number = x.dtype.type(min(least, 100))
            x = m.add("remainder", x, Known(Literal(number), number))
        if m.rng.random() < 0.3 and x.dtype.kind == "i":
            number = x.dtype.type(-min(least, 100))
            x = m.add("add", x, Known(Literal(number), number))
        found.append(x)
    return found


def gather(m: Maker) -> None:
    x = m.array()
    m.add("gather", x, *_indices(m, x.shape[: m.rng.randint(1, min(x.ndim, 2))]))


def search(m: Maker) -> None:
    """In numbers that grow from one to the next, so that they are sorted whatever they were."""
    real = lambda x: x.dtype.kind in "iu" or x.dtype.char in "fd"
    keys = m.pick(real)
    table = m.pick(lambda x: real(x) and x.ndim == 1)
    m.add(
        "searchsorted",
        m.add("cumsum", m.add("greater", table, Known(Literal(0), 0)), axis=0),
        keys,
        side=m.rng.choice(("left", "right")),
        lead=0,
    )


def scatter(m: Maker) -> None:
    x = m.array()
    indices = _indices(m, x.shape[: m.rng.randint(1, min(x.ndim, 2))])
    part = m.add("gather", x, *indices)
    value = _value_for(m, part.shape, x.dtype)
    m.add(m.rng.choice(("scatter", "scatter_add")), x, value, *indices)


def accumulate(m: Maker) -> None:
    x = m.array()
    indices = _indices(m, x.shape[: m.rng.randint(1, min(x.ndim, 2))])
    part = m.add("gather", x, *indices)
    value = _value_for(m, part.shape, x.dtype)
    if not all(map(is_same, value.shape, part.shape)) or value.ndim != part.ndim:
        raise Refused
    m.add("accumulate", value, *indices, shape=x.shape)


def iota(m: Maker) -> None:
    m.add("iota", size=m.rng.choice(m.sizes), dtype=np.dtype(m.rng.choice("qqdi")))


def dimension(m: Maker) -> None:
    symbols = [dim for dim in m.sizes if type(dim) is dims.Dim]
    if symbols:
        m.add("dimension", dim=m.rng.choice(symbols) + m.rng.choice((0, 1)))


# Operations of their own.


def matmul(m: Maker) -> None:
    x = m.array(lambda x: x.dtype.kind in "fc")
    middle = x.shape[-1]
    y = m.array(lambda y: y.dtype == x.dtype and is_same(y.shape[max(y.ndim - 2, 0)], middle))
    m.add("matmul", x, y)


def sorted_order(m: Maker) -> None:
    x = m.array(lambda x: x.dtype.kind != "c")
    axis = m.rng.randrange(x.ndim)
    order = m.add("argsort", x, axis=axis, kind="stable")
    if m.rng.random() < 0.5:
        m.add("permute", x, order, axis=axis)


# Regions.


def _body(m: Maker, avals: Sequence[Aval], samples: Sequence[Any]) -> Maker:
    inner = Maker(m.rng, m.sizes, m.depth + 1, m.more_writes)
    for aval, sample in zip(avals, samples, strict=True):
        inner.parameter(aval, sample)
    inner.grow(m.rng.choice((1, 2, 4, 6)))
    return inner


def _result(m: Maker, aval: Aval, number: int) -> Known:
    """A value of exactly this type; often what the parameter of this number is after writes to it,
    which may be done where it lies.
    """
    given = [x for x in m.known if x.atom is m.parameters[number]]
    kind = m.rng.random() if given and aval.shape else 1.0
    if kind < 0.2:  # nothing of it may be overwritten before it is read
        return m.add("flip", given[0], axes=_axes(m, given[0]))
    return _written(m, given[0]) if kind < 0.7 else _matching(m, aval)


def _written(m: Maker, x: Known) -> Known:
    """The array after writes to it. What it was before is not often read again."""
    for _ in range(m.rng.choice((0, 1, 1, 2))):
        before, kind = x, m.rng.random()
        if kind < 0.5 or m.depth > 2:
            x = _written_in_part(m, x)
        elif kind < 0.8:
            x = _written_by_branches(m, x)
        else:
            x = _written_by_a_loop(m, x)
        if m.rng.random() < 0.85:
            m.known = [y for y in m.known if y is not before]
    return x


def _written_in_part(m: Maker, x: Known) -> Known:
    index = basic_index(m, x.shape)
    if m.rng.random() < 0.4:
        value = m.number(x.dtype)
    else:  # a number of the array itself, or of another
        y = x if m.rng.random() < 0.5 else m.array(lambda y: y.dtype == x.dtype)
        value = m.add("reduce_max", y, axes=tuple(range(y.ndim)))
    return m.add("setitem", x, value, index=index)


def writes(m: Maker) -> None:
    """A new array, and writes to it."""
    x = m.array(lambda x: x.dtype.kind in "iuf" and not x.atom.aval.weak)
    one = x.dtype.type(1)
    x = m.add("maximum", x, Known(Literal(one), one))
    m.known.append(_written(m, _written(m, x)))


def _written_by_branches(m: Maker, x: Known) -> Known:
    index = m.pick(lambda y: not y.ndim and y.dtype.kind in "biu")
    operands = [x, *_operands(m, m.rng.choice((0, 1, 2)))]
    order = list(range(len(operands)))
    m.rng.shuffle(order)
    operands = [operands[i] for i in order]
    branches = []
    for number in range(2 if index.dtype.kind == "b" else m.rng.choice((1, 2, 3))):
        inner = _body(m, _avals(operands), [y.sample for y in operands])
        result = _result(inner, x.atom.aval, order.index(0))
        branches.append(inner.program([result], f"branch{number}"))
    return m.add("branch", index, *operands, branches=tuple(branches))


def _written_by_a_loop(m: Maker, x: Known) -> Known:
    carry = [x, *_operands(m, m.rng.choice((0, 0, 1)))]
    index, number = _index(m)
    inner = _body(m, [index, *_avals(carry)], [number, *(y.sample for y in carry)])
    results = [_result(inner, y.atom.aval, 1 + i) for i, y in enumerate(carry)]
    low, high = _bound(m, (0, 1)), _bound(m, (0, 1, 3))
    return m.add(
        "for", low, high, *carry, body=inner.program(results, "body"),
        const_count=0, carry_count=len(carry), limit=None,
    )  # fmt: skip


def _matching(m: Maker, aval: Aval) -> Known:
    """A value of exactly this type, made from one that there is."""
    same = [x for x in m.known if x.atom.aval == aval and _same_shape(x.shape, aval.shape)]
    if same and m.rng.random() < 0.7:
        return _limited(m, m.rng.choice(same[-3:]))
    x = m.pick(lambda x: fits(x.shape, aval.shape))
    if not (len(x.shape) == len(aval.shape) and _same_shape(x.shape, aval.shape)):
        x = m.add("broadcast_to", x, shape=aval.shape)
    if x.dtype != aval.dtype or x.atom.aval.weak:
        x = m.add("convert", x, dtype=aval.dtype)
    if aval.weak:
        x = m.add("weaken", x)
    return _limited(m, x)


def _same_shape(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return len(a) == len(b) and all(map(is_same, a, b))


def _limited(m: Maker, x: Known) -> Known:
    """What does not grow from one iteration to the next."""
    if x.dtype.kind != "f" or x.atom.aval.weak or m.rng.random() < 0.3:
        return x
    most = x.dtype.type(6)
    x = m.add("minimum", x, Known(Literal(most), most))
    return m.add("maximum", x, Known(Literal(-most), -most))


def _operands(m: Maker, count: int) -> list[Known]:
    found = [m.pick() for _ in range(count)]
    if sum(np.size(x.sample) for x in found) > 2500:
        raise Refused
    return found


def _avals(values: Sequence[Known]) -> list[Aval]:
    return [x.atom.aval for x in values]


def _index(m: Maker) -> tuple[Aval, int]:
    return Aval((), np.dtype(int), True), 0


def _shallow(m: Maker) -> None:
    if m.depth > 1:
        raise Refused


def scan(m: Maker) -> None:
    _shallow(m)
    consts = _operands(m, m.rng.choice((0, 1, 2)))
    carry = _operands(m, m.rng.choice((0, 1, 1, 2, 3)))
    xs = [m.array() for _ in range(m.rng.choice((0, 0, 1)))]
    length = xs[0].shape[0] if xs else m.rng.choice((0, 1, 2, 3, 5, *m.sizes))
    if np.size(xs[0].sample) > 1000 if xs else hinted(length) > 40:
        raise Refused
    if xs and not _at_least(length, 1):
        raise Refused
    slices = [Aval(x.shape[1:], x.dtype) for x in xs]
    rows = [x.sample[0] for x in xs]
    index, number = _index(m)
    inner = _body(
        m,
        [index, *_avals(consts), *_avals(carry), *slices],
        [number, *(x.sample for x in (*consts, *carry)), *rows],
    )
    first = 1 + len(consts)
    results = [_result(inner, x.atom.aval, first + i) for i, x in enumerate(carry)]
    results += [inner.pick(lambda x: not x.atom.aval.weak) for _ in range(m.rng.choice((0, 1)))]
    m.add_all(
        "scan", *consts, *carry, *xs, body=inner.program(results, "body"),
        const_count=len(consts), carry_count=len(carry), length=length,
        reverse=m.rng.random() < 0.3, unroll=1,
    )  # fmt: skip


def _bound(m: Maker, numbers: Sequence[int]) -> Known:
    value = m.rng.choice(numbers)
    return Known(Literal(value), value)


def for_loop(m: Maker) -> None:
    _shallow(m)
    consts = _operands(m, m.rng.choice((0, 1, 2)))
    carry = _operands(m, m.rng.choice((1, 1, 2, 3)))
    index, number = _index(m)
    inner = _body(
        m,
        [index, *_avals(consts), *_avals(carry)],
        [number, *(x.sample for x in (*consts, *carry))],
    )
    first = 1 + len(consts)
    results = [_result(inner, x.atom.aval, first + i) for i, x in enumerate(carry)]
    low, high = _bound(m, (0, 1, -2)), _bound(m, (0, 1, 3, 4))
    m.add_all(
        "for", low, high, *consts, *carry, body=inner.program(results, "body"),
        const_count=len(consts), carry_count=len(carry), limit=None,
    )  # fmt: skip


def while_loop(m: Maker) -> None:
    _shallow(m)
    consts = _operands(m, m.rng.choice((0, 1)))
    carry = _operands(m, m.rng.choice((0, 1, 2)))
    counter = INTP.type(0)
    avals = [Aval((), INTP), *_avals(carry)]
    test = Maker(m.rng, m.sizes, m.depth + 1)
    for aval, sample in zip(avals, [counter, *(x.sample for x in carry)], strict=True):
        test.parameter(aval, sample)
    least = INTP.type(m.rng.choice((0, 1, 3, 4)))
    goes_on = test.add("less", test.known[0], Known(Literal(least), least))
    inner = _body(
        m,
        [*_avals(consts), *avals],
        [*(x.sample for x in consts), counter, *(x.sample for x in carry)],
    )
    one = INTP.type(1)
    following = inner.add("add", inner.known[len(consts)], Known(Literal(one), one))
    first = len(consts) + 1
    results = [
        following, *(_result(inner, x.atom.aval, first + i) for i, x in enumerate(carry)),
    ]  # fmt: skip
    m.add_all(
        "while", *consts, Known(Literal(counter), counter), *carry,
        cond=test.program([goes_on], "cond"), body=inner.program(results, "body"),
        cond_count=0, body_count=len(consts),
    )  # fmt: skip


def branch(m: Maker) -> None:
    _shallow(m)
    operands = _operands(m, m.rng.choice((1, 2, 3)))
    targets = [m.pick(lambda x: not x.atom.aval.weak) for _ in range(m.rng.choice((1, 2)))]
    index = m.pick(lambda x: not x.ndim and x.dtype.kind in "bi")
    count = 2 if index.dtype.kind == "b" else m.rng.choice((2, 3))
    branches: list[Program] = []
    for number in range(count):
        inner = _body(m, _avals(operands), [x.sample for x in operands])
        results = [_matching(inner, x.atom.aval) for x in targets]
        branches.append(inner.program(results, f"branch{number}"))
    m.add_all("branch", index, *operands, branches=tuple(branches))


def call(m: Maker) -> None:
    _shallow(m)
    operands = _operands(m, m.rng.choice((1, 2)))
    inner = _body(m, _avals(operands), [x.sample for x in operands])
    results = [inner.pick() for _ in range(m.rng.choice((1, 2)))]
    name = m.rng.choice(("call", "checkpoint"))
    m.add_all(name, *operands, program=inner.program(results, name))


OPERATIONS: dict[Callable[[Maker], None], float] = {
    binary: 10, compare: 3, bits: 2, divide_integers: 2, unary: 4, heavy: 3, convert: 4, select: 4,
    parts: 1, join_parts: 1, outer: 2, reduce: 9, place_of_extreme: 2, running: 2, centred: 3,
    transpose: 4, flip: 2, broadcast_to: 3, reshape: 6, getitem: 6, diagonal: 2, windows: 1,
    concatenate: 3, setitem: 6, embed: 2, embed_diagonal: 1, gather: 2, scatter: 3, accumulate: 1,
    iota: 1, dimension: 1, matmul: 2, sorted_order: 1, search: 1,
    scan: 3, for_loop: 3, while_loop: 1.5, branch: 2, call: 1,
    writes: 5,
}  # fmt: skip
