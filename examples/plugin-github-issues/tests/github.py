"""A little of GitHub on loopback: issues by `since`, in the order of their changes, in pages with a Link header."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from sortation import ConfigInvalid, HttpResponse, PermissionDenied, ReauthRequired

TOKEN = "github_pat_of_tests"


def issue(number: int, changed: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": 9_000 + number,
        "number": number,
        "title": f"Issue {number}",
        "body": None,
        "state": "open",
        "user": {"login": "ada"},
        "labels": [],
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": changed,
        "html_url": f"https://github.com/octo/shop/issues/{number}",
    } | fields


class Github:
    """`with Github() as github:`; `issues` are by repository, `status` is the answer to all, if it is not 200."""

    def __init__(self) -> None:
        self.issues: dict[str, list[dict[str, Any]]] = {}
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, query: dict[str, str], token: str | None) -> tuple[int, Any, dict[str, str]]:
        self.asked.append(query)
        if self.status != 200 or token != f"Bearer {TOKEN}":
            return (401 if self.status == 200 else self.status), {"message": "no"}, {}
        repository = path.removeprefix("/repos/").removesuffix("/issues")
        if repository not in self.issues:
            return 404, {"message": "Not Found"}, {}
        assert (query["state"], query["sort"], query["direction"]) == ("all", "updated", "asc")
        stored = sorted(self.issues[repository], key=lambda issue: issue["updated_at"])
        found = [issue for issue in stored if issue["updated_at"] >= query.get("since", "")]
        size, page = int(query["per_page"]), int(query.get("page", "1"))
        following = urlencode({**query, "page": page + 1})
        link = {"Link": f'<{self.url}{path}?{following}>; rel="next"'} if len(found) > page * size else {}
        return 200, found[(page - 1) * size : page * size], link

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(github: Github) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, body, headers = github.answer(
                parts.path, dict(parse_qsl(parts.query)), self.headers.get("Authorization")
            )
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Http:
    """What the host would be: it adds the token, and tells errors by their kind."""

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
        whole = f"{url}?{urlencode(params)}" if params else url
        sent = {**(headers or {}), "Authorization": f"Bearer {TOKEN}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(whole, headers=sent), timeout=10) as answer:
                names = {name.lower(): value for name, value in answer.headers.items()}
                return HttpResponse(status=answer.status, headers=names, content=answer.read())
        except urllib.error.HTTPError as error:
            raise {401: ReauthRequired, 403: PermissionDenied}.get(error.code, ConfigInvalid)(str(error.code)) from None
