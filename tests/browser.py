"""A browser that looks at the console as people do: Debian's Chromium, driven by Playwright, and judged by axe-core."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect, sync_playwright

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
DESKTOP, PHONE = (1280, 800), (400, 800)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""What axe-core is asked for: the tags of WCAG 2.2 AA, and what it holds good practice besides."""

PATIENCE_MS = 60_000
"""For what a page is to do or to show: a request that is answered late, a job in the background."""
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        # The sandbox needs a user other than root, which containers of a CI often lack.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(kw_only=True)
class Person:
    """Somebody at the console. Whatever the browser complains of is kept: a script that fails, what a policy blocks."""

    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def open(self, path: str) -> str:
        """The type of what came."""
        answer = self.page.goto(f"{self.url}{path}")
        return "" if answer is None else answer.headers.get("content-type", "")

    def accept(self, invitation: str, password: str, name: str = "Robin Reviewer") -> None:
        """Comes in by the link of an invitation, as somebody new."""
        self.page.goto(invitation)
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Join").click()

    def sign_in(self, email: str, password: str) -> None:
        self.open("/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def faults(self, rules: Sequence[str] = WCAG) -> Sequence[str]:
        """What axe-core finds wrong with the page as it is now, once its styles and scripts are there, by these of
        its tags or rules, each with where; and whether it is wider than the window."""
        self.page.wait_for_load_state()
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        # Without resultTypes it would tell of all that is well, too: megabytes of a long page.
        only = "{runOnly: rules, resultTypes: ['violations']}"
        found = self.page.evaluate(f"rules => axe.run(document, {only}).then(({{violations}}) => violations)", rules)
        faults = [f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes'][:3]]}" for one in found]
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return [*faults, *([f"{wide} pixels wider than the window"] if wide > 0 else [])]

    def shoot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=False)


@contextmanager
def person(browser: Browser, url: str, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Iterator[Person]:
    """A browser of somebody's own, with nothing kept from before. Fails at the end where it complained."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale="en-GB",
        timezone_id="Europe/Berlin", reduced_motion="reduce",
    )  # fmt: skip
    context.set_default_timeout(PATIENCE_MS)
    try:
        somebody = Person(url=url, page=context.new_page())
        yield somebody
        assert somebody.complaints == []
    finally:
        context.close()


def choice_of(within: Page | Locator, name: str) -> Locator:
    """The field in which a choice is found by typing, once the page's script has put it in the place of a list."""
    return within.get_by_role("combobox", name=name).and_(within.locator("input"))


def held_back(page: Page, address: str) -> list[Route]:
    """The first request to it from now on, once there is one. Whoever lets it go may still hold others."""
    held = list[Route]()
    page.route(address, lambda route: route.continue_() if held else held.append(route))
    return held
