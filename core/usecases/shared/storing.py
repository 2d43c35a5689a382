"""What a delivery of records stores: batches of drafts, each in one transaction with what says how far it got."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from core.domain.billing import Terms
from core.domain.categories import Category, key_from_name
from core.domain.connections import MAX_GAPS, MAX_REFUSALS, Connection, Import, ImportStatus
from core.domain.events import EventType, NewEvent
from core.domain.health import error_line
from core.domain.jobs import Job
from core.domain.plugins import Batch, gaps_of
from core.domain.records import Draft, Refusal, check_draft, chunked, clean_text, normalise, occurred_on
from core.domain.tenants import Actor, Tenant
from core.errors import Invalid, LeaseLost, Transient
from core.usecases.shared.admitting import CHUNK, admit, process_job
from core.usecases.shared.present import known_categories
from core.usecases.shared.receipts import queue_matching
from ports.clock import Clock, Ids
from ports.storage import Transaction, UnitOfWork

BATCH = 5_000
TOLD_REFUSALS = 20
"""Refusals of a batch that its connection's log names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a read got. Reading a file is repeatable, so a resumed job skips as many batches as were stored."""

    batches: int = 0
    items: int = 0
    inserted: int = 0
    known: int = 0
    held: int = 0
    refused: int = 0
    refusals: tuple[Mapping[str, Any], ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()

    def with_batch(self, batch: Batch, refusals: Sequence[Refusal]) -> Progress:
        """After one more batch, of which these were refused."""
        return replace(
            self,
            batches=self.batches + 1,
            items=self.items + len(batch.drafts),
            refused=self.refused + len(refusals),
            refusals=(*self.refusals, *map(asdict, refusals))[:MAX_REFUSALS],
            gaps=(*self.gaps, *gaps_of(batch.statements))[:MAX_GAPS],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What is being read, by which job, for whom."""

    job: Job
    actor: Actor
    tenant: Tenant
    imported: Import
    connection: Connection
    terms: Terms


Keep = Callable[[Transaction, Progress, bool], None]
"""What is kept in the transaction of stored drafts: the progress, and whether this is the batch's last part."""


def checked_drafts(
    drafts: Sequence[Draft], refusals: Sequence[Refusal], items_before: int
) -> tuple[list[Draft], list[Refusal]]:
    """Those that can be records, and why the others can't."""
    good: list[Draft] = []
    refused = list(refusals)
    for position, draft in enumerate(drafts, start=items_before + 1):
        try:
            good.append(check_draft(draft))
        except Invalid as error:
            refused.append(Refusal(position=position, reason=str(error)))
    return good, refused


def store_batch(
    delivery: Delivery,
    drafts: Sequence[Draft],
    progress: Progress,
    keep: Keep,
    *,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
    whole: bool = True,
) -> Progress:
    """One batch in one transaction, with what is to `keep` of it and the jobs that sort it; gives the progress back.

    A draft that the storage can't take fails alone: the batch is halved around it. Only the last part makes the batch
    `whole`: after a kill in between, the batch is read again, and what is stored is known.
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
            admitted = admit(tx, stored.open, delivery.terms, delivery.job, clock=clock, ids=ids)
            tx.jobs.add(
                [process_job(delivery.job, delivery.imported.id, ids.new(), some) for some in chunked(admitted, CHUNK)]
            )
            queue_matching(tx, stored, delivery.imported.id, delivery.job, ids)
            after = replace(
                progress,
                inserted=progress.inserted + len(stored.inserted),
                known=progress.known + stored.known,
                held=progress.held + len(stored.open) - len(admitted),
            )
            keep(tx, after, whole)
            tx.commit()
            return after
    except (Transient, LeaseLost):
        raise
    except Exception as error:
        if not drafts:
            raise
        if len(drafts) > 1:
            half = len(drafts) // 2
            progress = store_batch(delivery, drafts[:half], progress, keep, uow=uow, clock=clock, ids=ids, whole=False)
            return store_batch(delivery, drafts[half:], progress, keep, uow=uow, clock=clock, ids=ids, whole=whole)
        reason = f"could not be stored: {error_line(error)}"
        refusal = asdict(Refusal(position=progress.items, reason=reason))
        progress = replace(
            progress, refused=progress.refused + 1, refusals=(*progress.refusals, refusal)[:MAX_REFUSALS]
        )
        return store_batch(delivery, [], progress, keep, uow=uow, clock=clock, ids=ids) if whole else progress


def _categories(
    tx: Transaction, delivery: Delivery, drafts: Sequence[Draft], clock: Clock, ids: Ids
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


def import_so_far(imported: Import, progress: Progress) -> Import:
    """The import while it is read."""
    return replace(
        imported,
        status=ImportStatus.READING,
        inserted=progress.inserted,
        known=progress.known,
        held=progress.held,
        refused=progress.refused,
        refusals=progress.refusals,
        gaps=progress.gaps,
        failure=None,
        finished_at=None,
    )
