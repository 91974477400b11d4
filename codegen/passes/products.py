"""Products of matrices: small ones with a vector become sums of products, loops that fuse with what
is around them, where a call of BLAS costs as much as the product; what is added to one of moderate
size is what its sums begin with.
"""

from __future__ import annotations

from ...autodiff.core import Aval
from ...autodiff.primitives.elementwise import multiply_p
from ...autodiff.program import Atom, Equation, Program, Variable
from ...autodiff.rules import broadcast_to_p, reduce_sum_p, reshape_p
from ..affine import product, same
from ..costs import is_moderate_product
from ..fused_products import matmul_add_p
from .atoms import has_regions, rebuilt, with_regions

FEWEST, MOST = 256, 1 << 15  # products of two numbers


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


def _sum_of_products(matrix: Atom, vector: Atom, out: Variable, along_rows: bool) -> list[Equation]:
    shape, dtype = matrix.aval.shape, out.aval.dtype
    through = (1, shape[1]) if along_rows else (shape[0], 1)
    line, wide, terms = (Variable(Aval(x, dtype)) for x in (through, shape, shape))
    return [
        Equation(reshape_p, [vector], {"shape": through}, [line]),
        Equation(broadcast_to_p, [line], {"shape": shape}, [wide]),
        Equation(multiply_p, [matrix, wide], {}, [terms]),
        Equation(reduce_sum_p, [terms], {"axes": (1 if along_rows else 0,)}, [out]),
    ]


def add_to_products(program: Program) -> Program:
    """``a @ b + c`` becomes one operation."""
    uses: dict[Atom, int] = {}
    for x in (*(x for e in program.equations for x in e.inputs), *program.results):
        uses[x] = uses.get(x, 0) + 1
    waiting: dict[Atom, Equation] = {}  # products that only one equation reads
    made: dict[Atom, str] = {}
    equations: list[Equation] = []
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, add_to_products)
        if equation.primitive.name == "add":
            found = _added(equation, waiting, made)
            if found is not None:
                product_of, equation = found
                equations.remove(product_of)
        elif equation.primitive.name == "matmul" and uses.get(equation.results[0]) == 1:
            waiting[equation.results[0]] = equation
        made.update(dict.fromkeys(equation.results, equation.primitive.name))
        equations.append(equation)
    return rebuilt(program, equations, program.results)


def _added(
    equation: Equation, waiting: dict[Atom, Equation], made: dict[Atom, str]
) -> tuple[Equation, Equation] | None:
    """A product that is added to something in memory, and the one equation for both."""
    (out,) = equation.results
    for x, c in (equation.inputs, equation.inputs[::-1]):
        source = waiting.get(x)
        if source is None or x is c or not _can_begin_with(source, c, out, made):
            continue
        return source, Equation(matmul_add_p, [*source.inputs, c], {}, [out], equation.line)
    return None


def _can_begin_with(source: Equation, c: Atom, out: Variable, made: dict[Atom, str]) -> bool:
    a, b = source.inputs
    if not a.aval.ndim == b.aval.ndim == out.aval.ndim == 2 or not 1 <= c.aval.ndim <= 2:
        return False
    dtypes = {x.aval.dtype for x in (a, b, c, out)}
    if len(dtypes) != 1 or out.aval.dtype.char not in "fd" or c.aval.weak:
        return False
    (m, k), n = a.aval.shape, b.aval.shape[1]
    fits = same(out.aval.shape[0], m) and same(out.aval.shape[1], n) and same(c.aval.shape[-1], n)
    return fits and is_moderate_product(m, k, n, out.aval.dtype) and made.get(c) != "broadcast_to"
