"""Billing at the console: what people see of their plan, and where its buttons lead."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from dependency_injector import providers

from adapters.memory.clock import FixedClock
from adapters.system.kept import KeptByKey
from core.domain.permissions import Role
from core.domain.plans import Meter, catalog_from
from core.usecases.shared.people import operator
from entrypoints.container import Container
from tests.integration.api_support import Api
from tests.integration.billing_pages import ordered, page_of, portal, text_of
from tests.integration.billing_support import OPERATOR, billed, bring_in, give, lapse, order, paid_until, pay, refresh
from tests.integration.console_support import HOSTILE, browser_of, is_harmless

pytestmark = pytest.mark.slow


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    """A tenant that pays by invoice."""
    return billed(make_container)


def test_where_nobody_pays_the_page_says_so_and_leads_nowhere(make_container: Callable[..., Container]) -> None:
    api = billed(make_container, base_plan="unlimited", plans=catalog_from([{"key": "team", "title": "Team"}]))
    bring_in(api, 5)
    owner = browser_of(api, Role.OWNER)
    page = owner.open("/billing")
    said = text_of(page)
    assert "Nothing is limited here, and nothing is to be paid" in said
    assert "Records sorted 5 records · no limit" in said
    for path in ("/billing/checkout", "/billing/portal", "/billing/plans", "/billing/invoices"):
        assert path not in page.text
    assert "No plans are sold here" in page_of(owner, "/billing/plans")


def test_usage_is_shown_with_what_it_comes_to_and_where_people_are_told(
    make_container: Callable[..., Container],
) -> None:
    api = billed(make_container)
    api.container.clock.override(providers.Object(FixedClock(datetime.now(UTC).replace(day=11, hour=0, minute=0))))
    now = api.container.clock().now()
    give(api, "team")
    with api.container.uow().begin(api.actor) as tx:
        tx.usages.take(Meter.RECORDS, now.date().replace(day=1), 8, None)
        tx.usages.take(Meter.RECORDS, (now.date().replace(day=1) - timedelta(days=1)).replace(day=1), 4_711, None)
        tx.commit()
    page = browser_of(api, Role.ADMIN).open("/billing")
    said = text_of(page)
    assert "Records sorted 8 of 10 records · 80 %" in said
    assert "80 % are reached" in said
    assert re.search(r"forecast 2[0-9] by the end of \w+: more than the plan holds", said)
    assert "goes on to 12, and ends there" in said
    assert "The marks are at 80 and 100 %" in said
    assert "Language model 0.00 USD of 2.50 USD · 0 %" in said
    assert "Connections 0 of 2 connections" in said
    assert "Seats 2 of 3 seats · 67 %" in said
    assert "4,711" in said
    assert 'x1="66.67%"' in page.text, "the mark of 80 % of 10, in a bar that ends at 12"
    assert 'class="gauge-used" x="0" y="3" width="66.67%"' in page.text
    assert "style=" not in page.text


def test_what_is_held_and_why_and_what_releases_it(api: Api) -> None:
    bring_in(api, 5)
    said = page_of(browser_of(api, Role.OWNER))
    assert "This month's 3 records are used up: 2 records are held until" in said
    assert "Held records 2: stored, and sorted when there is room, at the latest on 1 " in said
    assert "Choose a plan that holds more" in said
    assert "all of it is used" in said


def test_plans_stand_beside_what_is_used(api: Api) -> None:
    give(api, "tried")
    bring_in(api, 5)
    owner = browser_of(api, Role.OWNER)
    said = page_of(owner, "/billing/plans")
    assert "Free Records a month 3 5 are used this month Language model none Connections 1 Seats 2" in said
    assert "Records are kept 730 days older ones are deleted once you have had the plan for 30 days" in said
    assert re.search(r"Team Records a month 10, at most 12 .*Evaluations yes Order it, by the month", said)
    assert "Tried your plan Records a month 100" in said
    assert "14 days to try it before the first payment" in said


def test_an_order_by_hand_is_noted_paid_and_shown(api: Api) -> None:
    owner = browser_of(api, Role.OWNER)
    answer = ordered(owner)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/billing/back?from=order")
    assert "Your order is noted. You get an invoice" in text_of(owner.open("/billing/back?from=order"))
    api.drain()
    said = page_of(owner)
    assert "An order waits for its payment." in said
    assert "What to do: Pay its invoice, or take the order back." in said
    pay(api, number=HOSTILE)
    said = page_of(owner)
    assert "The plan Team is paid." in said
    assert "Ordered Team, by the month State paid Paid until " in said
    invoices = owner.open("/billing/invoices")
    assert is_harmless(invoices)
    assert "49.00 EUR paid" in text_of(invoices)


def test_who_cancels_by_hand_may_keep_the_plan_after_all(api: Api) -> None:
    owner = browser_of(api, Role.OWNER)
    order(api)
    pay(api)
    assert "Cancel the plan" in page_of(owner)
    assert portal(owner, "cancel").headers["Location"] == "/billing/back?from=cancel"
    api.drain()
    said = page_of(owner)
    assert "is not renewed" in said
    assert "Cancel the plan" not in said
    assert "Keep the plan" in said
    assert ordered(owner).status_code == 303
    api.drain()
    said = page_of(owner)
    assert "is not renewed" not in said
    assert "Cancel the plan" in said


@pytest.fixture
def earlier(make_container: Callable[..., Container]) -> Api:
    """A tenant that bought a version of a plan that is sold no more."""
    team = {"key": "team", "title": "Team"}
    written = [
        {"key": "free", "title": "Free", "limits": {"records": 3}},
        {**team, "limits": {"records": 10}},
        {**team, "version": 2, "limits": {"records": 20}},
    ]
    api = billed(make_container, plans=catalog_from(written))
    order(api)
    paid_until(api, api.container.clock().now() + timedelta(days=20))
    refresh(api)
    return api


def test_an_earlier_version_of_a_plan_is_another_one(earlier: Api) -> None:
    owner = browser_of(earlier, Role.OWNER)
    assert "Records sorted 0 of 10 records" in page_of(owner)
    said = page_of(owner, "/billing/plans")
    assert "your plan" not in said, "which has other limits"
    assert "Team You have an earlier version of it, which stays as it is until you change. Records a month 20" in said
    assert "Change to it, by the month" in said
    back = "/billing/back?from=checkout&plan=team&interval=month"
    assert "Team is yours." not in page_of(owner, back)
    assert owner.open(back.replace("back?", "back/state?")).json["there"] is False
    ordered(owner)
    pay(earlier)
    assert "Team is yours." in page_of(owner, back)
    said = page_of(owner, "/billing/plans")
    assert "Team your plan Records a month 20" in said
    assert ("an earlier version" in said, "Change to it, by the month" in said) == (False, False)


def test_an_earlier_version_is_not_kept_by_ordering_another_one(earlier: Api) -> None:
    owner = browser_of(earlier, Role.OWNER)
    portal(owner, "cancel")
    earlier.drain()
    page = owner.open("/billing")
    assert "is not renewed" in text_of(page)
    assert "Keep the plan" not in page.text
    assert 'href="/billing/plans">See what you can have after it<' in page.text
    assert 'action="/billing/checkout"' not in page.text


def test_who_ended_a_plan_takes_the_one_without_payment(api: Api) -> None:
    clock = FixedClock(api.container.clock().now())
    api.container.clock.override(providers.Object(clock))
    owner = browser_of(api, Role.OWNER)
    order(api, "tried")
    assert "Tried on trial The plan Tried is tried until " in page_of(owner)
    assert "The first payment is due on" in page_of(owner)
    assert "To be had when the present plan has ended" in page_of(owner, "/billing/plans")
    refused = ordered(owner, "free")
    assert (refused.status_code, "a subscription runs" in text_of(refused)) == (409, True)
    portal(owner, "cancel")
    api.drain()
    clock.advance(timedelta(days=15))
    owner.sign_in(email="owner@example.org")
    api.post("/billing/refresh", None, 202)
    api.drain()
    said = page_of(owner)
    assert "The subscription of the plan Tried has ended." in said
    assert "It has been read-only since " in said
    assert "Choose a plan, the one without payment or another one. Nothing was deleted." in said
    assert "Take it" in page_of(owner, "/billing/plans")
    assert ordered(owner, "free").headers["Location"] == "/billing"
    assert "Free The plan Free is that of who has no subscription." in page_of(owner)


def test_who_is_read_only_is_told_on_every_page(api: Api) -> None:
    lapse(api)
    owner, viewer = browser_of(api, Role.OWNER), browser_of(api, Role.VIEWER)
    for path in ("/", "/records", "/rules", "/connections", "/account", "/billing/invoices"):
        page = owner.open(path)
        assert re.search(r"Read-only since .* A payment for the plan Team is missing for longer", text_of(page)), path
        assert 'href="/billing">What to do<' in page.text
    for path in ("/", "/records", "/rules", "/connections", "/account"):
        page = viewer.open(path)
        said = text_of(page)
        assert "nothing can be changed, and what comes in is held. An owner can put that right." in said, path
        assert "A payment" not in said
        assert "/billing" not in page.text
    refused = owner.send("/account", {}, "/categories/new")
    assert refused.status_code == 402
    assert "The plan does not allow this" in refused.text
    assert "see billing." in refused.text
    assert 'href="/billing"' in refused.text
    said = page_of(owner)
    assert "It has been read-only since " in said
    assert "Pay the invoice that is open, which the operator notes then." in said
    pay(api, days=60)
    assert "Read-only" not in page_of(owner, "/records")


def test_whether_a_tenant_is_read_only_is_asked_once_in_a_while(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = browser_of(api, Role.OWNER)
    container = api.container
    container.kept.override(providers.Object(KeptByKey(seconds=60.0, most=10)))
    begun = []
    uow = container.uow()
    begin = uow.begin
    monkeypatch.setattr(uow, "begin", lambda actor: begun.append(actor) or begin(actor))
    counts = []
    for _ in range(3):
        owner.open("/account")
        counts.append(len(begun))
    first, second, third = counts[0], counts[1] - counts[0], counts[2] - counts[1]
    assert (first - second, second, third) == (1, third, second)


def test_a_plan_that_is_given_says_why(api: Api) -> None:
    container = api.container
    reason = "<script>alert(1)</script> <img src=x onerror=alert(1)>"
    until = container.clock().now() + timedelta(days=30)
    container.comp_plan(operator(api.tenant_id, OPERATOR), plan="team", until=until, reason=reason)
    page = browser_of(api, Role.OWNER).open("/billing")
    assert is_harmless(page)
    said = text_of(page)
    assert "Team given by the operator The operator gave the plan Team until " in said
    assert "Why: <script>alert(1)</script>" in said


def test_titles_of_plans_are_text(make_container: Callable[..., Container]) -> None:
    written = [{"key": "free", "title": f"Free {HOSTILE}"}, {"key": "team", "title": HOSTILE, "limits": {"records": 9}}]
    api = billed(make_container, plans=catalog_from(written))
    owner = browser_of(api, Role.OWNER)
    for path in ("/billing", "/billing/plans"):
        assert is_harmless(owner.open(path)), path
    assert is_harmless(owner.open("/billing/back?from=checkout&plan=team&interval=month"))
    lapse(api)
    assert is_harmless(owner.open("/records"))


def test_addresses_prove_nothing(api: Api) -> None:
    owner = browser_of(api, Role.OWNER)
    for query in ("plan=gold&interval=month", "plan=team&interval=week", f"plan={HOSTILE}&from={HOSTILE}", ""):
        page = owner.open(f"/billing/back?{query}")
        assert page.status_code == 200
        assert "is yours" not in text_of(page)
        assert "<script>alert" not in page.text
        assert "<img src" not in page.text
        assert owner.open(f"/billing/back/state?{query}").status_code == 200
    assert "is yours" not in page_of(owner, "/billing/back?from=checkout&plan=team&interval=month").split("As soon")[0]


def test_an_answer_that_was_asked_for_before_somebody_came_back_is_none(api: Api) -> None:
    clock = FixedClock(datetime(2026, 3, 1, tzinfo=UTC))
    api.container.clock.override(providers.Object(clock))
    owner = browser_of(api, Role.OWNER)
    refresh(api)
    asked_before = clock.now()
    clock.advance(timedelta(seconds=5))
    poll = unescape(re.findall('data-back="(.*?)"', owner.open("/billing/back?from=cancel").text)[0])
    clock.advance(timedelta(seconds=5))
    with api.container.uow().begin(api.actor) as tx:  # its answer arrives only now
        account = tx.billing.get(lock=True)
        late = replace(account, fetched_at=asked_before + timedelta(seconds=1))
        tx.billing.put(late, changes_at=None)
        tx.commit()
    assert owner.open(poll).json["answered"] is False
    refresh(api)
    assert owner.open(poll).json["answered"] is True


def test_what_cannot_be_asked_for_is_said_on_the_page(api: Api) -> None:
    owner = browser_of(api, Role.OWNER)
    cases: list[tuple[str, dict[str, str]]] = [
        ("/billing/checkout", {"plan": "gold"}),
        ("/billing/checkout", {"plan": HOSTILE}),
        ("/billing/checkout", {"plan": "team", "interval": "week"}),
        ("/billing/checkout", {}),
        ("/billing/portal", {"purpose": "refund"}),
        ("/billing/portal", {}),
    ]
    for to, fields in cases:
        refused = owner.send("/billing", fields, to)
        assert refused.status_code == 422, (to, fields)
        assert 'role="alert"' in refused.text
        assert "<script>alert" not in refused.text


def test_tenants_see_their_own(make_container: Callable[..., Container]) -> None:
    mine, other = billed(make_container, "Mine"), billed(make_container, "Other")
    order(other)
    pay(other, number="OTHERS-1")
    owner = browser_of(mine, Role.OWNER)
    assert "The plan Free is that of who has no subscription." in page_of(owner)
    assert "OTHERS-1" not in page_of(owner, "/billing/invoices")


def test_earlier_invoices_are_a_click_away(api: Api) -> None:
    owner = browser_of(api, Role.OWNER)
    assert "No invoices yet" in page_of(owner, "/billing/invoices")
    order(api)
    for n in range(1, 14):
        pay(api, days=30 * n, number=f"N-{n:02}")
    page = owner.open("/billing/invoices")
    assert ("N-13" in page.text, "N-01" in page.text) == (True, False)
    assert 'href="/billing/invoices?all"' in page.text
    page = owner.open("/billing/invoices?all")
    assert ("N-13" in page.text, "N-01" in page.text, "Show earlier" in page.text) == (True, True, False)
