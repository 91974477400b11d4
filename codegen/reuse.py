"""Updates in place: which equations may write into the storage of an operand."""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache

from ..autodiff.counted import Counted
from ..autodiff.program import Atom, Equation, Literal, Program, Variable
from .affine import INDEX_OPERATIONS

# The operand that is updated, by primitive: what is not written to stays as it was.
UPDATES = {"setitem": 0, "scatter": 0, "scatter_add": 0}


def reusable(program: Program, donated: Container[Variable] = ()) -> dict[Equation, dict[int, int]]:
    """{equation: {number of a result: number of the operand whose storage it may take}}.

    An operand dies at its equation: nothing reads it later, nor any view of it, and the equation
    reads it once. Literals and parameters are not overwritten, but for the parameters in
    ``donated`` (a loop owns what it carries). It is taken for granted that all other operands are
    computed before the first element is written; who computes them while writing must see to it
    that no element is read after it was overwritten.
    """
    roots = Roots(program)
    last: dict[Atom, int] = {}
    for number, equation in enumerate(program.equations):
        for x in equation.inputs:
            last[roots[x]] = number
    for x in program.results:
        last[roots[x]] = len(program.equations)
    found = {}
    for number, equation in enumerate(program.equations):
        pairs = {}
        for result, operand in updated_operands(equation).items():
            x = equation.inputs[operand]
            root = roots[x]
            reads = [y for y in equation.inputs if roots[y] is root]
            fresh = type(x) is Variable and roots.owns_whole(x)
            ours = root not in roots.given or root in donated
            if fresh and ours and len(reads) == 1 and last[root] == number:
                pairs[result] = operand
        if pairs:
            found[equation] = pairs
    return found


def updated_operands(equation: Equation) -> dict[int, int]:
    """{number of a result: number of the operand that it is, but for what was written to it}.

    Of a loop these are the carried values. Of a branch each is a result that one of the branches
    makes so of an operand; another branch may have to write all of it.
    """
    name, params = equation.primitive.name, equation.params
    if name in UPDATES:
        return {0: UPDATES[name]}
    if name == "matmul_sum":  # what is added to the products
        return {0: len(equation.inputs) - 1} if len(equation.inputs) % 2 else {}
    if name == "branch":
        return {j: 1 + i for j, i in _updated_by_some(params["branches"]).items()}
    if isinstance(equation.primitive, Counted):
        first = equation.primitive.bound_count + params["const_count"]
        return {j: first + j for j in range(params["carry_count"])}
    if name == "while":
        first = params["cond_count"] + params["body_count"]
        return {j: first + j for j in range(len(equation.results))}
    return {}


def _updated_by_some(branches: tuple[Program, ...]) -> dict[int, int]:
    """The parameters that results are updates of, in all branches where they are one's at all, and
    no two results of the same.
    """
    found: dict[int, set[int]] = {}
    for branch in branches:
        for j, i in _updated_parameters(branch).items():
            found.setdefault(j, set()).add(i)
    pairs = {j: i for j, (i, *more) in found.items() if not more}
    taken = list(pairs.values())
    return {j: i for j, i in pairs.items() if taken.count(i) == 1}


@lru_cache(maxsize=512)
def _updated_parameters(program: Program) -> dict[int, int]:
    """{number of a result: number of the parameter that it is, but for what was written to it}."""
    before: dict[Atom, Atom] = {}
    for equation in program.equations:
        for j, i in updated_operands(equation).items():
            before[equation.results[j]] = equation.inputs[i]
    numbers: dict[Atom, int] = {v: i for i, v in enumerate(program.parameters)}
    found = {}
    for j, x in enumerate(program.results):
        while x in before:
            x = before[x]
        if x in numbers:
            found[j] = numbers[x]
    return found


class Roots:
    """Of each variable, the one whose storage it may be a view of."""

    def __init__(self, program: Program) -> None:
        self.given = set(program.parameters)
        self._root: dict[Atom, Atom] = {}
        self._partial: set[Atom] = set()
        for equation in program.equations:
            if self.is_view(equation):
                (x, *_), (result,) = equation.inputs, equation.results
                self._root[result] = self[x]
                if equation.primitive.name != "reshape" or x in self._partial:
                    self._partial.add(result)

    @staticmethod
    def is_view(equation: Equation) -> bool:
        """Whether the result is looked up where the operand lies."""
        return equation.primitive.name in INDEX_OPERATIONS

    def __getitem__(self, x: Atom) -> Atom:
        return self._root.get(x, x)

    def owns_whole(self, x: Atom) -> bool:
        """Whether the storage holds the elements of ``x`` in C order, and nothing else."""
        return x not in self._partial and type(self[x]) is not Literal
