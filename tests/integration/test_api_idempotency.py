"""Idempotency-Key on POST: carried out once, answered as often as asked."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from entrypoints.api import idempotency
from entrypoints.api.app import create_app
from entrypoints.api.state import MAX_JSON_BYTES
from entrypoints.container import Container
from tests.integration.api_support import STATEMENT, Api, new_tenant

KEY = "Idempotency-Key"


@pytest.fixture
def app(make_container: Callable[..., Container]) -> Flask:
    return create_app(make_container(embeddings="off"))


@pytest.fixture
def api(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client())


def test_a_repeated_request_is_answered_as_the_first(api: Api) -> None:
    first = api.call("POST", "/categories", {"name": "Boats"}, headers={KEY: "a"})
    again = api.call("POST", "/categories", {"name": "Boats"}, headers={KEY: "a"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    assert KEY + "-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.mimetype == "application/json"
    assert [c["name"] for c in api.get("/categories")["items"]].count("Boats") == 1


def test_the_same_key_for_another_request_is_a_conflict(api: Api) -> None:
    api.post("/categories", {"name": "Boats"}, 201, **{KEY: "a"})
    assert api.post("/categories", {"name": "Ships"}, 409, **{KEY: "a"})["code"] == "idempotency_mismatch"
    assert api.post("/api-keys", {"name": "x", "scopes": ["records:read"]}, 409, **{KEY: "a"})
    assert api.post("/categories", {"name": "Ships"}, 422, **{KEY: ""})["code"] == "invalid"
    assert api.post("/categories", {"name": "Ships"}, 422, **{KEY: "x" * 256})["code"] == "invalid"


def test_a_failed_request_may_be_repeated_with_its_key(api: Api) -> None:
    category = api.category("food.groceries")
    body = {"name": "Copy", "key": "food.groceries"}
    assert api.post("/categories", body, 409, **{KEY: "a"})["code"] == "conflict"
    api.call("PATCH", f"/categories/{category}", {"key": "food.supermarkets"})
    assert api.post("/categories", body, 201, **{KEY: "a"})["key"] == "food.groceries"


def test_keys_of_two_tenants_do_not_meet(app: Flask, api: Api) -> None:
    other = new_tenant(api.container, app.test_client(), "B")
    one = api.post("/categories", {"name": "Boats"}, 201, **{KEY: "a"})
    two = other.post("/categories", {"name": "Ships"}, 201, **{KEY: "a"})
    assert one["id"] != two["id"]


def test_a_secret_is_shown_once(api: Api) -> None:
    body = {"name": "x", "scopes": ["records:read"]}
    first = api.post("/api-keys", body, 201, **{KEY: "a"})
    again = api.post("/api-keys", body, 201, **{KEY: "a"})
    assert first.pop("api_key").startswith("sort_live_")
    assert again.pop("api_key") is None
    assert first == again


@pytest.mark.parametrize("way", ["multipart", "raw", "ndjson", "json"])
def test_an_upload_sent_again_is_one_import(api: Api, way: str) -> None:
    def send(payload: str) -> Any:
        line = json.dumps({"text": payload[-20:], "occurred_at": "2026-01-02", "amount": "1.10"})
        ways: dict[str, Callable[[], Any]] = {
            "multipart": lambda: api.call(
                "POST", "/imports", data={"file": (io.BytesIO(payload.encode()), "s.csv")}, headers={KEY: "a"}
            ),
            "raw": lambda: api.call("POST", "/imports?filename=s.csv", data=payload.encode(), headers={KEY: "a"}),
            "ndjson": lambda: api.call(
                "POST", "/records", data=line.encode(), content_type="application/x-ndjson", headers={KEY: "a"}
            ),
            "json": lambda: api.call(
                "POST", "/records", data=b'{"records": [%s]}' % line.encode(), content_type="application/json",
                headers={KEY: "a"},
            ),
        }  # fmt: skip
        return ways[way]()

    first, again = send(STATEMENT), send(STATEMENT)
    assert (first.status_code, again.status_code) == (202, 202), (first.text, again.text)
    assert first.json == again.json
    assert len(api.get("/imports")["items"]) == 1
    assert send(STATEMENT + "2026-03-03;Other;-1;EUR\n").json["code"] == "idempotency_mismatch"


def test_records_with_a_key_may_be_as_large_as_without(api: Api) -> None:
    records = [{"text": f"{n} {'x' * 900}", "occurred_at": "2026-01-02", "amount": "1.10"} for n in range(5_000)]
    assert len(json.dumps(records)) > MAX_JSON_BYTES
    first, again = (api.post("/records", {"records": records}, 202, **{KEY: "a"}) for _ in range(2))
    assert first == again


def test_two_at_once_are_one(app: Flask, api: Api) -> None:
    answers = []
    start = threading.Barrier(4)

    def send() -> None:
        mine = Api(client=app.test_client(), container=api.container, tenant_id=api.tenant_id, key=api.key)
        start.wait()
        answers.append(mine.call("POST", "/imports?filename=s.csv", data=STATEMENT.encode(), headers={KEY: "a"}))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [a.status_code for a in answers] == [202] * 4, [a.text for a in answers]
    assert len({a.json["id"] for a in answers}) == 1
    assert sum(a.headers.get("Idempotency-Replayed") == "true" for a in answers) == 3


def test_an_answer_that_was_never_saved_is_a_409(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "save_answer", lambda response: None)
    monkeypatch.setattr(idempotency, "_SAVED_WITHIN", 0)
    api.post("/categories", {"name": "Boats"}, 201, **{KEY: "a"})
    assert api.post("/categories", {"name": "Boats"}, 409, **{KEY: "a"})["code"] == "idempotency_replay"


def test_every_other_post_takes_a_key_too(api: Api) -> None:
    """Answers of the first and the second call are equal, and the second changes nothing."""
    category = api.category("food.groceries")
    imported = api.upload()
    first, second = api.get("/approvals")["items"]
    override = {"verdict": "override", "category_id": category}
    calls: list[tuple[str, Any]] = [
        ("/connections", {"connector": "csv", "name": "bank"}),
        ("/rules", {"name": "r", "when": {"field": "text", "op": "contains", "value": "x"}, "then": {"skip": True}}),
        (f"/approvals/{first['id']}", override),
        ("/approvals/bulk", {"answers": [{"approval_id": second["id"], **override}]}),
        (f"/imports/{imported['id']}/undo", None),
        ("/imports?dry_run=true&filename=s.csv", None),
    ]
    for path, body in calls:
        options: dict[str, Any] = {"data": STATEMENT.encode()} if "dry_run" in path else {}
        answers = [api.call("POST", path, body, headers={KEY: path}, **options) for _ in range(2)]
        assert answers[0].status_code in (200, 201), answers[0].text
        assert answers[0].data == answers[1].data
