"""NumPy's products: matmul, dot, tensordot, outer, cross, kron, convolve and their relatives.

einsum has its own file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import dispatch, shapes
from ..autodiff.core import Value, dtype_of, is_weak, ndim_of, shape_of
from ..autodiff.dispatch import implements
from ..autodiff.errors import user_line, warn_user
from ..autodiff.handles import ARRAY0D, describe, unwrap_known, value_of, wrap
from ..autodiff.primitives.contraction import matmul_p, slide_p
from ..autodiff.primitives.elementwise import multiply_p
from ..autodiff.primitives.manipulation import flip_p, move_axis, transpose_p
from ..autodiff.primitives.matrices import column, conjugated, row
from ..autodiff.primitives.parts import copy_p
from ..autodiff.protocols import write_out
from ..autodiff.rules import convert, convert_p, raveled, reshape_p


def as_array(x: Any) -> Value:
    """The Value of x, a Python number (weak, NEP 50) as an array without dimensions."""
    value = value_of(x)
    if isinstance(value, (bool, int, float, complex)):
        return np.asarray(value)
    return convert_p(value, dtype=dtype_of(value)) if is_weak(value) else value


# matmul and its relatives are generalised ufuncs: they act on "core" axes, by default the last, and
# take axes=, and axis= and keepdims= where all operands have one core axis.


def _core_axes(name: str, cores: Sequence[int], axes: Any, axis: Any) -> list[tuple[int, ...]]:
    """NumPy's ``axes`` argument as one tuple for each operand and the result."""
    if axis is not None:
        if axes is not None:
            raise TypeError("cannot specify both 'axis' and 'axes'")
        return [(axis,) if core else () for core in cores]
    if not isinstance(axes, (list, tuple)):
        raise TypeError(
            f"{name}: axes must be a list with one entry for each operand, got {axes!r}"
        )
    entries = [entry if isinstance(entry, tuple) else (entry,) for entry in axes]
    if len(entries) == len(cores) - 1 and not cores[-1]:
        entries.append(())
    if [len(entry) for entry in entries] != list(cores):
        raise ValueError(f"{name}: axes={axes!r} must have {list(cores)} core axes")
    return entries


def _to_end(x: Value, axes: Sequence[Any]) -> Value:
    """``x`` with ``axes`` moved to its end."""
    n = ndim_of(x)
    moved = [shapes.axis_index(axis, n) for axis in axes]
    order = [i for i in range(n) if i not in moved] + moved
    return x if order == list(range(n)) else transpose_p(x, axes=tuple(order))


def _from_end(x: Value, axes: Sequence[Any]) -> Value:
    """``x`` with its last axes moved to ``axes``."""
    n = ndim_of(x)
    moved = [shapes.axis_index(axis, n) for axis in axes]
    order = [i for i in range(n) if i not in moved] + moved
    if order == list(range(n)):
        return x
    return transpose_p(x, axes=shapes.inverse_permutation(order))


def _gufunc(name: str, rule: Any, cores: tuple[int, int, int], keeps: bool) -> Any:
    """A generalised ufunc on Values from its rule for core axes at the end. ``keeps``: whether
    axis= and keepdims= have a meaning.
    """

    def call(
        a: Value, b: Value, *, axes: Any = None, axis: Any = None, keepdims: Any = False
    ) -> Value:
        if axes is None and axis is None and not keepdims:
            return rule(a, b)
        if not keeps and (axis is not None or keepdims):
            raise TypeError(f"{name} does not support axis or keepdims; write axes=[...]")
        if axes is None and axis is None:
            axis = -1
        ins = _core_axes(name, cores, axes, axis)
        out = rule(_to_end(a, ins[0]), _to_end(b, ins[1]))
        if keepdims:
            return _from_end(column(out), ins[0])
        return _from_end(out, ins[2])

    return call


def _need_axes(name: str, a: Value, b: Value, a_needs: int, b_needs: int) -> None:
    for i, (x, needs) in enumerate(((a, a_needs), (b, b_needs))):
        if ndim_of(x) < needs:
            raise ValueError(
                f"{name}: operand {i} is {describe(x)}, wanted at least {needs} dimension"
                f"{'s' * (needs > 1)}{user_line()}"
            )


def _matmul(a: Value, b: Value) -> Value:
    if ndim_of(a) and ndim_of(b):
        return matmul_p(a, b)
    _need_axes("matmul", a, b, 1, 1)
    return None


def _squeezed(x: Value, axis: int) -> Value:
    shape = shape_of(x)
    at = axis % len(shape)
    return reshape_p(x, shape=(*shape[:at], *shape[at + 1 :]))


def _vecdot(a: Value, b: Value) -> Value:
    _need_axes("vecdot", a, b, 1, 1)
    a = conjugated(a)
    if ndim_of(b) == 1:
        return matmul_p(a, b)
    return _squeezed(_squeezed(matmul_p(row(a), column(b)), -1), -1)


def _matvec(a: Value, b: Value) -> Value:
    _need_axes("matvec", a, b, 2, 1)
    return matmul_p(a, b) if ndim_of(b) == 1 else _squeezed(matmul_p(a, column(b)), -1)


def _vecmat(a: Value, b: Value) -> Value:
    _need_axes("vecmat", a, b, 1, 2)
    a = conjugated(a)
    return matmul_p(a, b) if ndim_of(a) == 1 else _squeezed(matmul_p(row(a), b), -2)


_GUFUNCS: list[tuple[str, Any, tuple[int, int, int], bool]] = [
    ("matmul", _matmul, (2, 2, 2), False),
    ("vecdot", _vecdot, (1, 1, 0), True),
    ("matvec", _matvec, (2, 1, 1), False),  # NumPy 2.2
    ("vecmat", _vecmat, (1, 2, 1), False),
]
for _name, _rule, _cores, _keeps in _GUFUNCS:
    if hasattr(np, _name):
        dispatch.UFUNCS[getattr(np, _name)] = _gufunc(_name, _rule, _cores, _keeps)


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    return wrap(_matmul(as_array(x1), as_array(x2)))


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    return wrap(dispatch.UFUNCS[np.vecdot](as_array(x1), as_array(x2), axis=axis))


def _dot(x: Value, y: Value) -> Value:
    if not ndim_of(x) or not ndim_of(y):
        return multiply_p(x, y)
    if ndim_of(y) == 1 or ndim_of(x) == ndim_of(y) == 2:
        _check_contracted("dot", x, y, [-1], [-min(2, ndim_of(y))])
        return matmul_p(x, y)
    return tensordot_values("dot", x, y, [ndim_of(x) - 1], [ndim_of(y) - 2])


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    return write_out("np.dot", out, wrap(_dot(as_array(a), as_array(b))))


def _flat(x: Value) -> Value:
    return x if ndim_of(x) == 1 else raveled(x)


@implements(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    x, y = _flat(as_array(a)), _flat(as_array(b))
    _check_contracted("vdot", x, y, [0], [0])
    return wrap(matmul_p(conjugated(x), y))


@implements(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    x, y = as_array(a), as_array(b)
    if not ndim_of(x) or not ndim_of(y):
        return wrap(multiply_p(x, y))
    return wrap(tensordot_values("inner", x, y, [ndim_of(x) - 1], [ndim_of(y) - 1]))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    x, y = _flat(as_array(a)), _flat(as_array(b))
    return write_out("np.outer", out, wrap(multiply_p(column(x), row(y))))


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    x, y = as_array(x1), as_array(x2)
    if ndim_of(x) != 1 or ndim_of(y) != 1:
        raise ValueError(
            f"np.linalg.outer: wanted two vectors, got {describe(x)} and {describe(y)}; np.outer "
            "flattens its arguments"
        )
    return wrap(multiply_p(column(x), row(y)))


def _check_contracted(
    name: str, x: Value, y: Value, x_axes: Sequence[int], y_axes: Sequence[int]
) -> None:
    for i, j in zip(x_axes, y_axes, strict=True):
        if shape_of(x)[i] != shape_of(y)[j]:
            raise ValueError(
                f"np.{name}: shapes {shape_of(x)} and {shape_of(y)} not aligned: "
                f"{shape_of(x)[i]} (axis {i % ndim_of(x)}) != {shape_of(y)[j]} "
                f"(axis {j % ndim_of(y)}){user_line()}"
            )


def tensordot_values(
    name: str, x: Value, y: Value, x_axes: Sequence[int], y_axes: Sequence[int]
) -> Value:
    """The sum of products over pairs of axes (non-negative), as one product of matrices."""
    _check_contracted(name, x, y, x_axes, y_axes)
    x_free = [i for i in range(ndim_of(x)) if i not in x_axes]
    y_free = [i for i in range(ndim_of(y)) if i not in y_axes]
    x_shape, y_shape = shape_of(x), shape_of(y)
    inner_size = shapes.prod(x_shape[i] for i in x_axes)
    left = _to_end(x, x_axes)
    rows = [x_shape[i] for i in x_free]
    left = reshape_p(left, shape=(shapes.prod(rows), inner_size))
    columns = [y_shape[i] for i in y_free]
    right = transpose_p(y, axes=(*y_axes, *y_free))
    right = reshape_p(right, shape=(inner_size, shapes.prod(columns)))
    return reshape_p(matmul_p(left, right), shape=(*rows, *columns))


def _tensordot_axes(x: Value, y: Value, axes: Any) -> tuple[list[int], list[int]]:
    axes = unwrap_known(axes, "axes of tensordot")
    if isinstance(axes, (list, tuple)) or np.ndim(axes):
        first, second = axes
        first = list(first) if np.ndim(first) else [first]
        second = list(second) if np.ndim(second) else [second]
    else:
        first, second = list(range(-axes, 0)), list(range(axes))
    if len(first) != len(second):
        raise ValueError(f"np.tensordot: axes={axes!r} must name as many axes of a as of b")
    x_axes = [shapes.axis_index(i, ndim_of(x)) for i in first]
    y_axes = [shapes.axis_index(i, ndim_of(y)) for i in second]
    for each in (x_axes, y_axes):
        if len(set(each)) != len(each):
            raise ValueError(f"np.tensordot: axes={axes!r} names an axis twice")
    return x_axes, y_axes


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    x, y = as_array(a), as_array(b)
    out = tensordot_values("tensordot", x, y, *_tensordot_axes(x, y, axes))
    return wrap(out, ARRAY0D)


@implements(np.linalg.tensordot)
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return tensordot(x1, x2, axes)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    x, y = as_array(a), as_array(b)
    if not ndim_of(x) or not ndim_of(y):
        return wrap(multiply_p(x, y))
    n = max(ndim_of(x), ndim_of(y))
    x_shape = (*(1 for _ in range(n - ndim_of(x))), *shape_of(x))
    y_shape = (*(1 for _ in range(n - ndim_of(y))), *shape_of(y))
    x = reshape_p(x, shape=tuple(d for dim in x_shape for d in (dim, 1)))
    y = reshape_p(y, shape=tuple(d for dim in y_shape for d in (1, dim)))
    shape = tuple(i * j for i, j in zip(x_shape, y_shape, strict=True))
    return wrap(reshape_p(multiply_p(x, y), shape=shape))


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = as_array(a), as_array(b)
    if not ndim_of(x) or not ndim_of(y):
        raise ValueError("np.cross: at least one array has zero dimension")
    x = move_axis(x, shapes.axis_index(axisa, ndim_of(x), "axisa"), ndim_of(x) - 1)
    y = move_axis(y, shapes.axis_index(axisb, ndim_of(y), "axisb"), ndim_of(y) - 1)
    sizes = {shape_of(x)[-1], shape_of(y)[-1]}
    if not sizes <= {2, 3}:
        raise ValueError(
            f"np.cross: incompatible dimensions for cross product: the vectors of a and b have "
            f"{shape_of(x)[-1]} and {shape_of(y)[-1]} components, wanted 2 or 3"
        )
    if 2 in sizes:
        warn_user(
            "Arrays of 2-dimensional vectors are deprecated. Use arrays of 3-dimensional vectors "
            "instead. (deprecated in NumPy 2.0)",
            DeprecationWarning,
        )
    out = _cross(wrap(x), wrap(y), shape_of(x)[-1], shape_of(y)[-1])
    if not isinstance(out, list):
        return wrap(value_of(out), ARRAY0D)
    stacked = value_of(out)
    last = ndim_of(stacked) - 1
    axisc = shapes.axis_index(axisc, last + 1, "axisc")
    return wrap(move_axis(copy_p(move_axis(stacked, 0, last)), last, axisc))


def _cross(x: Any, y: Any, x_size: Any, y_size: Any) -> Any:
    """The components of the product, or its only one of two plane vectors."""
    x0, x1 = x[..., 0], x[..., 1]
    y0, y1 = y[..., 0], y[..., 1]
    third = x0 * y1 - x1 * y0
    if x_size == y_size == 2:
        return third
    if x_size == 2:
        y2 = y[..., 2]
        return [x1 * y2, -(x0 * y2), third]
    x2 = x[..., 2]
    if y_size == 2:
        return [-(x2 * y1), x2 * y0, third]
    y2 = y[..., 2]
    return [x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, third]


@implements(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: Any = -1) -> Any:
    for name, x in (("x1", as_array(x1)), ("x2", as_array(x2))):
        if shape_of(x)[axis] != 3:
            raise ValueError(
                "Both input arrays must be (arrays of) 3-dimensional vectors, but "
                f"{name} is {describe(x)} with {shape_of(x)[axis]} components on axis {axis}"
            )
    return cross(x1, x2, axis=axis)


_MODES = {0: "valid", 1: "same", 2: "full"}


def _correlate(x: Value, w: Value, mode: Any) -> Value:
    """``sum_n x_(n+k) w_n`` for the k that ``mode`` asks for, len(x) >= len(w)."""
    n = shape_of(w)[0]
    mode = _MODES.get(mode, mode)
    before, after = 0, 0
    if mode == "full":
        before, after = n - 1, n - 1
    elif mode == "same":
        before, after = n // 2, n - n // 2 - 1
    elif mode != "valid":
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    dtype = np.result_type(dtype_of(x), dtype_of(w))
    return slide_p(convert(x, dtype), convert(w, dtype), before=before, after=after)


def _signals(name: str, a: Any, v: Any) -> tuple[Value, Value]:
    x, w = as_array(a), as_array(v)
    x = x if ndim_of(x) else reshape_p(x, shape=(1,))
    w = w if ndim_of(w) else reshape_p(w, shape=(1,))
    for label, signal in (("a", x), ("v", w)):
        if ndim_of(signal) != 1:
            raise ValueError(f"{name}: {label} is {describe(signal)}, wanted one dimension")
        if not shape_of(signal)[0]:
            raise ValueError(f"{name}: {label} cannot be empty")
    return x, w


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    x, w = _signals("np.convolve", a, v)
    if shape_of(w)[0] > shape_of(x)[0]:
        x, w = w, x
    return wrap(_correlate(x, flip_p(w, axes=(0,)), mode))


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    x, w = _signals("np.correlate", a, v)
    if shape_of(x)[0] >= shape_of(w)[0]:
        return wrap(_correlate(x, conjugated(w), mode))
    # c_(-k) of (v, a) is the conjugate of c_k of (a, v)
    return wrap(flip_p(_correlate(conjugated(w), x, mode), axes=(0,)))


@implements(np.trace)
def trace(
    a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None
) -> Any:
    array: Any = wrap(as_array(a))
    return np.sum(np.diagonal(array, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


@implements(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Any:
    return trace(x, offset, -2, -1, dtype)


@implements(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: Any = 0) -> Any:
    return np.diagonal(x, offset, -2, -1)


@implements(np.linalg.matrix_transpose)
def linalg_matrix_transpose(x: Any, /) -> Any:
    return np.matrix_transpose(x)


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    values = [as_array(a) for a in arrays]
    if len(values) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(values) > 2:
        for value in values[1:-1]:
            if ndim_of(value) != 2:
                raise np.linalg.LinAlgError(
                    f"{ndim_of(value)}-dimensional array given. Array must be two-dimensional"
                )
    first, last = ndim_of(values[0]) == 1, ndim_of(values[-1]) == 1
    values[0] = row(values[0]) if first else values[0]
    values[-1] = column(values[-1]) if last else values[-1]
    result = _chain(values)
    shape = shape_of(result)
    if first or last:
        result = reshape_p(result, shape=(*shape[: 1 - first], *shape[len(shape) - 1 + last :]))
    return write_out("np.linalg.multi_dot", out, wrap(result))


def _chain(values: Sequence[Value]) -> Value:
    """The product of matrices in the order that costs least (dynamic programming over the
    splits, Cormen et al., chapter 15).
    """
    sizes = [shape_of(v)[0] for v in values] + [shape_of(values[-1])[1]]
    best: dict[tuple[int, int], tuple[Any, Value]] = {(i, i): (0, i) for i in range(len(values))}
    for length in range(1, len(values)):
        for i in range(len(values) - length):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Value:
        if i == j:
            return values[i]
        split = best[i, j][1]
        return _dot(product(i, split), product(split + 1, j))

    return product(0, len(values) - 1)
