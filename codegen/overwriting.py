"""Carried values that a loop's body computes element by element, in the place of the old ones."""

from __future__ import annotations

from typing import Any

from ..autodiff.program import Equation, Variable
from .places import RESULT, is_whole
from .plan import FULL, Cluster, Operation, reads_of


def overwrite_carried(planner: Any) -> None:
    """Puts results that come after a parameter whose memory may be written to in its place, where
    every element is read once, in the step that writes it, at the place it is written to.
    """
    for old, number in planner.given.items():
        new = planner.program.results[number]
        place = planner.places.get(new)
        if not isinstance(new, Variable) or place is None or number in planner.in_place:
            continue
        cluster = planner.home.get(new)
        fits = place.buffer.kind == RESULT and place.buffer.number == number and is_whole(place)
        if fits and isinstance(cluster, Cluster) and _is_last_read(planner, cluster, old):
            target = planner.places[old]
            cluster.stores = [
                s._replace(place=target) if s.place is place else s for s in cluster.stores
            ]
            cluster.overwrites = True
            planner.places[new] = target
            planner.in_place.add(number)


def _is_last_read(planner: Any, cluster: Cluster, old: Variable) -> bool:
    """Whether only this cluster reads ``old``, each element where the loops are."""
    if old in planner.program.results or any(cluster.phase.values()):
        return False
    for equation in planner.program.equations:
        if old in equation.inputs and not _reads_in_place(cluster, equation, old):
            return False
    buffer = planner.places[old].buffer
    return not any(_touches(step, old, buffer) for step in planner.steps)


def _reads_in_place(cluster: Cluster, equation: Equation, old: Variable) -> bool:
    index = cluster.index.get(equation.results[0])
    if index is None or cluster.level[equation.results[0]] != FULL:
        return False
    reads = reads_of(equation, index, cluster.full_index)
    return all(at == cluster.full_index for x, at in reads if x is old)


def _touches(step: Any, old: Variable, buffer: Any) -> bool:
    """Whether a step reads or writes the memory, other than by the equations of a cluster."""
    if isinstance(step, Operation):
        places = [x for x in (*step.operands, *step.results) if hasattr(x, "buffer")]
        return any(place.buffer is buffer for place in places)
    return any(store.atom is old or store.place.buffer is buffer for store in step.stores)
