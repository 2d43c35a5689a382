"""The service, a browser, and people of each role."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import DESKTOP, PHONE, Person, chromium, person
from tests.stack import COMMAND, ROOT, Stack, running_stack

PASSWORD = "canary correct horse battery"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(
        tmp_path_factory.mktemp("console"), SORTATION_RATE_LIMIT="100000/minute", SORTATION_SIGN_IN_LIMIT="1000/minute"
    ) as stack:
        yield stack


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "400px"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest.fixture
def visitor(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    with person(browser, stack.url, size) as visitor:
        yield visitor


def invite(stack: Stack, email: str, role: str) -> str:
    """The link of an invitation to the present tenant; that of an owner comes from the command line alone."""
    if role == "owner":
        asked = [*COMMAND, "people", "invite", email, "--tenant", stack.tenant_id, "--role", role]
        told = subprocess.run(asked, cwd=ROOT, env=dict(stack.environment), capture_output=True, text=True, check=True)
        found = re.search(r"https?://\S+", told.stdout)
        assert found is not None, told.stdout
        return found[0]
    status, made = stack.call("POST", "/api/v1/invitations", {"email": email, "role": role})
    assert status == 201, made
    return str(made["url"])


def join(stack: Stack, visitor: Person, role: str, name: str = "robin") -> str:
    """Has somebody new come in with the role; their address. An account is one for all tenants: each test has its own
    name."""
    email = f"{name}-{role}-{stack.tenant_id}@example.org"
    visitor.accept(invite(stack, email, role), PASSWORD)
    return email
