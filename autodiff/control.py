"""Loops as functions: `fori_loop`, `while_loop`, `scan`, `map`.

Outside of `jit` these are Python's own loops, which call the functions they are given once for each
iteration. While a Program is recorded, and where the examples of a batch disagree on a condition,
the functions are recorded, and become the regions of a primitive.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import trees
from .boundary import check_function, describe_any, integer
from .carried import (
    Region,
    Slot,
    Tree,
    carried_region,
    given_back,
    initial,
    known_number,
    leaf_value,
    own,
    truth,
)
from .core import (
    Aval,
    Tracer,
    Value,
    aval_of,
    dtype_of,
    is_weak,
    shape_of,
    thread_state,
)
from .counted import INDEX
from .dims import Dim, maximum
from .errors import MutationError, user_line
from .handles import RESULT, WEAK, TracedArray, value_of, wrap
from .intervals import most_trips, range_of
from .loops import for_p
from .outer_state import recorded_once
from .primitives.checks import refuse_p
from .primitives.elementwise import add_p, greater_p, logical_and_p, minimum_p
from .primitives.manipulation import stack_values, unstack_p
from .recording import note_range
from .regions import bind, coerce, rearranged, record_region, split_at
from .rules import convert
from .scans import scan_p
from .sizes import size_value
from .vectorize import vmap
from .whiles import while_p

_INDEX = Slot(INDEX, WEAK)


def _bound(what: str, x: Any) -> Any:
    """A loop's bound as an int or Dim where it is known, else as an integer Value."""
    if type(x) is Dim:
        return x
    if type(x) is not TracedArray:
        array = np.asarray(x)
        if array.shape == () and array.dtype.kind in "iuO" and hasattr(x, "__index__"):
            return operator.index(x)
        raise _no_integer(what, x, array.shape)
    value = x.value
    if shape_of(value) != () or dtype_of(value).kind not in "iu":
        raise _no_integer(what, x, shape_of(value))
    known = known_number(value)
    return value if known is None else int(known)


def _no_integer(what: str, x: Any, shape: tuple[Any, ...]) -> TypeError:
    if shape:
        advice = f"write one element of it, {what}[0], or its length, {what}.shape[0]"
    else:
        convert = f"{what}.astype(int)" if type(x) is TracedArray else f"int({what})"
        advice = f"write {convert}"
    return TypeError(
        f"fori_loop: {what} is {describe_any(x)}, wanted an integer{user_line()}; {advice}."
    )


def _unroll(what: str, unroll: Any) -> int:
    """The number of iterations that code may do at a time: True is all, which it may anyway."""
    if isinstance(unroll, (bool, np.bool_)):
        return 1
    if not isinstance(unroll, (int, np.integer)):
        raise TypeError(
            f"{what}: unroll is {describe_any(unroll)}, wanted an integer or a bool{user_line()}"
        )
    if unroll < 1:
        raise ValueError(
            f"{what}: unroll is {unroll}, wanted 1 or more{user_line()}; leave it out, and the "
            "compiler decides."
        )
    return int(unroll)


def _is_size(x: Any) -> bool:
    return type(x) is int or type(x) is Dim


# -- fori_loop --


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
) -> Any:
    """``for i in range(lower, upper): val = body_fun(i, val)``, starting with ``init_val``.

    Parameters
    ----------
    lower, upper : integers. Reverse mode under `jit` is cheaper where they are known when the
        function is traced, as Python ints are, and sizes such as ``x.shape[0]``.
    body_fun : gets the index and the carried value, a tree of arrays and numbers, and returns the
        new one: the same tree and shapes. Dtypes are promoted as in a plain loop. It may write to
        the arrays it is given, not to those it captures.
    unroll : a hint, how many iterations compiled code may do at a time. It changes no number.

    Returns the last carried value.

    Raises
    ------
    TypeError : a bound that is no integer, a tree or a shape that changes, a leaf that is no array
        or number.
    OverflowError : under `jit`, an index beyond int64.

    >>> import xnp as np
    >>> np.fori_loop(0, 5, lambda i, total: total + i, 0)
    10
    """
    check_function("fori_loop", "body_fun", body_fun, "lambda i, val: val + i")
    lower, upper = _bound("lower", lower), _bound("upper", upper)
    unroll = 1 if unroll is None else _unroll("fori_loop", unroll)
    counted = _is_size(lower) and _is_size(upper)
    is_empty = type(lower) is type(upper) is int and upper <= lower
    if counted and (thread_state.program is None or is_empty):
        return _plain_fori(lower, upper, body_fun, init_val)
    carry = Tree("fori_loop", "init_val", init_val)
    body_fun = recorded_once("fori_loop", "body_fun", body_fun)
    offset = size_value(lower) if counted else 0

    def call(before: list[Any], state: Any, _: list[Any]) -> Any:
        (index,) = before
        if counted:
            note_range(index.value, 0, upper - lower - 1)
        elif (low := range_of(lower)) and (high := range_of(upper)):
            note_range(index.value, low[0], high[1] - 1)
        if type(offset) is not int or offset:
            index = wrap(coerce(add_p(index.value, offset), INDEX), WEAK)
        return body_fun(index, state), [], None

    region = carried_region(carry, [_INDEX], [], "body_fun", call)
    operands = [*region.captured, *initial(carry.values, region.slots)]
    params = _loop_params(region)
    if counted:
        found = bind(
            scan_p, operands, {**params, **_static(maximum(upper - lower, 0), unroll=unroll)}
        )
    else:
        bounds = _index_bounds(*(size_value(x) if _is_size(x) else x for x in (lower, upper)))
        params["limit"] = most_trips(*bounds)
        found = bind(for_p, [*bounds, *operands], params)
    return _carried_back(carry, region, found)


def _index_bounds(lower: Value, upper: Value) -> list[Value]:
    """Bounds with the dtype of indices, int64; OverflowError where an index would not fit it."""
    if dtype_of(upper) == _UINT64:
        beyond = greater_p(upper, _UINT64.type(_LARGEST))
        some = greater_p(upper, lower) if dtype_of(lower) == _UINT64 else np.True_
        refuse_p(
            logical_and_p(beyond, some),
            error=OverflowError,
            message="fori_loop: upper is more than 2**63 - 1, and under jit indices are int64",
        )
    return [_clipped(x) for x in (lower, upper)]


def _clipped(bound: Value) -> Value:
    """As int64. What is larger belongs to a range that is empty, and stays it."""
    if dtype_of(bound) == _UINT64:
        bound = minimum_p(bound, _UINT64.type(_LARGEST))
    return bound if dtype_of(bound) == INDEX.dtype else convert(bound, INDEX.dtype)


_UINT64, _LARGEST = np.dtype(np.uint64), 2**63 - 1


def _loop_params(region: Region) -> dict[str, Any]:
    return {
        "body": region.program,
        "const_count": len(region.captured),
        "carry_count": len(region.slots),
    }


def _static(length: Any, reverse: bool = False, unroll: int = 1) -> dict[str, Any]:
    return {"length": length, "reverse": reverse, "unroll": unroll}


def _carried_back(carry: Tree, region: Region, found: Sequence[Value]) -> Any:
    pairs = zip(found, region.slots, strict=False)
    return carry.rebuild([given_back(x, slot.kind) for x, slot in pairs])


def _plain_fori(lower: Any, upper: Any, body_fun: Callable[..., Any], init_val: Any) -> Any:
    state = Plain(Tree("fori_loop", "init_val", init_val), "body_fun")
    for index in range(lower, upper):
        state.step(body_fun(index, state.tree))
    return state.tree


class Plain:
    """The carried tree of a loop that Python runs: each iteration gets leaves of its own."""

    def __init__(self, carry: Tree, role: str) -> None:
        self.carry, self.role = carry, role
        leaves, _ = trees.flatten(carry.tree)
        self.leaves = [own(leaf) for leaf in leaves]

    @property
    def tree(self) -> Any:
        return self.carry.rebuild(self.leaves)

    def step(self, new: Any) -> None:
        """Takes what the function returned."""
        found = self.carry.leaves_of(new, self.role)
        for i, leaf in enumerate(found):
            value, _ = leaf_value(self.carry.what, lambda: f"what {self.role} returned", leaf)
            self.carry.check_shape(i, shape_of(value), self.role, leaf)
        seen: set[int] = set()
        for i, leaf in enumerate(found):
            before = None if id(leaf) in seen else self.leaves[i]
            seen.add(id(leaf))
            found[i] = own(leaf, before)
        self.leaves = found


# -- while_loop --


def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """``while cond_fun(val): val = body_fun(val)``, starting with ``init_val``.

    The carried value is as for `fori_loop`; ``cond_fun`` returns one truth value. Forward mode and
    vmap work everywhere, reverse mode where the loop is not recorded (under `jit` it is).

    Raises
    ------
    TypeError : a tree or a shape that changes, a condition that is no single truth value.
    DifferentiationError : reverse mode under `jit`; write `fori_loop` or `scan` there.
    MutationError : under `jit`, a ``cond_fun`` that writes to the array it is given.

    >>> import xnp as np
    >>> np.while_loop(lambda x: x < 100, lambda x: x * 2, 1)
    128
    """
    check_function("while_loop", "cond_fun", cond_fun, "lambda val: val < 10")
    check_function("while_loop", "body_fun", body_fun, "lambda val: val * 2")
    carry = Tree("while_loop", "init_val", init_val)
    if thread_state.program is None:
        state = Plain(carry, "body_fun")
        while True:
            test = known_number(truth("while_loop: what cond_fun returned", cond_fun(state.tree)))
            if test is None:
                carry = Tree("while_loop", "init_val", state.tree)
                break
            if not test:
                return state.tree
            state.step(body_fun(state.tree))
    cond_fun = recorded_once("while_loop", "cond_fun", cond_fun)
    body_fun = recorded_once("while_loop", "body_fun", body_fun)
    body = carried_region(
        carry, [], [], "body_fun", lambda _, state, __: (body_fun(state), [], None)
    )

    def test_of(*values: Value) -> Sequence[Value]:
        handles = [slot.handle(x) for slot, x in zip(body.slots, values, strict=True)]
        found = cond_fun(carry.rebuild(handles))
        if any(handle._version for handle in handles):
            raise MutationError(
                f"while_loop: cond_fun writes to the carried value{user_line()}, and body_fun "
                "would not see it; write in body_fun, or to a copy, x = np.copy(x)."
            )
        return [coerce(truth("while_loop: what cond_fun returned", found), _BOOL)]

    avals = [slot.aval for slot in body.slots]
    test, captured = record_region(test_of, avals, "while_loop")
    state, consts = split_at(test.parameters, len(avals))
    found = bind(
        while_p,
        [*captured, *body.captured, *initial(carry.values, body.slots)],
        {
            "cond": rearranged(test, [*consts, *state], test.results),
            "body": body.program,
            "cond_count": len(captured),
            "body_count": len(body.captured),
        },
    )
    return _carried_back(carry, body, found)


_BOOL = Aval((), np.dtype(bool))


# -- scan --


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: Any = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """``for x in xs: carry, y = f(carry, x)``, starting with ``init``; and all the ``y``, stacked.

    Parameters
    ----------
    f : gets the carried value and the slices of ``xs`` along axis 0, and returns the new carried
        value (the same tree and shapes) and a tree of results, or None.
    xs : a tree of arrays of one length, or None.
    length : the number of iterations, needed where ``xs`` is None.
    reverse : from the last slice to the first; each y still stands at the place of its x.
    unroll : a hint, how many iterations compiled code may do at a time. It changes no number.

    Returns ``(carry, ys)``.

    Raises
    ------
    ValueError : lengths that differ, or none; ``unroll`` below 1.
    TypeError : a carried tree or shape that changes, or a result that is no pair.

    >>> import xnp as np
    >>> total, sums = np.scan(lambda c, x: (c + x, c + x), 0.0, np.array([1.0, 2.0, 3.0]))
    >>> print(total, sums)
    6.0 [1. 3. 6.]
    """
    check_function("scan", "f", f, "lambda carry, x: (carry + x, carry)")
    if type(reverse) is TracedArray:
        reverse = bool(reverse)
    elif not isinstance(reverse, (int, np.bool_)):
        raise TypeError(f"scan: reverse is {describe_any(reverse)}, wanted a bool{user_line()}")
    return _scan("scan", f, init, xs, length, bool(reverse), _unroll("scan", unroll))


def _scan(
    what: str, f: Any, init: Any, xs: Any, length: Any, reverse: bool, unroll: int
) -> tuple[Any, Any]:
    stacks = Tree(what, "xs", xs)
    length = _common_length(stacks, length)
    carry = Tree(what, "init", init)
    if thread_state.program is None and type(length) is int and length:
        return _plain_scan(carry, stacks, f, length, reverse)
    slices = [Slot(Aval(s.aval.shape[1:], s.aval.dtype), RESULT) for s in stacks.slots]
    f = recorded_once(what, "f", f)

    def call(before: list[Any], state: Any, parts: list[Any]) -> Any:
        new, y = _pair(what, f(state, stacks.rebuild(parts)))
        ys = Tree(what, "y", y)
        return new, [convert(v, dtype_of(v)) for v in ys.values], ys

    region = carried_region(carry, [_INDEX], slices, "f", call)
    operands = [*region.captured, *initial(carry.values, region.slots), *stacks.values]
    params = {**_loop_params(region), **_static(length, reverse, unroll)}
    found = bind(scan_p, operands, params)
    ys = [given_back(y, RESULT) for y in found[len(region.slots) :]]
    return _carried_back(carry, region, found), region.rest.rebuild(ys)


def _common_length(stacks: Tree, length: Any) -> Any:
    if length is not None and type(length) is not Dim:
        length = integer(stacks.what, "length", length)
    for i, value in enumerate(stacks.values):
        shape = shape_of(value)
        if not shape:
            raise ValueError(
                f"{stacks.what}: {stacks.path(i)} is {stacks.slots[i].aval}, which has no axis to "
                f"go along{user_line()}"
            )
        if length is not None and shape[0] != length:
            raise ValueError(
                f"{stacks.what}: {stacks.path(i)} is {stacks.slots[i].aval}, but "
                f"{'length' if not i else stacks.path(0)} says {length} iterations{user_line()}"
            )
        length = shape[0]
    if length is None:
        if stacks.what == "map":
            raise ValueError(
                f"map: xs is {describe_any(stacks.tree)}, wanted an array or a tree of arrays"
                f"{user_line()}"
            )
        raise ValueError(f"{stacks.what}: without xs it needs length=...{user_line()}")
    if length < 0:
        raise ValueError(f"{stacks.what}: length is {length}, wanted 0 or more{user_line()}")
    return length


def _pair(what: str, result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"{what}: f returned {describe_any(result)}, wanted a pair (carry, y){user_line()}; "
            "write return carry, None where there is no y."
        )
    return result


def _plain_scan(
    carry: Tree, stacks: Tree, f: Callable[..., Any], length: int, reverse: bool
) -> tuple[Any, Any]:
    state = Plain(carry, "f")
    rows = [_rows(value) for value in stacks.values]
    first: Any = None
    collected: list[Any] = [None] * length
    for index in reversed(range(length)) if reverse else range(length):
        new, y = _pair(carry.what, f(state.tree, stacks.rebuild([row[index] for row in rows])))
        state.step(new)
        first = Tree(carry.what, "y", y) if first is None else first
        leaves = first.leaves_of(y, "f")
        collected[index] = [value_of(leaf) if thread_state.level else own(leaf) for leaf in leaves]
    columns = [_stacked(first, i, column) for i, column in enumerate(zip(*collected, strict=True))]
    return state.tree, first.rebuild(columns)


def _rows(value: Value) -> Sequence[Any]:
    """The slices along axis 0, each one's own."""
    if isinstance(value, Tracer):
        return [wrap(x) for x in unstack_p(value)]
    if thread_state.level:
        return [wrap(x) for x in value]
    return value if value.ndim == 1 else value.copy()


def _stacked(ys: Tree, i: int, values: Sequence[Any]) -> Any:
    shapes = [shape_of(v) for v in values]
    if any(shape != shapes[0] for shape in shapes):
        other = next(v for v, shape in zip(values, shapes, strict=True) if shape != shapes[0])
        raise TypeError(
            f"{ys.what}: {ys.path(i)} is {aval_of(values[0])} in one iteration and "
            f"{aval_of(other)} in another{user_line()}. They are stacked: return arrays of one "
            "shape, or collect them in a Python loop."
        )
    weak = [is_weak(v) for v in values]
    if not all(weak):  # Python's numbers among arrays take the arrays' dtype
        kinds = [dtype_of(v).type().item() if is_weak(v) else dtype_of(v) for v in values]
        dtype = np.result_type(*kinds)
        values = [convert(v, dtype) if is_weak(v) else v for v in values]
    if any(isinstance(v, Tracer) for v in values):
        return wrap(stack_values(values))
    return wrap(np.stack(values)) if thread_state.level else np.stack(values)


def map(f: Callable[[Any], Any], xs: Any, batch_size: int | None = None) -> Any:
    """``f`` of every slice of ``xs`` along axis 0, one after the other; the results stacked.

    `vmap` computes the same, all at once. With ``batch_size`` that many are computed at a time, by
    vmap: less memory than vmap, more speed than one by one.

    >>> import xnp as np
    >>> print(np.map(lambda x: x**2, np.array([1.0, 2.0, 3.0])))
    [1. 4. 9.]
    """
    check_function("map", "f", f, "lambda x: x * 2")
    step = lambda _, x: (None, f(x))
    if batch_size is None:
        return _scan("map", step, None, xs, None, False, 1)[1]
    size = integer("map", "batch_size", batch_size)
    if size < 1:
        raise ValueError(f"map: batch_size is {size}, wanted 1 or more{user_line()}")
    stacks = Tree("map", "xs", xs)
    count = _common_length(stacks, None)
    whole = count // size * size
    many = vmap(f)
    leaves, _ = trees.flatten(xs)
    batches = [x[:whole].reshape((count // size, size, *x.shape[1:])) for x in leaves]
    step = lambda _, x: (None, many(x))
    found = _scan("map", step, None, stacks.rebuild(batches), None, False, 1)[1]
    found, unflatten = trees.flatten(found)
    found = [y.reshape((whole, *y.shape[2:])) for y in found]
    if whole != count:
        rest, _ = trees.flatten(many(stacks.rebuild([x[whole:] for x in leaves])))
        found = [np.concatenate(pair) for pair in zip(found, rest, strict=True)]
    return trees.rebuild(unflatten, found)
