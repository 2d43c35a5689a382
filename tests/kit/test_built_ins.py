"""The rule types that come with Sortation pass the kit, and no built-in plugin is left out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib.metadata import entry_points
from uuid import UUID

from plugins.loading import offers
from sortation.testing import Example, RuleTypeConformance, SampleRecord
from tests.kit import test_built_in_files, test_built_in_sources


def payment(day: date, amount: str = "-9.99", category: str | None = None) -> SampleRecord:
    return SampleRecord(
        id=UUID(int=day.toordinal()),
        text="STREAMS",
        counterparty="Streams Ltd",
        occurred_at=day,
        amount=Decimal(amount),
        category=category,
    )


class TestRecurring(RuleTypeConformance):
    plugin = "plugins.recurring"
    params = ({"interval": "monthly", "tolerance_days": 5, "amount_tolerance": 0.5, "occurrences": 4},)
    examples = (
        Example(
            params={"interval": "monthly"},
            record=payment(date(2026, 3, 5)),
            past=(payment(date(2026, 1, 5)), payment(date(2026, 2, 6))),
            verdict=True,
        ),
        Example(
            params={},
            record=payment(date(2026, 3, 5)),
            past=(payment(date(2026, 1, 5)), payment(date(2026, 2, 20))),
            verdict=False,
        ),
    )


class TestAmountOutlier(RuleTypeConformance):
    plugin = "plugins.amount_outlier"
    params = ({"category": "rent.any", "min_count": 5, "factor": 1}, {"direction": "below", "min_count": 5})
    usual = tuple(payment(date(2026, 2, day), f"-{10 + day % 3}.00", "leisure.streaming") for day in range(1, 26))
    examples = (
        Example(params={}, record=payment(date(2026, 3, 5), "-99.00"), past=usual, verdict=True),
        Example(params={}, record=payment(date(2026, 3, 5), "-11.00"), past=usual, verdict=False),
        Example(params={}, record=payment(date(2026, 3, 5), "-99.00"), verdict=None),
    )


def test_every_built_in_has_its_suite() -> None:
    modules = (globals(), vars(test_built_in_files), vars(test_built_in_sources))
    suites = [one for names in modules for name, one in names.items() if name.startswith("Test")]
    own = {entry.value for entry in entry_points(group="sortation") if entry.dist and entry.dist.name == "sortation"}
    offered = [manifest.key for plugin in own for some in offers("built in", plugin) for manifest in some]
    assert sorted(offered) == sorted(suite().manifest.key for suite in suites)
