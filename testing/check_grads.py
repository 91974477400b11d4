"""`check_grads`: compares derivatives of any order with what the function itself does."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..autodiff import trees
from ..autodiff.boundary import describe_any, function_name
from ..autodiff.core import PYTHON_DTYPES, Tracer, dtype_of
from ..autodiff.differentiate import jvp, vjp
from ..autodiff.handles import TracedArray
from .taylor import ROUNDING, Line
from .vectors import (
    inner,
    inner_size,
    is_inexact,
    leaves_of,
    map_leaves,
    precision_of,
    random_tangent,
    scaled,
    shifted,
)

MODES = ("fwd", "rev")


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = MODES,
    *,
    holomorphic: bool = False,
    directions: int = 1,
    seed: int = 0,
) -> None:
    """Checks the derivatives of ``f`` at ``args``, and raises AssertionError if one is wrong.

    Each derivative along a random direction is compared with the Taylor remainder of ``f``: the
    distance of ``f(x + h v)`` from the tangent must fall as h**2, over all h down to rounding, so
    no step size has to be chosen. Reverse mode is compared by random inner products, and with
    forward mode by ``<ct, J v> = <J^T ct, v>``. This is done for every subset of the arguments, and
    recursively for the derivatives themselves up to ``order``.

    Parameters
    ----------
    f : function of arrays, numbers or trees of them that returns such. It must be ``order + 1``
        times differentiable around ``args``.
    args : tuple of its arguments. Leaves of integer and bool dtypes are constants. float32 and
        complex64 are differentiated as they are; the differences are taken in double precision.
    order : the highest order of derivative that is checked.
    modes : which modes, ``"fwd"`` and ``"rev"``; with both also every nesting of them.
    holomorphic : also check that the derivative is complex linear.
    directions : how many random directions for each check.
    seed : of the random directions.

    >>> import xnp as np
    >>> np.testing.check_grads(lambda x, y: np.sin(x) * y, (1.0, np.ones(3)))
    """
    _check_arguments(f, args, order, modes, directions)
    rng = np.random.default_rng(seed)
    f, args = _without_constants(f, args)
    _check_result(f, f(*args))
    for _ in range(directions):
        _check(f, args, order, tuple(modes), holomorphic, rng, _Place(f))


def _without_constants(
    f: Callable[..., Any], args: Sequence[Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """``f`` as a function of the real and complex leaves of trees that hold other leaves, too."""
    pairs = [_inexact_leaves(arg) for arg in args]
    if all(whole is None for _, whole in pairs):
        return f, tuple(args)

    @functools.wraps(f, updated=())
    def of_leaves(*chosen: Any) -> Any:
        found = zip(pairs, chosen, strict=True)
        return f(*(x if whole is None else whole(x) for (_, whole), x in found))

    return of_leaves, tuple(chosen for chosen, _ in pairs)


def _inexact_leaves(arg: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """What of an argument is not constant, and the function that puts it back in its place; None
    where that is all of it.
    """
    leaves, unflatten = trees.flatten(arg)
    places = [i for i, leaf in enumerate(leaves) if is_inexact(leaf)]
    if len(places) in (0, len(leaves)):
        return arg, None

    def whole(chosen: Any) -> Any:
        found = list(leaves)
        for i, leaf in zip(places, chosen, strict=True):
            found[i] = leaf
        return trees.rebuild(unflatten, found)

    return [leaves[i] for i in places], whole


def _check_arguments(f: Any, args: Any, order: Any, modes: Any, directions: Any) -> None:
    if not callable(f):
        raise TypeError(f"check_grads: f is {describe_any(f)}, wanted a function")
    if not isinstance(args, (tuple, list)):
        raise TypeError(
            f"check_grads: args is {describe_any(args)}, wanted a tuple with one entry for each "
            "argument; write check_grads(f, (x,))"
        )
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"check_grads: order is {order!r}, wanted 1 or more")
    if not isinstance(directions, int) or directions < 1:
        raise ValueError(f"check_grads: directions is {directions!r}, wanted 1 or more")
    if isinstance(modes, str) or not modes or set(modes) - set(MODES):
        raise ValueError(f"check_grads: modes is {modes!r}, wanted some of {MODES}; write ('rev',)")
    inexact = [leaf for leaf in leaves_of(tuple(args)) if is_inexact(leaf)]
    if not all(np.isfinite(leaf).all() for leaf in inexact):
        raise ValueError("check_grads: args are not finite; choose a point inside the domain")
    if not inexact:
        raise ValueError(
            f"check_grads: none of the {len(args)} arguments is real or complex; pass floats"
        )


def _check_result(f: Callable[..., Any], result: Any) -> None:
    leaves = leaves_of(result)
    if result is None or (leaves and not any(map(_is_number, leaves))):
        raise ValueError(
            f"check_grads: {function_name(f)} returned {describe_any(result)}, wanted arrays, "
            "numbers, or a tree of them; does it lack a return statement?"
        )


class _Place:
    """What is being checked, for messages: ``rev of fwd of f``.

    ``precision`` is the machine epsilon of the results of ``f``, whose derivatives have no more.
    """

    def __init__(
        self, f: Callable[..., Any], outer: tuple[str, ...] = (), precision: float = 0.0
    ) -> None:
        self.f, self.outer, self.precision = f, outer, precision

    def inside(self, mode: str, out: Any) -> _Place:
        return _Place(self.f, (mode, *self.outer), max(self.precision, precision_of(out)))

    def __str__(self) -> str:
        path = " of ".join((*self.outer, function_name(self.f)))
        return f"order {len(self.outer) + 1}, {path}"


class _Sub:
    """``f`` as a function of the arguments at ``positions``; it returns the list of its real and
    complex results.
    """

    def __init__(
        self, f: Callable[..., Any], args: tuple[Any, ...], positions: Sequence[int]
    ) -> None:
        self.f, self.args, self.positions = f, args, tuple(positions)
        self.chosen = tuple(args[i] for i in positions)

    def __call__(self, *chosen: Any) -> list[Any]:
        args = list(self.args)
        for i, arg in zip(self.positions, chosen, strict=True):
            args[i] = arg
        leaves = [_unwrapped(leaf) for leaf in leaves_of(self.f(*args))]
        return [leaf for leaf in leaves if _has_derivative(leaf)]

    def __str__(self) -> str:
        names = [f"{i} ({describe_any(self.args[i])})" for i in self.positions]
        return f"argument{'s' * (len(names) > 1)} {', '.join(names)}"


def _unwrapped(leaf: Any) -> Any:
    """The value of a handle that nothing traces, as a rule under test may return it."""
    traced = type(leaf) is not TracedArray or isinstance(leaf.value, Tracer)
    return leaf if traced else leaf.value


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, (TracedArray, np.ndarray, np.generic)) or type(leaf) in PYTHON_DTYPES


def _has_derivative(leaf: Any) -> bool:
    return is_inexact(leaf) or (type(leaf) is TracedArray and dtype_of(leaf.value).kind in "fc")


def _check(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int,
    modes: tuple[str, ...],
    holomorphic: bool,
    rng: np.random.Generator,
    place: _Place,
) -> None:
    """Every subset of the arguments at first order, then the derivatives' derivatives."""
    positions = [i for i, arg in enumerate(args) if _is_differentiable(arg)]
    for subset in _subsets(positions, every=not place.outer):
        _check_first_order(_Sub(f, args, subset), modes, holomorphic, rng, place)
    if order == 1:
        return
    sub = _Sub(f, args, positions)
    v, out = random_tangent(sub.chosen, rng), sub(*sub.chosen)
    if "fwd" in modes:

        def push(*x: Any) -> Any:
            return jvp(sub, x, v)[1]

        _check(push, sub.chosen, order - 1, modes, holomorphic, rng, place.inside("fwd", out))
    if "rev" in modes:
        ct = random_tangent(out, rng)

        def pull(*x: Any) -> Any:
            return vjp(sub, *x)[1](ct)

        _check(pull, sub.chosen, order - 1, modes, holomorphic, rng, place.inside("rev", out))


def _is_differentiable(arg: Any) -> bool:
    leaves = leaves_of(arg)
    return bool(leaves) and all(map(is_inexact, leaves))


def _subsets(positions: list[int], every: bool) -> Iterator[tuple[int, ...]]:
    """The single arguments first, so that an error names the one that is off."""
    n = len(positions)
    sizes = range(1, n + 1) if every and n <= 4 else sorted({1, n} if every else {n})
    for size in sizes:
        yield from itertools.combinations(positions, size)


def _check_first_order(
    sub: _Sub,
    modes: tuple[str, ...],
    holomorphic: bool,
    rng: np.random.Generator,
    place: _Place,
) -> None:
    x = sub.chosen
    v = random_tangent(x, rng)
    out = sub(*x)
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in out):
        raise ValueError(f"check_grads: {place}: the value is not finite at the point given")
    if not out:
        return
    ct = random_tangent(out, rng)
    precision = max(place.precision, *map(precision_of, (sub.args, out)))
    line = _line(sub, v, place.precision)
    where = f"{place}, {sub}"
    if "fwd" in modes:
        value, out_dot = jvp(sub, x, v)
        _check_same_value(value, out, precision, f"{where}, mode fwd")
        for i, dot in enumerate(out_dot):
            _check_types(dot, out[i], f"{where}, mode fwd: the tangent of result {i}")
            verdict = line.judge(i, dot, precision)
            _raise_if_off(verdict, dot, f"{where}, mode fwd, result {i}")
        if holomorphic:
            _check_complex_linear(sub, v, out_dot, where)
    if "rev" in modes:
        value, pull = vjp(sub, *x)
        _check_same_value(value, out, precision, f"{where}, mode rev")
        cts = pull(ct)
        for i, g, arg in zip(sub.positions, cts, x, strict=True):
            _check_types(g, arg, f"{where}, mode rev: the cotangent of argument {i}")
        _check_reverse(sub, line, precision, ct, cts, v, where)
        if "fwd" in modes:
            # Where J vanishes, the rounding errors of the values are all that is left.
            least = ROUNDING * precision * inner_size(ct, out)
            _check_pairing((ct, out_dot), (cts, v), precision, least, where)


def _line(sub: _Sub, v: Any, precision: float) -> Line:
    wide = _Sub(sub.f, _widened(sub.args), sub.positions)
    v = _widened(v)
    scale = max((float(np.max(np.abs(a), initial=0.0)) for a in leaves_of(wide.chosen)), default=0)
    return Line(wide, lambda h: shifted(wide.chosen, h, v), scale or 1.0, precision)


def _widened(tree: Any) -> Any:
    """Real and complex arrays in double precision; the rest as it is."""

    def widen(leaf: Any) -> Any:
        if not isinstance(leaf, (np.ndarray, np.generic)) or not is_inexact(leaf):
            return leaf
        return leaf.astype(np.result_type(leaf, np.float64))

    return map_leaves(widen, tree)


def _check_same_value(value: Any, wanted: list[Any], precision: float, where: str) -> None:
    for i, (a, b) in enumerate(zip(value, wanted, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        size = np.max(np.abs(b), initial=0.0)
        if a.shape != b.shape or np.any(np.abs(a - b) > ROUNDING * precision * size):
            raise AssertionError(f"check_grads: {where}: the value of result {i} is {a}, not {b}")


def _check_types(found: Any, like: Any, where: str) -> None:
    for a, b in zip(leaves_of(found), leaves_of(like), strict=True):
        got, wanted = (np.shape(a), dtype_of(a)), (np.shape(b), dtype_of(b))
        if got != wanted:
            raise AssertionError(f"check_grads: {where} has shape and dtype {got}, not {wanted}")


def _raise_if_off(verdict: Any, found: Any, where: str) -> None:
    if not verdict.off.any():
        return
    at = tuple(int(i) for i in np.argwhere(verdict.off)[0])
    expected, found = np.asarray(verdict.expected)[at], np.asarray(found)[at]
    element = f" at {list(at)}" if at else ""
    raise AssertionError(
        f"check_grads: {where}: {int(verdict.off.sum())} of {verdict.off.size} elements are off; "
        f"along a random direction the derivative{element} is {expected:.8g} by differences, found "
        f"{found:.8g}{_ratio(found, expected)} (the remainder falls as h^{verdict.slope:.1f}, "
        "wanted h^2)"
    )


def _ratio(found: Any, expected: Any) -> str:
    return f", {found / expected:.6g} times that" if expected else ""


def _check_reverse(
    sub: _Sub, line: Line, precision: float, ct: Any, cts: Any, v: Any, where: str
) -> None:
    found = inner(cts, v)
    verdict = line.judge(0, np.float64(found), precision, ct)
    # The pairing may cancel, its rounding errors do not.
    tolerance = ROUNDING * precision * inner_size(cts, v)
    if verdict.off.any() and abs(found - float(verdict.expected)) > tolerance:
        raise AssertionError(
            f"check_grads: {where}, mode rev: <J^T ct, v> is {found:.8g}, differences give "
            f"{float(verdict.expected):.8g} for <ct, J v>{_ratio(found, float(verdict.expected))} "
            f"(the remainder falls as h^{verdict.slope:.1f}, wanted h^2)"
            + _elements_off(sub, ct, cts)
        )


def _elements_off(sub: _Sub, ct: Any, cts: Any, limit: int = 200) -> str:
    """Which elements of the cotangents differ from central differences, for messages."""
    wide = _Sub(sub.f, _widened(sub.args), sub.positions)
    leaves, unflatten = trees.flatten(wide.chosen)
    found = leaves_of(cts)
    if sum(np.size(leaf) for leaf in leaves) > limit:
        return ""
    off, first, total = 0, "", 0
    for k, leaf in enumerate(leaves):
        for at in np.ndindex(np.shape(leaf)):
            expected = _partial(wide, unflatten, leaves, k, at, ct)
            got = np.asarray(found[k])[at]
            total += 1
            if abs(got - expected) > 1e-4 * (1 + abs(expected)):
                off += 1
                first = first or f"leaf {k} at {list(at)} expected {expected:.6g}, found {got:.6g}"
    return f"; {off} of {total} elements of J^T ct are off: {first}" if off else ""


def _partial(sub: _Sub, unflatten: Any, leaves: list[Any], k: int, at: Any, ct: Any) -> Any:
    """The derivative of <ct, f> in one element, x - iy of those in its parts if it is complex."""

    def along(unit: complex) -> float:
        values = []
        for h in (6e-6, -6e-6):
            moved = np.array(leaves[k])
            moved[at] += h * unit
            new = [*leaves[:k], moved, *leaves[k + 1 :]]
            values.append(inner(ct, sub(*trees.rebuild(unflatten, new))))
        return (values[0] - values[1]) / 1.2e-5

    if dtype_of(leaves[k]).kind == "c":
        return along(1) - 1j * along(1j)
    return along(1)


def _check_pairing(left: Any, right: Any, precision: float, least: float, where: str) -> None:
    a, b = inner(*left), inner(*right)
    size = max(inner_size(*left), inner_size(*right))
    if not abs(a - b) <= ROUNDING * precision * size + least:
        raise AssertionError(
            f"check_grads: {where}: <ct, J v> by fwd is {a:.8g}, <J^T ct, v> by rev is {b:.8g}"
        )


def _check_complex_linear(sub: _Sub, v: Any, out_dot: Any, where: str) -> None:
    if any(dtype_of(leaf).kind != "c" for leaf in leaves_of(sub.chosen)):
        raise ValueError(f"check_grads: {where}: holomorphic=True wants complex arguments")
    turned = jvp(sub, sub.chosen, scaled(v, 1j))[1]
    for i, (a, b) in enumerate(zip(turned, out_dot, strict=True)):
        size = np.max(np.abs(b), initial=0.0)
        if np.any(np.abs(a - 1j * np.asarray(b)) > ROUNDING * precision_of(b) * size):
            raise AssertionError(f"check_grads: {where}: result {i} is not holomorphic")
