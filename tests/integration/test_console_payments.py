"""Payments at the console, by a provider that has pages of its own: there and back, and what it says of them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from dependency_injector import providers

from adapters.memory.clock import FixedClock
from core.domain.permissions import Role
from entrypoints.container import Container
from tests.integration.api_support import Api
from tests.integration.billing_pages import led_to, ordered, page_of, portal, text_of
from tests.integration.billing_support import HERE
from tests.integration.console_support import browser_of
from tests.integration.stripe_support import payments_of
from tests.integration.stripe_tenant import at_stripe, bought, told_all
from tests.stubs.stripe_billing_server import StripeBillingServer


@pytest.fixture
def at(make_container: Callable[..., Container], server: StripeBillingServer, clock: FixedClock) -> Api:
    """A tenant that pays at Stripe."""
    return at_stripe(make_container, server, clock)


def test_an_order_leads_to_stripe_and_back(at: Api, server: StripeBillingServer) -> None:
    owner = browser_of(at, Role.OWNER)
    assert "What a plan costs is shown at Stripe before you pay" in page_of(owner, "/billing/plans")
    answer = ordered(owner)
    url = led_to(answer)
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
    session = server.sessions[url]
    assert session["cancel_url"] == f"{HERE}/billing/plans?canceled"
    back = session["success_url"].removeprefix(HERE)
    assert "You came back without an order" in page_of(owner, "/billing/plans?canceled")
    waiting = owner.open(back)
    assert "Stripe is asked whether Team is paid…" in text_of(waiting)
    poll = html.unescape(re.search(r'data-back="([^"]+)"', waiting.text)[1])  # type: ignore[index]
    assert owner.open(poll).json == {
        "there": False,
        "answered": False,
        "words": "The plan Free is that of who has no subscription.",
    }
    assert owner.send("/account", {}, "/billing/refresh").headers["Location"] == "/billing"
    at.drain()
    asked = owner.open(poll)
    assert (asked.json["there"], asked.json["answered"]) == (False, True)
    server.complete(url)
    told_all(at, server)
    assert owner.open(poll).json == {"there": True, "answered": True, "words": "The plan Team is paid."}
    etag = owner.open(poll).headers["ETag"]
    again = owner.client.get(poll, base_url=HERE, headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert "Team is yours." in page_of(owner, back)
    said = page_of(owner)
    assert "Ordered Team, by the month State paid Next invoice " in said
    [invoice] = at.get("/billing/invoices")["items"]
    page = owner.open("/billing/invoices")
    assert f'href="{invoice["url"]}"' in page.text
    assert "29.00 EUR paid" in text_of(page)


def test_a_plan_is_changed_with_the_days_that_are_left_and_canceled(at: Api, server: StripeBillingServer) -> None:
    subscription = bought(at, server)
    told_all(at, server)
    owner = browser_of(at, Role.OWNER)
    assert "Change to it, by the month" in page_of(owner, "/billing/plans")
    server.complete(led_to(ordered(owner, "business")))
    told_all(at, server)
    assert "Ordered Business, by the month" in page_of(owner)
    assert server.subscriptions[subscription]["items"]["data"][0]["price"]["unit_amount"] == 9_900
    server.complete(led_to(portal(owner, "cancel")))
    back = server.sessions[led_to(portal(owner, "manage"))]["return_url"]
    assert dict(parse_qsl(urlsplit(back).query)) == {"from": "manage"}
    told_all(at, server)
    said = page_of(owner)
    assert "is not renewed" in said
    assert "Keep the plan: renew it at Stripe" in said
    assert "Cancel the plan" not in said
    server.renew(subscription)
    told_all(at, server)
    assert "The subscription of the plan Business has ended." in page_of(owner)


def test_a_missing_payment_says_until_when_and_what_to_do(
    at: Api, server: StripeBillingServer, clock: FixedClock
) -> None:
    subscription = bought(at, server)
    told_all(at, server)
    server.renew(subscription, pays=False)
    clock.set(server.now)
    told_all(at, server)
    owner, viewer = browser_of(at, Role.OWNER), browser_of(at, Role.VIEWER)
    said = page_of(owner)
    assert re.search(
        r"A payment for the plan Team is missing\. Everything goes on until \d+ \w+ \d{4}; after that", said
    )
    assert "What to do: Check the way to pay at Stripe" in said
    assert "Due since" in said
    assert led_to(portal(owner, "payment_method")) in server.sessions
    assert "A payment is missing. A payment for the plan Team is missing." in page_of(owner, "/records")
    assert "A payment" not in page_of(viewer, "/records"), "who sees no billing is not told before it matters"
    server.change(subscription, status="unpaid")
    told_all(at, server)
    said = page_of(owner)
    assert "The plan Team is not paid, and its payment is not tried again." in said
    assert "Pay the open invoice, and check the way to pay at Stripe" in said
    assert "Choose a plan" not in said
    assert "A payment is missing: make that first." in page_of(owner, "/billing/plans")
    refused = ordered(owner, "business")
    assert (refused.status_code, "a payment is missing" in text_of(refused)) == (409, True)
    assert "29.00 EUR to be paid" in page_of(owner, "/billing/invoices")


def test_stripe_away_is_said_and_the_rest_is_there(at: Api, server: StripeBillingServer) -> None:
    bought(at, server)
    told_all(at, server)
    owner = browser_of(at, Role.OWNER)
    at.container.payments.override(providers.Object(payments_of(server)))  # which tries once
    server.behave(*["500"] * 3)
    away = owner.open("/billing/invoices")
    assert away.status_code == 503
    assert 'role="alert"' in away.text
    assert "No invoices yet" not in away.text
    assert ordered(owner, "business").status_code == 503
    assert portal(owner, "manage").status_code == 503
    assert "The plan Team is paid." in page_of(owner)


def test_admins_look_on_and_others_see_nothing(at: Api, server: StripeBillingServer) -> None:
    bought(at, server)
    told_all(at, server)
    admin, reviewer = browser_of(at, Role.ADMIN), browser_of(at, Role.REVIEWER)
    for path in ("/billing", "/billing/plans", "/billing/invoices", "/billing/back"):
        page = admin.open(path)
        assert page.status_code == 200
        assert not re.search(r'action="/billing', page.text)
        assert "data-may-ask" not in page.text
        assert reviewer.open(path).status_code == 403
    assert "Owners choose the plan" in page_of(admin)
    assert 'href="/billing"' not in reviewer.open("/records").text
    for to in ("/billing/checkout", "/billing/portal", "/billing/refresh"):
        assert admin.send("/account", {"plan": "team", "purpose": "cancel"}, to).status_code == 403


def test_a_price_that_no_plan_has_limits_nothing_and_is_the_operators_to_mend(
    at: Api, server: StripeBillingServer
) -> None:
    subscription = bought(at, server)
    server.add_price("price_of_old")
    server.change_price(subscription, "price_of_old")
    told_all(at, server)
    said = page_of(browser_of(at, Role.OWNER))
    assert "nothing is limited until the operator has put that right" in said
    assert "What to do: Tell who runs this installation" in said
    assert "Ordered a price that no plan here has" in said
