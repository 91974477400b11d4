"""What goes into a jitted function and comes out of it, against the plain function."""

import collections
import enum
import pickle
import sys
import warnings

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xnp as np
from xnp.runtime import entry_encode

pytestmark = pytest.mark.usefixtures("both_ways")

DTYPES = "?bBhHiIlLqQefdgFDG"


def copied(x):
    """A copy with the memory layout and flags of the original."""
    if not isinstance(x, numpy.ndarray):
        return x
    whole = x.base if isinstance(x.base, numpy.ndarray) else x
    offset = x.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    memory = bytearray(whole.tobytes("A"))
    out = numpy.ndarray(x.shape, x.dtype, memory, offset, x.strides)
    out.flags.writeable = x.flags.writeable
    return out


def check_same(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            check_same(a, b)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for a, b in zip(found.values(), wanted.values(), strict=True):
            check_same(a, b)
    elif isinstance(wanted, (numpy.ndarray, numpy.generic)):
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        numpy.testing.assert_allclose(found, wanted, rtol=1e-12)
        if isinstance(wanted, numpy.ndarray):
            assert found.flags.writeable == wanted.flags.writeable
    else:
        assert found == wanted


def check(f, *args):
    """jit(f) gives what f gives, and does to its arguments what f does, twice."""
    jitted = np.jit(f)
    for _ in range(2):
        ours, plain = [copied(x) for x in args], [copied(x) for x in args]
        check_same(jitted(*ours), f(*plain))
        for a, b in zip(ours, plain, strict=True):
            check_same(a, b)
    return jitted


def compiles(jitted):
    return len(np.explain(jitted))


# -- kinds of arguments --


@pytest.mark.parametrize("char", DTYPES)
def test_every_dtype_keeps_its_promotions(char):
    x = numpy.array([0, 1, 1], char)
    check(lambda x: (x + 1, x * 2.5, np.sum(x), x[0], -x if char != "?" else ~x, x == 1), x)
    check(lambda s, x: (s + 1.5, s + x, np.sqrt(s)), x[1], x)


def test_scalars_are_what_numpy_makes_of_them():
    check(lambda x: (x, x + 1, np.sin(x), x.real, abs(x)), 2.5)
    check(lambda z: (z, z * 2, z.imag, np.abs(z)), 2.5 - 1j)
    check(lambda x: (x, x + 1, x * 2.0, x[()]), numpy.float32(2.5))
    check(lambda x: (x, x + 1, x.T, x[()], x[...]), numpy.array(2.5))
    check(lambda x: x * numpy.float32(1), 2.5)


def test_python_numbers_are_static_or_weak():
    f = np.jit(lambda x, n: x**n)
    assert (f(2.0, 3), f(3.0, 3), f(2.0, 2)) == (8.0, 27.0, 4.0)
    assert compiles(f) == 2
    assert "n" not in str(f.trace(2.0, 3).parameters)
    assert np.jit(lambda x: np.ones(2, "f4") * x)(2.0).dtype == numpy.float32


def test_static_values_of_different_types_are_different():
    f = np.jit(lambda x: (type(x).__name__, x), static_argnames="x")
    values = [1, True, 1.0, numpy.int64(1), numpy.float32(1), "1", b"1", None, (1,), (1.0,), 0.0]
    for x in (*values, -0.0):
        name, found = f(x)
        assert (name, repr(found)) == (type(x).__name__, repr(x))


def test_static_and_dynamic_names():
    f = np.jit(lambda x, n, flag: x * n + flag, dynamic_argnames=("n", "flag"))
    for n, flag in ((2, True), (3, False)):
        assert f(1.5, n, flag) == 1.5 * n + flag
    assert compiles(f) == 1
    g = np.jit(np.sum, static_argnames=1)
    assert g(numpy.ones((2, 3)), (0, 1)) == 6
    numpy.testing.assert_array_equal(g(numpy.ones((2, 3)), axis=0), [2, 2, 2])
    h = np.jit(lambda n: np.zeros(n + 1)[0] + n, static_argnames=-1)
    assert h(3) == 3
    i = np.jit(lambda n: (n + 1, n // 2, n * 1.5), dynamic_argnames="n")
    assert i(5) == (6, 2, 7.5)
    assert [type(x) for x in i(6)] == [int, int, float]


def repeated(x, n, k=1):
    for _ in range(n):
        x = x * 2 + k
    return x


def test_static_positions_as_in_jax():
    jitted = [
        np.jit(repeated, dynamic_argnames="k", static_argnums=[1]),
        np.jit(static_argnums=(1,), static_argnames="k")(repeated),
        np.jit(staticmethod(repeated), static_argnums=-2).__func__,
        pickle.loads(pickle.dumps(np.jit(repeated, static_argnums=1))),
    ]
    for f in jitted:
        assert f(1.5, 3) == f(1.5, n=3) == repeated(1.5, 3)
        assert np.grad(f)(1.5, 3, k=2) == 8
    with pytest.raises(ValueError, match="'n' of repeated is both static and dynamic"):
        np.jit(repeated, dynamic_argnames="n", static_argnums=1)
    with pytest.raises(ValueError, match="names 5, but the parameters of repeated are x, n, k"):
        np.jit(repeated, static_argnums=5)
    with pytest.raises(TypeError, match="static_argnums is 'n'; wanted an int or a tuple"):
        np.jit(repeated, static_argnums="n")  # pyright: ignore[reportArgumentType] - wrong


NOT_ARGUMENTS = [
    (lambda x, n: x, "m", ValueError, "names 'm', but the parameters of <lambda> are x, n"),
    (lambda x, n: x, 7, ValueError, "names 7, but the parameters of <lambda> are x, n"),
    (lambda x, n: x, -9, ValueError, "names -9, but the parameters of <lambda> are x, n"),
    (lambda *, n: n, "m", ValueError, "names 'm', but the parameters of <lambda> are n"),
    (lambda: 1.0, 0, ValueError, "names 0, but the parameters of <lambda> are none"),
    (lambda *rest: 1.0, "rest", ValueError, r"parameters of <lambda> are \*rest"),
    (lambda x, n: x, (1.5,), TypeError, r"of <lambda> is \(1.5,\); wanted names or positions"),
    (lambda x, n: x, 1.5, TypeError, "<lambda> is 1.5; wanted names or .* parameters x, n"),
    (lambda x, n: x, None, TypeError, "static_argnames of <lambda> is None; wanted names"),
    (lambda x, n: x, True, TypeError, "static_argnames of <lambda> is True; wanted names"),
    (min, -1, ValueError, "min does not tell its parameters; count them from 0"),
]


@pytest.mark.parametrize(("f", "names", "error", "text"), NOT_ARGUMENTS)
def test_names_that_do_not_exist(f, names, error, text):
    with pytest.raises(error, match=text):
        np.jit(f, static_argnames=names)
    with pytest.raises(error, match=text.replace("static", "dynamic")):
        np.jit(f, dynamic_argnames=names)


def test_names_of_further_arguments():
    f = np.jit(lambda x, *rest, **more: (x, rest, more), static_argnames=(2, "k", -1))
    assert str(f.trace(1.0, 2.0, 3.0, k=4.0, m=5.0).parameters).count("f64") == 2
    with pytest.raises(ValueError, match="both static and dynamic"):
        np.jit(lambda n: n, static_argnames="n", dynamic_argnames=0)
    assert np.jit(lambda x, **k: x * k["m"], static_argnames="m")(2.0, m=3) == 6


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


def test_other_objects_are_static():
    f = np.jit(lambda x, mode, act, kind: act(x).astype(kind) if mode is Mode.FAST else -x)
    x = numpy.array([0.5, 1.0])
    check_same(f(x, Mode.FAST, numpy.sin, numpy.float32), numpy.sin(x).astype("f4"))
    check_same(f(x, Mode.SLOW, numpy.sin, float), -x)
    for k in (1, 2):
        check_same(f(x, Mode.FAST, lambda x, k=k: x * k, float), x * k)
    before = compiles(f)
    f(x, Mode.FAST, lambda x, k=1: x * k, float)
    assert compiles(f) == before + 1  # other code, if of the same meaning


def test_a_new_closure_with_equal_contents_needs_no_new_compilation():
    def scaled_by(k):
        return lambda x: x * k

    f = np.jit(lambda g, x: g(x))
    assert [f(scaled_by(k), 1.0) for k in (2.0, 2.0, 3.0, 2.0)] == [2.0, 2.0, 3.0, 2.0]
    assert compiles(f) == 2


def test_what_cannot_be_hashed():
    f = np.jit(lambda x, options: x, static_argnames="options")
    with pytest.raises(TypeError, match=r"argument 1 is static.*tuple in place of a list"):
        f(1.0, [1, 2])
    with pytest.raises(TypeError, match="argument 'options' is static"):
        f(1.0, options={"a": 1})
    for buffer in (bytearray(b"ab"), memoryview(bytearray(b"ab"))):
        with pytest.raises(TypeError, match=r"argument 0 holds .* of it: np.asarray\(x\)"):
            np.jit(lambda x: x)(buffer)
    with pytest.raises(TypeError, match=r"argument 0 holds set \{1\}. Pass a frozenset in its"):
        np.jit(lambda x: 1.0)([1.0, {1}])


def test_arrays_that_are_no_numbers():
    f = np.jit(lambda x: x)
    for x in (numpy.array(["a"]), numpy.array([None]), numpy.zeros(2, "M8[s]")):
        with pytest.raises(TypeError, match=r"^jit: argument 'x' holds ndarray .*\[\d\].*; "):
            f(x=x)
    with pytest.raises(TypeError, match=r"^jit: argument 0 holds ndarray .*separate arrays: x\["):
        f([numpy.zeros(2, "f8,f4")])
    with pytest.raises(np.UnsupportedError, match="MaskedArray"):
        f(numpy.ma.array([1.0]))


async def numbers():
    yield 1.0


def test_functions_that_run_in_pieces():
    with pytest.raises(TypeError, match="jit: numbers is a generator or coroutine"):
        np.jit(numbers)


def test_traced_integers_have_64_bits():
    plain = lambda x, n: x * n
    f = np.jit(plain, dynamic_argnames="n")
    for n in (2**63 - 1, -(2**63), 5):
        assert f(1.0, n) == plain(1.0, n)
    for n in (2**63, -(2**63) - 1, 10**10000):
        with pytest.raises(
            OverflowError, match=r"^jit: argument 1 holds an int of .* bits, .*Leav"
        ):
            f(1.0, n)
    assert np.jit(plain)(1.0, 2**70) == 2.0**70


def test_trees_without_end():
    ring = [1.0]
    ring.append(ring)
    deep = 1.0
    for i in range(3000):
        deep = [deep]
        if i in (sys.getrecursionlimit() * 6 // 10, 2999):
            with pytest.raises(RecursionError, match=r"^jit: argument 1 is a list .* too deeply."):
                np.jit(lambda x, tree: x)(1.0, deep)
    with pytest.raises(RecursionError, match=r"^jit: argument 'tree' is a list that is nested in"):
        np.jit(lambda x, tree: x)(1.0, tree=ring)


class Ambiguous:
    """Compares as arrays do."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __hash__(self):
        return 1

    def __eq__(self, other):
        return numpy.array(self.numbers) == numpy.array(other.numbers)


def test_static_objects_that_do_not_tell_whether_they_are_equal():
    f = np.jit(lambda x, mode: x * sum(mode.numbers))
    modes = [Ambiguous([1, 2]), Ambiguous([1, 3]), Ambiguous([1, 2])]
    assert [f(1.0, mode) for mode in (*modes, *modes)] == [3.0, 4.0, 3.0] * 2


def test_subclasses_are_taken_as_arrays(tmp_path):
    x = numpy.memmap(tmp_path / "x", float, "w+", shape=3)
    x[:] = [1.0, 2.0, 3.0]
    f = np.jit(lambda x: (x, x + 1))
    same, more = f(x)
    assert same is x
    assert type(more) is numpy.ndarray
    assert more.tolist() == [2, 3, 4]


# -- trees --


def test_trees_that_are_too_large_for_the_native_path(monkeypatch):
    monkeypatch.setattr(entry_encode, "MOST_WORDS", 100)
    tree = {f"x{i}": numpy.full(2, float(i)) for i in range(50)}
    f = np.jit(lambda tree: {name: 2 * x for name, x in tree.items()})
    for _ in range(2):
        check_same(f(tree), {name: 2 * x for name, x in tree.items()})


Pair = collections.namedtuple("Pair", "a b")


def test_trees_of_arguments_and_results():
    check(
        lambda t: {"sum": t["a"] + t["b"][0], "n": (t["b"][1], None, [])}, {"a": 1.5, "b": [2.5, 3]}
    )
    check(lambda p: Pair(p.b, p.a * 2), Pair(numpy.ones(2), 2.5))
    check(lambda t: collections.OrderedDict(b=t["b"], a=1.0), collections.OrderedDict(a=1.0, b=2.0))
    check(lambda: ((), {}, None, "text", 3, numpy.pi))
    check(lambda *args, **kwargs: (args, kwargs), 1.0, 2.0)


def test_the_order_of_a_dict_counts():
    f = np.jit(lambda d: np.stack(list(d.values())))
    for d in ({"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}):
        assert f(d).tolist() == list(d.values())
    g = np.jit(lambda **d: list(d))
    assert (g(a=1.0, b=2.0), g(b=1.0, a=2.0)) == (["a", "b"], ["b", "a"])


def test_none_is_no_leaf():
    f = np.jit(lambda x, y=None: x if y is None else x + y)
    assert (f(1.0), f(1.0, None), f(1.0, 2.0)) == (1.0, 1.0, 3.0)


def test_results_that_cannot_be_made_again():
    class Box:
        pass

    with pytest.raises(TypeError, match=r"<lambda> returned Box .*Make a class of results a tree"):
        np.jit(lambda x: Box())(1.0)
    with pytest.raises(TypeError, match="generator"):
        np.jit(lambda x: (yield x))
    box = Box()
    assert np.jit(lambda x: box)(1.0) is box


def test_static_arguments_come_back_as_they_are():
    f = np.jit(lambda key, x: (key, x * 2))
    for key in (("a", 1), "b"):
        assert f(key, 1.5) == (key, 3.0)
    first, second = object(), object()
    assert f(first, 1.0)[0] is first
    assert f(second, 1.0)[0] is second


def test_arrays_made_with_numpy_are_new_at_each_call():
    table = numpy.arange(3.0)
    f = np.jit(lambda x: (numpy.zeros(2), table, table[1:]))
    a, b = f(1.0), f(1.0)
    assert a[0] is not b[0]
    assert a[1] is b[1] is table
    assert numpy.shares_memory(a[2], table)


# -- layouts --


def strides(x):
    """Those that say something."""
    if not isinstance(x, numpy.ndarray) or not x.size:
        return []
    return [step for step, size in zip(x.strides, x.shape, strict=True) if size > 1]


def layouts():
    base = numpy.arange(24.0).reshape(2, 3, 4)
    yield from (base, numpy.asfortranarray(base), base[::-1, :, ::2], base.transpose(1, 2, 0))
    yield from (base[:, :0], numpy.broadcast_to(base[:1], (2, 3, 4)), base[..., 1:3], base[0])
    yield base.astype(">f8")
    yield base.astype(">f8")[:, ::2]
    packed = numpy.zeros(6, [("a", "u1"), ("x", "f8")])
    packed["x"] = numpy.arange(6)
    yield packed["x"].reshape(2, 3)


@pytest.mark.parametrize("x", list(layouts()), ids=lambda x: f"{x.dtype}{x.shape}{x.strides}")
def test_layouts(x):
    f = np.jit(lambda x: (x + 1, x.T, x.ravel(), x.reshape(-1), np.cumsum(x), x[..., ::-1], x))
    for _ in range(2):
        found, wanted = f(x), f.__wrapped__(x)
        for a, b in zip(found, wanted, strict=True):
            numpy.testing.assert_array_equal(a, b)
            assert strides(a) == strides(b)
            assert numpy.shares_memory(a, x) == numpy.shares_memory(b, x)
        assert found[-1] is x


@pytest.mark.parametrize("x", list(layouts()), ids=lambda x: f"{x.dtype}{x.shape}{x.strides}")
def test_writing_into_layouts(x):
    def f(x):
        x[..., 0] = 7.0
        x *= 2
        x.T[...] += 1.0
        return np.sum(x)

    x = x if x.flags.writeable else x.copy()
    if 0 in x.shape:
        return
    ours, plain = x.copy("K"), x.copy("K")
    jitted = np.jit(f)
    assert jitted(ours) == f(plain)
    numpy.testing.assert_array_equal(ours, plain)


KEEP_ORDER = {
    "where": lambda x: np.where(x > 0, x, 0.0),
    "where with C order": lambda x: np.where(np.ones(x.shape) > 0, x, 0.0),
    "astype": lambda x: x.astype("f4"),
    "dtype": lambda x: np.multiply(x, 2, dtype="f4"),
    "cumsum": lambda x: np.cumsum(x, axis=0),
    "accumulate": lambda x: np.multiply.accumulate(x, axis=1),
    "concatenate": lambda x: np.concatenate([x, 2 * x], axis=1),
    "concatenate with C order": lambda x: np.concatenate([np.zeros(x.shape), x]),
    "stack": lambda x: np.stack([x, x], axis=-1),
    "array of rows": lambda x: np.array([x, x]),
    "gradient": lambda x: np.gradient(x, axis=0),
    "nan_to_num": np.nan_to_num,
    "round": np.round,
    "round to decimals": lambda x: np.round(x, 1),
    "pad": lambda x: np.pad(x, 1),
    "pad by the edge": lambda x: np.pad(x, 1, mode="edge"),
    "delete": lambda x: np.delete(x, 0, axis=1),
}


@pytest.mark.parametrize("name", KEEP_ORDER)
def test_results_lie_in_memory_as_numpys(name):
    """What is written to a view that only some orders have is written to the array."""

    def f(x):
        y = KEEP_ORDER[name](x)
        flat = y.T.reshape(-1)
        flat[1] = 99.0
        return y, y.ravel(order="K")

    base = numpy.arange(24.0).reshape(2, 3, 4)
    for x in (base[0], numpy.asfortranarray(base[0]), base[0].T, base.transpose(1, 2, 0)[::2]):
        wanted = f(x)
        for found in (np.jit(f)(x), np.vjp(f, x)[0]):
            for a, b in zip(found, wanted, strict=True):
                numpy.testing.assert_array_equal(a, b)
                assert strides(a) == strides(b)


def test_a_view_of_a_bigger_array_is_written_in_place():
    base = numpy.zeros((4, 4))

    def f(x):
        x[0] = 1.0
        x[:, 1] += 2.0

    np.jit(f)(base[1:3, ::2])
    assert base[1].tolist() == [1, 0, 3, 0]
    assert base[2].tolist() == [0, 0, 2, 0]
    assert base[[0, 3]].sum() == 0


# -- writing, aliasing --


def test_arguments_are_written_to():
    def f(x, y):
        x[0] = y[1]
        y += 1.0
        x[1:] *= 2
        return np.sum(x)

    check(f, numpy.arange(3.0), numpy.arange(3.0))


def test_nothing_is_written_if_the_function_raises():
    def f(x):
        x[0] = 5.0
        raise KeyError("mine")

    x = numpy.zeros(2)
    with pytest.raises(KeyError, match="mine"):
        np.jit(f)(x)
    assert x.tolist() == [0, 0]

    def g(x):
        x[0] = 5.0
        return np.average(x, weights=x - x)

    with pytest.raises(ZeroDivisionError):
        np.jit(g)(x)
    assert x.tolist() == [0, 0]


def test_read_only_arguments():
    x = numpy.zeros(3)
    x.flags.writeable = False

    def f(x):
        x[0] = 1.0

    with pytest.raises(ValueError, match="read-only"):
        np.jit(f)(x)
    view = np.jit(lambda x: x[1:])(x)
    assert not view.flags.writeable
    assert numpy.shares_memory(view, x)
    assert np.jit(lambda x: x)(x) is x
    assert np.jit(lambda x: x + 1)(x).flags.writeable


def test_the_imaginary_part_of_a_real_array_is_read_only():
    for x in (numpy.array(2.0), numpy.ones(2)):
        check(lambda x: x.imag, x)


def test_returned_views_are_views():
    def f(x):
        y = x * 2
        y[1] = 0.5
        return x, x[1:], x.T, y, y[::2], y.reshape(1, -1), np.broadcast_to(y, (2, 3)), y.real

    zeros = lambda x: (x.imag, np.rot90(x.imag), np.flip(x.reshape(3, 1)))
    check_same(np.jit(zeros)(numpy.ones((1, 3))), zeros(numpy.ones((1, 3))))
    x = numpy.arange(3.0)
    found, wanted = np.jit(f)(x), f(x)
    check_same(found, wanted)
    for i, a in enumerate(found):
        for j, b in enumerate(found):
            assert numpy.shares_memory(a, b) == numpy.shares_memory(wanted[i], wanted[j])
    found[1][0] = 9.0
    assert x[1] == 9.0


def swapped(x, y):
    x[...] = y[::-1]
    y[0] += x[0]
    return x + y


def test_arguments_that_overlap():
    f = np.jit(swapped)
    for make in (
        lambda a: (a, a),
        lambda a: (a[:-1], a[1:]),
        lambda a: (a[::2], a[::2]),
        lambda a: (a[:2], a[2:]),
        lambda a: (a[::-1], a),
    ):
        ours, plain = numpy.arange(4.0), numpy.arange(4.0)
        check_same(f(*make(ours)), swapped(*make(plain)))
        numpy.testing.assert_array_equal(ours, plain)


def test_an_argument_that_overlaps_itself():
    def f(x):
        x += 1.0
        return np.sum(x)

    jitted = np.jit(f)
    ours, plain = numpy.zeros(4), numpy.zeros(4)
    windows = numpy.lib.stride_tricks.as_strided
    assert jitted(windows(ours, (3, 2), (8, 8))) == f(windows(plain, (3, 2), (8, 8)))
    numpy.testing.assert_array_equal(ours, plain)


def test_an_argument_that_overlaps_what_the_function_reads():
    table = numpy.arange(4.0)

    def f(x):
        x[0] = 10.0
        return x * table[:2]

    found = np.jit(f)(table[:2])
    assert found.tolist() == [100.0, 1.0]
    assert table[0] == 10.0


def test_an_argument_gets_another_shape():
    def f(x):
        x.shape = (3, 2)
        x[0] = 1.0
        return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = numpy.zeros(6)
        assert np.jit(f)(x) is x
    assert x.shape == (3, 2)
    assert x.tolist() == [[1, 1], [0, 0], [0, 0]]


def reshaped_view(x):
    x.shape = (3, 2)
    return np.moveaxis(x, 0, -1), x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy 2.5
@pytest.mark.parametrize("f", [reshaped_view, lambda x: setattr(x, "shape", 6)])
@pytest.mark.parametrize("order", "CF")
def test_a_read_only_argument_gets_another_shape(f, order):
    x = numpy.array(numpy.arange(6.0).reshape(1, 6), order=order)
    x.flags.writeable = False
    check(f, x)

    def shape_inside(y):
        view = (y * 2).reshape(1, 6)
        view.flags.writeable = False
        np.jit(f)(view)
        return np.sum(view), view.shape

    wanted = copied(x)
    f(wanted)
    assert np.grad(shape_inside, has_aux=True)(x)[1] == wanted.shape


shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(shapes, st.permutations(range(3)), st.booleans(), st.sampled_from("fdFi"))
def test_any_array(shape, order, is_reversed, char):
    """Elementwise results lie in memory as NumPy's do, and views follow."""
    x = numpy.arange(numpy.prod(shape, dtype=int)).reshape(shape).astype(char)
    x = x.transpose([i for i in order if i < x.ndim])
    x = x[::-1] if is_reversed and x.ndim else x
    f = np.jit(lambda x: (x * 2, (x + 1).ravel(), (x - 1).T, x.ravel(), x.sum(), x.copy()))
    for a, b in zip(f(x), f.__wrapped__(x), strict=True):
        check_same(a, b)
        assert strides(a) == strides(b)


@given(st.lists(st.integers(1, 3), min_size=2, max_size=3), st.data())
def test_the_order_of_results_of_several_operands(shape, data):
    operands = []
    for _ in range(data.draw(st.integers(1, 3))):
        order = data.draw(st.permutations(range(len(shape))))
        narrow = [data.draw(st.sampled_from((size, size, 1))) for size in shape]
        x = numpy.ones([narrow[i] for i in order]).transpose(numpy.argsort(order))
        if data.draw(st.booleans()):
            x = numpy.broadcast_to(x, shape)
        operands.append(x)
    f = np.jit(lambda *xs: sum(xs[1:], xs[0] * 1))
    found, wanted = f(*operands), f.__wrapped__(*operands)
    assert strides(found) == strides(wanted)


def test_bools_of_python():
    """What NumPy gives as a bool of Python's is one."""
    x = numpy.array([1.0, 2.0])
    for f in (np.allclose, np.array_equal, np.array_equiv):
        for y in (x, x + 1.0):
            check(lambda x, y, f=f: f(x, y), x, y)
            check(lambda x, y, f=f: (f(x, y) + 1, ~(f(x, y) + 0), not_of(f(x, y))), x, y)


def not_of(truth):
    return truth == False  # noqa: E712 - a traced bool has no `not`


# -- arrays with gaps are read where they lie --

PARTS = {
    "steps": lambda x: x[::2, ::3],
    "reversed": lambda x: x[::-1, ::-1],
    "columns": lambda x: x[:, 3:14],
    "transposed steps": lambda x: x[::3, 1::2].T,
    "diagonal": lambda x: numpy.diagonal(x)[None],
    "windows": lambda x: numpy.lib.stride_tricks.sliding_window_view(x.ravel(), 5),
    "repeated": lambda x: numpy.broadcast_to(x[:, 4:5], x.shape),
    "field": lambda x: x.astype(complex).imag + x.astype(complex).real,
    "real part": lambda x: x.astype(complex).real,
}


@pytest.mark.parametrize("char", "dfhq?")
@pytest.mark.parametrize("part", PARTS)
def test_arrays_with_gaps(part, char):
    x = PARTS[part](numpy.arange(340.0).reshape(17, 20)).astype("d")
    if part != "field":
        x = PARTS[part](numpy.arange(340).reshape(17, 20).astype(char))

    def f(x):
        y = x + x
        return y, np.sum(x, axis=0), np.max(x), x @ x.T, x[0], np.sort(x), x.reshape(-1), x.T * 2

    def g(x):
        return np.fori_loop(0, 3, lambda i, c: c + x[i % 2, 0], x[0, 1] * 1)

    for found, wanted in zip(np.jit(f)(x), f(x), strict=True):
        assert found.dtype == wanted.dtype
        numpy.testing.assert_allclose(found, wanted, rtol=1e-5 if char == "f" else 1e-12)
        assert numpy.shares_memory(found, x) == numpy.shares_memory(wanted, x)
    if len(x) > 1:
        assert np.jit(g)(x) == g(x)


def test_an_array_that_no_memory_could_hold():
    x = numpy.broadcast_to(1.5, (10**9, 10**6))
    assert np.jit(lambda x: x[0, 0] + x[-1, -1])(x) == 3.0


def test_arrays_that_are_not_dense_take_the_native_path():
    base = numpy.random.default_rng(0).normal(size=(6, 4, 3))
    others = (base[::2], base[:, 1], base.transpose(1, 0, 2), base[::-1, :, ::2], base[:0, ::2])
    for x in (*others, numpy.broadcast_to(base[0], (5, 4, 3))):
        f = np.jit(lambda a: (a * 2 + 1, a[..., ::-1]))
        for y in (x, x, -x + x, x):
            product, view = f(y)
            numpy.testing.assert_array_equal(product, y * 2 + 1)
            numpy.testing.assert_array_equal(view, y[..., ::-1])
            assert view.flags.writeable == y.flags.writeable
            assert view.size == 0 or numpy.may_share_memory(view, y)
        g, dense = np.jit(lambda a: a * 2), np.jit(lambda a: a * 2)
        g(x)
        dense(x.copy("C"))
        assert len(g.signatures) == len(dense.signatures)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("order", [(0, 1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0, 1)])
def test_read_only_arrays_are_another_kind(step, order):
    def write(x):
        if x.flags.writeable:
            x[0] = 5.0
        return x.sum()

    choose = lambda x: x + 1 if x.flags.writeable else x + 2
    same = lambda x: x if x.flags.writeable else x.copy()
    for f in (write, choose, same):
        g = np.jit(f)
        for writeable in order:
            arrays = [numpy.arange(12.0)[::step] for _ in range(2)]
            for x in arrays:
                x.flags.writeable = bool(writeable)
            found, expected = g(arrays[0]), f(arrays[1])
            numpy.testing.assert_array_equal(found, expected)
            numpy.testing.assert_array_equal(*arrays)
            shared = [
                numpy.may_share_memory(*x) for x in zip((found, expected), arrays, strict=True)
            ]
            assert shared[0] == shared[1]
