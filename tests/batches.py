"""Laws of vmap, as functions of a case: it is the Python loop over the examples, stacked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy
from laws import Restricted, assert_close, describe, jvp, largest, rng_of, rounding, vjp
from op_table import Case

from xnp.autodiff.vectorize import vmap
from xnp.testing.vectors import is_inexact, leaves_of, map_leaves, random_tangent, shifted

SIZE = 3
AXES = (0, -1, 1)  # where the batch axis of the k-th batched argument is, if it has as many

Call = tuple[Any, ...]


def examples_of(case: Case, positions: Sequence[int], size: int = SIZE, key: int = 0) -> list[Call]:
    """Calls that differ in the arguments at ``positions``: real and complex arrays are moved a
    little, which keeps them in the row's domain, others rolled, which keeps a mask's count.
    """

    def example(k: int) -> Call:
        args = list(case.args)
        for i in positions:
            direction = random_tangent(args[i], rng_of(case, "example", key, k, i))
            moved = shifted(args[i], 0.03, direction)
            args[i] = map_leaves(lambda x: x if is_inexact(x) else _rolled(x, k), moved)
        return tuple(args)

    return [example(k) for k in range(size)]


def _rolled(leaf: Any, k: int) -> Any:
    return numpy.roll(leaf, k) if numpy.ndim(leaf) else leaf


def stacked(trees: Sequence[Any], axis: int = 0) -> Any:
    return map_leaves(lambda *leaves: numpy.stack(leaves, axis), trees[0], *trees[1:])


def batch_axes(args: Call, positions: Sequence[int]) -> list[int | None]:
    """A different axis for every batched argument, as far as its leaves have one."""
    axes: list[int | None] = [None] * len(args)
    for k, i in enumerate(positions):
        axis = AXES[k % len(AXES)]
        axes[i] = axis if axis <= min(numpy.ndim(leaf) for leaf in leaves_of(args[i])) else 0
    return axes


def batch_of(calls: Sequence[Call], axes: Sequence[int | None]) -> list[Any]:
    """The arguments of the batched call."""
    columns = zip(*calls, strict=True)
    return [
        column[0] if axis is None else stacked(column, axis)
        for column, axis in zip(columns, axes, strict=True)
    ]


def flat_results(fun: Callable[..., Any]) -> Callable[..., list[Any]]:
    """``fun`` with its results as a list of arrays, whatever tree it returns."""
    return lambda *args: leaves_of(fun(*args))


def assert_stack(case: Case, found: Any, wanted: Any, what: str) -> None:
    found, wanted = leaves_of(found), leaves_of(wanted)
    assert len(found) == len(wanted), f"{case}: {what}: {len(found)} results, not {len(wanted)}"
    for i, (ours, loop) in enumerate(zip(found, wanted, strict=True)):
        where = f"{case} {describe(case.args)}: {what}, result {i}"
        assert isinstance(ours, numpy.ndarray), f"{where}: {type(ours).__name__}, not an array"
        assert ours.dtype == loop.dtype, f"{where}: dtype {ours.dtype}, the loop has {loop.dtype}"
        if loop.dtype.kind in "fc":
            assert_close(ours, loop, rounding(case, loop) * largest(loop), where)
        else:
            numpy.testing.assert_array_equal(ours, loop, err_msg=where)


def check_vmap(case: Case, positions: tuple[int, ...]) -> None:
    """Batched along different axes, the batch of the results in front, then at the end."""
    fun = flat_results(case.op.fun)
    calls = examples_of(case, positions)
    results = [fun(*call) for call in calls]
    axes = batch_axes(calls[0], positions)
    args = batch_of(calls, axes)
    for out_axis in (0, -1):
        found = vmap(fun, in_axes=tuple(axes), out_axes=out_axis)(*args)
        what = f"vmap over arguments {positions}, in_axes={axes}, out_axes={out_axis}"
        assert_stack(case, found, stacked(results, out_axis), what)


def check_nested_vmap(case: Case) -> None:
    """Over all arguments both times, and the inner over the last, the outer over the first."""
    fun = flat_results(case.op.fun)
    both = case.batchable
    for outer, inner in ((both, both), (both[:1], both[-1:])):
        rows = _table(case, outer, inner)
        inner_axes = batch_axes(rows[0][0], inner)
        outer_axes = [0 if i in outer else None for i in range(len(inner_axes))]
        args = batch_of([tuple(batch_of(row, inner_axes)) for row in rows], outer_axes)
        mapped = vmap(vmap(fun, in_axes=tuple(inner_axes)), in_axes=tuple(outer_axes))
        wanted = stacked([stacked([fun(*call) for call in row]) for row in rows])
        assert_stack(case, mapped(*args), wanted, f"vmap over {outer} of vmap over {inner}")


def _table(case: Case, outer: Sequence[int], inner: Sequence[int]) -> list[list[Call]]:
    """Rows of calls: an argument that only one vmap batches changes along that direction only."""
    if outer == inner:
        return [examples_of(case, inner, key=row) for row in range(2)]
    downward = examples_of(case, outer, size=2, key=1)
    across = examples_of(case, inner)
    return [
        [tuple(column[i] if i in inner else row[i] for i in range(len(row))) for column in across]
        for row in downward
    ]


def check_derivatives_under_vmap(case: Case) -> None:
    """vmap(jvp) and vmap(vjp) are loops, whether the (co)tangents are batched or the primals."""
    f = Restricted(case, case.differentiable)
    calls = _points(case)
    vs = [random_tangent(f.chosen, rng_of(case, "v", k)) for k in range(SIZE)]
    outs = [f(*x) for x in calls]
    if not outs[0]:
        return
    ws = [random_tangent(outs[0], rng_of(case, "w", k)) for k in range(SIZE)]
    for name, rule, tangents in (("jvp", jvp, vs), ("vjp", vjp, ws)):

        def at(x: Any, tangent: Any, rule: Any = rule) -> Any:
            return rule(f, x, tangent)

        pairs = list(zip(calls, tangents, strict=True))
        for what, axes in (("", (0, 0)), (" over the point", (0, None)), (" over v", (None, 0))):
            rows = [
                tuple(pairs[0 if axis is None else k][i] for i, axis in enumerate(axes))
                for k in range(SIZE)
            ]
            found = vmap(at, in_axes=axes)(*batch_of(rows, axes))
            assert_stack(case, found, stacked([at(*row) for row in rows]), f"vmap of {name}{what}")


def check_derivatives_of_vmap(case: Case) -> None:
    """jvp(vmap) and vjp(vmap) are the stacked derivatives of the examples."""
    f = Restricted(case, case.differentiable)
    calls = _points(case)
    outs = [f(*x) for x in calls]
    if not outs[0]:
        return
    vs = [random_tangent(f.chosen, rng_of(case, "v", k)) for k in range(SIZE)]
    ws = [random_tangent(outs[0], rng_of(case, "w", k)) for k in range(SIZE)]
    mapped, x = vmap(f), stacked(calls)
    wanted = [jvp(f, call, v) for call, v in zip(calls, vs, strict=True)]
    assert_stack(case, jvp(mapped, x, stacked(vs)), stacked(wanted), "jvp of vmap")
    wanted = [vjp(f, call, w) for call, w in zip(calls, ws, strict=True)]
    assert_stack(case, vjp(mapped, x, stacked(ws)), stacked(wanted), "vjp of vmap")


def check_second_order_under_vmap(case: Case) -> None:
    """Vmap of forward over reverse mode, and forward over vmap of reverse mode."""
    f = Restricted(case, case.differentiable)
    calls = _points(case)
    out = f(*calls[0])
    if not out:
        return
    v, w = f.tangent("v"), f.cotangent(out, "w")

    def back(*x: Any) -> Any:
        return vjp(f, x, w)

    wanted = stacked([jvp(back, call, v) for call in calls])
    found = vmap(lambda *x: jvp(back, x, v))(*stacked(calls))
    assert_stack(case, found, wanted, "vmap of jvp of vjp")
    found = jvp(vmap(back), stacked(calls), stacked([v] * SIZE))
    assert_stack(case, found, wanted, "jvp of vmap of vjp")


def _points(case: Case) -> list[Call]:
    """Examples of the differentiated arguments."""
    calls = examples_of(case, case.differentiable)
    return [tuple(call[i] for i in case.differentiable) for call in calls]
