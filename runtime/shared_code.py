"""Functions that many compiled modules call and that are long to compile: once for a process."""

from __future__ import annotations

from collections.abc import Mapping

from . import disk_cache
from .cache_environment import environment_key
from .locks import fork_safe_lock
from .lower_mlir import to_llvm_ir
from .native import Library, host, load, load_object

_lock = fork_safe_lock()
_addresses: dict[str, int] = {}
_libraries: list[Library] = []  # the addresses lie in them

_INTERNAL = "llvm.linkage = #llvm.linkage<internal>"
_EXTERNAL = "llvm.linkage = #llvm.linkage<external>"


def addresses(wanted: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """Where the functions are; ``wanted`` gives of each its MLIR text and of what it calls."""
    with _lock:
        for name in wanted:
            if name not in _addresses:
                library = _library(name, wanted[name])
                _libraries.append(library)
                _addresses[name] = library.address(name)
        return {name: _addresses[name] for name in wanted}


def _library(name: str, texts: Mapping[str, str]) -> Library:
    parts = {**texts, name: texts[name].replace(_INTERNAL, _EXTERNAL, 1)}
    text = "\n".join(parts.values())
    environment = environment_key(*host())
    object_code = disk_cache.get(text, environment)
    if object_code is not None:
        return load_object(object_code)
    library = load(to_llvm_ir(text))
    disk_cache.put(text, library.object_code(), environment)
    return library
