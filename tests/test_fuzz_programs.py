"""Random programs (`random_programs`) under the transformations, against plain NumPy.

Each is run under vjp, jvp, linearize and vmap: every live variable must have NumPy's value, dtype
and shape, and share memory with another only where NumPy's does. The derivatives must obey the
laws: <ct, J v> = <J^T ct, v>, jvp = directional difference, vmap = stacked loop, in every order.
A failing program is shortened and printed.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import differences
import numpy
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_programs import Program, program_of, run_plainly, shrunk

import xnp as np
from xnp.testing.vectors import inner, inner_size, precision_of, random_tangent, shifted

Arrays = dict[str, Any]
BATCH = 3
KINK = 1e-4  # one-sided differences that disagree by more than this show a kink or a jump


class Run:
    """A program as functions of its arguments, and what plain NumPy makes of it."""

    def __init__(self, program: Program, seed: int = 0) -> None:
        self.program = program
        self.arguments = tuple(program.arguments.values())
        self.run = program.compiled()
        plain = run_plainly(program, *self.arguments)
        assert plain is not None, "the program does not run with plain NumPy"
        self.plain: Arrays = plain
        self.inexact = [name for name, x in plain.items() if numpy.asarray(x).dtype.kind in "fc"]
        self.rng = numpy.random.default_rng(seed)
        self.dots = self.tangent(self.arguments)
        self.eps = precision_of((*plain.values(), *self.arguments))
        if "32" in program.source or "64" in program.source:
            self.eps = precision_of(numpy.float32(1))

    def tangent(self, tree: Any) -> Any:
        return random_tangent(tree, self.rng)

    def variables(self, *arguments: Any) -> Arrays:
        """All variables, with xnp."""
        return self.run(np, *arguments)

    def results(self, *arguments: Any) -> list[Any]:
        """The real and complex variables."""
        found = self.run(np, *arguments)
        return [found[name] for name in self.inexact]

    def results_plainly(self, *arguments: Any) -> list[Any]:
        copies = [numpy.array(a) if isinstance(a, numpy.ndarray) else a for a in arguments]
        found = self.run(numpy, *copies)
        return [found[name] for name in self.inexact]

    def total(self, *arguments: Any) -> Any:
        """A scalar that all variables count in."""
        return sum(
            np.sum(np.real(x) * (0.3 + np.real(x)) + np.imag(x) * (1 - np.imag(x)))
            for x in self.results(*arguments)
        )


# ------------------------------------------------------------------- what must hold


def check_variables(found: Arrays, run: Run, what: str) -> None:
    """NumPy's types, dtypes, shapes and values, and no memory shared that NumPy's do not."""
    assert list(found) == list(run.plain), f"{what}: variables {list(found)}"
    for name, wanted in run.plain.items():
        check_same(found[name], wanted, f"{what}: {name}", run.eps)
    names = [name for name, x in found.items() if isinstance(x, numpy.ndarray)]
    for i, a in enumerate(names):
        for b in names[:i]:
            if numpy.shares_memory(found[a], found[b]):
                assert numpy.shares_memory(run.plain[a], run.plain[b]), f"{what}: {a} shares {b}"


def check_same(found: Any, wanted: Any, what: str, eps: float, types: bool = True) -> None:
    if types:
        kinds = [isinstance(x, numpy.ndarray) for x in (found, wanted)]
        assert kinds[0] == kinds[1], f"{what} is a {type(found)}, with NumPy a {type(wanted)}"
    found, wanted = numpy.asarray(found), numpy.asarray(wanted)
    assert found.dtype == wanted.dtype, f"{what} has dtype {found.dtype}, wanted {wanted.dtype}"
    assert found.shape == wanted.shape, f"{what} has shape {found.shape}, wanted {wanted.shape}"
    check_close(found, wanted, 100 * eps, what)


def check_close(found: Any, wanted: Any, rtol: float, what: str, size: float = 0.0) -> None:
    size = max(size, largest([wanted]), 1e-3)
    assert found.shape == wanted.shape, f"{what} has shape {found.shape}, wanted {wanted.shape}"
    off = numpy.abs(found - wanted) if wanted.dtype.kind in "fc" else found != wanted
    ok = (off <= rtol * size) | (numpy.isnan(found) & numpy.isnan(wanted))  # std(0), twice
    assert ok.all(), f"{what} is\n{found}\nwanted\n{wanted}"


def largest(arrays: Sequence[Any]) -> float:
    """The largest finite absolute value."""
    sizes = [numpy.abs(a).ravel() for a in arrays]
    return max((float(s[numpy.isfinite(s)].max(initial=0.0)) for s in sizes), default=0.0)


def check_values(run: Run) -> None:
    """vjp, jvp and linearize give the variables of the plain run, and leave the arguments alone."""
    kept = [numpy.array(a) for a in run.arguments]
    check_variables(np.vjp(run.variables, *run.arguments)[0], run, "vjp")
    check_variables(np.jvp(run.variables, run.arguments, run.dots)[0], run, "jvp")
    check_variables(np.linearize(run.variables, *run.arguments)[0], run, "linearize")
    for a, b in zip(run.arguments, kept, strict=True):
        assert numpy.array_equal(a, b), "an argument was overwritten"


def check_transpose(run: Run) -> None:
    """<ct, J v> = <J^T ct, v>; linearize is jvp; derivatives have the types of their values."""
    out, out_dot = np.jvp(run.results, run.arguments, run.dots)
    for x, x_dot in zip(out, out_dot, strict=True):
        assert numpy.shape(x) == numpy.shape(x_dot)
        assert numpy.asarray(x).dtype == x_dot.dtype, f"a tangent of dtype {x_dot.dtype}"
    cts = run.tangent(out)
    gradients = np.vjp(run.results, *run.arguments)[1](cts)
    for a, g in zip(run.arguments, gradients, strict=True):
        assert numpy.asarray(a).dtype == g.dtype, f"a gradient of dtype {g.dtype}"
        assert numpy.shape(a) == numpy.shape(g)
    size = 1 + inner_size(cts, out_dot) + inner_size(gradients, run.dots)
    off = abs(inner(cts, out_dot) - inner(gradients, run.dots))
    assert off <= 1e3 * run.eps * size, (
        f"<ct, J v> is {inner(cts, out_dot)}, <J^T ct, v> {inner(gradients, run.dots)}"
    )
    pushed = np.linearize(run.results, *run.arguments)[1](*run.dots)
    for name, a, b in zip(run.inexact, pushed, out_dot, strict=True):
        check_close(numpy.asarray(a), numpy.asarray(b), 1e3 * run.eps, f"linearize: {name}")


def check_differences(run: Run) -> None:
    """A jvp is the directional difference wherever there is no kink."""
    if run.eps > 1e-10:
        return
    _, out_dot = np.jvp(run.results, run.arguments, run.dots)

    def along(h: float) -> list[Any]:
        return run.results_plainly(*shifted(run.arguments, h, run.dots))

    h = 1e-6
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            ahead, here, behind = along(h), along(0.0), along(-h)
            shapes = [[numpy.shape(x) for x in xs] for xs in (ahead, here, behind)]
            if shapes[0] != shapes[1] or shapes[2] != shapes[1]:
                return
            found = differences.derivative(along)
        except Exception:  # noqa: BLE001 - nearby, the program takes another course
            return
    for k, (difference, error) in enumerate(found):
        a, b, c = (numpy.asarray(x[k]) for x in (ahead, here, behind))
        size = float(numpy.abs(difference).max(initial=1.0))
        smooth = numpy.abs(a - 2 * b + c) / h <= KINK * size
        agree = numpy.abs((a - c) / (2 * h) - difference) <= 1e-3 * size  # no jump further away
        sure = smooth & agree & (error <= 1e-5 * size)
        off = numpy.abs(out_dot[k] - difference)
        assert (off <= 1e-4 * size)[sure].all(), (
            f"jvp: {run.inexact[k]} has tangent\n{out_dot[k]}\ndifferences\n{difference}"
        )


def check_second_order(run: Run) -> None:
    """Forward over reverse is reverse over forward, and reverse over reverse."""
    argnums = tuple(range(len(run.arguments)))
    gradient = np.grad(run.total, argnums)
    forward = np.jvp(gradient, run.arguments, run.dots)[1]

    def slope(*arguments: Any) -> Any:
        return np.jvp(run.total, arguments, run.dots)[1]

    def pairing(*arguments: Any) -> Any:
        found = gradient(*arguments)
        return sum(np.sum(np.real(g * v)) for g, v in zip(found, run.dots, strict=True))

    reverse, twice = (
        np.grad(slope, argnums)(*run.arguments),
        np.grad(pairing, argnums)(*run.arguments),
    )
    size = largest(reverse)
    for i, wanted in enumerate(forward):
        name = list(run.program.arguments)[i]
        for how, found in (("reverse over forward", reverse), ("reverse over reverse", twice)):
            what = f"{how}, {name}, against forward over reverse"
            check_close(numpy.asarray(found[i]), numpy.asarray(wanted), 1e5 * run.eps, what, size)


def examples_of(run: Run) -> list[Sequence[Any]] | None:
    """Calls of which every one takes the course of the first; None where they part."""
    calls = []
    for k in range(BATCH):
        moved = shifted(run.arguments, 0.02 * k, run.dots)
        call = [numpy.asarray(a)[()] for a in moved]  # what iteration over the batch gives
        plain = run_plainly(run.program, *call)
        if plain is None or not same_course(plain, run.plain):
            return None
        calls.append(call)
    return calls


def same_course(a: Arrays, b: Arrays) -> bool:
    return list(a) == list(b) and all(
        numpy.shape(x) == numpy.shape(y) and numpy.asarray(x).dtype == numpy.asarray(y).dtype
        for x, y in zip(a.values(), b.values(), strict=True)
    )


def check_batch(run: Run) -> None:
    """A vmap is the stacked loop; so is vmap of grad and of jvp, and grad of vmap."""
    source = run.program.source
    calls = examples_of(run)
    if calls is None or "item(" in source or "tolist(" in source:
        return  # in a batch, those give NumPy's scalars, whose dtype is not weak
    batch = [numpy.stack(column) for column in zip(*calls, strict=True)]
    try:
        found = np.vmap(run.variables)(*batch)
    except np.BatchingError:
        return  # the examples take different branches, or their masks select other elements
    loop = [run.run(numpy, *(numpy.array(a)[()] for a in call)) for call in calls]
    for name in run.plain:
        wanted = numpy.stack([numpy.asarray(variables[name]) for variables in loop])
        check_same(numpy.asarray(found[name]), wanted, f"vmap: {name}", run.eps, types=False)
    argnums = tuple(range(len(batch)))
    gradient = np.grad(run.total, argnums)
    wanted = [numpy.stack(g) for g in zip(*(gradient(*call) for call in calls), strict=True)]
    together = np.grad(lambda *batch: np.sum(np.vmap(run.total)(*batch)), argnums)(*batch)
    each = np.vmap(gradient)(*batch)
    size = largest(wanted)
    for i, name in enumerate(run.program.arguments):
        for how, found in (("vmap of grad", each), ("grad of vmap", together)):
            check_close(found[i], wanted[i], 1e4 * run.eps, f"{how}, {name}", size)
    dots = [numpy.stack([numpy.asarray(d)] * BATCH) for d in run.dots]
    pushed = np.vmap(lambda a, v: np.jvp(run.results, a, v)[1])(tuple(batch), tuple(dots))
    singles = [np.jvp(run.results, tuple(call), run.dots)[1] for call in calls]
    for k, name in enumerate(run.inexact):
        wanted = numpy.stack([single[k] for single in singles])
        check_close(pushed[k], wanted, 1e4 * run.eps, f"vmap of jvp: {name}")


CHECKS = (check_values, check_transpose, check_differences, check_second_order, check_batch)


def check(program: Program, checks: Sequence[Callable[[Run], None]] = CHECKS) -> None:
    run = Run(program)
    with numpy.errstate(all="ignore"):
        for law in checks:
            law(run)


def failure_of(program: Program, checks: Sequence[Callable[[Run], None]] = CHECKS) -> str | None:
    """What goes wrong, in words; None if nothing does."""
    try:
        check(program, checks)
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        return f"{type(error).__name__}: {error}"
    return None


def check_seed(seed: int) -> None:
    program = program_of(seed)
    for law in CHECKS:
        if failure_of(program, (law,)):
            program = shrunk(program, lambda p, law=law: failure_of(p, (law,)) is not None)
            pytest.fail(f"seed {seed}, {law.__name__}\n{program}\n{failure_of(program, (law,))}")


@pytest.mark.parametrize("block", range(30))
def test_programs(block):
    for seed in range(20 * block, 20 * block + 20):
        check_seed(seed)


@pytest.mark.slow
@settings(phases=[Phase.generate])
@given(st.integers(1000, 2**62))
def test_more_programs(seed):
    check_seed(seed)


# ------------------------------------------------------------------- found, and kept


X3, Y23 = numpy.array([0.5, -0.25, 1.25]), numpy.array([[0.5, -1.0, 0.75], [1.5, 0.25, -0.5]])
H33 = numpy.linspace(-1, 1, 9, dtype=numpy.float32).reshape(3, 3)

KEPT = {
    "a scalar is flipped": "u0 = np.flip(np.sum(x))",
    "a Python number as an array": "u0 = np.squeeze(s); u1 = np.transpose(s)",
    "a Python number broadcast": "u0 = np.broadcast_arrays(s, s)[0]; u1 = np.real_if_close(s)",
    "a mask of length 0 fits any axis": "u0 = x[1:0] > 0; x[u0] *= 0.5; x[u0] = 3.0; u1 = x[u0]",
    "complex to bool looks at both parts": "u0 = np.array(s * 1j, dtype=bool)",
    "an array filled with a Python number": "u0 = np.sum(y, axis=0); u0.fill(s); u1 = u0 * h[0]",
    "a square of bools": "u0 = (x > 0) ** 2; u1 = (x > 0)[0] ** 2",
    "a convolution of bools": "u0 = np.convolve(x > 0, x > 0)",
    "comparisons of Python numbers": "u0 = (s > 0) + (s > 0.1); u1 = (s > 0).imag",
    "a Python number rounded": "u0 = round(s, 1)",
    "piecewise with a Python bool": "u0 = np.piecewise(s, [s > 0], [lambda z: z * z, 0.5])",
    "choices among which is a Python number": "u0 = np.choose(k, [s, h[0]])",
    "a limit of linspace in single precision": "u0 = np.linspace(h[0, 0], 1.0, 3)",
    "nothing assigned to flat": "x.flat = y[0:0]; x.flat[:2] = y[0:0]",
    "bools subtracted in place": "np.subtract.at(x, k, y[0] > 0)",
    "an element as a Python number": "u0 = h.item(1) * x",
    "filling keeps the order": "u0 = y.T * 1; u0.fill(0.5); u1 = u0 * 2; u1.ravel()[0] = s",
    "masking keeps the order": "u0 = y.T * 1; u0[u0 > 0] = s; u1 = u0 * 2; u1.ravel()[1] = s",
    "what is taken is in C order": "u0 = np.take(y, [2, 0], 1) * 1.0; u0.ravel()[:2] *= 3.0",
    "what is sorted keeps its order": "u0 = np.sort(y.T, 0); u0.ravel()[:2] *= 3.0",
    "what is rolled keeps its order": "u0 = np.roll(y.T, 1, 0); u0.ravel()[:2] *= 3.0",
    "repeated elements keep the order": "u0 = np.broadcast_to(y.T, (2, *y.T.shape)); "
    "u1 = u0.ravel('K'); u2 = (u0 * s).ravel('K'); u3 = np.broadcast_to(x, (4, 3)).ravel('K')",
    "what is inserted into is in C order": "u0 = np.insert(y, 1, s, 1); u0.ravel()[:2] *= 3.0",
}


@pytest.mark.parametrize("name", KEPT)
def test_kept(name):
    arguments = {"x": X3, "y": Y23, "s": 0.75, "h": H33}
    check(Program(arguments, tuple(KEPT[name].split("; "))))
