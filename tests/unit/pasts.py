"""A history of records held in a list, for the tests of rule types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from core.domain.records import Record
from sortation import MAX_PAST, Past, Sortable


class ListedHistory:
    """What a tenant with these records would be told; `categories` are people's, by the record's id, `sorted_amounts`
    by category and currency. Counts the questions."""

    def __init__(
        self,
        records: Sequence[Record] = (),
        categories: Mapping[object, str] | None = None,
        sorted_amounts: Mapping[tuple[str, str], Sequence[Decimal]] | None = None,
    ) -> None:
        self._records = records
        self._categories = categories or {}
        self._amounts = sorted_amounts or {}
        self.asked: list[object] = []

    def days(self, records: Sequence[Sortable]) -> Sequence[date]:
        return [_day(record) for record in records]

    def of_party(self, records: Sequence[Sortable]) -> Sequence[Sequence[Past]]:
        self.asked.append("of_party")
        return [self._past(record) for record in records]

    def amounts(self, category: str, currency: str) -> Sequence[Decimal]:
        self.asked.append((category, currency))
        return self._amounts.get((category, currency), ())

    def _past(self, record: Sortable) -> list[Past]:
        others = [
            Past(other.id, _day(other), other.amount, other.currency, self._categories.get(other.id))
            for other in self._records
            if other.id != record.id and _party(other) == _party(record) and _day(other) <= _day(record)
        ]
        return sorted(others, key=lambda past: (past.day, past.id), reverse=True)[:MAX_PAST]


def _party(record: Sortable) -> str:
    return record.counterparty or record.text


def _day(record: Sortable) -> date:
    at = record.occurred_at
    return at.date() if isinstance(at, datetime) else at
