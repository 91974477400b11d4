"""The op table: the rows of every module in tests/ops, and the cases that the drivers run.

A driver is a file test_op_<law>.py with one test, parametrised over `CASES` (or a part of them).
The laws themselves are in laws.py.
"""

import importlib
import itertools
import pkgutil
from dataclasses import dataclass
from typing import Any

import numpy
import ops
from op_row import Op

from xnp.testing.vectors import is_inexact, leaves_of, map_leaves


@dataclass(frozen=True)
class Case:
    """One row with one of its samples."""

    op: Op
    index: int

    def __str__(self):
        return f"{self.op.name}-{self.index}"

    @property
    def args(self) -> tuple[Any, ...]:
        """Fresh copies of the sample's arguments, with their memory layout."""
        return tuple(map_leaves(copied, arg) for arg in self.op.samples[self.index])

    @property
    def differentiable(self) -> tuple[int, ...]:
        """The positions of the arguments that are differentiated."""
        if self.op.diff is not None:
            return self.op.diff
        return tuple(i for i, arg in enumerate(self.args) if is_differentiable(arg))

    @property
    def batchable(self) -> tuple[int, ...]:
        """The positions of the arguments that vmap can batch."""
        if isinstance(self.op.vmap, tuple):
            return self.op.vmap
        return tuple(i for i, arg in enumerate(self.args) if self.op.vmap and is_array(arg))

    @property
    def is_wide(self) -> bool:
        """Whether all real and complex arguments are in double precision."""
        leaves = itertools.chain.from_iterable(map(leaves_of, self.args))
        return all(numpy.result_type(a) in (float, complex) for a in leaves if is_inexact(a))


def copied(leaf: Any) -> Any:
    """A copy with the strides of the original, negative and zero ones included."""
    if not isinstance(leaf, numpy.ndarray):
        return leaf
    if not leaf.ndim:
        return leaf.copy()
    flips = tuple(slice(None, None, -1 if step < 0 else 1) for step in leaf.strides)
    spread = tuple(slice(0, 1) if step == 0 else slice(None) for step in leaf.strides)
    copy = leaf[flips][spread].copy("K")
    return numpy.broadcast_to(copy, leaf.shape)[flips] if 0 in leaf.strides else copy[flips]


def is_differentiable(arg: Any) -> bool:
    """Whether an argument is a real or complex array or number, or a list or tuple of such."""
    leaves = leaves_of(arg)
    return bool(leaves) and all(map(is_inexact, leaves))


def is_array(arg: Any) -> bool:
    """Whether an argument is an array, or a list or tuple of arrays."""
    leaves = leaves_of(arg)
    return bool(leaves) and all(isinstance(leaf, (numpy.ndarray, numpy.generic)) for leaf in leaves)


def subsets(positions: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every nonempty subset; of more than three positions the singles, neighbours, and all."""
    n = len(positions)
    sizes = range(1, n + 1) if n <= 3 else (1, n)
    found = [s for size in sizes for s in itertools.combinations(positions, size)]
    if n > 3:
        found += itertools.pairwise(positions)
    return found


def _rows(name: str) -> list[Op]:
    try:
        return importlib.import_module(f"ops.{name}").ROWS
    except Exception as error:  # noqa: BLE001 - a broken file fails a row of its own, no other file's
        return [Op(f"ops.{name}", _raising(error), [()])]


def _raising(error: Exception) -> Any:
    def fun(*args):
        raise error

    return fun


FAMILIES = sorted(module.name for module in pkgutil.iter_modules(ops.__path__))
OPS: list[Op] = [row for name in FAMILIES for row in _rows(name)]
CASES = [Case(op, i) for op in OPS for i in range(len(op.samples))]
DIFFERENTIABLE_CASES = [case for case in CASES if case.differentiable]
