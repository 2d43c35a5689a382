"""The rule type passes Sortation's conformance kit."""

from __future__ import annotations

from datetime import UTC, date, datetime

from sortation.testing import Example, RuleTypeConformance, SampleRecord

FRIDAY, SATURDAY = date(2026, 3, 6), date(2026, 3, 7)


class TestWeekend(RuleTypeConformance):
    plugin = "sortation_weekend"
    bad_params = ({"holidays": ["Christmas"]},)
    examples = (
        Example(params={}, record=SampleRecord(occurred_at=SATURDAY), verdict=True),
        Example(params={}, record=SampleRecord(occurred_at=FRIDAY), verdict=False),
        Example(params={}, record=SampleRecord(occurred_at=datetime(2026, 3, 8, 23, 59, tzinfo=UTC)), verdict=True),
        Example(params={"holidays": ["2026-03-06"]}, record=SampleRecord(occurred_at=FRIDAY), verdict=True),
    )
