"""The forms a primitive's derivative can take. One rule serves forward and reverse mode.

===============  ==========================================  ================================
form             what is written down                        examples
===============  ==========================================  ================================
`Elementwise`    the partial derivatives                     sin, multiply (in primitives)
`Linear`         the transpose in the first argument         reshape, reduce_sum, gather
`JointlyLinear`  the transpose in each argument, by number   concatenate, select, setitem
`MultiLinear`    one transpose for each operand              matmul, convolve
`General`        a jvp, and a vjp if it pays                 solve, qr, sort
===============  ==========================================  ================================

Complex numbers follow JAX: a transposed map is taken with respect to the real pairing
``Re(ct * x_dot)``, without conjugation, so the gradient of a real function f of z = x + iy is
``df/dx - i df/dy``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import dims, shapes
from .core import (
    PYTHON_DTYPES,
    Aval,
    Constant,
    OptionalValues,
    Params,
    Primitive,
    Value,
    Values,
    dtype_of,
    is_weak,
    shape_of,
)
from .tape import TapeTrace, pull_back


def zeros(shape: Sequence[Any], dtype: Any) -> Value:
    if dims.in_use and dims.is_symbolic(shape):
        return filled(shape, 0, np.dtype(dtype))
    return np.zeros(shape, dtype)


def zeros_like(x: Any) -> Value:
    """Zeros with the shape and dtype of a Value or an Aval."""
    return zeros(shape_of(x), dtype_of(x))


def filled(shape: Sequence[Any], number: Any, dtype: np.dtype[Any]) -> Value:
    """``np.full(shape, number, dtype)``."""
    if dims.in_use and dims.is_symbolic(shape):
        return broadcast_to_p(dtype.type(number), shape=tuple(shape))
    return np.full(shape, number, dtype)


class Linear(Primitive):
    """Linear in its first argument; the others (indices) carry no derivative.

    ``transpose(ct, x, *rest, **params)``: x may be an Aval, only its shape and dtype may be read.
    """

    def __init__(
        self, name: str, impl: Callable[..., Any], transpose: Callable[..., Value], **rules: Any
    ) -> None:
        super().__init__(name, impl, **rules)
        self.transpose = transpose

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        return None if x_dots[0] is None else self(x_dots[0], *args[1:], **params)

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        if wanted[0] is None:
            return (None,) * len(args)
        first = self.transpose(ct, *args, **params)
        return (first,) if len(args) == 1 else (first, *(None,) * (len(args) - 1))

    keeps_one = ((0,), False)

    def keeps(self, parents: Sequence[Any]) -> tuple[Sequence[int], bool]:
        return (0,), False


class JointlyLinear(Primitive):
    """Linear in all arguments from number ``first`` on, taken together, like concatenate.

    ``transpose(i, ct, args, **params)``: the cotangent of argument i; the linear arguments may be
    Avals. The dtype is put right here.
    """

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        transpose: Callable[..., Value],
        *,
        first: int = 0,
        last: int | None = None,
        masks: bool = False,
        **rules: Any,
    ) -> None:
        super().__init__(name, impl, **rules)
        self.transpose = transpose
        self.first, self.last = first, last
        self.masks = masks

    def _is_linear(self, i: int) -> bool:
        return i >= self.first and (self.last is None or i < self.last)

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        filled = [
            a if not self._is_linear(i) else zeros_like(a) if x_dot is None else x_dot
            for i, (a, x_dot) in enumerate(zip(args, x_dots, strict=True))
        ]
        return fit_dtype(self(*filled, **params), ans)

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        found: list[Value | None] = [None] * len(wanted)
        for i in reversed(range(len(wanted))):  # part of ct is read before it may be written to
            if wanted[i] is not None:
                found[i] = fit_dtype(self.transpose(i, ct, args, **params), args[i])
        return found

    def keeps(self, parents: Sequence[Any]) -> tuple[Sequence[int], bool]:
        return [i for i in range(len(parents)) if self._is_linear(i)], False


class MultiLinear(Primitive):
    """Linear in each of its operands separately.

    ``transposes[i](ct, *args, **params)``: the cotangent of operand i, of any dtype that converts.
    """

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        transposes: Sequence[Callable[..., Value]],
        **rules: Any,
    ) -> None:
        super().__init__(name, impl, **rules)
        self.transposes = transposes

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        total = None
        for i, x_dot in enumerate(x_dots):
            if x_dot is not None:
                term = self(*args[:i], x_dot, *args[i + 1 :], **params)
                total = term if total is None else total + term
        return total

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        return [
            None if w is None else fit_dtype(self.transposes[i](ct, *args, **params), args[i])
            for i, w in enumerate(wanted)
        ]

    def keeps(self, parents: Sequence[Any]) -> tuple[Sequence[int], bool]:
        wanted = [i for i, parent in enumerate(parents) if parent is not None]
        return wanted if len(wanted) == 1 else (), False


class General(Primitive):
    """Anything else.

    ``jvp(ans, args, x_dots, **params)`` gives the tangent of ``ans`` in differentiable operations,
    linear in ``x_dots`` (None where zero; at least one is not). ``vjp(ct, ans, args, wanted,
    **params)`` gives a cotangent (or None) for every argument; without it, ``jvp`` is transposed:
    it is run on a tape at zero tangents and read backward, which costs one forward jvp more.
    For ``multiple`` primitives ``ans`` and ``ct`` are tuples, with zeros filled in for ``ct``.
    """

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        jvp: Callable[..., Any],
        vjp: Callable[..., Any] | None = None,
        *,
        multiple: bool = False,
        masks: bool = False,
        **rules: Any,
    ) -> None:
        super().__init__(name, impl, multiple=multiple, **rules)
        self.jvp, self.vjp = jvp, vjp
        self.masks = masks

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        return self.jvp(ans, args, x_dots, **params)

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        if self.multiple:
            ct = tuple(zeros_like(out) if c is None else c for c, out in zip(ct, ans, strict=True))
        if self.vjp is not None:
            cts = self.vjp(ct, ans, args, [w is not None for w in wanted], **params)
        else:
            cts = self.transposed_jvp(ct, ans, args, wanted, params)
        return [
            None if w is None or g is None else fit_dtype(g, a)
            for g, a, w in zip(cts, args, wanted, strict=True)
        ]

    def transposed_jvp(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params
    ) -> list[Value | None]:
        trace = TapeTrace()
        x_dots = [
            None if w is None else trace.variable(zeros_like(a))
            for w, a in zip(wanted, args, strict=True)
        ]
        ans_dot = self.jvp(ans, args, x_dots, **params)
        pairs = zip(ans_dot, ct, strict=True) if self.multiple else [(ans_dot, ct)]
        outputs = [
            (out.node, c)
            for out, c in pairs
            if out is not None and getattr(out, "trace", None) is trace
        ]
        inputs = [x_dot.node for x_dot in x_dots if x_dot is not None]
        found = iter(pull_back(outputs, inputs))
        trace.alive = False
        return [None if w is None else next(found) for w in wanted]


def _reshape(x: Any, *, shape: tuple[Any, ...]) -> Any:
    return np.reshape(x, shape) if type(x) in PYTHON_DTYPES else x.reshape(shape)


def _reshape_shape(x: Aval, *, shape: tuple[Any, ...]) -> Aval:
    if shapes.prod(x.shape) != shapes.prod(shape):
        raise ValueError(f"cannot reshape array of shape {x.shape} into shape {shape}")
    return Aval(shape, x.dtype)


def _reshape_transpose(ct: Value, x: Any, *, shape: tuple[Any, ...]) -> Value:
    return reshape_p(ct, shape=shape_of(x))


def _reshape_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, shape: tuple[Any, ...]
) -> Any:
    return primitive(args[0], shape=(size, *shape)), True


def batch_unchanged(
    primitive: Primitive, size: Any, args: Any, batched: Any, **params: Any
) -> tuple[Any, bool]:
    """The batching of what acts on every element, or on the last axes, of one argument."""
    return primitive(args[0], **params), True


def batch_axis(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, axis: int, **params: Any
) -> tuple[Any, bool]:
    """The batching of what acts along ``axis`` of arguments of one number of axes."""
    leading = [lead_batch(a, size, b) for a, b in zip(args, batched, strict=True)]
    return primitive(*leading, axis=axis + 1, **params), True


def batch_axes(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, axes: Sequence[int], **params: Any
) -> tuple[Any, bool]:
    """The batching of what acts along some axes of one argument."""
    return primitive(args[0], axes=tuple(a + 1 for a in axes), **params), True


# reshape(x) only renames positions, so its transpose renames them back.
reshape_p = Linear(
    "reshape",
    _reshape,
    _reshape_transpose,
    shape=_reshape_shape,
    batch=_reshape_batch,
)


def raveled(x: Value) -> Value:
    """The elements in C order, along one axis."""
    return reshape_p(x, shape=(shapes.prod(shape_of(x)),))


# <ct, sum(x)> = <broadcast(ct), x>.
def _reduce_sum_transpose(ct: Value, x: Any, *, axes: tuple[int, ...]) -> Value:
    shape = shape_of(x)
    if len(axes) != len(shape):  # else ct is a scalar and broadcasts as it is
        ct = reshape_p(ct, shape=shapes.reduced(shape, axes, keepdims=True))
    if type(ct) is np.float64 and not (dims.in_use and dims.is_symbolic(shape)):
        return _broadcast_to(ct, shape=shape)  # the end of nearly every scalar function: no bind
    return broadcast_to_p(ct, shape=shape)


def accumulated_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Small integers and booleans grow to the platform's integer, in sums and in products."""
    return np.add.reduce(np.zeros(0, dtype)).dtype


reduce_sum_p = Linear(
    "reduce_sum",
    lambda x, *, axes: np.add.reduce(x, axis=axes),
    _reduce_sum_transpose,
    shape=lambda x, *, axes: Aval(shapes.reduced(x.shape, axes), accumulated_dtype(x.dtype)),
    batch=batch_axes,
)


def unbroadcast(x: Value, shape: tuple[Any, ...]) -> Value:
    """The transpose of broadcasting from ``shape``: sums over the axes that were stretched."""
    big = shape_of(x)
    if dims.in_use and (dims.is_symbolic(big) or dims.is_symbolic(shape)):
        return _unbroadcast_sizes(x, shape)
    if big == shape:
        return x
    lead = len(big) - len(shape)
    axes = tuple(range(lead)) + tuple(
        [i + lead for i, dim in enumerate(shape) if dim == 1 and big[i + lead] != 1]
    )
    if axes:
        x = reduce_sum_p(x, axes=axes)
    return x if shape_of(x) == shape else reshape_p(x, shape=shape)


def _unbroadcast_sizes(x: Value, shape: tuple[Any, ...]) -> Value:
    """`unbroadcast` for symbolic sizes. Where one of them stands for a 1 it may be 1 itself; the
    sum over that axis is right all the same.
    """
    big = shape_of(x)
    if dims.provably_equal(big, shape):
        return x
    axes = shapes.stretched_axes(shape, big)
    if axes:
        x = reduce_sum_p(x, axes=axes)
    return x if dims.provably_equal(shape_of(x), shape) else reshape_p(x, shape=shape)


def _broadcast_to(x: Any, *, shape: tuple[Any, ...]) -> Any:
    out = np.empty(shape, dtype_of(x))
    if out.size > 4096 or (len(shape_of(x)) > 1 and not x.flags.c_contiguous):
        return np.broadcast_to(x, shape)
    out[...] = x  # a small copy costs a tenth of np.broadcast_to
    return out


def _broadcast_shape(x: Aval, *, shape: tuple[Any, ...]) -> Aval:
    shapes.check_broadcast(x.shape, shape, "an array")
    return Aval(shape, x.dtype)


def _broadcast_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, *, shape: tuple[Any, ...]
) -> Any:
    (x,) = args
    inner = shape_of(x)[1:]
    x = reshape_p(x, shape=(size, *(1 for _ in range(len(shape) - len(inner))), *inner))
    return broadcast_to_p(x, shape=(size, *shape)), True


broadcast_to_p = Linear(
    "broadcast_to",
    _broadcast_to,
    lambda ct, x, *, shape: unbroadcast(ct, shape_of(x)),
    shape=_broadcast_shape,
    batch=_broadcast_batch,
)


def lead_batch(x: Value, size: Any, is_batched: bool) -> Value:
    """``x`` with a batch axis, by broadcasting if it has none."""
    return x if is_batched else broadcast_to_p(x, shape=(size, *shape_of(x)))


def convert(x: Value, dtype: Any) -> Value:
    """``x.astype(dtype)``; derivatives pass between inexact dtypes and stop at all others."""
    weak = is_weak(x)
    if not weak and dtype_of(x) == dtype:
        return x
    if weak and _may_not_fit(dtype_of(x), dtype):
        return narrow_p(x, dtype=dtype)
    return (convert_p if dtype.kind in "fc" else quantize_p)(x, dtype=dtype)


def fit_dtype(ct: Value, like: Any) -> Value:
    """``ct`` with the dtype of ``like``: the real part if that is real."""
    dtype, wanted = ct.dtype, dtype_of(like)
    if dtype is wanted or dtype == wanted:
        return ct
    if dtype.kind == "c" and wanted.kind != "c":
        ct = real_p(ct)
    return convert(ct, wanted)


def _astype(x: Value, *, dtype: np.dtype[Any]) -> Value:
    if dtype.kind not in "cb" and dtype_of(x).kind == "c":
        x = np.real(x)
    return np.asarray(x).astype(dtype)[()] if np.ndim(x) == 0 else x.astype(dtype)


convert_p = Linear(
    "convert",
    _astype,
    lambda ct, x, *, dtype: fit_dtype(ct, x),  # noqa: PLW0108 - it takes dtype
    shape=lambda x, *, dtype: Aval(x.shape, dtype),
    batch=batch_unchanged,
)

# To bool or integer: constant almost everywhere.
quantize_p = Constant(
    "quantize",
    _astype,
    shape=lambda x, *, dtype: Aval(x.shape, dtype),
    batch=batch_unchanged,
)


def cast(x: Value, dtype: np.dtype[Any]) -> Value:
    """`convert`, but a Python number that does not fit becomes what C makes of it."""
    return convert(convert(x, dtype_of(x)), dtype)


def _may_not_fit(source: np.dtype[Any], dtype: np.dtype[Any]) -> bool:
    """Whether NumPy may refuse to convert a Python number."""
    if source.kind == "c" and dtype.kind in "iuf":
        python: Any = float if dtype.kind == "f" else int
        python(0j)  # raises Python's TypeError
    return dtype.kind in "iu" and (source.kind == "f" or (source.kind == "i" and dtype != np.int64))


def _narrowed(x: Any, *, dtype: np.dtype[Any]) -> Value:
    if type(x) in PYTHON_DTYPES:
        return np.array(int(x), dtype)[()]
    return np.array([int(number) for number in np.ravel(x).tolist()], dtype).reshape(x.shape)


# A Python number as one of an integer dtype: Python and NumPy raise where it does not fit.
narrow_p = Constant(
    "narrow",
    _narrowed,
    shape=lambda x, *, dtype: Aval(x.shape, dtype),
    batch=batch_unchanged,
)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the real and imaginary parts."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


# Re(ct * Re(z_dot)) = Re(ct * z_dot) for real ct: the transpose is the embedding.
real_p = Linear(
    "real",
    np.real,
    lambda ct, x: convert(ct, dtype_of(x)),
    shape=lambda x: Aval(x.shape, real_dtype(x.dtype)),
    batch=batch_unchanged,
)

# ct * Im(z_dot) = Re(-i ct * z_dot).
imag_p = Linear(
    "imag",
    np.imag,
    lambda ct, x: convert(ct * -1j, dtype_of(x)) if dtype_of(x).kind == "c" else ct * 0.0,
    shape=lambda x: Aval(x.shape, real_dtype(x.dtype)),
    batch=batch_unchanged,
)


# A Python number (weak dtype, NEP 50) again, after an operation on Python numbers.
weaken_p = General(
    "weaken",
    lambda x: x if type(x) in PYTHON_DTYPES else x.item(),
    lambda ans, args, x_dots: convert(x_dots[0], dtype_of(ans)),  # a tangent is no Python number
    lambda ct, ans, args, wanted: (ct,),
    shape=lambda x: Aval(x.shape, x.dtype, True),
    batch=lambda primitive, size, args, batched: (args[0], True),
)

# The identity whose derivative is zero, on purpose.
stop_gradient_p = Constant(
    "stop_gradient",
    lambda x: x,
    shape=lambda x: x,
    batch=batch_unchanged,
)
