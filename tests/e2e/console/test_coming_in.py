"""Coming in: by a link, by a password, and out again; and what somebody does first."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import Person
from tests.e2e.console.conftest import PASSWORD, invite, join
from tests.stack import Stack

pytestmark = pytest.mark.slow


def test_who_is_invited_comes_in_and_comes_back(stack: Stack, visitor: Person, size: tuple[int, int]) -> None:
    stack.new_tenant()
    email = f"robin-{size[0]}@example.org"
    visitor.page.goto(invite(stack, email, "reviewer"))
    assert visitor.faults() == []
    visitor.accept(visitor.page.url, PASSWORD)
    visitor.open("/account")
    assert visitor.page.get_by_role("heading", name="Your account").is_visible()
    assert visitor.faults() == []
    visitor.page.get_by_role("button", name="Sign out everywhere", exact=True).click()
    visitor.page.wait_for_url("**/sign-in")
    assert visitor.faults() == []
    visitor.sign_in(email, PASSWORD)
    visitor.open("/account")
    assert visitor.page.get_by_text(f"{email} · reviewer").is_visible()


SHOPS = {"HAFENKIOSK": "groceries", "WERFTLADEN": "restaurants", "LEUCHTTURM": "fuel"}


def statement() -> bytes:
    lines = [
        f"2026-03-{day:02};{shop} NR {day};-{day}.{n}0;EUR" for day in range(1, 9) for n, shop in enumerate(SHOPS, 1)
    ]
    return "\n".join(["Date;Description;Amount;Currency", *lines]).encode()


def test_who_is_new_uploads_reviews_ten_and_sees_what_it_learned(
    stack: Stack, visitor: Person, size: tuple[int, int]
) -> None:
    stack.new_tenant(trusted_packs=[])
    join(stack, visitor, "reviewer", f"first-{size[0]}")
    page = visitor.page
    page.get_by_role("link", name="See what it learned").click()
    expect(page.get_by_role("heading", name="Nothing was learned yet")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("main").get_by_role("link", name="Upload a statement").click()
    file = {"name": "march.csv", "mimeType": "text/csv", "buffer": statement()}
    page.get_by_label("Drop a statement here").set_input_files(file)
    page.get_by_role("button", name="Upload and sort").click()
    expect(page.locator("[data-says]")).to_have_text("24 records: 0 sorted alone, 24 to review.", timeout=90_000)
    imported = page.url
    page.get_by_role("link", name="Review what waits").click()
    heading = page.get_by_label("What waits for you").get_by_role("heading")
    for answered in range(10):
        expect(heading).to_have_text(re.compile("|".join(SHOPS)))
        shown = heading.inner_text()
        page.keyboard.press("c")
        page.keyboard.type(SHOPS[shown.split()[0]])
        page.keyboard.press("Enter")
        expect(heading).not_to_have_text(shown)
        stack.wait_until(lambda given=answered + 1: stack.query("SELECT count(*) FROM examples") == [(given,)])
    see = page.get_by_role("button", name="See what it learned")
    see.hover()  # it stands there as long as somebody points at it
    assert visitor.faults() == []
    see.click()
    expect(page.get_by_role("status")).to_have_text("Similarity has learned from all of them.")
    expect(page.get_by_role("main")).to_contain_text(
        re.compile(r"From 10 answers, in \d categor\w+:\s+\d+ of 14 that wait")
    )
    expect(page.get_by_role("link", name="march.csv")).to_be_visible()
    assert visitor.faults() == []
    page.goto(imported)
    expect(page.get_by_role("link", name="See what it learned")).to_be_visible()
    expect(page.get_by_text(re.compile("From 10 answers, in"))).to_be_visible()
    assert visitor.faults() == []
    visitor.open("/")
    expect(page.get_by_label("Your first steps")).to_have_count(0)
    assert visitor.faults() == []
