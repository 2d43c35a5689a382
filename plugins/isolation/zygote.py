"""The process that children are forked from: `python -m plugins.isolation.zygote FD`.

It has an environment without secrets, has imported what children need, and runs no plugin: of our own it has imported
those that look at files. The host sends it an order on the socket FD, one at a time: `b"s"` with the child's sockets
and file starts one, and answers its pid; `b"e"` with a pid ends it, if it has not, and answers how it ended (as
`waitpid` says). It goes when its host does.
"""

from __future__ import annotations

import gc
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from importlib.metadata import MetadataPathFinder

from plugins.isolation import serving
from plugins.isolation.wire import ANSWER, ORDER

GARBAGE = 50_000
"""Objects after which a child looks for garbage, not Python's 700: it makes records, which are none, and is gone when
its call is done."""
_LOOK_SECONDS = 2.0
"""How often it looks whether its host is still there: forks of the host may keep the other end of the socket open."""

_AT_HAND = (
    "plugins.csv_file.read",
    "plugins.camt_file.read",
    "plugins.mt940_file.read",
    "plugins.ofx_file",
    "plugins.qif_file",
    "plugins.json_lines",
)
"""What looks at each file that is uploaded: a child would import it for longer than it then works."""


def main(control: socket.socket) -> None:
    host = os.getppid()
    for name in _AT_HAND:
        with suppress(Exception):  # the child that needs it fails again, and says so
            import_module(name)
    MetadataPathFinder().invalidate_caches()  # what is installed a child may see less of than was seen here
    gc.set_threshold(GARBAGE, 10, 10)
    gc.freeze()  # else the first collection of each child copies all of it
    scratch: dict[int, str] = {}
    try:
        while os.getppid() == host:
            if not select.select([control], [], [], _LOOK_SECONDS)[0]:
                continue
            order, fds, _, _ = socket.recv_fds(control, ORDER.size, 2)
            if len(order) < ORDER.size:
                return
            what, pid = ORDER.unpack(order)
            if what == b"s":
                folder = tempfile.mkdtemp(prefix="sortation-plugin-")
                pid = _fork(control, fds, folder)
                scratch[pid] = folder
                control.sendall(ANSWER.pack(pid))
            elif pid in scratch:
                control.sendall(ANSWER.pack(_end(pid, scratch.pop(pid))))
    except (ConnectionError, KeyboardInterrupt):
        pass
    finally:
        for pid, folder in scratch.items():
            _end(pid, folder)


def _end(pid: int, folder: str) -> int:
    """Ends a child with all that it started; how it ended."""
    os.kill(pid, signal.SIGKILL)  # it has not been waited for, so the pid is still its own
    with suppress(ProcessLookupError):  # it had not got as far as having a group of its own
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return status


def _fork(control: socket.socket, fds: list[int], scratch: str) -> int:
    pid = os.fork()
    if pid:
        for fd in fds:
            os.close(fd)
        return pid
    try:
        control.close()
        serving.serve(socket.socket(fileno=fds[0]), fds[1] if len(fds) > 1 else None, scratch)
    finally:
        os._exit(0)  # whatever happened is said, or seen by who waits; nothing of the zygote's is to be cleaned up


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # sent to the whole group: the host says when it is enough
    main(socket.socket(fileno=int(sys.argv[1])))
