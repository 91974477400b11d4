"""How equations join axes: see `axes`. What has no rule here can be no part of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ...autodiff.core import Aval
from ...autodiff.primitives.indexing import part_shape
from ...autodiff.program import Atom, Equation, Literal, Program, Variable
from ..affine import INDEX_OPERATIONS, is_one, reshape_groups, same
from ..passes.atoms import acts, has_regions, uniform_element
from ..passes.loops import Loop, loop_of
from ..passes.rewriting import is_elementwise
from .axes import Axes


def axes_of(equations: Sequence[Equation]) -> Axes:
    """The joined axes of the equations and of the regions in them."""
    axes = Axes()
    _visit(axes, equations)
    return axes


def _visit(axes: Axes, equations: Sequence[Equation]) -> None:
    for equation in equations:
        name = equation.primitive.name
        if name in _RULES and not acts(equation):
            _RULES[name](axes, equation)
        elif (loop := loop_of(equation)) is not None:
            _join_loop(axes, loop)
        elif is_elementwise(equation.primitive) and not acts(equation):
            _join_broadcast(axes, equation)
        else:
            axes.bar(*equation.inputs, *equation.results)


def is_library_call(equation: Equation) -> bool:
    """Whether nothing is known of what an equation costs: it has no rule here."""
    name = equation.primitive.name
    known = name in _RULES or is_elementwise(equation.primitive) or name in INDEX_OPERATIONS
    return not known and not has_regions(equation)


def _visit_region(axes: Axes, region: Program) -> None:
    """An array that a region holds cannot be cut, unless all its elements are one number."""
    _visit(axes, region.equations)
    for x in (*(x for e in region.equations for x in e.inputs), *region.results):
        if type(x) is Literal and uniform_element(x) is None:
            axes.bar(x)


_REDUCTIONS = ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_any", "reduce_all")
_ALONG = ("cumsum", "cumprod", "flip", "windows")  # which look along some axes
_SAME = ("copy", "stop_gradient", "weaken", "broadcast_to")


def _join_broadcast(axes: Axes, equation: Equation) -> None:
    for x in equation.inputs:
        axes.join_aligned(x, equation.results[0])


def _join_reduction(axes: Axes, equation: Equation) -> None:
    (x,), (out,) = equation.inputs, equation.results
    gone = equation.params["axes"]
    kept = [k for k in range(x.aval.ndim) if k not in gone]
    for k, axis in enumerate(kept):
        axes.join((x, axis), (out, k))
    if equation.primitive.name != "reduce_sum" or x.aval.dtype.char == "e":
        axes.bar(x, axes=gone)


def _join_along(axes: Axes, equation: Equation) -> None:
    (x,), (out,) = equation.inputs, equation.results
    for k in range(x.aval.ndim):
        axes.join((x, k), (out, k))
    params = equation.params
    axes.bar(x, axes=[params["axis"]] if "axis" in params else params["axes"])
    axes.bar(out, axes=range(x.aval.ndim, out.aval.ndim))


def _join_matmul(axes: Axes, equation: Equation) -> None:
    (a, b), (out,) = equation.inputs, equation.results
    m, n = a.aval.ndim, b.aval.ndim
    axes.join((a, m - 1), (b, max(n - 2, 0)))
    if a.aval.dtype.char == "e":
        axes.bar(a, axes=[m - 1])
    last = out.aval.ndim - 1
    if n > 1:
        axes.join((b, n - 1), (out, last))
        last -= 1
    if m > 1:
        axes.join((a, m - 2), (out, last))
        last -= 1
    for x in (a, b):
        axes.join_aligned(x, out, last + 1, max(x.aval.ndim - 2, 0))


def _join_transpose(axes: Axes, equation: Equation) -> None:
    (x,), (out,) = equation.inputs, equation.results
    for k, axis in enumerate(equation.params["axes"]):
        axes.join((x, axis), (out, k))


def _join_reshape(axes: Axes, equation: Equation) -> None:
    (x,), (out,) = equation.inputs, equation.results
    for left, right in reshape_groups(x.aval.shape, out.aval.shape) or []:
        if len(left) == len(right) == 1:
            axes.join((x, left[0]), (out, right[0]))
        else:
            axes.bar(x, axes=left)
            axes.bar(out, axes=right)


def _join_getitem(axes: Axes, equation: Equation) -> None:
    (x,), (out,) = equation.inputs, equation.results
    _join_part(axes, x, out, equation.params["index"])


def _join_part(axes: Axes, x: Atom, part: Atom, index: Sequence[object]) -> None:
    """Joins what a basic index takes whole."""
    axis = place = 0
    for item in index:
        if item is None:
            axes.bar(part, axes=[place])
            place += 1
            continue
        if isinstance(item, slice):
            if is_whole(item, x.aval.shape[axis]):
                axes.join((x, axis), (part, place))
            else:
                axes.bar(x, axes=[axis])
                axes.bar(part, axes=[place])
            place += 1
        else:
            axes.bar(x, axes=[axis])
        axis += 1
    for k in range(axis, x.aval.ndim):
        axes.join((x, k), (part, place + k - axis))


def is_whole(item: slice, dim: object) -> bool:
    """Whether a slice is all of an axis, as it lies."""
    starts = item.start is None or (type(item.start) is int and item.start == 0)
    steps = item.step is None or is_one(item.step)
    return starts and steps and (item.stop is None or same(item.stop, dim))


def _join_embed(axes: Axes, equation: Equation) -> None:
    (part,), (out,) = equation.inputs, equation.results
    _join_part(axes, out, part, equation.params["index"])


def _join_setitem(axes: Axes, equation: Equation) -> None:
    (x, value), (out,) = equation.inputs, equation.results
    axes.join_all(x, out)
    part = Variable(Aval(part_shape(x.aval.shape, equation.params["index"]), x.aval.dtype))
    _join_part(axes, x, part, equation.params["index"])
    axes.join_aligned(value, part)


def _join_concatenate(axes: Axes, equation: Equation) -> None:
    (out,) = equation.results
    for x in equation.inputs:
        for k in range(out.aval.ndim):
            if k == equation.params["axis"]:
                axes.bar(x, out, axes=[k])
            else:
                axes.join((x, k), (out, k))


def _join_gather(axes: Axes, equation: Equation) -> None:
    (x, *indices), (out,) = equation.inputs, equation.results
    lead = out.aval.ndim - (x.aval.ndim - len(indices))
    for i in indices:
        axes.join_aligned(i, out, lead)
    axes.bar(x, axes=range(len(indices)))
    for k in range(len(indices), x.aval.ndim):
        axes.join((x, k), (out, lead + k - len(indices)))


def _join_accumulate(axes: Axes, equation: Equation) -> None:
    (value, *indices), (out,) = equation.inputs, equation.results
    lead = value.aval.ndim - (out.aval.ndim - len(indices))
    for i in indices:
        axes.join_aligned(i, value, lead)
    axes.bar(out, axes=range(len(indices)))
    for k in range(len(indices), out.aval.ndim):
        axes.join((out, k), (value, lead + k - len(indices)))


def _join_branch(axes: Axes, equation: Equation) -> None:
    _, *operands = equation.inputs
    for body in equation.params["branches"]:
        for x, v in zip(operands, body.parameters, strict=True):
            axes.join_all(x, v)
        for x, v in zip(body.results, equation.results, strict=True):
            axes.join_all(x, v)
        _visit_region(axes, body)


def _join_loop(axes: Axes, loop: Loop) -> None:
    for x, v in (*loop.tests, *loop.consts):
        axes.join_all(x, v)
    for c in loop.carry:
        for x in (c.operand, c.out, c.result, c.tested):
            if x is not None:
                axes.join_all(x, c.parameter)
    for stack, row in (*loop.xs, *((stack, row) for row, stack in loop.ys)):
        axes.join_all(stack, row, 1)
        axes.bar(stack, axes=[0])
    params = loop.equation.params
    for region in (params["body"], params.get("cond")):
        if region is not None:
            _visit_region(axes, region)


_RULES = {
    **dict.fromkeys(_REDUCTIONS, _join_reduction),
    **dict.fromkeys(_ALONG, _join_along),
    "matmul": _join_matmul,
    "transpose": _join_transpose,
    "reshape": _join_reshape,
    **dict.fromkeys(_SAME, _join_broadcast),
    "getitem": _join_getitem,
    "setitem": _join_setitem,
    "concatenate": _join_concatenate,
    "gather": _join_gather,
    "embed": _join_embed,
    "accumulate": _join_accumulate,
    "branch": _join_branch,
}
