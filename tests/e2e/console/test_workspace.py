"""The workspace, its promise, endpoints and privacy, as an owner goes through them, in both sizes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from standardwebhooks import Webhook

from tests.browser import Person, person
from tests.e2e.console.conftest import join
from tests.stack import Stack, running_stack
from tests.stubs.scripted_http import Answer, ScriptedServer

pytestmark = pytest.mark.slow
IN = "/in"
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
HEADER = "Date;Description;Amount;Currency;Category\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that may send to this machine."""
    with running_stack(
        tmp_path_factory.mktemp("workspace"),
        SORTATION_RATE_LIMIT="100000/minute",
        SORTATION_SIGN_IN_LIMIT="1000/minute",
        SORTATION_HTTP_ALLOW="127.0.0.1",
        SORTATION_RULE_PROPOSALS="off",
    ) as stack:
        yield stack


@pytest.fixture
def visitor(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    """The owner of a tenant of their own."""
    stack.new_tenant("Harbour Books")
    with person(browser, stack.url, size) as visitor:
        join(stack, visitor, "owner", name=f"settings-{size[0]}-{stack.tenant_id[-8:]}")
        visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield visitor


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server.script("POST", IN, Answer(status=204))


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_the_promise_says_what_it_means_and_what_does_not_hold(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    visitor.open("/settings")
    assert visitor.faults() == []
    promise = page.get_by_label("At least this share is right")
    promise.fill("97.5")
    expect(page.get_by_text("Of 1,000 records that are sorted automatically, at most 25 may be wrong.")).to_be_visible()
    page.get_by_label("Name", exact=True).fill(HOSTILE)
    page.get_by_label("Time zone").fill("Atlantis")
    promise.fill("975")
    promise.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    expect(page.get_by_label("Time zone")).to_have_attribute("aria-invalid", "true")
    expect(promise).to_have_value("975")
    assert visitor.faults() == []
    page.get_by_label("Time zone").fill("America/New_York")
    promise.fill("97.5")
    page.get_by_role("checkbox", name="Language model").uncheck()
    page.get_by_text("Fixed confidences").click()
    page.get_by_label("Similarity, from").fill("99")
    save(page)
    expect(page.get_by_text("Saved. It holds for what is decided from now on.")).to_be_visible()
    assert visitor.faults() == []
    tenant = stack.call("GET", "/api/v1/tenant")[1]
    assert (tenant["name"], tenant["time_zone"]) == (HOSTILE, "America/New_York")
    settings = tenant["settings"]
    assert (settings["promise"], settings["alone"]) == (0.975, ["rules", "similarity"])
    assert (settings["similarity_threshold"], settings["trusted_packs"]) == (0.99, ["bank"])


def test_another_promise_is_tried_before_it_is_set(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    shops = {"LIDL": "food.groceries", "SHELL": "transport.fuel", "CITY PROPERTY": "housing.rent"}
    rows = [
        f"2026-03-{n % 28 + 1:02};{shop} {n % 9:03};-{n % 50 + 1}.50;EUR;{key}\n"
        for n in range(70)
        for shop, key in shops.items()
    ]
    status, made = stack.call(
        "POST", "/api/v1/imports?filename=history.csv&approved=true", (HEADER + "".join(rows)).encode()
    )
    assert status == 202, made
    stack.wait_until(stack.idle)
    visitor.open("/settings/promise")
    assert visitor.faults() == []
    page.get_by_label("Try a promise of").fill("90")
    page.get_by_label("Try a promise of").press("Enter")
    expect(page.get_by_role("heading", name="A promise of 90.0 %, tried")).to_be_visible()
    expect(page.get_by_text("Would be decided alone")).to_be_visible()
    assert visitor.faults() == []
    visitor.open("/settings")
    expect(page.get_by_role("rowheader", name="90.0 %")).to_be_visible()
    assert visitor.faults() == []


def test_a_webhook_is_added_tried_out_and_fails_in_words(
    stack: Stack, visitor: Person, receiver: ScriptedServer
) -> None:
    page = visitor.page
    visitor.open("/settings/notifications")
    assert visitor.faults() == []
    page.get_by_role("main").get_by_role("link", name="Add a webhook").first.press("Enter")
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Address").fill(receiver.url + IN)
    page.get_by_label("When").select_option("daily")
    expect(page.get_by_label("At, once a day")).to_be_visible()
    page.get_by_label("When").select_option("none")
    expect(page.get_by_label("At, once a day")).to_be_hidden()
    assert visitor.faults() == []
    page.get_by_role("button", name="Add it").press("Enter")
    secret = page.get_by_label("The secret")
    expect(secret).to_contain_text("whsec_")
    assert visitor.faults() == []
    text = secret.inner_text()
    page.get_by_role("button", name="Copy it").press("Enter")
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#result")).to_contain_text("It arrived: 204: it was taken")
    assert text not in page.content()
    asked = receiver.asked(IN)[0]
    assert Webhook(text).verify(asked.body, dict(asked.headers))["type"] == "endpoint.test"
    page.get_by_role("heading", name="What it was told").click()
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Send it again")).to_be_visible()
    assert visitor.faults() == []
    receiver.script("POST", IN, Answer(status=410))
    page.get_by_role("button", name="Send it again").click()
    expect(page.locator("#result")).to_contain_text("It did not arrive: 410")
    expect(page.locator("#standing")).to_contain_text("The receiver answered 410")
    assert visitor.faults() == []
    page.get_by_role("button", name="Enable it").click()
    expect(page.get_by_role("button", name="Pause it")).to_be_visible()
    page.get_by_text("Make another one").first.click()
    page.get_by_role("button", name="Make another one").click()
    expect(page.get_by_label("The secret")).not_to_have_text(text)
    expect(page.get_by_role("button", name="Copy it")).to_be_focused()  # by the script that gives it another address
    page.reload()
    expect(page.get_by_role("heading", name=HOSTILE, level=1)).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("The endpoint is deleted, with its log.")).to_be_visible()
    assert stack.call("GET", "/api/v1/notifications/endpoints")[1]["items"] == []


def test_privacy_is_set_by_owners_and_read_by_all(
    stack: Stack, visitor: Person, browser: Browser, size: tuple[int, int]
) -> None:
    page = visitor.page
    visitor.open("/settings/privacy")
    assert visitor.faults() == []
    page.get_by_label("Records", exact=False).first.fill("3650")
    save(page)
    expect(page.get_by_text("records that occurred more than 3,650 days ago")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_label("Yes, delete it").check()
    save(page)
    expect(page.get_by_text("Saved. What is older goes within the hour.")).to_be_visible()
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == (
        f"sortation tenants export {stack.tenant_id} everything.zip"
    )
    assert visitor.faults() == []
    with person(browser, stack.url, size) as viewer:
        join(stack, viewer, "viewer", name=f"reads-{size[0]}")
        for path in ("/settings", "/settings/promise", "/settings/privacy"):
            viewer.open(path)
            expect(viewer.page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
            assert viewer.faults() == [], path
        expect(viewer.page.get_by_text("3,650 days")).to_be_visible()
