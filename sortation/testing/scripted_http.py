"""A source on loopback: an HTTP server that answers what a function says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

MAX_REQUESTS = 400
"""Of one server: a connector that asks without end is told 503 from then on, and so comes to an end."""

HANG_SECONDS = 0.4
"""The server hangs up then, and not the client: whose time may run out on a machine that stands still, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came. Names of `headers` are in lower case; `host` is the one that the connector meant."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to answer: `content`, or `json` written out. With the fault "drop" the connection ends without an answer,
    with "hang" it ends so after `HANG_SECONDS`."""

    status: int = 200
    json: Any = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Literal["", "drop", "hang"] = ""

    def written(self) -> bytes:
        return self.content if self.json is None else json.dumps(self.json).encode()


class ScriptedServer:
    """The running server. `requests` holds what was asked, in order; `errors` what `script` raised, which was answered
    with 500."""

    def __init__(self, script: Callable[[Asked], Answer]) -> None:
        self.requests: list[Asked] = []
        self.errors: list[Exception] = []
        self._script = script
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer_to(self, asked: Asked) -> Answer:
        """One request at a time, so that a script needs no locks."""
        with self._lock:
            self.requests.append(asked)
            if len(self.requests) > MAX_REQUESTS:
                return Answer(status=503)
            try:
                return self._script(asked)
            except Exception as error:  # the script is the author's: who runs the server tells
                self.errors.append(error)
                return Answer(status=500)

    def hang(self) -> None:
        self._closing.wait(HANG_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and content go together, so that nobody waits for an acknowledgement in between

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            answer = server.answer_to(
                Asked(
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
                )
            )
            if answer.fault == "hang":
                server.hang()
            if answer.fault:
                self.close_connection = True
                return
            content = answer.written()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.json is not None and "Content-Type" not in answer.headers:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - their base's names

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # who asked has gone
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet: the kit listens to what is said."""

    return Handler
