"""What was used of a plan: when people are told, what a month comes to, and when the next one begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.plans import Limit, Meter
from core.domain.usage import NOTICES, Usage, crossed, forecast, next_month

MAY = date(2026, 5, 1)
BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
AMOUNTS = st.decimals(0, 10**6, places=6)


@pytest.mark.parametrize(
    ("before", "after", "soft", "reached"),
    [
        (0, 79, 100, ()),
        (0, 80, 100, (80,)),
        (79, 80, 100, (80,)),
        (80, 99, 100, ()),
        (80, 100, 100, (100,)),
        (0, 100, 100, (80, 100)),
        (0, 500, 100, (80, 100)),
        (100, 101, 100, ()),
        (0, 0, 100, ()),
        (0, 3, 4, ()),
        (3, 4, 4, (80, 100)),
        (0, 1, 1, (80, 100)),
        (0, 9, 0, ()),
        (0, 9, None, ()),
    ],
)
def test_people_are_told_of_what_is_reached(before: int, after: int, soft: int | None, reached: tuple[int]) -> None:
    assert crossed(Decimal(before), Decimal(after), None if soft is None else Decimal(soft)) == reached


@given(st.lists(AMOUNTS, min_size=1, max_size=8), AMOUNTS)
def test_each_share_is_told_once_however_it_is_reached(steps: list[Decimal], soft: Decimal) -> None:
    told, used = list[int](), Decimal(0)
    for step in steps:
        told += crossed(used, used + step, soft)
        used += step
    assert told == [percent for percent in NOTICES if soft and used * 100 >= soft * percent]


def test_a_month_that_goes_on_as_it_began_comes_to_as_much() -> None:
    used = Decimal(310)
    assert forecast(used, MAY, BEGIN) is None
    assert forecast(used, MAY, BEGIN - DAY) is None
    assert forecast(used, MAY, BEGIN + DAY - timedelta(microseconds=1)) is None
    for passed, comes_to in ((1, 9_610), (10, 961), (31, 310), (400, 310)):
        seen = forecast(used, MAY, BEGIN + passed * DAY)
        assert seen is not None
        assert float(seen) == pytest.approx(comes_to)
    leap = forecast(Decimal(29), date(2028, 2, 1), datetime(2028, 2, 2, tzinfo=UTC))
    assert leap is not None
    assert float(leap) == pytest.approx(29 * 29)


def test_nothing_used_comes_to_nothing() -> None:
    assert forecast(Decimal(0), MAY, BEGIN + 9 * DAY) == 0


@given(st.dates(date(1970, 1, 1), date(9998, 12, 31)))
def test_the_next_month_begins_where_this_one_ends(day: date) -> None:
    month = day.replace(day=1)
    begins = next_month(month)
    assert (begins.day, begins.hour, begins.tzinfo) == (1, 0, UTC)
    last = begins.date() - DAY
    assert (last.year, last.month) == (month.year, month.month)


def test_a_share_is_of_what_the_plan_holds() -> None:
    def usage(soft: Decimal | None, hard: Decimal | None = None) -> Usage:
        limit = Limit(soft=soft, hard=hard)
        return Usage(meter=Meter.RECORDS, month=MAY, used=Decimal(30), limit=limit, forecast=None)

    assert usage(Decimal(40), Decimal(60)).percent == 75.0
    assert usage(Decimal(20)).percent == 150.0
    assert usage(None, Decimal(60)).percent is None
    assert usage(Decimal(0)).percent is None
