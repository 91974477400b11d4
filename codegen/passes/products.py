"""Small products of matrices and vectors as sums of products: loops that fuse with what is around
them, where a call of BLAS costs as much as the product.
"""

from __future__ import annotations

from typing import Any

from ...autodiff.core import Aval
from ...autodiff.primitives.elementwise import multiply_p
from ...autodiff.program import Atom, Equation, Program, Variable
from ...autodiff.rules import broadcast_to_p, reduce_sum_p, reshape_p
from ..affine import product
from .atoms import has_regions, rebuilt, with_regions

FEWEST, MOST = 256, 1 << 15  # products of two numbers
NARROWEST = 8  # elements that a vector should have


def expand_products(program: Program) -> Program:
    """A small `matmul` becomes `multiply` and `reduce_sum`."""
    producers: dict[Variable, Equation] = {}
    equations: list[Equation] = []
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, expand_products)
        for v in equation.results:
            producers[v] = equation
        found = _expanded(equation, producers) if equation.primitive.name == "matmul" else None
        equations += found or [equation]
    return rebuilt(program, equations, program.results)


def _expanded(equation: Equation, producers: dict[Variable, Equation]) -> list[Equation] | None:
    a, b = equation.inputs
    (out,) = equation.results
    same = a.aval.dtype == b.aval.dtype == out.aval.dtype
    if not same or out.aval.dtype.char not in "fd":
        return None
    ndims = len(a.aval.shape), len(b.aval.shape)
    if ndims == (2, 2):
        return _matrices(a, b, out, producers)
    if ndims not in ((2, 1), (1, 2)):
        return None
    matrix, vector = (a, b) if ndims == (2, 1) else (b, a)
    size = product(matrix.aval.shape)
    if type(size) is not int or not FEWEST <= size <= MOST:
        return None
    along_rows = ndims == (2, 1)  # the sum runs along the matrix's last axis
    before = producers.get(matrix) if isinstance(matrix, Variable) else None
    if before is not None and before.primitive.name == "transpose":
        matrix, along_rows = before.inputs[0], not along_rows
    return _sum_of_products(matrix, vector, out, along_rows)


class _Writer:
    """Equations of one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.equations: list[Equation] = []

    def bind(self, primitive: Any, inputs: list[Atom], out: Any, **params: Any) -> Variable:
        """The result, of shape ``out``, of an equation that is added."""
        result = Variable(Aval(out, self.dtype))
        self.equations.append(Equation(primitive, inputs, params, [result]))
        return result

    def stretched(self, x: Atom, through: Any, shape: Any) -> Variable:
        """``x`` reshaped, which adds axes of length 1, and broadcast."""
        x = self.bind(reshape_p, [x], through, shape=through)
        return self.bind(broadcast_to_p, [x], shape, shape=shape)

    def sum(self, a: Atom, b: Atom, axis: int, out: Variable) -> list[Equation]:
        terms = self.bind(multiply_p, [a, b], a.aval.shape)
        self.equations.append(Equation(reduce_sum_p, [terms], {"axes": (axis,)}, [out]))
        return self.equations


def _sum_of_products(matrix: Atom, vector: Atom, out: Variable, along_rows: bool) -> list[Equation]:
    shape = matrix.aval.shape
    write = _Writer(out.aval.dtype)
    wide = write.stretched(vector, (1, shape[1]) if along_rows else (shape[0], 1), shape)
    return write.sum(matrix, wide, 1 if along_rows else 0, out)


def _matrices(
    a: Atom, b: Atom, out: Variable, producers: dict[Variable, Equation]
) -> list[Equation] | None:
    """Where b's rows lie in memory, each row of the result is a sum of them; where its columns do,
    as in ``a @ b.T``, each element is a sum along both.
    """
    (m, k), (_, n) = a.aval.shape, b.aval.shape
    size = product((m, k, n))
    if type(size) is not int or not 2 * FEWEST < size <= MOST:
        return None
    write = _Writer(out.aval.dtype)
    before = producers.get(b) if isinstance(b, Variable) else None
    if before is not None and before.primitive.name == "transpose":
        if k < 8 * NARROWEST:  # every sum has to be taken across the lanes
            return None
        shape = (m, n, k)
        rows = write.stretched(a, (m, 1, k), shape)
        return write.sum(rows, write.stretched(before.inputs[0], (1, n, k), shape), 2, out)
    if n < NARROWEST:
        return None
    shape = (m, k, n)
    columns = write.stretched(a, (m, k, 1), shape)
    return write.sum(columns, write.stretched(b, (1, k, n), shape), 1, out)
