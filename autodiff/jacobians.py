"""`jacfwd`, `jacrev`, `jacobian`, `hessian`, `hvp`, `derivative`: composites of vjp, jvp, vmap."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import boundary, shapes, trees
from .boundary import Argnums, Selection, describe_any, function_name
from .core import PYTHON_DTYPES, Tracer, Value, dtype_of, shape_of
from .differentiate import jvp_of, linearize_of, value_and_grad_of, vjp_of
from .errors import DifferentiationError
from .handles import ARRAY0D, TracedArray, wrap
from .primitives.matrices import eye
from .rules import reshape_p, zeros
from .vectorize import vmap


def _partial(
    selection: Selection, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], list[Any]]:
    """The function of the selected arguments alone, and those arguments, which are
    differentiable.
    """
    keys = selection.keys(args, kwargs)
    chosen = [kwargs[key] if isinstance(key, str) else args[key] for key in keys]
    for key, tree in zip(keys, chosen, strict=True):
        for leaf in trees.flatten(tree)[0]:
            label = functools.partial(selection.label, key)
            boundary.check_differentiable(selection.what, label, leaf)

    @functools.wraps(selection.fun, updated=())
    def fun(*selected: Any) -> Any:
        new_args, new_kwargs = list(args), dict(kwargs)
        for key, value in zip(keys, selected, strict=True):
            if isinstance(key, str):
                new_kwargs[key] = value
            else:
                new_args[key] = value
        return selection.fun(*new_args, **new_kwargs)

    return fun, chosen


def _type(leaf: Any) -> tuple[tuple[Any, ...], Any]:
    value = leaf.value if type(leaf) is TracedArray else leaf
    return shape_of(value), dtype_of(value)


def _reshaped(x: Any, shape: tuple[Any, ...]) -> Any:
    if type(x) is TracedArray:
        return wrap(reshape_p(x.value, shape=shape))
    return np.reshape(x, shape)


def _basis(shape: tuple[Any, ...], dtype: Any) -> Any:
    size = shapes.prod(shape)
    return _array(reshape_p(eye(size, size, 0, np.dtype(dtype)), shape=(size, *shape)))


def _array(value: Value) -> Any:
    """An array as users have them: where sizes are symbolic, a handle."""
    return wrap(value, ARRAY0D) if isinstance(value, Tracer) else value


def _zeros(leaf: Any) -> Any:
    return _array(zeros(*_type(leaf)))


def _check_kind(what: str, label: str, leaf: Any, holomorphic: bool) -> None:
    """Real, or complex if holomorphic: what a Jacobian of numbers can be made of."""
    dtype = _type(leaf)[1]
    if dtype.kind == "c" and not holomorphic:
        raise DifferentiationError(
            f"{what}: {label} is {describe_any(leaf)}; split it into np.real and np.imag parts, or "
            "set holomorphic=True if the function is holomorphic."
        )
    if dtype.kind not in "fc" or (holomorphic and dtype.kind != "c"):
        raise DifferentiationError(
            f"{what}: {label} is {describe_any(leaf)}; wanted a "
            f"{'complex' if holomorphic else 'real floating'} dtype."
        )


def jacrev(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of ``fun`` by reverse mode, one pull for each output element, all in one batch.

    Good where the result is smaller than the argument. The arguments are those of `grad`, except
    that the result may have any shape and be a tree. Returns a function that gives, for each leaf
    of the result, a tree like the argument with leaves of shape ``result.shape + argument.shape``.

    >>> import xnp as np
    >>> print(np.jacrev(lambda x: x**2)(np.array([1.0, 2.0])))
    [[2. 0.]
     [0. 4.]]
    """
    return _jacrev("jacrev", fun, argnums, has_aux, holomorphic)


def _jacrev(
    what: str, fun: Callable[..., Any], argnums: Argnums, has_aux: bool, holomorphic: bool
) -> Callable[..., Any]:
    selection = Selection(what, fun, argnums)

    @functools.wraps(fun, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        partial, chosen = _partial(selection, args, kwargs)
        out, pull, *aux = vjp_of(what, partial, chosen, has_aux)
        leaves, unflatten = trees.flatten(out)
        for leaf in leaves:
            _check_kind(what, f"a result of {function_name(fun)}", leaf, holomorphic)
        rows = [_row(pull, leaves, unflatten, k) for k in range(len(leaves))]
        if selection.single:
            rows = [row[0] for row in rows]
        result = trees.rebuild(unflatten, rows)
        return (result, *aux) if has_aux else result

    return wrapped


def _row(pull: Any, leaves: list[Any], unflatten: Any, k: int) -> Any:
    """The derivatives of leaf k of the result, in the trees of the arguments."""
    shape, dtype = _type(leaves[k])

    def pull_one(ct: Any) -> Any:
        cts = [ct if i == k else _zeros(other) for i, other in enumerate(leaves)]
        return pull(trees.rebuild(unflatten, cts))

    if not shape:
        return pull_one(dtype.type(1))
    gradients = vmap(pull_one)(_basis(shape, dtype))
    return trees.map_leaves(lambda g: _reshaped(g, shape + _type(g)[0][1:]), gradients)


def jacfwd(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of ``fun`` by forward mode, one push for each argument element, in one batch.

    Good where the argument is smaller than the result. Arguments and result are those of `jacrev`.

    >>> import xnp as np
    >>> print(np.jacfwd(lambda t: np.array([np.cos(t), np.sin(t)]))(0.0))
    [-0.  1.]
    """
    return _jacfwd("jacfwd", fun, argnums, has_aux, holomorphic)


def _jacfwd(
    what: str, fun: Callable[..., Any], argnums: Argnums, has_aux: bool, holomorphic: bool
) -> Callable[..., Any]:
    selection = Selection(what, fun, argnums)

    @functools.wraps(fun, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        partial, chosen = _partial(selection, args, kwargs)
        leaves, unflatten = trees.flatten(tuple(chosen))
        for leaf in leaves:
            _check_kind(what, f"an argument of {function_name(fun)}", leaf, holomorphic)
        out, push, *aux = linearize_of(what, partial, chosen, has_aux)
        _, out_unflatten = trees.flatten(out)
        columns = [_column(push, leaves, unflatten, k) for k in range(len(leaves))]
        rows = [trees.rebuild(unflatten, list(row)) for row in zip(*columns, strict=True)]
        if selection.single:
            rows = [row[0] for row in rows]
        result = trees.rebuild(out_unflatten, rows)
        return (result, *aux) if has_aux else result

    return wrapped


def _column(push: Any, leaves: list[Any], unflatten: Any, k: int) -> list[Any]:
    """The derivatives of all leaves of the result with respect to leaf k of the arguments."""
    shape, dtype = _type(leaves[k])

    def push_one(x_dot: Any) -> Any:
        x_dots = [x_dot if i == k else _zeros(other) for i, other in enumerate(leaves)]
        return push(*trees.rebuild(unflatten, x_dots))

    if not shape:
        return trees.flatten(push_one(dtype.type(1)))[0]
    found, _ = trees.flatten(vmap(push_one, out_axes=-1)(_basis(shape, dtype)))
    return [_reshaped(x, _type(x)[0][:-1] + shape) for x in found]


def jacobian(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of ``fun``: `jacrev` by its usual name.

    >>> import xnp as np
    >>> print(np.jacobian(np.cumsum)(np.ones(3)))
    [[1. 0. 0.]
     [1. 1. 0.]
     [1. 1. 1.]]
    """
    return _jacrev("jacobian", fun, argnums, has_aux, holomorphic)


def hessian(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The matrix of second derivatives of a scalar function: forward over reverse mode.

    Returns a function that gives, for an argument of shape s, an array of shape ``s + s`` (a tree
    of trees for a tree). A result that is no scalar gives ``result.shape + s + s``.

    >>> import xnp as np
    >>> print(np.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0])))
    [[6. 2.]
     [2. 0.]]
    """
    inner = _jacrev("hessian", fun, argnums, has_aux, holomorphic)
    return _jacfwd("hessian", inner, argnums, has_aux, holomorphic)


def hvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """The product of the Hessian of a scalar function with a vector, without the Hessian.

    ``primals`` and ``tangents`` are tuples as for `jvp`. The cost is a small multiple of the
    function's. Returns the product, in the tree of the primal (a tuple for several), or
    ``(product, aux)``.

    >>> import xnp as np
    >>> print(np.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),)))
    [ 6. 12.]
    """
    if not isinstance(primals, (tuple, list)):
        raise TypeError(
            f"hvp: primals must be a tuple with one entry for each argument, got "
            f"{describe_any(primals)}; write hvp(f, (x,), (v,))"
        )
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))

    def gradient(*args: Any) -> Any:
        value, found = value_and_grad_of("hvp", fun, argnums, has_aux, False)(*args)
        return (found, value[1]) if has_aux else found

    out = jvp_of("hvp", gradient, primals, tangents, has_aux)
    return (out[1], out[2]) if has_aux else out[1]


def derivative(fun: Callable[..., Any], n: int = 1) -> Callable[..., Any]:
    """The n-th derivative of a function of one number, by n-fold forward mode.

    ``fun`` takes a real or complex number first; its result may have any shape. For many points use
    ``vmap(derivative(f, n))``.

    >>> import xnp as np
    >>> print(np.derivative(np.sin, 3)(0.0))
    -1.0
    >>> print(np.vmap(np.derivative(lambda x: x**4, 2))(np.array([1.0, 2.0])))
    [12. 48.]
    """
    boundary.check_callable("derivative", fun)
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
        raise ValueError(f"derivative: n is {n!r}; wanted a number of derivatives, 0 or more")
    if n == 0:
        return fun
    inner = derivative(fun, n - 1)

    @functools.wraps(fun, updated=())
    def wrapped(x: Any, *args: Any, **kwargs: Any) -> Any:
        boundary.check_differentiable("derivative", lambda: "argument 0", x)
        shape, dtype = _type(x)
        if shape:
            raise DifferentiationError(
                f"derivative: argument 0 of {function_name(fun)} is {describe_any(x)}; wanted a "
                "number. For each element of an array write vmap(derivative(f, n))(x)."
            )
        one = 1.0 if type(x) in PYTHON_DTYPES else dtype.type(1)
        call = functools.wraps(fun, updated=())(lambda y: inner(y, *args, **kwargs))
        return jvp_of("derivative", call, (x,), (one,), False)[1]

    return wrapped
