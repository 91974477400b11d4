"""Which values of a loop's body reverse mode stores: the fewest bytes that do.

The backward body reads some values of the forward one. Each is stored, or computed again from
stored ones by cheap operations. A set of stored values does if it cuts every path from what cannot
be computed again to what is read; so the cheapest one is a minimum cut, where a value's capacity is
its size. [L. R. Ford, D. R. Fulkerson, Canadian Journal of Mathematics 8 (1956) 399-404]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from .calls import Producers, recomputable, sources
from .core import Aval
from .program import Variable
from .shapes import prod
from .size_structures import hinted

Cost = Callable[[Variable], float]
LARGEST = 2000  # values in a graph; of larger ones the simple choice is made
ENDLESS = float("inf")

# A value is two places, before and after it, with its capacity between them.
Place = tuple[Any, bool]
_SOURCE: Place = (None, False)
_SINK: Place = (None, True)


def size_in_bytes(aval: Aval) -> float:
    """The bytes of a value, of symbolic sizes for their hints."""
    count = hinted(prod(aval.shape))
    return float(count if type(count) is int else 1 << 20) * aval.dtype.itemsize


def cheapest(cost: Cost) -> Callable[[Sequence[Variable], Producers], Iterable[Variable]]:
    """What to store, for `partition`; ``cost`` of a value is 0 if it is there anyway."""

    def choose(read: Sequence[Variable], producers: Producers) -> Iterable[Variable]:
        network = _Network(read, producers, cost)
        if len(network.values) > LARGEST:
            return sources(read, producers)
        network.fill()
        return network.cut()

    return choose


class _Network:
    """The flow network of the values that the read ones are computed from."""

    def __init__(self, read: Sequence[Variable], producers: Producers, cost: Cost) -> None:
        self.left: dict[Place, dict[Place, float]] = {_SOURCE: {}, _SINK: {}}
        self.values: dict[Variable, None] = {}
        stack = list(read)
        for v in read:
            self._edge((v, True), _SINK, ENDLESS)
        while stack and len(self.values) <= LARGEST:
            v = stack.pop()
            if v in self.values:
                continue
            self.values[v] = None
            self._edge((v, False), (v, True), cost(v))
            equation = producers.get(v)
            if equation is None or not recomputable(equation):
                self._edge(_SOURCE, (v, False), ENDLESS)
                continue
            inputs = [x for x in equation.inputs if type(x) is Variable]
            for x in inputs:
                self._edge((x, True), (v, False), ENDLESS)
            stack += inputs

    def _edge(self, start: Place, end: Place, capacity: float) -> None:
        self.left.setdefault(start, {})[end] = capacity
        self.left.setdefault(end, {}).setdefault(start, 0.0)

    def fill(self) -> None:
        """Sends as much as flows from the source to the sink, along shortest paths."""
        while (path := self._path()) is not None:
            steps = list(pairwise(path))
            amount = min(self.left[a][b] for a, b in steps)
            for a, b in steps:
                self.left[a][b] -= amount
                self.left[b][a] += amount

    def _path(self) -> list[Place] | None:
        before: dict[Place, Place] = {_SOURCE: _SOURCE}
        queue = deque([_SOURCE])
        while queue:
            place = queue.popleft()
            for after, capacity in self.left[place].items():
                if capacity > 0 and after not in before:
                    before[after] = place
                    if after == _SINK:
                        return self._back(before)
                    queue.append(after)
        return None

    def _back(self, before: dict[Place, Place]) -> list[Place]:
        path = [_SINK]
        while path[-1] != _SOURCE:
            path.append(before[path[-1]])
        return path[::-1]

    def cut(self) -> list[Variable]:
        """The values between the places that still reach the sink and those that do not: of several
        cheapest cuts the one next to what is read, behind which the least is computed again.
        """
        behind = {_SINK}
        stack = [_SINK]
        while stack:
            place = stack.pop()
            for before in self.left[place]:
                if before not in behind and self.left[before].get(place, 0.0) > 0:
                    behind.add(before)
                    stack.append(before)
        return [v for v in self.values if (v, True) in behind and (v, False) not in behind]
