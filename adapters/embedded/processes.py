"""Child processes that never outlive us, and the lock that keeps two of us off one data directory."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

import psutil

from core.errors import AlreadyRunning

_PR_SET_PDEATHSIG = 1
# Loaded here, since a preexec function runs between fork and exec, where importing could deadlock.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_logger = logging.getLogger(__name__)
_LOG_KEPT_BYTES = 16 * 1024 * 1024
_KILL_SECONDS = 15.0
_NICE = 10


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send `death_signal` to this process when the thread that started it ends, however it ends.

    Usable as `preexec_fn`; the order survives exec, but not a change of user after it. Children do not inherit it: a
    process that forks workers of its own calls this in each of them. Does nothing outside Linux.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal))


def give_way() -> None:
    """Let this process, and those that it starts, compute when nobody else wants to. Usable as `preexec_fn`.

    Linux weighs sessions against each other where it groups them (`man 7 sched`, autogroup), and processes within one
    alone: so both are told.
    """
    os.nice(_NICE)
    with suppress(OSError), open("/proc/self/autogroup", "w") as group:
        group.write(str(_NICE))


def runs(process: psutil.Process) -> bool:
    """Whether the process has not ended; one that its parent has not asked after yet has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def open_log(data_dir: Path, name: str) -> IO[bytes]:
    """`data_dir/logs/NAME.log`, open to append; one that has grown past 16 MiB is first set aside as `NAME.log.1`."""
    path = data_dir / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


class Service(Protocol):
    """What a `Supervisor` keeps running."""

    def start(self) -> object:
        """Start it; harmless if it runs."""
        ...

    def running(self) -> bool:
        """Whether it runs now."""
        ...

    def stop(self) -> None:
        """Stop it and all its processes; harmless if it doesn't run."""
        ...


class Command:
    """A service that is one command, in a process group of its own (so Ctrl-C reaches only us, and we stop it)."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        grace_seconds: float = 10.0,
        gives_way: bool = False,
    ) -> None:
        """`env` is the whole environment (default: ours); `grace_seconds` pass between SIGTERM and SIGKILL; one that
        `gives_way` computes when nobody else wants to."""
        self._name = name
        self._command = list(command)
        self._data_dir = data_dir
        self._env = env
        self._grace_seconds = grace_seconds
        self._gives_way = gives_way
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, once it was started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it unless it runs. Raises `OSError` if the command cannot be executed."""
        if self.running():
            return
        with open_log(self._data_dir, self._name) as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self._begin,
            )

    def _begin(self) -> None:
        die_with_parent(signal.SIGTERM)  # not SIGKILL: a server with workers of its own would leave those behind
        if self._gives_way:
            give_way()

    def running(self) -> bool:
        """Whether it runs; if it has just died, what is left of its process group is killed."""
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        self._kill_group(self._process.pid)
        return False

    def stop(self) -> None:
        """SIGTERM, `grace_seconds` to comply, then SIGKILL to what is left of the process group."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_seconds)
        self._kill_group(self._process.pid)
        self._process.wait()

    @staticmethod
    def _kill_group(pid: int) -> None:
        """Return when it has ended: what is killed may hold its memory, files and ports for a moment yet."""
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _KILL_SECONDS
        while any(map(runs, _group(pid))) and time.monotonic() < deadline:
            time.sleep(0.01)


def _group(id: int) -> Iterator[psutil.Process]:
    """The processes of the group, some of which may have ended."""
    for process in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == id:
                yield process


@dataclass(slots=True, kw_only=True)
class _Kept:
    name: str
    service: Service
    failures: int = 0
    started_at: float = field(default_factory=time.monotonic)
    next_try_at: float | None = None


class Supervisor:
    """Keeps services running: one that dies is started again, after a delay that doubles while it keeps dying.

    `on_event` gets a line of text for each death and each failed start; it is called from the supervisor's thread.
    """

    TICK_SECONDS = 0.1
    BACKOFF_LIMIT_SECONDS = 30.0
    STEADY_SECONDS = 30.0
    """Having run for so long, a service that dies counts as dying for the first time."""

    def __init__(
        self,
        data_dir: Path,
        *,
        on_event: Callable[[str], None] = _logger.warning,
        backoff_seconds: float = 0.5,
    ) -> None:
        self._data_dir = data_dir
        self._on_event = on_event
        self._backoff_seconds = backoff_seconds
        self._kept: list[_Kept] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # The children that this thread restarts die with it, so it is also the one that stops them all.
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def run(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None, *, gives_way: bool = False
    ) -> Command:
        """Start `command`, which writes to `data_dir/logs/NAME.log`, and keep it running; see `Command`."""
        service = Command(name, command, data_dir=self._data_dir, env=env, gives_way=gives_way)
        self.keep(name, service)
        return service

    def keep(self, name: str, service: Service) -> None:
        """Start `service` (unless it runs) and keep it running. Raises what its start raises."""
        service.start()
        with self._lock:
            self._kept.append(_Kept(name=name, service=service))
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """Stop every service, the last started first. Safe to call twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._stopping.wait(self.TICK_SECONDS):
            with self._lock:
                kept = list(self._kept)
            for one in kept:
                if not self._stopping.is_set():
                    self._look_after(one)
        for one in reversed(self._kept):
            try:
                one.service.stop()
            except Exception as error:
                self._on_event(f"{one.name} did not stop cleanly: {error}")

    def _look_after(self, one: _Kept) -> None:
        now = time.monotonic()
        if one.service.running():
            return
        if one.next_try_at is None:
            if now - one.started_at > self.STEADY_SECONDS:
                one.failures = 0
            delay = min(self._backoff_seconds * 2**one.failures, self.BACKOFF_LIMIT_SECONDS)
            one.failures += 1
            one.next_try_at = now + delay
            self._on_event(f"{one.name} died; starting it again in {delay:g} s")
        if now < one.next_try_at:
            return
        one.next_try_at = None
        one.started_at = now
        try:
            one.service.start()
        except Exception as error:
            self._on_event(f"{one.name} did not start: {error}")


class DataDirLock:
    """Holds a data directory for this process alone; the kernel lets go of it when the process ends."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, making the directory if need be. Raises `AlreadyRunning` if another live process holds it."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        # A bare descriptor: a file object that nobody refers to would be closed, and the lock lost.
        descriptor = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise AlreadyRunning(f"Sortation is already running on {self._data_dir} (process {pid}).") from None
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it. Safe to call twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
