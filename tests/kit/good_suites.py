"""Conformance suites of the good plugins, as their author would write them."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

from sortation.testing import (
    Answer,
    Asked,
    ConnectorConformance,
    Delivery,
    Example,
    Item,
    RuleTypeConformance,
    Sample,
    SampleRecord,
    Source,
)


def rendered(item: Item) -> dict[str, str]:
    """An item as the ledger's API has it."""
    return {
        "id": item.id,
        "text": item.text,
        "name": item.counterparty,
        "amount": str(item.amount),
        "currency": item.currency,
        "at": item.at.isoformat(),
        "changed_at": item.changed_at.isoformat(),
    }


INVOICE = {
    "id": "inv-1",
    "text": "Invoice",
    "name": "Müller",
    "amount": "12.50",
    "currency": "EUR",
    "at": "2026-03-02T08:00:00+00:00",
}


class Ledger(ConnectorConformance):
    plugin = "tests.kit.good_connectors"
    key = "ledger"
    config = MappingProxyType({"company": "main"})
    bad_configs = ({"company": "unknown"},)
    deliveries = (
        Delivery(body={"type": "invoice.created", "data": INVOICE}, headers={"X-Signature": "6b3f", "X-Id": "7"}),
        Delivery(body={"type": "user.created", "data": {"id": 7}}, drafts=0),
    )
    of_interest_by = frozenset({"type"})
    old_cursors = ((1, {"since": "2026-03-01T00:00:00+00:00"}),)

    def serve(self, source: Source, asked: Asked) -> Answer:
        if asked.query.get("company") != "main":
            return Answer(status=404)
        try:
            since = datetime.fromisoformat(asked.query["since"]) if "since" in asked.query else None
        except ValueError:
            return Answer(status=400)
        items, more = source.page(int(asked.query["page"]), asked.path.strip("/"), since=since)
        return Answer(json={"items": [rendered(item) for item in items], "more": more})


class LedgerByOAuth2(Ledger):
    key = "ledger_by_oauth2"
    config = MappingProxyType({})
    bad_configs = ()
    deliveries = ()


class Feed(ConnectorConformance):
    plugin = "tests.kit.good_connectors"
    key = "feed"
    incremental = "arrival"
    orders_pages = True
    has_empty_pages = False

    def serve(self, source: Source, asked: Asked) -> Answer:
        after = asked.query.get("after")
        if after and not source.has(after):
            return Answer(status=410)
        items, _ = source.page(1, after=after)
        return Answer(json=[rendered(item) for item in items])


class Drop(ConnectorConformance):
    plugin = "tests.kit.good_connectors"
    key = "drop"
    incremental = "arrival"
    orders_pages = True
    has_empty_pages = False

    def file_of(self, item: Item) -> tuple[str, bytes]:
        return f"{item.id}.json", json.dumps(rendered(item)).encode()


class Lines(ConnectorConformance):
    plugin = "tests.kit.good_connectors"
    key = "lines"
    bad_configs = ({"separator": "::"},)
    monotonous_seconds = 0.3
    samples = (
        Sample(
            content="2026-03-01|Corner shop|-12.50\n2026-03-02|Salary|2000\nnothing\n2026-03-02|Café|-3\n"
            "2026-03-02|Café|-3\n2026-03-03|Rent|-700.00\n2026-03-04|Bücher|-20.01\n".encode(),
            filename="march.lines",
            drafts=6,
            refusals=1,
            total=Decimal("1261.49"),
        ),
        Sample(content=b"2026-03-01|caf\xe9|1\n", filename="latin.lines", unreadable=True),
    )


def visit(day: int) -> SampleRecord:
    return SampleRecord(id=UUID(int=100 + day), counterparty="Gym", occurred_at=date(2026, 5, day))


class Frequent(RuleTypeConformance):
    plugin = "tests.kit.good_rule_types"
    evaluate_seconds = 2.5
    params = ({"times": 1}, {"times": 5, "since": "2026-03-01"})
    bad_params = ({"since": "Easter"},)
    examples = (
        Example(params={}, record=visit(9), past=(visit(2), visit(4), visit(6)), verdict=True),
        Example(params={}, record=visit(9), past=(visit(2), visit(4), visit(10)), verdict=False),
        Example(params={"since": "2026-05-04"}, record=visit(9), past=(visit(2), visit(4), visit(6)), verdict=False),
    )
