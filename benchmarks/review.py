"""How fast one reviews by keyboard, with very many records in the queue, beside a page that asks for each next item.

`python -m benchmarks.review [--waiting N] [--decisions N] [--json]`. A tenant whose stages suggest and leave all to
people; the whole service, and somebody at the console in Chromium, who presses Enter, numbers, and letters of a
category: first one a second, then as fast as the page goes. Beside it, by the same session: answer, then ask for the
next one, as a page does that has nothing in hand. What the server took is in its log; all the while it learns from the
answers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from benchmarks._pipeline import Stream
from tests.browser import Person, chromium, person
from tests.e2e.console.conftest import PASSWORD, invite
from tests.stack import Stack, running_stack

LESSONS = 20_000
NEW = 0.2
"""Share of texts that nobody has seen before: of others the page shows neighbours and what they say."""
AT_ONCE = 20_000
WAIT_SECONDS = 3_600
ITEMS, DECIDE = "/review/items", "/review/decide"
PACE = 1.0
"""Seconds: 60 decisions a minute."""
KEYS = ("Enter", "1", "2", "c")
"""What is pressed in turn: approve, the first or second candidate, or a category by its name."""

ANOTHER = """seen => {
    const link = document.querySelector("[data-item] .review-actions a");
    return link !== null && link.getAttribute("href") !== seen;
}"""


@contextmanager
def queue(folder: Path, waiting: int) -> Iterator[Stack]:
    """The service with a tenant in which so many records wait."""
    with running_stack(
        folder,
        SORTATION_WORKER_CONCURRENCY="2",
        SORTATION_RATE_LIMIT="1000000/minute",
        SORTATION_RULE_PROPOSALS="off",
    ) as stack:
        stack.new_tenant("Benchmark", trusted_packs=[], alone=[])
        stream = Stream()
        status, made = stack.call(
            "POST", "/api/v1/imports?filename=history.ndjson&approved=true", stream.history(LESSONS)
        )
        assert status == 202, made
        stack.wait_until(stack.idle, seconds=WAIT_SECONDS)
        for start in range(0, waiting, AT_ONCE):
            stack.upload(stream.records(min(AT_ONCE, waiting - start), NEW), "records.ndjson")
        stack.wait_until(lambda: opened(stack) >= waiting and stack.idle(), seconds=WAIT_SECONDS)
        yield stack


def opened(stack: Stack) -> int:
    [(n,)] = stack.query("SELECT count(*) FROM approvals WHERE verdict IS NULL")
    return int(n)


def by_keyboard(stack: Stack, reviewer: Person, decisions: int, pace: float = 0.0) -> dict[str, Any]:
    """Milliseconds from each key until the next item stands there, with at least `pace` seconds from key to key; the
    server's for items and answers; decisions a minute, until the last one was kept."""
    asked, answered = len(served(stack, ITEMS)), len(served(stack, DECIDE))
    page, before = reviewer.page, opened(stack)
    reviewer.open("/review")
    record = page.get_by_role("link", name="Its record")  # records may be called the same, and have ids of their own
    expect(record).to_be_visible()
    seen, steps = record.get_attribute("href"), []
    start = time.perf_counter()
    for n in range(decisions):
        pressed = time.perf_counter()
        key = KEYS[n % len(KEYS)]
        page.keyboard.press(key)
        if key == "c":
            page.keyboard.type("rent")
            page.keyboard.press("Enter")
        page.wait_for_function(ANOTHER, arg=seen, polling=5)
        seen = record.get_attribute("href")
        steps.append(time.perf_counter() - pressed)
        time.sleep(max(0.0, pace - steps[-1]))
    stack.wait_until(lambda: before - opened(stack) == decisions, seconds=WAIT_SECONDS)
    seconds = time.perf_counter() - start
    return {
        "decisions": decisions,
        "per_minute": round(decisions / seconds * 60),
        "next_item_median_ms": round(statistics.median(steps) * 1000, 1),
        "next_item_p95_ms": round(p95(steps) * 1000, 1),
        "items_server_p95_ms": p95(served(stack, ITEMS)[asked:]),
        "decide_server_p95_ms": p95(served(stack, DECIDE)[answered:]),
    }


def one_by_one(reviewer: Person, decisions: int) -> dict[str, Any]:
    """Answer, then ask for the next one: seconds between."""
    told: list[float] = reviewer.page.evaluate(
        """async decisions => {
            const token = document.querySelector("meta[name=form-token]").content;
            const next = async () => (await (await fetch("/review/items?limit=1")).json()).items[0];
            const took = [];
            let item = await next();
            for (let n = 0; n < decisions; n++) {
                const start = performance.now();
                const category = item.suggested_id || item.candidates[0].category_id;
                const answer = { approval_id: item.id, verdict: "override", category_id: category };
                const answered = await fetch("/review/decide", {
                    method: "POST",
                    headers: { "Content-Type": "application/json", "X-Form-Token": token },
                    body: JSON.stringify({ answers: [answer] }),
                });
                if (!answered.ok) throw new Error(await answered.text());
                item = await next();
                took.push(performance.now() - start);
            }
            return took;
        }""",
        decisions,
    )
    return {"next_item_median_ms": round(statistics.median(told), 1), "next_item_p95_ms": round(p95(told), 1)}


def served(stack: Stack, route: str) -> list[float]:
    """Milliseconds that the server took for each request of the route so far."""
    log = stack.data_dir / "logs" / "api.log"
    lines = (line for line in log.read_text().splitlines() if route in line and line.startswith("{"))
    return [told["ms"] for line in lines if (told := json.loads(line)).get("route") == route]


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def measure(waiting: int, decisions: int) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        queue(Path(folder) / "data", waiting) as stack,
        chromium() as browser,
        person(browser, stack.url) as reviewer,
    ):
        reviewer.accept(invite(stack, "reviewer@example.org", "reviewer"), PASSWORD)
        by_keyboard(stack, reviewer, len(KEYS))  # so that all is loaded
        return {
            "waiting": waiting,
            "one_a_second": by_keyboard(stack, reviewer, decisions // 4, PACE),
            "as_fast_as_it_goes": by_keyboard(stack, reviewer, decisions),
            "asked_one_by_one": one_by_one(reviewer, decisions),
        }


def main(report: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=240)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.waiting, given.decisions)
    if given.json:
        report(json.dumps(found))
        return
    report(f"{found['waiting']:,} records wait")
    for how in ("one_a_second", "as_fast_as_it_goes"):
        told = found[how]
        report(f"{how.replace('_', ' ')}: {told['decisions']} by keyboard, {told['per_minute']:,} a minute")
        report(f"  next item after a key: {told['next_item_median_ms']} ms, p95 {told['next_item_p95_ms']} ms")
        report(f"  server: items p95 {told['items_server_p95_ms']} ms, an answer p95 {told['decide_server_p95_ms']} ms")
    naive, ours = found["asked_one_by_one"], found["one_a_second"]
    ratio = naive["next_item_median_ms"] / ours["next_item_median_ms"]
    report(f"asked one by one: next item {naive['next_item_median_ms']} ms, {ratio:.1f} times ours at one a second")


if __name__ == "__main__":
    main()
