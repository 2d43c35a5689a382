"""Coming in: by a link, by a password, and out again."""

from __future__ import annotations

import pytest

from tests.browser import Person
from tests.e2e.console.conftest import PASSWORD, invite
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
    assert visitor.page.url == f"{visitor.url}/sign-in"
    assert visitor.faults() == []
    visitor.sign_in(email, PASSWORD)
    visitor.open("/account")
    assert visitor.page.get_by_text(f"{email} · reviewer").is_visible()
