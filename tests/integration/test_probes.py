"""Whom metrics are for, and that probes and scrapers, however many, hold up nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.errors import Transient
from entrypoints.api import kept
from entrypoints.api.app import create_app
from entrypoints.api.kept import MOST_WAITING, Kept
from entrypoints.container import Container

KEY = "canary-metrics-key-0123456789abcdef"
AWAY = {"REMOTE_ADDR": "10.0.0.7"}


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def asked(client: FlaskClient, authorization: str | None = None, **options: Any) -> int:
    headers = options.pop("headers", {}) | ({} if authorization is None else {"Authorization": authorization})
    return client.get("/metrics", headers=headers, **options).status_code


def test_metrics_are_for_who_has_their_key(make_container: Callable[..., Container]) -> None:
    for profile in ("dev", "prod"):
        services = make_container(metrics_key=KEY, profile=profile)
        client = create_app(services).test_client()
        assert asked(client, f"Bearer {KEY}") == asked(client, f"bearer {KEY}", environ_base=AWAY) == 200
        operator = services.settings().operator_key
        for refused in (None, "", "Bearer ", f"Bearer {KEY}x", f"Basic {KEY}", "Bearer \xff", f"Bearer {operator}"):
            assert asked(client, refused) == 401, refused
        assert "SORTATION_METRICS_KEY" in client.get("/metrics").json["detail"]


def test_without_a_key_metrics_are_for_this_machine_in_development_alone(
    make_container: Callable[..., Container],
) -> None:
    client = create_app(make_container()).test_client()
    assert asked(client) == asked(client, environ_base={"REMOTE_ADDR": "::1"}) == 200
    for address in ("10.0.0.7", "192.0.2.1", "2001:db8::1", ""):
        assert asked(client, environ_base={"REMOTE_ADDR": address}) == 401
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert asked(client, headers={header: "127.0.0.1"}) == 401, "a proxy on this machine is not who asks"
    behind = create_app(make_container(proxies=1)).test_client()
    assert asked(behind, headers={"X-Forwarded-For": "192.0.2.1"}) == 401
    for profile in ("stage", "prod"):
        assert asked(create_app(make_container(profile=profile)).test_client()) == 401


def test_guessed_keys_of_metrics_are_counted(make_container: Callable[..., Container]) -> None:
    client = create_app(make_container(metrics_key=KEY, refused_limit="3/minute")).test_client()
    assert [asked(client, f"Bearer guess-{n}") for n in range(5)] == [401, 401, 401, 429, 429]


def test_probes_and_scrapes_ask_the_database_once_in_some_seconds(
    make_container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.api.health.READY_SECONDS", 60.0)
    monkeypatch.setattr("entrypoints.api.metrics.SECONDS", 60.0)
    services = make_container()
    client = create_app(services).test_client()
    first = client.get("/metrics").text
    assert client.get("/readyz").status_code == 200

    def untold() -> Any:
        raise AssertionError("the database is asked again")

    for name in ("ready", "stream_stats"):
        monkeypatch.setattr(services.system(), name, untold)
    assert client.get("/readyz").status_code == 200
    assert client.get("/metrics").text == first


def test_one_computes_and_few_wait_however_many_ask(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "PATIENCE", 60.0)
    begun, go_on = threading.Event(), threading.Event()
    calls: list[None] = []

    def compute() -> int:
        calls.append(None)
        begun.set()
        assert go_on.wait(30)
        return len(calls)

    value = Kept(compute, seconds=60.0)
    asking: list[Future[int]] = [threads.submit(value.get) for _ in range(8)]
    assert begun.wait(30)
    refused = wait_for(asking, timeout=30, return_when="FIRST_EXCEPTION").done
    while len(refused) < len(asking) - 1 - MOST_WAITING:
        refused |= wait_for([one for one in asking if one not in refused], 30, "FIRST_COMPLETED").done
    assert all(isinstance(one.exception(), Transient) for one in refused), "those who would hold a thread are refused"
    go_on.set()
    assert [one.result(30) for one in asking if one not in refused] == [1] * (1 + MOST_WAITING)
    assert value.get() == 1


def test_what_is_kept_serves_while_its_successor_is_computed_but_not_for_long(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, begun, go_on = [0.0], threading.Event(), threading.Event()
    monkeypatch.setattr("entrypoints.api.kept.time.monotonic", lambda: now[0])
    go_on.set()

    def compute() -> float:
        begun.set()
        assert go_on.wait(30)
        return now[0]

    value = Kept(compute, seconds=1.0)
    assert value.get() == 0.0
    begun.clear()
    go_on.clear()
    now[0] = 1.5
    hanging = threads.submit(value.get)
    assert begun.wait(30)
    assert value.get() == 0.0, "answered at once"
    monkeypatch.setattr(kept, "PATIENCE", 0.1)
    now[0] = 4.0
    with pytest.raises(Transient):
        value.get()
    go_on.set()
    assert hanging.result(30) == 4.0


def test_a_failure_is_told_and_not_kept() -> None:
    answers: Iterator[int] = iter([7])

    def compute() -> int:
        if (answer := next(answers, None)) is None:
            raise Transient
        return answer

    value = Kept(compute, seconds=0.0)
    assert value.get() == 7
    with pytest.raises(Transient):
        value.get()
