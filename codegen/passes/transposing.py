"""Operations between two transposes, elementwise or along an axis: in Fortran order, say, where
arguments are transposed first and results last. Both go, and the operations run through memory as
it lies.
"""

from __future__ import annotations

from ...autodiff.core import Params
from ...autodiff.program import Atom, Equation
from ...autodiff.rules import broadcast_to_p
from ..affine import is_one
from .atoms import same_shape
from .rewriting import Rewriter, Rule, is_elementwise

Axes = tuple[int, ...]

DEEPEST = 64  # operations between the transposes
_ALONG_AXIS = frozenset({"concatenate", "cumsum", "cumprod"})


def transpose_elementwise(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A transpose of what was computed from transposes that it undoes."""
    (x,) = equation.inputs
    made: dict[Atom, Atom] = {}
    for e, axes in _operations(rewriter, x, tuple(equation.params["axes"])).items():
        before = _axes_of_inputs(e, axes)
        inputs = [_turned(rewriter, y, before, made) for y in e.inputs]
        made[e.results[0]] = rewriter.bind(e, e.primitive, *inputs, **_turned_params(e, axes))
    return made.get(x)


def _operations(rewriter: Rewriter, x: Atom, axes: Axes) -> dict[Equation, Axes]:
    """The operations between ``x`` and transposes, in order, and the axes by which each of them is
    to be transposed; none where something else is there.
    """
    found: dict[Equation, Axes] = {}
    waiting = [(x, axes, False)]
    while waiting:
        y, axes, is_done = waiting.pop()
        source = rewriter.source(y)
        if not y.aval.ndim or _is_end(source, axes):
            continue
        if source is None or not _can_turn(source) or len(found) > DEEPEST:
            return {}
        before = _axes_of_inputs(source, axes)
        if any(z.aval.ndim not in (0, len(before)) for z in source.inputs):
            return {}
        if is_done:
            found[source] = axes
        elif source not in found:
            waiting.append((y, axes, True))
            waiting += [(z, before, False) for z in source.inputs]
        elif found[source] != axes:
            return {}
    return found


def _axes_of_inputs(equation: Equation, axes: Axes) -> Axes:
    """The axes by which the inputs are to be transposed where the result is by ``axes``."""
    if equation.primitive.name != "reshape":
        return axes
    new = _inserted(equation)
    return tuple(a - (a > new) for a in axes if a != new)


def _inserted(equation: Equation) -> int:
    """The axis of length 1 that a reshape puts between the others; -1 if it does something else."""
    (x,), shape = equation.inputs, equation.params["shape"]
    for axis, size in enumerate(shape):
        if is_one(size) and same_shape(x.aval.shape, (*shape[:axis], *shape[axis + 1 :])):
            return axis
    return -1


def _can_turn(equation: Equation) -> bool:
    """Whether the operation is one on transposed arrays, too."""
    if equation.primitive.name in ("embed", "getitem"):
        return all(isinstance(item, slice) for item in equation.params["index"])
    if equation.primitive.name == "reshape":
        return _inserted(equation) >= 0
    return equation.primitive.name in _ALONG_AXIS or is_elementwise(equation.primitive)


def _turned_params(equation: Equation, axes: Axes) -> Params:
    """The parameters of the operation on transposed arrays."""
    params = equation.params
    if equation.primitive.name in _ALONG_AXIS:
        return {**params, "axis": axes.index(params["axis"])}
    if equation.primitive.name == "reshape":
        return {"shape": tuple(params["shape"][a] for a in axes)}
    if equation.primitive.name not in ("embed", "getitem"):
        return params
    index = (*params["index"], *(slice(None),) * (len(axes) - len(params["index"])))
    turned = {**params, "index": tuple(index[a] for a in axes)}
    if "shape" in params:
        turned["shape"] = tuple(params["shape"][a] for a in axes)
    return turned


def _is_end(source: Equation | None, axes: Axes) -> bool:
    """Whether a transpose undoes this, or changes nothing, or it is the same everywhere."""
    if axes == tuple(range(len(axes))):
        return True
    if source is None:
        return False
    if source.primitive.name == "broadcast_to":
        return not source.inputs[0].aval.ndim
    return source.primitive.name == "transpose" and all(
        source.params["axes"][a] == k for k, a in enumerate(axes)
    )


def _turned(rewriter: Rewriter, x: Atom, axes: Axes, made: dict[Atom, Atom]) -> Atom:
    """``x`` transposed, which takes no transpose."""
    if not x.aval.ndim or axes == tuple(range(len(axes))):
        return x
    if x in made:
        return made[x]
    source = rewriter.source(x)
    assert source is not None
    (inner,) = source.inputs
    if source.primitive.name == "transpose":
        return inner
    shape = tuple(x.aval.shape[a] for a in axes)
    return rewriter.bind(source, broadcast_to_p, inner, shape=shape)


RULES: dict[str, list[Rule]] = {"transpose": [transpose_elementwise]}
