"""Making arrays. Inside a transformation they are handles, so that traced values can be written
into them; outside, they are exactly NumPy's.

These functions are ours because NumPy's have no array argument to dispatch on. Arrays that exist
already stay what they are: `asarray` of an ndarray is that ndarray.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autodiff import dims, views
from ..autodiff.core import Value, deciding_value, dtype_of, is_weak, ndim_of, shape_of
from ..autodiff.dispatch import FUNCTIONS, implements
from ..autodiff.errors import UnsupportedError, user_line
from ..autodiff.handles import (
    ARRAY0D,
    TracedArray,
    has_handle,
    laid_out_as,
    sequence_value,
    value_of,
    wrap,
)
from ..autodiff.primitives.manipulation import stack_values
from ..autodiff.primitives.matrices import eye as eye_values
from ..autodiff.primitives.matrices import tri as tri_values
from ..autodiff.rules import broadcast_to_p, cast, convert, filled, reshape_p
from ..autodiff.size_structures import symbols_of
from ..autodiff.sizes import iota
from ..autodiff.symbolic_layouts import SymbolicLayout
from .namespace import replaces_inside


def owned(name: str, result: Any) -> Any:
    """A new array of NumPy's as a handle.

    Arrays of text or times, which no traced value fits in, stay NumPy's.
    """
    if not isinstance(result, np.ndarray) or result.dtype.kind not in "fciubO":
        return result
    if result.dtype.kind == "O":
        raise UnsupportedError(
            f"xnp.{name} of dtype object inside a transformation{user_line()}: derivatives need "
            "numbers. Keep other objects, and arrays of different shapes, in a list or dict."
        )
    return wrap(result, ARRAY0D)


def _check_dtype(name: str, dtype: Any) -> np.dtype[Any] | None:
    if dtype is None:
        return None
    dtype = np.dtype(dtype)
    if dtype.kind not in "fciub":
        raise UnsupportedError(
            f"xnp.{name}: dtype {dtype} for traced values{user_line()}; wanted a dtype of real or "
            "complex numbers, integers or bool. Keep other objects in a list or dict."
        )
    return dtype


def _makes_new(name: str, of_sizes: Callable[..., Any]) -> Callable[..., Any]:
    """``numpy.<name>``, whose result is always a new array; ``of_sizes`` makes it where a size is
    symbolic.
    """
    function = getattr(np, name)

    def made(*args: Any, **kwargs: Any) -> Any:
        if dims.in_use and symbols_of((args, kwargs)):
            return of_sizes(*args, **kwargs)
        return owned(name, function(*args, **kwargs))

    FUNCTIONS[function] = made
    return replaces_inside(name)(made)


def in_order(value: Value, order: Any) -> TracedArray:
    """A new array, which lies in C order, laid out as ``order`` says."""
    handle = wrap(value, ARRAY0D)
    return handle if order in ("C", "K", "A", None) else views.copy(handle, order)


def _zeros(shape: Any, dtype: Any = None, order: Any = "C", **_: Any) -> TracedArray:
    return in_order(filled(views.as_shape(shape), 0, np.dtype(dtype)), order)


def _ones(shape: Any, dtype: Any = None, order: Any = "C", **_: Any) -> TracedArray:
    return in_order(filled(views.as_shape(shape), 1, np.dtype(dtype)), order)


def _eye(
    N: Any, M: Any = None, k: Any = 0, dtype: Any = float, order: Any = "C", **_: Any
) -> TracedArray:
    columns = N if M is None else M
    return in_order(eye_values(N, columns, operator.index(k), np.dtype(dtype)), order)


def _identity(n: Any, dtype: Any = None, **_: Any) -> TracedArray:
    return _eye(n, dtype=dtype)


def _tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, **_: Any) -> TracedArray:
    columns = N if M is None else M
    return in_order(tri_values(N, columns, operator.index(k), np.dtype(dtype)), "C")


zeros = _makes_new("zeros", _zeros)
ones = _makes_new("ones", _ones)
empty = _makes_new("empty", _zeros)
eye = _makes_new("eye", _eye)
identity = _makes_new("identity", _identity)
tri = _makes_new("tri", _tri)


def _indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """`numpy.indices` where a size is symbolic."""
    shape = views.as_shape(dimensions)
    grid = []
    for i, dim in enumerate(shape):
        along = (1,) * i + (dim,) + (1,) * (len(shape) - i - 1)
        grid.append(reshape_p(iota(dim, np.dtype(dtype)), shape=along))
    if sparse:
        return tuple(wrap(x, ARRAY0D) for x in grid)
    return wrap(stack_values([broadcast_to_p(x, shape=shape) for x in grid]), ARRAY0D)


@replaces_inside("indices")
def indices(*args: Any, **kwargs: Any) -> Any:
    if dims.in_use and symbols_of((args, kwargs)):
        return _indices(*args, **kwargs)
    result = np.indices(*args, **kwargs)
    if isinstance(result, tuple):  # sparse=True
        return tuple(owned("indices", part) for part in result)
    return owned("indices", result)


# Copies and conversions


def _converted(name: str, x: Any, dtype: Any, order: Any, copy: bool | None) -> TracedArray:
    """A handle or a sequence with handles as an array: ``np.array`` and ``np.asarray``."""
    wanted = _check_dtype(name, dtype)
    if isinstance(x, (list, tuple)):
        handle = wrap(sequence_value(x, wanted), ARRAY0D)
    else:
        handle = x if type(x) is TracedArray else wrap(value_of(x), ARRAY0D)
    fresh = handle is not x
    if fresh and copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    if wanted is not None and wanted != dtype_of(handle.value):
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested.")
        handle = wrap(convert(handle.value, wanted), ARRAY0D)
        fresh = True
    if handle.is_scalar():
        return wrap(reshape_p(handle.value, shape=()), ARRAY0D)
    letter = "K" if order is None else str(order).upper()
    if (copy and not fresh) or not _in_order(handle, letter):
        return views.copy(handle, letter)
    return handle


def _in_order(handle: TracedArray, letter: str) -> bool:
    if letter in "KA":
        return True
    flags = handle.layout().flags
    return flags.c_contiguous if letter == "C" else flags.f_contiguous


def _with_ndmin(handle: TracedArray, ndmin: int) -> TracedArray:
    missing = ndmin - ndim_of(handle.value)
    return views.expand_dims(handle, tuple(range(missing))) if missing > 0 else handle


@replaces_inside("array")
def array(x: Any, dtype: Any = None, **kwargs: Any) -> Any:
    if type(x) is TracedArray or has_handle(x):
        return _array_of_handles(x, dtype, **kwargs)
    return _kept("array", x, np.array(x, dtype, **kwargs))


def _array_of_handles(
    x: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
) -> TracedArray:
    return _with_ndmin(_converted("array", x, dtype, order, copy), ndmin)


FUNCTIONS[np.array] = _array_of_handles


def _as_array(function: Any) -> Callable[..., Any]:
    """``asarray`` and ``asanyarray``: an array stays the array it is."""
    name = function.__name__

    def of_handles(
        a: Any,
        dtype: Any = None,
        order: Any = None,
        *,
        device: Any = None,
        copy: bool | None = None,
        like: Any = None,
    ) -> TracedArray:
        return _converted(name, a, dtype, order, copy)

    def as_array(a: Any, *args: Any, **kwargs: Any) -> Any:
        if type(a) is TracedArray or has_handle(a):
            return of_handles(a, *args, **kwargs)
        return _kept(name, a, function(a, *args, **kwargs))

    FUNCTIONS[function] = of_handles
    return replaces_inside(name)(as_array)


def _kept(name: str, given: Any, result: Any) -> Any:
    """A new array becomes a handle; one that is, or shows, the given one stays NumPy's."""
    if isinstance(given, np.ndarray) and np.may_share_memory(given, result):
        return result
    if hasattr(given, "__array__") and not isinstance(given, (np.ndarray, np.generic)):
        result = result.copy()  # which may be the memory of the object
    return owned(name, result)


asarray = _as_array(np.asarray)
asanyarray = _as_array(np.asanyarray)


def _in_memory_order(function: Any, order: str) -> Callable[..., Any]:
    """``ascontiguousarray`` and ``asfortranarray``."""
    name = function.__name__

    def of_handles(a: Any, dtype: Any = None, *, like: Any = None) -> TracedArray:
        handle = _converted(name, a, dtype, order, None)
        return _with_ndmin(handle, 1)

    def as_array(a: Any, *args: Any, **kwargs: Any) -> Any:
        if type(a) is TracedArray or has_handle(a):
            return of_handles(a, *args, **kwargs)
        return _kept(name, a, function(a, *args, **kwargs))

    FUNCTIONS[function] = of_handles
    return replaces_inside(name)(as_array)


ascontiguousarray = _in_memory_order(np.ascontiguousarray, "C")
asfortranarray = _in_memory_order(np.asfortranarray, "F")


@replaces_inside("asarray_chkfinite")
def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    result = asarray(a, dtype, order)
    known = deciding_value(value_of(result), "np.asarray_chkfinite")
    if dtype_of(known).kind in "fc" and not np.isfinite(known).all():
        raise ValueError("array must not contain infs or NaNs")
    return result


@replaces_inside("require")
def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    if type(a) is not TracedArray and not has_handle(a):
        return np.require(a, dtype, requirements, like=like)
    letters = {str(r).upper()[:1] for r in requirements or ()}
    if {"C", "F"} <= letters:
        raise ValueError('Cannot specify both "C" and "F" order')
    order = "C" if "C" in letters else "F" if "F" in letters else "A"
    result = asanyarray(a, dtype, order)
    flags = result.flags
    is_own = not letters & {"O"} or flags.owndata
    return result if is_own and (not letters & {"W"} or flags.writeable) else result.copy(order)


@replaces_inside("copy")
@implements(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    return array(a, order=order, subok=subok, copy=True)


@implements(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype, copy=copy)


# Filled arrays


@replaces_inside("full")
@implements(np.full)
def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    is_symbolic = dims.in_use and symbols_of((shape, fill_value))
    if type(fill_value) is not TracedArray and not has_handle(fill_value) and not is_symbolic:
        return owned("full", np.full(shape, fill_value, dtype, order, device=device))
    return _filled("full", views.as_shape(shape), fill_value, dtype, order)


def _filled(name: str, shape: Any, fill_value: Any, dtype: Any, order: Any) -> TracedArray:
    value = value_of(fill_value)
    wanted = _check_dtype(name, dtype)
    if wanted is not None:
        value = _filling(value, wanted)
    spread = broadcast_to_p(value, shape=shape)
    if dims.is_symbolic(shape):
        return in_order(spread, order)
    return views.copy(wrap(spread, ARRAY0D), order)


def _filling(value: Value, dtype: np.dtype[Any]) -> Value:
    """A number as `np.full` converts it: of Python's, only integers have to fit."""
    return (convert if dtype_of(value).kind == "i" else cast)(value, dtype)


def _like(name: str, number: int) -> Callable[..., Any]:
    """``zeros_like`` and its relatives."""
    function = getattr(np, name)

    def of_handle(
        a: TracedArray,
        dtype: Any = None,
        order: Any = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Any:
        dtype = dtype_of(a.value) if dtype is None else dtype
        if shape is not None:
            shape = views.as_shape(shape)
        new = shape_of(a.value) if shape is None else shape
        if type(a.layout()) is SymbolicLayout or dims.is_symbolic(new):
            made = filled(new, number, np.dtype(dtype))
            if order in ("K", "A", None) and len(new) == ndim_of(a.value):
                return wrap(laid_out_as(made, a.layout()), ARRAY0D)
            return in_order(made, order)
        return owned(name, function(a.layout(), dtype, order, subok, shape))

    implements(function)(of_handle)
    return replaces_inside(name)(lambda *args, **kwargs: owned(name, function(*args, **kwargs)))


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", 0)


@replaces_inside("full_like")
@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    out: Any = np.empty_like(a, dtype, order, subok, shape)
    made: Any = out if type(out) is TracedArray else owned("full_like", out)
    value = value_of(fill_value)
    made[...] = wrap(_filling(value, dtype_of(made.value))) if is_weak(value) else fill_value
    return made


# From other things


@replaces_inside("fromfunction")
def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any
) -> Any:
    return function(*indices(shape, dtype=dtype), **kwargs)


@replaces_inside("fromiter")
def fromiter(iter: Iterable[Any], dtype: Any, count: int = -1, *, like: Any = None) -> Any:
    items = list(iter)
    if not has_handle(items):
        return owned("fromiter", np.fromiter(items, dtype, count))
    if count > len(items):
        raise ValueError(f"iterator too short: Expected {count} but iterator had only {len(items)}")
    return array(items[:count] if count >= 0 else items, dtype)
