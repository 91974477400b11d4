"""The rules of simplification: what they rewrite, and what only looks as if it could be."""

import itertools

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs_of import INTS, X, check_same, names, optimized_names, program_of

import xnp
from xnp.codegen.passes.movement import keeps_values, merged_index

# -- algebra, and what is none --

SAME = [
    "x * 1",
    "1.0 * x",
    "x - 0.0",
    "x + -0.0",
    "x / 1",
    "x**1",
    "-(-x)",
    "+x",
    "x.T.T",
    "x.reshape(-1).reshape(2, 4)",
    "x[:, :]",
    "x[:, None].reshape(x.shape)",
    "xnp.flip(xnp.flip(x))",
    "xnp.transpose(x[None], (1, 0, 2)).reshape(2, 4)",
    "x[::-1][::-1]",
    "x[:2, -4:]",
    "x.astype(float)",
    "xnp.where(xnp.ones((2, 4), bool), x, 3.0)",
    "x.conj()",
    "x.real",
    "xnp.concatenate([x, xnp.zeros((0, 4))])",
    "xnp.moveaxis(xnp.moveaxis(x, 0, 1), 0, 1)",
    "xnp.broadcast_to(x, (2, 4))",
]


def function_of(text):
    return eval(f"lambda x: {text}", {"xnp": xnp, "numpy": numpy})


@pytest.mark.parametrize("text", SAME)
def test_identities(text):
    assert optimized_names(function_of(text), X) == []


LEFT_ALONE = [
    "x + 0.0",
    "x + 0",
    "x - -0.0",
    "0.0 - x",
    "x - x",
    "x * 0",
    "x / x",
    "x / 3.0",
    "xnp.power(x, 3)",
    "xnp.where(x > 0, x, x + 1)",
    "(x + 1) - 1",
    "x.astype(numpy.float32).astype(float)",
    "x.astype(complex) * 1",
]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_no_identity(text):
    program = program_of(function_of(text), (X,))
    assert names(check_same(program, (X,))) == [n for n in names(program) if n != "copy"]


def test_integers():
    assert optimized_names(lambda x: (x + 0) * 1 - 0, INTS) == []
    assert optimized_names(lambda x: (x | 0) ^ 0, INTS) == []
    assert optimized_names(lambda x: x // 1 << 0, INTS) == []
    assert optimized_names(lambda x: x * 0, INTS) == ["broadcast_to"]
    assert optimized_names(lambda x: x * 1.0, INTS) == ["convert"]
    assert optimized_names(lambda x: -x + 1, INTS) == ["subtract"]
    assert optimized_names(lambda x: ~~x, INTS) == []
    # -x wraps around as an int8, before it is an int16
    wide = numpy.ones((2, 3), numpy.int16)
    assert optimized_names(lambda x, y: y + -x, INTS, wide) == ["negative", "add"]


def test_booleans():
    b = numpy.array([True, False])
    assert optimized_names(lambda b: ~(~b), b) == []
    assert optimized_names(lambda b: xnp.logical_not(xnp.logical_not(b)), b) == []
    assert optimized_names(lambda b: xnp.logical_and(b, True), b) == []
    assert optimized_names(lambda b: xnp.logical_or(b, True), b) == ["broadcast_to"]
    assert len(optimized_names(lambda x: xnp.logical_not(xnp.logical_not(x)), X)) == 2
    assert optimized_names(lambda b, x: xnp.where(~b, x, 2.0), b, b + 0.5) == ["select"]


def test_signs():
    y = X[::-1].copy()
    assert optimized_names(lambda x, y: x + -y, X, y) == ["subtract"]
    assert optimized_names(lambda x, y: -x + y, X, y) == ["subtract"]
    assert optimized_names(lambda x, y: x - -y, X, y) == ["add"]
    assert optimized_names(lambda x, y: -x * -y, X, y) == ["multiply"]
    assert optimized_names(lambda x: x * -1, X) == ["negative"]
    assert optimized_names(lambda x: abs(-x), X) == ["absolute"]
    assert optimized_names(lambda x, y: -(x - y), X, y) == ["subtract", "negative"]


def test_powers_and_quotients():
    assert optimized_names(lambda x: xnp.power(x, 2), X) == ["square"]
    assert optimized_names(lambda x: xnp.power(x, -1.0), X) == ["reciprocal"]
    assert optimized_names(lambda x: xnp.power(x, numpy.full((2, 4), 0.5)), X)[-1] == "power"
    optimized_names(lambda x: xnp.power(x, 0.5), X)
    assert optimized_names(lambda x: x / 4, X) == ["multiply"]
    assert optimized_names(lambda x: x / -0.125, X) == ["multiply"]
    tiny = numpy.finfo(float).tiny
    assert optimized_names(lambda x: x / (tiny / 4), X) == ["divide"]
    single = X.astype(numpy.float32)
    assert optimized_names(lambda x: x / 2.0**-130, single) == ["divide"]


@pytest.mark.parametrize("a", "?bBhHiIlLefdgFD")
@pytest.mark.parametrize("b", "?bBhHiIlLefdgFD")
def test_keeps_values(a, b):
    a, b = numpy.dtype(a), numpy.dtype(b)
    if not keeps_values(a, b):
        return
    if a.kind in "iu":
        info = numpy.iinfo(a)
        x = numpy.array([info.min, info.max, info.max - 1, 1], a)
    else:
        x = numpy.array([0, 1], a) if a.kind == "b" else numpy.array([1.5, 1]).astype(a)
        if a.kind in "fc":
            x[1] += numpy.finfo(a).eps
    wide = x.astype(b)
    assert ((wide.real if a.kind != "c" else wide).astype(a) == x).all()


def test_conversions():
    assert optimized_names(lambda x: x.astype(float).astype(numpy.int16), INTS) == ["quantize"]
    assert optimized_names(lambda x: x.astype(float).astype(numpy.int8), INTS) == []
    wide = numpy.array([300, -5])
    assert len(optimized_names(lambda x: x.astype(float).astype(numpy.int64), wide)) == 2
    small = numpy.array([3.5, 1.0], numpy.float32)
    assert optimized_names(lambda x: x.astype(float).astype(numpy.float16), small) == ["convert"]
    assert len(optimized_names(lambda x: x.astype(int).astype(float), small)) == 2


# -- moving elements --


def test_transposes_are_merged_and_stay_in_front_of_matmul():
    a = numpy.arange(24.0).reshape(2, 3, 4)
    assert optimized_names(lambda a: a.transpose(1, 2, 0).transpose(1, 2, 0), a) == ["transpose"]
    m = a[0]
    assert optimized_names(lambda m: m @ m.T, m) == ["transpose", "matmul"]
    assert optimized_names(lambda m: m.T.T.T @ m, m) == ["transpose", "matmul"]
    assert optimized_names(lambda a: a.T.sum((0, 2)), a) == ["reduce_sum"]


def test_transposes_around_elementwise_operations_go():
    a, b = numpy.arange(24.0).reshape(2, 3, 4), numpy.ones((2, 1, 4))
    turned = lambda a: a.transpose(2, 0, 1)
    back = lambda a: a.transpose(1, 2, 0)
    check = lambda f, *args: check_same(program_of(f, args), args)
    f = lambda a, b: back(xnp.where(turned(a) > 1, xnp.sin(turned(a)) * turned(b), 2.0))
    assert sorted(optimized_names(f, a, b)) == ["greater", "multiply", "select", "sin"]
    check(f, a, b)
    shared = lambda a: (back(xnp.exp(turned(a))), xnp.exp(turned(a)) + 1)
    check(shared, a)
    for kept in (
        lambda a, b: back(turned(a) + b.transpose(0, 2, 1)),  # of another order
        lambda a, b: back(turned(a) + numpy.arange(12.0).reshape(4, 1, 3)),
        lambda a, b: back(turned(a) * turned(a)[0]),
        lambda a, b: back(xnp.sort(turned(a), axis=0)),
    ):
        assert "transpose" in optimized_names(kept, a, numpy.ones((4, 3, 2)))
        check(kept, a, numpy.ones((4, 3, 2)))
    fortran = numpy.asfortranarray(a)
    assert (xnp.jit(lambda x: x * 2 + 1)(fortran) == a * 2 + 1).all()


def test_broadcasts_move_inwards():
    row, square = numpy.array([0.5, 1.5]), numpy.ones((3, 2))
    stretched = optimized_names(lambda r: xnp.sin(xnp.broadcast_to(r, (3, 2))) * 2 + 1, row)
    assert stretched == ["sin", "multiply", "add", "broadcast_to"]
    assert optimized_names(lambda r, s: xnp.broadcast_to(r, (3, 2)) + s, row, square) == ["add"]
    both = optimized_names(
        lambda r: xnp.broadcast_to(r, (3, 2)) + xnp.broadcast_to(r[0], (2,)), row
    )
    assert both == ["getitem", "add", "broadcast_to"]


@given(st.data())
def test_parts_of_parts(data):
    """Two indices in one, for all that NumPy's basic indexing has."""
    bounds = st.one_of(st.none(), st.integers(-5, 5))
    part = st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, -1, -3]))
    x = numpy.arange(60.0).reshape(3, 4, 5)

    def draw(shape):
        index = []
        for size in shape[: data.draw(st.integers(0, len(shape)))]:
            index += data.draw(st.sampled_from([[], [None]]))
            whole = st.integers(-size, size - 1) if size else part
            index.append(data.draw(st.one_of(part, whole)))
        return tuple(index)

    first = draw(x.shape)
    then = draw(x[first].shape)
    index = merged_index(x.shape, first, then)
    assert index is not None or None in first
    if index is not None:
        assert numpy.array_equal(x[index], x[first][then])
        assert x[index].shape == x[first][then].shape


def test_reductions():
    row = numpy.array([0.1, -0.0])
    wide = (3, 2)
    assert optimized_names(lambda r: xnp.broadcast_to(r, wide).sum(0), row)[-1] == "multiply"
    assert optimized_names(lambda r: xnp.broadcast_to(r, wide).max(0), row) == []
    assert optimized_names(lambda x: x.sum(0).sum(), X) == ["reduce_sum"]
    assert optimized_names(lambda x: x.max(1).max(0), X) == ["reduce_max"]
    assert optimized_names(lambda x: x.reshape(-1).sum(), X) == ["reduce_sum"]
    assert optimized_names(lambda x: x[None].sum(0), X) == ["add"]  # of 0.0: -0.0 becomes 0.0
    assert optimized_names(lambda x: x[None].max(0), X) == []
    infinite = numpy.array([numpy.inf, 1.0])
    assert "multiply" not in optimized_names(lambda r: xnp.broadcast_to(r, (0, 2)).sum(0), infinite)


def test_norms():
    norm = numpy.linalg.norm
    squares = ["multiply", "reduce_sum", "sqrt"]
    assert optimized_names(norm, X[0]) == ["matmul", "sqrt"]
    assert optimized_names(norm, X) == ["reshape", "matmul", "sqrt"]
    assert optimized_names(lambda x: norm(x.T), X) == ["reshape", "matmul", "sqrt"]
    assert optimized_names(lambda x: norm(x, axis=1), X) == squares
    assert optimized_names(lambda x: norm(x - 1), X) == ["subtract", *squares]
    assert optimized_names(lambda x: norm(abs(x), axis=0), X) == ["absolute", *squares]
    parts = ["real", "imag", "multiply", "multiply", "add", "reduce_sum", "sqrt"]
    assert optimized_names(norm, X + 1j) == parts
    assert optimized_names(norm, X.astype(numpy.float16)) == ["norm2"]


@pytest.mark.parametrize("char", "bHqfdFDe?")
def test_sliding_products(char):
    numbers = numpy.random.default_rng(0)
    x, w = (numbers.integers(-4, 5, n).astype(char) for n in (300, 200))
    for count in (1, 2, 3, 32, 33, 128, 129, 200):
        for mode in ("full", "same", "valid"):
            for f in (numpy.convolve, numpy.correlate):
                found = optimized_names(lambda x, w, f=f, m=mode: f(x, w, m), x, w[:count])
                results = {"full": 299 + count, "same": 300, "valid": 301 - count}[mode]
                assert ("slide" in found) == (min(count, results) > 128 or char in "e?")
                is_apart = mode != "valid" and count > 1
                assert is_apart or ("reduce_sum" in found) == ("slide" not in found and count > 32)


@pytest.mark.parametrize("special", [1.5, numpy.inf, -numpy.inf, numpy.nan])
def test_sliding_products_at_both_ends(special):
    """Where a window ends with the array, the other weights do not count, infinite or not."""
    numbers = numpy.random.default_rng(0)
    for (m, n), place in itertools.product(
        [(9, 4), (4, 4), (3, 7), (300, 40), (200, 150), (5001, 9), (8, 2)], (0, 1)
    ):
        x, w = numbers.normal(size=m), numbers.normal(size=n)
        w[place] = special
        for f, mode in itertools.product((xnp.convolve, xnp.correlate), ("full", "same", "valid")):
            g = lambda x, w, f=f, mode=mode: f(x, w, mode)
            with numpy.errstate(invalid="ignore"):
                want = g(x, w)
                for found in (xnp.jit(g)(x, w), xnp.jvp(g, (x, w), (x, w))[0]):
                    numpy.testing.assert_allclose(found, want, rtol=1e-11, atol=1e-11)
                found = xnp.vmap(g)(numpy.array([x, x]), numpy.array([w, w]))
                numpy.testing.assert_allclose(found, [want, want], rtol=1e-11, atol=1e-11)


def test_sums_of_negative_zeros_in_sliding_products_begin_with_zero():
    x, one = numpy.array([-0.0, 1.0]), numpy.ones(1)
    assert not numpy.signbit(xnp.jit(numpy.correlate)(x, one)).any()
    assert not numpy.signbit(numpy.correlate(x, one)).any()


# -- writing and reading --


def test_what_was_written_is_read():
    def running(x):
        out = xnp.zeros(4)
        for i in range(1, 4):
            out[i] = out[i - 1] * 0.5 + x[i]
        return out[3]

    assert "setitem" not in optimized_names(running, X[1])

    def halves(x):
        out = xnp.zeros((2, 4))
        out[0] = x[0]
        out[1, ::2] = x[1, ::2]
        out[1, 1::2] = x[1, 1::2]
        return out[0] + 1, out[1, ::2], out[1, 1::2]

    assert sorted(optimized_names(halves, X)) == ["add", "getitem", "getitem", "getitem"]

    def again(x):
        x = x.copy()
        x[1:3] = 1
        x[1:3] = 2
        x[:] = x[...]
        return x

    assert optimized_names(again, X[0]) == ["setitem"]

    def whole(x):
        out = xnp.empty((2, 4), numpy.float32)
        out[...] = x
        return out

    assert optimized_names(whole, X) == ["convert"]


def test_overlapping_writes_are_kept():
    def f(x):
        out = xnp.zeros(4)
        out[:3] = x[:3]
        out[2:] = 7
        return out[1:3], out[-1]

    optimized_names(f, X[1])


def test_sums_of_parts_are_written_into_one_array():
    def f(x):
        return sum(x[i] * x[i + 1] for i in range(15)) + x[3] * x[3]

    def gradient(x):
        return xnp.grad(f)(x)

    x = numpy.linspace(-1, 1, 16)
    x[5] = -0.0
    found = optimized_names(gradient, x)
    assert found.count("embed") == 1
    assert "broadcast_to" not in found


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, -0.0, 1.5, -1.5])), max_size=6))
def test_sums_of_parts_keep_the_signs_of_zeros(parts):
    def f(x, y):
        total = y
        for place, factor in parts:
            one = xnp.zeros(6)
            one[place] = x[place] * factor
            total = total + one
        return total

    x = numpy.array([1.0, -1.0, -0.0, 0.0, 2.0, -3.0])
    zeros = numpy.array([0.0, -0.0, -0.0, 0.0, 1.0, -0.0])
    check_same(program_of(f, (x, zeros)), (x, zeros))
    check_same(program_of(lambda x: f(x, 0.0), (x,)), (x,))

    def pulled(x, ct):
        return xnp.vjp(lambda x: [x[place] * factor for place, factor in parts], x)[1](ct)

    cts = [numpy.float64(ct) for _, ct in reversed(parts)]
    check_same(program_of(pulled, (x, cts)), (x, cts))


@given(st.data())
def test_writes_and_reads_anywhere(data):
    """Random chains of writes to and reads from one array."""
    bounds = st.integers(-4, 4)
    part = st.one_of(
        st.integers(-4, 3),
        st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, 3, -1, -2])),
        st.just(slice(None)),
    )
    index = st.tuples(part, part)
    steps = data.draw(st.lists(st.tuples(index, index), min_size=1, max_size=6))

    def f(x):
        x = x.copy()
        for number, (write, read) in enumerate(steps):
            x[write] = x[read].sum() + number
        return x, [x[read] for _, read in steps]

    x = numpy.arange(16.0).reshape(4, 4)
    check_same(program_of(f, (x,)), (x,), loose=True)


@pytest.mark.parametrize("char", "BHIQbhqd")
def test_the_absolute_value_of_what_was_negated(char):
    x = numpy.array([2, 0, 7], char)
    numpy.testing.assert_array_equal(xnp.jit(lambda x: abs(-x))(x), abs(-x))


@pytest.mark.parametrize(
    "text",
    [
        "xnp.concatenate([x, 2 * x], axis=1)",
        "xnp.concatenate([abs(x), x, x * x], axis=0)",
        "xnp.pad(x, ((1, 2), (0, 3))) * 2",
        "xnp.cumsum(x, axis=0) + xnp.cumprod(x + 1, axis=1)",
        "xnp.where(x > 0, xnp.pad(x * x, ((1, 0), (1, 0)))[1:, 1:], 0)",
        "xnp.stack([x, x * x, x + 1])",
        "xnp.stack([x, x * x], axis=-1)",
    ],
)
def test_nothing_is_transposed_that_begins_and_ends_in_fortran_order(text):
    f = eval(f"lambda x: {text}", {"xnp": xnp})
    x = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4) - 5)
    program = xnp.jit(f).inspect(x).optimized
    assert "transpose" not in [e.primitive.name for e in program.equations]
    found, wanted = xnp.jit(f)(x), f(x)
    numpy.testing.assert_allclose(found, wanted, rtol=1e-14)
    assert found.strides == wanted.strides
