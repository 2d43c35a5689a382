"""What is Stripe's alone of payments there: what it is sent, its portal, and how what it has is read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe

from adapters.secrets.keys import KeyFile
from adapters.stripe.payments import StripePayments
from core.domain.billing import Subscription, SubscriptionStatus
from core.domain.payments import Purpose
from core.domain.plans import Interval, Meter
from core.errors import PaymentsRefused
from tests.integration.stripe_support import (
    ADA,
    BACK,
    BUSINESS,
    BUSINESS_PRICE,
    EMAIL,
    TEAM,
    TEAM_PRICE,
    TENANT,
    an_order,
    payments_of,
)
from tests.stubs.stripe_billing_server import StripeBillingServer
from tests.stubs.stripe_server import KEY


@pytest.fixture
def customer(payments: StripePayments) -> str:
    return payments.create_customer(ADA)


def the_page(server: StripeBillingServer) -> dict[str, Any]:
    """The session that was made last."""
    return list(server.sessions.values())[-1]


def the_first(payments: StripePayments, customer: str) -> Subscription:
    found = payments.subscriptions(customer)
    assert found is not None
    return found[0]


def test_a_customer_is_the_tenant_by_its_name(server: StripeBillingServer, customer: str) -> None:
    made = server.customers[customer]
    assert (made["name"], made["email"], made["metadata"]) == (ADA.name, EMAIL, {"tenant_id": str(TENANT)})


def test_requests_name_the_version_of_the_library_and_tell_nothing_of_this_machine(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    payments.subscriptions(customer)
    assert len(server.requests) == 4
    for request in server.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["stripe-version"] == stripe.api_version
        assert "x-stripe-client-telemetry" not in request.headers
        told = json.loads(request.headers["x-stripe-client-user-agent"])
        assert {"platform", "uname", "telemetry_id"}.isdisjoint(told)
    assert stripe.api_key is None


def test_an_order_is_a_page_that_asks_for_all_that_bills_need(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    payments.order(an_order(customer, trial_days=14))
    assert server.requests[-1].headers["idempotency-key"] == "order-1"
    page = the_page(server)
    assert (page["mode"], page["customer"], page["client_reference_id"]) == ("subscription", customer, str(TENANT))
    assert page["line_items"] == [{"price": TEAM_PRICE, "quantity": "1"}]
    assert page["subscription_data"] == {
        "metadata": {"tenant_id": str(TENANT), "plan": "team", "plan_version": "1"},
        "trial_period_days": "14",
    }
    assert (page["success_url"], page["cancel_url"]) == (f"{BACK}?done", BACK)
    assert page["customer_update"] == {"name": "auto", "address": "auto"}
    assert (page["billing_address_collection"], page["allow_promotion_codes"]) == ("required", "true")
    assert page["tax_id_collection"] == {"enabled": "true"}
    assert "automatic_tax" not in page
    payments.order(an_order(customer, key="order-2"))
    assert "trial_period_days" not in the_page(server)["subscription_data"]


def test_of_a_price_by_use_nobody_says_how_much_is_ordered(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    server.add_price("price_by_use", usage_type="metered")
    for price, bought in (
        ("price_by_use", {"price": "price_by_use"}),
        (TEAM_PRICE, {"price": TEAM_PRICE, "quantity": "1"}),
    ):
        sold = {"test": {Interval.MONTH: price}}
        plan = replace(TEAM, prices=sold, meters={Meter.RECORDS: "sortation_records"})
        payments.order(an_order(customer, plan=plan, key=price))
        assert the_page(server)["line_items"] == [bought]


def test_taxes_are_added_where_that_is_wanted(server: StripeBillingServer, customer: str) -> None:
    payments_of(server, automatic_tax=True).order(an_order(customer))
    assert the_page(server)["automatic_tax"] == {"enabled": "true"}


def test_another_plan_is_confirmed_for_the_item_that_is_the_plan(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    subscription = server.begin(customer, TEAM_PRICE)
    item = subscription["items"]["data"][0]
    order = an_order(customer, plan=BUSINESS, subscription_id=subscription["id"])
    payments.order(order)
    page = the_page(server)
    assert page["flow"] == {
        "type": "subscription_update_confirm",
        "subscription_update_confirm": {
            "subscription": subscription["id"],
            "items": [{"id": item["id"], "price": BUSINESS_PRICE}],
        },
        "after_completion": {"type": "redirect", "redirect": {"return_url": f"{BACK}?done"}},
    }
    assert page["return_url"] == BACK
    update = server.configurations[page["configuration"]]["features"]["subscription_update"]
    assert update["products"] == [{"product": f"prod_{BUSINESS_PRICE}", "prices": [BUSINESS_PRICE]}]
    assert (update["proration_behavior"], update["trial_update_behavior"]) == ("create_prorations", "continue_trial")
    server.advance(timedelta(days=15))
    server.complete(page["url"])
    server.renew(subscription["id"])
    assert payments.invoices(customer, 1)[0].total == Decimal("99.00") + Decimal("70.00") / 2


def test_who_orders_what_is_canceled_already_is_led_to_where_it_is_renewed(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    subscription = server.begin(customer, TEAM_PRICE)
    server.cancel(subscription["id"])
    payments.order(an_order(customer, subscription_id=subscription["id"]))
    page = the_page(server)
    assert (page["object"], page["flow"]) == ("billing_portal.session", None)


@pytest.mark.parametrize(
    ("purpose", "flow"),
    [
        (Purpose.MANAGE, None),
        (Purpose.PAYMENT_METHOD, {"type": "payment_method_update"}),
        (Purpose.CANCEL, {"type": "subscription_cancel"}),
    ],
)
def test_each_purpose_has_its_page(
    server: StripeBillingServer, payments: StripePayments, customer: str, purpose: Purpose, flow: Any
) -> None:
    subscription = server.begin(customer, TEAM_PRICE)
    payments.portal(customer, purpose, subscription["id"], BACK)
    page = the_page(server)
    if flow is not None:
        flow["after_completion"] = {"type": "redirect", "redirect": {"return_url": BACK}}
    if purpose is Purpose.CANCEL:
        flow["subscription_cancel"] = {"subscription": subscription["id"]}
    assert page["flow"] == flow
    assert (page["customer"], page["return_url"]) == (customer, BACK)


def test_the_portal_is_set_up_once_and_found_again(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    for _ in range(2):
        payments.portal(customer, Purpose.MANAGE, None, BACK)
    (configuration,) = server.configurations.values()
    assert configuration["features"] == {
        "customer_update": {"enabled": "true", "allowed_updates": ["address", "tax_id", "email"]},
        "invoice_history": {"enabled": "true"},
        "payment_method_update": {"enabled": "true"},
        "subscription_cancel": {"enabled": "true", "mode": "at_period_end"},
    }
    assert len(server.asked("/v1/billing_portal/configurations")) == 2
    server.routes.most_per_page = 2
    for _ in range(5):
        made = server.made("billing_portal.configuration", "bpc", active=True, metadata={}, features={})
        server.configurations[made["id"]] = made
    payments_of(server).portal(customer, Purpose.MANAGE, None, BACK)  # as after a start
    assert the_page(server)["configuration"] == configuration["id"]


def test_a_portal_that_somebody_put_out_of_use_is_set_up_anew(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    payments.portal(customer, Purpose.MANAGE, None, BACK)
    (former,) = server.configurations.values()
    former["active"] = False
    for asking in (payments, payments_of(server)):
        asking.portal(customer, Purpose.MANAGE, None, BACK)
        assert server.configurations[the_page(server)["configuration"]]["active"]
    assert len(server.configurations) == 2


def test_all_subscriptions_are_read_however_many_pages_they_fill(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    server.routes.most_per_page = 2
    made = [server.begin(customer, TEAM_PRICE)["id"] for _ in range(5)]
    server.cancel(made[0], at_period_end=False)
    found = payments.subscriptions(customer) or ()
    assert [one.id for one in found] == made[::-1]
    assert found[-1].status is SubscriptionStatus.CANCELED
    assert len(server.asked("/v1/subscriptions")) == 3


def test_bills_that_are_not_finished_are_left_out_and_the_newest_of_the_rest_are_read(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    server.routes.most_per_page = 2
    subscription = server.begin(customer, TEAM_PRICE)
    for _ in range(5):
        server.renew(subscription["id"])
    bills = server.bills(subscription["id"])
    bills[-1]["status"] = bills[-3]["status"] = "draft"
    assert [one.id for one in payments.invoices(customer, 3)] == [bills[n]["id"] for n in (-2, -4, -5)]


@pytest.mark.parametrize("ordered", [True, False])
def test_a_customer_who_was_deleted_is_gone_and_another_follows(
    server: StripeBillingServer, payments: StripePayments, customer: str, ordered: bool
) -> None:
    if ordered:
        server.begin(customer, TEAM_PRICE)
    assert len(payments.subscriptions(customer) or ()) == ordered
    for _ in range(2):  # in one day, for which Stripe gives the former one for the key of the tenant
        server.delete_customer(customer)
        assert payments.subscriptions(customer) is None
        former, customer = customer, payments.create_customer(ADA)
        assert customer != former
        assert customer == payments.create_customer(ADA)
        assert payments.subscriptions(customer) == []
    assert server.customers[customer]["name"] == ADA.name


def test_bills_that_are_added_do_not_begin_the_wait_for_the_first_anew(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    subscription = server.begin(customer, TEAM_PRICE)
    server.renew(subscription["id"], pays=False)
    due = server.now
    server.renew(subscription["id"], pays=False)
    assert the_first(payments, customer).past_due_since == due
    newest = server.bills(subscription["id"])[-1]
    newest["status"] = "uncollectible"
    assert the_first(payments, customer).past_due_since == due
    server.bills(subscription["id"])[-2]["status"] = "void"
    assert the_first(payments, customer).past_due_since == server.now
    server.pay(subscription["id"])
    server.bills(subscription["id"])[1]["status"] = "uncollectible"  # forgone for good: what came after it was paid
    server.renew(subscription["id"], pays=False)
    late = the_first(payments, customer)
    assert (late.status, late.past_due_since) == (SubscriptionStatus.PAST_DUE, server.now)


def test_a_bill_that_is_sent_is_due_on_its_day(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    subscription = server.begin(customer, TEAM_PRICE)
    server.renew(subscription["id"], pays=False)
    due = server.now + timedelta(days=30)
    server.bills(subscription["id"])[-1]["due_date"] = int(due.timestamp())
    assert the_first(payments, customer).past_due_since == due


def test_what_is_canceled_for_a_day_or_for_the_end_says_when(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    subscription = server.begin(customer, TEAM_PRICE)
    server.change(subscription["id"], cancel_at_period_end=True)
    leaving = the_first(payments, customer)
    assert leaving.cancel_at == leaving.period_end
    day = datetime(2026, 1, 20, tzinfo=UTC)
    server.change(subscription["id"], cancel_at_period_end=False, cancel_at=int(day.timestamp()))
    assert the_first(payments, customer).cancel_at == day


@pytest.mark.parametrize("status", list(SubscriptionStatus))
def test_each_status_is_known(
    server: StripeBillingServer, payments: StripePayments, customer: str, status: SubscriptionStatus
) -> None:
    subscription = server.begin(customer, TEAM_PRICE, pays=False)
    server.change(subscription["id"], status=status.value)
    found = the_first(payments, customer)
    assert found.status is status
    assert (found.past_due_since is not None) is (status is SubscriptionStatus.PAST_DUE)


def test_what_is_counted_by_use_is_not_the_plan(
    server: StripeBillingServer, payments: StripePayments, customer: str
) -> None:
    server.add_price("price_records")["recurring"]["usage_type"] = "metered"
    subscription = server.begin(customer, TEAM_PRICE)
    items = subscription["items"]["data"]
    items.insert(0, {**items[0], "id": "si_records", "price": server.prices["price_records"]})
    assert the_first(payments, customer).price_id == TEAM_PRICE


@pytest.mark.parametrize(
    ("currency", "amount"), [("jpy", "2900"), ("krw", "2900"), ("kwd", "2.900"), ("isk", "29.00"), ("usd", "29.00")]
)
def test_amounts_are_counted_as_stripe_counts_their_currency(
    server: StripeBillingServer, payments: StripePayments, customer: str, currency: str, amount: str
) -> None:
    server.add_price("price_there", currency=currency)
    subscription = server.begin(customer, "price_there")
    server.renew(subscription["id"], pays=False)
    unpaid, paid = payments.invoices(customer, 2)
    assert (paid.currency, str(paid.total), paid.due) == (currency.upper(), amount, 0)
    assert str(unpaid.due) == amount


def test_the_prices_are_those_of_the_kind_of_key_that_is_set_now(server: StripeBillingServer, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    payments = payments_of(server, api_key=KeyFile(file, ""))
    customer = payments.create_customer(ADA)
    assert payments.prices == "test"
    server.keys = {"sk_live_canary"}
    with pytest.raises(PaymentsRefused):
        payments.subscriptions(customer)
    file.with_suffix(".new").write_text("sk_live_canary\n")
    file.with_suffix(".new").replace(file)
    assert payments.prices == "live"
    assert payments.subscriptions(customer) == []
    server.add_price(f"live_{TEAM_PRICE}")
    payments.order(an_order(customer, plan=TEAM))
    assert the_page(server)["line_items"][0]["price"] == f"live_{TEAM_PRICE}"
