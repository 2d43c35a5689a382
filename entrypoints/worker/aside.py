"""Jobs that only wait for others go on beside a process's other work, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

MOST = 32
"""Jobs under way in a process: 20 seconds each at most, and little work of ours."""


class Aside:
    """Runs up to `most` jobs at once, in threads of this process. However many receivers hang, the process goes on."""

    def __init__(self, most: int = MOST) -> None:
        self._room = threading.BoundedSemaphore(most)
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="aside")

    def run(self, job: Callable[[], None]) -> bool:
        """Whether there was room for it: then it is under way."""
        if not self._room.acquire(blocking=False):
            return False
        self._threads.submit(self._run, job)
        return True

    def close(self) -> None:
        """Waits for what is under way."""
        self._threads.shutdown()

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            self._room.release()
