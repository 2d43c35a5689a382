"""The pictures in the documentation, made of a tenant with a year's statement. `make pictures` keeps them.

Without it they are made all the same, in a folder of the test's, so that no page is shown that there is no more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import DESKTOP, PHONE, Person, choice_of, person
from tests.e2e.console.conftest import PASSWORD, invite
from tests.e2e.console.hostile_world import asked, made
from tests.receipt_files import a_pdf
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"
PICTURES = ROOT / "docs" / "images"
ANSWERED = 40
PLACES = ("overview", "review", "records", "record", "rule", "receipts", "report", "members")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return PICTURES if os.environ.get("SORTATION_PICTURES") == "keep" else tmp_path


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Stack:
    stack.new_tenant("Harbour Books", spot_check_share=0.15)
    _upload(stack, "history.csv", "&approved=true")
    _upload(stack, "statement.csv")
    items = asked(stack, f"/approvals?limit={ANSWERED}&evidence=true")["items"]
    answers = [
        {"approval_id": item["id"], "verdict": "override", "category_id": given}
        for item in items
        if (given := item["suggested_id"] or next((one["category_id"] for one in item["candidates"]), None))
    ]
    status, told = stack.call("POST", "/api/v1/approvals/bulk", {"answers": answers})
    assert status == 200, told
    return stack


@pytest.fixture
def owner(filled: Stack, browser: Browser) -> Iterator[Person]:
    with person(browser, filled.url, DESKTOP) as owner:
        owner.accept(invite(filled, "robin@example.org", "owner"), PASSWORD)
        yield owner


def test_the_pictures_of_the_documentation_are_of_what_there_is(
    filled: Stack, owner: Person, browser: Browser, folder: Path
) -> None:
    page = owner.page
    record = asked(filled, "/records?stage=rules&limit=1")["items"][0]
    amount = f"{record['amount'].removeprefix('-')} {record['currency']}"
    lines = [record["counterparty"] or record["text"], record["occurred_at"], f"Total {amount}"]
    status, told = filled.call("POST", "/api/v1/receipts?filename=receipt-0412.pdf", a_pdf(lines))
    assert status == 201, told
    report = made(filled, "/reports", {"spec": {"kind": "categories", "period": {"relative": "ever"}}}, 202)
    filled.wait_until(filled.idle)

    owner.open("/")
    expect(page.get_by_role("img", name="Records by day")).to_be_visible()
    owner.shoot(folder / "overview.png")
    owner.open("/review")
    expect(page.get_by_label("What waits for you").get_by_role("heading")).to_be_visible()
    owner.shoot(folder / "review.png")
    owner.open("/records")
    owner.shoot(folder / "records.png")
    owner.open(f"/records/{record['id']}")
    owner.shoot(folder / "record.png")
    owner.open("/rules/new")
    page.get_by_label("Name", exact=True).fill("Cash in the evening")
    page.get_by_label("When", exact=True).fill('text contains "bargeldauszahlung" and amount <= -50')
    page.wait_for_load_state()
    choice_of(page, "Category").focus()
    page.keyboard.type("cash")
    expect(page.get_by_role("option", name=re.compile("Cash")).first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#preview").get_by_text(re.compile("records? match"))).to_be_visible()
    owner.shoot(folder / "rule.png")
    owner.open("/receipts")
    owner.shoot(folder / "receipts.png")
    owner.open(f"/reports/{report['id']}")
    owner.shoot(folder / "report.png")
    owner.open("/settings/members")
    owner.shoot(folder / "members.png")
    with person(browser, filled.url, PHONE, dark=True) as reviewer:
        reviewer.accept(invite(filled, "kim@example.org", "reviewer"), PASSWORD)
        reviewer.open("/review")
        expect(reviewer.page.get_by_label("What waits for you").get_by_role("heading")).to_be_visible()
        reviewer.shoot(folder / "review-phone.png")
    assert {one.name for one in folder.glob("*.png")} == {f"{name}.png" for name in (*PLACES, "review-phone")}


def _upload(stack: Stack, name: str, more: str = "") -> None:
    status, told = stack.call("POST", f"/api/v1/imports?filename={name}{more}", (EXAMPLES / name).read_bytes())
    assert status == 202, told
    stack.wait_until(stack.idle)
