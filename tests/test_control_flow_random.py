"""Random bodies: recorded loops and their derivatives are those of the plain Python loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from regions import recorded

import xnp as np

# The body may use: v (carried, three numbers), s (carried, one), n (carried, an integer), i (the
# index), u (the slice of xs) and w (captured, 3 by 3).
STATEMENTS = """
v = np.sin(v) * s
v = v * u + w @ v
v = v[::-1] - 0.5
v = np.where(v > s, v, u)
v[i % 3] = s
v[n % 3] += u[1]
v[:2] += u[1:]
v = np.cumsum(v) * 0.3
v = np.linalg.solve(np.eye(3) * 3 + 0.3 * w, v)
v = np.scan(lambda c, z: (c + z, c * z), s, v)[1]
v = np.cond(s > 0.2, lambda v: np.exp(-v * v), lambda v: v * u, v)
v = np.switch(n % 4, [np.sin, lambda v: v, lambda v: v * s], v)
v = np.cond(v[i % 3] > 0, lambda v: written(v, i % 3, s), lambda v: v, v)
v = np.cond(s > 0, lambda v: written(v, n % 3, v[0] * s), lambda v: v[::-1], v)
v = np.fori_loop(0, 3, lambda j, v: written(v, j, v[j - 1] * s), v)
v = np.fori_loop(i, 3, lambda j, v: np.cond(j > n, lambda v: written(v, j, s), np.cos, v), v)
v = np.checkpoint(lambda v: np.sin(v) * u)(v)
v = np.map(lambda z: np.cond(z > 0, lambda: np.sqrt(z), lambda: z * s), v)
w, v = w, v * 0.5
v = np.cond(n > 1, lambda: u * s, lambda: w[0])
s = np.sum(v * u)
s = s * 0.5 + v[i % 3]
s = np.maximum(s, v[0] * n)
s = np.fori_loop(0, 3, lambda j, t: t * 0.9 + v[j] * u[j], s)
s = np.fori_loop(i, 3, lambda j, t: t * v[j] + j / 2, s)
s = np.linalg.det(w) * s + 0.1
s = np.grad(lambda t: np.sum(np.sin(v * t)))(s)
n = n + 1
n = (n * 3 + i) % 5
n = np.cond(s > 0.3, lambda n: n + 2, lambda n: 0, n)
""".strip().splitlines()
FORWARD_ONLY = ["s = np.while_loop(lambda t: t * t > 0.05, lambda t: t * 0.6, s)"]


def written(v: Any, place: Any, value: Any) -> Any:
    v = np.copy(v)
    v[place] = value
    return v


class Bodies(NamedTuple):
    """One random body in three loops, functions of (x, w, v, s)."""

    plain: Callable[..., Any]
    scan: Callable[..., Any]
    fori: Callable[..., Any]


def bodies(statements: list[str], reverse: bool) -> Bodies:
    lines = "\n        ".join([*statements, "v, s = np.tanh(v), np.tanh(s)"])
    order = "reversed(range(len(x)))" if reverse else "range(len(x))"
    index = "len(x) - 1 - i" if reverse else "i"
    scope: dict[str, Any] = {"np": np, "written": written}
    source = f"""
def plain(x, w, v, s):
    v, n, ys = v + 0.0, 1, []
    for i in {order}:
        u = x[i]
        {lines}
        ys.append(s * u)
    ys = ys[::-1] if {reverse} else ys
    return v, s * n, np.stack(ys)

def scan(x, w, v, s):
    def step(carry, pair):
        (v, s, n), (i, u) = carry, pair
        w = wide
        {lines}
        return (v, s, n), s * u

    wide = w
    xs = np.arange(len(x)), x
    (v, s, n), ys = np.scan(step, (v, s, 1), xs, reverse={reverse})
    return v, s * n, ys

def fori(x, w, v, s):
    def step(i, carry):
        v, s, n, ys = carry
        i = {index}
        u, w = x[i], wide
        {lines}
        ys[i] = s * u
        return v, s, n, ys

    wide = w
    v, s, n, ys = np.fori_loop(0, len(x), step, (v, s, 1, np.zeros_like(x)))
    return v, s * n, ys
"""
    exec(source, scope)
    return Bodies(scope["plain"], scope["scan"], scope["fori"])


def arguments(length: int) -> tuple[Any, ...]:
    rng = numpy.random.default_rng(length)
    draw = lambda *shape: rng.uniform(-1, 1, shape)
    return draw(length, 3), draw(3, 3), draw(3), numpy.float64(0.4)


def weighted(f: Callable[..., Any]) -> Callable[..., Any]:
    def scalar(*args: Any) -> Any:
        v, s, ys = f(*args)
        return np.sum(v * np.array([1.0, -2.0, 0.5])) + 3 * s + np.sum(ys * np.sin(ys + 1))

    return scalar


def same(got: Any, wanted: Any) -> None:
    for a, b in zip(got, wanted, strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-11)
        assert numpy.asarray(a).dtype == numpy.asarray(b).dtype


texts = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=5)
lengths = st.integers(1, 4)


@settings(max_examples=16)
@given(st.lists(st.sampled_from(STATEMENTS + FORWARD_ONLY), max_size=6), lengths, st.booleans())
def test_values_and_tangents(statements, length, reverse):
    made, args = bodies(statements, reverse), arguments(length)
    dots = tuple(numpy.cos(a) for a in args)
    value, tangent = np.jvp(made.plain, args, dots)
    for f in (made.scan, made.fori):
        same(f(*args), value)
        same(recorded(f)(*args), value)
        same(np.jvp(recorded(f), args, dots)[1], tangent)
        same(recorded(lambda x, y, f=f: np.jvp(f, x, y)[1])(args, dots), tangent)


@settings(max_examples=10)
@given(texts, lengths, st.booleans())
def test_gradients(statements, length, reverse):
    made, args = bodies(statements, reverse), arguments(length)
    wanted = np.grad(weighted(made.plain), (0, 1, 2, 3))(*args)
    for f in (made.scan, made.fori):
        gradient = np.grad(weighted(recorded(f)), (0, 1, 2, 3))
        same(gradient(*args), wanted)
        same(recorded(np.grad(weighted(f), (0, 1, 2, 3)))(*args), wanted)


@settings(max_examples=5)
@given(texts, lengths)
def test_second_order(statements, length):
    made, args = bodies(statements, False), arguments(length)
    dots = tuple(numpy.cos(a) for a in args)
    square = lambda g: lambda *a: sum(np.sum(d * d) for d in np.grad(g, (0, 1, 2, 3))(*a))
    wanted = np.jvp(np.grad(weighted(made.plain), (0, 1, 2, 3)), args, dots)[1]
    again = np.grad(square(weighted(made.plain)), (0, 1, 2, 3))(*args)
    for f in (made.scan, made.fori):
        same(np.jvp(np.grad(weighted(recorded(f)), (0, 1, 2, 3)), args, dots)[1], wanted)
        same(np.grad(square(weighted(recorded(f))), (0, 1, 2, 3))(*args), again)


@settings(max_examples=10)
@given(st.lists(st.sampled_from(STATEMENTS + FORWARD_ONLY), max_size=5), lengths)
def test_batches(statements, length):
    made, args = bodies(statements, False), arguments(length)
    many = tuple(numpy.stack([a, a * 0.5 - 0.2, 0.1 - a]) for a in args)
    examples = [made.plain(*(a[k] for a in many)) for k in range(3)]
    wanted = [numpy.stack(parts) for parts in zip(*examples, strict=True)]
    for f in (made.scan, made.fori):
        same(np.vmap(f)(*many), wanted)
        same(np.vmap(recorded(f))(*many), wanted)
        same(recorded(np.vmap(f))(*many), wanted)


@settings(max_examples=7)
@given(texts, lengths)
def test_batches_of_gradients(statements, length):
    made, args = bodies(statements, False), arguments(length)
    many = tuple(numpy.stack([a, a * 0.5 - 0.2, 0.1 - a]) for a in args)
    gradient = lambda f: np.grad(weighted(f), (0, 1, 2, 3))
    examples = [gradient(made.plain)(*(a[k] for a in many)) for k in range(3)]
    wanted = [numpy.stack(parts) for parts in zip(*examples, strict=True)]
    for f in (made.scan, made.fori):
        same(np.vmap(gradient(recorded(f)))(*many), wanted)
        same(recorded(np.vmap(gradient(f)))(*many), wanted)
        total = lambda *many, f=f: np.sum(np.vmap(weighted(f))(*many))
        same(np.grad(recorded(total), (0, 1, 2, 3))(*many), wanted)
