"""Work beside requests, on threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import cached_property

import structlog

_THREADS = 4
_PAUSE_SECONDS = 0.25
"""Before the work begins: it must not slow down the answer of the request that left it, which would tell that there was
some."""
_MOST = 1_000
log = structlog.get_logger("sortation")


class WhenFull(Enum):
    """What becomes of work when too much of it waits already."""

    AT_ONCE = "at once"
    """It is done by who leaves it, who waits for that: it matters more than that somebody may tell."""
    DROPPED = "dropped"
    """It is not done, which is logged."""


class Background:
    """A `Later`. Its threads begin with the first work, after a server's processes forked; a process ends when what it
    has begun and queued is done. At most `most` pieces of work are begun or wait."""

    def __init__(self, name: str, when_full: WhenFull, most: int = _MOST) -> None:
        self._name = name
        self._when_full = when_full
        self._free = threading.Semaphore(most)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix=self._name)

    def __call__(self, work: Callable[[], None]) -> None:
        if self._free.acquire(blocking=False):
            self._pool.submit(self._soon, work)
        elif self._when_full is WhenFull.AT_ONCE:
            _done(work)
        else:
            log.warning("work was dropped, since too much waits", of=self._name)

    def _soon(self, work: Callable[[], None]) -> None:
        try:
            time.sleep(_PAUSE_SECONDS)
            _done(work)
        finally:
            self._free.release()


def _done(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("what was left for later went wrong")
