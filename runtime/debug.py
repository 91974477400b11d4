"""The debug ladder: what compiling a function did, on the standard error stream.

====  ==================================================
1     what is recorded and compiled, and how long it took
2     the Program as it was recorded
3     the Program after every pass, and the clusters
4     MLIR, LLVM IR, assembly
====  ==================================================

Each step shows what those below it show. ``XNP_DEBUG=2 python program.py`` sets it for a process,
`debug` for a piece of code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from ..autodiff.program import Program

HIGHEST = 4

_chosen: ContextVar[int | None] = ContextVar("xnp_debug", default=None)


@contextmanager
def debug(level: int = 1) -> Iterator[None]:
    """Shows what `jit` does within a ``with`` block or, as a decorator, a function: 1 compiles and
    their time, 2 the Program too, 3 passes and clusters, 4 MLIR, LLVM IR and assembly; 0 nothing.

    Other threads are not affected, what the block calls is. Raises ValueError for other levels.

    >>> import xnp
    >>> with xnp.debug(2):
    ...     y = xnp.jit(lambda x: x * 2 + 1)(3.0)
    """
    token = _chosen.set(_checked(level, "debug(level)"))
    try:
        yield
    finally:
        _chosen.reset(token)


def debug_level() -> int:
    """The step of the ladder that holds here: `debug`'s, or XNP_DEBUG's."""
    level = _chosen.get()
    return _from_environment(os.environ.get("XNP_DEBUG", "")) if level is None else level


def show(level: int, title: str, text: str | Callable[[], str]) -> None:
    """Prints ``text``, made only then, under a title where the ladder is at ``level`` or above."""
    if debug_level() < level:
        return
    body = text if isinstance(text, str) else text()
    lines = body.rstrip("\n").split("\n")
    if len(lines) == 1:
        sys.stderr.write(f"xnp: {title}: {lines[0]}\n")
    else:
        sys.stderr.write("\n".join([f"xnp: {title}:", *("    " + line for line in lines)]) + "\n")
    sys.stderr.flush()


def pass_hook(name: str) -> Callable[[str, Program], None] | None:
    """What `codegen.pipeline.optimize` is to call after its passes: None where nobody looks."""
    if debug_level() < 3:
        return None
    return lambda title, program: show(3, f"{name} after {title}", lambda: str(program))


@cache
def _from_environment(text: str) -> int:
    text = text.strip()
    is_short = text.isdecimal() and len(text) < 10
    return _checked(int(text) if is_short else text or 0, "the variable XNP_DEBUG")


def _checked(level: object, what: str) -> int:
    if not isinstance(level, int) or not 0 <= level <= HIGHEST:
        raise ValueError(f"{what} is {level!r:.60}, wanted an int from 0 (silent) to {HIGHEST}")
    return int(level)
