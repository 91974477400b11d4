"""``xnp.ndarray``: the type to test with. A traced array is one, a traced scalar is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff.handles import TracedArray
from .namespace import replaces

_OF_ARRAYS = set(dir(np.ndarray)) - {"__class__", "__class_getitem__", "__doc__", "__new__"}


class _ArrayType(type):
    """Asks NumPy's class, and lets handles that stand for arrays pass."""

    def __new__(mcls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(mcls, name, bases, body)
        # A user's subclass is one of NumPy's class.
        return type(name, tuple(np.ndarray if type(b) is mcls else b for b in bases), body)

    def __instancecheck__(cls, instance: Any) -> bool:
        if type(instance) is TracedArray:
            return not instance.is_scalar()
        return isinstance(instance, np.ndarray)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is TracedArray or subclass is cls or issubclass(subclass, np.ndarray)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return np.ndarray(*args, **kwargs)

    def __getattribute__(cls, name: str) -> Any:
        """``xnp.ndarray.__repr__`` and its like are NumPy's, which subclasses call."""
        return getattr(np.ndarray, name) if name in _OF_ARRAYS else super().__getattribute__(name)

    def __dir__(cls) -> list[str]:
        return dir(np.ndarray)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is np.ndarray

    def __hash__(cls) -> int:
        return hash(np.ndarray)


@replaces("ndarray")
class ndarray(metaclass=_ArrayType):
    """``numpy.ndarray`` as a type to test with: arrays under a transformation are instances too.

    Calling it makes a plain ``numpy.ndarray``, and ``xnp.ndarray == numpy.ndarray``.

    >>> import xnp as np
    >>> print(np.grad(lambda x: x[0] if isinstance(x, np.ndarray) else x)(np.ones(2)))
    [1. 0.]
    """

    __module__ = __name__.partition(".")[0]

    def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return np.ndarray.__new__(cls, *args, **kwargs)

    def __class_getitem__(cls, item: Any) -> Any:
        return np.ndarray[item]
