"""Whole programs under jit are the plain programs: values, types, views, written arguments.

A program whose course or sizes depend on values is refused with an error, never run wrongly.
"""

from typing import Any

import numpy
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from programs import algebra, dynamics, methods, physics, signals, statistics
from programs.program import PROGRAMS
from random_programs import Program, program_of, shrunk
from test_fuzz_programs import H33, KEPT, X3, Y23, check_same

import xnp as np
from xnp.testing.vectors import precision_of

MODULES = (algebra, dynamics, methods, physics, signals, statistics)  # they fill PROGRAMS
pytestmark = pytest.mark.filterwarnings("ignore:jit runs:RuntimeWarning")
REFUSALS = (np.ConcretizationError, np.UnsupportedError)


def copies(arguments: Any) -> list[Any]:
    return [a.copy() if isinstance(a, numpy.ndarray) else a for a in arguments]


def plain_run(program: Program) -> tuple[dict[str, Any], list[Any]]:
    """The variables, and the arguments as the program leaves them."""
    arguments = copies(program.arguments.values())
    with numpy.errstate(all="ignore"):
        return program.compiled()(numpy, *arguments), arguments


def check_program(program: Program) -> bool:
    """Whether jit takes the program, which must then give what the plain one gives, twice."""
    run = program.compiled()
    wanted, left = plain_run(program)
    eps = precision_of((*wanted.values(), *program.arguments.values()))
    if "32" in program.source or "64" in program.source:
        eps = precision_of(numpy.float32(1))
    jitted = np.jit(lambda *arguments: run(np, *arguments))
    for _ in range(2):
        arguments = copies(program.arguments.values())
        try:
            with numpy.errstate(all="ignore"):
                found = jitted(*arguments)
        except REFUSALS:
            return False
        assert list(found) == list(wanted)
        for name, x in wanted.items():
            check_same(found[name], x, name, eps)
        for name, a, b in zip(program.arguments, arguments, left, strict=True):
            check_same(a, b, f"the argument {name}", eps)
            if isinstance(a, numpy.ndarray) and found[name] is not wanted[name]:
                assert (found[name] is a) == (wanted[name] is b), f"{name} is another object"
        check_sharing(found, wanted, exactly="np.argm" not in program.source)
    return True


def check_sharing(found: dict[str, Any], wanted: dict[str, Any], exactly: bool) -> None:
    """Memory is shared exactly where it is with NumPy; but a row ``a[np.argmax(b)]``, whose number
    is known when the Program runs, is a copy.
    """
    names = [name for name, x in wanted.items() if isinstance(x, numpy.ndarray)]
    for i, a in enumerate(names):
        for b in names[:i]:
            ours = numpy.shares_memory(found[a], found[b])
            numpys = numpy.shares_memory(wanted[a], wanted[b])
            assert ours == numpys or (numpys and not exactly), f"memory of {a} and {b}"


def failure_of(program: Program) -> str | None:
    try:
        check_program(program)
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        return f"{type(error).__name__}: {error}"
    return None


def check_seed(seed: int) -> bool:
    program = program_of(seed)
    if failure_of(program):
        program = shrunk(program, lambda p: failure_of(p) is not None)
        pytest.fail(f"seed {seed}\n{program}\n{failure_of(program)}")
    return check_program(program)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("block", range(20))
def test_random_programs(block):
    taken = [check_seed(seed) for seed in range(20 * block, 20 * block + 20)]
    assert sum(taken) >= 5


@pytest.mark.parametrize("seed", range(1000, 1020))
def test_random_programs_natively(seed):
    check_seed(seed)


@pytest.mark.slow
@settings(phases=[Phase.generate])
@given(st.integers(2000, 2**62))
def test_more_programs_natively(seed):
    check_seed(seed)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", KEPT)
def test_kept(name):
    arguments = {"x": X3, "y": Y23, "s": 0.75, "h": H33}
    check_program(Program(arguments, tuple(KEPT[name].split("; "))))


EACH = pytest.mark.parametrize("name", PROGRAMS)

# Programs that jit refuses, where Python branches on a value: if, while, assert, min, max.
REFUSED = {
    *("gaussian_elimination", "lu_in_place", "conjugate_gradients", "newton_for_a_system"),
    *("matrix_exponential", "pagerank", "gradient_descent_with_line_search"),
    *("adaptive_step_size", "riccati_iteration", "bond_yield_by_bisection_and_newton"),
    *("isotonic_regression", "metropolis_with_fixed_noise", "hartree_fock"),
    *("pinhole_camera", "epidemic_with_events", "ray_marching"),
    *("lasso_coordinate_descent", "dynamic_time_warping", "hamiltonian_monte_carlo_step"),
}
# Programs that jit runs uncompiled: a size, or a range of indices, depends on values.
UNCOMPILED = {
    *("lennard_jones_with_cutoff", "interpolated_table"),
    *("cloth_of_springs", "smoothed_particles", "image_filter_by_loops"),
    *("polynomial_fit", "k_means_loss"),
}


def jitted_program(name: str) -> Any:
    program = PROGRAMS[name]
    return np.jit(lambda *args: program.run(np, *args))


def check_named_program(name: str) -> None:
    program = PROGRAMS[name]
    with numpy.errstate(all="ignore"):
        left, given = copies(program.args), copies(program.args)
        wanted = program.run(numpy if program.plain else np, *left)
        if name in REFUSED:
            with pytest.raises(np.ConcretizationError, match=r"\(at \w+\.py"):
                jitted_program(name)(*given)
            return
        jitted = jitted_program(name)
        found = jitted(*given)
        (compiled,) = np.explain(jitted)
        assert compiled.note.startswith("runs uncompiled") == (name in UNCOMPILED)
    numpy.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    for a, b in zip(given, left, strict=True):
        numpy.testing.assert_array_equal(a, b)


def check_derivatives(name: str) -> None:
    """grad(jit(f)), jit(grad(f)) are grad(f)."""
    program = PROGRAMS[name]

    def total(run: Any) -> Any:
        return lambda *args: np.sum(np.real(run(*args)))

    inexact = tuple(i for i, a in enumerate(program.args) if numpy.asarray(a).dtype.kind in "fc")
    with numpy.errstate(all="ignore"):
        wanted = np.grad(total(lambda *args: program.run(np, *args)), inexact)(*program.args)
        outside = np.grad(total(jitted_program(name)), inexact)(*program.args)
        inside = np.jit(np.grad(total(lambda *args: program.run(np, *args)), inexact))
        for found in (outside, inside(*program.args)):
            for a, b in zip(found, wanted, strict=True):
                numpy.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


TAKEN = pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in REFUSED])


@pytest.mark.usefixtures("interpreted")
@EACH
def test_programs(name):
    check_named_program(name)


@pytest.mark.usefixtures("interpreted")
@TAKEN
def test_derivatives_of_programs(name):
    check_derivatives(name)


@pytest.mark.slow
@TAKEN
def test_programs_natively(name):
    check_named_program(name)
    check_derivatives(name)
