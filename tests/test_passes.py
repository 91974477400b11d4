"""Passes on Programs, one by one and together: results keep their bits."""

import warnings

import numpy
import pytest
import random_programs
import symbolic
from hypothesis import given
from hypothesis import strategies as st
from laws import Restricted
from op_table import CASES
from programs_of import X, check_same, names, optimized_names, program_of
from test_abstract_values import LEDGER, abstractable, programs_of_derivatives

import xnp
from xnp.autodiff.core import primitives
from xnp.autodiff.program import Equation, Literal, Program, Variable
from xnp.codegen.passes.atoms import literal_key, params_key, uniform_element
from xnp.codegen.passes.common import merge_common
from xnp.codegen.passes.dead import drop_dead
from xnp.codegen.passes.inline import inline_calls
from xnp.codegen.pipeline import optimize
from xnp.codegen.reuse import reusable

# -- every operation, random programs --

ROWS = [case for case in CASES if case.op.name not in LEDGER]


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_rows_of_the_op_table(case):
    f = Restricted(case, abstractable(case))
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_same(program_of(f.full, f.chosen), f.chosen)
        for _, fun, args in programs_of_derivatives(case) if case.index == 0 else ():
            check_same(program_of(fun, args), args)


@pytest.mark.parametrize("case", [case for case in ROWS if case.index == 0], ids=str)
def test_rows_of_symbolic_sizes(case):
    """The passes ask no new question about sizes, and what they give holds for all of them."""
    f = Restricted(case, abstractable(case))
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recorded = symbolic.record(f.full, f.chosen)
        guards = list(map(str, recorded.scope.guards))
        check_same(recorded.program, f.chosen)
        assert list(map(str, recorded.scope.guards)) == guards


@given(st.integers(0, 2**32))
def test_random_programs(seed):
    grown = random_programs.program_of(seed)
    run = grown.compiled()
    args = tuple(map(numpy.array, grown.arguments.values()))

    def f(*args):
        return list(run(xnp, *args).values())

    with numpy.errstate(all="ignore"):
        try:
            program = program_of(f, args)
        except (TypeError, ValueError, IndexError):  # Python asks for a value, or an array is w
            return
        check_same(program, args)


# -- literals and parameters --


def test_literals_are_told_apart_by_type_and_bits():
    nan = numpy.array([0x7FF8000000000000, 0x7FF8000000000001], numpy.uint64).view(float)
    values = [0.0, -0.0, 1, True, 1.0, 1 + 0j, numpy.float64(1), numpy.float32(1), numpy.int64(1)]
    values += [numpy.bool_(True), nan[0], nan[1], numpy.zeros(2), -numpy.zeros(2), numpy.zeros(3)]
    assert len({literal_key(Literal(v)) for v in values}) == len(values)
    assert literal_key(Literal(numpy.zeros(2))) == literal_key(Literal(numpy.zeros(2)))
    large = numpy.zeros(1000)
    assert literal_key(Literal(large)) != literal_key(Literal(large.copy()))
    assert literal_key(Literal(large)) == literal_key(Literal(large))


def test_live_literals_are_one_only_as_one_array():
    a = numpy.ones(2)
    assert literal_key(Literal(a, live=True)) != literal_key(Literal(a))
    assert literal_key(Literal(a, live=True)) == literal_key(Literal(a, live=True))


def test_parameters_are_told_apart():
    many = [slice(0, 1), slice(0, True), (0, 1), [0, 1], "a", None, 1, True, 1.0, numpy.dtype("f4")]
    many += [0.0, -0.0, numpy.sin, numpy.cos, ValueError, numpy.float32(1), {"a": 1}]
    assert len({params_key({"p": value}) for value in many}) == len(many)
    with pytest.raises(TypeError, match="ndarray"):
        params_key({"p": numpy.zeros(2)})


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "i8", "?", "g"])
def test_uniform_elements(dtype):
    assert uniform_element(Literal(numpy.ones((3, 4), dtype))) == 1
    assert uniform_element(Literal(numpy.broadcast_to(numpy.ones((), dtype), (10**9,)))) == 1
    assert uniform_element(Literal(numpy.arange(2).astype(dtype))) is None
    assert uniform_element(Literal(numpy.ones(3, dtype), live=True)) is None
    if numpy.dtype(dtype).kind == "f":
        assert uniform_element(Literal(numpy.array([0.0, -0.0, 0.0], dtype))) is None


# -- one pass each --


def test_unread_equations_are_dropped_and_effects_stay():
    def f(x):
        numpy.sin(x)
        return xnp.linalg.inv(x)

    program = program_of(f, (numpy.eye(2),))
    assert "sin" in names(program)
    assert "sin" not in names(drop_dead(program))
    x = Variable(Literal(numpy.ones(2, bool)).aval)
    out = Variable(Literal(numpy.bool_(True)).aval)
    refuse = Equation(primitives["refuse"], [x], {"error": ValueError, "message": "m"}, [out])
    assert names(optimize(Program([x], [refuse], []))) == ["reduce_any", "refuse"]
    known = Equation(
        refuse.primitive, [Literal(numpy.zeros(2, bool))], refuse.params, refuse.results
    )
    assert not names(optimize(Program([x], [known], [])))


def test_common_subexpressions():
    def f(x):
        return xnp.sin(x[1:]) * 2 + xnp.sin(x[1:]) * 2.0 + 2 * xnp.sin(x[1:])

    program = merge_common(program_of(f, (X[0],)))
    assert names(program) == ["getitem", "sin", "multiply", "multiply", "add", "add"]
    check_same(program, (X[0],))


def test_what_is_no_common_subexpression():
    x = X[0]
    assert optimized_names(lambda x: (x + 0.0, x + -0.0), x) == ["add"]
    assert optimized_names(lambda x: (x - 1, 1 - x), x) == ["subtract", "subtract"]
    assert optimized_names(lambda x: (xnp.maximum(x, 0.0), xnp.maximum(0.0, x)), x) == [
        "maximum",
        "maximum",
    ]


def test_calls_are_inlined_with_variables_of_their_own():
    inner = program_of(lambda x: xnp.sin(x) + 1, (1.0,))
    call = primitives["call"]
    x = Variable(inner.in_avals[0])
    first, second = Variable(inner.out_avals[0]), Variable(inner.out_avals[0])
    twice = Program(
        [x],
        [
            Equation(call, [x], {"program": inner}, [first]),
            Equation(call, [Literal(0.5)], {"program": inner}, [second]),
        ],
        [first, second],
    )
    found = inline_calls(twice)
    found.check()
    assert names(found) == ["sin", "add", "sin", "add"]
    assert found(1.0) == [numpy.sin(1.0) + 1, numpy.sin(0.5) + 1]
    assert names(optimize(twice)) == ["sin", "add"]


# -- constants --


def test_constants_are_folded():
    large, small = numpy.arange(1000.0), numpy.arange(8.0)
    assert not names(optimize(constant_program("sin", numpy.arange(4.0))))
    assert not names(optimize(constant_program("getitem", large, index=(slice(0, 500),))))
    assert not names(optimize(constant_program("multiply", small[:, None], small)))
    outer = constant_program("multiply", large[:, None], large)
    assert names(optimize(outer)) == ["multiply"]


def constant_program(name, *values, **params):
    inputs = [Literal(value) for value in values]
    aval = primitives[name].shape(*(x.aval for x in inputs), **params)
    out = Variable(aval)
    return Program([], [Equation(primitives[name], inputs, params, [out])], [out])


def test_a_users_array_is_read_when_the_program_runs():
    table = numpy.arange(3.0)
    program = optimize(program_of(lambda x: x * table, (numpy.ones(3),)))
    table[:] = 5
    assert program(numpy.ones(3))[0].tolist() == [5, 5, 5]


def test_large_literals_are_shared():
    large = numpy.random.default_rng(0).normal(size=1000)
    program = optimize(program_of(lambda x: (x + large, x * large), (numpy.ones(1000),)))
    found = [x for e in program.equations for x in e.inputs if type(x) is Literal]
    assert len(found) == 2
    assert found[0].value is found[1].value is large


def test_equal_elements_are_broadcast():
    program = optimize(program_of(lambda x: xnp.zeros(10**6).reshape(1000, -1)[1:] + x, (1.0,)))
    assert names(program) == ["add", "broadcast_to"]
    assert optimized_names(lambda x: x * xnp.ones((2, 4)), X[0]) == ["broadcast_to"]


def test_what_raises_is_not_folded():
    def f(x):
        return x + xnp.arange(3.0)[xnp.array([7])]

    args = (numpy.ones(1),)
    x = Variable(Literal(args[0]).aval)
    part = Variable(x.aval)
    gather = Equation(
        primitives["gather"], [Literal(numpy.arange(3.0)), Literal(numpy.array([7]))], {}, [part]
    )
    program = Program([x], [gather], [part])
    assert "gather" in names(check_same(program, args))


# -- in place --


def test_updates_in_place():
    def f(x):
        a = xnp.zeros(4) + x
        a[0] = 1.0
        b = a.copy()
        a[1] = 2.0  # b is a view of the old a to a code generator
        return a, b.sum()

    program = program_of(f, (X[0],))
    writes = [e for e in program.equations if e.primitive.name == "setitem"]
    found = reusable(program)
    assert [found.get(e) for e in writes] == [{0: 0}, None]


def test_parameters_and_literals_are_not_overwritten():
    def f(x, y):
        x[0] = 1.0
        y[0] = 2.0
        return x, y

    program = program_of(f, (X[0].copy(), X[0].copy()))
    assert not reusable(program)
    assert len(reusable(program, {program.parameters[1]})) == 1


def test_operands_that_are_read_again_are_not_overwritten():
    def f(x):
        a = xnp.sin(x)
        a[1:] = a[:-1]  # the value is a view of what is written to
        b = xnp.cos(x)
        b[0] = b[1]  # read before, as a number: but a view to a code generator
        return a, b

    assert not reusable(program_of(f, (X[0],)))


# -- the pipeline --


def test_nothing_to_do_gives_the_same_program():
    program = optimize(program_of(lambda x: xnp.sin(x) * 2 + numpy.arange(4.0), (X[0],)))
    assert optimize(program) is program


def test_the_hook_sees_every_change():
    seen = []
    optimize(program_of(lambda x: x * 1 + (x * 1), (X,)), lambda name, p: seen.append(name))
    assert seen[0] == "simplify"
    assert "merge common" not in seen[:1]
