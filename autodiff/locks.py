"""Locks that no fork leaves taken."""

from __future__ import annotations

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
