"""Receipts as people bring them, put right what they say, and link them: in the list, at a record, and in review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import Person, held_back
from tests.e2e.console.conftest import join
from tests.processes import stopped
from tests.receipt_files import HTML, PNG, a_mail, a_pdf
from tests.stack import Stack

pytestmark = pytest.mark.slow

HOSTILE = '<script>window.pwned = true</script>"><img src=x onerror="window.pwned = true">'


@pytest.fixture
def tenant(stack: Stack, visitor: Person) -> Stack:
    """One of its own for each test, with a reviewer at the browser, and purchases that nobody is sure of."""
    stack.new_tenant("Harbour Books")
    standard = {"occurred_at": "2026-03-20", "amount": "-77.00", "currency": "EUR"}
    purchases: list[dict[str, Any]] = [
        standard | {"text": f"QORBEL {n}", "occurred_at": f"2026-03-{n:02}", "amount": f"-{n}.50"} for n in range(1, 5)
    ]
    purchases.append(standard | {"text": f"Odd {HOSTILE}", "counterparty": HOSTILE})
    status, _ = stack.call("POST", "/api/v1/records", {"records": purchases})
    assert status == 202
    stack.wait_until(stack.idle)
    join(stack, visitor, "reviewer", "receipts")
    return stack


def a_receipt(n: int) -> bytes:
    return a_pdf((f"Qorbel {n}", "Receipt", f"Date: 2026-03-{n:02}", f"Total: {n}.50 EUR"))


def test_files_are_dropped_read_and_accepted(tenant: Stack, visitor: Person, tmp_path: Path) -> None:
    page = visitor.page
    visitor.open("/receipts")
    expect(page.get_by_role("heading", name="No receipts yet")).to_be_visible()
    assert visitor.faults() == []
    files = {
        "one.pdf": a_receipt(1), "two.eml": a_mail("Qorbel 2\nDate: 2026-03-02\nTotal: 2.50 EUR"),
        "picture.png": PNG, "page.html": HTML, "broken.pdf": b"%PDF-1.4\nbroken",
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    page.wait_for_load_state()
    page.get_by_label("Drop receipts here, or choose files").set_input_files([tmp_path / name for name in files])
    line = {name: page.locator("[data-sent] li").filter(has_text=name).locator(".sent-said") for name in files}
    expect(line["page.html"]).to_contain_text("by its content none of what a receipt may be")
    expect(line["picture.png"]).to_contain_text("It is kept. Open it to say what it says.")
    expect(line["one.pdf"]).to_contain_text("Qorbel 1, 1.50 EUR, 1 Mar 2026")
    expect(line["one.pdf"]).to_contain_text("QORBEL 1, −1.50 EUR, 1 Mar 2026")
    expect(line["two.eml"]).to_contain_text("2.50 EUR, 2 Mar 2026")
    expect(line["broken.pdf"]).to_contain_text("It could not be read")
    assert visitor.faults() == []
    line["one.pdf"].get_by_role("button", name="Accept").click()
    expect(line["one.pdf"].get_by_role("button")).to_have_count(0)
    page.get_by_role("link", name="See them in the list").click()
    expect(page.locator("[data-row]")).to_have_count(4)
    page.wait_for_load_state()
    for _ in range(2):  # the newest first
        page.keyboard.press("j")
    while "two.eml" not in page.locator("[data-row]:focus-within").inner_text():
        page.keyboard.press("j")
    assert visitor.faults() == []
    page.keyboard.press("a")
    page.get_by_role("button", name="Unlink").hover()  # it stands there as long as somebody is at it
    expect(page.locator(".toast-line")).to_contain_text("is linked to QORBEL 2.")
    expect(page.locator("form[data-accept]")).to_have_count(0)
    expect(page.locator("[data-row]:focus-within")).to_have_count(1)
    assert [len(listed(tenant, status)) for status in ("matched", "unmatched")] == [2, 2]
    page.get_by_role("button", name="Unlink").click()
    expect(page.get_by_role("status").first).to_contain_text("is not suggested for it again")
    expect(page.locator("[data-row]").filter(has_text="two.eml")).to_contain_text("None suits")
    assert len(listed(tenant, "matched")) == 1


def test_a_key_that_is_held_down_and_a_second_press_accept_one(tenant: Stack, visitor: Person, tmp_path: Path) -> None:
    page = visitor.page
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    visitor.open("/receipts")
    page.wait_for_load_state()
    for n in (1, 2, 3):
        (tmp_path / f"{n}.pdf").write_bytes(a_receipt(n))
    files = [tmp_path / f"{n}.pdf" for n in (1, 2, 3)]
    page.get_by_label("Drop receipts here, or choose files").set_input_files(files)
    expect(page.locator("[data-sent] li").get_by_role("button", name="Accept")).to_have_count(3)
    page.get_by_role("link", name="See them in the list").click()
    expect(page.locator("form[data-accept]")).to_have_count(3)
    page.wait_for_load_state()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/link") else None)
    page.locator("[data-row] a").first.focus()
    page.keyboard.down("a")
    page.keyboard.down("a")  # it repeats
    expect(page.locator("form[data-accept]")).to_have_count(2)
    page.keyboard.down("a")
    page.keyboard.up("a")
    page.evaluate("""() => {
        const form = document.querySelector("form[data-accept]");
        form.requestSubmit();
        form.requestSubmit();
    }""")
    expect(page.locator("form[data-accept]")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    assert (len(sent), len(set(sent)), faults) == (2, 2, [])
    assert len(listed(tenant, "matched")) == 2


def test_what_was_typed_and_refused_stays_when_the_receipt_was_read(
    tenant: Stack, visitor: Person, tmp_path: Path
) -> None:
    page = visitor.page
    (tmp_path / "one.pdf").write_bytes(a_receipt(1))
    with stopped(tenant.processes("entrypoints.cli worker")):
        visitor.open("/receipts")
        page.wait_for_load_state()
        page.get_by_label("Drop receipts here, or choose files").set_input_files(tmp_path / "one.pdf")
        page.get_by_role("link", name="one.pdf").click()
        page.get_by_label("Amount", exact=True).first.fill("much")
        page.get_by_role("button", name="Save what it says").click()
        expect(page.get_by_text("Not a valid number.")).to_be_visible()
        assert page.url.endswith("/said")
    meanwhile = page.get_by_role("link", name="show what it says")
    expect(meanwhile).to_be_visible()
    expect(page.get_by_label("Amount", exact=True).first).to_have_value("much")
    meanwhile.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Qorbel 1")


def test_what_was_typed_before_its_script_ran_stays_when_the_receipt_was_read(
    tenant: Stack, visitor: Person, tmp_path: Path
) -> None:
    page = visitor.page
    (tmp_path / "one.pdf").write_bytes(a_receipt(1))
    held = held_back(page, "**/js/receipts/one.js*")
    with stopped(tenant.processes("entrypoints.cli worker")):
        visitor.open("/receipts")
        page.get_by_label("Drop receipts here, or choose files").set_input_files(tmp_path / "one.pdf")
        page.get_by_role("link", name="one.pdf").click()
        amount = page.get_by_label("Amount", exact=True).first
        amount.fill("17")
        held[0].continue_()
        page.wait_for_load_state()
    expect(page.get_by_role("link", name="show what it says")).to_be_visible()
    expect(amount).to_have_value("17")


def test_what_a_picture_says_is_told_and_its_record_found(tenant: Stack, visitor: Person, tmp_path: Path) -> None:
    page = visitor.page
    (tmp_path / "bill.png").write_bytes(PNG)
    visitor.open("/receipts")
    page.wait_for_load_state()
    page.get_by_label("Drop receipts here, or choose files").set_input_files(tmp_path / "bill.png")
    page.get_by_role("link", name="bill.png").click()
    picture = page.get_by_role("img", name="Picture of the receipt “bill.png”")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    expect(picture).to_have_js_property("naturalWidth", 1)  # so the policy lets it be shown
    page.get_by_label("Amount", exact=True).first.fill("much")
    page.get_by_label("Merchant").fill(HOSTILE)
    page.get_by_role("button", name="Save what it says").click()
    expect(page.get_by_text("Not a valid number.")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_label("Amount", exact=True).first.fill("77.00")
    page.get_by_label("Currency").fill("eur")
    page.get_by_label("Day").fill("2026-03-19")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("What it says is saved")
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>window.pwned")
    suggested = page.locator(".matches li").first
    expect(suggested).to_contain_text("the same amount, 1 day after the receipt's day")
    suggested.get_by_role("button", name="Not this one").click()
    expect(page.get_by_text("No record is like it so far.")).to_be_visible()
    page.get_by_text("Find its record").click()
    page.get_by_label("Text or counterparty").fill("qorbel 3")
    page.keyboard.press("Enter")
    link = page.get_by_role("button", name=re.compile("^Link.*QORBEL 3"))
    expect(link).to_be_visible()
    assert visitor.faults() == []
    link.click()
    expect(page.get_by_role("heading", name="Its records")).to_be_visible()
    expect(page.locator(".matches li").first).to_contain_text("Linked by Robin Reviewer")
    assert visitor.faults() == []
    for path in ("/receipts", "/review"):
        visitor.open(path)
        page.wait_for_load_state("networkidle")
        assert visitor.faults() == [], path
    assert page.evaluate("window.pwned") is None
    page.go_back()
    page.locator("[data-row] a").first.click()
    page.get_by_text("Delete this receipt").click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_role("status").first).to_contain_text("The receipt is deleted")


def test_receipts_stand_at_their_records_and_in_review(tenant: Stack, visitor: Person, tmp_path: Path) -> None:
    page = visitor.page
    _, found = tenant.call("GET", "/api/v1/records?text=QORBEL%204")
    record = found["items"][0]["id"]
    (tmp_path / "four.pdf").write_bytes(a_receipt(4))
    visitor.open("/receipts")
    page.wait_for_load_state()
    page.get_by_label("Drop receipts here, or choose files").set_input_files(tmp_path / "four.pdf")
    expect(page.locator("[data-sent]")).to_contain_text("QORBEL 4")
    visitor.open("/review")
    while "QORBEL 4" not in page.locator(".review-record").inner_text():
        page.keyboard.press("s")
    receipts = page.get_by_role("list", name="Receipts")
    expect(receipts).to_contain_text("% likely")
    assert visitor.faults() == []
    page.keyboard.press("p")
    expect(receipts).to_contain_text("its receipt")
    expect(page.locator(".review-record")).to_contain_text("QORBEL 4")
    assert visitor.faults() == []
    page.get_by_role("link", name="Its record").click()
    block = page.get_by_role("region", name="Receipts")
    expect(block.get_by_role("link")).to_contain_text("Qorbel 4")
    (tmp_path / "more.png").write_bytes(PNG)
    block.get_by_label("Add a receipt of this record").set_input_files(tmp_path / "more.png")
    block.get_by_role("button", name="Upload and link").click()
    expect(page.get_by_role("status").first).to_contain_text("“more.png” is kept. It is linked to this record.")
    expect(block.get_by_role("button", name=re.compile("^Unlink"))).to_have_count(2)
    assert visitor.faults() == []
    block.get_by_role("button", name="Unlink more.png").click()
    expect(block.get_by_role("button", name=re.compile("^Unlink"))).to_have_count(1)
    _, left = tenant.call("GET", f"/api/v1/records/{record}/receipts")
    assert [one["filename"] for one in left["items"]] == ["four.pdf"]
    (tmp_path / "page.html").write_bytes(HTML)
    block.get_by_label("Add a receipt of this record").set_input_files(tmp_path / "page.html")
    block.get_by_role("button", name="Upload and link").click()
    expect(block.get_by_role("alert")).to_contain_text("“page.html” is by its content none of what")
    assert visitor.faults() == []


def listed(tenant: Stack, status: str) -> list[dict[str, Any]]:
    _, found = tenant.call("GET", f"/api/v1/receipts?status={status}")
    items: list[dict[str, Any]] = found["items"]
    return items
