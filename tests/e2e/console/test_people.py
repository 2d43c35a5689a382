"""Members, invitations and API keys, as an owner goes through them, in both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import Person, person
from tests.e2e.console.conftest import PASSWORD, join
from tests.stack import Stack

pytestmark = pytest.mark.slow
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


@pytest.fixture
def visitor(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    """The owner of a tenant of their own. Whatever they are asked, they say yes."""
    stack.new_tenant("Harbour Books")
    with person(browser, stack.url, size) as visitor:
        join(stack, visitor, "owner", name=f"people-{size[0]}-{stack.tenant_id[-8:]}")
        visitor.page.wait_for_url(lambda url: urlsplit(url).path == "/")
        visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        visitor.page.on("dialog", lambda dialog: dialog.accept())
        yield visitor


def status_for(stack: Stack, secret: str) -> int:
    """What a program is answered that comes by this key."""
    return stack.call("GET", "/api/v1/records", key=secret)[0]


def copied(visitor: Person) -> str:
    """What the page shows once, copied by the button that has the focus."""
    button = visitor.page.get_by_role("button", name="Copy it")
    expect(button).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_text("Copied.")).to_be_visible()
    text = str(visitor.page.evaluate("navigator.clipboard.readText()"))
    assert text == visitor.page.locator("#once").inner_text()
    return text


def test_somebody_is_invited_given_another_role_and_removed(
    stack: Stack, browser: Browser, visitor: Person, size: tuple[int, int]
) -> None:
    page, guest = visitor.page, f"guest-{size[0]}-{stack.tenant_id}@example.org"
    page.keyboard.type("gs")
    page.wait_for_url("**/settings**")
    page.get_by_role("navigation", name="Settings").get_by_role("link", name="Members").click()
    expect(page.get_by_role("heading", name="Members", level=1)).to_be_visible()
    assert visitor.faults() == []
    page.keyboard.press("n")
    page.get_by_label("E-mail address").focus()
    page.keyboard.type(guest)
    page.keyboard.press("Tab")
    page.get_by_label("Reviewer").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"A link for {guest}")).to_be_visible()
    link = copied(visitor)
    assert visitor.faults() == []
    page.reload()
    expect(page.get_by_role("heading", name="Members", level=1)).to_be_visible()
    expect(page.get_by_text(guest)).to_be_visible()
    assert link not in page.content()
    page.get_by_role("button", name="Make a new link").click()
    anew = copied(visitor)
    with person(browser, stack.url, size) as other:
        other.page.goto(link)
        expect(other.page.get_by_text("This link was used already, is too old")).to_be_visible()
        other.accept(anew, PASSWORD)
        other.page.wait_for_url(lambda url: urlsplit(url).path == "/")
        other.open("/settings/members")
        expect(other.page.get_by_role("link", name="Invite somebody")).to_have_count(0)
        assert other.faults() == []

        page.get_by_role("link", name="I have passed it on").click()
        page.wait_for_url("**/settings/members")
        page.keyboard.press("j")
        expect(page.locator("[data-row]:focus-within")).to_contain_text(guest)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Robin Reviewer", level=1)).to_be_visible()
        assert visitor.faults() == []
        page.get_by_role("radio", name="Admin").check()
        page.get_by_role("button", name="Change the role").click()
        expect(page.get_by_text("Robin Reviewer is an admin from now on.")).to_be_visible()
        other.page.reload()
        expect(other.page.get_by_role("link", name="Invite somebody")).to_be_visible()

        page.get_by_role("link", name="What each role may do").click()
        expect(page.get_by_role("heading", name="What each role may do")).to_be_visible()
        assert visitor.faults() == []
        page.go_back()
        page.get_by_role("button", name="Remove Robin Reviewer").click()
        expect(page.get_by_text("Robin Reviewer is no member any more.")).to_be_visible()
        other.page.reload()
        expect(other.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    own = page.get_by_role("link", name="Robin Reviewer")
    own.click()
    expect(page.get_by_text("The only owner stays")).to_be_visible()
    assert visitor.faults() == []


def test_a_key_is_made_used_replaced_and_revoked(stack: Stack, visitor: Person) -> None:
    page = visitor.page
    visitor.open("/settings/keys")
    page.keyboard.press("n")
    page.get_by_label("Name", exact=True).fill(HOSTILE)
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("Choose one thing at least that it may do.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value(HOSTILE)
    assert visitor.faults() == []
    page.get_by_role("button", name="Read everything").click()
    expect(page.get_by_text("14 of 28 chosen")).to_be_visible()
    page.get_by_label("See what is paid and used").uncheck()
    expect(page.get_by_text("13 of 28 chosen")).to_be_visible()
    expect(page.locator("#day")).to_be_hidden()
    page.get_by_label("It serves").select_option(label="until the end of a day")
    expect(page.locator("#day")).to_be_visible()
    page.locator("#day").fill("2030-12-31")
    page.get_by_role("button", name="Make the key").click()
    first = copied(visitor)
    assert (visitor.faults(), status_for(stack, first)) == ([], 200)
    assert first not in page.url
    page.reload()
    expect(page.get_by_role("heading", name=HOSTILE, level=1)).to_be_visible()
    assert first not in page.content()
    page.get_by_label("The former one serves on for").select_option(label="not at all: it leaked")
    page.get_by_role("button", name="Replace it").click()
    second = copied(visitor)
    assert [status_for(stack, secret) for secret in (first, second)] == [401, 200]
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_text("Read and download reports")).to_be_visible()
    assert visitor.faults() == []
    page.get_by_role("button", name="Revoke it now").click()
    expect(page.get_by_text("is revoked: whatever still uses it")).to_be_visible()
    assert status_for(stack, second) == 401
    page.wait_for_load_state()
    page.keyboard.press("u")
    expect(page.get_by_role("link", name=HOSTILE)).to_have_count(2)
    assert visitor.faults() == []
