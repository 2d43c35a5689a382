"""The rules in a browser: written with suggestions and a live preview, put in order, applied, and undone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser import DESKTOP, Person, choice_of
from tests.e2e.console.conftest import join
from tests.stack import Stack

pytestmark = pytest.mark.slow

HEAD = "Date;Account;Description;Counterparty;Amount;Currency\n"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
STATEMENT = HEAD + "".join(
    f"{day:02}.03.2026;Checking;{text} {day};{party};-{day}.50;EUR\n"
    for day, (text, party) in enumerate(
        [("ZQX QORBEL", "Qorbel Ltd")] * 8 + [("VUMBA KIOSK", HOSTILE)] * 4 + [("PLIRT WERKE", "Plirt GmbH")] * 3,
        start=1,
    )
)


def make(stack: Stack, name: str, when: str, category: str, **more: object) -> str:
    written = {"name": name, "when": when, "then": {"category": category}, **more}
    status, made = stack.call("POST", "/api/v1/rules?confirm=true", written)
    assert status == 201, made
    return str(made["id"])


def listed(stack: Stack) -> list[str]:
    """The names of the tenant's own rules, in order."""
    status, found = stack.call("GET", "/api/v1/rules?limit=500")
    assert status == 200
    return [rule["name"] for rule in found["items"] if rule["pack"] is None]


@pytest.fixture
def admin(stack: Stack, visitor: Person) -> Person:
    stack.new_tenant()
    stack.upload(STATEMENT.encode())
    stack.wait_until(stack.idle)
    join(stack, visitor, "admin", name=f"robin-{stack.tenant_id}")  # an account of its own for each test
    return visitor


def dark(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def row(page: Page, name: str) -> Locator:
    return page.locator("li.rule", has=page.get_by_role("link", name=name, exact=True))


def test_a_rule_is_written_by_keyboard_with_suggestions_and_a_preview(stack: Stack, admin: Person) -> None:
    page = admin.page
    admin.open("/rules")
    page.keyboard.press("n")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Kiosks")
    page.keyboard.press("Tab")
    when = page.get_by_label("When", exact=True)
    expect(when).to_be_focused()
    expect(when).to_have_attribute("aria-controls", re.compile("suggestions"))
    page.keyboard.type("counterp")
    options = page.get_by_role("listbox", name="Suggestions").first
    expect(options.get_by_role("option").first).to_contain_text("counterparty")
    assert admin.faults() == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(options.get_by_role("option", name="starts with")).to_be_visible()
    page.keyboard.type("=")
    page.keyboard.type(" Qor")
    expect(options.get_by_role("option", name="Qorbel Ltd")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(when).to_have_value('counterparty = "Qorbel Ltd" ')
    preview = page.locator("#preview")
    expect(page.locator("#working")).to_have_text("")
    page.keyboard.type("and amount >")
    expect(page.locator("#when-wrong")).to_have_text("column 41: expected a value, found the end")
    page.keyboard.press("Escape")
    page.keyboard.press("Backspace")
    page.keyboard.type("< -3")
    category = choice_of(page, "Category")
    category.focus()
    page.keyboard.type("taxi")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(category).to_have_value("Transport > Taxi and ride hailing")
    expect(preview.get_by_text("6 of the 15 records match")).to_be_visible()
    expect(preview.get_by_text("decided without a person", exact=True)).to_be_visible()
    preview.locator("summary", has_text="ZQX QORBEL 8").last.click()
    expect(preview.get_by_text("amount < -3").locator("visible=true").first).to_be_visible()
    assert admin.faults() == []
    dark(page)
    assert admin.faults() == []
    page.keyboard.press("Escape")
    category.focus()
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/rules#rule-*")
    expect(page.get_by_role("status").filter(has_text="“Kiosks” is saved")).to_be_visible()
    assert listed(stack) == ["Kiosks"]
    assert admin.faults() == []


def test_what_was_typed_before_the_words_came_is_suggested_for_too(stack: Stack, admin: Person) -> None:
    page, held = admin.page, list[Route]()
    page.route("**/rules/words", lambda route: held.append(route))
    with page.expect_request("**/rules/words"):
        admin.open("/rules/new")
    choice_of(page, "Category").focus()
    page.keyboard.type("taxi")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_count(0)
    held.pop().continue_()
    expect(options).to_have_text(["Transport > Taxi and ride hailing"])


def test_a_record_tells_why_it_matches_or_not(stack: Stack, admin: Person) -> None:
    rule_id = make(stack, "Kiosk", 'text contains "VUMBA" and amount < -10', "food.groceries")
    page = admin.page
    admin.open(f"/rules/{rule_id}")
    page.get_by_role("searchbox", name="Search a record").fill("vumba")
    page.keyboard.press("Enter")
    page.locator("#why").get_by_role("button", name="VUMBA KIOSK 9").click()
    expect(page.locator("#why").get_by_text("It does not match")).to_be_visible()
    expect(page.locator("#why .why-no")).to_have_count(2)
    assert admin.faults() == []


def test_rules_are_put_in_order_by_keys_by_the_pointer_and_by_buttons(stack: Stack, admin: Person) -> None:
    for place, name in enumerate(("One", "Two", "Three"), start=1):
        make(stack, name, f'text contains "{name}"', "food.groceries", priority=place * 10)
    page = admin.page
    admin.open("/rules?of=own")
    assert admin.faults() == []
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Two", exact=True)).to_be_focused()
    with page.expect_response("**/rules/order"):
        page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#moved")).to_have_text("“Two” is number 1 of its stage now.")
    expect(page.get_by_role("link", name="Two", exact=True)).to_be_focused()
    assert listed(stack) == ["Two", "One", "Three"]
    grip = row(page, "Three").get_by_role("button", name=re.compile("^Move Three"))
    grip.scroll_into_view_if_needed()
    start, end = grip.bounding_box(), row(page, "Two").bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 8, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(start["x"] + 8, end["y"] + end["height"], steps=8)
    with page.expect_response("**/rules/order"):
        page.mouse.move(start["x"] + 8, end["y"] + 4, steps=8)
        page.mouse.up()
    expect(page.locator("#moved")).to_have_text("“Three” is number 1 of its stage now.")
    assert listed(stack) == ["Three", "Two", "One"]
    row(page, "Three").get_by_role("button", name="More of Three").click()
    assert admin.faults() == []
    with page.expect_response("**/rules/order"):
        row(page, "Three").get_by_role("button", name="To the bottom").click()
    expect(page.locator("#moved")).to_have_text(re.compile("“Three” is number"))
    expect(row(page, "Three").locator(".grip")).to_be_focused()
    assert listed(stack) == ["Two", "One", "Three"]
    admin.open("/rules?of=own")
    assert page.locator("[data-item]").all_text_contents() == ["Two", "One", "Three"]


def test_an_order_that_somebody_else_changed_is_not_written_over(stack: Stack, admin: Person) -> None:
    for place, name in enumerate(("One", "Two"), start=1):
        make(stack, name, f'text contains "{name}"', "food.groceries", priority=place * 10)
    page = admin.page
    admin.open("/rules?of=own")
    make(stack, "Late", 'text contains "Late"', "food.groceries", priority=5)
    page.get_by_role("link", name="Two", exact=True).focus()
    page.keyboard.press("Alt+ArrowUp")
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_role("link", name="Late", exact=True)).to_be_visible()
    assert listed(stack) == ["Late", "One", "Two"]
    expect(page.locator("[data-item]")).to_have_text(["Late", "One", "Two"])


def test_a_rule_is_switched_off_and_deleted_and_comes_back(stack: Stack, admin: Person) -> None:
    make(stack, "One", 'text contains "One"', "food.groceries")
    page = admin.page
    admin.open("/rules?of=own")
    switch = page.get_by_role("switch", name="On: One")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    page.get_by_role("button", name="More of One").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("“One” is deleted")).to_be_visible()
    assert listed(stack) == []
    assert admin.faults() == []
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("switch", name="On: One")).to_have_attribute("aria-checked", "false")
    assert listed(stack) == ["One"]


def test_rules_are_applied_to_what_is_stored_and_the_run_undone(stack: Stack, admin: Person) -> None:
    make(stack, "Qorbel", 'text contains "QORBEL"', "food.groceries")
    make(stack, "Qorbel again", 'text contains "ZQX"', "housing.rent", priority=500)
    page = admin.page
    admin.open("/rules/runs/new")
    assert admin.faults() == []
    page.get_by_placeholder("Narrow the list").fill("qorbel")
    page.get_by_label("Qorbel", exact=True).check()
    expect(page.get_by_label("Only these")).to_be_checked()
    page.get_by_role("button", name="See what would change").click()
    expect(page.locator(".effect", has_text="decided without a person").locator("dd").first).to_have_text("8")
    assert admin.faults() == []
    dark(page)
    assert admin.faults() == []
    page.get_by_role("button", name="Start the run").click()
    expect(page.locator("h2", has_text="What it changed")).to_be_visible()
    expect(page.get_by_text("Food and drink > Groceries").first).to_be_visible()
    expect(page.get_by_role("button", name="Undo the run")).to_be_visible()
    assert admin.faults() == []
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Undo the run").click()
    expect(page.locator(".badge", has_text="put back").first).to_be_visible()
    expect(page.locator("dt", has_text="put back")).to_be_visible()
    expect(page.locator(".badge", has_text=re.compile("^undone$"))).to_be_visible()  # and the page comes anew no more
    assert admin.faults() == []
    for path in ("/rules/conflicts", "/rules/runs", "/rules/proposals"):
        admin.open(path)
        assert admin.faults() == [], path


def test_no_page_is_at_fault_in_dark_and_no_text_becomes_a_script(stack: Stack, admin: Person) -> None:
    status, _ = stack.call("POST", "/api/v1/categories", {"name": HOSTILE, "key": "hostile"})
    assert status == 201
    rule_id = make(stack, HOSTILE, 'text contains "VUMBA"', "hostile")
    page = admin.page
    page.on("dialog", lambda _: pytest.fail("a text of somebody's became a script"))
    dark(page)
    for path in (
        "/rules",
        f"/rules/{rule_id}",
        f"/rules/{rule_id}/history",
        "/rules/proposals",
        "/rules/conflicts",
        "/rules/runs",
    ):
        admin.open(path)
        page.wait_for_load_state("networkidle")
        assert admin.faults() == [], path
    admin.open(f"/rules/{rule_id}")
    page.get_by_label("When", exact=True).fill('text contains "VUMBA K"')
    expect(page.locator("#preview").get_by_text("4 of the 15 records match")).to_be_visible()
    assert page.locator("img").count() == 0
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )
    assert page.evaluate("window.ran") is None, "the policy allows no script that stands in a page"
    admin.complaints.clear()


def test_a_proposal_is_read_and_accepted(stack: Stack, admin: Person, size: tuple[int, int]) -> None:
    found = stack.call("GET", "/api/v1/approvals?limit=100")[1]["items"]
    category = next(
        c["id"] for c in stack.call("GET", "/api/v1/categories?limit=500")[1]["items"] if c["key"] == "food.groceries"
    )
    for item in found:
        if "QORBEL" in item["record"]["text"]:
            answer = {"verdict": "override", "category_id": category}
            assert stack.call("POST", f"/api/v1/approvals/{item['id']}", answer)[0] == 200
    page = admin.page
    admin.open("/rules/proposals")
    if size == DESKTOP:
        page.get_by_role("button", name="Look for proposals now").click()
    stack.wait_until(stack.idle)
    stack.wait_until(lambda: bool(stack.call("GET", "/api/v1/rules/proposals")[1]["items"]))
    admin.open("/rules/proposals")
    assert admin.faults() == []
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_text("8 of the 8", exact=True)).to_be_visible()
    assert admin.faults() == []
    dark(page)
    assert admin.faults() == []
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="is a rule now")).to_be_visible()
    assert len(listed(stack)) == 1
