"""The elementwise form, arithmetic, comparisons, and Values' operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import dims, shapes
from ..core import (
    PYTHON_DTYPES,
    Aval,
    Constant,
    OptionalValues,
    Params,
    Primitive,
    Tracer,
    Value,
    Values,
    dtype_of,
    ndim_of,
    shape_of,
)
from ..rules import (
    General,
    JointlyLinear,
    broadcast_to_p,
    convert,
    fit_dtype,
    imag_p,
    real_dtype,
    reshape_p,
    unbroadcast,
)

Partial = Callable[..., Value] | float | None


def align_batched(args: Sequence[Value], batched: Sequence[bool]) -> list[Value]:
    """Batched arguments with axes of length 1 after the batch axis, so that they broadcast."""
    ndim = max(ndim_of(a) - b for a, b in zip(args, batched, strict=True))
    out = []
    for a, b in zip(args, batched, strict=True):
        missing = ndim - ndim_of(a) + 1
        if b and missing:
            shape = shape_of(a)
            a = reshape_p(a, shape=(shape[0], *(1,) * missing, *shape[1:]))
        out.append(a)
    return out


def elementwise_batch(
    primitive: Primitive, size: Any, args: Any, batched: Any, **params: Any
) -> tuple[Any, bool]:
    """The batching of every elementwise primitive: NumPy's broadcasting does the work."""
    return primitive(*align_batched(args, batched), **params), True


def ufunc_dtype(ufunc: Any, *avals: Aval) -> np.dtype[Any]:
    """The result dtype of a ufunc, with NEP 50's weak Python scalars."""
    weak = {"b": np.dtype(bool), "i": int, "u": int, "f": float, "c": complex}
    inputs = [weak[a.dtype.kind] if a.weak else a.dtype for a in avals]
    outputs = [None] * ufunc.nout
    return ufunc.resolve_dtypes((*inputs, *outputs))[ufunc.nin]


def _result_shape(impl: Any, *avals: Aval) -> Aval:
    return Aval(shapes.broadcast(*(a.shape for a in avals)), ufunc_dtype(impl, *avals))


def ufunc_of(primitive: Primitive) -> Any:
    """The ufunc in whose dtypes a primitive computes, or None."""
    if isinstance(primitive.impl, np.ufunc):
        return primitive.impl
    rule = primitive.shape_rule
    if isinstance(rule, partial) and rule.args and isinstance(rule.args[0], np.ufunc):
        return rule.args[0]
    return None


def result_like(ufunc: Any) -> Callable[..., Aval]:
    """The shape rule of a function whose result has the shape and dtype of a ufunc's result."""
    return partial(_result_shape, ufunc)


class Elementwise(Primitive):
    """``partials[i]``: the derivative with respect to argument i, a function of ``(ans, *args)``,
    a number, or None where it is zero.

    A partial's parameters whose names start with an underscore are not read, and the tape does not
    keep them. With complex numbers the tangent is the product with the partial, its real part
    where the result is real; so a holomorphic function, ``real``, and ``abs`` are all one rule.
    ``masks``: the partial may be infinite or cut to zero where the value is finite.
    """

    keeps_order = True

    def __init__(
        self,
        name: str,
        impl: Callable[..., Any],
        *partials: Partial,
        masks: bool = False,
        shape: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(name, impl, shape=shape or partial(_result_shape, impl))
        self.batch_rule = elementwise_batch
        self.partials = partials
        self.masks = masks
        self._reads = [_reads(d, len(partials)) for d in partials]
        self._keeps: dict[tuple[bool, ...], tuple[Sequence[int], bool]] = {}
        self.keeps_one = self._plan((False,)) if len(partials) == 1 else None
        if len(partials) == 2:
            self._keeps_two = [[self._plan((a, b)) for b in (False, True)] for a in (False, True)]

    def keeps(self, parents: Sequence[Any]) -> tuple[Sequence[int], bool]:
        if len(parents) == 2:
            return self._keeps_two[parents[0] is None][parents[1] is None]
        key = tuple([p is None for p in parents])
        plan = self._keeps.get(key)
        if plan is None:
            plan = self._keeps[key] = self._plan(key)
        return plan

    def _plan(self, constant: tuple[bool, ...]) -> tuple[Sequence[int], bool]:
        read: set[int] = set()
        for reads, is_constant in zip(self._reads, constant, strict=True):
            if not is_constant:
                read |= reads
        return tuple(i for i in range(len(constant)) if i not in read), -1 in read

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        multiply = strong_multiply_p if self.masks else multiply_p
        total = None
        for x_dot, d in zip(x_dots, self.partials, strict=True):
            if x_dot is None or d is None:
                continue
            if callable(d):
                term = multiply(x_dot, d(ans, *args))
            else:
                term = x_dot if d == 1.0 else multiply_p(x_dot, d)
            total = term if total is None else add_p(total, term)
        if total is None:
            return None
        total = fit_dtype(total, ans)
        shape = shape_of(ans)
        same = shapes.is_same(shape_of(total), shape)
        return total if same else broadcast_to_p(total, shape=shape)

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        if len(args) == 1:  # shapes are equal, and there is something to do
            a, d = args[0], self.partials[0]
            if d is None:
                return (None,)
            if not callable(d):
                g = ct if d == 1.0 else ct * d
            elif strong:
                g = strong_multiply_p(ct, d(ans, a))
            else:
                g = ct * d(ans, a)
            if type(a) is np.ndarray and g.dtype is a.dtype:
                return (g,)
            return (fit_dtype(g, a),)
        cts: list[Value | None] = []
        for w, d, a in zip(wanted, self.partials, args, strict=True):
            if w is None or d is None:
                cts.append(None)
                continue
            if callable(d):
                factor = d(ans, *args)
                g = strong_multiply_p(ct, factor) if strong else ct * factor
            else:
                g = ct if d == 1.0 else ct * d
            if type(a) in PYTHON_DTYPES:
                g = fit_dtype(unbroadcast(g, ()), a)
            else:
                if g.dtype is not a.dtype:
                    g = fit_dtype(g, a)
                plain = not dims.in_use or type(a) is np.ndarray
                if not plain or g.shape != a.shape:
                    g = unbroadcast(g, a.shape)
            cts.append(g)
        return cts


def _reads(d: Partial, nargs: int) -> set[int]:
    """Which arguments (-1: the result) a partial reads: those not named with an underscore."""
    if not callable(d):
        return set()
    code = getattr(d, "__wrapped__", d).__code__
    if code.co_flags & 0x04:  # inspect.CO_VARARGS: of those taken as *_args none is read
        return set()
    names = code.co_varnames[: code.co_argcount]
    assert len(names) == nargs + 1, f"a partial takes (ans, *args), got {names}"
    return {i - 1 for i, name in enumerate(names) if not name.startswith("_")}


class Test(Constant):
    """An elementwise function that is constant almost everywhere: comparisons, rounding, bits."""

    keeps_order = True

    def __init__(
        self, name: str, impl: Callable[..., Any], shape: Callable[..., Any] | None = None
    ) -> None:
        multiple = getattr(impl, "nout", 1) > 1
        super().__init__(name, impl, shape=shape or result_like(impl), multiple=multiple)
        self.batch_rule = elementwise_batch


def _strong_multiply(x: Value, y: Value) -> Value:
    product = np.multiply(x, y)
    total = np.add.reduce(product, axis=None)
    if total - total == 0:  # finite, the usual case
        return product
    return np.where((np.equal(x, 0)) | (np.equal(y, 0)), product.dtype.type(0), product)[()]


def _select_transpose(i: int, ct: Value, args: Sequence[Value]) -> Value:
    mask, zero = args[0], dtype_of(ct).type(0)
    kept = select_p(mask, ct, zero) if i == 1 else select_p(mask, zero, ct)
    return unbroadcast(kept, shape_of(args[i]))


def _select_shape(mask: Aval, x: Aval, y: Aval) -> Aval:
    shape = shapes.broadcast(mask.shape, x.shape, y.shape)
    return Aval(shape, ufunc_dtype(np.add, x, y) if x.dtype.kind != "b" else _joined(x, y))


def _joined(x: Aval, y: Aval) -> np.dtype[Any]:
    return np.result_type(x.dtype, y.dtype)


# select(mask, x, y) is linear in (x, y): the cotangent goes where the value came from, and is an
# exact zero elsewhere.
select_p = JointlyLinear(
    "select",
    lambda mask, x, y: np.where(mask, x, y)[()],
    _select_transpose,
    first=1,
    masks=True,
    shape=_select_shape,
    batch=elementwise_batch,
)

# The product with 0 * inf = 0 * nan = 0: behind a mask, a zero cotangent meets infinite partials
# of a branch that was not taken, and sqrt(x**2) at 0 meets inf * 0; both are 0 here.
strong_multiply_p = Elementwise(
    "strong_multiply",
    _strong_multiply,
    lambda _ans, _x, y: y,
    lambda _ans, x, _y: x,
    masks=True,
    shape=lambda x, y: _result_shape(np.multiply, x, y),
)

add_p = Elementwise("add", np.add, 1.0, 1.0)
subtract_p = Elementwise("subtract", np.subtract, 1.0, -1.0)
multiply_p = Elementwise("multiply", np.multiply, lambda _ans, _x, y: y, lambda _ans, x, _y: x)
# d(x/y)/dy = -x/y^2 = -ans/y
divide_p = Elementwise(
    "divide",
    np.divide,
    lambda _ans, _x, y: reciprocal(y),
    lambda ans, _x, y: negative_p(ans) / y,
)
negative_p = Elementwise("negative", np.negative, -1.0)
positive_p = Elementwise("positive", np.positive, 1.0)


def reciprocal(y: Value) -> Value:
    """``1/y`` in floating point; of a Python number a Python number, whose dtype stays weak."""
    return 1.0 / y if type(y) in PYTHON_DTYPES and y else divide_p(1.0, y)


equal_p = Test("equal", np.equal)
not_equal_p = Test("not_equal", np.not_equal)
less_p = Test("less", np.less)
less_equal_p = Test("less_equal", np.less_equal)
greater_p = Test("greater", np.greater)
greater_equal_p = Test("greater_equal", np.greater_equal)
logical_and_p = Test("logical_and", np.logical_and)
logical_or_p = Test("logical_or", np.logical_or)
logical_not_p = Test("logical_not", np.logical_not)
sign_p = Test("sign", np.sign)


def where(mask: Value, x: Value, y: Value) -> Value:
    """select, for use in rules."""
    return select_p(mask, x, y)


def as_float(mask: Value, like: Value) -> Value:
    """A mask as 0.0 and 1.0 in the real dtype of ``like``."""
    return convert(mask, real_dtype(dtype_of(like)))


def _share(x: Any, y: Any) -> Any:
    dtype = real_dtype(np.result_type(x, y))
    share = np.add(np.less(x, y), np.less_equal(x, y), dtype=dtype)
    share *= -0.5
    share += 1.0
    return share


def _share_shape(x: Aval, y: Aval) -> Aval:
    shape, dtype, _ = _result_shape(np.maximum, x, y)
    return Aval(shape, real_dtype(dtype))


# The share of x in maximum(x, y): 1 where x is greater, 1/2 at a tie, as in JAX. Next to a nan
# both have 1: the result is nan, and so is what comes back.
share_p = Test("share", _share, _share_shape)
maximum_p = Elementwise(
    "maximum",
    np.maximum,
    lambda _ans, x, y: share_p(x, y),
    lambda _ans, x, y: share_p(y, x),
    masks=True,
)
minimum_p = Elementwise(
    "minimum",
    np.minimum,
    lambda _ans, x, y: share_p(y, x),
    lambda _ans, x, y: share_p(x, y),
    masks=True,
)


# s = z/|z|, 0 at 0. Turning z by an angle t turns s by t, stretching z leaves it: with
# t = Im(conj(s) z_dot)/|z| it is s_dot = i s t.
def _complex_sign_jvp(ans: Value, args: Sequence[Value], x_dots: Sequence[Value | None]) -> Value:
    size = absolute_p(args[0])
    angle = imag_p(conjugate_p(ans) * x_dots[0]) / where(equal_p(size, 0), 1, size)
    return ans * angle * 1j


complex_sign_p = General(
    "complex_sign",
    np.sign,
    _complex_sign_jvp,
    masks=True,
    shape=result_like(np.sign),
    batch=elementwise_batch,
)

# |z|_dot = Re(conj(z)/|z| z_dot); the subgradient at 0 is 0.
absolute_p = Elementwise(
    "absolute",
    np.absolute,
    lambda _ans, x: conjugate_p(complex_sign_p(x)) if dtype_of(x).kind == "c" else sign_p(x),
    masks=True,
)


class _Conjugate(Elementwise):
    """Antiholomorphic: both modes conjugate."""

    def push(self, ans: Any, args: Values, x_dots: OptionalValues, params: Params) -> Any:
        return None if x_dots[0] is None else conjugate_p(x_dots[0])

    def pull(
        self, ct: Any, ans: Any, args: Values, wanted: Sequence[Any], params: Params, strong: bool
    ) -> OptionalValues:
        return [conjugate_p(ct)]


conjugate_p = _Conjugate("conjugate", np.conjugate, 1.0)


def _operator(primitive: Primitive, swapped: bool = False) -> Callable[..., Value]:
    if swapped:
        return lambda self, other: primitive(other, self)
    return lambda self, other: primitive(self, other)  # noqa: PLW0108 - a function binds self


Tracer.__add__ = Tracer.__radd__ = _operator(add_p)
Tracer.__sub__ = _operator(subtract_p)
Tracer.__rsub__ = _operator(subtract_p, swapped=True)
Tracer.__mul__ = _operator(multiply_p)
Tracer.__rmul__ = _operator(multiply_p, swapped=True)
Tracer.__truediv__ = _operator(divide_p)
Tracer.__rtruediv__ = _operator(divide_p, swapped=True)
Tracer.__neg__ = lambda self: negative_p(self)  # noqa: PLW0108 - a function binds self
