"""Where user functions meet transformations: arguments go in as handles, results come out.

Every transformation selects arguments, checks them, runs the function in the extent of its trace
and strips its tracers off the results. What is common to them is here, with the error texts.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import dims, foreign, trees
from .core import PYTHON_DTYPES, Tracer, Value, describe_type, dtype_of, shape_of, thread_state
from .errors import ConcretizationError, DifferentiationError, user_line
from .handles import ARRAY0D, RESULT, WEAK, TracedArray, wrap

Argnums = int | str | Sequence[int | str]


def function_name(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__name__", None) or type(fun).__name__


def check_callable(what: str, fun: Any) -> None:
    if not callable(fun):
        raise TypeError(
            f"{what} takes a function as its first argument, got {describe_any(fun)}; "
            f"write {what}(f)(x), not {what}(f(x))."
        )


def check_function(what: str, name: str, fun: Any, example: str) -> None:
    """As `check_callable`, for an argument in any place."""
    if not callable(fun):
        raise TypeError(
            f"{what}: {name} is {describe_any(fun)}, wanted a function{user_line()}, such as "
            f"{example}."
        )


def describe_any(x: Any) -> str:
    """``f64[3]`` for anything like an array, else type and short repr."""
    if type(x) is TracedArray:
        return describe_type(shape_of(x.value), dtype_of(x.value))
    if isinstance(x, (np.ndarray, np.generic)):
        return f"{type(x).__name__} {describe_type(x.shape, x.dtype)}"
    return f"{type(x).__name__} {x!r:.60}"


def integer(what: str, name: str, x: Any) -> int:
    """The argument ``name`` as an int; TypeError if it is none."""
    try:
        return operator.index(x)
    except ConcretizationError:
        raise
    except TypeError:
        advice = f"; write int({name})" if isinstance(x, (float, np.floating, str)) else ""
        raise TypeError(
            f"{what}: {name} is {describe_any(x)}, wanted an int{user_line()}{advice}"
        ) from None


class Selection:
    """Which arguments a transformation acts on: ``argnums`` resolved against a call."""

    def __init__(self, what: str, fun: Callable[..., Any], argnums: Argnums) -> None:
        check_callable(what, fun)
        self.what, self.fun = what, fun
        self.single = isinstance(argnums, (int, np.integer, str)) and not isinstance(argnums, bool)
        wanted = (argnums,) if self.single else argnums
        if not isinstance(wanted, (tuple, list)) or not all(
            isinstance(a, (int, np.integer, str)) and not isinstance(a, bool) for a in wanted
        ):
            raise TypeError(
                f"{what}: argnums is {argnums!r}; wanted an int, an argument's name, or a tuple of "
                "them"
            )
        self.wanted = tuple(wanted)
        self.position: int | None = argnums if type(argnums) is int else None

    def keys(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | str]:
        """Positions in ``args`` and names in ``kwargs``."""
        keys = [self._key(a, args, kwargs) for a in self.wanted]
        if len(set(keys)) < len(keys):
            raise TypeError(
                f"{self.what}: argnums={self.wanted!r} names an argument of "
                f"{function_name(self.fun)} twice; give each one once"
            )
        return keys

    def _key(self, wanted: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | str:
        name = function_name(self.fun)
        if isinstance(wanted, str):
            if wanted in kwargs:
                return wanted
            parameters = _parameters(self.fun)
            if wanted in parameters and parameters.index(wanted) < len(args):
                return parameters.index(wanted)
            raise TypeError(
                f"{self.what}: argnums={wanted!r}, but {name} was called without an argument of "
                f"that name (its parameters: {', '.join(parameters) or 'unknown'})"
            )
        if not -len(args) <= wanted < len(args):
            raise TypeError(
                f"{self.what}: argnums={wanted}, but {name} was called with {len(args)} positional "
                f"argument{'s' * (len(args) != 1)}; count from 0, or give the argument's name"
            )
        return wanted % len(args)

    def label(self, key: int | str) -> str:
        """How error texts call an argument."""
        if isinstance(key, str):
            return f"argument {key!r}"
        parameters = _parameters(self.fun)
        return f"argument {key} ({parameters[key]})" if key < len(parameters) else f"argument {key}"


def _parameters(fun: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters; none where Python does not know them."""
    import inspect  # a tenth of what `import xnp` costs

    try:
        return list(inspect.signature(fun).parameters)
    except (TypeError, ValueError):
        return []


def enter(x: Any) -> tuple[Value, int]:
    """A leaf of an argument as a Value, and its handle's kind."""
    kind = type(x)
    if kind is np.ndarray:
        return foreign.enter(x), ARRAY0D
    if kind is TracedArray:
        return x.value, x._kind
    if kind in PYTHON_DTYPES:
        return x, WEAK
    if isinstance(x, np.ndarray):
        return foreign.enter(x), ARRAY0D
    return x, RESULT


_CHOOSE = ", or choose other arguments with argnums"
_CLOSE_OVER = ", or leave it out of the primals: lambda x: f(x, n)"
_OTHERS = dict.fromkeys(["vjp", "jvp", "linearize", "hvp"], _CLOSE_OVER) | {"derivative": ""}


def check_differentiable(
    what: str, name: Callable[[], str], x: Any, *, holomorphic: bool = False
) -> None:
    """DifferentiationError unless ``x`` is a real or complex leaf, which texts call ``name()``."""
    value = x.value if type(x) is TracedArray else x
    if isinstance(value, (np.ndarray, np.generic, Tracer)) or type(value) in PYTHON_DTYPES:
        kind = dtype_of(value).kind
        if kind == "c" or (kind == "f" and not holomorphic):
            return
        label = name()
        if kind == "f":
            raise DifferentiationError(
                f"{what}: {label} is {describe_any(x)}, but holomorphic=True wants complex; "
                "pass x.astype(complex), or leave holomorphic out."
            )
        if kind in "iub":
            instead = "float(x)" if type(value) in PYTHON_DTYPES else "x.astype(float)"
            raise DifferentiationError(
                f"{what}: {label} is {describe_any(x)}, and derivatives need a real or complex "
                f"dtype; pass {instead}{_OTHERS.get(what, _CHOOSE)}."
            )
        foreign.raise_dtype(dtype_of(value))
    own = type(x).__module__ != "builtins"
    how = " Make a class a tree: @optree.dataclasses.dataclass(namespace='xnp')." if own else ""
    raise DifferentiationError(
        f"{what}: {name()} is {describe_any(x)}; wanted an array or number of a real or complex "
        f"dtype, or a tree (list, tuple, dict) of them{_OTHERS.get(what, _CHOOSE)}.{how}"
    )


def leave(x: Any, strip: Callable[[Value], Value]) -> Any:
    """A leaf of a result: this trace's tracers are stripped off; outside of all transformations
    it becomes what NumPy would return, an array of its own: the tape, an argument or another result
    may refer to the one that the handle has.
    """
    if type(x) is not TracedArray:
        return x
    value = x.value
    stripped = strip(value)
    if thread_state.level:
        return x if stripped is value else wrap(stripped, x._kind)
    if isinstance(stripped, Tracer):  # of a transformation that runs in another thread
        stripped.trace.check_alive()
        return x if stripped is value else wrap(stripped, x._kind)
    if x._kind != ARRAY0D and isinstance(stripped, np.ndarray) and not stripped.ndim:
        return stripped[()]
    if x._kind == ARRAY0D and isinstance(stripped, np.generic):
        return np.asarray(stripped)
    return stripped.copy("K") if isinstance(stripped, np.ndarray) else stripped


def fresh(value: Value, kind: int, seen: set[int]) -> Any:
    """A computed derivative as a result of its own: writable, no view, not twice the same array."""
    if thread_state.level or isinstance(value, Tracer):
        return wrap(value, RESULT if kind == WEAK else kind)
    if isinstance(value, np.ndarray):
        if not value.ndim:
            return value.copy() if kind == ARRAY0D else value[()]
        if id(value) in seen or value.base is not None or not value.flags.writeable:
            return value.copy()
        seen.add(id(value))
    elif type(value) in PYTHON_DTYPES or kind == ARRAY0D:
        return np.asarray(value) if kind == ARRAY0D else dtype_of(value).type(value)
    return value


def result_leaves(what: str, fun: Callable[..., Any], result: Any) -> tuple[list[Any], Any]:
    """The leaves of a function's result and how to rebuild it; an error for what is no array."""
    if result is None:
        raise DifferentiationError(
            f"{what}: {function_name(fun)} returned None; does it lack a return statement?"
        )
    leaves, unflatten = trees.flatten(result)
    if dims.in_use:
        leaves = [leaf.traced() if type(leaf) is dims.Dim else leaf for leaf in leaves]
    for leaf in leaves:
        ok = isinstance(leaf, (TracedArray, np.ndarray, np.generic)) or type(leaf) in PYTHON_DTYPES
        if not ok:
            raise DifferentiationError(
                f"{what}: {function_name(fun)} returned {describe_any(leaf)}; wanted arrays, "
                "numbers, or a tree of them. Pass other things out with has_aux=True."
            )
    return leaves, unflatten


def split_aux(what: str, fun: Callable[..., Any], result: Any) -> tuple[Any, Any]:
    """The pair that a function with has_aux returns."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise DifferentiationError(
            f"{what}: has_aux=True wants {function_name(fun)} to return a pair (value, aux), got "
            f"{describe_any(result)}"
        )
    return result
