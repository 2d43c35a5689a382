"""Receipts in words: how likely a record is, and what speaks for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from core.domain.receipts import EXTENSIONS, ReceiptState, Said
from entrypoints.console.receipts.words import KINDS, STATES, evidence, in_short, likelihood, of_record, size
from tests.unit.building import a_record

BERLIN = ZoneInfo("Europe/Berlin")
UPLOADED = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
SAID = Said(amount=Decimal("12.99"), currency="EUR", day=date(2026, 3, 2), merchant="Corner Coffee Ltd")
PAID = replace(
    a_record("CORNER COFFEE BERLIN", "-12.99"), currency="EUR", occurred_at=date(2026, 3, 2), counterparty=""
)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (PAID, ["the same amount", "on the same day", "the name stands in its text"]),
        (replace(PAID, amount=Decimal("12.99")), ["the same amount", "on the same day", "the name stands in its text"]),
        (
            replace(PAID, amount=Decimal("-14.00"), occurred_at=date(2026, 3, 3), text="COFFEE"),
            [
                "1.01 more than the receipt says (8 %)",
                "1 day after the receipt's day",
                "part of the name stands in its text",
            ],
        ),
        (
            replace(PAID, amount=Decimal("-12.98"), occurred_at=date(2026, 2, 28), text="QORBEL"),
            [
                "0.01 less than the receipt says",
                "2 days before the receipt's day",
                "its text has no word of the name",
            ],
        ),
        (
            replace(PAID, currency="USD", occurred_at=datetime(2026, 3, 2, 23, 30, tzinfo=UTC), text="7"),
            ["the same amount", "in USD, not in EUR", "1 day after the receipt's day"],
        ),
        (replace(PAID, amount=None, currency=None), ["on the same day", "the name stands in its text"]),
    ],
)  # fmt: skip
def test_evidence_tells_what_matching_looks_at(record: object, said: list[str]) -> None:
    assert evidence(SAID, UPLOADED, record, BERLIN) == said  # type: ignore[arg-type]


def test_a_receipt_without_a_day_is_told_by_its_upload_in_the_tenants_zone() -> None:
    bare = Said(amount=Decimal("12.99"))
    assert evidence(bare, UPLOADED, PAID, BERLIN) == [
        "the same amount", "8 days before it was uploaded, since it names no day",
    ]  # fmt: skip
    there = replace(PAID, occurred_at=date(2026, 3, 10))
    assert evidence(bare, UPLOADED, there, BERLIN)[-1] == "on the day on which it was uploaded"
    assert evidence(bare, None, PAID, BERLIN) == ["the same amount"]
    assert evidence(replace(bare, amount=Decimal(0)), None, PAID, BERLIN) == ["12.99 more than the receipt says"]


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (None, ""),
        (0.05, "unlikely, 5 %"),
        (0.2, "possible, 20 %"),
        (0.5, "likely, 50 %"),
        (0.8, "very likely, 80 %"),
        (0.95, "almost certain, 95 %"),
        (0.996, "almost certain, over 99 %"),
    ],
)
def test_a_probability_has_a_word_and_its_figure(score: float | None, said: str) -> None:
    assert likelihood(score) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(812, "812 bytes"), (34 << 10, "34 KiB"), (20 << 20, "20 MiB"), ((5 << 20) // 4, "1.25 MiB")],
)
def test_sizes_have_their_unit(count: int, said: str) -> None:
    assert size(count) == said


def test_receipts_and_records_are_told_in_short() -> None:
    assert in_short(SAID) == "Corner Coffee Ltd, 12.99 EUR, 2 Mar 2026"
    assert in_short(Said(amount=Decimal("1480"), currency="JPY")) == "1,480 JPY"
    assert in_short(Said()) == ""
    assert of_record(PAID) == "CORNER COFFEE BERLIN, −12.99 EUR, 2 Mar 2026"
    assert of_record(replace(PAID, amount=None, currency=None)) == "CORNER COFFEE BERLIN, 2 Mar 2026"


def test_every_kind_and_state_has_its_words() -> None:
    assert KINDS.keys() == EXTENSIONS.keys()
    assert STATES.keys() == set(ReceiptState)
