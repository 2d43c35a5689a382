"""Evaluations: which records are taught and asked about, and what the figures say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from adapters.memory.clock import START
from core.domain.categories import Category
from core.domain.decisions import Stage
from core.domain.evaluations import FEWEST, Judged, Tried, check_enough, figures_of, split, worst_categories
from core.domain.learning import Lesson
from core.errors import TooLittleHistory
from tests.unit.learning_support import lesson, record

BERLIN = ZoneInfo("Europe/Berlin")


def judged(truth: str, said: str | None, stage: Stage | None = Stage.SIMILARITY, weight: float = 1.0) -> Judged:
    return Judged(truth=truth, tried=Tried(category=said, stage=stage), weight=weight)


def history(days: Sequence[date | datetime]) -> list[Lesson]:
    return [lesson(record(n, "ZQX", occurred_at=day), 1) for n, day in enumerate(days)]


def numbers(lessons: Sequence[Lesson], of: Sequence[Lesson]) -> list[int]:
    place = {one.record.id: n for n, one in enumerate(of)}
    return [place[one.record.id] for one in lessons]


def test_the_newer_part_by_the_calendar_is_asked_about_however_it_came_in() -> None:
    newest_first = history([date(2026, 3, 28 - n // 20) for n in range(FEWEST)])
    taught, asked = split(newest_first, BERLIN, test=None, share=0.2)
    assert len(taught) == FEWEST - 40
    assert numbers(asked, newest_first) == [*range(20, 40), *range(20)], "by day, and within it as they came"
    taught, asked = split(newest_first, BERLIN, test=20, share=0.2)
    assert (len(taught), numbers(asked, newest_first)) == (FEWEST - 20, [*range(20)])


def test_an_instant_counts_as_the_day_that_it_is_where_the_tenant_is() -> None:
    night = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # the second of March in Berlin
    lessons = history([night, *[date(2026, 3, 1)] * (FEWEST - 20), *[date(2026, 3, 2)] * 19])
    _, asked = split(lessons, BERLIN, test=20, share=0.2)
    assert 0 in numbers(asked, lessons)
    _, asked = split(lessons, ZoneInfo("UTC"), test=20, share=0.2)
    assert 0 not in numbers(asked, lessons)


@pytest.mark.parametrize(("there", "test", "needed"), [(FEWEST - 1, None, FEWEST), (FEWEST, 101, 202), (0, 20, FEWEST)])
def test_too_little_history_says_what_is_needed(there: int, test: int | None, needed: int) -> None:
    with pytest.raises(TooLittleHistory, match=f"decided {there} records so far; this takes {needed}"):
        check_enough(there, test)
    check_enough(needed, test)


def test_figures_of_what_was_asked() -> None:
    found = figures_of(
        [
            *[judged("a", "a")] * 8,
            judged("a", "b"),
            judged("b", "b", Stage.RULES),
            judged("b", "b", None),
            judged("b", "a", None),
            *[judged("b", None, None)] * 4,
        ],
        0.9,
    )
    low, high = found.pop("interval")
    assert found == {
        "accuracy": 0.625,
        "promise": 0.9,
        "coverage": 0.625,
        "precision": 0.9,
        "by_stage": {
            "rules": {"decided": 1, "precision": 1.0},
            "similarity": {"decided": 9, "precision": round(8 / 9, 4)},
        },
    }
    assert 0.5 < low < 0.9 < high < 1


def test_a_record_stands_for_those_that_nobody_was_asked_about() -> None:
    """Of two records one was a spot check of one in fifty: it is fifty of the stream's."""
    found = figures_of([judged("a", "a", weight=50.0), judged("a", "b", None)], 0.9)
    assert found["accuracy"] == found["coverage"] == round(50 / 51, 4)
    assert found["precision"] == 1.0
    found = figures_of([judged("a", "a", weight=1.0), judged("a", "b", weight=3.0)], 0.9)
    assert found["precision"] == 0.25


def test_where_nothing_is_decided_alone_there_is_no_precision() -> None:
    found = figures_of([judged("a", "a", None)], 0.9)
    assert (found["coverage"], found["precision"], found["interval"], found["by_stage"]) == (0, None, None, {})
    assert figures_of([], 0.9)["accuracy"] == 0


def test_the_worst_categories_are_those_that_cost_the_most() -> None:
    def a_category(key: str) -> Category:
        return Category(
            id=UUID(int=ord(key)),
            tenant_id=UUID(int=1),
            parent_id=None,
            key=key,
            name=key.upper(),
            description="",
            created_at=START,
            version=1,
        )

    categories: dict[Any, Category] = {key: a_category(key) for key in "abcdefgh"}
    rare = judged("h", "a", weight=40.0)
    found = worst_categories(
        [
            *[judged("a", "a")] * 9,
            judged("a", "b"),
            *[judged("b", "a", None)] * 3,
            *(judged(key, "a") for key in "cdefg"),
            rare,
            judged("gone", "a"),
        ],
        categories,
    )
    assert [one["key"] for one in found] == ["h", "b", "a", "c", "d"]
    assert found[0] == {
        "category_id": str(UUID(int=ord("h"))),
        "key": "h",
        "name": "H",
        "records": 1,
        "accuracy": 0.0,
        "coverage": 1.0,
        "precision": 0.0,
    }
    assert (found[1]["coverage"], found[1]["precision"]) == (0.0, None)
    assert (found[2]["records"], found[2]["accuracy"]) == (10, 0.9)
    assert worst_categories([judged("a", "a")], categories) == []
    assert worst_categories([replace(rare, truth="h", weight=1.0)], categories)[0]["key"] == "h"
