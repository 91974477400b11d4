"""Symbolic sizes among numbers and arrays: ``x / n``, ``np.sqrt(n)``, ``n * 0.5``.

A size that takes part in a computation becomes a traced number, which the Program computes with
when it runs. NumPy's other functions take sizes as parameters; they get the number at hand, which
fixes the size.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dims import Dim
from .handles import WEAK, TracedArray, wrap
from .sizes import size_value


def _traced(dim: Dim) -> TracedArray:
    return wrap(size_value(dim), WEAK)


def _array_ufunc(self: Dim, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    inputs = tuple(_traced(x) if type(x) is Dim else x for x in inputs)
    return getattr(ufunc, method)(*inputs, **kwargs)


_KNOWN = {np.ndim: 0, np.shape: (), np.size: 1, np.iscomplexobj: False, np.isrealobj: True}


def _array_function(self: Dim, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    if function in _KNOWN and len(args) == 1:
        return _KNOWN[function]
    return function(*_numbers(tuple(args)), **_numbers(dict(kwargs)))


def _numbers(x: Any) -> Any:
    """With the number at hand in the place of every size."""
    if type(x) is Dim:
        return int(x)
    if type(x) in (list, tuple):
        return type(x)(map(_numbers, x))
    return {key: _numbers(value) for key, value in x.items()} if type(x) is dict else x


def _array(self: Dim, dtype: Any = None, copy: bool | None = None) -> Any:
    return np.asarray(int(self), dtype)


Dim.traced = _traced
for _name, _method in [
    ("__array_ufunc__", _array_ufunc),
    ("__array_function__", _array_function),
    ("__array__", _array),
]:
    setattr(Dim, _name, _method)
