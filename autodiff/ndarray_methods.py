"""The methods and attributes of ``numpy.ndarray`` on `TracedArray`.

Most are NumPy's function of the same name; views are made by `views`; what would need the memory
itself raises and says what to write.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from . import dispatch, foreign, shapes, views
from .core import Tracer, dtype_of, is_weak, ndim_of, shape_of
from .errors import UnsupportedError, user_line, warn_user
from .flat import Flags, FlatIterator, assign_flat, set_writeable
from .handles import ARRAY0D, RESULT, WEAK, TracedArray, assign, describe, value_of, wrap
from .primitives.elementwise import conjugate_p
from .python_numbers import python_int
from .rules import convert, weaken_p

_OUTSIDE = "return the array from the function (grad(f, has_aux=True) passes extra results out)"


def _no_memory(name: str, instead: str) -> UnsupportedError:
    return UnsupportedError(
        f"ndarray.{name} does not work on traced arrays{user_line()}: they have no memory of their "
        f"own that could be shown or written; {instead}."
    )


def _instead_of_view(kind: str, wanted: np.dtype[Any]) -> str:
    """What to write for an array of that kind seen as one of another dtype."""
    if kind == "c" and wanted.kind == "f":
        return "write np.stack((a.real, a.imag), -1)"
    if kind == "f" and wanted.kind == "c":
        return "write a[..., ::2] + 1j * a[..., 1::2]"
    if "f" in (kind, wanted.kind):
        return (
            "write a.astype(dtype) for the numbers, np.signbit(a) and np.frexp(a) for their sign, "
            "mantissa and exponent, np.copysign and np.ldexp to put these together"
        )
    return "write a.astype(dtype) for the numbers, a >> 8 * k & 0xFF for their bytes"


def astype(
    self: TracedArray,
    dtype: Any,
    order: Any = "K",
    casting: Any = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> TracedArray:
    """A copy cast to another dtype; derivatives pass between real and complex dtypes."""
    wanted, value = np.dtype(dtype), self.value
    if wanted.kind not in "fciub":
        foreign.raise_dtype(wanted)
    have = dtype_of(value)
    if not np.can_cast(have, wanted, casting):
        raise TypeError(
            f"Cannot cast array data from {have!r} to {wanted!r} according to the rule '{casting}'"
        )
    if have == wanted and not copy:
        return self
    if have.kind == "c" and wanted.kind in "fiu":
        text = "Casting complex values to real discards the imaginary part"
        warn_user(text, np.exceptions.ComplexWarning)
    source = self if self.is_scalar() else views.copy(self, order)
    return wrap(convert(source.value, wanted), RESULT if self.is_scalar() else ARRAY0D)


def item(self: TracedArray, *place: Any) -> Any:
    """One element as a Python number: a traced one stays traced, with Python's weak dtype."""
    element: Any = self
    if place:
        index = place[0] if len(place) == 1 else place
        if isinstance(index, tuple) and len(index) != ndim_of(self.value):
            raise ValueError("incorrect number of indices for array")
        element = element[index] if isinstance(index, tuple) else FlatIterator(self)[index]
    value = element.value
    if shapes.prod(shape_of(value)) != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    if ndim_of(value):
        value = views.reshape(element, ()).value
    if not isinstance(value, Tracer):
        return np.asarray(value).item()
    number = weaken_p(value)
    return wrap(number, WEAK if is_weak(number) else RESULT)


def tolist(self: Any) -> Any:
    """Nested lists of Python numbers; traced ones stay traced."""
    if not ndim_of(self.value):
        return item(self)
    return [tolist(part) for part in self]


def _shape_arguments(arguments: tuple[Any, ...]) -> Any:
    """``reshape(2, 3)`` and ``reshape((2, 3))`` are the same."""
    return arguments[0] if len(arguments) == 1 else arguments


class Methods:
    """What is installed on `TracedArray`; ``self`` is one."""

    # Attributes

    @property
    def shape(self: Any) -> tuple[Any, ...]:
        return shape_of(self._value)

    @shape.setter
    def shape(self: Any, new: Any) -> None:
        views.set_shape(self, new)

    @property
    def dtype(self: Any) -> np.dtype[Any]:
        return dtype_of(self._value)

    @dtype.setter
    def dtype(self: Any, new: Any) -> None:
        raise _no_memory("dtype = ...", "write a = a.astype(dtype)")

    @property
    def ndim(self: Any) -> int:
        return ndim_of(self._value)

    @property
    def size(self: Any) -> Any:
        return shapes.prod(shape_of(self._value))

    @property
    def itemsize(self: Any) -> int:
        return dtype_of(self._value).itemsize

    @property
    def nbytes(self: Any) -> Any:
        return self.size * self.itemsize

    @property
    def T(self: Any) -> TracedArray:
        return views.transpose(self)

    @property
    def mT(self: Any) -> TracedArray:
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return views.swapaxes(self, -1, -2)

    @property
    def real(self: Any) -> TracedArray:
        return views.real(self)

    @real.setter
    def real(self: Any, new: Any) -> None:
        _assign_part(self, views.real(self), new)

    @property
    def imag(self: Any) -> TracedArray:
        return views.imag(self)

    @imag.setter
    def imag(self: Any, new: Any) -> None:
        if self.dtype.kind != "c" and not self.is_scalar():
            raise TypeError("array does not have imaginary part to set")
        _assign_part(self, views.imag(self), new)

    @property
    def flat(self: Any) -> FlatIterator:
        return FlatIterator(self)

    @flat.setter
    def flat(self: Any, new: Any) -> None:
        assign_flat(self, new)

    @property
    def flags(self: Any) -> Flags:
        return Flags(self)

    @property
    def base(self: Any) -> Any:
        return None if self._view is None else self._view.root

    @property
    def device(self: Any) -> str:
        return "cpu"

    @property
    def strides(self: Any) -> NoReturn:
        instead = "np.lib.stride_tricks.sliding_window_view(a, n) makes windows, a[::2] steps"
        raise _no_memory("strides", instead)

    @property
    def data(self: Any) -> NoReturn:
        raise _no_memory("data", _OUTSIDE)

    @property
    def ctypes(self: Any) -> NoReturn:
        raise _no_memory("ctypes", _OUTSIDE)

    # Shapes

    def reshape(self: Any, *shape: Any, order: Any = "C", copy: Any = None) -> TracedArray:
        return views.reshape(self, _shape_arguments(shape), order, copy)

    def ravel(self: Any, order: Any = "C") -> TracedArray:
        return views.ravel(self, order)

    def flatten(self: Any, order: Any = "C") -> TracedArray:
        flat = views.ravel(self, order)
        return flat if flat._view is None else views.copy(flat)

    def transpose(self: Any, *axes: Any) -> TracedArray:
        given = _shape_arguments(axes)
        if not axes or given is None:
            return views.transpose(self)
        return views.transpose(self, given if isinstance(given, (tuple, list)) else (given,))

    def swapaxes(self: Any, axis1: Any, axis2: Any) -> TracedArray:
        return views.swapaxes(self, axis1, axis2)

    def squeeze(self: Any, axis: Any = None) -> TracedArray:
        return views.squeeze(self, axis)

    def diagonal(self: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> TracedArray:
        return views.diagonal(self, offset, axis1, axis2)

    def view(self: Any, dtype: Any = None, type: Any = None) -> TracedArray:
        if dtype in (np.ndarray, TracedArray):  # the type may come first
            dtype = None
        if dtype is not None and np.dtype(dtype) != self.dtype:
            raise _no_memory("view(dtype)", _instead_of_view(self.dtype.kind, np.dtype(dtype)))
        return views.whole(self)

    def copy(self: Any, order: Any = "C") -> TracedArray:
        return self if self.is_scalar() else views.copy(self, order)

    astype = astype
    item = item
    tolist = tolist

    # In place

    def fill(self: Any, value: Any) -> None:
        new = value_of(value)
        if ndim_of(new):
            raise ValueError(f"fill takes one number, got {describe(new)}; write a[...] = value")
        assign(self, new)

    def sort(
        self: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
    ) -> None:
        assign(self, value_of(np.sort(self, axis, kind, order, stable=stable)))

    def partition(
        self: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
    ) -> None:
        assign(self, value_of(np.partition(self, kth, axis, kind, order)))

    def resize(self: Any, *new_shape: Any, refcheck: bool = True) -> NoReturn:
        raise _no_memory("resize", "write a = np.resize(a, shape), or a = np.pad(a, widths)")

    def setflags(self: Any, write: Any = None, align: Any = None, uic: Any = None) -> None:
        if write is not None:
            set_writeable(self, write)

    def byteswap(self: Any, inplace: bool = False) -> NoReturn:
        raise _no_memory("byteswap", "swap the bytes of the array before it is passed in")

    def getfield(self: Any, dtype: Any, offset: int = 0) -> NoReturn:
        raise _no_memory("getfield", "write a.real or a.imag for the parts of complex numbers")

    def setfield(self: Any, value: Any, dtype: Any, offset: int = 0) -> NoReturn:
        raise _no_memory("setfield", "write a.real = x or a.imag = x")

    # Elsewhere

    def conjugate(self: Any, out: Any = None) -> Any:
        if self._kind == WEAK:
            return wrap(weaken_p(conjugate_p(python_int(self.value))), WEAK)
        if out is None and self.dtype.kind != "c":
            return self
        return np.conjugate(self) if out is None else np.conjugate(self, out=out)

    conj = conjugate

    def choose(self: Any, choices: Any, out: Any = None, mode: Any = "raise") -> Any:
        return np.choose(self, choices, out, mode)

    def compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
        return np.compress(condition, self, axis, out)

    def tobytes(self: Any, order: Any = "C") -> NoReturn:
        raise _no_memory("tobytes", _OUTSIDE)

    def tofile(self: Any, fid: Any, sep: str = "", format: str = "%s") -> NoReturn:
        raise _no_memory("tofile", _OUTSIDE + " and write it then")

    def dump(self: Any, file: Any) -> NoReturn:
        raise _no_memory("dump", _OUTSIDE + " and pickle it then")

    def dumps(self: Any) -> NoReturn:
        raise _no_memory("dumps", _OUTSIDE + " and pickle it then")

    def to_device(self: Any, device: Any, /, *, stream: Any = None) -> TracedArray:
        if stream is not None:
            raise ValueError("The stream argument in to_device() is not supported")
        if device != "cpu":
            raise ValueError(f"Unsupported device: {device}. Only 'cpu' is accepted.")
        return self

    # Protocols

    def __copy__(self: Any) -> TracedArray:
        return self if self.is_scalar() else views.copy(self, "K")

    def __deepcopy__(self: Any, memo: Any = None) -> TracedArray:
        return self if self.is_scalar() else views.copy(self, "K")

    def __array_namespace__(self: Any, *, api_version: Any = None) -> Any:
        np.empty(0).__array_namespace__(api_version=api_version)  # NumPy checks the version
        return sys.modules[__name__.partition(".")[0]]

    def __array_wrap__(
        self: Any, array: Any, context: Any = None, return_scalar: bool = False
    ) -> TracedArray:
        return array if type(array) is TracedArray else wrap(value_of(array))

    def __dlpack__(self: Any, **_: Any) -> NoReturn:
        raise _no_memory(
            "__dlpack__", "other libraries cannot be differentiated through: use xnp's"
        )

    def __dlpack_device__(self: Any) -> NoReturn:
        raise _no_memory(
            "__dlpack__", "other libraries cannot be differentiated through: use xnp's"
        )


def _assign_part(handle: TracedArray, part: TracedArray, new: Any) -> None:
    if handle.is_scalar():
        raise AttributeError(
            f"the parts of a scalar ({describe(handle)}) are not writable; write x = a + 1j * b"
        )
    assign(part, value_of(new))


def _method(function: Any) -> Callable[..., Any]:
    """NumPy's function as a method; where it has an implementation the dispatch is left out."""

    def method(self: TracedArray, *args: Any, **kwargs: Any) -> Any:
        implementation = dispatch.FUNCTIONS.get(function) or function
        return implementation(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = function.__name__
    method.__doc__ = f"``np.{function.__name__}`` of this array."
    return method


_SAME_AS_FUNCTION = [
    np.all,
    np.any,
    np.argmax,
    np.argmin,
    np.argpartition,
    np.argsort,
    np.clip,
    np.cumprod,
    np.cumsum,
    np.dot,
    np.max,
    np.mean,
    np.min,
    np.nonzero,
    np.prod,
    np.put,
    np.repeat,
    np.round,
    np.searchsorted,
    np.std,
    np.sum,
    np.take,
    np.trace,
    np.var,
]

for _function in _SAME_AS_FUNCTION:
    setattr(TracedArray, _function.__name__, _method(_function))
for _name, _member in vars(Methods).items():
    if _name not in ("__module__", "__doc__", "__dict__", "__weakref__", "__qualname__"):
        setattr(TracedArray, _name, _member)
