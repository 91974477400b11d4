"""Products of matrices: small ones with a vector become sums of products, loops that fuse with what
is around them, where a call of BLAS costs as much as the product; what is added to one of moderate
size is what its sums begin with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping

from ...autodiff.core import Aval
from ...autodiff.primitives.elementwise import multiply_p
from ...autodiff.program import Atom, Equation, Program, Variable
from ...autodiff.rules import broadcast_to_p, reduce_sum_p, reshape_p
from ..affine import product, same
from ..costs import is_moderate_product, is_tiny_product
from ..fused import matmul_sum_p
from .atoms import has_regions, rebuilt, same_aval, with_regions

MOST_PRODUCTS = 4  # in one sum
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
    """Sums of products, and what is added to them, become one operation."""
    uses = Counter([x for e in program.equations for x in e.inputs])
    uses.update(program.results)
    waiting: dict[Atom, Equation] = {}  # products, and sums of them, that only one equation reads
    stretched: set[Atom] = set()
    equations: dict[Equation, None] = {}
    for equation in program.equations:
        if has_regions(equation):
            equation = with_regions(equation, add_to_products)
        if equation.primitive.name == "add":
            equation, replaced = _added(equation, waiting, stretched)
            for e in replaced:
                del equations[e]
        if equation.primitive.name in ("matmul", "matmul_sum") and uses[equation.results[0]] == 1:
            waiting[equation.results[0]] = equation
        if equation.primitive.name == "broadcast_to":
            stretched.update(equation.results)
        equations[equation] = None
    return rebuilt(program, list(equations), program.results)


def _added(
    equation: Equation, waiting: Mapping[Atom, Equation], stretched: Container[Atom]
) -> tuple[Equation, list[Equation]]:
    """The sum as one equation, and those it replaces; itself, and none, if that is not possible."""
    (out,) = equation.results
    sources = [e for x in equation.inputs if (e := waiting.get(x)) is not None]
    if len(set(sources)) < len(sources) or not all(_is_tiled(e, out) for e in sources):
        return equation, []
    others = [x for x in equation.inputs if x not in waiting]
    factors = [x for e in sources for x in e.inputs[: len(e.inputs) // 2 * 2]]
    starts = [*others, *(e.inputs[-1] for e in sources if len(e.inputs) % 2)]
    if len(starts) > 1 or len(factors) > 2 * MOST_PRODUCTS or not sources:
        return equation, []
    if not all(x not in stretched and _can_begin(x, out) for x in others):
        return equation, []
    return Equation(matmul_sum_p, [*factors, *starts], {}, [out], equation.line), sources


def _is_tiled(source: Equation, out: Variable) -> bool:
    """Whether tiles are for a product, or all of a sum of them, with the type of the result."""
    a, b = source.inputs[:2]
    if not a.aval.ndim == b.aval.ndim == 2 or a.aval.dtype != b.aval.dtype:
        return False
    (m, k), n = a.aval.shape, b.aval.shape[1]
    is_ours = is_tiny_product(m, k, n, out.aval.dtype) or is_moderate_product(
        m, k, n, out.aval.dtype
    )
    return is_ours and same_aval(source.results[0].aval, out.aval)


def _can_begin(x: Atom, out: Variable) -> bool:
    """Whether sums of products can begin with ``x``: whole rows of the result's type."""
    aval = x.aval
    rows = 1 <= aval.ndim <= 2 and same(aval.shape[-1], out.aval.shape[-1])
    return rows and aval.dtype == out.aval.dtype and not aval.weak
