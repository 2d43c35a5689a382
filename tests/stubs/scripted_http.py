"""A source on loopback that answers as it is told, and remembers what it was asked. The standard library alone."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

_HANG_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came; names of `headers` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to answer: `content`, or `json` written out.

    `fault` is "drop" (the connection ends without an answer), "cut" (it ends in the middle of one), "hang" (nothing
    comes until the server stops) or "drip" (a byte every `drip_seconds`, so that no single wait is long).
    """

    status: int = 200
    json: Any = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""
    drip_seconds: float = 0.05


Script = Answer | Callable[[Asked], Answer]


class ScriptedServer:
    """The running server. `requests` holds all that was asked, in order.

    `script(method, path, *answers)` says how requests there are met, one each; the last answer stays. What no script
    knows gets 404. An answer may be a function of the request. With `tls` it speaks HTTPS by that context.
    """

    def __init__(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Asked] = []
        self.connections = 0
        """How many were opened."""
        self._scripts: dict[tuple[str, str], deque[Script]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._host, self._scheme = host, "https" if tls else "http"
        self._server = ThreadingHTTPServer((host, 0), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}"

    def script(self, method: str, path: str, *answers: Script) -> Self:
        """Replaces what was said of this method and path."""
        with self._lock:
            self._scripts[method, path] = deque(answers)
        return self

    def asked(self, path: str) -> list[Asked]:
        """The requests to a path so far."""
        return [request for request in self.requests if request.path == path]

    def answer_to(self, request: Asked) -> Answer:
        with self._lock:
            self.requests.append(request)
            scripts = self._scripts[request.method, request.path]
            if not scripts:
                return Answer(status=404, json={"error": f"nothing is scripted for {request.method} {request.path}"})
            script = scripts.popleft() if len(scripts) > 1 else scripts[0]
        return script if isinstance(script, Answer) else script(request)

    def hang(self, seconds: float = _HANG_SECONDS) -> bool:
        """Waits; True when the server stops meanwhile."""
        return self._closing.wait(seconds)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
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
        disable_nagle_algorithm = True  # or each answer takes 40 ms: its head and its content are sent apart

        def setup(self) -> None:
            server.connections += 1
            super().setup()

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
            if answer.fault in ("hang", "drop"):
                self.close_connection = True
                return
            content = answer.content if answer.json is None else json.dumps(answer.json).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.json is not None and "Content-Type" not in answer.headers:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if answer.fault == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
            elif answer.fault == "drip":
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if server.hang(answer.drip_seconds):
                        return
            else:
                self.wfile.write(content)

        def do_GET(self) -> None:
            self._serve()

        def do_HEAD(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def do_PUT(self) -> None:
            self._serve()

        def do_PATCH(self) -> None:
            self._serve()

        def do_DELETE(self) -> None:
            self._serve()

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # who asked has gone
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet: tests read standard error."""

    return Handler
