"""What a report says, as its page shows it: tables, and what they come to in all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.domain.report_money import add
from core.domain.report_tables import Column, ColumnKind, Report, Table, Value
from core.domain.reports import ReportKind
from entrypoints.console.records.filters import STAGES, STATUSES

MOST_ROWS = 100
_NUMBERS = frozenset({ColumnKind.MONEY, ColumnKind.COUNT, ColumnKind.SHARE, ColumnKind.NUMBER})
_UNSHOWN = frozenset({"category_id", "level", "own_records", "own_amount"})
_OF_RECORDS = ("occurred_at", "text", "counterparty", "category", "status", "amount", "currency")
_DOLLARS = "USD"
_ZERO = Decimal(0)
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
    """The first rows of a table; `levels` says how far each is set in, where it is `nested`."""

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
    return [_shown(kind, table) for table in report.tables if table.key != "totals"]


def totals_of(kind: ReportKind, report: Report) -> Totals | None:
    """Only what adds up: rows of categories have those below in them, of counterparties the first alone are told."""
    rows = _rows(report.tables[0])
    match kind:
        case ReportKind.CATEGORIES:
            return _by_currency(_rows(report.tables[1]) if len(report.tables) > 1 else [])
        case ReportKind.CASH_FLOW:
            return _by_currency(rows)
        case ReportKind.CHANGES:
            main = [row for row in rows if row["currency"] and " > " not in row["category"]]
            return _sums(main, {"Before": "amount_before", "Now": "amount", "Change": "change"})
        case ReportKind.RECURRING:
            apart = [row | {"in": max(row["a_year"], _ZERO), "out": min(row["a_year"], _ZERO)} for row in rows]
            return _sums(apart, {"In a year, about": "in", "Out a year, about": "out"})
        case ReportKind.LLM:
            found = (_count(rows, "calls"), _count(rows, "records"), _sum(row["cost"] for row in rows))
            return Totals(heads=("Calls", "Records by calls", "Spent"), rows=[(_DOLLARS, found)] if rows else [])
        case ReportKind.STAGES:
            alone = [row for row in rows if row["stage"] != "human"]
            asked = [row for row in rows if row["stage"] == "human"]
            counts = (_count(alone, "records"), _count(asked, "records"), _count(rows, "checked"))
            return Totals(heads=("Decided alone", "Asked of a person", "Spot checks"), rows=[(None, counts)])
        case ReportKind.REVIEWERS:
            counts = (_count(rows, "answers"), _count(rows, "approved"), _count(rows, "withdrawn"))
            return Totals(heads=("Answers", "As suggested", "Withdrawn since"), rows=[(None, counts)] if rows else [])
        case _:
            return None


def _shown(kind: ReportKind, table: Table) -> ShownTable:
    rows = _rows(table)
    columns = [column for column in table.columns if column.key not in _UNSHOWN]
    if kind is ReportKind.RECORDS:
        columns = [column for column in columns if column.key in _OF_RECORDS]
    return ShownTable(
        key=table.key,
        title=table.title,
        columns=[(column, column.kind in _NUMBERS) for column in columns],
        rows=[[_cell(column, row) for column in columns] for row in rows[:MOST_ROWS]],
        levels=[row.get("level", 0) for row in rows[:MOST_ROWS]],
        nested=any(column.key == "level" for column in table.columns),
        more=len(rows) > MOST_ROWS,
    )


def _cell(column: Column, row: Row) -> Cell:
    value = row[column.key]
    if column.key == "category" and row.get("level"):
        value = value.rpartition(" > ")[2]
    if column.key == "stage":
        value = STAGES.get(value, value)
    if column.key == "status":
        value = STATUSES.get(value, value)
    currency = _DOLLARS if column.key == "cost" else row.get("currency")
    href = f"/records/{row['id']}" if column.key == "text" else None
    return Cell(kind=column.kind.value, value=value, currency=currency, href=href)


def _rows(table: Table) -> list[Row]:
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row, strict=True)) for row in table.rows]


def _by_currency(rows: Sequence[Row]) -> Totals:
    some = [row for row in rows if row["currency"]]
    return _sums(some, {"In": "incoming", "Out": "outgoing", "Net": "net" if rows and "net" in rows[0] else "amount"})


def _sums(rows: Sequence[Row], of: Mapping[str, str]) -> Totals:
    """One currency after the other: amounts of different ones are never added."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["currency"]].append(row)
    sums = [
        (currency, [_sum(row[key] for row in some) for key in of.values()]) for currency, some in sorted(found.items())
    ]
    return Totals(heads=tuple(of), rows=sums)


def _sum(amounts: Any) -> Decimal:
    total = _ZERO
    for amount in amounts:
        total = add(total, amount)
    return total


def _count(rows: Sequence[Row], key: str) -> int:
    return sum(row[key] for row in rows)
