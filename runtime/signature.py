"""What a call looks like: trees of arguments taken apart, and a key of all that is not traced.

The key of a call is a flat tuple of tokens: the structure of the arguments, of every traced leaf
its type, of every static leaf its value. Calls with one key may share a Program.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..autodiff import foreign, trees
from ..autodiff.boundary import describe_any
from ..autodiff.core import PYTHON_DTYPES, Aval, dtype_of, is_weak, shape_of
from ..autodiff.errors import user_line
from ..autodiff.foreign import dtype_advice
from ..autodiff.handles import ARRAY0D, RESULT, WEAK, TracedArray, axes_in_memory

STATIC, TREE, DYNAMIC = 0, 1, 2  # how an argument is taken: whole by value, or leaf by leaf


class Type(NamedTuple):
    """What is known of a traced leaf. An array without gaps has an ``order``, its axes as they lie
    in memory (None: C order), one with gaps has ``strides``.
    """

    kind: int
    dtype: np.dtype[Any]
    shape: tuple[Any, ...]
    order: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    writeable: bool = True
    aligned: bool = True

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype.newbyteorder("="), self.kind == WEAK)

    @property
    def converted(self) -> bool:
        """Whether the array is copied on the way in: of foreign byte order, or misaligned."""
        return not self.dtype.isnative or not self.aligned

    @property
    def is_fortran(self) -> bool:
        """Whether the axes lie in memory in reverse order."""
        return self.order is not None and self.order == tuple(range(len(self.shape)))[::-1]

    def __str__(self) -> str:
        order = "" if self.strides is None else f" strides {self.strides}"
        if self.order is not None:
            order = " in Fortran order" if self.is_fortran else f" in order {self.order}"
        text = f"{self.aval}{order}{'' if self.writeable else ' read-only'}"
        return f"scalar {text}" if self.kind == RESULT else text


_WEAK_TYPES = {kind: Type(WEAK, dtype, ()) for kind, dtype in PYTHON_DTYPES.items()}


def array_type(x: np.ndarray[Any, Any]) -> Type:
    flags = x.flags
    if flags.c_contiguous:
        return Type(ARRAY0D, x.dtype, x.shape, None, None, flags.writeable, flags.aligned)
    order, strides = _order_of(x)
    return Type(ARRAY0D, x.dtype, x.shape, order, strides, flags.writeable, flags.aligned)


def _order_of(x: Any) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """The order of an array or layout that is not in C order, or else its strides."""
    if x.flags.f_contiguous:
        return tuple(range(x.ndim))[::-1], None
    order = axes_in_memory(x)
    return (order, None) if x.transpose(order).flags.c_contiguous else (None, x.strides)


def handle_type(x: TracedArray) -> Type:
    """That of what NumPy would have in the place of a handle."""
    value = x.value
    shape, dtype = shape_of(value), dtype_of(value)
    if is_weak(value):
        return _WEAK_TYPES[_PYTHON_TYPES[dtype.kind]]
    if x.is_scalar():
        return Type(RESULT, dtype, ())
    layout = x.layout()
    order, strides = (None, None) if layout.flags.c_contiguous else _order_of(layout)
    return Type(ARRAY0D, dtype, shape, order, strides, is_writeable(x))


_PYTHON_TYPES = {"b": bool, "i": int, "f": float, "c": complex}


def is_writeable(handle: TracedArray) -> bool:
    """Whether no view on the way to the root is read-only."""
    while (view := handle._view) is not None:
        if view.put is None:
            return False
        handle = view.base
    return True


def typed_key(x: Any) -> Hashable:
    """A key of a hashable object that tells 1, 1.0 and True apart, and 0.0 and -0.0."""
    kind = type(x)
    if kind is float or kind is complex:
        return kind, repr(x)
    if isinstance(x, np.generic):
        return kind, x.dtype, x.tobytes()
    if kind is tuple:
        return kind, tuple(map(typed_key, x))
    if kind is slice:
        return kind, typed_key(x.start), typed_key(x.stop), typed_key(x.step)
    if kind is frozenset:
        return kind, frozenset(map(typed_key, x))
    return kind, x


PLAIN = frozenset({int, bool, str, bytes, type(None), type(...), slice, range})


class Call:
    """The arguments of one call: ``key``; the traced leaves with their types and where they come
    from; and ``objects``: static leaves whose contents count besides their identity, and the
    classes of nodes.
    """

    __slots__ = ("args", "bound", "classes", "key", "kwargs", "leaves", "modes", "objects", "types")

    def __init__(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        modes: Callable[[int | str], int],
        bound: Any = None,
    ) -> None:
        self.args, self.kwargs, self.modes, self.bound = args, kwargs, modes, bound
        self.leaves: list[Any] = []
        self.types: list[Type] = []
        self.objects: list[Any] = []
        self.classes: set[type] = set()
        tokens: list[Any] = [len(args), *kwargs]
        for i, arg in enumerate(args):
            self._argument(arg, i, tokens)
        for name, arg in kwargs.items():
            self._argument(arg, name, tokens)
        self.key = tuple(tokens)

    def _argument(self, arg: Any, place: int | str, tokens: list[Any]) -> None:
        mode = self.modes(place)
        try:
            if mode == STATIC:
                self._static(arg, tokens)
            else:
                self._scan(arg, mode == DYNAMIC, tokens)
        except _UnhashableError as error:
            raise TypeError(_unhashable_text(place, error.args[0], mode)) from None
        except _UnfitError as error:
            kind, text = error.args
            raise kind(f"jit: {_called(place)} holds {text}") from None
        except RecursionError:
            raise _too_deep(place, arg) from None

    def _scan(self, x: Any, dynamic: bool, tokens: list[Any]) -> None:
        """Tokens and leaves of a tree, in the order in which `Spec` has them."""
        kind = type(x)
        if (found := leaf_type(x, dynamic)) is not None:
            tokens.append(found)
            self.leaves.append(x)
            self.types.append(found)
        elif kind is tuple or kind is list:
            tokens += (kind, len(x))
            for item in x:
                self._scan(item, dynamic, tokens)
        elif kind is dict:
            tokens += (kind, tuple(map(typed_key, x)))
            for item in x.values():
                self._scan(item, dynamic, tokens)
        elif kind in PLAIN or isinstance(x, np.generic):
            self._static(x, tokens)
        elif (parts := trees.node_parts(x)) is not None:
            children, metadata = parts
            tokens += (kind, len(children))
            if kind not in self.classes:  # whose methods the function may call
                self.classes.add(kind)
                self.objects.append(kind)
            self._metadata(metadata, tokens)
            for item in children:
                self._scan(item, dynamic, tokens)
        else:
            self._static(x, tokens)

    def _metadata(self, x: Any, tokens: list[Any]) -> None:
        """Of a node, what is none of its children: containers by value, all else by identity."""
        kind = type(x)
        if kind is tuple or kind is list:
            tokens += (kind, len(x))
            for item in x:
                self._metadata(item, tokens)
        elif kind is dict:
            tokens += (kind, tuple(map(typed_key, x)))
            for item in x.values():
                self._metadata(item, tokens)
        elif kind in PLAIN or kind is float or kind is complex or isinstance(x, np.generic):
            tokens.append(typed_key(x))
        else:
            tokens.append(kind)
            self.objects.append(x)

    def _static(self, x: Any, tokens: list[Any]) -> None:
        if type(x) in PLAIN or type(x) in (float, complex) or isinstance(x, np.generic):
            tokens.append(typed_key(x))
        else:
            if x is not self.bound:
                _check_hashable(x)
            tokens.append(type(x))
            self.objects.append(x)

    def rebuilt(self, replaced: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with others in place of the traced leaves."""
        new = iter(replaced)

        def argument(arg: Any, place: int | str) -> Any:
            mode = self.modes(place)
            if mode == STATIC:
                return arg
            try:
                return spec_of(arg, lambda x: leaf_type(x, mode == DYNAMIC) is not None).fill(new)
            except RecursionError:
                raise _too_deep(place, arg) from None

        args = tuple(argument(arg, i) for i, arg in enumerate(self.args))
        return args, {name: argument(arg, name) for name, arg in self.kwargs.items()}


class _UnhashableError(Exception):
    pass


class _UnfitError(Exception):
    """What an argument holds and must not: the class of the error, and the end of its text."""


def _called(place: int | str) -> str:
    return f"argument {place!r}" if isinstance(place, str) else f"argument {place}"


def _too_deep(place: int | str, arg: Any) -> RecursionError:
    return RecursionError(
        f"jit: {_called(place)} is a {type(arg).__name__} that is nested in itself, or too deeply. "
        "Pass its arrays in a tree of fewer levels."
    )


def _check_hashable(x: Any) -> None:
    try:
        hash(x)
    except (TypeError, ValueError):  # ValueError: a writable memoryview
        raise _UnhashableError(x) from None


def _unhashable_text(place: int | str, x: Any, mode: int) -> str:
    name = _called(place)
    if mode == STATIC:
        return (
            f"jit: {name} is static, and is {describe_any(x)}, which cannot be hashed. Pass a "
            "tuple in place of a list, a frozenset in place of a set, or leave it out of "
            "static_argnames."
        )
    if isinstance(x, (memoryview, bytearray, array)):
        return f"jit: {name} holds {describe_any(x)}. Pass an array of it: np.asarray(x)."
    if isinstance(x, set):
        return f"jit: {name} holds {describe_any(x)}. Pass a frozenset in its place."
    return (
        f"jit: {name} holds {describe_any(x)}, which is neither an array, a number nor hashable. "
        "Pass its arrays as a tuple or dict, make its class a tree "
        "(@optree.dataclasses.dataclass(namespace='xnp')), or give the class a __hash__."
    )


def leaf_type(x: Any, dynamic: bool = False) -> Type | None:
    """The type of what is traced; None for what is static, or a tree."""
    kind = type(x)
    if kind is np.ndarray:
        _check_dtype(x)
        return array_type(x)
    if kind is float or kind is complex or (dynamic and (kind is int or kind is bool)):
        if kind is int and not -(2**63) <= x < 2**63:
            raise _UnfitError(
                OverflowError,
                f"an int of {x.bit_length()} bits, and ints that are traced are int64. Leave it "
                "out of dynamic_argnames: static ones have any size.",
            )
        return _WEAK_TYPES[kind]
    if kind is TracedArray:
        return handle_type(x)
    if isinstance(x, np.generic) and (dynamic or isinstance(x, np.inexact)):
        _check_dtype(x)
        return Type(RESULT, x.dtype, ())
    if not isinstance(x, np.ndarray):
        return None
    _check_dtype(x)
    return array_type(foreign.checked(x))


def _check_dtype(x: np.ndarray[Any, Any] | np.generic) -> None:
    if x.dtype.kind not in "fciub":
        raise _UnfitError(TypeError, f"{describe_any(x)}{user_line()}; {dtype_advice(x.dtype)}.")


def is_tree(x: Any) -> bool:
    """Whether something that is no traced leaf consists of parts."""
    kind = type(x)
    if kind in PLAIN or isinstance(x, np.generic):
        return False
    return kind in (tuple, list, dict) or trees.one_level(x) is not None


class Spec:
    """A tree without its leaves. ``fill(leaves)`` builds the tree again. ``names``: of a dict."""

    __slots__ = ("build", "children", "names")

    def __init__(
        self,
        build: Callable[[list[Any]], Any],
        children: list[Any],
        names: list[Any] | None = None,
    ) -> None:
        self.build, self.children, self.names = build, children, names

    def fill(self, leaves: Iterator[Any]) -> Any:
        return self.build([child.fill(leaves) for child in self.children])


class _Leaf:
    def fill(self, leaves: Iterator[Any]) -> Any:
        return next(leaves)


class _Fixed:
    def __init__(self, value: Any) -> None:
        self.value = value

    def fill(self, leaves: Iterator[Any]) -> Any:
        return self.value


def spec_of(
    tree: Any, is_leaf: Callable[[Any], bool] = lambda _: False, found: list[Any] | None = None
) -> Any:
    """The structure of a tree of lists, tuples, dicts and pytree nodes. What is in none of them is
    a leaf if ``is_leaf`` says so, else it stays as it is; with ``found``, where leaves are listed,
    it is always one.
    """
    kind = type(tree)
    if is_leaf(tree):
        if found is not None:
            found.append(tree)
        return _Leaf()
    if kind is tuple or kind is list:
        return Spec(kind, [spec_of(x, is_leaf, found) for x in tree])
    if kind is dict:
        names = list(tree)
        children = [spec_of(x, is_leaf, found) for x in tree.values()]
        return Spec(lambda values: dict(zip(names, values, strict=True)), children, names)
    node = None if kind in PLAIN else trees.one_level(tree)
    if node is not None:
        children, build = node
        return Spec(build, [spec_of(x, is_leaf, found) for x in children])
    if found is None:
        return _Fixed(tree)
    found.append(tree)
    return _Leaf()
