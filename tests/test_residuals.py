"""What reverse mode stores of a loop's body is the least that does: compared with all choices."""

from itertools import combinations

import numpy
from hypothesis import given
from hypothesis import strategies as st
from regions import equations, program_of

import xnp as np
from xnp.autodiff.calls import sources
from xnp.autodiff.core import Aval, primitives
from xnp.autodiff.program import Equation, Program, Variable
from xnp.autodiff.residuals import cheapest

F64 = numpy.dtype(float)


def is_enough(stored, read, producers) -> bool:
    """Whether all that is read can be computed from the stored values by cheap operations."""
    return set(sources([v for v in read if v not in stored], trimmed(stored, producers))) <= stored


def trimmed(stored, producers):
    """As if the stored values came from nowhere."""
    return {v: e for v, e in producers.items() if v not in stored}


@st.composite
def graphs(draw):
    """Values with costs, how they are computed from each other, and which are read."""
    values = [Variable(Aval((), F64)) for _ in range(draw(st.integers(2, 9)))]
    producers = {}
    for i, v in enumerate(values[1:], 1):
        inputs = [values[j] for j in draw(st.lists(st.integers(0, i - 1), max_size=2))]
        name = draw(st.sampled_from(["add", "add", "add", "sin"]))
        if inputs:
            producers[v] = Equation(primitives[name], inputs, {}, [v])
    costs = dict(zip(values, draw(st.lists(st.integers(0, 5), min_size=9)), strict=False))
    read = draw(st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True))
    return values, producers, costs, read


@given(graphs())
def test_the_cheapest_choice(graph):
    values, producers, costs, read = graph
    found = set(cheapest(lambda v: costs[v])(read, producers))
    assert is_enough(found, read, producers)
    total = lambda stored: sum(costs[v] for v in stored)
    best = min(
        total(stored)
        for size in range(len(values) + 1)
        for stored in combinations(values, size)
        if is_enough(set(stored), read, producers)
    )
    assert total(found) == best


def stacked(f, *args) -> list[str]:
    """The types of what the forward loop of a gradient stacks."""
    scans = equations(program_of(np.grad(f), *args), "scan")
    forward: Program = scans[0].params["body"]
    return [str(y.aval) for y in forward.results[scans[0].params["carry_count"] :]]


def test_a_sum_is_stored_and_not_its_terms():
    x, w = numpy.ones(3), numpy.eye(3)
    step = lambda c, x: (np.tanh(w @ c + np.sin(x) @ w + np.cos(c)), None)
    f = lambda x: np.sum(np.scan(step, x, np.stack([x, x]))[0])
    assert sorted(stacked(f, x)) == ["f64[3]", "f64[3]"]  # the carry, and what tanh is taken of


def test_what_was_stacked_anyway_is_not_stored_again():
    f = lambda x: np.sum(np.scan(lambda c, v: (np.exp(c) * v,) * 2, 1.0, x)[1])
    assert stacked(f, numpy.ones(4)) == ["f64[]", "f64[]"]
