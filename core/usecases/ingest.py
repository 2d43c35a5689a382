"""records:ingest: a received payload becomes records, batch by batch, each batch stored with the job's progress."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO, cast
from uuid import UUID

from core.domain.categories import Category, key_from_name
from core.domain.connections import MAX_GAPS, MAX_REFUSALS, Connection, Import, ImportStatus
from core.domain.events import EventType, NewEvent
from core.domain.jobs import Job, NewJob, Stream
from core.domain.plugins import gaps_of
from core.domain.records import Draft, Refusal, check_draft, clean_text, identify, normalise, occurred_on
from core.domain.tenants import Actor, Tenant, worker_actor
from core.errors import Invalid, LeaseLost, Transient
from core.usecases.shared.present import known_categories
from core.usecases.shared.teaching import queue_learning
from ports.clock import Clock, Ids
from ports.connectors import Context, PluginHost, ReadRequest
from ports.storage import Transaction, UnitOfWork

BATCH = 5_000
CHUNK = 2_500
"""Records that one job sorts: less than what is stored at once, so that several workers end at about the same time."""
SPOOL_BYTES = 8 << 20
"""What of a payload is kept in memory while it is read; the rest goes to a temporary file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a read got. Reading is repeatable, so a resumed job skips as many batches as were stored."""

    batches: int = 0
    items: int = 0
    inserted: int = 0
    known: int = 0
    refused: int = 0
    refusals: tuple[Mapping[str, Any], ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    job: Job
    actor: Actor
    tenant: Tenant
    imported: Import
    connection: Connection


def ingest_records(
    job: Job, *, learn_delay: float | None = None, uow: UnitOfWork, host: PluginHost, clock: Clock, ids: Ids
) -> None:
    """Reads the import that the job names into records and queues what is to be sorted. What was approved elsewhere is
    learned from: rules are proposed `learn_delay` seconds later (None: not at all).

    Raises `UnreadableFile` for a payload that no retry can read, `Transient` and `PluginUnavailable` for what a retry
    may cure, `LeaseLost` when another worker took over.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    progress = Progress(**job.progress) if job.progress else Progress()
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as file:
        with uow.begin(actor) as tx:
            imported = tx.imports.get(UUID(job.payload["import_id"]))
            connection = tx.connections.get(imported.connection_id)
            tenant = tx.tenants.get()
            if imported.status is ImportStatus.UNDONE:
                tx.jobs.finish(job)
                tx.commit()
                return
            shutil.copyfileobj(tx.imports.open(imported.id), file)
        file.seek(0)
        delivery = _Delivery(job=job, actor=actor, tenant=tenant, imported=imported, connection=connection)
        context = Context(config=connection.config, default_currency=tenant.settings.default_currency)
        request = ReadRequest(file=cast(BinaryIO, file), filename=imported.filename, batch_size=BATCH)
        occurrences: dict[tuple[str, str], int] = {}
        stored_before = progress.batches
        for number, batch in enumerate(host.connector(connection.connector).read(context, request), start=1):
            drafts, refusals = _checked(batch.drafts, batch.refusals, progress.items)
            named = list(identify(drafts, occurrences))
            if number <= stored_before:
                continue
            progress = replace(
                progress,
                batches=number,
                items=progress.items + len(batch.drafts),
                refused=progress.refused + len(refusals),
                refusals=(*progress.refusals, *map(asdict, refusals))[:MAX_REFUSALS],
                gaps=(*progress.gaps, *gaps_of(batch.statements))[:MAX_GAPS],
            )
            progress = _store(delivery, named, progress, uow=uow, clock=clock, ids=ids)
    _finish(delivery, progress, learn_delay, uow=uow, clock=clock, ids=ids)


def _checked(
    drafts: Sequence[Draft], refusals: Sequence[Refusal], items_before: int
) -> tuple[list[Draft], list[Refusal]]:
    good: list[Draft] = []
    refused = list(refusals)
    for position, draft in enumerate(drafts, start=items_before + 1):
        try:
            good.append(check_draft(draft))
        except Invalid as error:
            refused.append(Refusal(position=position, reason=str(error)))
    return good, refused


def _store(
    delivery: _Delivery,
    drafts: Sequence[Draft],
    progress: Progress,
    *,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
    whole: bool = True,
) -> Progress:
    """One batch in one transaction, with the progress that says so; gives that progress back.

    A draft that the storage can't take fails alone: the batch is halved around it. Only the last part, which makes the
    batch `whole`, keeps the progress: after a kill in between, the batch is read again, and what is stored is known.
    """
    try:
        with uow.begin(delivery.actor) as tx:
            tx.jobs.hold(delivery.job)
            zone = delivery.tenant.zone
            stored = tx.records.store(
                [
                    (id, d, occurred_on(d.occurred_at, zone))
                    for id, d in zip(ids.batch(len(drafts)), drafts, strict=True)
                ],
                connection_id=delivery.connection.id,
                import_id=delivery.imported.id,
                categories=_categories(tx, delivery, drafts, clock, ids) if delivery.imported.approved else None,
            )
            if stored.inserted:
                chunks = [stored.inserted[at : at + CHUNK] for at in range(0, len(stored.inserted), CHUNK)]
                tx.jobs.add([_process_job(delivery, ids.new(), chunk) for chunk in chunks])
            progress = replace(
                progress, inserted=progress.inserted + len(stored.inserted), known=progress.known + stored.known
            )
            if whole:
                tx.jobs.hold(delivery.job, asdict(progress))
                tx.imports.update(_so_far(delivery.imported, progress))
            tx.commit()
            return progress
    except (Transient, LeaseLost):
        raise
    except Exception as error:
        if len(drafts) > 1:
            half = len(drafts) // 2
            progress = _store(delivery, drafts[:half], progress, uow=uow, clock=clock, ids=ids, whole=False)
            return _store(delivery, drafts[half:], progress, uow=uow, clock=clock, ids=ids, whole=whole)
        reason = f"could not be stored: {_first_line(error)}"
        refusal = asdict(Refusal(position=progress.items, reason=reason))
        return replace(progress, refused=progress.refused + 1, refusals=(*progress.refusals, refusal)[:MAX_REFUSALS])


def _process_job(delivery: _Delivery, id: UUID, inserted: Sequence[UUID]) -> NewJob:
    return NewJob(
        id=id,
        stream=Stream.PROCESS,
        payload={"import_id": str(delivery.imported.id), "first": str(inserted[0]), "last": str(inserted[-1])},
        request_id=delivery.job.request_id,
        source_agent=delivery.job.source_agent,
        max_attempts=delivery.job.max_attempts,
        trace_parent=delivery.job.trace_parent,
    )


def _categories(
    tx: Transaction, delivery: _Delivery, drafts: Sequence[Draft], clock: Clock, ids: Ids
) -> dict[str, UUID]:
    """What the history calls its categories → their ids; names that the tenant doesn't have yet are added."""
    known = known_categories(tx)
    missing = {normalise(d.category): clean_text(d.category) for d in drafts if d.category}
    missing = {normal: name for normal, name in missing.items() if normal and normal not in known}
    taken = set(known)
    new: list[Category] = []
    for normal, name in missing.items():
        key = key_from_name(name)
        while key in taken:
            key += "-2"
        taken.add(key)
        category = Category(
            id=ids.new(),
            tenant_id=delivery.tenant.id,
            parent_id=None,
            key=key,
            name=name,
            description="",
            created_at=clock.now(),
            version=1,
        )
        new.append(category)
        known[normal] = category.id
    tx.categories.add(new)
    tx.events.append([NewEvent(type=EventType.CATEGORY_CREATED, subject_id=c.id, payload={"key": c.key}) for c in new])
    # Held before records are touched, so that none is merged or deleted until they are stored.
    held = tx.categories.hold({id for d in drafts if d.category and (id := known.get(normalise(d.category)))})
    return {name: held[id] for name, id in known.items() if id in held}


def _so_far(imported: Import, progress: Progress) -> Import:
    return replace(
        imported,
        status=ImportStatus.READING,
        inserted=progress.inserted,
        known=progress.known,
        refused=progress.refused,
        refusals=progress.refusals,
        gaps=progress.gaps,
        failure=None,
        finished_at=None,
    )


def _finish(
    delivery: _Delivery,
    progress: Progress,
    learn_delay: float | None,
    *,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> None:
    counts = {"inserted": progress.inserted, "known": progress.known, "refused": progress.refused}
    with uow.begin(delivery.actor) as tx:
        tx.imports.update(
            replace(_so_far(delivery.imported, progress), status=ImportStatus.DONE, finished_at=clock.now())
        )
        tx.events.append([NewEvent(type=EventType.IMPORT_DONE, subject_id=delivery.imported.id, payload=counts)])
        if delivery.imported.approved:
            queue_learning(tx, delivery.actor, learn_delay, ids, embed=True, queued_by=delivery.job)
        tx.jobs.finish(delivery.job)
        tx.commit()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]
