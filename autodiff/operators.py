"""The operators of `TracedArray`: arithmetic, comparison, bits, in-place forms, conversions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import dispatch, foreign
from .core import (
    PYTHON_DTYPES,
    Tracer,
    Value,
    concrete_value,
    dtype_of,
    ndim_of,
    noted,
    shape_of,
)
from .dims import Dim
from .errors import (
    BatchingError,
    ConcretizationError,
    LeakedTracerError,
    UnknownSizeError,
    is_called_by_library,
    user_line,
)
from .handles import (
    ARRAY0D,
    WEAK,
    TracedArray,
    assign,
    constant_of,
    describe,
    install,
    value_of,
    wrap,
)
from .operands import (
    check_number,
    is_operand,
    is_repetition,
    plain_number,
    refuses_arrays,
    repeated,
)
from .python_numbers import python_comparison, python_int, python_result, python_rounded
from .rules import weaken_p


def _beside(handle: TracedArray, other: Any) -> tuple[Value, bool]:
    """The Value of what an operator converts, and whether both are Python numbers."""
    if handle._kind == WEAK and (number := plain_number(other)) is not None:
        return number, True
    return value_of(other), False


def _binary(ufunc: Any, python: Callable[..., Any], swapped: bool = False) -> Callable[..., Any]:
    """The method for one operator; ``swapped`` for its reflected form."""

    def method(self: TracedArray, other: Any) -> Any:
        kind = type(other)
        if kind in PYTHON_DTYPES:
            y, weak = other, self._kind == WEAK
        elif kind is TracedArray:
            y, weak = other.value, self._kind == WEAK and other._kind == WEAK
        elif kind is Dim:
            y, weak = value_of(other), self._kind == WEAK
        elif is_repetition(ufunc, self, other):
            return repeated(other, self)
        elif refuses_arrays(self._kind == WEAK, other):
            return NotImplemented
        elif is_operand(other):
            y, weak = _beside(self, other)
        elif foreign.overrides_ufuncs(other):
            return ufunc(other, self) if swapped else ufunc(self, other)
        else:
            check_number(other)
            return NotImplemented
        x = self._value if self._view is None else self.value
        if swapped:
            x, y = y, x
        if weak:
            return python_result(python, ufunc, (x, y))
        return wrap(dispatch.UFUNCS[ufunc](x, y))

    return method


_COMPARISONS = {
    np.equal: "eq",
    np.not_equal: "ne",
    np.less: "lt",
    np.less_equal: "le",
    np.greater: "gt",
    np.greater_equal: "ge",
}


def _comparison(ufunc: Any, unequal: bool | None = None) -> Callable[..., Any]:
    """``unequal``: what == and != answer for objects that are no arrays."""
    python = getattr(operator, _COMPARISONS[ufunc])

    def method(self: TracedArray, other: Any) -> Any:
        weak = self._kind == WEAK
        if type(other) is TracedArray:
            other, weak = other.value, weak and other._kind == WEAK
        elif type(other) not in PYTHON_DTYPES:
            if refuses_arrays(weak, other):
                return NotImplemented
            if type(other) is not Dim and not is_operand(other):
                check_number(other)
                if unequal is None or not (other is None or isinstance(other, str)):
                    return NotImplemented
                shape = shape_of(self.value)
                return wrap(np.full(shape, unequal)) if shape else unequal
            other, weak = _beside(self, other)
        if weak:
            return python_comparison(python, ufunc, (self.value, other))
        return wrap(dispatch.UFUNCS[ufunc](self.value, other))

    return method


def _unary(ufunc: Any) -> Callable[..., Any]:
    def method(self: TracedArray) -> TracedArray:
        if self._kind != WEAK:
            return wrap(dispatch.UFUNCS[ufunc](self.value))
        return wrap(weaken_p(dispatch.UFUNCS[ufunc](python_int(self.value))), WEAK)

    return method


def _inplace(name: str, ufunc: Any) -> Callable[..., Any]:
    """``a += b``: on an array, writes; on a scalar, gives a new one, as NumPy does."""
    forward = f"__{name}__"

    def method(self: TracedArray, other: Any) -> Any:
        result = getattr(self, forward)(other)
        if result is NotImplemented or self.is_scalar():
            return result
        value, mine = result.value, self.value
        if not np.can_cast(dtype_of(value), dtype_of(mine), "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc '{ufunc.__name__}' output from {dtype_of(value)} to "
                f"{dtype_of(mine)} with casting rule 'same_kind': the array is {describe(self)}. "
                f"Write a = a {_SYMBOLS[name]} b for an array of the wider dtype."
            )
        if shape_of(value) != shape_of(mine):
            raise ValueError(
                f"non-broadcastable output operand with shape {shape_of(mine)} doesn't match the "
                f"broadcast shape {shape_of(value)}"
            )
        assign(self, value)
        return self

    return method


_BINARY: list[tuple[str, str, Any, Callable[..., Any]]] = [
    ("add", "+", np.add, operator.add),
    ("sub", "-", np.subtract, operator.sub),
    ("mul", "*", np.multiply, operator.mul),
    ("truediv", "/", np.true_divide, operator.truediv),
    ("floordiv", "//", np.floor_divide, operator.floordiv),
    ("mod", "%", np.remainder, operator.mod),
    ("pow", "**", np.power, operator.pow),
    ("matmul", "@", np.matmul, operator.matmul),
    ("and", "&", np.bitwise_and, operator.and_),
    ("or", "|", np.bitwise_or, operator.or_),
    ("xor", "^", np.bitwise_xor, operator.xor),
    ("lshift", "<<", np.left_shift, operator.lshift),
    ("rshift", ">>", np.right_shift, operator.rshift),
]
_SYMBOLS = {name: symbol for name, symbol, _, _ in _BINARY}

for _name, _, _ufunc, _python in _BINARY:
    setattr(TracedArray, f"__{_name}__", _binary(_ufunc, _python))
    setattr(TracedArray, f"__r{_name}__", _binary(_ufunc, _python, swapped=True))
    setattr(TracedArray, f"__i{_name}__", _inplace(_name, _ufunc))


# Where the base is an array, and only in the operator, NumPy takes these for a power: they differ
# for complex numbers, and bool ** 2 has another dtype.
_SHORTER_POWERS = {(int, -1): np.reciprocal, (int, 2): np.square, (float, 0.5): np.sqrt}


def _power(general: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            raise TypeError("pow(x, y, z) does not work on traced numbers; write x**y % z")
        kind = type(other)
        if (kind is int or kind is float) and (kind, other) in _SHORTER_POWERS:
            base = self.dtype.kind
            if not self.is_scalar() and (base in "fc" or (base == "b" and other == 2)):
                return _SHORTER_POWERS[kind, other](self)
        return general(self, other)

    return method


setattr(TracedArray, "__pow__", _power(getattr(TracedArray, "__pow__")))  # noqa: B009, B010

_UNEQUAL = {np.equal: False, np.not_equal: True}
for _ufunc, _name in _COMPARISONS.items():
    setattr(TracedArray, f"__{_name}__", _comparison(_ufunc, _UNEQUAL.get(_ufunc)))

for _name, _ufunc in [
    ("neg", np.negative),
    ("pos", np.positive),
    ("abs", np.absolute),
    ("invert", np.invert),
]:
    setattr(TracedArray, f"__{_name}__", _unary(_ufunc))


def _divmod(self: TracedArray, other: Any) -> Any:
    quotient = self // other
    return quotient if quotient is NotImplemented else (quotient, self % other)


def _rdivmod(self: TracedArray, other: Any) -> Any:
    quotient = other // self
    return quotient if quotient is NotImplemented else (quotient, other % self)


_STORE_IT = "to store it in an array, make that array with xnp (xnp.zeros(...), xnp.array(a)). "
_USE_OURS = (
    "Use xnp's function in place of math's (xnp.sin(x)), x in place of float(x), and f'{x:.3f}' "
    f"in place of '%.3f' % x; {_STORE_IT}"
)
_PASS_IT = (
    "Functions that make arrays must be xnp's (xnp.asarray(x), xnp.full(n, x)); of SciPy, only "
    "scipy.special works. Write a.dot(x) of an ndarray a as a @ x, np.float64(x) as "
    "x.astype(np.float64), a list of traced numbers as xnp.array([...]), and a draw "
    "rng.normal(mean) as mean + rng.normal(size=n); "
    f"{_STORE_IT}"
)


def _number(self: TracedArray, what: str) -> Any:
    """The number that Python asks for. What a function of NumPy's or ours asks for decides what it
    returns; what the user's own code asks for is a branch, or goes who knows where.
    """
    try:
        return concrete_value(self.value)
    except ConcretizationError as error:
        if is_called_by_library(3):
            raise noted(UnknownSizeError(f"{what}: {error}")) from None
        raise


def _bool(self: TracedArray) -> bool:
    return bool(_number(self, "a truth value"))


def _int(self: TracedArray) -> int:
    return int(_number(self, "an integer"))


def _index(self: TracedArray) -> int:
    return operator.index(_number(self, "an integer"))


def _bytes(self: Any) -> bytes:
    """NumPy's are an array's memory, where Python would take the numbers one by one."""
    return bytes(_index(self)) if self.is_scalar() and self.dtype.kind in "biu" else self.tobytes()


def _float(self: TracedArray) -> float:
    return float(constant_of(self, "float(x)", _USE_OURS))


def _complex(self: TracedArray) -> complex:
    return complex(constant_of(self, "complex(x)", _USE_OURS))


def _array(self: TracedArray, dtype: Any = None, copy: bool | None = None) -> Any:
    if dtype_of(self.value).kind in "biu":  # as bool(x) and int(x): no derivative to lose
        value = np.asarray(_number(self, "an array of integers"))
    else:
        value = np.asarray(constant_of(self, "a plain ndarray made", _PASS_IT))
    if dtype is not None and value.dtype != dtype:
        return value.astype(dtype)
    if copy:
        return value.copy()
    value = value.view()
    value.flags.writeable = False
    return value


def _len(self: TracedArray) -> int:
    shape = shape_of(self.value)
    if not shape:
        raise TypeError("len() of unsized object")
    return shape[0]


def _iter(self: TracedArray) -> Iterator[Any]:
    if not ndim_of(self.value):
        raise TypeError("iteration over a 0-d array")
    array: Any = self
    return (array[i] for i in range(shape_of(self.value)[0]))


def _contains(self: TracedArray, item: Any) -> bool:
    found: Any = np.any(self == item)
    return bool(concrete_value(found.value) if type(found) is TracedArray else found)


def _repr(self: TracedArray) -> str:
    """``TracedArray(f64[2], grad or vjp: [1. 2.])``: type, innermost transformation, values."""
    value = self.value
    kind = "0-d array " if self._kind == ARRAY0D and not ndim_of(value) else ""
    by = f", {value.trace.name}" if isinstance(value, Tracer) else ""
    try:
        shown = str(concrete_value(value))
    except BatchingError:
        shown = "differs between the examples of the batch"
    except ConcretizationError:
        shown = "not known yet"
    except LeakedTracerError:
        shown = "used after its transformation returned"
    return f"TracedArray({kind}{describe(self)}{by}: {shown})"


def _reduce(self: TracedArray, *_: Any) -> Any:
    raise TypeError(
        f"a traced array ({describe(self)}) cannot be pickled or copied with copyreg"
        f"{user_line()}: it belongs to a running transformation. Return it from the function and "
        "pickle the result."
    )


def _hash(self: TracedArray) -> int:
    if self.is_scalar():
        return hash(constant_of(self, "hash(x)"))
    raise TypeError("unhashable type: 'TracedArray', as numpy.ndarray")


def _round(self: Any, ndigits: int | None = None) -> Any:
    if ndigits is None:
        value: Any = np.asarray(concrete_value(self.value))[()]
        return round(value)
    return python_rounded(self.value, ndigits) if self._kind == WEAK else np.round(self, ndigits)


def _format(self: TracedArray, spec: str) -> str:
    if not spec:
        return str(self)
    if ndim_of(self.value):
        raise TypeError(
            "unsupported format string passed to TracedArray.__format__: it is no scalar"
        )
    return format(concrete_value(self.value), spec)


def _floor(self: TracedArray) -> int:
    return math.floor(concrete_value(self.value))


def _ceil(self: TracedArray) -> int:
    return math.ceil(concrete_value(self.value))


def _trunc(self: TracedArray) -> int:
    return math.trunc(concrete_value(self.value))


def _deepcopy(self: TracedArray, memo: Any = None) -> TracedArray:
    return wrap(self.value, self._kind)


install(
    {
        "__divmod__": _divmod,
        "__rdivmod__": _rdivmod,
        "__bool__": _bool,
        "__int__": _int,
        "__index__": _index,
        "__bytes__": _bytes,
        "__float__": _float,
        "__complex__": _complex,
        "__array__": _array,
        "__len__": _len,
        "__iter__": _iter,
        "__contains__": _contains,
        "__repr__": _repr,
        "__reduce_ex__": _reduce,
        "__hash__": _hash,
        "__round__": _round,
        "__floor__": _floor,
        "__ceil__": _ceil,
        "__trunc__": _trunc,
        "__format__": _format,
        "__copy__": _deepcopy,
        "__deepcopy__": _deepcopy,
    }
)
