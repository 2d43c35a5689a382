"""A day of each role, from signing in to a report, in both sizes: what they do, and what is not theirs to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import Person, choice_of, person
from tests.e2e.console.conftest import PASSWORD, join
from tests.receipt_files import a_pdf
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"


@pytest.fixture
def visitor(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    """Somebody in a tenant of their own, which trusts the starter pack."""
    stack.new_tenant("Harbour Books")
    with person(browser, stack.url, size) as visitor:
        visitor.page.on("dialog", lambda dialog: dialog.accept())
        yield visitor


def fill(stack: Stack) -> None:
    stack.upload((EXAMPLES / "statement.csv").read_bytes())
    stack.wait_until(stack.idle)


def come_in(stack: Stack, visitor: Person, role: str) -> None:
    """Joins by the link of an invitation, leaves, and comes back by password."""
    email = join(stack, visitor, role, f"{role}s-day")
    visitor.page.wait_for_url(lambda url: urlsplit(url).path == "/")
    visitor.open("/account")
    visitor.page.get_by_role("button", name="Sign out everywhere", exact=True).click()
    visitor.sign_in(email, PASSWORD)
    visitor.page.wait_for_url(lambda url: urlsplit(url).path == "/")


def answer(visitor: Person, *keys: str) -> None:
    """In the review queue, each key for the item that stands there then."""
    visitor.open("/review")
    heading = visitor.page.get_by_label("What waits for you").get_by_role("heading")
    for key in keys:
        expect(heading).to_be_visible()
        shown = heading.inner_text()
        visitor.page.keyboard.press(key)
        expect(heading).not_to_have_text(shown)


def make_report(visitor: Person, kind: str) -> None:
    page = visitor.page
    visitor.open(f"/reports/new?kind={kind}")
    page.get_by_label("Period").select_option("ever")
    page.get_by_role("button", name="Make it now").click()
    page.wait_for_url(re.compile("/reports/[0-9a-f-]{36}$"))


def read_report(visitor: Person, path: Path) -> bytes:
    """Of the page at hand, once it is ready: its CSV."""
    page = visitor.page
    csv = page.get_by_role("link", name=re.compile("CSV")).first
    expect(csv).to_be_visible()
    assert visitor.faults() == []
    with page.expect_download() as download:
        csv.click()
    download.value.save_as(path)
    return path.read_bytes()


def test_an_owner_begins_sets_things_up_and_reads_where_the_money_went(
    stack: Stack, visitor: Person, tmp_path: Path
) -> None:
    page = visitor.page
    come_in(stack, visitor, "owner")
    page.get_by_role("main").get_by_role("link", name="Upload a statement").first.click()
    page.get_by_label("Drop a statement here").set_input_files(EXAMPLES / "statement.csv")
    page.get_by_role("button", name="Upload and sort").click()
    expect(page.locator("[data-says]")).to_have_text(
        re.compile(r"^445 records: 3\d\d sorted alone, \d+ to review\.$"), timeout=90_000
    )
    answer(visitor, "1", "1")
    visitor.open("/settings/members/invite")
    page.get_by_label("E-mail address").fill(f"colleague-{stack.tenant_id}@example.org")
    page.get_by_role("radio", name="Reviewer").check()
    page.get_by_label("E-mail address").press("Enter")
    expect(page.get_by_role("heading", name=re.compile("A link for colleague"))).to_be_visible()
    visitor.open("/billing")
    expect(page.get_by_role("main")).to_contain_text(re.compile("nothing is limited|Nothing is limited"))
    make_report(visitor, "categories")
    assert b"Groceries" in read_report(visitor, tmp_path / "report.csv")
    expect(page.get_by_role("img", name="What went out, EUR")).to_be_visible()


def test_an_admin_connects_writes_a_rule_and_has_a_report_made_each_month(
    stack: Stack, visitor: Person, tmp_path: Path
) -> None:
    fill(stack)
    page = visitor.page
    come_in(stack, visitor, "admin")
    visitor.open("/connections/new/csv")
    page.get_by_label("Name", exact=True).fill("Exports of the shop")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="Exports of the shop")).to_be_visible()
    visitor.open("/rules/new")
    page.get_by_label("Name", exact=True).fill("Cash")
    page.get_by_label("When", exact=True).fill('text contains "bargeldauszahlung"')
    category = choice_of(page, "Category")
    page.wait_for_load_state()
    category.focus()
    page.keyboard.type("cash")
    expect(page.get_by_role("option", name=re.compile("Cash")).first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(category).to_have_value(re.compile("Cash"))
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/rules#rule-*")
    visitor.open("/settings/keys/new")
    page.get_by_label("Name", exact=True).fill("The shop")
    page.get_by_role("checkbox", name=re.compile("records:write")).check()
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#once")).to_have_text(re.compile("^sort_"))
    visitor.open("/reports/new?kind=cash_flow")
    page.get_by_label("Name", exact=True).fill("Each month")
    page.get_by_label("Period").select_option("ever")
    page.get_by_label("How often").select_option("month")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("heading", name="Each month")).to_be_visible()
    page.get_by_role("button", name="Make it now").click()
    page.wait_for_url(re.compile("/reports/[0-9a-f-]{36}$"))
    assert b"EUR" in read_report(visitor, tmp_path / "report.csv")


def test_a_reviewer_answers_links_a_receipt_and_reads_how_it_goes(
    stack: Stack, visitor: Person, tmp_path: Path
) -> None:
    fill(stack)
    page = visitor.page
    come_in(stack, visitor, "reviewer")
    [(before,)] = stack.query("SELECT count(*) FROM approvals WHERE verdict IS NULL")
    answer(visitor, "1", "2", "s", "1")
    stack.wait_until(lambda: stack.query("SELECT count(*) FROM approvals WHERE verdict IS NULL") == [(before - 3,)])
    (tmp_path / "receipt.pdf").write_bytes(a_pdf(["Corner Shop", "2026-03-02", "Total 4.50 EUR"]))
    visitor.open("/records")
    page.locator("main [data-row] a").first.click()
    page.get_by_role("heading", name="Receipts").wait_for()
    page.locator("main input[type=file]").set_input_files(tmp_path / "receipt.pdf")
    page.get_by_role("button", name="Upload and link").click()
    expect(page.get_by_text("receipt.pdf").first).to_be_visible()
    visitor.open("/settings/members")
    expect(page.get_by_role("link", name="Invite somebody")).to_have_count(0)
    make_report(visitor, "reviewers")
    assert b"Robin Reviewer" in read_report(visitor, tmp_path / "report.csv")


def test_a_viewer_looks_on_and_reads_what_others_had_made(stack: Stack, visitor: Person, tmp_path: Path) -> None:
    fill(stack)
    page = visitor.page
    spec = {"kind": "counterparties", "period": {"relative": "ever"}}
    status, made = stack.call("POST", "/api/v1/reports", {"spec": spec})
    assert status == 202, made
    stack.wait_until(stack.idle)
    come_in(stack, visitor, "viewer")
    expect(page.get_by_role("heading", name="Promised and measured")).to_be_visible()
    visitor.open("/records")
    page.locator("main [data-row] a").first.click()
    expect(page.get_by_role("heading", name="How it was decided")).to_be_visible()
    expect(page.get_by_role("button", name="Save the category")).to_have_count(0)
    for path in ("/rules/new", "/settings/keys/new", "/connections/new/csv"):
        visitor.open(path)
        expect(page.get_by_role("heading", name="This is not yours to do")).to_be_visible()
    visitor.open("/reports")
    expect(page.get_by_role("button", name="Make it now")).to_have_count(0)
    page.locator(f"main a[href='/reports/{made['id']}']").first.click()
    assert b"EUR" in read_report(visitor, tmp_path / "report.csv")
