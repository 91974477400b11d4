"""NumPy's protocols on `TracedArray`: ``__array_ufunc__``, ``__array_function__``,
``__array_namespace__``. They only look things up in `dispatch`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np

from . import dispatch, foreign
from .core import Value, dtype_of, shape_of
from .dims import Dim
from .errors import MutationError, UnsupportedError, user_line
from .handles import TracedArray, assign, describe, install, value_of, wrap, wrap_results
from .primitives.elementwise import select_p
from .rules import convert


def _unsupported(function: Any) -> UnsupportedError:
    name = dispatch.name_of(function)
    unknown = ("it has no rule for them yet", "write it with the functions that have one")
    entry = dispatch.UNSUPPORTED_MODULES.get(getattr(function, "__module__", ""), unknown)
    reason, instead = dispatch.UNSUPPORTED.get(function, entry)
    return UnsupportedError(
        f"{name} does not work on traced arrays{user_line()}: {reason}; {instead}."
    )


_PLAIN = {TracedArray, np.ndarray, np.float64, bool, int, float, complex, Dim}  # the usual ones


def array_ufunc(self: TracedArray, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if len(inputs) == 1 and method == "__call__" and not kwargs:  # the usual case
        rule = dispatch.UFUNCS.get(ufunc)
        if rule is not None:
            return wrap_results(rule(self.value))
    for x in inputs:
        if type(x) not in _PLAIN and foreign.overrides_ufuncs(x):
            return NotImplemented  # it is asked next
    rule = dispatch.UFUNCS.get(ufunc)
    if rule is None:
        rule = dispatch.late_ufunc(ufunc)
        if rule is None:
            raise _unsupported(ufunc)
    if method != "__call__":
        return dispatch.UFUNC_METHODS[method](ufunc, *inputs, **kwargs)
    values = [
        x._value if type(x) is TracedArray and x._view is None else value_of(x) for x in inputs
    ]
    if kwargs:
        return _call_with_keywords(ufunc, rule, values, **kwargs)
    return wrap_results(rule(*values))


def _call_with_keywords(
    ufunc: Any,
    rule: Any,
    values: list[Value],
    *,
    out: Any = None,
    where: Any = True,
    dtype: Any = None,
    casting: Any = "same_kind",
    **ignored: Any,  # order, subok, signature: no meaning for a handle
) -> Any:
    if ignored.get("signature") is not None:
        raise TypeError(f"{dispatch.name_of(ufunc)}: signature= is not supported; write dtype=")
    core = {key: ignored[key] for key in ("axes", "axis", "keepdims") if key in ignored}
    if core:  # a generalised ufunc: matmul, vecdot
        rule = partial(rule, **core)
    if dtype is not None:
        wanted = np.dtype(dtype)
        for value in values:
            if not np.can_cast(dtype_of(value), wanted, casting):
                raise TypeError(
                    f"Cannot cast ufunc '{ufunc.__name__}' input from {dtype_of(value)} to {wanted}"
                    f" with casting rule '{casting}'"
                )
        values = [convert(value, wanted) for value in values]
    results = rule(*values)
    several = isinstance(results, tuple)
    outs = out if isinstance(out, tuple) else (out,)
    finished = [
        _finish(ufunc, result, o, where, casting)
        for result, o in zip(
            results if several else (results,), outs * (ufunc.nout // len(outs)), strict=True
        )
    ]
    return tuple(finished) if several else finished[0]


def _finish(ufunc: Any, result: Value, out: Any, where: Any, casting: Any) -> Any:
    """One result of a ufunc, masked by ``where`` and written to ``out``."""
    if out is not None and type(out) is not TracedArray:
        raise concrete_out(dispatch.name_of(ufunc), out)
    if where is not True:
        before = dtype_of(result).type(0) if out is None else out.value
        result = select_p(value_of(where), result, before)
    if out is None:
        return wrap(result)
    if not np.can_cast(dtype_of(result), dtype_of(out.value), casting):
        raise TypeError(
            f"Cannot cast ufunc '{ufunc.__name__}' output from {dtype_of(result)} to "
            f"{dtype_of(out.value)} with casting rule '{casting}'"
        )
    if shape_of(result) != shape_of(out.value):
        lead = np.broadcast_shapes(shape_of(result), shape_of(out.value))
        if lead != shape_of(out.value):
            raise ValueError(
                f"non-broadcastable output operand with shape {shape_of(out.value)} doesn't match "
                f"the broadcast shape {lead}"
            )
    assign(out, result)
    return out


def concrete_out(name: str, out: Any) -> MutationError:
    """The error for a traced result written into a plain ndarray."""
    what = (
        f"an ndarray ({out.dtype}{list(out.shape)})" if isinstance(out, np.ndarray) else repr(out)
    )
    line = user_line()
    advice = "Write a = a + b in place of a += b"
    if _TO_ATTRIBUTE.search(line):  # where a = a + b would leave a traced value in the object
        advice = (
            "Compute the new value, return it, and assign it where the function is called: "
            "o.a = f(o, b) in place of o.a += b"
        )
    return MutationError(
        f"{name} was to write a traced result into {what}{line}, which cannot hold it. {advice}, "
        "or make the array with xnp (xnp.zeros(...), xnp.array(a)) inside the function."
    )


_TO_ATTRIBUTE = re.compile(r": [\w.\[\]()]*\.\w+(\[.*\])? *([-+*/%@&|^]|//|\*\*|<<|>>)=")


def array_function(self: TracedArray, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    implementation = dispatch.FUNCTIONS.get(function)
    if implementation is None:
        raise _unsupported(function)
    for kind in types:
        if kind is not TracedArray and not issubclass(kind, (TracedArray, np.ndarray, Dim)):
            return NotImplemented
    return implementation(*args, **kwargs)


def write_out(name: str, out: Any, result: Any) -> Any:
    """What a function with ``out=`` returns: the result, written to ``out`` if there is one."""
    if out is None:
        return result
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
    if type(out) is not TracedArray:
        raise concrete_out(name, out)
    value = value_of(result)
    if shape_of(value) != shape_of(out.value):
        raise ValueError(f"{name}: out has shape {shape_of(out.value)}, wanted {shape_of(value)}")
    if not np.can_cast(dtype_of(value), dtype_of(out.value), "same_kind"):
        raise TypeError(f"{name}: cannot cast {describe(value)} to out of {describe(out)}")
    assign(out, value)
    return out


install(
    {
        "__array_ufunc__": array_ufunc,
        "__array_function__": array_function,
        "__array_priority__": 1000.0,  # np.matrix asks for it
    }
)
