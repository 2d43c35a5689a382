"""The process that children are forked from: `python -m plugins.isolation.zygote FD`.

It has an environment without secrets, has imported what children need, and runs no plugin: of our own it has imported
those that look at files. The host sends it an order on the socket FD, one at a time: `b"s"` with the child's sockets
and file starts one, and answers its pid; `b"e"` with a pid ends it, if it has not, and answers how it ended (as
`waitpid` says). It goes when its host does.

What a child started ends with it: its process group at once, and whatever got out of that is adopted by this process
(see `orphans.py`).
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
import time
from contextlib import suppress
from importlib import import_module
from importlib.metadata import MetadataPathFinder

from plugins.isolation import orphans, serving
from plugins.isolation.wire import ANSWER, ORDER

GARBAGE = 50_000
"""Objects after which a child looks for garbage, not Python's 700: it makes records, which are none, and is gone when
its call is done."""
_LOOK_SECONDS = 2.0
"""How often it looks whether its host is still there: forks of the host may keep the other end of the socket open."""
_HURRY_SECONDS = 0.01
"""How often, while there are orphans: they are ended again and again until there is none."""
_PATIENCE_SECONDS = 0.5
"""How long a call's end waits for that: others wait for their turn."""
_LAST_SECONDS = 3.0
"""How long its own."""
_AT_HAND = (
    "plugins.csv_file.read",
    "plugins.camt_file.read",
    "plugins.mt940_file.read",
    "plugins.ofx_file",
    "plugins.qif_file",
    "plugins.json_lines",
)
"""What looks at each file that is uploaded: a child would import it for longer than it then works."""


class Zygote:
    """The calls' children, by pid with their folder for scratch, and the processes that remove such folders."""

    def __init__(self) -> None:
        self._scratch: dict[int, str] = {}
        self._removing: set[int] = set()

    def serve(self, control: socket.socket, host: int) -> None:
        """Obeys until the host is gone."""
        orphaned = False
        try:
            while os.getppid() == host:
                ready = select.select([control], [], [], _HURRY_SECONDS if orphaned else _LOOK_SECONDS)[0]
                if ready and not self._obeyed(control):
                    return
                orphaned = self._swept()
        except (ConnectionError, KeyboardInterrupt):
            pass
        finally:
            for pid in [*self._scratch]:
                self.end(pid)
            self.sweep(_LAST_SECONDS)

    def start(self, control: socket.socket, fds: list[int]) -> int:
        """A child with these sockets and file; its pid."""
        folder = tempfile.mkdtemp(prefix="sortation-plugin-")
        pid = _fork(control, fds, folder)
        self._scratch[pid] = folder
        return pid

    def end(self, pid: int) -> int:
        """Ends a child with all that it started; how it ended."""
        os.kill(pid, signal.SIGKILL)  # it has not been waited for, so the pid is still its own
        with suppress(ProcessLookupError):  # it had not got as far as having a group of its own
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        folder = self._scratch.pop(pid)
        self.sweep(_PATIENCE_SECONDS)
        self._remove(folder)
        return status

    def sweep(self, seconds: float) -> None:
        """Ends what was adopted, again and again until nothing is left or so much time has passed."""
        until = time.monotonic() + seconds
        while self._swept() and time.monotonic() < until:
            pass

    def _swept(self) -> bool:
        """Whether there was something to end."""
        self._removing -= orphans.ended(self._removing)
        return orphans.end(self._scratch.keys() | self._removing)

    def _obeyed(self, control: socket.socket) -> bool:
        """Whether there was an order."""
        order, fds, _, _ = socket.recv_fds(control, ORDER.size, 2)
        if len(order) < ORDER.size:
            return False
        what, pid = ORDER.unpack(order)
        if what == b"s":
            control.sendall(ANSWER.pack(self.start(control, fds)))
        elif pid in self._scratch:
            control.sendall(ANSWER.pack(self.end(pid)))
        return True

    def _remove(self, folder: str) -> None:
        """Removes it, by another process where there is something in it: a plugin may leave any number of files, and
        others wait for their turn."""
        try:
            os.rmdir(folder)
        except OSError:
            try:
                self._removing.add(os.posix_spawnp("rm", ["rm", "-rf", "--", folder], os.environ))
            except OSError:  # a system without it
                shutil.rmtree(folder, ignore_errors=True)


def main(control: socket.socket) -> None:
    host = os.getppid()  # before anything that takes long enough for it to go meanwhile
    for name in _AT_HAND:
        with suppress(Exception):  # the child that needs it fails again, and says so
            import_module(name)
    MetadataPathFinder().invalidate_caches()  # what is installed a child may see less of than was seen here
    orphans.adopt()
    gc.set_threshold(GARBAGE, 10, 10)
    gc.freeze()  # what is imported stays: no child looks through it, nor copies its pages to do so
    Zygote().serve(control, host)


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
