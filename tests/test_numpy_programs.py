"""Whole NumPy programs: with numpy, with xnp, and with numpy on traced arrays, the same results;
derivatives agree with differences; forward, reverse and second derivatives with each other.
"""

import tracemalloc
from collections.abc import Callable
from typing import Any

import differences
import numpy
import pytest
from programs import algebra, dynamics, methods, physics, signals, statistics
from programs.program import PROGRAMS, Program

import xnp
from xnp.testing.vectors import inner, random_tangent, shifted

CHAPTERS = (
    algebra,
    dynamics,
    methods,
    physics,
    signals,
    statistics,
)  # imported, they fill PROGRAMS
EACH = pytest.mark.parametrize("name", PROGRAMS)
SMOOTH = pytest.mark.parametrize("name", [name for name in PROGRAMS if PROGRAMS[name].smooth])
ROUNDING = 1e-9  # relative; programs of thousands of operations, differently ordered


def with_xnp(program: Program) -> Callable[..., Any]:
    return lambda *args: program.run(xnp, *args)


def close(found: Any, wanted: Any, what: str, error: Any = 0.0) -> None:
    scale = numpy.max(numpy.abs(wanted), initial=1.0)
    excess = numpy.max(numpy.abs(numpy.subtract(found, wanted)) - error, initial=0.0)
    assert numpy.shape(found) == numpy.shape(wanted), what
    assert excess <= ROUNDING * scale, f"{what}: {found}, wanted {wanted}"


def directions(program: Program, seed: int) -> tuple[Any, ...]:
    return random_tangent(program.args, numpy.random.default_rng(seed))


def scalar(program: Program) -> Callable[..., Any]:
    """The program's result weighted and added up, for `grad`."""
    shape = numpy.shape(program.run(numpy, *program.args))
    weights = numpy.random.default_rng(5).normal(size=shape)
    return lambda *args: xnp.sum(weights * program.run(xnp, *args))


def every(program: Program) -> tuple[int, ...]:
    return tuple(range(len(program.args)))


@EACH
def test_xnp_is_numpy_outside_and_inside(name):
    program = PROGRAMS[name]
    kept = [numpy.copy(arg) for arg in program.args]
    wanted = program.run(numpy, *program.args)
    numpy.testing.assert_array_equal(program.run(xnp, *program.args), wanted)
    value, _ = xnp.vjp(with_xnp(program), *program.args)
    close(value, wanted, "under vjp")
    assert numpy.asarray(value).dtype == numpy.asarray(wanted).dtype
    for arg, before in zip(program.args, kept, strict=True):
        numpy.testing.assert_array_equal(arg, before)


@EACH
def test_gradient_against_differences(name):
    program = PROGRAMS[name]
    f, x_dots = scalar(program), directions(program, 1)
    gradient = xnp.grad(f, every(program))(*program.args)
    [(wanted, error)] = differences.derivative(lambda h: [f(*shifted(program.args, h, x_dots))])
    close(inner(gradient, x_dots), wanted, "gradient", 16 * error)
    _, forward = xnp.jvp(f, program.args, x_dots)
    close(inner(gradient, x_dots), forward, "forward and reverse")


@SMOOTH
def test_second_derivatives(name):
    """Forward over reverse, reverse over forward, and reverse over reverse, along a direction."""
    program = PROGRAMS[name]
    f, x_dots = scalar(program), directions(program, 2)
    gradient = xnp.grad(f, every(program))
    _, found = xnp.jvp(gradient, program.args, x_dots)
    others = {
        "reverse over forward": lambda *args: xnp.jvp(f, args, x_dots)[1],
        "reverse over reverse": lambda *args: inner_traced(gradient(*args), x_dots),
    }
    for what, along in others.items():
        other = xnp.grad(along, every(program))(*program.args)
        for i, (a, b) in enumerate(zip(found, other, strict=True)):
            close(a, b, f"{what}, argument {i}")
    table = differences.derivative(lambda h: list(gradient(*shifted(program.args, h, x_dots))))
    for i, (wanted, error) in enumerate(table):
        close(found[i], wanted, f"argument {i}", 16 * error)


def inner_traced(xs: Any, ys: Any) -> Any:
    return sum(xnp.sum(x * y) for x, y in zip(xs, ys, strict=True))


@pytest.mark.parametrize("name", [name for name in PROGRAMS if PROGRAMS[name].batch])
def test_vmap_is_a_loop(name):
    program = PROGRAMS[name]
    examples = [shifted(program.args, 1e-6, directions(program, i)) for i in range(3)]
    stacked = [numpy.stack(column) for column in zip(*examples, strict=True)]
    f = with_xnp(program)
    close(xnp.vmap(f)(*stacked), numpy.stack([f(*args) for args in examples]), "vmap")
    gradient = xnp.grad(scalar(program), every(program))
    found = xnp.vmap(gradient)(*stacked)
    wanted = [numpy.stack(column) for column in zip(*(gradient(*a) for a in examples), strict=True)]
    for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
        close(a, b, f"vmap of grad, argument {i}")


@pytest.mark.parametrize("name", [name for name in PROGRAMS if PROGRAMS[name].plain])
def test_numpy_itself_reaches_traced_arrays(name):
    program = PROGRAMS[name]
    weights = random_tangent((program.run(numpy, *program.args),), numpy.random.default_rng(5))[0]
    plain, ours = (
        xnp.grad(lambda *args, np=np: xnp.sum(weights * program.run(np, *args)), every(program))
        for np in (numpy, xnp)
    )
    for a, b in zip(plain(*program.args), ours(*program.args), strict=True):
        close(a, b, "with numpy")


@pytest.mark.parametrize("name", [name for name in PROGRAMS if not PROGRAMS[name].plain])
def test_numpy_itself_says_when_it_cannot(name):
    """A plain ndarray cannot hold traced values; the error tells to use xnp."""
    program = PROGRAMS[name]
    with pytest.raises((xnp.ConcretizationError, xnp.MutationError), match="xnp"):
        xnp.vjp(lambda *args: program.run(numpy, *args), *program.args)


def test_a_preallocated_trajectory_takes_memory_once():
    """The rows that steps read are not views that keep every version of the whole array alive."""
    steps, start = 300, numpy.linspace(0, 1, 100)

    def simulate(y):
        trajectory = xnp.zeros((steps, y.size))
        trajectory[0] = y
        for t in range(steps - 1):
            state = trajectory[t]
            trajectory[t + 1] = state + 0.01 * xnp.sin(state)
        return xnp.sum(trajectory[-1] ** 2)

    tracemalloc.start()
    try:
        xnp.grad(simulate)(start)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * steps * start.nbytes
