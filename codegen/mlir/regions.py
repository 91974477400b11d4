"""Loops and branches as structured control flow in the one native function.

The body of a region is planned and written like a Program of its own, into the same function: its
parameters and results are memory that the region assigns. Carried values have two buffers, from
before and after an iteration: small ones are copied (LLVM turns those into registers), of large
ones the pointers change places.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ...autodiff.core import Aval
from ...autodiff.program import Program
from ..places import PARAMETER, RESULT, Place, is_small, nbytes
from ..plan import Operation, Plan
from .memory import shifted
from .operations import operation


class Carried(NamedTuple):
    """Where a carried value lies before and after an iteration."""

    before: str
    after: str
    size: Any
    swaps: bool


def pointer_to(writer: Any, place: Place) -> str:
    """The address of a place's first element."""
    base = writer.main.pointer(place.buffer)
    if type(place.offset) is int and place.offset == 0:
        return base
    return shifted(writer.main.e, base, writer.main.size(place.offset))


def write_region(
    writer: Any,
    program: Program,
    parameters: Sequence[str],
    results: Sequence[str],
    plan: Plan | None = None,
) -> None:
    """The steps of a region, which reads and writes memory at these addresses."""
    plan = plan or writer.plan(program)
    main = writer.main
    bound = {(PARAMETER, i): name for i, name in enumerate(parameters)}
    bound |= {(RESULT, i): name for i, name in enumerate(results)}
    main.bind(plan, bound)
    writer.write(plan)


def copy(writer: Any, target: str, source: str, size: Any) -> None:
    e = writer.main.e
    e.effect(
        f'"llvm.intr.memcpy"({target}, {source}, {writer.main.size(size)}) '
        "<{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()"
    )


def size_of(aval: Aval) -> Any:
    return nbytes(aval.shape, aval.dtype)


class Inside:
    """Collects the lines of a region's block."""

    def __init__(self, writer: Any) -> None:
        self.e = writer.main.e

    def __enter__(self) -> list[str]:
        self.outer, self.e.lines = self.e.lines, []
        return self.e.lines

    def __exit__(self, *_: object) -> None:
        self.e.lines = self.outer


class Carry:
    """The carried values of a loop: their buffers, and the names that change places. ``in_place``:
    those that the body updates where they are; ``taken``: those that take the memory that they
    start from, in which their last values will be wanted.
    """

    def __init__(
        self,
        writer: Any,
        starts: Sequence[str],
        avals: Sequence[Aval],
        in_place: Collection[int],
        taken: Collection[int] = (),
    ) -> None:
        self.writer, self.avals = writer, avals
        main = writer.main
        self.values = []
        for number, (start, aval) in enumerate(zip(starts, avals, strict=True)):
            size = size_of(aval)
            before = start if number in taken else main.temporary(size)
            after = before if number in in_place else main.temporary(size)
            if number not in taken:
                copy(writer, before, start, size)
            swaps = before != after and not is_small(size)
            self.values.append(Carried(before, after, size, swaps))
        self.swapped = [v for v in self.values if v.swaps]

    def starts(self) -> list[str]:
        return [name for v in self.swapped for name in (v.before, v.after)]

    def renamed(self, names: Sequence[str]) -> list[Carried]:
        """The values under the names that a block has for the pointers that change places."""
        found, queue = [], iter(names)
        for v in self.values:
            found.append(v._replace(before=next(queue), after=next(queue)) if v.swaps else v)
        return found

    def advance(self, inside: Sequence[Carried]) -> list[str]:
        """Ends an iteration; returns the pointers for the next one."""
        for v in inside:
            if not v.swaps and v.before != v.after:
                copy(self.writer, v.before, v.after, v.size)
        return [name for v in inside if v.swaps for name in (v.after, v.before)]

    def finish(self, names: Sequence[str], results: Sequence[str]) -> None:
        """Writes the last values to where the region's results belong."""
        for v, result in zip(self.renamed(names), results, strict=True):
            if v.before != result:
                copy(self.writer, result, v.before, v.size)


def taken_places(starts: Sequence[Place], results: Sequence[Place]) -> dict[int, int]:
    """{number of a result: number of the operand in whose place it lies}."""
    numbers = {place.buffer: i for i, place in enumerate(starts)}
    return {j: numbers[place.buffer] for j, place in enumerate(results) if place.buffer in numbers}


def _block(writer: Any, names: Sequence[str]) -> tuple[list[str], str]:
    """Names for pointers inside a block, and their types."""
    fresh = [writer.main.e.fresh() for _ in names]
    return fresh, ", ".join("!llvm.ptr" for _ in names)


def open_for(writer: Any, low: str, high: str, carry: Carry) -> tuple[str, list[str], str]:
    """The counter of a loop, the names it has inside for what is carried, and its head."""
    e = writer.main.e
    counter = e.fresh()
    names = carry.starts()
    inside, types = _block(writer, names)
    head = f"scf.for {counter} = {low} to {high} step {e.integer(1)}"
    if names:
        pairs = ", ".join(f"{a} = {b}" for a, b in zip(inside, names, strict=True))
        head += f" iter_args({pairs}) -> ({types})"
    return counter, inside, head + " : i64 {"


def close_for(writer: Any, head: str, lines: list[str], last: list[str]) -> list[str]:
    e = writer.main.e
    out: list[str] = []
    if last:
        bundle = e.fresh()
        types = ", ".join("!llvm.ptr" for _ in last)
        head = f"{bundle}:{len(last)} = {head}"
        out = [f"{bundle}#{i}" for i in range(len(last))]
        lines.append(f"scf.yield {', '.join(last)} : {types}")
    e.lines.append(head)
    e.lines.extend(lines)
    e.lines.append("}")
    return out


def _counted(
    writer: Any,
    step: Operation,
    low: str,
    high: str,
    operands: Sequence[Place],
    *,
    length: Any = None,
) -> None:
    """`for` and `scan`: consts, carry, and the slices of xs and ys."""
    main, e = writer.main, writer.main.e
    params = step.equation.params
    body, consts = params["body"], params["const_count"]
    carried = params["carry_count"]
    fixed = [pointer_to(writer, p) for p in operands[:consts]]
    places = operands[consts : consts + carried]
    taken = taken_places(places, step.results[:carried])
    starts = [pointer_to(writer, p) for p in places]
    plan = writer.plan(body, {1 + consts + j: j for j in range(carried)})
    carry = Carry(writer, starts, body.out_avals[:carried], plan.in_place, taken)
    xs = [(pointer_to(writer, p), p.strides[0]) for p in operands[consts + carried :]]
    ys = [(pointer_to(writer, p), p.strides[0]) for p in step.results[carried:]]
    slot = main.temporary(8)
    counter, names, head = open_for(writer, low, high, carry)
    with Inside(writer) as lines:
        index = counter
        if params.get("reverse"):
            last = main.size(length - 1)
            index = e.op(f"arith.subi {last}, {counter} : i64")
        e.effect(f"llvm.store {index}, {slot} : i64, !llvm.ptr")
        inside = carry.renamed(names)
        rows = [_row(writer, base, index, size) for base, size in xs]
        targets = [_row(writer, base, index, size) for base, size in ys]
        parameters = [slot, *fixed, *(v.before for v in inside), *rows]
        results = [*(v.after for v in inside), *targets]
        write_region(writer, body, parameters, results, plan)
        last_names = carry.advance(inside)
    results = [pointer_to(writer, p) for p in step.results[:carried]]
    carry.finish(close_for(writer, head, lines, last_names), results)


def _row(writer: Any, base: str, index: str, size: Any) -> str:
    e = writer.main.e
    by = e.op(f"arith.muli {index}, {writer.main.size(size)} : i64")
    return shifted(e, base, by)


@operation("scan")
def _scan(writer: Any, plan: Any, step: Operation) -> bool:
    length = step.equation.params["length"]
    main = writer.main
    _counted(writer, step, main.e.integer(0), main.size(length), step.operands, length=length)
    return True


@operation("for")
def _for(writer: Any, plan: Any, step: Operation) -> bool:
    low, high = (integer_at(writer, place) for place in step.operands[:2])
    _counted(writer, step, low, high, step.operands[2:])
    return True


def integer_at(writer: Any, place: Place) -> str:
    """An integer scalar in memory as an i64."""
    e = writer.main.e
    bits = place.dtype.itemsize * 8
    name = e.op(f"llvm.load {pointer_to(writer, place)} : !llvm.ptr -> i{bits}")
    if bits == 64:
        return name
    widen = "extui" if place.dtype.kind in "bu" else "extsi"
    return e.op(f"arith.{widen} {name} : i{bits} to i64")


@operation("while")
def _while(writer: Any, _plan: Any, step: Operation) -> bool:
    main, e = writer.main, writer.main.e
    params = step.equation.params
    cond_count, body_count = params["cond_count"], params["body_count"]
    fixed = [pointer_to(writer, p) for p in step.operands[: cond_count + body_count]]
    places = step.operands[cond_count + body_count :]
    taken = taken_places(places, step.results)
    starts = [pointer_to(writer, p) for p in places]
    plan = writer.plan(params["body"], {body_count + j: j for j in range(len(starts))})
    carry = Carry(writer, starts, params["body"].out_avals, plan.in_place, taken)
    slot = main.temporary(1)
    names = carry.starts()
    before, types = _block(writer, names)
    after, _ = _block(writer, names)
    with Inside(writer) as test:
        held = [v.before for v in carry.renamed(before)]
        write_region(writer, params["cond"], [*fixed[:cond_count], *held], [slot])
        flag = e.op(f"llvm.load {slot} : !llvm.ptr -> i8")
        goes_on = e.op(f"arith.cmpi ne, {flag}, {e.constant(0, 'i8')} : i8")
        state = e.op(f"llvm.load {main.status} : !llvm.ptr -> i64")
        fine = e.op(f"arith.cmpi eq, {state}, {e.integer(0)} : i64")
        both = e.op(f"arith.andi {goes_on}, {fine} : i1")
        passed = f" {', '.join(before)} : {types}" if names else ""
        test.append(f"scf.condition({both}){passed}")
    with Inside(writer) as body:
        inside = carry.renamed(after)
        parameters = [*fixed[cond_count:], *(v.before for v in inside)]
        write_region(writer, params["body"], parameters, [v.after for v in inside], plan)
        last = carry.advance(inside)
        body.append(f"scf.yield {', '.join(last)} : {types}" if names else "scf.yield")
    pairs = ", ".join(f"{a} = {b}" for a, b in zip(before, names, strict=True))
    head = (
        f"scf.while ({pairs}) : ({types}) -> ({types}) {{" if names else ("scf.while : () -> () {")
    )
    results: list[str] = []
    if names:
        bundle = e.fresh()
        head = f"{bundle}:{len(names)} = {head}"
        results = [f"{bundle}#{i}" for i in range(len(names))]
    entry = ", ".join(f"{name}: !llvm.ptr" for name in after)
    label = f"^bb0({entry}):" if names else "^bb0:"
    e.lines += [head, *test, "} do {", label, *body, "}"]
    carry.finish(results, [pointer_to(writer, p) for p in step.results])
    return True


@operation("branch")
def _branch(writer: Any, plan: Any, step: Operation) -> bool:
    e = writer.main.e
    branches = step.equation.params["branches"]
    index, last = integer_at(writer, step.operands[0]), e.integer(len(branches) - 1)
    if step.operands[0].dtype.kind == "u":
        index = e.op(f"arith.minui {index}, {last} : i64")
    else:
        index = e.op(f"arith.maxsi {index}, {e.integer(0)} : i64")
        index = e.op(f"arith.minsi {index}, {last} : i64")
    for number, branch in enumerate(branches):
        mine = e.op(f"arith.cmpi eq, {index}, {e.integer(number)} : i64")
        with Inside(writer) as lines:
            _write_branch(writer, branch, step.operands[1:], step.results)
        e.lines += [f"scf.if {mine} {{", *lines, "}"]
    return True


def _write_branch(
    writer: Any, branch: Program, operands: Sequence[Place], places: Sequence[Place]
) -> None:
    """A branch, some of whose results lie where operands do: what is not written there as an update
    is computed elsewhere, and copied at the end.
    """
    taken = taken_places(operands, places)
    plan = writer.plan(branch, {i: j for j, i in taken.items()})
    parameters = [pointer_to(writer, p) for p in operands]
    targets = [pointer_to(writer, p) for p in places]
    moved = {
        j: writer.main.temporary(size_of(branch.out_avals[j])) for j in taken.keys() - plan.in_place
    }
    results = [moved.get(j, target) for j, target in enumerate(targets)]
    write_region(writer, branch, parameters, results, plan)
    for j, source in sorted(moved.items()):
        copy(writer, targets[j], source, size_of(branch.out_avals[j]))


@operation("checkpoint")
def _checkpoint(writer: Any, plan: Any, step: Operation) -> bool:
    parameters = [pointer_to(writer, p) for p in step.operands]
    results = [pointer_to(writer, p) for p in step.results]
    write_region(writer, step.equation.params["program"], parameters, results)
    return True


operation("call")(_checkpoint)
