"""From a source's objects to records: times, amounts, ids, and one reason for each that can be none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sortation import Draft
from tests.stubs.source_server import Reply, SourceServer
from tests.unit.rest_support import FIELDS, ROW, config, drafts, ids, read


@pytest.fixture(scope="module")
def running() -> Iterator[SourceServer]:
    with SourceServer(lambda _: Reply(status=500)) as server:
        yield server


@pytest.fixture
def source(running: SourceServer) -> SourceServer:
    running.requests.clear()
    return running


def reads_as(source: SourceServer, row: Any, **fields: Any) -> Draft:
    """The one draft of a source that has this row."""
    source.answering = lambda _: Reply(body=[row])
    batches = read(config(source, fields=FIELDS | fields))
    assert [batch.refusals for batch in batches] == [()]
    (draft,) = drafts(batches)
    return draft


def refused(source: SourceServer, row: Any, **fields: Any) -> str:
    source.answering = lambda _: Reply(body=[row, ROW])
    (batch,) = read(config(source, fields=FIELDS | fields))
    assert len(batch.drafts) == 1, "the other row is read"
    (refusal,) = batch.refusals
    assert refusal.position == 1
    return refusal.reason


def test_every_field_is_mapped(source: SourceServer) -> None:
    row = {
        "ref": {"bank": "b7", "no": 12},
        "lines": ["Card payment", None, "Bakery"],
        "booked": "01.03.2026 10:30",
        "value": 1250,
        "cur": "jpy",
        "dir": "DBIT",
        "to": {"name": "Bakery Ltd"},
        "acc": "main",
        "state": "authorised",
        "tags": ["food", 1.5],
        "project": None,
    }
    draft = reads_as(
        source,
        row,
        external_id=["$.ref.bank", "$.ref.no"],
        text=["$.lines[0]", "$.lines[1]", "$.lines[2]"],
        occurred_at={"path": "$.booked", "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
        amount={"path": "$.value", "minor_units": True, "outflow": {"path": "$.dir", "equals": ["DBIT"]}},
        currency="$.cur",
        counterparty="$.to.name",
        account="$.acc",
        kind="expense",
        pending={"path": "$.state", "equals": ["authorised", "pending"]},
        attributes={"tags": "$.tags", "project": "$.project", "source": "shop"},
    )
    assert draft.occurred_at.astimezone(UTC) == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)  # type: ignore[union-attr]
    assert draft == Draft(
        external_id="b7:12",
        text="Card payment Bakery",
        occurred_at=draft.occurred_at,
        amount=Decimal(-1250),
        currency="JPY",
        counterparty="Bakery Ltd",
        account="main",
        kind="expense",
        pending=True,
        attributes={"tags": ["food", 1.5], "source": "shop"},
        raw=row,
    )
    assert json.dumps([draft.attributes, draft.raw])


@pytest.mark.parametrize(
    ("written", "said", "meant"),
    [
        ("2026-03-01", {}, date(2026, 3, 1)),
        ("2026-03-01T10:00:00+02:00", {}, datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-07-01 10:00", {"zone": "Europe/Berlin"}, datetime(2026, 7, 1, 8, tzinfo=UTC)),
        ("2026-03-01T23:59:00Z", {"format": "date"}, date(2026, 3, 1)),
        (1772359200, {"format": "unix"}, datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (1772359200.5, {"format": "unix"}, datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("1772359200250", {"format": "unix_ms"}, datetime(2026, 3, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("03/01/26", {"format": "%m/%d/%y"}, date(2026, 3, 1)),
        (20260301, {"format": "%Y%m%d"}, date(2026, 3, 1)),
        ("20260301T10:00+0200", {"format": "%Y%m%dT%H:%M%z"}, datetime(2026, 3, 1, 8, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_they_are_written(
    source: SourceServer, written: Any, said: dict[str, str], meant: date
) -> None:
    read_as = reads_as(source, ROW | {"at": written}, occurred_at={"path": "$.at", **said}).occurred_at
    assert (type(read_as), read_as) == (type(meant), meant)


@pytest.mark.parametrize(
    ("value", "said", "meant"),
    [
        (-3.1, {}, "-3.1"),
        ("-3.10", {}, "-3.10"),
        (0.1, {"negate": True}, "-0.1"),
        (-7, {"outflow": {"path": "$.out"}}, "7"),
        (7, {"outflow": {"path": "$.id"}}, "-7"),
        (123456789012345678901234.56, {}, None),
        (1999, {"minor_units": True}, "19.99"),
        (1999, {"minor_units": True, "currency": "KWD"}, "1.999"),
        (1999, {"minor_units": True, "currency": "JPY"}, "1999"),
        (None, {}, "missing"),
    ],
)
def test_amounts_have_sign_and_unit(source: SourceServer, value: Any, said: dict[str, Any], meant: str | None) -> None:
    currency = said.pop("currency", "CHF")
    draft = reads_as(source, ROW | {"sum": value}, amount={"path": "$.sum", **said}, currency=currency)
    if meant == "missing":
        assert (draft.amount, draft.currency) == (None, None)
    else:
        assert draft.currency == currency
        assert str(draft.amount) == (meant or str(Decimal(repr(value))))


def test_an_amount_without_a_currency_is_in_the_tenants(source: SourceServer) -> None:
    assert reads_as(source, ROW | {"sum": 1}, amount="$.sum", currency="$.nothing").currency == "EUR"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("no object", "it is no JSON object"),
        (ROW | {"id": None}, "it has no external_id"),
        (ROW | {"at": "yesterday"}, "the time 'yesterday' is not written as iso"),
        (ROW | {"at": None}, "the time None is no text"),
        (ROW | {"text": {"de": "x"}}, "there is an object where a text is needed"),
        (ROW | {"text": "a\0b"}, "a NUL character"),
        (ROW | {"text": "a\ud800b"}, "half a surrogate pair"),
        (ROW | {"sum": "much"}, "the amount 'much' is no number"),
        (ROW | {"sum": "NaN"}, "the amount 'NaN' is no number"),
    ],
)
def test_one_bad_row_is_refused_alone(source: SourceServer, row: Any, reason: str) -> None:
    assert refused(source, row, amount="$.sum") == reason


def test_what_is_deleted_is_skipped(source: SourceServer) -> None:
    source.answering = lambda _: Reply(body=[ROW | {"gone": True}, ROW | {"id": 2, "gone": False}, ROW | {"id": 3}])
    assert ids(read(config(source, deleted={"path": "$.gone"}))) == ["2", "3"]


def test_numbers_that_no_database_holds_become_texts(source: SourceServer) -> None:
    draft = reads_as(source, ROW | {"id": 1 << 70, "big": 1 << 65})
    assert (draft.external_id, draft.raw["big"]) == (str(1 << 70), str(1 << 65))
