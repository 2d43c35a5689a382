"""Review in the browser, by keyboard alone: upload, watch, decide, undo, skip, make a rule."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import Person
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
    assert visitor.faults() == []
    page.get_by_label("Drop a statement here").set_input_files(STATEMENT)
    page.get_by_role("button", name="Upload and sort").click()
    page.wait_for_url("**/imports/*")
    expect(page.get_by_role("status").first).to_have_text(
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
    stack.wait_until(lambda: waiting(stack) == 5)
    expect(page.get_by_text("12 alike: ")).to_be_visible()
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


def test_a_key_that_is_held_down_answers_one_item(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    stack.new_tenant(trusted_packs=[])
    lines = [f"2026-03-{day:02};HAFENKIOSK {day} AM KAI;-{day}.20;EUR" for day in range(1, 7)]
    stack.upload("\n".join(["Date;Description;Amount;Currency", *lines]).encode())
    stack.wait_until(lambda: waiting(stack) == 6)
    join(stack, visitor, "admin", f"robin-held-{size[0]}")
    visitor.open("/review")
    page, item = visitor.page, visitor.page.get_by_label("What waits for you")
    expect(item.get_by_role("button", name="Skip")).to_be_visible()
    before = item.get_by_role("heading").text_content() or ""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    for _ in range(4):  # it repeats
        page.keyboard.down("s")
    page.keyboard.up("s")
    expect(item.get_by_role("heading")).not_to_have_text(before)
    page.wait_for_load_state("networkidle")
    assert [url.rpartition("/")[2] for url in asked] == ["skip"]


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
