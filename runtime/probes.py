"""The probes of an `Environment`: fast looks at whether something is as it was."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autodiff.foreign import digest, sampled
from .containers import MISSING

Probe = tuple[Callable[[Any], Any], Any, Any]  # get, name, wanted: whether get(name) is wanted
Noise = Callable[[str], bool]


def holds(probe: Probe) -> bool:
    get, name, wanted = probe
    return get(name) is wanted


def cell_contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def attribute(x: Any, name: str) -> Any:
    return getattr(x, name, MISSING)


def is_missing(space: dict[str, Any], name: str) -> bool:
    return name not in space


def copied(make: Callable[[Any], Any], x: Any) -> Any:
    """``make(x)`` of a container that other threads may be changing."""
    for _ in range(100):
        try:
            return make(x)
        except RuntimeError:  # it changed size during iteration
            pass
    return make(x)


def same_items(x: list[Any], wanted: tuple[Any, ...]) -> bool:
    return len(x) == len(wanted) and all(a is b for a, b in zip(x, wanted, strict=False))


def same_dict(x: dict[Any, Any], wanted: dict[Any, Any]) -> bool:
    return len(x) == len(wanted) and all(
        a is b and x[a] is wanted[b] for a, b in zip(x, wanted, strict=False)
    )


def same_local(x: Any, wanted: dict[str, Any]) -> bool:
    """Of a `threading.local`, whose attributes each thread has its own of."""
    return same_dict(x.__dict__, wanted)


def same_objects(x: np.ndarray[Any, Any], wanted: tuple[Any, ...]) -> bool:
    """The elements of an array of objects."""
    return len(wanted) == x.size and all(a is b for a, b in zip(x.flat, wanted, strict=True))


def same_bytes(x: Any, wanted: bytes) -> bool:
    return bytes(x) == wanted


def names_probe(owner: Any, wanted: dict[str, Any], noise: Noise) -> Probe:
    """Whether a module or class has these names besides ``noise``, and for each the same object."""
    space = vars(owner)
    return functools.partial(same_names, owner, space, len(space), noise), wanted, True


def same_names(
    _: Any, space: Mapping[str, Any], size: int, noise: Noise, wanted: dict[str, Any]
) -> bool:
    get = space.get
    for name, value in wanted.items():
        if get(name, MISSING) is not value:
            return False
    return len(space) == size or sum(not noise(name) for name in list(space)) == len(wanted)


def same_set(x: set[Any], wanted: set[Any]) -> bool:
    return len(x) == len(wanted) and {id(a) for a in x} == {id(a) for a in wanted}


WHOLE = 1 << 16  # bytes
SAMPLES = 1024


def contents_of(x: np.ndarray[Any, Any]) -> int:
    """A number that changes with the elements; of large arrays, with samples of them."""
    if x.dtype.hasobject:
        return 0
    x = _plain(x)
    return digest(x if x.nbytes <= WHOLE else sampled(x, SAMPLES))


def whole_digest(x: np.ndarray[Any, Any]) -> int:
    """A number that changes with any element, however many there are."""
    return zlib.crc32(np.ascontiguousarray(_plain(x)).data)


def _plain(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As an ndarray whose elements have a buffer: no times."""
    if type(x) is not np.ndarray:
        x = x.view(np.ndarray)
    return x.view((np.void, x.dtype.itemsize)) if x.dtype.kind in "mMV" else x


def same_contents(x: np.ndarray[Any, Any], wanted: int) -> Callable[[Any], bool]:
    shape, strides, dtype = x.shape, x.strides, x.dtype
    is_simple = type(x) is np.ndarray and dtype.kind in "fciub" and x.flags.c_contiguous
    look: Any = zlib.crc32 if is_simple and x.nbytes <= WHOLE else contents_of  # the same number

    def same(_: Any) -> bool:
        is_same = x.shape == shape and x.strides == strides and x.dtype is dtype
        return is_same and look(x) == wanted

    return same


def is_dunder(name: str) -> bool:
    return name.startswith("__")


_CLASS_NOISE = frozenset(
    {
        *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"),
        *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
        *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__slots__"),
        *("__orig_bases__", "__parameters__", "__hash__", "__annotate__", "__annotate_func__"),
        *("__annotations_cache__", "__optree_dataclass_fields__"),
    }
)


def is_class_noise(name: str) -> bool:
    """What a class has besides its author's members."""
    return name in _CLASS_NOISE
