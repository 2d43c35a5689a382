"""Being told to stop: SIGINT, SIGTERM and SIGHUP unwind the stack, so that what a command started or made is undone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_told = 0
"""The signal that told us; only the first counts, so that nothing interrupts the undoing."""
_deferred = False


def listen() -> None:
    """From here on the first of `SIGNALS` raises `SystemExit` with the exit code that shells expect.

    SIGHUP stays ignored under `nohup`; SIGINT does not in what a script runs in the background, where shells ignore it.
    """
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def check() -> None:
    """Raises `SystemExit` if a signal came. For loops: what is raised within a hook of the interpreter's is lost."""
    if _told:
        raise SystemExit(128 + _told)


@contextmanager
def deferred() -> Iterator[None]:
    """A signal waits until the block ends. For starting processes: forking runs hooks, in which exceptions are lost."""
    global _deferred
    _deferred = True
    try:
        yield
    finally:
        _deferred = False
    check()


def _handle(number: int, _frame: FrameType | None) -> None:
    global _told
    if _told:
        return
    _told = number
    if not _deferred:
        check()
