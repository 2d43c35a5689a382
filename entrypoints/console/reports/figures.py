"""What a report says, as its page shows it: tables, and what they come to in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.domain.report_tables import Column, ColumnKind, Report, Table, Value
from core.domain.report_totals import DOLLARS
from core.domain.reports import OF_MONEY, ReportKind
from entrypoints.console.records.filters import STAGES, STATUSES

MOST_ROWS = 100
_NUMBERS = frozenset({ColumnKind.MONEY, ColumnKind.COUNT, ColumnKind.SHARE, ColumnKind.NUMBER})
_UNSHOWN = frozenset({"category_id", "level", "own_records", "own_amount"})
_OF_RECORDS = ("occurred_at", "text", "counterparty", "category", "status", "amount", "currency")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """`currency` is that of an amount; `href` is the page of what is named."""

    kind: str
    value: Value
    currency: str | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTable:
    """The first rows of a table; `levels` says how far each is set in, where it is `nested`: each row below its own."""

    key: str
    title: str
    columns: Sequence[tuple[Column, bool]]
    """Each, and whether it has numbers."""
    rows: Sequence[Sequence[Cell]]
    levels: Sequence[int]
    nested: bool
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a report comes to in all: a row for each currency, or one of numbers of things."""

    heads: Sequence[str]
    rows: Sequence[tuple[str | None, Sequence[Decimal | int]]]

    @property
    def by_currency(self) -> bool:
        return any(currency is not None for currency, _ in self.rows)


def tables_of(kind: ReportKind, report: Report) -> list[ShownTable]:
    return [_shown(kind, table) for table in report.tables]


def totals_of(kind: ReportKind, report: Report) -> Totals | None:
    """As the report tells it itself: rows that are shown may be the first alone, and each of them is rounded. Of money
    it is the amounts that are shown, not how many records they are of."""
    if report.in_all is None:
        return None
    columns = [
        column
        for column in report.in_all.columns
        if column.key != "currency" and not (kind in OF_MONEY and column.key == "records")
    ]
    rows = [row for row in _rows(report.in_all) if row.get("currency", "") is not None]
    return Totals(
        heads=[column.title for column in columns],
        rows=[(row.get("currency"), [row[column.key] for column in columns]) for row in rows],
    )


def _shown(kind: ReportKind, table: Table) -> ShownTable:
    rows, nested = _rows(table), kind is ReportKind.CATEGORIES
    columns = [column for column in table.columns if column.key not in _UNSHOWN]
    if kind is ReportKind.RECORDS:
        columns = [column for column in columns if column.key in _OF_RECORDS]
    return ShownTable(
        key=table.key,
        title=table.title,
        columns=[(column, column.kind in _NUMBERS) for column in columns],
        rows=[[_cell(column, row, nested=nested) for column in columns] for row in rows[:MOST_ROWS]],
        levels=[row["level"] if nested else 0 for row in rows[:MOST_ROWS]],
        nested=nested,
        more=len(rows) > MOST_ROWS,
    )


def _cell(column: Column, row: Row, *, nested: bool) -> Cell:
    value = row[column.key]
    if column.key == "category" and nested and row["level"]:
        value = value.rpartition(" > ")[2]
    if column.key == "stage":
        value = STAGES.get(value, value)
    if column.key == "status":
        value = STATUSES.get(value, value)
    currency = DOLLARS if column.key == "cost" else row.get("currency")
    href = f"/records/{row['id']}" if column.key == "text" else None
    return Cell(kind=column.kind.value, value=value, currency=currency, href=href)


def _rows(table: Table) -> list[Row]:
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row, strict=True)) for row in table.rows]
