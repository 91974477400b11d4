"""Random Programs for the code generator, equation by equation, with numbers that add up exactly.

Floats hold small integers (and sometimes infinities and NaN): what is summed in another order, kept
in wider registers or computed twice gives the same numbers, so that native code must give NumPy's
results to the bit. Every equation is computed as it is added, and left out if its numbers grow.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest

import xnp.autodiff.checkpoints
import xnp.autodiff.control  # noqa: F401 - enters the primitives of regions
from xnp.autodiff import dims
from xnp.autodiff.core import Aval, primitives
from xnp.autodiff.program import Equation, Literal, Program, Variable
from xnp.autodiff.scopes import Scope
from xnp.autodiff.size_structures import hinted, substituted

LARGEST = 6000  # elements
LIMITS = {"e": 512.0, "f": 2.0**22, "d": 2.0**50, "F": 2.0**22, "D": 2.0**50}
DTYPES = "ddddddffeFD??bBhHiIqqqQ"
SIZES = (0, 1, 1, 2, 3, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 100, 130)


class Refused(Exception):
    """An equation that does not fit: its types, or its numbers."""


class Known(NamedTuple):
    """A value of the Program that grows, and its number for the sample."""

    atom: Any
    sample: Any

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.atom.aval.shape

    @property
    def dtype(self) -> Any:
        return self.atom.aval.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)


def check_bounded(x: Any) -> None:
    """Whether sums of such numbers are exact in their dtype."""
    x = np.asarray(x)
    if x.dtype.kind not in "fc" or not x.size:
        return
    if x.dtype.kind == "c":
        check_bounded(x.real)
        check_bounded(x.imag)
        return
    finite = x[np.isfinite(x)]
    if finite.size and (np.abs(finite).max() > LIMITS[x.dtype.char] or (finite % 1).any()):
        raise Refused


_SUMS = frozenset({"reduce_sum", "cumsum", "matmul", "accumulate", "scatter_add"})
_PRODUCTS = frozenset({"reduce_prod", "cumprod"})


def check_exact(name: str, args: Sequence[Any], found: Sequence[Any], params: Any) -> None:
    """Whether the numbers stay exact on every way to them."""
    for x in found:
        check_bounded(x)
    if name in _SUMS or name in _PRODUCTS:
        sizes = [_magnitude(x, name in _PRODUCTS) for x in args]
        largest = np.asarray(primitives[name].impl(*sizes, **params))
        check_bounded(largest)
        if not np.isfinite(largest).all():
            raise Refused
    elif name == "multiply" and np.asarray(found[0]).dtype.kind == "c":
        check_bounded(_magnitude(args[0], False) * _magnitude(args[1], False))
    elif name == "convert":
        _check_conversion(np.asarray(args[0]), params["dtype"])


def _magnitude(x: Any, product: bool) -> Any:
    x = np.asarray(x)
    if x.dtype.kind not in "fc":
        return x
    x = (np.abs(x.real) + np.abs(x.imag)).astype(x.dtype)
    x = np.where(np.isfinite(x.real), x, x.dtype.type(0))
    return np.maximum(x.real, 1).astype(x.dtype) if product else x


def _check_conversion(x: Any, dtype: Any) -> None:
    """What C leaves undefined has no number to compare with."""
    if x.dtype.kind in "fc" and dtype.kind in "iu" and x.size:
        info = np.iinfo(dtype)
        real = x.real.astype(np.float64)
        if not (np.isfinite(real).all() and real.min() >= info.min and real.max() <= info.max / 2):
            raise Refused


def _checked_call(self: Program, *values: Any) -> list[Any]:
    """In the place of `Program.__call__`: looks at all numbers on the way."""
    known: dict[Any, Any] = dict(zip(self.parameters, values, strict=True))
    sizes = self._sizes(values)
    for equation in self.equations:
        args = [x.value if type(x) is Literal else known[x] for x in equation.inputs]
        params = substituted(equation.params, sizes)
        found = computed(equation.primitive, args, params)
        known.update(zip(equation.results, found, strict=True))
    return [x.value if type(x) is Literal else known[x] for x in self.results]


def computed(primitive: Any, args: Sequence[Any], params: Any) -> tuple[Any, ...]:
    found = primitive(*args, **params)
    found = found if primitive.multiple else (found,)
    check_exact(primitive.name, args, found, params)
    return found


@contextmanager
def checking() -> Iterator[None]:
    """Inside, evaluating a Program raises `Refused` where its numbers are not exact."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(Program, "__call__", _checked_call)
        patch.setattr(primitives["call"], "impl", lambda *xs, program: tuple(program(*xs)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


class Sample(NamedTuple):
    """A Program, and arguments for it."""

    program: Program
    values: list[Any]
    scope: Scope | None

    def wanted(self) -> list[Any]:
        """The results by NumPy; raises Refused where they are not exact."""
        with checking():
            return self.program(*self.values)

    def at(self, sizes: dict[str, int], seed: int) -> Sample:
        """Arguments of other sizes."""
        rng = random.Random(seed)
        assert self.scope is not None
        by_symbol = {self.scope.symbols[name]: size for name, size in sizes.items()}
        values = []
        for v in self.program.parameters:
            shape = substituted(v.aval.shape, by_symbol)
            values.append(random_array(rng, shape, v.aval.dtype, v.aval.weak))
        return self._replace(values=values)


def random_array(rng: random.Random, shape: Sequence[int], dtype: Any, weak: bool = False) -> Any:
    numbers = np.random.default_rng(rng.getrandbits(32))
    dtype = np.dtype(dtype)
    low = 0 if dtype.kind in "u?b" else -4
    x = numbers.integers(low, 2 if dtype.kind == "b" else 5, tuple(shape)).astype(dtype)
    if dtype.kind == "c":
        x = x + dtype.type(1j) * numbers.integers(-3, 4, tuple(shape)).astype(dtype)
    if dtype.kind == "f" and not weak and x.ndim and rng.random() < 0.1:
        some = numbers.random(x.shape) < 0.1
        x[some] = numbers.choice([np.inf, -np.inf, np.nan], int(some.sum()))
    if x.ndim:
        return x
    return x.item() if weak else x[()]


def is_same(a: Any, b: Any) -> bool:
    """Whether two sizes are equal, whatever the symbols are."""
    return a == b if type(a) is type(b) is int else dims.provably_equal(a, b)


class Maker:
    """Grows one Program, or a region of one."""

    def __init__(
        self, rng: random.Random, sizes: Sequence[Any], depth: int = 0, more_writes: int = 0
    ) -> None:
        self.rng, self.sizes, self.depth = rng, sizes, depth
        self.more_writes = more_writes  # how much more often writes to arrays come than usual
        self.equations: list[Equation] = []
        self.known: list[Known] = []
        self.parameters: list[Variable] = []

    # What grows.

    def parameter(self, aval: Aval, sample: Any) -> Known:
        v = Variable(aval)
        self.parameters.append(v)
        self.known.append(Known(v, sample))
        return self.known[-1]

    def add(self, name: str, *args: Known, **params: Any) -> Known:
        """The first result of a new equation."""
        return self.add_all(name, *args, **params)[0]

    def add_all(self, name: str, *args: Known, **params: Any) -> list[Known]:
        primitive = primitives[name]
        try:
            avals = primitive.shape(*(x.atom.aval for x in args), **params)
            avals = tuple(avals) if primitive.multiple else (avals,)
            sizes = self._numbers(params)
            found = computed(primitive, [x.sample for x in args], sizes)
        except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
            raise Refused from error
        if sum(np.size(x) for x in found) > LARGEST:
            raise Refused
        results = [Variable(aval) for aval in avals]
        self.equations.append(Equation(primitive, [x.atom for x in args], params, results))
        new = [Known(v, x) for v, x in zip(results, found, strict=True)]
        self.known += new
        return new

    def _numbers(self, params: Any) -> Any:
        """Parameters with the hints in the place of symbols."""
        return hinted(params)

    def program(self, results: Sequence[Known], name: str = "f") -> Program:
        return Program(self.parameters, self.equations, [x.atom for x in results], name)

    # Choices.

    def pick(self, fits: Callable[[Known], Any] = lambda x: True) -> Known:
        """A value, rather a new one."""
        found = [x for x in self.known if fits(x)]
        if not found:
            raise Refused
        if self.rng.random() < 0.6:
            found = found[-5:]
        return self.rng.choice(found)

    def array(self, fits: Callable[[Known], Any] = lambda x: True) -> Known:
        return self.pick(lambda x: x.ndim and fits(x))

    def number(self, dtype: Any) -> Known:
        """A literal to compute with ``dtype``, weak or not."""
        value: Any = self.rng.choice((0, 1, 2, 3, -1, -2, 5))
        if np.dtype(dtype).kind in "u":
            value = abs(value)
        if np.dtype(dtype).kind == "b":
            value = bool(value % 2)
        kinds: list[Any] = [np.dtype(dtype).type(value)] * 2
        kinds.append(float(value) if np.dtype(dtype).kind in "fc" else value)
        value = self.rng.choice(kinds)
        return Known(Literal(value), value)

    def constant(self, shape: Sequence[Any], dtype: Any) -> Known:
        """An array that is known when the Program is made."""
        if not all(type(dim) is int for dim in shape):
            raise Refused
        x = np.asarray(random_array(self.rng, shape, dtype))
        if self.rng.random() < 0.2:
            x = np.asfortranarray(x)
        return Known(Literal(x), x)

    def other(self, x: Known) -> Known:
        """What goes with ``x`` in an elementwise operation."""
        if self.rng.random() < 0.25:
            return self.number(x.dtype)
        if self.rng.random() < 0.05:
            return self.constant(x.shape[self.rng.randrange(x.ndim + 1) :], x.dtype)
        return self.pick(lambda y: fits(y.shape, x.shape))

    def grow(self, count: int) -> None:
        from native_operations import OPERATIONS, writes  # which are functions of a Maker

        weights = {**OPERATIONS, writes: OPERATIONS[writes] + self.more_writes}
        names, weights = zip(*((f, w) for f, w in weights.items()), strict=True)
        left = 8 * count
        while count and left:
            left -= 1
            start = len(self.equations)
            try:
                self.rng.choices(names, weights)[0](self)
                count -= 1
            except Refused:
                known = {v for e in self.equations[start:] for v in e.results}
                del self.equations[start:]
                self.known = [x for x in self.known if x.atom not in known]


def fits(small: Sequence[Any], large: Sequence[Any]) -> bool:
    """Whether one shape broadcasts to the other."""
    tail = large[max(len(large) - len(small), 0) :]
    return len(small) <= len(large) and all(
        is_same(a, 1) or is_same(a, b) for a, b in zip(small, tail, strict=True)
    )


def sample_of(
    seed: int, *, symbolic: bool = False, length: int = 0, more_writes: int = 0
) -> Sample:
    """A random Program with arguments."""
    rng = random.Random(seed)
    scope = Scope() if symbolic else None
    numbers = [rng.choice(SIZES) for _ in range(rng.choice((1, 2, 2, 3)))]
    sizes: list[Any] = list(numbers)
    if scope is not None:
        sizes = [scope.symbol(f"n{i}", max(n, 2), 2) for i, n in enumerate(numbers)]
        numbers = [max(n, 2) for n in numbers]
    hints = dict(zip(map(id, sizes), numbers, strict=True))
    maker = Maker(rng, sizes, more_writes=more_writes)
    values = []
    for _ in range(rng.choice((1, 2, 3, 4))):
        shape = [rng.choice((*sizes, *sizes, 1)) for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3)))]
        shape += [rng.choice((2, 3))] if rng.random() < 0.1 else []
        weak = not shape and rng.random() < 0.3
        dtype = np.dtype(rng.choice("dqD?") if weak else rng.choice(DTYPES))
        known = [hints.get(id(dim), dim) for dim in shape]
        if np.prod(known) > LARGEST:
            shape, known = shape[:1], known[:1]
        values.append(random_array(rng, known, dtype, weak))
        maker.parameter(Aval(tuple(shape), dtype, weak), values[-1])
    bound = {id(dim) for v in maker.parameters for dim in v.aval.shape}
    maker.sizes = [d for d in sizes if type(d) is int or id(d) in bound] or [3]
    with checking():
        maker.grow(length or rng.choice((2, 4, 7, 10, 15)))
    results = [maker.pick() for _ in range(rng.choice((1, 1, 2, 3, 4)))]
    if rng.random() < 0.05:
        results.append(maker.constant((3,), "d"))
    if scope is not None:
        scope.close()
    return Sample(maker.program(results), values, scope)
