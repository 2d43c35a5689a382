"""Payments at localstripe, which others made: it is of former days, and knows no prices, pages or idempotency. What it
serves is read and verified as Stripe's."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from queue import Queue
from typing import Any
from uuid import UUID

import pytest
import stripe

from adapters.stripe.payments import StripePayments
from core.domain.billing import Subscription, SubscriptionStatus
from core.errors import PaymentsRefused, WebhookRefused
from tests.architecture.test_imports import ROOT
from tests.integration.stripe_support import ADA, EMAIL, TENANT
from tests.stubs.scripted_http import Answer, Asked, ScriptedServer
from tests.stubs.stripe_billing_server import SIGNED_BY

LET_IN = "sk_test_canary"
GOOD, DECLINED_LATER = "4242424242424242", "4000000000000341"
_SECONDS = 30.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.stubs.localstripe_server"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={"PYTHONPATH": str(ROOT)}
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            wait_for(url)
            yield url
        finally:
            process.kill()


def wait_for(url: str) -> None:
    """The port is there before it is served: what is asked waits."""
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{url}/v1/customers", timeout=_SECONDS)  # noqa: S310


@pytest.fixture
def payments(url: str) -> StripePayments:
    return StripePayments(LET_IN, SIGNED_BY, base_url=url)


class Shop:
    """What the owner of the account does there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = stripe.StripeClient(LET_IN, base_addresses={"api": url}, http_client=stripe.RequestsClient())

    def ask(self, method: str, path: str, **params: Any) -> Any:
        return self._client.raw_request(method, path, **params).data

    def plan(self, **fields: Any) -> str:
        wanted = {"amount": 2_900, "currency": "eur", "interval": "month", "product": {"name": "Team"}}
        return str(self.ask("post", "/v1/plans", **wanted | fields)["id"])

    def pays_by(self, customer: str, number: str) -> None:
        card = {"number": number, "exp_month": "12", "exp_year": "2040", "cvc": "123"}
        method = self.ask("post", "/v1/payment_methods", type="card", card=card)["id"]
        self.ask("post", f"/v1/payment_methods/{method}/attach", customer=customer)
        self.ask("post", f"/v1/customers/{customer}", invoice_settings={"default_payment_method": method})

    def subscribe(self, customer: str, plan: str) -> str:
        return str(self.ask("post", "/v1/subscriptions", customer=customer, items=[{"plan": plan}])["id"])

    def tells(self, receiver: str) -> None:
        form = f"url={receiver}&secret={SIGNED_BY}".encode()
        urllib.request.urlopen(f"{self._url}/_config/webhooks/ours", data=form, timeout=_SECONDS)  # noqa: S310


@pytest.fixture
def shop(url: str) -> Shop:
    return Shop(url)


def the_one(payments: StripePayments, customer: str) -> Subscription:
    (subscription,) = payments.subscriptions(customer) or ()
    return subscription


def test_a_customer_is_made_and_named(payments: StripePayments, shop: Shop) -> None:
    made = shop.ask("get", f"/v1/customers/{payments.create_customer(ADA)}")
    assert (made["name"], made["email"], made["metadata"]) == (ADA.name, EMAIL, {"tenant_id": str(TENANT)})


def test_subscriptions_are_read_from_their_beginning_to_their_end(payments: StripePayments, shop: Shop) -> None:
    customer = payments.create_customer(ADA)
    assert payments.subscriptions(customer) == []
    shop.pays_by(customer, GOOD)
    plan = shop.plan()
    id = shop.subscribe(customer, plan)
    subscription = the_one(payments, customer)
    assert (subscription.id, subscription.price_id) == (id, plan)
    assert subscription.status is SubscriptionStatus.ACTIVE
    assert timedelta(days=27) < subscription.period_end - subscription.period_start < timedelta(days=32)
    assert abs(datetime.now(UTC) - subscription.created_at) < timedelta(minutes=5)
    shop.ask("post", f"/v1/subscriptions/{id}", cancel_at_period_end=True)
    assert the_one(payments, customer).cancel_at == subscription.period_end
    shop.ask("delete", f"/v1/subscriptions/{id}")
    assert the_one(payments, customer).status is SubscriptionStatus.CANCELED


def test_another_plan_is_another_price(payments: StripePayments, shop: Shop) -> None:
    customer = payments.create_customer(ADA)
    shop.pays_by(customer, GOOD)
    id, larger = shop.subscribe(customer, shop.plan()), shop.plan(amount=9_900)
    shop.ask("post", f"/v1/subscriptions/{id}", items=[{"plan": larger}])
    assert the_one(payments, customer).price_id == larger


def test_a_first_payment_that_is_declined_leaves_an_open_bill(payments: StripePayments, shop: Shop) -> None:
    customer = payments.create_customer(ADA)
    shop.pays_by(customer, DECLINED_LATER)
    shop.subscribe(customer, shop.plan())
    subscription = the_one(payments, customer)
    assert subscription.status is SubscriptionStatus.INCOMPLETE
    (bill,) = payments.invoices(customer, 10)
    assert (bill.status, bill.total, bill.due) == ("open", Decimal("29.00"), Decimal("29.00"))


@pytest.mark.parametrize(("currency", "total"), [("eur", "29.00"), ("jpy", "2900")])
def test_bills_are_read(payments: StripePayments, shop: Shop, currency: str, total: str) -> None:
    customer = payments.create_customer(ADA)
    shop.pays_by(customer, GOOD)
    for _ in range(2):
        shop.subscribe(customer, shop.plan(currency=currency))
    bills = payments.invoices(customer, 10)
    assert [(bill.status, bill.currency, str(bill.total), bill.due) for bill in bills] == [
        ("paid", currency.upper(), total, 0)
    ] * 2
    assert all(bill.period_start < bill.period_end for bill in bills)
    assert len(payments.invoices(customer, 1)) == 1


def test_a_key_that_is_none_and_what_it_does_not_serve_are_refused(payments: StripePayments, url: str) -> None:
    with pytest.raises(PaymentsRefused, match="HTTP 404"):
        payments.subscriptions("cus_of_nobody")
    with pytest.raises(PaymentsRefused, match="HTTP 401"):
        StripePayments("none", SIGNED_BY, base_url=url).subscriptions("cus_of_nobody")


def test_what_it_signs_is_believed_under_its_secret_alone(payments: StripePayments, shop: Shop) -> None:
    came: Queue[Asked] = Queue()

    def receive(asked: Asked) -> Answer:
        came.put(asked)
        return Answer()

    expected = {"customer.created": False, "customer.subscription.created": True, "invoice.payment_succeeded": True}
    others = StripePayments(LET_IN, "whsec_canary_of_others")
    with ScriptedServer() as receiver:
        receiver.script("POST", "/webhook", receive)
        shop.tells(f"{receiver.url}/webhook")
        customer = payments.create_customer(replace(ADA, tenant_id=UUID(int=0x33)))
        shop.pays_by(customer, GOOD)
        shop.subscribe(customer, shop.plan())
        told: dict[str, bool] = {}
        while told.keys() < expected.keys():  # also of other tests' customers: it tells a second later
            asked = came.get(timeout=_SECONDS)
            event = payments.read_event(asked.body, asked.headers, datetime.now(UTC))
            if event.customer_id == customer and event.type in expected:
                told[event.type] = event.known
            with pytest.raises(WebhookRefused):
                others.read_event(asked.body, asked.headers, datetime.now(UTC))
    assert told == expected
