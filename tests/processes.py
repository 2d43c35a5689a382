"""Looking at processes, and killing them, while any of them may end at any moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psutil


def command_of(process: psutil.Process) -> list[str]:
    """The words of its command line; none of one that has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def kill(processes: Iterable[psutil.Process]) -> int:
    """Kill them outright; how many there were to kill, which leaves out what died with one killed before it."""
    killed = 0
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        killed += 1
    return killed


@contextmanager
def stopped(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """They stand still meanwhile."""
    assert processes
    try:
        for process in processes:
            process.suspend()
        yield
    finally:
        for process in processes:
            process.resume()
