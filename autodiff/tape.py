"""Reverse mode: the tape, and its two readings, backward (`pull_back`) and forward
(`push_forward`, which `linearize` uses).

Each operation on a traced value makes a `Node` that knows its parents and keeps what its rule
reads. There is no list of nodes: what no result depends on is freed while the function still runs.
Node numbers grow, so sorting the nodes that a result reaches by number is a topological order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Any

import numpy as np

from .core import (
    Aval,
    Params,
    PrimalTracer,
    Primitive,
    Trace,
    Tracer,
    Value,
    aval_of,
    dtype_of,
)

SMALL = 4096  # bytes up to which keeping an unread argument costs less than replacing it

_node_ids = itertools.count()


class Node:
    """One operation on the tape. With no primitive: an input."""

    __slots__ = ("ans", "args", "number", "params", "parents", "primitive")

    index = -1  # which output of its parent an `OutputNode` is

    def __init__(
        self,
        primitive: Any,  # a Primitive, or None
        parents: Sequence[Node | None],
        args: Sequence[Value],
        ans: Any,
        params: Params,
    ) -> None:
        self.number = next(_node_ids)
        self.primitive = primitive
        self.parents = parents
        self.args = args
        self.ans = ans
        self.params = params


class OutputNode(Node):
    """One output of a multiple primitive, whose node is its parent."""

    __slots__ = ("index",)

    def __init__(self, parent: Node, index: int) -> None:
        super().__init__(None, (parent,), (), None, {})
        self.index = index


class TapeTracer(PrimalTracer):
    __slots__ = ("node",)

    def __init__(self, trace: TapeTrace, primal: Value, node: Node) -> None:
        self.trace = trace
        self.primal = primal
        self.node = node


_new = TapeTracer.__new__


def _unread(x: Any) -> Any:
    """What is kept of a value that no rule reads: its shape and dtype. Keeping a small array costs
    less than making the Aval.
    """
    if type(x) is np.ndarray:
        return x if x.nbytes <= SMALL else Aval(x.shape, x.dtype)
    return aval_of(x) if isinstance(x, Tracer) else x


class TapeTrace(Trace):
    name = "grad or vjp"

    def variable(self, primal: Value) -> TapeTracer:
        """A new input of the tape."""
        return TapeTracer(self, primal, Node(None, (), (), None, {}))

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: Params) -> Any:
        if not self.alive:
            self.check_alive()
        parents: list[Node | None]
        if len(args) == 1:  # it must be ours
            ours: Any = args[0]
            values: list[Value] = [ours.primal]
            parents = [ours.node]
            bind = primitive if isinstance(values[0], Tracer) else primitive.impl
        else:
            values = list(args)
            parents = [None] * len(args)
            bind = primitive.impl
            for i, a in enumerate(args):
                if isinstance(a, Tracer):
                    if a.trace is self:
                        ours = a  # a TapeTracer
                        values[i] = a = ours.primal
                        parents[i] = ours.node
                    if isinstance(a, Tracer):
                        bind = primitive
        ans = bind(*values, **params)
        if not primitive.differentiable:
            return ans
        one = primitive.keeps_one if len(args) == 1 else None
        unread, keep_ans = one or primitive.keeps(parents)
        for i in unread:
            values[i] = _unread(values[i])
        if not primitive.multiple:
            saved = ans if keep_ans else _unread(ans)
            tracer = _new(TapeTracer)  # as TapeTracer(...), without a call
            tracer.trace = self
            tracer.primal = ans
            tracer.node = Node(primitive, parents, values, saved, params)
            return tracer
        node = Node(primitive, parents, values, ans, params)
        return tuple(
            TapeTracer(self, out, OutputNode(node, index)) if dtype_of(out).kind in "fc" else out
            for index, out in enumerate(ans)
        )


def pull_back(
    outputs: Sequence[tuple[Node, Value]], inputs: Sequence[Node], masked: bool = False
) -> list[Value | None]:
    """The cotangents of ``inputs`` from those of ``outputs``; None where nothing depends on one.
    ``masked``: those of ``outputs`` may be exact zeros from behind a mask, which infinite partials
    leave zero.

    Nodes wait in a heap by number and are pulled from the youngest on, when all that was computed
    from them has been. Floating-point warnings are off: the values have given theirs, and infinite
    partials behind a mask are expected.
    """
    cts: dict[int, Any] = {}  # by node number
    nodes: dict[int, Node] = {}
    waiting: list[int] = []
    for node, ct in outputs:
        number = node.number
        if number in cts:
            cts[number] = cts[number] + ct
        else:
            cts[number] = ct
            nodes[number] = node
            waiting.append(-number)
    heapify(waiting)
    with np.errstate(all="ignore"):
        _pull_waiting(cts, nodes, waiting, set(nodes) if masked else set())
    return [cts.get(node.number) for node in inputs]


def _pull_waiting(
    cts: dict[int, Any], nodes: dict[int, Node], waiting: list[int], strong: set[int]
) -> None:
    while waiting:
        node: Node | None = nodes.pop(-heappop(waiting))
        primitive = node.primitive
        if primitive is None:
            if node.index >= 0:
                _fill_slot(node, cts, nodes, waiting, strong)
            continue  # an input that is an output too
        ct = cts.pop(node.number)
        while node is not None:  # down a chain of operations, as long as nothing younger waits
            parents = node.parents
            primitive = node.primitive
            masked = primitive.masks or node.number in strong
            if masked:
                strong.update([p.number for p in parents if p is not None])
            found = primitive.pull(ct, node.ans, node.args, parents, node.params, masked)
            node = None
            for parent, contribution in zip(parents, found):  # noqa: B905 - the hot loop
                if parent is None or contribution is None:
                    continue
                number = parent.number
                if number in cts:
                    cts[number] = cts[number] + contribution
                elif parent.primitive is None and parent.index < 0:
                    cts[number] = contribution  # an input: done
                elif (
                    len(parents) == 1
                    and parent.primitive is not None
                    and (not waiting or number > -waiting[0])
                ):
                    node, ct = parent, contribution
                else:
                    cts[number] = contribution
                    nodes[number] = parent
                    heappush(waiting, -number)


def _fill_slot(
    node: Node, cts: dict[int, Any], nodes: dict[int, Node], waiting: list[int], strong: set[int]
) -> None:
    """Hands the cotangent of one output of a multiple primitive to the node of all of them."""
    (parent,) = node.parents
    assert parent is not None
    number = parent.number
    if number not in cts:
        cts[number] = [None] * len(parent.ans)
        nodes[number] = parent
        heappush(waiting, -number)
    cts[number][node.index] = cts.pop(node.number)
    if node.number in strong:
        strong.add(number)


def _reachable(nodes: Sequence[Node]) -> list[Node]:
    """All nodes that ``nodes`` depend on, oldest first."""
    seen = set(nodes)
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=attrgetter("number"))


def push_forward(
    inputs: Sequence[tuple[Node, Value]], outputs: Sequence[Node]
) -> list[Value | None]:
    """The tangents of ``outputs`` from those of ``inputs``: the tape read forward."""
    x_dots: dict[Node, Any] = dict(inputs)
    for node in _reachable(outputs):
        primitive = node.primitive
        if primitive is None:
            if node.index >= 0:
                (parent,) = node.parents
                assert parent is not None
                tangents = x_dots.get(parent)
                if tangents is not None:
                    x_dots[node] = tangents[node.index]
            continue
        given = [None if p is None else x_dots.get(p) for p in node.parents]
        if any(x_dot is not None for x_dot in given):
            x_dots[node] = primitive.push(node.ans, node.args, given, node.params)
    return [x_dots.get(node) for node in outputs]
