"""How users' trees go into regions and come out: the leaves' types, and what keeps them stable.

A leaf is a `Slot` to a region: an Aval and the kind of handle that the function sees. Where the
function gives a leaf of another dtype than it was given, the slot takes the dtype of both, as a
plain loop would from the second iteration on, and the function is recorded again, until nothing
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import boundary, trees
from .boundary import describe_any
from .core import (
    PYTHON_DTYPES,
    Aval,
    Tracer,
    Value,
    aval_of,
    concrete_value,
    is_weak,
    shape_of,
    thread_state,
)
from .dims import Dim
from .errors import BatchingError, ConcretizationError, user_line
from .handles import ARRAY0D, RESULT, WEAK, TracedArray, value_of, wrap
from .program import Program
from .regions import coerce, joined_dtype, rearranged, record_region, split_at
from .rules import convert

ROUNDS = 12  # dtypes only grow, bool < int < float < complex and by size


class Slot(NamedTuple):
    """What a function is given, or gives, in the place of one leaf."""

    aval: Aval
    kind: int

    def handle(self, value: Value) -> TracedArray:
        return wrap(value, self.kind)


def slot_of(value: Value, kind: int) -> Slot:
    aval = aval_of(value)
    return Slot(aval, WEAK if aval.weak else RESULT if kind == WEAK else kind)


def leaf_value(what: str, name: Callable[[], str], leaf: Any) -> tuple[Value, int]:
    """A leaf as a Value, and its handle's kind; TypeError if it is no array or number."""
    if type(leaf) is Dim:
        return value_of(leaf), WEAK
    if not isinstance(leaf, (TracedArray, np.ndarray, np.generic)):
        if type(leaf) not in PYTHON_DTYPES:
            raise TypeError(
                f"{what}: {name()} is {describe_any(leaf)}; wanted an array, a number, or a tree "
                f"of them{user_line()}. What the function reads and does not change it may capture."
            )
        return leaf, WEAK
    return boundary.enter(leaf)


class Tree:
    """A tree that a user gave: its leaves as Values, and how to make such a tree again."""

    def __init__(self, what: str, name: str, tree: Any) -> None:
        self.what, self.name, self.tree = what, name, tree
        leaves, self.unflatten = trees.flatten(tree)
        entered = [leaf_value(what, lambda i=i: self.path(i), x) for i, x in enumerate(leaves)]
        self.values = [value for value, _ in entered]
        self.slots = [slot_of(value, kind) for value, kind in entered]

    def path(self, i: int) -> str:
        """How to write leaf i: ``init_val['w'][0]``."""
        return trees.paths(self.tree, self.name)[i]

    def rebuild(self, leaves: Sequence[Any]) -> Any:
        return trees.rebuild(self.unflatten, list(leaves))

    def handles(self, slots: Sequence[Slot], values: Sequence[Value]) -> Any:
        """The tree with new handles for leaves."""
        return self.rebuild([s.handle(v) for s, v in zip(slots, values, strict=True)])

    def leaves_of(self, other: Any, role: str) -> list[Any]:
        """The leaves of a tree that must be like this one."""
        leaves, unflatten = trees.flatten(other)
        if unflatten is None and self.unflatten is None:
            return leaves
        wanted, got = trees.structure(self.tree), trees.structure(other)
        if wanted != got:
            missing = "; does it lack a return statement?" if other is None else ""
            raise TypeError(
                f"{self.what}: {role} returned the tree {_text(got)}, wanted that of {self.name}, "
                f"{_text(wanted)}{missing}{user_line()}"
            )
        return leaves

    def check_shape(self, i: int, got: tuple[Any, ...], role: str, found: Any) -> None:
        wanted = self.slots[i].aval
        if got != wanted.shape:
            raise TypeError(
                f"{self.what}: {role} changes the shape of {self.path(i)}, which is "
                f"{wanted}, to {describe_any(found)}{user_line()}. Carried arrays keep their "
                "shape: start with one of the final shape, and write into it."
            )

    def values_of(self, other: Any, role: str) -> list[tuple[Value, int]]:
        """The leaves of what a function returned for this tree, shapes checked."""
        entered = []
        for i, leaf in enumerate(self.leaves_of(other, role)):
            entered.append(leaf_value(self.what, lambda: f"what {role} returned", leaf))
            self.check_shape(i, shape_of(entered[-1][0]), role, leaf)
        return entered


def _text(structure: Any) -> str:
    """Optree's text for a tree, without its package's own words."""
    text = str(structure).removeprefix("PyTreeSpec(").removesuffix(")")
    return text.replace(", namespace='xnp'", "").replace(", NoneIsLeaf", "")


def joined(a: Slot, b: Slot) -> Slot:
    """The slot for what is an ``a`` at first and a ``b`` from then on."""
    dtype, weak = joined_dtype(a.aval, b.aval)
    aval = Aval(a.aval.shape, dtype, weak)
    if weak:
        return Slot(aval, WEAK)
    kinds = {a.kind, b.kind} - {WEAK}
    return Slot(aval, RESULT if len(kinds) != 1 or aval.shape else kinds.pop())


class Region(NamedTuple):
    """A recorded body: its Program takes (before, captured, carry, after)."""

    program: Program
    captured: list[Value]
    slots: list[Slot]  # of the carry
    rest: Any  # what else `call` gave


Call = Callable[[list[Any], Any, list[Any]], tuple[Any, list[Value], Any]]


def carried_region(
    carry: Tree, before: Sequence[Slot], after: Sequence[Slot], role: str, call: Call
) -> Region:
    """Records ``call(before, carry, after) -> (new carry, further Values, anything)`` until the
    carry's slots are stable.
    """
    slots, counts = carry.slots, (len(before), len(carry.slots))
    for _ in range(ROUNDS):
        seen: dict[str, Any] = {}

        def run(*values: Value, slots: list[Slot] = slots, seen: dict[str, Any] = seen) -> Any:
            head, state, tail = split_at(values, *counts)
            new, more, seen["rest"] = call(
                [s.handle(v) for s, v in zip(before, head, strict=True)],
                carry.handles(slots, state),
                [s.handle(v) for s, v in zip(after, tail, strict=True)],
            )
            found = carry.values_of(new, role)
            wide = [joined(s, slot_of(*f)) for s, f in zip(slots, found, strict=True)]
            seen["slots"] = wide
            if wide != slots:
                return []
            return [*(coerce(v, s.aval) for (v, _), s in zip(found, slots, strict=True)), *more]

        avals = [s.aval for s in (*before, *slots, *after)]
        program, captured = record_region(run, avals, carry.what)
        if seen["slots"] == slots:
            head, body, tail = split_at(program.parameters, len(before), len(slots) + len(after))
            program = rearranged(program, [*head, *tail, *body], program.results)
            return Region(program, captured, slots, seen["rest"])
        slots = seen["slots"]
    raise TypeError(
        f"{carry.what}: the types of {carry.name} do not become stable: "
        f"{[s.aval for s in slots]}{user_line()}"
    )


def initial(values: Sequence[Value], slots: Sequence[Slot]) -> list[Value]:
    """Operands for carried leaves, with the dtypes that the loop gives them."""
    return [coerce(v, s.aval) for v, s in zip(values, slots, strict=True)]


def given_back(value: Value, kind: int) -> Any:
    """A result of a region as what the user gets: a handle inside of transformations."""
    if is_weak(value):
        return wrap(value, WEAK) if thread_state.level else value
    if thread_state.level:
        return wrap(value, RESULT if kind == WEAK else kind)
    if kind == ARRAY0D or not isinstance(value, np.ndarray) or value.ndim:
        return np.asarray(value) if kind == ARRAY0D else value
    return value[()]


def own(leaf: Any, before: Any = None) -> Any:
    """A leaf for a function that may write to it, outside of a Program: the write must reach nobody
    else. ``before``: what the same function was given in its place.
    """
    if thread_state.level:
        if type(leaf) is TracedArray or isinstance(leaf, (np.ndarray, np.generic)):
            return wrap(*boundary.enter(leaf))
        return leaf
    return leaf.copy("K") if isinstance(leaf, np.ndarray) and leaf is not before else leaf


# -- what is known --


def known_number(value: Value) -> Any:
    """The number behind a scalar Value, or None where nobody knows it, or examples disagree."""
    if not isinstance(value, Tracer):
        return value
    if thread_state.program is not None:
        return None
    try:
        return concrete_value(value)
    except (BatchingError, ConcretizationError):
        return None


def truth(what: str, result: Any) -> Value:
    """A condition as a Value of dtype bool (or a Python bool)."""
    try:
        value = result if type(result) is bool else value_of(result)
    except TypeError:
        raise TypeError(
            f"{what} is {describe_any(result)}; wanted one truth value{user_line()}: True, False, "
            "or what a comparison gives."
        ) from None
    if shape_of(value) != ():
        raise TypeError(
            f"{what} is {describe_any(result)}; wanted one truth value{user_line()}. Write "
            "np.any(...) or np.all(...) of it, or np.where for a choice of each element."
        )
    return value if type(value) is bool else convert(value, np.dtype(bool))
