"""Questions that one answer settles, and the order in which they are asked, over the API."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from entrypoints.api.cursors import write_cursor
from tests.integration.api_support import Api
from tests.integration.rule_support import bring, everything, items, save


def override(api: Api, key: str = "housing.rent") -> dict[str, Any]:
    return {"verdict": "override", "category_id": api.category(key)}


def test_a_page_of_groups_has_one_of_each(api: Api) -> None:
    bring(api, [*(f"QORBEL KIOSK {n}" for n in range(12)), "VUMBA WERKE", *(f"PLIRT {n} {n + 1}" for n in range(3))])
    groups = api.get("/approvals/groups")["items"]
    assert [(g["size"], g["agreeing"]) for g in groups] == [(12, 12), (3, 3), (1, 1)], "the largest settles most"
    assert [g["urgency"] for g in groups] == sorted((g["urgency"] for g in groups), reverse=True)
    shown = {g["record"]["text"].rstrip(" 0123456789") for g in groups}
    assert shown == {"QORBEL KIOSK", "VUMBA WERKE", "PLIRT"}
    assert not {"status", "stage", "reasoning_trace"} & groups[0]["record"].keys()
    first = api.get("/approvals/groups?limit=2")
    rest = api.get(f"/approvals/groups?limit=2&after={first['next']}")
    assert (first["items"] + rest["items"], rest["next"]) == (groups, None)
    item = next(i for i in items(api).values() if i["id"] == groups[0]["approval_id"])
    assert (item["group_key"], item["record"]) == (groups[0]["group_key"], groups[0]["record"])
    for cursor in ("x", write_cursor(float("inf"), "k"), "ü"):
        assert api.get(f"/approvals/groups?after={cursor}", 422)["errors"].keys() == {"after"}


def test_one_answer_settles_a_group(api: Api) -> None:
    bring(api, [*(f"QORBEL KIOSK {n}" for n in range(12)), "VUMBA WERKE"])
    [group, _] = api.get("/approvals/groups")["items"]
    url = f"/approvals/groups/{group['group_key']}"
    assert api.post(url, {"verdict": "override"}, 422)["code"] == "invalid"
    assert api.post(url, {"verdict": "approve"}, 422)["code"] == "invalid", "nothing is suggested"
    assert api.post(url, {"verdict": "override", "category_id": str(uuid4())}, 422)["code"] == "invalid"
    done = api.post(url, override(api), **{"Idempotency-Key": "g"})
    assert (done["decided"], done["remaining"], len(set(done["approval_ids"]))) == (12, 0, 12)
    assert api.post(url, override(api), **{"Idempotency-Key": "g"}) == done
    assert api.post(url, override(api), 404)["code"] == "not_found"
    rent = api.category("housing.rent")
    settled = [r for r in everything(api).values() if "QORBEL" in r["text"]]
    assert {(r["status"], r["category_id"]) for r in settled} == {("overridden", rent)}
    assert len(items(api)) == 1
    api.drain()
    assert len(api.get("/events?type=TX_APPROVED&limit=50")["items"]) == 12
    assert len(api.get("/approvals?status=decided")["items"]) == 12


def test_a_group_of_one_suggestion_is_approved_and_a_torn_one_is_not(api: Api) -> None:
    bring(api, [f"NETFLIX.COM {n}" for n in range(4)])
    [group] = api.get("/approvals/groups")["items"]
    assert (group["size"], group["agreeing"]) == (4, 4)
    assert group["suggested_id"] is not None
    assert api.post(f"/approvals/groups/{group['group_key']}", {"verdict": "approve"})["decided"] == 4
    assert {r["status"] for r in everything(api).values()} == {"approved"}

    asks = {"category": api.category("food.groceries"), "review": True}
    save(api, {"name": "Ask", "when": 'text contains "QORBEL" and amount < -2', "then": asks})
    bring(api, [f"QORBEL {n}" for n in range(4)], day=9)
    [torn] = api.get("/approvals/groups")["items"]
    assert (torn["size"], torn["agreeing"]) in {(4, 1), (4, 3)}
    url = f"/approvals/groups/{torn['group_key']}"
    assert "different suggestions" in api.post(url, {"verdict": "approve"}, 422)["detail"]
    assert api.post(url, override(api, "food.groceries"))["decided"] == 4
    settled = [r["status"] for r in everything(api).values() if "QORBEL" in r["text"]]
    assert sorted(settled) == ["approved"] * 3 + ["overridden"], "who names what was suggested approves it"


def test_a_huge_group_is_answered_in_parts(api: Api, monkeypatch: Any) -> None:
    monkeypatch.setattr("core.usecases.review.MAX_ANSWERS", 5)
    bring(api, [f"QORBEL KIOSK {n}" for n in range(12)])
    [group] = api.get("/approvals/groups")["items"]
    url, answer = f"/approvals/groups/{group['group_key']}", override(api)
    parts = [api.post(url, answer) for _ in range(3)]
    assert [(p["decided"], p["remaining"]) for p in parts] == [(5, 7), (5, 2), (2, 0)]


def test_what_is_far_from_what_is_known_is_asked_before_what_is_near(api: Api) -> None:
    bring(api, ["QORBEL KIOSK AM MARKT", "VUMBA WERKE LICHT UND STROM"])
    for item, key in zip(items(api).values(), ("food.groceries", "housing.rent"), strict=True):
        api.post(f"/approvals/{item['id']}", override(api, key))
    api.drain()
    assert api.call("PATCH", "/tenant", {"settings": {"similarity_threshold": 1.0}}).status_code == 200
    bring(api, ["QORBEL KIOSK IM MARKT", "ZZYX SEGELSCHULE OSTSEE"], day=9)
    found = [g["record"]["text"] for g in api.get("/approvals/groups")["items"]]
    assert found == ["ZZYX SEGELSCHULE OSTSEE", "QORBEL KIOSK IM MARKT"]
    assert [i["record"]["text"] for i in api.get("/approvals")["items"]] == found


def test_the_order_follows_what_was_learned(api: Api) -> None:
    """After an answer its likes are no longer urgent: a program that answers the first, again and again, meets all."""
    assert api.call("PATCH", "/tenant", {"settings": {"similarity_threshold": 1.0}}).status_code == 200
    kinds = ("QORBEL KIOSK AM MARKT", "ZZYX SEGELSCHULE OSTSEE", "VUMBA WERKE LICHT STROM")
    bring(api, [f"{kind} {word}" for kind in kinds for word in ("NORD", "OST", "WEST", "MITTE")])
    met = []
    for _ in kinds:
        first = api.get("/approvals/groups?limit=1")["items"][0]
        met.append(next(kind for kind in kinds if first["record"]["text"].startswith(kind)))
        api.post(f"/approvals/groups/{first['group_key']}", override(api, "food.groceries"))
        api.drain()
    assert set(met) == set(kinds)
    groups = api.get("/approvals/groups")["items"]
    assert len(groups) == 9
    assert max(g["urgency"] for g in groups) < 0.5, "all that is left is near to what is known"
