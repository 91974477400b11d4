"""sum and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.handles import value_of, wrap
from ..autodiff.rules import reduce_sum_p, reshape_p


@implements(np.sum)
def sum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    x = value_of(a)
    axes = shapes.axis_tuple(axis, ndim_of(x))
    out = reduce_sum_p(x, axes=axes)
    if keepdims:
        out = reshape_p(out, shape=shapes.reduced(shape_of(x), axes, True))
    return wrap(out)
