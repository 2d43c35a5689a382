"""A source over HTTP on loopback, whose answers a test makes, and the `ctx.http` of a test that asks it."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from sortation import (
    ConfigInvalid,
    Context,
    HttpResponse,
    PermissionDenied,
    RateLimited,
    ReauthRequired,
    Transient,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    pairs: tuple[tuple[str, str], ...]
    """The query, with what is in it more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`body` is written as JSON, unless it is bytes."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answering = Callable[[Request], Reply]


class SourceServer:
    """`with SourceServer(answering) as source:`; `source.answering` may be changed, `source.requests` were asked."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(source: SourceServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: the second of two would wait for the first's acknowledgement

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            pairs = tuple(parse_qsl(parts.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(method=self.command, path=parts.path, query=dict(pairs), headers=headers, pairs=pairs)
            source.requests.append(request)
            reply = source.answering(request)
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Http:
    """An `HttpClient` that keeps the contract and no more: it does not wait, renew or try again. `identity` are the
    headers that the host would add."""

    def __init__(self, identity: Mapping[str, str] | None = None) -> None:
        self.identity = dict(identity or {})

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        authenticated: bool = True,
        accept: Collection[int] = (),
    ) -> HttpResponse:
        if params:
            url += ("&" if urlsplit(url).query else "?") + urlencode(params)
        sent = {**(headers or {}), **(self.identity if authenticated else {})}
        request = urllib.request.Request(url, method=method, headers=sent, data=content)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return _response(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            content = error.read()
            if error.code in accept:
                return _response(error.code, error.headers, content)
            raise _error(error.code, error.headers.get("Retry-After")) from None
        except OSError as error:
            raise Transient(str(error)) from None


def _response(status: int, headers: Any, content: bytes) -> HttpResponse:
    return HttpResponse(status=status, headers={n.lower(): v for n, v in headers.items()}, content=content)


def _error(status: int, retry_after: str | None) -> Exception:
    if status == 429:
        return RateLimited("429", retry_after=float(retry_after or 0))
    if status >= 500:
        return Transient(str(status))
    return {401: ReauthRequired, 403: PermissionDenied}.get(status, ConfigInvalid)(str(status))


def a_context(config: Mapping[str, Any], **identity: str) -> Context:
    return Context(config=config, default_currency="EUR", http=Http(identity))
