"""What a compiled function takes and gives back: the description the call path works from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

NEVER = 2**62  # as `Signature.gil_limit`: the kernel always keeps the GIL


class Size(NamedTuple):
    """The value of the ``number``-th symbol, as a dimension. Its first occurrence among the
    arguments binds it, at later ones the dimension must be equal.
    """

    number: int


class Computed(NamedTuple):
    """A dimension of a result: the ``number``-th that the signature's ``dims`` function wrote."""

    number: int


class Array(NamedTuple):
    """An argument: exactly a numpy.ndarray, C-contiguous (``fortran``: Fortran-contiguous;
    ``strides``: of fixed lengths and with these strides, in bytes), aligned, in native byte order.

    ``mutated``: the kernel writes into it, so it must be writeable and share no memory with
    another array among the arguments. ``writeable``: whether it has to be, or must not be; None
    where that does not matter.
    """

    dtype: np.dtype[Any]
    dims: tuple[int | Size, ...]
    mutated: bool = False
    fortran: bool = False
    strides: tuple[int, ...] | None = None
    writeable: bool | None = None


class Scalar(NamedTuple):
    """An argument of exactly this type (float, complex, int, bool or a NumPy scalar type).

    The kernel gets the address of its value as a float64, complex128, int64, bool or the NumPy
    type's dtype. An int that does not fit misses.
    """

    type: type


class Static(NamedTuple):
    """An argument that the code was compiled for: this object.

    Ints and strings match by type and value, floats by type and bits, all else by identity.
    With ``equal`` whatever has the same type and compares equal matches. ``weak``: the object that
    ``value``, a `weakref.ref`, refers to; nothing once it is dead.
    """

    value: Any
    equal: bool = False
    weak: bool = False


class NewArray(NamedTuple):
    """A result: a new array, C-ordered or Fortran-ordered. The kernel gets the address of its
    uninitialised data.
    """

    dtype: np.dtype[Any]
    dims: tuple[int | Size | Computed, ...]
    fortran: bool = False


class NewScalar(NamedTuple):
    """A result: a scalar made from what the kernel wrote.

    ``type`` is None for ``dtype``'s NumPy scalar; or float (of float64), complex (complex128),
    int (int64), bool (bool).
    """

    dtype: np.dtype[Any]
    type: type | None = None


class Given(NamedTuple):
    """A result: this very object."""

    value: Any


class Argument(NamedTuple):
    """A result: the ``number``-th leaf of the arguments itself."""

    number: int


class Again(NamedTuple):
    """A result: the object that the ``number``-th leaf of the results is, once more."""

    number: int


class Rebuild(NamedTuple):
    """A node of the result tree that Python makes: ``function(list of children)``."""

    function: Callable[[list[Any]], Any]
    children: tuple[Any, ...]


ABSENT: Any = object()  # as what a watch expects: nothing is there


class WatchWord(NamedTuple):
    """The 64-bit integer at ``address`` has this value."""

    address: int
    value: int


class WatchItem(NamedTuple):
    """``space[key]`` of a dict is this very object, or `ABSENT`."""

    space: dict[Any, Any]
    key: Any
    value: Any


class WatchAttribute(NamedTuple):
    """``owner.name`` is this very object, or `ABSENT`."""

    owner: Any
    name: str
    value: Any


class WatchCell(NamedTuple):
    """A closure's cell holds this very object, or `ABSENT`."""

    cell: Any
    value: Any


class WatchContents(NamedTuple):
    """A list or dict has the items that ``value``, a copy, has: the same objects in this order."""

    container: Any
    value: Any


class WatchCall(NamedTuple):
    """``function()`` is ``value``, an object that lives on. Anything it raises counts as a no."""

    function: Callable[[], Any]
    value: Any = True


def default_error(code: int) -> BaseException:
    return RuntimeError(f"the compiled function failed with code {code}")


class Signature:
    """One compiled function: the arguments it takes, its kernel, its results.

    Args:
        positional: for each positional argument an `Array`, `Scalar` or `Static`, or a tuple, list
            or dict of them, which stands for exactly that type, length and keys (in this order;
            keys are str or int).
        keywords: the same for each keyword argument, in the order of the call.
        result: a `NewArray`, `NewScalar`, `Given`, `Argument` or `Again`, or a tuple, list, dict or
            `Rebuild` of them.
        run: the address of ``i32 run(ptr inputs, ptr outputs, ptr sizes)``. ``inputs`` are the
            addresses of the data of all `Array` and `Scalar` leaves in order, ``outputs`` those of
            all `NewArray` and `NewScalar` leaves, ``sizes`` the symbols' values. It returns 0, or
            a code; where it left a Python exception set, that one is raised.
        symbols: how many symbols there are.
        computed: how many sizes ``dims`` computes.
        guard: the address of ``i32 guard(ptr sizes)`` or 0: non-zero means that these sizes do not
            fit.
        dims: the address of ``void dims(ptr sizes, ptr computed)`` or 0.
        failed: makes the exception for a code.
        gil_limit: with more elements than this among arguments and results the kernel runs
            without the GIL: `NEVER`, or -1 for always.
        watches: what else must be as it was, looked at after the arguments: `WatchWord`,
            `WatchItem`, `WatchAttribute`, `WatchCell`, `WatchContents`, `WatchCall`.
        keep: anything that must live as long, such as the `Library` of ``run``.
    """

    def __init__(
        self,
        positional: tuple[Any, ...],
        keywords: Mapping[str, Any],
        result: Any,
        run: int,
        symbols: int = 0,
        computed: int = 0,
        guard: int = 0,
        dims: int = 0,
        failed: Callable[[int], BaseException] = default_error,
        gil_limit: int = 1 << 15,
        watches: Sequence[Any] = (),
        keep: Any = None,
    ) -> None:
        self.positional, self.keywords, self.result = positional, keywords, result
        self.run, self.guard, self.dims, self.failed = run, guard, dims, failed
        self.symbols, self.computed = symbols, computed
        self.gil_limit, self.watches, self.keep = gil_limit, tuple(watches), keep
        # All leaves, flattened.
        self.arguments = tuple(leaves((*positional, *keywords.values())))
        self.results = tuple(leaves(result))
        self._check_arguments()
        self._check_results()

    def raise_failed(self, code: int) -> None:
        """Called with a kernel's non-zero code."""
        raise self.failed(code)

    def _check_arguments(self) -> None:
        bound = set()
        for leaf in self.arguments:
            if not isinstance(leaf, Array | Scalar | Static):
                raise TypeError(f"not an argument of a signature: {leaf!r}")
            if isinstance(leaf, Array):
                bound |= {dim.number for dim in leaf.dims if isinstance(dim, Size)}
                _check_dtype(leaf.dtype)
            if isinstance(leaf, Scalar) and leaf.type not in SCALAR_DTYPES:
                raise TypeError(f"scalars of type {leaf.type} are not supported")
        if bound != set(range(self.symbols)):
            raise ValueError(f"{self.symbols} symbols, but the arguments bind {sorted(bound)}")

    def _check_results(self) -> None:
        limits = {Argument: len(self.arguments), Again: len(self.results)}
        for leaf in self.results:
            if isinstance(leaf, NewArray | NewScalar):
                _check_dtype(leaf.dtype)
            elif type(leaf) in limits:
                if not 0 <= leaf.number < limits[type(leaf)]:
                    raise ValueError(f"there is no leaf {leaf}")
            elif not isinstance(leaf, Given):
                raise TypeError(f"not a result of a signature: {leaf!r}")
            if isinstance(leaf, Again) and isinstance(self.results[leaf.number], Again):
                raise TypeError(f"{leaf} refers to another of its kind")
            if isinstance(leaf, NewArray):
                self._check_dims(leaf)
            if (
                isinstance(leaf, NewScalar)
                and leaf.dtype != SCALAR_DTYPES[leaf.type or leaf.dtype.type]
            ):
                raise TypeError(f"a {leaf.type} is not made of {leaf.dtype}")

    def _check_dims(self, leaf: NewArray) -> None:
        for dim in leaf.dims:
            if isinstance(dim, int):
                continue
            limit = self.symbols if isinstance(dim, Size) else self.computed
            if not 0 <= dim.number < limit:
                raise ValueError(f"{dim} of {leaf} is never set")


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of nested tuples, lists, dicts and `Rebuild` nodes, in order."""
    nested = children(tree)
    if nested is None:
        yield tree
    else:
        for child in nested:
            yield from leaves(child)


def children(tree: Any) -> tuple[Any, ...] | None:
    """A node's children, None for a leaf."""
    if isinstance(tree, Rebuild):
        return tree.children
    if type(tree) is dict:
        return tuple(tree.values())
    return tuple(tree) if type(tree) in (tuple, list) else None


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.char not in "?bBhHiIlLqQefdFD" or not dtype.isnative or dtype.metadata:
        raise TypeError(f"arrays of dtype {dtype} are not supported")


SCALAR_DTYPES: dict[type, np.dtype[Any]] = {
    float: np.dtype(float), complex: np.dtype(complex), int: np.dtype(np.int64),
    bool: np.dtype(bool), **{np.dtype(c).type: np.dtype(c) for c in "?bBhHiIlLqQefdFD"},
}  # fmt: skip
