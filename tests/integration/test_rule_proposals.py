"""Rules learned from people: proposed with evidence, and nothing until a person accepts."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, new_tenant


@pytest.fixture
def api(container: Container, client: FlaskClient) -> Api:
    """A tenant whose reviewers put 80 payments to one shop into groceries, and 80 others anywhere."""
    api = new_tenant(container, client)
    texts = [f"ZQX QORBEL {n:03}" if n % 2 else f"VUMBA {n:03}" for n in range(160)]
    api.upload(HEADER + "".join(f"2026-0{1 + n // 28}-{1 + n % 28:02};{t};-{n}.50;EUR\n" for n, t in enumerate(texts)))
    keys = ("housing.rent", "transport.fuel", "food.groceries", "utilities.energy")
    somewhere = [api.category(key) for key in keys]
    groceries = api.category("food.groceries")
    answers = [
        {
            "approval_id": item["id"],
            "verdict": "override",
            "category_id": groceries if "ZQX" in item["record"]["text"] else somewhere[n % 4],
        }
        for n, item in enumerate(api.get("/approvals?limit=500")["items"])
    ]
    assert len(answers) == 160
    api.post("/approvals/bulk", {"answers": answers})
    api.drain()
    return api


def proposals(api: Api, status: str = "open") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/rules/proposals?status={status}")["items"]
    return found


def the_one(api: Api) -> dict[str, Any]:
    found = [p for p in proposals(api) if p["category_id"] == api.category("food.groceries")]
    assert found, proposals(api)
    return found[0]


def test_a_pure_pattern_is_proposed_with_its_evidence_and_does_nothing(api: Api) -> None:
    proposal = the_one(api)
    assert "zqx" in proposal["text"].lower() or "qorbel" in proposal["text"].lower()
    evidence = proposal["evidence"]
    assert evidence["support"] == evidence["agreeing"] == 80
    assert evidence["counter_examples"] == []
    assert 0.95 <= evidence["expected"] <= 1
    assert not any("VUMBA" in p["text"].upper() for p in proposals(api)), "no pattern is in those"
    told = api.get("/events?type=RULE_PROPOSED")["items"]
    assert [event["subject_id"] for event in told] == [p["id"] for p in proposals(api)]
    assert all(rule["proposal_id"] is None for rule in api.get("/rules?limit=500")["items"])
    api.upload(HEADER + "2026-08-01;ZQX QORBEL NEW PLACE;-9.00;EUR\n", "more.csv")
    [new] = api.get("/records?text=NEW PLACE")["items"]
    assert new["stage"] != "rules"


def test_a_proposal_tells_what_it_would_change(api: Api) -> None:
    api.upload(HEADER + "2026-08-01;ZQX QORBEL UNHEARD OF PLACE 4711 ABC;-9.00;EUR\n", "more.csv")
    effects = api.get(f"/rules/proposals/{the_one(api)['id']}")["effects"]
    assert effects["matched"] == 81
    assert effects["contradicting"] == 0


def test_an_accepted_proposal_is_a_rule_that_says_where_it_came_from(api: Api) -> None:
    proposal = the_one(api)
    rule = api.post(f"/rules/proposals/{proposal['id']}/accept", {"name": "The corner shop"}, 201)
    assert (rule["name"], rule["text"], rule["proposal_id"]) == ("The corner shop", proposal["text"], proposal["id"])
    api.drain()
    [event] = api.get("/events?type=RULE_CREATED")["items"]
    assert event["subject_id"] == rule["id"]
    assert event["actor"].startswith("key:") or event["actor"]
    assert event["payload"]["proposal_id"] == proposal["id"]
    assert event["payload"]["support"] == 80
    again = api.call("POST", f"/rules/proposals/{proposal['id']}/accept", {})
    assert again.status_code == 409
    assert again.json is not None
    assert again.json["code"] == "already_decided"
    api.upload(HEADER + "2026-08-01;ZQX QORBEL NEW PLACE;-9.00;EUR\n", "more.csv")
    [new] = api.get("/records?text=NEW PLACE")["items"]
    assert (new["stage"], new["rule_id"]) == ("rules", rule["id"])
    api.post("/rules/proposals", status=202)
    api.drain()
    assert proposal["text"] not in [p["text"] for p in proposals(api)], "what a rule decides is not proposed again"


def test_an_edited_proposal_is_checked_as_any_rule(api: Api) -> None:
    edited = {"when": 'text contains "vumba"'}
    answer = api.call("POST", f"/rules/proposals/{the_one(api)['id']}/accept", edited)
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["code"] == "confirm_needed"
    assert the_one(api)["status"] == "open"


def test_what_was_rejected_stays_rejected(api: Api) -> None:
    proposal = the_one(api)
    rejected = api.post(f"/rules/proposals/{proposal['id']}/reject")
    assert rejected["status"] == "rejected"
    api.post("/rules/proposals", status=202)
    api.drain()
    assert proposal["text"] not in [p["text"] for p in proposals(api)]
    assert [p["id"] for p in proposals(api, "rejected")] == [proposal["id"]]


def test_what_people_unlearn_is_no_longer_proposed(api: Api) -> None:
    proposal = the_one(api)
    rent = api.category("housing.rent")
    for record in api.get("/records?text=ZQX&limit=500")["items"]:
        assert api.call("PATCH", f"/records/{record['id']}", {"category_id": rent}).status_code == 200
    api.drain()
    assert proposal["id"] not in [p["id"] for p in proposals(api)]


def test_history_teaches_too(container: Container, client: FlaskClient) -> None:
    api = new_tenant(container, client, "With a history")
    rows = "".join(f"2026-01-{1 + n % 28:02};ZQX QORBEL {n:03};-{n}.50;EUR;Groceries\n" for n in range(80))
    answer = api.call(
        "POST", "/imports?approved=true", data=("Date;Description;Amount;Currency;Category\n" + rows).encode()
    )
    assert answer.status_code == 202
    api.drain()
    assert len(proposals(api)) == 1


def test_learning_can_be_switched_off(make_container: Any) -> None:
    container = make_container(rule_proposals="off")
    with create_app(container).test_client() as client:
        api = new_tenant(container, client)
        api.upload()
        answers = [
            {"approval_id": item["id"], "verdict": "override", "category_id": api.category("food.groceries")}
            for item in api.get("/approvals")["items"]
        ]
        api.post("/approvals/bulk", {"answers": answers})
        assert api.get("/jobs?stream=rules:learn")["items"] == []
