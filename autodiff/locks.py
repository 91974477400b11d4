"""Locks that no fork and no end of the process leaves taken."""

from __future__ import annotations

import atexit
import os
import threading


def fork_safe_lock() -> threading.RLock:
    """A reentrant lock for a module: a fork waits until no other thread holds it.

    So a child finds what it guards whole, and can use it. Call this once a module: the process
    remembers the lock for ever. Modules that hold one while they use another module's must
    import that module first.

    >>> lock = fork_safe_lock()
    >>> with lock:
    ...     pass
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock


def exit_safe_lock() -> threading.RLock:
    """A `fork_safe_lock` that the interpreter's end waits for and keeps.

    That end stops daemon threads where they next take the GIL, which compilers do not survive. So
    it must find none inside. The main thread can still use what the lock guards.
    """
    lock = fork_safe_lock()
    atexit.register(lock.acquire)
    return lock
