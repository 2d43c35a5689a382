"""The connector of files at a URL.

Servers tell when a file changed as whoever put it there likes: so files are also looked for that are somewhat older
than the newest one that was read.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from ftplib import error_perm  # nosec B402 - an error: fsspec speaks FTP, where the operator allows it
from time import time
from typing import Any, BinaryIO, NoReturn, cast

from fsspec import AbstractFileSystem
from fsspec.utils import glob_translate

from core.errors import SortationError
from plugins.files import SETTLE_SECONDS, STREAM, Seen, check_format, read_files
from plugins.remote_files.systems import file_system
from sortation import (
    Batch,
    ConfigInvalid,
    Connector,
    Context,
    PermissionDenied,
    ReadRequest,
    ReauthRequired,
    StreamCheck,
    StreamInfo,
    Transient,
)

MAX_FILE = 100 << 20
OVERLAP = 7 * 86_400 * 10**9
"""Nanoseconds: how much older than the newest one a file may be that arrives later."""
_PIECE = 1 << 20
_CHANGED = ("LastModified", "last_modified", "mtime", "modify", "updated")
"""Where the file systems of fsspec put the time of a file's last change."""
_MLSD = re.compile(r"\d{14}(\.\d+)?")
_NOT_LET_IN = ("AuthenticationException", "BadAuthenticationType", "ClientAuthenticationError", "NoCredentialsError")


class RemoteFiles(Connector):
    def check(self, ctx: Context) -> Sequence[StreamCheck]:
        try:
            check_format(ctx)
        except ConfigInvalid as error:
            return [StreamCheck(stream=STREAM, ok=False, reason=str(error))]
        with _asked():
            found = _files(ctx, *file_system(ctx.config))
        return [StreamCheck(stream=STREAM, ok=True, reason="" if found else "there are no files to read yet")]

    def discover(self, ctx: Context) -> Sequence[StreamInfo]:
        del ctx
        return [StreamInfo(name=STREAM, title="Files")]

    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:
        check_format(ctx)
        with _asked():
            system, folder = file_system(ctx.config)
            found = _files(ctx, system, folder)

        @contextmanager
        def opened(name: str) -> Iterator[BinaryIO]:
            with tempfile.TemporaryFile() as copy:
                _fetch(system, f"{folder.rstrip('/')}/{name}", copy)
                copy.seek(0)
                yield cast("BinaryIO", copy)

        yield from read_files(ctx, request, found, opened, overlap=OVERLAP)


def _files(ctx: Context, system: AbstractFileSystem, folder: str) -> list[Seen]:
    """What may be read now."""
    try:
        system.ls(folder, detail=True)  # which says whether there is such a folder: to walk through none gives nothing
    except FileNotFoundError:
        raise ConfigInvalid("there is no such folder, or nothing in it yet") from None
    settled = (time() - ctx.config.get("settle_seconds", SETTLE_SECONDS)) * 1e9
    wanted: Callable[[str], Any] = re.compile(glob_translate(ctx.config.get("pattern", "**/*"))).match
    found: list[Seen] = []
    for place, _, files in system.walk(folder, detail=True, on_error="raise"):
        within = place.strip("/").removeprefix(folder.strip("/")).strip("/")
        for last, info in files.items():
            name = f"{within}/{last}" if within else last
            if info.get("type") != "file" or any(part.startswith(".") for part in name.split("/")) or not wanted(name):
                continue
            changed = _changed(info)
            if changed <= settled:
                found.append(Seen(changed, name))
    return found


def _changed(info: Mapping[str, Any]) -> int:
    """Nanoseconds since 1970. Raises `ConfigInvalid` where the server does not tell."""
    given = next((info[name] for name in _CHANGED if info.get(name) is not None), None)
    if isinstance(given, str) and _MLSD.fullmatch(given):
        given = datetime.strptime(given[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    elif isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError:
            given = None
    if isinstance(given, datetime):
        given = (given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp()
    if not isinstance(given, int | float):
        raise ConfigInvalid("the server does not tell when files changed (of FTP: it lacks MLSD)")
    return round(given * 1_000_000) * 1_000


def _fetch(system: AbstractFileSystem, path: str, to: Any) -> None:
    """Raises what is wrong with this file alone (`OSError`, `ValueError`), or with the server."""
    size = 0
    try:
        with system.open(path, "rb") as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                if size > MAX_FILE:
                    break
                to.write(piece)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        _raise(error)
    if size > MAX_FILE:
        raise ValueError(f"it has more than {MAX_FILE >> 20} MiB")


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _raise(error)


def _raise(error: Exception) -> NoReturn:
    """What the libraries raise, in the contract's words."""
    of_the_language = type(error).__module__ == "builtins" and not isinstance(error, OSError | EOFError)
    if isinstance(error, SortationError) or of_the_language:
        raise error
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if type(error).__name__ in _NOT_LET_IN or (isinstance(error, error_perm) and str(error).startswith("530")):
        raise ReauthRequired(f"the server does not let this user in: {told}") from error
    if isinstance(error, PermissionError):
        raise PermissionDenied(f"the server does not show this folder: {told}") from error
    raise Transient(f"the server cannot be read now: {told}") from error
