"""What people read of the pages of billing, and the buttons that they press there."""

from __future__ import annotations

import html
import re

from werkzeug.test import TestResponse

from tests.integration.test_console_sign_in import Browser


def text_of(page: TestResponse) -> str:
    """What a person reads, without tags."""
    main = page.text[page.text.index("<main") :]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def page_of(browser: Browser, path: str = "/billing") -> str:
    page = browser.open(path)
    assert page.status_code == 200, page.text
    return text_of(page)


def led_to(answer: TestResponse) -> str:
    """Where the page goes on to."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'content="0; url=([^"]+)"', answer.text)
    assert found is not None, answer.text
    return html.unescape(found[1])


def ordered(browser: Browser, plan: str = "team", interval: str = "month") -> TestResponse:
    return browser.send("/billing/plans", {"plan": plan, "interval": interval}, "/billing/checkout")


def portal(browser: Browser, purpose: str) -> TestResponse:
    return browser.send("/billing", {"purpose": purpose}, "/billing/portal")
