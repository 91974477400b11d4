"""`vmap`: a function of one example becomes a function of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import boundary, shapes, trees
from .batching import BatchTrace, BatchTracer
from .boundary import describe_any, function_name
from .core import PYTHON_DTYPES, Tracer, Value, ndim_of, shape_of
from .dims import Dim
from .errors import BatchingError
from .handles import TracedArray, wrap
from .primitives.manipulation import move_axis
from .rules import broadcast_to_p
from .sizes import size_value


def vmap(
    fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, axis_size: int | None = None
) -> Callable[..., Any]:
    """``fun`` for a whole batch at once: the stacked results of calling it on every example.

    Parameters
    ----------
    fun : a function of one example; loops, branches on values that all examples agree on, in-place
        writes and other transformations inside are fine.
    in_axes : which axis of each argument holds the batch: an int (may be negative) or None (the
        argument is the same for all) for all arguments, or a tuple or list with one entry for each
        positional argument, which may itself be a tree of ints and None. Keyword arguments are
        batched along axis 0.
    out_axes : where the batch axis goes in the results: an int, None (the result must not depend on
        the example), or a tree of them.
    axis_size : the size of the batch, needed only if no argument has it.

    Raises
    ------
    BatchingError : sizes that differ, an axis that is out of range, examples that disagree on a
        branch, a mask that selects differently many elements in each example.

    >>> import xnp as np
    >>> print(np.vmap(np.dot)(np.arange(6.0).reshape(3, 2), np.ones((3, 2))))
    [1. 5. 9.]
    >>> print(np.vmap(np.grad(lambda x, y: x * y), in_axes=(0, None))(np.ones(3), 2.0))
    [2. 2. 2.]
    """
    boundary.check_callable("vmap", fun)
    name = function_name(fun)

    @functools.wraps(fun, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        inputs = _Inputs(name, _axes_of_arguments(name, in_axes, args), axis_size)
        entered = [
            inputs.add(f"argument {i}", arg, axes)
            for i, (arg, axes) in enumerate(zip(args, inputs.axes, strict=True))
        ]
        named = {key: inputs.add(f"argument {key!r}", arg, 0) for key, arg in kwargs.items()}
        trace = BatchTrace(inputs.known_size())
        with trace:
            positional = [inputs.handles(trace, argument) for argument in entered]
            keywords = {key: inputs.handles(trace, argument) for key, argument in named.items()}
            result = fun(*positional, **keywords)
            leaves, unflatten = trees.flatten(result)
            values = [_result_value(name, leaf) for leaf in leaves]
        out = [
            _leave(name, trace, value, axis, inputs.seen)
            for value, axis in zip(values, _prefix(name, out_axes, result, leaves), strict=True)
        ]
        return trees.rebuild(unflatten, out)

    return wrapped


def _axes_of_arguments(name: str, in_axes: Any, args: tuple[Any, ...]) -> Sequence[Any]:
    if in_axes is None or isinstance(in_axes, (int, np.integer)):
        return (in_axes,) * len(args)
    if not isinstance(in_axes, (tuple, list)):
        raise TypeError(
            f"vmap: in_axes is {describe_any(in_axes)}; wanted an int, None, or a tuple with one "
            "entry for each positional argument"
        )
    if len(in_axes) != len(args):
        raise BatchingError(
            f"vmap: in_axes has {len(in_axes)} entries, but {name} was called with {len(args)} "
            "positional arguments; give one entry for each (keyword arguments are batched along 0)"
        )
    return in_axes


class _Inputs:
    """The arguments of one call: leaves with the batch first, and the batch's size."""

    def __init__(self, name: str, axes: Sequence[Any], axis_size: int | None) -> None:
        if axis_size is not None and not hasattr(axis_size, "__index__"):
            boundary.integer("vmap", "axis_size", axis_size)  # raises
        self.name, self.axes = name, axes
        self.size: Any = axis_size
        self.size_from = "axis_size"
        self.seen: set[int] = set()

    def add(self, label: str, tree: Any, axes: Any) -> tuple[list[Any], list[bool], Any]:
        """The leaves (Values where batched), which are batched, and how to rebuild the tree."""
        leaves, unflatten = trees.flatten_with_none(tree)
        batched = []
        for i, axis in enumerate(_prefix(self.name, axes, tree, leaves, "in_axes")):
            if axis is None or leaves[i] is None:
                batched.append(False)
                continue
            leaves[i] = self.leading(label, leaves[i], axis)
            batched.append(True)
        return leaves, batched, unflatten

    def leading(self, label: str, leaf: Any, axis: Any) -> Value:
        if type(leaf) in PYTHON_DTYPES or not (
            isinstance(leaf, (TracedArray, np.ndarray, np.generic))
        ):
            raise BatchingError(
                f"vmap: {label} of {self.name} is {describe_any(leaf)}, which has no axis {axis} "
                "to batch over; pass an array, or None in its place in in_axes"
            )
        value, _ = boundary.enter(leaf)
        ndim = ndim_of(value)
        if not -ndim <= axis < ndim:
            raise BatchingError(
                f"vmap: {label} of {self.name} is {describe_any(leaf)}, which has no axis {axis}; "
                "in_axes must name an axis of every batched array"
            )
        value = move_axis(value, shapes.axis_index(axis, ndim), 0)
        size = shape_of(value)[0]
        if self.size is None:
            self.size, self.size_from = size, label
        elif self.size != size:
            raise BatchingError(
                f"vmap: {label} of {self.name} has {size} examples along axis {axis}, but "
                f"{self.size_from} has {self.size}"
            )
        self.seen.add(id(value))
        return value

    def known_size(self) -> Any:
        if self.size is None:
            raise BatchingError(
                f"vmap: no argument of {self.name} is batched (in_axes={self.axes!r}), so the size "
                "of the batch is unknown; set axis_size, or batch an argument"
            )
        return self.size

    def handles(self, trace: BatchTrace, argument: tuple[list[Any], list[bool], Any]) -> Any:
        leaves, batched, unflatten = argument
        handles = [
            wrap(BatchTracer(trace, leaf)) if b else leaf
            for leaf, b in zip(leaves, batched, strict=True)
        ]
        return trees.rebuild(unflatten, handles)


def _prefix(
    name: str, axes: Any, tree: Any, leaves: list[Any], what: str = "out_axes"
) -> Sequence[Any]:
    """One axis for every leaf of ``tree``, from a tree of axes that is a prefix of it."""
    if axes is None or isinstance(axes, (int, np.integer)):
        return [axes] * len(leaves)
    try:
        found = trees.broadcast_prefix(axes, tree)
    except ValueError as error:
        raise BatchingError(
            f"vmap: {what} {axes!r} is no prefix of the tree it belongs to in {name}: {error}"
        ) from None
    for axis in found:
        if axis is not None and not isinstance(axis, (int, np.integer)):
            raise TypeError(
                f"vmap: {what} of {name} holds {describe_any(axis)}; wanted ints and None"
            )
    return found


def _result_value(name: str, leaf: Any) -> Value:
    if isinstance(leaf, TracedArray):
        return leaf.value
    if isinstance(leaf, (np.ndarray, np.generic)) or type(leaf) in PYTHON_DTYPES:
        return leaf
    if type(leaf) is Dim:
        return size_value(leaf)
    raise BatchingError(
        f"vmap: {name} returned {describe_any(leaf)}; wanted arrays, numbers, or a tree of them"
    )


def _leave(name: str, trace: BatchTrace, value: Value, axis: Any, seen: set[int]) -> Any:
    if type(value) is BatchTracer and value.trace is trace:
        if axis is None:
            raise BatchingError(
                f"vmap: out_axes is None for a result of {name} that depends on the example; give "
                "the position its batch axis shall have"
            )
        value = value.values
    else:
        if isinstance(value, Tracer):
            value.trace.check_alive()
        if axis is None:
            return boundary.fresh(value, 0, seen)
        value = broadcast_to_p(value, shape=(trace.size, *shape_of(value)))
    ndim = ndim_of(value)
    if not -ndim <= axis < ndim:
        raise BatchingError(
            f"vmap: out_axes is {axis}, but a result of {name} has {ndim} axes with the batch's"
        )
    value = move_axis(value, 0, shapes.axis_index(axis, ndim))
    return boundary.fresh(value, 0, seen)
