"""Many records get their categories at once, and give them back, over the API."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import pytest

from core.domain.tenants import TenantSettings
from tests.integration.api_support import Api
from tests.integration.rule_support import bring, items, rule, save, without


def named(records: list[Any], category_id: str, **more: Any) -> dict[str, Any]:
    return {
        "records": [
            {"record_id": r["id"], "version": r["version"], "category_id": category_id, **more} for r in records
        ]
    }


def versions(records: list[Any]) -> dict[str, Any]:
    return {"records": [{"record_id": r["id"], "version": r["version"]} for r in records]}


def told(api: Api, type: str) -> list[Any]:
    api.container.seal_events()
    found: list[Any] = api.get(f"/events?type={type}&limit=500")["items"]
    return found


@pytest.fixture
def decided(api: Api) -> list[Any]:
    """Three that wait, one that a rule decided and is spot-checked, one that a rule decided, as they are listed."""
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(spot_check_share=1.0))
    save(api, rule(api, "REWE", "food.groceries"))
    bring(api, ["ZQX QORBEL 1", "ZQX QORBEL 2", "PLIRT WERKE", "REWE 1"])
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(spot_check_share=0.0))
    bring(api, ["REWE 2"], day=7)
    found: list[Any] = api.get("/records")["items"]
    return found


def test_all_get_their_category_as_one_by_one(api: Api, decided: list[Any]) -> None:
    rent, groceries = api.category("housing.rent"), api.category("food.groceries")
    body = named(decided[:3], rent)
    body["records"] += named(decided[3:], groceries)["records"]
    done = api.post("/records/category", body, **{"Idempotency-Key": "many"})
    assert [r["id"] for r in done["items"]] == [r["id"] for r in decided]
    assert [r["status"] for r in done["items"]] == ["overridden"] * 3 + ["approved"] * 2
    assert [r["version"] for r in done["items"]] == [r["version"] + 1 for r in decided]
    assert [without(r) for r in done["items"]] == [without(api.get(f"/records/{r['id']}")) for r in decided]
    assert api.post("/records/category", body, **{"Idempotency-Key": "many"}) == done
    assert items(api) == {}
    with api.container.uow().begin(api.actor) as tx:
        taught = {example.record_id: example.category_id for example in tx.examples.list(after=None, limit=9)}
    assert {str(id): str(category_id) for id, category_id in taught.items()} == {
        r["id"]: rent if n < 3 else groceries for n, r in enumerate(decided)
    }
    assert {e["subject_id"]: e["payload"]["verdict"] for e in told(api, "TX_APPROVED")} == {
        r["id"]: "override" if n < 3 else "approve" for n, r in enumerate(decided)
    }
    [saved] = api.get("/rules?limit=500")["items"][:1]
    assert (saved["confirmed"], saved["overridden"]) == (1, 0), "what was asked counts for the rule, as one by one"
    assert {job["stream"] for job in api.get("/jobs?limit=500")["items"]} >= {"examples:embed"}
    checks = api.get("/approvals?status=decided")["items"]
    assert {c["record"]["id"]: c["verdict"] for c in checks} == {
        r["id"]: "override" if n < 3 else "approve" for n, r in enumerate(decided[:4])
    }


def test_a_person_changes_their_mind_about_many(api: Api, decided: list[Any]) -> None:
    rent, groceries = api.category("housing.rent"), api.category("food.groceries")
    once = api.post("/records/category", named(decided, rent))["items"]
    twice = api.post("/records/category", named(once[:2], groceries))["items"]
    assert [r["status"] for r in twice] == ["overridden"] * 2
    again = api.post("/records/category", named(twice, groceries))["items"]
    assert [r["status"] for r in again] == ["approved"] * 2
    with api.container.uow().begin(api.actor) as tx:
        assert len(tx.examples.list(after=None, limit=9)) == 5, "one of each record"


def test_none_is_changed_where_one_can_not_be(api: Api, decided: list[Any]) -> None:
    rent = api.category("housing.rent")
    somebody = decided[1]["id"]
    api.call("PATCH", f"/records/{somebody}", {"tags": ["mine"]})
    answer = api.post("/records/category", named(decided, rent), 412)
    assert answer["code"] == "version_mismatch"
    assert somebody in answer["detail"]
    body = named(decided, rent)
    body["records"].append({"record_id": str(uuid4()), "category_id": rent})
    del body["records"][1]["version"]
    assert api.post("/records/category", body, 404)["code"] == "not_found"
    body["records"][-1] = body["records"][0]
    assert api.post("/records/category", body, 422)["code"] == "invalid", "one twice"
    unknown = named([decided[0]], str(uuid4()))
    assert api.post("/records/category", unknown, 422)["code"] == "invalid"
    assert api.post("/records/category", {"records": []}, 422)["errors"].keys() == {"records"}
    too_many = [{"record_id": str(uuid4()), "category_id": rent} for _ in range(501)]
    assert api.post("/records/category", {"records": too_many}, 422)["errors"].keys() == {"records"}
    assert {r["status"] for r in api.get("/records")["items"]} == {"needs_review", "processed"}
    assert told(api, "TX_APPROVED") == []
    anyhow = [{"record_id": r["id"], "category_id": rent} for r in decided]
    assert len(api.post("/records/category", {"records": anyhow})["items"]) == 5, "whatever they are by now"


def test_what_people_said_of_many_is_taken_back_or_of_none(api: Api, decided: list[Any]) -> None:
    rent = api.category("housing.rent")
    given = api.post("/records/category", named(decided[:3], rent))["items"]
    assert api.post("/records/withdraw", versions(given + decided[3:]), 409)["code"] == "conflict"
    assert api.post("/records/withdraw", versions(decided[:3]), 412)["code"] == "version_mismatch"
    assert api.post("/records/withdraw", {"records": versions(given)["records"][:1] * 2}, 422)["code"] == "invalid"
    assert api.post("/records/withdraw", {"records": [{"record_id": str(uuid4())}]}, 404)["code"] == "not_found"
    assert told(api, "APPROVAL_WITHDRAWN") == []
    done = api.post("/records/withdraw", versions(given), **{"Idempotency-Key": "back"})
    assert {r["status"] for r in done["items"]} == {"needs_review"}
    waiting = items(api)
    assert [waiting[r["id"]]["id"] for r in done["items"]] == done["approval_ids"]
    assert api.post("/records/withdraw", versions(given), **{"Idempotency-Key": "back"}) == done
    assert {e["subject_id"] for e in told(api, "APPROVAL_WITHDRAWN")} == {r["id"] for r in given}
    with api.container.uow().begin(api.actor) as tx:
        assert tx.examples.list(after=None, limit=9) == []


def test_who_meet_at_the_same_records_neither_wait_in_a_circle_nor_lose_a_word(api: Api, decided: list[Any]) -> None:
    """In opposite orders, without versions: each of the two is carried out, one after the other."""
    keys = ("housing.rent", "food.groceries")
    bodies = [named(decided, api.category(keys[0])), named(decided[::-1], api.category(keys[1]))]
    for body in bodies:
        for one in body["records"]:
            del one["version"]
    start, statuses = threading.Barrier(2), []

    def send(body: dict[str, Any]) -> None:
        client = Api(
            client=api.client.application.test_client(), container=api.container, tenant_id=api.tenant_id, key=api.key
        )
        start.wait()
        statuses.append(client.call("POST", "/records/category", body).status_code)

    threads = [threading.Thread(target=send, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    last = {r["category_id"] for r in api.get("/records")["items"]}
    assert len(last) == 1, "all of one of them"
    assert {r["version"] for r in api.get("/records")["items"]} == {r["version"] + 2 for r in decided}
