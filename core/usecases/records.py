"""Records: read, page by page or one with its whole trace, and removed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any
from uuid import UUID

from core.domain.category_changes import with_living_categories
from core.domain.events import EventType, NewEvent
from core.domain.facets import LOOKED_AT, MAX_VALUES, Facets
from core.domain.records import Record, Snapshot
from core.domain.tenants import Actor
from core.usecases.shared.present import present_filter
from core.usecases.shared.receipts import queue_matching_anew
from ports.clock import Ids
from ports.storage import RecordFilter, UnitOfWork

EXPORT_PAGE = 2_000
_NAMES_SOMEBODY = ("text", "account")


def list_records(
    actor: Actor, where: RecordFilter, *, uow: UnitOfWork, after: UUID | None, limit: int
) -> Sequence[Mapping[str, Any]]:
    """A page as `ports.storage.Records.page` gives it."""
    with uow.begin(actor) as tx:
        aliases = tx.categories.aliases()
        rows = tx.records.page(present_filter(tx, where), after=after, limit=limit)
    return [_living(row, aliases) for row in rows] if aliases else rows


def list_latest_records(
    actor: Actor, where: RecordFilter, *, uow: UnitOfWork, before: tuple[date, UUID] | None, limit: int
) -> Sequence[tuple[date, Mapping[str, Any]]]:
    """A page as `ports.storage.Records.latest` gives it: the latest day first."""
    with uow.begin(actor) as tx:
        aliases = tx.categories.aliases()
        rows = tx.records.latest(present_filter(tx, where), before=before, limit=limit)
    return [(day, _living(row, aliases)) for day, row in rows] if aliases else rows


def _living(row: Mapping[str, Any], aliases: Mapping[str, UUID]) -> Mapping[str, Any]:
    return {**row, "reasoning_trace": with_living_categories(row["reasoning_trace"], aliases)}


def record_facets(actor: Actor, where: RecordFilter, *, uow: UnitOfWork) -> Facets:
    """How many records there are of each status, category, stage, connection, currency, kind and month, each without
    its own part of the filter. Of very many records the newest are counted."""
    with uow.begin(actor) as tx:
        return tx.records.facets(present_filter(tx, where), most=LOOKED_AT, values=MAX_VALUES)


def export_records(actor: Actor, where: RecordFilter, *, uow: UnitOfWork) -> Iterator[Sequence[Mapping[str, Any]]]:
    """All matching records, page by page, each page in a transaction of its own. It is told before the first one goes
    out: by which filters (of what may name somebody, only that there is one), and how many records there are then."""
    with uow.begin(actor) as tx:
        filters = {
            f.name: True if f.name in _NAMES_SOMEBODY else getattr(where, f.name)
            for f in fields(where)
            if getattr(where, f.name) not in (None, ())
        }
        told = {"what": "records", "records": tx.records.count(present_filter(tx, where)), "filters": filters}
        tx.events.append([NewEvent(type=EventType.EXPORTED, payload=told)])
        tx.commit()
    return _pages(actor, where, uow)


def _pages(actor: Actor, where: RecordFilter, uow: UnitOfWork) -> Iterator[Sequence[Mapping[str, Any]]]:
    after: UUID | None = None
    while page := list_records(actor, where, uow=uow, after=after, limit=EXPORT_PAGE):
        yield page
        after = page[-1]["id"]


def get_record(actor: Actor, record_id: UUID, *, uow: UnitOfWork) -> Record:
    with uow.begin(actor) as tx:
        record, aliases = tx.records.get(record_id), tx.categories.aliases()
    return replace(record, reasoning_trace=with_living_categories(record.reasoning_trace, aliases))


def find_records(actor: Actor, record_ids: Collection[UUID], *, uow: UnitOfWork) -> Mapping[UUID, Record]:
    """Those of these records that are there still, by id."""
    with uow.begin(actor) as tx:
        return {record.id: record for record in tx.records.present(record_ids)}


def latest_records(actor: Actor, where: RecordFilter, *, limit: int, uow: UnitOfWork) -> Sequence[Snapshot]:
    """The newest records in the filter, in short."""
    with uow.begin(actor) as tx:
        return tx.records.snapshots(present_filter(tx, where), before=None, limit=limit)


def delete_record(actor: Actor, record_id: UUID, *, version: int | None, uow: UnitOfWork, ids: Ids) -> None:
    """It doesn't come back: a later import of the same record is known as deleted. Raises `NotFound`,
    `VersionMismatch`."""
    with uow.begin(actor) as tx:
        tx.records.delete(record_id, version)
        queue_matching_anew(tx, actor, ids)
        tx.commit()
