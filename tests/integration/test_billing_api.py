"""Billing over the API: what is told of plans, usage and invoices, orders, and what the operator does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from dependency_injector import providers

from adapters.memory.clock import FixedClock
from core.domain.billing import Subscription, SubscriptionStatus
from core.domain.llm_spending import LlmSpend, month_of, months_before
from core.domain.permissions import Permission, Role
from core.domain.plans import Meter
from entrypoints.container import Container
from tests.integration.api_support import Api
from tests.integration.billing_support import (
    HERE,
    OPERATOR,
    billed,
    bring_in,
    give,
    order,
    paid_until,
    pay,
    refresh,
    told,
)

NOBODY = "00000000-0000-7000-8000-000000000000"
URLS = {"success_url": f"{HERE}/back", "cancel_url": f"{HERE}/away"}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    return billed(make_container)


@pytest.fixture
def operators(api: Api) -> Api:
    """The operator, at the same tenant."""
    return Api(
        client=api.client,
        container=api.container,
        tenant_id=api.tenant_id,
        key=api.container.settings().operator_key,
    )


def test_what_a_tenant_may_do_is_told(api: Api) -> None:
    state = api.get("/billing")
    assert state == {
        "provider": "manual",
        "plan": {
            "key": "free",
            "version": 1,
            "title": "Free",
            "limits": {
                "records": {"soft": "3", "hard": "3"},
                "llm_spend": {"soft": "0", "hard": "0"},
                "connections": 1,
                "seats": 2,
                "retention_days": 730,
            },
            "features": [],
        },
        "access": "full",
        "reason": "none",
        "words": "The plan Free is that of who has no subscription.",
        "until": None,
        "subscription": None,
        "comp": None,
        "fetched_at": None,
        "connections": {"used": 0, "limit": 1},
        "seats": {"used": 1, "limit": 2},
        "held": 0,
    }
    etag = api.call("GET", "/billing").headers["ETag"]
    assert api.call("GET", "/billing", headers={"If-None-Match": etag}).status_code == 304
    give(api, "team")
    assert api.call("GET", "/billing", headers={"If-None-Match": etag}).status_code == 200


def test_what_is_offered(api: Api) -> None:
    plans = api.get("/billing/plans")["items"]
    assert [(p["key"], p["base"], p["trial_days"]) for p in plans] == [
        ("free", True, 0),
        ("team", False, 0),
        ("tried", False, 14),
    ]
    assert plans[1]["intervals"] == ["month", "year"]
    assert plans[1]["limits"]["records"] == {"soft": "10", "hard": "12"}
    assert plans[1]["features"] == ["evaluations", "llm"]


def test_a_plan_is_ordered_paid_and_canceled(api: Api) -> None:
    page = order(api)
    assert page["url"] is None
    assert page["words"].startswith("Your order is noted.")
    waiting = api.get("/billing")
    assert (waiting["plan"]["key"], waiting["reason"]) == ("free", "none")
    assert (waiting["subscription"]["status"], waiting["subscription"]["plan"]) == ("incomplete", "team")
    assert "An order waits for its payment." in waiting["words"]
    pay(api)
    state = api.get("/billing")
    assert (state["plan"]["key"], state["access"], state["reason"]) == ("team", "full", "active")
    assert state["words"] == "The plan Team is paid."
    assert (state["subscription"]["interval"], state["subscription"]["cancel_at"]) == ("month", None)
    assert state["fetched_at"] is not None
    [invoice] = api.get("/billing/invoices")["items"]
    assert (invoice["number"], invoice["status"], invoice["total"], invoice["due"], invoice["currency"]) == (
        *("2026-001", "paid"),
        *("49.00", "0", "EUR"),
    )
    page = api.post("/billing/portal", {"purpose": "cancel", "return_url": HERE})
    assert page["url"] is None
    assert "is not renewed" in page["words"]
    api.drain()
    state = api.get("/billing")
    assert state["subscription"]["cancel_at"] == state["subscription"]["period_end"]
    assert "It ends on" in state["words"]
    assert [event["payload"]["plan"] for event in told(api, "ORDER_BEGUN")] == ["team"]
    assert told(api, "PAYMENT_NOTED")[0]["actor"] == "operator"


def test_a_trial_begins_with_the_order(api: Api) -> None:
    order(api, "tried", interval="year")
    state = api.get("/billing")
    assert (state["plan"]["key"], state["reason"]) == ("tried", "trialing")
    assert state["until"] == state["subscription"]["trial_end"]
    assert state["words"].startswith("The plan Tried is tried until ")
    assert state["subscription"]["interval"] == "year"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"plan": "gold"}, None),
        ({"plan": "Not A Key"}, "plan"),
        ({"interval": "week"}, "interval"),
        ({"success_url": "https://elsewhere.example/"}, None),
        ({"cancel_url": f"{HERE}@elsewhere.example/"}, None),
        ({"cancel_url": None}, "cancel_url"),
        ({"success_url": f"{HERE}/{'x' * 2000}"}, "success_url"),
        ({"price": "free"}, "price"),
    ],
)
def test_what_no_order_is(api: Api, changed: dict[str, Any], field: str | None) -> None:
    refused = api.post("/billing/checkout", {"plan": "team", **URLS, **changed}, 422)
    assert refused["code"] == "invalid"
    assert list(refused.get("errors", {})) == ([] if field is None else [field])
    assert told(api, "ORDER_BEGUN") == []


def test_an_order_that_is_sent_again_is_made_once(api: Api) -> None:
    body = {"plan": "team", **URLS}
    first, second = (api.call("POST", "/billing/checkout", body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == second.json
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(told(api, "ORDER_BEGUN")) == 1
    assert api.post("/billing/checkout", {**body, "plan": "tried"}, 409, **{"Idempotency-Key": "k"})["code"] == (
        "idempotency_mismatch"
    )


def test_who_owes_keeps_the_plan_and_who_ends_goes_back_to_the_base_plan(api: Api) -> None:
    order(api)
    assert "a subscription runs" in api.post("/billing/checkout", {"plan": "free", **URLS}, 409)["detail"]
    with api.container.uow().begin(api.actor) as tx:
        account = tx.billing.get(lock=True)
        assert isinstance(account.subscription, Subscription)
        unpaid = replace(account.subscription, status=SubscriptionStatus.UNPAID)
        tx.billing.put(replace(account, subscription=unpaid), changes_at=None)
        tx.commit()
    assert api.get("/billing")["access"] == "read_only"
    ended = replace(unpaid, status=SubscriptionStatus.CANCELED)
    with api.container.uow().begin(api.actor) as tx:
        tx.billing.put(replace(tx.billing.get(lock=True), subscription=ended), changes_at=None)
        tx.commit()
    assert "until a plan is ordered" in api.get("/billing")["words"]
    assert api.post("/billing/checkout", {"plan": "free", **URLS})["words"] == "This plan is yours now."
    assert (api.get("/billing")["plan"]["key"], api.get("/billing")["access"]) == ("free", "full")


def test_the_portal(api: Api) -> None:
    assert api.post("/billing/portal", {"return_url": HERE}, 409)["detail"] == "nothing was ordered yet"
    order(api)
    assert api.post("/billing/portal", {"return_url": HERE})["words"].startswith("Your plan is paid by invoice")
    for body in ({"return_url": "https://elsewhere.example"}, {"purpose": "refund", "return_url": HERE}, {}):
        assert api.post("/billing/portal", body, 422)["code"] == "invalid"
    assert (
        api.post("/billing/portal", {"purpose": "cancel", "return_url": HERE})["words"] == "Your order is taken back."
    )
    api.drain()
    assert api.get("/billing")["subscription"] is None
    assert api.post("/billing/portal", {"purpose": "cancel", "return_url": HERE}, 409)["code"] == "conflict"


def test_the_provider_is_asked_on_demand(api: Api) -> None:
    order(api)
    paid_until(api, datetime.now(UTC) + timedelta(days=9))
    assert api.get("/billing")["plan"]["key"] == "free"
    job = refresh(api)
    assert job["stream"] == "billing:sync"
    assert api.get(f"/jobs/{job['id']}")["status"] == "done"
    assert api.get("/billing")["plan"]["key"] == "team"
    answer = api.call("POST", "/billing/refresh")
    assert answer.headers["Location"] == f"/api/v1/jobs/{answer.json['id']}"


def test_usage_is_told_by_meter_and_month(api: Api) -> None:
    give(api, "team")
    bring_in(api, 5)
    now = api.container.clock().now()
    before = months_before(month_of(now), 1)
    with api.container.uow().begin(api.actor) as tx:
        tx.usages.take(Meter.RECORDS, before, 70, None)
        tx.llm_usages.settle(None, before, LlmSpend(cost=Decimal("1.25")))
        tx.llm_usages.settle(None, month_of(now), LlmSpend(cost=Decimal("0.5")))
        tx.commit()
    records, llm = api.get("/billing/usage")["items"]
    assert {name: records[name] for name in ("meter", "used", "soft", "hard", "percent")} == {
        "meter": "records",
        "used": "5",
        "soft": "10",
        "hard": "12",
        "percent": 50.0,
    }
    assert records["month"] == f"{now:%Y-%m}"
    assert records["forecast"] is None or int(records["forecast"]) >= 5
    assert llm["forecast"] is None or Decimal(llm["forecast"]) >= Decimal("0.5")
    assert (llm["meter"], llm["used"], llm["hard"], llm["percent"]) == ("llm_spend", "0.5", "2.50", 20.0)
    earlier = api.get("/billing/usage?months=2")["items"][2:]
    assert [(one["month"], one["meter"], one["used"], one["soft"], one["percent"]) for one in earlier] == [
        (f"{before:%Y-%m}", "records", "70", None, None),
        (f"{before:%Y-%m}", "llm_spend", "1.25", None, None),
    ]
    assert len(api.get("/billing/usage?months=24")["items"]) == 4
    for months in ("0", "25", "x"):
        assert "months" in api.get(f"/billing/usage?months={months}", 422)["errors"]


def test_nothing_used_is_forecast_as_nothing(make_container: Callable[..., Container]) -> None:
    api = billed(make_container)
    api.container.clock.override(providers.Object(FixedClock(datetime(2026, 3, 10, 12, tzinfo=UTC))))
    with api.container.uow().begin(api.actor) as tx:
        tx.usages.take(Meter.RECORDS, date(2026, 3, 1), 2, None)
        tx.commit()
    assert [one["forecast"] for one in api.get("/billing/usage")["items"]] == ["7", "0.00"]


def test_invoices_are_as_many_as_are_asked_for_and_the_latest_first(api: Api) -> None:
    assert api.get("/billing/invoices") == {"items": [], "next": None}
    order(api)
    for n in range(1, 4):
        pay(api, days=30 * n, number=f"N-{n}")
    assert [one["number"] for one in api.get("/billing/invoices?limit=2")["items"]] == ["N-3", "N-2"]
    assert "limit" in api.get("/billing/invoices?limit=101", 422)["errors"]


def test_the_operator_sees_why_and_gives_a_plan(api: Api, operators: Api) -> None:
    path = f"/tenants/{api.tenant_id}"
    assert operators.get(f"{path}/billing") == api.get("/billing")
    given = operators.call("PUT", f"{path}/comp", {"plan": "team", "until": TOMORROW, "reason": "a pilot"})
    assert given.status_code == 200, given.text
    state = api.get("/billing")
    assert given.json == state
    assert (state["plan"]["key"], state["reason"]) == ("team", "comp")
    assert state["comp"]["reason"] == "a pilot"
    assert state["until"] == state["comp"]["until"]
    assert state["words"].startswith("The operator gave the plan Team until ")
    again = operators.call("DELETE", f"{path}/comp?reason=the+pilot+is+over")
    assert (again.status_code, again.json["plan"]["key"], again.json["comp"]) == (200, "free", None)
    assert operators.call("DELETE", f"{path}/comp?reason=again").status_code == 404
    events = told(api, "PLAN_COMPED")
    assert [(e["actor"], e["payload"]["plan"], e["payload"]["reason"]) for e in events] == [
        ("operator", "team", "a pilot"),
        ("operator", None, "the pilot is over"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"plan": "gold", "reason": "why not"},
        {"plan": "team"},
        {"plan": "team", "reason": " "},
        {"plan": "team", "reason": "two\nlines"},
        {"plan": "team", "reason": "x" * 201},
        {"plan": "team", "reason": "late", "until": "2020-01-01T00:00:00Z"},
        {"plan": "team", "reason": "where?", "until": "2099-01-01T00:00:00"},
        {"plan": "team", "reason": "never", "until": "9999-12-31T23:59:59-12:00"},
    ],
)
def test_what_is_not_given(api: Api, operators: Api, body: dict[str, Any]) -> None:
    answer = operators.call("PUT", f"/tenants/{api.tenant_id}/comp", body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid")
    assert api.get("/billing")["comp"] is None


def test_the_operator_finds_no_tenant_that_is_not_there(api: Api, operators: Api) -> None:
    for method, path, body in (
        ("GET", "billing", None),
        ("PUT", "comp", {"plan": "team", "reason": "why not"}),
        ("DELETE", "comp?reason=why", None),
    ):
        answer = operators.call(method, f"/tenants/{NOBODY}/{path}", body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), path


def test_the_operator_in_a_tenant_orders_nothing(api: Api) -> None:
    issued = api.container.enter_as_operator(api.tenant_id, Role.OWNER, OPERATOR, minutes=5, reason="a look around")
    assert Permission.BILLING_READ in issued.key.scopes
    entered = replace(api, key=issued.secret)
    assert entered.get("/billing")["plan"]["key"] == "free"
    assert entered.post("/billing/checkout", {"plan": "team", **URLS}, 403)["code"] == "forbidden"
