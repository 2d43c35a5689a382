"""The host's side: has children do what connectors are asked for, and bears whatever becomes of them."""

from __future__ import annotations

import atexit
import io
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO
from uuid import UUID

from core import errors
from core.domain.plugins import ConnectorManifest, RuleTypeManifest
from core.errors import PluginBug, SortationError
from plugins.isolation import wire
from plugins.isolation.wire import ANSWER, CONTRACT, KNOWN, ORDER, VERSION
from plugins.loading import ContractError, VersionError
from plugins.roots import Roots
from ports.connectors import HttpClient, NoHttp

MEMORY = 2 << 30
"""Bytes of address space of a child: a statement of 8 MiB takes 700 MB to read, and libraries map more than that."""
BUFFER = 2 << 20
"""Bytes by which a child may be ahead of its host, if the system allows as many: it reads on while a batch is taken
in. One of 5,000 drafts has some 800 KB."""
CPU_SECONDS = 3_600
LOOK_SECONDS = 20.0
"""How long a child may be silent while it loads or detects."""
PATIENCE = 12
"""How many times as long it may ask for pages without giving anything: where a source has limits, the host waits."""


Offers = tuple[Sequence[ConnectorManifest], Sequence[RuleTypeManifest]]


class Isolation:
    """Has children do things, each with so much `memory` (bytes). Safe to share between threads, and with forks."""

    def __init__(self, *, memory: int = MEMORY, roots: Iterable[str | Path] = ()) -> None:
        """Folders at and under `roots` (see `Roots`) may be read by connectors that say so in their manifests."""
        self._memory = memory
        self._roots = Roots(roots)

    def call(
        self,
        do: str,
        *,
        seconds: float,
        http: HttpClient | None = None,
        lines: logging.Logger | None = None,
        file: BinaryIO | None = None,
        **given: Any,
    ) -> Generator[wire.Some | wire.Done, None, None]:
        """The frames that answer; the last is `Done`. Raises errors of the contract, and `PluginBug` for whatever else
        becomes of the child: its message says what, `trace` in its details has the traceback."""
        call = wire.Call(do=do, path=list(sys.path), memory=self._memory, seconds=CPU_SECONDS, **given)
        with self._child(file) as child:
            child.socket.settimeout(seconds)
            try:
                wire.send(child.socket, call)
                until, latest = _times(seconds)
                while True:
                    frame = wire.from_child(child.socket, min(until, latest))
                    if isinstance(frame, wire.Line):  # which is no sign that it gets anywhere
                        if lines is not None:
                            lines.log(frame.level, "%s", frame.text)
                    elif isinstance(frame, wire.Ask):
                        answer = _answer(frame, http or NoHttp())
                        child.socket.settimeout(seconds)
                        wire.send(child.socket, answer)
                        until, _ = _times(seconds)
                    elif isinstance(frame, wire.Failed):
                        raise _raised(frame)
                    else:
                        yield frame
                        if isinstance(frame, wire.Done):
                            return
                        until, latest = _times(seconds)
            except TimeoutError as error:
                raise PluginBug(f"it gave nothing for {seconds:.0f} seconds, and was ended") from error
            except wire.Garbled as error:
                raise PluginBug(f"it answered what breaks the contract: {error}") from error
            except wire.Closed as error:
                raise PluginBug(f"it broke down: {child.end()}") from error

    def load(self, entries: Sequence[tuple[str, str]]) -> Sequence[Offers | Exception]:
        """What each entry point (its name and value) offers, or `ContractError`, `VersionError` or `PluginBug`; all are
        loaded by one child. Raises `PluginBug` where that breaks down."""
        named = [wire.Entry(name=name, value=value) for name, value in entries]
        loaded = self.asked("load", seconds=LOOK_SECONDS, entries=named).loaded
        if len(loaded) != len(entries):
            raise PluginBug(f"{len(loaded)} answers of {len(entries)} plugins")
        return [_raised(one) if isinstance(one, wire.Failed) else (one.connectors, one.rule_types) for one in loaded]

    def detect(self, factories: Sequence[str], sample: bytes, filename: str) -> Sequence[float | str]:
        """What these connectors say of a file, or why they failed. Raises `PluginBug`."""
        sure = self.asked(
            "detect", seconds=LOOK_SECONDS, factories=list(factories), sample=sample, filename=filename
        ).sure
        if len(sure) != len(factories):
            raise PluginBug(f"{len(sure)} answers of {len(factories)} connectors")
        return sure

    def fault_of(self, manifest: ConnectorManifest) -> str | None:
        """Why the connector can't be made, or lacks what its manifest says that it does."""
        try:
            made = self.asked("make", seconds=LOOK_SECONDS, factories=[manifest.factory], methods=_methods(manifest))
        except PluginBug as error:
            return str(error)
        return f"it has no method {' and no '.join(made.lacking)}" if made.lacking else None

    def asked(self, do: str, **given: Any) -> wire.Done:
        """The answer to a call that brings no batches."""
        with closing(self.call(do, **given)) as frames:
            for frame in frames:
                if isinstance(frame, wire.Done):
                    return frame
        raise PluginBug("it answered nothing")

    def folder(self, name: str, tenant_id: UUID | None) -> str:
        """The folder that a connection of the tenant names, where it really is; '' for one at a URL. Raises
        `ConfigInvalid` where no root has it."""
        return str(self._roots.folder(name, tenant_id) or "")

    @contextmanager
    def _child(self, file: BinaryIO | None) -> Iterator[_Child]:
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        with ours, theirs, _with_number(file) as number:
            fds = [theirs.fileno(), *([] if number is None else [number])]
            zygote, pid = _started(fds)
            theirs.close()
            child = _Child(socket=ours, zygote=zygote, pid=pid)
            try:
                yield child
            finally:
                child.end()


def _times(seconds: float) -> tuple[float, float]:
    """Until when a child may be silent, and until when it may ask for pages without giving anything."""
    now = time.monotonic()
    return now + seconds, now + PATIENCE * seconds


def _methods(manifest: ConnectorManifest) -> list[str]:
    """What a connector must have; for the rest the contract says what it would do."""
    found = ["detect", "read"] if manifest.file_extensions else []
    found += ["check", "read"] if manifest.pulls else []
    return found + (["parse_webhook"] if manifest.webhook else [])


class _Zygote:
    def __init__(self) -> None:
        self.owner = os.getpid()
        ours, theirs = socket.socketpair()
        environment = {
            name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
        }
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "plugins.isolation.zygote", str(theirs.fileno())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._control = ours

    def start(self, fds: Sequence[int]) -> int:
        socket.send_fds(self._control, [ORDER.pack(b"s", 0)], fds)
        return self._answered()

    def end(self, pid: int) -> int:
        self._control.sendall(ORDER.pack(b"e", pid))
        return self._answered()

    def close(self) -> None:
        if os.getpid() != self.owner:
            return
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answered(self) -> int:
        answer = self._control.recv(ANSWER.size, socket.MSG_WAITALL)
        if len(answer) < ANSWER.size:
            raise ConnectionError("the zygote is gone")
        pid: int = ANSWER.unpack(answer)[0]
        return pid


_lock = Lock()
_present: _Zygote | None = None
"""That of this process: each order to it is answered before the next."""


def _started(fds: Sequence[int]) -> tuple[_Zygote, int]:
    """A child with these sockets and files: its zygote, and its pid."""
    global _present
    with _lock:
        if _present is not None and _present.owner == os.getpid():
            with suppress(OSError):  # somebody killed it
                return _present, _present.start(fds)
            _present.close()
        _present = _Zygote()
        atexit.register(_present.close)
        return _present, _present.start(fds)


@dataclass(slots=True)
class _Child:
    socket: socket.socket
    zygote: _Zygote
    pid: int
    ended: str | None = None

    def end(self) -> str:
        """Ends it, if it has not; says how it ended."""
        if self.ended is None:
            status = 0
            with _lock, suppress(OSError):
                status = self.zygote.end(self.pid)
            self.ended = _ending(status)
        return self.ended


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        return f"killed by {name}"
    return f"it exited with code {os.waitstatus_to_exitcode(status)}"


@contextmanager
def _with_number(file: BinaryIO | None) -> Iterator[int | None]:
    """The file's descriptor, at its start; what is kept in memory goes to a temporary file first."""
    if file is None:
        yield None
        return
    try:
        rollover = getattr(file, "rollover", None)
        if rollover is not None:
            rollover()
        number = file.fileno()
    except (OSError, io.UnsupportedOperation):
        with tempfile.TemporaryFile() as copy:
            file.seek(0)
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            yield copy.fileno()
        return
    file.seek(0)
    os.lseek(number, 0, os.SEEK_SET)
    yield number


def _answer(ask: wire.Ask, http: HttpClient) -> wire.Answer | wire.Failed:
    try:
        got = http.request(
            ask.method,
            ask.url,
            params=ask.params,
            headers=ask.headers,
            content=ask.content,
            authenticated=ask.authenticated,
            accept=ask.accept,
        )
    except SortationError as error:
        retry_after = error.details.get("retry_after")
        return wire.Failed(code=error.code, message=str(error), retry_after=retry_after)
    return wire.Answer(status=got.status, headers=dict(got.headers), content=got.content)


def _raised(failed: wire.Failed) -> Exception:
    if failed.code == errors.PluginBug.code:
        return PluginBug(failed.message, trace=failed.trace)
    if failed.code in KNOWN:
        details = {} if failed.retry_after is None else {"retry_after": failed.retry_after}
        return KNOWN[failed.code](failed.message, **details)
    return {CONTRACT: ContractError, VERSION: VersionError}.get(failed.code, PluginBug)(failed.message)
