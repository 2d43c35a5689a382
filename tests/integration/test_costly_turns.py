"""Costly requests are few at once, and few of a tenant, in each process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest

from entrypoints.api.app import create_app
from entrypoints.api.waiting import WORKING, Busy, Turns
from entrypoints.container import Container
from tests.integration.api_support import STATEMENT, Api, new_tenant

ONE = {"occurred_at": "2026-01-01", "text": "x"}
COSTLY: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/rules/preview", {"json": {"rules": []}}),
    ("GET", "/rules/conflicts", {}),
    ("GET", "/records/export", {}),
    ("POST", "/records", {"json": {"records": [ONE]}}),
    ("POST", "/imports?filename=a.csv", {"data": STATEMENT.encode()}),
    ("POST", "/imports?dry_run=true&filename=a.csv", {"data": STATEMENT.encode()}),
]


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    services = make_container(embeddings="off", api_threads=8)
    return new_tenant(services, create_app(services).test_client())


def turns_of(api: Api) -> Turns:
    turns: Turns = api.client.application.extensions[WORKING]
    return turns


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "options"), COSTLY)
def test_a_tenant_has_its_share_and_no_more(api: Api, method: str, path: str, options: dict[str, Any]) -> None:
    other = new_tenant(api.container, api.client)
    with ExitStack() as taken:
        for _ in range(2):
            taken.enter_context(turns_of(api).turn(api.tenant_id))
        refused = api.call(method, path, **options)
        assert refused.status_code == 503
        assert '"busy"' in refused.text
        assert int(refused.headers["Retry-After"]) > 0
        assert other.call(method, path, **options).status_code < 300
        assert api.call("GET", "/rules").status_code == 200
        for _ in range(2):
            taken.enter_context(turns_of(api).turn(uuid4()))
        assert other.call(method, path, **options).status_code == 503, "half of the threads are left to what is quick"
        assert other.call("GET", "/rules").status_code == 200
    assert api.call(method, path, **options).status_code < 300
    assert turns_of(api).taken == 0


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/rules/preview", "application/json"),
        ("/records", "application/json"),
        ("/records", "application/x-ndjson"),
        ("/imports", "application/octet-stream"),
    ],
)
def test_who_still_sends_the_body_has_no_turn(api: Api, path: str, kind: str) -> None:
    seen: list[int] = []

    class Slow:
        def read(self, size: int) -> bytes:
            seen.append(turns_of(api).taken)
            return b"{"

    environ = {"wsgi.input": Slow(), "CONTENT_LENGTH": "5"}
    api.call("POST", path, content_type=kind, environ_overrides=environ)
    assert len(seen) >= 5
    assert set(seen) == {0}


def test_who_waits_a_moment_gets_the_turn_that_ends_meanwhile_and_few_wait() -> None:
    turns = Turns(most=1, each=1, queue=1, patience=30)
    tenants: list[UUID] = []

    def late() -> None:
        with turns.turn(tenant := uuid4()):
            tenants.append(tenant)

    with turns.turn(uuid4()):
        waiter = Thread(target=late)
        waiter.start()
        while not turns.queued:
            waiter.join(0.001)
        with pytest.raises(Busy), turns.turn(uuid4()):
            pass
        assert not tenants
    waiter.join()
    assert len(tenants) == 1
