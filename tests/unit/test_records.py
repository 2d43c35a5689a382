from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.records import (
    MAX_TEXT,
    Draft,
    check_draft,
    fingerprint,
    identify,
    normalise,
    occurred_on,
    similarity_text,
    text_digest,
)
from core.errors import Invalid

COFFEE = Draft(text="ZQX CAFE", occurred_at=date(2026, 3, 1), amount=Decimal("-3.00"), currency="EUR")


def test_identical_purchases_stay_two_and_an_overlapping_file_adds_none() -> None:
    monday = list(identify([COFFEE, COFFEE]))
    week = list(identify([COFFEE, replace(COFFEE, text="OTHER"), COFFEE]))
    assert len({d.external_id for d in monday}) == 2
    assert {d.external_id for d in monday} <= {d.external_id for d in week}


def test_occurrences_are_counted_over_batches_and_within_an_account() -> None:
    counts: dict[tuple[str, str], int] = {}
    first = next(identify([COFFEE], counts))
    second = next(identify([COFFEE], counts))
    elsewhere = next(identify([replace(COFFEE, account="savings")], counts))
    assert first.external_id != second.external_id
    assert elsewhere.external_id == first.external_id  # unique within its own account


def test_an_id_of_the_source_is_kept() -> None:
    assert next(identify([replace(COFFEE, external_id="A1")])).external_id == "A1"


@pytest.mark.parametrize(
    "change",
    [
        {"text": "ZQX BAR"},
        {"occurred_at": date(2026, 3, 2)},
        {"amount": Decimal("-3.01")},
        {"currency": "GBP"},
        {"counterparty": "Somebody"},
        {"kind": "invoice"},
    ],
)
def test_the_fingerprint_tells_different_records_apart(change: dict[str, object]) -> None:
    assert fingerprint(replace(COFFEE, **change)) != fingerprint(COFFEE)  # type: ignore[arg-type]


def test_the_fingerprint_knows_equal_amounts() -> None:
    assert fingerprint(replace(COFFEE, amount=Decimal("-3"))) == fingerprint(COFFEE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": " ", "counterparty": ""}, "neither text nor counterparty"),
        ({"text": "a\x00b"}, "NUL"),
        ({"counterparty": "\ud800"}, "surrogate"),
        ({"text": "x" * (MAX_TEXT + 1)}, "longer than"),
        ({"amount": Decimal("NaN")}, "finite"),
        ({"amount": Decimal("Infinity")}, "finite"),
        ({"amount": Decimal(10) ** 25}, "too large"),
        ({"amount": Decimal("0.0000000000001")}, "decimals"),
        ({"currency": None}, "no currency"),
        ({"currency": "euro"}, "ISO 4217"),
        ({"occurred_at": date(1, 1, 1)}, "out of range"),
        ({"occurred_at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"external_id": ""}, "external_id"),
    ],
)
def test_what_cannot_be_a_record_says_why(change: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        check_draft(replace(COFFEE, **change))  # type: ignore[arg-type]


def test_a_draft_is_cleaned() -> None:
    east = timezone(timedelta(hours=5))
    draft = check_draft(
        replace(COFFEE, text="  a\t\n b ", counterparty=" c ", occurred_at=datetime(2026, 3, 1, 2, tzinfo=east))
    )
    assert (draft.text, draft.counterparty) == ("a b", "c")
    assert draft.occurred_at == datetime(2026, 2, 28, 21, tzinfo=UTC)
    assert check_draft(replace(COFFEE, text="", counterparty="Shop")).text == "Shop"


def test_a_date_stays_a_date_and_an_instant_falls_on_the_tenants_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert occurred_on(date(2026, 3, 1), berlin) == date(2026, 3, 1)
    assert occurred_on(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), berlin) == date(2026, 3, 2)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_texts_that_read_alike_have_one_address() -> None:
    assert text_digest("Straße  CAFÉ") == text_digest("strasse cafe\u0301")
    assert text_digest("a b") != text_digest("ab")


def test_the_counterparty_leads_where_the_text_does_not_name_it() -> None:
    assert similarity_text("invoice 7", "Acme") == "Acme invoice 7"
    assert similarity_text("ACME invoice 7", "Acme") == "ACME invoice 7"
    assert similarity_text("invoice 7", "") == "invoice 7"
