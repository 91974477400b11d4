"""Reverse mode: the tape, and its two readings, backward (`pull_back`) and forward
(`push_forward`, which `linearize` uses).

Each operation on a traced value makes a `Node` that knows its parents and keeps what its rule
reads. There is no list of nodes: what no result depends on is freed while the function still runs.
Node numbers grow, so sorting the nodes that a result reaches by number is a topological order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .core import Aval, Primitive, Trace, Tracer, Value, aval_of, dtype_of, is_weak, layout_of, ndim_of, shape_of

SMALL = 4096  # bytes up to which keeping an unread argument costs less than replacing it

_node_ids = itertools.count()


class Node:
    __slots__ = ("ans", "args", "index", "number", "params", "parents", "primitive")

    def __init__(
        self,
        primitive: Primitive | None,  # None: an input, or one output of a multiple primitive
        parents: Sequence[Node | None],
        args: Sequence[Value],
        ans: Any,
        params: dict[str, Any],
        index: int = -1,  # which output of its parent this is; -1: an ordinary node
    ) -> None:
        self.number = next(_node_ids)
        self.primitive = primitive
        self.parents = parents
        self.args = args
        self.ans = ans
        self.params = params
        self.index = index


class TapeTracer(Tracer):
    __slots__ = ("node", "primal")

    def __init__(self, trace: TapeTrace, primal: Value, node: Node) -> None:
        self.trace = trace
        self.primal = primal
        self.node = node

    @property
    def shape(self) -> tuple[Any, ...]:  # type: ignore[override]
        return shape_of(self.primal)

    @property
    def dtype(self) -> np.dtype[Any]:  # type: ignore[override]
        return dtype_of(self.primal)

    @property
    def ndim(self) -> int:  # type: ignore[override]
        return ndim_of(self.primal)

    @property
    def weak(self) -> bool:  # type: ignore[override]
        return is_weak(self.primal)

    def concrete(self) -> Value:
        return self.primal

    def layout(self) -> Any:
        return layout_of(self.primal)


def _stub(x: Any) -> Any:
    """``x``, or its shape and dtype if it is large."""
    return aval_of(x) if getattr(x, "nbytes", SMALL + 1) > SMALL else x


class TapeTrace(Trace):
    name = "grad or vjp"

    def variable(self, primal: Value) -> TapeTracer:
        """A new input of the tape."""
        return TapeTracer(self, primal, Node(None, (), (), None, {}))

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: dict[str, Any]) -> Any:
        if not self.alive:
            self.check_alive()
        values = list(args)
        parents: list[Node | None] = [None] * len(args)
        for i, a in enumerate(args):
            if type(a) is TapeTracer and a.trace is self:
                values[i] = a.primal
                parents[i] = a.node
        ans = primitive(*values, **params)
        if not primitive.differentiable:
            return ans
        keep_args, keep_ans = primitive.keeps(tuple([p is not None for p in parents]))
        for i, keep in enumerate(keep_args):
            if not keep:
                values[i] = _stub(values[i])
        if not primitive.multiple:
            saved = ans if keep_ans else _stub(ans)
            return TapeTracer(self, ans, Node(primitive, parents, values, saved, params))
        node = Node(primitive, parents, values, ans, params)
        return tuple(
            TapeTracer(self, out, Node(None, (node,), (), None, {}, index))
            if dtype_of(out).kind in "fc"
            else out
            for index, out in enumerate(ans)
        )


def _reachable(nodes: Sequence[Node]) -> list[Node]:
    """All nodes that ``nodes`` depend on, oldest first."""
    seen = set(nodes)
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=_number)


def _number(node: Node) -> int:
    return node.number


def pull_back(outputs: Sequence[tuple[Node, Value]], inputs: Sequence[Node]) -> list[Value | None]:
    """The cotangents of ``inputs`` from those of ``outputs``; None where nothing depends on one."""
    cts: dict[Node, Any] = {}
    for node, ct in outputs:
        cts[node] = cts[node] + ct if node in cts else ct
    strong: set[Node] = set()
    for node in reversed(_reachable([node for node, _ in outputs])):
        primitive = node.primitive
        if primitive is None and node.index < 0:
            continue
        ct = cts.pop(node, None)
        if ct is None:
            continue
        parents = node.parents
        if primitive is None:  # one output of a multiple primitive
            (parent,) = parents
            assert parent is not None
            slots = cts.setdefault(parent, [None] * len(parent.ans))
            slots[node.index] = ct
            if node in strong:
                strong.add(parent)
            continue
        masked = primitive.masks or node in strong
        if masked:
            with np.errstate(all="ignore"):
                contributions = primitive.pull(ct, node.ans, node.args, parents, node.params, True)
            strong.update(p for p in parents if p is not None)
        else:
            contributions = primitive.pull(ct, node.ans, node.args, parents, node.params, False)
        for parent, contribution in zip(parents, contributions):
            if parent is not None and contribution is not None:
                before = cts.get(parent)
                cts[parent] = contribution if before is None else before + contribution
    return [cts.get(node) for node in inputs]


def push_forward(
    inputs: Sequence[tuple[Node, Value]], outputs: Sequence[Node]
) -> list[Value | None]:
    """The tangents of ``outputs`` from those of ``inputs``: the tape read forward."""
    x_dots: dict[Node, Any] = dict(inputs)
    for node in _reachable(outputs):
        primitive = node.primitive
        if primitive is None:
            if node.index >= 0:
                tangents = x_dots.get(node.parents[0])  # type: ignore[arg-type]
                if tangents is not None:
                    x_dots[node] = tangents[node.index]
            continue
        given = [None if p is None else x_dots.get(p) for p in node.parents]
        if any(x_dot is not None for x_dot in given):
            x_dots[node] = primitive.push(node.ans, node.args, given, node.params)
    return [x_dots.get(node) for node in outputs]


def stub_aval(x: Any) -> Aval:
    """The Aval of a saved argument, whether it was kept or replaced by its Aval."""
    return x if isinstance(x, Aval) else aval_of(x)
