"""The native call path and its meaning in Python agree on random signatures and calls."""

import numpy as np
from entries import F4, F8, read, signature, write
from hypothesis import given, settings
from hypothesis import strategies as st

from xnp.runtime import entry_python
from xnp.runtime.entry import make_entry
from xnp.runtime.entry_signature import (
    SCALAR_DTYPES,
    Argument,
    Array,
    Given,
    NewArray,
    NewScalar,
    Rebuild,
    Scalar,
    Size,
    Static,
)

# Native and Python agree on random signatures

SIZES = (3, 0, 5)
DTYPES = [np.dtype(c) for c in "?bfdDiq"]
CONSTANTS = [None, True, 3, "key", 2.5, -0.0, (), len]


@st.composite
def arguments(draw):
    """(spec, an argument that fits it)."""
    kind = draw(st.sampled_from(["array", "array", "scalar", "static"]))
    if kind == "array":
        dims = tuple(draw(st.lists(st.sampled_from([Size(0), Size(1), Size(2), 2]), max_size=3)))
        shape = tuple(SIZES[dim.number] if isinstance(dim, Size) else dim for dim in dims)
        dtype = draw(st.sampled_from(DTYPES))
        value = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
        return Array(dtype, dims, draw(st.booleans())), value
    if kind == "scalar":
        value = draw(st.sampled_from([1.5, 2j, -7, True, np.float32(3), np.int8(4), np.bool_(1)]))
        return Scalar(type(value)), value
    value = draw(st.sampled_from(CONSTANTS))
    return Static(value), value


def nested(children):
    """Containers of (spec, argument) pairs, as a pair of containers."""
    lists = st.lists(children, max_size=3)
    pairs = st.tuples(st.sampled_from([tuple, list]), lists).map(
        lambda chosen: tuple(chosen[0](child[side] for child in chosen[1]) for side in (0, 1))
    )
    dicts = st.dictionaries(st.sampled_from("abcd"), children, max_size=3).map(
        lambda chosen: tuple({k: child[side] for k, child in chosen.items()} for side in (0, 1))
    )
    return pairs | dicts


TREES = st.recursive(arguments(), nested, max_leaves=6)


@st.composite
def results(draw, leaves):
    leaf = st.one_of(
        st.builds(NewArray, st.sampled_from(DTYPES), st.sampled_from([(), (2,), (0, 3), (4, 1)])),
        st.sampled_from([NewScalar(F8), NewScalar(F8, float), NewScalar(F4), Given("given")]),
        *([st.integers(0, leaves - 1).map(Argument)] if leaves else []),
    )
    containers = lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
        st.lists(inner, max_size=2).map(lambda parts: Rebuild(Rebuilt, tuple(parts))),
    )
    return draw(st.recursive(leaf, containers, max_leaves=5))


class Rebuilt:
    def __init__(self, parts):
        self.parts = parts


def perturbed(draw, tree):
    """The argument with one leaf that differs, or as it was."""
    if isinstance(tree, list | tuple) and tree:
        at = draw(st.integers(0, len(tree) - 1))
        return type(tree)([*tree[:at], perturbed(draw, tree[at]), *tree[at + 1 :]])
    if isinstance(tree, dict) and tree:
        key = draw(st.sampled_from(sorted(tree)))
        return {**tree, key: perturbed(draw, tree[key])}
    others = [tree, *CONSTANTS, [], {}, np.zeros(3), np.zeros((3, 3)), np.float64(1), 10**30, False]
    return draw(st.sampled_from(others))


def described(tree, inputs):
    """A result, comparable: what it is made of, and which arguments it holds."""
    if isinstance(tree, Rebuilt):
        return "rebuilt", described(tree.parts, inputs)
    if type(tree) is dict:
        return [(key, described(value, inputs)) for key, value in tree.items()]
    if type(tree) in (list, tuple):
        return type(tree), [described(value, inputs) for value in tree]
    if any(tree is one for one in inputs):
        return id(tree)
    if isinstance(tree, np.ndarray | np.generic):
        return type(tree), tree.dtype, tree.shape, tree.tobytes()
    return type(tree), repr(tree)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_native_and_python_agree(data):
    trees = data.draw(st.lists(TREES, max_size=3))
    named = data.draw(st.dictionaries(st.sampled_from(["p", "q"]), TREES, max_size=2))
    positional = tuple(spec for spec, _ in trees)
    keywords = {name: spec for name, (spec, _) in named.items()}
    every = Array(F8, (Size(0), Size(1), Size(2)))  # binds all symbols
    positional = (every, *positional)
    count = len(entry_leaves((*positional, *keywords.values())))
    result = data.draw(results(count))
    seen = []

    def kernel(inputs, outputs, sizes):
        read_inputs = [read(inputs[i], spec[0], spec[1]) for i, spec in enumerate(input_types)]
        seen.append(([one.tobytes() for one in read_inputs], [sizes[i] or 0 for i in range(3)]))
        for i, (dtype, shape) in enumerate(output_types):
            write(outputs[i], np.ones(shape, dtype))
        return 0

    described_signature = signature(positional, keywords, result, kernel, symbols=3)
    input_types = [storage(leaf) for leaf in described_signature.arguments if is_input(leaf)]
    output_types = [
        (leaf.dtype, getattr(leaf, "dims", ()))
        for leaf in described_signature.results
        if isinstance(leaf, NewArray | NewScalar)
    ]
    args = (np.zeros(SIZES), *(value for _, value in trees))
    kwargs = {name: value for name, (_, value) in named.items()}
    if data.draw(st.booleans()):
        args = perturbed(data.draw, args)
    f = make_entry(lambda args, kwargs: "missed", "f")
    f.add(described_signature)
    native = f(*args, **kwargs)
    python = entry_python.call(described_signature, args, kwargs)
    if python is entry_python.MISSED:
        assert native == "missed"
        assert not seen
    else:
        leaves = entry_leaves((*args, *kwargs.values()))
        assert described(native, leaves) == described(python, leaves)
        assert seen[0] == seen[1]


def entry_leaves(tree):
    if type(tree) is dict:
        tree = list(tree.values())
    if type(tree) in (list, tuple):
        return [leaf for child in tree for leaf in entry_leaves(child)]
    return [tree]


def is_input(leaf):
    return isinstance(leaf, Array | Scalar)


def storage(leaf):
    if isinstance(leaf, Scalar):
        return SCALAR_DTYPES[leaf.type], ()
    return leaf.dtype, tuple(
        SIZES[dim.number] if isinstance(dim, Size) else dim for dim in leaf.dims
    )
