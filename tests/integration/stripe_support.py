"""A small Stripe with the prices of two plans, and what is asked of it in tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from adapters.stripe.payments import StripePayments
from core.domain.plans import Interval, catalog_from
from ports.payments import NewCustomer, Order
from tests.stubs.stripe_billing_server import SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_server import KEY

TENANT = UUID(int=0x11)
EMAIL = "ada@example.org"
ADA = NewCustomer(tenant_id=TENANT, name="Ada's Bakery", email=EMAIL)
BACK = "https://sortation.example/billing"
TEAM_PRICE, BUSINESS_PRICE = "price_team", "price_business"
TEAM, BUSINESS = (
    plan
    for plan in catalog_from(
        [
            {"key": key, "title": key, "prices": {"test": {"month": price}, "live": {"month": f"live_{price}"}}}
            for key, price in (("team", TEAM_PRICE), ("business", BUSINESS_PRICE))
        ]
    ).plans
    if "test" in plan.prices
)


def with_prices(server: StripeBillingServer) -> StripeBillingServer:
    server.add_price(TEAM_PRICE, amount=2_900)
    server.add_price(BUSINESS_PRICE, amount=9_900)
    return server


def payments_of(server: StripeBillingServer, **settings: Any) -> StripePayments:
    """Which tries once, unless the settings say otherwise."""
    asked = {"api_key": KEY, "webhook_secrets": SIGNED_BY, "base_url": server.url, "retries": 0}
    return StripePayments(**{**asked, **settings})


def an_order(customer: str, **fields: Any) -> Order:
    order = Order(
        tenant_id=TENANT,
        customer_id=customer,
        plan=TEAM,
        interval=Interval.MONTH,
        subscription_id=None,
        trial_days=0,
        success_url=f"{BACK}?done",
        cancel_url=BACK,
        key="order-1",
    )
    return replace(order, **fields)
