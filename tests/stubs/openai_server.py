"""What servers that speak as OpenAI's have in common: failures on command, and what was asked of them."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

RETRY_AFTER = 7
_HANG_SECONDS = 60.0


class Refused(Exception):
    """A request that the API would answer with 400, for that parameter if one is named."""

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class OpenAiStub(ABC):
    """The running server. `requests` holds the body of every request, in order, with its headers under "headers", names
    in lower case.

    `behave(...)` queues how the next requests are met, one each: an HTTP status as "429", "timeout" (no answer), "drop"
    (the connection ends), "html" (a page with status 200), "wait" (not answered before `go` is set), "ok", or what
    `answer` knows besides.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.arrived = threading.Semaphore(0)
        """Released with each request."""
        self.go = threading.Event()
        self.closing = threading.Event()
        self._behaviours: deque[str] = deque()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True

    @abstractmethod
    def answer(self, body: dict[str, Any], behaviour: str) -> dict[str, Any]:
        """Return the response to a request's body; raises `Refused`."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def behave(self, *behaviours: str) -> None:
        self._behaviours.extend(behaviours)

    def next_behaviour(self) -> str:
        return self._behaviours.popleft() if self._behaviours else "ok"

    def serve_forever(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(stub: OpenAiStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append({**body, "headers": {name.lower(): value for name, value in self.headers.items()}})
            stub.arrived.release()
            behaviour = stub.next_behaviour()
            if behaviour == "timeout":
                stub.closing.wait(_HANG_SECONDS)
            if behaviour == "wait":
                stub.go.wait(_HANG_SECONDS)
            if behaviour in ("timeout", "drop"):
                self.close_connection = True
            elif behaviour == "html":
                self._send(200, b"<html>Hello</html>", content_type="text/html")
            elif behaviour.isdecimal():
                # Provoked on purpose: a server may well echo the key that it refuses.
                self._fail(int(behaviour), Refused(f"provoked, your key is {self.headers['Authorization']}"))
            else:
                try:
                    self._send(200, json.dumps(stub.answer(body, behaviour)).encode())
                except Refused as refused:
                    self._fail(400, refused)

        def _fail(self, status: int, refused: Refused) -> None:
            error = {"message": str(refused), "type": "stub", "param": refused.parameter, "code": None}
            self._send(status, json.dumps({"error": error}).encode())

        def _send(self, status: int, content: bytes, *, content_type: str = "application/json") -> None:
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", str(RETRY_AFTER))
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet: tests read standard error."""

    return Handler


def main(stub: type[OpenAiStub], description: str) -> None:
    """Serve until interrupted, at the port that the command line names; the base URL goes to stdout."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    running = stub(port=parser.parse_args().port)
    sys.stdout.write(f"{running.base_url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        running.serve_forever()
