"""Workers and relay are killed while a receiver hangs: each event is delivered at least once, none is lost or made
twice, and nobody else waits for it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.processes import kill
from tests.stack import Stack, running_stack
from tests.stubs.scripted_http import Answer, Asked, ScriptedServer

pytestmark = pytest.mark.slow
FAILURES, HANGING = 24, 6
"""Events, and how many of the first requests hang."""
WORKER, RELAY = "entrypoints.cli worker", "entrypoints.cli relay"
LETTER = b"Dear Sir or Madam, this is no statement that any bank has ever written."


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        answers = [Answer(fault="hang")] * HANGING
        yield server.script("POST", "/slow", *answers, Answer(status=204)).script("POST", "/quick", Answer(status=200))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running_stack(
        tmp_path,
        SORTATION_EMBEDDINGS="off",
        SORTATION_HTTP_ALLOW="127.0.0.1",
        SORTATION_WORKER_CONCURRENCY="2",
        SORTATION_LEASE_SECONDS="4",
        SORTATION_REPUBLISH_AFTER_SECONDS="2",
        SORTATION_JOB_MAX_ATTEMPTS="50",
    ) as stack:
        yield stack


def endpoint(stack: Stack, url: str) -> dict[str, Any]:
    body = {"kind": "webhook", "name": "Hook", "url": url, "topics": ["failures"]}
    status, made = stack.call("POST", "/api/v1/notifications/endpoints", body)
    assert status == 201, made
    return dict(made)


def ids(asked: list[Asked]) -> Counter[str]:
    return Counter(one.headers["webhook-id"] for one in asked)


def test_each_event_is_delivered_though_workers_and_relay_are_killed(stack: Stack, receiver: ScriptedServer) -> None:
    stack.new_tenant("Hanging")
    made = endpoint(stack, f"{receiver.url}/slow")
    imports = {stack.upload(LETTER, filename=f"letter-{n}.csv")["id"] for n in range(FAILURES)}
    stack.wait_until(lambda: len(receiver.asked("/slow")) >= 4)  # as many as a tenant has in flight
    hanging = stack.key, stack.tenant_id

    stack.new_tenant("Other")
    other = endpoint(stack, f"{receiver.url}/quick")
    stack.upload(LETTER)
    begun = time.monotonic()
    stack.wait_until(lambda: bool(receiver.asked("/quick")), seconds=40)
    assert time.monotonic() - begun < 40, "nobody waits for another's receiver"
    quick, *_ = receiver.asked("/quick")
    assert Webhook(other["secret"]).verify(quick.body, dict(quick.headers))["type"] == "import.failed"

    stack.key, stack.tenant_id = hanging
    before = ids(receiver.asked("/slow")[:HANGING])
    workers = stack.processes(WORKER)
    assert len(workers) > 1
    kill(workers)
    assert kill(stack.processes(RELAY)) == 1
    told = "SELECT count(*) FROM notifications WHERE status = 'delivered'"
    stack.wait_until(lambda: stack.query(told) == [(FAILURES,)], seconds=180)

    asked = receiver.asked("/slow")
    verifier = Webhook(made["secret"])
    assert {verifier.verify(one.body, dict(one.headers))["type"] for one in asked} == {"import.failed"}
    received = {json.loads(one.body)["data"]["import_id"]: one.headers["webhook-id"] for one in asked}
    assert received.keys() == imports, "none is lost"
    assert len(set(received.values())) == len(ids(asked)) == FAILURES, "each has one id"
    assert [id for id in before if ids(asked)[id] < 2] == [], "what hung when its worker was killed was sent again"
    [(events, notifications)] = stack.query(
        "SELECT (SELECT count(*) FROM events WHERE type = 'IMPORT_FAILED'), (SELECT count(*) FROM notifications)"
    )
    assert (events, notifications) == (FAILURES, FAILURES)
    stack.wait_until(stack.idle)
