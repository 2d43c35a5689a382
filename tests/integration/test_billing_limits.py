"""What a plan does not hold, and what a tenant that does not pay may no longer do: over the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dependency_injector import providers
from flask import Flask

from adapters.memory.clock import FixedClock
from core.domain.permissions import PAID_FOR, Permission
from entrypoints.api.access import access_of
from entrypoints.container import Container
from tests.integration.api_support import STATEMENT, Api
from tests.integration.billing_support import billed, bring_in, give, lapse, order, paid_until, pay, refresh

NOBODY = "00000000-0000-7000-8000-000000000000"
RULE = {"name": "All", "when": {"field": "text", "op": "contains", "value": "shop"}, "then": {"review": True}}
EVALUATION = {"promise": 0.9, "test_share": 0.5}


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    return billed(make_container)


def by_status(api: Api, status: str) -> int:
    return len(api.get(f"/records?status={status}&limit=100")["items"])


def refused(api: Api, method: str, path: str, json: Any = None, **options: Any) -> str:
    answer = api.call(method, path, json, **options)
    assert answer.status_code == 402, (method, path, answer.text)
    code: str = answer.json["code"]
    return code


def asked_anew(api: Api) -> int:
    """How often a denial had the provider asked."""
    found = api.get("/jobs?stream=billing:sync&status=queued&status=done&limit=100")["items"]
    return sum(job["payload"]["reason"] == "denied" for job in found)


def test_records_beyond_the_plan_are_held_and_resume_when_there_is_room(api: Api) -> None:
    imported = bring_in(api, 5)
    assert (imported["inserted"], imported["held"], imported["refused"]) == (5, 2, 0)
    assert (by_status(api, "held"), by_status(api, "needs_review")) == (2, 3)
    state = api.get("/billing")
    assert state["held"] == 2
    assert "This month's 3 records are used up: 2 records are held until 1 " in state["words"]
    again = bring_in(api, 5)
    assert (again["inserted"], again["known"], again["held"]) == (0, 5, 0)
    give(api, "team")
    assert (by_status(api, "held"), by_status(api, "needs_review")) == (0, 5)
    assert api.get("/billing")["held"] == 0
    assert api.get("/billing/usage")["items"][0]["used"] == "5"
    assert api.get("/imports")["items"][-1]["held"] == 2, "an import tells what was so when it came in"


def test_a_tenant_that_does_not_pay_changes_nothing(api: Api) -> None:
    bring_in(api, 2)
    made = api.post("/categories", {"key": "odd", "name": "Odd"}, 201)
    record = api.get("/records")["items"][0]["id"]
    approval = api.get("/approvals")["items"][0]["id"]
    lapse(api)
    assert api.get("/billing")["access"] == "read_only"
    csv = {"connector": "csv", "name": "File"}
    for method, path, body in (
        ("POST", "/categories", {"key": "other", "name": "Other"}),
        ("DELETE", f"/categories/{made['id']}", None),
        ("POST", "/rules", RULE),
        ("POST", "/rules/runs", {}),
        ("POST", "/connections", csv),
        ("PATCH", f"/records/{record}", {"tags": ["x"]}),
        ("DELETE", f"/records/{record}", None),
        ("POST", f"/approvals/{approval}", {"verdict": "override", "category_id": made["id"]}),
        ("POST", f"/jobs/{NOBODY}/replay", None),
        ("POST", "/evaluations", EVALUATION),
    ):
        assert refused(api, method, path, body) == "read_only", (method, path)
    assert refused(api, "POST", "/imports?filename=a.csv", data=STATEMENT.encode()) == "read_only"
    assert api.call("POST", "/categories", {}).json["detail"].endswith("see billing.")


def test_a_tenant_that_does_not_pay_reads_exports_and_rules_itself(api: Api) -> None:
    bring_in(api, 2)
    lapse(api)
    for path in ("records", "approvals", "categories", "rules", "connections", "imports", "jobs", "events", "members"):
        assert "items" in api.get(f"/{path}")
    assert api.call("GET", "/records/export?format=csv").text.count("Shop number") == 2
    assert api.post("/rules/test", {"rule": {"when": RULE["when"]}})["matched"] == 2
    key = api.post("/api-keys", {"name": "new", "scopes": ["records:read"]}, 201)
    assert api.call("DELETE", f"/api-keys/{key['id']}").status_code == 200
    invited = api.post("/invitations", {"email": "ben@example.org", "role": "viewer"}, 201)
    assert api.call("DELETE", f"/invitations/{invited['id']}").status_code == 204
    assert api.call("PATCH", "/tenant", {"name": "Other Books"}).json["name"] == "Other Books"
    assert api.get("/billing/usage")["items"][0]["hard"] == "0"
    assert api.get("/billing/plans")["items"]
    pay(api)
    assert api.get("/billing")["access"] == "full"
    api.post("/categories", {"key": "odd", "name": "Odd"}, 201)


def test_a_denial_has_the_provider_asked_once_in_five_minutes(make_container: Callable[..., Container]) -> None:
    api, clock = billed(make_container), FixedClock(datetime.now(UTC))
    api.container.clock.override(providers.Object(clock))
    lapse(api)
    for _ in range(2):
        assert refused(api, "POST", "/rules", RULE) == "read_only"
    assert asked_anew(api) == 1
    api.drain()
    clock.advance(timedelta(minutes=4))
    assert refused(api, "POST", "/rules", RULE) == "read_only"
    assert asked_anew(api) == 1
    clock.advance(timedelta(minutes=2))
    assert refused(api, "POST", "/rules", RULE) == "read_only"
    assert asked_anew(api) == 2


def test_a_denial_that_is_wrong_ends_by_itself(api: Api) -> None:
    lapse(api)
    paid_until(api, datetime.now(UTC) + timedelta(days=9))  # which nobody told
    assert refused(api, "POST", "/rules", RULE) == "read_only"
    api.drain()
    api.post("/categories", {"key": "odd", "name": "Odd"}, 201)
    api.container.seal_events()
    [event] = api.get("/events?type=ACCESS_CHANGED&after=0")["items"][-1:]
    assert (event["payload"]["before"]["access"], event["payload"]["now"]["access"]) == ("read_only", "full")


def test_while_a_payment_is_waited_for_everything_goes_on(api: Api) -> None:
    lapse(api, days=10)
    state = api.get("/billing")
    assert (state["access"], state["reason"], state["plan"]["key"]) == ("grace", "past_due", "team")
    assert state["until"] is not None
    assert state["words"].startswith("A payment for the plan Team is missing. Everything goes on until ")
    api.post("/categories", {"key": "odd", "name": "Odd"}, 201)


def test_as_many_connections_as_the_plan_holds(api: Api) -> None:
    first = api.post("/connections", {"connector": "csv", "name": "One"}, 201)
    assert api.get("/billing")["connections"] == {"used": 1, "limit": 1}
    assert refused(api, "POST", "/connections", {"connector": "csv", "name": "Two"}) == "limit_reached"
    bring_in(api, 1)  # what is uploaded is no connection that counts
    api.post(f"/connections/{first['id']}/disable")
    api.post("/connections", {"connector": "csv", "name": "Two"}, 201)
    assert refused(api, "POST", f"/connections/{first['id']}/resume") == "limit_reached"
    give(api, "team")
    assert api.post(f"/connections/{first['id']}/resume")["disabled_at"] is None
    assert api.get("/billing")["connections"] == {"used": 2, "limit": 2}


def test_as_many_people_as_the_plan_holds(api: Api) -> None:
    invited = api.post("/invitations", {"email": "ben@example.org", "role": "viewer"}, 201)
    assert api.get("/billing")["seats"] == {"used": 2, "limit": 2}
    assert "All 2 seats are taken." in api.get("/billing")["words"]
    other = {"email": "cleo@example.org", "role": "viewer"}
    assert refused(api, "POST", "/invitations", other) == "limit_reached"
    assert api.call("DELETE", f"/invitations/{invited['id']}").status_code == 204
    api.post("/invitations", other, 201)


def test_what_the_plan_leaves_out(api: Api) -> None:
    assert refused(api, "POST", "/evaluations", EVALUATION) == "limit_reached"
    give(api, "team")
    assert api.post("/evaluations", EVALUATION, 422)["code"] == "too_little_history"


def test_a_limit_that_is_reached_has_the_provider_asked_too(api: Api) -> None:
    order(api)
    refresh(api)
    assert refused(api, "POST", "/evaluations", EVALUATION) == "limit_reached"
    assert asked_anew(api) == 1


def test_the_document_names_402_wherever_it_can_be_the_answer(api: Api) -> None:
    app: Flask = api.client.application
    document = api.client.get("/api/openapi.json").json
    documented = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters" and "402" in operation["responses"]
    }
    paid_for = {
        rule.endpoint.replace(".", "_")
        for rule in app.url_map.iter_rules()
        if access_of(app, rule.endpoint).permission in PAID_FOR and not rule.methods & {"GET"}  # type: ignore[operator]
    }
    assert documented == paid_for | {"members_invite", "members_renew_invitation"}
    assert Permission.MEMBERS_WRITE not in PAID_FOR
