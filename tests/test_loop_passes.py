"""Passes on loops, branches and checkpoints."""

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from programs_of import X, check_same, names, optimized_names, program_of
from test_control_flow_random import FORWARD_ONLY, STATEMENTS, arguments, bodies, weighted

import xnp
from xnp import checkpoint, cond, fori_loop, scan, while_loop


def body_of(program, name):
    (equation,) = [e for e in program.equations if e.primitive.name == name]
    return equation, equation.params["body"]


def test_what_a_loop_does_not_change_is_not_carried():
    def f(x, n):
        state = (x, xnp.sin(x), x)
        step = lambda i, s: (s[0] * xnp.exp(x) + s[1], s[1], s[2] + 1)
        return fori_loop(0, n, step, state)[0]

    args = (X[0], numpy.int64(3))
    program = check_same(program_of(f, args), args)
    loop, body = body_of(program, "for")
    assert (loop.params["const_count"], loop.params["carry_count"]) == (2, 1)
    assert names(body) == ["multiply", "add"]


def test_a_scan_stacks_what_is_read():
    def f(x):
        step = lambda c, t: ((c[0] + t, c[1] * 2.0), (c[0] * t, c[1] + 1))
        return scan(step, (x[0], x[1]), x)[1][0]

    program = check_same(program_of(f, (X[1],)), (X[1],))
    loop, body = body_of(program, "scan")
    assert len(loop.results) == len(body.results) == 2


def test_while_loops():
    def f(x):
        step = lambda s: (s[0] + 1, s[1] * xnp.tanh(s[2]), s[2], s[3] + 1)
        return while_loop(lambda s: s[0] < 5, step, (0, x, x * 2, x))[1]

    program = check_same(program_of(f, (X[0],)), (X[0],))
    loop, body = body_of(program, "while")
    assert len(loop.results) == 2
    assert "tanh" not in names(body)
    assert "tanh" in names(program)


def test_what_may_raise_stays_in_its_loop():
    def f(x, k, n):
        return fori_loop(0, n, lambda i, s: s + x[k], x[0])

    args = (X[0], numpy.int64(9), numpy.int64(0))
    program = check_same(program_of(f, (X[0], numpy.int64(0), numpy.int64(0))), args)
    assert "gather" not in names(program)


def test_branches():
    def f(x):
        return cond(x[0] > 0, lambda x, y: (x + 1, x, y), lambda x, y: (x, x, y), x, x * 3)[0]

    program = check_same(program_of(f, (X[0],)), (X[0],))
    (branch,) = [e for e in program.equations if e.primitive.name == "branch"]
    assert len(branch.inputs) == 2
    assert len(branch.results) == 1


def test_checkpoints_are_inlined_but_not_merged():
    def f(x):
        return xnp.grad(lambda x: xnp.sum(checkpoint(lambda x: xnp.sin(xnp.sin(x)))(x)))(x)

    def both(x):
        return xnp.value_and_grad(lambda x: xnp.sum(checkpoint(lambda x: xnp.sin(xnp.sin(x)))(x)))(
            x
        )

    x = numpy.array([0.5, 1.0])
    assert optimized_names(f, x).count("sin") == 1
    assert optimized_names(both, x).count("sin") == 3


def test_known_numbers_go_into_regions():
    def f(x, n):
        zero = xnp.sum(x * 0.0 - x * 0.0 + 1.0, where=False) + 3.0
        return fori_loop(0, n, lambda i, s: s * 1.0 + zero, x)

    def g(x):
        return cond(x[0] > 0, lambda x, k: x * k, lambda x, k: x + k, x, 1.0)

    def h(x):
        return while_loop(lambda s: xnp.sum(s) < 9.0, lambda s: s * 2.0 + 1.0, x)

    x = numpy.array([0.5, 1.0])
    for function, args in ((f, (x, numpy.int64(3))), (g, (x,)), (h, (x,))):
        check_same(program_of(function, args), args)
    (branch,) = [e for e in check_same(program_of(g, (x,)), (x,)).equations if "branch" in str(e)]
    assert len(branch.inputs) == 2
    assert names(branch.params["branches"][1]) == []


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(STATEMENTS + FORWARD_ONLY), max_size=6),
    st.integers(1, 4),
    st.booleans(),
)
def test_random_loops(statements, length, reverse):
    made, args = bodies(statements, reverse), arguments(length)
    for f in (made.scan, made.fori):
        check_same(program_of(f, args), args)
        check_same(program_of(lambda *a, f=f: xnp.jvp(f, a, a)[1], args), args)
        if not set(statements) & set(FORWARD_ONLY):
            gradient = xnp.grad(weighted(f), (0, 1, 2, 3))
            check_same(program_of(gradient, args), args)
