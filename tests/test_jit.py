"""jit itself: with the other transformations, as an object, its errors, in threads."""

import copy
import functools
import inspect
import pickle
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

import xnp as np
from xnp.autodiff.core import thread_state

pytestmark = pytest.mark.usefixtures("both_ways")


def compiles(f):
    return len(np.explain(f))


# -- with other transformations --


def poly(x):
    y = np.zeros(3)
    y[:] = x
    y[1:] *= x[:-1]
    return np.sum(y**3) + y[0]


X = numpy.array([0.5, -1.5, 2.0])


def test_derivatives_and_batches_in_every_order():
    f = np.jit(poly)
    numpy.testing.assert_allclose(np.grad(f)(X), np.grad(poly)(X))
    numpy.testing.assert_allclose(np.jit(np.grad(poly))(X), np.grad(poly)(X))
    numpy.testing.assert_allclose(np.jit(np.grad(f))(X), np.grad(poly)(X))
    numpy.testing.assert_allclose(np.hessian(f)(X), np.hessian(poly)(X))
    numpy.testing.assert_allclose(np.jit(np.hessian(f))(X), np.hessian(poly)(X))
    xs = numpy.stack([X, 2 * X])
    numpy.testing.assert_allclose(np.vmap(f)(xs), np.vmap(poly)(xs))
    numpy.testing.assert_allclose(np.jit(np.vmap(np.grad(f)))(xs), np.vmap(np.grad(poly))(xs))
    value, slope = np.jit(np.value_and_grad(f))(X)
    assert value == poly(X)
    numpy.testing.assert_allclose(slope, np.grad(poly)(X))


def test_jit_inside_jit_is_one_call():
    inner = np.jit(lambda x: np.sin(x) * 2)
    outer = np.jit(lambda x: inner(x) + inner(x + 1))
    numpy.testing.assert_allclose(outer(X), outer.__wrapped__(X))
    assert str(outer.trace(X)).count("= call ") == 2
    assert compiles(inner) == 1


def test_a_call_under_a_transformation_gives_handles():
    f = np.jit(lambda x: (x * 2, x[1:], x))
    seen = []

    def g(x):
        plain = numpy.ones(2)
        doubled, view, same = f(plain)
        seen.append((type(doubled).__name__, same is plain, numpy.shares_memory(view, plain)))
        return np.sum(f(x)[1])

    numpy.testing.assert_array_equal(np.grad(g)(X), [0.0, 1.0, 1.0])
    assert seen == [("TracedArray", True, True)]


def test_arguments_are_written_to_under_a_transformation():
    @np.jit
    def scaled(x, k):
        x *= k
        x[0] = 1.0
        return x[1:]

    def f(x):
        y = x * 1.0
        part = scaled(y[::2], 3.0)
        part += 1.0
        return np.sum(y**2)

    numpy.testing.assert_allclose(f(X), f(X))
    plain = np.grad(lambda x: np.sum(np.stack([1.0 + 0 * x[0], x[1], 3 * x[2] + 1]) ** 2))
    numpy.testing.assert_allclose(np.grad(f)(X), plain(X))
    numpy.testing.assert_allclose(np.jit(np.grad(f))(X), plain(X))
    numpy.testing.assert_allclose(np.jit(f)(X), f(X))


def test_traced_values_are_not_written_into_the_callers_arrays():
    @np.jit
    def into(buffer, x):
        buffer[0] = x

    buffer = numpy.zeros(2)
    with pytest.raises(np.MutationError, match="argument of a jitted function"):
        np.grad(lambda x: into(buffer, x) or x)(1.0)
    into(buffer, 2.0)
    assert buffer[0] == 2.0


def test_values_of_outer_transformations_are_captured():
    def f(x):
        inner = np.jit(lambda y: y * x + np.sum(x))
        return np.sum(inner(2.0) * inner(x))

    plain = lambda x: np.sum((2.0 * x + np.sum(x)) * (x * x + np.sum(x)))
    numpy.testing.assert_allclose(np.grad(f)(X), np.grad(plain)(X))
    numpy.testing.assert_allclose(np.jit(np.grad(f))(X), np.grad(plain)(X))
    numpy.testing.assert_allclose(np.jit(f)(X), plain(X))


def test_arguments_that_are_views_of_one_array():
    @np.jit
    def shift(a, b):
        a[...] = b * 2
        return a + b

    def f(x):
        y = x * 1.0
        return np.sum(shift(y[1:], y[:-1]) * y[0])

    def plain(x):
        y = x * 1.0
        return np.sum(shift.__wrapped__(y[1:], y[:-1]) * y[0])

    numpy.testing.assert_allclose(np.grad(f)(X), np.grad(plain)(X))
    numpy.testing.assert_allclose(np.jit(f)(X), plain(X))


def test_recursion():
    @np.jit
    def power(x, n):
        return 1.0 if n == 0 else x * power(x, n - 1)

    assert power(2.0, 5) == 32.0
    assert np.grad(power)(2.0, 5) == 80.0


# -- as an object --


def documented(x, k=2):
    """What it does."""
    return x * k


doubled = np.jit(documented)


@np.jit
def decorated(x):
    return x + 1


@np.jit(static_argnames="n")
def with_options(x, n):
    return x * n


class Holder:
    @np.jit
    def method(self, x):
        return x + 1

    nested = np.jit(documented)


def test_it_looks_like_the_function():
    assert doubled.__wrapped__ is documented
    assert (doubled.__name__, doubled.__doc__) == ("documented", "What it does.")
    assert repr(decorated) == "<jit of decorated>"
    assert np.jit(np.jit(documented))(1.5) == 3.0
    assert with_options(1.5, 2) == 3.0


@pytest.mark.parametrize("f", [decorated, with_options, doubled], ids=lambda f: f.__name__)
def test_pickles(f):
    again = pickle.loads(pickle.dumps(f))
    assert again(1.5, 2) == f(1.5, 2) if f is not decorated else again(1.5) == f(1.5)
    assert (again is f) == (f is not doubled)
    assert again._options == f._options


def test_methods_pickle_and_copy():
    holder = Holder()
    assert pickle.loads(pickle.dumps(holder.method))(1.5) == 2.5
    assert holder.method == holder.method
    assert copy.copy(decorated) is copy.deepcopy(decorated) is decorated
    assert copy.deepcopy(holder).method(1.5) == 2.5


class Scaled:
    """Holds jitted functions of itself."""

    def __init__(self, k):
        self.k = k
        self.step = np.jit(self.times, static_argnames="n")
        self.called = np.jit(self)
        self.partial = np.jit(functools.partial(self.times, 2.0))

    def times(self, x, n=1):
        return x * n * self.k

    def __call__(self, x):
        return x - self.k

    @np.jit
    def by_name(self, x, n):
        return x * n * self.k

    @classmethod
    @np.jit
    def of_class(cls, x, n):
        return x * n


def test_an_object_that_is_copied_takes_its_jitted_methods_along():
    first = Scaled(3.0)
    again = copy.deepcopy(first)
    again.k = 5.0
    for _ in range(2):
        assert [o.step(1.0, 2) for o in (first, again)] == [6.0, 10.0]
        assert [o.called(1.0) for o in (first, again)] == [-2.0, -4.0]
        assert [o.partial(1) for o in (first, again)] == [6.0, 10.0]
    assert again.called.__wrapped__ is again
    pickled = pickle.loads(pickle.dumps(first))
    pickled.k = 7.0
    assert (pickled.step(1.0, 2), pickled.called(1.0), first.step(1.0, 2)) == (14.0, -6.0, 6.0)
    shallow = copy.copy(first)  # shares what it holds, as that of plain methods does
    assert shallow.step is first.step
    called = copy.deepcopy(first.called)
    assert called.__wrapped__.called is called
    called.__wrapped__.k = 4.0
    assert (called(1.0), first.called(1.0)) == (-3.0, -2.0)


def test_a_method_has_the_signature_of_the_bound_one():
    bound = Scaled(3.0).by_name
    assert str(inspect.signature(bound)) == "(x, n)"
    assert np.grad(bound, argnums="x")(2.0, 5.0) == 15.0
    assert np.grad(bound, argnums="n")(2.0, 5.0) == 6.0
    assert np.grad(bound)(2.0, n=5.0) == 15.0
    assert np.grad(Scaled.by_name, argnums="x")(Scaled(3.0), 2.0, 5.0) == 15.0
    assert np.grad(Scaled.of_class, argnums="x")(2.0, 5.0) == 5.0
    assert bound.__wrapped__(2.0, 5.0) == 30.0
    static = np.jit(bound, static_argnames="n")
    assert static(2.0, 5.0) == 30.0
    assert len(static.trace(2.0, 5.0).parameters) == 1


def test_what_is_no_function():
    with pytest.raises(TypeError, match=r"write jit\(f\)\(x\), not jit\(f\(x\)\)"):
        np.jit(3.0)
    with pytest.raises(TypeError, match="explain takes a jitted function"):
        np.explain(documented)


def test_a_program_is_called_with_the_types_it_shows():
    program = np.jit(lambda x, k: np.sum(x * k)).trace(numpy.ones(4), 2.0)
    assert program(numpy.ones(4), 3.0) == program([1.0] * 4, 3.0) == [12.0]
    assert np.jit(program)(numpy.ones(4), 3.0) == [12.0]
    assert np.vmap(program)(numpy.ones((2, 4)), numpy.ones(2))[0].tolist() == [4.0, 4.0]
    slope = np.grad(lambda x: program(x, 3.0)[0])
    numpy.testing.assert_array_equal(slope(numpy.ones(4)), [3.0] * 4)
    with pytest.raises(np.DifferentiationError, match=r"returned list .*, wanted a scalar"):
        np.grad(program)(numpy.ones(4), 3.0)
    assert (
        np.jit(lambda x, k: x * k)
        .trace(numpy.ones(2, "f4"), 2.0)(numpy.ones(2, "f4"), numpy.float64(3))[0]
        .dtype
        == numpy.float32
    )


@pytest.mark.parametrize(
    "x", [numpy.ones(7), numpy.ones(4, "f4"), numpy.ones((1, 4)), [1, 2, 3, 4], 1.0]
)
def test_a_program_refuses_other_types(x):
    program = np.jit(lambda x: np.sum(x * 2)).trace(numpy.ones(4))
    with pytest.raises(TypeError, match=r"parameter 0 is f64\[4\], got .*; record one for these"):
        program(x)
    with pytest.raises(TypeError, match="parameter 0 is"):
        np.jit(program)(np.asarray(x))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_program_for_any_size_refuses_sizes_against_its_guards():
    f = np.jit(lambda x, y: np.sum(x * 2 if x.size > 4 else x) + np.sum(y))
    for n in (5, 6, 7):
        f(numpy.ones(n), numpy.ones((n, n)))
    program = f.trace(numpy.ones(8), numpy.ones((8, 8)))
    assert "[n0]" in str(program)
    assert program(numpy.ones(9), numpy.ones((9, 9))) == [99.0]
    with pytest.raises(ValueError, match=r"not right for the sizes .*'n0': 3.* n0 >= 5"):
        program(numpy.ones(3), numpy.ones((3, 3)))
    with pytest.raises(TypeError, match=r"parameter 1 is f64\[n1,n2\], got f64\[9\]"):
        program(numpy.ones(9), numpy.ones(9))


def test_trace_and_lower():
    assert str(decorated.trace(numpy.ones(3))) == (
        "decorated(a:f64[3]) {\n  b:f64[3] = add a 1\n  return b\n}"
    )
    lowered = decorated.lower(numpy.ones(3))
    assert "add a 1" in lowered.as_text() == str(lowered)
    assert "add a 1" in lowered.as_text("optimized")
    assert "func" in lowered.as_text("mlir")
    assert "define" in lowered.as_text("llvm")
    assert "ret" in lowered.as_text("assembly")
    with pytest.raises(ValueError, match="no stage 'wasm'; there are 'program', 'optimized'"):
        lowered.as_text("wasm")
    assert Holder().method.trace(1.0).name == "method"


def test_explain():
    f = np.jit(lambda x, n=1: x["a"] * n)
    f({"a": 1.0})
    f({"a": numpy.ones(2)})
    f({"a": numpy.ones(2, "f4")}, 2)
    f({"a": numpy.ones((2, 2), order="F")})
    assert [one.reason for one in np.explain(f)] == [
        "first call",
        "x['a'] is f64[2] (was f64[]*)",
        "x['a'] is f32[2] (was f64[2]); n is new",
        "x['a'] is f64[2,2] in Fortran order (was f64[2])",
    ]
    text = str(np.explain(f))
    assert text.startswith("<lambda>:\n")
    assert "ms  (x['a']: f32[2], n: int 2): " in text


# -- errors --


def test_python_may_not_ask_for_values():
    uses = {
        "if": lambda x: 1.0 if x > 0 else x,
        "float": float,
        "int": lambda x: np.zeros(int(x)),
        "while": lambda x: [0 for _ in iter(lambda: bool(x > 0), False)],
        "format": lambda x: f"{x:.2f}",
        "index": lambda x: [1, 2][x.astype(int)],
    }
    for use in uses.values():
        with pytest.raises(TypeError, match=r"\(at test_jit.py:\d+: "):
            np.jit(use)(numpy.array(1.5))
        assert thread_state.level == 0
        assert thread_state.program is None


def test_the_advice():
    with pytest.raises(
        np.ConcretizationError, match=r"np.where\(condition, a, b\).*static_argnames"
    ):
        np.jit(lambda x: 1.0 if x > 0 else x)(1.0)
    with pytest.raises(
        np.ConcretizationError, match=r"np.where\(mask, a, 0.0\) in place of a\[mask\]"
    ):
        np.jit(lambda x: x[x > 0]).trace(X)


def test_printing_shows_the_type():
    seen = []
    np.jit(lambda x: seen.append((str(x), repr(x * 2))) or x)(X)
    assert seen == [("TracedArray(f64[3], jit: not known yet)",) * 2]


def test_leaks():
    saved = queue.SimpleQueue()  # what it holds nobody sees
    f = np.jit(lambda x: saved.put(x * 2) or x)
    f(1.0)
    leaked = saved.get()
    with pytest.raises(np.LeakedTracerError):
        leaked + 1
    with pytest.raises(np.LeakedTracerError):
        np.jit(lambda x: x + leaked)(1.0)


def test_a_functions_own_errors_pass():
    def f(x):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        np.jit(f)(1.0)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        np.jit(documented)()
    assert thread_state.level == 0
    assert thread_state.program is None


# -- threads --


def test_many_threads():
    functions = [np.jit(lambda x, k=k: np.sum(np.sin(x) * k)) for k in range(4)]
    barrier = threading.Barrier(8)

    def work(i):
        barrier.wait(timeout=60)
        x = numpy.full(5 + i % 3, 0.1 * i)
        return [(f(x), np.grad(f)(x)) for _ in range(10) for f in functions]

    with ThreadPoolExecutor(8) as pool:
        for i, found in enumerate(pool.map(work, range(8))):
            x = numpy.full(5 + i % 3, 0.1 * i)
            for j, (value, slope) in enumerate(found):
                numpy.testing.assert_allclose(value, numpy.sum(numpy.sin(x) * (j % 4)))
                numpy.testing.assert_allclose(slope, numpy.cos(x) * (j % 4))


# -- sizes --


def window(x, y):
    z = x * y
    z[1:] += np.cumsum(x)[1:]
    x[-1] = z.mean()
    return z, z[::2], z.reshape(1, -1), x.shape, x[1:].T, 1 / x.size, np.zeros(x.shape[0] + 1)


def test_the_second_size_makes_a_dimension_symbolic():
    f = np.jit(window)
    for n in (4, 6, 9, 2, 3, 1, 17):
        x, y = numpy.arange(n) + 1.0, numpy.arange(n) * 2.0
        ours, plain = x.copy(), x.copy()
        found, wanted = f(ours, y), window(plain, y)
        numpy.testing.assert_array_equal(ours, plain)
        for a, b in zip(found, wanted, strict=True):
            assert type(a) is type(b)
            numpy.testing.assert_allclose(a, b)
        assert numpy.shares_memory(found[0], found[1])
        assert numpy.shares_memory(found[4], ours) == numpy.shares_memory(wanted[4], plain)
    notes = [one.note for one in np.explain(f)]
    assert [note.partition(" with ")[0] for note in notes] == ["", "for any size", ""]
    assert "[n0]" in str(f.trace(numpy.ones(5), numpy.ones(5)))


def test_derivatives_at_any_size():
    f = np.jit(lambda x, y: np.sum(window(x, y)[0]))
    for n in (3, 4, 5):
        x, y = numpy.arange(n) + 1.0, numpy.arange(n) * 2.0
        plain = lambda x, y: np.sum(window(x, y)[0])
        numpy.testing.assert_allclose(np.grad(f)(x, y), np.grad(plain)(x, y))
        numpy.testing.assert_allclose(np.jit(np.grad(f))(x, y), np.grad(plain)(x, y))
        xs = numpy.stack([x, 2 * x])
        numpy.testing.assert_allclose(
            np.vmap(f, (0, None))(xs, y), np.vmap(plain, (0, None))(xs, y)
        )


def test_derivatives_at_many_sizes_are_not_compiled_forever():
    f = np.jit(lambda x: np.sum(np.sin(x) * x))
    for n in range(3, 40):
        x = numpy.arange(n) / n
        numpy.testing.assert_allclose(np.grad(f)(x), numpy.sin(x) + x * numpy.cos(x))
    assert len(np.explain(f)) <= 2


def test_sizes_that_python_takes_for_numbers():
    f = np.jit(lambda x: sum(x[i] * i for i in range(len(x))))
    for n in (3, 4, 5, 6, 3):
        x = numpy.arange(n) + 1.0
        numpy.testing.assert_allclose(f(x), f.__wrapped__(x))
    assert compiles(f) == 4


def test_a_broken_guard_compiles_again():
    f = np.jit(lambda x: np.sum(x) if x.shape[0] < 10 else np.max(x))
    for n in (3, 4, 20, 30, 5, 40):
        x = numpy.arange(n) + 1.0
        assert f(x) == f.__wrapped__(x)
    assert compiles(f) == 3


def test_shapes_that_do_not_fit():
    f = np.jit(lambda x, y: x + y)
    for n in (3, 4, 5):
        assert f(numpy.ones(n), numpy.ones(n)).shape == (n,)
    with pytest.raises(ValueError, match="could not be broadcast together"):
        f(numpy.ones(3), numpy.ones(4))
    assert f(numpy.ones(3), numpy.ones(1)).shape == (3,)
