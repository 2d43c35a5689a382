"""How the console words reports: their days, schedules and specs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from core.domain.record_filters import RecordFilter
from core.domain.report_money import Conversion
from core.domain.report_periods import Granularity, Relative, Span
from core.domain.report_schedules import Every, Schedule
from core.domain.reports import Format, ReportKind, ReportSpec, RunStatus
from entrypoints.console.reports import words

TODAY = date(2026, 11, 27)


def test_every_kind_period_part_format_and_state_has_words() -> None:
    assert set(words.KINDS) == set(ReportKind)
    assert set(words.RELATIVES) == set(Relative)
    assert set(words.GRANULARITIES) == set(Granularity)
    assert set(words.FORMATS) == set(Format)
    assert set(words.STATUSES_OF_RUNS) == set(RunStatus)
    assert all(one.answers.endswith("?") for one in words.KINDS.values())


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 10, 1), date(2026, 10, 31), "1 Oct to 31 Oct 2026"),
        (date(2025, 12, 1), date(2026, 1, 31), "1 Dec 2025 to 31 Jan 2026"),
        (date(2026, 10, 1), date(2026, 10, 1), "1 Oct 2026"),
    ],
)
def test_days_are_told_without_saying_a_year_twice(first: date, last: date, said: str) -> None:
    assert words.days(Span(since=first, until=last)) == said


def test_a_relative_period_says_which_days_it_means() -> None:
    assert words.period(Relative.LAST_MONTH, TODAY) == "Last month: 1 Oct to 31 Oct 2026"
    assert words.period(Relative.EVER, TODAY) == "All days"
    assert words.short_period(Relative.LAST_MONTH) == "Last month"


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (None, "Only when asked"),
        (Schedule(every=Every.DAY, hour=0), "Each day at 0:00"),
        (Schedule(every=Every.WEEK, hour=17, weekday=5), "On Fridays at 17:00"),
        (Schedule(every=Every.MONTH, hour=6, day=1), "Each month on the 1st at 6:00"),
        (Schedule(every=Every.MONTH, hour=6, day=12), "Each month on the 12th at 6:00"),
        (Schedule(every=Every.MONTH, hour=6, day=23), "Each month on the 23rd at 6:00"),
        (Schedule(every=Every.MONTH, hour=6, day=31), "Each month on the 31st or its last day at 6:00"),
    ],
)
def test_schedules_are_told_as_people_say_them(schedule: Schedule | None, said: str) -> None:
    assert words.schedule(schedule) == said


def test_a_spec_is_told_with_what_goes_with_its_kind_alone() -> None:
    where = RecordFilter(
        text="harbour", category_id=UUID(int=7), connection_id=UUID(int=8), statuses=("approved", "processed"),
        min_amount=Decimal("1.50"), stage="llm",
    )  # fmt: skip
    rates = {"USD": Decimal("0.92"), "CHF": Decimal("1.05")}
    spec = ReportSpec(
        kind=ReportKind.CHANGES, period=Relative.LAST_MONTH, where=where, conversion=Conversion(to="EUR", rates=rates)
    )
    assert words.facts(spec, TODAY, {str(UUID(int=7)): "Food > Bakeries"}) == [
        ("Period", "Last month: 1 Oct to 31 Oct 2026"),
        ("Compared with", "the period before: 1 Sep to 30 Sep 2026"),
        ("Currencies", "in EUR, by 1 CHF = 1.05 EUR, 1 USD = 0.92 EUR; others apart"),
        (
            "Of records",
            "text or counterparty with harbour; amount at least 1.50; status approved or decided; decided by language"
            " model; category Food > Bakeries; connection that is gone",
        ),
    ]
    plain = words.facts(ReportSpec(kind=ReportKind.STAGES, period=Relative.YESTERDAY), TODAY, {})
    assert plain == [("Period", "Yesterday: 26 Nov 2026"), ("Told by", "month")]
