"""What is kept of a compiled Program on disk, besides its object code.

Running the code takes a few facts about the Program: which arrays are its constants, what it calls
back to NumPy for, which indices it checks. They are pickled with the code under a key made of the
Program's text, so that a second process neither optimises nor generates anything.

The Program's literals and the symbols of its sizes are its *parts*: in the file their numbers stand
for them, so that what is read speaks of those of the Program at hand. Code for symbolic sizes rests
on what their scopes know of them, which is in the key.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.core import Primitive, primitives
from ..autodiff.dims import Dim
from ..autodiff.program import Literal, Program, regions
from ..autodiff.scopes import known_of
from ..autodiff.size_bounds import Atom, Symbol
from ..codegen.plan import Operation
from . import disk_cache
from .cache_environment import environment_key
from .native import host


class Recipe(NamedTuple):
    """See the module's text. ``constants``, ``callbacks``, ``symbols`` and ``checks`` are those of
    `Module`.
    """

    name: str
    constants: list[Literal]
    callbacks: list[Operation]
    symbols: list[Symbol]
    checks: list[Any]
    imports: list[str]  # symbols that the runtime has to find
    shared: dict[str, dict[str, str]]  # see `shared_code`
    keeps_memory: bool  # between calls: see `Arena`


def literals_of(program: Program) -> list[Literal]:
    """The arrays in a Program and its regions, one for each place where one is read."""
    found: list[Literal] = []

    def visit(part: Program) -> None:
        for equation in part.equations:
            found.extend(x for x in equation.inputs if type(x) is Literal and x.aval.shape)
            for region in regions(equation):
                visit(region)
        found.extend(x for x in part.results if type(x) is Literal and x.aval.shape)

    visit(program)
    return found


Parts = list[Literal | Symbol]


def key_of(program: Program) -> tuple[str, Parts] | None:
    """A text that determines what a Program compiles to, and its parts, each once. None where the
    text would not do: two symbols are of one name.
    """
    occurrences = literals_of(program)
    literals = list({id(x): x for x in occurrences}.values())
    digests = [
        "live" if x.live else hashlib.sha256(np.ascontiguousarray(x.value).data).hexdigest()
        for x in literals
    ]
    number = {id(x): i for i, x in enumerate(literals)}
    # The text shows each array by its type: that two are one has to be said besides.
    which = [number[id(x)] for x in occurrences]
    symbols, facts = known_of(program.symbols())
    if len({symbol.name for symbol in symbols}) < len(symbols):
        return None
    return "\n".join([str(program), str(which), *digests, *facts]), [*literals, *symbols]


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, parts: Parts) -> None:
        super().__init__(file, protocol=5)
        self.numbers = {id(x): i for i, x in enumerate(parts)}

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Primitive):
            return "primitive", obj.name
        if type(obj) in (Literal, Symbol) and id(obj) in self.numbers:
            return "part", self.numbers[id(obj)]
        if type(obj) is Symbol:
            raise pickle.PicklingError(f"{obj} is no symbol of the Program")
        return None

    def reducer_override(self, obj: Any) -> Any:
        """Sizes are made again: hashes of what they are made of differ between processes."""
        if type(obj) is Dim:
            return Dim, (obj.polynomial,)
        if type(obj) is Atom:
            return Atom, (obj.op, obj.a, obj.b)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, parts: Parts) -> None:
        super().__init__(file)
        self.parts = parts

    def persistent_load(self, pid: Any) -> Any:
        kind, which = pid
        return primitives[which] if kind == "primitive" else self.parts[which]


def save(key: str, parts: Parts, recipe: Recipe, object_code: bytes) -> None:
    """Keeps a compiled Program; one whose parts cannot be pickled is not kept."""
    file = io.BytesIO()
    try:
        _Pickler(file, parts).dump((recipe, object_code))
    except (pickle.PicklingError, AttributeError, TypeError):
        return
    disk_cache.put(key, file.getvalue(), _environment())


def find(key: str, parts: Parts) -> tuple[Recipe, bytes] | None:
    """What `save` kept under the key for this machine and these versions."""
    data = disk_cache.get(key, _environment())
    if data is None:
        return None
    try:
        return _Unpickler(io.BytesIO(data), parts).load()
    except (pickle.UnpicklingError, KeyError, IndexError, AttributeError, ImportError, EOFError):
        return None


def _environment() -> bytes:
    return environment_key(*host())
