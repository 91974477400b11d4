"""Functions as recorded Programs, whatever a compiler would make of them: for tests of regions."""

from collections.abc import Callable
from typing import Any

import numpy

from xnp.autodiff import boundary, trees
from xnp.autodiff.core import Aval, aval_of, thread_state
from xnp.autodiff.handles import RESULT, value_of, wrap
from xnp.autodiff.program import Equation, Program, regions
from xnp.autodiff.recording import record


def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, recorded at each call, checked, and evaluated equation by equation."""

    def wrapped(*args: Any) -> Any:
        leaves, unflatten = trees.flatten(args)
        entered = [boundary.enter(leaf) for leaf in leaves]
        result: dict[str, Any] = {}

        def run(*values: Any) -> list[Any]:
            handles = [wrap(v, kind) for v, (_, kind) in zip(values, entered, strict=True)]
            out = function(*trees.rebuild(unflatten, handles))
            found, result["unflatten"] = trees.flatten(out)
            return [boundary.enter(leaf)[0] for leaf in found]

        program, captured = record(run, [aval_of(v) for v, _ in entered], "recorded")
        program.check()
        with numpy.errstate(all="ignore"):  # as compiled code, which does not warn
            found = program(*(v for v, _ in entered), *captured)
        if thread_state.level:
            found = [wrap(v, RESULT) for v in found]
        return trees.rebuild(result["unflatten"], found)

    return wrapped


def program_of(f: Callable[..., Any], *args: Any) -> Program:
    """The Program of ``f`` for arrays like these."""
    avals = [Aval(numpy.shape(a), numpy.asarray(a).dtype) for a in args]
    run = lambda *values: [value_of(f(*map(wrap, values)))]
    program, _ = record(run, avals, "f")
    program.check()
    return program


def equations(program: Program, name: str) -> list[Equation]:
    """All equations of one primitive, those in regions too."""
    found: list[Equation] = []
    for equation in program.equations:
        found += [equation] if equation.primitive.name == name else []
        for region in regions(equation):
            found += equations(region, name)
    return found
