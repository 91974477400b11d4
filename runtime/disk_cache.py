"""What was compiled, kept on disk: bytes under a key, for the same user, machine and versions.

Nothing here can make a program fail or give it wrong bytes. An entry is written to a file of its
own and renamed into place; it carries its key and a checksum; it is read only from a regular file
that is the user's and that nobody else may write. Whatever else is found, or goes wrong, counts as
a miss, with one warning a process for each kind of trouble.

``XNP_CACHE_DIR`` chooses the folder (default ``$XDG_CACHE_HOME/xnp`` or ``~/.cache/xnp``; empty or
``off``: none), ``XNP_CACHE_SIZE`` the bound (default ``1GB``). Users see this module as
``xnp.cache``.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from functools import cache
from typing import NamedTuple

from ..autodiff.errors import warn_user
from .cache_environment import environment_key
from .cache_files import CacheFiles, Trouble

__all__ = ["CacheInfo", "clear", "environment_key", "get", "info", "put"]

DEFAULT_SIZE = "1GB"
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


class CacheInfo(NamedTuple):
    """What `info` tells; ``path`` is None where the cache is off."""

    path: str | None
    files: int
    bytes: int
    hits: int
    misses: int
    limit: int


_lock = threading.Lock()
_counts: Counter[str] = Counter()  # of this process: "hits", "misses"
_warned: set[str] = set()  # kinds of trouble; a handful


def _after_fork() -> None:
    """Another thread may have held a lock, which nobody would release in the child."""
    global _lock  # noqa: PLW0603 - the old one is lost
    _lock = threading.Lock()
    _files_of.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def get(key: bytes | str, environment: bytes | None = None) -> bytes | None:
    """The bytes that `put` stored under this key and environment, or None.

    Args:
        key: anything that determines the bytes, of any length.
        environment: `environment_key` of what else they depend on; without it, of the versions.
    """
    digest = _digest(key, environment)
    found = None
    try:
        files = _files()
        found = None if files is None else files.read(digest)
    except Trouble as trouble:
        _warn(trouble)
    with _lock:
        _counts["misses" if found is None else "hits"] += 1
    return found


def put(key: bytes | str, data: bytes, environment: bytes | None = None) -> None:
    """Store ``data`` for `get`, replacing what is there; a warning where that is impossible."""
    digest = _digest(key, environment)
    try:
        files = _files()
        if files is not None:
            files.write(digest, data)
    except Trouble as trouble:
        _warn(trouble)


def info() -> CacheInfo:
    """The cache's folder, its number of files and bytes, this process's hits and misses, the bound.

    Example:

        >>> info().limit
        1000000000
    """
    path, files, size, limit = None, 0, 0, _limit()
    try:
        found = _files()
        if found is not None:
            path = found.folder
            files, size = found.usage()
    except Trouble as trouble:
        _warn(trouble)
    return CacheInfo(path, files, size, _counts["hits"], _counts["misses"], limit)


def clear() -> None:
    """Delete every entry, for all processes of the user, and set the counts to 0.

    Code in use stays in memory. Files that are not the cache's own are left alone.

    Example:

        >>> clear()
        >>> info().files
        0
    """
    with _lock:
        _counts.clear()
    try:
        files = _files()
        if files is not None:
            files.clear()
    except Trouble as trouble:
        _warn(trouble)


def _digest(key: bytes | str, environment: bytes | None) -> bytes:
    import hashlib  # with all of OpenSSL

    if environment is None:
        environment = environment_key()
    text = key.encode() if isinstance(key, str) else key
    kind = b"text" if isinstance(key, str) else b"byte"
    return hashlib.sha256(kind + hashlib.sha256(environment).digest() + text).digest()


def _files() -> CacheFiles | None:
    """The files of the folder that is chosen now; None where the cache is off."""
    folder = _folder()
    return None if folder is None else _files_of(folder, _limit())


@cache
def _files_of(folder: str, limit: int) -> CacheFiles:
    return CacheFiles(folder, limit)


def _folder() -> str | None:
    """The folder's path, absolute. Raises Trouble where what it is to be put in is not there."""
    if not hasattr(os, "geteuid"):
        return None  # owners and modes are POSIX's; nothing is compiled elsewhere
    chosen = os.environ.get("XNP_CACHE_DIR")
    if chosen is not None:
        off = chosen.strip().lower() in ("", "off")
        return None if off else _absolute(os.path.expanduser(chosen))
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):  # the standard says to ignore another
        return os.path.join(shared, "xnp")
    home = os.path.expanduser("~")
    if not os.path.isdir(home):
        raise Trouble("home", f"the home directory {home!r} does not exist")
    return os.path.join(home, ".cache", "xnp")


def _absolute(folder: str) -> str:
    try:
        return os.path.abspath(folder)
    except FileNotFoundError:
        text = f"XNP_CACHE_DIR is {folder!r}, and the working directory was deleted"
        raise Trouble("working directory", text) from None


def _limit() -> int:
    text = os.environ.get("XNP_CACHE_SIZE", DEFAULT_SIZE)
    try:
        return parse_size(text)
    except ValueError as error:
        _warn(Trouble("size", f"XNP_CACHE_SIZE is {error}; {DEFAULT_SIZE} is used"))
        return parse_size(DEFAULT_SIZE)


def parse_size(text: str) -> int:
    """``"500M"``, ``"1.5 GB"`` or ``"1000"`` as bytes, in powers of ten; ValueError for others."""
    bare = text.strip().upper().removesuffix("B").rstrip()
    unit = bare[-1:] if bare[-1:] in _UNITS else ""
    try:
        size = float(bare.removesuffix(unit)) * _UNITS[unit]
        if not 0 <= size < float("inf"):
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r}, not a size such as 500M or 1GB") from None
    return int(size)


def _warn(trouble: Trouble) -> None:
    """Warn once a process and kind: programs compile many functions, users fix one folder."""
    with _lock:
        known = trouble.kind in _warned
        _warned.add(trouble.kind)
    if not known:
        warn_user(
            f"compile cache: {trouble}. Nothing is lost: what is not kept is compiled again. "
            "XNP_CACHE_DIR chooses another folder, XNP_CACHE_DIR=off none.",
            RuntimeWarning,
        )
