"""A tenant's whole life at Stripe over the API: what it orders, changes, owes and leaves, and what goes wrong on the
way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import text

from adapters.memory.clock import FixedClock
from core.domain.plans import catalog_from
from entrypoints.container import Container
from tests.integration.api_support import Api, lease_runs_out
from tests.integration.billing_support import HERE, bring_in, order, refresh, told
from tests.integration.stripe_tenant import FORMER, at_stripe, bought, later, send, told_all
from tests.integration.test_mail import Mailbox
from tests.stack import free_port
from tests.stubs.stripe_billing_server import SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_server import KEY

DAY = timedelta(days=1)
ELSEWHERE = "https://elsewhere.example/back"
NEXT, STRANGERS = "whsec_canary_next", "whsec_canary_of_strangers"
ANOTHER = "sk_test_canary_next"
METER, PRICE_BY_USE = "sortation_records", "price_by_use"
BY_USE = catalog_from(
    [
        {"key": "free", "title": "Free"},
        {
            "key": "used",
            "title": "By use",
            "prices": {"test": {"month": PRICE_BY_USE}},
            "meters": {"records": METER},
        },
    ]
)


class Killed(BaseException):
    """What no code of ours catches."""


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def mails_to(mailbox: Mailbox) -> Iterator[str]:
    """The mail server's URL."""
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, ready_timeout=60)
    controller.start()
    yield f"smtp://127.0.0.1:{port}"
    controller.stop()


@pytest.fixture
def make_api(make_container: Callable[..., Container], server: StripeBillingServer, clock: FixedClock) -> Any:
    """Tenants of installations with these settings."""

    def make(**settings: Any) -> Api:
        return at_stripe(make_container, server, clock, **settings)

    return make


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


def state(api: Api) -> tuple[str, str, str]:
    """The plan, what may be done, and why."""
    found = api.get("/billing")
    return found["plan"]["key"], found["access"], found["reason"]


def totals(api: Api) -> list[str]:
    """Of all bills, the first one first, each of which can be looked at."""
    found = api.get("/billing/invoices")["items"]
    assert all(one["url"].startswith("https://pages.stripe.example/invoices/") for one in found)
    return [one["total"] for one in found][::-1]


def customers(server: StripeBillingServer) -> list[str]:
    return [id for id, one in server.customers.items() if not one.get("deleted")]


def kept(api: Api) -> list[str]:
    """The ids of what was told and is known."""
    with api.container.system_engine().begin() as connection:
        return list(connection.execute(text("SELECT event_id FROM payment_events")).scalars())


def replace(file: Path, content: str) -> None:
    """At once, as who writes it does well to."""
    file.with_suffix(".new").write_text(f"{content}\n")
    file.with_suffix(".new").replace(file)


def test_a_tenant_orders_grows_shrinks_owes_pays_and_leaves(
    make_api: Callable[..., Api], server: StripeBillingServer, clock: FixedClock, mailbox: Mailbox, mails_to: str
) -> None:
    api = make_api(smtp_url=mails_to)
    subscription = bought(api, server)
    told_all(api, server)
    assert state(api) == ("team", "full", "active")
    assert totals(api) == ["29.00"]

    later(server, clock, 15 * DAY)
    assert bought(api, server, "business") == subscription, "the same one, changed"
    told_all(api, server)
    assert state(api) == ("business", "full", "active")
    server.renew(subscription)
    later(server, clock)
    told_all(api, server)
    assert totals(api) == ["29.00", "134.00"], "half a month of the difference besides"

    later(server, clock, 24 * DAY)
    bought(api, server, "team")
    told_all(api, server)
    assert state(api) == ("team", "full", "active")
    server.renew(subscription)
    later(server, clock)
    told_all(api, server)
    assert totals(api)[2:] == ["15.00"], "less a fifth of the difference"

    mailbox.came.clear()
    server.renew(subscription, pays=False)
    later(server, clock, DAY)
    told_all(api, server)
    assert state(api) == ("team", "grace", "past_due")
    [mail] = mailbox.came
    assert (mail["To"], mail["Subject"]) == ("owner@example.com", "A payment is missing: A tenant")
    assert "Everything goes on until" in mail.get_content()
    server.pay(subscription)
    told_all(api, server)
    assert state(api) == ("team", "full", "active")
    assert [one["Subject"] for one in mailbox.came] == ["A payment is missing: A tenant", "Your plan: A tenant"]

    cancel = api.post("/billing/portal", {"purpose": "cancel", "return_url": HERE})
    server.complete(cancel["url"])
    told_all(api, server)
    assert state(api) == ("team", "full", "active"), "until what is paid is over"
    assert "It ends on " in api.get("/billing")["words"]
    server.renew(subscription)
    later(server, clock)
    told_all(api, server)
    assert state(api) == ("team", "read_only", "canceled")
    assert api.post("/categories", {"key": "odd", "name": "Odd"}, 402)["code"] == "read_only"
    assert order(api, "free")["url"] is None
    assert state(api) == ("free", "full", "none")
    api.post("/categories", {"key": "odd", "name": "Odd"}, 201)
    changes = [event["payload"]["now"] for event in told(api, "ACCESS_CHANGED")]
    assert [(one["plan"], one["access"]) for one in changes] == [
        ("team", "full"),
        ("business", "full"),
        ("team", "full"),
        ("team", "grace"),
        ("team", "full"),
        ("team", "read_only"),
        ("free", "full"),
    ]


def test_a_denial_that_is_wrong_has_the_payment_found_that_nobody_told(
    api: Api, server: StripeBillingServer, clock: FixedClock
) -> None:
    subscription = bought(api, server)
    told_all(api, server)
    server.renew(subscription, pays=False)
    later(server, clock, 15 * DAY)
    told_all(api, server)
    assert state(api) == ("team", "read_only", "past_due")
    server.pay(subscription)  # which is never told
    asked = len(server.requests)
    assert api.post("/categories", {"key": "odd", "name": "Odd"}, 402)["code"] == "read_only"
    assert len(server.requests) == asked, "nobody waits for Stripe to be denied"
    api.drain()
    assert state(api) == ("team", "full", "active")
    api.post("/categories", {"key": "odd", "name": "Odd"}, 201)
    job = api.get("/jobs?stream=billing:sync&status=done&limit=100")["items"][-1]
    assert job["payload"] == {"reason": "denied"}


def test_who_comes_back_from_an_order_waits_for_no_webhook(api: Api, server: StripeBillingServer) -> None:
    page = order(api)
    assert server.sessions[page["url"]]["success_url"] == f"{HERE}/back"
    server.complete(page["url"])
    job = refresh(api)
    assert api.get(f"/jobs/{job['id']}")["status"] == "done"
    assert state(api) == ("team", "full", "active")
    told_all(api, server)
    assert len(told(api, "SUBSCRIPTION_CHANGED")) == 1, "what is told afterwards is nothing new"


def test_who_was_deleted_at_stripe_orders_as_somebody_else(api: Api, server: StripeBillingServer) -> None:
    bought(api, server)
    told_all(api, server)
    [former] = customers(server)
    server.delete_customer(former)
    told_all(api, server)
    assert state(api) == ("free", "full", "none")
    subscription = bought(api, server, "business")
    told_all(api, server)
    [present] = customers(server)
    assert present != former
    assert server.subscriptions[subscription]["customer"] == present
    assert state(api) == ("business", "full", "active")
    assert totals(api) == ["99.00"]


@pytest.mark.parametrize("arrived", [True, False])
def test_what_was_used_is_counted_once_there_although_the_worker_died(
    make_api: Callable[..., Api],
    server: StripeBillingServer,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    arrived: bool,
) -> None:
    """It dies when Stripe has counted, before that is noted; or when all is ready to be sent."""
    server.add_price(PRICE_BY_USE, usage_type="metered")
    server.meters = {METER}
    api = make_api(plans=BY_USE)
    bought(api, server, "used")
    told_all(api, server)
    assert state(api) == ("used", "full", "active")
    bring_in(api, 5)
    payments = api.container.payments()
    report = payments.report

    def killed(readings: Any) -> Any:
        if arrived:
            report(readings)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(payments, "report", killed)
        later(server, clock, timedelta(hours=1))
        api.container.queue_billing()
        with pytest.raises(Killed):
            api.drain()
    assert len(server.meter_events) == arrived
    bring_in(api, 4, first=5)
    lease_runs_out(api)
    api.drain()
    later(server, clock, timedelta(hours=1))
    api.container.queue_billing()
    api.drain()
    sent = [asked for asked in server.requests if asked.path == "/v1/billing/meter_events"]
    assert len(sent) == len(server.meter_events) + arrived, "what may have arrived is sent again"
    counted = sum(int(one["payload"]["value"]) for one in server.meter_events.values())
    [used] = [one["used"] for one in api.get("/billing/usage")["items"] if one["meter"] == "records"]
    assert (counted, used) == (9, "9")
    assert {one["payload"]["stripe_customer_id"] for one in server.meter_events.values()} == set(customers(server))
    assert told(api, "USAGE_DOUBTFUL") == []


def test_the_key_and_the_secrets_change_while_it_runs(
    make_api: Callable[..., Api], server: StripeBillingServer, tmp_path: Path
) -> None:
    key, secrets = tmp_path / "key", tmp_path / "secrets"
    replace(key, KEY)
    replace(secrets, SIGNED_BY)
    api = make_api(stripe_api_key_file=key, stripe_webhook_secrets_file=secrets)
    subscription = bought(api, server)
    told_all(api, server)

    server.keys = {ANOTHER}
    assert api.get("/billing/invoices", 502)["code"] == "payments_refused"
    assert state(api) == ("team", "full", "active"), "what is known stays"
    replace(key, ANOTHER)
    assert totals(api) == ["29.00"]

    server.change(subscription, status="active")
    event = server.events[-1]
    assert send(api, server, event, secret=NEXT).status_code == 401
    replace(secrets, f"{NEXT} {SIGNED_BY}")
    assert send(api, server, event, secret=NEXT).json == {"outcome": "accepted"}
    assert send(api, server, event).json == {"outcome": "duplicate"}, "as the former one signs until its time is over"
    replace(secrets, NEXT)
    assert send(api, server, event).status_code == 401
    server.renew(subscription, pays=False)
    assert send(api, server, server.events[-1], secret=NEXT).status_code == 200
    api.drain()
    assert state(api)[2] == "past_due", "asked by the key that holds now"


@pytest.mark.parametrize(
    "url",
    [ELSEWHERE, f"{HERE}.elsewhere.example/", f"{HERE}@elsewhere.example/", "//elsewhere.example", f"{HERE}:8443/"],
)
def test_nobody_is_sent_back_elsewhere(api: Api, server: StripeBillingServer, url: str) -> None:
    bought(api, server)
    told_all(api, server)
    asked = len(server.requests)
    for path, body in (
        ("checkout", {"plan": "business", "success_url": url, "cancel_url": HERE}),
        ("checkout", {"plan": "business", "success_url": HERE, "cancel_url": url}),
        ("portal", {"purpose": "manage", "return_url": url}),
    ):
        refused = api.post(f"/billing/{path}", body, 422)
        assert "elsewhere" not in refused["detail"]
    assert len(server.requests) == asked
    assert len(told(api, "ORDER_BEGUN")) == 1


def test_what_is_forged_changes_nothing_and_has_nobody_asked(api: Api, server: StripeBillingServer) -> None:
    subscription = bought(api, server)
    told_all(api, server)
    before, known, asked = api.get("/billing"), kept(api), len(server.requests)
    server.cancel(subscription, at_period_end=False)
    true = server.events[-1]
    for forged in (
        {"secret": STRANGERS},
        {"secret": f"{SIGNED_BY}x"},
        {"at": server.now - timedelta(seconds=301)},
    ):
        assert send(api, server, true, **forged).status_code == 401
    altered, delivery = {**true, "id": "evt_altered"}, server.signed(true)
    body = server.signed(altered).body
    answer = api.client.post("/api/v1/billing/webhook", data=body, headers=delivery.headers)
    assert (answer.status_code, answer.json["code"]) == (401, "webhook_refused")
    api.drain()
    assert (api.get("/billing"), kept(api), len(server.requests)) == (before, known, asked)
    assert send(api, server, true, secret=FORMER).status_code == 200
    api.drain()
    assert state(api) == ("team", "read_only", "canceled")
