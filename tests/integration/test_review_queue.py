"""The review queue over the API: its filters, what one skips, and who decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.domain.approvals import SKIPPED
from core.domain.permissions import ROLE_PERMISSIONS, Role
from core.domain.tenants import Actor
from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import bring, items, rule, save


def texts(answer: dict[str, Any]) -> set[str]:
    return {item["record"]["text"] for item in answer["items"]}


def another_key(api: Api, name: str = "another") -> Api:
    """The same tenant, by another key that may do the same."""
    scopes = frozenset(permission.value for permission in api.actor.permissions)
    return replace(api, key=api.container.create_api_key(api.actor, name=name, scopes=scopes).secret)


def override(api: Api, approval_id: str, status: int = 200, **headers: str) -> Any:
    answer = {"verdict": "override", "category_id": api.category("housing.rent")}
    return api.post(f"/approvals/{approval_id}", answer, status, **headers)


def test_the_queue_and_its_groups_are_filtered_as_records_are(api: Api) -> None:
    rows = ["2026-03-01;QORBEL 1;-3.00;EUR", "2026-03-02;QORBEL 2;-90.00;EUR", "2026-04-01;PLIRT;5.00;USD"]
    api.upload(HEADER + "\n".join(rows) + "\n")
    cases = {
        "text=qorb": {"QORBEL 1", "QORBEL 2"},
        "currency=USD": {"PLIRT"},
        "since=2026-03-02&until=2026-03-31": {"QORBEL 2"},
        "max_amount=-50": {"QORBEL 2"},
        "min_amount=0&kind=transaction": {"PLIRT"},
        "suggested_id=none&text=plirt": {"PLIRT"},
        f"suggested_id={uuid4()}": set(),
        f"connection_id={uuid4()}": set(),
    }
    for query, expected in cases.items():
        assert texts(api.get(f"/approvals?{query}")) == expected, query
        assert sum(g["size"] for g in api.get(f"/approvals/groups?{query}")["items"]) == len(expected), query
    first = api.get("/approvals?text=qorb&limit=1")
    rest = api.get(f"/approvals?text=qorb&limit=1&after={first['next']}")
    assert (texts(first) | texts(rest), rest["next"]) == ({"QORBEL 1", "QORBEL 2"}, None)


def test_a_suggestion_that_was_merged_is_found_by_its_former_id(api: Api) -> None:
    asking = rule(api, "PLIRT", "food.restaurants")
    asking["then"]["review"] = True
    save(api, asking)
    bring(api, ["PLIRT 1"])
    meals, food = api.category("food.restaurants"), api.category("food.groceries")
    assert texts(api.get(f"/approvals?suggested_id={meals}")) == {"PLIRT 1"}
    api.post(f"/categories/{meals}/merge", {"into": food})
    for id in (meals, food):
        assert texts(api.get(f"/approvals?suggested_id={id}")) == {"PLIRT 1"}


@pytest.mark.parametrize(
    "query",
    [
        "suggested_id=nothing",
        "currency=euro",
        "text=",
        "status=decided&text=x",
        "status=decided&skipped=true",
        "stage=llm",
    ],
)
def test_a_filter_that_is_none_is_refused(api: Api, query: str) -> None:
    assert api.get(f"/approvals?{query}", 422)["errors"]


def test_what_one_skips_others_still_see(api: Api) -> None:
    bring(api, ["QORBEL 1", "QORBEL 2", "PLIRT"])
    by_text = {item["record"]["text"]: item for item in items(api).values()}
    skipped, other = by_text["QORBEL 1"], another_key(api)
    until = api.post(f"/approvals/{skipped['id']}/skip")
    assert until["approval_id"] == skipped["id"]
    assert texts(api.get("/approvals")) == {"QORBEL 2", "PLIRT"}
    assert texts(api.get("/approvals?skipped=true")) == {"QORBEL 1"}
    assert texts(other.get("/approvals")) == by_text.keys()
    assert other.get("/approvals?skipped=true")["items"] == []
    assert sorted(g["size"] for g in api.get("/approvals/groups")["items"]) == [1, 1]
    done = api.post(
        f"/approvals/groups/{skipped['group_key']}",
        {"verdict": "override", "category_id": api.category("housing.rent")},
    )
    assert (done["decided"], done["remaining"]) == (1, 0), "a group's answer leaves what was skipped alone"
    assert done["approval_ids"] == [by_text["QORBEL 2"]["id"]]
    assert api.call("DELETE", f"/approvals/{skipped['id']}/skip").status_code == 204
    assert texts(api.get("/approvals")) == {"QORBEL 1", "PLIRT"}
    api.post(f"/approvals/{skipped['id']}/skip")
    override(other, skipped["id"])
    assert api.post(f"/approvals/{skipped['id']}/skip", status=409)["code"] == "already_decided"
    assert api.post(f"/approvals/{uuid4()}/skip", status=404)["code"] == "not_found"
    assert api.call("DELETE", f"/approvals/{uuid4()}/skip").status_code == 404
    assert texts(api.get("/approvals?skipped=true")) == set(), "what is decided is nobody's to answer"
    api.drain()
    assert not any("SKIP" in event["type"] for event in api.get("/events?limit=500")["items"])


def test_what_was_skipped_comes_back_after_a_day(api: Api) -> None:
    bring(api, ["PLIRT"])
    [item] = items(api).values()
    api.post(f"/approvals/{item['id']}/skip")
    assert items(api) == {}
    with api.container.app_engine().begin() as connection:
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
        connection.exec_driver_sql(
            "UPDATE approval_skips SET skipped_at = skipped_at - make_interval(secs => %s) WHERE tenant_id = %s",
            (SKIPPED.total_seconds(), api.tenant_id),
        )
    assert len(items(api)) == 1


def test_an_agents_decision_is_marked_wherever_it_is_told(api: Api) -> None:
    bring(api, ["QORBEL 1", "PLIRT 7"])
    by_text = {item["record"]["text"]: item for item in items(api).values()}
    by_agent = override(api, by_text["QORBEL 1"]["id"], **{"X-Source-Agent": "sorter-2"})
    person = Actor(
        tenant_id=api.tenant_id,
        name="Ada",
        user_id=api.container.list_members(api.actor)[0][0].id,
        permissions=ROLE_PERMISSIONS[Role.REVIEWER],
    )
    rent = UUID(api.category("housing.rent"))
    by_person = api.container.change_record(
        person, UUID(by_text["PLIRT 7"]["record"]["id"]), version=None, category_id=rent, tags=None, attributes=None
    )
    word = by_agent["reasoning_trace"]["stages"][-1]
    assert word["candidates"][0]["source"] == "agent:sorter-2"
    assert "by_id" not in word
    assert by_person.reasoning_trace is not None
    assert by_person.reasoning_trace["stages"][-1]["candidates"][0]["source"] == "person:Ada"
    assert by_person.reasoning_trace["stages"][-1].keys() - word.keys() == {"by_id"}
    decided = {item["record"]["text"]: item for item in api.get("/approvals?status=decided")["items"]}
    assert {text: item["agent"] for text, item in decided.items()} == {"QORBEL 1": "sorter-2", "PLIRT 7": None}
    api.drain()
    told = {e["subject_id"]: e for e in api.get("/events?type=TX_APPROVED")["items"]}
    assert told[by_agent["id"]]["payload"]["agent"] == told[by_agent["id"]]["source_agent"] == "sorter-2"
    assert told[str(by_person.id)]["payload"]["agent"] is None
    with api.container.uow().begin(api.actor) as tx:
        assert len(tx.examples.list(after=None, limit=9)) == 2, "both teach"
