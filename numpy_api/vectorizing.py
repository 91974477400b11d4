"""``np.vectorize``, ``ndenumerate``, ``nditer``, ``isscalar``: loops over elements in Python."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..autodiff.core import thread_state
from ..autodiff.errors import UnsupportedError, user_line
from ..autodiff.handles import TracedArray, has_handle, is_traced
from .creation import array, asanyarray, zeros
from .namespace import replaces


@replaces("isscalar")
@functools.wraps(np.isscalar)
def isscalar(element: Any) -> bool:
    return element.is_scalar() if type(element) is TracedArray else np.isscalar(element)


@replaces("ndenumerate")
class ndenumerate(np.ndenumerate):
    """Pairs of index and element; the elements of a traced array are traced.

    >>> import xnp as np
    >>> print(np.grad(lambda x: sum(i[0] * v for i, v in np.ndenumerate(x)))(np.ones(3)))
    [0. 1. 2.]
    """

    def __new__(cls, arr: Any) -> Any:
        if type(arr) is not TracedArray and not has_handle(arr):
            return np.ndenumerate(arr)
        return _enumerated(asanyarray(arr))


class _LikeNditer(type):
    """NumPy's class has no subclasses; what ours makes are instances of NumPy's."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, np.nditer)


@replaces("nditer")
class nditer(metaclass=_LikeNditer):
    """NumPy's, which shows memory: of a traced array an error."""

    def __new__(cls, op: Any, *args: Any, **kwargs: Any) -> Any:
        if any(map(is_traced, op if isinstance(op, (list, tuple)) else [op])):
            raise UnsupportedError(
                f"np.nditer does not work on traced arrays{user_line()}: it walks over memory, and "
                "they have none. Write `for v in x.flat`, `for i, v in np.ndenumerate(x)`, and "
                "x[i] = ... to change an element."
            )
        return np.nditer(op, *args, **kwargs)


def _enumerated(x: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    return ((index, x[index]) for index in np.ndindex(x.shape))


@replaces("vectorize")
class vectorize(np.vectorize):
    """A function of scalars as one of arrays: a loop in Python, also over traced elements.

    >>> import xnp as np
    >>> relu = np.vectorize(lambda x: x if x > 0 else 0.0)
    >>> print(np.grad(lambda x: np.sum(relu(x)))(np.array([-1.0, 2.0])))
    [0. 1.]
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function: Any = self.pyfunc  # np._NoValue until a decorator's second call brings it
        traced = thread_state.level or any(map(has_handle, (*args, *kwargs.values())))
        if not traced or function is np._NoValue:
            return super().__call__(*args, **kwargs)
        places: list[int | str] = [*range(len(args)), *kwargs]
        given = dict(zip(places, (*args, *kwargs.values()), strict=True))
        looped = [place for place in places if place not in self.excluded]

        def call(*elements: Any) -> Any:
            values = given | dict(zip(looped, elements, strict=True))
            named = {key: value for key, value in values.items() if isinstance(key, str)}
            return function(*(values[i] for i in range(len(args))), **named)

        return self._loop(call, [asanyarray(given[place]) for place in looped])

    def _loop(self, call: Callable[..., Any], arrays: list[Any]) -> Any:
        """``call`` on the elements (with a signature: the trailing parts) of the arrays."""
        core = self._core_dimensions(arrays)
        leads = [np.shape(x)[: np.ndim(x) - n] for x, n in zip(arrays, core, strict=True)]
        lead = np.broadcast_shapes(*leads)
        indices = list(np.ndindex(lead))
        if not indices:
            return self._empty(lead)
        spread = [
            np.broadcast_to(x, lead + np.shape(x)[np.ndim(x) - n :])
            for x, n in zip(arrays, core, strict=True)
        ]
        results = [call(*(x[index] for x in spread)) for index in indices]
        if not isinstance(results[0], tuple):
            return self._stacked(results, lead, 0)
        columns = zip(*results, strict=True)
        return tuple(self._stacked(column, lead, i) for i, column in enumerate(columns))

    def _core_dimensions(self, arrays: list[Any]) -> list[int]:
        """How many trailing axes of each array one call gets; their sizes must agree."""
        if self.signature is None:
            return [0] * len(arrays)
        names = vars(self)["_in_and_out_core_dims"][0]
        if len(names) != len(arrays):
            raise TypeError(
                f"wrong number of positional arguments: expected {len(names)}, got {len(arrays)}"
            )
        sizes: dict[str, int] = {}
        for x, dims in zip(arrays, names, strict=True):
            shape = np.shape(x)[np.ndim(x) - len(dims) :] if dims else ()
            if len(shape) != len(dims):
                raise ValueError(
                    f"{np.ndim(x)}-dimensional argument does not have enough dimensions for all "
                    f"core dimensions {dims!r}"
                )
            for name, size in zip(dims, shape, strict=True):
                if sizes.setdefault(name, size) != size:
                    raise ValueError(
                        f"inconsistent size for core dimension {name!r}: {size} vs {sizes[name]}"
                    )
        return [len(dims) for dims in names]

    def _stacked(self, results: Any, lead: tuple[int, ...], i: int) -> Any:
        stacked = array(list(results), self.otypes[i] if self.otypes else None)
        return stacked.reshape(lead + stacked.shape[1:])

    def _empty(self, lead: tuple[int, ...]) -> Any:
        if self.otypes is None or self.signature is not None:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        outs = tuple(zeros(lead, dtype) for dtype in self.otypes)
        return outs[0] if len(outs) == 1 else outs
