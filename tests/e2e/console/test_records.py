"""Records and categories, as people look through them and put them right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import Person, choice_of
from tests.e2e.console.conftest import join
from tests.stack import Stack

pytestmark = pytest.mark.slow

HOSTILE = '<script>window.pwned = true</script>"><img src=x onerror="window.pwned = true">'


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Stack:
    """A tenant with a statement, and with what nobody should have to read."""
    stack.new_tenant("Harbour Books")
    stack.upload((Path(__file__).parents[3] / "examples" / "statement.csv").read_bytes())
    status, category = stack.call("POST", "/api/v1/categories", {"name": HOSTILE[:120], "key": "odd"})
    assert status == 201, category
    record = {
        "text": f"Odd {HOSTILE}", "counterparty": HOSTILE, "occurred_at": "2026-12-31", "amount": "-1234567.89",
        "currency": "EUR", "attributes": {"odd": HOSTILE}, "raw": {"odd": HOSTILE},
    }  # fmt: skip
    status, _ = stack.call("POST", "/api/v1/records", {"records": [record]})
    assert status == 202
    stack.wait_until(stack.idle)
    return stack


def test_a_person_finds_a_record_by_keys_and_puts_it_right(filled: Stack, visitor: Person) -> None:
    join(filled, visitor, "reviewer", f"keys-{width_of(visitor)}")
    page = visitor.page
    visitor.open("/categories")
    page.keyboard.type("ge")
    expect(page).to_have_url(re.compile("/records$"))
    page.wait_for_load_state()
    page.get_by_text("To review", exact=False).first.click()
    expect(page).to_have_url(re.compile("status=needs_review"))
    page.wait_for_load_state()  # its scripts listen to keys
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    first = page.locator("tr[data-row] a").first
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How it was decided")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("c")
    choice = choice_of(page, "Change it to")
    expect(choice).to_be_focused()
    page.keyboard.type("restaur")
    expect(page.get_by_role("option")).to_have_count(1)
    assert visitor.faults() == [], "while the list is open"
    page.keyboard.press("Enter")
    expect(choice).to_have_value("Food and drink > Restaurants")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The record has its category")
    expect(page.locator(".timeline-step").last).to_contain_text("Corrected as Food and drink > Restaurants")
    page.get_by_role("button", name="Take back what people said").click()
    expect(page.locator(".timeline-step").last).to_contain_text("Withdrawn by Robin Reviewer")
    assert visitor.faults() == []


def test_many_records_are_chosen_get_a_category_and_give_it_back(filled: Stack, visitor: Person) -> None:
    join(filled, visitor, "reviewer", f"many-{width_of(visitor)}")
    page = visitor.page
    visitor.open("/records?text=kamps&status=needs_review")
    boxes = page.get_by_role("checkbox", name=re.compile("^Choose .*KAMPS", re.IGNORECASE))
    before = boxes.count()
    assert before >= 4
    bar = page.get_by_role("group", name="What to do with those chosen")
    expect(bar).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(bar.get_by_role("status")).to_have_text("1 chosen")
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar.get_by_role("status")).to_have_text("3 chosen")
    boxes.nth(3).check()
    page.get_by_role("checkbox", name="Choose all on this page").check()
    expect(bar.get_by_role("status")).to_have_text(f"{before} chosen")
    bar.get_by_role("button", name="Choose none").click()
    expect(bar).to_be_hidden()
    boxes.first.check()
    boxes.nth(2).click(modifiers=["Shift"])
    assert visitor.faults() == []
    bar.get_by_role("button", name="Give it to them").click()
    expect(page.get_by_text("choose a category first")).to_be_visible()
    choice_of(bar, "Their category").fill("groceries")
    page.keyboard.press("Enter")
    page.clock.install()
    bar.get_by_role("button", name="Give it to them").click()
    expect(page.get_by_text("3 records have the category.")).to_be_visible()
    expect(boxes).to_have_count(before - 3)
    undo = page.get_by_role("button", name="Undo")
    undo.hover()
    page.clock.fast_forward("01:00")
    assert visitor.faults() == []
    undo.click()
    expect(page.get_by_text("Undone: 3 for review.")).to_be_visible()
    expect(boxes).to_have_count(before)
    assert visitor.faults() == []


def test_a_filter_is_kept_and_its_records_are_taken_home(filled: Stack, visitor: Person, tmp_path: Path) -> None:
    width = width_of(visitor)
    join(filled, visitor, "reviewer", f"views-{width}")
    page = visitor.page
    visitor.open("/records")
    page.keyboard.press("/")
    page.keyboard.type("rewe")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/records\?text=rewe$"))
    page.wait_for_load_state()
    expect(page.locator("[data-count-of=processed]")).to_have_text(re.compile("^ [1-9]"))
    category = choice_of(page, "Category")
    category.fill("grocer")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("category_id="))
    page.get_by_text("Keep as a view").click()
    page.get_by_label("Name", exact=True).fill(f"Shops {width}")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("link", name=f"Shops {width}")).to_have_attribute("aria-current", "true")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    download.value.save_as(tmp_path / "records.csv")
    lines = (tmp_path / "records.csv").read_text("utf-8").splitlines()
    assert len(lines) > 1
    assert all("rewe" in line.lower() for line in lines[1:])
    page.get_by_role("link", name=re.compile("Category: .*take this filter away")).click()
    expect(page).not_to_have_url(re.compile("category_id="))


def test_a_category_is_added_moved_and_merged(filled: Stack, visitor: Person) -> None:
    width = width_of(visitor)
    join(filled, visitor, "admin", f"tree-{width}")
    page = visitor.page
    visitor.open("/categories")
    page.get_by_role("link", name="Add a category").click()
    page.get_by_label("Name", exact=True).fill(f"Bakery {width}")
    below = choice_of(page, "Stands below")
    below.fill("food and drink")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("heading", name=f"Bakery {width}", level=1)).to_be_visible()
    page.get_by_label("Name", exact=True).fill(f"Bread {width}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=f"Bread {width}", level=1)).to_be_visible()
    choice_of(page, "Into").fill("groceries")
    page.keyboard.press("Enter")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_role("status").first).to_contain_text("from now on")
    expect(page.get_by_role("heading", name="Groceries", level=1)).to_be_visible()


def test_somebody_who_was_slower_loses_nothing(filled: Stack, visitor: Person) -> None:
    join(filled, visitor, "reviewer", f"slow-{width_of(visitor)}")
    page, id = visitor.page, a_record(filled, "status=needs_review&order=newest")
    visitor.open(f"/records/{id}")
    status, _ = filled.call("PATCH", f"/api/v1/records/{id}", {"tags": ["somebody else's"]})
    assert status == 200
    page.get_by_label("Tags", exact=True).fill("mine")
    page.get_by_role("button", name="Save tags and attributes").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody changed this meanwhile")
    expect(page.get_by_label("Tags", exact=True)).to_have_value("mine")
    assert visitor.faults() == []
    page.get_by_role("button", name="Save tags and attributes").click()
    expect(page.get_by_role("status").first).to_contain_text("saved")


def a_record(stack: Stack, query: str) -> str:
    status, found = stack.call("GET", f"/api/v1/records?limit=1&{query}")
    assert status == 200, found
    return str(found["items"][0]["id"])


def width_of(person: Person) -> int:
    """By which the people of either size are told from each other."""
    size = person.page.viewport_size
    assert size is not None
    return size["width"]
