"""Dates relative to the record: an attribute's date against the record's own calendar day in the tenant's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.conditions import Leaf, parse_condition
from core.domain.rule_leaves import Facts, leaf_test
from tests.unit.building import a_record, leaf

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")


def holds(value: Any, zone: ZoneInfo = UTC_ZONE, **record: Any) -> bool:
    condition = parse_condition(value)
    assert isinstance(condition, Leaf)
    return leaf_test(condition, lambda *_: lambda _: False)(Facts(a_record(**record), "", "", 0, {}, zone))


@pytest.mark.parametrize(
    ("op", "value", "due", "expected"),
    [
        ("lte", {"days": 14}, "2026-02-14", True),
        ("lte", {"days": 14}, "2026-02-15", False),
        ("lt", {"days": 14}, "2026-02-14", False),
        ("gt", {"days": -3}, "2026-01-28", False),
        ("gte", {"days": -3}, "2026-01-28", True),
        ("gte", {"days": 0}, "2026-01-31T23:59:00Z", True),
        ("between", [{"days": 0}, {"days": 28}], "2026-02-28", True),
        ("between", [{"days": 0}, {"days": 28}], "2026-03-01", False),
        ("between", ["2026-02-01", {"days": 28}], "2026-01-31", False),
        ("between", ["2026-02-01", {"days": 28}], "2026-02-01", True),
        ("between", [{"days": 1}, "2026-01-01"], "2026-02-01", False),
        ("lte", {"days": 14}, None, False),
        ("lte", {"days": 14}, "soon", False),
        ("lte", {"days": 14}, 3, False),
        ("lte", {"days": 14}, ["2027-01-01", "2026-02-01"], True),
    ],
)
def test_an_attribute_is_compared_with_the_day_of_its_record(op: str, value: Any, due: Any, expected: bool) -> None:
    when = leaf("attributes.due", op, value)
    assert holds(when, occurred_at=date(2026, 1, 31), attributes={"due": due}) is expected


def test_the_day_is_that_of_the_tenants_zone() -> None:
    late = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    when = leaf("attributes.due", "lte", {"days": 0})
    assert not holds(when, occurred_at=late, attributes={"due": "2026-02-01"})
    assert holds(when, BERLIN, occurred_at=late, attributes={"due": "2026-02-01"})


@given(st.dates(), st.dates(), st.integers(-36_600, 36_600))
def test_any_days_are_compared_without_leaving_the_calendar(own: date, due: date, days: int) -> None:
    record = {"occurred_at": own, "attributes": {"due": due.isoformat()}}
    assert holds(leaf("attributes.due", "lte", {"days": days}), **record) is ((due - own) <= timedelta(days=days))


@pytest.mark.parametrize(
    ("day", "left"),
    [(date(2026, 1, 31), 0), (date(2026, 1, 1), 30), (date(2028, 2, 27), 2), (date(2026, 2, 27), 1)],
)
def test_days_left_counts_what_follows_in_the_month(day: date, left: int) -> None:
    assert holds(leaf("days_left", "equals", left), occurred_at=day)
    assert not holds(leaf("days_left", "in", [left + 1 if left < 30 else 0]), occurred_at=day)
