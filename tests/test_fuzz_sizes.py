"""Random NumPy functions, jitted once and called with arrays of many sizes: the second size makes
code for all of them, which then answers for sizes of 1 and 0, too, or is recorded anew.
"""

import random
import warnings

import numpy
import pytest

import xnp as np
from xnp.testing.vectors import leaves_of

SIZES = [
    (3, 3),
    (5, 5),
    (3, 5),
    (5, 3),
    (1, 3),
    (4, 1),
    (1, 1),
    (2, 2),
    (7, 4),
    (4, 7),
    (2, 0),
    (9, 8),
]

SLICES = "1: -2: ::-1 ::2 1::2 :-1 ::-2 -1: 2:0:-1 -3:3 :2 0:1 1:-1 4:1:-1 n//2: :n//2 n-2: -n//2:"
PLACES = "0 -1 n//2 n-1 -n 1-n -(n//2) 2-n n%2-1"

# {x}: one dimension, {m}: two, {s}: a slice, {i}: an index.
LINES = {
    1: """np.sin({x})|{x} + {x}|{x} * {x}|{x}[{s}]|{x}[{s}] - {x}[{s}]|{x} * {x}[: n // 2]
{x} + {m}[{i}]
{m}[:, {i}]|{m}[{s}, {i}]|{x} * {x}[{i}]|np.roll({x}, 1) + {x}|np.cumsum({x})|{m} @ {x}|{x} @ {m}
{m}[{s}, ::-1] @ {x}|np.sum({m}[{s}], 0)|np.max({m}, 1)|{m}.ravel()|{m}.T.ravel()[{s}]|np.diff({x})
np.concatenate([{x}[{s}], {x}])|np.pad({x}, 1)|np.where({x} > 0, {x}, {x}[{i}])|np.sort({x})[{s}]
np.repeat({x}, 2)|np.stack([{x}, {x}]).ravel()|{x}[::-1].copy()|np.clip({x}, {x}[{i}], 1.0)|{x} / n
np.convolve({x}, [1.0, 2.0])|put({x}, {s})|add({x}, {i})
np.fori_loop(0, 2, lambda j, q: q * {x}, {x})
np.scan(lambda q, t: (q + t, q * t), 0.0, {x})[1]|np.broadcast_to({x}[: n // 2], ({x}).shape)""",
    2: """np.cos({m})|{m} * {x}|{m} + {m}|{m}[{s}]|{m}[:, {s}]|{m}[{s}, {s}]|{m}.T|{m} @ {m}.T
{m}.T @ {m}
{m}[{s}].T @ {m}[{s}]|{m}[{s}, {s}] @ {m}[{s}, {s}].T|{m} - np.mean({m}, 0)|{x}[:, None] * {x}
{m} / np.sum({m}, 1, keepdims=True)|np.roll({m}, 1, 0) + {m}|np.concatenate([{m}, {m}[{s}]])
np.where({m} > {x}, {m}, 0.0)|{m}.reshape(-1, 1)|{m}[::-1, ::-1]|np.outer({x}, {x})|put({m}, {s})
np.pad({m}, 1)[1:, :-1]|np.cumsum({m}, 1)|{m} * {m}[{i}]|{m} * {m}[:, {i}][:, None]
np.diff({m}, axis=0)
np.vmap(lambda r: r * np.sum(r))({m})|np.stack([{x}, {x}[::-1]])""",
}
EXPRESSIONS = {rank: text.replace("\n", "|").split("|") for rank, text in LINES.items()}


def put(x, part):
    y = np.array(x)
    y[part] = y[part][::-1] * 0.5
    return y


def add(x, place):
    y = np.array(x)
    y[place] += 1.0
    return y


def function_of(seed):
    rng = random.Random(seed)
    known = {1: ["b", "c"], 2: ["a"]}
    lines = ["def f(a, b, c):", "    n = b.shape[0]"]
    for number in range(rng.randint(2, 6)):
        rank = rng.choice((1, 2))
        text = rng.choice(EXPRESSIONS[rank])
        while "{" in text:
            text = text.replace("{x}", rng.choice(known[1][-3:]), 1)
            text = text.replace("{m}", rng.choice(known[2][-3:]), 1)
            part = rng.choice(SLICES.split())
            if "put(" in text:
                part = "slice(" + ", ".join(p or "None" for p in part.split(":")) + ")"
            text = text.replace("{s}", part, 1)
            text = text.replace("{i}", rng.choice(PLACES.split()), 1)
        lines.append(f"    v{number} = {text}")
        known[rank].append(f"v{number}")
    names = [name for name in (*known[1], *known[2]) if name.startswith("v")]
    lines.append(f"    return [{', '.join(names)}]")
    space = {"np": np, "put": put, "add": add}
    exec("\n".join(lines), space)
    return space["f"], "\n".join(lines)


def outcome(f, args):
    try:
        return leaves_of(f(*args))
    except (ValueError, IndexError, TypeError) as error:
        return type(error)


def check(seed, change):
    """The jitted function of the one that ``change`` makes gives at every size what that gives."""
    f, text = function_of(seed)
    plain = change(f)
    jitted = np.jit(plain)
    rng = random.Random(seed)
    numbers = numpy.random.default_rng(seed)
    for shape in rng.sample(SIZES, 6):
        args = [numbers.normal(size=size) for size in (shape, shape[1], shape[1])]
        if rng.random() < 0.3:
            args[0] = numpy.asfortranarray(args[0])
        with warnings.catch_warnings(), numpy.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            wanted, found = outcome(plain, args), outcome(jitted, args)
        what = f"seed {seed}, size {shape}\n{text}"
        if isinstance(wanted, type):
            assert isinstance(found, type), f"{what}\n{wanted.__name__} expected"
            continue
        assert not isinstance(found, type), f"{what}\n{found}"
        for a, b in zip(found, wanted, strict=True):
            a, b = numpy.asarray(a), numpy.asarray(b)
            assert (a.shape, a.dtype) == (b.shape, b.dtype), what
            scale = numpy.max(numpy.abs(b), initial=1.0, where=numpy.isfinite(b))
            numpy.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11 * scale, err_msg=what)


def gradient(f):
    return np.grad(lambda a, b, c: sum(np.sum(np.sin(x)) for x in f(a, b, c)), argnums=(0, 1, 2))


@pytest.mark.parametrize("group", range(10))
def test_functions_at_many_sizes(group):
    for seed in range(group * 10, group * 10 + 10):
        check(seed, lambda f: f)


@pytest.mark.parametrize("group", range(4))
def test_gradients_at_many_sizes(group):
    for seed in range(group * 10, group * 10 + 10):
        check(seed, gradient)


@pytest.mark.slow
@pytest.mark.parametrize("group", range(10, 60))
def test_more_functions_at_many_sizes(group):
    for seed in range(group * 10, group * 10 + 10):
        check(seed, gradient if seed % 3 == 0 else lambda f: f)
