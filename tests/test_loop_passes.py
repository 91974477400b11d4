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


def scans_of(f, *args):
    """The equations in the bodies of the scans of an optimised Program."""
    program = check_same(program_of(f, args), args)
    return [names(e.params["body"]) for e in program.equations if e.primitive.name == "scan"]


XS = numpy.linspace(-2, 2, 12).reshape(4, 3)
W = numpy.linspace(-1, 1, 9).reshape(3, 3)


def recurrent(x, w=W):
    step = lambda h, v: (xnp.tanh(w @ h + v),) * 2
    return xnp.sum(scan(step, x[0], x)[1])


def test_a_slope_is_computed_in_the_loop_that_has_its_argument():
    forward, backward = scans_of(xnp.grad(recurrent), XS)
    assert forward == ["matmul", "add", "tanh", "sech_squared"]
    assert backward == ["add", "multiply", "matmul"]


def test_what_is_read_elsewhere_too_stays_stacked():
    def f(x):
        _, (s, _) = scan(lambda h, v: (h, (h * v, xnp.tanh(h * v))), x[0], x)
        return s, scan(lambda c, v: (c + v, xnp.exp(v)), x[0], s, reverse=True)

    first, second = scans_of(f, XS)
    assert first == ["multiply"]
    assert second == ["add", "exp"]


def test_what_two_stacks_are_read_for_is_one_stack():
    def f(x, last):
        _, (a, b) = scan(lambda h, v: (h * v, (h + v, h - v)), x[0], x)
        return scan(lambda c, ab: (c + last(*ab), None), x[0], (a, b), reverse=True)[0]

    first, second = scans_of(lambda x: f(x, lambda a, b: a * b), XS)
    assert first.count("multiply") == 2
    assert second == ["add"]
    first, second = scans_of(lambda x: f(x, lambda a, b: xnp.sqrt(a) * 2 + xnp.square(b)), XS)
    assert second == ["add"]
    first, second = scans_of(lambda x: f(x, lambda a, b: a * 2), XS)
    assert second == ["multiply", "add"]  # one stack for another: nothing is gained


def test_what_is_stacked_already_is_read():
    def f(x):
        _, (a, b) = scan(lambda h, v: (h * v, (h + v, xnp.exp(-(h + v)))), x[0], x)
        return b, scan(lambda c, a: (c * a, xnp.exp(-a) + 1), x[0], a)

    first, second = scans_of(f, XS)
    assert first.count("exp") == 1
    assert second.count("exp") == 0


def test_nothing_is_stacked_twice():
    def f(x):
        _, (a, b) = scan(lambda h, v: (h * v, (h + v, h + v)), x[0], x)
        return scan(lambda c, ab: (c + ab[0] @ W @ ab[1], None), 0.0, (a, b))[0], a, b

    program = check_same(program_of(f, (XS,)), (XS,))
    first, second = (e for e in program.equations if e.primitive.name == "scan")
    assert len(first.results) == 2  # the carry, and one stack
    assert second.inputs.count(first.results[1]) == 1
    assert program.results[1] is program.results[2]


def test_slopes_move_in_regions_and_in_second_derivatives():
    step = lambda i, x: x - 0.1 * xnp.grad(recurrent)(x)
    check_same(program_of(lambda x: fori_loop(0, 3, step, x), (XS,)), (XS,))
    second = xnp.grad(lambda x: xnp.sum(xnp.grad(recurrent)(x) ** 2))
    check_same(program_of(second, (XS,)), (XS,))
    check_same(program_of(xnp.value_and_grad(recurrent), (XS,)), (XS,))


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
