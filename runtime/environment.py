"""What a function reads besides its arguments, and whether it has changed.

A plain function sees a changed global, closure or attribute at its next call, so a Program that was
recorded before must not be used then. `Environment` lists what a function can reach: the names it
reads in its globals and closures, its defaults, the functions it calls, recursively; objects, lists
and dicts by their contents; ndarrays by identity and a digest of their elements. What belongs to
NumPy, the standard library and other installed packages is taken as constant.

Arrays that are combined with traced values are read when the Program runs, so their elements may
change. But what the function computes of them before, without traced values, is part of the
recording. Arrays of up to 64 KB are therefore compared whole at each call, larger ones by samples.
Those are compared whole, too, if the code may look at them (`reachable`) and they are not combined
with traced values, or the Program holds numbers that may have been computed of them (`traced`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from .containers import MISSING
from .reader import Reader


class Environment:
    """What was reached. Two environments with one ``key`` are equal. ``refs`` keeps alive what the
    key names by identity, except those of ``objects`` that `can_die`. ``arrays`` are the ndarrays
    among it. ``absent``: the names of modules that the function imports, and nobody has yet.
    ``unwatched``: the name of the first object whose changes are not seen because there are too
    many; ``hidden``: what reads variables that are unknown, ``eval in f``. Both None where there is
    none. Only where names are asked for: ``names``, ``floats``, ``generators``, and ``large``, the
    arrays above 64 KB that code may look at.
    """

    __slots__ = (
        *("absent", "arrays", "floats", "generators", "hidden", "key", "large", "names"),
        *("probes", "refs", "unwatched"),
    )

    def __init__(self, function: Any, objects: Iterable[Any], names: bool = False) -> None:
        reader = Reader(names)
        reader.run(function, objects)
        self.key = tuple(reader.tokens)
        self.probes = reader.probes
        self.refs = reader.refs
        self.arrays = reader.arrays
        self.floats = reader.floats
        self.generators = reader.generators
        self.names = reader.names
        self.absent = reader.absent
        self.unwatched = reader.unwatched
        self.hidden = reader.hidden()
        self.large = reader.large()

    def unchanged(self) -> bool:
        """Whether all is as it was, by a fast look. False may be a false alarm."""
        try:
            for get, name, wanted in self.probes:
                if get(name) is not wanted:
                    return False
        except RuntimeError:  # a container changed in the middle, by another thread
            return False
        return True

    def has_imported(self) -> bool:
        """Whether a module has been imported since, of which nothing has been looked at."""
        return any(name in sys.modules for name in self.absent)

    def changes(self, new: Environment) -> list[str]:
        """The names of what differs in ``new``, as the function's author writes them."""
        before, after = dict(self.names), dict(new.names)
        found = [name for name in after if before.get(name, MISSING) != after[name]]
        return found + [name for name in before if name not in after]
