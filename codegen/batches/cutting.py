"""The pass that cuts loops over batches into pieces.

A loop whose iterations do the same to many independent examples - paths of a simulation, solutions
of one equation from many starts, sequences in a network - need not do an iteration for all of them
before it begins the next: each piece of the batch can run through all iterations by itself. Then
what is carried stays in the cache, threads share the pieces and wait for each other once and not in
every iteration, and where a later loop reads what an earlier one has stored, as reverse mode does,
that stays with the piece too.

Pieces are chosen by what is computed, not by how many threads there are: so sums over the batch,
which are added up piece by piece, do not depend on that number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ...autodiff.core import Aval
from ...autodiff.primitives.indexing import getitem_p
from ...autodiff.program import Atom, Equation, Literal, Program, Variable, regions
from ...autodiff.rules import reduce_sum_p, weaken_p
from ..affine import INDEX_OPERATIONS, product
from ..costs import is_moderate_product, weight
from ..passes.atoms import is_known, rebuilt, uniform_element, with_regions
from ..passes.loops import loop_of
from .axes import Batch
from .cut import Cut
from .joining import axes_of, is_library_call
from .pieces import Form, pieces_p
from .sums import NeedsWholeSumError, PartialSums

LEAST_WORK = 1 << 19  # simple operations that a piece should take
CACHE_BYTES = 1 << 17  # that the values of one iteration of a piece should take together
SHARED_BYTES = 1 << 20  # of what pieces read or sum up besides, counted in each loop anew
SMALL_PRODUCT = 1 << 16  # multiplications for which BLAS uses no threads
MOST_PIECES = 8  # where pieces are small: enough for threads to share
SHARE_IN_BATCH = 0.9  # of the work, at least: the rest is done again for each piece
UNKNOWN_TRIPS = 32  # taken for the number of iterations that only the run knows
LANES = 32  # examples that a piece should be a multiple of where they lie side by side
ROWS = 4  # and where they do not
MOST_REPEATED = 1 / 16  # of the work: what does not depend on how many examples a piece has


class Group(NamedTuple):
    """Equations to be computed by pieces, and what is known of them. ``constants`` are further
    ones, cheap, that each piece computes for itself.
    """

    equations: list[Equation]
    constants: list[Equation]
    batch: Batch
    partial: set[Atom]

    @property
    def all(self) -> list[Equation]:
        return [*self.constants, *self.equations]


def cut_batches(program: Program) -> Program:
    """The Program with `pieces` in the place of the loops that can be cut."""
    equations = list(program.equations)
    done: set[Equation] = set()
    while True:
        loops = [e for e in equations if loop_of(e) is not None and e not in done]
        if not loops:
            break
        done.add(loops[0])
        group = _group(equations, loops[0])
        size = piece_size(group) if group is not None else 0
        if group is not None and size:
            equations = _replaced(equations, program.results, group, size)
    equations = [e if e.primitive is pieces_p else with_regions(e, cut_batches) for e in equations]
    return rebuilt(program, equations, program.results)


# What belongs together.


def _group(equations: Sequence[Equation], first: Equation) -> Group | None:
    """The largest group that begins with a loop: with later loops and what is between."""
    constants = [
        e for e in equations if e.primitive.name == "broadcast_to" and type(e.inputs[0]) is Literal
    ]
    group = _examined([first], constants)
    if group is None:
        return None
    for loop in equations[equations.index(first) + 1 :]:
        if loop_of(loop) is not None:
            between = _between(equations, group.equations, loop)
            group = _examined([*group.equations, *between, loop], constants) or group
    return group


def _between(
    equations: Sequence[Equation], group: Sequence[Equation], loop: Equation
) -> list[Equation]:
    """What a later loop needs that needs the group."""
    after: set[Atom] = {v for e in group for v in e.results}
    later = []
    for e in equations[: equations.index(loop)]:
        if e not in group and not after.isdisjoint(e.inputs):
            after.update(e.results)
            later.append(e)
    wanted, found = set(loop.inputs), []
    for e in reversed(later):
        if not wanted.isdisjoint(e.results):
            wanted.update(e.inputs)
            found.append(e)
    return found[::-1]


def _examined(equations: list[Equation], constants: Iterable[Equation]) -> Group | None:
    """The group of these equations, if they can be computed by pieces."""
    loops = [loop for e in equations if (loop := loop_of(e)) is not None]
    starts = [(c.result, k) for c in loops[0].carry for k in range(c.result.aval.ndim)]
    inputs = {x for e in equations for x in e.inputs}
    constants = [e for e in constants if e not in equations and e.results[0] in inputs]
    found = []
    for batch in axes_of([*constants, *equations]).batches(starts):
        if work_of(equations, batch) < SHARE_IN_BATCH * work_of(equations):
            continue  # much would be computed again by each piece
        try:
            partial = PartialSums(batch, [*constants, *equations]).found
        except NeedsWholeSumError:
            continue
        found.append(Group(equations, constants, batch, partial))
    return max(found, key=lambda group: work_of(equations, group.batch), default=None)


# How large a piece is.


def piece_size(group: Group) -> int:
    """Examples in a piece; 0 if cutting does not pay. If the length of the batch is not known, this
    does not depend on the length at hand: code is kept for other lengths, too.
    """
    length, work = group.batch.length, work_of(group.equations)
    known = type(length) is int
    if not work or (known and work < 2 * LEAST_WORK) or not _is_possible(group):
        return 0
    examples = length if known else 1
    repeated = work - work_of(group.equations, group.batch)
    least = math.ceil(max(LEAST_WORK, repeated / MOST_REPEATED) * examples / work)
    step = LANES if _is_last(group) else ROWS
    wanted = min(_most_in_cache(group), -(-length // MOST_PIECES) if known else least)
    size = -(-max(least, wanted, 1) // step) * step
    if known:
        for even in range(size, size + size // 2 + 1, step):  # one without a rest is worth more
            if length % even == 0:
                size = even
                break
    is_cut = not known or size < length
    return size if is_cut and _needs_no_blas(group, size) else 0


def work_of(equations: Iterable[Equation], batch: Batch | None = None) -> int:
    """About how many simple operations the equations take; those that do something with a batch."""
    total = 0
    for e in equations:
        loop = loop_of(e)
        if loop is not None:
            length = e.params.get("length")
            trips = length if type(length) is int else UNKNOWN_TRIPS
            total += work_of(loop.body, batch) * trips
        elif e.primitive.name == "branch":
            total += max(work_of(body.equations, batch) for body in e.params["branches"])
        elif batch is not None and not any(x in batch for x in (*e.inputs, *e.results)):
            continue
        elif e.primitive.name == "matmul":
            depth = e.inputs[0].aval.shape[-1]
            total += _count(e.results[0]) * (depth if type(depth) is int else 1)
        elif e.primitive.name not in INDEX_OPERATIONS:
            total += max(map(_count, (*e.inputs, *e.results)), default=0) * weight(e)
    return total


def _count(x: Atom) -> int:
    """How many elements there are, where a size that is not known counts as 1."""
    return product([dim for dim in x.aval.shape if type(dim) is int])


def _is_last(group: Group) -> bool:
    """Whether the examples lie side by side in memory, in some loop."""
    loops = [loop for e in group.equations if (loop := loop_of(e)) is not None]
    carried = [c.parameter for loop in loops for c in loop.carry]
    return any(group.batch.axes.get(v) == v.aval.ndim - 1 for v in carried)


def _bodies(equations: Iterable[Equation]) -> Iterator[Program]:
    """The regions of equations, and those in them."""
    for e in equations:
        for region in regions(e):
            yield region
            yield from _bodies(region.equations)


def _is_possible(group: Group) -> bool:
    """Whether what every piece reads or sums up besides its examples stays in its cache: else each
    would go through memory for it, where the whole batch does so once. And whether it calls no
    library, for each piece would call it again, and several threads at once.
    """
    bodies = list(_bodies(group.equations))
    made = {v for e in group.equations for v in e.results}
    given = {x for e in group.equations for x in e.inputs if x not in made}
    total = 0
    for v in (*given, *(v for body in bodies for v in body.parameters)):
        if v not in group.batch:
            if not is_known(v.aval.shape):
                return False
            total += _count(v) * v.aval.dtype.itemsize
    all_equations = [*group.equations, *(e for body in bodies for e in body.equations)]
    return total <= SHARED_BYTES and not any(map(is_library_call, all_equations))


def _needs_no_blas(group: Group, size: int) -> bool:
    """Whether all products of a piece are done in tiles, or are small: BLAS has threads of its
    own, and is not to be called by several of ours at once.
    """
    cut = Cut(group.batch, size)
    bodies = _bodies(group.equations)
    for e in (*group.equations, *(e for body in bodies for e in body.equations)):
        if e.primitive.name != "matmul":
            continue
        (a, b), c = map(cut.aval, e.inputs), cut.aval(e.results[0])
        if not is_known((*a.shape, *b.shape)):
            return False
        *rows, columns = c.shape or (1,)
        in_tiles = is_moderate_product(product(rows), a.shape[-1], columns, c.dtype)
        if not in_tiles and product(c.shape) * a.shape[-1] > SMALL_PRODUCT:
            return False
    return True


def _most_in_cache(group: Group) -> int:
    """Examples of which the values of an iteration fit into the cache."""
    length = group.batch.length if type(group.batch.length) is int else 1
    most = 1
    for e in group.equations:
        loop = loop_of(e)
        if loop is not None:
            body = loop.equation.params["body"]
            values = {*body.parameters, *(v for x in loop.body for v in x.results)}
            each = sum(_count(v) * v.aval.dtype.itemsize for v in values if v in group.batch)
            most = max(most, each // length)
    return CACHE_BYTES // most


# The new equations.


def _replaced(
    equations: Sequence[Equation], results: Sequence[Atom], group: Group, size: int
) -> list[Equation]:
    """The equations with `pieces` in the place of the group's."""
    inside = set(group.equations)
    made = {v for e in group.equations for v in e.results}
    after: set[Atom] = set(made)
    before, later = [], []
    for e in equations:
        if e in inside:
            continue
        if after.isdisjoint(e.inputs):
            before.append(e)
        else:
            after.update(e.results)
            later.append(e)
    read = {x for e in later for x in e.inputs} | set(results)
    outs = [v for e in group.equations for v in e.results if v in read]
    return [*before, *_cut_group(group, size, outs), *later]


def _cut_group(group: Group, size: int, outs: Sequence[Variable]) -> list[Equation]:
    batch = group.batch
    made = {v for e in group.all for v in e.results}
    inputs = dict.fromkeys(x for e in group.all for x in e.inputs)
    operands = [x for x in inputs if _is_operand(x, batch, made)]
    rest = Form((), size, batch.length, (), ()).rest
    bodies = [_body(group, size, operands, outs)]
    if not (type(rest) is int and rest == size):
        bodies.append(_body(group, rest, operands, outs))
    params: dict[str, Any] = {
        "bodies": tuple(bodies),
        "size": size,
        "length": batch.length,
        "axes": tuple(batch.axes.get(x) for x in operands),
        "out_axes": tuple(batch.axes.get(v) for v in outs),
    }
    avals = pieces_p.shape(*(x.aval for x in operands), **params)
    line = group.equations[0].line
    stacks = [v if v in batch else Variable(aval) for v, aval in zip(outs, avals, strict=True)]
    found = [Equation(pieces_p, operands, params, stacks, line)]
    for v, stack in zip(outs, stacks, strict=True):
        if v in group.partial:
            found.append(Equation(reduce_sum_p, [stack], {"axes": (0,)}, [v], line))
        elif v not in batch:  # all pieces have found the same
            one = Variable(Aval(v.aval.shape, v.aval.dtype)) if v.aval.weak else v
            found.append(Equation(getitem_p, [stack], {"index": (0,)}, [one], line))
            if one is not v:
                found.append(Equation(weaken_p, [one], {}, [v], line))
    return found


def _is_operand(x: Atom, batch: Batch, made: set[Variable]) -> bool:
    """Whether a piece gets ``x`` from outside."""
    if type(x) is Variable:
        return x not in made
    assert isinstance(x, Literal)
    return x in batch and uniform_element(x) is None


def _body(group: Group, size: int, operands: Sequence[Atom], outs: Sequence[Variable]) -> Program:
    cut = Cut(group.batch, size)
    parameters = [cut.parameter(x) for x in operands]
    cut.add(group.all)
    return Program(parameters, cut.equations, [cut.atom(v) for v in outs], "piece")
