"""packbits and unpackbits: constants, as all integers are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import shapes
from ..autodiff.core import Value, describe_type, dtype_of, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line
from ..autodiff.handles import ARRAY0D, TracedArray, unwrap_known, value_of, wrap
from ..autodiff.primitives.bits import packbits_p, unpackbits_p
from ..autodiff.rules import raveled, reshape_p


def _along(x: Value, axis: Any) -> tuple[Value, int]:
    """The array and the axis of its bits; without an axis all elements are in a row."""
    if axis is None:
        return raveled(x), 0
    x = x if ndim_of(x) else reshape_p(x, shape=(1,))
    return x, shapes.axis_index(unwrap_known(axis, "axis"), ndim_of(x))


def _check_order(bitorder: Any) -> None:
    if bitorder not in ("big", "little"):
        raise ValueError(f"'order' must be either 'little' or 'big', got {bitorder!r}")


@implements(np.packbits)
def packbits(a: Any, /, axis: Any = None, bitorder: str = "big") -> TracedArray:
    value = value_of(a)
    if dtype_of(value).kind not in "iub":
        raise TypeError(
            "Expected an input array of integer or boolean data type, got "
            f"{describe_type(shape_of(value), dtype_of(value))}{user_line()}"
        )
    _check_order(bitorder)
    value, axis = _along(value, axis)
    return wrap(packbits_p(value, axis=axis, bitorder=bitorder), ARRAY0D)


@implements(np.unpackbits)
def unpackbits(
    a: Any, /, axis: Any = None, count: Any = None, bitorder: str = "big"
) -> TracedArray:
    value = value_of(a)
    if dtype_of(value) != np.uint8:
        raise TypeError(
            "Expected an input array of unsigned byte data type, got "
            f"{describe_type(shape_of(value), dtype_of(value))}{user_line()}"
        )
    _check_order(bitorder)
    value, axis = _along(value, axis)
    count = unwrap_known(count, "count")
    if type(count) is int and count < -8 * shape_of(value)[axis]:
        raise ValueError("-count larger than number of elements")
    return wrap(unpackbits_p(value, axis=axis, count=count, bitorder=bitorder), ARRAY0D)
