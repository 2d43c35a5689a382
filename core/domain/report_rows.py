"""What reports are made of, as storage gives it: sums by part of time, in each currency exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from core.errors import Invalid

MOST_ROWS = 200_000
"""Of what is added up, and of a table that is not read piece by piece: so many are in memory at once."""


def check_rows(rows: int) -> None:
    """Raises `Invalid` for more than are told."""
    if rows > MOST_ROWS:
        raise Invalid(f"this is more than {MOST_ROWS} rows: take longer parts, a shorter period, or fewer parties")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Records of a part of time (its first day; None: of the whole period), a category (None: of none) and a currency
    (None: those without an amount): how many, and what came in (0 or more) and went out (0 or less)."""

    part: date | None
    category_id: UUID | None
    currency: str | None
    records: int
    incoming: Decimal
    outgoing: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PartySum:
    """Records of a counterparty in a currency (None: those without an amount), and the days of the first and the
    last."""

    party: str
    currency: str | None
    records: int
    incoming: Decimal
    outgoing: Decimal
    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a person answered in the review queue in a part of time: as suggested or otherwise, how many of them spot
    checks, how many withdrawn since, and how long the middle one of the items had waited."""

    part: date
    reviewer: str
    approved: int
    overridden: int
    checks: int
    withdrawn: int
    median_seconds: float
