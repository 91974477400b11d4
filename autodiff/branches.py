"""`branch_p`: one of several Programs, chosen by a number: `if` and `switch`.

Under vmap, where the examples of a batch choose differently, every branch that some example has
chosen runs for all of them and each takes its own. An example must not see a branch that it has not
chosen, which may raise, or never end, for its numbers: where a branch can do that, the others of
the batch run it with the numbers of one that has chosen it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .calls import CHEAP, has_effect
from .core import (
    Aval,
    OptionalValues,
    Params,
    Value,
    Values,
    aval_of,
    dtype_of,
    ndim_of,
    thread_state,
)
from .primitives.elementwise import Elementwise, Test, equal_p, maximum_p, minimum_p, select_p
from .primitives.indexing import gather_p
from .primitives.reductions import argmax_p, reduce_any_p
from .program import Atom, Equation, Program, regions
from .recording import record
from .region_nodes import Looped, given_cotangents, on_tape, wanted_flags
from .regions import (
    Flags,
    Split,
    batch_region,
    check_avals,
    coerce,
    dependent,
    jvp_region,
    marked,
    split_at,
    split_region,
    strong,
    zeros_of,
)
from .rules import convert, lead_batch, reshape_p
from .size_structures import SizeKey
from .structured import Structured
from .tape import Node, TapeTrace

Branches = tuple[Program, ...]


def _branch(index: Any, *operands: Any, branches: Branches) -> Any:
    return tuple(branches[min(max(int(index), 0), len(branches) - 1)](*operands))


class Branch(Structured):
    """``branch(index, *operands; branches)``: the results of ``branches[index](*operands)``.

    ``index`` is an integer scalar, clamped to the branches there are; or of two branches a bool,
    the first being the one for False. All branches have the same parameters, the operands, and give
    results of the same types.
    """

    def __init__(self) -> None:
        super().__init__("branch", _branch, shape=self._result_avals)

    def _result_avals(self, index: Aval, *avals: Aval, branches: Branches) -> tuple[Aval, ...]:
        if index.shape or index.dtype.kind not in "iub":
            raise TypeError(f"branch: the index is {index}, wanted an integer or bool scalar")
        for i, branch in enumerate(branches):
            check_avals("branch", f"the parameters of branch {i}", branch.in_avals, avals)
            wanted = branches[0].out_avals
            check_avals("branch", f"the results of branch {i}", branch.out_avals, wanted)
        return branches[0].out_avals

    # -- forward mode --

    def with_tangents(
        self, primals: Values, x_dots: OptionalValues, params: Params
    ) -> tuple[Sequence[Value], Flags]:
        """The results, then the tangents of those that have one; and which have."""
        moving = tuple(x_dot is not None for x_dot in x_dots[1:])
        branches = params["branches"]
        has_dot = _any(dependent(branch, moving) for branch in branches)
        both = tuple(jvp_region(branch, moving, has_dot)[0] for branch in branches)
        dots = [x_dot for x_dot in x_dots[1:] if x_dot is not None]
        return self(*primals, *dots, branches=both), has_dot

    # -- reverse mode --

    def process_tape(
        self, trace: TapeTrace, values: Values, parents: Sequence[Node | None], params: Params
    ) -> tuple[Value, ...]:
        wanted = wanted_flags(values[1:], parents[1:])
        split = split_branches(params["branches"], wanted, False)
        found = self(*values, branches=split.forward)
        outs, stored = split_at(found, len(split.pulled))
        node = Node(
            _pulled_branch,
            parents,
            values,
            [aval_of(out) for out in outs],
            {
                "primitive": self,
                "params": params,
                "split": split,
                "wanted": wanted,
                "stored": stored,
            },
        )
        return on_tape(trace, node, outs, split.pulled)

    # -- batches --

    def batch(
        self, size: Any, args: Sequence[Value], batched: Sequence[bool], params: Params
    ) -> tuple[Any, Any]:
        index, *operands = args
        flags = tuple(batched[1:])
        branches = params["branches"]
        if batched[0]:
            return batch_choice(size, index, operands, flags, branches)
        none = (False,) * len(branches[0].results)
        forced = _any(batch_region(branch, size, flags, none)[1] for branch in branches)
        wide = tuple(batch_region(branch, size, flags, forced)[0] for branch in branches)
        return self(index, *operands, branches=wide), forced


branch_p = Branch()


def _any(many: Any) -> Flags:
    """Flags that are set anywhere."""
    return tuple(any(flags) for flags in zip(*many, strict=True))


class SplitBranches(NamedTuple):
    """Branches cut for reverse mode: see `split_branches`."""

    forward: Branches  # operands -> (results, stored values)
    backward: Branches  # (operands that are read, stored values, cotangents) -> cotangents
    pulled: Flags  # which results have a cotangent
    reached: Flags  # which operands get one
    read: Flags  # which operands the backward branches read
    places: tuple[Any, ...]


@lru_cache(maxsize=512)
def split_branches(branches: Branches, wanted: Flags, masked: bool) -> SplitBranches:
    """The branches of values, and those of cotangents. What one branch stores for its backward one
    goes into slots that the others share, if theirs are of the same type, or leave zero.
    """
    none, no_operand = (False,) * len(branches[0].results), (False,) * len(wanted)
    first = [split_region(branch, wanted, none, no_operand, masked) for branch in branches]
    pulled, reached = _any(s.pulled for s in first), _any(s.reached for s in first)
    splits = [split_region(branch, wanted, pulled, reached, masked) for branch in branches]
    read = tuple(any(i in s.sources for s in splits) for i in range(len(wanted)))
    slots, owned = _slots(splits)
    return SplitBranches(
        tuple(_forward(s, slots, mine) for s, mine in zip(splits, owned, strict=True)),
        tuple(_backward(s, slots, mine, read) for s, mine in zip(splits, owned, strict=True)),
        pulled,
        reached,
        read,
        tuple((s.places, s.sources) for s in splits),
    )


def _computed(split: Split) -> list[Any]:
    """What a branch stores: its residuals that are no parameters."""
    residuals = split.forward.results[len(split.pulled) :]
    return [v for v, source in zip(residuals, split.sources, strict=True) if source is None]


def _slots(splits: Sequence[Split]) -> tuple[list[Aval], list[list[int]]]:
    """The types of the slots, and for each branch those of what it stores."""
    slots: list[Aval] = []
    owned = []
    for split in splits:
        free = list(range(len(slots)))
        mine = []
        for v in _computed(split):
            aval = strong(v.aval)
            place = next((i for i in free if slots[i] == aval), None)
            if place is None:
                place = len(slots)
                slots.append(aval)
            else:
                free.remove(place)
            mine.append(place)
        owned.append(mine)
    return slots, owned


def _forward(split: Split, slots: Sequence[Aval], mine: Sequence[int]) -> Program:
    def run(*operands: Value) -> Sequence[Value]:
        outs, residuals = split_at(split.forward(*operands), len(split.pulled))
        pairs = zip(residuals, split.sources, strict=True)
        stored = [x for x, source in pairs if source is None]
        held: list[Any] = [None] * len(slots)
        for place, x in zip(mine, stored, strict=True):
            held[place] = coerce(x, slots[place])
        return [*outs, *(zeros_of(a) if x is None else x for x, a in zip(held, slots, strict=True))]

    return record(run, split.forward.in_avals, split.forward.name)[0]


def _backward(split: Split, slots: Sequence[Aval], mine: Sequence[int], read: Flags) -> Program:
    operands = split.forward.in_avals
    places = [i for i, is_read in enumerate(read) if is_read]
    cts = split.backward.in_avals[len(split.sources) :]

    def run(*args: Value) -> Sequence[Value]:
        given, held, cts = split_at(args, len(places), len(slots))
        stored = iter([held[place] for place in mine])
        by_place = dict(zip(places, given, strict=True))
        residuals = [
            coerce(next(stored), aval) if source is None else by_place[source]
            for source, aval in zip(split.sources, split.backward.in_avals, strict=False)
        ]
        return split.backward(*residuals, *cts)

    avals = [*(operands[i] for i in places), *slots, *cts]
    return record(run, avals, split.backward.name)[0]


class _PulledBranch(Looped):
    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        split, stored = params["split"], params["stored"]
        if strong:
            masked = split_branches(params["params"]["branches"], params["wanted"], True)
            if masked.places != split.places:
                stored = branch_p(*args, branches=masked.forward)[len(split.pulled) :]
            split = masked
        cts = given_cotangents(ct, ans, split.pulled)
        read = marked(args[1:], split.read)
        found = branch_p(args[0], *read, *stored, *cts, branches=split.backward)
        grads = iter(found)
        return [None, *(next(grads) if r else None for r in split.reached)]


_pulled_branch = _PulledBranch()


# -- batches whose examples choose differently --


def batch_choice(
    size: Any, index: Value, operands: Sequence[Value], batched: Flags, branches: Branches
) -> tuple[Sequence[Value], Flags]:
    """Every branch for those examples that have chosen it."""
    if dtype_of(index).kind == "b":
        chosen = [equal_p(index, False), index]
    else:
        last = len(branches) - 1
        if last > np.iinfo(dtype_of(index)).max:
            index = convert(index, np.dtype(np.int64))
        index = minimum_p(maximum_p(index, 0), last)
        chosen = [equal_p(index, i) for i in range(len(branches))]
    count = len(branches[0].results)
    found = [
        _chosen_results(size, mask, operands, batched, branch)
        for mask, branch in zip(chosen, branches, strict=True)
    ]
    outs = found[-1]
    for mask, results in zip(chosen[:-1], found[:-1], strict=True):
        outs = [_select(mask, x, y) for x, y in zip(results, outs, strict=True)]
    return outs, (True,) * count


def _select(mask: Value, x: Value, y: Value) -> Value:
    dtype = dtype_of(x)
    mask = reshape_p(mask, shape=(*mask.shape, *(1,) * (ndim_of(x) - 1)))
    return convert(select_p(mask, x, y), dtype)


def _chosen_results(
    size: Any, mask: Value, operands: Sequence[Value], batched: Flags, branch: Program
) -> Sequence[Value]:
    """The branch's results for the whole batch; what it gives for examples that have not chosen it
    does not matter.
    """
    wide, _ = batch_region(branch, size, batched, (True,) * len(branch.results))
    recorded = thread_state.program is not None
    if recorded and is_plain(branch):
        return wide(*operands)
    # NumPy warns, compiled arithmetic does not
    decides = deciding(branch) if recorded else (True,) * len(operands)
    lent = tuple(b and d for b, d in zip(batched, decides, strict=True))
    guarded = guarded_branch(wide, SizeKey(size), lent)
    return branch_p(reduce_any_p(mask, axes=(0,)), mask, *operands, branches=guarded)


@lru_cache(maxsize=512)
def guarded_branch(wide: Program, key: SizeKey, lent: Flags) -> Branches:
    """(mask, operands) -> results: zeros for a mask that is False everywhere, and the batched
    branch, where those operands that are ``lent`` are, for examples that have not chosen it, those
    of one that has.
    """
    size = key.size

    def run(mask: Value, *operands: Value) -> Sequence[Value]:
        if any(lent):
            lender = argmax_p(mask, axis=0)
            operands = tuple(
                _select(mask, x, lead_batch(gather_p(x, lender), size, False)) if is_lent else x
                for x, is_lent in zip(operands, lent, strict=True)
            )
        return wide(*operands)

    def skip(mask: Value, *operands: Value) -> Sequence[Value]:
        return [zeros_of(aval) for aval in wide.out_avals]

    avals = [Aval((size,), np.dtype(bool)), *wide.in_avals]
    return record(skip, avals, "nobody")[0], record(run, avals, wide.name)[0]


# Of other numbers than those meant for them these may raise, or never end.
RAISING = frozenset(
    {"gather", "scatter", "scatter_add", "accumulate", "nonzero", "last_writer", "while", "narrow"}
)
_LINALG = ("solve", "inv", "cholesky", "eig", "svd", "qr", "lstsq", "lu", "roots")


def may_raise(program: Program) -> bool:
    """Whether a region could raise or warn for numbers that it is never to see."""
    return any(map(_may_raise, program.equations))


def _may_raise(equation: Equation) -> bool:
    return (
        has_effect(equation)
        or equation.primitive.name in RAISING
        or equation.primitive.name.startswith(_LINALG)
        or any(may_raise(region) for region in regions(equation))
    )


# How many operands come before the indices, which alone decide whether there is such an element.
_BEFORE_INDICES = {"gather": 1, "accumulate": 1, "scatter": 2, "scatter_add": 2}


@lru_cache(maxsize=512)
def deciding(program: Program) -> Flags:
    """The parameters whose numbers decide whether a region raises or warns."""
    live: set[Atom] = set()
    for equation in reversed(program.equations):
        if not live.isdisjoint(equation.results):
            live.update(equation.inputs)
        elif _may_raise(equation):
            live.update(equation.inputs[_BEFORE_INDICES.get(equation.primitive.name, 0) :])
    return tuple(v in live for v in program.parameters)


@lru_cache(maxsize=512)
def is_plain(program: Program) -> bool:
    """Whether nothing in it raises, or costs more than asking whether it has to run."""
    return not may_raise(program) and all(
        isinstance(e.primitive, (Elementwise, Test)) or e.primitive.name in CHEAP
        for e in program.equations
    )
