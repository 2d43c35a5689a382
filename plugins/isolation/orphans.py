"""What calls' children started and left behind, and its end.

A plugin can start a process that starts another and goes: the kernel gives the other to the nearest ancestor that asked
for such orphans, which the zygote is. It has one thread, and knows the children that it started, so every other is an
orphan. On other systems than Linux they go to init, and only the call's process group ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

_CHILD_SUBREAPER = 36
"""Of prctl(2)."""


def adopt() -> None:
    """From here on this process gets the orphans of its descendants."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, ctypes.c_ulong(1))


def end(known: Collection[int]) -> bool:
    """Ends the children of this process that are not `known`; whether there was any. The children of these are this
    process's then: call it until there are none."""
    found = _children() - {*known}
    for pid in found:  # all before any is waited for, so that they have less time to start others
        os.kill(pid, signal.SIGKILL)  # not waited for, so the pid is still its own
    for pid in found:
        os.waitpid(pid, 0)
    return bool(found)


def ended(pids: Iterable[int]) -> set[int]:
    """Those of these children that have ended; they are waited for by that."""
    return {pid for pid in pids if os.waitpid(pid, os.WNOHANG)[0]}


def _children() -> set[int]:
    if sys.platform != "linux":
        return set()
    mine = os.getpid()
    try:
        found = Path(f"/proc/{mine}/task/{mine}/children").read_text()
    except OSError:
        return _children_by_parents(mine)
    return {int(pid) for pid in found.split()}


def _children_by_parents(mine: int) -> set[int]:
    """The same, where the kernel keeps no lists of children (CONFIG_PROC_CHILDREN)."""
    found = set[int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            if path.read_text().rpartition(")")[2].split()[1] == str(mine):
                found.add(int(path.parent.name))
    return found
