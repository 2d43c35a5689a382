"""Connections, jobs, events and plugins, as people go through them, in both sizes and themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser import Person, person
from tests.e2e.console.conftest import join
from tests.stack import Stack

pytestmark = pytest.mark.slow
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
SECRET = "canary-5f3a9c-tell-nobody"
KEY_LINES = "-----BEGIN canary-----\nabc\n-----END canary-----"
STATEMENT = b"Date;Description;Amount;Currency\n2026-03-01;NETFLIX.COM 866-579;-12.99;EUR\n"


@pytest.fixture
def visitor(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    """An admin of a tenant of their own, with connections, an import and a dead job."""
    stack.new_tenant("Harbour Books")
    with person(browser, stack.url, size) as visitor:
        join(stack, visitor, "admin", name=f"ops-{size[0]}-{stack.tenant_id[-8:]}")
        yield visitor


def connect(stack: Stack, connector: str, name: str, **config: Any) -> str:
    body = {"connector": connector, "name": name, "config": config}
    status, made = stack.call("POST", "/api/v1/connections", body)
    assert status == 201, made
    return str(made["id"])


def kill_jobs(stack: Stack) -> int:
    """Has all that was done be dead instead, as if it had failed; how many jobs that are."""
    stack.wait_until(stack.idle)
    return len(stack.query("UPDATE jobs SET status = 'dead', last_error = %s RETURNING id", [HOSTILE]))


def is_fine(visitor: Person, path: str) -> None:
    """In light and dark."""
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        visitor.open(path)
        visitor.page.wait_for_load_state()
        assert visitor.faults() == [], (path, scheme)


def test_pages_without_anything_and_of_what_cannot_be_reached_are_well_made(stack: Stack, visitor: Person) -> None:
    """All others, with hostile names: test_every_page.py."""
    for path in ("/connections", "/jobs", "/jobs?status=done", "/events?type=RULE_DEMOTED"):
        is_fine(visitor, path)
    stripe = connect(
        stack, "stripe", "Stripe", api_key=SECRET, webhook_secret="canary-1", base_url="http://127.0.0.1:9"
    )
    for page in ("", "/settings", "/streams", "/deliveries"):
        is_fine(visitor, f"/connections/{stripe}{page}")


def fill(page: Page, label: str, text: str) -> None:
    page.get_by_label(label, exact=True).fill(text)


def as_if_it_synced(route: Route) -> None:
    """A connection's page, of which nobody knows whether its first sync is over by then."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace("data-connection=", "data-syncing data-connection="))


def test_a_connection_is_made_by_keyboard_and_nothing_typed_is_lost(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    visitor.open("/connections")
    page.get_by_role("main").get_by_role("link", name="Add a connection").first.press("Enter")
    page.get_by_role("link", name="Stripe balance").press("Enter")
    page.wait_for_url("**/connections/new/stripe")
    page.get_by_label("Name").fill("Our Stripe")
    page.get_by_label("API key").fill(SECRET)
    page.get_by_label("Account").fill("none of ours")
    page.get_by_label("Name").press("Enter")
    account = page.get_by_label("Account")
    expect(account).to_have_attribute("aria-invalid", "true")
    expect(account).to_be_focused()
    expect(account).to_have_value("none of ours")
    expect(page.get_by_label("API key")).to_have_value(SECRET)
    assert SECRET not in page.content(), "the browser alone keeps it"
    assert visitor.faults() == []
    account.fill("acct_17")
    page.route(re.compile("/connections/[0-9a-f-]{36}$"), as_if_it_synced, times=1)
    page.route("**/connections/*/state", lambda route: route.fulfill(json={"sync": None}), times=1)
    comes = count()
    with page.expect_event("framenavigated", lambda _: next(comes) == 1):  # and once more, as the sync is over
        account.press("Enter")
    page.wait_for_url("**/connections/*-*-*")
    expect(page.get_by_text("“Our Stripe” is connected.")).to_be_visible()
    expect(page.get_by_role("heading", name="Our Stripe", level=1)).to_be_visible()
    [made] = stack.call("GET", "/api/v1/connections")[1]["items"]
    assert (made["config"], made["secrets"]) == ({"account": "acct_17"}, ["api_key"])


def test_a_check_says_what_is_wrong_and_keeps_the_form(visitor: Person) -> None:
    page = visitor.page
    visitor.open("/connections/new/stripe")
    page.get_by_label("Name").fill("Stripe")
    page.get_by_label("API key").fill(SECRET)
    page.get_by_label("Base URL").fill("http://127.0.0.1:9")
    page.get_by_role("button", name="Check it first").click()
    outcome = page.get_by_role("alert").filter(has_text="It can't be read")
    expect(outcome).to_be_focused()
    expect(outcome).to_contain_text("mend it at the source or in the configuration")
    expect(page.get_by_label("API key")).to_have_value(SECRET)
    assert visitor.faults() == []


def test_a_private_key_keeps_its_lines(visitor: Person) -> None:
    page = visitor.page
    visitor.open("/connections/new/files")
    secret = page.get_by_label("Secret")
    secret.focus()
    page.evaluate(
        """text => { const data = new DataTransfer(); data.setData("text", text); document.activeElement.dispatchEvent(
        new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })); }""",
        KEY_LINES,
    )
    expect(page.get_by_label("Secret")).to_have_value(KEY_LINES)
    page.get_by_label("Name").fill("Files")
    page.get_by_label("Url").or_(page.get_by_label("URL", exact=True)).first.fill("nowhere")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[aria-invalid=true]")).to_have_count(1)
    expect(page.get_by_label("Secret")).to_have_value(KEY_LINES)


def test_a_list_of_streams_grows_and_its_kinds_open_their_fields(visitor: Person) -> None:
    page = visitor.page
    visitor.open("/connections/new/rest")
    page.get_by_label("Base URL").fill("https://api.example.com")
    page.get_by_role("button", name="Add to streams").click()
    second = page.locator('[name="config.streams.1.name"]')
    expect(second).to_be_focused()
    expect(page.get_by_label("Base URL")).to_have_value("https://api.example.com")
    kind = page.locator('[name="config.streams.1.pagination!variant"]')
    param = page.locator('[name="config.streams.1.pagination~1.param"]')
    expect(param).to_be_hidden()
    kind.select_option("1")
    expect(param).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("button", name="Remove Stream 1").click()
    expect(page.locator('[name="config.streams.1.name"]')).to_have_count(0)
    expect(page.get_by_role("button", name="Add to streams")).to_be_focused()


def test_a_webhook_secret_is_shown_once(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    id = connect(stack, "webhook", "The till", webhook_secret="whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5")
    visitor.open(f"/connections/{id}")
    page.get_by_text("Another webhook secret").click()
    page.get_by_role("button", name="Change it").click()
    secret = page.get_by_label("The secret")
    expect(secret).to_contain_text("whsec_")
    assert visitor.faults() == []
    text = secret.inner_text()
    page.get_by_role("link", name="I have set it at the source").click()
    expect(page.get_by_role("heading", name="The till", level=1)).to_be_visible()
    assert text not in page.content()


def test_the_log_goes_on_by_itself(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    stack.wait_until(lambda: stack.query("SELECT id FROM event_batches WHERE last_seq IS NULL") == [])
    visitor.open("/events")
    expect(page.get_by_label("Follow")).to_be_checked()
    first = page.locator("#log summary").first
    page.keyboard.press("j")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#log dl").first).to_be_visible()
    connect(stack, "csv", HOSTILE)
    expect(page.locator("#log [data-said]").first).to_have_text("A connection was added: csv.")
    expect(page.get_by_role("status").first).to_have_text("A connection was added: csv.")
    assert visitor.faults() == []
    page.locator("#log summary").first.click()
    page.locator("#log li").first.get_by_role("link", name="Open it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)


def test_dead_jobs_are_chosen_by_keyboard_and_replayed(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    stack.upload(STATEMENT)
    dead = kill_jobs(stack)
    is_fine(visitor, "/jobs")
    rows = page.locator("[data-row]")
    expect(rows).to_have_count(dead)
    page.keyboard.press("j")
    expect(rows.first).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator('input[name="id"]:checked')).to_have_count(1)
    page.get_by_label("Choose all on this page").check()
    expect(page.locator('input[name="id"]:checked')).to_have_count(dead)
    page.get_by_role("button", name="Replay the chosen ones").click()
    expect(page.get_by_text("queued again, with all attempts.")).to_be_visible()
    stack.wait_until(stack.idle)
    assert stack.query("SELECT count(*) FROM jobs WHERE status = 'dead'") == [(0,)]
