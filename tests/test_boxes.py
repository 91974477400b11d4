"""Arrays put together of parts, which only elementwise operations read, are not made."""

import random
import warnings

import numpy
import pytest
from native_runs import Form, forced
from programs_of import program_of, same_bits, values_of

import xnp as np
from xnp.codegen.pipeline import optimize
from xnp.runtime.compile import Compiled


def names(f, *args):
    return [e.primitive.name for e in optimize(program_of(f, args)).equations]


def laplacian(np, u):
    return sum(np.roll(u, s, a) for a in range(u.ndim) for s in (1, -1)) - 2 * u.ndim * u


def padded(np, u, mode):
    p = np.pad(u, 1, mode)
    return p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u


def variation(u):
    return np.sum(np.abs(u[1:, :-1] - u[:-1, :-1]) + np.abs(u[:-1, 1:] - u[:-1, :-1]))


def assigned(np, u):
    out = np.empty_like(u)
    out[1:-1] = u[2:] - u[:-2]
    out[0], out[-1] = 2 * (u[1] - u[0]), 3.0
    return out * 0.5


def halves(np, u):
    return np.concatenate([u[:7] * 2, u[7:] + 1]) * u - 1


class Program:
    """A random function of arrays of one shape, which takes them apart and puts them together."""

    def __init__(self, seed):
        self.seed = seed
        rng = random.Random(seed)
        self.shape = tuple(rng.randint(2, 7) for _ in range(rng.choice((1, 1, 2, 2, 2, 3))))
        numbers = numpy.random.default_rng(seed)
        self.arguments = [
            numbers.integers(-3, 4, self.shape).astype("d" if seed % 3 == 2 else rng.choice("ddfq"))
            for _ in range(rng.randint(1, 3))
        ]

    def __call__(self, *args):
        if self.seed % 3 != 2:
            return self.run(args)
        total = lambda *args: sum(np.sum(x * x * 1.0) for x in self.run(args))
        return np.grad(total, argnums=tuple(range(len(args))))(*args)

    def run(self, args):
        self.rng, self.values = random.Random(self.seed + 1), list(args)
        moves = [self.roll, self.join, self.assign, self.embed, self.pad]
        for _ in range(self.rng.randint(3, 12)):
            step = self.rng.choice(moves) if self.rng.random() < 0.6 else self.compute
            self.values.append(step(self.pick(), self.pick()))
        last = self.values[-1]
        return *(self.pick() for _ in range(self.rng.randint(1, 3))), last

    def pick(self):
        return self.rng.choice(self.values[-4:] if self.rng.random() < 0.7 else self.values)

    def axis(self):
        return self.rng.randrange(len(self.shape))

    def part(self, n):
        start = self.rng.randint(0, n - 1)
        return slice(start, self.rng.randint(start + 1, n))

    def roll(self, x, _):
        return np.roll(x, self.rng.randint(-3, 3), self.axis())

    def join(self, x, y):
        axis = self.axis()
        cut, front = self.rng.randint(1, self.shape[axis] - 1), [slice(None)] * len(self.shape)
        back = list(front)
        front[axis], back[axis] = slice(cut), slice(cut, None)
        first = x[tuple(front)]
        return np.concatenate([first * 2 if cut % 2 else first, y[tuple(back)]], axis)

    def assign(self, x, y):
        out, sizes = np.array(x), self.shape[: self.rng.randint(1, len(self.shape))]
        index = tuple(
            self.part(n) if self.rng.random() < 0.8 else self.rng.randrange(n) for n in sizes
        )
        out[index] = self.rng.choice([0, 3.0, y[index] - 1, y[index]])
        return out

    def embed(self, x, _):
        out = np.zeros(self.shape, dtype=self.rng.choice("ddfq"))
        index = tuple(map(self.part, self.shape))
        out[index] = x[index]
        return out

    def pad(self, x, _):
        before, after = self.rng.randint(0, 2), self.rng.randint(0, 2)
        wide = np.pad(x, [(before, after)] * len(self.shape), self.rng.choice(("edge", "constant")))
        return sum(
            wide[tuple(slice(s, s + n) for n in self.shape)] for s in (0, before, before + after)
        )

    def compute(self, x, y):
        operations = [
            lambda: x + y,
            lambda: x * y,
            lambda: x - y[..., :1],
            lambda: y[:1] - x,
            lambda: np.maximum(x, y),
            lambda: np.where(x > 0, y, x),
            lambda: -x,
            lambda: x + np.sum(y),
            lambda: x + 2,
        ]
        return self.rng.choice(operations)()


def check(seed):
    function = Program(seed)
    program = program_of(function, function.arguments)
    values = values_of(function.arguments)
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        wanted = program(*values)
        for long in (2, 9):
            with forced(Form("boxes", long=long)):
                optimized = optimize(program)
                optimized.check()
                for found in (optimized(*values), Compiled(program)(values)):
                    for a, b in zip(found, wanted, strict=True):
                        a, b = numpy.asarray(a) + 0, numpy.asarray(b) + 0  # 0.0 + -0.0 is 0.0
                        assert same_bits(a, b), f"seed {seed}, {long} elements\n{program}"


@pytest.mark.parametrize("group", range(8))
def test_programs(group):
    for seed in range(group * 20, group * 20 + 20):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("group", range(8, 60))
def test_more_programs(group):
    for seed in range(group * 20, group * 20 + 20):
        check(seed)


@pytest.mark.parametrize("shape", [(9000,), (90, 91), (21, 22, 23)])
def test_a_stencil_with_roll_reads_its_array_only(shape):
    u = numpy.random.default_rng(0).normal(size=shape)
    f = lambda u: laplacian(np, u)
    found = optimize(program_of(f, [u]))
    whole = [e for e in found.equations if e.results[0].aval.shape == shape]
    assert [e.primitive.name for e in whole] == ["assemble"]
    numpy.testing.assert_array_equal(np.jit(f)(u), laplacian(numpy, u))
    energy = lambda u: np.sum((np.roll(u, 1) - u) ** 2 + (np.roll(u, -1, -1) - u) ** 2)
    assert "assemble" not in names(energy, u)
    numpy.testing.assert_allclose(np.jit(energy)(u), energy(u), rtol=1e-12)
    numpy.testing.assert_allclose(np.jit(np.grad(energy))(u), np.grad(energy)(u), atol=1e-12)


@pytest.mark.parametrize("mode", ["wrap", "edge", "constant", "reflect", "symmetric"])
def test_a_stencil_of_a_padded_array_reads_the_array_only(mode):
    u = numpy.random.default_rng(0).normal(size=(80, 81))
    f = lambda u: padded(np, u, mode)
    found = optimize(program_of(f, [u]))
    assert all(e.results[0].aval.shape != (82, 83) for e in found.equations)
    numpy.testing.assert_array_equal(np.jit(f)(u), padded(numpy, u, mode))


def test_gradients_of_slices_add_no_zeros():
    u = numpy.random.default_rng(0).normal(size=(80, 81))
    f = np.grad(variation)
    found = optimize(program_of(f, [u]))
    embedded = [e for e in found.equations if e.primitive.name == "embed"]
    assert all(min(e.results[0].aval.shape) == 1 for e in embedded)
    numpy.testing.assert_array_equal(np.jit(f)(u), f(u))


def test_assignments_to_slices_are_computed_where_they_belong():
    u = numpy.random.default_rng(0).normal(size=(90, 91))
    for f in (assigned, halves):
        assert "setitem" not in names(lambda u, f=f: f(np, u), u)
        numpy.testing.assert_array_equal(np.jit(lambda u, f=f: f(np, u))(u), f(numpy, u))


def test_what_others_read_is_made():
    u = numpy.random.default_rng(0).normal(size=9000)
    rolled = lambda u: (np.roll(u, 1), np.roll(u, 1) + u)
    moved = lambda u: np.sort(np.roll(u, 1)) + np.roll(u, 1)
    small = lambda u: np.roll(u[:100], 1) + u[:100]
    for f in (rolled, moved, small):
        assert "concatenate" in names(f, u)
        for a, b in zip(np.jit(f)(u), f(u), strict=True):
            numpy.testing.assert_array_equal(a, b)


def test_groups_do_not_wait_for_themselves():
    """What depends on a group by way of a sum or of a part of it is not of the group."""

    def f(u):
        first = np.roll(u, 1) + u
        second = np.roll(first, 2) * first
        return second + np.sum(second), first[::-1] + np.roll(u, 3) * np.max(first)

    u = numpy.random.default_rng(0).normal(size=5000)
    assert names(f, u).count("assemble") > 1
    for a, b in zip(np.jit(f)(u), f(u), strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-12)


def test_in_loops():
    def heat(np, u, count):
        if np is numpy:
            for _ in range(count):
                u = u + 0.1 * laplacian(numpy, u)
            return u
        return np.fori_loop(0, count, lambda i, u: u + 0.1 * laplacian(np, u), u)

    u = numpy.random.default_rng(0).normal(size=(70, 71))
    f = lambda u: heat(np, u, 5)
    numpy.testing.assert_array_equal(np.jit(f)(u), heat(numpy, u, 5))
    loss = lambda u: np.sum(f(u) ** 2)
    numpy.testing.assert_allclose(np.jit(np.grad(loss))(u), np.grad(loss)(u), rtol=1e-12)


FUNCTIONS = {
    "laplacian": laplacian,
    "assigned": assigned,
    **{m: lambda np, u, m=m: padded(np, u, m) for m in ("wrap", "edge", "constant", "reflect")},
    "variation": lambda lib, u: np.grad(variation)(u),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sizes_that_are_symbolic(name):
    """The second size makes code for all of them, however small."""
    f = FUNCTIONS[name]
    jitted = np.jit(lambda u: f(np, u))
    numbers = numpy.random.default_rng(0)
    for size in [(8, 9), (70, 80), (80, 71), (2, 3), (3, 2), (2, 2), (4, 5), (65, 2), (1, 5)]:
        if name == "assigned" and size[0] < 2:
            continue  # NumPy raises IndexError
        u = numbers.normal(size=size)
        numpy.testing.assert_allclose(jitted(u), f(numpy, u), rtol=1e-13, atol=1e-13)
    large = [(70, 80), (80, 71), (65, 66)]
    jitted = np.jit(lambda u: f(np, u))
    for size in large:
        u = numbers.normal(size=size)
        numpy.testing.assert_allclose(jitted(u), f(numpy, u), rtol=1e-13, atol=1e-13)
    assert len(np.explain(jitted)) == 2
