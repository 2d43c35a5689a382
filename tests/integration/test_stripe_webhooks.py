"""What Stripe tells by webhook: who signed it and when, in whatever order and however often it comes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.secrets.keys import KeyFile
from adapters.stripe.payments import StripePayments
from core.domain.payments import PaymentEvent
from core.errors import WebhookRefused
from tests.integration.stripe_support import ADA, EMAIL, TEAM_PRICE, an_order, payments_of
from tests.stubs.scripted_http import Answer, Asked, ScriptedServer
from tests.stubs.stripe_billing_forms import signature
from tests.stubs.stripe_billing_server import SIGNED_BY, Delivery, StripeBillingServer

NEXT, STRANGERS = "whsec_canary_next", "whsec_canary_of_strangers"


@pytest.fixture
def event(server: StripeBillingServer, payments: StripePayments) -> dict[str, Any]:
    subscription = server.begin(payments.create_customer(ADA), TEAM_PRICE)
    server.change(subscription["id"])
    return server.events[-1]


def read(payments: StripePayments, delivery: Delivery, now: datetime) -> PaymentEvent:
    return payments.read_event(delivery.body, delivery.headers, now)


def told(server: StripeBillingServer, type: str, thing: dict[str, Any]) -> Delivery:
    return server.signed(server.tell(type, thing))


@pytest.mark.parametrize("between", [" ", ",", "\n", " , \n"])
def test_any_of_the_secrets_signs(server: StripeBillingServer, event: dict[str, Any], between: str) -> None:
    payments = payments_of(server, webhook_secrets=f"{SIGNED_BY}{between}{NEXT}\n")
    for secret in (SIGNED_BY, NEXT):
        assert read(payments, server.signed(event, secret=secret), server.now).id == event["id"]
    with pytest.raises(WebhookRefused):
        read(payments, server.signed(event, secret=STRANGERS), server.now)


@pytest.mark.parametrize("none", ["", " ", "\n,"])
def test_without_a_secret_nothing_is_believed(server: StripeBillingServer, event: dict[str, Any], none: str) -> None:
    for secret in ("", " ", SIGNED_BY):
        with pytest.raises(WebhookRefused):
            read(payments_of(server, webhook_secrets=none), server.signed(event, secret=secret), server.now)


def test_secrets_take_each_others_place_without_a_gap(
    server: StripeBillingServer, event: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "secrets"
    payments = payments_of(server, webhook_secrets=KeyFile(file, ""))
    for stands, signs, does_not in (
        (SIGNED_BY, [SIGNED_BY], [NEXT]),
        (f"{NEXT}\n{SIGNED_BY}", [SIGNED_BY, NEXT], []),
        (NEXT, [NEXT], [SIGNED_BY]),
    ):
        file.with_suffix(".new").write_text(stands)
        file.with_suffix(".new").replace(file)
        for secret in signs:
            assert read(payments, server.signed(event, secret=secret), server.now).id == event["id"]
        for secret in does_not:
            with pytest.raises(WebhookRefused):
                read(payments, server.signed(event, secret=secret), server.now)


@pytest.mark.parametrize(("age", "taken"), [(-60, True), (0, True), (300, True), (301, False), (86_400, False)])
def test_what_was_signed_long_ago_is_refused_by_our_clock(
    server: StripeBillingServer, payments: StripePayments, event: dict[str, Any], age: int, taken: bool
) -> None:
    delivery = server.signed(event, at=server.now - timedelta(seconds=age))
    if taken:
        assert read(payments, delivery, server.now).id == event["id"]
    else:
        with pytest.raises(WebhookRefused, match="300 seconds"):
            read(payments, delivery, server.now)


def test_a_time_is_part_of_what_is_signed(
    server: StripeBillingServer, payments: StripePayments, event: dict[str, Any]
) -> None:
    old = server.signed(event, at=server.now - timedelta(days=1))
    signed = old.headers["stripe-signature"]
    now = f"t={int(server.now.timestamp())}"
    for header in (f"{now},{signed}", f"{signed},{now}", signed.replace(signed.split(",")[0], now)):
        with pytest.raises(WebhookRefused):
            payments.read_event(old.body, {"stripe-signature": header}, server.now)


def test_a_delivery_that_stripe_signed_twice_while_its_secret_changes_is_taken(
    server: StripeBillingServer, payments: StripePayments, event: dict[str, Any]
) -> None:
    delivery = server.signed(event)
    others = signature(delivery.body, STRANGERS, server.now).split(",")[1]
    header = f"{delivery.headers['stripe-signature'].replace(',', f',{others},')},v0=00"
    assert payments.read_event(delivery.body, {"stripe-signature": header}, server.now).id == event["id"]


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=ä", "t=" + "9" * 5_000 + ",v1=00", ",,=,="]
)
def test_no_header_of_strangers_is_more_than_refused(
    server: StripeBillingServer, payments: StripePayments, event: dict[str, Any], header: str
) -> None:
    with pytest.raises(WebhookRefused):
        payments.read_event(server.signed(event).body, {"stripe-signature": header}, server.now)


def test_a_body_that_was_changed_is_refused(
    server: StripeBillingServer, payments: StripePayments, event: dict[str, Any]
) -> None:
    delivery = server.signed(event)
    for body in (delivery.body + b" ", delivery.body.replace(b"active", b"paused"), b"", b"\xff"):
        with pytest.raises(WebhookRefused) as refused:
            payments.read_event(body, delivery.headers, server.now)
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"[]",
        b"{}",
        b"null",
        b'{"object": "event", "id": "evt_1", "type": "invoice.paid", "created": 1}',
        b'{"object": "event", "id": "evt_1", "type": "invoice.paid", "created": "x", "data": {"object": {}}}',
        b'{"object": "event", "id": "evt_1", "type": 7, "created": 1, "data": {"object": {"object": "invoice"}}}',
        b'{"object": "v2.core.event", "id": "evt_1", "type": "v1.billing.meter.no_meter_found"}',
        b"[" * 100_000,
    ],
)
def test_what_is_signed_and_no_event_is_refused(
    server: StripeBillingServer, payments: StripePayments, body: bytes
) -> None:
    with pytest.raises(WebhookRefused):
        payments.read_event(body, {"stripe-signature": signature(body, SIGNED_BY, server.now)}, server.now)


@pytest.mark.parametrize(
    ("type", "known"),
    [
        ("customer.subscription.created", True),
        ("customer.subscription.updated", True),
        ("customer.subscription.deleted", True),
        ("customer.subscription.paused", True),
        ("customer.subscription.resumed", True),
        ("invoice.paid", True),
        ("invoice.payment_failed", True),
        ("invoice.marked_uncollectible", True),
        ("checkout.session.completed", True),
        ("checkout.session.async_payment_succeeded", True),
        ("charge.succeeded", False),
        ("payment_method.attached", False),
        ("customer.tax_id.created", False),
    ],
)
def test_what_can_change_what_a_tenant_may_do_is_known(
    server: StripeBillingServer, payments: StripePayments, type: str, known: bool
) -> None:
    thing = server.made("a thing", "th", customer="cus_1")
    for customer in ("cus_1", {"id": "cus_1", "object": "customer", "email": EMAIL}, {"id": "cus_1", "deleted": True}):
        event = read(payments, told(server, type, {**thing, "customer": customer}), server.now)
        assert (event.type, event.customer_id, event.known) == (type, "cus_1", known)


def test_a_customer_is_told_of_by_itself(server: StripeBillingServer, payments: StripePayments) -> None:
    customer = payments.create_customer(ADA)
    server.delete_customer(customer)
    made, named, deleted = (read(payments, server.signed(event), server.now) for event in server.events)
    assert {made.customer_id, named.customer_id, deleted.customer_id} == {customer}
    assert (made.known, named.known, deleted.known) == (False, False, True)
    assert EMAIL not in repr((made, named, deleted))


def test_what_is_of_no_customer_names_none(server: StripeBillingServer, payments: StripePayments) -> None:
    for thing in (server.made("payout", "po"), server.made("charge", "ch", customer=None)):
        assert read(payments, told(server, "charge.succeeded", thing), server.now).customer_id is None


def test_events_arrive_in_any_order_twice_late_and_forged_and_what_is_so_is_asked_for(
    server: StripeBillingServer, payments: StripePayments
) -> None:
    """Whatever comes, and in whatever order, says of whom; what is so now, is the same."""
    seen: list[str | None] = []

    def receive(asked: Asked) -> Answer:
        try:
            seen.append(payments.read_event(asked.body, asked.headers, server.now).customer_id)
        except WebhookRefused as refused:
            return Answer(status=refused.status)
        return Answer()

    customer = payments.create_customer(ADA)
    page = payments.order(an_order(customer))
    with ScriptedServer() as receiver:
        receiver.script("POST", "/billing/webhook", receive)
        server.webhook_url = f"{receiver.url}/billing/webhook"
        assert server.deliver() == [200, 200]
        assert page.url is not None
        subscription = server.complete(page.url)
        assert subscription is not None
        server.renew(subscription["id"], pays=False)
        of_all = server.events[2:]
        assert len(of_all) == 5
        former = payments.subscriptions(customer)
        assert set(server.deliver(*of_all[::-1], *of_all)) == {200}
        assert server.deliver(*of_all[:1], at=server.now - timedelta(hours=1)) == [401]
        assert server.deliver(*of_all[:1], secret=STRANGERS) == [401]
        assert server.deliver() == [200] * 5
        assert server.deliver() == []
    assert seen == [customer] * (2 + 10 + 5)
    assert payments.subscriptions(customer) == former


def test_an_event_keeps_what_was_so_when_it_happened(server: StripeBillingServer, event: dict[str, Any]) -> None:
    """As a delivery that comes late does: so it is the stub that can be relied upon above."""
    server.change(event["data"]["object"]["id"], status="unpaid")
    assert json.loads(server.signed(event).body)["data"]["object"]["status"] == "active"
