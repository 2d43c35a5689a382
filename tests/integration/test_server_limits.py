"""What the server itself bounds: lines, headers, bodies and patience, by the real one over real sockets."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adapters.embedded.postgres import DatabaseUrls
from tests.stack import COMMAND, OPERATOR_KEY, ROOT, free_port

STATEMENT = b"Date;Description;Amount;Currency\n" + b"2026-03-01;NETFLIX.COM;-12.99;EUR\n" * 2_000
MAX_UPLOAD = 1 << 20


@dataclass(kw_only=True)
class Service:
    """`sortation api` alone, with eight threads."""

    port: int
    database: DatabaseUrls
    key: str = ""

    def open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port))
        opened.settimeout(20)
        return opened

    def begin(self, head: str, body: bytes = b"", key: str | None = None) -> socket.socket:
        """Sends a request's head, and so much of its body."""
        opened = self.open()
        credentials = f"Host: here\r\nAuthorization: Bearer {key or self.key}\r\n"
        line, _, headers = head.partition("\r\n")
        opened.sendall(f"{line} HTTP/1.1\r\n{credentials}{headers}\r\n".encode() + body)
        return opened

    def ask(self, head: str, body: bytes = b"", key: str | None = None) -> tuple[int, Any]:
        with self.begin(head, body, key) as opened:
            return read(opened)

    def imports(self) -> int:
        with psycopg.connect(self.database.superuser) as connection:
            [(n,)] = connection.execute("SELECT count(*) FROM imports").fetchall()
            return int(n)


def read(opened: socket.socket) -> tuple[int, Any]:
    """Status and body of an answer; (0, b"") where the server closed the connection without one."""
    received = b""
    while not _whole(received) and (piece := opened.recv(1 << 16)):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body) if body[:1] == b"{" else body) if head else (0, b"")


def _whole(received: bytes) -> bool:
    head, end, body = received.lower().partition(b"\r\n\r\n")
    _, told, length = head.partition(b"content-length: ")
    return bool(end and told) and len(body) >= int(length.partition(b"\r\n")[0])


@pytest.fixture(scope="module")
def service(
    fresh_database: Callable[[], AbstractContextManager[DatabaseUrls]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("api")
    with ExitStack() as stack:
        made = Service(port=free_port(), database=stack.enter_context(fresh_database()))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SORTATION_")} | {
            "SORTATION_APP_DATABASE_URL": made.database.app,
            "SORTATION_SYSTEM_DATABASE_URL": made.database.system,
            "SORTATION_BROKER_URL": "redis://127.0.0.1:1/0",
            "SORTATION_DATA_DIR": str(folder),
            "SORTATION_PORT": str(made.port),
            "SORTATION_API_THREADS": "8",
            "SORTATION_OPERATOR_KEY": OPERATOR_KEY,
            "SORTATION_EMBEDDINGS": "off",
            "SORTATION_MAX_UPLOAD_BYTES": str(MAX_UPLOAD),
        }
        log = stack.enter_context((folder / "api.log").open("wb"))
        process = subprocess.Popen([*COMMAND, "api"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        _await_listening(made, process, folder / "api.log")
        body = json.dumps({"name": "Test", "time_zone": "UTC"}).encode()
        status, tenant = made.ask(f"POST /api/v1/tenants\r\n{sized(body)}", body, OPERATOR_KEY)
        assert status == 201, tenant
        made.key = tenant["api_key"]
        yield made


def _await_listening(service: Service, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            if service.ask("GET /livez\r\n")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def sized(body: bytes, kind: str = "application/json") -> str:
    return f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


IMPORT = "POST /api/v1/imports?filename=a.csv\r\nContent-Type: text/csv\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /livez?a=" + "x" * 60_000, 200),
        ("GET /livez?a=" + "x" * 70_000, 414),
        ("GET /livez\r\nX-Long: " + "x" * 300_000, 431),
        ("GET /livez" + "".join(f"\r\nX-{n}: 1" for n in range(150)), 431),
        ("GET /livez\r\nContent-Length: 3\r\nContent-Length: 4", 400),
        ("GET /livez\r\nX-Bad\x00: 1", 400),
    ],
    ids=["long", "too long", "large header", "many headers", "two lengths", "odd header"],
)
def test_lines_and_headers_are_bounded(service: Service, head: str, status: int) -> None:
    first, _, rest = head.partition("\r\n")
    answered, _ = service.ask(f"{first}\r\n{rest}{chr(13) + chr(10) if rest else ''}")
    assert answered in (status, 422 if status == 200 else status), "the query may be refused, once it is read"


def test_no_http_2_and_no_connection_that_never_says_which(service: Service) -> None:
    with service.open() as opened:
        opened.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert opened.recv(100) == b""


@pytest.mark.parametrize("declared", [True, False])
def test_uploads_are_bounded_with_a_length_and_without(service: Service, declared: bool) -> None:
    begin = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n"
    large = begin + b"x" * (2 * MAX_UPLOAD) + b"\r\n--b--\r\n"
    head = "POST /api/v1/imports\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    if declared:
        status, problem = service.ask(f"{head}Content-Length: {len(large)}\r\n", large[:1000])
    else:
        with service.begin(head + CHUNKED) as opened:
            try:
                for place in range(0, len(large), 1 << 16):
                    opened.sendall(chunk(large[place : place + (1 << 16)]))
                opened.sendall(chunk(b""))
            except OSError:
                pass  # it has answered, and does not listen any more
            status, problem = read(opened)
    assert (status, problem["code"]) == (413, "payload_too_large")


def test_what_is_cut_off_is_no_whole_file(service: Service) -> None:
    """The server ends its body alike whether the sender is done or gone."""
    for declared in (f"Content-Length: {len(STATEMENT) + 1}\r\n", CHUNKED):
        with service.begin(IMPORT + declared) as opened:
            opened.sendall(STATEMENT if declared != CHUNKED else chunk(STATEMENT))
            opened.shutdown(socket.SHUT_WR)
            status, problem = read(opened)
            assert status in (0, 400, 411), problem
    with service.begin(IMPORT + CHUNKED) as opened:
        opened.sendall(chunk(STATEMENT) + b"no chunk\r\n")
        assert read(opened)[0] in (0, 400, 411)
    assert service.imports() == 0
    status, problem = service.ask(IMPORT + CHUNKED, chunk(STATEMENT) + chunk(b""))
    assert (status, problem["code"]) == (411, "length_required")
    multipart = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n" + STATEMENT
    kind = "Content-Type: multipart/form-data; boundary=b\r\n"
    cut = chunk(multipart) + chunk(b"")
    assert service.ask(f"POST /api/v1/imports\r\n{kind}{CHUNKED}", cut)[0] in (400, 422)
    assert service.imports() == 0
    whole = chunk(multipart + b"\r\n--b--\r\n") + chunk(b"")
    assert service.ask(f"POST /api/v1/imports\r\n{kind}{CHUNKED}", whole)[0] == 202
    assert service.ask(f"{IMPORT}Content-Length: {len(STATEMENT)}\r\n", STATEMENT)[0] == 202
    assert service.imports() == 2


@pytest.mark.parametrize("declared", ["Content-Length: 100000\r\n", CHUNKED])
def test_bodies_that_stop_coming_leave_threads_to_others(service: Service, declared: str) -> None:
    """As many as there are threads."""
    head = "POST /api/v1/imports\r\nContent-Type: multipart/form-data; boundary=b\r\n" + declared
    body = json.dumps({"name": f"Category {declared}"}).encode()
    change = f"POST /api/v1/categories\r\n{sized(body)}"
    stalled = [service.begin(head, b"--b\r\n" if declared != CHUNKED else chunk(b"--b\r\n")) for _ in range(8)]
    try:
        told = [read(opened) for opened in _answered(stalled, 2)]
        assert [(status, problem["code"]) for status, problem in told] == [(503, "busy")] * 2
        for _ in range(3):
            assert service.ask("GET /api/v1/me\r\n")[0] == 200
        status, problem = service.ask(change, body)
        assert (status, problem["code"]) == (503, "busy")
    finally:
        for opened in stalled:
            opened.close()
    end = time.monotonic() + 20
    while (status := service.ask(change, body)[0]) == 503:
        assert time.monotonic() < end
    assert status == 201


def _answered(opened: list[socket.socket], n: int) -> list[socket.socket]:
    """The first `n` of them that there is something to read from."""
    found: list[socket.socket] = []
    while len(found) < n:
        ready, _, _ = select.select([one for one in opened if one not in found], [], [], 20)
        assert ready
        found += ready
    return found
