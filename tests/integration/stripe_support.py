"""A small Stripe with the prices of two plans, and what is asked of it in tests."""

from __future__ import annotations

from typing import Any

from adapters.stripe.payments import StripePayments
from core.domain.plans import catalog_from
from ports.payments import NewCustomer, Order
from tests.contract.payment_peers import BACK as BACK
from tests.contract.payment_peers import TENANT as TENANT
from tests.contract.payment_peers import an_order as an_order_anywhere
from tests.stubs.stripe_billing_server import SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_server import KEY

EMAIL = "ada@example.org"
ADA = NewCustomer(tenant_id=TENANT, name="Ada's Bakery", email=EMAIL)
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
    return an_order_anywhere(customer, **{"plan": TEAM, **fields})
