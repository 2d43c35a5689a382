"""Work beside requests, on threads of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import structlog

_THREADS = 4
_PAUSE_SECONDS = 0.25
"""Before the work begins: it must not slow down the answer of the request that left it, which would tell that there was
some."""
log = structlog.get_logger("sortation")


class Background:
    """A `Later`. Its threads begin with the first work, after a server's processes forked; a process ends when what it
    has begun and queued is done."""

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="later")

    def __call__(self, work: Callable[[], None]) -> None:
        self._pool.submit(_done, work)


def _done(work: Callable[[], None]) -> None:
    time.sleep(_PAUSE_SECONDS)
    try:
        work()
    except Exception:
        log.exception("what was left for later went wrong")
