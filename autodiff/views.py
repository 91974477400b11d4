"""The views that NumPy's functions and methods make, as handles.

Each function takes a handle and gives a handle: a view exactly where NumPy's result is one, else an
array of its own. Writing goes through a view to its base; reading follows the base. Scalars, which
NumPy makes no views of, give results of their own.
"""

from __future__ import annotations

import gc
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import shapes
from .core import PYTHON_DTYPES, Value, dtype_of, ndim_of, shape_of
from .dims import is_size, is_symbolic
from .handles import (
    ARRAY0D,
    WEAK,
    TracedArray,
    View,
    compact,
    unwrap_known,
    value_of,
    view_of,
    wrap,
)
from .layouts import iteration_order, memory_order
from .primitives.indexing import getitem_p, setitem_p
from .primitives.manipulation import transpose_p
from .primitives.parts import copy_p, diagonal_p, join_parts_p
from .rules import broadcast_to_p, convert, imag_p, real_p, reshape_p, weaken_p
from .symbolic_layouts import dense_strides, strided

Shape = tuple[Any, ...]


def array_of(x: Any) -> TracedArray:
    """A handle for anything: NumPy's ``asanyarray``, with traced scalars left as they are."""
    if type(x) is TracedArray:
        return x
    return wrap(np.asarray(x) if type(x) in PYTHON_DTYPES else value_of(x), ARRAY0D)


def boxed(handle: TracedArray) -> TracedArray:
    """A scalar as a 0-d array, which loses the weak dtype of Python numbers."""
    return wrap(reshape_p(handle.value, shape=()), ARRAY0D) if handle.is_scalar() else handle


def _array_if_python(handle: TracedArray) -> TracedArray:
    """NumPy's functions see Python numbers as 0-d arrays, but its own scalars as they are."""
    return boxed(handle) if handle._kind == WEAK else handle


def as_shape(shape: Any) -> Shape:
    """A shape argument (an int or a sequence of ints, handles among them) as a tuple."""
    shape = unwrap_known(shape, "a shape")
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    items = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple([item if is_size(item) else operator.index(item) for item in items])


def resolved_shape(old: Shape, new: Shape) -> Shape:
    """``new`` with its -1 replaced by the size that fits ``old``; ValueError in NumPy's words."""
    size = shapes.prod(old)
    if new.count(-1) > 1:
        raise ValueError("can only specify one unknown dimension")
    if any(dim < -1 for dim in new):
        raise ValueError("negative dimensions not allowed")
    known = shapes.prod(dim for dim in new if dim != -1)
    if -1 in new and known and size % known == 0:
        return tuple(size // known if dim == -1 else dim for dim in new)
    if -1 in new or known != size:
        text = str(new).replace(" ", "")
        raise ValueError(f"cannot reshape array of size {size} into shape {text}")
    return new


def reshape_value(x: Value, shape: Shape, order: str = "C") -> Value:
    """``np.reshape`` on Values, ``order`` C or F. Order F is order C of the transposed arrays."""
    if order == "C":
        return reshape_p(x, shape=shape)
    return _reversed(reshape_p(_reversed(x), shape=shape[::-1]))


def _reversed(x: Value) -> Value:
    ndim = ndim_of(x)
    return x if ndim < 2 else transpose_p(x, axes=tuple(range(ndim))[::-1])


def _check_order(order: Any, allowed: str) -> Any:
    letter = "C" if order is None else str(order).upper()
    if letter not in tuple(allowed):
        names = ", ".join(repr(x) for x in allowed)
        raise ValueError(f"order must be one of {names} (got {order!r})")
    return letter


def _reshapes_in_place(layout: Any, shape: Shape, order: Any) -> bool:
    """Whether an array of this layout can be reshaped without copying."""
    if layout.flags.c_contiguous and order == "C":
        return True
    try:
        np.reshape(layout, shape, order=order, copy=False)
    except ValueError:
        return False
    return True


def reshape(
    handle: TracedArray, shape: Any, order: Any = "C", copy: bool | None = None
) -> TracedArray:
    """A view of the same elements in another shape, or a copy where NumPy has to copy."""
    letter = _check_order(order, "CFA")
    handle = _array_if_python(handle)
    value = handle.value
    old = shape_of(value)
    new = resolved_shape(old, as_shape(shape))
    if handle.is_scalar():
        return wrap(reshape_p(value, shape=new), ARRAY0D if new else handle._kind)
    layout = handle.layout()
    if letter == "A":
        letter = "F" if layout.flags.fnc else "C"
    in_place = not copy and _reshapes_in_place(layout, new, letter)
    if in_place:
        return view_of(
            handle,
            lambda base: reshape_value(base, new, letter),
            lambda base, part: reshape_value(part, old, letter),
            lambda layout: np.reshape(layout, new, order=letter),
        )
    if copy is False:
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    result = reshape_value(value, new, letter)
    if letter == "F":
        return wrap(_reversed(compact(_reversed(result))), ARRAY0D)
    return wrap(compact(result), ARRAY0D)


def in_order_of(like: TracedArray, x: Value) -> TracedArray:
    """``x`` in Fortran order where ``like`` is, else in C order."""
    if like.layout().flags.fnc:
        return copy(wrap(x, ARRAY0D), "F")
    return wrap(compact(x), ARRAY0D)


def ravel(handle: TracedArray, order: Any = "C") -> TracedArray:
    """The elements in one axis: a view if they lie in that order in one block, else a copy."""
    letter = _check_order(order, "CFAK")
    if letter == "K":
        layout = handle.layout()
        axes = memory_order(layout)
        if not layout.transpose(axes).flags.c_contiguous:  # a copy, in the order of an iteration
            axes = iteration_order([layout], layout.ndim)
        handle = transpose(handle, axes)
        letter = "C"
    layout = handle.layout()
    if letter == "A":
        letter = "F" if layout.flags.fnc else "C"
    contiguous = layout.flags.c_contiguous if letter == "C" else layout.flags.f_contiguous
    return reshape(handle, -1, letter, copy=None if contiguous else True)


def copy(handle: TracedArray, order: Any = "C") -> TracedArray:
    """An array of its own, laid out in C or Fortran order or (K) as the original is."""
    letter = _check_order(order, "CFAK")
    value = handle.value
    ndim = ndim_of(value)
    axes = tuple(range(ndim))
    if letter == "K":
        axes = memory_order(handle.layout())
    elif letter == "F" or (letter == "A" and handle.layout().flags.fnc):
        axes = axes[::-1]
    if axes == tuple(range(ndim)):
        return wrap(copy_p(value), ARRAY0D)
    inverse = shapes.inverse_permutation(axes)
    return wrap(transpose_p(copy_p(transpose_p(value, axes=axes)), axes=inverse), ARRAY0D)


def transpose(handle: TracedArray, axes: Sequence[Any] | None = None) -> TracedArray:
    """A view with the axes permuted (None: reversed)."""
    handle = _array_if_python(handle)
    ndim = ndim_of(handle.value)
    order = range(ndim)[::-1] if axes is None else [unwrap_known(a, "an axis") for a in axes]
    if len(order) != ndim:
        raise ValueError("axes don't match array")
    permutation = tuple(shapes.axis_index(axis, ndim) for axis in order)
    if len(set(permutation)) != ndim:
        raise ValueError("repeated axis in transpose")
    return handle if handle.is_scalar() else permuted(handle, permutation)


def permuted(handle: TracedArray, permutation: tuple[int, ...]) -> TracedArray:
    """`transpose` for axes that are known to be right."""
    inverse = shapes.inverse_permutation(permutation)
    return view_of(
        handle,
        lambda base: transpose_p(base, axes=permutation),
        lambda base, part: transpose_p(part, axes=inverse),
        lambda layout: layout.transpose(permutation),
    )


def swapaxes(handle: TracedArray, axis1: Any, axis2: Any) -> TracedArray:
    ndim = ndim_of(handle.value)
    first = shapes.axis_index(unwrap_known(axis1, "axis1"), ndim, "axis1")
    second = shapes.axis_index(unwrap_known(axis2, "axis2"), ndim, "axis2")
    axes = list(range(ndim))
    axes[first], axes[second] = axes[second], axes[first]
    return transpose(handle, axes)


def moveaxis(handle: TracedArray, source: Any, destination: Any) -> TracedArray:
    """A view with some axes moved, the others in their order."""
    ndim = ndim_of(handle.value)
    sources = _axes_in_order(source, ndim, "source")
    destinations = _axes_in_order(destination, ndim, "destination")
    if len(sources) != len(destinations):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    order = [axis for axis in range(ndim) if axis not in sources]
    for to, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, axis)
    return transpose(handle, order)


def _axes_in_order(axis: Any, ndim: int, name: str) -> tuple[int, ...]:
    axis = unwrap_known(axis, name)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(shapes.axis_index(unwrap_known(a, name), ndim, name) for a in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"repeated axis in `{name}` argument")
    return axes


def squeeze(handle: TracedArray, axis: Any = None) -> TracedArray:
    """A view without the axes of length 1 (all, or those given)."""
    handle = _array_if_python(handle)
    shape = shape_of(handle.value)
    if axis is None:
        axes = tuple(i for i, dim in enumerate(shape) if dim == 1)
        if not axes:
            return handle  # itself, as NumPy has it
    elif not shape and axis in (0, -1):
        axes = ()  # NumPy lets a 0-d array pass for one of length 1
    else:
        axes = _axes_in_order(axis, len(shape), "axis")
        if any(shape[i] != 1 for i in axes):
            raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    if handle.is_scalar():
        return handle
    return index_view(handle, tuple(0 if i in axes else slice(None) for i in range(len(shape))))


def expand_dims(handle: TracedArray, axis: Any) -> TracedArray:
    """A view with new axes of length 1 at the given places of the result."""
    axis = unwrap_known(axis, "axis")
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    ndim = ndim_of(handle.value) + count
    axes = _axes_in_order(axis, ndim, "axis")
    return index_view(handle, tuple(None if i in axes else slice(None) for i in range(ndim)))


def index_view(handle: TracedArray, index: tuple[Any, ...]) -> TracedArray:
    """The view ``handle[index]`` for ints, slices and None, one for every axis; never a scalar."""
    if handle.is_scalar():
        return wrap(reshape_p(handle.value, shape=(1,) * len(index)), ARRAY0D)
    return view_of(
        handle,
        lambda base: getitem_p(base, index=index),
        lambda base, part: setitem_p(base, part, index=index),
        lambda layout: layout[(*index, ...)],  # the Ellipsis: an array, not a scalar
    )


def flip(handle: TracedArray, axes: Sequence[int]) -> TracedArray:
    """A view with the order along ``axes`` (non-negative) reversed."""
    backward = slice(None, None, -1)
    ndim = ndim_of(handle.value)
    if not ndim:
        return wrap(boxed(handle).value)  # NumPy's a[()], a scalar
    return index_view(handle, tuple(backward if i in axes else slice(None) for i in range(ndim)))


def broadcast_to(handle: TracedArray, shape: Any) -> TracedArray:
    """A read-only view with some axes stretched."""
    new = as_shape(shape)
    old = shape_of(handle.value)
    if not shapes.can_broadcast(old, new):
        raise ValueError(
            "operands could not be broadcast together with remapped shapes [original->remapped]: "
            f"{str(old).replace(' ', '')} and requested shape {str(new).replace(' ', '')}"
        )
    return view_of(
        handle,
        lambda base: broadcast_to_p(base, shape=new),
        None,
        lambda layout: np.broadcast_to(layout, new),
    )


def diagonal(handle: TracedArray, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> TracedArray:
    """A read-only view of a diagonal, which becomes the last axis."""
    ndim = ndim_of(handle.value)
    if ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    offset = operator.index(unwrap_known(offset, "offset"))
    axis1 = shapes.axis_index(unwrap_known(axis1, "axis1"), ndim, "axis1")
    axis2 = shapes.axis_index(unwrap_known(axis2, "axis2"), ndim, "axis2")
    if axis1 == axis2:
        raise ValueError("axis1 and axis2 cannot be the same")
    return view_of(
        handle,
        lambda base: diagonal_p(base, offset=offset, axis1=axis1, axis2=axis2),
        None,
        lambda layout: np.diagonal(layout, offset, axis1, axis2),
    )


def _counted(handle: TracedArray) -> TracedArray:
    """Of a Python bool the int, which its parts are."""
    if handle._kind != WEAK or dtype_of(handle.value).kind != "b":
        return handle
    return wrap(weaken_p(convert(handle.value, np.dtype(int))), WEAK)


def real(handle: TracedArray) -> TracedArray:
    """The real parts: a view of a complex array; a real array is its own."""
    handle = _counted(handle)
    value = handle.value
    if dtype_of(value).kind != "c":
        return handle
    if handle.is_scalar():
        return wrap(real_p(value), handle._kind)
    return view_of(
        handle,
        real_p,
        lambda base, part: join_parts_p(part, imag_p(base)),
        lambda layout: layout.real,
    )


def imag(handle: TracedArray) -> TracedArray:
    """The imaginary parts: a view of a complex array; zeros, read-only, of a real one."""
    handle = _counted(handle)
    value = handle.value
    if handle._kind == WEAK:
        return wrap(weaken_p(imag_p(value)), WEAK)
    if handle.is_scalar():
        return wrap(imag_p(value), handle._kind)
    if dtype_of(value).kind != "c":
        return view_of(handle, imag_p, None, _compact_like, exact=False)
    return view_of(
        handle,
        imag_p,
        lambda base, part: join_parts_p(real_p(base), part),
        lambda layout: layout.imag,
    )


def _compact_like(layout: Any) -> Any:
    order = "F" if layout.flags.fnc else "C"
    if is_symbolic(layout.shape):
        return strided(layout.shape, dense_strides(layout.shape, layout.dtype, order), layout.dtype)
    return np.empty(layout.shape, layout.dtype, order)


def whole(handle: TracedArray) -> TracedArray:
    """A view of everything: ``a.view()``, ``a[...]``."""
    if handle.is_scalar():
        return handle
    return view_of(handle, lambda base: base, lambda base, part: part, lambda layout: layout)


def set_shape(handle: TracedArray, shape: Any) -> None:
    """``a.shape = shape``: the array itself gets another shape, views made of it keep theirs."""
    if handle.is_scalar():
        raise AttributeError("the shape of a scalar is not writable")
    old = shape_of(handle.value)
    new = resolved_shape(old, as_shape(shape))
    layout = handle.layout()
    if not _reshapes_in_place(layout, new, "C"):
        raise AttributeError(
            "Incompatible shape for in-place modification. Use `.reshape()` to make a copy with "
            "the desired shape."
        )
    for view in gc.get_referrers(handle):
        if type(view) is View and view.base is handle:
            _read_reshaped(view, old, new)
    view = handle._view
    if view is None:
        handle._strides = np.reshape(layout, new).strides
    else:
        _show_reshaped(view, old, new)
    handle._value = reshape_p(handle.value, shape=new)
    handle._kind = ARRAY0D


def _read_reshaped(view: View, old: Shape, new: Shape) -> None:
    """Adapts a view to its base's new shape."""
    get, put, layout = view.get, view.put, view.layout
    view.get = lambda base: get(reshape_p(base, shape=old))
    if put is not None:
        view.put = lambda base, part: reshape_p(put(reshape_p(base, shape=old), part), shape=new)
    view.layout = lambda base: layout(np.reshape(base, old))


def _show_reshaped(view: View, old: Shape, new: Shape) -> None:
    """Adapts a view to its own new shape."""
    get, put, layout = view.get, view.put, view.layout
    view.get = lambda base: reshape_p(get(base), shape=new)
    if put is not None:
        view.put = lambda base, part: put(base, reshape_p(part, shape=old))
    view.layout = lambda base: np.reshape(layout(base), new)
