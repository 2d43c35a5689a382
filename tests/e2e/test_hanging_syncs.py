"""Syncs that hang: uploads, webhooks and syncs of other connections are served meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from standardwebhooks import Webhook

from tests.processes import kill
from tests.stack import COMMAND, ROOT, Stack, running_stack

pytestmark = pytest.mark.slow
SECONDS = 120.0
"""What is served meanwhile takes one or two on an idle machine; a child that hangs has 300."""
SECRET = "whsec_c2VjcmV0LW9mLXRlc3RzLW9ubHk="
STATEMENT = b"Date,Description,Amount,Currency\n2026-01-05,Bakery,-4.20,EUR\n"
PLUGIN = '''
"""A source that hangs where its connection's configuration says so."""

import time
from datetime import date

from sortation import Batch, ConnectorManifest, Draft, StreamCheck, StreamInfo, hookimpl


class Odd:
    def check(self, ctx):
        return [StreamCheck(stream="all", ok=True)]

    def discover(self, ctx):
        return [StreamInfo(name="all")]

    def read(self, ctx, request):
        if ctx.config["hangs"]:
            time.sleep(600)
        yield Batch(drafts=(Draft(text="one", occurred_at=date(2026, 1, 1), external_id="1"),), cursor={"at": 1})


@hookimpl
def sortation_connectors(host):
    schema = {"type": "object", "properties": {"hangs": {"type": "boolean"}}, "required": ["hangs"]}
    return [
        ConnectorManifest(
            key="odd", version="1", title="Odd", factory="odd_source:Odd", pulls=True, config_schema=schema
        )
    ]
'''


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "odd_source.py").write_text(PLUGIN)
    info = folder / "odd_source-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-source\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sortation]\nodd = odd_source\n")
    return folder


@contextmanager
def serving(folder: Path, plugins: Path, **environment: str) -> Iterator[Stack]:
    given = {"SORTATION_EMBEDDINGS": "off", "SORTATION_WORKER_CONCURRENCY": "2", "PYTHONPATH": str(plugins)}
    with running_stack(folder, **given, **environment) as stack:
        yield stack


def connect(stack: Stack, *, hangs: bool) -> str:
    """A connection that is being synced."""
    body = {"connector": "odd", "name": f"odd {time.monotonic_ns()}", "config": {"hangs": hangs}}
    status, made = stack.call("POST", "/api/v1/connections", body)
    assert status == 201, made
    status, job = stack.call("POST", f"/api/v1/connections/{made['id']}/sync")
    assert status == 202, job
    return str(made["id"])


def deliver(stack: Stack) -> None:
    body = {"connector": "webhook", "name": "hook", "config": {"webhook_secret": SECRET}}
    status, made = stack.call("POST", "/api/v1/connections", body)
    assert status == 201, made
    payload = json.dumps({"text": "sent", "occurred_at": "2026-01-05", "external_id": "sent-1"})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m1", now, payload),
    }
    status, answer = stack.call("POST", f"/api/v1/webhooks/{made['id']}", payload.encode(), headers=headers)
    assert status == 202, answer


def count(stack: Stack, where: str) -> int:
    [(n,)] = stack.query(f"SELECT count(*) FROM {where}")  # noqa: S608 - our own words
    return int(n)


def decided(stack: Stack) -> int:
    return count(stack, "records WHERE status IN ('processed', 'needs_review')")


def running_syncs(stack: Stack) -> int:
    return count(stack, "jobs WHERE stream = 'connections:sync' AND status = 'running'")


def test_all_else_is_served_while_syncs_hang(tmp_path: Path, plugins: Path) -> None:
    with serving(tmp_path, plugins) as stack:
        stack.new_tenant("Hanging")
        for _ in range(5):
            connect(stack, hangs=True)
        stack.wait_until(lambda: running_syncs(stack) == 2)  # half of the four, and no more
        stack.upload(STATEMENT)
        deliver(stack)
        stack.wait_until(lambda: decided(stack) == 2, seconds=SECONDS)
        assert running_syncs(stack) == 2
        stack.new_tenant("Other")
        connect(stack, hangs=False)
        stack.upload(STATEMENT)
        deliver(stack)
        stack.wait_until(lambda: decided(stack) == 3 and stack.idle(), seconds=SECONDS)
        assert stack.query("SELECT health FROM connections WHERE connector = 'odd'") == [("healthy",)]


def test_syncs_leave_the_last_process_of_a_worker_of_all_streams(tmp_path: Path, plugins: Path) -> None:
    with serving(tmp_path / "data", plugins, SORTATION_WORKER_STREAMS="models:refit") as stack:
        assert not stack.processes("connections:sync")
        everything = {name: value for name, value in stack.environment.items() if name != "SORTATION_WORKER_STREAMS"}
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen([*COMMAND, "worker"], cwd=ROOT, env=everything, stdout=log, stderr=log)
        try:
            stack.new_tenant()
            hanging = [connect(stack, hangs=True) for _ in range(2)]
            put_off = "jobs WHERE stream = 'connections:sync' AND last_error ^@ 'waits for other syncs'"
            stack.wait_until(lambda: running_syncs(stack) == 1 and count(stack, put_off) == 1)
            stack.upload(STATEMENT)
            deliver(stack)
            stack.wait_until(lambda: decided(stack) == 2, seconds=SECONDS)
            # Whose process dies gives up its slot, and the other has its turn.
            assert kill(psutil.Process(worker.pid).children())
            others = "jobs WHERE last_error ^@ 'waits for other syncs' AND status = 'running' AND attempts = 1"
            stack.wait_until(lambda: count(stack, others) == 1, seconds=60)
            assert len(hanging) == 2
        finally:
            worker.kill()
            worker.wait()
