"""`TracedArray`: the mutable, NumPy-like handle that user code holds inside a transformation.

A handle holds a Value, or is a view of another handle: a `View` says how to read the view's value
from its base's, and how to write one back. Values never change, handles do: writing through a view
makes a new value for its base, and views re-read when the version of the root has moved. That is
all there is to mutation, under every transformation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import foreign, shapes
from .core import (
    PYTHON_DTYPES,
    Tracer,
    Value,
    concrete_value,
    deciding_value,
    describe_type,
    dtype_of,
    layout_of,
    ndim_of,
    shape_of,
    thread_state,
)
from .dims import Dim, is_size
from .errors import BatchingError, ConcretizationError, MutationError, user_line
from .primitives.manipulation import stack_values, transpose_p
from .primitives.parts import copy_p
from .rules import broadcast_to_p, convert, reshape_p
from .sizes import size_value
from .symbolic_layouts import strided

# What is no handle, but stands for an array: how to read its Value.
LIKE_ARRAYS: dict[type, Callable[[Any], Value]] = {}

RESULT, ARRAY0D, WEAK = 0, 1, 2  # kinds: see TracedArray


class View:
    """How a handle reads and writes the part of ``base`` it shows.

    ``put`` is None where NumPy's view is read-only. ``layout`` does NumPy's own view operation on
    an array that has the base's strides; whether a later reshape is a view follows from it. Unless
    ``exact``, it gives an array of the right shape and strides with other elements.
    """

    __slots__ = ("base", "exact", "get", "key", "layout", "put", "root")

    def __init__(
        self,
        base: TracedArray,
        get: Callable[[Value], Value],
        put: Callable[[Value, Value], Value] | None,
        layout: Callable[[Any], Any],
        exact: bool = True,
    ) -> None:
        self.base = base
        self.root: TracedArray = base if base._view is None else base._view.root
        self.get = get
        self.put = put
        self.layout = layout
        self.exact = exact
        self.key: Any = None  # the user's index, where the view was made by one


class TracedArray:
    """An array under a transformation. It does what ``numpy.ndarray`` does.

    ``_kind`` tells apart what NumPy tells apart by type where there are no dimensions: the result
    of an operation (NumPy returns a scalar, which is immutable), a zero-dimensional array, and a
    Python number, whose dtype is weak (NEP 50).
    """

    __slots__ = ("__weakref__", "_born", "_kind", "_strides", "_value", "_version", "_view")

    _value: Value
    _view: View | None
    _version: int  # of a base: counts writes; of a view: the root's version that _value shows
    _kind: int
    _born: int  # the level of the innermost trace when this handle was made
    _strides: tuple[int, ...]  # of a base that was written to: those of its first value

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("TracedArray handles are made by transformations; use xnp.array(...)")

    @property
    def value(self) -> Value:
        view = self._view
        if view is not None and self._version != view.root._version:
            self._read_again()
        return self._value

    def _read_again(self) -> None:
        """Brings a view up to date: first the views between it and the root that are not."""
        stale: list[tuple[TracedArray, View]] = []
        handle, version = self, 0
        while (view := handle._view) is not None:
            version = view.root._version
            if handle._version == version:
                break
            stale.append((handle, view))
            handle = view.base
        for handle, view in reversed(stale):  # no recursion: chains may be thousands of views long
            handle._value = view.get(view.base._value)
            handle._version = version

    def is_scalar(self) -> bool:
        """Whether NumPy would have a scalar here, which cannot be written to."""
        return self._kind != ARRAY0D and ndim_of(self._value) == 0

    def write(self, new: Value) -> None:
        """Replaces the whole value (same shape and dtype), through the view if this is one."""
        root = self
        while (view := root._view) is not None:
            if view.put is None:
                raise ValueError("assignment destination is read-only")
            new = view.put(view.base.value, new)
            root = view.base
        if root.is_scalar():
            raise TypeError(
                f"a scalar ({describe(root)}) cannot be written to{user_line()}, nor can NumPy's; "
                "write x = ... to give the name another value, or make an array: xnp.array(x)."
            )
        program = thread_state.program
        if program is not None and root._born < program.level:
            raise MutationError(
                f"an array that was made outside of {program.name} was written to inside of it"
                f"{user_line()}: what is recorded changes nothing but its own arrays. Give it the "
                "array as an argument or carried value, and return it."
            )
        if isinstance(new, Tracer) and new.trace.level > root._born:
            raise MutationError(
                f"a value traced by {new.trace.name} was written into an array that was made "
                f"outside of it{user_line()}, which would outlive it. Make the array inside the "
                "function, or pass it as an argument and return it."
            )
        old = layout_of(root._value)
        if not root._version:
            root._strides = old.strides
        if old.ndim > 1:
            new = laid_out_as(new, old)
        root._value = new
        root._version += 1

    def layout(self) -> Any:
        """An array of this shape whose strides are those NumPy's array would have."""
        root, steps = self, []
        while (view := root._view) is not None:
            steps.append(view.layout)
            root = view.base
        if not root._version:
            layout = layout_of(root._value)
        else:
            layout = strided(shape_of(root._value), root._strides, dtype_of(root._value))
        for step in reversed(steps):
            layout = step(layout)
        return layout


def laid_out_as(new: Value, old: Any) -> Value:
    """``new`` with its elements in the order in memory that those of ``old`` have: NumPy gives the
    results of operations on an array that order, which decides about views of them.
    """
    layout = layout_of(new)
    if layout.strides == old.strides:
        return new
    order = axes_in_memory(old)
    if 0 not in layout.strides and axes_in_memory(layout) == order:
        return new
    inverse = shapes.inverse_permutation(order)
    return transpose_p(copy_p(transpose_p(new, axes=order)), axes=inverse)


def compact(x: Value) -> Value:
    """The same Value, laid out in C order, so that views of it are what they are of NumPy's."""
    return x if layout_of(x).flags.c_contiguous else copy_p(x)


def axes_in_memory(layout: Any) -> tuple[int, ...]:
    """The axes from the one with the largest stride to the one with the smallest; axes of length 1
    after all others.
    """
    strides = [abs(s) if n > 1 else 0 for s, n in zip(layout.strides, layout.shape, strict=True)]
    return tuple(sorted(range(layout.ndim), key=lambda axis: -strides[axis]))


def install(members: dict[str, Any]) -> None:
    """Adds methods to `TracedArray`: operators, protocols and NumPy's methods have files of their
    own, which build on the functions below.
    """
    for name, member in members.items():
        setattr(TracedArray, name, member)


_new = TracedArray.__new__


def wrap(value: Value, kind: int = RESULT) -> TracedArray:
    """A handle of its own for a Value."""
    handle = _new(TracedArray)
    handle._value = value
    handle._view = None
    handle._version = 0
    handle._kind = kind
    handle._born = thread_state.level
    return handle


def wrap_results(values: Any) -> Any:
    """Handles for a Value or a tuple of Values."""
    return tuple(map(wrap, values)) if isinstance(values, tuple) else wrap(values)


def view_of(
    base: TracedArray,
    get: Callable[[Value], Value],
    put: Callable[[Value, Value], Value] | None,
    layout: Callable[[Any], Any],
    exact: bool = True,
) -> TracedArray:
    """A handle that is a view of ``base``."""
    handle = wrap(get(base.value), ARRAY0D)
    handle._view = View(base, get, put, layout, exact)
    handle._version = handle._view.root._version
    return handle


def value_of(x: Any) -> Value:
    """The Value of anything an array function takes: handle, array, number, nested sequence."""
    kind = type(x)
    if kind is TracedArray:
        return x.value
    if kind in PYTHON_DTYPES:
        return x
    if isinstance(x, np.ndarray):
        return foreign.enter(x)
    if isinstance(x, np.generic):
        if x.dtype.kind not in "fciub":
            foreign.raise_dtype(x.dtype)
        return x
    if isinstance(x, (list, tuple)):
        return sequence_value(x)
    if kind is Dim:
        return size_value(x)
    if kind in LIKE_ARRAYS:
        return LIKE_ARRAYS[kind](x)
    if isinstance(x, Tracer):
        raise TypeError("a Tracer reached user code; this is a bug in xnp")
    try:
        array = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{type(x).__name__} cannot be combined with traced arrays") from error
    if array.dtype.kind not in "fciub":
        raise TypeError(
            f"{type(x).__name__} {x!r:.60} cannot be combined with a traced array{user_line()}; "
            "wanted a number, an array or a nested sequence of them."
        )
    return foreign.enter(array)  # it may be the object's own memory


def array_value(x: Any) -> Value:
    """The Value of ``np.asarray(x)``: the dtype of a Python number is not weak in an array."""
    value = value_of(x)
    return convert(value, dtype_of(value))


def _item_value(x: Any, dtype: np.dtype[Any] | None) -> Value:
    if isinstance(x, (list, tuple)):
        return sequence_value(x, dtype)
    return value_of(x) if dtype is None else convert(value_of(x), dtype)


def handle_of(x: Any) -> Any:  # a TracedArray, whose operators type checkers do not see
    """A handle for anything an array function takes; a handle itself."""
    return x if type(x) is TracedArray else wrap(value_of(x), ARRAY0D)


def has_handle(x: Any) -> bool:
    """Whether a nested list or tuple holds a traced array."""
    if isinstance(x, (list, tuple)):
        return any(has_handle(item) for item in x)
    return type(x) is TracedArray


def sequence_value(x: Sequence[Any], dtype: np.dtype[Any] | None = None) -> Value:
    """``np.array(x, dtype)`` for a nested sequence that may hold handles."""
    if not has_handle(x):
        array = np.array(x, dtype)
        if array.dtype.kind not in "fciub":
            foreign.raise_dtype(array.dtype)
        return array
    values = [_item_value(item, dtype) for item in x]
    shape = shape_of(values[0])
    for i, value in enumerate(values):
        if shape_of(value) != shape:
            raise ValueError(
                f"a nested sequence is ragged: item 0 has shape {shape}, item {i} has shape "
                f"{shape_of(value)}{user_line()}. All items of one level must have one shape."
            )
    return compact(stack_values(values))


def unwrap_known(x: Any, what: str) -> Any:
    """The concrete value of a handle, for a parameter that must be known (an axis, a size), which
    errors call ``what``.
    """
    if type(x) is not TracedArray:
        return x
    try:
        return deciding_value(x.value, what)
    except BatchingError as error:
        raise BatchingError(f"{what}: {error}") from None


def as_size(x: Any, what: str) -> Any:
    """A size given as a parameter: an int or a `Dim`."""
    return x if is_size(x) else operator.index(unwrap_known(x, what))


def is_traced(x: Any) -> bool:
    """Whether x is a handle whose value depends on a transformation's argument."""
    return type(x) is TracedArray and isinstance(x.value, Tracer)


_LOST = {
    "vmap": "have one number for all examples",
    "jit": "return the numbers of its first call for ever",
}
_NEEDS_NONE = "For a number that needs no derivative write xnp.stop_gradient(x)."
_STATIC = "What Python has to know are static arguments: xnp.jit(f, static_argnames=...)."


def constant_of(x: TracedArray, what: str, instead: str = "") -> Any:
    """The value of a handle that no transformation traces; ``what`` would lose a derivative."""
    value = x.value
    if isinstance(value, Tracer):
        value.trace.check_alive()
        if value.of_sizes:
            return concrete_value(value)
        name = value.trace.name
        lost = _LOST.get(name, "lose its derivative")
        raise ConcretizationError(
            f"{what} of a traced array ({describe(x)}){user_line()}: the result would be a "
            f"constant and {name} would {lost} without a word. {instead}"
            f"{_STATIC if name == 'jit' else _NEEDS_NONE}"
        )
    return value


def describe(x: Any) -> str:
    """``f64[3,4]`` for a Value or handle."""
    if type(x) is TracedArray:
        x = x.value
    return describe_type(shape_of(x), dtype_of(x))


def assign(handle: TracedArray, value: Value, name: str = "out") -> None:
    """``handle[...] = value`` with NumPy's rules for shapes; dtypes are cast as by assignment."""
    shape = shape_of(handle.value)
    value = convert(value, dtype_of(handle.value))
    if shape_of(value) != shape:
        value = fit_shape(value, shape)
    handle.write(value)


def fit_shape(value: Value, shape: tuple[Any, ...]) -> Value:
    """``value`` broadcast to ``shape`` for assignment; leading axes of length 1 may be dropped."""
    return broadcast_to_p(drop_lead(value, shape), shape=shape)


def drop_lead(value: Value, shape: tuple[Any, ...]) -> Value:
    """``value`` without leading axes of length 1 that ``shape`` has not; ValueError, as NumPy's,
    where it does not broadcast to it.
    """
    from_shape = shape_of(value)
    extra = len(from_shape) - len(shape)
    inner = from_shape
    if extra > 0 and all(dim == 1 for dim in from_shape[:extra]):
        inner = from_shape[extra:]
    if not shapes.can_broadcast(inner, shape):
        raise ValueError(
            f"could not broadcast input array from shape {from_shape} into shape {shape}"
            f"{user_line()}"
        )
    return value if inner is from_shape else reshape_p(value, shape=inner)
