"""What loops and branches promise: types, aliases, who runs what, and what the errors say."""

import linecache
import re

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from regions import equations, program_of, recorded

import xnp as np
from xnp.autodiff.core import Aval

X = numpy.array([0.3, -0.7, 1.2])


# -- types --

NUMBERS = [True, 2, 0.5, 0.5j, numpy.int8(3), numpy.float32(0.5), numpy.float64(0.25)]
NUMBERS += [numpy.uint8(2), numpy.bool_(True), numpy.complex64(1j), numpy.arange(2, dtype="i2")[0]]


def kinds(x):
    return type(x), numpy.asarray(x).dtype


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.sampled_from(["c + d", "d", "c * d"]))
def test_a_carried_number_has_the_type_of_the_plain_loop(first, other, text):
    body = eval(f"lambda i, c, d=other: {text}", {"other": other})
    wanted = first
    for i in range(3):
        wanted = body(i, wanted)
    got = np.fori_loop(0, 3, body, first)
    assert kinds(got) == kinds(wanted)
    assert got == wanted
    traced = recorded(lambda: np.fori_loop(0, 3, body, first))()
    joined = numpy.result_type(first, other) if text == "d" else numpy.asarray(wanted).dtype
    assert numpy.asarray(traced).dtype == joined
    assert traced == wanted


def test_index_is_a_python_int():
    x = X.astype(numpy.float32)
    assert np.fori_loop(0, 3, lambda i, c: c * i, x).dtype == numpy.float32
    assert recorded(lambda x: np.fori_loop(0, 3, lambda i, c: c * i, x))(x).dtype == numpy.float32


def test_stacked_results_keep_their_dtypes():
    step = lambda c, x: (c, {"half": x / 2, "even": x % 2 == 0, "wide": x})
    xs = numpy.arange(4, dtype=numpy.int16)
    for f in (np.scan, recorded(lambda c, xs: np.scan(step, c, xs)[1])):
        ys = f(step, 0, xs)[1] if f is np.scan else f(0, xs)
        dtypes = {name: y.dtype for name, y in ys.items()}
        assert dtypes == {"half": numpy.float64, "even": bool, "wide": numpy.int16}


def test_no_iterations():
    empty = X[:0]
    step = lambda c, x: (c + x, (c, np.sin(x) * np.ones(2)))
    for scan in (np.scan, lambda *args: recorded(lambda *a: np.scan(step, *a))(*args[1:])):
        total, (sums, sines) = scan(step, 1.5, empty)
        assert total == 1.5
        assert sums.shape == (0,)
        assert sines.shape == (0, 2)
    assert np.fori_loop(3, 3, lambda i, c: 1 / 0, 7) == 7
    assert np.grad(recorded(lambda x: np.fori_loop(0, 0, lambda i, c: c * x, x)))(2.0) == 1.0


# -- aliases and writes --


def test_the_caller_keeps_its_arrays():
    def body(i, c):
        c["a"][i] = 9.0
        c["b"], c["a"] = c["a"], c["a"]
        return c

    x = X.copy()
    for loop in (
        np.fori_loop,
        lambda *args: recorded(lambda c: np.fori_loop(*args[:3], c))(args[3]),
    ):
        out = loop(0, 2, body, {"a": x, "b": x})
        assert_array_equal(x, X)
        assert_array_equal(out["a"], [9.0, 9.0, 1.2])
        assert_array_equal(out["b"], [9.0, 9.0, 1.2])


def test_a_branch_gives_and_gets_copies():
    def overwritten(v):
        v[0] = 5.0
        return v

    x = X.copy()
    for cond in (np.cond, lambda p, *f: recorded(lambda p, x: np.cond(p, *f[:2], x))(p, f[2])):
        out = cond(numpy.bool_(True), overwritten, lambda v: x, x)
        assert out[0] == 5.0
        out = cond(numpy.bool_(False), overwritten, lambda v: x, x)
        assert_array_equal(x, X)
        assert not numpy.shares_memory(out, x) or cond is not np.cond


def test_a_write_to_what_was_captured():
    def f(x):
        out = np.zeros(3)

        def body(i, c):
            out[i] = c
            return c + 1

        np.fori_loop(0, 3, body, 0.0)
        return out + x

    assert_array_equal(f(numpy.zeros(3)), [0.0, 1.0, 2.0])  # Python's own loop: no harm done
    text = "an array that was made outside of fori_loop was written to inside of it"
    with pytest.raises(np.MutationError, match=text) as error:
        recorded(f)(X)
    assert "out[i] = c" in str(error.value)


def test_a_constant_written_to_what_was_captured():
    def f(x):
        out = x + 1
        set_first = lambda: out.__setitem__(0, 0.0) or 1.0
        return np.cond(x[0] > 0, set_first, lambda: 2.0) * out

    with pytest.raises(np.MutationError, match="made outside of cond"):
        recorded(f)(X)


def test_a_condition_that_writes_to_the_carried_value():
    def f(x):
        def few(v):
            v[0] += 1
            return v[0] < 5

        return np.while_loop(few, lambda v: v * 1.5, x)

    x = numpy.array([0.5, 1.0])
    assert_array_equal(f(x), [5.875, 2.25])  # Python's own loop: the body sees it
    assert_array_equal(np.vmap(f)(numpy.stack([x, x])), [[5.875, 2.25]] * 2)
    text = "while_loop: cond_fun writes to the carried value .*; write in body_fun"
    for g in (recorded(f), np.jit(f), lambda x: np.vmap(f)(np.array([x, x * 20]))):
        with pytest.raises(np.MutationError, match=text):
            g(x)


def test_live_arrays_are_operands():
    table = numpy.arange(3.0)
    program = program_of(lambda x: np.fori_loop(0, 3, lambda i, c: c + table, x), X)
    (scan,) = equations(program, "scan")
    assert scan.params["const_count"] == 1
    assert scan.inputs[0].live
    before = program(X)[0]
    table += 1
    assert_allclose(program(X)[0], before + 3)


# -- who runs what --


def test_a_branch_that_is_not_taken_is_not_computed():
    def f(x, i):
        y = x * 2
        return np.cond(i < 3, lambda: y[i], lambda: 0.0)  # y[i] would raise

    assert recorded(f)(X, 7) == 0.0
    assert recorded(f)(X, 1) == -1.4
    assert_array_equal(np.vmap(recorded(f), in_axes=(None, 0))(X, numpy.array([2, 7])), [2.4, 0.0])
    batch = recorded(np.vmap(f, in_axes=(None, 0)))
    assert_array_equal(batch(X, numpy.array([2, 7])), [2.4, 0.0])
    assert_array_equal(batch(X, numpy.array([5, 7])), [0.0, 0.0])


def test_an_example_that_has_ended_raises_nothing():
    def f(x, i):
        x = np.array(x)
        return np.while_loop(lambda c: c[0] < i, lambda c: (c[0] + 1, c[1] + x[c[0]]), (0, 0.0))[1]

    ends = numpy.array([0, 3, 1])
    wanted = [0.0, X.sum(), X[0]]
    assert_allclose(np.vmap(f, in_axes=(None, 0))(X, ends), wanted)
    assert_allclose(recorded(np.vmap(f, in_axes=(None, 0)))(X, ends), wanted)
    assert_allclose(np.vmap(recorded(f), in_axes=(None, 0))(X, ends), wanted)


def test_a_check_in_a_body_still_raises():
    f = lambda n: np.fori_loop(0, 3, lambda i, c: c + 1 // (n - i), 0)
    assert recorded(f)(5) == 0
    with pytest.raises(ZeroDivisionError):
        recorded(f)(2)
    with pytest.raises(ZeroDivisionError):
        recorded(lambda n: np.cond(n > 0, lambda: 1 // (n - 2), lambda: 0))(2)
    assert recorded(lambda n: np.cond(n > 0, lambda: 1 // (n - 2), lambda: 0))(-2) == 0


def test_a_batch_of_bounds():
    f = lambda n, x: np.fori_loop(n - 1, 2 * n, lambda i, c: c * x + i, 1.0)
    n, x = numpy.array([0, 3, 1, 2]), numpy.array([0.5, 1.5, -0.5, 2.0])
    wanted = [f(int(a), b) for a, b in zip(n, x, strict=True)]
    slopes = [np.grad(f, 1)(int(a), b) for a, b in zip(n, x, strict=True)]
    assert_allclose(np.vmap(f)(n, x), wanted)
    assert_allclose(recorded(np.vmap(f))(n, x), wanted)
    assert_allclose(np.vmap(recorded(f))(n, x), wanted)
    assert_allclose(np.vmap(np.grad(f, 1))(n, x), slopes)
    assert_allclose(recorded(np.vmap(np.grad(f, 1)))(n, x), slopes)


@given(st.integers(-20, 20))
def test_switch_clamps_its_index(i):
    branches = [lambda: 0, lambda: 1, lambda: 2]
    wanted = min(max(i, 0), 2)
    assert np.switch(i, branches) == wanted
    assert recorded(lambda i: np.switch(i, branches))(i) == wanted


def test_condition_known_outside():
    log = []
    note = lambda name: lambda x: log.append(name) or x
    np.grad(lambda x: np.cond(x > 0, note("true"), note("false"), x))(1.0)
    assert log == ["true"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 20])
def test_map_in_batches(size):
    xs = {"a": numpy.arange(7.0), "b": numpy.arange(14).reshape(7, 2)}
    f = lambda x: (x["a"] * x["b"], np.sum(x["b"]))
    for got in (np.map(f, xs, size), recorded(lambda xs: np.map(f, xs, size))(xs)):
        assert_array_equal(got[0], xs["a"][:, None] * xs["b"])
        assert_array_equal(got[1], xs["b"].sum(1))


# -- what reverse mode stores --


def stacks_of_gradient(f, *args):
    """The types of the ys of the scans in the Program of a gradient."""
    program = program_of(np.grad(f), *args)
    scans = equations(program, "scan")
    return [[str(y.aval) for y in e.results[e.params["carry_count"] :]] for e in scans]


def test_nothing_is_stored_for_a_linear_loop():
    f = lambda x: np.sum(np.fori_loop(0, 9, lambda i, c: c * 0.5 + np.roll(c, 1) * i, x))
    assert stacks_of_gradient(f, X) == [[]]  # the forward loop is not even there


def test_what_is_cheap_or_constant_is_not_stored():
    w = numpy.eye(3)

    def f(x):
        m = np.outer(x, x) + w
        return np.sum(np.fori_loop(0, 9, lambda i, c: np.tanh(np.linalg.inv(m) @ c * 2 + i), x))

    forward, backward = stacks_of_gradient(f, X)
    assert sorted(forward) == ["f64[9,3]", "f64[9,3]"]  # the carry and its tanh
    assert backward == []
    assert len(equations(program_of(np.grad(f), X), "inv")) == 1  # outside of both loops


def test_what_is_carried_unchanged_is_not_stored():
    step = lambda c, _: ((np.tanh(c[1] @ c[0]), c[1]), None)
    f = lambda w: np.sum(np.scan(step, (X, w), length=9)[0][0])
    forward, backward = stacks_of_gradient(f, numpy.eye(3))
    assert "f64[9,3,3]" not in forward + backward
    assert_allclose(np.grad(recorded(f))(numpy.eye(3)), np.grad(f)(numpy.eye(3)))


def test_checkpoint_stores_its_operands_only():
    step = lambda c: np.sin(np.exp(np.sin(np.exp(c))))
    f = lambda x: np.sum(np.fori_loop(0, 5, lambda i, c: np.checkpoint(step)(c), x))
    assert stacks_of_gradient(f, X) == [["f64[5,3]"], []]
    assert_allclose(np.grad(recorded(f))(X), np.grad(f)(X))


def test_behind_a_mask_an_infinite_derivative_is_nothing():
    root = lambda x: np.fori_loop(0, 1, lambda i, c: np.sqrt(c), x)
    f = lambda x: np.where(x > 0, root(x), 0.0)
    assert np.grad(f)(0.0) == 0.0
    assert np.grad(recorded(f))(0.0) == 0.0
    assert recorded(np.grad(f))(0.0) == 0.0
    step = lambda i, c: np.log(c) / c + i
    for loop in (
        lambda n, x: np.fori_loop(0, 2, step, x),
        lambda n, x: np.fori_loop(0, n, step, x),
    ):
        f = lambda n, x, loop=loop: np.where(x > 0, loop(n, x), 0.0)
        two = numpy.int64(2)
        assert np.grad(recorded(f), 1)(two, 0.0) == recorded(np.grad(f, 1))(two, 0.0) == 0.0
    chosen = lambda x: np.cond(x > 0, lambda: np.sqrt(x), lambda: 0.0)
    total = lambda x: np.sum(np.vmap(chosen)(x))
    x = numpy.array([0.0, 4.0, -1.0])
    for g in (np.grad(total), recorded(np.grad(total)), np.grad(recorded(total))):
        assert_array_equal(g(x), [0.0, 0.25, 0.0])


# -- errors --


def without_line(error: BaseException) -> str:
    """An error's text without the words that name the user's line."""
    text = str(error)
    found = re.search(r" \(at test_control_flow_rules\.py:(\d+): ", text)
    assert found, text
    line = linecache.getline(__file__, int(found[1])).strip()
    return text.replace(f"{found[0]}{line})", "")


KEEP = "Carried arrays keep their shape: start with one of the final shape, and write into it."


def overwriting(x):
    x[0] = 1.0
    return x


ERRORS = {
    "tree": (
        lambda x: np.fori_loop(0, 3, lambda i, c: (c, c), x),
        "fori_loop: body_fun returned the tree (*, *), wanted that of init_val, *",
    ),
    "no return": (
        lambda x: np.fori_loop(0, 3, lambda i, c: None, x),
        "fori_loop: body_fun returned the tree None, wanted that of init_val, *; does it lack a "
        "return statement?",
    ),
    "shape": (
        lambda x: np.while_loop(lambda c: True, lambda c: {"a": [x[1:]]}, {"a": [x]}),
        f"while_loop: body_fun changes the shape of init_val['a'][0], which is f64[3], to f64[2]. "
        f"{KEEP}",
    ),
    "leaf": (
        lambda x: np.scan(lambda c, v: (c, v), "text", x),
        "scan: init is str 'text'; wanted an array, a number, or a tree of them. What the function "
        "reads and does not change it may capture.",
    ),
    "condition": (
        lambda x: np.while_loop(lambda c: c > 0, lambda c: c, x),
        "while_loop: what cond_fun returned is bool[3]; wanted one truth value. Write np.any(...) "
        "or np.all(...) of it, or np.where for a choice of each element.",
    ),
    "predicate": (
        lambda x: np.cond(x, lambda: 1, lambda: 2),
        "cond: pred is f64[3]; wanted one truth value. Write np.any(...) or np.all(...) of it, or "
        "np.where for a choice of each element.",
    ),
    "branch types": (
        lambda x: np.cond(x[0] > 0, lambda: (x, x), lambda: (x, x.astype(np.float32))),
        "cond: the result[1] is f32[3] in one branch and f64[3] in another. All branches must give "
        "the same shapes and dtypes; convert with x.astype(...).",
    ),
    "branch trees": (
        lambda x: np.cond(x[0] > 0, lambda: (x, x), lambda: x),
        "cond: true_fun returned the tree (*, *), wanted that of the result, *",
    ),
    "index": (
        lambda x: np.switch(x[0], [lambda: 1, lambda: 2]),
        "switch: the index is f64[], wanted one integer",
    ),
    "bound": (
        lambda x: np.fori_loop(0, x[0], lambda i, c: c, 0),
        "fori_loop: upper is f64[], wanted an integer; write upper.astype(int).",
    ),
    "pair": (
        lambda x: np.scan(lambda c, v: c, 0.0, x),
        "scan: f returned f64[], wanted a pair (carry, y); write return carry, None where there is "
        "no y.",
    ),
    "branch on a traced value": (
        lambda x: np.fori_loop(0, 3, lambda i, c: c if c[0] > 0 else -c, x),
        "the value of a traced array (bool[]) is not known while fori_loop records the function: "
        "Python cannot branch on it, print it or use it as a size. Write np.where(condition, a, b) "
        "or xnp.cond for a choice, xnp.while_loop or xnp.fori_loop for a loop; an argument that "
        "Python must know goes into static_argnames.",
    ),
    "checkpoint": (
        lambda x: np.checkpoint(overwriting)(x) + 1,
        "checkpoint of overwriting writes to its argument, which it would do again in the backward "
        "pass; write to a copy, x = np.copy(x).",
    ),
}


@pytest.mark.parametrize(("f", "text"), ERRORS.values(), ids=ERRORS)
def test_error_texts(f, text):
    with pytest.raises((TypeError, ValueError)) as error:
        recorded(f)(X)
    assert without_line(error.value) == text


def falling(i):
    return numpy.ones(3 - int(i))


TYPE_ERRORS = {
    "body_fun": (
        lambda: np.fori_loop(0, 3, 5, X),
        "fori_loop: body_fun is int 5, wanted a function, such as lambda i, val: val + i.",
    ),
    "cond_fun": (
        lambda: np.while_loop(3, 4, X),
        "while_loop: cond_fun is int 3, wanted a function, such as lambda val: val < 10.",
    ),
    "true_fun": (
        lambda: np.cond(True, 1, 2, X),
        "cond: true_fun is int 1, wanted a function, such as lambda x: 2 * x.",
    ),
    "false_fun": (
        lambda: np.cond(True, lambda: 1, None),
        "cond: false_fun is NoneType None, wanted a function, such as lambda: 1.",
    ),
    "branches": (
        lambda: np.switch(0, [falling, 2], X, X),
        "switch: branches[1] is int 2, wanted a function, such as lambda x0, x1: 2 * x0.",
    ),
    "one branch": (
        lambda: np.switch(0, np.sin, X),
        "switch: branches is ufunc <ufunc 'sin'>, wanted a list of functions; write [f, g].",
    ),
    "f": (
        lambda: np.scan(3, X, X),
        "scan: f is int 3, wanted a function, such as lambda carry, x: (carry + x, carry).",
    ),
    "f of map": (
        lambda: np.map(3, X),
        "map: f is int 3, wanted a function, such as lambda x: x * 2.",
    ),
    "pred": (
        lambda: np.cond(None, np.sin, np.cos, X),
        "cond: pred is NoneType None; wanted one truth value: True, False, or what a comparison "
        "gives.",
    ),
    "pred of text": (
        lambda: np.cond(numpy.array("a"), np.sin, np.cos, X),
        "cond: pred is ndarray <U1[]; wanted one truth value: True, False, or what a comparison "
        "gives.",
    ),
    "condition": (
        lambda: np.while_loop(lambda v: "", np.sin, X),
        "while_loop: what cond_fun returned is str ''; wanted one truth value: True, False, or "
        "what a comparison gives.",
    ),
    "length": (
        lambda: np.scan(lambda c, _: (c, c), 0.0, length=2.5),
        "scan: length is float 2.5, wanted an int; write int(length)",
    ),
    "batch_size": (
        lambda: np.map(np.sin, X, batch_size=[1]),
        "map: batch_size is list [1], wanted an int",
    ),
    "reverse": (
        lambda: np.scan(lambda c, v: (c, v), 0.0, X, reverse="a"),
        "scan: reverse is str 'a', wanted a bool",
    ),
    "shapes of y": (
        lambda: np.scan(lambda c, i: (c, {"a": falling(i)}), 0.0, numpy.arange(3)),
        "scan: y['a'] is f64[3] in one iteration and f64[2] in another. They are stacked: return "
        "arrays of one shape, or collect them in a Python loop.",
    ),
    "shapes of traced y": (
        lambda: np.grad(lambda x: np.map(lambda i: x * falling(i), numpy.arange(3)).sum())(1.0),
        "map: y is f64[3] in one iteration and f64[2] in another. They are stacked: return arrays "
        "of one shape, or collect them in a Python loop.",
    ),
}


@pytest.mark.parametrize(("f", "text"), TYPE_ERRORS.values(), ids=TYPE_ERRORS)
def test_type_errors(f, text):
    with pytest.raises(TypeError) as error:
        f()
    assert without_line(error.value) == text


def test_reverse_that_is_traced():
    sums = lambda x, reverse: np.scan(lambda c, v: (c + v, c + v), 0.0, x, reverse=reverse)[1]
    with pytest.warns(RuntimeWarning, match="runs <lambda> uncompiled: a truth value"):
        found = np.jit(sums, dynamic_argnames="reverse")(X, True)
    assert found.tolist() == sums(X, True).tolist() == sums(X, numpy.True_).tolist()


VALUE_ERRORS = {
    "no xs": (
        lambda: np.map(np.sin, ()),
        "map: xs is tuple (), wanted an array or a tree of arrays",
    ),
    "lengths": (
        lambda: np.scan(lambda c, v: (c, v), 0, (X, X[1:])),
        "scan: xs[1] is f64[2], but xs[0] says 3 iterations",
    ),
    "length": (
        lambda: np.scan(lambda c, v: (c, v), 0, X, length=2),
        "scan: xs is f64[3], but length says 2 iterations",
    ),
    "no length": (
        lambda: np.scan(lambda c, v: (c, v), 0),
        "scan: without xs it needs length=...",
    ),
    "no axis": (
        lambda: np.map(lambda v: v, 1.0),
        "map: xs is f64[]*, which has no axis to go along",
    ),
    "no branches": (lambda: np.switch(0, []), "switch: there are no branches"),
    "no batch": (
        lambda: np.map(lambda v: v, X, batch_size=0),
        "map: batch_size is 0, wanted 1 or more",
    ),
}


@pytest.mark.parametrize(("f", "text"), VALUE_ERRORS.values(), ids=VALUE_ERRORS)
def test_value_errors(f, text):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole text follows
        f()
    assert without_line(error.value) == text


def test_a_region_checks_its_interface():
    program = program_of(lambda x: np.fori_loop(0, 3, lambda i, c: c * x, x), X)
    (scan,) = equations(program, "scan")
    avals = [x.aval for x in scan.inputs]
    with pytest.raises(TypeError, match=r"scan: the parameters of the body are"):
        scan.primitive.shape(*avals[::-1][:-1], Aval((2,), numpy.dtype(float)), **scan.params)


def test_a_region_prints():
    program = program_of(lambda x: np.cond(x[0] > 0, lambda: x, lambda: -x), X)
    assert str(program).splitlines() == [
        "f(a:f64[3]) {",
        "  b:f64[] = getitem a index=(0,)",
        "  c:bool[] = greater b 0",
        "  d:f64[3] = branch c a branches=(cond, cond)",
        "    cond(e:f64[3]) {",
        "      f:f64[3] = negative e",
        "      return f",
        "    }",
        "    cond(g:f64[3]) {",
        "      return g",
        "    }",
        "  return d",
        "}",
    ]


def test_reverse_mode_of_a_while_loop():
    f = lambda x: np.while_loop(lambda c: c < 10, lambda c: c * c + 1, x)
    assert np.grad(f)(1.5) == pytest.approx(2 * 1.5 * 2 * (1.5**2 + 1))
    slopes = [np.grad(f)(x) for x in (1.5, 4.0, 20.0)]
    assert_allclose(np.vmap(np.grad(f))(numpy.array([1.5, 4.0, 20.0])), slopes)
    text = (
        "while_loop: reverse mode needs a number of iterations that is known when the loop starts. "
        "Write xnp.fori_loop or xnp.scan with a known count (and xnp.cond inside for a loop that "
        "ends early), or use forward mode, xnp.jvp or xnp.jacfwd."
    )
    with pytest.raises(np.DifferentiationError) as error:
        recorded(np.grad(f))(1.5)
    assert without_line(error.value) == text
    stopped = lambda x: x * np.stop_gradient(f(x))
    assert recorded(np.grad(stopped))(1.5) == np.grad(stopped)(1.5)
