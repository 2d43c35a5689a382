"""From the limit of a plan to another one, as an owner goes: the limit, the provider's page, and back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import Person, person
from tests.e2e.console.conftest import join
from tests.integration.stripe_support import BUSINESS_PRICE, TEAM_PRICE, with_prices
from tests.stack import OPERATOR_KEY, Stack, running_stack
from tests.stubs.stripe_billing_server import SIGNED_BY, StripeBillingServer
from tests.stubs.stripe_billing_state import PAGES
from tests.stubs.stripe_server import KEY

pytestmark = pytest.mark.slow
LIMIT, RECORDS = 5, 8
PLANS = [
    {"key": "free", "title": "Free", "limits": {"records": LIMIT}},
    {"key": "team", "title": "Team", "limits": {"records": 50_000}, "prices": {"test": {"month": TEAM_PRICE}}},
    {"key": "business", "title": "Business", "prices": {"test": {"month": BUSINESS_PRICE}}},
]
STATEMENT = "Date;Description;Amount;Currency\n" + "".join(
    f"2026-03-{n:02};NETFLIX.COM {n};-{n}.99;EUR\n" for n in range(1, RECORDS + 1)
)


@pytest.fixture(scope="module")
def provider() -> Iterator[StripeBillingServer]:
    with StripeBillingServer() as server:
        yield with_prices(server)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, provider: StripeBillingServer) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("billing"),
        SORTATION_EMBEDDINGS="off",
        SORTATION_PLANS=json.dumps(PLANS),
        SORTATION_STRIPE_API_KEY=KEY,
        SORTATION_STRIPE_BASE_URL=provider.url,
        SORTATION_STRIPE_WEBHOOK_SECRETS=SIGNED_BY,
        SORTATION_PAYMENT_DELAY_SECONDS="0",
        SORTATION_RATE_LIMIT="100000/minute",
        SORTATION_SIGN_IN_LIMIT="1000/minute",
    ) as stack:
        provider.webhook_url = f"{stack.url}/api/v1/billing/webhook"
        yield stack


@pytest.fixture
def visitor(stack: Stack, provider: StripeBillingServer, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    """An owner of a tenant of their own, for whom the provider's pages are links: to do what one is asked there, and
    to leave it."""
    provider.now = datetime.now(UTC)  # what it signs is fresh
    stack.new_tenant("Harbour Books")
    with person(browser, stack.url, size) as visitor:
        visitor.page.route(f"{PAGES}**", lambda route: show_there(route, provider))
        join(stack, visitor, "owner", name=f"pays-{size[0]}")
        yield visitor


def show_there(route: Route, provider: StripeBillingServer) -> None:
    session = provider.sessions[route.request.url]
    flow = session.get("flow") or {}
    left = session.get("cancel_url") or session["return_url"]
    after = flow.get("after_completion", {}).get("redirect", {}).get("return_url")
    well = session.get("success_url") or after or left
    body = f'<!doctype html><title>Pay</title><a href="{well}">Confirm</a> <a href="{left}">Leave</a>'
    route.fulfill(body=body.replace("&", "&amp;"), content_type="text/html")


def confirm(page: Page, provider: StripeBillingServer, told: bool = True) -> None:
    """Does what the provider's page asks for; it tells that or not."""
    page.wait_for_url(f"{PAGES}**")
    provider.complete(page.url)
    if told:
        assert set(provider.deliver()) == {200}
    page.get_by_role("link", name="Confirm").click()


def warned_of(visitor: Person, path: str) -> bool:
    visitor.open(path)
    return visitor.page.get_by_role("note").count() == 1


def test_an_owner_upgrades_at_the_limit(stack: Stack, provider: StripeBillingServer, visitor: Person) -> None:
    page = visitor.page
    stack.upload(STATEMENT.encode())
    stack.wait_until(stack.idle)
    visitor.open("/")
    page.keyboard.type("gb")
    expect(
        page.get_by_text(f"This month's {LIMIT} records are used up: {RECORDS - LIMIT} records are held")
    ).to_be_visible()
    expect(page.get_by_text(f"{LIMIT} of {LIMIT} records")).to_be_visible()
    assert visitor.faults() == []

    page.get_by_role("link", name="Choose a plan").press("Enter")
    team = page.get_by_role("button", name="Order it, by the month").first
    expect(team).to_have_accessible_description("Team")
    assert visitor.faults() == []
    team.press("Enter")
    page.wait_for_url(f"{PAGES}checkout/**")
    page.get_by_role("link", name="Leave").click()
    expect(page.get_by_text("You came back without an order")).to_be_visible()
    assert stack.call("GET", "/api/v1/billing")[1]["plan"]["key"] == "free"

    page.get_by_role("button", name="Order it, by the month").first.press("Enter")
    confirm(page, provider, told=False)
    expect(page.get_by_role("status").filter(has_text="Team is yours.")).to_be_visible()
    expect(page.get_by_text("The plan Team is paid.")).to_be_visible()
    on = page.get_by_role("link", name="Go on to Billing")
    expect(on).to_be_focused()
    assert visitor.faults() == []
    on.press("Enter")
    expect(page.get_by_role("heading", name="Team", level=2)).to_be_visible()
    stack.wait_until(lambda: stack.call("GET", "/api/v1/billing")[1]["held"] == 0)
    page.reload()
    expect(page.get_by_text(f"{RECORDS} of 50,000 records")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("link", name="Invoices", exact=True).click()
    expect(page.get_by_role("link", name="STUB-")).to_have_attribute("href", re.compile(f"^{PAGES}invoices/"))
    expect(page.get_by_text("29.00 EUR")).to_be_visible()
    assert visitor.faults() == []


def test_a_plan_is_changed_canceled_and_ends(stack: Stack, provider: StripeBillingServer, visitor: Person) -> None:
    page = visitor.page
    order = {"plan": "team", "success_url": stack.url, "cancel_url": stack.url}
    status, made = stack.call("POST", "/api/v1/billing/checkout", order)
    assert status == 200, made
    subscription = provider.complete(made["url"])
    assert subscription is not None
    assert set(provider.deliver()) == {200}
    stack.wait_until(lambda: stack.call("GET", "/api/v1/billing")[1]["plan"]["key"] == "team")

    visitor.open("/billing/plans")
    page.get_by_role("button", name="Change to it, by the month").click()
    confirm(page, provider)
    expect(page.get_by_role("status").filter(has_text="Business is yours.")).to_be_visible()
    page.get_by_role("link", name="Go on to Billing").click()
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Cancel the plan").click()
    confirm(page, provider)
    expect(page.get_by_text("This is what Stripe says now.")).to_be_visible()
    expect(page.get_by_text("is not renewed")).to_be_visible()
    page.get_by_role("link", name="Go on to Billing").click()
    expect(page.get_by_role("button", name="Keep the plan: renew it at Stripe")).to_be_visible()
    assert visitor.faults() == []

    provider.change(subscription["id"], event="deleted", status="canceled")
    assert set(provider.deliver()) == {200}
    stack.wait_until(lambda: stack.call("GET", "/api/v1/billing")[1]["access"] == "read_only")
    warned = page.get_by_role("note").filter(has_text="Read-only")
    stack.wait_until(lambda: warned_of(visitor, "/categories"))  # pages know it some seconds later
    expect(warned).to_contain_text("The subscription of the plan Business has ended.")
    assert visitor.faults() == []
    warned.get_by_role("link", name="What to do").click()
    expect(page.get_by_text("Choose a plan, the one without payment or another one.")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("link", name="Choose a plan").click()
    page.get_by_role("button", name="Take it").click()
    expect(page.get_by_text("This plan is yours now.")).to_be_visible()
    expect(page.get_by_role("heading", name="Free", level=2)).to_be_visible()
    given = {"plan": "business", "reason": "a pilot", "until": None}
    assert stack.call("PUT", f"/api/v1/tenants/{stack.tenant_id}/comp", given, key=OPERATOR_KEY)[0] == 200
    page.reload()
    expect(page.get_by_text("Why: a pilot")).to_be_visible()
