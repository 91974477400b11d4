"""The threads that compiled functions run on: how many, and where their pool is.

The pool itself is `runtime.thread_pool_ir`. It is compiled when the first function asks for
`parallel_address`, and its threads start with the first work that is large enough for two.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, SupportsIndex, overload

from ..autodiff.boundary import integer
from . import disk_cache, native
from .cpu_count import default_threads
from .thread_pool_ir import MAX_THREADS, thread_pool_ir

# How long an idle thread waits awake for the next kernel. Waking one that sleeps takes 5 to 60 us;
# one that is awake takes a core from whoever else could use it. Less than waking takes is too
# short: where a thread's work takes as long, it would come too late for a kernel, and sleep again
# before the next.
SPIN_MICROSECONDS = 100.0


class ThreadsChange:
    """What ``threads(n)`` returns: as a context manager it ends with its block."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        _pool.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _pool.end(self)

    def __repr__(self) -> str:
        return f"threads({self.number})"


class Setting:
    """A number of threads: the process's, where ``change`` is None, or that of a ``with`` block."""

    def __init__(self, number: int | None, change: ThreadsChange | None = None) -> None:
        self.change = change
        # What was asked for meanwhile, the newest last. Those before it count again if its change
        # turns out to begin a block of its own.
        self._asked: list[tuple[int | None, Callable[[], ThreadsChange | None]]] = []
        self.ask(number, lambda: None)

    @property
    def number(self) -> int | None:
        return self._asked[-1][0]

    def ask(self, number: int | None, change: Callable[[], ThreadsChange | None]) -> None:
        """``change`` gives None where nobody has what could begin a block."""
        lasting = [i for i, (_, change) in enumerate(self._asked) if change() is None]
        del self._asked[: max(lasting, default=0)]
        self._asked.append((number, change))

    def take_back(self, change: ThreadsChange) -> None:
        self._asked = [asked for asked in self._asked if asked[1]() is not change]


@overload
def threads() -> int: ...
@overload
def threads(n: SupportsIndex) -> ThreadsChange: ...
def threads(n: SupportsIndex | None = None) -> int | ThreadsChange:
    """How many threads a compiled function may use, the calling one included.

    ``threads()`` answers, ``threads(4)`` sets it for the whole process, and
    ``with threads(4): ...`` sets it back at the end. Small arrays are worked on by one thread
    whatever is set, and so is a function that is called while another one has the threads. The
    number of threads changes no result. Of blocks that several Python threads are in, the newest
    one's number holds.

    At first it is the first number of the environment variable OMP_NUM_THREADS, else the number of
    CPUs the process may use (its affinity and its control group's quota).

    ``threadpoolctl.threadpool_limits`` limits these threads too, under the user_api ``"xnp"``, if
    threadpoolctl was imported before the function was compiled: it knows only libraries it can see
    in the process, and must be told of others.

    Args:
        n: from 1 to 256.

    Raises:
        TypeError: ``n`` is no integer.
        ValueError: ``n`` is not in that range.

    Example:

        >>> import xnp as np
        >>> with np.threads(1):
        ...     np.threads()
        1
    """
    _pool.tell_threadpoolctl()
    if n is None:
        return _pool.threads()
    number = integer("threads", "n", n)
    if not 1 <= number <= MAX_THREADS:
        raise ValueError(f"threads() takes a number from 1 to {MAX_THREADS}, not {number}")
    change = ThreadsChange(number)
    _pool.ask(number, weakref.ref(change))
    return change


def set_spin(microseconds: float = SPIN_MICROSECONDS) -> None:
    """How long idle threads wait awake before they sleep, in this process."""
    _pool.set_spin(microseconds)


def parallel_address() -> int:
    """The address of ``xnp_parallel``, which runs a loop of a compiled function on the threads.

    ``void xnp_parallel(body, void *context, i64 count, i64 grain)`` calls
    ``void body(void *context, i64 begin, i64 end)`` for pieces that together are [0, count), each
    number in one of them, on the calling thread and others at once, and returns when all are done.
    A piece begins at a multiple of ``grain`` and ends at one or at ``count``: a body that sums over
    blocks of ``grain`` numbers gives sums that do not depend on the number of threads. All is one
    piece, on the calling thread, where ``count <= grain``, where one thread is set, and where the
    threads are taken: by another Python thread, or because the call comes from a body.

    Any thread may call it, with the GIL or without. A body must not fork, and the others it runs
    beside are not Python's threads: it must not touch Python objects.

    Raises KeyError on a machine that the pool was not written for.
    """
    return _pool.address()


class _Pool:
    """The process's one pool, and its settings from before it is there."""

    def __init__(self) -> None:
        self._settings = [Setting(None)]  # the process's, and those of blocks; None: the default
        self._default: int | None = None
        self._spin = SPIN_MICROSECONDS
        self._lock = threading.RLock()
        self._library: native.Library | None = None
        self._told = False

    def threads(self) -> int:
        asked = self._settings[-1].number
        if asked is not None:
            return asked
        if self._default is None:
            self._default = min(default_threads(), MAX_THREADS)
        return self._default

    def ask(self, number: int, change: Callable[[], ThreadsChange | None]) -> None:
        """Set the newest block's number, or the process's; see `Setting.ask`."""
        with self._lock:
            self._settings[-1].ask(number, change)
            self._configure()

    def begin(self, change: ThreadsChange) -> None:
        with self._lock:
            self._take_back(change)
            self._settings.append(Setting(change.number, change))
            self._configure()

    def end(self, change: ThreadsChange) -> None:
        """End the block that the change began last, or take back what was only asked for."""
        with self._lock:
            mine = [i for i, block in enumerate(self._settings) if block.change is change]
            if mine:
                del self._settings[mine[-1]]
            else:
                self._take_back(change)
            self._configure()

    def _take_back(self, change: ThreadsChange) -> None:
        for setting in self._settings:
            setting.take_back(change)

    def set_spin(self, microseconds: float) -> None:
        with self._lock:
            self._spin = microseconds
            self._configure()

    def address(self) -> int:
        with self._lock:
            self.tell_threadpoolctl()
            if self._library is None:
                library = _compile_pool()
                # The pool's threads run in it until the process ends; it must outlive the
                # interpreter's teardown.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
                self._library = library
                self._configure()
            return self._library.address("xnp_parallel")

    def workers(self) -> int:
        """How many threads were started."""
        if self._library is None:
            return 0
        return ctypes.CFUNCTYPE(ctypes.c_int64)(self._library.address("xnp_pool_workers"))()

    def _configure(self) -> None:
        if self._library is not None:
            configure = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)
            address = self._library.address("xnp_pool_configure")
            configure(address)(self.threads(), round(self._spin * 1000))

    def tell_threadpoolctl(self) -> None:
        """Register with threadpoolctl, where somebody uses it; it is not imported for that."""
        module = sys.modules.get("threadpoolctl")
        if module is not None and hasattr(module, "register") and not self._told:
            self._told = True
            module.register(_controller(module.LibController))

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Only the thread that forked lives on; the next region starts others."""
        try:
            if self._library is not None:
                ctypes.CFUNCTYPE(None)(self._library.address("xnp_pool_forget"))()
        finally:
            self._lock.release()


def _compile_pool() -> native.Library:
    text = thread_pool_ir(platform.machine())
    environment = disk_cache.environment_key(*native.host())
    kept = disk_cache.get(text, environment)
    if kept is not None:
        return native.load_object(kept)
    library = native.load(text, optimize=0)  # 5 ms, optimised 18, and a region costs the same
    disk_cache.put(text, library.object_code(), environment)
    return library


def _controller(base: Any) -> type:
    """What threadpoolctl asks. It looks for files: ours is the compiler's, loaded with the pool."""

    class XnpController(base):
        user_api = "xnp"
        internal_api = "xnp"
        filename_prefixes = ("libllvmlite",)

        def get_num_threads(self) -> int:
            return _pool.threads()

        def set_num_threads(self, num_threads: int) -> None:
            _pool.ask(max(1, min(int(num_threads), MAX_THREADS)), lambda: None)

        def get_version(self) -> None:
            return None

    return XnpController


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_pool.before_fork,
        after_in_parent=_pool.after_fork_in_parent,
        after_in_child=_pool.after_fork_in_child,
    )
