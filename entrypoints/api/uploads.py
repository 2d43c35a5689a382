"""Bodies that may be large: spooled whole before anything is done with them.

So a slow sender holds no transaction open, the whole is known to be within the limit, and its hash is known to
Idempotency-Key. Memory stays bounded; the rest is on disk until the request ends.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from flask import request

from core.errors import Invalid
from entrypoints.api.bodies import check_end_is_told

SPOOL_BYTES = 4 << 20
_PIECE = 1 << 16
_MAX_FILENAME = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A received body, open at its start; `content` is its name and hash, which stand for it in Idempotency-Key."""

    file: IO[bytes]
    filename: str
    sha256: str

    @property
    def content(self) -> str:
        return f"{self.filename}\n{self.sha256}"

    def pieces(self) -> Iterator[bytes]:
        while piece := self.file.read(_PIECE):
            yield piece


@contextmanager
def received(filename: str) -> Iterator[Upload]:
    """The upload of this request: its one multipart field `file`, or its raw body, which is then called `filename`.

    Raises `Invalid`, and ends the request with 413 when it is too large, 411 when nothing tells where it ends.
    """
    if request.mimetype == "multipart/form-data":
        given = [*request.files.items(multi=True), *request.form.items(multi=True)]
        if len(given) != 1 or (file := request.files.get("file")) is None:
            raise Invalid(
                "a multipart upload has one field, a file named 'file'", fields={"file": ["Send exactly one file."]}
            )
        yield _upload(file.stream, file.filename or filename)
        return
    check_end_is_told(request.content_length, request.mimetype)
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        while piece := request.stream.read(_PIECE):
            spool.write(piece)
        yield _upload(spool, filename)


def _upload(file: IO[bytes], filename: str) -> Upload:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE):
        digest.update(piece)
    file.seek(0)
    return Upload(file=file, filename=_plain_name(filename), sha256=digest.hexdigest())


def _plain_name(filename: str) -> str:
    """The last part of a path, without control characters: it is shown to people, and never opened."""
    name = _CONTROL.sub("", filename.replace("\\", "/").rpartition("/")[2])
    return name[-_MAX_FILENAME:] or "upload"
