"""A tenant that orders and pays at a small Stripe, over the API alone: what it tells is signed, and fetched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from dependency_injector import providers

from adapters.memory.clock import FixedClock
from core.domain.plans import catalog_from
from entrypoints.container import Container
from tests.integration.api_support import Api
from tests.integration.billing_support import billed, order
from tests.integration.stripe_support import BUSINESS_PRICE, TEAM_PRICE
from tests.stubs.stripe_billing_server import SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_billing_state import Thing
from tests.stubs.stripe_server import KEY

FORMER = "whsec_canary_former"
PLANS = catalog_from(
    [
        {"key": "free", "title": "Free", "limits": {"records": 3}},
        {"key": "team", "title": "Team", "limits": {"records": 10}, "prices": {"test": {"month": TEAM_PRICE}}},
        {"key": "business", "title": "Business", "prices": {"test": {"month": BUSINESS_PRICE}}},
    ]
)


def at_stripe(
    make_container: Callable[..., Container], server: StripeBillingServer, clock: FixedClock, **settings: Any
) -> Api:
    """A tenant of an installation that is paid there; keyword arguments are settings."""
    given = {
        "plans": PLANS,
        "stripe_api_key": KEY,
        "stripe_base_url": server.url,
        "stripe_webhook_secrets": f"{SIGNED_BY} {FORMER}",
    }
    api = billed(make_container, **{**given, **settings})
    api.container.clock.override(providers.Object(clock))
    return api


def send(api: Api, server: StripeBillingServer, event: Thing, **signed: Any) -> Any:
    """What the webhook answers to the event."""
    delivery = server.signed(event, **signed)
    return api.client.post("/api/v1/billing/webhook", data=delivery.body, headers=delivery.headers)


def told_all(api: Api, server: StripeBillingServer) -> None:
    """Everything that happened there is told here, and looked at."""
    for event in server.events:
        assert send(api, server, event).status_code == 200
    api.drain()


def bought(api: Api, server: StripeBillingServer, plan: str = "team") -> str:
    """The id of the subscription that was ordered and paid, of which nothing is told yet."""
    subscription = server.complete(order(api, plan)["url"])
    assert subscription is not None
    return str(subscription["id"])


def later(server: StripeBillingServer, clock: FixedClock, by: timedelta = timedelta()) -> None:
    """It is so much later than it is at Stripe, there as here."""
    clock.set(server.advance(by))
