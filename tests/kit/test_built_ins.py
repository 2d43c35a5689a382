"""Every connector and rule type that comes with Sortation passes the kit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from uuid import UUID

from sortation.testing import ConnectorConformance, Example, RuleTypeConformance, Sample, SampleRecord

DATA = Path(__file__).parents[1] / "data"


class TestCsv(ConnectorConformance):
    plugin = "plugins.csv_file"
    bad_configs = ({"mapping": {"amount": "No such column"}},)
    samples = (
        Sample(
            content=b"Date,Description,Amount,Currency\n"
            b"2026-03-02,Corner shop,-12.50,EUR\n2026-03-03,Salary,2000.00,EUR"
            b"\n2026-03-03,Bakery,-3.20,EUR\n2026-03-03,Bakery,-3.20,EUR\nsoon,Rent,-700.00,EUR\n",
            filename="statement.csv",
            drafts=4,
            refusals=1,
            total=Decimal("1981.10"),
        ),
        Sample(path=DATA / "german_bank.csv", drafts=3, refusals=1, total=Decimal("1764.45")),
        Sample(
            content=b"when;what;how much\n02.03.2026;Corner shop;-12,50\n",
            filename="odd.csv",
            drafts=1,
            total=Decimal("-12.50"),
            config={"mapping": {"date": "when", "text": "what", "amount": "how much"}},
        ),
        Sample(content=b"one,two\n1,2\n", filename="no-dates.csv", unreadable=True),
    )


class TestOfx(ConnectorConformance):
    plugin = "plugins.ofx_file"
    samples = (
        Sample(path=DATA / "two_accounts.qfx", drafts=3),
        Sample(path=DATA / "broker.ofx", drafts=3, refusals=1),
        Sample(content=b"OFXHEADER:100\n\nnothing else", filename="empty.ofx", unreadable=True),
    )


class TestJson(ConnectorConformance):
    plugin = "plugins.json_lines"
    samples = (
        Sample(
            content=b'{"occurred_at": "2026-03-02", "text": "Corner shop", "amount": "-12.50"}\n'
            b'{"occurred_at": "2026-03-02T10:00:00+01:00", "text": "Ticket", "kind": "ticket", "external_id": "7"}\n'
            b'{"occurred_at": "2026-03-03T10:00:00", "text": "No zone"}\n',
            filename="records.jsonl",
            drafts=2,
            refusals=1,
            total=Decimal("-12.50"),
        ),
        Sample(
            content=b'[{"occurred_at": "2026-03-02", "text": "Salary", "amount": 2000.10, "currency": "GBP"}]',
            filename="records.json",
            drafts=1,
            total=Decimal("2000.10"),
        ),
        Sample(content=b"[{]", filename="broken.json", unreadable=True),
    )


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
    suites = [suite for suite in globals().values() if isinstance(suite, type) and hasattr(suite, "plugin")]
    own = {entry.value for entry in entry_points(group="sortation") if entry.dist and entry.dist.name == "sortation"}
    assert own <= {suite.plugin for suite in suites}
