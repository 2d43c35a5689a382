"""A person takes a person's word back, over the API."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from core.domain.tenants import TenantSettings
from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import bring, items, rule, save, without


@pytest.fixture
def checked(api: Api) -> Api:
    """Every record that was decided alone is spot-checked."""
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(spot_check_share=1.0))
    return api


def override(api: Api, approval_id: str, key: str = "housing.rent") -> dict[str, Any]:
    answer: dict[str, Any] = api.post(
        f"/approvals/{approval_id}", {"verdict": "override", "category_id": api.category(key)}
    )
    return answer


def examples(api: Api) -> list[Any]:
    with api.container.uow().begin(api.actor) as tx:
        return list(tx.examples.list(after=None, limit=500))


def streams(api: Api) -> set[str]:
    return {job["stream"] for job in api.get("/jobs?limit=500")["items"]}


def test_a_withdrawn_answer_stops_teaching_and_is_asked_again(api: Api) -> None:
    bring(api, ["ZQX QORBEL 1", "ZQX QORBEL 2"])
    first, second = items(api).values()
    decided = override(api, first["id"])
    api.drain()
    [listed] = api.get("/approvals?status=decided")["items"]
    assert (listed["id"], listed["verdict"], listed["withdrawn_at"]) == (first["id"], "override", None)
    assert (listed["category_id"], listed["record"]["id"]) == (api.category("housing.rent"), decided["id"])
    bring(api, ["ZQX QORBEL"], day=9)
    taught = next(r for r in api.get("/records")["items"] if r["text"] == "ZQX QORBEL")
    assert taught["reasoning_trace"]["stages"][1]["candidates"], "the example speaks"

    answer = api.call("POST", f"/approvals/{first['id']}/withdraw")
    assert answer.status_code == 200, answer.text
    record = answer.json
    assert (record["status"], record["category_id"], record["stage"]) == ("needs_review", None, None)
    assert record["version"] == decided["version"] + 1
    assert answer.headers["ETag"] == f'"{record["version"]}"'
    assert without(record) == without(api.get(f"/records/{record['id']}"))
    said = [(s["stage"], s["outcome"]) for s in record["reasoning_trace"]["stages"]]
    assert said == [*[(s["stage"], s["outcome"]) for s in decided["reasoning_trace"]["stages"]], ("human", "withdrawn")]
    assert record["reasoning_trace"]["reason"].startswith("review: withdrawn by ")
    assert examples(api) == []
    again = items(api)[record["id"]]
    assert again["id"] != first["id"]
    names = ("suggested_id", "urgency", "group_key", "record")
    assert [again[n] for n in names] == [first[n] for n in names]
    assert api.get("/approvals?status=decided")["items"] == []
    [gone] = api.get("/approvals?status=withdrawn")["items"]
    assert (gone["id"], gone["verdict"], gone["decided_by"]) == (first["id"], "override", listed["decided_by"])
    assert gone["withdrawn_by"] == listed["decided_by"]
    api.drain()
    [event] = api.get("/events?type=APPROVAL_WITHDRAWN")["items"]
    assert (event["subject_id"], event["payload"]["approvals"]) == (record["id"], [first["id"]])
    bring(api, ["ZQX QORBEL "], day=11)
    untaught = next(r for r in api.get("/records?limit=500")["items"][::-1] if r["text"] == "ZQX QORBEL")
    assert not untaught["reasoning_trace"]["stages"][1]["candidates"], "nothing speaks any more"
    assert override(api, again["id"], "food.groceries")["status"] == "overridden"
    assert len(examples(api)) == 1
    assert second["id"] in {i["id"] for i in items(api).values()}


def test_what_nobody_said_or_was_taken_back_is_a_conflict(api: Api) -> None:
    bring(api, ["ZQX QORBEL"])
    [item] = items(api).values()
    record = f"/records/{item['record']['id']}"
    assert api.post(f"/approvals/{item['id']}/withdraw", status=409)["code"] == "conflict"
    assert api.post(f"{record}/withdraw", status=409)["code"] == "conflict"
    override(api, item["id"])
    changed = api.call("PATCH", record, {"category_id": api.category("transport.fuel")}).json
    later = api.post(f"/approvals/{item['id']}/withdraw", status=409)
    assert "changed since" in later["detail"], "a later word stands, and is withdrawn where it was given"
    stale = api.call("POST", f"{record}/withdraw", headers={"If-Match": f'"{changed["version"] - 1}"'})
    assert (stale.status_code, stale.json["code"]) == (412, "version_mismatch")
    fresh = api.call("POST", f"{record}/withdraw", headers={"If-Match": f'"{changed["version"]}"'})
    assert (fresh.status_code, fresh.json["status"]) == (200, "needs_review")
    assert [i["id"] for i in api.get("/approvals?status=withdrawn")["items"]] == [item["id"]]
    assert api.post(f"{record}/withdraw", status=409)["code"] == "conflict"


def test_a_request_to_withdraw_is_carried_out_once_by_its_key(api: Api) -> None:
    bring(api, ["ZQX QORBEL"])
    [item] = items(api).values()
    override(api, item["id"])
    first = api.post(f"/approvals/{item['id']}/withdraw", **{"Idempotency-Key": "once"})
    assert api.post(f"/approvals/{item['id']}/withdraw", **{"Idempotency-Key": "once"}) == first
    assert len(items(api)) == 1


def test_a_change_without_a_question_and_imported_history_are_withdrawn_too(api: Api) -> None:
    save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, ["ZQX QORBEL"])
    [record] = api.get("/records")["items"]
    api.call("PATCH", f"/records/{record['id']}", {"category_id": api.category("housing.rent")})
    reopened = api.post(f"/records/{record['id']}/withdraw")
    assert reopened["status"] == "needs_review"
    assert items(api)[record["id"]]["suggested_id"] == api.category("food.groceries"), "what the machine had said"
    history = HEADER.strip() + ";Category\n2026-01-01;PLIRT WERKE;-3.00;EUR;transport.fuel\n"
    api.call("POST", "/imports?filename=h.csv&approved=true", data=history.encode())
    api.drain()
    imported = next(r for r in api.get("/records")["items"] if r["text"] == "PLIRT WERKE")
    assert imported["status"] == "approved"
    assert len(examples(api)) == 1
    assert api.post(f"/records/{imported['id']}/withdraw")["status"] == "needs_review"
    assert items(api)[imported["id"]]["suggested_id"] is None
    assert examples(api) == []


def test_evidence_about_a_rule_is_taken_back(checked: Api) -> None:
    api = checked
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [f"ZQX {n}" for n in range(4)])
    wrong, right, unasked, _ = items(api).values()
    override(api, wrong["id"])
    api.post(f"/approvals/{right['id']}", {"verdict": "approve"})
    names = ("confirmed", "overridden", "corrected")
    told = api.get(f"/rules/{saved['id']}")
    assert [told[n] for n in names] == [1, 1, 0]
    # A later word about the same record is about people's words, and the first one is what counted.
    api.call("PATCH", f"/records/{wrong['record']['id']}", {"category_id": api.category("food.groceries")})
    api.post(f"/records/{wrong['record']['id']}/withdraw")
    told = api.get(f"/rules/{saved['id']}")
    assert [told[n] for n in names] == [1, 0, 0]
    api.post(f"/approvals/{items(api)[wrong['record']['id']]['id']}", {"verdict": "approve"})
    api.post(f"/approvals/{right['id']}/withdraw")
    told = api.get(f"/rules/{saved['id']}")
    assert [told[n] for n in names] == [1, 0, 0], "the new answer counts, the other no longer"
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(spot_check_share=0.0))
    bring(api, ["ZQX 99"], day=9)
    out_of_turn = next(r for r in api.get("/records")["items"] if r["text"] == "ZQX 99")
    api.call("PATCH", f"/records/{out_of_turn['id']}", {"category_id": api.category("housing.rent")})
    assert api.get(f"/rules/{saved['id']}")["corrected"] == 1
    api.post(f"/records/{out_of_turn['id']}/withdraw")
    assert api.get(f"/rules/{saved['id']}")["corrected"] == 0
    assert unasked["id"] in {i["id"] for i in items(api).values()}


def test_a_withdrawn_spot_check_is_still_one(checked: Api, superuser: psycopg.Connection) -> None:
    api = checked
    save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, ["ZQX 1"])
    [item] = items(api).values()
    override(api, item["id"])
    api.post(f"/approvals/{item['id']}/withdraw")
    rows = superuser.execute("SELECT reason, verdict, withdrawn_at IS NULL FROM approvals ORDER BY id").fetchall()
    assert rows == [("spot_check", "override", False), ("spot_check", None, True)]
    assert items(api)[item["record"]["id"]]["suggested_id"] == api.category("food.groceries")


def test_rules_are_proposed_anew_after_a_withdrawal(api: Api) -> None:
    bring(api, ["ZQX QORBEL"])
    [item] = items(api).values()
    override(api, item["id"])
    api.drain()
    before = [job["id"] for job in api.get("/jobs?stream=rules:learn")["items"]]
    api.post(f"/approvals/{item['id']}/withdraw")
    assert [j["id"] for j in api.get("/jobs?stream=rules:learn")["items"]][:-1] == before
    assert "rules:learn" in streams(api)


@pytest.mark.parametrize("status", ["decided", "withdrawn"])
def test_what_was_decided_is_paged(api: Api, status: str) -> None:
    bring(api, [f"ZQX {n}" for n in range(5)])
    for item in items(api).values():
        override(api, item["id"])
        if status == "withdrawn":
            api.post(f"/approvals/{item['id']}/withdraw")
    whole = api.get(f"/approvals?status={status}")["items"]
    assert len(whole) == 5
    assert [i["decided_at"] for i in whole] == sorted((i["decided_at"] for i in whole), reverse=True)
    first = api.get(f"/approvals?status={status}&limit=2")
    rest = api.get(f"/approvals?status={status}&limit=3&after={first['next']}")
    assert (first["items"] + rest["items"], rest["next"]) == (whole, None)
    assert api.get(f"/approvals?status={status}&after=MSww", 422)["errors"].keys() == {"after"}
    assert api.get(f"/approvals?status={status}&group_key=x", 422)["errors"].keys() == {"group_key"}


def test_many_answers_are_withdrawn_at_once_or_none(checked: Api) -> None:
    api = checked
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [*(f"ZQX {n}" for n in range(6)), "PLIRT WERKE"])
    shown = items(api)
    zqx = [i["id"] for i in shown.values() if "ZQX" in i["record"]["text"]]
    [other] = [i["id"] for i in shown.values() if "PLIRT" in i["record"]["text"]]
    first = shown[next(id for id, i in shown.items() if i["id"] == zqx[0])]
    done = api.post(f"/approvals/groups/{first['group_key']}", {"verdict": "approve"})
    override(api, other)
    assert sorted(done["approval_ids"]) == sorted(zqx)
    assert api.get(f"/rules/{saved['id']}")["confirmed"] == 6
    waiting = done["approval_ids"]
    withdrawn = api.post("/approvals/withdraw", {"ids": [*waiting, other]}, **{"Idempotency-Key": "undo"})
    assert {r["status"] for r in withdrawn["items"]} == {"needs_review"}
    assert api.post("/approvals/withdraw", {"ids": [*waiting, other]}, **{"Idempotency-Key": "undo"}) == withdrawn
    again = items(api)
    assert [again[r["id"]]["id"] for r in withdrawn["items"]] == withdrawn["approval_ids"]
    assert {name: again[first["record"]["id"]][name] for name in ("suggested_id", "group_key")} == {
        name: first[name] for name in ("suggested_id", "group_key")
    }
    assert api.get(f"/rules/{saved['id']}")["confirmed"] == 0
    assert examples(api) == []
    api.drain()
    assert len(api.get("/events?type=APPROVAL_WITHDRAWN")["items"]) == 7
    assert api.post("/approvals/withdraw", {"ids": waiting}, 409)["code"] == "conflict"
    override(api, withdrawn["approval_ids"][0])
    half = [withdrawn["approval_ids"][0], withdrawn["approval_ids"][1]]
    assert api.post("/approvals/withdraw", {"ids": half}, 409)["code"] == "conflict", "one of them is open"
    assert len(api.get("/approvals?status=decided")["items"]) == 1, "and the other stands"
    assert api.post("/approvals/withdraw", {"ids": half[:1] * 2}, 422)["code"] == "invalid"
    assert api.post("/approvals/withdraw", {"ids": []}, 422)["code"] == "invalid"
    assert api.post("/approvals/withdraw", {"ids": [str(uuid4())]}, 404)["code"] == "not_found"
