"""Code for any size, kept on disk: another process finds it, and it is right at other sizes."""

import os
from functools import partial

import numpy
import pytest
from test_disk_cache import entries, folder, run_python  # noqa: F401 - a fixture

import xnp as np
from xnp.autodiff.core import Aval
from xnp.autodiff.primitives.elementwise import add_p
from xnp.autodiff.program import Equation, Program, Variable
from xnp.autodiff.recording import record
from xnp.autodiff.scopes import Scope
from xnp.runtime import recipe
from xnp.runtime.compile import is_available

pytestmark = pytest.mark.skipif(not is_available(), reason="there is no compiler here")

PROCESS = """
import sys, numpy, xnp as np

def halves(x):  # a spectrum is called back for, of sizes that are no polynomials
    half = x.shape[0] // 2
    return np.abs(np.fft.fft(x[:half])), np.fft.ifft(x[min(half, 3):]).real, np.sort(x)[half]

def picked(x, i):
    return x[i] * 2 + np.cumsum(x)[-1]

def outer(x, y):
    return (np.outer(x, y) @ y / x.shape[0])[1:] - np.tanh(x)[:-1]

def guarded(x, y):
    return x + y if x.shape[0] > 12 else x - y

def weighted(x, weights=numpy.arange(1.0, 4.0)):
    return np.convolve(x, weights, "valid")

def solved(x):
    return np.linalg.solve(np.eye(x.size) * 3 + np.outer(x, x), x)

def looped(x):
    return np.fori_loop(0, x.shape[0], lambda i, s: s * 0.5 + x[i], 0.0)

def gradients(x):  # code whose arguments do not show every size
    return np.sum(np.concatenate([np.tanh(x[1:] * x[:-1]), np.sort(x)[: x.shape[0] // 3]]) ** 2)

compiled_gradients = np.jit(gradients)

for size in 9, 7, 20, 3, 11, 64, 13:
    x = numpy.cos(numpy.arange(size))
    for f, args in (
        (halves, (x,)), (picked, (x, numpy.array([0, size - 1, -2]))), (outer, (x, x[1:])),
        (guarded, (x, x)), (weighted, (x,)), (solved, (x,)), (looped, (x,)),
    ):
        compiled = globals().setdefault(f"jit_{f.__name__}", np.jit(f))
        found, wanted = compiled(*args), f(*args)
        for a, b in zip(*(x if type(x) is tuple else (x,) for x in (found, wanted)), strict=True):
            numpy.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    for wrong in size, -size - 1:
        try:
            jit_picked(x, numpy.array([0, wrong, 1]))
        except IndexError as error:
            said = f"index {wrong} is out of bounds for axis 0 with size {size}"
            assert str(error) == said, error
        else:
            raise AssertionError(f"an index {wrong} was taken")
    batch = numpy.cos(numpy.arange(size * (size % 5 + 1))).reshape(size % 5 + 1, size)
    for transform, given in (np.hessian, x), (lambda f: np.vmap(np.grad(f)), batch):
        a, b = transform(compiled_gradients)(given), transform(gradients)(given)
        numpy.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
info = np.cache.info()
print(info.hits, info.misses, "mlir" in sys.modules)
"""


def test_another_process_compiles_nothing(folder):  # noqa: F811
    hits, misses, loads_mlir = run_python(PROCESS).split()
    assert loads_mlir == "True"
    compiled = int(misses)
    assert compiled > 14  # each for the first size and for any
    names = {path.name for path in entries(folder)}
    for seed in "1", "2":  # hashes differ from process to process
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        again = run_python(PROCESS, env=environment).split()
        assert again == [str(int(hits) + compiled), "0", "False"]
    assert {path.name for path in entries(folder)} == names


def doubled(dim):
    """The Program ``x + x`` for arrays of this size."""
    return record(lambda x: [add_p(x, x)], [Aval((dim,), numpy.dtype(float))], "doubled")[0]


def scoped(*, hint=20, lower=2, upper=None, name="n0", ask=lambda n: None):
    scope = Scope()
    n = scope.symbol(name, hint, lower, upper)
    ask(n)
    program = doubled(n)
    scope.close()
    return program


def asked(*questions):
    """Makers of the same Program, one for what each question makes known."""
    return [scoped, *(partial(scoped, ask=question) for question in questions)]


DIFFERENT = {
    "bounds": [scoped, *(partial(scoped, **it) for it in ({"lower": 3}, {"upper": 64}))],
    "a guard": asked(lambda n: n >= 16, lambda n: n > 16),
    "inequality": asked(lambda n: n == 7, lambda n: n == 9),
    "no size at hand": [scoped, partial(scoped, hint=None)],
    "divisibility": asked(lambda n: n // 2 > 3, lambda n: n // 2 > 4),
}


@pytest.mark.parametrize("makers", DIFFERENT.values(), ids=DIFFERENT)
def test_what_is_known_of_sizes_is_in_the_key(makers):
    programs = [make() for make in makers]
    assert len({str(program) for program in programs}) == 1
    keys = [recipe.key_of(program)[0] for program in programs]
    assert len(set(keys)) == len(keys)
    assert keys == [recipe.key_of(make())[0] for make in makers]


def test_sizes_at_hand_are_not_in_the_key():
    assert recipe.key_of(scoped(hint=5))[0] == recipe.key_of(scoped(hint=50))[0]


def test_an_equality_is_in_the_key():
    def program(solve):
        scope = Scope()
        n, m = scope.symbol("n", 4), scope.symbol("m", 4)
        variables = [Variable(Aval((size,), numpy.dtype(float))) for size in (n, m)]
        if solve:
            assert n == m
        out = Variable(Aval((n,), numpy.dtype(float)))
        scope.close()
        return Program(variables, [Equation(add_p, variables, {}, [out])], [out])

    assert str(program(True)) == str(program(False))
    assert recipe.key_of(program(True))[0] != recipe.key_of(program(False))[0]


def test_symbols_of_one_name_are_not_kept():
    """A text that speaks of both would not say which is which."""
    first, second = Scope().symbol("n", 4), Scope().symbol("n", 5)
    a, b = (Variable(Aval((size,), numpy.dtype(float))) for size in (first, second))
    assert recipe.key_of(Program([a], [], [a])) is not None
    assert recipe.key_of(Program([a, b], [], [a, b])) is None


def test_a_bound_that_is_a_size_of_another_scope_is_part_of_it():
    inner, outer = Scope(), Scope()
    n = outer.symbol("n", 9, 2)
    i = inner.symbol("i", None, 0, n - 1)
    keys = {recipe.key_of(doubled(i))[0]}
    _, parts = recipe.key_of(doubled(i))
    assert {part.name for part in parts} == {"i", "n"}
    assert n >= 4
    keys.add(recipe.key_of(doubled(i))[0])
    assert len(keys) == 2


def test_code_of_larger_sizes_does_not_serve_small_ones(folder):  # noqa: F811
    """Code that a guard lets do without its narrow loops would read beyond the arrays."""

    def double(x, is_long):
        return x * (2 if is_long and x.shape[0] >= 16 else 2.0)

    f = np.jit(double)
    for size in (20, 30, 3, 4, 17):
        numpy.testing.assert_array_equal(f(numpy.ones(size), size > 15), numpy.full(size, 2.0))
