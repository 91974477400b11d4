"""Which loops a cluster has, how many elements they do at a time, and what phases hand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...autodiff.program import Atom, Equation, Literal, Variable
from ..affine import (
    INDEX_OPERATIONS,
    Affine,
    Index,
    identity,
    is_one,
    lower_bound,
    product,
    same,
    through,
)
from ..costs import HEAVY, weight, work_of
from ..index_ranges import Ranges
from ..places import Buffer
from ..plan import (
    FULL,
    RUNNING,
    Cluster,
    Plan,
    Store,
    broadcast_index,
    is_reduction,
    reads_of,
)
from .emitter import Emitter
from .reductions import PLACES, place_dtype

TINY = 16  # elements
ROW_BYTES = 1 << 15  # of a row of values that phases hand on
KEPT_ROWS = 8  # such rows in a cluster
COLUMN_BYTES = 1 << 18  # of such values where lanes are rows that lie side by side
FEW_STEPS = 8  # of the last loop, for which aligning them does not pay
SHARED_STEPS = 16  # of a loop, to be shared
LIGHT = 16  # simple operations that leave time to wait for memory
SHORT_BODY, LONG_BODY = 8, 256  # operations
LATENCY = 8  # simple operations that could be done while one waits for the one before
WINDOW = 100  # operations that a processor chooses among, about
SHORT_ROW, FEW_ROWS = 8, 16  # elements of rows that may be lanes, and how few do not pay
COSTLY = frozenset({"divide", "sqrt", "argmax", "argmin"})  # more than others, one by one


class Context(NamedTuple):
    """What the function around the loops offers: SSA names that are defined at its top."""

    emitter: Emitter
    pointer: Callable[[Buffer], str]
    size: Callable[[Any], str]  # of an int or a Dim, as i64
    scratch: Callable[[int], str]  # a pointer to so many bytes for as long as the function runs
    check: Callable[[Any], tuple[int, str]]  # see `checks.note_failure`
    ranges: Ranges
    vector_bytes: int
    in_region: bool  # of a loop, or a branch


class NestShape:
    """The loops of a cluster: ``row_loops`` outside, ``inner_loops``, those of the reduced axes,
    inside; ``sizes`` by loop, of those that are left after merging.
    """

    def __init__(
        self, plan: Plan, cluster: Cluster, context: Context, narrow: bool = False
    ) -> None:
        self.plan, self.cluster = plan, cluster
        self.narrow = narrow  # one lane, for sizes that more do not fit
        self.move(context)
        self.full_index = cluster.full_index
        self.sizes: dict[int, Any] = {}  # of the loops that are left
        self._merge_loops()
        inner = set(cluster.reduced or ())
        self.row_loops = [k for k in sorted(self.sizes) if k not in inner]
        self.inner_loops = [k for k in sorted(self.sizes) if k in inner]
        order = self.row_loops + self.inner_loops
        self.lane_loop = max(order) if order else -1
        if self._has_short_rows():
            self.lane_loop = max(self.row_loops)
        self.is_unrolled = context.in_region and self._is_tiny()
        self.lanes = self._choose_lanes()
        self.kept = self._kept_values()
        self.is_light = sum(map(weight, cluster.equations)) <= LIGHT
        self.aligned = self._aligned_stores()

    def move(self, context: Context) -> None:
        """Goes to a function: ``context`` is what it offers."""
        self.context, self.e = context, context.emitter
        self.phase = 0  # the one that is being written
        self._kept_pointers: dict[Variable, str] = {}

    def _accesses(self) -> list[Affine]:
        """The bytes that the cluster touches, as forms of the loops."""
        cluster, found = self.cluster, []
        seen: set[tuple[Atom, Index]] = set()

        def collect(x: Atom, index: Index) -> None:
            if (x, index) in seen:
                return
            seen.add((x, index))
            x, index = self.base(x, index)
            place = self.plan.places.get(x)
            if place is not None and not self._is_own(x):
                found.append(place.at(index))

        own = cluster.level
        for equation in cluster.equations:
            if all(x in own or _is_number(x) for x in equation.inputs):
                continue
            for x, index in self._reads(equation):
                if index is not None:
                    collect(x, index)
        for store in cluster.stores:
            collect(store.atom, broadcast_index(store.atom.aval.shape, self._source(store)))
            for x, index in store.addressed:
                collect(x, index)
            if not store.addressed:
                found.append(store.place.at(store.index))
        return found

    def _source(self, store: Store) -> Index:
        """Where the loops are in the value that is stored."""
        return self.full_index if store.addressed else store.index

    def _reads(self, equation: Equation) -> list[tuple[Atom, Index | None]]:
        return reads_of(equation, self.cluster.index[equation.results[0]], self.full_index)

    def _reduces(self, equation: Equation) -> bool:
        return is_reduction(equation)

    def _merge_loops(self) -> None:
        """Loops of length 1 are dropped, neighbours that run through memory as one are merged."""
        cluster = self.cluster
        forms = self._accesses()
        inner = set(cluster.reduced or ())
        counts = any(e.primitive.name in ("iota", "gather") for e in cluster.equations)
        counts = counts or any(store.addressed for store in cluster.stores)
        n = -1
        for k in reversed(range(len(cluster.shape))):
            size = cluster.shape[k]
            if is_one(size):
                continue
            may = n >= 0 and not counts and (k in inner) == (n in inner)
            if may and not any(
                j in self.sizes or not is_one(cluster.shape[j]) for j in range(k + 1, n)
            ):
                step = self.sizes[n]
                if all(same(f.coefficient(k), f.coefficient(n) * step) for f in forms):
                    self.sizes[n] = step * size
                    continue
            self.sizes[k] = size
            n = k

    def _has_short_rows(self) -> bool:
        """Whether rows are so short that lanes had better be rows, whose elements lie apart: where
        there is enough to compute, or little to read.
        """
        if not self.row_loops or not self.inner_loops:
            return False
        size = product([self.sizes[k] for k in self.inner_loops])
        count = self.sizes[self.row_loops[-1]]
        if type(size) is not int or size > SHORT_ROW or (type(count) is int and count < FEW_ROWS):
            return False
        equations = self.cluster.equations
        if any(weight(e) >= HEAVY or e.primitive.name in COSTLY for e in equations):
            return True
        read = {
            x
            for e in equations
            for x, _ in self._reads(e)
            if not _is_number(x) and not self._is_own(x)
        }
        return len(read) == 1 and size * self._widest() < self.context.vector_bytes

    def _is_tiny(self) -> bool:
        """Whether writing every element's code pays: in a loop, where small arrays that are only
        addressed at constant places become registers.
        """
        sizes = list(self.sizes.values())
        known = all(type(size) is int for size in sizes)
        return known and product(sizes) <= TINY and work_of(self.cluster) <= 8 * TINY

    def _choose_lanes(self) -> int:
        cluster = self.cluster
        running = any(e.primitive.name in RUNNING for e in cluster.equations)
        in_turn = running and self.lane_loop in self.inner_loops
        if (
            self.is_unrolled
            or self.narrow
            or self.lane_loop < 0
            or in_turn
            or any(store.adds for store in cluster.stores)
        ):
            return 1
        lanes = max(self.context.vector_bytes // max(self._widest(), 4), 1)
        size = self.sizes[self.lane_loop]
        if any(self._reduces(e) for e in cluster.equations):
            lanes = self._lanes_down_columns(lanes) if self.is_down_columns() else lanes * 4
        else:
            vectors = self._vectors()
            while vectors > 1 and type(size) is int and -size % (lanes * vectors) > size // 4:
                vectors //= 2  # too many lanes would be empty
            lanes *= vectors
        while type(size) is int and lanes > max(size, 1):
            lanes //= 2
        if cluster.overwrites and type(size) is not int:
            return 1
        while cluster.overwrites and size % lanes:
            lanes //= 2
        return lanes

    def _widest(self) -> int:
        """The bytes of the widest numbers that the loops compute and store."""
        dtypes: list[Any] = []
        for e in self.cluster.equations:
            is_place = e.primitive.name in PLACES
            dtypes += [place_dtype(e)] if is_place else [v.aval.dtype for v in e.results]
        down = self.is_down_columns()
        dtypes += [s.place.dtype for s in self.cluster.stores if down or s.level == FULL]
        return max((d.itemsize // (2 if d.kind == "c" else 1) for d in dtypes), default=8)

    def _vectors(self) -> int:
        """How many vectors a step does where nothing is reduced.

        Most operations wait for the one before, and a processor finds what else it could do only
        among the next hundred or so: where chains are long, several vectors belong side by side,
        even where that needs more registers than there are. Functions are long chains.
        """
        equations = self.cluster.equations
        if any(map(_is_function, equations)):
            return 4 if len(equations) < LONG_BODY else 2
        if len(equations) < SHORT_BODY:
            return 2
        if LATENCY * self._longest_chain() <= len(equations) + WINDOW:
            return 1
        # LLVM keeps numbers in registers through a loop, and where that leaves none free, it does
        # one vector after the other.
        numbers = {str(x) for e in equations for x in e.inputs if _is_number(x)}
        registers = 32 if self.context.vector_bytes >= 64 else 16
        crowded = len(numbers) + 8 > registers
        return 2 if crowded or len(equations) >= LONG_BODY else 4

    def _longest_chain(self) -> int:
        """How many operations, at most, need one another's results."""
        length: dict[Atom, int] = {}
        for e in self.cluster.equations:
            length[e.results[0]] = 1 + max((length.get(x, 0) for x in e.inputs), default=0)
        return max(length.values(), default=0)

    @property
    def has_rest(self) -> bool:
        """Whether reductions over the last loop do their last step by itself: asking in each step
        whether lanes are left out takes long beside little work.
        """
        size = self.sizes[self.lane_loop]
        return (
            self.is_light and self.lanes > 1 and not (type(size) is int and not size % self.lanes)
        )

    def _aligned_stores(self) -> dict[int, Store]:
        """By phase, a store whose vectors are to lie in one cache line each: the first step begins
        with the row, the second where the line does. What the two do twice must not matter, and the
        time for it must be worth it.
        """
        cluster, size = self.cluster, self.sizes.get(self.lane_loop, 0)
        if self.lanes == 1 or (self.is_down_columns() and self.inner_loops) or cluster.overwrites:
            return {}
        if type(size) is int and size < FEW_STEPS * self.lanes:
            return {}
        reducing = {cluster.phase[e.results[0]] for e in cluster.equations if self._reduces(e)}
        found: dict[int, Store] = {}
        for store in cluster.stores:
            phase = self._phase_of(store.atom)
            if store.addressed or store.level != FULL or phase in reducing or not self.is_light:
                continue
            step = store.place.at(store.index).coefficient(self.lane_loop)
            if type(step) is int and step == store.place.dtype.itemsize:
                found.setdefault(phase, store)
        return found

    def _phase_of(self, x: Atom) -> int:
        x, _ = self.base(x, identity(range(len(x.aval.shape))))
        return self.cluster.phase.get(x, 0) if type(x) is Variable else 0

    def is_down_columns(self) -> bool:
        """Whether the lanes are rows side by side, each of which is reduced."""
        return self.lane_loop in self.row_loops

    def _lanes_down_columns(self, lanes: int) -> int:
        """Many, so that each step down the columns reads whole pages and cache lines; fewer where
        what is computed needs the registers, or what phases hand on the cache.
        """
        light = all(weight(e) < HEAVY for e in self.cluster.equations)
        if light and len(self.cluster.equations) < 8:
            return lanes * 8
        count = product([self.sizes[k] for k in self.inner_loops])
        size = max((v.aval.dtype.itemsize for v in self._long_values()), default=0)
        wide = lanes * 4
        if type(count) is int and count * lanes * size <= COLUMN_BYTES:
            while count * wide * size > COLUMN_BYTES:
                wide //= 2
        return wide

    @property
    def least_size(self) -> int:
        """What the last loop's size must be at least, where only the run knows it; else 0."""
        size = self.sizes.get(self.lane_loop, 0)
        known = type(size) is int or lower_bound(size) >= self.lanes
        return 0 if known else self.lanes

    @property
    def shared_loop(self) -> int | None:
        """The loop over rows whose steps threads share: the first that has some for each of them,
        else the longest.
        """
        counts = {k: self._count(k) for k in self.row_loops}
        for k, count in counts.items():
            if type(count) is not int or count >= SHARED_STEPS:
                return k
        return max(counts, key=lambda k: counts[k], default=None)

    @property
    def steps(self) -> Any:
        """How often the loop runs that threads share."""
        loop = self.shared_loop
        return 1 if loop is None else self._count(loop)

    def _count(self, loop: int) -> Any:
        size = self.sizes[loop]
        if loop != self.lane_loop:
            return size
        return (size + self.lanes - 1) // self.lanes + (self.phase in self.aligned)

    def _kept_values(self) -> dict[Variable, int]:
        """What a later phase reads and would be long to compute again: the bytes of a row of it, or
        of as many rows as there are lanes.
        """
        if not self.inner_loops:
            return {}
        most, room = ROW_BYTES, KEPT_ROWS * ROW_BYTES
        count = product([self.sizes[k] for k in self.inner_loops])
        if self.is_down_columns():
            most, count = COLUMN_BYTES, count * self.lanes
        kept: dict[Variable, int] = {}
        for v in self._long_values():
            size = count * v.aval.dtype.itemsize
            if type(size) is int and size <= min(most, room):
                kept[v] = size
                room -= size
        return kept

    def _long_values(self) -> list[Variable]:
        """What a later phase reads and would be long to compute again."""
        later = self._read_later()
        costs = self._costs() if later else {}
        return [v for v in later if costs.get(v, 0) >= HEAVY]

    def kept_at(self, v: Variable) -> str:
        """A pointer to the row of a value that is kept."""
        if v not in self._kept_pointers:
            self._kept_pointers[v] = self.context.scratch(self.kept[v])
        return self._kept_pointers[v]

    def _read_later(self) -> list[Variable]:
        """The values that are read in a later phase, without those that memory has then."""
        cluster, found = self.cluster, {}
        reads = [
            (x, index, cluster.phase[e.results[0]])
            for e in cluster.equations
            for x, index in self._reads(e)
            if index is not None
        ]
        for atom, index, phase in reads:
            x, _ = self.base(atom, index)
            if type(x) is not Variable or x in self.plan.places:
                continue
            if cluster.level.get(x) == FULL and cluster.phase[x] < phase:
                found[x] = None
        return list(found)

    def _costs(self) -> dict[Variable, int]:
        """About how many operations computing each value again takes."""
        costs: dict[Variable, int] = {}
        for equation in self.cluster.equations:
            v = equation.results[0]
            if self.cluster.level[v] == FULL and v not in self.plan.places:
                reads = {self.base(x, at)[0] for x, at in self._reads(equation) if at is not None}
                costs[v] = weight(equation) + sum(
                    costs.get(x, 0) for x in reads if type(x) is Variable
                )
        return costs

    def _kept_form(self) -> Affine:
        """The element of a kept row that the loops are at: the first of the lanes' rows."""
        form, step = Affine(0), self.lanes if self.is_down_columns() else 1
        for k in reversed(self.inner_loops):
            form = form.plus(Affine(0, ((k, step),)))
            step = step * self.sizes[k]
        return form

    def _is_own(self, x: Atom) -> bool:
        return type(x) is Variable and x in self.cluster.level

    def _behind_views(self, x: Atom, index: Index) -> tuple[Atom, Index]:
        while type(x) is Variable and not self._is_own(x):
            equation = self.plan.producers.get(x)
            if equation is None or equation.primitive.name not in INDEX_OPERATIONS:
                break
            inner = through(equation, index)
            if inner is None:
                break
            x, index = equation.inputs[0], inner
        return x, index

    def base(self, x: Atom, index: Index) -> tuple[Atom, Index]:
        """What is read where ``x`` is read at ``index``; see `Planner.base`. A view of what this
        cluster computes may have got a place since, which is not written to yet.
        """
        own, at = self._behind_views(x, index)
        if type(own) is Variable and self._is_own(own) and at == self.cluster.index[own]:
            return own, at
        while type(x) is Variable and x not in self.plan.places and not self._is_own(x):
            equation = self.plan.producers[x]
            if equation.primitive.name not in INDEX_OPERATIONS:
                break
            inner = through(equation, index)
            assert inner is not None
            x, index = equation.inputs[0], inner
        return x, index


def _is_number(x: Atom) -> bool:
    return type(x) is Literal and not x.aval.shape


def _is_function(equation: Equation) -> bool:
    """Whether it is an elementary function of vectors: others are done one lane after the other."""
    return weight(equation) >= HEAVY and equation.results[0].aval.dtype.kind == "f"
