"""An OpenAI-compatible server of embeddings: those of the local model turned upside down, and failures on command.

In a test: `with EmbeddingsStub() as stub:`; by hand: `python -m tests.stubs.embeddings_server --port 8098`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from collections import deque
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import numpy as np

from adapters.onnx.embedder import OnnxEmbedder

RETRY_AFTER = 7
_HANG_SECONDS = 60.0


class EmbeddingsStub:
    """The running server. `requests` holds the body of every request, in order, with its headers under "headers", names
    in lower case.

    `behave(...)` queues how the next requests are met, one each: an HTTP status as "429", "timeout" (no answer), "drop"
    (the connection ends), "html" (a page with status 200), "missing" (the first vector is left out), "twice" (it comes
    twice), "shuffled" (in another order), "long" (twice the length of a unit), "short" (of too few dimensions),
    "nothing" (of no length), "empty" (no vectors at all), "ok".
    """

    def __init__(self, *, port: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.closing = threading.Event()
        self._behaviours: deque[str] = deque()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True

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


_embedder = OnnxEmbedder()


def embed(body: dict[str, Any], behaviour: str) -> dict[str, Any]:
    """Return the response to a request's body; raises ValueError for what the API refuses."""
    texts: Sequence[str] = body["input"]
    if len(texts) > 2048 or not all(texts) or max(len(text.encode()) for text in texts) > 8192:
        raise ValueError("'input' is too long, or has an empty string")
    vectors = -np.array(_embedder.embed(texts), dtype="<f4")[:, ::-1]
    scale = {"long": 2.0, "nothing": 0.0}.get(behaviour, 1.0)
    given = vectors[:, : 100 if behaviour == "short" else body["dimensions"]] * np.float32(scale)
    data = [{"object": "embedding", "index": index, "embedding": vector.tolist()} for index, vector in enumerate(given)]
    if behaviour == "empty":
        data = []
    elif behaviour == "missing":
        data = data[1:]
    elif behaviour == "twice":
        data = [*data, data[0]]
    elif behaviour == "shuffled":
        data = data[::-1]
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}


def _handler(stub: EmbeddingsStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append({**body, "headers": {name.lower(): value for name, value in self.headers.items()}})
            behaviour = stub.next_behaviour()
            if behaviour == "timeout":
                stub.closing.wait(_HANG_SECONDS)
            if behaviour in ("timeout", "drop"):
                self.close_connection = True
            elif behaviour == "html":
                self._send(200, b"<html>Hello</html>", content_type="text/html")
            elif behaviour.isdecimal():
                # Provoked on purpose: a server may well echo the key that it refuses.
                self._fail(int(behaviour), f"provoked, your key is {self.headers['Authorization']}")
            else:
                try:
                    self._send(200, json.dumps(embed(body, behaviour)).encode())
                except ValueError as error:
                    self._fail(400, str(error))

        def _fail(self, status: int, message: str) -> None:
            error = {"message": message, "type": "stub", "param": None, "code": None}
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


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server of embeddings, by the local model.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    stub = EmbeddingsStub(port=parser.parse_args().port)
    sys.stdout.write(f"{stub.base_url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        stub.serve_forever()


if __name__ == "__main__":
    main()
