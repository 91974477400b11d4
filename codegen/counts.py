"""What equations cost: operations on numbers, and bytes between memory and registers.

An elementwise operation is one operation an element, however hard it is; moving elements is none.
Symbolic sizes count with the sizes at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..autodiff.core import Aval
from ..autodiff.primitives.indexing import part_shape
from ..autodiff.program import Atom, Equation, Literal, Program, Variable, regions
from .affine import INDEX_OPERATIONS
from .batches.pieces import Form
from .passes.atoms import is_known
from .reuse import UPDATES, reusable


class Kernel(NamedTuple):
    """A cluster, or an operation of its own, as `Inspection` shows it. ``bytes`` is what it loads
    and stores if what it reads of an array comes from memory once; ``operations`` are on numbers.
    """

    name: str
    kind: str
    equations: tuple[Equation, ...]
    bytes: int
    operations: int


Group = tuple[str, str, Sequence[Equation]]  # name, kind, equations


def kernels(program: Program, groups: Iterable[Group]) -> list[Kernel]:
    """Counts what the clusters of a Program cost. Equations that only rename positions may be in
    none of the groups: they are read through.
    """
    found = [(name, kind, tuple(equations)) for name, kind, equations in groups]
    traffic = _Traffic(program, [equations for _, _, equations in found])
    return [
        Kernel(name, kind, equations, traffic.of(number), sum(map(operations, equations)))
        for number, (name, kind, equations) in enumerate(found)
    ]


class _Traffic:
    """What goes between memory and groups of equations."""

    def __init__(self, program: Program, groups: Sequence[Sequence[Equation]]) -> None:
        self.groups, self.views = groups, views_of(program)
        found = reusable(program)
        self.in_place = {e: i[0] for e, i in found.items() if e.primitive.name in UPDATES}
        self.readers: dict[Atom, set[int]] = {}
        for number, equations in enumerate(groups):
            for x in self._reads(equations):
                self.readers.setdefault(x, set()).add(number)
        for x in program.results:
            self.readers.setdefault(seen_through(x, self.views), set()).add(-1)

    def of(self, number: int) -> int:
        equations = self.groups[number]
        made = {v: e for e in equations for v in e.results}
        loaded: dict[Atom, int] = {}
        for e in equations:
            for i, x in enumerate(e.inputs):
                if self.in_place.get(e) != i and not is_view(e):
                    x, read = self._read(x)
                    loaded[x] = min(loaded.get(x, 0) + read, nbytes(x.aval))
        stored = [v for v in made if self.readers.get(v, set()) - {number}]
        return sum(n for x, n in loaded.items() if x not in made) + sum(
            self._written(v, made[v]) for v in stored
        )

    def _read(self, x: Atom) -> tuple[Atom, int]:
        """The array that ``x`` is a view of, and how much of it that is; nothing of a number that
        the code holds.
        """
        read = nbytes(x.aval)
        while x in self.views:
            x = self.views[x].inputs[0]
            read = min(read, nbytes(x.aval))
        return x, read if type(x) is Variable or x.aval.shape else 0

    def _written(self, v: Variable, equation: Equation) -> int:
        """All of a result, or of an update in place the part that it writes."""
        if equation not in self.in_place or not is_known(v.aval.shape):
            return nbytes(v.aval)
        shape = equation.inputs[1].aval.shape
        if equation.primitive.name == "setitem":
            shape = part_shape(v.aval.shape, equation.params["index"])
        return nbytes(Aval(shape, v.aval.dtype))

    def _reads(self, equations: Iterable[Equation]) -> list[Atom]:
        """The arrays that equations read, views of them seen through."""
        found = [seen_through(x, self.views) for e in equations if not is_view(e) for x in e.inputs]
        return [x for x in found if type(x) is Variable or x.aval.shape]


def is_view(equation: Equation) -> bool:
    """Whether an equation only renames positions."""
    return equation.primitive.name in INDEX_OPERATIONS


def views_of(program: Program) -> dict[Atom, Equation]:
    """The equations that only rename positions, by their results."""
    return {v: e for e in program.equations if is_view(e) for v in e.results}


def seen_through(x: Atom, views: Mapping[Atom, Equation]) -> Atom:
    """The array that ``x`` is a view of."""
    while x in views:
        x = views[x].inputs[0]
    return x


def size(aval: Aval) -> int:
    """The number of elements."""
    return math.prod(map(_number, aval.shape))


def _number(dim: Any) -> int:
    if type(dim) is int:
        return dim
    hint = getattr(dim, "hint", dim)
    return 1 if hint is None else int(hint)


def nbytes(aval: Aval) -> int:
    """The bytes that the elements take."""
    return size(aval) * aval.dtype.itemsize


def operations(equation: Equation) -> int:
    """How many operations on numbers an equation is."""
    name = equation.primitive.name
    if name in MOVEMENT or is_view(equation):
        return 0
    counted = COUNTS.get(name)
    if counted is not None:
        return int(counted(equation))
    inner = [sum(map(operations, region.equations)) for region in regions(equation)]
    if name == "pieces":
        first, *last = inner
        return (_number(Form(**equation.params).count) - len(last)) * first + sum(last)
    if inner:
        return _iterations(equation) * (max(inner) if name == "branch" else sum(inner))
    return max((size(v.aval) for v in equation.results), default=0)


def _iterations(equation: Equation) -> int:
    """How often a loop's body runs, where that is known; 1 where it is not."""
    length = equation.params.get("length")
    if length is not None:
        return _number(length)
    if equation.primitive.name == "for":
        lower, upper = equation.inputs[:2]
        if type(lower) is Literal and type(upper) is Literal:
            return max(0, int(upper.value) - int(lower.value))
    return 1


def _matmul(e: Equation) -> int:
    return 2 * size(e.results[0].aval) * _number(e.inputs[0].aval.shape[-1])


def _matmul_sum(e: Equation) -> int:
    depths = [_number(x.aval.shape[-1]) for x in e.inputs[:-1:2]]
    return size(e.results[0].aval) * (2 * sum(depths) + len(e.inputs) % 2 + len(depths) - 1)


def _slide(e: Equation) -> int:
    return 2 * size(e.results[0].aval) * _number(e.inputs[1].aval.shape[-1])


def _of_input(factor: float = 1) -> Callable[[Equation], float]:
    return lambda e: factor * size(e.inputs[0].aval)


def _sort(e: Equation) -> float:
    n = _number(e.inputs[0].aval.shape[e.params.get("axis", -1)])
    return size(e.inputs[0].aval) * math.log2(max(n, 2))


def _fourier(e: Equation) -> float:
    """5 n log2 n, as is usual, of the whole array."""
    n = max(size(e.inputs[0].aval), size(e.results[0].aval))
    return 5 * n * math.log2(max(n, 2))


def _cubic(factor: float) -> Callable[[Equation], float]:
    """``factor * m * n * min(m, n)`` for each matrix of a stack."""

    def count(e: Equation) -> float:
        *stack, m, n = map(_number, e.inputs[0].aval.shape)
        return factor * math.prod(stack) * m * n * min(m, n)

    return count


def _solve(e: Equation) -> float:
    n = _number(e.inputs[0].aval.shape[-1])
    return _cubic(2 / 3)(e) + 2 * n * size(e.results[0].aval)


REDUCTIONS = ("sum", "prod", "max", "min", "any", "all")

COUNTS: dict[str, Callable[[Equation], float]] = {
    "matmul": _matmul,
    "matmul_sum": _matmul_sum,
    "slide": _slide,
    **{f"reduce_{name}": _of_input() for name in REDUCTIONS},
    **{name: _of_input() for name in ("argmax", "argmin", "cumsum", "cumprod")},
    "recurrence": _of_input(2),
    **dict.fromkeys(("argsort", "argpartition", "partition_order", "lexsort", "sort"), _sort),
    **dict.fromkeys(("fft_c2c", "fft_r2c", "fft_c2r"), _fourier),
    "solve": _solve,
    "inv": _cubic(2),
    "inv_or_nan": _cubic(2),
    "det": _cubic(2 / 3),
    "slogdet": _cubic(2 / 3),
    "cholesky": _cubic(1 / 3),
    "qr": _cubic(2),
    "svd": _cubic(11),
    "svdvals": _cubic(8 / 3),
    "eigh": _cubic(9),
    "eigvalsh": _cubic(4 / 3),
    "eig": _cubic(25),
}

# What moves elements without computing, besides views.
MOVEMENT = frozenset(
    {
        "concatenate",
        "assemble",
        "setitem",
        "embed",
        "gather",
        "scatter",
        "permute",
        "embed_diagonal",
    }
    | {"join_parts", "iota", "dimension", "weaken", "narrow", "real", "imag"}
)
