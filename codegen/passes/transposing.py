"""Operations between two transposes, elementwise or along an axis: in Fortran order, say, where
arguments are transposed first and results last. Both go, and the operations run through memory as
it lies.
"""

from __future__ import annotations

from ...autodiff.core import Params
from ...autodiff.program import Atom, Equation
from ...autodiff.rules import broadcast_to_p
from .rewriting import Rewriter, Rule, is_elementwise

DEEPEST = 64  # operations between the transposes
_ALONG_AXIS = frozenset({"concatenate", "cumsum", "cumprod"})


def transpose_elementwise(rewriter: Rewriter, equation: Equation) -> Atom | None:
    """A transpose of what was computed from transposes that it undoes."""
    (x,) = equation.inputs
    found = _operations(rewriter, x, equation.params["axes"])
    if not found:
        return None
    axes = equation.params["axes"]
    made: dict[Atom, Atom] = {}
    for e in found:
        inputs = [_turned(rewriter, y, axes, made) for y in e.inputs]
        made[e.results[0]] = rewriter.bind(e, e.primitive, *inputs, **_turned_params(e, axes))
    return made[x]


def _operations(rewriter: Rewriter, x: Atom, axes: tuple[int, ...]) -> list[Equation]:
    """The operations between ``x`` and transposes, in order; none where something else is there."""
    found: dict[Equation, None] = {}
    waiting = [(x, False)]
    while waiting:
        y, is_done = waiting.pop()
        source = rewriter.source(y)
        if not y.aval.ndim or _is_end(source, axes):
            continue
        if source is None or not _can_turn(source) or len(found) > DEEPEST:
            return []
        if any(z.aval.ndim not in (0, len(axes)) for z in source.inputs):
            return []
        if is_done:
            found[source] = None
        elif source not in found:
            waiting.append((y, True))
            waiting += [(z, False) for z in source.inputs]
    return list(found)


def _can_turn(equation: Equation) -> bool:
    """Whether the operation is one on transposed arrays, too."""
    if equation.primitive.name in ("embed", "getitem"):
        return all(isinstance(item, slice) for item in equation.params["index"])
    return equation.primitive.name in _ALONG_AXIS or is_elementwise(equation.primitive)


def _turned_params(equation: Equation, axes: tuple[int, ...]) -> Params:
    """The parameters of the operation on transposed arrays."""
    params = equation.params
    if equation.primitive.name in _ALONG_AXIS:
        return {**params, "axis": axes.index(params["axis"])}
    if equation.primitive.name not in ("embed", "getitem"):
        return params
    index = (*params["index"], *(slice(None),) * (len(axes) - len(params["index"])))
    turned = {**params, "index": tuple(index[a] for a in axes)}
    if "shape" in params:
        turned["shape"] = tuple(params["shape"][a] for a in axes)
    return turned


def _is_end(source: Equation | None, axes: tuple[int, ...]) -> bool:
    """Whether a transpose undoes this, or it is the same everywhere."""
    if source is None:
        return False
    if source.primitive.name == "broadcast_to":
        return not source.inputs[0].aval.ndim
    return source.primitive.name == "transpose" and all(
        source.params["axes"][a] == k for k, a in enumerate(axes)
    )


def _turned(rewriter: Rewriter, x: Atom, axes: tuple[int, ...], made: dict[Atom, Atom]) -> Atom:
    """``x`` transposed, which takes no transpose."""
    if not x.aval.ndim:
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
