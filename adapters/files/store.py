"""A file store on whatever file system fsspec has: a folder of this machine, S3, Google Cloud Storage, Azure.

Credentials and end points are the machine's, as those libraries find them (`AWS_ACCESS_KEY_ID`, `FSSPEC_S3`, …): the
store is the operator's, unlike the folders that tenants name.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import fsspec

from core.errors import Invalid, NotFound, Transient
from ports.files import Written

PIECE_BYTES = 1 << 20
_PATH = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class FsspecFileStore:
    """Files under `url`. They get their name when they are whole: until then they are a part of another."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: tuple[Any, str] | None = None

    def write(self, path: str, pieces: Iterable[bytes]) -> Written:
        fs, place = self._at(path)
        part, size, digest = f"{place}.{uuid.uuid4().hex}.part", 0, hashlib.sha256()
        with _answering():
            fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            file = fs.open(part, "wb")
        try:
            for piece in pieces:
                with _answering():
                    file.write(piece)
                digest.update(piece)
                size += len(piece)
            with _answering():
                _settle(file)
                file.close()
                fs.mv(part, place)
        except BaseException:
            # It is nobody's, whether it goes or not; why it is there is told by what was raised.
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                fs.rm_file(part)
            raise
        return Written(bytes=size, sha256=digest.hexdigest())

    def read(self, path: str) -> Iterator[bytes]:
        fs, place = self._at(path)
        with _answering():
            file = fs.open(place, "rb")
        return _pieces(file)

    def holds(self, path: str) -> bool:
        fs, place = self._at(path)
        with _answering():
            fs.invalidate_cache()  # others write there, too
            return bool(fs.exists(place))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            fs, place = self._at(path)
            with suppress(NotFound), _answering():
                fs.rm_file(place)

    def delete_under(self, folder: str) -> None:
        fs, place = self._at(folder)
        with suppress(NotFound), _answering():
            fs.invalidate_cache()  # others write there, too
            fs.rm(place, recursive=True)

    def _at(self, path: str) -> tuple[Any, str]:
        if not _PATH.fullmatch(path):
            raise Invalid("this is no path of a file store")
        if self._made is None:
            with _answering():
                self._made = fsspec.url_to_fs(self._url)
        fs, root = self._made
        return fs, f"{root.rstrip('/')}/{path}"


def _settle(file: Any) -> None:
    """Waits until the disk has it, where it is on one: no name may outlive what it stands for when the power fails."""
    try:
        descriptor = file.fileno()
    except (OSError, AttributeError):  # of what is in no file of this machine
        return
    file.flush()
    os.fsync(descriptor)


def _pieces(file: Any) -> Iterator[bytes]:
    with file:
        while True:
            with _answering():
                piece = file.read(PIECE_BYTES)
            if not piece:
                return
            yield piece


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("there is no such file") from error
    except OSError as error:
        raise Transient(f"the file store does not answer: {type(error).__name__}") from error
