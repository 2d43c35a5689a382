"""Billing by Stripe, from the order to the end, over the API alone: what it tells is signed, and fetched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from adapters.memory.clock import FixedClock
from entrypoints.container import Container
from tests.integration.api_support import Api
from tests.integration.billing_support import HERE, bring_in, order, refresh, told
from tests.integration.stripe_tenant import FORMER, at_stripe, bought, send, told_all
from tests.stubs.stripe_billing_server import StripeBillingServer


@pytest.fixture
def api(make_container: Callable[..., Container], server: StripeBillingServer, clock: FixedClock) -> Api:
    return at_stripe(make_container, server, clock)


def test_a_plan_is_ordered_paid_changed_and_canceled(api: Api, server: StripeBillingServer) -> None:
    bring_in(api, 5)
    assert api.get("/billing")["held"] == 2
    page = order(api)
    assert page["words"] == ""
    assert page["url"] in server.sessions
    subscription = server.complete(page["url"])
    assert subscription is not None
    assert api.get("/billing")["plan"]["key"] == "free"
    told_all(api, server)
    state = api.get("/billing")
    assert (state["provider"], state["plan"]["key"], state["reason"], state["held"]) == ("stripe", "team", "active", 0)
    assert (state["subscription"]["plan"], state["subscription"]["interval"]) == ("team", "month")
    [invoice] = api.get("/billing/invoices")["items"]
    assert (invoice["total"], invoice["currency"], invoice["status"]) == ("29.00", "EUR", "paid")
    assert invoice["url"].startswith("https://")

    server.complete(order(api, "business")["url"])
    told_all(api, server)
    assert api.get("/billing")["plan"]["key"] == "business"
    cancel = api.post("/billing/portal", {"purpose": "cancel", "return_url": HERE})
    server.complete(cancel["url"])
    told_all(api, server)
    assert "It ends on " in api.get("/billing")["words"]
    server.renew(subscription["id"])
    told_all(api, server)
    assert (api.get("/billing")["access"], api.get("/billing")["reason"]) == ("read_only", "canceled")


def test_an_order_that_is_sent_again_leads_to_the_same_page(api: Api, server: StripeBillingServer) -> None:
    body = {"plan": "team", "success_url": HERE, "cancel_url": HERE}
    first, second = (api.post("/billing/checkout", body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first == second
    assert len(server.sessions) == 1
    assert api.post("/billing/checkout", body)["url"] != first["url"]


def test_a_payment_that_fails_is_waited_for_and_then_missed(
    api: Api, server: StripeBillingServer, clock: FixedClock
) -> None:
    subscription = bought(api, server)
    told_all(api, server)
    server.renew(subscription, pays=False)
    clock.set(server.now + timedelta(days=1))
    server.now = clock.now()
    told_all(api, server)
    assert (api.get("/billing")["access"], api.get("/billing")["reason"]) == ("grace", "past_due")
    clock.advance(timedelta(days=14))
    assert api.get("/billing")["access"] == "read_only", "the clock alone ends what is waited for"
    server.pay(subscription)
    refresh(api)
    assert api.get("/billing")["access"] == "full"
    changes = [event["payload"]["now"]["access"] for event in told(api, "ACCESS_CHANGED")]
    assert changes == ["full", "grace", "full"]


def test_what_was_never_told_is_found_by_who_asks(api: Api, server: StripeBillingServer) -> None:
    bought(api, server)
    assert api.get("/billing")["plan"]["key"] == "free"
    refresh(api)
    assert api.get("/billing")["plan"]["key"] == "team"


def test_what_is_told_is_not_believed(api: Api, server: StripeBillingServer) -> None:
    subscription = bought(api, server)
    told_all(api, server)
    lie = server.tell("customer.subscription.deleted", {**server.subscriptions[subscription], "status": "canceled"})
    assert send(api, server, lie).json == {"outcome": "accepted"}
    api.drain()
    assert api.get("/billing")["reason"] == "active"


def test_who_signs_is_known_by_any_of_the_secrets_and_lately(api: Api, server: StripeBillingServer) -> None:
    bought(api, server)
    first, second, *_ = server.events
    assert send(api, server, first, secret=FORMER).status_code == 200
    assert send(api, server, first).json == {"outcome": "duplicate"}
    with capture_logs() as logs:
        for refused in (
            send(api, server, second, secret="whsec_canary_forged"),
            send(api, server, second, at=server.now - timedelta(minutes=6)),
            api.client.post("/api/v1/billing/webhook", data=b"{}", headers={"Stripe-Signature": "t=1,v1=00"}),
            api.client.post("/api/v1/billing/webhook", data=b"{}"),
        ):
            assert (refused.status_code, refused.json["code"]) == (401, "webhook_refused")
            assert refused.json["detail"].startswith("This delivery is not taken")
    assert sum(line["event"] == "payment event refused" for line in logs) == 4
    assert send(api, server, second).status_code == 200
