"""Tenants, categories, connections, rules, approvals, events and jobs, as a program uses them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from core.domain.jobs import NewJob, Stream
from core.domain.tenants import TenantSettings
from core.errors import Invalid
from entrypoints.api import events as events_module
from entrypoints.api.app import create_app
from entrypoints.api.cursors import read_cursor, write_cursor
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, add_rule, new_tenant

UNHEARD = HEADER + "".join(f"2026-03-0{n};Qwxz {n} unheard of;-{n}.50;EUR\n" for n in range(1, 6))


@pytest.fixture
def app(make_container: Callable[..., Container]) -> Flask:
    return create_app(make_container(embeddings="off"))


@pytest.fixture
def api(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client())


def kill_a_job(api: Api) -> str:
    """A job in the dead letters."""
    job_id = api.container.ids().new()
    with api.container.uow().begin(api.actor) as tx:
        tx.jobs.add([NewJob(id=job_id, stream=Stream.EMBED, payload={})])
        tx.commit()
    job = api.container.claim_job(api.tenant_id, job_id)
    assert job is not None
    api.container.fail_job(job, Invalid("no retry helps"))
    return str(job_id)


def test_the_own_tenant(api: Api) -> None:
    read = api.call("GET", "/tenant")
    assert read.json["settings"]["spot_check_share"] == 0.0
    etag = read.headers["ETag"]
    assert api.call("GET", "/tenant", headers={"If-None-Match": etag}).status_code == 304
    change = {"name": "Renamed", "settings": {"llm_threshold": 0.9, "trusted_packs": ["bank"]}}
    changed = api.call("PATCH", "/tenant", change, headers={"If-Match": etag})
    assert changed.json["name"] == "Renamed"
    assert changed.json["settings"] == {
        "default_currency": "EUR",
        "trusted_packs": ["bank"],
        "promise": 0.95,
        "similarity_threshold": TenantSettings().similarity_threshold,
        "llm_threshold": 0.9,
        "llm_monthly_cap": None,
        "queue_limit": None,
        "alone": ["rules", "similarity", "llm"],
        "spot_check_share": 0.0,
        "payload_retention_days": None,
        "record_retention_days": None,
        "log_retention_days": None,
    }
    assert changed.json["time_zone"] == "Europe/Berlin"
    assert api.call("PATCH", "/tenant", change, headers={"If-Match": etag}).status_code == 412
    assert api.call("PATCH", "/tenant", {"time_zone": "Asia/Tokyo"}).json["time_zone"] == "Asia/Tokyo"
    [member] = api.get("/members")["items"]
    assert (member["email"], member["role"]) == ("owner@example.com", "owner")


def test_categories(api: Api) -> None:
    food = api.category("food")
    made = api.call("POST", "/categories", {"name": "Picnics", "parent_id": food})
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert made.json["key"] == "food.picnics"
    assert made.json["path"].endswith("> Picnics")
    url = made.headers["Location"].removeprefix("/api/v1")
    assert api.get(url) == made.json
    moved = api.call("PATCH", url, {"parent_id": None, "name": "Outings"}, headers={"If-Match": '"1"'})
    assert (moved.json["path"], moved.json["version"], moved.headers["ETag"]) == ("Outings", 2, '"2"')
    assert api.call("PATCH", url, {"parent_id": str(uuid4())}).json["code"] == "invalid"
    assert api.call("PATCH", url, {"name": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    assert api.call("DELETE", url, headers={"If-Match": '"1"'}).status_code == 412
    assert api.call("DELETE", f"/categories/{food}").json["code"] == "conflict"
    assert api.call("DELETE", url, headers={"If-Match": '"2"'}).status_code == 204
    assert api.call("GET", url).status_code == 404


def test_short_lists_are_paged_too(api: Api) -> None:
    whole = api.get("/categories")
    assert whole["next"] is None
    seen: list[Any] = []
    after = ""
    while True:
        part = api.get(f"/categories?limit=20{after}")
        seen += part["items"]
        if part["next"] is None:
            break
        after = f"&after={part['next']}"
    assert seen == whole["items"]
    assert api.get(f"/categories?after={uuid4()}", 422)["errors"].keys() == {"after"}


def test_connections(api: Api) -> None:
    offered = api.get("/connectors")
    assert {"csv", "json", "ofx"} <= {c["key"] for c in offered["items"]}
    assert all("factory" not in c for c in offered["items"])
    assert {p["state"] for p in offered["plugins"] if p["distribution"] == "sortation"} == {"loaded"}
    body = {"connector": "csv", "name": "My bank", "config": {"delimiter": ";"}}
    made = api.call("POST", "/connections", body)
    assert (made.status_code, made.json["config"]) == (201, {"delimiter": ";"})
    assert api.post("/connections", body, 409)["code"] == "conflict"
    assert api.post("/connections", {**body, "name": "b", "config": {"nonsense": 1}}, 422)["code"] == "invalid"
    assert api.post("/connections", {**body, "connector": "gone"}, 409)["code"] == "plugin_unavailable"
    url = f"/connections/{made.json['id']}"
    etag = made.headers["ETag"]
    assert api.call("GET", url, headers={"If-None-Match": etag}).status_code == 200  # its health may be another
    assert api.call("PATCH", url, {"config": {}}, headers={"If-Match": etag}).json["config"] == {}
    assert api.call("PATCH", url, {"config": {}}, headers={"If-Match": etag}).status_code == 412
    assert api.call("DELETE", url).status_code == 204
    assert made.json["id"] not in {c["id"] for c in api.get("/connections")["items"]}


def test_rules(api: Api) -> None:
    when = {
        "all": [{"field": "text", "op": "contains", "value": "rent"}, {"field": "amount", "op": "lt", "value": -10.5}]
    }
    made = api.call(
        "POST", "/rules", {"name": "Rent", "when": when, "then": {"category": "housing.rent", "tags": ["home"]}}
    )
    assert made.status_code == 201, made.text
    assert made.json["then"] == {"category": api.category("housing.rent"), "tags": ["home"]}
    assert made.json["when"]["all"][1]["value"] == "-10.5"
    url = made.headers["Location"].removeprefix("/api/v1")
    assert api.get(url) == made.json
    wrong = api.post("/rules", {"name": "x", "when": {"all": [when, {"field": "nope"}]}, "then": {"skip": True}}, 422)
    assert (wrong["code"], wrong["detail"].partition(":")[0]) == ("rule_invalid", "when.all[1].field")
    assert (
        api.post("/rules", {"name": "x", "when": when, "then": {"category": "no.such"}}, 422)["code"] == "rule_invalid"
    )
    for field, value in (("stop", "yes"), ("priority", 1.5), ("stage", "last"), ("hits", 3)):
        refused = api.post("/rules", {"name": "x", "when": when, "then": {"skip": True}, field: value}, 422)
        assert refused["errors"].keys() == {field}
    changed = api.call("PATCH", url, {"enabled": False, "priority": 5}, headers={"If-Match": '"1"'})
    assert (changed.json["enabled"], changed.json["priority"], changed.headers["ETag"]) == (False, 5, '"2"')
    assert api.call("PATCH", url, {"name": "y"}, headers={"If-Match": '"1"'}).status_code == 412
    second = add_rule(api, "food.groceries")
    ordered = api.post("/rules/order", {"ids": [second["id"], made.json["id"]]})["items"]
    assert [r["id"] for r in ordered[:2]] == [second["id"], made.json["id"]]
    assert [r["id"] for r in api.get("/rules?limit=2")["items"]] == [second["id"], made.json["id"]]
    assert api.post("/rules/order", {"ids": [second["id"]] * 2}, 422)["code"] == "invalid"
    assert api.post("/rules/order", {"ids": [api.category("food.groceries")]}, 404)["code"] == "not_found"
    assert api.call("DELETE", url).status_code == 204
    assert api.get(url, 404)["code"] == "not_found"


def test_the_queue_is_paged_and_shows_nothing_that_tells_a_spot_check(api: Api) -> None:
    api.upload(UNHEARD)
    whole = api.get("/approvals")["items"]
    assert len(whole) == 5
    first = api.get("/approvals?limit=2")
    rest = api.get(f"/approvals?limit=3&after={first['next']}")
    assert first["items"] + rest["items"] == whole
    assert rest["next"] is None
    assert api.get(f"/approvals?group_key={whole[0]['group_key']}")["items"] == whole
    one = whole[0]
    assert not {"reason", "verdict", "confidence"} & one.keys()
    assert not {"status", "stage", "reasoning_trace", "selection_probability"} & one["record"].keys()
    assert one["record"]["text"].startswith("Qwxz")
    for cursor in ("x", "!!", write_cursor(float("nan"), uuid4()), "MSww", "ü"):
        assert api.get(f"/approvals?after={cursor}", 422)["errors"] == {"after": ["Not a cursor."]}


def test_cursors_come_back_as_they_went() -> None:
    id = uuid4()
    for urgency in (0.0, 1.0, 0.1 + 0.2, 1e-300):
        assert read_cursor(write_cursor(urgency, id)) == (urgency, id)


def test_decisions(api: Api) -> None:
    api.upload(UNHEARD)
    groceries = api.category("food.groceries")
    first, second, third, *_ = api.get("/approvals")["items"]
    override = {"verdict": "override", "category_id": groceries}
    decided = api.call("POST", f"/approvals/{first['id']}", override)
    assert (decided.json["status"], decided.json["category_id"]) == ("overridden", groceries)
    assert decided.headers["ETag"] == f'"{decided.json["version"]}"'
    assert api.post(f"/approvals/{first['id']}", override, 409)["code"] == "already_decided"
    assert api.post(f"/approvals/{second['id']}", {"verdict": "override"}, 422)["code"] == "invalid"
    assert api.post(f"/approvals/{second['id']}", {"verdict": "maybe"}, 422)["errors"].keys() == {"verdict"}
    answers = [{"approval_id": item["id"], **override} for item in (second, third)]
    assert [r["status"] for r in api.post("/approvals/bulk", {"answers": answers})["items"]] == ["overridden"] * 2
    mixed = {"answers": [{"approval_id": second["id"], **override}]}
    assert api.post("/approvals/bulk", mixed, 409)["code"] == "already_decided"
    assert len(api.get("/approvals")["items"]) == 2


def test_events_are_paged_by_seq_and_filtered(api: Api) -> None:
    api.upload(UNHEARD)
    seen: list[Any] = []
    after = "0"
    while items := (page := api.get(f"/events?limit=3&after={after}"))["items"]:
        seen += items
        after = page["next"]
    assert [e["seq"] for e in seen] == list(range(1, len(seen) + 1))
    assert page["next"] == str(len(seen))
    types = {e["type"] for e in api.get("//api/events?type=INGESTED&type=PROCESSED")["items"]}
    assert types == {"INGESTED", "PROCESSED"}
    record = api.get("/records")["items"][0]["id"]
    assert [e["type"] for e in api.get(f"/events?subject_id={record}")["items"]] == ["INGESTED", "PROCESSED"]
    assert api.get("/events?since=2100-01-01T00:00:00Z")["items"] == []
    assert len(api.get(f"/events?tenant_id={api.tenant_id}&until=2100-01-01T00:00:00Z")["items"]) == len(seen)
    wrong = api.get("/events?since=2026-01-01&wait=21&type=NOPE&after=-1", 422)["errors"]
    assert wrong.keys() == {"since", "wait", "type", "after"}


def test_waiting_for_an_event_ends_with_the_event(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.container.seal_events()
    last = api.get("/events")["next"]
    slept = threading.Event()
    go_on = threading.Event()

    def sleep(seconds: float) -> None:
        assert 0 < seconds <= events_module.POLL_SECONDS
        slept.set()
        go_on.wait(10)

    monkeypatch.setattr(events_module.time, "sleep", sleep)
    answers: list[Any] = []
    mine = Api(client=app.test_client(), container=api.container, tenant_id=api.tenant_id, key=api.key)
    thread = threading.Thread(target=lambda: answers.append(mine.get(f"/events?after={last}&wait=20")))
    thread.start()
    assert slept.wait(10)
    api.post("/categories", {"name": "Boats"}, 201)
    api.container.seal_events()
    go_on.set()
    thread.join(10)
    [answer] = answers
    assert [e["type"] for e in answer["items"]] == ["CATEGORY_CREATED"]


def test_waiting_is_capped_in_time_and_in_number(app: Flask, api: Api) -> None:
    api.container.seal_events()
    last = api.get("/events")["next"]
    began = time.monotonic()
    assert api.get(f"/events?after={last}&wait=0.2") == {"items": [], "next": last}
    assert time.monotonic() - began >= 0.2
    slots = app.extensions["sortation.polls"]
    taken = 0
    while slots.acquire(blocking=False):
        taken += 1
    assert taken == api.container.settings().api_threads // 2
    began = time.monotonic()
    assert api.get(f"/events?after={last}&wait=20")["items"] == []
    assert time.monotonic() - began < 20


def test_jobs_are_listed_and_dead_ones_replayed(api: Api) -> None:
    api.upload(UNHEARD)
    dead = [kill_a_job(api) for _ in range(3)]
    assert {j["stream"] for j in api.get("/jobs?status=done")["items"]} == {"records:ingest", "records:process"}
    first = api.get("/jobs/dead?limit=2")
    rest = api.get(f"/jobs/dead?limit=2&after={first['next']}")
    assert [j["id"] for j in first["items"] + rest["items"]] == dead
    assert first["items"][0]["dead_letter_queue"] == "examples:embed:dead"
    assert "no retry helps" in first["items"][0]["last_error"]
    assert api.get("/jobs/dead?stream=records:llm")["items"] == []
    assert api.get("/jobs?stream=nope", 422)["errors"].keys() == {"stream"}
    assert api.post(f"/jobs/{dead[0]}/replay")["status"] == "queued"
    assert api.post(f"/jobs/{dead[0]}/replay", status=409)["code"] == "conflict"
    assert [j["status"] for j in api.post("/jobs/replay", {"ids": dead[1:]})["items"]] == ["queued"] * 2
    assert api.get("/jobs/dead")["items"] == []
    assert api.post("/jobs/replay", {"ids": []}, 422)["errors"].keys() == {"ids"}


def test_instants_have_their_zone(api: Api) -> None:
    made = api.post(
        "/api-keys", {"name": "x", "scopes": ["records:read"], "expires_at": "2100-01-01T01:00:00+01:00"}, 201
    )
    assert datetime.fromisoformat(made["expires_at"]) == datetime(2100, 1, 1, tzinfo=UTC)
    for wrong in ("2100-01-01T00:00:00", "9999-12-31T23:59:59-12:00"):
        body = {"name": "x", "scopes": ["records:read"], "expires_at": wrong}
        assert api.post("/api-keys", body, 422)["errors"].keys() == {"expires_at"}
