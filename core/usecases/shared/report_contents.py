"""What a report says: each kind out of what storage adds up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from core.domain.categories import paths
from core.domain.record_filters import RecordFilter
from core.domain.report_charts import charts_of
from core.domain.report_money_tables import (
    Money,
    cash_flow_table,
    category_table,
    change_table,
    party_table,
    recurring_table,
)
from core.domain.report_periods import Relative, Span, parts_of
from core.domain.report_tables import Column, ColumnKind, Report, Table, Value
from core.domain.report_totals import change_totals, flow_totals, recurring_totals, work_totals
from core.domain.report_work_tables import llm_table, reviewer_table, stage_table
from core.domain.reports import ReportKind, ReportSpec, spec_to_json
from core.domain.spreadsheets import RECORD_COLUMNS
from core.usecases.shared.present import present_filter
from ports.storage import Transaction

MOST_PAYMENTS = 100
"""Of a party in a currency, the latest, that recurring ones are looked for among."""
_KINDS: Mapping[str, ColumnKind] = {
    "occurred_at": ColumnKind.INSTANT,
    "amount": ColumnKind.MONEY,
    "confidence": ColumnKind.NUMBER,
    "tags": ColumnKind.WORDS,
    "attributes": ColumnKind.OBJECT,
}
RECORDS = tuple(
    Column(key=name, title=name.replace("_", " ").capitalize(), kind=_KINDS.get(name, ColumnKind.TEXT))
    for name in RECORD_COLUMNS
)


def report_of(tx: Transaction, name: str, spec: ReportSpec, today: date) -> Report:
    """The report as of this transaction's moment. Rows of records are `RecordRows`, to be read while it lasts. Raises
    `Invalid`."""
    span, in_all, notes = spec.span(today), None, list[str]()
    where, money = present_filter(tx, spec.filter(span)), Money(conversion=spec.conversion)
    match spec.kind:
        case ReportKind.RECORDS:
            rows = RecordRows(tx=tx, where=where, names=paths(tx.categories.list()))
            table = Table(key="records", title="Records", columns=RECORDS, rows=rows)
        case ReportKind.CATEGORIES:
            sums = tx.figures.sums(where, spec.granularity, by_category=True)
            table, in_all = category_table(sums, tx.categories.list(), money), flow_totals(sums, money)
        case ReportKind.CASH_FLOW:
            sums = tx.figures.sums(where, spec.granularity, by_category=False)
            parts = [] if spec.period is Relative.EVER else list(parts_of(span, spec.granularity))
            table, in_all = cash_flow_table(sums, parts, money), flow_totals(sums, money)
        case ReportKind.COUNTERPARTIES:
            parties = tx.figures.parties(where, spec.conversion, spec.parties)
            whole = tx.figures.sums(where, None, by_category=False)
            table = party_table(parties, whole, spec.parties, money)
        case ReportKind.RECURRING:
            table, years = recurring_table(tx.figures.payments(where, MOST_PAYMENTS), money)
            in_all = recurring_totals(years, money)
            notes = [f"Series are looked for among the latest {MOST_PAYMENTS} payments of each party."]
        case ReportKind.STAGES:
            counts = tx.overviews.counts(span.since, span.until)
            span = _known(span, [day for day, *_ in counts] or [today])
            table = stage_table(counts, tx.figures.checks(span), span, spec.granularity)
        case ReportKind.LLM:
            table = llm_table(tx.llm_usages.since(span.since.replace(day=1)), span, spec.granularity)
        case ReportKind.REVIEWERS:
            table = reviewer_table(tx.figures.answers(span, spec.granularity))
        case ReportKind.CHANGES:
            before = spec.span_before(today)
            was = tx.figures.sums(present_filter(tx, spec.filter(before)), None, by_category=True)
            now = tx.figures.sums(where, None, by_category=True)
            table, in_all = change_table(was, now, tx.categories.list(), money), change_totals(was, now, money)
            notes = [f"Before: {before.since.isoformat()} to {before.until.isoformat()}."]
    return Report(
        kind=spec.kind.value,
        title=name,
        about=_about(spec, spec.span(today)),
        tables=[table],
        charts=charts_of(spec.kind, [table]),
        notes=[*notes, *_money_notes(spec)],
        in_all=in_all or work_totals(spec.kind, table),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRows:
    """The records in the filter, piece by piece, anew each time that they are gone through."""

    tx: Transaction
    where: RecordFilter
    names: Mapping[UUID, str]

    def count(self) -> int:
        return self.tx.records.count(self.where)

    def csv(self) -> Iterator[bytes]:
        """All of the file, as the formats' own CSV would be, but faster."""
        yield ",".join(RECORD_COLUMNS).encode() + b"\r\n"
        yield from self.tx.figures.records_csv(self.where, self.names)

    def __iter__(self) -> Iterator[Sequence[Value]]:
        for row in self.tx.figures.records(self.where):
            shown: dict[str, Any] = {
                **row,
                "id": str(row["id"]),
                "category": self.names.get(row["category_id"]),
                "category_id": row["category_id"] and str(row["category_id"]),
                "status": str(row["status"]),
                "tags": tuple(row["tags"]),
            }
            yield [shown[name] for name in RECORD_COLUMNS]


def _known(span: Span, days: Sequence[date]) -> Span:
    """Of a span without end that which these days lie in, so that not every day of centuries is told."""
    return Span(since=max(span.since, min(days)), until=min(span.until, max(days))) if _endless(span) else span


def _endless(span: Span) -> bool:
    return (span.until - span.since).days > 100 * 366


def _about(spec: ReportSpec, span: Span) -> dict[str, Any]:
    told = spec_to_json(spec) | {"since": span.since.isoformat(), "until": span.until.isoformat()}
    del told["formats"]
    return {name: value for name, value in sorted(told.items()) if value not in (None, {})}


def _money_notes(spec: ReportSpec) -> list[str]:
    if spec.conversion is None:
        return ["Amounts of different currencies are never added."] if spec.kind in _ADDS_UP else []
    given = sorted(spec.conversion.rates.items())
    rates = ", ".join(f"1 {name} = {rate:f} {spec.conversion.to}" for name, rate in given)
    return [
        f"Converted to {spec.conversion.to} by rates that were given: {rates or 'none'}. Currencies without a rate stay"
        " apart. Each sum is converted as a whole and rounded once, half to even."
    ]


_ADDS_UP = frozenset({ReportKind.CATEGORIES, ReportKind.CASH_FLOW, ReportKind.COUNTERPARTIES, ReportKind.CHANGES})
