"""Branches as functions, `cond` and `switch`, and `checkpoint`, which computes again.

Outside of `jit` a choice is Python's own: one function is called. While a Program is recorded, and
where the examples of a batch disagree, all are recorded, and become the branches of a primitive.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import trees
from .boundary import check_callable, check_function, describe_any, function_name
from .branches import branch_p
from .carried import (
    Slot,
    Tree,
    given_back,
    initial,
    joined,
    known_number,
    leaf_value,
    own,
    slot_of,
    truth,
)
from .checkpoints import checkpoint_p
from .core import (
    Value,
    aval_of,
    dtype_of,
    shape_of,
    thread_state,
)
from .errors import MutationError, UnsupportedError, user_line
from .handles import TracedArray, value_of
from .outer_state import recorded_once
from .program import Program, Variable
from .recording import record
from .regions import bind, rearranged, record_region, split_at

# -- cond, switch --


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """``true_fun(*operands) if pred else false_fun(*operands)``.

    Where ``pred`` is known only that function is called. Where it is not, under `jit` and in a
    vmapped batch whose examples disagree, both are recorded: they must return the same tree, shapes
    and dtypes (Python numbers take the other's dtype). The functions may write to the arrays they
    are given, which are copies, not to those they capture.

    >>> import xnp as np
    >>> np.cond(2 > 1, lambda x: x + 1, lambda x: x - 1, 10)
    11
    """
    for name, fun in (("true_fun", true_fun), ("false_fun", false_fun)):
        check_function("cond", name, fun, _example(operands))
    value = truth("cond: pred", pred)
    known = known_number(value)
    if known is not None:
        return _call_plain(true_fun if known else false_fun, operands)
    return _branches("cond", value, [false_fun, true_fun], ["false_fun", "true_fun"], operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``, for any index: it is clamped to the branches there are.

    What `cond` says of its functions holds for these.

    >>> import xnp as np
    >>> np.switch(1, [lambda x: x, lambda x: -x, lambda x: 2 * x], 10)
    -10
    """
    if not isinstance(branches, Sequence) or isinstance(branches, str):
        raise TypeError(
            f"switch: branches is {describe_any(branches)}, wanted a list of functions"
            f"{user_line()}; write [f, g]."
        )
    if not branches:
        raise ValueError(f"switch: there are no branches{user_line()}")
    for i, branch in enumerate(branches):
        check_function("switch", f"branches[{i}]", branch, _example(operands))
    value = value_of(index)
    if shape_of(value) != () or dtype_of(value).kind not in "iu":
        raise TypeError(
            f"switch: the index is {describe_any(index)}, wanted one integer{user_line()}"
        )
    known = known_number(value)
    if known is not None or len(branches) == 1:
        known = min(max(int(known or 0), 0), len(branches) - 1)
        return _call_plain(branches[known], operands)
    names = [f"branch {i}" for i in range(len(branches))]
    return _branches("switch", value, branches, names, operands)


def _example(operands: Sequence[Any]) -> str:
    """A function of so many."""
    names = [f"x{i}" for i in range(len(operands))] if len(operands) > 1 else ["x"] * len(operands)
    return f"lambda {', '.join(names)}: 2 * {names[0]}" if names else "lambda: 1"


def _call_plain(fun: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """A branch that Python chooses: as of a region, its arguments and results are its own."""
    return trees.map_leaves(own, fun(*(trees.map_leaves(own, x) for x in operands)))


def _branches(
    what: str,
    index: Value,
    functions: Sequence[Callable[..., Any]],
    names: Sequence[str],
    operands: tuple[Any, ...],
) -> Any:
    given = Tree(what, "operands", operands)
    recorded = [_recorded_branch(what, fun, given) for fun in functions]
    first, slots = recorded[0].result, recorded[0].slots
    for branch, name in zip(recorded[1:], names[1:], strict=True):
        first.leaves_of(branch.result.tree, name)
        slots = [
            _common_slot(what, first.path(i), a, b)
            for i, (a, b) in enumerate(zip(slots, branch.slots, strict=True))
        ]
    captured: dict[int, Value] = {id(x): x for branch in recorded for x in branch.captured}
    programs = tuple(_widened(branch, captured, slots, given) for branch in recorded)
    found = bind(branch_p, [index, *given.values, *captured.values()], {"branches": programs})
    pairs = zip(found, slots, strict=True)
    return first.rebuild([given_back(x, slot.kind) for x, slot in pairs])


class _Branch:
    """A recorded branch: its Program takes (operands, captured)."""

    def __init__(self, program: Program, captured: list[Value], result: Tree) -> None:
        self.program, self.captured, self.result = program, captured, result
        self.slots = [
            Slot(aval, slot.kind)
            for aval, slot in zip(program.out_avals, result.slots, strict=True)
        ]


def _recorded_branch(what: str, fun: Callable[..., Any], given: Tree) -> _Branch:
    result: Any = None
    fun = recorded_once(what, "a branch", fun)

    def run(*values: Value) -> Sequence[Value]:
        nonlocal result
        result = Tree(what, "the result", fun(*given.handles(given.slots, values)))
        return result.values

    program, captured = record_region(run, [s.aval for s in given.slots], what)
    return _Branch(program, captured, result)


def _common_slot(what: str, path: str, a: Slot, b: Slot) -> Slot:
    slot = joined(a, b)
    same = a.aval.weak or b.aval.weak or a.aval.dtype == b.aval.dtype
    if a.aval.shape != b.aval.shape or not same:
        raise TypeError(
            f"{what}: {path} is {a.aval} in one branch and {b.aval} in another{user_line()}. All "
            "branches must give the same shapes and dtypes; convert with x.astype(...)."
        )
    return slot


def _widened(
    branch: _Branch, captured: dict[int, Value], slots: Sequence[Slot], given: Tree
) -> Program:
    """The branch as a function of what all branches capture, with results of common types."""
    program = branch.program
    operands, own_captured = split_at(program.parameters, len(given.slots))
    mine = {id(x): v for x, v in zip(branch.captured, own_captured, strict=True)}
    parameters = [mine.get(key) or Variable(aval_of(x)) for key, x in captured.items()]
    wide = rearranged(program, [*operands, *parameters], program.results)
    if all(a == s.aval for a, s in zip(wide.out_avals, slots, strict=True)):
        return wide
    return record(lambda *values: initial(wide(*values), slots), wide.in_avals, wide.name)[0]


# -- checkpoint --


def checkpoint(
    fun: Callable[..., Any],
    *,
    prevent_cse: bool = True,
    policy: None = None,
    static_argnums: int | Sequence[int] = (),
) -> Callable[..., Any]:
    """``fun``, of which reverse mode stores the arguments only: the backward pass computes what it
    needs once more. It costs time and saves memory.

    Under a transformation ``fun`` is recorded, as by `jit`; arguments that are no arrays or numbers
    are passed on as they are, and so are those in ``static_argnums``, by position. With
    ``prevent_cse=False`` a compiler might keep values after all; this one computes them again.

    Raises
    ------
    UnsupportedError : a ``policy``.

    >>> import xnp as np
    >>> print(np.grad(np.checkpoint(lambda x: np.sin(np.sin(x))))(0.0))
    1.0
    """
    check_callable("checkpoint", fun)
    if policy is not None:
        raise UnsupportedError(
            "checkpoint: policy is not supported: reverse mode stores the arguments and nothing "
            "else. Write checkpoint(part) around the parts whose values are not to be stored, and "
            "leave policy out."
        )
    is_static = _static_test(static_argnums)
    name = f"checkpoint of {function_name(fun)}"

    @functools.wraps(fun, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not thread_state.level:
            return fun(*args, **kwargs)
        static = {i: x for i, x in enumerate(args) if is_static(i, len(args))}
        _check_static(static)
        given_args = tuple(None if i in static else x for i, x in enumerate(args))
        leaves, unflatten = trees.flatten((given_args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]
        given = [leaf_value("checkpoint", lambda: "an argument", leaves[i]) for i in places]
        slots = [slot_of(*x) for x in given]
        result: Any = None

        def run(*values: Value) -> Sequence[Value]:
            nonlocal result
            handles = [slot.handle(value) for slot, value in zip(slots, values, strict=True)]
            for i, handle in zip(places, handles, strict=True):
                leaves[i] = handle
            inner_args, inner_kwargs = trees.rebuild(unflatten, leaves)
            inner_args = [static.get(i, x) for i, x in enumerate(inner_args)]
            result = Tree("checkpoint", "the result", fun(*inner_args, **inner_kwargs))
            if any(handle._version for handle in handles):
                raise MutationError(
                    f"{name} writes to its argument{user_line()}, which it would do again in the "
                    "backward pass; write to a copy, x = np.copy(x)."
                )
            return result.values

        program, captured = record_region(run, [s.aval for s in slots], name)
        operands = [*(x for x, _ in given), *captured]
        found = bind(checkpoint_p, operands, {"program": program})
        pairs = zip(found, result.slots, strict=True)
        return result.rebuild([given_back(x, slot.kind) for x, slot in pairs])

    return wrapped


def _static_test(static_argnums: Any) -> Callable[[int, int], bool]:
    """Whether argument ``i`` of ``count`` is passed on as it is."""
    numbers = static_argnums if isinstance(static_argnums, (tuple, list)) else (static_argnums,)
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in numbers):
        raise TypeError(
            f"checkpoint: static_argnums is {static_argnums!r}; wanted an int or a tuple of them"
        )
    return lambda i, count: i in numbers or i - count in numbers


def _check_static(static: dict[int, Any]) -> None:
    for i, x in static.items():
        if any(type(leaf) is TracedArray for leaf in trees.flatten(x)[0]):
            raise TypeError(
                f"checkpoint: argument {i} is in static_argnums, but it is traced{user_line()}; "
                "leave it out of static_argnums."
            )


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (TracedArray, np.ndarray, np.generic))
