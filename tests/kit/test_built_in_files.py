"""The connectors of files that come with Sortation pass the kit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from sortation.testing import ConnectorConformance, Sample

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


class TestQif(ConnectorConformance):
    plugin = "plugins.qif_file"
    samples = (
        Sample(path=DATA / "quicken.qif", drafts=4, refusals=1, total=Decimal("-1269.56")),
        Sample(
            content=b"!Type:Bank\nD02/03/2026\nT-12.50\nPCorner shop\n^\nD25/03/2026\nT2000.00\nPSalary\n^\n"
            b"D25/03/2026\nT-3.20\nPBakery\n^\nD25/03/2026\nT-3.20\nPBakery\n^\n",
            filename="british.qif",
            drafts=4,
            total=Decimal("1981.10"),
        ),
        Sample(content=b"!Type:Bank\nnothing of the kind\n", filename="empty.qif", unreadable=True),
    )


class TestCamt(ConnectorConformance):
    plugin = "plugins.camt_file"
    samples = (
        Sample(path=DATA / "statement.xml", drafts=4, total=Decimal("-130.99")),
        Sample(content=b'<?xml version="1.0"?><Document xmlns="urn:x"/>', filename="other.xml", unreadable=True),
    )


class TestMt940(ConnectorConformance):
    plugin = "plugins.mt940_file"
    samples = (
        Sample(path=DATA / "statement.sta", drafts=4, total=Decimal("2931.60")),
        Sample(path=DATA / "statement.942", drafts=1, total=Decimal("-19.99")),
        Sample(content=b":20:STARTUMS\n:25:1/2\n", filename="empty.sta", unreadable=True),
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
