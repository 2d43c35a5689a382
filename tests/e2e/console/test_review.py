"""Review in the browser, by keyboard alone: upload, watch, decide, undo, skip, make a rule."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import Person, held_back
from tests.e2e.console.conftest import join
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.slow
STATEMENT = ROOT / "examples" / "statement.csv"
HOSTILE = b"""Date;Description;Amount;Currency
2026-03-01;<script>document.title='gone'</script><img src=x onerror=alert(1)>;-12.50;EUR
2026-03-02;'><svg onload=alert(2)>;-3.20;EUR
"""


def waiting(stack: Stack) -> int:
    return int(stack.query("SELECT count(*) FROM approvals WHERE verdict IS NULL")[0][0])


def decided(stack: Stack) -> list[str]:
    """By whom the answers are that stand."""
    standing = "verdict IS NOT NULL AND withdrawn_at IS NULL"
    return [by for (by,) in stack.query(f"SELECT decided_by FROM approvals WHERE {standing} ORDER BY decided_at")]  # noqa: S608


def answered(stack: Stack) -> set[str]:
    """What the records say whose answers stand."""
    found = stack.query(
        "SELECT r.text FROM approvals a JOIN records r ON r.id = a.record_id"
        " WHERE a.verdict IS NOT NULL AND a.withdrawn_at IS NULL"
    )
    return {text for (text,) in found}


def at_review(stack: Stack, visitor: Person, name: str, *texts: str, role: str = "reviewer") -> Page:
    """The page of somebody in a new tenant; all these wait."""
    stack.new_tenant(trusted_packs=[])
    lines = [f"2026-03-{day:02};{text};-{day}.20;EUR" for day, text in enumerate(texts, 1)]
    stack.upload("\n".join(["Date;Description;Amount;Currency", *lines]).encode())
    stack.wait_until(lambda: waiting(stack) == len(texts))
    join(stack, visitor, role, name)
    visitor.open("/review")
    return visitor.page


def answer_two(page: Page) -> list[str]:
    """The first two that wait, one after the other; what they are called."""
    heading, given = page.get_by_label("What waits for you").get_by_role("heading"), list[str]()
    for _ in range(2):
        given.append(heading.inner_text())
        page.keyboard.press("1")
        expect(heading).not_to_have_text(given[-1])
    return given


def refuse(route: Route, status: int) -> None:
    problem = {"status": status, "title": "Refused", "detail": "Not just now."}
    route.fulfill(status=status, content_type="application/problem+json", json=problem)


def made_rules(stack: Stack) -> list[dict[str, Any]]:
    status, told = stack.call("GET", "/api/v1/events?type=RULE_CREATED")
    assert status == 200, told
    return list(told["items"])


def test_a_statement_is_uploaded_watched_and_reviewed(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    stack.new_tenant()
    join(stack, visitor, "reviewer", f"robin-{size[0]}")
    page = visitor.page
    expect(page.get_by_role("heading", name="Sort your first records")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("link", name="Upload a statement").first.click()
    expect(page.get_by_label("Drop a statement here")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_label("Drop a statement here").set_input_files(STATEMENT)
    page.get_by_role("button", name="Upload and sort").click()
    page.wait_for_url("**/imports/*")
    expect(page.locator("[data-says]")).to_have_text(
        re.compile("445 records: .* sorted alone, .* to review"), timeout=90_000
    )
    assert visitor.faults() == []
    stack.wait_until(stack.idle)
    before = waiting(stack)
    page.get_by_role("link", name="Review what waits").click()
    item = page.get_by_label("What waits for you")
    first = item.get_by_role("heading").inner_text()
    assert visitor.faults() == []

    page.keyboard.press("c")
    page.keyboard.type("groc")
    assert visitor.faults() == []
    page.keyboard.press("Enter")
    expect(item.get_by_role("heading")).not_to_have_text(first)
    page.keyboard.press("u")  # at once, whether or not the answer has arrived
    expect(item.get_by_role("heading")).to_have_text(first)
    assert waiting(stack) == before
    assert decided(stack) == []

    page.keyboard.press("s")
    expect(item.get_by_role("heading")).not_to_have_text(first)
    stack.wait_until(lambda: stack.query("SELECT count(*) FROM approval_skips") == [(1,)])
    second = item.get_by_role("heading").inner_text()
    expect(item.get_by_role("list", name="Categories")).to_be_attached()
    page.keyboard.press("c")
    page.keyboard.type("groc")
    page.keyboard.press("Enter")
    stack.wait_until(lambda: len(decided(stack)) == 1)
    visitor.open("/review/decided")
    assert visitor.faults() == []
    expect(page.get_by_role("link", name=second)).to_be_visible()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("It was taken back, and waits again.")).to_be_visible()
    assert decided(stack) == []


def test_an_answer_for_all_that_are_alike_and_a_rule(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    stack.new_tenant(trusted_packs=[])
    lines = [f"2026-03-{day:02};HAFENKIOSK {day} AM KAI;-{day}.20;EUR" for day in range(1, 13)]
    lines += [f"2026-03-{day:02};WERFTLADEN NR {day};-{day}.70;EUR" for day in range(1, 6)]
    stack.upload("\n".join(["Date;Description;Amount;Currency", *lines]).encode())
    stack.wait_until(lambda: waiting(stack) == 17)
    join(stack, visitor, "admin", f"robin-{size[0]}")
    visitor.open("/review")
    page, item = visitor.page, visitor.page.get_by_label("What waits for you")
    expect(item.get_by_role("button", name=re.compile("For all 12 alike"))).to_be_visible()
    page.keyboard.press("x")
    expect(item.get_by_role("button", name=re.compile("For all 12 alike"))).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("c")
    page.keyboard.type("groceries")
    page.keyboard.press("Enter")
    expect(page.get_by_text("12 alike: ")).to_be_visible()
    assert waiting(stack) == 5
    expect(item.get_by_role("heading")).to_have_text(re.compile("WERFTLADEN"))
    page.keyboard.press("u")
    stack.wait_until(lambda: waiting(stack) == 17)
    expect(item.get_by_role("heading")).to_have_text(re.compile("HAFENKIOSK"))

    page.keyboard.press("r")
    rule = page.get_by_role("dialog", name="Make a rule")
    expect(rule.get_by_label("When")).to_have_value(re.compile("hafenkiosk"))
    rule.get_by_role("combobox", name="Another category").fill("groceries")
    page.keyboard.press("Enter")
    expect(rule.get_by_role("status")).to_have_text(re.compile("Matches 12 records of the latest 17"))
    assert visitor.faults() == []
    rule.get_by_label("When").fill("text contains (")
    expect(rule.get_by_role("button", name="Decide, and make the rule")).to_be_disabled()
    rule.get_by_label("When").fill('text contains "hafenkiosk"')
    expect(rule.get_by_role("status")).to_have_text(re.compile("Matches 12 records"))
    rule.get_by_role("button", name="Decide, and make the rule").click()
    expect(rule).to_be_hidden()
    stack.wait_until(lambda: waiting(stack) == 16)
    stack.wait_until(lambda: [event["actor"] for event in made_rules(stack)] == ["Robin Reviewer"])


def test_undo_takes_back_the_answer_that_it_stands_beside(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    page = at_review(stack, visitor, f"robin-undo-{size[0]}", "HAFENKIOSK", "WERFTLADEN", "QORBEL")
    heading, given = page.get_by_label("What waits for you").get_by_role("heading"), answer_two(page)
    page.get_by_role("status").get_by_role("button", name="Undo").first.click()
    expect(heading).to_have_text(given[0])
    assert answered(stack) == {given[1]}


def test_what_could_not_be_taken_back_is_the_next_to_be(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    page = at_review(stack, visitor, f"robin-again-{size[0]}", "HAFENKIOSK", "WERFTLADEN", "QORBEL")
    heading, given = page.get_by_label("What waits for you").get_by_role("heading"), answer_two(page)
    assert visitor.faults() == []
    page.route("**/review/withdraw", lambda route: refuse(route, 503), times=1)
    page.keyboard.press("u")
    expect(page.get_by_text("Not just now.")).to_be_visible()
    page.keyboard.press("u")
    expect(heading).to_have_text(given[1])
    assert answered(stack) == {given[0]}


def test_what_was_deleted_meanwhile_does_not_come_back(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    page = at_review(stack, visitor, f"robin-gone-{size[0]}", "HAFENKIOSK", "WERFTLADEN")
    heading = page.get_by_label("What waits for you").get_by_role("heading")
    first = heading.inner_text()
    [(record,)] = stack.query("SELECT id FROM records WHERE text = %s", [first])
    assert stack.call("DELETE", f"/api/v1/records/{record}")[0] == 204
    page.keyboard.press("1")
    expect(page.get_by_text(f"It waits no more, as its record is gone: {first}")).to_be_visible()
    expect(heading).not_to_have_text(first)
    page.keyboard.press("1")
    stack.wait_until(lambda: waiting(stack) == 0)
    assert len(answered(stack)) == 1


def test_what_is_taken_back_is_answered_alone(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    texts = [f"HAFENKIOSK {n} AM KAI" for n in range(1, 4)]
    page = at_review(stack, visitor, f"robin-alone-{size[0]}", *texts)
    item = page.get_by_label("What waits for you")
    for_all, heading = item.get_by_role("button", name="For all 3 alike"), item.get_by_role("heading")
    first = heading.inner_text()
    page.keyboard.press("1")
    expect(heading).not_to_have_text(first)
    page.keyboard.press("x")
    expect(for_all).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("u")
    expect(heading).to_have_text(first)
    expect(for_all).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize(
    ("status", "said"), [(503, "Not just now."), (409, "Nothing was decided, as somebody answered one of them")]
)
def test_an_answer_for_all_that_fails_hides_none_of_them(
    stack: Stack, visitor: Person, size: tuple[int, int], status: int, said: str
) -> None:
    texts = [f"HAFENKIOSK {n} AM KAI" for n in range(1, 4)]
    page = at_review(stack, visitor, f"robin-{status}-{size[0]}", *texts)
    item = page.get_by_label("What waits for you")
    expect(item.get_by_role("button", name="For all 3 alike")).to_be_visible()
    page.route("**/review/groups/*", lambda route: refuse(route, status), times=1)
    page.keyboard.press("x")
    page.keyboard.press("1")
    expect(page.get_by_text(said)).to_be_visible()
    again = item.get_by_role("button", name="For all 3 alike")
    expect(again).to_have_attribute("aria-pressed", "false")  # until they are there anew the page shows the former
    expect(page.get_by_text("Somebody else was quicker")).to_have_count(0)
    expect(item.get_by_role("button", name="Undo")).to_have_count(0)
    for left in (2, 1, 0):
        page.keyboard.press("1")
        stack.wait_until(lambda left=left: waiting(stack) == left)
    assert answered(stack) == set(texts)


def test_a_key_that_is_held_down_answers_once(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    page = at_review(stack, visitor, f"robin-held-{size[0]}", "HAFENKIOSK", "WERFTLADEN", "QORBEL", "PLIRT")
    item = page.get_by_label("What waits for you")
    seen = item.get_by_role("heading").inner_text()
    for _ in range(3):
        page.keyboard.down("1")  # those after the first repeat it
    page.keyboard.up("1")
    for _ in range(2):
        page.keyboard.down("s")
    page.keyboard.up("s")
    stack.wait_until(lambda: stack.query("SELECT count(*) FROM approval_skips") != [(0,)])
    expect(item.get_by_role("heading")).to_be_visible()
    page.keyboard.press("1")  # goes out after all of these
    stack.wait_until(lambda: len(answered(stack) - {seen}) == 1)
    assert (len(answered(stack)), waiting(stack)) == (2, 2)
    assert stack.query("SELECT count(*) FROM approval_skips") == [(1,)]


def test_what_is_answered_is_not_shown_while_more_is_asked_for(
    stack: Stack, visitor: Person, size: tuple[int, int]
) -> None:
    texts = [*[f"HAFENKIOSK {day} AM KAI" for day in range(1, 13)], "WERFTLADEN"]
    page = at_review(stack, visitor, f"robin-asked-{size[0]}", *texts)
    item = page.get_by_label("What waits for you")
    expect(item.get_by_role("heading")).to_have_text(re.compile("HAFENKIOSK"))
    held = held_back(page, "**/review/items?*")
    page.keyboard.press("x")
    with page.expect_request("**/review/items?*"):  # all ten in hand are answered
        page.keyboard.press("1")
    expect(item).to_have_text("Loading …")
    expect(page.get_by_text("12 alike: ")).to_be_visible()  # which asks for more, too, where that is not under way
    refuse(held[0], 503)
    expect(item).to_have_text(re.compile("Not just now."))
    assert waiting(stack) == 1
    page.keyboard.press("u")
    expect(item.get_by_role("heading")).to_have_text(re.compile("HAFENKIOSK"))
    assert waiting(stack) == 13


def test_what_is_taken_back_and_comes_with_more_is_there_once(
    stack: Stack, visitor: Person, size: tuple[int, int]
) -> None:
    page = at_review(stack, visitor, f"robin-once-{size[0]}", "HAFENKIOSK", "WERFTLADEN", "QORBEL")
    page.wait_for_load_state("networkidle")
    item, following = page.get_by_label("What waits for you"), page.locator("[data-next] li")
    first = item.get_by_role("heading").inner_text()
    more, again = held_back(page, "**/review/items?*"), held_back(page, "**/review/items/*")
    with page.expect_request("**/review/items?*"):
        page.keyboard.press("1")
    with page.expect_request("**/review/items/*"):
        page.keyboard.press("u")
    expect(following).to_have_count(1)
    more[0].continue_()
    expect(following).to_have_count(2)
    expect(following.last).to_contain_text(first)
    again[0].continue_()
    expect(item.get_by_role("heading")).to_have_text(first)
    expect(following).to_have_count(2)
    expect(following.filter(has_text=first)).to_have_count(0)


def test_a_rule_that_was_made_takes_away_its_own_item_alone(
    stack: Stack, visitor: Person, size: tuple[int, int]
) -> None:
    texts = ("HAFENKIOSK", "WERFTLADEN", "QORBEL")
    page = at_review(stack, visitor, f"robin-rule-{size[0]}", *texts, role="admin")
    heading = page.get_by_label("What waits for you").get_by_role("heading")
    first, held = heading.inner_text(), held_back(page, "**/review/decide")
    with page.expect_request("**/review/decide"):
        page.keyboard.press("1")
    expect(heading).not_to_have_text(first)
    second = heading.inner_text()
    page.keyboard.press("r")
    rule = page.get_by_role("dialog", name="Make a rule")
    expect(rule.get_by_role("button", name="Decide, and make the rule")).to_be_enabled()
    refuse(held[0], 503)
    expect(heading).to_have_text(first)  # behind the dialog
    rule.get_by_role("button", name="Decide, and make the rule").click()
    expect(rule).to_be_hidden()
    assert answered(stack) == {second}
    expect(heading).to_have_text(first)


def test_what_a_record_says_is_text(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    stack.new_tenant(trusted_packs=[])
    stack.upload(HOSTILE)
    stack.wait_until(lambda: waiting(stack) == 2)
    join(stack, visitor, "reviewer", f"robin-{size[0]}")
    visitor.open("/review")
    item = visitor.page.get_by_label("What waits for you")
    expect(item.get_by_role("heading")).to_have_text(re.compile("<svg onload|<script>"))
    visitor.page.keyboard.press("s")
    expect(item.get_by_role("heading")).to_have_text(re.compile("<svg onload|<script>"))
    assert visitor.page.title() == "Review · Sortation"


def test_a_viewer_looks_on(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    stack.new_tenant(trusted_packs=[])
    stack.upload(HOSTILE)
    stack.wait_until(lambda: waiting(stack) == 2)
    join(stack, visitor, "viewer", f"robin-{size[0]}")
    visitor.open("/review")
    item = visitor.page.get_by_label("What waits for you")
    expect(item.get_by_role("heading")).to_be_visible()
    assert item.get_by_role("button").count() == 0
    assert visitor.faults() == []
    for key in ("Enter", "1", "s", "x", "u", "r"):
        visitor.page.keyboard.press(key)
    assert waiting(stack) == 2
    visitor.open("/imports")
    assert visitor.page.get_by_role("button", name="Upload and sort").count() == 0
    assert visitor.faults() == []
