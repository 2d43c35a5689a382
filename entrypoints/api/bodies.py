"""Bodies of requests come whole or not at all, and some threads are left by those that do not come.

The server hands a body out by reads that wait as long as the sender likes, and that end alike whether the sender is
done or gone. So half a file would be read as a whole one, and a few senders that stop in the middle would hold all
threads. They cannot be ended from here: a thread that reads for another one stops the whole process when the request
is answered meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from werkzeug.exceptions import ClientDisconnected, LengthRequired

from entrypoints.api.waiting import Busy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TURN_SECONDS = 0.25
"""How long a request waits until fewer others wait for their bodies; those that are there already take no time."""
_PIECE = 1 << 16


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class WholeBodies:
    """A WSGI application whose requests have such bodies. Of the server's `threads` a quarter, one at least, is left to
    requests that wait for none."""

    def __init__(self, app: WSGIApplication, *, threads: int) -> None:
        self._app = app
        self._turns = threading.BoundedSemaphore(max(1, threads - max(1, threads // 4)))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = str(environ.get("CONTENT_LENGTH") or "")
        expected = int(length) if length.isascii() and length.isdecimal() else None
        body = environ["wsgi.input"] = Body(environ["wsgi.input"], expected=expected, turns=self._turns)
        try:
            return self._app(environ, start_response)
        finally:
            body.close()


class Body:
    """A `wsgi.input`. Raises `Busy` where too many wait for theirs, `ClientDisconnected` where fewer bytes came than
    `expected`."""

    def __init__(self, source: Source, *, expected: int | None, turns: threading.BoundedSemaphore) -> None:
        self._source = source
        self._expected = expected
        self._turns = turns
        self._has_turn = False
        self._received = 0

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        if size == 0 or self._received == self._expected:
            return b""
        if not self._has_turn:
            self._has_turn = self._turns.acquire(timeout=TURN_SECONDS)
            if not self._has_turn:
                raise Busy("too many requests wait for the rest of their bodies")
        piece = self._source.read(size)
        self._received += len(piece)
        if not piece or self._received == self._expected:
            self.close()
        if not piece and self._expected is not None:
            raise ClientDisconnected("the body ended too early")
        return piece

    def close(self) -> None:
        """Another one may have the turn."""
        if self._has_turn:
            self._has_turn = False
            self._turns.release()


def check_end_is_told(length: int | None, mimetype: str) -> None:
    """For bodies that look whole wherever they are cut off: nothing but their length tells that they are."""
    if length is None:
        raise LengthRequired(
            f"{mimetype or 'such a body'} needs a Content-Length, as one that is cut off looks whole; "
            "what has none goes as multipart/form-data"
        )
