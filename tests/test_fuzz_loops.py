"""Random loops that read and write elements, rows, columns and slices of what they carry and of
what is around them, nested and with branches: values and gradients are those of plain Python.
"""

import random
import warnings

import numpy
import pytest

import xnp as np

SIZES = [(6, 3, 4), (9, 2, 5), (14, 4, 4)]  # n, m, k
STATE = "u, v, w, s"


class Writer:
    """The source of ``f(x, y)`` for x of shape (n,) and y of shape (m, k)."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def pick(self, *texts):
        return self.rng.choice(texts)

    def index(self, i):
        return self.pick(i, f"{i}-1", f"{i}+1", f"({i}*3)%n", f"order[{i}]", "0", "-1", f"n-1-{i}")

    def read(self, i):
        return self.pick(
            f"{self.pick('u', 'x', 'v')}[{self.index(i)}]",
            f"{self.pick('u', 'x', 'v')}[{self.index(i)}]",
            f"w[{self.pick('0', '-1', f'{i}%m')}, {self.pick('0', '-1', f'{i}%k')}]",
            f"np.sum({self.pick('u', 'x')}[{i}-1:{i}+1])",
            f"np.sum({self.pick(f'w[:, {i}%k]', f'w[{i}%m]')})",
            f"{self.rng.uniform(0.2, 1.5):.2f}",
        )

    def expression(self, i, depth=2):
        if not depth or self.rng.random() < 0.3:
            return self.read(i)
        a, b = (self.expression(i, depth - 1) for _ in range(2))
        return self.pick(
            f"({a} + {b})", f"({a} * {b})", f"({a} - {b})", f"np.sin({a})", f"np.tanh({a})",
            f"np.where({a} > {b}, {a}, 0.5 * {b})", f"np.maximum({a}, {b})",
        )  # fmt: skip

    def write(self, i):
        small, large = self.expression(i, 1), self.expression(i)
        return self.pick(
            f"u[{self.index(i)}] {self.pick('=', '+=', '*=')} 0.4 * {large}",
            f"u[{self.index(i)}] {self.pick('=', '+=', '*=')} 0.4 * {large}",
            f"v[{self.index(i)}] {self.pick('=', '+=')} 0.4 * {large}",
            f"w[:, {i}%k] {self.pick('=', '+=')} 0.3 * w[:, ({i}+1)%k] + 0.2 * {small}",
            f"w[{i}%m] += 0.1 * w[({i}+1)%m] * {small}",
            f"u[{i}-1:{i}+1] = 0.5 * u[{i}-1:{i}+1] + 0.1 * {small}",
            f"t = u[0]; u[0] = 0.9 * u[{i}]; u[{i}] = t",
            f"s = s + 0.3 * {large}",
        )

    def writes(self, count, indent, *indices):
        return [indent + self.write(self.pick(*indices)) for _ in range(count)]

    def source(self):
        lines = [
            "def f(x, y):",
            "    n, (m, k), order = x.shape[0], y.shape, np.arange(x.shape[0])[::-1]",
            "    def body(i, state):",
            f"        {STATE} = state",
            *self.writes(self.rng.randint(1, 3), " " * 8, "i"),
        ]
        if self.rng.random() < 0.4:
            end = self.pick("3", "k", "i + 1")
            lines += [
                "        def inner(j, state):",
                f"            {STATE} = state",
                *self.writes(self.rng.randint(1, 2), " " * 12, "i", "j", "j"),
                f"            return {STATE}",
                f"        {STATE} = np.fori_loop(1, {end}, inner, ({STATE}))",
            ]
        if self.rng.random() < 0.4:
            lines += [
                f"        def yes({STATE}):",
                *self.writes(1, " " * 12, "i"),
                f"            return {STATE}",
                f"        def no({STATE}):",
                *self.writes(self.rng.randint(0, 1), " " * 12, "i"),
                f"            return {STATE}",
                f"        {STATE} = np.cond({self.read('i')} > 0.4, yes, no, {STATE})",
            ]
        lines += [
            f"        return {STATE}",
            "    start = (x * 1.0, np.zeros(n), y * 1.0, 0.0 * x[0])",
            f"    {STATE} = np.fori_loop(1, n - 1, body, start)",
            "    return np.sum(u * u) + np.sum(np.sin(v)) + 0.5 * np.sum(w * w) + s",
        ]
        return "\n".join(lines)


def check(seed):
    source = Writer(seed).source()
    scope = {"np": np}
    exec(source, scope)
    f = scope["f"]
    run, grad = np.jit(f), np.grad(f, (0, 1))
    compiled = np.jit(grad), np.grad(run, (0, 1))
    batch = np.jit(np.vmap(grad))
    for n, m, k in SIZES:
        rng = numpy.random.default_rng(seed + n)
        x, y = rng.uniform(0.2, 1, (2, n)), rng.uniform(0.2, 1, (2, m, k))
        value = f(x[0], y[0])
        if not abs(value) < 1e6:
            continue
        assert run(x[0], y[0]) == pytest.approx(value, rel=1e-9), source
        wanted = [grad(*pair) for pair in zip(x, y, strict=True)]
        for g in compiled:
            same(g(x[0], y[0]), wanted[0], source)
        same(batch(x, y), map(numpy.stack, zip(*wanted, strict=True)), source)


def same(found, wanted, source):
    for a, b in zip(found, wanted, strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9, err_msg=source)


@pytest.mark.parametrize("block", range(3))
def test_random_loops(block):
    run_block(range(5 * block, 5 * block + 5))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_many_random_loops(block):
    run_block(range(100 + 10 * block, 110 + 10 * block))


def run_block(seeds):
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        for seed in seeds:
            check(seed)
