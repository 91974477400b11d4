"""Packages that are loaded on first use, whole in spite of interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from .locks import fork_safe_lock

T = TypeVar("T")

_lock = fork_safe_lock()


def uninterrupted(load: Callable[[], T]) -> Callable[[], T]:
    """``load``, which is run once, to its end, and whose result is kept.

    An extension module whose import was cut in two fails when it is imported again, or crashes.
    Signals interrupt the main thread only, so another one runs ``load`` for it. An interrupt ends
    the wait; the next call waits for the same run.

    >>> uninterrupted(lambda: 6 * 7)()
    42
    """
    done: list[T] = []

    def run() -> None:
        with _lock:
            if not done:
                done.append(load())

    @wraps(load)
    def loaded() -> T:
        if not done:
            if threading.current_thread() is threading.main_thread():
                _run_in_a_thread(run)
            else:
                run()
        return done[0]

    return loaded


def _run_in_a_thread(run: Callable[[], None]) -> None:
    failed: list[BaseException] = []
    ended = threading.Event()

    def work() -> None:
        try:
            run()
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            failed.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=work, name="xnp-loading", daemon=False)  # exits wait for it
    try:
        thread.start()
    except RuntimeError:  # the system gives no threads
        run()
        return
    ended.wait()  # not `join`, which lets go of a thread when it is interrupted
    if failed:
        raise failed[0]
