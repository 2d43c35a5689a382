"""Watches what a plugin does in this process: what it says, writes, starts and connects to."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = frozenset(
    {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link", "os.symlink"}
)
_OTHERS = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.sendto",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "urllib.Request",
    "smtplib.",
    "ftplib.",
)


class _Watch(threading.local):
    """What this thread is watched for: None when it is not."""

    scratch: Path | None = None
    seen: list[str] | None = None


_watch = _Watch()
_hooked = False


@contextmanager
def watched() -> Iterator[list[str]]:
    """While it lasts, what this thread does beside reading files is listed, by audit events: it tells of attempts that
    failed, too. Files may be written in the working directory, a new one, which is also that for temporary files."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # for good: Python has no way to remove one
        _hooked = True
    before, before_temporary, quiet = os.getcwd(), tempfile.tempdir, sys.dont_write_bytecode
    with tempfile.TemporaryDirectory(prefix="sortation-kit-") as scratch:
        os.chdir(scratch)
        tempfile.tempdir = scratch
        sys.dont_write_bytecode = True
        seen: list[str] = []
        _watch.scratch, _watch.seen = Path(scratch).resolve(), seen
        try:
            yield seen
        finally:
            _watch.seen = None
            os.chdir(before)
            tempfile.tempdir, sys.dont_write_bytecode = before_temporary, quiet


@contextmanager
def unwatched() -> Iterator[None]:
    """What the host does on behalf of the plugin."""
    seen, _watch.seen = _watch.seen, None
    try:
        yield
    finally:
        _watch.seen = seen


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    seen = _watch.seen
    if seen is None:
        return
    _watch.seen = None  # looking at it makes events of its own
    try:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and (flags or 0) & _WRITING and _outside(path):
                seen.append(f"it opened {os.fsdecode(path)} for writing")
        elif event in _PATHS:
            if _outside(arguments[0]):
                seen.append(f"{event} of {os.fsdecode(arguments[0])}")
        elif event.startswith(_OTHERS):
            seen.append(
                f"{event}{arguments[1:]!r:.120}" if event.startswith("socket") else f"{event}{arguments!r:.120}"
            )
    finally:
        _watch.seen = seen


def _outside(path: Any) -> bool:
    if isinstance(path, int):
        return False
    place = Path(os.fsdecode(path))
    scratch = _watch.scratch
    place = (Path.cwd() / place).resolve()
    return place != Path(os.devnull) and (scratch is None or scratch not in place.parents)


@contextmanager
def heard() -> Iterator[list[str]]:
    """What is logged or printed while it lasts, line by line."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    root, ear = logging.getLogger(), Ear(level=logging.DEBUG)
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield said
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
        said.extend(printed.getvalue().splitlines())
