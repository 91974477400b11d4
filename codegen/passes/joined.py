"""Groups of elementwise equations that can be computed together, for `boxes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...autodiff.program import Atom, Equation, Program
from .atoms import same_shape
from .movers import SOURCES, Size, is_large, is_mover
from .rewriting import is_elementwise

LONG = 1 << 12  # elements of arrays whose making takes time


@dataclass(eq=False)
class Group:
    """Elementwise equations of one shape. ``behind``: the groups that it depends on."""

    shape: tuple[Size, ...]
    equations: list[Equation] = field(default_factory=list)
    behind: set[Group] = field(default_factory=set)
    has_source: bool = False
    is_inner: bool = True  # only equations that could be of it read what it computes
    into: Group | None = None  # the one that took it in

    def now(self) -> Group:
        group: Group = self
        while group.into is not None:
            group = group.into
        return group

    def needs(self, other: Group) -> bool:
        """Whether it depends on another group."""
        seen: set[Group] = set()
        todo: list[Group] = [self]
        while todo:
            for group in todo.pop().behind:
                group = group.now()
                if group is other:
                    return True
                if group not in seen:
                    seen.add(group)
                    todo.append(group)
        return False

    def take_in(self, other: Group) -> bool:
        """Makes all of ``other`` a part, if no path leads from one to the other through others."""
        if not same_shape(other.shape, self.shape) or not (other.has_source or other.is_inner):
            return False
        if self.needs(other) or other.needs(self):
            return False
        self.equations[:0] = other.equations
        self.behind |= other.behind
        self.has_source |= other.has_source
        self.is_inner &= other.is_inner
        other.into = self
        return True


Readers = Mapping[Atom, Sequence[Equation | None]]


def groups_of(program: Program, readers: Readers) -> list[Group]:
    """The groups in which arrays that are put together are read."""
    return _Finder(program, readers).groups()


class _Finder:
    def __init__(self, program: Program, readers: Readers) -> None:
        self.program = program
        self.home: dict[Atom, Group] = {}  # of what groups compute, and of sources that they read
        self.sources: set[Atom] = set()
        self.behind: dict[Atom, set[Group]] = {}  # what everything else depends on
        self.readers = readers

    def groups(self) -> list[Group]:
        for equation in self.program.equations:
            if self._can_join(equation):
                self._join(equation)
            else:
                self._pass(equation)
        found = dict.fromkeys(group.now() for group in self.home.values())
        return [group for group in found if group.has_source]

    def _can_join(self, equation: Equation) -> bool:
        if not is_elementwise(equation.primitive) or equation.primitive.effect:
            return False
        aval = equation.results[0].aval
        return not aval.weak and is_large(aval.shape, LONG)

    def _pass(self, equation: Equation) -> None:
        """Notes what an equation that is in no group depends on."""
        behind = {group for x in equation.inputs for group in self._behind(x)}
        self.behind.update((v, behind) for v in equation.results)
        if is_mover(equation) and (
            equation.primitive in SOURCES or equation.inputs[0] in self.sources
        ):
            self.sources.add(equation.results[0])

    def _behind(self, x: Atom) -> set[Group]:
        if x in self.home and x not in self.sources:
            return {self.home[x].now()}
        return self.behind.get(x, set())

    def _join(self, equation: Equation) -> None:
        (out,) = equation.results
        shape = out.aval.shape
        mine = Group(shape, [equation])
        mine.is_inner = all(
            e is not None and self._can_join(e) and same_shape(e.results[0].aval.shape, shape)
            for e in self.readers[out]
        )
        sources = [
            x for x in equation.inputs if x in self.sources and same_shape(x.aval.shape, shape)
        ]
        mine.has_source = bool(sources)
        direct = {x: self.home[x].now() for x in equation.inputs if x in self.home}
        computed = {group for x, group in direct.items() if x not in self.sources}
        for x in equation.inputs:
            if x not in direct or x in self.sources:
                mine.behind |= self._behind(x)
        for other in dict.fromkeys(direct.values()):
            between = any(group is not other and group.needs(other) for group in computed)
            if between or not mine.take_in(other):
                mine.behind |= {other} & computed
        for x in (out, *sources):
            self.home.setdefault(x, mine)
