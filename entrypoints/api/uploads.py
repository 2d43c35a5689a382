"""Bodies that may be large: spooled whole before anything is done with them.

So a slow sender holds no transaction open, the whole is known to be within the limit, and its hash is known to
Idempotency-Key. Memory stays bounded; the rest is on disk until the request ends.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

from flask import current_app, request

from core.errors import Invalid
from entrypoints.api.bodies import check_end_is_told

SPOOL_BYTES = 4 << 20
FORM_BYTES = 64 << 10
"""What a multipart form has beside its file."""
_PIECE = 1 << 16
_MAX_FILENAME = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A received body, open at its start, and the form's fields `beside` it; `content` is its name, its hash and these,
    which stand for it in Idempotency-Key."""

    file: BinaryIO
    filename: str
    sha256: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        told = json.dumps(self.beside, sort_keys=True) if self.beside else ""
        return f"{self.filename}\n{self.sha256}{told}"

    def pieces(self) -> Iterator[bytes]:
        while piece := self.file.read(_PIECE):
            yield piece


@contextmanager
def received(filename: str, *, most: int | None = None, beside: Collection[str] = ()) -> Iterator[Upload]:
    """The upload of this request: its one multipart file `file`, or its raw body, which is then called `filename`. In a
    multipart form the fields `beside` may stand beside the file, once each. It has `most` bytes, if not as many as any.

    Raises `Invalid`, and ends the request with 413 when it is too large, 411 when nothing tells where it ends.
    """
    if most is not None:
        limit_upload(most)
    if request.mimetype == "multipart/form-data":
        form = dict(request.form.items())
        given = [name for name, _ in (*request.files.items(multi=True), *request.form.items(multi=True))]
        file = request.files.get("file")
        if file is None or sorted(given) != sorted({"file", *form}) or not form.keys() <= {*beside}:
            allowed = f", and beside it {', '.join(beside)}" if beside else ""
            raise Invalid(
                f"a multipart upload has one file named 'file'{allowed}", fields={"file": ["Send exactly one file."]}
            )
        yield replace(_upload(cast(BinaryIO, file.stream), file.filename or filename), beside=form)
        return
    check_end_is_told(request.content_length, request.mimetype)
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
        while piece := request.stream.read(_PIECE):
            spool.write(piece)
        yield _upload(cast(BinaryIO, spool), filename)


def limit_upload(most: int) -> None:
    """The request has a file of at most so many bytes, and what stands beside it; if not as many as any."""
    request.max_content_length = min(most + FORM_BYTES, current_app.config["MAX_CONTENT_LENGTH"])


def _upload(file: BinaryIO, filename: str) -> Upload:
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
