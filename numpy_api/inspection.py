"""Questions about dtypes and memory, and text: functions whose answers carry no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.core import concrete_value, deciding_value, dtype_of, is_weak, ndim_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import BatchingError, ConcretizationError
from ..autodiff.handles import TracedArray
from ..autodiff.symbolic_layouts import fixed

_PYTHON = {"b": False, "i": 0, "u": 0, "f": 0.0, "c": 0j}


def _type_of(x: Any) -> Any:
    """What promotion sees of a handle: its dtype, or a Python number where it is weak (NEP 50)."""
    if type(x) is not TracedArray:
        return x
    return _PYTHON[dtype_of(x.value).kind] if is_weak(x.value) else dtype_of(x.value)


@implements(np.result_type)
def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    return np.result_type(*map(_type_of, arrays_and_dtypes))


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    source = dtype_of(from_.value) if type(from_) is TracedArray else from_
    return np.can_cast(source, dtype_of(to.value) if type(to) is TracedArray else to, casting)


@implements(np.min_scalar_type)
def min_scalar_type(a: TracedArray) -> np.dtype[Any]:
    if ndim_of(a.value):
        return dtype_of(a.value)
    return np.min_scalar_type(deciding_value(a.value, "np.min_scalar_type"))


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    return np.common_type(
        *(np.empty(0, dtype_of(x.value)) if type(x) is TracedArray else x for x in arrays)
    )


def _same_memory(ask: Any, a: Any, b: Any, max_work: Any) -> bool:
    """NumPy's answer for two arrays that lie in the memory of one root as the handles do."""
    if type(a) is not TracedArray or type(b) is not TracedArray:
        return False
    if _root(a) is not _root(b) or a.is_scalar():
        return False
    memory = fixed(_root(a).layout())
    return ask(_layout_in(memory, a), _layout_in(memory, b), max_work)


def _root(handle: TracedArray) -> TracedArray:
    return handle if handle._view is None else handle._view.root


def _layout_in(memory: Any, handle: TracedArray) -> Any:
    view = handle._view
    return memory if view is None else view.layout(_layout_in(memory, view.base))


@implements(np.shares_memory)
def shares_memory(a: Any, b: Any, /, max_work: Any = -1) -> bool:
    return _same_memory(np.shares_memory, a, b, max_work)


@implements(np.may_share_memory)
def may_share_memory(a: Any, b: Any, /, max_work: Any = 0) -> bool:
    return _same_memory(np.may_share_memory, a, b, max_work)


def _shown(a: TracedArray) -> Any:
    """The values where they are known, else the handle's description."""
    try:
        return np.asarray(concrete_value(a.value))
    except (BatchingError, ConcretizationError):
        return None


@implements(np.array2string)
def array2string(a: TracedArray, *args: Any, **kwargs: Any) -> str:
    known = _shown(a)
    return repr(a) if known is None else np.array2string(known, *args, **kwargs)


@implements(np.array_str)
def array_str(a: TracedArray, *args: Any, **kwargs: Any) -> str:
    known = _shown(a)
    return repr(a) if known is None else np.array_str(known, *args, **kwargs)


@implements(np.array_repr)
def array_repr(arr: TracedArray, *args: Any, **kwargs: Any) -> str:
    known = _shown(arr)
    return repr(arr) if known is None else np.array_repr(known, *args, **kwargs)
