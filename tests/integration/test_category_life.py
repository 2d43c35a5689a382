"""Categories that are renamed, moved, merged and deleted, over the API: what is theirs goes along."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import apply, bring, everything, items, rule, save, without

HISTORY = HEADER.strip() + ";Category\n"


def remember(api: Api, *rows: str) -> None:
    """History that was sorted before."""
    sent = api.call("POST", "/imports?filename=h.csv&approved=true", data=(HISTORY + "".join(rows)).encode())
    assert sent.status_code == 202
    api.drain()


def by_text(api: Api) -> dict[str, dict[str, Any]]:
    return {record["text"]: record for record in everything(api).values()}


@pytest.fixture
def sorted_api(api: Api) -> Api:
    """Groceries with a rule, decisions of it, a person's word, an example and a question that suggests them."""
    save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, ["ZQX 1", "ZQX 2", "PLIRT ONE", "NETFLIX.COM"])
    question = next(i for i in items(api).values() if i["record"]["text"] == "PLIRT ONE")
    api.post(f"/approvals/{question['id']}", {"verdict": "override", "category_id": api.category("food.groceries")})
    api.drain()
    bring(api, ["PLIRT ONE TWO"], day=9)
    return api


@pytest.mark.slow
def test_a_merged_category_takes_everything_along(sorted_api: Api) -> None:
    api = sorted_api
    groceries, rent = api.category("food.groceries"), api.category("housing.rent")
    before, version = by_text(api), api.call("GET", f"/categories/{groceries}").headers["ETag"]
    suggested = items(api)[before["PLIRT ONE TWO"]["id"]]
    assert suggested["suggested_id"] == groceries
    url = f"/categories/{groceries}/merge"
    assert api.call("POST", url, {"into": rent}, headers={"If-Match": '"9"'}).status_code == 412
    merged = api.call("POST", url, {"into": rent}, headers={"If-Match": version})
    assert merged.status_code == 200, merged.text
    told = merged.json
    assert (told["category"]["id"], told["moved"]["records"], told["moved"]["examples"]) == (rent, 3, 1)
    assert told["moved"]["rules"] > 1, "those of the starter pack, too"
    api.drain()
    after = by_text(api)
    for text in ("ZQX 1", "ZQX 2", "PLIRT ONE"):
        assert (after[text]["category_id"], after[text]["status"]) == (rent, before[text]["status"])
        assert after[text]["version"] == before[text]["version"] + 1
    named = {c["category_id"] for r in after.values() for s in r["reasoning_trace"]["stages"] for c in s["candidates"]}
    assert rent in named
    assert groceries not in named, "traces name the categories that there are"
    assert items(api)[before["PLIRT ONE TWO"]["id"]]["suggested_id"] == rent
    assert [r["then"]["category"] for r in api.get("/rules")["items"] if r["name"].startswith("ZQX")] == [rent]
    [event] = api.get("/events?type=CATEGORY_MERGED")["items"]
    assert (event["subject_id"], event["payload"]["into"], event["payload"]["records"]) == (groceries, rent, 3)
    assert event["payload"]["key"] == "food.groceries"

    bring(api, ["ZQX 3", "PLIRT ONE "], day=12)
    now = by_text(api)
    assert now["ZQX 3"]["category_id"] == rent, "its rules go on deciding"
    # Who still knows it by its id or key is understood.
    assert api.get(f"/categories/{groceries}")["id"] == rent
    assert {r["id"] for r in api.get(f"/records?category_id={groceries}")["items"]} == {
        r["id"] for r in api.get(f"/records?category_id={rent}")["items"]
    }
    changed = api.call("PATCH", f"/records/{now['NETFLIX.COM']['id']}", {"category_id": groceries})
    assert changed.json["category_id"] == rent
    for known_as in (groceries, "food.groceries"):
        made = api.post(
            "/rules", {"name": "x", "when": f'text contains "qq{known_as[:4]}"', "then": {"category": known_as}}, 201
        )
        assert made["then"]["category"] == rent
    keys = {c["key"] for c in api.get("/categories")["items"]}
    remember(api, "2026-01-01;VUMBA;-3.00;EUR;food.groceries\n", "2026-01-02;OMDRA;-3.00;EUR;Groceries\n")
    assert {by_text(api)[text]["category_id"] for text in ("VUMBA", "OMDRA")} == {rent}
    assert {c["key"] for c in api.get("/categories")["items"]} == keys, "none was made anew"


def test_categories_are_listed_with_what_belongs_to_them(sorted_api: Api) -> None:
    listed = {c["key"]: c for c in sorted_api.get("/categories?with_belongings=true")["items"]}
    groceries, food = listed["food.groceries"]["belongings"], listed["food"]["belongings"]
    by_id = [r for r in sorted_api.get("/records")["items"] if r["category_id"] == listed["food.groceries"]["id"]]
    assert groceries["records"] == len(by_id) > 0
    assert groceries["rules"] >= 1
    assert food["children"] == sum(c["parent_id"] == listed["food"]["id"] for c in listed.values())
    assert all("belongings" not in c for c in sorted_api.get("/categories")["items"])


def test_people_who_agree_with_what_a_rule_said_before_a_merge_agree_with_it(sorted_api: Api) -> None:
    api = sorted_api
    groceries, rent = api.category("food.groceries"), api.category("housing.rent")
    saved = next(r for r in api.get("/rules")["items"] if r["name"].startswith("ZQX"))
    record = by_text(api)["ZQX 1"]
    api.post(f"/categories/{groceries}/merge", {"into": rent})
    api.call("PATCH", f"/records/{record['id']}", {"category_id": rent})
    assert api.get(f"/rules/{saved['id']}")["corrected"] == 0
    api.post(f"/records/{record['id']}/withdraw")
    assert items(api)[record["id"]]["suggested_id"] == rent


def test_a_run_is_undone_after_a_merge(sorted_api: Api) -> None:
    api = sorted_api
    groceries, rent = api.category("food.groceries"), api.category("housing.rent")
    before = {id: without(record) for id, record in everything(api).items()}
    saved = next(r for r in api.get("/rules")["items"] if r["name"].startswith("ZQX"))
    fuel = {"then": {"category": api.category("transport.fuel")}}
    assert api.call("PATCH", f"/rules/{saved['id']}?confirm=true", fuel).status_code == 200
    run = apply(api, rule_ids=[saved["id"]])
    assert run["counts"]["changed"] == 2
    api.post(f"/categories/{groceries}/merge", {"into": rent})
    api.post(f"/categories/{api.category('transport.fuel')}/merge", {"into": rent})
    api.post(f"/rules/runs/{run['id']}/undo", status=202)
    api.drain()
    assert api.get(f"/rules/runs/{run['id']}")["counts"]["restored"] == 2
    after = {id: without(record) for id, record in everything(api).items()}
    for id, record in before.items():
        now = rent if record["category_id"] == groceries else record["category_id"]
        assert after[id]["category_id"] == now
        assert after[id]["status"] == record["status"]


def test_what_can_be_merged_into_what(api: Api) -> None:
    food, groceries = api.category("food"), api.category("food.groceries")
    assert api.post(f"/categories/{food}/merge", {"into": food}, 422)["code"] == "invalid"
    assert api.post(f"/categories/{food}/merge", {"into": str(uuid4())}, 422)["code"] == "invalid"
    assert api.post(f"/categories/{food}/merge", {}, 422)["errors"].keys() == {"into"}
    assert api.post(f"/categories/{uuid4()}/merge", {"into": food}, 404)["code"] == "not_found"
    merged = api.post(f"/categories/{food}/merge", {"into": groceries}, **{"Idempotency-Key": "m"})
    assert merged["category"]["parent_id"] is None, "into a child of its own: the child takes its place"
    assert api.post(f"/categories/{food}/merge", {"into": groceries}, **{"Idempotency-Key": "m"}) == merged
    others = [c for c in api.get("/categories")["items"] if c["key"].startswith("food.") and c["id"] != groceries]
    assert others
    assert {c["parent_id"] for c in others} == {groceries}
    restaurants = others[0]["id"]
    assert api.call("DELETE", f"/categories/{restaurants}?into={groceries}").status_code == 204
    assert api.get(f"/categories/{restaurants}")["id"] == groceries
    assert api.post(f"/categories/{restaurants}/merge", {"into": groceries}, 404)["code"] == "not_found"


def test_a_used_category_is_deleted_only_when_asked_to(sorted_api: Api) -> None:
    api = sorted_api
    groceries, before = api.category("food.groceries"), by_text(api)
    refused = api.call("DELETE", f"/categories/{groceries}")
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert refused.json["detail"].startswith("3 records, 1 example and ")
    assert "rules still use this category" in refused.json["detail"]
    both = api.call("DELETE", f"/categories/{groceries}?unsort=true&into={api.category('food')}")
    assert (both.status_code, both.json["code"]) == (422, "invalid")
    assert api.call("DELETE", f"/categories/{groceries}?unsort=true", headers={"If-Match": '"7"'}).status_code == 412
    assert api.call("DELETE", f"/categories/{groceries}?unsort=true").status_code == 204
    api.drain()
    after, waiting = by_text(api), items(api)
    for text in ("ZQX 1", "ZQX 2", "PLIRT ONE"):
        assert (after[text]["status"], after[text]["category_id"]) == ("needs_review", None)
        assert "was deleted by" in after[text]["reasoning_trace"]["reason"]
        kept = before[text]["reasoning_trace"]["stages"]
        assert after[text]["reasoning_trace"]["stages"][: len(kept)] == kept
        assert waiting[after[text]["id"]]["suggested_id"] is None
    assert waiting[after["PLIRT ONE TWO"]["id"]]["suggested_id"] is None
    assert api.get("/approvals?status=decided")["items"] == []
    rules = [r for r in api.get("/rules?limit=500")["items"] if r["then"].get("review")]
    assert {r["enabled"] for r in rules} == {False}
    assert "ZQX is food.groceries" in {r["name"] for r in rules}
    assert groceries not in {r["then"].get("category") for r in api.get("/rules?limit=500")["items"]}
    [event] = api.get("/events?type=CATEGORY_DELETED")["items"]
    assert (event["subject_id"], event["payload"]["records"]) == (groceries, 3)
    assert api.get(f"/categories/{groceries}", 404)["code"] == "not_found"
    bring(api, ["ZQX 3"], day=12)
    assert by_text(api)["ZQX 3"]["status"] == "needs_review"
    # A question that its records became is answered like any other.
    answer = {"verdict": "override", "category_id": api.category("food")}
    assert api.post(f"/approvals/{waiting[after['ZQX 1']['id']]['id']}", answer)["status"] == "overridden"


def test_a_renamed_or_moved_category_is_found_by_what_it_was(sorted_api: Api) -> None:
    api = sorted_api
    groceries, food = api.category("food.groceries"), api.category("food")
    path = api.get(f"/categories/{groceries}")["path"]
    url = f"/categories/{groceries}"
    assert api.call("PATCH", url, {"key": "shop", "name": "Shops", "parent_id": None}).status_code == 200
    assert api.call("PATCH", f"/categories/{food}", {"name": "Meals"}).status_code == 200
    remember(api, f"2026-01-01;VUMBA;-3.00;EUR;{path}\n", "2026-01-02;OMDRA;-3.00;EUR;food.groceries\n")
    remember(api, "2026-01-03;KLORP;-3.00;EUR;Groceries\n", "2026-01-04;DRUMM;-3.00;EUR;Meals > Bakery\n")
    found = by_text(api)
    assert {found[text]["category_id"] for text in ("VUMBA", "OMDRA", "KLORP")} == {groceries}
    assert found["DRUMM"]["category_id"] not in (groceries, food), "what never was is made"
    made = api.post("/rules", {"name": "x", "when": 'text = "q"', "then": {"category": "food.groceries"}}, 201)
    assert made["then"]["category"] == groceries
    bring(api, ["ZQX 7"], day=12)
    assert by_text(api)["ZQX 7"]["category_id"] == groceries, "rules know it by its id"
    new = api.post("/categories", {"name": "Groceries", "key": "food.groceries"}, 201)
    made = api.post("/rules", {"name": "y", "when": 'text = "r"', "then": {"category": "food.groceries"}}, 201)
    assert made["then"]["category"] == new["id"], "who has the key now is meant"
