"""`grad`, `value_and_grad`, `vjp`, `jvp`, `linearize`, `stop_gradient`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import boundary, trees
from .boundary import Argnums, Selection, describe_any, function_name
from .core import PYTHON_DTYPES, Value, dtype_of, shape_of
from .errors import DifferentiationError
from .foreign import Witness
from .forward import JVPTrace, JVPTracer
from .handles import TracedArray, value_of, wrap
from .rules import convert, stop_gradient_p, zeros_like
from .tape import Node, TapeTrace, TapeTracer, pull_back, push_forward

_ONE = np.float64(1.0)


class _Taped:
    """One run of a function on a tape: the selected arguments' leaves are its variables."""

    __slots__ = ("holomorphic", "kinds", "trace", "tracers", "what")

    def __init__(self, what: str, holomorphic: bool = False) -> None:
        self.what, self.holomorphic = what, holomorphic
        self.trace = TapeTrace()
        self.tracers: list[TapeTracer] = []
        self.kinds: list[int] = []

    def enter(self, label: Callable[[], str], tree: Any) -> tuple[Any, Any, int]:
        """The argument with handles for leaves; its rebuilding function and number of leaves."""
        leaves, unflatten = trees.flatten(tree)
        for i, leaf in enumerate(leaves):
            if unflatten is None:
                where = label
            else:
                where = lambda i=i: f"{label()}, leaf {trees.paths(tree, 'x')[i]}"
            boundary.check_differentiable(self.what, where, leaf, holomorphic=self.holomorphic)
            leaves[i] = self.variable(leaf)
        return trees.rebuild(unflatten, leaves), unflatten, len(leaves)

    def variable(self, leaf: Any) -> TracedArray:
        """A handle on the tape for a leaf of an argument."""
        value, kind = boundary.enter(leaf)
        tracer = self.trace.variable(value)
        self.tracers.append(tracer)
        self.kinds.append(kind)
        return wrap(tracer, kind)

    def strip(self, value: Value) -> Value:
        if type(value) is TapeTracer and value.trace is self.trace:
            return value.primal
        return value

    def leave(self, tree: Any) -> Any:
        return trees.map_leaves(lambda leaf: boundary.leave(leaf, self.strip), tree)

    def node(self, leaf: Any) -> Node | None:
        """The node a result's leaf depends on."""
        value = leaf.value if type(leaf) is TracedArray else leaf
        return value.node if type(value) is TapeTracer and value.trace is self.trace else None

    def pull_back(self, outputs: list[tuple[Node, Value]], seen: set[int]) -> list[Any]:
        """The derivatives for all variables, zeros where nothing depends on one. ``seen``: ids of
        arrays that results must not share.
        """
        tracers = self.tracers
        cts = pull_back(outputs, [tracer.node for tracer in tracers])
        for i, ct in enumerate(cts):
            if ct is None:
                ct = zeros_like(tracers[i].primal)
            cts[i] = boundary.fresh(ct, self.kinds[i], seen)
        return cts


def value_and_grad(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The value of ``fun`` together with its gradient; the arguments are those of `grad`.

    Returns a function with ``fun``'s signature that gives ``(value, gradient)``, or
    ``((value, aux), gradient)`` with ``has_aux``.

    >>> import xnp as np
    >>> value, gradient = np.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    >>> print(value, gradient)
    5.0 [2. 4.]
    """
    return value_and_grad_of("value_and_grad", fun, argnums, has_aux, holomorphic)


def value_and_grad_of(
    what: str,
    fun: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    holomorphic: bool,
    want_value: bool = True,
) -> Callable[..., Any]:
    selection = Selection(what, fun, argnums)

    @functools.wraps(fun, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        run = _Taped(what, holomorphic)
        entered: list[tuple[Any, int]] = []
        with run.trace:
            new_args, new_kwargs = list(args), kwargs
            position = selection.position
            if position is not None and 0 <= position < len(args):
                keys: Sequence[int | str] = (position,)
            else:
                keys = selection.keys(args, kwargs)
            for key in keys:
                given = kwargs[key] if isinstance(key, str) else args[key]
                if type(given) is np.ndarray and given.dtype.kind == "f" and not holomorphic:
                    tree, unflatten, count = run.variable(given), None, 1  # the usual case
                else:
                    label = functools.partial(selection.label, key)
                    tree, unflatten, count = run.enter(label, given)
                entered.append((unflatten, count))
                if isinstance(key, str):
                    new_kwargs = {**new_kwargs, key: tree}
                else:
                    new_args[key] = tree
            result = fun(*new_args, **new_kwargs)
            aux = None
            if has_aux:
                result, aux = boundary.split_aux(what, fun, result)
            ct = _check_scalar(what, fun, result, holomorphic)
            node = run.node(result)
        gradients = run.pull_back([] if node is None else [(node, ct)], set())
        gradient = _rebuilt(entered, gradients)
        gradient = gradient[0] if selection.single else gradient
        if not want_value:
            return (gradient, run.leave(aux)) if has_aux else gradient
        value = boundary.leave(result, run.strip)
        return ((value, run.leave(aux)) if has_aux else value), gradient

    return wrapped


def _rebuilt(entered: Sequence[tuple[Any, int]], leaves: list[Any]) -> tuple[Any, ...]:
    """The trees of all arguments, from the leaves of all of them in one list."""
    if len(entered) == 1:
        return (trees.rebuild(entered[0][0], leaves),)
    out = []
    start = 0
    for unflatten, count in entered:
        out.append(trees.rebuild(unflatten, leaves[start : start + count]))
        start += count
    return tuple(out)


def _check_scalar(what: str, fun: Callable[..., Any], result: Any, holomorphic: bool) -> Value:
    """1 in the dtype of ``result``, which must be a real (if holomorphic, complex) scalar."""
    if type(result) is TracedArray and not holomorphic:
        value = result.value
        if type(value) is TapeTracer and type(value.primal) is np.float64:
            return _ONE  # the usual case, all checks passed
    name = function_name(fun)
    if not (
        isinstance(result, (TracedArray, np.ndarray, np.generic)) or type(result) in PYTHON_DTYPES
    ):
        why = "; does it lack a return statement?" if result is None else ""
        if isinstance(result, tuple):
            why = "; to return extra results, set has_aux=True and return (value, aux)"
        raise DifferentiationError(
            f"{what}: {name} returned {describe_any(result)}, wanted a scalar{why}"
        )
    value = result.value if type(result) is TracedArray else result
    shape, dtype = shape_of(value), dtype_of(value)
    if shape:
        raise DifferentiationError(
            f"{what}: {name} returned {describe_any(result)}, wanted a scalar; reduce it with "
            "np.sum(...) or np.mean(...), or use xnp.jacobian for all its derivatives."
        )
    if dtype.kind == "c" and not holomorphic:
        raise DifferentiationError(
            f"{what}: {name} returned a complex scalar; take np.real(...) or np.abs(...) of it, or "
            "set holomorphic=True if it is a holomorphic function of complex arguments."
        )
    if dtype.kind not in "fc" or (holomorphic and dtype.kind != "c"):
        wanted = "complex, as holomorphic=True says" if holomorphic else "floating"
        raise DifferentiationError(
            f"{what}: {name} returned {describe_any(result)}, wanted {wanted}"
        )
    return dtype.type(1)


def grad(
    fun: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The gradient of a scalar function, by reverse mode.

    Parameters
    ----------
    fun : function returning a real scalar. Its arguments may be arrays, numbers, and trees (lists,
        tuples, dicts, named tuples, registered dataclasses) of them; Python loops, branches on
        values, recursion and in-place writes are all fine.
    argnums : which arguments to differentiate with respect to: a position, a parameter's name, or
        a tuple of them; default the first.
    has_aux : ``fun`` returns ``(value, aux)``; the result is ``(gradient, aux)``.
    holomorphic : ``fun`` is a holomorphic function of complex arguments; the result is its
        complex derivative.

    Returns
    -------
    A function with ``fun``'s signature that returns the gradient: the shape, dtype and tree of the
    argument (a tuple of them if ``argnums`` is one).

    Complex arguments: for real f of z = x + iy the gradient is df/dx - i df/dy, as in JAX (PyTorch
    gives the conjugate). A step against the gradient is ``z -= rate * np.conj(gradient)``.

    Raises
    ------
    DifferentiationError : an integer argument, a result that is no real scalar, a None result.

    >>> import xnp as np
    >>> print(np.grad(np.sin)(0.0))
    1.0
    >>> print(np.grad(np.grad(lambda x, n: x**n))(2.0, 3))
    12.0
    """
    return value_and_grad_of("grad", fun, argnums, has_aux, holomorphic, want_value=False)


class _Record(NamedTuple):
    """One run of a function of ``primals`` on a tape, for `vjp` and `linearize`."""

    run: _Taped
    entered: list[tuple[Any, int]]  # of each primal: how to rebuild its tree, its leaves' number
    out: Any
    aux: Any
    unflatten: Any  # of out, whose leaves have these
    nodes: list[Node | None]
    ends: list[tuple[Value, int]]  # values without tracers of this run, and kinds
    witness: Witness


def _record(what: str, fun: Callable[..., Any], primals: Sequence[Any], has_aux: bool) -> _Record:
    boundary.check_callable(what, fun)
    run = _Taped(what)
    with run.trace:
        entered = [run.enter(lambda i=i: f"primal {i}", tree) for i, tree in enumerate(primals)]
        result, aux = fun(*(tree for tree, _, _ in entered)), None
        if has_aux:
            result, aux = boundary.split_aux(what, fun, result)
        leaves, unflatten = boundary.result_leaves(what, fun, result)
        nodes = [run.node(leaf) for leaf in leaves]
        ends = [boundary.enter(leaf) for leaf in leaves]
        witness = Witness(what)
    out, aux = run.leave(result), run.leave(aux) if has_aux else None
    ends = [(run.strip(value), kind) for value, kind in ends]
    trees_of_primals = [entry[1:] for entry in entered]
    return _Record(run, trees_of_primals, out, aux, unflatten, nodes, ends, witness)


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``fun(*primals)`` and the map from a cotangent of the result to those of ``primals``.

    Returns ``(out, pull)`` or ``(out, pull, aux)``; ``pull(ct)``, with ``ct`` of the tree, shapes
    and dtypes of ``out``, gives a tuple with one tree for each of ``primals``. It may be called any
    number of times, also under other transformations.

    >>> import xnp as np
    >>> y, pull = np.vjp(lambda x: x * np.array([2.0, 3.0]), np.array([1.0, 1.0]))
    >>> print(pull(np.array([1.0, 10.0]))[0])
    [ 2. 30.]
    """
    return vjp_of("vjp", fun, primals, has_aux)


def vjp_of(what: str, fun: Callable[..., Any], primals: Sequence[Any], has_aux: bool) -> Any:
    """`vjp`, by the name that error texts give it."""
    record = _record(what, fun, primals, has_aux)
    run, out = record.run, record.out
    like = [type_of(value) for value, _ in record.ends]

    def pull(ct: Any) -> tuple[Any, ...]:
        record.witness.check()
        cts = _matching_leaves(what, "cotangent", ct, out, like)
        pairs = zip(record.nodes, cts, strict=True)
        outputs = [(node, c) for node, c in pairs if node is not None]
        gradients = run.pull_back(outputs, {id(c) for c in cts})
        return _rebuilt(record.entered, gradients)

    return (out, pull, record.aux) if has_aux else (out, pull)


def type_of(value: Value) -> tuple[Any, Any]:
    return shape_of(value), dtype_of(value)


def _matching_leaves(
    what: str, role: str, tree: Any, like_tree: Any, like: Sequence[tuple[Any, Any]]
) -> list[Value]:
    """The leaves of a (co)tangent as Values, checked against the values they belong to."""
    leaves, _ = trees.flatten(tree)
    if not trees.match(tree, like_tree):
        raise DifferentiationError(
            f"{what}: the {role} must have the tree of the value it belongs to, "
            f"{trees.structure(like_tree)}, got {trees.structure(tree)}"
        )
    values = []
    for leaf, (shape, dtype) in zip(leaves, like, strict=True):
        value = value_of(leaf)
        if shape_of(value) != shape:
            raise DifferentiationError(
                f"{what}: a {role} has shape {shape_of(value)}, its value has shape {shape}"
            )
        if dtype.kind in "fc" and not np.can_cast(dtype_of(value), dtype, "same_kind"):
            raise DifferentiationError(
                f"{what}: a {role} has dtype {dtype_of(value)}, its value has dtype {dtype}"
            )
        if dtype.kind in "fc":
            value = cast_leaf(value, dtype)
        values.append(value)
    return values


def cast_leaf(value: Value, dtype: Any) -> Value:
    if type(value) in PYTHON_DTYPES:
        return dtype.type(value)
    return value if dtype_of(value) == dtype else convert(value, dtype)


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """``fun(*primals)`` and its directional derivative along ``tangents``, by forward mode.

    ``primals`` and ``tangents`` are tuples or lists with one tree for each argument, of equal
    shapes. Returns ``(out, out_dot)``, or ``(out, out_dot, aux)`` with ``has_aux``.

    >>> import xnp as np
    >>> y, y_dot = np.jvp(np.sin, (0.0,), (2.0,))
    >>> print(y, y_dot)
    0.0 2.0
    """
    return jvp_of("jvp", fun, primals, tangents, has_aux)


def jvp_of(
    what: str,
    fun: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool,
) -> Any:
    """`jvp`, by the name that error texts give it."""
    boundary.check_callable(what, fun)
    _check_pairs(what, primals, tangents)
    trace = JVPTrace()

    def strip(value: Value) -> Value:
        return value.primal if type(value) is JVPTracer and value.trace is trace else value

    def strip_tree(tree: Any) -> Any:
        return trees.map_leaves(lambda leaf: boundary.leave(leaf, strip), tree)

    seen: set[int] = set()  # arrays that results must not share
    with trace:
        pairs = enumerate(zip(primals, tangents, strict=True))
        args = [_paired(what, trace, i, primal, tangent, seen) for i, (primal, tangent) in pairs]
        result, aux = fun(*args), None
        if has_aux:
            result, aux = boundary.split_aux(what, fun, result)
        leaves, unflatten = boundary.result_leaves(what, fun, result)
        dots = []
        for leaf in leaves:
            value, kind = boundary.enter(leaf)
            traced = type(value) is JVPTracer and value.trace is trace
            dots.append((value.x_dot if traced else zeros_like(value), kind))
    out_dots = [boundary.fresh(x_dot, kind, seen) for x_dot, kind in dots]
    out, out_dot = strip_tree(result), trees.rebuild(unflatten, out_dots)
    return (out, out_dot, strip_tree(aux)) if has_aux else (out, out_dot)


def _check_pairs(what: str, primals: Any, tangents: Any) -> None:
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise TypeError(
                f"{what}: {name} must be a tuple or list with one entry for each argument, got "
                f"{describe_any(given)}; write {what}(f, (x,), (x_dot,))"
            )
    if len(primals) != len(tangents):
        raise TypeError(f"{what}: {len(primals)} primals but {len(tangents)} tangents")


def _paired(what: str, trace: JVPTrace, i: int, primal: Any, tangent: Any, seen: set[int]) -> Any:
    """Argument i with handles for leaves, that carry the leaves of ``tangent``."""
    leaves, unflatten = trees.flatten(primal)
    for leaf in leaves:
        boundary.check_differentiable(what, lambda: f"primal {i}", leaf)
    pairs = [boundary.enter(leaf) for leaf in leaves]
    x_dots = _matching_leaves(what, "tangent", tangent, primal, [type_of(x) for x, _ in pairs])
    seen.update(map(id, x_dots))
    handles = [
        wrap(JVPTracer(trace, value, x_dot), kind)
        for (value, kind), x_dot in zip(pairs, x_dots, strict=True)
    ]
    return trees.rebuild(unflatten, handles)


def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``fun(*primals)`` and its derivative there as a linear function of tangents.

    ``fun`` runs once; each call of the linear function reads the tape forward. Returns
    ``(out, push)`` or ``(out, push, aux)``; ``push(*tangents)`` gives the tangent of ``out``.

    >>> import xnp as np
    >>> y, push = np.linearize(np.exp, 0.0)
    >>> print(y, push(1.0), push(3.0))
    1.0 1.0 3.0
    """
    return linearize_of("linearize", fun, primals, has_aux)


def linearize_of(what: str, fun: Callable[..., Any], primals: Sequence[Any], has_aux: bool) -> Any:
    """`linearize`, by the name that error texts give it."""
    record = _record(what, fun, primals, has_aux)
    run, nodes, out = record.run, record.nodes, record.out
    tape = [node for node in nodes if node is not None]

    def push(*tangents: Any) -> Any:
        record.witness.check()
        if len(tangents) != len(primals):
            raise TypeError(f"{what}: {len(primals)} primals but {len(tangents)} tangents")
        x_dots: list[Value] = []
        start = 0
        for (_, count), tangent, primal in zip(record.entered, tangents, primals, strict=True):
            tracers = run.tracers[start : start + count]
            like = [type_of(tracer.primal) for tracer in tracers]
            x_dots += _matching_leaves(what, "tangent", tangent, primal, like)
            start += count
        inputs = list(zip((tracer.node for tracer in run.tracers), x_dots, strict=True))
        with np.errstate(all="ignore"):
            found = iter(push_forward(inputs, tape))
        seen: set[int] = set(map(id, x_dots))
        dots = []
        for node, (value, kind) in zip(nodes, record.ends, strict=True):
            dot = None if node is None else next(found)
            dots.append(boundary.fresh(zeros_like(value) if dot is None else dot, kind, seen))
        return trees.rebuild(record.unflatten, dots)

    return (out, push, record.aux) if has_aux else (out, push)


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: every derivative with respect to it is zero from here on.

    ``x`` may be an array, a number or a tree of them.

    >>> import xnp as np
    >>> print(np.grad(lambda x: x * np.stop_gradient(x))(3.0))
    3.0
    """

    def stop(leaf: Any) -> Any:
        if type(leaf) is TracedArray:
            return wrap(stop_gradient_p(leaf.value), leaf._kind)
        return leaf

    return trees.map_leaves(stop, x)
