"""What days add up to, and how long a dashboard is kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from adapters.system.kept import KeptByKey
from core.domain.dashboard import Day, automation, days_of

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (2, 3, 4))


def test_days_have_no_gaps_and_each_count_its_place() -> None:
    counts = [
        (MONDAY, "rules", "processed", 4),
        (MONDAY, "", "needs_review", 2),
        (WEDNESDAY, "llm", "processed", 3),
        (WEDNESDAY, "similarity", "processed", 1),
        (WEDNESDAY, "human", "approved", 5),
        (WEDNESDAY, "rules", "skipped", 6),
        (WEDNESDAY, "", "failed", 1),
    ]
    days = days_of(counts, MONDAY, WEDNESDAY)
    assert days == [
        Day(day=MONDAY, rules=4, human=2),
        Day(day=TUESDAY),
        Day(day=WEDNESDAY, similarity=1, llm=3, history=5, other=7),
    ]
    assert [day.records for day in days] == [6, 0, 16]
    assert automation(days) == pytest.approx(8 / 10), "what came sorted or was skipped is nobody's decision"
    assert automation(days[1:2]) is None


def test_what_is_kept_is_computed_once_for_each_key() -> None:
    kept, asked = KeptByKey(seconds=60, most=2), list[str]()

    def of(key: str) -> str:
        return kept.get(key, lambda: asked.append(key) or key.upper())

    assert [of(key) for key in "aab"] == ["A", "A", "B"]
    assert asked == ["a", "b"]
    of("c")
    of("a")
    assert asked == ["a", "b", "c", "a"], "the one that was computed first made room"


def test_what_fails_is_not_kept() -> None:
    kept = KeptByKey(seconds=60, most=2)

    def fail() -> str:
        raise ValueError("away")

    with pytest.raises(ValueError, match="away"):
        kept.get("a", fail)
    assert kept.get("a", lambda: "there") == "there"


def test_who_asks_meanwhile_waits_for_the_one_who_computes() -> None:
    kept, began, go_on = KeptByKey(seconds=0.0, most=2), threading.Event(), threading.Event()
    computed: list[int] = []

    def slow() -> int:
        began.set()
        assert go_on.wait(10)
        computed.append(1)
        return len(computed)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "a", slow)
        assert began.wait(10)
        second = pool.submit(kept.get, "a", slow)
        other = kept.get("b", lambda: "at once")
        go_on.set()
        assert (first.result(10), other) == (1, "at once")
        assert second.result(10) in (1, 2)
    assert kept.get("a", lambda: 9) == 9, "nothing is kept for no time"
