"""Functions that many compiled modules call and that are long to compile: once for a process.

On disk they are kept under their own texts. What a program is the first to call is compiled
together, so one object may be there under several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..autodiff.locks import exit_safe_lock
from . import disk_cache
from .cache_environment import environment_key
from .lower_mlir import to_llvm_ir
from .native import Library, host, load, load_object

_lock = exit_safe_lock()
_addresses: dict[str, int] = {}
_libraries: dict[bytes, Library] = {}  # by object code; the addresses lie in them

_INTERNAL = "llvm.linkage = #llvm.linkage<internal>"
_EXTERNAL = "llvm.linkage = #llvm.linkage<external>"

Texts = Mapping[str, Mapping[str, str]]


def addresses(wanted: Texts) -> dict[str, int]:
    """Where the functions are; ``wanted`` gives of each its MLIR text and of what it calls."""
    with _lock:
        unknown = [name for name in wanted if name not in _addresses]
        if unknown:
            environment = environment_key(*host())
            unknown = [name for name in unknown if not _is_on_disk(name, wanted, environment)]
        if unknown:
            _compile(unknown, wanted, environment)
        return {name: _addresses[name] for name in wanted}


def _is_on_disk(name: str, wanted: Texts, environment: bytes) -> bool:
    object_code = disk_cache.get(_module([name], wanted), environment)
    if object_code is None:
        return False
    if object_code not in _libraries:
        _libraries[object_code] = load_object(object_code)
    _addresses[name] = _libraries[object_code].address(name)
    return True


def _compile(names: Sequence[str], wanted: Texts, environment: bytes) -> None:
    library = load(to_llvm_ir(_module(names, wanted)))
    object_code = library.object_code()
    _libraries[object_code] = library
    for name in names:
        _addresses[name] = library.address(name)
        disk_cache.put(_module([name], wanted), object_code, environment)


def _module(names: Sequence[str], wanted: Texts) -> str:
    """The text of a module with these functions."""
    texts = {part: text for name in names for part, text in wanted[name].items()}
    for name in names:
        texts[name] = texts[name].replace(_INTERNAL, _EXTERNAL, 1)
    return "\n".join(texts.values())
