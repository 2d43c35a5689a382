"""Jobs, events and plugins at the console."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from dependency_injector import providers

from core.domain.events import EventType, NewEvent
from core.domain.inventories import Inventory
from core.domain.inventories import Role as ProcessRole
from core.domain.jobs import NewJob, Stream
from core.domain.permissions import Role
from core.domain.plugins import PluginInfo, PluginState
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import browser_of
from tests.integration.rule_support import save
from tests.integration.test_console_connections import HOSTILE, connect, is_escaped, post
from tests.integration.test_console_sign_in import ORIGIN, Browser


@pytest.fixture
def api(make_container: Callable[..., Container], superuser: psycopg.Connection[Any]) -> Iterator[Api]:
    container = make_container(embeddings="off", public_url=ORIGIN)
    yield new_tenant(container, create_app(container).test_client())
    superuser.execute("DELETE FROM plugin_inventories")


@pytest.fixture
def owner(api: Api) -> Browser:
    return browser_of(api, Role.OWNER)


def a_job(api: Api, stream: Stream = Stream.LEARN, dead: str | None = None, **payload: Any) -> UUID:
    """One that waits; or died of that."""
    id = api.container.ids().new()
    with api.container.uow().begin(api.actor) as tx:
        tx.jobs.add([NewJob(id=id, stream=stream, payload=payload, max_attempts=1)])
        tx.commit()
    if dead is not None:
        with api.container.uow().begin(api.actor) as tx:
            job = tx.jobs.claim(id, api.container.ids().new(), 60)
            assert job is not None
            tx.jobs.fail(job, dead, due_at=None)
            tx.commit()
    return id


def tell(api: Api, *events: NewEvent, **who: Any) -> None:
    with api.container.uow().begin(replace(api.actor, **who)) as tx:
        tx.events.append(events)
        tx.commit()
    api.container.seal_events()


def test_where_nothing_died_the_page_says_so(owner: Browser) -> None:
    assert "No dead letters" in owner.open("/jobs?status=dead").text
    assert "Nothing waits" in owner.open("/jobs").text


def test_dead_jobs_come_first_with_their_error_and_by_stream(api: Api, owner: Browser) -> None:
    dead, waiting = a_job(api, dead=f"it broke {HOSTILE}"), a_job(api, Stream.RUN)
    page = owner.open("/jobs").text
    assert f"/jobs/{dead}" in page
    assert f"/jobs/{waiting}" not in page
    assert "rules:learn:dead" in page
    assert is_escaped(page)
    assert f"it broke {HOSTILE}" in html.unescape(page)
    assert f"/jobs/{waiting}" in owner.open("/jobs?status=open").text
    assert f"/jobs/{dead}" not in owner.open("/jobs?status=dead&stream=rules:run").text
    assert f"/jobs/{dead}" in owner.open("/jobs?status=dead&stream=rules:learn").text
    assert owner.open("/jobs?status=made-up&stream=x").status_code == 200


def test_jobs_are_paged_newest_first(api: Api, owner: Browser) -> None:
    ids = [a_job(api, Stream.MAIL, text=HOSTILE) for _ in range(51)]
    page = owner.open("/jobs?status=open").text
    assert (f"/jobs/{ids[-1]}" in page, f"/jobs/{ids[0]}" in page) == (True, False)
    following = re.search(r'href="(/jobs\?[^"]+)" rel="next"', page)
    assert following is not None
    rest = owner.open(html.unescape(following.group(1))).text
    assert (f"/jobs/{ids[-1]}" in rest, f"/jobs/{ids[0]}" in rest) == (False, True)
    assert owner.open("/jobs?after=x").status_code == 422


def test_a_job_shows_what_it_is_about_and_is_replayed(api: Api, owner: Browser) -> None:
    connection = connect(api)
    id = a_job(api, Stream.INGEST, dead=HOSTILE, import_id=HOSTILE, connection_id=connection)
    page = owner.open(f"/jobs/{id}").text
    assert is_escaped(page)
    assert f'href="/connections/{connection}"' in page
    assert "Mend the cause, then replay it" in page
    answer = post(owner, f"/jobs/{id}/replay", {})
    assert answer.headers["Location"] == f"/jobs/{id}"
    assert api.get(f"/jobs/{id}")["status"] == "queued"
    again = post(owner, f"/jobs/{id}/replay", {})
    assert (again.status_code, "only a dead job can be replayed" in again.text) == (409, True)


def test_many_are_replayed_together_or_none(api: Api, owner: Browser) -> None:
    first, second, alive = a_job(api, dead="a"), a_job(api, dead="b"), a_job(api)
    assert post(owner, "/jobs/replay", {}).status_code == 422
    assert post(owner, "/jobs/replay", {"id": "x"}).status_code == 422
    mixed = post(owner, "/jobs/replay", {"id": [str(first), str(alive)]})
    assert (mixed.status_code, "None was queued again" in mixed.text) == (409, True)
    assert api.get(f"/jobs/{first}")["status"] == "dead"
    assert post(owner, "/jobs/replay", {"id": [str(first), str(second)]}).status_code == 303
    assert {api.get(f"/jobs/{id}")["status"] for id in (first, second)} == {"queued"}


def test_progress_is_polled_and_costs_nothing_while_it_stands(api: Api, owner: Browser) -> None:
    id = a_job(api)
    answer = owner.open(f"/jobs/{id}/state")
    assert answer.json == {
        "status": "queued",
        "said": "waits",
        "progress": "",
        "attempts": "0 of 1",
        "error": None,
        "ended": False,
    }
    seen = {"If-None-Match": answer.headers["ETag"]}
    assert owner.client.get(f"/jobs/{id}/state", base_url=ORIGIN, headers=seen).status_code == 304


def test_who_may_only_look_replays_nothing(api: Api) -> None:
    viewer, id = browser_of(api, Role.VIEWER), a_job(api, dead="a")
    for path in ("/jobs", f"/jobs/{id}"):
        page = viewer.open(path)
        assert (page.status_code, "/replay" in page.text) == (200, False)
    assert post(viewer, f"/jobs/{id}/replay", {}).status_code == 403


def test_counts_of_jobs_are_told_by_the_api_as_well(api: Api) -> None:
    a_job(api, dead="a")
    a_job(api)
    assert api.get("/jobs/counts")["items"] == [
        {"stream": "rules:learn", "status": "dead", "jobs": 1},
        {"stream": "rules:learn", "status": "queued", "jobs": 1},
    ]


def test_what_is_gone_has_no_page_to_open_in_the_log(api: Api, owner: Browser) -> None:
    kept, gone = (api.container.ids().new() for _ in range(2))
    made = api.post("/categories", {"name": "Odd", "key": "odd"}, 201)["id"]
    for id in (UUID(made), gone):
        tell(api, NewEvent(type=EventType.CATEGORY_CREATED, subject_id=id, payload={"key": "odd"}))
    tell(api, *(NewEvent(type=EventType.TX_APPROVED, subject_id=id, payload={}) for id in (kept, gone)))
    tell(api, NewEvent(type=EventType.RULE_CREATED, subject_id=gone, payload={}))
    api.container.seal_events()
    page = owner.open("/events").text
    assert f'href="/categories/{made}">Open it' in page
    for path in (f"/categories/{gone}", f"/records/{gone}", f"/rules/{gone}"):
        assert f'href="{path}"' not in page
    told = owner.client.get("/events/new?after=0", base_url=ORIGIN).json["items"]
    assert {one["href"] for one in told if one["subject"] == str(gone)} == {None}
    assert f"/categories/{made}" in {one["href"] for one in told}
    lost, there = a_job(api, connection_id=str(gone)), a_job(api, category_id=made)
    assert "<dt>About</dt>" not in owner.open(f"/jobs/{lost}").text
    assert f'href="/categories/{made}">category' in owner.open(f"/jobs/{there}").text


def test_another_tenants_jobs_and_events_are_not_there(api: Api, owner: Browser) -> None:
    other = new_tenant(api.container, api.client, "Another tenant")
    id = a_job(other, dead="theirs alone")
    tell(other, NewEvent(type=EventType.RULE_DELETED, subject_id=id))
    assert "theirs alone" not in owner.open("/jobs?status=dead").text
    for path in (f"/jobs/{id}", f"/jobs/{id}/state"):
        assert owner.open(path).status_code == 404
    assert post(owner, f"/jobs/{id}/replay", {}).status_code == 404
    assert post(owner, "/jobs/replay", {"id": [str(id)]}).status_code == 404
    assert "No event fits" in owner.open(f"/events?subject={id}").text


def test_the_log_is_read_from_its_end_in_words(api: Api, owner: Browser) -> None:
    id = connect(api)
    tell(
        api,
        NewEvent(type=EventType.CONNECTION_DEGRADED, subject_id=UUID(id), payload={"code": HOSTILE}),
        NewEvent(type=EventType.IMPORT_FAILED, payload={"reason": HOSTILE}),
        name=HOSTILE,
        address="192.0.2.9",
        user_agent=HOSTILE,
    )
    page = owner.open("/events").text
    assert is_escaped(page)
    text = html.unescape(page)
    assert f"An import failed: {HOSTILE}." in text
    assert (
        text.index("An import failed") < text.index("A connection has trouble") < text.index("A connection was added")
    )
    assert "192.0.2.9" in page
    assert f'href="/connections/{id}"' in page
    assert owner.open("/events/new").mimetype == "application/json"


def test_the_log_is_filtered(api: Api, owner: Browser) -> None:
    id = connect(api)
    tell(api, NewEvent(type=EventType.RULE_CREATED), source_agent="rake")
    for query, there, gone in (
        ("type=RULE_CREATED", "A rule was added", "A connection was added"),
        ("agent=rake", "A rule was added", "A connection was added"),
        (f"subject={id}", "A connection was added", "A rule was added"),
        ("since=2020-01-01&until=2999-12-31", "A rule was added", "No event fits"),
        ("until=2020-01-01", "No event fits", "A rule was added"),
    ):
        page = owner.open(f"/events?{query}").text
        assert (there in page, gone in page) == (True, False), query
    for query in ("type=NOPE", "subject=x", "since=soon", "until=9999-12-31", "after=-1", "agent=%00"):
        refused = owner.open(f"/events?{query}")
        assert (refused.status_code, "alert-danger" in refused.text or "invalid-feedback" in refused.text) == (
            422,
            True,
        )


def test_the_log_is_paged_without_a_gap_and_followed(api: Api, owner: Browser) -> None:
    tell(api, *(NewEvent(type=EventType.RULE_CREATED) for _ in range(120)))
    seen: list[int] = []
    path: str | None = "/events?type=RULE_CREATED"
    while path:
        page = owner.open(path).text
        seen += [int(seq) for seq in re.findall(r"data-seq>(\d+)<", page)]
        following = re.search(r'href="(/events\?[^"]+)" rel="next"', page)
        path = html.unescape(following.group(1)) if following else None
    assert len(seen) == 120
    assert seen == sorted(set(seen), reverse=True)
    latest = re.search(r'data-follow="(\d+)"', owner.open("/events").text)
    assert latest is not None
    tell(api, NewEvent(type=EventType.RULE_DELETED))
    new = owner.open(f"/events/new?after={latest.group(1)}").json
    assert [item["said"] for item in new["items"]][-1] == "A rule was deleted."
    assert owner.open(f"/events/new?after={new['next']}").json == {"items": [], "next": new["next"]}


def test_the_api_reads_the_log_from_its_end_too(api: Api) -> None:
    tell(api, *(NewEvent(type=EventType.RULE_CREATED) for _ in range(3)))
    first = api.get("/events?newest=true&limit=2&type=RULE_CREATED")
    rest = api.get(f"/events?newest=true&limit=2&type=RULE_CREATED&after={first['next']}")
    seqs = [item["seq"] for item in first["items"] + rest["items"]]
    assert (len(seqs), seqs, rest["next"]) == (3, sorted(seqs, reverse=True), None)
    api.get("/events?newest=true&wait=1", 422)


class _Host:
    """The real one, with further plugins in its inventory."""

    def __init__(self, host: Any, *more: PluginInfo) -> None:
        self._host, self._more = host, more

    def inventory(self) -> list[PluginInfo]:
        return [*self._host.inventory(), *self._more]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


def test_plugins_say_what_is_wrong_what_to_do_and_what_rests_on_them(api: Api, owner: Browser) -> None:
    connection = connect(api, name=HOSTILE)
    when = {"type": "recurring", "params": {}}
    save(api, {"name": "Standing orders", "when": when, "then": {"category": api.category("housing")}}, confirm=True)
    trace = f'Traceback (most recent call last):\n  File "/opt/secret/place.py", line 1\nImportError: {HOSTILE}'
    more = (
        PluginInfo(name=HOSTILE, distribution=HOSTILE, version="1", state=PluginState.FAILED, error=trace),
        PluginInfo(name="old", distribution="d", version="1", state=PluginState.INCOMPATIBLE, error="speaks 0"),
        PluginInfo(name="no", distribution="d", version="1", state=PluginState.BLOCKED, error="blocked"),
    )
    api.container.host.override(providers.Object(_Host(api.container.host(), *more)))
    page = owner.open("/plugins").text
    assert is_escaped(page)
    assert "/opt/secret" not in page, "a traceback is for who runs the installation"
    assert "ImportError" in page
    assert "sortation plugin doctor" in page
    assert "SORTATION_PLUGINS_BLOCK" in page
    assert "speaks 0" in page
    assert f'href="/connections/{connection}"' in page
    assert "Standing orders" in page
    assert page.index("ImportError") < page.index("csv"), "what needs a hand comes first"


def test_plugins_that_processes_have_otherwise_or_nobody_has_are_told(
    api: Api, owner: Browser, superuser: psycopg.Connection[Any]
) -> None:
    assert "No worker has said lately that it runs" in owner.open("/plugins").text
    connect(api, "stripe", config={"api_key": "rk_canary_notreal"})
    superuser.execute("UPDATE connections SET connector = 'gone' WHERE tenant_id = %s", (api.tenant_id,))
    offers = {**api.container.inventory().offers, "connector:csv": "sortation 0.1 ffff", "connector:far": "far 1 ee"}
    api.container.system().announce_plugins(ProcessRole.WORKER, Inventory(offers=offers))
    page = html.unescape(owner.open("/plugins").text)
    assert "No worker has said lately" not in page
    assert "No plugin offers the connector gone." in page
    assert "sortation 0.1 in a worker process" in page
    assert "A worker process has the connector far, and this one has not" in page
    told = api.get("/connectors")
    assert told["present"] == ["worker"]
    assert {one["offer"] for one in told["apart"]} == {"connector:csv", "connector:far"}
