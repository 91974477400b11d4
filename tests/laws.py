"""The laws that hold for every operation, as functions of a case; the drivers are test_op_*.py.

A law restricts the case's function to the arguments it differentiates and to its real and complex
results: a function of several trees that returns a list of arrays.
"""

import contextlib
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import differences
import numpy
from op_table import Case, copied

import xnp
from xnp.autodiff import trees
from xnp.autodiff.core import describe_type, dtype_of
from xnp.autodiff.handles import ARRAY0D, WEAK, TracedArray, wrap
from xnp.testing.vectors import (
    inner,
    inner_size,
    is_inexact,
    leaves_of,
    map_leaves,
    precision_of,
    random_tangent,
    shifted,
)

ERROR_FACTOR = 16.0  # how far an error estimate of differences may be off


def rng_of(case: Case, *key: Any) -> numpy.random.Generator:
    return numpy.random.default_rng(zlib.crc32(repr((str(case), key)).encode()))


def describe(tree: Any) -> str:
    """``(f64[3], f64[])`` for messages."""
    parts = []
    for leaf in leaves_of(tree):
        known = isinstance(leaf, (numpy.ndarray, numpy.generic))
        parts.append(describe_type(leaf.shape, leaf.dtype) if known else repr(leaf))
    return f"({', '.join(parts)})"


class Restricted:
    """``case.fun`` as a function of the arguments at ``positions``."""

    def __init__(self, case: Case, positions: Sequence[int]) -> None:
        self.case, self.positions = case, tuple(positions)
        self.args = case.args
        self.chosen = tuple(self.args[i] for i in positions)

    def full(self, *chosen: Any) -> Any:
        args = list(self.args)
        for i, arg in zip(self.positions, chosen, strict=True):
            args[i] = arg
        return self.case.op.fun(*args)

    def __call__(self, *chosen: Any) -> list[Any]:
        return [leaf for leaf in leaves_of(self.full(*chosen)) if has_inexact_dtype(leaf)]

    def __str__(self) -> str:
        return f"{self.case} {describe(self.args)}, arguments {self.positions}"

    def tangent(self, *key: Any) -> tuple[Any, ...]:
        """A random tangent of ``chosen``, the same for every subset that an argument is in."""
        whole = random_tangent(self.args, rng_of(self.case, "tangent", *key))
        return tuple(whole[i] for i in self.positions)

    def cotangent(self, out: list[Any], *key: Any) -> list[Any]:
        return random_tangent(out, rng_of(self.case, "cotangent", *key))


def has_inexact_dtype(leaf: Any) -> bool:
    return is_inexact(leaf) or (type(leaf) is TracedArray and dtype_of(leaf.value).kind in "fc")


def assert_close(found: Any, wanted: Any, tolerance: Any, what: str) -> None:
    """Elementwise; infinities must agree, and NaN where NaN is wanted."""
    found, wanted = numpy.asarray(found), numpy.asarray(wanted)
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, wanted {wanted.shape}"
    with numpy.errstate(all="ignore"):
        off = numpy.abs(found - wanted.astype(numpy.result_type(found, wanted), copy=False))
        same = (found == wanted) | (numpy.isnan(found) & numpy.isnan(wanted))
        bad = ~(same | (off <= tolerance))
    if bad.any():
        at = tuple(int(i) for i in numpy.argwhere(bad)[0])
        limit = numpy.broadcast_to(tolerance, bad.shape)[at]
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {bad.size} elements are off; at {at} found {found[at]}, "
            f"wanted {wanted[at]}, off by {off[at]:.2g}, tolerance {limit:.2g}"
        )


def largest(x: Any) -> float:
    """The largest finite absolute value."""
    size = numpy.abs(numpy.asarray(x))
    return float(numpy.max(size, initial=0.0, where=numpy.isfinite(size)))


def rounding(case: Case, *results: Any) -> float:
    """The relative error that rounding may cause in ``results``, of the arguments and their own."""
    return case.op.rtol * max(map(precision_of, (case.args, *results)))


def check_value(case: Case, found: Any, wanted: Any, what: str) -> None:
    """Equal containers, types, shapes, dtypes; values to the row's tolerance."""
    found_leaves, wanted_leaves = leaves_of(found), leaves_of(wanted)
    assert trees.structure(found) == trees.structure(wanted), (
        f"{case}: {what}: returned {type(found).__name__} of {describe(found)}, "
        f"NumPy {type(wanted).__name__} of {describe(wanted)}"
    )
    for i, (ours, numpys) in enumerate(zip(found_leaves, wanted_leaves, strict=True)):
        where = f"{case} {describe(case.args)}: {what}, result {i}"
        assert type(ours) is type(numpys), (
            f"{where}: type {type(ours).__name__}, wanted {type(numpys).__name__}"
        )
        if not isinstance(numpys, (numpy.ndarray, numpy.generic, float, complex)):
            assert ours == numpys, f"{where}: {ours!r}, wanted {numpys!r}"
            continue
        ours, numpys = numpy.asarray(ours), numpy.asarray(numpys)
        assert ours.dtype == numpys.dtype, f"{where}: dtype {ours.dtype}, wanted {numpys.dtype}"
        if numpys.dtype.kind not in "fc":
            assert ours.shape == numpys.shape, f"{where}: {ours.shape}, wanted {numpys.shape}"
            assert (ours == numpys).all(), f"{where}: {ours!r}, wanted {numpys!r}"
            continue
        tolerance = case.op.rtol * precision_of(numpys) * largest(numpys)
        assert_close(ours, numpys, tolerance, where)


@contextlib.contextmanager
def no_more_warnings_than(plain: list[str], what: str) -> Iterator[None]:
    """A traced call warns only where NumPy does."""
    with recorded_warnings() as found:
        yield
    assert set(found) <= set(plain), f"{what}: warned {set(found) - set(plain)}, NumPy does not"


@contextlib.contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collects the kinds of warnings."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += [warning.category.__name__ for warning in caught]


def call_on_constants(fun: Callable[..., Any], args: Sequence[Any]) -> Any:
    """``fun`` on handles whose values no transformation traces, and its result outside."""

    def handle(leaf: Any) -> Any:
        if isinstance(leaf, numpy.ndarray):
            return wrap(copied(leaf), ARRAY0D)
        if isinstance(leaf, numpy.generic):
            return wrap(leaf)
        return wrap(leaf, WEAK) if type(leaf) in (float, complex) else leaf

    def inside(unused: Any) -> Any:
        return unused, fun(*(map_leaves(handle, arg) for arg in args))

    return xnp.vjp(inside, 0.0, has_aux=True)[2]


def widened(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Real and complex arrays in double precision."""

    def widen(leaf: Any) -> Any:
        if not isinstance(leaf, (numpy.ndarray, numpy.generic)) or not is_inexact(leaf):
            return leaf
        dtype = numpy.result_type(leaf, numpy.float64)
        return leaf.astype(dtype) if leaf.dtype != dtype else leaf

    return tuple(map_leaves(widen, arg) for arg in args)


def check_against_differences(
    f: Restricted, along: Callable[[float], Sequence[Any]], dots: Sequence[Any], what: str
) -> None:
    """``dots`` are the derivatives of ``along(h)`` at 0."""
    for i, ((wanted, error), found) in enumerate(
        zip(differences.derivative(along), dots, strict=True)
    ):
        where = f"{f}: {what}, result {i}"
        scale = max(largest(wanted), largest(found))
        noise = numpy.finfo(numpy.result_type(numpy.asarray(along(0.0)[i]), 0.0)).eps
        finite = numpy.isfinite(numpy.asarray(found))
        assert not numpy.any(error[finite] > 2 * noise ** (1 / 3) * max(scale, 1.0)), (
            f"{where}: differences cannot tell the derivative (error {error.max():.1g} of "
            f"{scale:.1g}); choose a sample further from kinks and singularities"
        )
        # Elements of samples are of size 1: what comes out 0 has their rounding errors.
        tolerance = ERROR_FACTOR * error + rounding(f.case, found) * scale + noise
        assert_close(found, wanted, tolerance, where)


def check_types(f: Restricted, found: Sequence[Any], points: Sequence[Any], what: str) -> None:
    """Tangents and cotangents have the tree, shapes and dtypes of what they belong to."""
    for i, (dots, values) in enumerate(zip(found, points, strict=True)):
        for dot, value in zip(leaves_of(dots), leaves_of(values), strict=True):
            shape, dtype = numpy.shape(value), numpy.result_type(numpy.asarray(value))
            got = numpy.shape(dot), numpy.result_type(numpy.asarray(dot))
            assert got == (shape, dtype), f"{f}: {what} {i} is {got}, its value {(shape, dtype)}"


def jvp(f: Callable[..., Any], point: Sequence[Any], x_dot: Sequence[Any]) -> Any:
    return xnp.jvp(f, tuple(point), tuple(x_dot))[1]


def vjp(f: Callable[..., Any], point: Sequence[Any], ct: Any) -> Any:
    return xnp.vjp(f, *point)[1](ct)


def check_jvp(case: Case, positions: tuple[int, ...]) -> None:
    """A single argument's tangent is the directional difference; of several, the sum of theirs."""
    f = Restricted(case, positions)
    v = f.tangent()
    out, out_dot = xnp.jvp(f, f.chosen, v)
    check_types(f, out_dot, out, "the tangent of result")
    if len(positions) > 1:
        singles = [Restricted(case, (i,)) for i in positions]
        parts = [jvp(g, g.chosen, g.tangent()) for g in singles]
        for i, dot in enumerate(out_dot):
            terms = [part[i] for part in parts]
            size = sum(largest(term) for term in terms)
            wanted = sum(numpy.asarray(term) for term in terms)
            assert_close(dot, wanted, rounding(case, dot) * size, f"{f}: jvp, result {i}")
        return
    f.args = widened(f.args)
    point = widened(f.chosen)
    check_against_differences(f, lambda h: f(*shifted(point, h, v)), out_dot, "jvp")


def check_transpose(case: Case, positions: tuple[int, ...]) -> None:
    """<ct, J v> = <J^T ct, v>, and linearize gives what jvp gives."""
    f = Restricted(case, positions)
    v = f.tangent()
    out, pull = xnp.vjp(f, *f.chosen)
    if not out:
        return
    ct = f.cotangent(out)
    cts = pull(ct)
    check_types(f, cts, f.chosen, "the cotangent of argument")
    out_dot = jvp(f, f.chosen, v)
    check_equal_pairings(f, (ct, out_dot), (cts, v), "<ct, J v> and <J^T ct, v>")
    linear_out, push = xnp.linearize(f, *f.chosen)
    for i, (a, b) in enumerate(zip(push(*v), out_dot, strict=True)):
        assert_close(a, b, rounding(case, b) * largest(b), f"{f}: linearize against jvp, {i}")
    for a, b in zip(linear_out, out, strict=True):
        numpy.testing.assert_array_equal(a, b)


def check_equal_pairings(f: Restricted, left: Any, right: Any, what: str) -> None:
    a, b = inner(*left), inner(*right)
    size = max(inner_size(*left), inner_size(*right))
    assert_close(a, b, rounding(f.case, *left, *right) * size, f"{f}: {what}")


def check_second_order(case: Case, positions: tuple[int, ...]) -> None:
    """With D2(v, u) the second derivative and w a cotangent of the result: all four ways of nesting
    the modes give the same, and forward over forward is the difference of forward.
    """
    f = Restricted(case, positions)
    x, u, v = f.chosen, f.tangent("u"), f.tangent("v")
    out = f(*x)
    if not out:
        return
    w = f.cotangent(out, "w")

    def along_v(*point: Any) -> Any:
        return jvp(f, point, v)

    def back_from_w(*point: Any) -> Any:
        return vjp(f, point, w)

    forward_forward = jvp(along_v, x, u)
    check_types(f, forward_forward, out, "the second tangent of result")
    reverse_forward = vjp(along_v, x, w)
    check_types(f, reverse_forward, x, "reverse over forward, argument")
    pairing = "<w, D2(v, u)> by forward over forward and by reverse over forward"
    check_equal_pairings(f, (w, forward_forward), (reverse_forward, u), pairing)
    for name, found in (
        ("forward over reverse", jvp(back_from_w, x, v)),
        ("reverse over reverse", vjp(back_from_w, x, v)),
    ):
        assert_same_tangent(f, found, reverse_forward, w, f"{name} against reverse over forward")
    if case.is_wide:
        check_against_differences(
            f,
            lambda h: jvp(f, shifted(x, h, u), v),
            forward_forward,
            "jvp of jvp against differences of jvp",
        )


def assert_same_tangent(f: Restricted, found: Any, wanted: Any, w: Any, what: str) -> None:
    size = max(map(largest, leaves_of(wanted)), default=0.0)
    for a, b in zip(leaves_of(found), leaves_of(wanted), strict=True):
        assert_close(a, b, rounding(f.case, wanted, f.args) * max(size, 1e-3), f"{f}: {what}")
