"""``a.flat``: the elements in C order, whatever the layout, and ``a.flags``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import shapes, views
from .core import Value, dtype_of, ndim_of, shape_of
from .errors import UnsupportedError, user_line
from .handles import LIKE_ARRAYS, TracedArray, assign, value_of, view_of, wrap
from .primitives.indexing import gather_p
from .primitives.rounding import remainder_p
from .rules import convert, raveled, reshape_p
from .sizes import iota, size_value
from .symbolic_layouts import strided


def flat_view(handle: TracedArray) -> TracedArray:
    """A one-dimensional handle that writes through, also where NumPy's ravel would copy."""
    shape = shape_of(handle.value)
    return view_of(
        handle,
        raveled,
        lambda base, part: reshape_p(part, shape=shape),
        lambda layout: strided((layout.size,), (layout.dtype.itemsize,), layout.dtype),
        exact=False,
    )


def cycled(value: Value, count: Any) -> Value:
    """The elements in C order, again and again until there are ``count``; one stays a scalar."""
    size = shapes.prod(shape_of(value))
    if size == 1:
        return reshape_p(value, shape=())
    flat = raveled(value)
    return flat if size == count else gather_p(flat, remainder_p(iota(count), size_value(size)))


class FlatIterator:
    """What NumPy's ``flatiter`` is: an iterator that can be indexed and assigned to."""

    __slots__ = ("_elements", "base", "index")
    __array_ufunc__ = None

    def __init__(self, base: TracedArray) -> None:
        self.base = base
        self.index = 0
        self._elements: Any = flat_view(base)

    def __len__(self) -> int:
        return shape_of(self._elements.value)[0]

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.index >= len(self):
            raise StopIteration
        self.index += 1
        return self._elements[self.index - 1]

    def __getitem__(self, index: Any) -> Any:
        part = self._elements[index]
        return part if part._view is None else views.copy(part)

    def __setitem__(self, index: Any, new: Any) -> None:
        value = convert(value_of(new), dtype_of(self._elements.value))
        if ndim_of(value):
            if 0 in shape_of(value):
                return  # NumPy leaves everything as it is
            value = cycled(value, shapes.prod(shape_of(self._elements[index].value)))
        self._elements[index] = wrap(value)

    def __eq__(self, other: Any) -> Any:
        return self.copy() == other

    def __ne__(self, other: Any) -> Any:
        return self.copy() != other

    __hash__ = None  # pyright: ignore[reportAssignmentType] - as `flatiter`

    @property
    def coords(self) -> tuple[int, ...]:
        """Where the next element is."""
        index, places = self.index, []
        for dim in reversed(shape_of(self.base.value)):
            places.append(index % dim if dim else 0)
            index = index // dim if dim else 0
        return tuple(reversed(places))

    def copy(self) -> TracedArray:
        """The elements as a new one-dimensional array."""
        return wrap(self._elements.value)


LIKE_ARRAYS[FlatIterator] = lambda iterator: iterator.copy().value


def assign_flat(handle: TracedArray, new: Any) -> None:
    """``a.flat = new``: repeats the elements of ``new`` as often as needed."""
    elements = flat_view(handle)
    value = value_of(new)
    if 0 not in shape_of(value):
        assign(elements, cycled(value, shape_of(elements.value)[0]))


def is_writeable(handle: TracedArray) -> bool:
    """Whether every view between this handle and the array it shows can be written through."""
    if handle.is_scalar():
        return False
    view = handle._view
    while view is not None:
        if view.put is None:
            return False
        view = view.base._view
    return True


def set_writeable(handle: TracedArray, write: Any) -> None:
    """Makes a view read-only, or checks that it is writeable."""
    if bool(write) == is_writeable(handle):
        return
    if write:
        raise ValueError("cannot set WRITEABLE flag to True of this array")
    if handle._view is None:
        raise UnsupportedError(
            f"setflags(write=False) on a traced array that is no view{user_line()}; protect a "
            "view of it instead: a = a.view(); a.flags.writeable = False."
        )
    handle._view.put = None


_SHOWN = ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA", "WRITEABLE", "ALIGNED", "WRITEBACKIFCOPY")
_FLAGS = {name: name.lower() for name in (*_SHOWN, "FNC", "FORC", "BEHAVED", "CARRAY", "FARRAY")}
_FLAGS |= {"CONTIGUOUS": "c_contiguous", "FORTRAN": "f_contiguous"}
_FLAGS |= {"C": "c_contiguous", "F": "f_contiguous", "O": "owndata", "W": "writeable"}
_FLAGS |= {"A": "aligned", "X": "writebackifcopy", "B": "behaved", "CA": "carray", "FA": "farray"}


class Flags:
    """What NumPy's ``flags`` tells of the array that a handle stands for."""

    __slots__ = ("_facts", "_handle")
    _facts: dict[str, bool]
    _handle: TracedArray

    def __init__(self, handle: TracedArray) -> None:
        layout = handle.layout().flags
        c, f, writeable = layout.c_contiguous, layout.f_contiguous, is_writeable(handle)
        facts = {
            "c_contiguous": c,
            "contiguous": c,
            "f_contiguous": f,
            "owndata": handle._view is None,
            "writeable": writeable,
            "aligned": True,
            "writebackifcopy": False,
            "fnc": f and not c,
            "forc": c or f,
            "behaved": writeable,
            "carray": c and writeable,
            "farray": f and writeable and not c,
        }
        object.__setattr__(self, "_handle", handle)
        object.__setattr__(self, "_facts", facts)

    def __getattr__(self, name: str) -> bool:
        try:
            return self._facts[name]
        except KeyError:
            raise AttributeError(f"flags have no attribute {name!r}") from None

    def __setattr__(self, name: str, new: Any) -> None:
        if name != "writeable":
            raise AttributeError(f"the flag {name!r} of a traced array cannot be set")
        set_writeable(self._handle, new)
        self._facts["writeable"] = is_writeable(self._handle)

    def __getitem__(self, key: str) -> bool:
        if key not in _FLAGS:
            raise KeyError("Unknown flag")
        return self._facts[_FLAGS[key]]

    def __setitem__(self, key: str, new: Any) -> None:
        if key not in _FLAGS:
            raise KeyError("Unknown flag")
        setattr(self, _FLAGS[key], new)

    def __repr__(self) -> str:
        return "".join(f"  {name} : {self[name]}\n" for name in _SHOWN)
