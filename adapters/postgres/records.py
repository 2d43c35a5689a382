"""Records: written in batches by COPY into staging tables and one statement each, read by keyset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, literal_column, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import facet_reads, record_reads
from adapters.postgres import record_statements as sql
from adapters.postgres import rule_run_statements as run_sql
from adapters.postgres.copying import NULL, a_flag, a_number, a_text, an_array, an_id, copy_rows, some_bytes
from adapters.postgres.engine import driver, dumps
from adapters.postgres.events import PostgresEvents
from adapters.postgres.filters import filtered
from adapters.postgres.guards import at, conflicts, delete_versioned
from adapters.postgres.learning import NO_ARRIVAL, arrival_row
from adapters.postgres.learning_tables import arrivals
from adapters.postgres.record_rows import RECORD_COLUMNS, to_record
from adapters.postgres.tables import record_tombstones, records
from core.domain.approvals import group_key
from core.domain.decisions import Decision
from core.domain.events import EventType, NewEvent
from core.domain.evidence import party_key
from core.domain.facets import Facets
from core.domain.learning import Arrival
from core.domain.records import Draft, Record, Snapshot, normalise, similarity_text, text_digest
from core.domain.rule_history import Past
from core.errors import NotFound, VersionMismatch
from ports.clock import Ids
from ports.record_storage import Restored, Stored
from ports.storage import RecordFilter

_PAGE_COLUMNS = tuple(c for c in RECORD_COLUMNS if c.name not in ("raw", "tenant_id"))
_PAGE_NAMES = tuple(str(c.name) for c in _PAGE_COLUMNS)
# Chunks are read by the thousand: what the driver reads as it is needs no second look by SQLAlchemy.
_OPEN_COLUMNS = tuple(
    literal_column({"raw": "'{}'::jsonb", "tags": "tags"}[c.name]).label(c.name) if c.name in ("raw", "tags") else c
    for c in RECORD_COLUMNS
)
_UNASKED = (NULL,) * 6
_NO_CATEGORY = "the category does not exist"


class PostgresRecords:
    def __init__(self, connection: Connection, tenant_id: UUID, events: PostgresEvents, ids: Ids) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._events = events
        self._ids = ids

    def store(
        self,
        drafts: Sequence[tuple[UUID, Draft, date]],
        *,
        connection_id: UUID,
        import_id: UUID,
        categories: Mapping[str, UUID] | None = None,
    ) -> Stored:
        if not drafts:
            return Stored(inserted=(), open=(), known=0, updated=0)
        staged = _without_superseded(drafts)
        self._stage("staged_drafts", sql.STAGED_DRAFTS, (_draft_row(n, *d, categories) for n, d in enumerate(staged)))
        there = {"connection": connection_id, "import": import_id}
        if any(draft.pending_external_id for _, draft, _ in drafts):
            self._connection.execute(sql.RENAME_PENDING, {"tenant": self._tenant_id, "connection": connection_id})
        with conflicts(unknown="the connection or a category does not exist"):
            payload = {"payload": dumps({"import_id": import_id, "connection_id": connection_id})}
            added = self._connection.execute(sql.ADD_DRAFTS, there | self._told() | payload).all()
        inserted = tuple(row.id for row in added)
        self._events.told(len(inserted))
        updated = 0
        if len(inserted) < len(drafts):
            updated = self._connection.execute(sql.POST_PENDING, there | self._told()).scalar_one()
            self._events.told(updated)
        if categories is not None:
            parameters = {"import": import_id, "ids": list(inserted)} | self._told()
            self._events.told(self._connection.execute(sql.TEACH_HISTORY, parameters).scalar_one())
        self._connection.execute(text("TRUNCATE staged_drafts"))
        to_sort = tuple(row.id for row in added if row.open)
        return Stored(inserted=inserted, open=to_sort, known=len(drafts) - len(inserted), updated=updated)

    def known(self, connection_id: UUID, keys: Sequence[tuple[str, str]]) -> int:
        parameters = {
            "tenant": self._tenant_id,
            "connection": connection_id,
            "accounts": [account for account, _ in keys],
            "external_ids": [external_id for _, external_id in keys],
        }
        return int(self._connection.execute(sql.KNOWN, parameters).scalar_one())

    def open_between(self, import_id: UUID, first: UUID, last: UUID) -> Sequence[Snapshot]:
        return record_reads.untouched(self._connection, self._tenant_id, import_id, first, last)

    def snapshots(self, where: RecordFilter, *, before: UUID | None, limit: int) -> Sequence[Snapshot]:
        return record_reads.snapshots(self._connection, self._tenant_id, where, before=before, limit=limit)

    def count(self, where: RecordFilter) -> int:
        query = filtered(select(func.count()).select_from(records), where)
        return int(self._connection.execute(query.where(records.c.tenant_id == self._tenant_id)).scalar_one())

    def tally(self, where: RecordFilter) -> Mapping[tuple[str, str | None], int]:
        parts = (records.c.status, records.c.stage)
        query = filtered(select(*parts, func.count().label("records")), where).group_by(*parts)
        rows = self._connection.execute(query.where(records.c.tenant_id == self._tenant_id))
        return {(row.status, row.stage): row.records for row in rows}

    def facets(self, where: RecordFilter, *, most: int, values: int) -> Facets:
        return facet_reads.facets(self._connection, self._tenant_id, where, most=most, values=values)

    def past(self, asked: Sequence[tuple[UUID, str, date]], limit: int) -> Sequence[Sequence[Past]]:
        return record_reads.past(self._connection, self._tenant_id, asked, limit)

    def amounts(self, category: str, currency: str, limit: int) -> Sequence[Decimal]:
        return record_reads.amounts(self._connection, self._tenant_id, category, currency, limit)

    def open_among(self, ids: Sequence[UUID]) -> Sequence[Record]:
        query = (
            select(*_OPEN_COLUMNS)
            .where(records.c.tenant_id == self._tenant_id, records.c.id.in_(ids), records.c.status == "ingested")
            .order_by(records.c.id)
        )
        return [to_record(row) for row in self._connection.execute(query).mappings()]

    def decide(
        self, decisions: Sequence[Decision], said: Mapping[UUID, Arrival] | None = None, version: int = 0
    ) -> Sequence[UUID]:
        if not decisions:
            return []
        said = said or {}
        rows = (
            _decision_row(d, self._ids.new() if d.approval else None, arrival=said.get(d.record_id)) for d in decisions
        )
        self._stage("staged_decisions", sql.STAGED_DECISIONS, rows)
        with conflicts(unknown=_NO_CATEGORY, taken="a record that waits for a person is not decided again"):
            ids = [d.record_id for d in decisions]
            of_chunk = {"first": min(ids), "last": max(ids), "version": version}
            changed = self._connection.execute(sql.DECIDE, self._told() | of_chunk).all()
        self._events.told(sum(row.final for row in changed))
        self._connection.execute(text("TRUNCATE staged_decisions"))
        return [row.id for row in changed]

    def redecide(self, run_id: UUID, decisions: Sequence[tuple[Decision, int]]) -> Sequence[UUID]:
        if not decisions:
            return []
        rows = (_decision_row(d, self._ids.new() if d.approval else None, version) for d, version in decisions)
        self._stage("staged_decisions", sql.STAGED_DECISIONS, rows)
        of_tenant = {"tenant": self._tenant_id}
        self._connection.execute(run_sql.LOCK_CATEGORIES, of_tenant)
        self._connection.execute(run_sql.LOCK_APPROVALS, of_tenant)
        self._connection.execute(run_sql.NOTE_BEFORE, of_tenant)
        with conflicts(unknown="the run does not exist"):
            changed = self._connection.execute(run_sql.REDECIDE, {"run": run_id} | self._told()).scalars().all()
        self._events.told(len(changed))
        self._connection.execute(text("TRUNCATE staged_decisions"))
        return changed

    def restore(self, run_id: UUID, *, after: UUID | None, limit: int) -> Restored:
        page = {"tenant": self._tenant_id, "run": run_id, "after": after, "limit": limit}
        ids = self._connection.execute(run_sql.NEXT_CHANGES, page).scalars().all()
        if not ids:
            return Restored(restored=0, kept=0, last=None, hits={})
        of_run = {"tenant": self._tenant_id, "run": run_id, "ids": ids}
        for lock in (run_sql.LOCK_FORMER_CATEGORIES, run_sql.LOCK_APPROVALS_OF, run_sql.LOCK_RECORDS):
            self._connection.execute(lock, of_run)
        back = self._connection.execute(run_sql.RESTORE, of_run | self._told()).all()
        self._events.told(len(back))
        self._connection.execute(run_sql.REOPEN, of_run | {"ids": [row.id for row in back]})
        hits = Counter(row.regains for row in back)
        hits.subtract(row.loses for row in back)
        return Restored(
            restored=len(back),
            kept=len(ids) - len(back),
            last=ids[-1],
            hits={id: n for id, n in hits.items() if id is not None and n},
        )

    def get(self, id: UUID, *, lock: bool = False) -> Record:
        query = select(*RECORD_COLUMNS).where(at(records, self._tenant_id, id))
        row = self._connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise NotFound("this record does not exist")
        return to_record(row)

    def get_many(self, ids: Sequence[UUID], *, lock: bool = False) -> Sequence[Record]:
        query = select(*RECORD_COLUMNS).where(records.c.tenant_id == self._tenant_id, records.c.id.in_(ids))
        if lock:
            query = query.order_by(records.c.id).with_for_update()
        found = {row["id"]: to_record(row) for row in self._connection.execute(query).mappings()}
        if missing := [id for id in ids if id not in found]:
            raise NotFound(f"record {missing[0]} does not exist")
        return [found[id] for id in ids]

    def present(self, ids: Collection[UUID]) -> Sequence[Record]:
        query = select(*RECORD_COLUMNS).where(records.c.tenant_id == self._tenant_id, records.c.id.in_(ids))
        return [to_record(row) for row in self._connection.execute(query.order_by(records.c.id)).mappings()]

    def page(self, where: RecordFilter, *, after: UUID | None, limit: int) -> Sequence[Mapping[str, Any]]:
        query = filtered(select(*_PAGE_COLUMNS), where).where(records.c.tenant_id == self._tenant_id)
        if after is not None:
            query = query.where(records.c.id > after)
        rows = self._connection.execute(query.order_by(records.c.id).limit(limit))
        return [_shown(dict(zip(_PAGE_NAMES, row, strict=True))) for row in rows]

    def latest(
        self, where: RecordFilter, *, before: tuple[date, UUID] | None, limit: int
    ) -> Sequence[tuple[date, Mapping[str, Any]]]:
        place = tuple_(records.c.occurred_on, records.c.id)
        query = filtered(select(*_PAGE_COLUMNS), where).where(records.c.tenant_id == self._tenant_id)
        if before is not None:
            query = query.where(place < before)
        rows = self._connection.execute(query.order_by(records.c.occurred_on.desc(), records.c.id.desc()).limit(limit))
        named = (dict(zip(_PAGE_NAMES, row, strict=True)) for row in rows)
        return [(row["occurred_on"], _shown(row)) for row in named]

    def update(self, changed: Sequence[Record]) -> None:
        if not changed:
            return
        parameters = {
            "tenant": self._tenant_id,
            "ids": [r.id for r in changed],
            "versions": [r.version for r in changed],
            "statuses": [r.status.value for r in changed],
            "categories": [r.category_id for r in changed],
            "stages": [r.stage for r in changed],
            "confidences": [r.confidence for r in changed],
            "traces": [None if r.reasoning_trace is None else dumps(r.reasoning_trace) for r in changed],
            "tags": [dumps(r.tags) for r in changed],
            "attributes": [dumps(r.attributes) for r in changed],
            "failures": [r.failure for r in changed],
        }
        with conflicts(unknown=_NO_CATEGORY):
            written = self._connection.execute(sql.SETTLE, parameters)
        if written.rowcount != len(changed):
            self.get_many([r.id for r in changed])
            raise VersionMismatch

    def delete(self, id: UUID, version: int | None) -> None:
        self._connection.execute(run_sql.LOCK_APPROVALS_OF, {"tenant": self._tenant_id, "ids": [id]})
        where = at(records, self._tenant_id, id)
        place = (records.c.connection_id, records.c.account, records.c.external_id, records.c.former_external_id)
        gone = self._connection.execute(select(*place).where(where)).first()
        if gone is None:
            raise NotFound("this record does not exist")
        delete_versioned(self._connection, records, where, version)
        self._connection.execute(
            delete(arrivals).where(arrivals.c.tenant_id == self._tenant_id, arrivals.c.record_id == id)
        )
        self._connection.execute(
            insert(record_tombstones).values(deleted_at=func.now()).on_conflict_do_nothing(),
            [
                {
                    "tenant_id": self._tenant_id,
                    "connection_id": gone.connection_id,
                    "account": gone.account,
                    "external_id": external_id,
                }
                for external_id in (gone.external_id, gone.former_external_id)
                if external_id is not None
            ],
        )
        self._events.append([NewEvent(type=EventType.DELETED, subject_id=id)])

    def expire(self, before: date, *, after: UUID | None, limit: int) -> Sequence[UUID]:
        of_tenant = {"tenant": self._tenant_id, "before": before}
        ids = self._connection.execute(sql.EXPIRING, of_tenant | {"after": after, "limit": limit}).scalars().all()
        self._connection.execute(run_sql.LOCK_APPROVALS_OF, {"tenant": self._tenant_id, "ids": ids})
        gone = self._connection.execute(sql.EXPIRE, of_tenant | {"ids": ids}).scalars().all()
        self._connection.execute(sql.FORGET_ARRIVALS, {"tenant": self._tenant_id, "ids": gone})
        return gone

    def undo_import(self, import_id: UUID) -> tuple[int, int]:
        of_import = {"tenant": self._tenant_id, "import": import_id}
        self._connection.execute(sql.LOCK_APPROVALS_OF_IMPORT, of_import)
        ids = self._connection.execute(sql.LOCK_RECORDS_OF_IMPORT, of_import).scalars().all()
        removed = self._connection.execute(sql.UNDO_IMPORT, of_import | {"ids": ids} | self._told()).scalar_one()
        self._connection.execute(sql.FORGET_ARRIVALS, {"tenant": self._tenant_id, "ids": ids})
        self._events.told(removed)
        kept = select(func.count()).where(records.c.tenant_id == self._tenant_id, records.c.import_id == import_id)
        return removed, self._connection.execute(kept).scalar_one()

    def _told(self) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "batch": self._events.batch_id, "told": self._events.size}

    def _stage(self, table: str, definition: str, rows: Iterable[Sequence[str]]) -> None:
        driver(self._connection).execute(definition)
        copy_rows(self._connection, table, rows)


def _without_superseded(drafts: Sequence[tuple[UUID, Draft, date]]) -> Sequence[tuple[UUID, Draft, date]]:
    """The drafts but for pending ones that another of the batch posts under a new id: one record, not two."""
    posted = {(draft.account, draft.pending_external_id) for _, draft, _ in drafts if draft.pending_external_id}
    if not posted:
        return drafts
    return [d for d in drafts if not (d[1].pending and (d[1].account, d[1].external_id) in posted)]


def _draft_row(n: int, id: UUID, draft: Draft, day: date, categories: Mapping[str, UUID] | None) -> tuple[str, ...]:
    category_id = categories.get(normalise(draft.category)) if categories is not None and draft.category else None
    example = similarity_text(draft.text, draft.counterparty) if category_id else None
    return (
        str(n),
        an_id(id),
        a_text(draft.kind),
        a_text(draft.account),
        a_text(draft.external_id),
        str(day),
        str(draft.occurred_at) if isinstance(draft.occurred_at, datetime) else NULL,
        a_text(draft.text),
        a_text(draft.counterparty),
        NULL if draft.amount is None else str(draft.amount),
        a_text(draft.currency),
        a_text(dumps(draft.attributes)) if draft.attributes else "{}",
        a_text(dumps(draft.raw)) if draft.raw else "{}",
        a_flag(draft.pending),
        a_text(draft.pending_external_id),
        an_id(category_id),
        a_text(example),
        some_bytes(text_digest(example) if example else None),
        a_text(group_key(draft) if example else None),
        a_text(party_key(draft.counterparty) if example else None),
    )


def _decision_row(
    d: Decision, approval_id: UUID | None, version: int | None = None, arrival: Arrival | None = None
) -> tuple[str, ...]:
    return (
        d.record_id.hex,
        d.status,
        an_id(d.category_id),
        d.stage or NULL,
        a_number(d.confidence),
        a_number(d.threshold),
        a_text(d.model_version),
        a_number(d.selection_probability),
        a_text(dumps(d.trace)),
        a_text(d.failure),
        an_array(d.tags),
        a_text(dumps(d.attributes)) if d.attributes else "{}",
        an_id(d.rule_id),
        *(_UNASKED if approval_id is None else _asked_row(d, approval_id)),
        a_number(version),
        NULL,
        *(arrival_row(arrival) if arrival is not None else NO_ARRIVAL),
    )


def _asked_row(d: Decision, approval_id: UUID) -> tuple[str, ...]:
    return (
        approval_id.hex,
        d.approval or NULL,
        an_id(d.suggested_id),
        a_number(d.suggested_confidence),
        a_number(d.urgency),
        a_text(d.group_key),
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """`occurred_at` as the domain has it: the instant where the source gave one, else the date."""
    row["occurred_at"] = row["occurred_at"] or row["occurred_on"]
    del row["occurred_on"]
    return row
