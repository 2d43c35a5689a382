"""Reports, as people ask for them, watch them being made, read them and have them made by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PHONE, Person, person
from tests.e2e.console.conftest import join
from tests.stack import Stack

pytestmark = pytest.mark.slow
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
STATEMENT = f"""\
Date;Description;Amount;Currency
2026-03-02;NETFLIX.COM 866-579;-12.99;EUR
2026-03-31;VUMBA LOHN;2500.00;EUR
2026-04-01;{HOSTILE.replace('"', "'")};-30.05;EUR
2026-04-15;PLIRT WERKE;-19.99;USD
""".encode()


@pytest.fixture
def visitor(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    """An owner of a tenant of their own, with a statement."""
    stack.new_tenant("Harbour Books")
    stack.upload(STATEMENT)
    stack.wait_until(stack.idle)
    with person(browser, stack.url, size) as visitor:
        join(stack, visitor, "owner", name=f"reports-{size[0]}-{stack.tenant_id[-8:]}")
        yield visitor


def test_a_report_is_asked_for_by_keyboard_watched_and_read(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    visitor.open("/")
    page.keyboard.type("ga")
    expect(page.get_by_role("heading", name="No report was made yet")).to_be_visible()
    assert visitor.faults() == []
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Cash flow")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/reports/new?kind=cash_flow")
    expect(page.get_by_label("First day")).to_be_hidden()
    page.get_by_label("Name", exact=True).fill("The spring")
    page.get_by_label("Period").select_option("days")
    page.get_by_label("First day").fill("2026-03-01")
    assert visitor.faults() == []
    page.get_by_label("First day").press("Enter")
    last = page.get_by_label("Last day")
    expect(last).to_be_focused()
    expect(last).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("First day")).to_have_value("2026-03-01")
    assert visitor.faults() == []
    last.fill("2026-04-30")
    page.get_by_role("button", name="Make it now").press("Enter")
    page.wait_for_url("**/reports/*-*")
    expect(page.get_by_role("heading", name="In all")).to_be_visible()
    expect(page.get_by_role("row", name="EUR 2,500.00 −43.04 2,456.96")).to_be_visible()
    expect(page.get_by_role("img", name="Cash flow, EUR")).to_be_visible()
    assert visitor.faults() == []
    with page.expect_download() as download:
        page.keyboard.press("d")
    assert download.value.suggested_filename.startswith("the-spring-")
    assert b"2026-03-01,EUR,2,2500.00,-12.99" in download.value.path().read_bytes()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Print it, in a new tab").click()
    expect(popup.value.get_by_role("heading", name="The spring", level=1)).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_role("link", name="The spring", exact=True)).to_be_visible()
    assert visitor.faults() == []


@pytest.mark.parametrize("size", [PHONE], ids=["400px"], indirect=True)
def test_rates_are_given_and_nothing_typed_is_lost(visitor: Person) -> None:
    page = visitor.page
    visitor.open("/reports/new?kind=categories")
    page.get_by_label("Period").select_option("ever")
    page.get_by_label("Told in one").check()
    page.get_by_label("Told in", exact=True).fill("eur")
    page.get_by_label("Currency 1", exact=True).fill("USD")
    page.get_by_label("Rate 1").fill("0.5")
    page.get_by_role("button", name="More rates").click()
    expect(page.get_by_label("Currency 3")).to_be_focused()
    page.keyboard.type("CHF")
    assert visitor.faults() == []
    page.get_by_role("button", name="Make it now").click()
    expect(page.get_by_text("“CHF” stands alone")).to_be_visible()
    expect(page.get_by_label("Rate 1")).to_have_value("0.5")
    assert visitor.faults() == []
    page.get_by_label("Rate 2").fill("1.1")
    page.get_by_role("button", name="Make it now").click()
    expect(page.get_by_role("row", name="EUR 2,500.00 −53.04")).to_be_visible()
    expect(page.get_by_text("1 USD = 0.5 EUR").first).to_be_visible()
    expect(page.get_by_role("img", name="What went out, EUR")).to_be_visible()
    assert visitor.faults() == []


def test_a_kept_report_is_paused_changed_made_and_deleted(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    visitor.open("/reports/new?kind=records")
    page.get_by_label("Name", exact=True).fill(HOSTILE[:60])
    page.get_by_label("Period").select_option("ever")
    page.get_by_text("Of which records").click()
    page.get_by_label("Text or counterparty").fill("script")
    page.get_by_label("How often").select_option("week")
    page.get_by_label("On", exact=True).select_option("Friday")
    page.get_by_label("At", exact=True).select_option("17:00")
    assert visitor.faults() == []
    page.get_by_role("button", name="Keep it").click()
    page.wait_for_url("**/reports/definitions/*")
    expect(page.get_by_text("On Fridays at 17:00")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("button", name="Pause the schedule").click()
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Scripts")
    assert visitor.faults() == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Scripts", level=1)).to_be_visible()
    page.get_by_role("button", name="Resume the schedule").click()
    expect(page.get_by_role("button", name="Pause the schedule")).to_be_visible()
    page.get_by_role("button", name="Make it now").click()
    expect(page.get_by_role("link", name="<script>alert(1)")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("link", name="Scripts", exact=True).click()
    expect(page.get_by_role("heading", name="What was made by it")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url("**/reports")
    expect(page.get_by_text("It is kept no more.")).to_be_visible()
    visitor.open("/reports/history?kind=records")
    expect(page.get_by_role("link", name="Scripts", exact=True)).to_be_visible()
    assert visitor.faults() == []


def test_without_a_script_a_report_is_asked_for_as_well(stack: Stack, browser: Browser) -> None:
    stack.new_tenant("Plain Books")
    with browser.new_context(java_script_enabled=False, viewport={"width": 400, "height": 800}) as context:
        plain = Person(url=stack.url, page=context.new_page())
        join(stack, plain, "reviewer", name=f"plain-{stack.tenant_id[-8:]}")
        page = plain.page
        plain.open("/reports/new")
        page.get_by_role("link", name="Language model").click()
        page.get_by_label("Period").select_option("days")
        page.get_by_label("First day").fill("2026-03-01")
        page.get_by_label("Last day").fill("2026-03-31")
        page.get_by_role("button", name="Make it now").click()
        expect(page.get_by_text("The report is asked for.")).to_be_visible()
        stack.wait_until(stack.idle)
        page.reload()
        expect(page.get_by_text("There is nothing of this in the period")).to_be_visible()
        assert plain.complaints == []
