"""Derivatives and batches of jitted functions at sizes that change from call to call: compiled for
the first size and for any, and right at each.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
from laws import assert_close, largest
from recordable import REFUSED
from test_symbolic_shapes import NOT_GROWN, RECORDABLE, copies, larger, recorded, restricted

import xnp as np
from xnp.autodiff import any_size
from xnp.autodiff.calls import batched_program, jvp_program, split_program
from xnp.autodiff.program import Program
from xnp.autodiff.size_structures import SizeKey
from xnp.runtime import executable
from xnp.testing.vectors import leaves_of, precision_of


def set_inner(x):
    y = np.zeros(x.shape[0])
    y[1:-1] = x[2:] * x[:-2]
    y[0] += x[-1]
    return np.sum(y**2)


def kernel(x):
    return np.exp(-((x - x[:, None]) ** 2))


def halves(x):
    half = x.shape[0] // 2
    return np.sum(x[:half] ** 2) * np.sum(x[half:]) + np.mean(np.sin(x[: (x.shape[0] + 1) // 2]))


FUNCTIONS = {
    "sum": lambda x: np.sum(np.sin(x) * x),
    "differences": lambda x: np.sum(np.sin(x[1:] - x[:-1]) ** 2),
    "reshape": lambda x: np.sum(np.cos(x.reshape(-1, 1)) @ x.reshape(1, -1)),
    "products": lambda x: np.sum(np.tanh(np.outer(x, x) @ x) @ (np.outer(x, x) + np.eye(x.size))),
    "own product": lambda x: np.sum(np.sin(x[:, None] @ x[:, None].T)),
    "concatenate": lambda x: np.sum(np.concatenate([x, x[:2], np.zeros(x.shape[0]), x]) ** 3),
    "broadcast": lambda x: np.sum(kernel(x) * x),
    "halves": halves,
    "moments": lambda x: np.mean(x) * np.var(x) + np.std(x, ddof=1) * x.shape[0],
    "cumulative": lambda x: np.sum(np.cumsum(x) ** 2 / np.arange(1, x.size + 1)) + np.prod(x),
    "scan": lambda x: np.scan(lambda c, a: (c * 0.5 + np.sin(a), c * a), 0.0, x)[0] ** 2,
    "loop": lambda x: np.fori_loop(0, x.shape[0], lambda i, s: s * 0.5 + x[i] ** 2, 0.0),
    "extremes": lambda x: np.max(x) * np.min(x) + np.sum(np.abs(x)) + np.median(x) ** 2,
    "softmax": lambda x: np.sum(np.exp(x - np.max(x)) / np.sum(np.exp(x - np.max(x))) * x),
    "solve": lambda x: np.sum(np.linalg.solve(np.eye(x.size) * 3 + np.outer(x, x) * 0.1, x)),
    "spectrum": lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2 * np.arange(x.size)),
    "pad": lambda x: np.sum(np.pad(x, 2, mode="edge") ** 2) + np.sum(np.roll(x, 1) * x),
    "written to": set_inner,
    "masked": lambda x: np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0) ** 2),
    "branch": lambda x: np.cond(np.sum(x) > 0, lambda: np.sum(x**3), lambda: np.sum(np.cos(x))),
}

SIZES = [5, 6, 7, 2, 3, 30, 4, *range(8, 30), 64]


def second(f):
    return np.grad(lambda x: np.sum(np.grad(f)(x) ** 2))


def tangent(f):
    return lambda x: np.jvp(f, (x,), (x * x,))


TRANSFORMED = {"grad": np.grad, "second": second, "jvp": tangent, "value": np.value_and_grad}


def compiled():
    """How many Programs have been compiled for calls under transformations."""
    return executable._executable_of.cache_info().misses


def sample(*shape):
    return numpy.random.default_rng(shape).normal(size=shape) * 0.7


def check(found, wanted, where):
    for ours, plain in zip(leaves_of(found), leaves_of(wanted), strict=True):
        assert numpy.shape(ours) == numpy.shape(plain), where
        assert numpy.asarray(ours).dtype == numpy.asarray(plain).dtype, where
        if numpy.asarray(plain).dtype.kind in "biuSUO":
            numpy.testing.assert_array_equal(ours, plain, where)
            continue
        tolerance = 1000 * precision_of(plain) * max(largest(plain), 1.0)
        assert_close(ours, plain, tolerance, where)


@pytest.mark.parametrize("transform", TRANSFORMED)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_of_thirty_sizes_are_compiled_twice(name, transform):
    f, make = FUNCTIONS[name], TRANSFORMED[transform]
    ours, plain = make(np.jit(f)), make(f)
    counts = []
    for size in SIZES:
        before = compiled()
        check(ours(sample(size)), plain(sample(size)), f"{transform} of {name} at {size}")
        counts.append(compiled() - before)
    assert not any(counts[2:]), counts
    assert max(counts) <= (4 if transform == "second" else 2), counts


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batches_of_many_sizes(name):
    """Of the batch, of the examples, and of both."""
    f = FUNCTIONS[name]
    g = np.jit(f)
    before = compiled()
    for shape in ((3, 5), (4, 5), (3, 6), (4, 6), (5, 7), (9, 8), (1, 6), (2, 2), (8, 8), (16, 9)):
        x = sample(*shape)
        check(np.vmap(g)(x), np.vmap(f)(x), f"{name} of {x.shape}")
    assert compiled() - before <= 5  # each a number or any, and a batch of one


@pytest.mark.parametrize("name", ["own product", "scan", "halves", "broadcast", "spectrum"])
def test_gradients_of_examples(name):
    f = FUNCTIONS[name]
    g = np.jit(f)
    for batch, size in [(3, 5), (4, 6), (3, 6), (5, 7), (9, 8), (8, 8), (16, 9)]:
        x = sample(batch, size)
        before = compiled()
        check(np.vmap(np.grad(g))(x), np.vmap(np.grad(f))(x), f"{name} of {x.shape}")
        found = np.grad(lambda x: np.sum(np.vmap(g)(x) ** 2))(x)
        check(found, np.grad(lambda x: np.sum(np.vmap(f)(x) ** 2))(x), f"{name} of {x.shape}")
        check(np.hessian(g)(x[0]), np.hessian(f)(x[0]), f"hessian of {name} at {size}")
    assert compiled() == before


def regression(w, x, y):
    return np.mean((np.tanh(x @ w) - y) ** 2) + np.sum(w * w) / x.shape[0]


def pairs(w, x, y):
    whole = np.concatenate([w, y, y[: y.shape[0] // 2 * 2].reshape(-1, 2)[:, 1]])
    return np.sum(whole**2) * np.sum(x.reshape(x.size // 2, 2).T) if x.size % 2 == 0 else x[0, 0]


@pytest.mark.parametrize("f", [regression, pairs])
def test_several_arguments(f):
    """Sizes that guards make equal, and such as violate them."""
    g, counts = np.jit(f), []
    for n, m in [(4, 3), (5, 4), (6, 6), (7, 3), (7, 8), (3, 5), (2, 2), (12, 7), (8, 8), (31, 30)]:
        before = compiled()
        args = sample(m), sample(n, m), sample(n)
        for argnums in (0, (0, 1, 2)):
            found, wanted = (np.grad(h, argnums=argnums)(*args) for h in (g, f))
            check(found, wanted, f"{f.__name__} at {n}, {m}")
        counts.append(compiled() - before)
    assert not any(counts[7:]), counts


def test_sizes_that_do_not_fit_are_an_error():
    g = np.grad(np.jit(regression))
    for n, m in [(4, 3), (5, 4), (6, 6)]:
        g(sample(m), sample(n, m), sample(n))
    with pytest.raises(ValueError, match="must be as long as"):
        g(sample(5), sample(6, 4), sample(6))


def test_batches_of_batches():
    def f(x, y):
        return np.sum(np.tanh(x[1:] - x[:-1])) * y

    g = np.jit(f)
    nested = [np.vmap(np.vmap(h, (0, None)), (0, 0)) for h in (g, f)]
    for n, m, k in [(3, 4, 5), (4, 5, 6), (5, 6, 7), (6, 6, 6), (7, 8, 9), (2, 9, 8)]:
        before = compiled()
        check(*[h(sample(n, m, k), sample(n)) for h in nested], f"{n}, {m}, {k}")
    assert compiled() == before


ODD = {
    "parity": lambda x: np.sum(np.abs(np.fft.irfft(np.fft.rfft(x), x.shape[0])) ** 3),
    "tall or wide": lambda x: np.sum(np.linalg.svd(np.outer(x, x)[:3] + 1, compute_uv=False)),
}


@pytest.mark.parametrize("name", ODD)
def test_a_guard_of_the_derivative_makes_another_version(name):
    """What only the derivative asks of a size does not make code for each."""
    f = ODD[name]
    g = np.grad(np.jit(f))
    counts = []
    for size in (8, 9, 10, 11, 2, 3, 4, 5, 6, 7, 12, 15, 20, 33):
        before = compiled()
        check(g(sample(size)), np.grad(f)(sample(size)), f"{name} at {size}")
        counts.append(compiled() - before)
    assert not any(counts[8:]), counts


def test_a_derivative_for_each_size_is_not_compiled_for_ever():
    """The determinant's derivative is written out for small matrices."""

    def f(x):
        return np.linalg.det(np.outer(x, x) + np.eye(x.size))

    g = np.grad(np.jit(f))
    before = compiled()
    for size in range(2, 34):
        check(g(sample(size)), np.grad(f)(sample(size)), f"determinant of {size}")
    assert compiled() - before <= 2 * (any_size.MOST + 2)


def test_a_derivative_that_cannot_be_made_says_so():
    @np.jit
    def g(x):
        return np.sum(np.while_loop(lambda y: np.sum(y) < 100, lambda y: y * 2, x * x))

    for size in (3, 4, 5, 6):
        g(sample(size) + 3)
        with pytest.raises(np.DifferentiationError, match="while_loop"):
            np.grad(g)(sample(size) + 3)


def test_pulled_back_later_and_within_a_recording():
    """`vjp` of a jitted function, whose cotangents come from another one that is recorded."""

    def f(x):
        return np.cumsum(x[1:] * x[:-1])

    g = np.jit(f)
    for size in (4, 5, 6, 9):
        x = sample(size)
        _, pull = np.vjp(g, x)
        _, wanted = np.vjp(f, x)
        ct = sample(size - 1)
        check(pull(ct), wanted(ct), "at once")
        check(np.jit(lambda c: pull(c * 2))(ct), wanted(ct * 2), "recorded")  # noqa: B023 - at once
        squares = [lambda x, h=h: np.sum(h(x) ** 2) for h in (g, f)]
        check(np.jit(np.grad(squares[0]))(x), np.grad(squares[1])(x), "all recorded")


def test_cotangents_from_behind_a_mask():
    """Zeros, where what is computed for nothing has infinite derivatives."""

    def f(x):
        return np.sqrt(x) * np.cumsum(np.exp(x))

    def masked(h):
        return lambda x: np.sum(np.where(x > 0.5, h(np.where(x > 0.5, x, 0.0)), x)[1:])

    g = np.jit(f)
    with numpy.errstate(all="ignore"):
        for size in (4, 5, 6, 9, 12):
            x = numpy.abs(sample(size)) + 0.1
            assert numpy.isfinite(np.grad(masked(g))(x)).all()
            check(np.grad(masked(g))(x), np.grad(masked(f))(x), f"at {size}")
            check(second(masked(g))(x), second(masked(f))(x), f"second at {size}")


def test_in_recordings_of_more_sizes_than_are_kept():
    """Of functions that take their sizes for numbers: all that they call has numbers, too."""
    g = np.jit(FUNCTIONS["differences"])

    def twice(h):
        return lambda x: h(x) * int(x.shape[0]) + np.sum(np.grad(h)(x) ** 2)

    ours = np.jit(twice(g))
    for size in range(2, any_size.MOST + 6):
        wanted = twice(FUNCTIONS["differences"])(sample(size))
        check(ours(sample(size)), wanted, f"at {size}")


def test_arguments_written_to():
    def f(x, y):
        y[1:] += x[1:] * x[:-1]
        return np.sum(y**2)

    def whole(h):
        def run(x):
            y = np.ones(x.shape[0]) * x[0]
            return h(x, y) + np.sum(y)

        return np.grad(run)

    g = np.jit(f)
    for size in (4, 5, 6, 9, 12):
        check(whole(g)(sample(size)), whole(f)(sample(size)), f"at {size}")


def test_many_threads_at_once():
    """Versions are made by whichever thread comes first, or by two."""
    for name in ("differences", "halves", "scan"):
        f = FUNCTIONS[name]
        g = np.jit(f)

        def at(size, f=f, g=g, name=name):
            check(second(g)(sample(size)), second(f)(sample(size)), f"{name} at {size}")
            x = sample(size % 4 + 1, size)
            check(np.vmap(np.grad(g))(x), np.vmap(np.grad(f))(x), f"{name} of {x.shape}")

        with ThreadPoolExecutor(4) as pool:
            assert [*pool.map(at, [*range(2, 20)] * 2)] == [None] * 36


def test_without_a_compiler(monkeypatch):
    monkeypatch.setattr(executable, "NATIVE", None)
    for name in ("differences", "halves", "scan", "spectrum"):
        f = FUNCTIONS[name]
        g = np.jit(f)
        for size in (5, 6, 7, 12):
            check(second(g)(sample(size)), second(f)(sample(size)), name)
            x = sample(size, size + 1)
            check(np.vmap(np.grad(g))(x), np.vmap(np.grad(f))(x), name)


def test_profiles_at_any_size():
    g = np.grad(np.jit(FUNCTIONS["products"]))
    for size in (5, 6, 7):
        with np.profile() as found:
            check(g(sample(size)), np.grad(FUNCTIONS["products"])(sample(size)), "profiled")
        assert "backward" in found.table()


# -- every row of the op table --

BATCH = 3
ROWS = [c for c in RECORDABLE if c.index < 2 and c.op.name not in REFUSED]


def makers(op, f):
    """What transformations make of a row's Program, and of which parameters."""
    flags = tuple(
        numpy.asarray(leaf).dtype.kind in "fc" and (op.diff is None or i in op.diff)
        for i, arg in zip(f.positions, f.chosen, strict=True)
        for leaf in leaves_of(arg)
    )
    derivatives = {"jvp": (jvp_program, flags), "grad": (split_program, flags)}
    batch = {"batch": (batched_program, SizeKey(BATCH), (True,) * len(flags))}
    return {**(derivatives if any(flags) else {}), **batch}


def computed(program, values):
    """The results for these values, and random ones for the parameters that are left."""
    rng = numpy.random.default_rng(0)
    further = [rng.normal(size=a.shape).astype(a.dtype) for a in program.in_avals[len(values) :]]
    return program(*values, *further)


def outcome(how, made, sizes, values):
    """What the Programs that were made compute, in the end."""
    first, *rest = (p.at_sizes(dict(sizes)) if isinstance(p, Program) else p for p in made)
    if how == "batch":
        values = [numpy.stack([x] * BATCH) for x in values]
    found = computed(first, values)
    if how != "grad":
        return found
    backward, pulled = rest
    return [*found[: len(pulled)], *computed(backward, found[len(pulled) :])]


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_rows(case):
    """What is made of a row for any size is what is made of it for those at hand."""
    recording, f = recorded(case.op.name)[case.index], restricted(case)
    program, symbols = recording.program, recording.scope.symbols
    hints = {name: symbol.hint for name, symbol in symbols.items()}
    grows = not case.op.name.startswith(NOT_GROWN)
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sizes in [hints, *(recording.other_sizes() if grows else ())] if hints else []:
            args = larger(program, f.chosen, sizes) if sizes is not hints else f.chosen
            given = tuple((symbols[name], size) for name, size in sizes.items())
            for how, (make, *more) in makers(case.op, f).items():
                params = {"program": program, "sizes": given}
                made, own = any_size.derived(make, params, *more)
                plain = make(program.at_sizes(dict(given)), *more)
                values = [leaf for arg in copies(args) for leaf in leaves_of(arg)]
                found = outcome(how, made, own.get("sizes", ()), values)
                wanted = outcome(how, plain, (), values)
                check(found, wanted, f"{how} of {case} at {sizes}")
