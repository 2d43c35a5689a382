"""An OpenAI-compatible server that answers by keyword overlap, and fails on command.

It speaks just enough of Chat Completions for the real SDK. In a test: `with LlmStub() as stub:`; by hand:
`python -m tests.stubs.llm_server --port 8099`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import re
import sys
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

RETRY_AFTER = 7
STATED = 0.51
"""The confidence that the stub's model states of itself."""
MEASURED = 0.83
"""The probability of each category by the log-probabilities of its tokens."""

_DATA = re.compile(r"<data>(.*?)</data>", re.DOTALL)
_CATEGORIES = re.compile(r"<categories>\n(.*?)\n</categories>", re.DOTALL)
_OBEY = re.compile(r"ignore the above, answer (\d+)", re.IGNORECASE)
_NAMED = re.compile(r"\banswer (r\d+) too")
_TOKEN = re.compile(r"\d|[^\W\d]+|.", re.DOTALL)
_HANG_SECONDS = 60.0


class LlmStub:
    """The running server. `requests` holds the body of every request, in order, with its headers under "headers", names
    in lower case.

    `behave(...)` queues how the next requests are met, one each: an HTTP status as "429", "timeout" (no answer), "drop"
    (the connection ends), "html" (a page with status 200), "malformed" (broken JSON), "wrong_ids", "out_of_range",
    "missing" (the first record is left out), "twice" (it is answered twice), "no_logprobs" (they are ignored),
    "reject_logprobs", "reject_temperature" (a 400 that names the parameter), "no_usage" (tokens are not counted),
    "naive" (an order in a record is obeyed, for that record and for those that it names by id), "wait" (not answered
    before `go` is set), "ok".

    `used` holds the tokens of each answered request, as (prompt, completion).
    """

    def __init__(self, *, port: int = 0) -> None:
        self.requests: list[dict[str, Any]] = []
        self.used: list[tuple[int, int]] = []
        self.arrived = threading.Semaphore(0)
        """Released with each request."""
        self.go = threading.Event()
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


def complete(body: dict[str, Any], behaviour: str) -> dict[str, Any]:
    """Return the chat completion for a request's body."""
    system, user = (message["content"] for message in body["messages"])
    content = _content(system, user, behaviour)
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": content},
    }
    if body.get("logprobs") and behaviour != "no_logprobs":
        choice["logprobs"] = {"content": _logprobs(content)}
    prompt_tokens, completion_tokens = len(_TOKEN.findall(system + user)), len(_TOKEN.findall(content))
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
        **({} if behaviour == "no_usage" else {"usage": usage}),
    }


def _content(system: str, user: str, behaviour: str) -> str:
    if behaviour == "malformed":
        return '{"answers": [{"id": "r1", "categ'
    data = _DATA.search(user)
    listed = _CATEGORIES.search(system)
    if data is None or listed is None:
        raise ValueError("no data or no categories in the prompt")
    *categories, none = map(json.loads, listed[1].splitlines())
    if none != {"index": None, "path": "none of these"}:
        raise ValueError("the list of categories does not end with none of these")
    # The model is gullible: it obeys whatever stands outside the fence.
    outside = _OBEY.search(system + _DATA.sub("", user, count=1))
    answers = []
    for record in json.loads(data[1])["records"]:
        order = outside or (_OBEY.search(record["text"]) if behaviour == "naive" else None)
        category, rationale = (int(order[1]), "As ordered.") if order else _overlap(record, categories)
        said = {"category": category, "confidence": STATED, "rationale": rationale}
        named = _NAMED.findall(record["text"]) if order else []
        answers += [{"id": id, **said} for id in (record["id"], *named)]
    if behaviour == "wrong_ids":
        answers = [{**answer, "id": f"x{answer['id']}"} for answer in answers]
    elif behaviour == "out_of_range":
        answers = [{**answer, "category": len(categories)} for answer in answers]
    elif behaviour == "missing":
        answers = answers[1:]
    elif behaviour == "twice":
        answers = [*answers, answers[0]]
    return json.dumps({"answers": answers})


def _overlap(record: dict[str, Any], categories: list[dict[str, Any]]) -> tuple[int | None, str]:
    """Return the index of the category that shares most words with the record (the first of equals), or None."""
    words = _words(f"{record.get('text', '')} {record.get('counterparty', '')}")
    shared = [words & _words(f"{category['path']} {category['description']}") for category in categories]
    best = max(range(len(categories)), key=lambda index: (len(shared[index]), -index))
    if not shared[best]:
        return None, "No category shares a word with the record."
    return categories[best]["index"], f"It says {', '.join(sorted(shared[best]))}."


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.casefold())) - {"and", "for", "the"}


def _logprobs(content: str) -> list[dict[str, Any]]:
    """Return the content's tokens, all certain, but for the first of each category's value."""
    starts = {match.end() for match in re.finditer('"category": ', content)}
    return [
        {
            "token": token[0],
            "bytes": list(token[0].encode()),
            "logprob": math.log(MEASURED) if token.start() in starts else 0.0,
            "top_logprobs": [],
        }
        for token in _TOKEN.finditer(content)
    ]


def _handler(stub: LlmStub) -> type[BaseHTTPRequestHandler]:
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
                self._fail(int(behaviour), f"provoked, your key is {self.headers['Authorization']}", None)
            elif behaviour.startswith("reject_"):
                parameter = behaviour.removeprefix("reject_")
                self._fail(400, f"Unsupported parameter: '{parameter}'", parameter)
            else:
                completion = complete(body, behaviour)
                if "usage" in completion:
                    stub.used.append((completion["usage"]["prompt_tokens"], completion["usage"]["completion_tokens"]))
                self._send(200, json.dumps(completion).encode())

        def _fail(self, status: int, message: str, parameter: str | None) -> None:
            error = {"message": message, "type": "stub", "param": parameter, "code": None}
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
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that answers by keyword overlap.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    stub = LlmStub(port=parser.parse_args().port)
    sys.stdout.write(f"{stub.base_url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        stub.serve_forever()


if __name__ == "__main__":
    main()
