"""What a rule type may ask about the past: other records of the tenant, by counterparty and by category."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.records import Sortable, occurred_on

MAX_PAST = 200
"""Records of one counterparty that a rule type is shown, the latest."""
MAX_AMOUNTS = 2_000
"""Amounts of one category that a rule type is shown, the latest."""


class Past(NamedTuple):
    """Another record of the tenant. `day` is its calendar day; `category` the key of the category that a person gave
    or confirmed, else None."""

    id: UUID
    day: date
    amount: Decimal | None
    currency: str | None
    category: str | None


class History(Protocol):
    def days(self, records: Sequence[Sortable]) -> Sequence[date]:
        """The calendar day of each record, in the tenant's time zone."""
        ...

    def of_party(self, records: Sequence[Sortable]) -> Sequence[Sequence[Past]]:
        """For each record, in order, the latest `MAX_PAST` others on or before its day with the same counterparty as
        it is stored (records without one: with the same text), the latest first."""
        ...

    def amounts(self, category: str, currency: str) -> Sequence[Decimal]:
        """The amounts of the latest `MAX_AMOUNTS` records in `currency` that people put into the category with this
        key, the latest first; empty for an unknown category."""
        ...


class NoHistory:
    """The past of a tenant that has none; `zone` is its time zone."""

    def __init__(self, zone: ZoneInfo = ZoneInfo("UTC")) -> None:  # noqa: B008 - immutable
        self._zone = zone

    def days(self, records: Sequence[Sortable]) -> Sequence[date]:
        return [occurred_on(record.occurred_at, self._zone) for record in records]

    def of_party(self, records: Sequence[Sortable]) -> Sequence[Sequence[Past]]:
        return [()] * len(records)

    def amounts(self, category: str, currency: str) -> Sequence[Decimal]:  # noqa: ARG002 - of the protocol
        return ()
