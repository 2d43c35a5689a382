"""A rule out of a decision: proposed, previewed, and made with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import bring, items

TEXT = {"name": "QORBEL", "when": "text contains qorbel"}


def narrowed(api: Api, *scopes: str) -> Api:
    return replace(api, key=api.container.create_api_key(api.actor, name="narrow", scopes=frozenset(scopes)).secret)


def override(api: Api, key: str = "housing.rent", **more: Any) -> dict[str, Any]:
    return {"verdict": "override", "category_id": api.category(key), **more}


def test_a_rule_is_proposed_previewed_and_made_with_the_decision(api: Api) -> None:
    bring(api, ["QORBEL KIOSK 1", "QORBEL KIOSK 2", "PLIRT"])
    shown = {i["record"]["text"]: i for i in items(api).values()}
    item, rent = shown["QORBEL KIOSK 1"], api.category("housing.rent")
    draft = api.get(f"/approvals/{item['id']}/rule?category_id={rent}")
    assert draft["text"] == 'text contains "qorbel kiosk" and amount < 0'
    assert (draft["then"], draft["alike"]) == ({"category": rent}, 2)
    preview = api.post("/rules/preview", {"rules": [{n: draft[n] for n in ("name", "when", "then")}]})
    assert (preview["matched"], preview["newly_decided"]) == (2, 2)
    made = api.post(f"/approvals/{item['id']}", override(api, rule={n: draft[n] for n in ("name", "when")}))
    assert (made["status"], made["category_id"]) == ("overridden", rent)
    rule = made["created_rule"]
    assert api.get(f"/rules/{rule['id']}") == rule
    assert (rule["when"], rule["then"], rule["name"]) == (draft["when"], {"category": rent}, draft["name"])
    api.drain()
    [told] = api.get("/events?type=RULE_CREATED")["items"]
    assert (told["subject_id"], told["payload"]) == (rule["id"], {"approval_id": item["id"]})
    [decided] = api.get("/events?type=TX_APPROVED")["items"]
    assert (told["actor"], told["source_agent"]) == (decided["actor"], decided["source_agent"])
    assert len(items(api)) == 2, "what waits is decided by a run, not by a new rule"
    bring(api, ["QORBEL KIOSK 77"], day=9)
    newest = next(r for r in api.get("/records")["items"] if r["text"] == "QORBEL KIOSK 77")
    assert (newest["stage"], newest["category_id"]) == ("rules", rent)
    after = api.get(f"/approvals/{item['id']}/rule")
    assert after["then"] == {"category": rent}, "what was given, where none is named"


def test_a_groups_answer_makes_a_rule_too(api: Api) -> None:
    bring(api, [f"QORBEL {n}" for n in range(3)])
    [group] = api.get("/approvals/groups")["items"]
    done = api.post(f"/approvals/groups/{group['group_key']}", override(api, rule={**TEXT, "priority": 7}))
    assert (done["decided"], done["created_rule"]["priority"]) == (3, 7)
    assert done["created_rule"]["then"] == {"category": api.category("housing.rent")}
    api.drain()
    [told] = api.get("/events?type=RULE_CREATED")["items"]
    assert told["payload"] == {"group_key": group["group_key"]}


def test_without_the_permission_for_rules_nothing_is_decided(api: Api) -> None:
    bring(api, ["QORBEL 1"])
    [item] = items(api).values()
    reviewer = narrowed(api, "approvals:decide", "approvals:read", "categories:read")
    for url in (f"/approvals/{item['id']}", f"/approvals/groups/{item['group_key']}"):
        assert reviewer.post(url, override(api, rule=TEXT), 403)["code"] == "forbidden"
    assert len(items(api)) == 1
    assert "created_rule" not in reviewer.post(f"/approvals/{item['id']}", override(api))
    assert reviewer.get(f"/approvals/{item['id']}/rule")["name"] == "“QORBEL”, money out"


@pytest.mark.parametrize(
    ("rule", "status", "code"),
    [
        ({"name": "x", "when": "text contains"}, 422, "rule_invalid"),
        ({"name": "x", "when": {"field": "nothing"}}, 422, "rule_invalid"),
        ({"name": "x"}, 422, "invalid"),
        ({**TEXT, "then": {"review": True}}, 422, "invalid"),
    ],
    ids=str,
)
def test_a_rule_that_is_none_decides_nothing(api: Api, rule: dict[str, Any], status: int, code: str) -> None:
    bring(api, ["QORBEL 1"])
    [item] = items(api).values()
    for url in (f"/approvals/{item['id']}", f"/approvals/groups/{item['group_key']}"):
        assert api.post(url, override(api, rule=rule), status)["code"] == code
    assert len(items(api)) == 1


def test_a_rule_that_contradicts_people_is_asked_about_and_a_loser_makes_none(api: Api) -> None:
    history = HEADER.strip() + ";Category\n2026-01-01;QORBEL 5;-3.00;EUR;transport.fuel\n"
    api.call("POST", "/imports?filename=h.csv&approved=true", data=history.encode())
    api.drain()
    bring(api, ["QORBEL KIOSK"])
    [item] = items(api).values()
    url = f"/approvals/{item['id']}"
    refused = api.post(url, override(api, rule=TEXT), 409)
    assert (refused["code"], list(refused["errors"])) == ("confirm_needed", ["contradicts"])
    assert len(items(api)) == 1
    assert api.post(f"{url}?confirm=true", override(api, rule=TEXT))["created_rule"]["name"] == "QORBEL"
    assert api.post(f"{url}?confirm=true", override(api, rule=TEXT), 409)["code"] == "already_decided"
    assert [r["name"] for r in api.get("/rules?limit=500")["items"] if r["pack"] is None] == ["QORBEL"]


def test_a_proposal_needs_a_category_that_there_is(api: Api) -> None:
    bring(api, ["QORBEL 1"])
    [item] = items(api).values()
    assert "category_id" in api.get(f"/approvals/{item['id']}/rule", 422)["errors"]
    assert api.get(f"/approvals/{item['id']}/rule?category_id={uuid4()}", 422)["code"] == "invalid"
    assert api.get(f"/approvals/{uuid4()}/rule", 404)["code"] == "not_found"
