"""What the processes of a worker share out among themselves."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """So many slots for this process and those that it forks. The kernel frees that of a process which ends, however.

    They are ranges of a file that has no name. Such locks (of POSIX) are a process's own even where the descriptor is
    inherited, and no program that it starts inherits them, as it would those of flock(2).
    """

    def __init__(self, count: int) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as we are
        self._count = count

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Whether one was free: then it is held until the block ends. A process holds one at a time."""
        taken = next(filter(self._taken, range(self._count)), None)
        try:
            yield taken is not None
        finally:
            if taken is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, taken)

    def _taken(self, number: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):  # of which systems have the one or the other
            return False
        return True
