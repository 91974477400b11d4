"""Updates in place: which equations may write into the storage of their first operand."""

from __future__ import annotations

from collections.abc import Container

from ..autodiff.program import Atom, Equation, Literal, Program, Variable
from .affine import INDEX_OPERATIONS

# The operand that is updated, by primitive: what is not written to stays as it was.
UPDATES = {"setitem": 0, "scatter": 0, "scatter_add": 0}


def reusable(program: Program, donated: Container[Variable] = ()) -> dict[Equation, int]:
    """{equation: number of the operand whose storage its result may take}.

    An operand dies at its equation: nothing reads it later, nor any view of it, and the equation
    reads it once. Literals and parameters are not overwritten, but for the parameters in
    ``donated`` (a loop owns what it carries). It is taken for granted that all other operands are
    computed before the first element is written; who computes them while writing must see to it
    that no element is read after it was overwritten.
    """
    roots = _Roots(program)
    last: dict[Atom, int] = {}
    for number, equation in enumerate(program.equations):
        for x in equation.inputs:
            last[roots[x]] = number
    for x in program.results:
        last[roots[x]] = len(program.equations)
    found = {}
    for number, equation in enumerate(program.equations):
        operand = UPDATES.get(equation.primitive.name)
        if operand is None:
            continue
        x = equation.inputs[operand]
        root = roots[x]
        reads = [y for y in equation.inputs if roots[y] is root]
        fresh = type(x) is Variable and roots.owns_whole(x)
        ours = root not in roots.given or root in donated
        if fresh and ours and len(reads) == 1 and last[root] == number:
            found[equation] = operand
    return found


class _Roots:
    """Of each variable, the one whose storage it may be a view of."""

    def __init__(self, program: Program) -> None:
        self.given = set(program.parameters)
        self._root: dict[Atom, Atom] = {}
        self._partial: set[Atom] = set()
        for equation in program.equations:
            name = equation.primitive.name
            if name in INDEX_OPERATIONS or name in ("copy", "stop_gradient"):
                (x, *_), (result,) = equation.inputs, equation.results
                self._root[result] = self[x]
                if name != "reshape" or x in self._partial:
                    self._partial.add(result)

    def __getitem__(self, x: Atom) -> Atom:
        return self._root.get(x, x)

    def owns_whole(self, x: Atom) -> bool:
        """Whether the storage holds the elements of ``x`` in C order, and nothing else."""
        return x not in self._partial and type(self[x]) is not Literal
