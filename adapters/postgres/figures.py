"""What reports are made of: sums by SQL, rows by the driver's own cursors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from sqlalchemy import (
    TIMESTAMP,
    Connection,
    Date,
    Row,
    Select,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    text,
)
from sqlalchemy.sql import ColumnElement

from adapters.postgres import record_csv
from adapters.postgres.engine import driver
from adapters.postgres.filters import filtered
from adapters.postgres.promises import ANSWERED, tally_of
from adapters.postgres.tables import records
from core.domain.decisions import Stage
from core.domain.promise import ALONE, Cell
from core.domain.record_filters import RecordFilter
from core.domain.recurrences import OCCURRENCES, Payment
from core.domain.report_money import Conversion
from core.domain.report_periods import Granularity, Span
from core.domain.report_rows import MOST_ROWS, Answers, PartySum, Sum, check_rows
from core.domain.spreadsheets import RECORD_COLUMNS

AT_ONCE = 2_000
"""Rows that are read together."""
_C = records.c
_SHOWN = tuple(_C[name] for name in RECORD_COLUMNS if name != "category")
_CURRENCY = case((_C.amount.is_(None), None), else_=_C.currency)
_PARTY = case((_C.counterparty == "", _C.text), else_=_C.counterparty)
_IN = func.coalesce(func.sum(_C.amount).filter(_C.amount > 0), 0)
_OUT = func.coalesce(func.sum(_C.amount).filter(_C.amount < 0), 0)

_CHECKS = text(f"""
    SELECT CAST(created_at AT TIME ZONE time_zone AS date) AS day, stage, count(*) AS checked,
           sum(1 / probability) AS weight, sum((1 / probability) ^ 2) AS squares,
           coalesce(sum(1 / probability) FILTER (WHERE NOT correct), 0) AS wrong,
           coalesce(sum((1 / probability) ^ 2) FILTER (WHERE NOT correct), 0) AS wrong_squares
    FROM ({ANSWERED}) answered, (SELECT time_zone FROM tenants WHERE tenant_id = :tenant) there
    WHERE stage = ANY(:alone) AND created_at >= CAST(:since AS timestamp) AT TIME ZONE time_zone
      AND created_at < (CAST(:until AS timestamp) + interval '1 day') AT TIME ZONE time_zone
    GROUP BY 1, 2 ORDER BY 1, 2
""")  # noqa: S608 - a constant

_ANSWERS = text("""
    SELECT CAST(date_trunc(:unit, decided_at AT TIME ZONE time_zone) AS date) AS part, decided_by AS reviewer,
           count(*) FILTER (WHERE verdict = 'approve') AS approved,
           count(*) FILTER (WHERE verdict = 'override') AS overridden,
           count(*) FILTER (WHERE reason = 'spot_check') AS checks, count(withdrawn_at) AS withdrawn,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM decided_at - created_at)::float8)
               AS median_seconds
    FROM approvals, (SELECT time_zone FROM tenants WHERE tenant_id = :tenant) there
    WHERE tenant_id = :tenant AND verdict IS NOT NULL
      AND CAST(decided_at AT TIME ZONE time_zone AS date) BETWEEN :since AND :until
    GROUP BY 1, decided_by ORDER BY 1, decided_by COLLATE "C" LIMIT :most
""")


class PostgresFigures:
    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def records(self, where: RecordFilter) -> Iterator[Mapping[str, Any]]:
        query = self._of(select(_C.occurred_on, *_SHOWN), where).order_by(_C.occurred_on, _C.id)
        for row in self._streamed(query):
            yield {**row, "occurred_at": row["occurred_at"] or row["occurred_on"]}

    def records_csv(self, where: RecordFilter, names: Mapping[UUID, str]) -> Iterator[bytes]:
        return record_csv.lines(self._connection, self._of(record_csv.query(names), where))

    def sums(self, where: RecordFilter, granularity: Granularity | None, *, by_category: bool) -> Sequence[Sum]:
        keys = (_part(granularity), (_C.category_id if by_category else null()), _CURRENCY)
        part, category, currency = (key.label(name) for key, name in zip(keys, ("part", "of", "in_"), strict=True))
        query = self._of(select(part, category, currency, func.count(), _IN, _OUT), where)
        query = query.group_by(text("1"), text("2"), text("3")).order_by(text("1"), text("2"), text("3"))
        names = ("part", "category_id", "currency", "records", "incoming", "outgoing")
        return [Sum(**dict(zip(names, row, strict=True))) for row in self._few(query)]

    def parties(self, where: RecordFilter, conversion: Conversion | None, most: int) -> Sequence[PartySum]:
        party, currency = _PARTY.label("party"), _CURRENCY.label("currency")
        columns = (func.count().label("records"), _IN.label("incoming"), _OUT.label("outgoing"))
        days = (func.min(_C.occurred_on).label("first"), func.max(_C.occurred_on).label("last"))
        found = self._of(select(party, currency, *columns, *days), where).group_by(text("1"), text("2")).cte("found")
        told, rate = _told(found.c.currency, conversion)
        # As `core.domain.report_money_tables.party_table` ranks them, so that what it would leave out never comes.
        moved = func.sum((found.c.incoming - found.c.outgoing) * rate)
        order = (moved.desc(), func.sum(found.c.records).desc(), found.c.party.collate("C"))
        rank = func.row_number().over(partition_by=told, order_by=order)
        ranked = select(found.c.party, told.label("told"), rank.label("rank")).group_by(text("1"), text("2"))
        first = ranked.cte("ranked")
        same = told.is_not_distinct_from(first.c.told)
        query = (
            select(found)
            .join(first, (found.c.party == first.c.party) & same)
            .where(first.c.rank <= most)
            .order_by(found.c.currency, found.c.party.collate("C"))
        )
        return [PartySum(**row._mapping) for row in self._few(query)]

    def payments(self, where: RecordFilter, most: int) -> Iterator[tuple[str, str, Sequence[Payment]]]:
        of_party, by_day = (_C.party, _C.currency), (_C.occurred_on.desc(), _C.id.desc())
        latest = func.row_number().over(partition_by=of_party, order_by=by_day)
        columns = (_C.party.label("key"), _PARTY.label("party"), _C.currency, _C.occurred_on, _C.amount, _C.id)
        counted = (func.count().over(partition_by=of_party).label("payments"), latest.label("latest"))
        found = self._of(select(*columns, *counted), where).where(_C.amount.is_not(None)).subquery()
        query = (
            select(found.c.key, found.c.party, found.c.currency, found.c.occurred_on, found.c.amount)
            .where(found.c.payments >= OCCURRENCES, found.c.latest <= most)
            .order_by(found.c.key, found.c.currency, found.c.occurred_on, found.c.id)
        )
        for (_, currency), rows in groupby(self._streamed(query), key=lambda row: (row["key"], row["currency"])):
            paid = list(rows)
            yield (
                paid[0]["party"],
                currency,
                [Payment(day=row["occurred_on"], amount=row["amount"]) for row in paid],
            )

    def checks(self, span: Span) -> Sequence[Cell]:
        given = {"tenant": self._tenant_id, "alone": [stage.value for stage in ALONE], **_days(span)}
        return [
            Cell(month=row.day, stage=Stage(row.stage), decided=0, checks=tally_of(row), recent=0)
            for row in self._connection.execute(_CHECKS, given)
        ]

    def answers(self, span: Span, granularity: Granularity) -> Sequence[Answers]:
        given = {"tenant": self._tenant_id, "unit": granularity.value, "most": MOST_ROWS + 1, **_days(span)}
        rows = self._connection.execute(_ANSWERS, given).mappings().all()
        check_rows(len(rows))
        return [Answers(**row) for row in rows]

    def _of(self, query: Select[Any], where: RecordFilter) -> Select[Any]:
        return filtered(query, where).where(_C.tenant_id == self._tenant_id)

    def _few(self, query: Select[Any]) -> Sequence[Row[Any]]:
        """Raises `Invalid` where they are not, before all of them are here."""
        rows = self._connection.execute(query.limit(MOST_ROWS + 1)).all()
        check_rows(len(rows))
        return rows

    def _streamed(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        """By a cursor of the server, so that no more than some rows are in memory."""
        compiled = query.compile(dialect=self._connection.dialect, compile_kwargs={"render_postcompile": True})
        with driver(self._connection).cursor(name="report", row_factory=dict_row) as cursor:
            cursor.itersize = AT_ONCE
            yield from cursor.execute(compiled.string, compiled.params)


def _days(span: Span) -> dict[str, date]:
    return {"since": span.since, "until": span.until}


def _part(granularity: Granularity | None) -> ColumnElement[Any]:
    if granularity is None:
        return null()
    return cast(func.date_trunc(literal_column(f"'{granularity.value}'"), cast(_C.occurred_on, TIMESTAMP)), Date)


def _told(currency: ColumnElement[Any], conversion: Conversion | None) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The currency that amounts are told in, and what one unit is worth in it."""
    if conversion is None or not conversion.rates:
        return currency, literal(1)
    told = case(dict.fromkeys(conversion.rates, conversion.to), value=currency, else_=currency)
    return told, case(dict(conversion.rates), value=currency, else_=1)
