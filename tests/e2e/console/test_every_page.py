"""Every page, in both sizes and themes: axe-core finds nothing, and nothing runs but our own scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from uuid import uuid4

import pytest
from markupsafe import escape
from playwright.sync_api import Browser, Route, expect

from tests.browser import DESKTOP, Person, person
from tests.e2e.console.conftest import PASSWORD, invite
from tests.e2e.console.hostile_world import HOSTILE, PIECES, asked, fill, guest, install
from tests.integration.test_access_matrix import ROUTES
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.slow
OPEN = ("/sign-in", "/password", "/password/<token>", "/invitations/<token>")
"""For who is not signed in."""
FILES = ("/records/export", "/receipts/<uuid:receipt_id>/content", "/reports/<uuid:run_id>/files/<string:format>")
ELSEWHERE = ("/sign-in/<key>", "/sign-in/<key>/callback", "/second-factor", *FILES)
"""Ways through, which need a provider or the half of a sign-in, and files: tests of these walk them."""


MORE = (
    "/jobs?status=dead",
    "/jobs?status=done",
    "/events?type=RULE_DEMOTED",
    "/connections/new/csv",
    "/connections/new/files",
    "/connections/new/rest-key",
    "/records?category_id=<category_id>&min_amount=-100&status=processed",
    "/records/<decided_id>",
    "/records?since=never",
    "/records?text=nothing-is-so",
    "/categories?q=odd",
    "/receipts?text=nothing-is-so",
    "/reports/new?kind=categories",
    "/settings/keys?state=ended",
)
"""Pages that look otherwise: filtered, with nothing to show, with what was asked wrong."""


def pages() -> list[str]:
    """The paths of all pages that show something: the table that stands for all routes has every one."""
    told = [
        path for route, asks in ROUTES.items() for method, path in [route.split()] if method == "GET" and "page" in asks
    ]
    return [*(path for path in told if path not in ELSEWHERE), *MORE]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("hostile")
    with running_stack(
        folder / "data",
        PYTHONPATH=str(install(folder / "plugins")),
        SORTATION_RATE_LIMIT="100000/minute",
        SORTATION_SIGN_IN_LIMIT="1000/minute",
    ) as stack:
        yield stack


@pytest.fixture(scope="module")
def parts(stack: Stack) -> dict[str, str]:
    return {**fill(stack), "token": guest(stack)}


@pytest.fixture
def owner(stack: Stack, parts: dict[str, str], browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    with person(browser, stack.url, size) as owner:
        owner.accept(invite(stack, f"owner-{uuid4()}@example.org", "owner"), PASSWORD, HOSTILE)
        parts["user_id"] = asked(stack, "/members")["items"][0]["user_id"]
        yield owner


@pytest.fixture
def anybody(stack: Stack, browser: Browser, size: tuple[int, int]) -> Iterator[Person]:
    with person(browser, stack.url, size) as anybody:
        yield anybody


def address(path: str, parts: Mapping[str, str]) -> str:
    _, area, *_ = path.split("/")
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: parts.get(f"{area} {found[1]}") or parts[found[1]], path)


def looked_at(somebody: Person, path: str) -> list[str]:
    """What is wrong with a page as it comes, with all opened that folds, and with its colours in the dark."""
    if "text/html" not in somebody.open(path) or not somebody.page.title():
        return []  # a part that a script puts into a page
    faults = []
    if folded := [one for one in somebody.page.locator("main summary").all() if one.is_visible()]:
        faults += somebody.faults()
    for one in folded:
        one.click()
    faults += somebody.faults()
    somebody.page.emulate_media(color_scheme="dark")
    expect(somebody.page.locator("html:not([data-bs-theme=light])")).to_have_count(1)
    faults += somebody.faults(["color-contrast"])
    somebody.page.emulate_media(color_scheme="light")
    if somebody.page.evaluate("window.r") is not None:
        faults.append("a text ran")
    return [f"{path}: {fault}" for fault in dict.fromkeys(faults)]


def test_nothing_is_wrong_with_any_page(owner: Person, anybody: Person, parts: Mapping[str, str]) -> None:
    found = [fault for path in pages() for fault in looked_at(anybody if path in OPEN else owner, address(path, parts))]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_what_would_come_through_unescaped_runs_on_no_page(
    owner: Person, anybody: Person, parts: Mapping[str, str]
) -> None:
    """As if escaping had been forgotten: each page is given back with the names as they are, under its own policy."""

    def careless(route: Route) -> None:
        answer = route.fetch()
        text = answer.text()
        for piece in PIECES:
            text = text.replace(str(escape(piece)), piece)
        route.fulfill(response=answer, body=text)

    ran, stood = [], set()
    for path in pages():
        somebody = anybody if path in OPEN else owner
        somebody.page.route(lambda url: True, careless)
        somebody.open(address(path, parts))
        if somebody.page.evaluate("window.r") is not None:
            ran.append(path)
        if somebody.page.locator("img[src=x]").count():
            stood.add(path)
        somebody.page.unroute_all(behavior="wait")
        assert all("Content Security Policy" in one for one in somebody.complaints), somebody.complaints
        somebody.complaints.clear()
    assert ran == []
    named = ("records", "receipts", "rules", "categories", "connections", "plugins", "jobs", "events", "settings")
    assert {path.split("/")[1] for path in stood} >= {*named, "review", "reports", "invitations"}
