"""Reads of very many records, by the driver's own cursor: what it decodes needs no second look by SQLAlchemy."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import orjson
import psycopg
from sqlalchemy import Connection, Select, Text, cast, exists, func, literal, literal_column, select

from adapters.postgres.engine import driver
from adapters.postgres.filters import filtered
from adapters.postgres.review_tables import approvals
from adapters.postgres.tables import records
from core.domain.approvals import ApprovalReason
from core.domain.records import RecordStatus, Snapshot
from core.domain.rule_history import Past
from ports.storage import RecordFilter

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_STATUSES = {status.value: status for status in RecordStatus}

_PAST = """
    WITH asked AS (SELECT DISTINCT party, day FROM unnest(%(parties)s::text[], %(days)s::date[]) AS a(party, day))
    SELECT DISTINCT asked.party, r.id, r.occurred_on, r.amount, r.currency, r.key
    FROM asked CROSS JOIN LATERAL (
        SELECT r.id, r.occurred_on, r.amount, r.currency, c.key
        FROM records r LEFT JOIN categories c ON c.tenant_id = r.tenant_id AND c.id = r.category_id
            AND r.status IN ('approved', 'overridden')
        WHERE r.tenant_id = %(tenant)s AND r.party = md5(asked.party)::uuid AND r.occurred_on <= asked.day
        ORDER BY r.occurred_on DESC, r.id DESC
        LIMIT %(limit)s
    ) r
"""

_AMOUNTS = """
    SELECT r.amount FROM records r
    WHERE r.tenant_id = %(tenant)s AND r.currency = %(currency)s AND r.amount IS NOT NULL
      AND r.category_id = coalesce(
          (SELECT id FROM categories WHERE tenant_id = %(tenant)s AND key = %(category)s),
          (SELECT category_id FROM category_aliases WHERE tenant_id = %(tenant)s AND alias = %(category)s)
      )
      AND r.status IN ('approved', 'overridden')
    ORDER BY r.occurred_on DESC, r.id DESC
    LIMIT %(limit)s
"""


# In the order of Snapshot, and then the day. Whether a rule asked is looked up record by record, by the unique index of
# open approvals: a join may be planned badly while a fresh tenant's rows are not in the statistics.
_SNAPSHOT = (
    records.c.id,
    cast(records.c.connection_id, Text),
    records.c.kind,
    records.c.account,
    records.c.occurred_at,
    records.c.text,
    records.c.counterparty,
    records.c.amount,
    records.c.currency,
    cast(func.nullif(records.c.attributes, literal_column("'{}'::jsonb")), Text),
    records.c.status,
    cast(records.c.category_id, Text),
    records.c.stage,
    cast(records.c.rule_id, Text),
    exists().where(
        approvals.c.tenant_id == records.c.tenant_id,
        approvals.c.record_id == records.c.id,
        approvals.c.verdict.is_(None),
        approvals.c.reason == ApprovalReason.RULE.value,
    ),
    records.c.version,
    records.c.occurred_on,
)
# Of what no stage was asked about nobody asks yet.
_ASKED = Snapshot._fields.index("asked")
_UNTOUCHED = (*_SNAPSHOT[:_ASKED], literal(False), *_SNAPSHOT[_ASKED + 1 :])


def snapshots(
    connection: Connection, tenant_id: UUID, where: RecordFilter, *, before: UUID | None, limit: int
) -> Sequence[Snapshot]:
    query = (
        filtered(select(*_SNAPSHOT), where)
        .where(records.c.tenant_id == tenant_id)
        .order_by(records.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(records.c.id < before)
    with driver(connection).cursor() as cursor, _in_index_order(cursor):
        return _read(connection, cursor, query)


def untouched(connection: Connection, tenant_id: UUID, import_id: UUID, first: UUID, last: UUID) -> Sequence[Snapshot]:
    """The import's records of that range of ids that no stage was asked about."""
    query = (
        select(*_UNTOUCHED)
        .where(
            records.c.tenant_id == tenant_id,
            records.c.import_id == import_id,
            records.c.id.between(first, last),
            records.c.status == RecordStatus.INGESTED.value,
            records.c.reasoning_trace.is_(None),
        )
        .order_by(records.c.id)
    )
    with driver(connection).cursor() as cursor:
        return _read(connection, cursor, query)


def _read(connection: Connection, cursor: psycopg.Cursor[Any], query: Select[Any]) -> list[Snapshot]:
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    make, loads, known = Snapshot._make, orjson.loads, _Known({None: None})
    return [
        make((
            id, known[connection_id], kind, account, instant or day, text, counterparty, amount, currency,
            loads(attributes) if attributes else _NOTHING, _STATUSES[status], known[category_id], stage,
            known[rule_id], asked, version,
        ))
        for (
            id, connection_id, kind, account, instant, text, counterparty, amount, currency,
            attributes, status, category_id, stage,
            rule_id, asked, version, day,
        ) in cursor.execute(compiled.string, compiled.params)
    ]  # fmt: skip


@contextmanager
def _in_index_order(cursor: psycopg.Cursor[Any]) -> Iterator[None]:
    """Has a page read off an index in its order, as far as it reaches. While the statistics know little of a tenant's
    rows the planner would rather read and sort all of them, for each page anew."""
    cursor.execute("SET LOCAL enable_sort = off")
    yield
    cursor.execute("SET LOCAL enable_sort = on")


class _Known(dict[str | None, UUID | None]):
    """Ids by how they are written. Many records share theirs, and what need not be made need not be collected."""

    def __missing__(self, written: str) -> UUID:
        made = self[written] = UUID(written)
        return made


def past(
    connection: Connection, tenant_id: UUID, asked: Sequence[tuple[UUID, str, date]], limit: int
) -> Sequence[Sequence[Past]]:
    if not asked:
        return []
    parameters = {
        "tenant": tenant_id,
        "parties": [party for _, party, _ in asked],
        "days": [day for _, _, day in asked],
        "limit": limit + 1,  # one of them may be the record that asks
    }
    # Records of one counterparty ask for nearly the same: what any of them wants is read once.
    found: dict[str, list[Past]] = {}
    with driver(connection).cursor(binary=True) as cursor:
        for party, *row in cursor.execute(_PAST, parameters):
            found.setdefault(party, []).append(Past._make(row))
    for of_party in found.values():
        of_party.sort(key=_recency, reverse=True)
    return [_others(found.get(party, []), id, day, limit) for id, party, day in asked]


def _others(latest_first: Sequence[Past], id: UUID, day: date, limit: int) -> Sequence[Past]:
    """The latest on or before the day, but for the record itself."""
    start = bisect_left(latest_first, -day.toordinal(), key=lambda other: -other.day.toordinal())
    return [other for other in latest_first[start : start + limit + 1] if other.id != id][:limit]


def _recency(other: Past) -> tuple[date, UUID]:
    return other.day, other.id


def amounts(connection: Connection, tenant_id: UUID, category: str, currency: str, limit: int) -> Sequence[Decimal]:
    parameters = {"tenant": tenant_id, "category": category, "currency": currency, "limit": limit}
    return [amount for (amount,) in driver(connection).execute(_AMOUNTS, parameters)]
