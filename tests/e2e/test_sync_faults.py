"""Workers are killed at each batch boundary of a sync: the union of records is whole, none is there twice, and no
cursor is ahead of what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.processes import kill
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.slow
PAGES, PAGE = 5, 40
PLUGIN = f'''
"""A source of {PAGES} pages that waits before each of them for as long as the test holds it."""

import time
from datetime import date

from sortation import Batch, ConnectorManifest, Draft, RateLimited, StreamCheck, StreamInfo, Transient, hookimpl

PAGES, PAGE = {PAGES}, {PAGE}


class Held:
    def detect(self, sample, filename):
        return 0.0

    def check(self, ctx):
        return [StreamCheck(stream="pages", ok=True)]

    def discover(self, ctx):
        return [StreamInfo(name="pages")]

    def read(self, ctx, request):
        def state(page, first):
            params = {{"folder": ctx.config["folder"], "first": first}}
            return ctx.http.request("GET", f"{{ctx.config['url']}}/{{page}}", params=params).json()

        for page in range((request.cursor or {{"page": 0}})["page"] + 1, PAGES + 1):
            now = state(page, "yes")
            while now["held"]:
                time.sleep(0.05)
                now = state(page, "no")
            for error in (RateLimited, Transient):
                if error.__name__ == now["error"]:
                    raise error("not now")
            drafts = tuple(
                Draft(text=f"item {{n}}", occurred_at=date(2026, 1, 1), external_id=f"{{n:05}}")
                for n in range((page - 1) * PAGE, page * PAGE)
            )
            yield Batch(drafts=drafts, cursor={{"page": page}})

    def parse_webhook(self, ctx, message):
        return Batch()

    def migrate_state(self, cursor, from_version):
        return None


@hookimpl
def sortation_connectors(host):
    text = {{"type": "string"}}
    schema = {{"type": "object", "properties": {{"folder": text, "url": text}}, "required": ["folder", "url"]}}
    return [
        ConnectorManifest(
            key="held", version="1", title="Held", factory="held_source:Held", pulls=True, config_schema=schema
        )
    ]
'''


class _Pages(BaseHTTPRequestHandler):
    """Says of a page whether it is held, and how it fails, by the files in the test's folder."""

    def do_GET(self) -> None:
        asked_for = urlsplit(self.path)
        page, given = asked_for.path.strip("/"), parse_qs(asked_for.query)
        folder = Path(given["folder"][0])
        if given["first"] == ["yes"]:
            with (folder / "asked").open("a") as asked:
                asked.write(f"{page}\n")
        held, error = (folder / f"hold-{page}").exists(), None
        for once in [] if held else folder.glob(f"*-{page}"):
            once.unlink()
            error = once.name.partition("-")[0]
        body = json.dumps({"held": held, "error": error}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "held_source.py").write_text(PLUGIN)
    info = folder / "held_source-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: held-source\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sortation]\nheld = held_source\n")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, plugins: Path) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("sync-faults"),
        SORTATION_EMBEDDINGS="off",
        SORTATION_WORKER_CONCURRENCY="1",
        SORTATION_LEASE_SECONDS="2",
        SORTATION_REPUBLISH_AFTER_SECONDS="2",
        SORTATION_JOB_MAX_ATTEMPTS="20",
        SORTATION_HTTP_ALLOW="127.0.0.1",
        PYTHONPATH=str(plugins),
    ) as stack:
        yield stack


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    stack.new_tenant()
    for page in range(1, PAGES + 1):
        (tmp_path / f"hold-{page}").touch()
    (tmp_path / "asked").touch()
    return tmp_path


def connect(stack: Stack, folder: Path, pages: str) -> str:
    config = {"folder": str(folder), "url": pages}
    status, made = stack.call("POST", "/api/v1/connections", {"connector": "held", "name": "held", "config": config})
    assert status == 201, made
    return str(made["id"])


def sync(stack: Stack, connection: str) -> None:
    status, job = stack.call("POST", f"/api/v1/connections/{connection}/sync")
    assert status == 202, job


def last_asked(folder: Path) -> int:
    return int((folder / "asked").read_text().split()[-1:][0]) if (folder / "asked").read_text() else 0


def assert_stored(stack: Stack, pages: int) -> None:
    """All records of so many pages, each once, and the cursor just there."""
    ids = stack.query("SELECT external_id FROM records ORDER BY external_id")
    assert [id for (id,) in ids] == [f"{n:05}" for n in range(pages * PAGE)]
    cursors = stack.query("SELECT cursor ->> 'page' FROM stream_cursors")
    assert cursors == ([(str(pages),)] if pages else [])


def test_workers_killed_at_each_batch_boundary(stack: Stack, folder: Path, pages: str) -> None:
    connection = connect(stack, folder, pages)
    sync(stack, connection)
    for page in range(1, PAGES + 1):
        stack.wait_until(lambda page=page: last_asked(folder) == page)
        assert_stored(stack, page - 1)
        (folder / "asked").write_text("")
        assert kill(stack.processes("entrypoints.cli worker"))
        stack.wait_until(lambda page=page: last_asked(folder) == page)  # another goes on just there
        (folder / f"hold-{page}").unlink()
    stack.wait_until(stack.idle)
    assert_stored(stack, PAGES)
    counted = stack.query("SELECT count(*), count(DISTINCT subject_id) FROM events WHERE type = 'INGESTED'")
    assert counted == [(PAGES * PAGE, PAGES * PAGE)]
    assert stack.query("SELECT status, inserted FROM imports") == [("done", PAGES * PAGE)]
    assert stack.query("SELECT health, failures FROM connections") == [("healthy", 0)]
    [(undecided,)] = stack.query("SELECT count(*) FROM records WHERE status NOT IN ('processed', 'needs_review')")
    assert undecided == 0


def test_a_source_that_fails_in_between_and_a_worker_killed_meanwhile(stack: Stack, folder: Path, pages: str) -> None:
    connection = connect(stack, folder, pages)
    for name in ("RateLimited-2", "Transient-4"):
        (folder / name).touch()
    for page in range(1, PAGES + 1):
        if page != 3:
            (folder / f"hold-{page}").unlink()
    sync(stack, connection)
    stack.wait_until(stack.idle)
    assert_stored(stack, 1)
    assert stack.query("SELECT health, failures FROM connections") == [("degraded", 1)]
    sync(stack, connection)
    stack.wait_until(lambda: last_asked(folder) == 3)
    assert kill(stack.processes("entrypoints.cli worker"))
    (folder / "hold-3").unlink()
    stack.wait_until(stack.idle)
    assert_stored(stack, 3)
    sync(stack, connection)
    stack.wait_until(stack.idle)
    assert_stored(stack, PAGES)
    assert stack.query("SELECT health, failures FROM connections") == [("healthy", 0)]


def test_the_schedule_syncs_by_itself(stack: Stack, folder: Path, pages: str) -> None:
    for page in range(1, PAGES + 1):
        (folder / f"hold-{page}").unlink()
    status, made = stack.call(
        "POST",
        "/api/v1/connections",
        {"connector": "held", "name": "held", "config": {"folder": str(folder), "url": pages}, "schedule_seconds": 60},
    )
    assert status == 201, made
    synced = "SELECT count(*) FROM connections WHERE last_synced_at IS NOT NULL AND next_sync_at > now()"
    stack.wait_until(lambda: stack.query(synced) == [(1,)])
    assert_stored(stack, PAGES)
